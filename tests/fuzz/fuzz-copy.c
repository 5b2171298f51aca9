/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any file as a definition's copy: refused, or what it says makes the same file again. */
#include "config.h"

#include "tests/fuzz/fuzz.h"
#include "vmmd/copies.h"

static void expect_same(const struct copy *copy)
{
	g_autofree char *text = copy_format(copy), *name = copy_file_name(copy);
	uint8_t uuid[UUID_BYTES];
	struct copy again;

	if (!copy_parse(text, &again, NULL) || strcmp(again.xml, copy->xml) ||
	    strcmp(again.name, copy->name) || again.autostart != copy->autostart ||
	    again.pool != copy->pool || again.active != copy->active ||
	    again.created_s != copy->created_s)
		g_error("a copy of a copy is another");
	copy_clear(&again);
	if (!copy_file_uuid(name, uuid) || memcmp(uuid, copy->uuid, UUID_BYTES) != 0)
		g_error("'%s' is not found again", name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	uint8_t uuid[UUID_BYTES];
	struct copy copy;

	fuzz_quiet();
	copy_file_uuid(text, uuid);
	if (copy_parse(text, &copy, NULL))
		expect_same(&copy);
	copy_clear(&copy);
	return 0;
}
