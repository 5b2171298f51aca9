/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The editor loop: a script plays the user. */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/edit.h"

static char *folder;

/* The editor: the n-th call runs the n-th line with $1 as the file. */
static void user_will(const char *script)
{
	g_autofree char *editor = g_build_filename(folder, "editor", NULL);
	g_autofree char *count = g_build_filename(folder, "count", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;

	g_unlink(count);
	text = g_strdup_printf("#!/bin/sh\nn=$(cat '%s' 2>/dev/null || echo 0)\nn=$((n+1))\n"
			       "echo $n > '%s'\ncase $n in\n%s\nesac\n", count, count, script);
	g_file_set_contents(editor, text, -1, &error);
	g_assert_no_error(error);
	g_chmod(editor, 0755);
	g_setenv("VISUAL", editor, TRUE);
}

struct daemon {
	char *got;
	unsigned refusals;	/* how often yet */
};

static bool apply(void *opaque, const char *text, GError **error)
{
	struct daemon *d = opaque;

	g_free(d->got);
	d->got = g_strdup(text);
	if (d->refusals == 0)
		return true;
	d->refusals--;
	return error_set(error, VMM_ERR_XML, "line 3: no -- such element");
}

static enum edit_result edit(struct daemon *d, GError **error)
{
	const struct edit e = { .name = "we/b", .suffix = ".xml", .comments = true, .apply = apply,
				.opaque = d };

	return edit_text(&e, "<domain>\n</domain>\n", error);
}

static void a_text_left_alone_changes_nothing(void)
{
	struct daemon d = { 0 };

	user_will("*) true;;");
	g_assert_cmpint(edit(&d, NULL), ==, EDIT_UNCHANGED);
	g_assert_null(d.got);
}

static void a_changed_text_is_applied(void)
{
	struct daemon d = { 0 };

	user_will("1) sed -i 's/main>/main >/' \"$1\";;");
	g_assert_cmpint(edit(&d, NULL), ==, EDIT_APPLIED);
	g_assert_cmpstr(d.got, ==, "<domain >\n</domain >\n");
	g_free(d.got);
}

static void a_refusal_opens_the_editor_again_with_the_reason(void)
{
	g_autofree char *seen = g_build_filename(folder, "seen", NULL);
	g_autofree char *script = g_strdup_printf("1) echo bad >> \"$1\";; "
						  "2) cp \"$1\" %s; sed -i s/bad/good/ \"$1\";;",
						  seen);
	struct daemon d = { .refusals = 1 };
	g_autofree char *text = NULL;

	user_will(script);
	g_assert_cmpint(edit(&d, NULL), ==, EDIT_APPLIED);
	g_assert_cmpstr(d.got, ==, "<domain>\n</domain>\ngood\n");
	g_file_get_contents(seen, &text, NULL, NULL);
	g_assert_true(g_str_has_prefix(text, "<!-- vmsh: this text was refused:"));
	g_assert_nonnull(strstr(text, "line 3: no - - such element"));
	g_free(d.got);
}

/* The file that the message names must hold what was typed, without our comment. */
static void assert_kept(const GError *error, const char *typed)
{
	g_auto(GStrv) words = g_strsplit(error->message, " ", 0);
	g_autofree char *kept = NULL;

	for (unsigned i = 0; words[i]; i++) {
		if (!strstr(words[i], ".xml:"))
			continue;
		words[i][strlen(words[i]) - 1] = '\0';
		g_assert_true(g_file_get_contents(words[i], &kept, NULL, NULL));
	}
	g_assert_cmpstr(kept, ==, typed);
}

static void giving_up_keeps_the_text_in_a_file(void)
{
	struct daemon d = { .refusals = 9 };
	g_autoptr(GError) error = NULL;

	user_will("1) echo typed >> \"$1\";; *) true;;");
	g_assert_cmpint(edit(&d, &error), ==, EDIT_FAILED);
	g_assert_nonnull(strstr(error->message, "line 3"));
	assert_kept(error, "<domain>\n</domain>\ntyped\n");
	g_free(d.got);
}

static void an_editor_that_fails_loses_nothing(void)
{
	struct daemon d = { 0 };
	g_autoptr(GError) error = NULL;

	user_will("1) echo typed >> \"$1\"; exit 3;;");
	g_assert_cmpint(edit(&d, &error), ==, EDIT_FAILED);
	g_assert_null(d.got);
	assert_kept(error, "<domain>\n</domain>\ntyped\n");
}

static void the_comment_stands_behind_the_declaration(void)
{
	g_autofree char *with = edit_comment_add("<?xml version='1.0'?>\n<domain/>\n", "why");
	g_autofree char *without = edit_comment_strip(with);

	g_assert_true(g_str_has_prefix(with, "<?xml version='1.0'?>\n<!-- vmsh"));
	g_assert_cmpstr(without, ==, "<?xml version='1.0'?>\n<domain/>\n");
}

int main(int argc, char **argv)
{
	folder = g_dir_make_tmp("vmsh-edit-XXXXXX", NULL);
	g_setenv("XDG_STATE_HOME", folder, TRUE);
	g_test_init(&argc, &argv, NULL);
#define T(name) g_test_add_func("/vmsh/edit/" #name, name)
	T(a_text_left_alone_changes_nothing);
	T(a_changed_text_is_applied);
	T(a_refusal_opens_the_editor_again_with_the_reason);
	T(giving_up_keeps_the_text_in_a_file);
	T(an_editor_that_fails_loses_nothing);
	T(the_comment_stands_behind_the_declaration);
	return g_test_run();
}
