/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "list": all domains, as a table. */
#include "config.h"
#include "vmsh/list.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/fleet.h"
#include "vmsh/list-tree.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/size.h"
#include "vmsh/sql.h"

enum colour state_colour(int state)
{
	switch (state) {
	case VMM_STATE_RUNNING:
	case VMM_STATE_BLOCKED:
		return COLOUR_GREEN;
	case VMM_STATE_PAUSED:
	case VMM_STATE_SHUTDOWN:
	case VMM_STATE_PMSUSPENDED:
		return COLOUR_YELLOW;
	case VMM_STATE_CRASHED:
		return COLOUR_RED;
	default:
		return COLOUR_DIM;
	}
}

static unsigned list_flags(const struct command_args *args)
{
	static const struct {
		const char *option;
		unsigned flag;
	} filters[] = {
		{ "state-running", VMM_LIST_RUNNING },	 { "state-paused", VMM_LIST_PAUSED },
		{ "state-shutoff", VMM_LIST_SHUTOFF },	 { "persistent", VMM_LIST_PERSISTENT },
		{ "transient", VMM_LIST_TRANSIENT },	 { "autostart", VMM_LIST_AUTOSTART },
		{ "no-autostart", VMM_LIST_NO_AUTOSTART },
	};
	unsigned flags = args_given(args, "all") ? VMM_LIST_ACTIVE | VMM_LIST_INACTIVE :
			 args_given(args, "inactive") ? VMM_LIST_INACTIVE : VMM_LIST_ACTIVE;

	for (unsigned i = 0; i < G_N_ELEMENTS(filters); i++) {
		if (args_given(args, filters[i].option))
			flags |= filters[i].flag;
	}
	if (flags & VMM_LIST_SHUTOFF)
		flags |= VMM_LIST_INACTIVE;
	return flags;
}

/* Those that run by their id, then the others by name. */
static int by_id_and_name(const void *a, const void *b)
{
	const struct vmm_domain_stats *const *x = a, *const *y = b;
	unsigned id_x = vmm_domain_id((*x)->domain), id_y = vmm_domain_id((*y)->domain);

	if (id_x != id_y)	/* -1, not running, is the largest */
		return id_x < id_y ? -1 : 1;
	return strcmp(vmm_domain_name((*x)->domain), vmm_domain_name((*y)->domain));
}

static bool stats_is_among(const void *stats, void *uuids)
{
	return g_hash_table_contains(
		uuids, vmm_domain_uuid(((const struct vmm_domain_stats *)stats)->domain));
}

/* What the statistics call cannot be asked for. */
#define LIST_ONLY (~(unsigned)(VMM_LIST_OTHER * 2 - 1))

/* Leaves those that the list call, which knows all flags, gives as well. */
static bool keep_listed(vmm_connect *conn, GPtrArray *all, unsigned flags, GError **error)
{
	g_autoptr(GHashTable) uuids = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) listed = NULL;

	if (!(flags & LIST_ONLY))
		return true;
	listed = vmm_domain_list(conn, flags, error);
	for (unsigned i = 0; listed && i < listed->len; i++)
		g_hash_table_add(uuids, (char *)vmm_domain_uuid(listed->pdata[i]));
	if (listed)
		fleet_keep(all, stats_is_among, uuids);
	return listed != NULL;
}

static void row_title(struct table *t, vmm_domain *dom)
{
	g_autofree char *title = vmm_domain_get_metadata(dom, VMM_METADATA_TITLE, NULL, 0, NULL);

	table_text(t, title ? title : "");
}

#define NOT_KNOWN G_MAXUINT64

static void list_row(struct table *t, const struct vmm_domain_stats *s, bool title)
{
	int state = vmm_domain_stats_number(s, "state.state", VMM_STATE_NONE);
	uint64_t kib_max = vmm_domain_stats_number(s, "balloon.maximum", NOT_KNOWN);
	uint64_t kib = vmm_domain_stats_number(s, "balloon.current", kib_max);
	uint64_t vcpus_max = vmm_domain_stats_number(s, "vcpu.maximum", NOT_KNOWN);
	uint64_t vcpus = vmm_domain_stats_number(s, "vcpu.current", vcpus_max);
	uint64_t uptime = vmm_domain_stats_number(s, "vmm.uptime", NOT_KNOWN);
	g_autofree char *lasting = duration_text(uptime);

	if (vmm_domain_id(s->domain) >= 0)
		table_number(t, vmm_domain_id(s->domain), NULL);
	else
		table_none(t);
	table_text(t, vmm_domain_name(s->domain));
	table_text(t, vmm_state_text(state));
	table_colour(t, state_colour(state));
	if (kib != NOT_KNOWN && kib <= G_MAXUINT64 / 1024)
		table_size(t, kib * 1024);
	else
		table_none(t);
	if (vcpus != NOT_KNOWN)
		table_number(t, vcpus, NULL);
	else
		table_none(t);
	if (uptime != NOT_KNOWN)
		table_number(t, uptime, lasting);
	else
		table_none(t);
	table_text(t, vmm_domain_uuid(s->domain));
	if (title)
		row_title(t, s->domain);
}

#define COLUMN_TITLE 7	/* the last: left out unless asked for */

static const struct column columns_list[] = {
	{ "Id", "id", COLUMN_RIGHT },
	{ "Name", "name", COLUMN_SHRINK },
	{ "State", "state", 0 },
	{ "Memory", "memory", COLUMN_RIGHT | COLUMN_DROP },
	{ "CPUs", "vcpus", COLUMN_RIGHT | COLUMN_DROP },
	{ "Uptime", "uptime", COLUMN_RIGHT | COLUMN_DROP },
	{ "UUID", "uuid", COLUMN_JSON },
	[COLUMN_TITLE] = { "Title", "title", COLUMN_SHRINK },
	{ 0 },
};

static void print_list_words(const GPtrArray *all, const struct command_args *args)
{
	for (unsigned i = 0; i < all->len; i++) {
		const vmm_domain *dom = ((struct vmm_domain_stats *)all->pdata[i])->domain;
		const char *sep = "";

		if (args_given(args, "id") && vmm_domain_id(dom) >= 0) {
			printf("%d", vmm_domain_id(dom));
			sep = " ";
		}
		if (args_given(args, "uuid")) {
			printf("%s%s", sep, vmm_domain_uuid(dom));
			sep = " ";
		}
		if (args_given(args, "name"))
			printf("%s%s", sep, vmm_domain_name(dom));
		printf("\n");
	}
}

static int by_place(const void *a, const void *b, void *places)
{
	const struct vmm_domain_stats *const *x = a, *const *y = b;
	unsigned at_x = GPOINTER_TO_UINT(
		g_hash_table_lookup(places, vmm_domain_uuid((*x)->domain)));
	unsigned at_y = GPOINTER_TO_UINT(
		g_hash_table_lookup(places, vmm_domain_uuid((*y)->domain)));

	return at_x < at_y ? -1 : at_x > at_y;
}

/* all, as the chosen uuids have them: only those, in their order. */
static void choose_stats(GPtrArray *all, const GPtrArray *uuids)
{
	g_autoptr(GHashTable) places = g_hash_table_new(g_str_hash, g_str_equal);

	for (unsigned i = 0; i < uuids->len; i++)
		g_hash_table_insert(places, uuids->pdata[i], GUINT_TO_POINTER(i));
	fleet_keep(all, stats_is_among, places);
	g_ptr_array_sort_with_data(all, by_place, places);
}

static bool sort_stats(struct shell *sh, const struct command_args *args, GPtrArray *all,
		       GError **error)
{
	const char *where = args_text(args, "filter"), *order = args_text(args, "sort");
	g_autoptr(GPtrArray) uuids = NULL;

	uuids = where || order ? sql_choose(sh, where, order, error) : NULL;
	if (uuids)
		choose_stats(all, uuids);
	else if (where || order)
		return false;
	if (!order)
		g_ptr_array_sort(all, by_id_and_name);
	return true;
}

static bool print_columns(struct shell *sh, const struct command_args *args, const GPtrArray *all,
			  GError **error)
{
	g_autoptr(GPtrArray) uuids = g_ptr_array_new();

	for (unsigned i = 0; i < all->len; i++) {
		const struct vmm_domain_stats *s = all->pdata[i];

		g_ptr_array_add(uuids, (char *)vmm_domain_uuid(s->domain));
	}
	return sql_print_columns(sh, args, args_text(args, "columns"), uuids, error);
}

static void print_table(struct shell *sh, const struct command_args *args, const GPtrArray *all)
{
	struct column columns[G_N_ELEMENTS(columns_list)];
	bool title = args_given(args, "title");
	g_autoptr(table) t = NULL;

	memcpy(columns, columns_list, sizeof(columns));
	if (!title)
		columns[COLUMN_TITLE] = (struct column){ 0 };
	t = table_new(columns);
	for (unsigned i = 0; i < all->len; i++)
		list_row(t, all->pdata[i], title);
	shell_print_table(sh, args, t);
}

bool cmd_list(struct shell *sh, struct command_args *args, GError **error)
{
	bool words = args_given(args, "name") || args_given(args, "uuid") || args_given(args, "id");
	const unsigned stats = words && !args_json(args) ?
		VMM_STATS_STATE : VMM_STATS_STATE | VMM_STATS_BALLOON | VMM_STATS_VCPU;
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) all = NULL;
	bool named;

	all = conn ? vmm_domain_stats_all(conn, stats, list_flags(args) & ~LIST_ONLY, error)
		   : NULL;
	if (!all || !keep_listed(conn, all, list_flags(args), error))
		return false;
	named = fleet_filter(sh, args, all);
	if (!named && all->len == 0)
		return false;
	if (!sort_stats(sh, args, all, error))
		return false;
	if (args_given(args, "columns"))
		return print_columns(sh, args, all, error) && named;
	if (args_given(args, "tree") && !args_json(args))
		list_tree_print(sh, all);
	else if (words && !args_json(args))
		print_list_words(all, args);
	else
		print_table(sh, args, all);
	return named;
}

const struct option_def options_list[] = {
	{ .name = "domain", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .complete = COMPLETE_DOMAIN, .value = "DOMAIN", .help = "only these names or globs" },
	OPTION_FLAG("all", "those that are off as well"),
	OPTION_FLAG("inactive", "only those that are off"),
	OPTION_FLAG("name", "only names, one a line"),
	OPTION_FLAG("uuid", "only uuids"),
	OPTION_FLAG("id", "only ids"),
	OPTION_FLAG("title", "their titles as well"),
	OPTION_FLAG("state-running", "only those that run"),
	OPTION_FLAG("state-paused", "only those that are paused"),
	OPTION_FLAG("state-shutoff", "only those that are off"),
	OPTION_FLAG("persistent", "only those that are stored"),
	OPTION_FLAG("transient", "only those that are not stored"),
	OPTION_FLAG("autostart", "only those that start with the daemon"),
	OPTION_FLAG("no-autostart", "only those that do not"),
	{ .name = "columns", .kind = OPT_STRING, .complete = COMPLETE_COLUMN, .value = "NAME,...",
	  .help = "these columns of table domains, which sql shows" },
	{ .name = "sort", .kind = OPT_STRING, .complete = COMPLETE_COLUMN, .value = "[-]NAME",
	  .help = "by this column; with a - the largest first" },
	{ .name = "filter", .kind = OPT_STRING, .complete = COMPLETE_EXPRESSION,
	  .value = "EXPRESSION",
	  .help = "only those for which it holds, as in \"vcpus > 1 and net = 'dev'\"" },
	OPTION_FLAG("tree", "with their disks, network cards and snapshots below"),
	OPTION_HIDDEN_FLAG("table"),
	{ 0 },
};
