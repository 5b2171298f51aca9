/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands inside guests, by their agent. */
#include "config.h"
#include "vmsh/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/agent-exec.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define TIMEOUT_MS 30000
#define PLACE "/usr/local/bin"

static struct agent *open_agent(struct shell *sh, const struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned ms = (unsigned)MIN(args_ms(args, "timeout", TIMEOUT_MS), G_MAXINT);

	return dom ? agent_open(sh, dom, ms, error) : NULL;
}

/* ---- exec, shell ---- */

static void put_texts(struct json_object *o, const char *key, const GPtrArray *words,
		      unsigned first)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = first; i < words->len; i++)
		json_object_array_add(list, json_object_new_string(words_text(words, i)));
	json_object_object_add(o, key, list);
}

static bool check_env(const GPtrArray *env, GError **error)
{
	for (unsigned i = 0; i < env->len; i++) {
		const char *text = words_text(env, i);
		if (*text == '=' || !strchr(text, '='))
			return usage_error(error, "exec: --env '%s' is not like NAME=VALUE", text);
	}
	return true;
}

static struct json_object *spawn_request(const struct command_args *args, bool raw)
{
	struct json_object *o = agent_request("spawn");

	agent_put_text(o, "user", args_text(args, "user"));
	agent_put_text(o, "cwd", args_text(args, "cwd"));
	put_texts(o, "env", args_words(args, "env"), 0);
	json_object_object_add(o, "sandbox", json_object_new_boolean(!raw));
	return o;
}

/* The command's end is ours. */
static bool run_here(struct shell *sh, struct agent *a, struct json_object *request,
		     const struct agent_exec_opts *opts, GError **error)
{
	int status;

	if (!agent_exec(a, request, opts, &status, error))
		return false;
	sh->status = status;
	return status == 0;
}

static bool cmd_exec(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *command = args_words(args, "command");
	struct agent_exec_opts opts = {
		.terminal = args_given(args, "tty"),
		.stdin_too = args_given(args, "interactive") || !isatty(STDIN_FILENO),
	};
	g_autoptr(agent) a = NULL;

	if (!check_env(args_words(args, "env"), error))
		return false;
	a = open_agent(sh, args, error);
	if (!a)
		return false;
	struct json_object *o = spawn_request(args, args_given(args, "raw"));
	agent_put_text(o, "command", words_text(command, 0));
	put_texts(o, "args", command, 1);
	json_object_object_add(o, "network", json_object_new_boolean(args_given(args, "network")));
	return run_here(sh, a, o, &opts, error);
}

static bool cmd_shell(struct shell *sh, struct command_args *args, GError **error)
{
	const struct agent_exec_opts opts = { .terminal = true, .stdin_too = true };
	g_autofree char *term = NULL;
	g_autoptr(agent) a = open_agent(sh, args, error);

	if (!a)
		return false;
	struct json_object *o = spawn_request(args, true);
	term = g_strdup_printf("TERM=%s", g_getenv("TERM") ? g_getenv("TERM") : "linux");
	json_object_array_add(json_object_object_get(o, "env"), json_object_new_string(term));
	return run_here(sh, a, o, &opts, error);
}

/* ---- files ---- */

/* "DOMAIN:PATH": its path, and the name before it in *ret_name; NULL: a file of ours. */
static const char *guest_path(const char *text, char **ret_name)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text || memchr(text, '/', (size_t)(colon - text)))
		return NULL;
	*ret_name = g_strndup(text, (gsize)(colon - text));
	return colon[1] ? colon + 1 : "/root/";
}

static bool send_file(struct agent *a, const char *from, const char *to, int mode, GError **error)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
	g_autofree char *base = g_path_get_basename(from);
	g_autofree char *path =
		g_str_has_suffix(to, "/") ? g_strconcat(to, base, NULL) : g_strdup(to);
	struct json_object *o;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(error, errno, "'%s'", from);
	if (S_ISDIR(st.st_mode))
		return error_set(
			error, VMM_ERR_NO_SUPPORT,
			"'%s' is a folder; tar c -C FOLDER . | vmsh exec DOMAIN --raw -- tar x -C "
			"FOLDER copies one",
			from);
	o = agent_request("write");
	agent_put_text(o, "path", path);
	agent_put_number(o, "mode", mode >= 0 ? mode : (int)(st.st_mode & 0777));
	return agent_send_file(a, o, fd, error);
}

static bool fetch_file(struct agent *a, const char *from, const char *to, GError **error)
{
	g_autofree char *base = g_path_get_basename(from);
	g_autofree char *path = g_file_test(to, G_FILE_TEST_IS_DIR) ?
					g_build_filename(to, base, NULL) :
					g_strdup(to);
	g_autofree char *temp = g_strdup_printf("%s.vmsh-%d", path, (int)getpid());
	auto_close int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	struct json_object *o = agent_request("read");
	bool ok;

	if (fd < 0) {
		json_object_put(o);
		return error_errno(error, errno, "'%s'", temp);
	}
	agent_put_text(o, "path", from);
	ok = agent_fetch_file(a, o, fd, error);
	if (ok && (fsync(fd) < 0 || rename(temp, path) < 0))
		ok = error_errno(error, errno, "'%s'", path);
	if (!ok)
		unlink(temp);
	return ok;
}

static bool cmd_cp(struct shell *sh, struct command_args *args, GError **error)
{
	const char *from = args_text(args, "from"), *to = args_text(args, "to");
	g_autofree char *source = NULL, *target = NULL;
	const char *inside_from = guest_path(from, &source), *inside_to = guest_path(to, &target);
	unsigned ms = (unsigned)MIN(args_ms(args, "timeout", TIMEOUT_MS), G_MAXINT);
	vmm_connect *conn;

	if (!source == !target)
		return usage_error(error,
				   "cp: one of the two is DOMAIN:PATH, the other a file here");
	conn = shell_connect(sh, error);
	g_autoptr(vmm_domain) dom =
		conn ? vmm_domain_lookup(conn, source ? source : target, error) : NULL;
	g_autoptr(agent) a = dom ? agent_open(sh, dom, ms, error) : NULL;
	if (!a)
		return false;
	return source ? fetch_file(a, inside_from, to, error) :
			send_file(a, from, inside_to, -1, error);
}

static bool cmd_install(struct shell *sh, struct command_args *args, GError **error)
{
	const char *file = args_text(args, "file"), *name = args_text(args, "as");
	g_autofree char *base = g_path_get_basename(file);
	g_autofree char *path = name && *name == '/' ?
					g_strdup(name) :
					g_strdup_printf(PLACE "/%s", name ? name : base);
	g_autoptr(agent) a = open_agent(sh, args, error);

	if (!a || !send_file(a, file, path, 0755, error))
		return false;
	shell_say(sh, "Installed '%s' as %s", file, path);
	return true;
}

/* ---- looking ---- */

#define LINES_MAX (4u << 20) /* bytes of a list that a guest sends */

static bool keep_lines(struct agent *a, bool errors, const void *data, size_t bytes, void *opaque)
{
	GString *text = opaque;

	if (!errors && text->len + bytes <= LINES_MAX)
		g_string_append_len(text, data, (gssize)bytes);
	return true;
}

static const char *text_of(struct json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

static uint64_t number_of(struct json_object *o, const char *key)
{
	int64_t n = json_object_get_int64(json_object_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static const struct column ps_columns[] = {
	{ "Pid", "pid", COLUMN_RIGHT },		 { "Parent", "parent", COLUMN_RIGHT | COLUMN_DROP },
	{ "Uid", "uid", COLUMN_RIGHT },		 { "State", "state" },
	{ "CPU ms", "cpu_ms", COLUMN_RIGHT },	 { "Memory", "memory", COLUMN_RIGHT },
	{ "Command", "command", COLUMN_SHRINK }, { 0 },
};

static void ps_row(struct table *t, struct json_object *o)
{
	const char *command = text_of(o, "command"), *name = text_of(o, "name");
	g_autofree char *kernel = g_strdup_printf("[%s]", name ? name : "?");

	table_number(t, number_of(o, "pid"), NULL);
	table_number(t, number_of(o, "parent"), NULL);
	table_number(t, number_of(o, "uid"), NULL);
	table_text(t, text_of(o, "state"));
	table_number(t, number_of(o, "cpu_ms"), NULL);
	table_size(t, number_of(o, "memory"));
	table_text(t, command ? command : kernel);
}

static bool cmd_ps(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct agent_ops ops = { .output = keep_lines };
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(agent) a = open_agent(sh, args, error);
	g_autoptr(table) t = table_new(ps_columns);
	struct agent_end end;

	if (!a || !agent_run(a, agent_request("processes"), &ops, text, &end, error))
		return false;
	g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
	for (char **line = lines; *line; line++) {
		struct json_object *o = **line ? json_tokener_parse(*line) : NULL;
		if (json_object_is_type(o, json_type_object))
			ps_row(t, o);
		json_object_put(o);
	}
	shell_print_table(sh, args, t);
	return true;
}

static const struct column status_columns[] = {
	{ "Host name", "host_name" },
	{ "System", "os_name" },
	{ "Kernel", "kernel" },
	{ "Uptime s", "uptime_seconds" },
	{ "Load", "load" },
	{ "Processes", "processes" },
	{ "Memory", "memory" },
	{ "Available", "memory_available" },
	{ "Addresses", "addresses" },
	{ "Disks", "disks" },
	{ 0 },
};

static char *load_text(struct json_object *list)
{
	GString *s = g_string_new(NULL);

	for (size_t i = 0; json_object_is_type(list, json_type_array) &&
			   i < json_object_array_length(list) && i < 3;
	     i++)
		g_string_append_printf(s, "%s%.2f", i ? " " : "",
				       json_object_get_double(json_object_array_get_idx(list, i)));
	return g_string_free(s, FALSE);
}

static char *list_text(struct json_object *list, const char *first, const char *second)
{
	GString *s = g_string_new(NULL);

	for (size_t i = 0;
	     json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
	     i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *a = text_of(o, first), *b = text_of(o, second);
		g_string_append_printf(s, "%s%s %s", i ? ", " : "", a ? a : "?", b ? b : "?");
	}
	return g_string_free(s, FALSE);
}

static bool cmd_agent(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(agent) a = open_agent(sh, args, error);
	struct json_object *o = a ? agent_ask(a, agent_request("status"), error) : NULL;
	g_autoptr(table) t = table_new(status_columns);

	if (!o)
		return false;
	g_autofree char *load = load_text(json_object_object_get(o, "load"));
	g_autofree char *addresses =
		list_text(json_object_object_get(o, "addresses"), "interface", "address");
	g_autofree char *disks =
		list_text(json_object_object_get(o, "disks"), "device", "mount_point");
	table_text(t, text_of(o, "host_name"));
	table_text(t, text_of(o, "os_name"));
	table_text(t, text_of(o, "kernel"));
	table_number(t, number_of(o, "uptime_seconds"), NULL);
	table_text(t, load);
	table_number(t, number_of(o, "processes"), NULL);
	table_size(t, number_of(o, "memory"));
	table_size(t, number_of(o, "memory_available"));
	table_text(t, *addresses ? addresses : NULL);
	table_text(t, *disks ? disks : NULL);
	shell_print_record(sh, args, t);
	json_object_put(o);
	return true;
}
/* ---- tables ---- */

#define OPTION_TIMEOUT { \
	.name = "timeout", .kind = OPT_TIME, .value = "DURATION", \
	.help = "wait so long for the agent; 30 s if not given", \
}
#define OPTION_USER { \
	.name = "user", .kind = OPT_STRING, .value = "USER", \
	.help = "name or uid in the guest; root if not given", \
}
#define OPTION_CWD { \
	.name = "cwd", .kind = OPT_STRING, .value = "FOLDER", \
	.help = "begin there; in the user's home if not given", \
}
#define OPTION_ENV { \
	.name = "env", .letter = 'e', .kind = OPT_STRING, .flags = OPT_MANY, \
	.value = "NAME=VALUE", .help = "put it into the environment", \
}
#define POSITION(option, text, what) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = text, .help = what, \
}

static const struct option_def options_exec[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "command", .kind = OPT_STRING,
	  .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY, .value = "COMMAND",
	  .help = "with its words; write -- before it if one begins with -" },
	{ .name = "interactive", .letter = 'i', .kind = OPT_FLAG,
	  .help = "forward the standard input also when it is a terminal" },
	{ .name = "tty", .letter = 't', .kind = OPT_FLAG, .help = "in a terminal of its own" },
	OPTION_USER, OPTION_CWD, OPTION_ENV,
	OPTION_FLAG("raw", "without the sandbox: with all rights on the guest"),
	OPTION_FLAG("network", "in the sandbox, with the guest's network"),
	OPTION_TIMEOUT,
	{ 0 },
};

static const struct option_def options_shell[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_USER, OPTION_CWD, OPTION_ENV, OPTION_TIMEOUT, { 0 },
};

static const struct option_def options_look[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_TIMEOUT, { 0 },
};

static const struct option_def options_cp[] = {
	POSITION("from", "FROM", "a file here, or DOMAIN:PATH"),
	POSITION("to", "TO", "the other one; a folder of the guest ends with /"),
	OPTION_TIMEOUT, { 0 },
};

static const struct option_def options_install[] = {
	OPTION_DOMAIN(ACTIVE), POSITION("file", "FILE", "a program here"),
	{ .name = "as", .kind = OPT_STRING, .value = "NAME",
	  .help = "its name there, or a whole path" },
	OPTION_TIMEOUT, { 0 },
};

#define GROUP "Inside guests"

const struct command commands_agent[] = {
	{ "exec", GROUP, "run a command inside a guest", options_exec, 0, cmd_exec,
	  "Its standard streams are ours, and so is its exit status: 128 and the signal's number "
	  "when it was ended by one. Signals and ^C are passed on.\n"
	  "It runs in a sandbox inside the guest: a read-only system, a /tmp of its own, no "
	  "network, no capabilities. --raw does without." },
	{ "shell", GROUP, "a user's shell inside a guest", options_shell, 0, cmd_shell,
	  "In a terminal, without the sandbox. No network and no password are needed." },
	{ "cp", GROUP, "copy a file into a guest or out of it", options_cp, 0, cmd_cp,
	  "The target changes when all of it is there." },
	{ "install", GROUP, "put a program into a guest's /usr/local/bin", options_install, 0,
	  cmd_install, NULL },
	{ "ps", GROUP, "processes of a guest", options_look, COMMAND_JSON, cmd_ps, NULL },
	{ "agent", GROUP, "how a guest is, by its own word", options_look, COMMAND_JSON, cmd_agent,
	  "Fails when its agent does not answer." },
	{ 0 },
};
