/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host says of itself is sane and well-formed. */
#include "config.h"
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/host/caps.h"
#include "libvmm/host/node.h"
#include "libvmm/util/error.h"

static double xpath_number(const char *xml, const char *expression)
{
	xmlDoc *doc = xmlReadMemory(xml, strlen(xml), NULL, NULL, XML_PARSE_NONET);
	xmlXPathContext *ctx;
	xmlXPathObject *obj;
	double n;

	g_assert_nonnull(doc);
	ctx = xmlXPathNewContext(doc);
	obj = xmlXPathEvalExpression(BAD_CAST expression, ctx);
	g_assert_nonnull(obj);
	n = xmlXPathCastToNumber(obj);
	xmlXPathFreeObject(obj);
	xmlXPathFreeContext(ctx);
	xmlFreeDoc(doc);
	return n;
}

static void the_shape_has_room_for_all_cpus(void)
{
	g_autoptr(node_topology) t = node_topology_read();

	g_assert_cmpuint(t->cpus->len, >=, sysconf(_SC_NPROCESSORS_ONLN));
	g_assert_cmpuint(node_cpus_online(t), ==, sysconf(_SC_NPROCESSORS_ONLN));
	g_assert_cmpuint(t->cells->len * t->sockets * t->cores * t->threads, >=, t->cpus->len);
	g_assert_cmpuint(g_array_index(t->cells, struct node_cell, 0).memory_kib, >, 0);
}

static void capabilities_are_well_formed_and_name_one_guest(void)
{
	g_autofree char *xml = caps_host_xml("/usr/libexec/libvmm/vmm-worker <&>");

	g_assert_cmpfloat(
		xpath_number(xml,
			     "count(/capabilities/guest/arch[@name='x86_64']/domain[@type='kvm'])"),
		==, 1);
	g_assert_cmpfloat(xpath_number(xml, "count(/capabilities/host/cpu/arch)"), ==, 1);
	g_assert_cmpfloat(
		xpath_number(xml, "count(/capabilities/host/topology/cells/cell/cpus/cpu)"), >=,
		sysconf(_SC_NPROCESSORS_ONLN));
}

static void domain_capabilities_answer_what_is_ours(void)
{
	g_autofree char *xml = caps_domain_xml("/w", NULL, NULL, NULL, NULL);

	g_assert_cmpfloat(xpath_number(xml, "number(/domainCapabilities/vcpu/@max)"), ==,
			  CAPS_VCPUS_MAX);
	g_assert_cmpfloat(
		xpath_number(xml, "count(//mode[@name='host-passthrough'][@supported='yes'])"), ==,
		1);
}

static void domain_capabilities_of_what_is_not_ours_are_refused(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(caps_domain_xml("/w", "riscv64", NULL, NULL, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG);
	g_assert_null(caps_domain_xml("/w", "x86_64", "q35", NULL, NULL));
}

static void time_and_memory_are_more_than_nothing(void)
{
	struct node_cpu_times t;
	struct node_memory m;

	g_assert_true(node_cpu_times_read(-1, &t, NULL));
	g_assert_cmpuint(t.user_ns + t.kernel_ns + t.idle_ns, >, 0);
	g_assert_true(node_cpu_times_read(0, &t, NULL));
	g_assert_false(node_cpu_times_read(NODE_CPUS_MAX, &t, NULL));
	g_assert_true(node_memory_read(-1, &m, NULL));
	g_assert_cmpuint(m.total_kib, >, m.free_kib);
	g_assert_false(node_memory_read(NODE_CELLS_MAX, &m, NULL));
}

static void the_host_has_a_name_and_a_uuid(void)
{
	g_autofree char *name = node_hostname(), *uuid = node_uuid(), *sysinfo = node_sysinfo_xml();

	g_assert_cmpuint(strlen(name), >, 0);
	g_assert_cmpuint(strlen(uuid), ==, 36);
	g_assert_cmpfloat(xpath_number(sysinfo, "count(/sysinfo/system)"), ==, 1);
}

#define TEST(name) g_test_add_func("/host/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(the_shape_has_room_for_all_cpus);
	TEST(capabilities_are_well_formed_and_name_one_guest);
	TEST(domain_capabilities_answer_what_is_ours);
	TEST(domain_capabilities_of_what_is_not_ours_are_refused);
	TEST(time_and_memory_are_more_than_nothing);
	TEST(the_host_has_a_name_and_a_uuid);
	return g_test_run();
}
