/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan, apply: what definitions would do, and a fleet as a folder has it. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/commands.h"
#include "vmsh/options.h"
#include "vmsh/plan.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static void print_plan(const struct shell *sh, const struct command_args *args,
		       const GPtrArray *list)
{
	g_autofree char *json = args_json(args) ? planned_json(list) : NULL;

	if (json)
		fputs(json, stdout);
	else
		planned_print(sh, list);
}

static bool refuse_if_any(const GPtrArray *list, GError **error)
{
	const unsigned refused = planned_count(list).refused;

	return !refused || error_set(error, VMM_ERR_OPERATION_FAILED,
				     "%u of %u definitions would be refused", refused, list->len);
}

static unsigned validate_flag(const struct command_args *args)
{
	return args_given(args, "validate") ? VMM_DEFINE_VALIDATE : 0;
}

bool cmd_plan(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *files = args_words(args, "file");
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) list = planned_new();

	if (!conn)
		return false;
	for (unsigned i = 0; i < files->len; i++)
		planned_add_file(list, conn, ((struct word *)files->pdata[i])->text,
				 validate_flag(args));
	planned_check_names(list);
	print_plan(sh, args, list);
	return refuse_if_any(list, error);
}

/* ---- apply ---- */

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *xml_files(const char *folder, GError **error)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);

	if (!dir)
		return NULL;
	for (const char *name; (name = g_dir_read_name(dir));)
		if (name[0] != '.' && g_str_has_suffix(name, ".xml"))
			g_ptr_array_add(files, g_build_filename(folder, name, NULL));
	g_ptr_array_sort(files, text_order);
	return g_steal_pointer(&files);
}

static bool has_domain(const GPtrArray *list, const char *name)
{
	for (unsigned i = 0; i < list->len; i++) {
		const struct planned *p = list->pdata[i];

		if (p->plan && g_str_equal(p->plan->name, name))
			return true;
	}
	return false;
}

/* Domains that came from this folder and have no file there any more. */
static bool add_gone(struct shell *sh, GPtrArray *list, const char *source, bool prune,
		     GError **error)
{
	g_autoptr(GPtrArray) before = vmm_connect_applied(sh->conn, source, error);

	for (unsigned i = 0; before && i < before->len; i++) {
		const char *name = before->pdata[i];

		if (has_domain(list, name))
			continue;
		if (prune)
			planned_add_gone(list, name);
		else
			shell_say(sh, "Domain '%s' came from here, and its file is gone: --prune "
				  "undefines it", name);
	}
	return before;
}

static bool confirmed(const struct command_args *args, GError **error)
{
	char answer[16] = "";

	if (args_given(args, "yes"))
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return usage_error(error, "apply: nobody can be asked here: say --yes");
	printf("Apply this? [y/N] ");
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) && g_ascii_tolower(answer[0]) == 'y')
		return true;
	return error_set(error, VMM_ERR_ABORTED, "nothing was applied");
}

static bool apply_list(struct shell *sh, const struct command_args *args, GPtrArray *list,
		       const char *source, GError **error)
{
	const struct planned_count n = planned_count(list);
	const unsigned failed = planned_apply(list, sh->conn, validate_flag(args), source);

	if (args_json(args))
		print_plan(sh, args, list);
	for (unsigned i = 0; i < list->len; i++) {
		struct planned *p = list->pdata[i];

		if (p->error && !args_json(args)) {
			g_prefix_error(&p->error, "%s: ", p->plan ? p->plan->name : p->name);
			shell_print_error(sh, p->error);
		}
	}
	if (failed)
		return error_set(error, VMM_ERR_OPERATION_FAILED, "%u of %u domains failed", failed,
				 list->len);
	if (!args_json(args))
		shell_say(sh, "Applied: %u new, %u changed, %u undefined", n.added, n.changed,
			  n.gone);
	return true;
}

static bool cmd_apply(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *folder = g_canonicalize_filename(args_text(args, "dir"), NULL);
	g_autofree char *source = g_strdup_printf("%s:%s", g_get_host_name(), folder);
	g_autoptr(GPtrArray) files = xml_files(folder, error), list = planned_new();
	vmm_connect *conn = files ? shell_connect(sh, error) : NULL;
	struct planned_count n;

	if (!conn)
		return false;
	for (unsigned i = 0; i < files->len; i++)
		planned_add_file(list, conn, files->pdata[i], validate_flag(args));
	planned_check_names(list);
	if (!add_gone(sh, list, source, args_given(args, "prune"), error))
		return false;
	n = planned_count(list);
	if (!args_json(args) || n.refused)
		print_plan(sh, args, list);
	if (!refuse_if_any(list, error))
		return false;
	if (n.added + n.changed + n.gone && !confirmed(args, error))
		return false;
	return apply_list(sh, args, list, source, error);
}

/* ---- tables ---- */

static const struct option_def options_plan[] = {
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY,
	  .complete = COMPLETE_FILE, .value = "FILE", .help = "domain XML; - is standard input" },
	OPTION_FLAG("validate", "also against the schema"),
	{ 0 },
};

static const struct option_def options_apply[] = {
	{ .name = "dir", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_DIR, .value = "DIR",
	  .help = "a folder of domain XML: all its *.xml" },
	{ .name = "yes", .letter = 'y', .kind = OPT_FLAG, .help = "do not ask" },
	OPTION_FLAG("prune", "undefine what was applied from this folder and has no file any more"),
	OPTION_FLAG("validate", "also against the schema"),
	{ 0 },
};

#define GROUP "Domains"

const struct command commands_plan[] = {
	{ "plan", GROUP, "show what definitions would change",
	  options_plan, COMMAND_JSON, cmd_plan,
	  "All that is wrong in a file, with line and column; what of this host is missing for a "
	  "start: files that vmmd may not reach, ports that are taken, memory, space, KVM; and "
	  "each field that changes: of the running machine now, at the next start, or never while "
	  "the domain exists. A file without <uuid> means the domain that has its name. Nothing "
	  "is changed. The status is 1 if a file would be refused." },
	{ "apply", GROUP, "make the domains as a folder of definitions has them", options_apply,
	  COMMAND_JSON, cmd_apply,
	  "Shows the plan and asks; then all at once, what can change at once on running machines "
	  "too. If one file is refused, nothing is changed; if a definition is changed by somebody "
	  "else meanwhile, that one fails. The same folder again changes nothing. Domains that are "
	  "not in the folder are left alone; --prune undefines those that came from it." },
	{ 0 },
};
