/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text is refused, or is a network whose own XML gives back the same to the byte. */
#include "config.h"
#include "fuzz.h"

#include "libvmm/domain/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autofree char *first = NULL, *second = NULL;
	g_autoptr(network_def) def = NULL, again = NULL;
	g_autoptr(GError) error = NULL;

	fuzz_quiet();
	def = network_def_parse(text, 0, &error);
	g_assert_true(!def == !!error);
	if (!def)
		return 0;
	first = network_def_format(def, -1);
	again = network_def_parse(first, 0, &error);
	g_assert_no_error(error);
	second = network_def_format(again, -1);
	g_assert_cmpstr(first, ==, second);
	return 0;
}
