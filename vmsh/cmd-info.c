/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that look at domains. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/edit.h"
#include "vmsh/fleet.h"
#include "vmsh/list.h"
#include "vmsh/options.h"
#include "vmsh/words.h"

/* ---- one domain ---- */

static const struct column columns_dominfo[] = {
	{ "Id", "id", 0 },
	{ "Name", "name", 0 },
	{ "UUID", "uuid", 0 },
	{ "OS Type", "os_type", 0 },
	{ "State", "state", 0 },
	{ "CPU(s)", "vcpus", 0 },
	{ "CPU time", "cpu_time_ns", 0 },
	{ "Max memory", "max_memory_kib", 0 },
	{ "Used memory", "memory_kib", 0 },
	{ "Persistent", "persistent", 0 },
	{ "Autostart", "autostart", 0 },
	{ "Managed save", "managed_save", 0 },
	{ "Messages", "messages", 0 },
	{ 0 },
};

static void dominfo_numbers(struct table *t, const struct vmm_domain_info *info)
{
	g_autofree char *cpu = g_strdup_printf("%.1fs", info->cpu_time_ns / 1e9);
	g_autofree char *max = g_strdup_printf("%" G_GUINT64_FORMAT " KiB", info->max_memory_kib);
	g_autofree char *now = g_strdup_printf("%" G_GUINT64_FORMAT " KiB", info->memory_kib);

	table_text(t, vmm_state_text(info->state));
	table_colour(t, state_colour(info->state));
	table_number(t, info->vcpus, NULL);
	table_number(t, info->cpu_time_ns, cpu);
	table_number(t, info->max_memory_kib, max);
	table_number(t, info->memory_kib, now);
}

static void dominfo_bool(struct table *t, bool known, bool value, const char *yes, const char *no)
{
	if (known)
		table_bool(t, value, value ? yes : no);
	else
		table_none(t);
}

/* What the daemon has to say of it, above all why it ended. */
static void dominfo_messages(struct table *t, vmm_domain *dom)
{
	g_auto(GStrv) messages = vmm_domain_messages(dom, NULL);
	g_autofree char *text = messages && messages[0] ? g_strjoinv("; ", messages) : NULL;

	table_text(t, text);
}

static void add_id(struct table *t, vmm_domain *dom)
{
	if (vmm_domain_id(dom) >= 0)
		table_number(t, vmm_domain_id(dom), NULL);
	else
		table_none(t);
}

static bool cmd_dominfo(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autoptr(table) t = table_new(columns_dominfo);
	g_autofree char *os = NULL;
	struct vmm_domain_info info;
	bool b, known;

	if (!dom || !vmm_domain_info(dom, &info, error))
		return false;
	os = vmm_domain_os_type(dom, NULL);
	add_id(t, dom);
	table_text(t, vmm_domain_name(dom));
	table_text(t, vmm_domain_uuid(dom));
	table_text(t, os);
	dominfo_numbers(t, &info);
	known = vmm_domain_is_persistent(dom, &b, NULL);
	dominfo_bool(t, known, b, "yes", "no");
	known = vmm_domain_get_autostart(dom, &b, NULL);
	dominfo_bool(t, known, b, "enable", "disable");
	known = vmm_domain_has_managed_save(dom, &b, NULL);
	dominfo_bool(t, known, b, "yes", "no");
	dominfo_messages(t, dom);
	shell_print_record(sh, args, t);
	return true;
}

static const struct column columns_domstate[] = {
	{ "State", "state", 0 }, { "Reason", "reason", 0 }, { 0 },
};

static bool cmd_domstate(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *coloured = NULL;
	int state, reason;

	if (!dom || !vmm_domain_state(dom, &state, &reason, error))
		return false;
	if (args_json(args)) {
		g_autoptr(table) t = table_new(columns_domstate);

		table_text(t, vmm_state_text(state));
		table_text(t, vmm_state_reason_text(state, reason));
		shell_print_record(sh, args, t);
		return true;
	}
	coloured = text_coloured(vmm_state_text(state), state_colour(state), &sh->out);
	if (args_given(args, "reason"))
		printf("%s (%s)\n", coloured, vmm_state_reason_text(state, reason));
	else
		printf("%s\n", coloured);
	return true;
}

static const struct column columns_domid[] = { { "Id", "id", 0 }, { 0 } };

static bool cmd_domid(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *id = NULL;

	if (!dom)
		return false;
	if (args_json(args)) {
		g_autoptr(table) t = table_new(columns_domid);

		add_id(t, dom);
		shell_print_record(sh, args, t);
		return true;
	}
	id = vmm_domain_id(dom) < 0 ? g_strdup("-") : g_strdup_printf("%d", vmm_domain_id(dom));
	shell_print_text(sh, args, "id", id);
	return true;
}

static bool cmd_domuuid(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);

	if (dom)
		shell_print_text(sh, args, "uuid", vmm_domain_uuid(dom));
	return dom != NULL;
}

static bool cmd_domname(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);

	if (dom)
		shell_print_text(sh, args, "name", vmm_domain_name(dom));
	return dom != NULL;
}

static bool cmd_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned flags = (args_given(args, "inactive") ? VMM_XML_INACTIVE : 0) |
			 (args_given(args, "security-info") ? VMM_XML_SECURE : 0) |
			 (args_given(args, "update-cpu") ? VMM_XML_UPDATE_CPU : 0) |
			 (args_given(args, "migratable") ? VMM_XML_MIGRATABLE : 0);
	unsigned revision = (unsigned)args_number(args, "revision", 0);
	g_autofree char *xml = !dom ? NULL :
			       revision ? vmm_domain_revision_xml(dom, revision, error) :
					  vmm_domain_xml(dom, flags, error);

	if (xml)
		shell_print_text(sh, args, "xml", xml);
	return xml != NULL;
}

static bool cmd_domrename(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *old = dom ? g_strdup(vmm_domain_name(dom)) : NULL;

	if (!dom)
		return false;
	if (!vmm_domain_rename(dom, args_text(args, "new-name"), error)) {
		fleet_advise(dom, error);
		return false;
	}
	shell_say(sh, "Domain '%s' is now '%s'", old, args_text(args, "new-name"));
	return true;
}

/* ---- edit ---- */

struct edit_domain {
	struct shell *sh;
	vmm_domain *dom;
	char *before;		/* as the daemon had it when the editor was opened */
};

static char *xml_to_edit(vmm_domain *dom, GError **error)
{
	return vmm_domain_xml(dom, VMM_XML_INACTIVE | VMM_XML_SECURE, error);
}

static bool apply_xml(void *opaque, const char *xml, GError **error)
{
	struct edit_domain *e = opaque;
	g_autoptr(vmm_domain) dom = NULL;
	g_autofree char *now = xml_to_edit(e->dom, error);

	if (!now)
		return false;
	if (!g_str_equal(now, e->before)) {
		g_free(e->before);
		e->before = g_steal_pointer(&now);
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "somebody else changed the domain meanwhile: "
			    "change anything more here to overwrite what he did");
		return false;
	}
	dom = vmm_domain_define_xml(shell_connect(e->sh, NULL), xml, VMM_DEFINE_VALIDATE, error);
	return dom != NULL;
}

static bool cmd_edit(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	struct edit_domain e = { .sh = sh, .dom = dom };
	struct edit edit = { .suffix = ".xml", .comments = true, .apply = apply_xml, .opaque = &e };
	enum edit_result result;

	e.before = dom ? xml_to_edit(dom, error) : NULL;
	if (!e.before)
		return false;
	edit.name = vmm_domain_name(dom);
	result = edit_text(&edit, e.before, error);
	g_free(e.before);
	if (result == EDIT_UNCHANGED)
		shell_say(sh, "Domain '%s' not changed", vmm_domain_name(dom));
	else if (result == EDIT_APPLIED)
		shell_say(sh, "Domain '%s' changed", vmm_domain_name(dom));
	return result != EDIT_FAILED;
}

/* ---- desc ---- */

static bool set_metadata(void *opaque, const char *text, GError **error)
{
	void **dom_args = opaque;
	struct command_args *args = dom_args[1];
	int type = args_given(args, "title") ? VMM_METADATA_TITLE : VMM_METADATA_DESCRIPTION;
	g_autofree char *stripped = g_strchomp(g_strdup(text));

	return vmm_domain_set_metadata(dom_args[0], type, *stripped ? stripped : NULL, NULL, NULL,
				       args_affect(args), error);
}

static char *join_words(const GPtrArray *words)
{
	GString *s = g_string_new(NULL);

	for (unsigned i = 0; i < words->len; i++)
		g_string_append_printf(s, "%s%s", i > 0 ? " " : "",
				       ((struct word *)words->pdata[i])->text);
	return g_string_free(s, FALSE);
}

static bool cmd_desc(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	int type = args_given(args, "title") ? VMM_METADATA_TITLE : VMM_METADATA_DESCRIPTION;
	g_autofree char *text = join_words(args_words(args, "new-desc"));
	void *dom_args[] = { dom, args };
	struct edit edit = { .suffix = ".txt", .apply = set_metadata, .opaque = dom_args };
	g_autoptr(GError) why = NULL;
	g_autofree char *now = NULL;

	if (!dom)
		return false;
	if (*text && !args_given(args, "edit"))
		return set_metadata(dom_args, text, error);
	now = vmm_domain_get_metadata(dom, type, NULL, args_affect(args), &why);
	if (!now && !g_error_matches(why, VMM_ERROR, VMM_ERR_NO_METADATA)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return false;
	}
	edit.name = vmm_domain_name(dom);
	if (args_given(args, "edit"))
		return edit_text(&edit, *text ? text : now ? now : "", error) != EDIT_FAILED;
	shell_print_text(sh, args, args_given(args, "title") ? "title" : "description",
			 now ? now : "");
	return true;
}

static const struct option_def options_domain[] = { OPTION_DOMAIN(DOMAIN), { 0 } };

static const struct option_def options_domstate[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_FLAG("reason", "why it is so as well"), { 0 },
};

static const struct option_def options_dumpxml[] = {
	OPTION_DOMAIN(DOMAIN),
	OPTION_FLAG("inactive", "the stored definition, though the domain runs"),
	OPTION_FLAG("security-info", "secrets as well"),
	{ .name = "revision", .kind = OPT_NUMBER, .value = "N",
	  .help = "the stored definition as it was: see history" },
	OPTION_HIDDEN_FLAG("update-cpu"),
	OPTION_HIDDEN_FLAG("migratable"),
	{ 0 },
};

static const struct option_def options_domrename[] = {
	OPTION_DOMAIN(INACTIVE),
	{ .name = "new-name", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "NAME", .help = "its new name" },
	{ 0 },
};

static const struct option_def options_desc[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "new-desc", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .value = "TEXT", .help = "set it to this" },
	OPTION_FLAG("title", "the title, not the description"),
	OPTION_FLAG("edit", "change it in the editor"),
	OPTIONS_AFFECT,
	{ 0 },
};

#define GROUP "Information"

const struct command commands_info[] = {
	{ "list", GROUP, "list domains", options_list, COMMAND_JSON | COMMAND_HOSTS, cmd_list,
	  "Without options: those that run.\n"
	  "A name or glob that none of them has is an error, after those that there are." },
	{ "dominfo", GROUP, "show what a domain is", options_domain, COMMAND_JSON, cmd_dominfo },
	{ "domstate", GROUP, "show a domain's state", options_domstate, COMMAND_JSON,
	  cmd_domstate },
	{ "domid", GROUP, "print a domain's id", options_domain, COMMAND_JSON, cmd_domid },
	{ "domuuid", GROUP, "print a domain's uuid", options_domain, COMMAND_JSON, cmd_domuuid },
	{ "domname", GROUP, "print a domain's name", options_domain, COMMAND_JSON, cmd_domname },
	{ "dumpxml", GROUP, "print a domain's XML", options_dumpxml, COMMAND_JSON, cmd_dumpxml },
	{ "edit", GROUP, "change a domain's XML in the editor", options_domain, 0, cmd_edit,
	  "The editor is $VISUAL, $EDITOR or sensible-editor. When the daemon refuses the text the "
	  "editor opens again with the reason at the top. Leave it without a change to give up: "
	  "the text is kept in a file. What runs keeps its live definition until the next start." },
	{ "domrename", GROUP, "rename a domain that is off", options_domrename, 0, cmd_domrename },
	{ "desc", GROUP, "show or set a domain's description or title", options_desc, COMMAND_JSON,
	  cmd_desc },
	{ 0 },
};
