/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's snapshots as a list or as a tree. */
#include "config.h"
#include "vmsh/snapshot-list.h"

#include "vmsh/domain-xml.h"

char *snapshot_time(int64_t seconds)
{
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(seconds);

	return when ? g_date_time_format(when, "%F %T %z") : g_strdup("?");
}

static void snapshot_free(void *p)
{
	xml_snapshot_free(p);
}

/* One that was deleted meanwhile is left out. */
static GPtrArray *look_at_all(vmm_domain *dom, char **names, GError **error)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(snapshot_free);

	for (; *names; names++) {
		g_autoptr(GError) why = NULL;
		g_autofree char *xml = vmm_snapshot_xml(dom, *names, 0, &why);
		struct xml_snapshot *s = xml ? xml_snapshot_new(xml, &why) : NULL;

		if (s) {
			g_ptr_array_add(list, s);
		} else if (!g_error_matches(why, VMM_ERROR, VMM_ERR_NO_SNAPSHOT)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return NULL;
		}
	}
	return g_steal_pointer(&list);
}

bool snapshot_list_print(struct shell *sh, struct command_args *args, vmm_domain *dom, char **names,
			 GError **error)
{
	static const struct column columns[] = {
		{ "Name", "name", COLUMN_SHRINK }, { "Created", "created" }, { "State", "state" },
		{ "Parent", "parent", COLUMN_SHRINK }, { "Memory", "memory", COLUMN_DROP },
		{ "Current", "current", COLUMN_DROP },
		{ "Description", "description", COLUMN_SHRINK | COLUMN_DROP }, { 0 },
	};
	g_autoptr(GPtrArray) all = look_at_all(dom, names, error);
	g_autofree char *current = all ? vmm_snapshot_current(dom, NULL) : NULL;
	g_autoptr(table) t = all ? table_new(columns) : NULL;

	if (!all)
		return false;
	for (unsigned i = 0; i < all->len; i++) {
		const struct xml_snapshot *s = all->pdata[i];
		g_autofree char *when = snapshot_time(s->created_s);
		bool is_current = g_strcmp0(current, s->name) == 0;

		table_text(t, s->name);
		table_number(t, (uint64_t)s->created_s, when);
		table_text(t, s->state);
		table_text(t, s->parent);
		table_bool(t, g_strcmp0(s->memory, "no") != 0,
			   g_strcmp0(s->memory, "no") ? s->memory : "no");
		table_bool(t, is_current, is_current ? "yes" : "");
		table_text(t, s->description);
	}
	shell_print_table(sh, args, t);
	return true;
}

struct drawing {
	GPtrArray *all;
	const char *current;
	GString *text;
	bool utf8;
};

static bool is_listed(const struct drawing *d, const char *name)
{
	for (unsigned i = 0; name && i < d->all->len; i++)
		if (g_str_equal(((struct xml_snapshot *)d->all->pdata[i])->name, name))
			return true;
	return false;
}

static bool is_child(const struct drawing *d, const struct xml_snapshot *s, const char *parent)
{
	return parent ? g_strcmp0(s->parent, parent) == 0 : !is_listed(d, s->parent);
}

static void draw_below(struct drawing *d, const char *parent, const char *indent, unsigned depth);

static void draw_one(struct drawing *d, const struct xml_snapshot *s, const char *indent, bool last,
		     unsigned depth)
{
	const char *branch = d->utf8 ? (last ? "└─ " : "├─ ") : (last ? "`- " : "+- ");
	const char *line = d->utf8 ? (last ? "   " : "│  ") : (last ? "   " : "|  ");
	g_autofree char *next = g_strconcat(indent, depth ? line : "", NULL);
	g_autofree char *name = text_harmless(s->name);

	g_string_append_printf(d->text, "%s%s%s%s\n", indent, depth ? branch : "", name,
			       g_strcmp0(d->current, s->name) == 0 ? " *" : "");
	draw_below(d, s->name, next, depth + 1);
}

static void draw_below(struct drawing *d, const char *parent, const char *indent, unsigned depth)
{
	unsigned left = 0;

	/* no daemon of ours sends a circle */
	if (depth > d->all->len)
		return;
	for (unsigned i = 0; i < d->all->len; i++)
		left += is_child(d, d->all->pdata[i], parent);
	for (unsigned i = 0; i < d->all->len; i++)
		if (is_child(d, d->all->pdata[i], parent))
			draw_one(d, d->all->pdata[i], indent, --left == 0, depth);
}

bool snapshot_tree_print(struct shell *sh, vmm_domain *dom, char **names, GError **error)
{
	g_autoptr(GPtrArray) all = look_at_all(dom, names, error);
	g_autofree char *current = all ? vmm_snapshot_current(dom, NULL) : NULL;
	struct drawing d = { all, current, NULL, sh->out.utf8 };

	if (!all)
		return false;
	d.text = g_string_new(NULL);
	draw_below(&d, NULL, "", 0);
	fputs(d.text->str, stdout);
	g_string_free(d.text, TRUE);
	return true;
}
