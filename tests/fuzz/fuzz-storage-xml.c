/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text is refused, or is a pool or a volume whose own XML gives back the same to the byte. */
#include "config.h"
#include "fuzz.h"

#include <string.h>

#include "libvmm/domain/storage.h"

static void pool_try(const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(pool_def) def = pool_def_parse(text, 0, &error), again = NULL;

	g_assert_true(!def == !!error);
	if (!def)
		return;
	g_assert_true(g_path_is_absolute(def->path) && !strchr(def->name, '/'));
	g_autofree char *first = pool_def_format(def, NULL);
	again = pool_def_parse(first, 0, &error);
	g_assert_no_error(error);
	g_autofree char *second = pool_def_format(again, NULL);
	g_assert_cmpstr(first, ==, second);
}

static void volume_try(const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volume_def) def = volume_def_parse(text, 0, &error), again = NULL;

	g_assert_true(!def == !!error);
	if (!def)
		return;
	g_assert_true(!strchr(def->name, '/') && def->name[0] != '.');
	g_autofree char *first = volume_def_format(def);
	again = volume_def_parse(first, 0, &error);
	g_assert_no_error(error);
	g_autofree char *second = volume_def_format(again);
	g_assert_cmpstr(first, ==, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);

	fuzz_quiet();
	pool_try(text);
	volume_try(text);
	return 0;
}
