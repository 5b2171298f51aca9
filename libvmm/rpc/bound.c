/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XDR strings, bytes and arrays that allocate only what the payload can fill. */
#include "config.h"
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define BOUND_NO_MACROS
#include "libvmm/rpc/bound.h"

/*
 * The count that comes next, unread: is it within max, and are as many units
 * of unit_bytes still there?  Our streams are memory, x_handy is what is left.
 */
static bool count_fits(XDR *xdrs, u_int max, u_int unit_bytes)
{
	u_int at = XDR_GETPOS(xdrs), n;

	if (!xdr_u_int(xdrs, &n))
		return false;
	return n <= max && n <= xdrs->x_handy / unit_bytes && XDR_SETPOS(xdrs, at);
}

bool_t bound_string(XDR *xdrs, char **text, u_int max)
{
	char *empty = (char *)"";

	if (xdrs->x_op == XDR_ENCODE)
		return xdr_string(xdrs, *text ? text : &empty, max);
	if (xdrs->x_op == XDR_FREE)
		return xdr_string(xdrs, text, max);
	u_int at = XDR_GETPOS(xdrs), n;
	if (!count_fits(xdrs, max, 1) || !xdr_u_int(xdrs, &n) || !XDR_SETPOS(xdrs, at))
		return FALSE;
	/* A NUL inside would make two texts equal that are not. */
	return xdr_string(xdrs, text, max) && strlen(*text) == n;
}

bool_t bound_bytes(XDR *xdrs, char **data, u_int *bytes, u_int max)
{
	if (xdrs->x_op == XDR_DECODE && !count_fits(xdrs, max, 1))
		return FALSE;
	return xdr_bytes(xdrs, data, bytes, max);
}

bool_t bound_array(XDR *xdrs, char **items, u_int *n, u_int max, u_int item_bytes, xdrproc_t item)
{
	/* No item is shorter than one word. */
	if (xdrs->x_op == XDR_DECODE && !count_fits(xdrs, max, BYTES_PER_XDR_UNIT))
		return FALSE;
	return xdr_array(xdrs, items, n, max, item_bytes, item);
}
