/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML against a corpus.  data/xml/good/X.xml must be accepted and give
 * X.out; data/xml/bad/X.xml must be refused with the message in X.msg.
 * VMM_REGENERATE=1 writes .out and .msg anew: look at the difference.
 */
#include "config.h"
#include "libvmm/domain/domain.h"

#include <string.h>

#include "libvmm/domain/xml.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static char *data(const char *name, const char *suffix)
{
	g_autofree char *file = g_strconcat(name, suffix, NULL);

	return g_test_build_filename(G_TEST_DIST, "unit", "data", "xml", file, NULL);
}

static char *slurp(const char *path)
{
	char *text = NULL;

	g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

static void expect_file(const char *path, const char *text)
{
	if (g_getenv("VMM_REGENERATE")) {
		g_assert_true(g_file_set_contents(path, text, -1, NULL));
		return;
	}
	g_autofree char *wanted = slurp(path);
	if (g_strcmp0(text, wanted))
		g_test_message("%s is not what came out", path);
	g_assert_cmpstr(text, ==, wanted);
}

static domain_def *parse(const char *xml, unsigned flags)
{
	g_autoptr(GError) error = NULL;
	domain_def *def = domain_def_parse(xml, flags, &error);

	g_assert_no_error(error);
	return def;
}

static void check_good(gconstpointer name)
{
	g_autofree char *in = data(name, ".xml"), *out = data(name, ".out"), *xml = slurp(in);
	g_autoptr(domain_def) def = parse(xml, DOMAIN_PARSE_VALIDATE);
	g_autofree char *first = domain_def_format(def, 0);
	g_autoptr(domain_def) again = parse(first, DOMAIN_PARSE_VALIDATE);
	g_autofree char *second = domain_def_format(again, 0);

	expect_file(out, first);
	g_assert_cmpstr(first, ==, second);
}

static void check_live(gconstpointer name)
{
	g_autofree char *in = data(name, ".xml"), *xml = slurp(in);
	g_autoptr(domain_def) def = parse(xml, DOMAIN_PARSE_LIVE);
	def->id = 7;
	g_autofree char *live = domain_def_format(def, DOMAIN_FORMAT_LIVE);
	g_autoptr(domain_def) again = parse(live, DOMAIN_PARSE_LIVE | DOMAIN_PARSE_VALIDATE);
	g_autofree char *second = domain_def_format(again, DOMAIN_FORMAT_LIVE);
	g_autoptr(domain_def) inactive = parse(live, DOMAIN_PARSE_VALIDATE);

	g_assert_cmpstr(live, ==, second);
	g_assert_cmpint(again->id, ==, 7);
	g_assert_cmpint(inactive->id, ==, -1);
}

static void check_bad(gconstpointer name)
{
	g_autofree char *in = data(name, ".xml"), *msg = data(name, ".msg"), *xml = slurp(in);
	g_autoptr(GError) error = NULL;
	domain_def *def = domain_def_parse(xml, 0, &error);

	g_assert_null(def);
	g_assert_error(error, VMM_ERROR, error->code);
	g_assert_true(error->code == VMM_ERR_XML || error->code == VMM_ERR_CONFIG_UNSUPPORTED);
	g_autofree char *text = g_strdup_printf("%d: %s\n", error->code, error->message);
	expect_file(msg, text);
}

/* What crosses elements is beyond a schema; all else that we refuse it refuses too. */
static const char *const beyond_schema[] = {
	"alias-twice",
	"channel-twice",
	"console-second-serial",
	"controller-twice",
	"cpu-feature-twice",
	"disk-boot-order-and-hd",
	"disk-boot-order-twice",
	"disk-image-twice",
	"disk-target-twice",
	"forward-order",
	"forward-too-high",
	"forward-twice",
	"hugepage-multiple",
	"hugepage-size",
	"iface-mac-twice",
	"iface-queues-user",
	"iface-target-twice",
	"memory-current-needs-balloon",
	"memory-max-less",
	"memory-overflow",
	"memory-too-much",
	"name-dots",
	"name-newline",
	"os-initrd-alone",
	"agent-no-channel",
	"agent-no-initrd",
	"same-path",
	"serial-long-socket",
	"serial-three",
	"cpuset-empty",
	"forward-many",
	"proxy-many",
	"virtio-many",
	"timer-twice",
	"title-lines",
	"topology",
	"uuid-zero",
	"vcpu-cpuset",
	"vcpu-cpuset-backwards",
	"vcpu-current",
	"disk-iotune",
	"disk-iotune-alone",
	"disk-iotune-group",
	"disk-transient-readonly",
	"balloon-none-stats",
	"doctype",
	"doctype-external",
	"filesystem-dmode-owner",
	"filesystem-many",
	"filesystem-root",
	"filesystem-tag-control",
	"filesystem-tag-twice",
	NULL,
};

static void check_schema(gconstpointer name)
{
	g_autofree char *in = data(name, ".xml"), *xml = slurp(in);
	const char *dir = g_getenv("VMM_SRCDIR");
	g_autofree char *schema = g_build_filename(dir, "schemas", "domain.rng", NULL);
	g_autoptr(xmlDoc) doc = xml_read(xml, DOMAIN_XML_MAX_BYTES, "domain", NULL);
	g_autoptr(GError) error = NULL;

	if (!doc || g_strv_contains(beyond_schema, strrchr(name, '/') + 1))
		return;
	g_assert_false(xml_validate(doc, schema, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_XML_SCHEMA);
}

static void add_all(const char *folder, const char *test, GTestDataFunc fn)
{
	g_autofree char *path =
		g_test_build_filename(G_TEST_DIST, "unit", "data", "xml", folder, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *file;

	g_assert_nonnull(dir);
	while ((file = g_dir_read_name(dir))) {
		if (!g_str_has_suffix(file, ".xml"))
			continue;
		g_autofree char *base = g_strndup(file, strlen(file) - 4);
		g_autofree char *name = g_strdup_printf("/domain/%s/%s", test, base);

		g_test_add_data_func_full(name, g_strdup_printf("%s/%s", folder, base), fn, g_free);
	}
}

/* ---- stories ---- */

#define MINIMAL \
	"<domain type='kvm'><name>m</name><memory>65536</memory>" \
	"<os><type>hvm</type><kernel>/k</kernel></os>%s</domain>"

static domain_def *minimal(const char *more)
{
	g_autofree char *xml = g_strdup_printf(MINIMAL, more);

	return parse(xml, 0);
}

static void what_is_left_open_is_filled(void)
{
	g_autoptr(domain_def) a = minimal("<devices><interface type='user'/></devices>");
	g_autoptr(domain_def) b = minimal("<devices><interface type='user'/></devices>");
	const struct iface_def *i = a->ifaces->pdata[0], *j = b->ifaces->pdata[0];

	g_assert_cmpmem(i->mac, 3, "\x52\x54\x00", 3);
	g_assert_true(memcmp(i->mac, j->mac, 6) != 0);
	g_assert_true(memcmp(a->uuid, b->uuid, UUID_BYTES) != 0);
	g_assert_cmpint(a->uuid[6] >> 4, ==, 4);
	g_assert_cmpstr(i->alias, ==, "net0");
	g_assert_cmpuint(a->vcpus, ==, 1);
}

static void a_machine_always_has_a_console(void)
{
	g_autoptr(domain_def) def = minimal("");
	const struct chardev_def *serial = def->serials->pdata[0],
				 *console = def->consoles->pdata[0];

	g_assert_cmpint(serial->target, ==, CHARDEV_TARGET_ISA_SERIAL);
	g_assert_cmpint(console->target, ==, CHARDEV_TARGET_SERIAL);
	g_assert_cmpstr(console->alias, ==, "serial0");
}

static void a_pty_and_a_tap_are_of_one_run(void)
{
	g_autoptr(domain_def) def = minimal("<devices><interface type='ethernet'/></devices>");
	struct chardev_def *serial = def->serials->pdata[0];
	struct iface_def *iface = def->ifaces->pdata[0];
	serial->path = g_strdup("/dev/pts/9");
	iface->target = g_strdup("vnet4");
	g_autofree char *live = domain_def_format(def, DOMAIN_FORMAT_LIVE);
	g_autofree char *inactive = domain_def_format(def, 0);

	g_assert_nonnull(strstr(live, "<source path='/dev/pts/9'/>"));
	g_assert_nonnull(strstr(live, "<target dev='vnet4'/>"));
	g_assert_null(strstr(inactive, "/dev/pts/9"));
	g_assert_null(strstr(inactive, "vnet4"));
}

static void names_of_another_run_are_dropped(void)
{
	const char *devices = "<devices><interface type='bridge'><source bridge='br0'/>"
			      "<target dev='vnet3'/><alias name='net9'/></interface>"
			      "<serial type='pty'><source path='/dev/pts/3'/></serial></devices>";
	g_autoptr(domain_def) def = minimal(devices);
	const struct iface_def *iface = def->ifaces->pdata[0];
	const struct chardev_def *serial = def->serials->pdata[0];

	g_assert_cmpstr(iface->alias, ==, "net0");
	g_assert_null(iface->target);
	g_assert_null(serial->path);
}

static void a_copy_is_the_same_and_apart(void)
{
	g_autoptr(domain_def) def = minimal("<title>t</title>");
	def->id = 3;
	g_autoptr(domain_def) copy = domain_def_copy(def);
	g_autofree char *a = domain_def_format(def, DOMAIN_FORMAT_LIVE);
	g_autofree char *b = domain_def_format(copy, DOMAIN_FORMAT_LIVE);

	g_assert_cmpstr(a, ==, b);
	g_assert_true(def->title != copy->title);
}

static void a_definition_made_by_hand_is_filled(void)
{
	g_autoptr(domain_def) def = domain_def_new("hand");
	g_autoptr(GError) error = NULL;
	struct disk_def *disk = disk_def_new();
	def->memory_bytes = def->current_bytes = 64 << 20;
	disk->path = g_strdup("/d");
	g_ptr_array_add(def->disks, disk);

	g_assert_true(domain_def_fill(def, &error));
	g_assert_cmpstr(disk->target, ==, "vda");
	g_assert_cmpstr(disk->alias, ==, "virtio-disk0");
	g_assert_true(domain_def_fill(def, &error));
	g_assert_cmpuint(def->consoles->len, ==, 1);
}

static void targets_go_on_after_vdz(void)
{
	g_autoptr(domain_def) def = domain_def_new("many");
	for (unsigned i = 0; i < 28; i++) {
		struct disk_def *disk = disk_def_new();
		disk->path = g_strdup_printf("/d%u", i);
		g_ptr_array_add(def->disks, disk);
	}

	/* More than the machine takes, but names are given first. */
	g_assert_false(domain_def_fill(def, NULL));
	g_assert_cmpstr(((struct disk_def *)def->disks->pdata[25])->target, ==, "vdz");
	g_assert_cmpstr(((struct disk_def *)def->disks->pdata[26])->target, ==, "vdaa");
	g_assert_cmpstr(((struct disk_def *)def->disks->pdata[27])->target, ==, "vdab");
}

static void no_kernel_can_be_defined_not_started(void)
{
	g_autoptr(domain_def) def = parse("<domain type='kvm'><name>m</name><memory>65536</memory>"
					  "<os><type>hvm</type></os></domain>", 0);
	g_autoptr(GError) error = NULL;

	g_assert_false(domain_def_check_start(def, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_CONFIG_UNSUPPORTED);
}

static void too_long_is_refused(void)
{
	g_autofree char *xml = g_strnfill(DOMAIN_XML_MAX_BYTES + 1, ' ');
	g_autofree char *quotes = g_strnfill(1 << 20, '>');
	g_autofree char *grows = g_strdup_printf(MINIMAL, quotes);
	g_autofree char *text = g_strdup_printf("<description>%s</description>", quotes);
	g_autofree char *grown = g_strdup_printf(MINIMAL, text);

	g_assert_null(domain_def_parse(xml, 0, NULL));
	g_assert_null(domain_def_parse(grows, 0, NULL));
	g_assert_null(domain_def_parse(grown, 0, NULL));
}

static void deep_nesting_is_refused(void)
{
	g_autoptr(GString) xml = g_string_new(NULL);

	for (unsigned i = 0; i < 100000; i++)
		g_string_append(xml, "<metadata>");
	g_assert_null(domain_def_parse(xml->str, 0, NULL));
}

static void a_missing_schema_is_told(void)
{
	g_autofree char *xml = g_strdup_printf(MINIMAL, "");
	g_autoptr(GError) error = NULL;
	g_autofree char *saved = g_strdup(g_getenv("VMM_SCHEMA_DIR"));

	g_setenv("VMM_SCHEMA_DIR", "/nowhere", TRUE);
	g_assert_null(domain_def_parse(xml, DOMAIN_PARSE_VALIDATE, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_INTERNAL);
	g_setenv("VMM_SCHEMA_DIR", saved, TRUE);
}

static void a_cpuset_is_a_map(void)
{
	uint8_t map[DOMAIN_CPUS_MAX / 8];

	g_assert_true(domain_cpuset_map("0-3,^2,8,4095", map));
	g_assert_cmpuint(map[0], ==, 0x0b);
	g_assert_cmpuint(map[1], ==, 1);
	g_assert_cmpuint(map[DOMAIN_CPUS_MAX / 8 - 1], ==, 0x80);
	g_assert_false(domain_cpuset_map("4096", map));
	g_assert_false(domain_cpuset_map("0-18446744073709551615", map));
	g_assert_false(domain_cpuset_map("0,", map));
	g_assert_false(domain_cpuset_map("", map));
}

static void uuids_are_strict(void)
{
	static const char *const bad[] = { "", "-", "12", "1111111122224333844455555555555g",
		"-11111111222243338444555555555555", "1111111122224333844455555555555-5",
		"11111111-2222-4333-8444-5555555555555", "11111111-2222-4333-8444-555555555555-" };
	uint8_t uuid[UUID_BYTES];
	char text[UUID_TEXT_BYTES];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		g_assert_false(uuid_from_text(bad[i], uuid));
	g_assert_true(uuid_from_text("0123456789abcdefABCDEF0123456789", uuid));
	uuid_to_text(uuid, text);
	g_assert_cmpstr(text, ==, "01234567-89ab-cdef-abcd-ef0123456789");
}

static void examples_are_valid(void)
{
	g_autofree char *path =
		g_build_filename(g_getenv("VMM_SRCDIR"), "images", "examples", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	unsigned n = 0;

	for (const char *file; (file = g_dir_read_name(dir)); n++) {
		g_autofree char *full = g_build_filename(path, file, NULL), *xml = slurp(full);
		g_autoptr(domain_def) def = parse(xml, DOMAIN_PARSE_VALIDATE);

		g_assert_true(domain_def_check_start(def, NULL));
	}
	g_assert_cmpuint(n, >=, 5);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_autofree char *schemas = g_build_filename(g_getenv("VMM_SRCDIR"), "schemas", NULL);
	g_setenv("VMM_SCHEMA_DIR", schemas, TRUE);
	add_all("good", "good", check_good);
	add_all("good", "live", check_live);
	add_all("bad", "bad", check_bad);
	add_all("bad", "schema", check_schema);
	g_test_add_func("/domain/fill", what_is_left_open_is_filled);
	g_test_add_func("/domain/console", a_machine_always_has_a_console);
	g_test_add_func("/domain/one-run", a_pty_and_a_tap_are_of_one_run);
	g_test_add_func("/domain/another-run", names_of_another_run_are_dropped);
	g_test_add_func("/domain/copy", a_copy_is_the_same_and_apart);
	g_test_add_func("/domain/by-hand", a_definition_made_by_hand_is_filled);
	g_test_add_func("/domain/targets", targets_go_on_after_vdz);
	g_test_add_func("/domain/no-kernel", no_kernel_can_be_defined_not_started);
	g_test_add_func("/domain/too-long", too_long_is_refused);
	g_test_add_func("/domain/deep", deep_nesting_is_refused);
	g_test_add_func("/domain/no-schema", a_missing_schema_is_told);
	g_test_add_func("/domain/cpuset", a_cpuset_is_a_map);
	g_test_add_func("/domain/uuid", uuids_are_strict);
	g_test_add_func("/domain/examples", examples_are_valid);
	return g_test_run();
}
