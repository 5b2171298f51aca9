/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A document against what is defined and against the host. */
#include "config.h"
#include "vmmd/plan.h"

#include <string.h>

#include "libvmm/domain/diff.h"
#include "libvmm/domain/xml.h"
#include "libvmm/util/error.h"
#include "vmmd/history.h"

static void problem_free(void *p)
{
	struct plan_problem *problem = p;

	g_free(problem->text);
	g_free(problem);
}

static void problem_add(struct plan *p, enum preflight_severity severity, unsigned line,
			unsigned column, const char *text)
{
	struct plan_problem *problem = g_new(struct plan_problem, 1);

	*problem = (struct plan_problem){ severity, line, column, g_strdup(text) };
	g_ptr_array_add(p->problems, problem);
	if (severity == PREFLIGHT_REFUSED)
		p->action = PLAN_REFUSED;
}

static void on_found(enum preflight_severity severity, const char *text, void *opaque)
{
	problem_add(opaque, severity, 0, 0, text);
}

static bool parse(struct plan *p, const char *xml, unsigned flags)
{
	g_autoptr(GPtrArray) problems = xml_problems_new();

	p->def = domain_def_parse_all(xml, flags, problems);
	for (unsigned i = 0; i < problems->len; i++) {
		const struct xml_problem *x = problems->pdata[i];

		problem_add(p, PREFLIGHT_REFUSED, x->line, x->column, x->text);
	}
	return p->def;
}

/* ---- identity ---- */

static bool mac_is_used(const domain_def *def, const uint8_t mac[6])
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *n = def->ifaces->pdata[i];

		if (n->mac_given && !memcmp(n->mac, mac, 6))
			return true;
	}
	return false;
}

/* By their order: what else could tell interfaces without a <mac> apart? */
static void keep_macs(domain_def *def, const domain_def *before)
{
	for (unsigned i = 0; i < def->ifaces->len && i < before->ifaces->len; i++) {
		struct iface_def *is = def->ifaces->pdata[i];
		const struct iface_def *was = before->ifaces->pdata[i];

		if (!is->mac_given && !mac_is_used(def, was->mac))
			memcpy(is->mac, was->mac, sizeof(is->mac));
	}
}

static void identify(struct plan *p, struct domain_table *domains)
{
	struct domain *same_uuid = domain_find_uuid(domains, p->def->uuid);
	g_autofree char *text = NULL;

	p->dom = domain_find_name(domains, p->def->name);
	if (p->dom && !p->def->uuid_given) {
		memcpy(p->def->uuid, p->dom->uuid, UUID_BYTES);
	} else if (p->dom && p->dom != same_uuid) {
		text = g_strdup_printf("domain '%s' has the uuid %s, which never changes while it "
				       "exists: leave <uuid> out, or undefine the domain first",
				       p->dom->name, p->dom->uuid_text);
	} else if (!p->dom && same_uuid) {
		text = g_strdup_printf("<uuid> %s is that of domain '%s', whose name never changes "
				       "by a definition: use domrename first",
				       same_uuid->uuid_text, same_uuid->name);
	}
	if (text)
		problem_add(p, PREFLIGHT_REFUSED, 0, 0, text);
	else if (p->dom && domain_def_now(p->dom))
		keep_macs(p->def, p->dom->saved ? p->dom->saved : p->dom->live);
}

/* ---- what changes ---- */

static unsigned revision_of(struct daemon *daemon, const struct domain *dom)
{
	g_autoptr(GPtrArray) list = history_list(daemon->store, dom->uuid, 1, NULL);

	return list && list->len ? ((const struct history_entry *)list->pdata[0])->number : 0;
}

static void compare(struct plan *p, struct daemon *daemon)
{
	g_autofree char *xml = NULL, *saved = NULL;

	if (!p->dom || !p->dom->persistent) {
		p->action = PLAN_NEW;
		return;
	}
	p->revision = revision_of(daemon, p->dom);
	p->fields = domain_def_diff(p->dom->live, p->dom->saved, p->def);
	xml = domain_def_format(p->def, 0);
	saved = domain_saved_xml(p->dom);
	p->action = g_strcmp0(xml, saved) ? PLAN_CHANGE : PLAN_NOTHING;
}

struct plan *plan_new(struct daemon *daemon, const char *xml, unsigned parse_flags, bool host)
{
	struct plan *p = g_new0(struct plan, 1);

	p->problems = g_ptr_array_new_with_free_func(problem_free);
	if (!parse(p, xml, parse_flags))
		return p;
	identify(p, daemon->domains);
	if (p->action == PLAN_REFUSED)
		return p;
	compare(p, daemon);
	if (host)
		preflight(daemon, p->def, p->dom, on_found, p);
	return p;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	domain_def_free(p->def);
	g_ptr_array_unref(p->problems);
	g_clear_pointer(&p->fields, g_ptr_array_unref);
	g_free(p);
}

const struct plan_problem *plan_refusal(const struct plan *p)
{
	for (unsigned i = 0; i < p->problems->len; i++) {
		const struct plan_problem *problem = p->problems->pdata[i];

		if (problem->severity == PREFLIGHT_REFUSED)
			return problem;
	}
	return NULL;
}
