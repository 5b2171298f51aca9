/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst).
 *
 * The file is setup sectors, which we only read the header of, and the
 * protected-mode kernel, which goes where its header prefers.  From there the
 * kernel needs init_size bytes to unpack itself; the initrd keeps clear of
 * them.  It is entered 0x200 bytes in, in long mode, with the first 4 GiB
 * mapped one to one and rsi at the zero page.
 */
#include "config.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "libvmm/machine/boot-priv.h"
#include "libvmm/machine/layout.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define HDR_OFF		 0x1f1
#define HDR_MAGIC	 0x53726448 /* "HdrS" */
#define BOOT_FLAG	 0xaa55
#define VERSION_NEEDED	 0x20c
#define ENTRY_64	 0x200
#define LOADER_UNDEFINED 0xff
#define MAX_PAYLOAD	 (256u << 20)

#define PAGE_BYTES	 4096u
#define PTE_TABLE	 0x003u /* present, writable */
#define PTE_HUGE	 0x083u /* and a page of 2 MiB */

static_assert(sizeof(struct boot_params) == PAGE_BYTES, "the layout is a specification's");
static_assert(offsetof(struct boot_params, hdr) == HDR_OFF, "the layout is a specification's");
static_assert(offsetof(struct setup_header, header) == 0x202 - HDR_OFF,
	      "the layout is a specification's");

bool boot_is_bzimage(const struct boot_file *f)
{
	struct setup_header hdr;

	return boot_file_read(f, HDR_OFF, &hdr, sizeof(hdr), NULL) && hdr.boot_flag == BOOT_FLAG &&
	       hdr.header == HDR_MAGIC;
}

/* As much of the header as this kernel has: it ends where its jump instruction points. */
static bool header_read(const struct boot_file *f, struct setup_header *ret, GError **error)
{
	struct setup_header hdr = { 0 };
	uint8_t jump[2];
	size_t len;

	if (!boot_file_read(f, 0x200, jump, sizeof(jump), error))
		return false;
	len = 0x202 + jump[1] - HDR_OFF;
	if (!boot_file_read(f, HDR_OFF, &hdr, MIN(len, sizeof(hdr)), error))
		return false;
	if (hdr.version < VERSION_NEEDED || !(hdr.xloadflags & XLF_KERNEL_64))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' is a Linux kernel without a 64-bit entry (boot protocol "
				 "%u.%02u%s): a 64-bit "
				 "kernel 3.8 or later is needed",
				 f->name, hdr.version >> 8, hdr.version & 0xff,
				 hdr.version >= VERSION_NEEDED ? ", 32-bit" : "");
	if (!(hdr.loadflags & LOADED_HIGH))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' is a zImage, which loads low: a bzImage is needed", f->name);
	*ret = hdr;
	return true;
}

static uint64_t code_offset(const struct setup_header *hdr)
{
	return ((hdr->setup_sects ? hdr->setup_sects : 4) + 1) * UINT64_C(512);
}

/* Where the protected-mode kernel goes: where it likes best, or the first place that is allowed. */
static bool place_find(struct boot_load *l, const struct setup_header *hdr, uint64_t code_bytes,
		       GError **error)
{
	uint64_t need = MAX((uint64_t)hdr->init_size, code_bytes);
	uint64_t end = boot_low_end(l->mem), align = hdr->kernel_alignment;
	uint64_t gpa = hdr->pref_address;

	if (!align || align & (align - 1) || align > (UINT64_C(1) << 30))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' is damaged: kernel_alignment is 0x%" PRIx64, l->kernel.name,
				 align);
	if (hdr->relocatable_kernel && (gpa < LAYOUT_KERNEL_MIN || gpa > end || need > end - gpa))
		gpa = (LAYOUT_KERNEL_MIN + align - 1) & ~(align - 1);
	if (gpa < LAYOUT_KERNEL_MIN || gpa > end || need > end - gpa)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' needs %" PRIu64 " MiB of memory at %" PRIu64
				 " MiB to start, the guest has %" PRIu64 " MiB: give it more",
				 l->kernel.name, (need >> 20) + 1, gpa >> 20,
				 guest_memory_bytes(l->mem) >> 20);
	l->ret.kernel_gpa = gpa;
	l->ret.kernel_bytes = need;
	return true;
}

static void page_tables_put(struct guest_memory *mem)
{
	uint64_t *t = guest_ptr(mem, LAYOUT_PAGE_TABLES, 6 * PAGE_BYTES);
	const unsigned n = PAGE_BYTES / sizeof(*t);

	t[0] = (LAYOUT_PAGE_TABLES + PAGE_BYTES) | PTE_TABLE;
	for (unsigned i = 0; i < 4; i++)
		t[n + i] = (LAYOUT_PAGE_TABLES + (2 + i) * PAGE_BYTES) | PTE_TABLE;
	for (uint64_t i = 0; i < 4 * n; i++)
		t[2 * n + i] = i << 21 | PTE_HUGE;
}

static void e820_put(const struct guest_memory *mem, struct boot_params *zero)
{
	struct boot_range map[BOOT_MEMMAP_MAX];
	unsigned n = boot_memmap(mem, map);

	for (unsigned i = 0; i < n; i++)
		zero->e820_table[i] = (struct boot_e820_entry){
			.addr = map[i].gpa,
			.size = map[i].bytes,
			.type = map[i].type,
		};
	zero->e820_entries = n;
}

bool boot_put_zero_page(struct boot_load *l, const struct setup_header *hdr, uint64_t rip,
			GError **error)
{
	struct boot_params *zero = guest_ptr(l->mem, LAYOUT_BOOT_PARAMS, sizeof(*zero));
	uint64_t *gdt = guest_ptr(l->mem, LAYOUT_GDT, CPU_GDT_ENTRIES * sizeof(*gdt));

	if (!zero || !gdt)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "no memory for the zero page");
	zero->hdr = *hdr;
	zero->hdr.type_of_loader = LOADER_UNDEFINED;
	zero->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	zero->hdr.ramdisk_image = l->ret.initrd_gpa;
	zero->hdr.ramdisk_size = l->ret.initrd_bytes;
	zero->hdr.setup_data = 0;
	zero->acpi_rsdp_addr = l->opts->rsdp_gpa;
	e820_put(l->mem, zero);
	page_tables_put(l->mem);
	l->ret.entry = (struct cpu_entry){
		.mode = CPU_ENTRY_LONG,
		.rip = rip,
		.arg = LAYOUT_BOOT_PARAMS,
		.gdt_gpa = LAYOUT_GDT,
		.cr3 = LAYOUT_PAGE_TABLES,
		.stack = LAYOUT_STACK,
	};
	cpu_entry_gdt(&l->ret.entry, gdt);
	return true;
}

/* The payload instead of the kernel that would unpack it. */
static bool boot_payload(struct boot_load *l, const struct setup_header *hdr, GError **error)
{
	uint64_t off = code_offset(hdr) + hdr->payload_offset;
	g_autofree uint8_t *packed = NULL, *bytes = NULL;
	struct boot_load inner = *l;
	size_t len;

	if (hdr->payload_length < 8 || hdr->payload_length > MAX_PAYLOAD)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' cannot be unpacked: its header gives a payload of %u bytes",
				 l->kernel.name, hdr->payload_length);
	/* The length is the file's word: it is checked before it is allocated. */
	if (off > l->kernel.size || hdr->payload_length > l->kernel.size - off)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "'%s' is truncated",
				 l->kernel.name);
	packed = g_malloc(hdr->payload_length);
	if (!boot_file_read(&l->kernel, off, packed, hdr->payload_length, error))
		return false;
	bytes = unpack_kernel(packed, hdr->payload_length, &len, error);
	if (!bytes) {
		g_prefix_error(error, "'%s' cannot be unpacked: ", l->kernel.name);
		return false;
	}
	inner.kernel =
		(struct boot_file){ .fd = -1, .bytes = bytes, .size = len, .name = l->kernel.name };
	if (!boot_is_elf(&inner.kernel))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' does not hold an ELF kernel", l->kernel.name);
	if (!boot_elf(&inner, error))
		return false;
	l->ret = inner.ret;
	return true;
}

bool boot_bzimage(struct boot_load *l, GError **error)
{
	struct setup_header hdr;
	uint64_t off, code_bytes;

	if (!header_read(&l->kernel, &hdr, error))
		return false;
	if (l->opts->unpack)
		return boot_payload(l, &hdr, error);
	off = code_offset(&hdr);
	/* syssize counts what must be there; what follows (a signature) is not for memory. */
	code_bytes = (uint64_t)hdr.syssize * 16;
	if (off > l->kernel.size || code_bytes < ENTRY_64 + 16 || code_bytes > l->kernel.size - off)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' is truncated: %" PRIu64 " bytes, its header says %" PRIu64,
				 l->kernel.name, l->kernel.size, off + code_bytes);
	l->ret.protocol = BOOT_LINUX64;
	return place_find(l, &hdr, code_bytes, error) &&
	       boot_file_place(l, &l->kernel, off, l->ret.kernel_gpa, code_bytes, error) &&
	       boot_put_cmdline(l, hdr.cmdline_size, error) &&
	       boot_put_initrd(l, (uint64_t)hdr.initrd_addr_max + 1, error) &&
	       boot_put_zero_page(l, &hdr, l->ret.kernel_gpa + ENTRY_64, error);
}
