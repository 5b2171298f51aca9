/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on storage pools. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>

#include "libvmm/util/cleanup.h"
#include "vmsh/event.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/usage.h"
#include "vmsh/xml-file.h"

static vmm_pool *pool_of(struct shell *sh, const struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);

	return conn ? vmm_pool_lookup(conn, args_text(args, "pool"), error) : NULL;
}

static const char *state_text(unsigned state)
{
	static const char *const texts[] = {
		"inactive", "building", "running", "degraded", "inaccessible",
	};

	return state < ARRAY_SIZE(texts) ? texts[state] : "?";
}

/* ---- looking ---- */

static const struct column columns_list[] = {
	{ "Name", "name", COLUMN_SHRINK }, { "State", "state", 0 },
	{ "Autostart", "autostart", COLUMN_DROP }, { "Persistent", "persistent", COLUMN_DROP },
	{ "Capacity", "capacity", COLUMN_RIGHT | COLUMN_DROP },
	{ "Allocation", "allocation", COLUMN_RIGHT | COLUMN_DROP },
	{ "Available", "available", COLUMN_RIGHT }, { "UUID", "uuid", COLUMN_JSON }, { 0 },
};

static bool row_add(table *t, vmm_pool *pool, GError **error)
{
	struct vmm_pool_info info;

	if (!vmm_pool_info(pool, &info, error))
		return false;
	table_text(t, vmm_pool_name(pool));
	table_text(t, state_text(info.state));
	table_bool(t, info.autostart, info.autostart ? "yes" : "no");
	table_bool(t, info.persistent, info.persistent ? "yes" : "no");
	table_size(t, info.capacity);
	table_size(t, info.allocation);
	table_size(t, info.available);
	table_text(t, vmm_pool_uuid(pool));
	return true;
}

static bool cmd_list(struct shell *sh, struct command_args *args, GError **error)
{
	unsigned flags = args_given(args, "all") ? 0 : args_given(args, "inactive") ? 1 : 2;
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) list = conn ? vmm_pool_list(conn, flags, error) : NULL;
	g_autoptr(table) t = table_new(columns_list);

	if (!list)
		return false;
	for (unsigned i = 0; i < list->len; i++) {
		vmm_pool *pool = g_ptr_array_index(list, i);

		if (args_given(args, "name"))
			puts(vmm_pool_name(pool));
		else if (!row_add(t, pool, error))
			return false;
	}
	if (!args_given(args, "name"))
		shell_print_table(sh, args, t);
	return true;
}

static bool cmd_info(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);
	g_autoptr(table) t = table_new(columns_list);

	if (!pool || !row_add(t, pool, error))
		return false;
	shell_print_record(sh, args, t);
	return true;
}

static bool cmd_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);
	g_autofree char *xml =
		pool ? vmm_pool_xml(pool, args_given(args, "inactive"), error) : NULL;

	if (!xml)
		return false;
	shell_print_text(sh, args, "xml", xml);
	return true;
}

static bool cmd_name(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);

	if (pool)
		shell_print_text(sh, args, "name", vmm_pool_name(pool));
	return pool;
}

static bool cmd_uuid(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);

	if (pool)
		shell_print_text(sh, args, "uuid", vmm_pool_uuid(pool));
	return pool;
}

/* ---- making ---- */

static bool made(struct shell *sh, const char *xml, bool create, bool build, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(vmm_pool) pool =
		!conn ? NULL : create ? vmm_pool_create_xml(conn, xml, build, error) :
					vmm_pool_define_xml(conn, xml, 0, error);

	if (pool)
		shell_say(sh, "Pool '%s' %s", vmm_pool_name(pool), create ? "created" : "defined");
	return pool;
}

static bool cmd_define(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = xml_file_read(args_text(args, "file"), error);

	return xml && made(sh, xml, false, false, error);
}

static bool cmd_create(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = xml_file_read(args_text(args, "file"), error);

	return xml && made(sh, xml, true, args_given(args, "build"), error);
}

static char *xml_as(const struct command_args *args)
{
	g_autofree char *path = g_canonicalize_filename(args_text(args, "target"), NULL);

	return g_markup_printf_escaped("<pool type='%s'><name>%s</name>"
				       "<target><path>%s</path></target></pool>",
				       args_text(args, "type") ?: "dir", args_text(args, "name"),
				       path);
}

static bool cmd_define_as(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = xml_as(args);

	return made(sh, xml, false, false, error);
}

static bool cmd_create_as(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = xml_as(args);

	return made(sh, xml, true, args_given(args, "build"), error);
}

/* ---- doing ---- */

static bool doing(struct shell *sh, struct command_args *args, enum vmm_pool_op op, unsigned flags,
		  const char *done, GError **error)
{
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);

	if (!pool || !vmm_pool_do(pool, op, flags, error))
		return false;
	shell_say(sh, "Pool '%s' %s", vmm_pool_name(pool), done);
	return true;
}

static bool cmd_start(struct shell *sh, struct command_args *args, GError **error)
{
	return doing(sh, args, VMM_POOL_START, args_given(args, "build"), "started", error);
}

static bool cmd_build(struct shell *sh, struct command_args *args, GError **error)
{
	return doing(sh, args, VMM_POOL_BUILD, 0, "built", error);
}

static bool cmd_refresh(struct shell *sh, struct command_args *args, GError **error)
{
	return doing(sh, args, VMM_POOL_REFRESH, 0, "refreshed", error);
}

static bool cmd_destroy(struct shell *sh, struct command_args *args, GError **error)
{
	return doing(sh, args, VMM_POOL_STOP, 0, "stopped", error);
}

static bool cmd_delete(struct shell *sh, struct command_args *args, GError **error)
{
	return doing(sh, args, VMM_POOL_DELETE, 0, "deleted", error);
}

static bool cmd_undefine(struct shell *sh, struct command_args *args, GError **error)
{
	return doing(sh, args, VMM_POOL_UNDEFINE, 0, "undefined", error);
}

static bool cmd_autostart(struct shell *sh, struct command_args *args, GError **error)
{
	bool on = !args_given(args, "disable");
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);

	if (!pool || !vmm_pool_set_autostart(pool, on, error))
		return false;
	shell_say(sh, "Pool '%s' %s", vmm_pool_name(pool),
		  on ? "starts with the daemon" : "does not start with the daemon");
	return true;
}

/* ---- tables ---- */

#define OPTION_POOL { \
	.name = "pool", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_POOL, .value = "POOL", .help = "the pool's name or uuid", \
}
#define OPTION_XML_FILE { \
	.name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = "FILE", .help = "the pool's XML; - is the input", \
}
#define OPTIONS_AS \
	{ .name = "name", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	  .value = "NAME", .help = "the pool's name" }, \
	{ .name = "type", .kind = OPT_STRING, .flags = OPT_POSITION, .value = "TYPE", \
	  .complete = COMPLETE_WORDS, .words = "dir", .help = "dir: a folder" }, \
	{ .name = "target", .kind = OPT_STRING, .flags = OPT_REQUIRED, \
	  .complete = COMPLETE_DIR, .value = "FOLDER", .help = "its folder" }
#define OPTION_BUILD OPTION_FLAG("build", "make its folder first")

static const struct option_def options_list[] = {
	OPTION_FLAG("all", "inactive ones as well"), OPTION_FLAG("inactive", "only inactive ones"),
	OPTION_FLAG("name", "only names, one a line"), OPTION_HIDDEN_FLAG("details"), { 0 },
};
static const struct option_def options_pool[] = { OPTION_POOL, { 0 } };
static const struct option_def options_xml[] = {
	OPTION_POOL, OPTION_FLAG("inactive", "without what is known of the active one"), { 0 },
};
static const struct option_def options_file[] = { OPTION_XML_FILE, { 0 } };
static const struct option_def options_create[] = { OPTION_XML_FILE, OPTION_BUILD, { 0 } };
static const struct option_def options_as[] = { OPTIONS_AS, { 0 } };
static const struct option_def options_create_as[] = { OPTIONS_AS, OPTION_BUILD, { 0 } };
static const struct option_def options_start[] = { OPTION_POOL, OPTION_BUILD, { 0 } };
static const struct option_def options_autostart[] = {
	OPTION_POOL, OPTION_FLAG("disable", "do not start it"), { 0 },
};

#define GROUP "Storage"

const struct command commands_pool[] = {
	{ "pool-list", GROUP, "list storage pools", options_list,
	  COMMAND_JSON | COMMAND_HOSTS, cmd_list,
	  "Without options: the active ones." },
	{ "pool-info", GROUP, "tell about a pool", options_pool, COMMAND_JSON, cmd_info },
	{ "pool-dumpxml", GROUP, "print a pool's XML", options_xml, COMMAND_JSON, cmd_dumpxml },
	{ "pool-name", GROUP, "tell a pool's name", options_pool, COMMAND_JSON, cmd_name },
	{ "pool-uuid", GROUP, "tell a pool's uuid", options_pool, COMMAND_JSON, cmd_uuid },
	{ "pool-define", GROUP, "define a pool by XML, or change it", options_file, 0,
	  cmd_define },
	{ "pool-define-as", GROUP, "define a pool by options", options_as, 0, cmd_define_as },
	{ "pool-create", GROUP, "make and start a transient pool by XML", options_create, 0,
	  cmd_create },
	{ "pool-create-as", GROUP, "make and start a transient pool by options",
	  options_create_as, 0, cmd_create_as },
	{ "pool-build", GROUP, "make a pool's folder", options_pool, 0, cmd_build },
	{ "pool-start", GROUP, "start a pool", options_start, 0, cmd_start },
	{ "pool-autostart", GROUP, "start a pool with the daemon", options_autostart, 0,
	  cmd_autostart },
	{ "pool-refresh", GROUP, "look whether a pool's folder can be read", options_pool, 0,
	  cmd_refresh, "Lists of volumes are always made from the folder as it is." },
	{ "pool-destroy", GROUP, "stop a pool; its files stay", options_pool, 0, cmd_destroy },
	{ "pool-delete", GROUP, "remove the folder of a stopped pool, which must be empty",
	  options_pool, 0, cmd_delete },
	{ "pool-undefine", GROUP, "forget a stopped pool; its files stay", options_pool, 0,
	  cmd_undefine },
	{ "pool-event", GROUP, "wait for events of pools and print them", options_pool_event,
	  COMMAND_JSON, cmd_pool_event, "As event does for domains." },
	{ 0 },
};
