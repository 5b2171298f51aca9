/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Broken XML, one break at a time.  A row of data/xml/broken.tsv is what to
 * replace in data/xml/broken.xml, by what, and all that is then said of it:
 * the place, and what to do.  VMM_REGENERATE=1 writes the last column anew.
 */
#include "config.h"
#include "libvmm/domain/domain.h"

#include <string.h>

#include "libvmm/domain/xml.h"
#include "libvmm/util/error.h"

#define ROWS_MIN 200

static char *data(const char *file)
{
	g_autofree char *path =
		g_test_build_filename(G_TEST_DIST, "unit", "data", "xml", file, NULL);
	char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static char *replaced(const char *text, const char *old, const char *by)
{
	const char *at = strstr(text, old);

	g_assert_nonnull(at);
	return g_strdup_printf("%.*s%s%s", (int)(at - text), text, by, at + strlen(old));
}

static char *said_of(const char *xml)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) def = domain_def_parse(xml, 0, &error);

	g_assert_null(def);
	return g_strescape(error->message, "'\"");
}

static void each_break_has_its_line_and_its_advice(void)
{
	g_autofree char *base = data("broken.xml"), *table = data("broken.tsv");
	g_auto(GStrv) rows = g_strsplit(g_strchomp(table), "\n", -1);
	g_autoptr(GString) anew = g_string_new(NULL);

	for (char **row = rows; *row; row++) {
		g_auto(GStrv) fields = g_strsplit(*row, "\t", 3);
		g_autofree char *old = g_strcompress(fields[0]), *by = g_strcompress(fields[1]);
		g_autofree char *xml = replaced(base, old, by), *said = said_of(xml);

		g_string_append_printf(anew, "%s\t%s\t%s\n", fields[0], fields[1], said);
		if (!g_getenv("VMM_REGENERATE") && strcmp(said, fields[2]))
			g_test_message("%s -> %s", fields[0], fields[1]);
		if (!g_getenv("VMM_REGENERATE"))
			g_assert_cmpstr(said, ==, fields[2]);
	}
	g_assert_cmpuint(g_strv_length(rows), >=, ROWS_MIN);
	if (g_getenv("VMM_REGENERATE")) {
		g_autofree char *path = g_test_build_filename(G_TEST_DIST, "unit", "data", "xml",
							      "broken.tsv", NULL);
		g_file_set_contents(path, anew->str, -1, NULL);
	}
}

static void what_is_broken_is_whole_without_the_break(void)
{
	g_autofree char *base = data("broken.xml");
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) def = domain_def_parse(base, DOMAIN_PARSE_VALIDATE, &error);

	g_assert_no_error(error);
	g_assert_nonnull(def);
}

static void all_that_is_wrong_is_said_at_once(void)
{
	static const char xml[] =
		"<domain type='kvm'>\n"
		"  <name>a</name>\n"
		"  <memroy unit='MiB'>64</memroy>\n"
		"  <os><type>hvm</type><kernel>k</kernel></os>\n"
		"  <!-- <disk> in a comment counts for nothing -->\n"
		"  <devices>\n"
		"    <disk type='file'><driver type='raw' cash='none'/><source fiel='/x'/></disk>\n"
		"    <interface\n"
		"        type='user'\n"
		"        modle='x'/>\n"
		"    <serial type='ptty'><title><![CDATA[<a>]]></title></serial>\n"
		"  </devices>\n"
		"</domain>\n";
	static const struct {
		unsigned line, column;
		const char *text;
	} expected[] = {
		{ 3, 3, "did you mean <memory>?" },
		{ 4, 23, "'k' is not an absolute path" },
		{ 7, 42, "unknown attribute 'cash'" },
		{ 7, 63, "did you mean 'file'?" },
		{ 10, 9, "unknown attribute 'modle'" },
		{ 11, 13, "did you mean 'pty'?" },
		{ 11, 25, "it belongs in <domain>" },
	};
	g_autoptr(GPtrArray) problems = xml_problems_new();

	g_assert_null(domain_def_parse_all(xml, 0, problems));
	for (unsigned i = 0; i < problems->len; i++) {
		const struct xml_problem *p = problems->pdata[i];
		g_autofree char *text = xml_problem_text(p);

		g_test_message("%s", text);
		g_assert_cmpuint(i, <, G_N_ELEMENTS(expected));
		g_assert_cmpuint(p->line, ==, expected[i].line);
		g_assert_cmpuint(p->column, ==, expected[i].column);
		g_assert_nonnull(strstr(text, expected[i].text));
	}
	g_assert_cmpuint(problems->len, ==, G_N_ELEMENTS(expected));
}

/* The end of a table, of a text in two bytes, of what was never begun. */
static void a_place_that_is_not_known_is_not_invented(void)
{
	g_autoptr(GPtrArray) problems = xml_problems_new();
	const struct xml_problem *p;

	g_assert_null(domain_def_parse_all("", 0, problems));
	p = problems->pdata[0];
	g_assert_cmpuint(p->line, ==, 0);
	xml_problem_add(problems, VMM_ERR_XML, "line 7: two of it");
	p = problems->pdata[1];
	g_assert_cmpuint(p->line, ==, 7);
	g_assert_cmpuint(p->column, ==, 0);
	g_assert_cmpstr(p->text, ==, "two of it");
}

int main(int argc, char **argv)
{
	g_autofree char *schemas = g_build_filename(g_getenv("VMM_SRCDIR"), "schemas", NULL);

	g_setenv("VMM_SCHEMA_DIR", schemas, TRUE);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/broken/whole", what_is_broken_is_whole_without_the_break);
	g_test_add_func("/broken/each", each_break_has_its_line_and_its_advice);
	g_test_add_func("/broken/many", all_that_is_wrong_is_said_at_once);
	g_test_add_func("/broken/nowhere", a_place_that_is_not_known_is_not_invented);
	return g_test_run();
}
