/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What commands print: columns that fit, lines, JSON, nothing that harms a terminal. */
#include "config.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "vmsh/convert.h"
#include "vmsh/json.h"
#include "vmsh/table.h"

static const struct column columns[] = {
	{ "Id", "id", COLUMN_RIGHT },
	{ "Name", "name", COLUMN_SHRINK },
	{ "Uptime", "uptime", COLUMN_DROP },
	{ "UUID", "uuid", COLUMN_JSON },
	{ 0 },
};

static table *sample(const char *name)
{
	table *t = table_new(columns);

	table_number(t, 7, NULL);
	table_text(t, name);
	table_none(t);
	table_text(t, "u-1");
	return t;
}

static void no_line_is_wider_than_the_screen(void)
{
	g_autoptr(table) t = sample("a-very-long-name-that-nobody-would-type-twice");
	const struct screen screen = { .width = 30, .utf8 = true };
	g_autofree char *text = table_render(t, &screen);
	g_auto(GStrv) lines = g_strsplit(text, "\n", 0);

	for (unsigned i = 0; lines[i]; i++)
		g_assert_cmpuint(text_width(lines[i]), <=, 30);
	g_assert_nonnull(strstr(text, "\u2026"));
	g_assert_nonnull(strstr(text, "Uptime"));
}

static void a_column_goes_when_shrinking_is_not_enough(void)
{
	g_autoptr(table) t = sample("a-very-long-name-that-nobody-would-type-twice");
	const struct screen screen = { .width = 20 };
	g_autofree char *text = table_render(t, &screen);

	g_assert_null(strstr(text, "Uptime"));
	g_assert_nonnull(strstr(text, "a-ver..."));
}

static void without_a_terminal_nothing_is_cut(void)
{
	g_autoptr(table) t = sample("a-very-long-name-that-nobody-would-type-twice");
	const struct screen screen = { 0 };
	g_autofree char *text = table_render(t, &screen);

	g_assert_nonnull(strstr(text, "twice"));
	g_assert_null(strstr(text, "u-1"));
}

static void escapes_in_names_do_not_reach_the_terminal(void)
{
	g_autoptr(table) t = sample("\033[2Jevil\xe2\x80\xae\xff");
	const struct screen screen = { .colour = false };
	g_autofree char *text = table_render(t, &screen);

	g_assert_null(strchr(text, '\033'));
	g_assert_nonnull(strstr(text, "?[2Jevil"));
	g_assert_true(g_utf8_validate(text, -1, NULL));
}

static void json_becomes_csv_with_a_column_for_each_key(void)
{
	g_autofree char *csv = convert_to_csv(
		"[{\"a\":1,\"b\":{\"c\":[\"x,y\",null]}},{\"a\":\"q\\\"\",\"d.e\":true}]", NULL);
	g_autofree char *one = convert_to_csv("{\"id\":7,\"t\":\"two\\nlines\"}", NULL);
	g_autofree char *lines = convert_to_csv("{\"n\":1}\n{\"n\":2}\n", NULL);
	g_autofree char *none = convert_to_csv("[]", NULL);

	g_assert_cmpstr(csv, ==, "a,b.c.0,b.c.1,d.e\n1,\"x,y\",,\n\"q\"\"\",,,true\n");
	g_assert_cmpstr(one, ==, "id,t\n7,\"two\nlines\"\n");
	g_assert_cmpstr(lines, ==, "n\n1\n2\n");
	g_assert_cmpstr(none, ==, "");
}

static void json_becomes_xml_that_is_well_formed(void)
{
	g_autofree char *xml = convert_to_xml(
		"[{\"a\":\"<&\\u0001\",\"0 x\":[1,2.5],\"n\":null}]", "dom-list", NULL);
	g_autofree char *family = convert_to_xml("{\"a\":false}", "image info", NULL);
	g_autoptr(GError) error = NULL;

	g_assert_cmpstr(xml, ==, "<dom-list>\n  <item>\n    <a>&lt;&amp;?</a>\n"
				 "    <entry name='0 x'>\n      <item>1</item>\n"
				 "      <item>2.5</item>\n    </entry>\n    <n/>\n"
				 "  </item>\n</dom-list>\n");
	g_assert_cmpstr(family, ==, "<entry name='image info'>\n  <a>false</a>\n</entry>\n");
	g_assert_null(convert_to_xml("no JSON", "x", &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_INTERNAL);
}

static void words_are_not_broken_at_the_end_of_a_line(void)
{
	g_autoptr(GString) s = g_string_new("error: ");

	text_append_wrapped(s, "a word that is long enough", 7, 20);
	g_assert_cmpstr(s->str, ==, "error: a word that\n       is long\n       enough\n");
}

static void colours_are_there_only_when_asked_for(void)
{
	g_autoptr(table) t = sample("web");
	const struct screen plain = { 0 }, colour = { .colour = true };
	g_autofree char *a = NULL;
	g_autofree char *b = NULL;

	table_colour(t, COLOUR_GREEN);
	a = table_render_record(t, &plain);
	b = table_render_record(t, &colour);
	g_assert_null(strchr(a, '\033'));
	g_assert_nonnull(strstr(b, "\033[32mu-1\033[0m"));
}

static void wide_characters_count_twice(void)
{
	g_assert_cmpuint(text_width("abc"), ==, 3);
	g_assert_cmpuint(text_width("\u6f22\u5b57"), ==, 4);
}

static void json_has_types_and_what_is_not_shown(void)
{
	g_autoptr(table) t = sample("we\"b\n");
	g_autofree char *text = table_render_json(t, true);

	g_assert_cmpstr(text, ==,
			"{\n  \"id\": 7,\n  \"name\": \"we\\\"b\\n\",\n  \"uptime\": null,\n"
			"  \"uuid\": \"u-1\"\n}\n");
}

static void an_empty_table_is_an_empty_array(void)
{
	g_autoptr(table) t = table_new(columns);
	g_autofree char *text = table_render_json(t, false);

	g_assert_cmpstr(text, ==, "[]\n");
}

static void json_nests_on_one_line_too(void)
{
	struct json *j = json_new_line();
	g_autofree char *text = NULL;

	json_begin_object(j, NULL);
	json_begin_array(j, "a");
	json_signed(j, NULL, -1);
	json_bool(j, NULL, true);
	json_end(j);
	json_string(j, "b\x01", NULL);
	json_end(j);
	text = json_finish(j);
	g_assert_cmpstr(text, ==, "{\"a\": [-1, true], \"b\\u0001\": null}\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define T(name) g_test_add_func("/vmsh/table/" #name, name)
	T(no_line_is_wider_than_the_screen);
	T(a_column_goes_when_shrinking_is_not_enough);
	T(without_a_terminal_nothing_is_cut);
	T(escapes_in_names_do_not_reach_the_terminal);
	T(json_becomes_csv_with_a_column_for_each_key);
	T(json_becomes_xml_that_is_well_formed);
	T(words_are_not_broken_at_the_end_of_a_line);
	T(colours_are_there_only_when_asked_for);
	T(wide_characters_count_twice);
	T(json_has_types_and_what_is_not_shown);
	T(an_empty_table_is_an_empty_array);
	T(json_nests_on_one_line_too);
	return g_test_run();
}
