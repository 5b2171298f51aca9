/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text is refused, or is a snapshot whose own XML gives back the same to the byte. */
#include "config.h"
#include "fuzz.h"

#include "libvmm/domain/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(snapshot_def) def = snapshot_def_parse(text, SNAPSHOT_PARSE_REDEFINE, &error);

	fuzz_quiet();
	g_assert_true(!def == !!error);
	if (!def)
		return 0;
	g_autofree char *first = snapshot_def_format(def);
	g_autoptr(snapshot_def) again = snapshot_def_parse(first, SNAPSHOT_PARSE_REDEFINE, &error);
	g_assert_no_error(error);
	g_autofree char *second = snapshot_def_format(again);
	g_assert_cmpstr(first, ==, second);
	return 0;
}
