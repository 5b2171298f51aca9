/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on the snapshots that there are. */
#include "config.h"
#include "vmsh/commands.h"

#include "vmsh/domain-xml.h"
#include "vmsh/edit.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/snapshot-diff.h"
#include "vmsh/snapshot-list.h"
#include "vmsh/usage.h"

/* The snapshot that option "snapshotname" or --current names. */
static char *snapshot_chosen(vmm_domain *dom, const struct command_args *args, GError **error)
{
	const char *name = args_text(args, "snapshotname");

	if (!!name == args_given(args, "current")) {
		usage_error(error, name ? "give a snapshot's name or --current, not both" :
					  "which snapshot? give its name, or --current");
		return NULL;
	}
	return name ? g_strdup(name) : vmm_snapshot_current(dom, error);
}

/* ---- looking ---- */

static char **names_of(vmm_domain *dom, const struct command_args *args, GError **error)
{
	static const struct option_bit flags[] = {
		{ "roots", VMM_SNAPSHOT_ROOTS }, { "descendants", VMM_SNAPSHOT_DESCENDANTS },
		{ "leaves", VMM_SNAPSHOT_LEAVES }, { "no-leaves", VMM_SNAPSHOT_NO_LEAVES },
		{ "inactive", VMM_SNAPSHOT_INACTIVE }, { "active", VMM_SNAPSHOT_ACTIVE },
		{ "disk-only", VMM_SNAPSHOT_OF_DISKS }, { "internal", VMM_SNAPSHOT_INTERNAL },
		{ "external", VMM_SNAPSHOT_EXTERNAL }, { "metadata", VMM_SNAPSHOT_METADATA },
		{ "no-metadata", VMM_SNAPSHOT_NO_METADATA },
		{ "topological", VMM_SNAPSHOT_TOPOLOGICAL }, { 0 },
	};
	const char *from = args_text(args, "from");

	if (args_given(args, "descendants") && !from)
		usage_error(error, "--descendants of which snapshot? give --from NAME");
	else if (args_given(args, "roots") && from)
		usage_error(error, "--roots and --from exclude each other");
	else if (from)
		return vmm_snapshot_children(dom, from, args_bits(args, flags), error);
	else
		return vmm_snapshot_list(dom, args_bits(args, flags), error);
	return NULL;
}

static bool cmd_snapshot_list(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_auto(GStrv) names = dom ? names_of(dom, args, error) : NULL;

	if (!names)
		return false;
	if (args_given(args, "tree") && !args_json(args))
		return snapshot_tree_print(sh, dom, names, error);
	if (!args_given(args, "name") || args_json(args))
		return snapshot_list_print(sh, args, dom, names, error);
	for (unsigned i = 0; names[i]; i++) {
		g_autofree char *name = text_harmless(names[i]);

		puts(name);
	}
	return true;
}

static char *disks_text(const struct xml_snapshot *s)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (unsigned i = 0; i < s->disks->len; i++) {
		const struct xml_snapshot_disk *d = s->disks->pdata[i];

		g_string_append_printf(text, "%s%s (%s)", text->len ? ", " : "", d->target,
				       d->file ?: d->place);
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void info_print(struct shell *sh, struct command_args *args, vmm_domain *dom,
		       const struct xml_snapshot *s, unsigned children, unsigned below)
{
	static const struct column columns[] = {
		{ "Name", "name" }, { "Domain", "domain" }, { "Current", "current" },
		{ "State", "state" }, { "Created", "created" }, { "Parent", "parent" },
		{ "Children", "children" }, { "Descendants", "descendants" },
		{ "Memory", "memory" }, { "Disks", "disks" }, { "Description", "description" },
		{ 0 },
	};
	g_autofree char *current = vmm_snapshot_current(dom, NULL);
	g_autofree char *when = snapshot_time(s->created_s), *disks = disks_text(s);
	bool is_current = g_strcmp0(current, s->name) == 0;
	g_autoptr(table) t = table_new(columns);

	table_text(t, s->name);
	table_text(t, vmm_domain_name(dom));
	table_bool(t, is_current, is_current ? "yes" : "no");
	table_text(t, s->state);
	table_number(t, (uint64_t)s->created_s, when);
	table_text(t, s->parent);
	table_number(t, children, NULL);
	table_number(t, below, NULL);
	table_text(t, s->memory);
	table_text(t, disks);
	table_text(t, s->description);
	shell_print_record(sh, args, t);
}

static bool cmd_snapshot_info(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *name = dom ? snapshot_chosen(dom, args, error) : NULL;
	g_autofree char *xml = name ? vmm_snapshot_xml(dom, name, 0, error) : NULL;
	g_autoptr(xml_snapshot) s = xml ? xml_snapshot_new(xml, error) : NULL;
	g_auto(GStrv) children = s ? vmm_snapshot_children(dom, name, 0, error) : NULL;
	g_auto(GStrv) below =
		children ? vmm_snapshot_children(dom, name, VMM_SNAPSHOT_DESCENDANTS, error) : NULL;

	if (below)
		info_print(sh, args, dom, s, g_strv_length(children), g_strv_length(below));
	return below != NULL;
}

static bool cmd_snapshot_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned flags = args_given(args, "security-info") ? VMM_XML_SECURE : 0;
	g_autofree char *name = dom ? snapshot_chosen(dom, args, error) : NULL;
	g_autofree char *xml = name ? vmm_snapshot_xml(dom, name, flags, error) : NULL;

	if (xml)
		shell_print_text(sh, args, "xml", xml);
	return xml != NULL;
}

static bool make_current(struct shell *sh, vmm_domain *dom, const char *name, GError **error)
{
	g_autofree char *xml = vmm_snapshot_xml(dom, name, VMM_XML_SECURE, error);
	unsigned flags = VMM_SNAPSHOT_CREATE_REDEFINE | VMM_SNAPSHOT_CREATE_CURRENT;
	g_autofree char *done = xml ? vmm_snapshot_create_xml(dom, xml, flags, error) : NULL;

	if (done)
		shell_say(sh, "Snapshot '%s' is the current one of domain '%s'", name,
			  vmm_domain_name(dom));
	return done != NULL;
}

static bool cmd_snapshot_current(struct shell *sh, struct command_args *args, GError **error)
{
	const char *set = args_text(args, "snapshotname");
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *name = NULL, *xml = NULL;

	if (!dom)
		return false;
	if (set)
		return make_current(sh, dom, set, error);
	name = vmm_snapshot_current(dom, error);
	if (!name)
		return false;
	if (args_given(args, "name")) {
		shell_print_text(sh, args, "name", name);
		return true;
	}
	xml = vmm_snapshot_xml(dom, name, 0, error);
	if (xml)
		shell_print_text(sh, args, "xml", xml);
	return xml != NULL;
}

static bool cmd_snapshot_parent(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *name = dom ? snapshot_chosen(dom, args, error) : NULL;
	g_autofree char *parent = name ? vmm_snapshot_parent(dom, name, error) : NULL;

	if (parent)
		shell_print_text(sh, args, "parent", parent);
	return parent != NULL;
}

static void diff_rows(struct table *t, GPtrArray *fields, GPtrArray *ranges)
{
	for (unsigned i = 0; i < fields->len; i++) {
		const struct xml_difference *f = fields->pdata[i];

		table_text(t, "definition");
		table_text(t, f->field);
		table_text(t, f->before);
		table_text(t, f->after);
		table_none(t);
		table_none(t);
	}
	for (unsigned i = 0; i < ranges->len; i++) {
		const struct vmm_changed_range *r = ranges->pdata[i];

		table_text(t, "disk");
		table_text(t, r->target);
		table_none(t);
		table_none(t);
		table_number(t, r->start, NULL);
		table_number(t, r->length, NULL);
	}
}

static bool cmd_snapshot_diff(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct column columns[] = {
		{ "Of", "of" }, { "What", "what" }, { "Before", "before", COLUMN_SHRINK },
		{ "After", "after", COLUMN_SHRINK }, { "Start", "start", COLUMN_RIGHT },
		{ "Bytes", "bytes", COLUMN_RIGHT }, { 0 },
	};
	const char *a = args_text(args, "from"), *b = args_text(args, "to");
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *xml_a = dom ? vmm_snapshot_xml(dom, a, 0, error) : NULL;
	g_autofree char *xml_b = xml_a ? vmm_snapshot_xml(dom, b, 0, error) : NULL;
	bool truncated = false;
	g_autoptr(GPtrArray) fields =
		xml_b ? xml_snapshot_differences(xml_a, xml_b, error) : NULL;
	g_autoptr(GPtrArray) ranges =
		fields ? vmm_snapshot_diff(dom, a, b, &truncated, error) : NULL;
	g_autoptr(table) t = ranges ? table_new(columns) : NULL;

	if (!ranges)
		return false;
	diff_rows(t, fields, ranges);
	shell_print_table(sh, args, t);
	if (truncated)
		shell_say(sh, "There are more changed ranges than these");
	return true;
}

/* ---- changing ---- */

static bool edit_apply(void *opaque, const char *xml, GError **error)
{
	vmm_domain *dom = opaque;
	g_autofree char *name =
		vmm_snapshot_create_xml(dom, xml, VMM_SNAPSHOT_CREATE_REDEFINE, error);

	return name != NULL;
}

static bool cmd_snapshot_edit(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *name = dom ? snapshot_chosen(dom, args, error) : NULL;
	g_autofree char *xml = name ? vmm_snapshot_xml(dom, name, VMM_XML_SECURE, error) : NULL;
	struct edit edit = { .suffix = ".xml", .comments = true, .apply = edit_apply,
			     .opaque = dom, .name = name };
	enum edit_result result;

	if (!xml)
		return false;
	result = edit_text(&edit, xml, error);
	if (result != EDIT_FAILED)
		shell_say(sh, "Snapshot '%s' %schanged", name,
			  result == EDIT_UNCHANGED ? "not " : "");
	return result != EDIT_FAILED;
}

static bool cmd_snapshot_revert(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct option_bit flags[] = {
		{ "running", VMM_SNAPSHOT_REVERT_RUNNING },
		{ "paused", VMM_SNAPSHOT_REVERT_PAUSED },
		{ "force", VMM_SNAPSHOT_REVERT_FORCE }, { 0 },
	};
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *name = dom ? snapshot_chosen(dom, args, error) : NULL;

	if (!name)
		return false;
	if (!vmm_snapshot_revert(dom, name, args_bits(args, flags), error)) {
		fleet_advise(dom, error);
		return false;
	}
	shell_say(sh, "Domain '%s' is back at snapshot '%s'", vmm_domain_name(dom), name);
	return true;
}

static bool cmd_snapshot_delete(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct option_bit flags[] = {
		{ "children", VMM_SNAPSHOT_DELETE_CHILDREN },
		{ "children-only", VMM_SNAPSHOT_DELETE_CHILDREN_ONLY },
		{ "metadata", VMM_SNAPSHOT_DELETE_METADATA_ONLY }, { 0 },
	};
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *name = dom ? snapshot_chosen(dom, args, error) : NULL;

	if (!name)
		return false;
	if (!vmm_snapshot_delete(dom, name, args_bits(args, flags), error)) {
		fleet_advise(dom, error);
		return false;
	}
	shell_say(sh, "Snapshot '%s' of domain '%s' deleted", name, vmm_domain_name(dom));
	return true;
}

/* ---- tables ---- */

#define OPTION_SNAPSHOT { \
	.name = "snapshotname", .kind = OPT_STRING, .flags = OPT_POSITION, \
	.complete = COMPLETE_SNAPSHOT, .value = "SNAPSHOT", .help = "the snapshot's name", \
}
#define OPTION_CURRENT OPTION_FLAG("current", "the current snapshot")

static const struct option_def options_list[] = {
	OPTION_DOMAIN(DOMAIN),
	OPTION_FLAG("tree", "as a tree; * is the current one"),
	OPTION_FLAG("name", "names only"),
	{ .name = "from", .kind = OPT_STRING, .complete = COMPLETE_SNAPSHOT, .value = "SNAPSHOT",
	  .help = "its children" },
	OPTION_FLAG("descendants", "with --from: and their children"),
	OPTION_FLAG("roots", "those without a parent"),
	OPTION_FLAG("leaves", "those without children"),
	OPTION_FLAG("no-leaves", "those with children"),
	OPTION_FLAG("inactive", "made while it was off"),
	OPTION_FLAG("active", "made with its memory"),
	OPTION_FLAG("disk-only", "made while it ran, without its memory"),
	OPTION_FLAG("internal", "inside their images"),
	OPTION_FLAG("external", "in files of their own"),
	OPTION_HIDDEN_FLAG("metadata"),
	OPTION_HIDDEN_FLAG("no-metadata"),
	OPTION_HIDDEN_FLAG("topological"),
	OPTION_HIDDEN_FLAG("parent"),
	{ 0 },
};

static const struct option_def options_one[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_SNAPSHOT, OPTION_CURRENT, { 0 },
};

static const struct option_def options_dumpxml[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_SNAPSHOT, OPTION_CURRENT,
	OPTION_FLAG("security-info", "secrets as well"), { 0 },
};

static const struct option_def options_current[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_SNAPSHOT, OPTION_FLAG("name", "its name only"), { 0 },
};

static const struct option_def options_diff[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "from", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_SNAPSHOT, .value = "A", .help = "a snapshot" },
	{ .name = "to", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_SNAPSHOT, .value = "B", .help = "another" },
	{ 0 },
};

static const struct option_def options_revert[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_SNAPSHOT, OPTION_CURRENT,
	OPTION_FLAG("running", "and let it run"),
	OPTION_FLAG("paused", "and leave it paused"),
	OPTION_HIDDEN_FLAG("force"), { 0 },
};

static const struct option_def options_delete[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_SNAPSHOT, OPTION_CURRENT,
	OPTION_FLAG("children", "and all below it"),
	OPTION_FLAG("children-only", "all below it, and it stays"),
	OPTION_FLAG("metadata", "forget it; its files stay, and are yours"), { 0 },
};

#define GROUP "Snapshots"

const struct command commands_snapshot[] = {
	{ "snapshot-list", GROUP, "list a domain's snapshots", options_list, COMMAND_JSON,
	  cmd_snapshot_list },
	{ "snapshot-info", GROUP, "tell about a snapshot", options_one, COMMAND_JSON,
	  cmd_snapshot_info },
	{ "snapshot-dumpxml", GROUP, "print a snapshot's XML", options_dumpxml, COMMAND_JSON,
	  cmd_snapshot_dumpxml },
	{ "snapshot-current", GROUP, "tell or set the current snapshot", options_current,
	  COMMAND_JSON, cmd_snapshot_current },
	{ "snapshot-parent", GROUP, "tell a snapshot's parent", options_one, COMMAND_JSON,
	  cmd_snapshot_parent },
	{ "snapshot-diff", GROUP, "tell what differs between two snapshots", options_diff,
	  COMMAND_JSON, cmd_snapshot_diff,
	  "Fields of the definition, and the ranges of each disk that were written on either side "
	  "since what both come from." },
	{ "snapshot-edit", GROUP, "change a snapshot's description in the editor", options_one, 0,
	  cmd_snapshot_edit },
	{ "snapshot-revert", GROUP, "go back to a snapshot", options_revert, 0,
	  cmd_snapshot_revert,
	  "What was written since the last snapshot is lost. A machine that runs is stopped, and "
	  "started again with --running or --paused." },
	{ "snapshot-delete", GROUP, "delete a snapshot; its children stay", options_delete, 0,
	  cmd_snapshot_delete,
	  "Any snapshot can be deleted. Files that are still needed by others stay, and are merged "
	  "when the machine is off." },
	{ 0 },
};
