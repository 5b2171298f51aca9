/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a connection URI means. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * uri NULL: the default.  Gives the whole URI, the name that the daemon is
 * told (no transport, no socket=) and the socket's path.
 */
bool uri_resolve(const char *uri, char **ret_uri, char **ret_name, char **ret_socket,
		 GError **error);
