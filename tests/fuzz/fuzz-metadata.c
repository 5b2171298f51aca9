/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any text as metadata: stored, key, namespace and element, one a line.  What
 * was set is found again, and what was removed is not.
 */
#include "config.h"
#include "fuzz.h"

#include <libxml/xmlerror.h>

#include "vmmd/metadata.h"

/* A namespace as our schema has them; libxml2 writes others in ways of its own. */
static bool uri_is_plain(const char *uri)
{
	return *uri && strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789:/.-") == strlen(uri) &&
	       strcmp(uri, "http://www.w3.org/xml/1998/namespace") != 0;
}

static void set_and_remove(const char *metadata, const char *key, const char *uri,
			   const char *element)
{
	g_autofree char *whole = NULL, *found = NULL, *less = NULL;

	if (!metadata_set(metadata, uri, key, element, &whole, NULL)) {
		g_assert_null(whole);
		return;
	}
	g_assert_nonnull(whole);
	found = metadata_get(whole, uri);
	if (uri_is_plain(uri))
		g_assert_nonnull(found);
	g_assert_true(metadata_set(whole, uri, NULL, NULL, &less, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_auto(GStrv) lines = g_strsplit(text, "\n", 4);
	g_autofree char *got = NULL;

	fuzz_quiet();
	if (g_strv_length(lines) < 4)
		return 0;
	got = metadata_get(lines[0], lines[2]);
	set_and_remove(lines[0], lines[1], lines[2], lines[3]);
	set_and_remove(NULL, lines[1], lines[2], lines[3]);
	return 0;
}
