/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on the past of a definition. */
#include "config.h"
#include "vmsh/commands.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"

/* ---- history ---- */

static const struct column columns_history[] = {
	{ "Revision", "revision", COLUMN_RIGHT },
	{ "When", "time", 0 },
	{ "Bytes", "bytes", COLUMN_RIGHT | COLUMN_DROP },
	{ "By", "by", COLUMN_SHRINK },
	{ "Restores", "restores", COLUMN_RIGHT },
	{ 0 },
};

static void add_revision(struct table *t, const struct vmm_revision *rev)
{
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(rev->at_s);
	g_autofree char *when = at ? g_date_time_format(at, "%Y-%m-%d %H:%M:%S") : NULL;

	table_number(t, rev->number, NULL);
	table_text(t, when);
	table_number(t, rev->bytes, NULL);
	table_text(t, rev->who);
	if (rev->restored)
		table_number(t, rev->restored, NULL);
	else
		table_none(t);
}

static bool cmd_history(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autoptr(GPtrArray) list = dom ? vmm_domain_history(dom, error) : NULL;
	g_autoptr(table) t = table_new(columns_history);

	if (!list)
		return false;
	for (unsigned i = 0; i < list->len; i++)
		add_revision(t, g_ptr_array_index(list, i));
	shell_print_table(sh, args, t);
	return true;
}

/* ---- diff ---- */

/* Readable by a child as /proc/PID/fd/N as long as it is open. */
static int text_fd(const char *text, GError **error)
{
	auto_close int fd = memfd_create("xml", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		error_errno(error, errno, "keep a text in memory");
		return -1;
	}
	return TAKE_FD(fd);
}

/* What diff(1) says: it is on every system, and people know how to read it. */
static char *diff_texts(const char *names[2], char *const texts[2], bool colour, GError **error)
{
	auto_close int a = text_fd(texts[0], error);
	auto_close int b = a >= 0 ? text_fd(texts[1], error) : -1;
	g_autofree char *path_a = g_strdup_printf("/proc/%d/fd/%d", getpid(), a);
	g_autofree char *path_b = g_strdup_printf("/proc/%d/fd/%d", getpid(), b);
	const char *argv[] = { "diff", colour ? "--color=always" : "--color=never", "-u",
			       "--label", names[0], "--label", names[1], path_a, path_b, NULL };
	char *out;
	int status;

	if (b < 0)
		return NULL;
	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL,
			  &status, error)) {
		g_prefix_error(error, "the program diff shows what changed: ");
		return NULL;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 1)
		return out;
	g_free(out);
	error_set(error, VMM_ERR_SYSTEM, "diff failed");
	return NULL;
}

/* Without numbers the last change; with one, what changed since. */
static bool choose_revisions(vmm_domain *dom, struct command_args *args, unsigned ret[2],
			     GError **error)
{
	g_autoptr(GPtrArray) list = vmm_domain_history(dom, error);
	const struct vmm_revision *last;

	if (!list)
		return false;
	if (list->len == 0)
		return error_set(error, VMM_ERR_OPERATION_INVALID, "domain '%s' has no history",
				 vmm_domain_name(dom));
	last = g_ptr_array_index(list, list->len - 1);
	ret[1] = (unsigned)args_number(args, "to", last->number);
	ret[0] = (unsigned)args_number(args, "from", last->number > 1 ? last->number - 1 : 1);
	return true;
}

static const struct column columns_diff[] = {
	{ "From", "from", 0 }, { "To", "to", 0 }, { "Diff", "diff", 0 }, { 0 },
};

static bool cmd_diff(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	const bool colour = sh->out.colour && !args_json(args);
	unsigned revs[2] = { 0 };

	if (!dom || !choose_revisions(dom, args, revs, error))
		return false;
	g_autofree char *a = vmm_domain_revision_xml(dom, revs[0], error);
	g_autofree char *b = a ? vmm_domain_revision_xml(dom, revs[1], error) : NULL;
	if (!b)
		return false;
	g_autofree char *from = g_strdup_printf("%s, revision %u", vmm_domain_name(dom), revs[0]);
	g_autofree char *to = g_strdup_printf("%s, revision %u", vmm_domain_name(dom), revs[1]);
	g_autofree char *out = diff_texts((const char *[]){ from, to }, (char *const[]){ a, b },
					  colour, error);
	if (!out)
		return false;
	if (args_json(args)) {
		g_autoptr(table) t = table_new(columns_diff);

		table_number(t, revs[0], NULL);
		table_number(t, revs[1], NULL);
		table_text(t, out);
		shell_print_record(sh, args, t);
	} else {
		fputs(out, stdout);
	}
	return true;
}

/* ---- undo ---- */

static bool cmd_undo(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned number;

	if (!dom ||
	    !vmm_domain_undo(dom, (unsigned)args_number(args, "to", 0), &number, error))
		return false;
	shell_say(sh, "Domain '%s' is defined as in revision %u%s", vmm_domain_name(dom), number,
		  vmm_domain_id(dom) >= 0 ? "; what runs changes at the next start" : "");
	return true;
}

/* ---- tables ---- */

static const struct option_def options_domain[] = { OPTION_DOMAIN(DOMAIN), { 0 } };

#define OPTION_REVISION(option, shown, text) { \
	.name = option, .kind = OPT_NUMBER, .flags = OPT_POSITION, .value = shown, \
	.help = text, \
}

static const struct option_def options_diff[] = {
	OPTION_DOMAIN(DOMAIN),
	OPTION_REVISION("from", "FROM", "the older one: the last but one, if it is not given"),
	OPTION_REVISION("to", "TO", "the newer one: the last, if it is not given"),
	{ 0 },
};

static const struct option_def options_undo[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "to", .kind = OPT_NUMBER, .value = "REVISION", .help = "to this one" },
	{ 0 },
};

#define GROUP "Information"

const struct command commands_history[] = {
	{ "history", GROUP, "list the versions of a domain's definition", options_domain,
	  COMMAND_JSON, cmd_history,
	  "Each change of the stored definition is a revision, kept until the domain is "
	  "undefined: who made it, with which program, and when." },
	{ "diff", GROUP, "show what changed between two revisions", options_diff, COMMAND_JSON,
	  cmd_diff, "Without numbers: the last change. With one: what has changed since." },
	{ "undo", GROUP, "bring an earlier definition back", options_undo, 0, cmd_undo,
	  "The one before the present, and when called again the one before that. Nothing is "
	  "lost: the definition that is brought back becomes a new revision. A domain that was "
	  "renamed keeps its name." },
	{ 0 },
};
