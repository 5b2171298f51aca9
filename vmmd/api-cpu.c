/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Comparing CPUs.  A guest's is the host's with single features off, so a CPU is
 * known here by the model 'host', its vendor and its features; models that have
 * a name of their own are in nobody's table.
 */
#include "config.h"

#include "libvmm/domain/xml.h"
#include "libvmm/host/caps.h"
#include "libvmm/host/node.h"
#include "vmmd/api.h"

enum compare_flags { COMPARE_FAIL_INCOMPATIBLE = 1, COMPARE_VALIDATE_XML = 2 };
enum baseline_flags { BASELINE_EXPAND = 1, BASELINE_MIGRATABLE = 2 };
enum compare_result { CPU_INCOMPATIBLE = 0, CPU_IDENTICAL = 1, CPU_SUPERSET = 2 };

#define CPU_XML_MAX_BYTES 65536

struct cpu {
	char *vendor;			/* NULL: any */
	GHashTable *features;		/* set of names that it must have */
	bool named;			/* of a model other than the host's */
};
typedef struct cpu cpu;

static void cpu_free(cpu *c)
{
	g_free(c->vendor);
	g_hash_table_unref(c->features);
	g_free(c);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(cpu, cpu_free)

static bool features_read(const xmlNode *node, cpu *c, GError **error)
{
	for (const xmlNode *f = xml_child(node, "feature"); f; f = xml_next(f)) {
		g_autofree char *policy = xml_attr(f, "policy");
		char *name = NULL;

		if (!xml_attr_need(f, "name", &name, error))
			return false;
		if (policy && !g_str_equal(policy, "require") && !g_str_equal(policy, "force"))
			g_free(name);
		else
			g_hash_table_add(c->features, name);
	}
	return true;
}

/* A <cpu>, of a capabilities document or of a domain, alone or within one. */
static cpu *cpu_read(const char *text, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(text, CPU_XML_MAX_BYTES, "cpu", error);
	const xmlNode *node = doc ? xmlDocGetRootElement(doc) : NULL;
	g_autoptr(cpu) c = g_new0(cpu, 1);
	g_autofree char *arch = NULL, *model = NULL;

	c->features = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!node)
		return NULL;
	if (xmlStrEqual(node->name, (const xmlChar *)"capabilities"))
		node = xml_child(node, "host");
	if (node && !xmlStrEqual(node->name, (const xmlChar *)"cpu"))
		node = xml_child(node, "cpu");
	if (!node) {
		error_set(error, VMM_ERR_XML, "XML error: there is no <cpu> in it");
		return NULL;
	}
	arch = xml_child(node, "arch") ? xml_text(xml_child(node, "arch")) : NULL;
	model = xml_child(node, "model") ? xml_text(xml_child(node, "model")) : NULL;
	c->vendor = xml_child(node, "vendor") ? xml_text(xml_child(node, "vendor")) : NULL;
	c->named = (model && !g_str_equal(model, "host")) ||
		   (arch && !g_str_equal(arch, CAPS_ARCH));
	return features_read(node, c, error) ? g_steal_pointer(&c) : NULL;
}

static char *cpu_missing(const cpu *c)
{
	g_autofree char *vendor = node_cpu_vendor();
	GHashTableIter iter;
	void *name;

	if (c->named)
		return g_strdup("its model or architecture is not the host's");
	if (c->vendor && !g_str_equal(c->vendor, vendor))
		return g_strdup_printf("the host's vendor is %s", vendor);
	g_hash_table_iter_init(&iter, c->features);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (!node_cpu_has(name))
			return g_strdup_printf("the host has no '%s'", (char *)name);
	return NULL;
}

static void compare(struct call *call, const char *xml, unsigned flags)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *missing = NULL;
	g_autoptr(cpu) c = NULL;

	if (!api_flags(call, flags, COMPARE_FAIL_INCOMPATIBLE | COMPARE_VALIDATE_XML))
		return;
	c = cpu_read(xml, &error);
	if (!c) {
		call_fail(call, error);
		return;
	}
	missing = cpu_missing(c);
	if (missing && flags & COMPARE_FAIL_INCOMPATIBLE)
		call_fail_text(call, VMM_ERR_CPU_INCOMPATIBLE,
			       "the CPU is incompatible with host CPU: %s", missing);
	else
		call_reply(call, &(remote_int_ret){
			missing ? CPU_INCOMPATIBLE :
			g_hash_table_size(c->features) ? CPU_SUPERSET : CPU_IDENTICAL });
}

/* The features that each has which names any: to have no list is to be the host. */
static void intersect(cpu *all, const cpu *one)
{
	GHashTableIter iter;
	void *name;

	g_hash_table_iter_init(&iter, all->features);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (!g_hash_table_contains(one->features, name))
			g_hash_table_iter_remove(&iter);
}

static char *cpu_format(const cpu *c)
{
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(c->features),
					     (GCompareFunc)strcmp);
	GString *xml = g_string_new("<cpu mode='host-passthrough'>\n");

	for (GList *at = names; at; at = at->next) {
		g_autofree char *line = g_markup_printf_escaped(
			"  <feature policy='require' name='%s'/>\n", (char *)at->data);

		g_string_append(xml, line);
	}
	g_string_append(xml, "</cpu>\n");
	return g_string_free(xml, FALSE);
}

static void baseline(struct call *call, char *const *xmls, unsigned n, unsigned flags)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *missing = NULL, *xml = NULL;
	g_autoptr(cpu) all = NULL;

	if (!api_flags(call, flags, BASELINE_EXPAND | BASELINE_MIGRATABLE))
		return;
	if (n == 0)
		error_set(&error, VMM_ERR_INVALID_ARG, "invalid argument: no CPUs given");
	for (unsigned i = 0; i < n && !error && !missing; i++) {
		g_autoptr(cpu) c = cpu_read(xmls[i], &error);

		missing = c ? cpu_missing(c) : NULL;
		if (c && all)
			intersect(all, c);
		else if (c)
			all = g_steal_pointer(&c);
	}
	if (missing)
		error_set(&error, VMM_ERR_OPERATION_FAILED,
			  "operation failed: the CPUs have no common one: %s", missing);
	if (error) {
		call_fail(call, error);
		return;
	}
	xml = cpu_format(all);
	call_reply(call, &(remote_text_ret){ .text = xml });
}

static void compare_cpu(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;

	compare(call, args->xml, args->flags);
}

static void baseline_cpu(struct call *call, const void *argp)
{
	const remote_names_flags_args *args = argp;

	baseline(call, args->names.names_val, args->names.names_len, args->flags);
}

/* Asked for a machine that we don't have, there is nothing to compare with. */
static bool machine_fits(struct call *call, const remote_opt_text arch,
			 const remote_opt_text machine, const remote_opt_text virttype)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = caps_domain_xml("", arch ? *arch : NULL, machine ? *machine : NULL,
					       virttype ? *virttype : NULL, &error);

	if (!xml)
		call_fail(call, error);
	return xml != NULL;
}

static void compare_hypervisor_cpu(struct call *call, const void *argp)
{
	const remote_compare_cpu_args *args = argp;

	if (machine_fits(call, args->arch, args->machine, args->virttype))
		compare(call, args->xml, args->flags);
}

static void baseline_hypervisor_cpu(struct call *call, const void *argp)
{
	const remote_baseline_cpu_args *args = argp;

	if (machine_fits(call, args->arch, args->machine, args->virttype))
		baseline(call, args->names.names_val, args->names.names_len, args->flags);
}

const struct api_entry api_cpu[] = {
	{ REMOTE_PROC_CONNECT_COMPARE_CPU, compare_cpu },
	{ REMOTE_PROC_CONNECT_BASELINE_CPU, baseline_cpu },
	{ REMOTE_PROC_CONNECT_COMPARE_HYPERVISOR_CPU, compare_hypervisor_cpu },
	{ REMOTE_PROC_CONNECT_BASELINE_HYPERVISOR_CPU, baseline_hypervisor_cpu },
	{ 0 }
};
