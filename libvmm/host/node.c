/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host as /proc and /sys tell it. */
#include "config.h"
#include "libvmm/host/node.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define NSEC_PER_SEC 1000000000ull

static char *file_line(const char *path)
{
	char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	return g_strchomp(text);
}

/* The value of "key : value" or "key: value unit" in a file of such lines. */
static char *file_value(const char *path, const char *key)
{
	g_autofree char *text = file_line(path);
	g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
	size_t n = strlen(key);

	for (char **l = lines; l && *l; l++) {
		const char *colon = strchr(*l, ':');

		if (!colon || strncmp(*l, key, n) ||
		    strspn(*l + n, " \t") != (size_t)(colon - *l) - n)
			continue;
		return g_strstrip(g_strdup(colon + 1));
	}
	return NULL;
}

static uint64_t file_number(const char *path, const char *key)
{
	g_autofree char *value = file_value(path, key);

	return value ? g_ascii_strtoull(value, NULL, 10) : 0;
}

unsigned node_mhz(void)
{
	return file_number("/proc/cpuinfo", "cpu MHz");
}

char *node_cpu_vendor(void)
{
	g_autofree char *id = file_value("/proc/cpuinfo", "vendor_id");

	if (g_strcmp0(id, "GenuineIntel") == 0)
		return g_strdup("Intel");
	if (g_strcmp0(id, "AuthenticAMD") == 0)
		return g_strdup("AMD");
	return id ? g_steal_pointer(&id) : g_strdup("unknown");
}

/* The line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks. */
static bool stat_times(const char *line, struct node_cpu_times *ret)
{
	unsigned long long t[8] = { 0 };
	uint64_t tick_ns = NSEC_PER_SEC / sysconf(_SC_CLK_TCK);

	if (sscanf(line, "%*s %llu %llu %llu %llu %llu %llu %llu %llu",
		   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
		return false;
	*ret = (struct node_cpu_times){
		.user_ns = (t[0] + t[1]) * tick_ns,
		.kernel_ns = t[2] * tick_ns,
		.idle_ns = t[3] * tick_ns,
		.iowait_ns = t[4] * tick_ns,
		.intr_ns = (t[5] + t[6]) * tick_ns,
	};
	return true;
}

bool node_cpu_times_read(int cpu, struct node_cpu_times *ret, GError **error)
{
	g_autofree char *text = file_line("/proc/stat");
	g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
	g_autofree char *name = cpu < 0 ? g_strdup("cpu ") : g_strdup_printf("cpu%d ", cpu);

	for (char **l = lines; l && *l; l++)
		if (g_str_has_prefix(*l, name) && stat_times(*l, ret))
			return true;
	return error_set(error, VMM_ERR_INVALID_ARG, "this host has no CPU %d that is online", cpu);
}

static bool cell_memory_read(int cell, struct node_memory *ret)
{
	g_autofree char *path = g_strdup_printf("/sys/devices/system/node/node%d/meminfo", cell);
	g_autofree char *prefix = g_strdup_printf("Node %d ", cell);
	g_autofree char *total = g_strconcat(prefix, "MemTotal", NULL);
	g_autofree char *free_key = g_strconcat(prefix, "MemFree", NULL);
	g_autofree char *pages = g_strconcat(prefix, "FilePages", NULL);

	ret->total_kib = file_number(path, total);
	ret->free_kib = file_number(path, free_key);
	ret->cached_kib = file_number(path, pages);
	return ret->total_kib > 0;
}

bool node_memory_read(int cell, struct node_memory *ret, GError **error)
{
	struct node_memory m = { 0 };

	if (cell >= 0 && cell_memory_read(cell, &m)) {
		*ret = m;
		return true;
	}
	/* A kernel without NUMA has no node folders; all memory is cell 0. */
	if (cell > 0)
		return error_set(error, VMM_ERR_INVALID_ARG, "this host has no memory cell %d",
				 cell);
	*ret = (struct node_memory){
		.total_kib = file_number("/proc/meminfo", "MemTotal"),
		.free_kib = file_number("/proc/meminfo", "MemFree"),
		.buffers_kib = file_number("/proc/meminfo", "Buffers"),
		.cached_kib = file_number("/proc/meminfo", "Cached"),
	};
	return ret->total_kib ? true
			      : error_set(error, VMM_ERR_INTERNAL, "/proc/meminfo can't be read");
}

char *node_hostname(void)
{
	return g_strdup(g_get_host_name());
}

/* 32 hexadecimal digits to the form with dashes. */
static char *uuid_from_digits(const char *digits)
{
	return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
			       digits + 16, digits + 20);
}

char *node_uuid(void)
{
	g_autofree char *dmi = file_line("/sys/class/dmi/id/product_uuid");	/* root only */
	g_autofree char *machine = file_line("/etc/machine-id");

	if (dmi && g_uuid_string_is_valid(dmi))
		return g_ascii_strdown(dmi, -1);
	if (!machine || strlen(machine) != 32 || strspn(machine, "0123456789abcdef") != 32)
		return g_strdup("00000000-0000-0000-0000-000000000000");
	return uuid_from_digits(machine);
}

static void sysinfo_entry(GString *xml, const char *name, const char *file)
{
	g_autofree char *path = g_strconcat("/sys/class/dmi/id/", file, NULL);
	g_autofree char *value = file_line(path);
	g_autofree char *line = NULL;

	if (!value || !*value || !g_utf8_validate(value, -1, NULL))
		return;
	line = g_markup_printf_escaped("    <entry name='%s'>%s</entry>\n", name, value);
	g_string_append(xml, line);
}

char *node_sysinfo_xml(void)
{
	GString *xml = g_string_new("<sysinfo type='smbios'>\n  <bios>\n");

	sysinfo_entry(xml, "vendor", "bios_vendor");
	sysinfo_entry(xml, "version", "bios_version");
	sysinfo_entry(xml, "date", "bios_date");
	g_string_append(xml, "  </bios>\n  <system>\n");
	sysinfo_entry(xml, "manufacturer", "sys_vendor");
	sysinfo_entry(xml, "product", "product_name");
	sysinfo_entry(xml, "version", "product_version");
	sysinfo_entry(xml, "serial", "product_serial");
	sysinfo_entry(xml, "uuid", "product_uuid");
	sysinfo_entry(xml, "family", "product_family");
	g_string_append(xml, "  </system>\n</sysinfo>\n");
	return g_string_free(xml, FALSE);
}

/* The element's text is escaped; one that is not known is left out. */
static void device_leaf(GString *xml, const char *element, const char *value)
{
	g_autofree char *text = NULL;

	if (!value || !*value || !g_utf8_validate(value, -1, NULL))
		return;
	text = g_markup_printf_escaped("      <%s>%s</%s>\n", element, value, element);
	g_string_append(xml, text);
}

static void device_dmi(GString *xml, const char *element, const char *file)
{
	g_autofree char *path = g_strconcat("/sys/class/dmi/id/", file, NULL);
	g_autofree char *value = file_line(path);

	device_leaf(xml, element, value);
}

char *node_device_xml(const char *name)
{
	g_autofree char *uuid = node_uuid();
	GString *xml = g_string_new("<device>\n");

	g_string_append_printf(xml, "  <name>%s</name>\n  <capability type='system'>\n", name);
	device_dmi(xml, "product", "product_name");
	g_string_append(xml, "    <hardware>\n");
	device_dmi(xml, "vendor", "sys_vendor");
	device_dmi(xml, "version", "product_version");
	device_dmi(xml, "serial", "product_serial");
	device_leaf(xml, "uuid", uuid);
	g_string_append(xml, "    </hardware>\n    <firmware>\n");
	device_dmi(xml, "vendor", "bios_vendor");
	device_dmi(xml, "version", "bios_version");
	device_dmi(xml, "release_date", "bios_date");
	g_string_append(xml, "    </firmware>\n  </capability>\n</device>\n");
	return g_string_free(xml, FALSE);
}

/* ---- features and pages ---- */

/* libvirt's name of a feature as /proc/cpuinfo spells it. */
static char *feature_spell(const char *feature)
{
	static const struct {
		const char *libvirt, *kernel;
	} others[] = {
		{ "tsc-deadline", "tsc_deadline_timer" }, { "pclmuldq", "pclmulqdq" },
		{ "invtsc", "nonstop_tsc" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(others[i].libvirt, feature) == 0)
			return g_strdup(others[i].kernel);
	return g_strdelimit(g_strdup(feature), "-.", '_');
}

bool node_cpu_has(const char *feature)
{
	g_autofree char *flags = file_value("/proc/cpuinfo", "flags");
	g_auto(GStrv) words = g_strsplit(flags ?: "", " ", -1);
	g_autofree char *name = feature_spell(feature);

	return g_strv_contains((const char *const *)words, name);
}

static bool huge_free_pages(int cell, unsigned page_kib, uint64_t *ret)
{
	g_autofree char *dir = cell < 0 ? g_strdup("/sys/kernel/mm") :
					  g_strdup_printf("/sys/devices/system/node/node%d", cell);
	g_autofree char *path =
		g_strdup_printf("%s/hugepages/hugepages-%ukB/free_hugepages", dir, page_kib);
	g_autofree char *text = file_line(path);

	if (text)
		*ret = g_ascii_strtoull(text, NULL, 10);
	return text != NULL;
}

bool node_free_pages(int cell, unsigned page_kib, uint64_t *ret, GError **error)
{
	unsigned base_kib = (unsigned)(sysconf(_SC_PAGESIZE) / 1024);
	struct node_memory memory;

	if (page_kib == base_kib) {
		if (!node_memory_read(cell, &memory, error))
			return false;
		*ret = memory.free_kib / base_kib;
		return true;
	}
	return huge_free_pages(cell, page_kib, ret) ||
	       error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: cell %d has no pages of %u KiB", cell, page_kib);
}
