/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A text in the user's editor.
 *
 * The text lives in one file below the state folder from the first moment,
 * which is removed only when the text was accepted or never changed: so a
 * crash, a full disk or a lost connection cannot lose what was typed.
 */
#include "config.h"
#include "vmsh/edit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/vmm.h"

#define COMMENT_BEGIN "<!-- vmsh: this text was refused:"
#define COMMENT_END "Change it and save, or leave it as it is to give up. -->\n"

/* Where the first element or comment may begin. */
static size_t behind_declaration(const char *xml)
{
	const char *end = g_str_has_prefix(xml, "<?xml") ? strstr(xml, "?>") : NULL;

	if (!end)
		return 0;
	end += 2;
	return end - xml + (*end == '\n');
}

char *edit_comment_add(const char *xml, const char *message)
{
	size_t at = behind_declaration(xml);
	GString *s = g_string_new_len(xml, at);
	g_auto(GStrv) lines = g_strsplit(message, "\n", 0);

	g_string_append(s, COMMENT_BEGIN "\n");
	for (unsigned i = 0; lines[i]; i++) {
		/* "--" would end the comment early for some parsers, and is an error for all */
		g_auto(GStrv) parts = g_strsplit(lines[i], "--", 0);
		g_autofree char *line = g_strjoinv("- -", parts);

		if (*line)
			g_string_append_printf(s, "     %s\n", line);
	}
	g_string_append(s, "     " COMMENT_END);
	g_string_append(s, xml + at);
	return g_string_free(s, FALSE);
}

char *edit_comment_strip(const char *xml)
{
	const char *begin = strstr(xml, COMMENT_BEGIN);
	const char *end = begin ? strstr(begin, "-->") : NULL;
	GString *s;

	if (!end)
		return g_strdup(xml);
	end += strlen("-->");
	s = g_string_new_len(xml, begin - xml);
	g_string_append(s, end + (*end == '\n'));
	return g_string_free(s, FALSE);
}

static char *make_file(const struct edit *edit, GError **error)
{
	g_autofree char *folder = g_build_filename(g_get_user_state_dir(), "vmsh", "edit", NULL);
	g_autofree char *name = g_strdelimit(g_strdup(edit->name), "/.", '_');
	g_autofree char *base = g_strdup_printf("%s-XXXXXX%s", name, edit->suffix);
	char *path;
	int fd;

	if (g_mkdir_with_parents(folder, 0700) < 0) {
		g_free(folder);
		folder = g_strdup(g_get_tmp_dir());
	}
	path = g_build_filename(folder, base, NULL);
	fd = g_mkstemp(path);
	if (fd >= 0) {
		close(fd);
		return path;
	}
	g_set_error(error, VMM_ERROR, VMM_ERR_SYSTEM, "create '%s': %s", path, g_strerror(errno));
	g_free(path);
	return NULL;
}

static char *editor_command(const char *path)
{
	const char *editor = g_getenv("VISUAL");
	g_autofree char *quoted = g_shell_quote(path);
	g_autofree char *found = NULL;

	if (!editor || !*editor)
		editor = g_getenv("EDITOR");
	if (!editor || !*editor)
		editor = found = g_find_program_in_path("sensible-editor");
	return g_strdup_printf("%s %s", editor && *editor ? editor : "vi", quoted);
}

/* ^C is the editor's while it runs, as with system(3). */
static bool run_editor(const char *path, GError **error)
{
	g_autofree char *command = editor_command(path);
	char *argv[] = { "/bin/sh", "-c", command, NULL };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	g_autoptr(GError) why = NULL;
	int status = 0;
	bool ran;

	sigaction(SIGINT, &ignore, &before);
	ran = g_spawn_sync(NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL,
			   &status, &why) && g_spawn_check_wait_status(status, &why);
	sigaction(SIGINT, &before, NULL);
	if (!ran)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "the editor failed (%s): choose another by $EDITOR", why->message);
	return ran;
}

/* What the user made of `text`; NULL: he gave up or the editor failed. */
static char *edit_once(const char *path, const char *text, GError **error)
{
	char *edited;

	if (!g_file_set_contents(path, text, -1, error) || !run_editor(path, error))
		return NULL;
	return g_file_get_contents(path, &edited, NULL, error) ? edited : NULL;
}

/* Puts `last` in the file, without our comment in it. */
static enum edit_result give_up(const char *path, const char *last, GError *refusal, GError **error)
{
	g_file_set_contents(path, last, -1, NULL);
	g_propagate_error(error, refusal);
	return EDIT_FAILED;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static enum edit_result edit_loop(const struct edit *edit, const char *path, const char *text,
				  GError **error)
{
	g_autofree char *last = g_strdup(text);
	g_autoptr(GError) refusal = NULL;

	for (;;) {
		g_autofree char *shown =
			refusal ? edit_comment_add(last, refusal->message) : g_strdup(last);
		g_autofree char *edited = edit_once(path, shown, refusal ? NULL : error);
		g_autofree char *clean = edited ? edit_comment_strip(edited) : NULL;

		if (!edited && !refusal)
			return EDIT_FAILED;
		if (!edited || g_str_equal(edited, shown) || is_blank(clean))
			return refusal ? give_up(path, last, g_steal_pointer(&refusal), error) :
					 EDIT_UNCHANGED;
		g_clear_error(&refusal);
		if (edit->apply(edit->opaque, clean, &refusal))
			return EDIT_APPLIED;
		if (!edit->comments)
			return give_up(path, clean, g_steal_pointer(&refusal), error);
		g_free(last);
		last = g_steal_pointer(&clean);
	}
}

enum edit_result edit_text(const struct edit *edit, const char *text, GError **error)
{
	g_autofree char *path = make_file(edit, error);
	g_autofree char *kept = NULL;
	enum edit_result result;

	if (!path)
		return EDIT_FAILED;
	result = edit_loop(edit, path, text, error);
	if (result == EDIT_FAILED && g_file_get_contents(path, &kept, NULL, NULL) &&
	    !g_str_equal(kept, text) && !is_blank(kept))
		g_prefix_error(error, "nothing was changed, and your text is kept in %s: ", path);
	else
		unlink(path);
	return result;
}
