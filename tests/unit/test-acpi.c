/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ACPI tables: sums, pointers, and what ACPICA's iasl makes of them. */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>

#include "libvmm/machine/acpi.h"
#include "libvmm/machine/aml.h"
#include "libvmm/machine/layout.h"
#include "libvmm/util/cleanup.h"

#define GPA LAYOUT_ACPI

static const uint32_t apic_ids[] = { 0, 1, 2, 300 };
static const struct acpi_serial serial[] = { { LAYOUT_COM1_PORT, LAYOUT_COM1_GSI },
					     { LAYOUT_COM2_PORT, LAYOUT_COM2_GSI } };

static GByteArray *tables_of(unsigned n_virtio)
{
	struct acpi_virtio virtio[LAYOUT_VIRTIO_MMIO_MAX];
	struct acpi_opts opts = {
		.n_vcpus = 4,
		.apic_ids = apic_ids,
		.virtio = virtio,
		.n_virtio = n_virtio,
		.serial = serial,
		.n_serial = 2,
		.rtc = true,
		.power = true,
	};
	GByteArray *all;

	for (unsigned i = 0; i < n_virtio; i++)
		virtio[i] = (struct acpi_virtio){ layout_virtio_base(i), LAYOUT_VIRTIO_MMIO_BYTES,
						  layout_virtio_gsi(i) };
	all = acpi_build(&opts, GPA, NULL);
	g_assert_nonnull(all);
	return all;
}

static uint64_t read64(const GByteArray *all, size_t at)
{
	uint64_t value;

	g_assert_cmpuint(at + 8, <=, all->len);
	memcpy(&value, all->data + at, 8);
	return value;
}

static uint32_t read32(const GByteArray *all, size_t at)
{
	return read64(all, at);
}

static uint8_t sum(const GByteArray *all, size_t at, size_t len)
{
	uint8_t total = 0;

	g_assert_cmpuint(at + len, <=, all->len);
	for (size_t i = 0; i < len; i++)
		total += all->data[at + i];
	return total;
}

/* Walked as a kernel does: RSDP, XSDT, FADT, DSDT.  The place of the table in the array. */
static size_t table_find(const GByteArray *all, const char *signature)
{
	size_t xsdt = read64(all, 24) - GPA;
	unsigned n = (read32(all, xsdt + 4) - 36) / 8;

	if (strcmp(signature, "XSDT") == 0)
		return xsdt;
	if (strcmp(signature, "DSDT") == 0)
		return read64(all, table_find(all, "FACP") + 140) - GPA;
	for (unsigned i = 0; i < n; i++) {
		size_t at = read64(all, xsdt + 36 + 8 * i) - GPA;

		if (memcmp(all->data + at, signature, 4) == 0)
			return at;
	}
	g_error("no %s", signature);
}

static void every_table_sums_to_zero(void)
{
	g_autoptr(GByteArray) all = tables_of(3);
	const char *const names[] = { "XSDT", "FACP", "APIC", "DSDT" };

	g_assert_cmpmem(all->data, 8, "RSD PTR ", 8);
	g_assert_cmpuint(sum(all, 0, 20), ==, 0);
	g_assert_cmpuint(sum(all, 0, 36), ==, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		size_t at = table_find(all, names[i]);

		g_assert_cmpmem(all->data + at, 4, names[i], 4);
		g_assert_cmpuint(sum(all, at, read32(all, at + 4)), ==, 0);
	}
}

static void large_apic_ids_get_x2apic_entries(void)
{
	g_autoptr(GByteArray) all = tables_of(0);
	size_t madt = table_find(all, "APIC"), at = 44, end = read32(all, madt + 4);
	unsigned small = 0, large = 0, ioapics = 0;

	while (at < end) {
		uint8_t type = all->data[madt + at];

		small += type == 0;
		large += type == 9;
		ioapics += type == 1;
		at += all->data[madt + at + 1];
	}
	g_assert_cmpuint(at, ==, end);
	g_assert_cmpuint(small, ==, 3);
	g_assert_cmpuint(large, ==, 1);
	g_assert_cmpuint(ioapics, ==, 1);
}

static void the_most_devices_fit_and_land_in_the_bios_area(void)
{
	struct guest_memory_opts opts = { .bytes = 16 << 20, .name = "test" };
	g_autoptr(guest_memory) mem = guest_memory_new(&opts, NULL);
	uint32_t ids[1024];
	struct acpi_virtio virtio[256] = { { 0xd0000000, 512, 6 } };
	struct acpi_opts big = {
		.n_vcpus = 1024, .apic_ids = ids, .virtio = virtio, .n_virtio = 256
	};
	uint64_t rsdp = 0;

	for (unsigned i = 0; i < 1024; i++)
		ids[i] = i;
	g_assert_true(acpi_write(mem, &big, &rsdp, NULL));
	g_assert_cmpuint(rsdp, ==, LAYOUT_ACPI);
	g_assert_cmpmem(guest_ptr(mem, rsdp, 8), 8, "RSD PTR ", 8);
}

static void package_lengths_take_one_to_four_bytes(void)
{
	static const struct {
		size_t body, total;
	} cases[] = { { 62, 63 }, { 63, 65 }, { 4093, 4095 }, { 4094, 4097 }, { 100000, 100003 } };

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(GByteArray) to = g_byte_array_new();
		size_t start = aml_if(to), length;

		for (size_t n = 0; n < cases[i].body; n++)
			aml_op(to, AML_ONE);
		aml_end(to, start);
		g_assert_cmpuint(to->len, ==, 1 + cases[i].total);
		length = to->data[1] >> 6 ? (to->data[1] & 0xf) | (size_t)to->data[2] << 4
					  : to->data[1];
		if (to->data[1] >> 6 > 1)
			length |= (size_t)to->data[3] << 12;
		g_assert_cmpuint(length, ==, cases[i].total);
	}
}

struct iasl {
	char *dir;
	char *text; /* the DSDT, disassembled */
};

static bool iasl_run(const char *dir, const char *option, const char *file, char **ret_out)
{
	const char *argv[] = { "iasl", option, file, NULL };
	int status = -1;

	int flags = G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL |
		    (ret_out ? 0 : G_SPAWN_STDOUT_TO_DEV_NULL);

	return g_spawn_sync(dir, (char **)argv, NULL, flags, NULL, NULL, ret_out, NULL, &status,
			    NULL) &&
	       g_spawn_check_wait_status(status, NULL);
}

/* Takes the tables apart and puts the DSDT together again; false: no iasl here. */
static bool iasl_open(struct iasl *t, const GByteArray *all)
{
	const char *const names[] = { "DSDT", "FACP", "APIC", "XSDT" };
	g_autofree char *iasl = g_find_program_in_path("iasl"), *out = NULL, *dsl = NULL;

	*t = (struct iasl){ 0 };
	if (!iasl) {
		g_test_skip("no iasl (package acpica-tools)");
		return false;
	}
	t->dir = g_dir_make_tmp("acpi-XXXXXX", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		size_t at = table_find(all, names[i]);
		g_autofree char *file = g_strdup_printf("%s/%s.dat", t->dir, names[i]);
		g_autofree char *name = g_path_get_basename(file);

		g_file_set_contents(file, (char *)all->data + at, read32(all, at + 4), NULL);
		g_assert_true(iasl_run(t->dir, "-d", name, NULL));
	}
	dsl = g_build_filename(t->dir, "DSDT.dsl", NULL);
	g_assert_true(g_file_get_contents(dsl, &t->text, NULL, NULL));
	g_assert_true(iasl_run(t->dir, "-we", "DSDT.dsl", &out));
	g_assert_nonnull(strstr(out, "0 Errors, 0 Warnings"));
	return true;
}

static void iasl_close(struct iasl *t)
{
	g_autoptr(GDir) dir = t->dir ? g_dir_open(t->dir, 0, NULL) : NULL;
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(t->dir, name, NULL);

		g_unlink(path);
	}
	if (t->dir)
		g_rmdir(t->dir);
	g_free(t->dir);
	g_free(t->text);
}

static void iasl_reads_the_dsdt_and_compiles_it_again(void)
{
	g_autoptr(GByteArray) all = tables_of(LAYOUT_VIRTIO_MMIO_MAX);
	static const char *const parts[] = {
		"Device (COM1)",
		"PNP0501",
		"0x03F8",
		"Device (COM2)",
		"PNP0B00",
		"Device (VR00)",
		"Device (VR10)",
		"LNRO0005",
		"0xD0010000",
		"ACPI0013",
		"PNP0C0C",
		"Method (_EVT, 1, Serialized)",
		"Notify (\\_SB.PWRB, 0x80)",
		"Name (\\_S5",
		"Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive",
	};
	struct iasl t;

	if (iasl_open(&t, all))
		for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
			if (!strstr(t.text, parts[i]))
				g_error("no '%s' in:\n%s", parts[i], t.text);
	iasl_close(&t);
}

static char *table_text(const struct iasl *t, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s/%s.dsl", t->dir, name);
	char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static void iasl_sees_a_hardware_reduced_fadt(void)
{
	g_autoptr(GByteArray) all = tables_of(1);
	g_autofree char *text = NULL;
	struct iasl t;

	if (iasl_open(&t, all)) {
		text = table_text(&t, "FACP");
		g_assert_nonnull(strstr(text, "Hardware Reduced (V5) : 1"));
		g_assert_nonnull(strstr(text, "Reset Register Supported (V2) : 1"));
		g_assert_nonnull(strstr(text, "CMOS RTC Not Present (V5) : 0"));
		g_assert_nonnull(strstr(text, "VGA Not Present (V4) : 1"));
		g_assert_nonnull(strstr(text, "8042 Present on ports 60/64 (V2) : 0"));
	}
	iasl_close(&t);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/acpi/every_table_sums_to_zero", every_table_sums_to_zero);
	g_test_add_func("/acpi/large_apic_ids_get_x2apic_entries",
			large_apic_ids_get_x2apic_entries);
	g_test_add_func("/acpi/the_most_devices_fit_and_land_in_the_bios_area",
			the_most_devices_fit_and_land_in_the_bios_area);
	g_test_add_func("/acpi/package_lengths_take_one_to_four_bytes",
			package_lengths_take_one_to_four_bytes);
	g_test_add_func("/acpi/iasl_reads_the_dsdt_and_compiles_it_again",
			iasl_reads_the_dsdt_and_compiles_it_again);
	g_test_add_func("/acpi/iasl_sees_a_hardware_reduced_fadt",
			iasl_sees_a_hardware_reduced_fadt);
	return g_test_run();
}
