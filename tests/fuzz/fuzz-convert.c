/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as what a command wrote as JSON: refused, or XML that a parser reads, or CSV. */
#include "config.h"

#include <libxml/parser.h>

#include "tests/fuzz/fuzz.h"
#include "vmsh/convert.h"

#define INPUT_MAX 4096

static void expect_xml(const char *xml)
{
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
				    XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET |
					    XML_PARSE_HUGE);

	if (!doc)
		g_error("this is no XML: %s", xml);
	xmlFreeDoc(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *json = g_strndup((const char *)data, MIN(size, INPUT_MAX));
	g_autofree char *xml = NULL, *csv = NULL;

	fuzz_quiet();
	xml = convert_to_xml(json, "list", NULL);
	csv = convert_to_csv(json, NULL);
	if (xml)
		expect_xml(xml);
	return 0;
}
