/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements of <metadata>, each in a namespace of its own. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The element of namespace uri, its own namespace taken off; NULL when there is none. */
char *metadata_get(const char *metadata, const char *uri);
/*
 * The whole <metadata> with the element of namespace uri replaced by `element`
 * (a document, put into that namespace with prefix `key`), or removed when it
 * is NULL.  *ret is NULL when nothing is left.
 */
bool metadata_set(const char *metadata, const char *uri, const char *key, const char *element,
		  char **ret, GError **error);
