/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Capabilities.  Tools propose what these documents say is supported, so all
 * that we don't have is there with supported='no'.
 */
#include "config.h"
#include "libvmm/host/caps.h"

#include <string.h>
#include <unistd.h>

#include "libvmm/host/node.h"
#include "libvmm/util/error.h"

static void put(GString *xml, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Append, with the arguments escaped. */
static void put(GString *xml, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_markup_vprintf_escaped(format, ap);
	va_end(ap);
	g_string_append(xml, text);
}

static void put_cell(GString *xml, const struct node_topology *topo, unsigned index)
{
	const struct node_cell *cell = &g_array_index(topo->cells, struct node_cell, index);
	unsigned page_kib = sysconf(_SC_PAGESIZE) / 1024, n = 0;

	for (guint i = 0; i < topo->cpus->len; i++)
		n += ((const struct node_cpu *)topo->cpus->pdata[i])->cell == index;
	put(xml,
	    "        <cell id='%u'>\n          <memory unit='KiB'>%" G_GUINT64_FORMAT "</memory>\n",
	    cell->id, cell->memory_kib);
	put(xml, "          <pages unit='KiB' size='%u'>%" G_GUINT64_FORMAT "</pages>\n", page_kib,
	    cell->memory_kib / page_kib);
	put(xml, "          <cpus num='%u'>\n", n);
	for (guint i = 0; i < topo->cpus->len; i++) {
		const struct node_cpu *cpu = topo->cpus->pdata[i];

		if (cpu->cell != index)
			continue;
		if (cpu->socket_id < 0 || !cpu->siblings)
			put(xml, "            <cpu id='%u'/>\n", cpu->id);
		else
			put(xml,
			    "            <cpu id='%u' socket_id='%d' die_id='%d' core_id='%d' "
			    "siblings='%s'/>\n",
			    cpu->id, cpu->socket_id, MAX(cpu->die_id, 0), MAX(cpu->core_id, 0),
			    cpu->siblings);
	}
	g_string_append(xml, "          </cpus>\n        </cell>\n");
}

static void put_host(GString *xml)
{
	g_autoptr(node_topology) topo = node_topology_read();
	g_autofree char *uuid = node_uuid(), *vendor = node_cpu_vendor();

	put(xml, "  <host>\n    <uuid>%s</uuid>\n", uuid);
	put(xml,
	    "    <cpu>\n      <arch>" CAPS_ARCH
	    "</arch>\n      <model>host</model>\n      <vendor>%s</vendor>\n",
	    vendor);
	put(xml, "      <topology sockets='%u' dies='%u' cores='%u' threads='%u'/>\n    </cpu>\n",
	    topo->sockets, topo->dies, MAX(topo->cores / topo->dies, 1), topo->threads);
	put(xml, "    <power_management/>\n    <iommu support='no'/>\n");
	put(xml, "    <topology>\n      <cells num='%u'>\n", topo->cells->len);
	for (guint i = 0; i < topo->cells->len; i++)
		put_cell(xml, topo, i);
	g_string_append(xml, "      </cells>\n    </topology>\n  </host>\n");
}

char *caps_host_xml(const char *emulator)
{
	GString *xml = g_string_new("<capabilities>\n");

	put_host(xml);
	put(xml, "  <guest>\n    <os_type>hvm</os_type>\n    <arch name='" CAPS_ARCH "'>\n"
	    "      <wordsize>64</wordsize>\n      <emulator>%s</emulator>\n", emulator);
	put(xml,
	    "      <machine maxCpus='%d'>" CAPS_MACHINE
	    "</machine>\n      <domain type='kvm'/>\n    </arch>\n",
	    CAPS_VCPUS_MAX);
	g_string_append(xml, "    <features>\n      <acpi default='on' toggle='no'/>\n"
			     "      <apic default='on' toggle='no'/>\n    </features>\n  "
			     "</guest>\n</capabilities>\n");
	return g_string_free(xml, FALSE);
}

static bool only(const char *what, const char *asked, const char *ours, GError **error)
{
	if (!asked || strcmp(asked, ours) == 0)
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "%s '%s' is not supported; the only one is '%s'", what, asked, ours);
}

static void put_enum(GString *xml, const char *name, const char *const *values)
{
	put(xml, "      <enum name='%s'>\n", name);
	for (; *values; values++)
		put(xml, "        <value>%s</value>\n", *values);
	g_string_append(xml, "      </enum>\n");
}

static void put_devices(GString *xml)
{
	static const char *const disk_device[] = { "disk", NULL }, *const virtio[] = { "virtio",
										       NULL };
	static const char *const rng_backend[] = { "random", NULL };
	static const char *const channel[] = { "pty", "unix", NULL };
	static const char *const filesystem[] = { "path", "virtiofs", NULL };

	g_string_append(xml, "  <devices>\n    <disk supported='yes'>\n");
	put_enum(xml, "diskDevice", disk_device);
	put_enum(xml, "bus", virtio);
	put_enum(xml, "model", virtio);
	g_string_append(xml,
			"    </disk>\n    <graphics supported='no'/>\n    <video supported='no'/>\n"
			"    <hostdev supported='no'/>\n    <rng supported='yes'>\n");
	put_enum(xml, "model", virtio);
	put_enum(xml, "backendModel", rng_backend);
	g_string_append(xml, "    </rng>\n    <filesystem supported='yes'>\n");
	put_enum(xml, "driverType", filesystem);
	g_string_append(xml,
			"    </filesystem>\n    <tpm supported='no'/>\n"
			"    <redirdev supported='no'/>\n    <channel supported='yes'>\n");
	put_enum(xml, "type", channel);
	g_string_append(xml, "    </channel>\n  </devices>\n");
}

char *caps_domain_xml(const char *emulator, const char *arch, const char *machine,
		      const char *virttype, GError **error)
{
	GString *xml;

	if (!only("architecture", arch, CAPS_ARCH, error) ||
	    !only("machine", machine, CAPS_MACHINE, error) ||
	    !only("domain type", virttype, "kvm", error))
		return NULL;
	xml = g_string_new("<domainCapabilities>\n");
	put(xml,
	    "  <path>%s</path>\n  <domain>kvm</domain>\n  <machine>" CAPS_MACHINE "</machine>\n"
	    "  <arch>" CAPS_ARCH "</arch>\n  <vcpu max='%d'/>\n  <iothreads supported='no'/>\n",
	    emulator, CAPS_VCPUS_MAX);
	g_string_append(xml,
			"  <os supported='yes'>\n    <loader supported='no'/>\n  </os>\n  <cpu>\n"
			"    <mode name='host-passthrough' supported='yes'>\n"
			"      <enum name='hostPassthroughMigratable'>\n"
			"        <value>on</value>\n      </enum>\n    </mode>\n"
			"    <mode name='maximum' supported='yes'/>\n"
			"    <mode name='host-model' supported='no'/>\n"
			"    <mode name='custom' supported='no'/>\n  </cpu>\n"
			"  <memoryBacking supported='yes'/>\n");
	put_devices(xml);
	g_string_append(
		xml, "  <features>\n    <gic supported='no'/>\n    <vmcoreinfo supported='no'/>\n"
		     "    <genid supported='no'/>\n    <backingStoreInput supported='yes'/>\n"
		     "    <backup supported='no'/>\n    <sev supported='no'/>\n    <sgx "
		     "supported='no'/>\n"
		     "  </features>\n</domainCapabilities>\n");
	return g_string_free(xml, FALSE);
}
