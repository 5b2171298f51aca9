/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a definition would do, and doing it. */
#include "config.h"

#include "libvmm/client/client-priv.h"

static void problem_free(void *p)
{
	struct vmm_plan_problem *problem = p;

	g_free(problem->text);
	g_free(problem);
}

static void field_free(void *p)
{
	struct vmm_plan_field *f = p;

	g_free(f->path);
	g_free(f->live);
	g_free(f->saved);
	g_free(f->next);
	g_free(f);
}

static void add_problem(GPtrArray *list, const vmm_wire_problem *w)
{
	struct vmm_plan_problem *p = g_new(struct vmm_plan_problem, 1);

	*p = (struct vmm_plan_problem){ w->severity, w->line, w->column, g_strdup(w->text) };
	g_ptr_array_add(list, p);
}

static char *text_of(const remote_opt_text text)
{
	return text ? g_strdup(*text) : NULL;
}

static void add_field(GPtrArray *list, const vmm_wire_field *w)
{
	struct vmm_plan_field *f = g_new(struct vmm_plan_field, 1);

	*f = (struct vmm_plan_field){ g_strdup(w->path), text_of(w->live), text_of(w->saved),
				      text_of(w->next), w->when };
	g_ptr_array_add(list, f);
}

struct vmm_plan *vmm_connect_plan(vmm_connect *conn, const char *xml, unsigned flags,
				  GError **error)
{
	vmm_plan_args args = { .xml = (char *)xml, .flags = flags };
	vmm_plan_ret ret;
	struct vmm_plan *plan;

	if (!VMM_CALL(conn, DOMAIN_PLAN, vmm_plan_args, &args, vmm_plan_ret, &ret, error))
		return NULL;
	plan = g_new(struct vmm_plan, 1);
	*plan = (struct vmm_plan){
		.action = ret.action, .name = g_strdup(ret.name), .active = ret.active,
		.revision = ret.revision,
		.problems = g_ptr_array_new_with_free_func(problem_free),
		.fields = g_ptr_array_new_with_free_func(field_free),
	};
	for (u_int i = 0; i < ret.problems.problems_len; i++)
		add_problem(plan->problems, &ret.problems.problems_val[i]);
	for (u_int i = 0; i < ret.fields.fields_len; i++)
		add_field(plan->fields, &ret.fields.fields_val[i]);
	VMM_FREE(vmm_plan_ret, &ret);
	return plan;
}

void vmm_plan_free(struct vmm_plan *plan)
{
	if (!plan)
		return;
	g_free(plan->name);
	g_ptr_array_unref(plan->problems);
	g_ptr_array_unref(plan->fields);
	g_free(plan);
}

vmm_domain *vmm_connect_apply(vmm_connect *conn, const char *xml, unsigned flags,
			      unsigned revision, const char *source,
			      enum vmm_plan_action *ret_action, GError **error)
{
	char *from = (char *)source;
	vmm_apply_args args = { .xml = (char *)xml, .flags = flags, .revision = revision,
				.source = source ? &from : NULL };
	vmm_apply_ret ret;
	vmm_domain *dom;

	if (!VMM_CALL(conn, DOMAIN_APPLY, vmm_apply_args, &args, vmm_apply_ret, &ret, error))
		return NULL;
	dom = domain_from_wire(conn, &ret.dom);
	*ret_action = ret.action;
	VMM_FREE(vmm_apply_ret, &ret);
	return dom;
}

GPtrArray *vmm_connect_applied(vmm_connect *conn, const char *source, GError **error)
{
	vmm_applied_args args = { .source = (char *)source };
	vmm_applied_ret ret;
	GPtrArray *names;

	if (!VMM_CALL(conn, DOMAINS_APPLIED, vmm_applied_args, &args, vmm_applied_ret, &ret,
		      error))
		return NULL;
	names = g_ptr_array_new_with_free_func(g_free);
	for (u_int i = 0; i < ret.names.names_len; i++)
		g_ptr_array_add(names, g_strdup(ret.names.names_val[i]));
	VMM_FREE(vmm_applied_ret, &ret);
	return names;
}
