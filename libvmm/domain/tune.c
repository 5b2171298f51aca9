/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <cputune>, <memtune>, <blkiotune>, <numatune>: how much of the host, and where. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define NO_LIMIT "-1"

const struct domain_tune_field domain_tunes[N_TUNES] = {
	[TUNE_CPU_SHARES] = { "cputune", "shares", 1, 10000 },
	[TUNE_CPU_PERIOD] = { "cputune", "global_period", 1000, 1000000 },
	[TUNE_CPU_QUOTA] = { "cputune", "global_quota", 1000, UINT64_C(1) << 44 },
	[TUNE_MEMORY_HARD] = { "memtune", "hard_limit", 1, TUNE_MEMORY_UNLIMITED },
	[TUNE_MEMORY_SOFT] = { "memtune", "soft_limit", 1, TUNE_MEMORY_UNLIMITED },
	[TUNE_MEMORY_SWAP] = { "memtune", "swap_hard_limit", 1, TUNE_MEMORY_UNLIMITED },
	[TUNE_IO_WEIGHT] = { "blkiotune", "weight", 1, 10000 },
};

/* In the order in which they are written. */
static const struct {
	const char *name, *children;
} groups[] = {
	{ "blkiotune", "weight" },
	{ "memtune", "hard_limit soft_limit swap_hard_limit" },
	{ "cputune", "shares global_period global_quota vcpupin* emulatorpin" },
	{ "numatune", "memory" },
};

static void pin_free(void *p)
{
	struct vcpu_pin_def *pin = p;

	g_free(pin->cpuset);
	g_free(pin);
}

void tune_def_done(struct tune_def *tune)
{
	g_free(tune->emulator_pin);
	g_free(tune->numa_nodeset);
	g_clear_pointer(&tune->vcpu_pins, g_ptr_array_unref);
}

const char *tune_vcpu_pin(const struct tune_def *tune, unsigned vcpu)
{
	for (unsigned i = 0; tune->vcpu_pins && i < tune->vcpu_pins->len; i++) {
		const struct vcpu_pin_def *pin = tune->vcpu_pins->pdata[i];

		if (pin->vcpu == vcpu)
			return pin->cpuset;
	}
	return NULL;
}

void tune_set_vcpu_pin(struct tune_def *tune, unsigned vcpu, const char *cpuset)
{
	struct vcpu_pin_def *pin = NULL;
	unsigned at = 0;

	if (!tune->vcpu_pins)
		tune->vcpu_pins = g_ptr_array_new_with_free_func(pin_free);
	while (at < tune->vcpu_pins->len &&
	       (pin = tune->vcpu_pins->pdata[at])->vcpu < vcpu)
		at++;
	if (at < tune->vcpu_pins->len && pin->vcpu == vcpu)
		g_ptr_array_remove_index(tune->vcpu_pins, at);
	if (!cpuset)
		return;
	pin = g_new(struct vcpu_pin_def, 1);
	*pin = (struct vcpu_pin_def){ vcpu, g_strdup(cpuset) };
	g_ptr_array_insert(tune->vcpu_pins, (int)at, pin);
}

bool tune_is_limit(const struct tune_def *tune)
{
	for (unsigned i = 0; i < N_TUNES; i++)
		if (tune->values[i])
			return true;
	return tune->numa_nodeset != NULL;
}

/* ---- check ---- */

bool tune_def_check(const struct tune_def *tune, unsigned vcpus, GError **error)
{
	for (unsigned i = 0; i < N_TUNES; i++) {
		const struct domain_tune_field *f = &domain_tunes[i];
		uint64_t value = tune->values[i];

		if (value && (value < f->min || value > f->max))
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "invalid argument: %s of %" G_GUINT64_FORMAT
					 " is not between %" G_GUINT64_FORMAT
					 " and %" G_GUINT64_FORMAT, f->name, value, f->min, f->max);
	}
	for (unsigned i = 0; tune->vcpu_pins && i < tune->vcpu_pins->len; i++) {
		const struct vcpu_pin_def *pin = tune->vcpu_pins->pdata[i];

		if (pin->vcpu >= vcpus)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "invalid argument: <vcpupin vcpu='%u'>: there are "
					 "%u vCPUs", pin->vcpu, vcpus);
	}
	return true;
}

/* ---- parse ---- */

static bool cpuset_attr(const xmlNode *node, const char *name, char **ret, GError **error)
{
	uint8_t map[DOMAIN_CPUS_MAX / 8];

	if (!xml_attr_need(node, name, ret, error))
		return false;
	return domain_cpuset_map(*ret, map) ||
	       xml_error(node, VMM_ERR_XML, error, "%s='%s' is not like 0-3,^2,8", name, *ret);
}

/* A text that means "none" leaves the value alone. */
static bool parse_value(const xmlNode *node, unsigned i, struct tune_def *tune, GError **error)
{
	const struct domain_tune_field *f = &domain_tunes[i];
	bool memory = g_str_equal(f->group, "memtune");
	g_autofree char *text = NULL;
	uint64_t value, unit = 1024;

	if (!node)
		return true;
	if (!xml_expect(node, memory ? "unit" : "", NULL, error) ||
	    (memory && !memory_unit(node, 1024, &unit, error)))
		return false;
	text = xml_text(node);
	if (text && g_str_equal(text, NO_LIMIT))
		return true;
	if (!text || !xml_parse_u64(text, UINT64_MAX / unit, &value))
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not a number", text ?: "");
	if (memory)
		value = value * unit / 1024;
	if (value < f->min || value > f->max)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "it is not between %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT,
				 f->min, f->max);
	tune->values[i] = memory && value == TUNE_MEMORY_UNLIMITED ? 0 : value;
	return true;
}

static bool parse_pins(const xmlNode *cputune, struct tune_def *tune, GError **error)
{
	const xmlNode *emulator = xml_child(cputune, "emulatorpin");

	for (const xmlNode *n = xml_child(cputune, "vcpupin"); n; n = xml_next(n)) {
		g_autofree char *given = NULL, *cpuset = NULL;
		unsigned vcpu = 0;

		if (!xml_expect(n, "vcpu cpuset", "", error) ||
		    !xml_attr_need(n, "vcpu", &given, error) ||
		    !xml_attr_uint(n, "vcpu", 0, DOMAIN_VCPUS_MAX - 1, &vcpu, error) ||
		    !cpuset_attr(n, "cpuset", &cpuset, error))
			return false;
		if (tune_vcpu_pin(tune, vcpu))
			return xml_error(n, VMM_ERR_XML, error, "vCPU %u is pinned already", vcpu);
		tune_set_vcpu_pin(tune, vcpu, cpuset);
	}
	return !emulator || (xml_expect(emulator, "cpuset", "", error) &&
			     cpuset_attr(emulator, "cpuset", &tune->emulator_pin, error));
}

static bool parse_numa(const xmlNode *numatune, struct tune_def *tune, GError **error)
{
	static const char *const modes[] = { "strict" };
	const xmlNode *memory = xml_child(numatune, "memory");
	unsigned mode = 0;

	return !memory || (xml_expect(memory, "mode nodeset", "", error) &&
			   XML_ATTR_ENUM(memory, "mode", modes, &mode, error) &&
			   cpuset_attr(memory, "nodeset", &tune->numa_nodeset, error));
}

bool tune_def_parse(const xmlNode *domain, struct tune_def *ret, GError **error)
{
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
		const xmlNode *node = xml_child(domain, groups[i].name);

		if (node && !xml_expect(node, "", groups[i].children, error))
			return false;
	}
	for (unsigned i = 0; i < N_TUNES; i++) {
		const xmlNode *group = xml_child(domain, domain_tunes[i].group);

		if (!parse_value(xml_child(group, domain_tunes[i].name), i, ret, error))
			return false;
	}
	return parse_pins(xml_child(domain, "cputune"), ret, error) &&
	       parse_numa(xml_child(domain, "numatune"), ret, error);
}

/* ---- format ---- */

static void format_values(struct xml_out *out, const char *group, const struct tune_def *tune)
{
	for (unsigned i = 0; i < N_TUNES; i++) {
		g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, tune->values[i]);

		if (!tune->values[i] || !g_str_equal(domain_tunes[i].group, group))
			continue;
		xml_begin(out, domain_tunes[i].name);
		if (g_str_equal(group, "memtune"))
			xml_put(out, "unit", "KiB");
		xml_end_text(out, text);
	}
}

static void format_pins(struct xml_out *out, const struct tune_def *tune)
{
	for (unsigned i = 0; tune->vcpu_pins && i < tune->vcpu_pins->len; i++) {
		const struct vcpu_pin_def *pin = tune->vcpu_pins->pdata[i];

		xml_begin(out, "vcpupin");
		xml_putf(out, "vcpu", "%u", pin->vcpu);
		xml_put(out, "cpuset", pin->cpuset);
		xml_end(out);
	}
	xml_leaf_attr(out, "emulatorpin", "cpuset", tune->emulator_pin);
}

static bool group_is_empty(const char *group, const struct tune_def *tune)
{
	if (g_str_equal(group, "numatune"))
		return !tune->numa_nodeset;
	if (g_str_equal(group, "cputune") &&
	    (tune->emulator_pin || (tune->vcpu_pins && tune->vcpu_pins->len)))
		return false;
	for (unsigned i = 0; i < N_TUNES; i++)
		if (tune->values[i] && g_str_equal(domain_tunes[i].group, group))
			return false;
	return true;
}

void tune_def_format(struct xml_out *out, const struct tune_def *tune)
{
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *group = groups[i].name;

		if (group_is_empty(group, tune))
			continue;
		xml_begin(out, group);
		format_values(out, group, tune);
		if (g_str_equal(group, "cputune"))
			format_pins(out, tune);
		if (g_str_equal(group, "numatune")) {
			xml_begin(out, "memory");
			xml_put(out, "mode", "strict");
			xml_put(out, "nodeset", tune->numa_nodeset);
			xml_end(out);
		}
		xml_end(out);
	}
}
