/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own program that say what a definition would do, and do it. */
#include "config.h"

#include <string.h>

#include "libvmm/domain/diff.h"
#include "libvmm/domain/now.h"
#include "vmmd/api.h"
#include "vmmd/event.h"
#include "vmmd/live.h"
#include "vmmd/plan.h"
#include "vmmd/store-priv.h"

enum plan_flags { PLAN_VALIDATE = 1 };

static unsigned parse_flags(unsigned flags)
{
	return flags & PLAN_VALIDATE ? DOMAIN_PARSE_VALIDATE : 0;
}

/* ---- plan ---- */

/* Room for the optional texts of one field, as XDR has them: pointers to pointers. */
struct field_texts {
	char *live, *saved, *next;
};

static void field_to_wire(const struct diff_field *f, struct field_texts *texts,
			  vmm_wire_field *ret)
{
	*texts = (struct field_texts){ f->live, f->saved, f->next };
	*ret = (vmm_wire_field){
		.path = f->path, .live = f->live ? &texts->live : NULL,
		.saved = f->saved ? &texts->saved : NULL, .next = f->next ? &texts->next : NULL,
		.when = f->when,
	};
}

static void plan_reply(struct call *call, const struct plan *p)
{
	const unsigned fields = p->fields ? MIN(p->fields->len, VMM_FIELDS_MAX) : 0;
	const unsigned problems = MIN(p->problems->len, VMM_PROBLEMS_MAX);
	g_autofree struct field_texts *texts = g_new(struct field_texts, fields);
	g_autofree vmm_wire_field *wire_fields = g_new(vmm_wire_field, fields);
	g_autofree vmm_wire_problem *wire_problems = g_new(vmm_wire_problem, problems);

	for (unsigned i = 0; i < fields; i++)
		field_to_wire(p->fields->pdata[i], &texts[i], &wire_fields[i]);
	for (unsigned i = 0; i < problems; i++) {
		const struct plan_problem *x = p->problems->pdata[i];

		wire_problems[i] =
			(vmm_wire_problem){ x->severity, x->line, x->column, x->text };
	}
	call_reply(call, &(vmm_plan_ret){
		.action = p->action, .name = p->def ? p->def->name : (char *)"",
		.active = p->dom && state_is_active(p->dom->state), .revision = p->revision,
		.problems = { problems, wire_problems }, .fields = { fields, wire_fields },
	});
}

static void plan_domain(struct call *call, const void *argp)
{
	const vmm_plan_args *args = argp;
	g_autoptr(plan) p = NULL;

	if (!api_flags(call, args->flags, PLAN_VALIDATE))
		return;
	p = plan_new(call->daemon, args->xml, parse_flags(args->flags), true);
	plan_reply(call, p);
}

/* ---- apply: what changes now ---- */

struct applying {
	struct call *call;
	uint8_t uuid[UUID_BYTES];
	enum plan_action action;
};

/* running: NULL when it is not, or no more: then it starts as it is defined. */
static void on_applied(struct domain *running, const GError *error, void *opaque)
{
	g_autofree struct applying *a = opaque;
	struct domain *dom = domain_find_uuid(a->call->daemon->domains, a->uuid);
	g_autoptr(GError) only = NULL;

	if (error && (running || !dom)) {
		only = g_error_copy(error);
		if (dom)
			g_prefix_error(&only, "domain '%s' is defined, but its machine that runs "
				       "stays as it is: ", dom->name);
		call_fail(a->call, only);
	} else {
		call_reply(a->call, &(vmm_apply_ret){ .dom = api_ref(dom), .action = a->action });
	}
}

static void apply_live(struct domain *dom, struct applying *a)
{
	domain_def *to = domain_def_copy(dom->live);

	domain_def_take_now(to, dom->saved);
	live_change(dom, to, on_applied, a);
}

/* ---- apply ---- */

static bool may_apply(const struct plan *p, const vmm_apply_args *args, GError **error)
{
	const struct plan_problem *refusal = plan_refusal(p);

	if (refusal && refusal->line)
		return error_set(error, VMM_ERR_XML, "line %u, column %u: %s", refusal->line,
				 refusal->column, refusal->text);
	if (refusal)
		return error_set(error, VMM_ERR_OPERATION_FAILED, "operation failed: %s",
				 refusal->text);
	if (p->revision != args->revision)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: domain '%s' was changed since "
				 "the plan was made: see history, and plan again", p->def->name);
	return true;
}

static bool source_note(struct store *store, const struct domain *dom, const char *source,
			GError **error)
{
	return !source || store_write(store, error, "note where a domain came from",
				      "INSERT INTO applied VALUES(?1, ?2) ON CONFLICT(uuid)"
				      " DO UPDATE SET source = excluded.source",
				      "us", dom->uuid, source);
}

/* Definition and source in one transaction. */
static bool save(struct plan *p, struct domain *dom, const char *source, GError **error)
{
	struct store *store = dom->daemon->store;
	const bool changes = p->action != PLAN_NOTHING;

	if ((changes && !domain_idle(dom, error)) || !store_begin_soon(store, error))
		return false;
	if ((changes && !domain_save_begin(dom, p->def, error)) ||
	    !source_note(store, dom, source, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	if (changes)
		domain_save_end(dom, g_steal_pointer(&p->def));
	return true;
}

static void apply(struct call *call, const void *argp)
{
	const vmm_apply_args *args = argp;
	g_autoptr(plan) p = NULL;
	g_autoptr(GError) error = NULL;
	struct applying *a;
	struct domain *dom;

	if (!api_flags(call, args->flags, PLAN_VALIDATE))
		return;
	p = plan_new(call->daemon, args->xml, parse_flags(args->flags), false);
	if (!may_apply(p, args, &error)) {
		call_fail(call, error);
		return;
	}
	dom = p->dom ? p->dom : domain_new(call->daemon, p->def->uuid, p->def->name);
	if (!save(p, dom, args->source ? *args->source : NULL, &error)) {
		call_fail(call, error);
		if (!p->dom)
			domain_drop(dom);
		return;
	}
	if (p->action != PLAN_NOTHING)
		event_lifecycle(dom, LIFECYCLE_DEFINED, p->dom ? LIFECYCLE_DEFINED_UPDATED :
							LIFECYCLE_DEFINED_ADDED);
	a = g_new(struct applying, 1);
	*a = (struct applying){ .call = call, .action = p->action };
	memcpy(a->uuid, dom->uuid, sizeof(a->uuid));
	if (p->dom && dom->live && dom->link && p->fields)
		apply_live(dom, a);
	else
		on_applied(dom, NULL, a);
}

/* ---- what was applied ---- */

static void applied(struct call *call, const void *argp)
{
	const vmm_applied_args *args = argp;
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	sqlite3_stmt *st = store_statement(
		call->daemon->store,
		"SELECT name FROM domains JOIN applied USING(uuid) WHERE source = ?1 ORDER BY name",
		&error);
	int rc = SQLITE_ERROR;

	if (!api_sees_all(call)) {
		if (st)
			store_reset(st);
		return;
	}
	if (st) {
		sqlite3_bind_text(st, 1, args->source, -1, SQLITE_TRANSIENT);
		while ((rc = sqlite3_step(st)) == SQLITE_ROW && names->len < VMM_NAMES_MAX)
			g_ptr_array_add(names, g_strdup((const char *)sqlite3_column_text(st, 0)));
		if (rc != SQLITE_DONE && rc != SQLITE_ROW)
			store_error(call->daemon->store, "read what was applied", &error);
		store_reset(st);
	}
	if (error)
		call_fail(call, error);
	else
		call_reply(call, &(vmm_applied_ret){
			.names = { names->len, (remote_text *)names->pdata } });
}

const struct api_entry api_plan[] = {
	{ VMM_PROC_DOMAIN_PLAN, plan_domain },
	{ VMM_PROC_DOMAIN_APPLY, apply },
	{ VMM_PROC_DOMAINS_APPLIED, applied },
	{ 0 },
};
