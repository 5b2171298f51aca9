/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs and figures of guests, by their agents. */
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
#include "vmsh/agent-options.h"
#include "vmsh/cmd-exec.h"
#include "vmsh/fleet.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define PLACE "/usr/local/bin"

/* ---- install ---- */

static bool send_program(struct agent *a, const char *from, const char *to, GError **error)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
	struct json_object *o;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(error, errno, "'%s'", from);
	if (!S_ISREG(st.st_mode))
		return error_set(error, VMM_ERR_INVALID_ARG, "'%s' is no plain file", from);
	o = agent_request("write");
	agent_put_text(o, "path", to);
	agent_put_number(o, "mode", 0755);
	return agent_send_file(a, o, fd, NULL, NULL, error);
}

static bool cmd_install(struct shell *sh, struct command_args *args, GError **error)
{
	const char *file = args_text(args, "file"), *name = args_text(args, "as");
	g_autofree char *base = g_path_get_basename(file);
	g_autofree char *path = name && *name == '/' ?
					g_strdup(name) :
					g_strdup_printf(PLACE "/%s", name ? name : base);
	g_autoptr(agent) a = exec_agent(sh, args, error);

	if (!a || !send_program(a, file, path, error))
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
	g_autoptr(agent) a = exec_agent(sh, args, error);
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
	g_autoptr(agent) a = exec_agent(sh, args, error);
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

#define POSITION(option, text, what) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = text, .help = what, \
}

static const struct option_def options_look[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_AGENT_TIMEOUT, { 0 },
};

static const struct option_def options_install[] = {
	OPTION_DOMAIN(ACTIVE), POSITION("file", "FILE", "a program here"),
	{ .name = "as", .kind = OPT_STRING, .value = "NAME",
	  .help = "its name there, or a whole path" },
	OPTION_AGENT_TIMEOUT, { 0 },
};

const struct command commands_agent[] = {
	{ "install", AGENT_GROUP, "put a program into a guest's /usr/local/bin", options_install, 0,
	  cmd_install, NULL },
	{ "ps", AGENT_GROUP, "processes of a guest", options_look, COMMAND_JSON, cmd_ps, NULL },
	{ "agent", AGENT_GROUP, "how a guest is, by its own word", options_look, COMMAND_JSON,
	  cmd_agent, "Fails when its agent does not answer." },
	{ 0 },
};
