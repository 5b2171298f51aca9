/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <cpu>: the host's CPU, with features taken away or asked for. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

#define FEATURES_MAX 512

static const char *const mode_names[] = { "host-passthrough", "host-model", "maximum" };
static const char *const policy_names[] = { "force", "require", "optional", "disable", "forbid" };
static const char *const cache_names[] = { NULL, "passthrough" };
static const char *const check_names[] = { NULL, "none", "partial", "full" };

static_assert(ARRAY_SIZE(mode_names) == N_CPU_MODES, "a name for each");
static_assert(ARRAY_SIZE(policy_names) == N_CPU_POLICIES, "a name for each");
static_assert(ARRAY_SIZE(cache_names) == N_CPU_CACHES, "a name for each");
static_assert(ARRAY_SIZE(check_names) == N_CPU_CHECKS, "a name for each");

static void feature_free(void *opaque)
{
	struct cpu_feature_def *f = opaque;

	g_free(f->name);
	g_free(f);
}

void cpu_def_init(struct cpu_def *cpu)
{
	cpu->mode = CPU_HOST_PASSTHROUGH;
}

void cpu_def_done(struct cpu_def *cpu)
{
	g_clear_pointer(&cpu->features, g_ptr_array_unref);
}

static bool parse_topology(const xmlNode *node, struct cpu_def *cpu, GError **error)
{
	unsigned clusters = 1;

	if (!node)
		return true;
	cpu->dies = 1;
	if (!xml_expect(node, "sockets dies clusters cores threads", "", error) ||
	    !xml_attr_uint(node, "sockets", 1, DOMAIN_VCPUS_MAX, &cpu->sockets, error) ||
	    !xml_attr_uint(node, "dies", 1, DOMAIN_VCPUS_MAX, &cpu->dies, error) ||
	    !xml_attr_uint(node, "clusters", 1, 1, &clusters, error) ||
	    !xml_attr_uint(node, "cores", 1, DOMAIN_VCPUS_MAX, &cpu->cores, error) ||
	    !xml_attr_uint(node, "threads", 1, DOMAIN_VCPUS_MAX, &cpu->threads, error))
		return false;
	if (!cpu->sockets || !cpu->cores || !cpu->threads)
		return xml_error(node, VMM_ERR_XML, error,
				 "sockets=, cores= and threads= are needed");
	return true;
}

static bool feature_known(const struct cpu_def *cpu, const char *name)
{
	for (unsigned i = 0; cpu->features && i < cpu->features->len; i++)
		if (!strcmp(((struct cpu_feature_def *)cpu->features->pdata[i])->name, name))
			return true;
	return false;
}

static bool parse_feature(const xmlNode *node, struct cpu_def *cpu, GError **error)
{
	g_autofree char *name = NULL;
	enum cpu_policy policy = CPU_POLICY_REQUIRE;
	struct cpu_feature_def *f;

	if (!xml_expect(node, "policy name", "", error) ||
	    !xml_attr_need(node, "name", &name, error) ||
	    !XML_ATTR_ENUM(node, "policy", policy_names, &policy, error))
		return false;
	for (const char *c = name; *c; c++)
		if (!g_ascii_isalnum(*c) && !strchr("_-.", *c))
			return xml_error(node, VMM_ERR_XML, error,
					 "'%s' is not a CPU feature's name", name);
	if (feature_known(cpu, name))
		return xml_error(node, VMM_ERR_XML, error, "feature '%s' is there twice", name);
	if (!cpu->features)
		cpu->features = g_ptr_array_new_with_free_func(feature_free);
	if (cpu->features->len == FEATURES_MAX)
		return xml_error(node, VMM_ERR_XML, error, "more than %d features", FEATURES_MAX);
	f = g_new0(struct cpu_feature_def, 1);
	f->policy = policy;
	f->name = g_steal_pointer(&name);
	g_ptr_array_add(cpu->features, f);
	return true;
}

static bool parse_cache(const xmlNode *node, struct cpu_def *cpu, GError **error)
{
	return !node || (xml_expect(node, "mode", "", error) &&
			 XML_ATTR_ENUM(node, "mode", cache_names, &cpu->cache, error));
}

bool cpu_def_parse(const xmlNode *node, struct cpu_def *cpu, GError **error)
{
	static const char *const on_only[] = { NULL, "on" };

	if (!node)
		return true;
	if (!XML_ATTR_ENUM(node, "mode", mode_names, &cpu->mode, error) ||
	    !xml_expect(node, "mode check migratable", "topology cache feature*", error) ||
	    !XML_ATTR_ENUM(node, "check", check_names, &cpu->check, error) ||
	    !XML_ATTR_ENUM(node, "migratable", on_only, &cpu->migratable, error) ||
	    !parse_topology(xml_child(node, "topology"), cpu, error) ||
	    !parse_cache(xml_child(node, "cache"), cpu, error))
		return false;
	for (const xmlNode *n = xml_child(node, "feature"); n; n = xml_next(n))
		if (!parse_feature(n, cpu, error))
			return false;
	return true;
}

static void format_topology(struct xml_out *out, const struct cpu_def *cpu)
{
	if (!cpu->sockets)
		return;
	xml_begin(out, "topology");
	xml_putf(out, "sockets", "%u", cpu->sockets);
	xml_putf(out, "dies", "%u", cpu->dies);
	xml_putf(out, "cores", "%u", cpu->cores);
	xml_putf(out, "threads", "%u", cpu->threads);
	xml_end(out);
}

void cpu_def_format(struct xml_out *out, const struct cpu_def *cpu)
{
	xml_begin(out, "cpu");
	xml_put(out, "mode", mode_names[cpu->mode]);
	xml_put(out, "check", check_names[cpu->check]);
	xml_put(out, "migratable", tristate_onoff[cpu->migratable]);
	format_topology(out, cpu);
	xml_leaf_attr(out, "cache", "mode", cache_names[cpu->cache]);
	for (unsigned i = 0; cpu->features && i < cpu->features->len; i++) {
		const struct cpu_feature_def *f = cpu->features->pdata[i];

		xml_begin(out, "feature");
		xml_put(out, "policy", policy_names[f->policy]);
		xml_put(out, "name", f->name);
		xml_end(out);
	}
	xml_end(out);
}

/* One of "3", "0-7", "^2"; the rest of the text in *rest. */
static bool cpuset_part(const char *text, const char **rest, uint8_t *map)
{
	bool without = *text == '^';
	guint64 first, last;
	char *end;

	text += without;
	if (!g_ascii_isdigit(*text))
		return false;
	first = last = g_ascii_strtoull(text, &end, 10);
	if (*end == '-') {
		if (!g_ascii_isdigit(end[1]))
			return false;
		last = g_ascii_strtoull(end + 1, &end, 10);
	}
	*rest = end;
	if (first > last || last >= DOMAIN_CPUS_MAX)
		return false;
	for (guint64 cpu = first; cpu <= last; cpu++) {
		if (without)
			map[cpu / 8] &= ~(1u << cpu % 8);
		else
			map[cpu / 8] |= 1u << cpu % 8;
	}
	return true;
}

bool domain_cpuset_map(const char *cpuset, uint8_t map[DOMAIN_CPUS_MAX / 8])
{
	const char *c = cpuset;

	memset(map, 0, DOMAIN_CPUS_MAX / 8);
	for (;; c++) {
		if (!cpuset_part(c, &c, map) || (*c && *c != ','))
			return false;
		if (!*c)
			break;
	}
	for (unsigned i = 0; i < DOMAIN_CPUS_MAX / 8; i++)
		if (map[i])
			return true;
	return false;
}

char *domain_cpuset_text(const uint8_t *map, size_t bytes)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < bytes * 8; i++) {
		size_t first = i;

		if (!(map[i / 8] & 1u << i % 8))
			continue;
		while (i + 1 < bytes * 8 && map[(i + 1) / 8] & 1u << (i + 1) % 8)
			i++;
		g_string_append_printf(text, "%s%zu", text->len ? "," : "", first);
		if (i > first)
			g_string_append_printf(text, "-%zu", i);
	}
	return g_string_free(text, text->len == 0);
}
