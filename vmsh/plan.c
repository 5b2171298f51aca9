/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of definitions, what they would do, and doing it. */
#include "config.h"
#include "vmsh/plan.h"

#include "libvmm/util/error.h"
#include "vmsh/xml-file.h"

#define THREADS 8

static const char *const actions[] = { "unchanged", "new", "changed", "refused" };
static const char *const whens[] = { "now", "next start", "never while it exists" };
static const char *const severities[] = { "error", "would not start", "note" };

static void planned_free(void *data)
{
	struct planned *p = data;

	g_free(p->file);
	g_free(p->xml);
	g_free(p->name);
	vmm_plan_free(p->plan);
	g_clear_error(&p->error);
	g_free(p);
}

GPtrArray *planned_new(void)
{
	return g_ptr_array_new_with_free_func(planned_free);
}

void planned_add_file(GPtrArray *list, vmm_connect *conn, const char *file, unsigned flags)
{
	struct planned *p = g_new0(struct planned, 1);

	p->file = g_strdup(file);
	p->xml = xml_file_read(file, &p->error);
	p->plan = p->xml ? vmm_connect_plan(conn, p->xml, flags, &p->error) : NULL;
	g_ptr_array_add(list, p);
}

void planned_add_gone(GPtrArray *list, const char *name)
{
	struct planned *p = g_new0(struct planned, 1);

	p->name = g_strdup(name);
	g_ptr_array_add(list, p);
}

void planned_check_names(GPtrArray *list)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (unsigned i = 0; i < list->len; i++) {
		struct planned *p = list->pdata[i];
		const struct planned *before;

		if (!p->plan || !*p->plan->name)
			continue;
		before = g_hash_table_lookup(seen, p->plan->name);
		if (before && !p->error)
			error_set(&p->error, VMM_ERR_OPERATION_FAILED,
				  "it defines domain '%s', as does '%s'", p->plan->name,
				  before->file);
		g_hash_table_insert(seen, p->plan->name, p);
	}
}

static bool is_refused(const struct planned *p)
{
	return p->error || (p->plan && p->plan->action == VMM_PLAN_REFUSED);
}


struct planned_count planned_count(const GPtrArray *list)
{
	struct planned_count n = { 0 };

	for (unsigned i = 0; i < list->len; i++) {
		const struct planned *p = list->pdata[i];

		if (is_refused(p))
			n.refused++;
		else if (!p->plan)
			n.gone++;
		else if (p->plan->action == VMM_PLAN_NEW)
			n.added++;
		else if (p->plan->action == VMM_PLAN_CHANGE)
			n.changed++;
		else
			n.same++;
	}
	return n;
}

/* ---- for people ---- */

static enum colour action_colour(const struct planned *p)
{
	if (is_refused(p) || !p->plan)
		return COLOUR_RED;
	return p->plan->action == VMM_PLAN_NEW ? COLOUR_GREEN :
	       p->plan->action == VMM_PLAN_CHANGE ? COLOUR_YELLOW : COLOUR_DIM;
}

static void print_head(const struct shell *sh, const struct planned *p)
{
	const char *what = !p->plan && !p->error ? "to be undefined" :
			   is_refused(p) ? "refused" : actions[p->plan->action];
	const char *name = p->plan && *p->plan->name ? p->plan->name : p->name;
	g_autofree char *shown = text_harmless(name ? name : p->file);
	g_autofree char *coloured = text_coloured(what, action_colour(p), &sh->out);

	printf("%s: %s%s", shown, coloured, p->plan && p->plan->active ? ", running" : "");
	if (name && p->file)
		printf(" (%s)", p->file);
	putchar('\n');
}

static void print_problem(const struct vmm_plan_problem *x)
{
	g_autofree char *text = text_harmless(x->text);

	printf("  %s: ", severities[MIN(x->severity, VMM_PLAN_DOUBT)]);
	if (x->line && x->column)
		printf("line %u, column %u: ", x->line, x->column);
	else if (x->line)
		printf("line %u: ", x->line);
	printf("%s\n", text);
}

/* What runs is named only when it is neither. */
static char *change_text(const struct vmm_plan_field *f, bool active)
{
	g_autoptr(GString) s = g_string_new(NULL);

	if (g_strcmp0(f->saved, f->next))
		g_string_append_printf(s, "%s -> %s", f->saved ? f->saved : "(none)",
				       f->next ? f->next : "(none)");
	else
		g_string_append_printf(s, "%s", f->next ? f->next : "(none)");
	if (active && g_strcmp0(f->live, f->saved))
		g_string_append_printf(s, "; runs with %s", f->live ? f->live : "(none)");
	return text_harmless(s->str);
}

static const struct column columns_fields[] = {
	{ "  Field", "field", 0 }, { "Change", "change", COLUMN_SHRINK }, { "When", "when", 0 },
	{ 0 },
};

static void print_fields(const struct shell *sh, const struct vmm_plan *plan)
{
	g_autoptr(table) t = table_new(columns_fields);
	g_autofree char *text = NULL;

	if (plan->action == VMM_PLAN_NEW || plan->fields->len == 0)
		return;
	for (unsigned i = 0; i < plan->fields->len; i++) {
		const struct vmm_plan_field *f = plan->fields->pdata[i];
		g_autofree char *path = g_strconcat("  ", f->path, NULL);
		g_autofree char *change = change_text(f, plan->active);

		table_text(t, path);
		table_text(t, change);
		table_text(t, plan->active || f->when == VMM_PLAN_NEVER ?
				      whens[MIN(f->when, VMM_PLAN_NEVER)] : "next start");
	}
	text = table_render(t, &sh->out);
	fputs(text, stdout);
}

static void print_one(const struct shell *sh, const struct planned *p)
{
	print_head(sh, p);
	if (p->error) {
		g_autofree char *text = text_harmless(p->error->message);

		printf("  error: %s\n", text);
	}
	if (!p->plan)
		return;
	for (unsigned i = 0; i < p->plan->problems->len; i++)
		print_problem(p->plan->problems->pdata[i]);
	print_fields(sh, p->plan);
}

void planned_print(const struct shell *sh, const GPtrArray *list)
{
	const struct planned_count n = planned_count(list);

	for (unsigned i = 0; i < list->len; i++)
		print_one(sh, list->pdata[i]);
	printf("Plan: %u new, %u changed, %u unchanged", n.added, n.changed, n.same);
	if (n.gone)
		printf(", %u to be undefined", n.gone);
	if (n.refused)
		printf(", %u refused", n.refused);
	putchar('\n');
	fflush(stdout);
}

/* ---- JSON ---- */

static void json_problems(struct json *j, const struct vmm_plan *plan)
{
	json_begin_array(j, "problems");
	for (unsigned i = 0; i < plan->problems->len; i++) {
		const struct vmm_plan_problem *x = plan->problems->pdata[i];

		json_begin_object(j, NULL);
		json_string(j, "severity", severities[MIN(x->severity, VMM_PLAN_DOUBT)]);
		json_number(j, "line", x->line);
		json_number(j, "column", x->column);
		json_string(j, "text", x->text);
		json_end(j);
	}
	json_end(j);
}

static void json_fields(struct json *j, const struct vmm_plan *plan)
{
	json_begin_array(j, "fields");
	for (unsigned i = 0; i < plan->fields->len; i++) {
		const struct vmm_plan_field *f = plan->fields->pdata[i];

		json_begin_object(j, NULL);
		json_string(j, "path", f->path);
		json_string(j, "live", f->live);
		json_string(j, "saved", f->saved);
		json_string(j, "new", f->next);
		json_string(j, "when", whens[MIN(f->when, VMM_PLAN_NEVER)]);
		json_end(j);
	}
	json_end(j);
}

static void json_one(struct json *j, const struct planned *p)
{
	json_begin_object(j, NULL);
	json_string(j, "domain", p->plan ? p->plan->name : p->name);
	json_string(j, "file", p->file);
	json_string(j, "action", is_refused(p) ? "refused" :
				 p->plan ? actions[p->plan->action] : "undefine");
	json_string(j, "error", p->error ? p->error->message : NULL);
	json_bool(j, "done", p->done);
	if (p->plan) {
		json_bool(j, "running", p->plan->active);
		json_problems(j, p->plan);
		json_fields(j, p->plan);
	}
	json_end(j);
}

char *planned_json(const GPtrArray *list)
{
	struct json *j = json_new();

	json_begin_array(j, NULL);
	for (unsigned i = 0; i < list->len; i++)
		json_one(j, list->pdata[i]);
	json_end(j);
	return json_finish(j);
}

/* ---- doing it ---- */

struct applying {
	vmm_connect *conn;
	unsigned flags;
	const char *source;
};

static bool undefine(vmm_connect *conn, const char *name, GError **error)
{
	g_autoptr(vmm_domain) dom = vmm_domain_lookup_by_name(conn, name, error);

	return dom && vmm_domain_undefine(dom, 0, error);
}

/* On any thread; each has its own struct planned. */
static void apply_one(void *data, void *user)
{
	const struct applying *a = user;
	struct planned *p = data;
	enum vmm_plan_action action;
	g_autoptr(vmm_domain) dom = NULL;

	if (!p->plan) {
		p->done = undefine(a->conn, p->name, &p->error);
		return;
	}
	dom = vmm_connect_apply(a->conn, p->xml, a->flags, p->plan->revision, a->source, &action,
				&p->error);
	p->done = dom;
}

/* Also what is unchanged is noted as coming from here. */
unsigned planned_apply(GPtrArray *list, vmm_connect *conn, unsigned flags, const char *source)
{
	struct applying a = { conn, flags, source };
	GThreadPool *pool = g_thread_pool_new(apply_one, &a, THREADS, FALSE, NULL);
	unsigned failed = 0;

	for (unsigned i = 0; i < list->len; i++)
		g_thread_pool_push(pool, list->pdata[i], NULL);
	g_thread_pool_free(pool, FALSE, TRUE);
	for (unsigned i = 0; i < list->len; i++)
		failed += ((const struct planned *)list->pdata[i])->error != NULL;
	return failed;
}
