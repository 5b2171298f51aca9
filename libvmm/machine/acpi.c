/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ACPI tables of a hardware-reduced machine (ACPI 6.5, chapters 4.1 and 5.2).
 *
 * There is no PM block, no SCI, no FACS: sleep and reset go by their registers
 * in the FADT, the power button is an event device in the DSDT, and every
 * device that a kernel could not find by itself has its place and line there.
 *
 * Layout: RSDP, then DSDT, FADT, MADT, XSDT, each at a multiple of 64.
 */
#include "config.h"
#include "libvmm/machine/acpi.h"

#include <string.h>

#include "libvmm/machine/aml.h"
#include "libvmm/machine/layout.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define TABLE_ALIGN 64

struct __attribute__((packed)) table_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
};

struct __attribute__((packed)) address { /* 5.2.3.2 */
	uint8_t space, bit_width, bit_offset, access_bytes;
	uint64_t address;
};

struct __attribute__((packed)) rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
};

struct __attribute__((packed)) fadt { /* 5.2.9 */
	struct table_header head;
	uint32_t firmware_ctrl, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint8_t legacy[61]; /* PM blocks and RTC indices: none */
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct address reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct address x_legacy[8];
	struct address sleep_control, sleep_status;
	uint64_t hypervisor;
};

struct __attribute__((packed)) madt_lapic { /* 5.2.12.2 */
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
};

struct __attribute__((packed)) madt_x2apic { /* 5.2.12.12 */
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id, flags, uid;
};

struct __attribute__((packed)) madt_ioapic { /* 5.2.12.3 */
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
};

struct __attribute__((packed)) madt_nmi { /* 5.2.12.7 */
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
};

static_assert(sizeof(struct table_header) == 36, "the layout is a specification's");
static_assert(sizeof(struct rsdp) == 36, "the layout is a specification's");
static_assert(sizeof(struct fadt) == 276, "the layout is a specification's");
static_assert(offsetof(struct fadt, boot_arch) == 109, "the layout is a specification's");
static_assert(offsetof(struct fadt, reset_register) == 116, "the layout is a specification's");
static_assert(offsetof(struct fadt, sleep_control) == 244, "the layout is a specification's");

#define FADT_WBINVD		   (1u << 0)
#define FADT_NO_FIXED_POWER_BUTTON (1u << 4)
#define FADT_NO_FIXED_SLEEP_BUTTON (1u << 5)
#define FADT_RESET_REGISTER	   (1u << 10)
#define FADT_HW_REDUCED		   (1u << 20)
#define BOOT_NO_VGA		   (1u << 2)
#define BOOT_NO_RTC		   (1u << 5)
#define SPACE_IO		   1
#define LAPIC_ENABLED		   1
#define MAX_LAPIC_ID		   254

static uint8_t checksum(const uint8_t *data, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum += *data++;
	return -sum;
}

static struct table_header header_of(const char *signature, uint8_t revision)
{
	struct table_header h = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, "LIBVMM", sizeof(h.oem_id));
	memcpy(h.oem_table_id, "MICROVM ", sizeof(h.oem_table_id));
	memcpy(h.creator_id, "LVMM", sizeof(h.creator_id));
	return h;
}

/* Takes the table's bytes, header first; its address in the guest. */
static uint64_t table_add(GByteArray *all, uint64_t gpa, GByteArray *table)
{
	struct table_header *h = (struct table_header *)table->data;
	size_t at = (all->len + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
	size_t gap = at - all->len;

	h->length = table->len;
	h->checksum = 0;
	h->checksum = checksum(table->data, table->len);
	g_byte_array_set_size(all, at);
	memset(all->data + at - gap, 0, gap);
	g_byte_array_append(all, table->data, table->len);
	g_byte_array_unref(table);
	return gpa + at;
}

static GByteArray *table_new(const char *signature, uint8_t revision)
{
	struct table_header h = header_of(signature, revision);

	return g_byte_array_append(g_byte_array_new(), (uint8_t *)&h, sizeof(h));
}

static void dsdt_named_int(GByteArray *to, const char *name, uint64_t value)
{
	aml_name(to, name);
	aml_int(to, value);
}

static void dsdt_serial(GByteArray *to, const struct acpi_serial *s, unsigned index)
{
	g_autoptr(GByteArray) res = g_byte_array_new();
	char name[] = { 'C', 'O', 'M', '1' + index, 0 };
	size_t dev = aml_device(to, name);

	aml_name(to, "_HID");
	aml_eisa_id(to, "PNP0501");
	dsdt_named_int(to, "_UID", index + 1);
	aml_res_io(res, s->port, LAYOUT_COM_PORTS);
	aml_res_interrupt(res, s->gsi);
	aml_crs(to, res);
	aml_end(to, dev);
}

static void dsdt_rtc(GByteArray *to)
{
	g_autoptr(GByteArray) res = g_byte_array_new();
	size_t dev = aml_device(to, "RTC0");

	aml_name(to, "_HID");
	aml_eisa_id(to, "PNP0B00");
	aml_res_io(res, LAYOUT_RTC_PORT, LAYOUT_RTC_PORTS);
	aml_res_interrupt(res, LAYOUT_RTC_GSI);
	aml_crs(to, res);
	aml_end(to, dev);
}

/* LNRO0005 is the id that Linux's virtio-mmio driver answers to. */
static void dsdt_virtio(GByteArray *to, const struct acpi_virtio *v, unsigned index)
{
	g_autoptr(GByteArray) res = g_byte_array_new();
	char name[5];
	size_t dev;

	g_snprintf(name, sizeof(name), "VR%02X", index);
	dev = aml_device(to, name);
	aml_name(to, "_HID");
	aml_string(to, "LNRO0005");
	dsdt_named_int(to, "_UID", index);
	dsdt_named_int(to, "_CCA", 1);
	aml_res_memory32(res, v->base, v->bytes);
	aml_res_interrupt(res, v->gsi);
	aml_crs(to, res);
	aml_end(to, dev);
}

/* If (Local0 & event) { Notify(device, 0x80) } */
static void dsdt_notify(GByteArray *to, unsigned event, const char *device)
{
	size_t test = aml_if(to);

	aml_op(to, AML_AND);
	aml_op(to, AML_LOCAL0);
	aml_int(to, event);
	aml_op(to, AML_ZERO); /* the result goes nowhere else */
	aml_op(to, AML_NOTIFY);
	aml_path(to, device);
	aml_int(to, 0x80);
	aml_end(to, test);
}

/* _EVT: Local0 = EVNT (reading clears it), then who is to know of what */
static void dsdt_event_method(GByteArray *to)
{
	size_t method = aml_method(to, "_EVT", 1, true);

	aml_op(to, AML_STORE);
	aml_path(to, "EVNT");
	aml_op(to, AML_LOCAL0);
	dsdt_notify(to, LAYOUT_POWER_EVENT_BUTTON, "\\_SB_.PWRB");
	dsdt_notify(to, LAYOUT_POWER_EVENT_GENERATION, "\\_SB_.VGEN");
	aml_end(to, method);
}

/* Microsoft's "Virtual Machine Generation ID": a guest draws new random numbers when it changes. */
static void dsdt_generation(GByteArray *to)
{
	size_t dev = aml_device(to, "VGEN"), package;

	aml_name(to, "_HID");
	aml_string(to, "LVMM0001");
	aml_name(to, "_CID");
	package = aml_package(to, 2);
	aml_string(to, "VM_Gen_Counter"); /* what Windows and older Linux look for */
	aml_string(to, "VMGENCTR");
	aml_end(to, package);
	aml_name(to, "_DDN");
	aml_string(to, "VM_Gen_Counter");
	aml_name(to, "ADDR");
	package = aml_package(to, 2);
	aml_int(to, LAYOUT_GENERATION);
	aml_int(to, 0);
	aml_end(to, package);
	aml_end(to, dev);
}

static void dsdt_power(GByteArray *to)
{
	g_autoptr(GByteArray) res = g_byte_array_new();
	size_t button = aml_device(to, "PWRB"), ged;

	aml_name(to, "_HID");
	aml_eisa_id(to, "PNP0C0C");
	dsdt_named_int(to, "_UID", 0);
	aml_end(to, button);

	ged = aml_device(to, "GED0");
	aml_name(to, "_HID");
	aml_string(to, "ACPI0013");
	dsdt_named_int(to, "_UID", 0);
	aml_res_interrupt(res, LAYOUT_EVENT_GSI);
	aml_crs(to, res);
	aml_io_region(to, "EREG", LAYOUT_POWER_PORT + LAYOUT_POWER_EVENTS, 1);
	aml_io_byte_field(to, "EREG", "EVNT");
	dsdt_event_method(to);
	aml_end(to, ged);
}

static void dsdt_s5(GByteArray *to)
{
	size_t package;

	aml_name(to, "\\_S5_");
	package = aml_package(to, 4);
	aml_int(to, LAYOUT_SLP_TYP_S5);
	for (unsigned i = 0; i < 3; i++)
		aml_int(to, 0);
	aml_end(to, package);
}

static GByteArray *dsdt_build(const struct acpi_opts *o)
{
	GByteArray *to = table_new("DSDT", 2);
	size_t scope = aml_scope(to, "\\_SB_");

	for (unsigned i = 0; i < o->n_serial; i++)
		dsdt_serial(to, &o->serial[i], i);
	if (o->rtc)
		dsdt_rtc(to);
	for (unsigned i = 0; i < o->n_virtio; i++)
		dsdt_virtio(to, &o->virtio[i], i);
	if (o->power) {
		dsdt_generation(to);
		dsdt_power(to);
	}
	aml_end(to, scope);
	if (o->power)
		dsdt_s5(to);
	return to;
}

static struct address io_byte(uint16_t port)
{
	return (struct address){
		.space = SPACE_IO, .bit_width = 8, .access_bytes = 1, .address = port
	};
}

static GByteArray *fadt_build(const struct acpi_opts *o, uint64_t dsdt)
{
	struct fadt f = {
		.head = header_of("FACP", 6),
		.minor_revision = 5,
		.dsdt = dsdt,
		.x_dsdt = dsdt,
		.boot_arch = BOOT_NO_VGA | (o->rtc ? 0 : BOOT_NO_RTC),
		.flags = FADT_HW_REDUCED | FADT_WBINVD | FADT_NO_FIXED_POWER_BUTTON |
			 FADT_NO_FIXED_SLEEP_BUTTON,
	};

	if (o->power) {
		f.flags |= FADT_RESET_REGISTER;
		f.reset_register = io_byte(LAYOUT_POWER_PORT + LAYOUT_POWER_RESET);
		f.reset_value = LAYOUT_RESET_VALUE;
		f.sleep_control = io_byte(LAYOUT_POWER_PORT + LAYOUT_POWER_SLEEP_CONTROL);
		f.sleep_status = io_byte(LAYOUT_POWER_PORT + LAYOUT_POWER_SLEEP_STATUS);
	}
	memcpy(&f.hypervisor, "LIBVMM\0", 8);
	return g_byte_array_append(g_byte_array_new(), (uint8_t *)&f, sizeof(f));
}

static void madt_cpu(GByteArray *to, unsigned uid, uint32_t apic_id)
{
	const struct madt_lapic small = {
		.type = 0,
		.length = sizeof(small),
		.uid = uid,
		.apic_id = apic_id,
		.flags = LAPIC_ENABLED,
	};
	const struct madt_x2apic large = {
		.type = 9,
		.length = sizeof(large),
		.apic_id = apic_id,
		.flags = LAPIC_ENABLED,
		.uid = uid,
	};

	if (apic_id <= MAX_LAPIC_ID && uid <= MAX_LAPIC_ID)
		g_byte_array_append(to, (uint8_t *)&small, sizeof(small));
	else
		g_byte_array_append(to, (uint8_t *)&large, sizeof(large));
}

static GByteArray *madt_build(const struct acpi_opts *o)
{
	GByteArray *to = table_new("APIC", 5);
	const uint32_t lapic_and_flags[] = { LAYOUT_LAPIC, 0 }; /* flags: no 8259s */
	const struct madt_ioapic ioapic = {
		.type = 1,
		.length = sizeof(ioapic),
		.address = LAYOUT_IOAPIC,
	};
	const struct madt_nmi nmi = { .type = 4, .length = sizeof(nmi), .uid = 0xff, .lint = 1 };

	g_byte_array_append(to, (uint8_t *)lapic_and_flags, sizeof(lapic_and_flags));
	for (unsigned i = 0; i < o->n_vcpus; i++)
		madt_cpu(to, i, o->apic_ids[i]);
	g_byte_array_append(to, (uint8_t *)&ioapic, sizeof(ioapic));
	g_byte_array_append(to, (uint8_t *)&nmi, sizeof(nmi));
	return to;
}

static void rsdp_fill(struct rsdp *r, uint64_t xsdt)
{
	*r = (struct rsdp){ .revision = 2, .length = sizeof(*r), .xsdt = xsdt };
	memcpy(r->signature, "RSD PTR ", sizeof(r->signature));
	memcpy(r->oem_id, "LIBVMM", sizeof(r->oem_id));
	r->checksum = checksum((uint8_t *)r, 20);
	r->extended_checksum = checksum((uint8_t *)r, sizeof(*r));
}

GByteArray *acpi_build(const struct acpi_opts *o, uint64_t gpa, GError **error)
{
	GByteArray *all = g_byte_array_new(), *xsdt;
	uint64_t pointers[2];

	if (o->n_serial > 4 || o->n_virtio > 256 || !o->n_vcpus) {
		g_byte_array_unref(all);
		error_set(error, VMM_ERR_INTERNAL,
			  "ACPI tables for %u vCPUs, %u serial ports, %u devices", o->n_vcpus,
			  o->n_serial, o->n_virtio);
		return NULL;
	}
	g_byte_array_set_size(all, sizeof(struct rsdp));
	pointers[0] = table_add(all, gpa, dsdt_build(o));
	pointers[0] = table_add(all, gpa, fadt_build(o, pointers[0]));
	pointers[1] = table_add(all, gpa, madt_build(o));
	xsdt = table_new("XSDT", 1);
	g_byte_array_append(xsdt, (uint8_t *)pointers, sizeof(pointers));
	rsdp_fill((struct rsdp *)all->data, 0);
	pointers[0] = table_add(all, gpa, xsdt);
	rsdp_fill((struct rsdp *)all->data, pointers[0]);
	return all;
}

bool acpi_write(struct guest_memory *mem, const struct acpi_opts *opts, uint64_t *ret_rsdp_gpa,
		GError **error)
{
	g_autoptr(GByteArray) all = acpi_build(opts, LAYOUT_ACPI, error);
	void *to;

	if (!all)
		return false;
	to = guest_ptr(mem, LAYOUT_ACPI, all->len);
	if (!to || all->len > LAYOUT_GENERATION - LAYOUT_ACPI)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "the ACPI tables of this machine do not fit: %u bytes", all->len);
	memcpy(to, all->data, all->len);
	*ret_rsdp_gpa = LAYOUT_ACPI;
	return true;
}
