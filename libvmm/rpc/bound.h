/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What rpcgen's output calls instead of libtirpc's string, bytes and array:
 * those allocate what the count asks for before they look whether as much has
 * come.  These look first.  Included by the generated .c files only.
 */
#pragma once

#include <rpc/rpc.h>

bool_t bound_string(XDR *xdrs, char **text, u_int max);
bool_t bound_bytes(XDR *xdrs, char **data, u_int *bytes, u_int max);
bool_t bound_array(XDR *xdrs, char **items, u_int *n, u_int max, u_int item_bytes, xdrproc_t item);

#ifndef BOUND_NO_MACROS
#undef xdr_string
#undef xdr_bytes
#undef xdr_array
#define xdr_string bound_string
#define xdr_bytes bound_bytes
#define xdr_array bound_array
#endif
