/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ELF vmlinux: by its PVH note (the ABI for entering a kernel with no
 * decompressor before it: 32-bit, paging off, ebx at hvm_start_info), else at
 * its 64-bit entry with a zero page.  Segments go to their physical addresses;
 * KASLR is the decompressor's work and does not happen.
 */
#include "config.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "libvmm/machine/boot-priv.h"
#include "libvmm/machine/layout.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MAX_SEGMENTS	  128
#define MAX_NOTE_BYTES	  65536u
#define NOTE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

#define PVH_MAGIC	  0x336ec578

struct pvh_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules_gpa, cmdline_gpa, rsdp_gpa, memmap_gpa;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t gpa, bytes, cmdline_gpa, reserved;
};

struct pvh_range {
	uint64_t gpa, bytes;
	uint32_t type, reserved;
};

struct pvh_page {
	struct pvh_info info;
	struct pvh_module initrd;
	struct pvh_range memmap[BOOT_MEMMAP_MAX];
};

static_assert(sizeof(struct pvh_info) == 56, "the layout is a specification's");
static_assert(sizeof(struct pvh_module) == 32, "the layout is a specification's");
static_assert(sizeof(struct pvh_range) == 24, "the layout is a specification's");
static_assert(LAYOUT_PVH_INFO + sizeof(struct pvh_page) <= LAYOUT_BOOT_PARAMS,
	      "the layout is a specification's");

struct elf {
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_SEGMENTS];
	bool program;	    /* has what only a program has */
	uint64_t pvh_entry; /* 0: no note */
};

bool boot_is_elf(const struct boot_file *f)
{
	uint8_t ident[EI_NIDENT];

	return boot_file_read(f, 0, ident, sizeof(ident), NULL) &&
	       memcmp(ident, ELFMAG, SELFMAG) == 0;
}

static bool refuse(const struct boot_file *f, const char *what, GError **error)
{
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "'%s' is not a kernel that this machine can boot: it is %s; a bzImage "
			 "(vmlinuz) or an "
			 "x86-64 ELF vmlinux is needed",
			 f->name, what);
}

static uint64_t note_align(uint64_t n)
{
	return (n + 3) & ~UINT64_C(3);
}

/* Notes follow each other to the end of the segment; sizes are the file's word. */
static uint64_t note_find_entry(const uint8_t *notes, uint64_t len)
{
	uint64_t at = 0;

	while (at < len && len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		uint64_t name_at, desc_at, entry = 0;

		memcpy(&n, notes + at, sizeof(n));
		name_at = at + sizeof(n);
		desc_at = name_at + note_align(n.n_namesz);
		if (desc_at > len || n.n_descsz > len - desc_at)
			return 0;
		if (n.n_type == NOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
		    memcmp(notes + name_at, "Xen", 4) == 0 &&
		    (n.n_descsz == 4 || n.n_descsz == 8)) {
			memcpy(&entry, notes + desc_at, n.n_descsz);
			return entry;
		}
		at = desc_at + note_align(n.n_descsz);
	}
	return 0;
}

static bool note_read(const struct boot_file *f, struct elf *elf, const Elf64_Phdr *ph,
		      GError **error)
{
	g_autofree uint8_t *notes = NULL;
	uint64_t len = MIN(ph->p_filesz, MAX_NOTE_BYTES);

	if (elf->pvh_entry || !len)
		return true;
	notes = g_malloc(len);
	if (!boot_file_read(f, ph->p_offset, notes, len, error))
		return false;
	elf->pvh_entry = note_find_entry(notes, len);
	return true;
}

static bool elf_read(const struct boot_file *f, struct elf *elf, GError **error)
{
	Elf64_Ehdr *eh = &elf->header;

	if (f->size < sizeof(*eh))
		return refuse(f, "a truncated ELF file", error);
	if (!boot_file_read(f, 0, eh, sizeof(*eh), error))
		return false;
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64 ||
	    (eh->e_type != ET_EXEC && eh->e_type != ET_DYN))
		return refuse(f, boot_describe((uint8_t *)eh, sizeof(*eh), f->size), error);
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > MAX_SEGMENTS)
		return refuse(f, "an ELF file with a damaged program header table", error);
	if (!boot_file_read(f, eh->e_phoff, elf->segments, eh->e_phnum * sizeof(Elf64_Phdr), error))
		return false;
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		const Elf64_Phdr *ph = &elf->segments[i];

		if (ph->p_type == PT_NOTE && !note_read(f, elf, ph, error))
			return false;
		elf->program |= ph->p_type == PT_INTERP || ph->p_type == PT_TLS ||
				ph->p_type == PT_DYNAMIC || ph->p_type == PT_GNU_STACK;
	}
	if (!elf->pvh_entry && (elf->program || eh->e_type == ET_DYN))
		return refuse(f, boot_describe((uint8_t *)eh, sizeof(*eh), f->size), error);
	return true;
}

static bool segment_load(struct boot_load *l, const Elf64_Phdr *ph, GError **error)
{
	uint64_t end = boot_low_end(l->mem);

	if (ph->p_filesz > ph->p_memsz || ph->p_paddr < LAYOUT_KERNEL_MIN || ph->p_paddr > end ||
	    ph->p_memsz > end - ph->p_paddr)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' wants %" PRIu64 " KiB of memory at 0x%" PRIx64
				 "; the guest's reaches from "
				 "0x%x to 0x%" PRIx64,
				 l->kernel.name, (uint64_t)ph->p_memsz >> 10, (uint64_t)ph->p_paddr,
				 LAYOUT_KERNEL_MIN, end);
	if (!l->ret.kernel_bytes || ph->p_paddr < l->ret.kernel_gpa) {
		if (l->ret.kernel_bytes)
			l->ret.kernel_bytes += l->ret.kernel_gpa - ph->p_paddr;
		l->ret.kernel_gpa = ph->p_paddr;
	}
	l->ret.kernel_bytes =
		MAX(l->ret.kernel_bytes, ph->p_paddr + ph->p_memsz - l->ret.kernel_gpa);
	return boot_file_place(l, &l->kernel, ph->p_offset, ph->p_paddr, ph->p_filesz, error);
}

static bool segments_load(struct boot_load *l, const struct elf *elf, uint64_t entry,
			  GError **error)
{
	bool entry_inside = false;

	for (unsigned i = 0; i < elf->header.e_phnum; i++) {
		const Elf64_Phdr *ph = &elf->segments[i];

		if (ph->p_type != PT_LOAD || !ph->p_memsz)
			continue;
		if (!segment_load(l, ph, error))
			return false;
		entry_inside |= entry >= ph->p_paddr && entry - ph->p_paddr < ph->p_filesz;
	}
	if (!entry_inside)
		return refuse(&l->kernel, "an ELF file whose entry is outside its segments", error);
	return true;
}

static bool pvh_put(struct boot_load *l, uint64_t entry, GError **error)
{
	struct pvh_page *page = guest_ptr(l->mem, LAYOUT_PVH_INFO, sizeof(*page));
	uint64_t *gdt = guest_ptr(l->mem, LAYOUT_GDT, CPU_GDT_ENTRIES * sizeof(*gdt));
	struct boot_range map[BOOT_MEMMAP_MAX];
	unsigned n = boot_memmap(l->mem, map);

	if (!page || !gdt)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "no memory for the start info");
	page->info = (struct pvh_info){
		.magic = PVH_MAGIC,
		.version = 1,
		.cmdline_gpa = LAYOUT_CMDLINE,
		.rsdp_gpa = l->opts->rsdp_gpa,
		.memmap_entries = n,
		.memmap_gpa = LAYOUT_PVH_INFO + offsetof(struct pvh_page, memmap),
	};
	if (l->ret.initrd_bytes) {
		page->info.nr_modules = 1;
		page->info.modules_gpa = LAYOUT_PVH_INFO + offsetof(struct pvh_page, initrd);
		page->initrd = (struct pvh_module){ .gpa = l->ret.initrd_gpa,
						    .bytes = l->ret.initrd_bytes };
	}
	for (unsigned i = 0; i < n; i++)
		page->memmap[i] = (struct pvh_range){ map[i].gpa, map[i].bytes, map[i].type, 0 };
	l->ret.protocol = BOOT_PVH;
	l->ret.entry = (struct cpu_entry){
		.mode = CPU_ENTRY_PVH,
		.rip = entry,
		.arg = LAYOUT_PVH_INFO,
		.gdt_gpa = LAYOUT_GDT,
		.stack = LAYOUT_STACK,
	};
	cpu_entry_gdt(&l->ret.entry, gdt);
	return true;
}

/* What a header would have said, for a kernel that came without its bzImage. */
static bool entry64_put(struct boot_load *l, uint64_t entry, GError **error)
{
	const struct setup_header hdr = {
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.kernel_alignment = 0x200000,
		.cmdline_size = LAYOUT_CMDLINE_BYTES - 1,
		.initrd_addr_max = 0x7fffffff,
	};

	l->ret.protocol = BOOT_ELF64;
	return boot_put_zero_page(l, &hdr, entry, error);
}

bool boot_elf(struct boot_load *l, GError **error)
{
	g_autofree struct elf *elf = g_new0(struct elf, 1);
	uint64_t entry;

	if (!elf_read(&l->kernel, elf, error))
		return false;
	entry = elf->pvh_entry ? elf->pvh_entry : elf->header.e_entry;
	if (!segments_load(l, elf, entry, error) || !boot_put_cmdline(l, UINT64_MAX, error) ||
	    !boot_put_initrd(l, UINT64_C(0x80000000), error))
		return false;
	return elf->pvh_entry ? pvh_put(l, entry, error) : entry64_put(l, entry, error);
}
