/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshot XML: what is accepted, what is refused and with which words, and what is shown. */
#include "config.h"
#include "libvmm/domain/snapshot.h"

#include <string.h>

#include "libvmm/util/error.h"

static char *data(const char *name)
{
	g_autofree char *path = g_test_build_filename(G_TEST_DIST, "unit", "data", "snapshot", name,
						      NULL);
	char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static snapshot_def *parse(const char *xml, unsigned flags)
{
	g_autoptr(GError) error = NULL;
	snapshot_def *def = snapshot_def_parse(xml, flags | SNAPSHOT_PARSE_VALIDATE, &error);

	g_assert_no_error(error);
	return def;
}

static void refuse(const char *xml, unsigned flags, const char *why)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(snapshot_def_parse(xml, flags, &error));
	g_assert_nonnull(error);
	if (!strstr(error->message, why))
		g_error("'%s' is not in '%s'", why, error->message);
}

static void what_a_client_asks_for_is_read(void)
{
	g_autofree char *xml = data("asked.xml");
	g_autoptr(snapshot_def) def = parse(xml, 0);
	const struct snapshot_disk *const *disks = (void *)def->disks->pdata;

	g_assert_cmpstr(def->name, ==, "before-upgrade");
	g_assert_cmpstr(def->description, ==, "Before <the> upgrade");
	g_assert_cmpint(def->memory, ==, SNAPSHOT_EXTERNAL);
	g_assert_cmpstr(def->memory_path, ==, "/var/lib/mem.s1");
	g_assert_cmpuint(def->disks->len, ==, 3);
	g_assert_cmpstr(disks[0]->path, ==, "/images/a.s1");
	g_assert_cmpint(disks[0]->place, ==, SNAPSHOT_EXTERNAL);
	g_assert_cmpstr(disks[1]->name, ==, "/images/b.raw");
	g_assert_cmpint(disks[1]->place, ==, SNAPSHOT_NO);
	g_assert_cmpint(disks[2]->place, ==, SNAPSHOT_DEFAULT);
}

static void an_empty_element_asks_for_everything_by_default(void)
{
	g_autofree char *xml = data("empty.xml");
	g_autoptr(snapshot_def) def = parse(xml, 0);

	g_assert_null(def->name);
	g_assert_cmpint(def->memory, ==, SNAPSHOT_DEFAULT);
	g_assert_cmpuint(def->disks->len, ==, 0);
}

static void what_is_shown_is_passed_over_unless_it_is_defined_anew(void)
{
	g_autofree char *xml = data("shown.xml");
	g_autoptr(snapshot_def) def = parse(xml, 0), again = parse(xml, SNAPSHOT_PARSE_REDEFINE);

	g_assert_null(def->domain);
	g_assert_null(def->parent);
	g_assert_cmpstr(again->parent, ==, "s1");
	g_assert_cmpint(again->state, ==, SNAPSHOT_DISK);
	g_assert_cmpint(again->created_s, ==, 1700000000);
	g_assert_true(again->domain->os.kernel_unpack);
	g_assert_cmpuint(again->inactive->memory_bytes, ==, 128u << 20);
}

static void what_is_shown_reads_back_to_the_same_bytes(void)
{
	g_autofree char *xml = data("shown.xml");
	g_autoptr(snapshot_def) def = parse(xml, SNAPSHOT_PARSE_REDEFINE);
	g_autofree char *first = snapshot_def_format(def);
	g_autoptr(snapshot_def) again = parse(first, SNAPSHOT_PARSE_REDEFINE);
	g_autofree char *second = snapshot_def_format(again);

	g_assert_cmpstr(first, ==, second);
	g_assert_nonnull(strstr(first, "\n  <inactiveDomain type='kvm'>\n    <name>x</name>\n"));
}

static void faults_are_named(void)
{
#define SNAP(inside) "<domainsnapshot>" inside "</domainsnapshot>"
	refuse("<snapshot/>", 0, "not <domainsnapshot>");
	refuse(SNAP("<name>a/b</name>"), 0, "can't begin with '.' or contain '/'");
	refuse(SNAP("<name>.a</name>"), 0, "can't begin with '.'");
	refuse(SNAP("<nome>a</nome>"), 0, "nome");
	refuse(SNAP("<memory snapshot='no' file='/a'/>"), 0, "not snapshot='external'");
	refuse(SNAP("<memory file='a'/>"), 0, "not an absolute path");
	refuse(SNAP("<disks><disk snapshot='no'/></disks>"), 0, "'name' is missing");
	refuse(SNAP("<disks><disk name='vda' snapshot='manual'/></disks>"), 0, "not one of");
	refuse(SNAP("<disks><disk name='vda' snapshot='internal'><source file='/a'/></disk>"
		    "</disks>"), 0, "not snapshot='external'");
	refuse(SNAP("<disks><disk name='vda'><driver type='raw'/></disk></disks>"), 0, "'qcow2'");
	refuse(SNAP("<name>a</name>"), SNAPSHOT_PARSE_REDEFINE, "<state> is missing");
	refuse(SNAP("<state>odd</state>"), SNAPSHOT_PARSE_REDEFINE, "'odd' is no state");
	refuse(SNAP("<state>shutoff</state><creationTime>-1</creationTime>"),
	       SNAPSHOT_PARSE_REDEFINE, "not a time");
	refuse(SNAP("<state>shutoff</state><domain type='kvm'><name>x</name></domain>"),
	       SNAPSHOT_PARSE_REDEFINE, "in the snapshot: ");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_autofree char *schemas = g_test_build_filename(G_TEST_DIST, "..", "schemas", NULL);

	g_setenv("VMM_SCHEMA_DIR", schemas, true);
#define TEST(name) g_test_add_func("/snapshot-xml/" #name, name)
	TEST(what_a_client_asks_for_is_read);
	TEST(an_empty_element_asks_for_everything_by_default);
	TEST(what_is_shown_is_passed_over_unless_it_is_defined_anew);
	TEST(what_is_shown_reads_back_to_the_same_bytes);
	TEST(faults_are_named);
	return g_test_run();
}
