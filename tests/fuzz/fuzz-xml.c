/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text is refused, or is a definition that its own XML gives back to the byte. */
#include "config.h"
#include "fuzz.h"

#include "libvmm/domain/domain.h"

static void round_trip(const domain_def *def, unsigned parse, unsigned format)
{
	g_autofree char *first = domain_def_format(def, format);
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) again = domain_def_parse(first, parse, &error);

	g_assert_no_error(error);
	g_autofree char *second = domain_def_format(again, format);
	g_assert_cmpstr(first, ==, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) def = domain_def_parse(text, DOMAIN_PARSE_LIVE, &error);

	fuzz_quiet();
	g_assert_true(!def == !!error);
	if (!def)
		return 0;
	round_trip(def, DOMAIN_PARSE_LIVE, DOMAIN_FORMAT_LIVE);
	round_trip(def, 0, 0);
	domain_def_free(domain_def_copy(def));
	return 0;
}
