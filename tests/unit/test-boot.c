/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels, real in form, put into guest memory; and files that are no kernels. */
#include "config.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/machine/boot.h"
#include "libvmm/machine/layout.h"
#include "libvmm/util/cleanup.h"

#define MIB	    (UINT64_C(1) << 20)
#define GIB	    (UINT64_C(1) << 30)
#define SETUP_BYTES 1024u /* one boot sector, one setup sector */
#define CODE_BYTES  65536u

static struct guest_memory *memory_of(uint64_t bytes)
{
	struct guest_memory_opts opts = { .bytes = bytes, .name = "test" };
	struct guest_memory *mem = guest_memory_new(&opts, NULL);

	g_assert_nonnull(mem);
	return mem;
}

static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(write(fd, data, len), ==, (ssize_t)len);
	return fd;
}

/* A bzImage in form: header, then code whose bytes are 0x90, the first at the entry 0xcc. */
struct image {
	uint8_t bytes[SETUP_BYTES + CODE_BYTES];
};

static struct setup_header *header_of(struct image *image)
{
	return (struct setup_header *)(image->bytes + 0x1f1);
}

static struct image *image_new(void)
{
	struct image *image = g_new0(struct image, 1);
	struct setup_header *h = header_of(image);

	memset(image->bytes + SETUP_BYTES, 0x90, CODE_BYTES);
	image->bytes[SETUP_BYTES + 0x200] = 0xcc;
	*h = (struct setup_header){
		.setup_sects = 1,
		.syssize = CODE_BYTES / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.cmdline_size = 2047,
		.pref_address = 0x1000000,
		.init_size = 0x2000000,
	};
	return image;
}

static bool load(struct guest_memory *mem, const struct image *image, const char *initrd,
		 const char *cmdline, struct boot_result *ret, GError **error)
{
	auto_close int kernel_fd = file_of(image, sizeof(*image));
	auto_close int initrd_fd = initrd ? file_of(initrd, strlen(initrd)) : -1;
	struct boot_opts opts = {
		.kernel_fd = kernel_fd,
		.kernel_name = "vmlinuz",
		.initrd_fd = initrd_fd,
		.initrd_name = "rd.img",
		.cmdline = cmdline,
		.rsdp_gpa = LAYOUT_ACPI,
	};

	return boot_load(mem, &opts, ret, error);
}

static void a_bzimage_goes_where_its_header_prefers(void)
{
	g_autoptr(guest_memory) mem = memory_of(128 * MIB);
	g_autofree struct image *image = image_new();
	g_autoptr(GError) error = NULL;
	struct boot_params *zero = guest_ptr(mem, LAYOUT_BOOT_PARAMS, 4096);
	struct boot_result r;

	load(mem, image, "initrd bytes", "console=ttyS0", &r, &error);
	g_assert_no_error(error);
	g_assert_cmpint(r.protocol, ==, BOOT_LINUX64);
	g_assert_cmphex(r.entry.rip, ==, 0x1000200);
	g_assert_cmphex(r.entry.arg, ==, LAYOUT_BOOT_PARAMS);
	g_assert_cmphex(*(uint8_t *)guest_ptr(mem, 0x1000200, 1), ==, 0xcc);
	g_assert_cmphex(r.initrd_gpa, ==, 128 * MIB - 4096);
	g_assert_cmpmem(guest_ptr(mem, r.initrd_gpa, 12), 12, "initrd bytes", 12);
	g_assert_cmphex(zero->hdr.ramdisk_image, ==, r.initrd_gpa);
	g_assert_cmpuint(zero->hdr.ramdisk_size, ==, 12);
	g_assert_cmphex(zero->hdr.type_of_loader, ==, 0xff);
	g_assert_cmphex(zero->acpi_rsdp_addr, ==, LAYOUT_ACPI);
	g_assert_cmpstr(guest_ptr(mem, zero->hdr.cmd_line_ptr, 16), ==, "console=ttyS0");
}

static void e820_tells_ram_from_what_is_taken(void)
{
	static const uint64_t sizes[] = { 128 * MIB, 3 * GIB, 4 * GIB, 6 * GIB };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		g_autoptr(guest_memory) mem = memory_of(sizes[i]);
		g_autofree struct image *image = image_new();
		struct boot_params *zero = guest_ptr(mem, LAYOUT_BOOT_PARAMS, 4096);
		struct boot_result r;
		uint64_t ram = 0, end = 0;

		g_assert_true(load(mem, image, NULL, NULL, &r, NULL));
		for (unsigned k = 0; k < zero->e820_entries; k++) {
			const struct boot_e820_entry *e = &zero->e820_table[k];

			g_assert_cmphex(e->addr, >=, end);
			end = e->addr + e->size;
			if (e->type != 1)
				continue;
			ram += e->size;
			g_assert_nonnull(guest_ptr(mem, e->addr, e->size));
			g_assert_false(e->addr < 0x100000 && end > LAYOUT_EBDA);
		}
		g_assert_cmphex(ram, ==, sizes[i] - (0x100000 - LAYOUT_EBDA));
		g_assert_cmphex(end, ==, sizes[i] <= 3 * GIB ? sizes[i] : sizes[i] + GIB);
	}
}

static void page_tables_map_4_gib_one_to_one(void)
{
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	g_autofree struct image *image = image_new();
	struct boot_result r;

	g_assert_true(load(mem, image, NULL, NULL, &r, NULL));
	for (uint64_t gva = 0; gva < 4 * GIB; gva += 0x3456789) {
		const uint64_t *table = guest_ptr(mem, r.entry.cr3, 4096);
		uint64_t entry = table[gva >> 39];

		table = guest_ptr(mem, entry & ~UINT64_C(0xfff), 4096);
		entry = table[gva >> 30 & 511];
		table = guest_ptr(mem, entry & ~UINT64_C(0xfff), 4096);
		entry = table[gva >> 21 & 511];
		g_assert_cmphex(entry, ==, (gva & ~UINT64_C(0x1fffff)) | 0x83);
	}
}

static void a_small_guest_gets_the_kernel_lower(void)
{
	g_autoptr(guest_memory) mem = memory_of(40 * MIB);
	g_autofree struct image *image = image_new();
	struct boot_result r;

	g_assert_true(load(mem, image, "x", NULL, &r, NULL));
	g_assert_cmphex(r.kernel_gpa, ==, 0x200000);
	g_assert_cmphex(r.initrd_gpa, >=, r.kernel_gpa + r.kernel_bytes);
}

struct agent_case {
	const char *cmdline, *expected, *init;
};

static void the_agent_runs_before_whom_the_command_line_means(void)
{
	static const struct agent_case cases[] = {
		{ "", "rdinit=/.libvmm/agent", "/init" },
		{ "quiet root=/dev/vda", "quiet root=/dev/vda rdinit=/.libvmm/agent", "/init" },
		{ "rdinit=/a x rdinit=/b", "rdinit=/a x rdinit=/b rdinit=/.libvmm/agent", "/b" },
		{ "quiet -- single rdinit=/c", "quiet rdinit=/.libvmm/agent -- single rdinit=/c",
		  "/init" },
		{ "x=\"a -- b\" --", "x=\"a -- b\" rdinit=/.libvmm/agent --", "/init" },
		{ "a--b --c", "a--b --c rdinit=/.libvmm/agent", "/init" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *init = NULL;
		g_autofree char *got = boot_agent_cmdline(cases[i].cmdline, &init);

		g_assert_cmpstr(got, ==, cases[i].expected);
		g_assert_cmpstr(init, ==, cases[i].init);
	}
}

/* What cpio(1) makes of it, which is somebody else's program. */
static char *cpio_says(const void *archive, size_t bytes, const char *script)
{
	g_autofree char *dir = g_dir_make_tmp("boot-XXXXXX", NULL);
	g_autofree char *file = g_build_filename(dir, "archive", NULL);
	g_autofree char *command = g_strdup_printf(
		"cd %s && cpio -i --quiet <archive && %s; rm -rf %s", dir, script, dir);
	const char *argv[] = { "sh", "-c", command, NULL };
	char *said = NULL;

	g_assert_true(g_file_set_contents(file, archive, (gssize)bytes, NULL));
	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
				   &said, NULL, NULL, NULL));
	return said;
}

static void the_agent_stands_behind_the_initrd(void)
{
	g_autofree struct image *image = image_new();
	struct guest_memory *mem = memory_of(128 * MIB);
	auto_close int kernel = file_of(image, sizeof(*image));
	auto_close int initrd = file_of("initrd bytes!", 13);
	g_autofree char *cpio = g_find_program_in_path("cpio");
	const uint8_t *at;

	for (unsigned n = 0; n < 5; n++) {
		auto_close int program = file_of("agent", n);
		const struct boot_agent_opts agent = { program, "/sbin/real", n < 4 ? 0 : 1080 };
		struct boot_opts opts = { .kernel_fd = kernel,
					  .initrd_fd = initrd,
					  .agent = &agent };
		struct boot_result r;
		g_autoptr(GError) error = NULL;

		g_assert_true(boot_load(mem, &opts, &r, &error));
		g_assert_no_error(error);
		at = guest_ptr(mem, r.initrd_gpa, r.initrd_bytes);
		g_assert_cmpmem(at, 16, "initrd bytes!\0\0\0", 16);
		g_assert_cmpuint(r.initrd_bytes % 4, ==, 0);
		if (cpio) {
			g_autofree char *said =
				cpio_says(at + 16, r.initrd_bytes - 16,
					  "readlink .libvmm/init; stat -c %a-%s .libvmm/agent; "
					  "ls -d .libvmm/mnt; cat .libvmm/agent; "
					  "cat .libvmm/outbound 2>/dev/null");
			g_autofree char *expected = g_strdup_printf(
				"/sbin/real\n700-%u\n.libvmm/mnt\n%.*s%s", n, (int)n, "agent",
				n < 4 ? "" : "1080");
			g_assert_cmpstr(said, ==, expected);
		}
		guest_memory_clear(mem);
	}
	guest_memory_free(mem);
}

/* By what a guest's kernel would find: names are there in full. */
static const uint8_t *seed_of(struct guest_memory *mem, const struct boot_result *r)
{
	const char *at = guest_ptr(mem, r->initrd_gpa, r->initrd_bytes);
	const char *name = memmem(at, r->initrd_bytes, ".libvmm/seed", 13);
	char size_text[9] = "";

	g_assert_nonnull(name);
	memcpy(size_text, name - 110 + 54, 8);
	/* A header of 110 bytes and the name end at a multiple of four. */
	g_assert_cmpint(strtol(size_text, NULL, 16), ==, 32);
	return (const uint8_t *)name + 14;
}

static void each_boot_has_its_own_random_bytes(void)
{
	g_autofree struct image *image = image_new();
	g_autoptr(guest_memory) mem = memory_of(128 * MIB);
	auto_close int kernel = file_of(image, sizeof(*image));
	auto_close int initrd = file_of("", 0);
	auto_close int program = file_of("agent", 5);
	const struct boot_agent_opts agent = { program, "/init", 0 };
	struct boot_opts opts = { .kernel_fd = kernel, .initrd_fd = initrd, .agent = &agent };
	uint8_t seeds[2][32], zeroes[32] = { 0 };
	struct boot_result r;

	for (unsigned i = 0; i < 2; i++) {
		g_assert_true(boot_load(mem, &opts, &r, NULL));
		memcpy(seeds[i], seed_of(mem, &r), sizeof(seeds[i]));
		guest_memory_clear(mem);
	}
	g_assert_cmpint(memcmp(seeds[0], seeds[1], 32), !=, 0);
	g_assert_cmpint(memcmp(seeds[0], zeroes, 32), !=, 0);
}

static void the_initrd_obeys_the_kernels_limit(void)
{
	g_autoptr(guest_memory) mem = memory_of(4 * GIB);
	g_autofree struct image *image = image_new();
	struct boot_result r;

	g_assert_true(load(mem, image, "x", NULL, &r, NULL));
	g_assert_cmphex(r.initrd_gpa, ==, 0x80000000 - 4096);
	header_of(image)->initrd_addr_max = 0x37ffffff;
	g_assert_true(load(mem, image, "x", NULL, &r, NULL));
	g_assert_cmphex(r.initrd_gpa, ==, 0x38000000 - 4096);
}

struct refusal {
	const char *what;
	void (*spoil)(struct setup_header *h);
	const char *text;
	uint64_t memory_mib;
};

static void spoil_version(struct setup_header *h)
{
	h->version = 0x206;
}
static void spoil_64(struct setup_header *h)
{
	h->xloadflags = 0;
}
static void spoil_high(struct setup_header *h)
{
	h->loadflags = 0;
}
static void spoil_size(struct setup_header *h)
{
	h->syssize = 0xffffffff;
}
static void spoil_init_size(struct setup_header *h)
{
	h->init_size = 0xffffffff;
}
static void spoil_align(struct setup_header *h)
{
	h->kernel_alignment = 12345;
}
static void spoil_place(struct setup_header *h)
{
	h->relocatable_kernel = 0;
	h->pref_address = UINT64_MAX - 4096;
}
static void spoil_low_place(struct setup_header *h)
{
	h->relocatable_kernel = 0;
	h->pref_address = 0x7000;
}
static void spoil_limit(struct setup_header *h)
{
	h->initrd_addr_max = 0x1000;
}
static void spoil_cmdline(struct setup_header *h)
{
	h->cmdline_size = 3;
}
static void spoil_nothing(struct setup_header *h)
{
}

static void damaged_headers_are_refused_with_the_reason(void)
{
	static const struct refusal cases[] = {
		{ "old", spoil_version, "boot protocol 2.06", 128 },
		{ "32-bit", spoil_64, "32-bit", 128 },
		{ "zImage", spoil_high, "zImage", 128 },
		{ "size", spoil_size, "truncated", 128 },
		{ "init size", spoil_init_size, "give it more", 128 },
		{ "alignment", spoil_align, "kernel_alignment", 128 },
		{ "place", spoil_place, "give it more", 128 },
		{ "low place", spoil_low_place, "give it more", 128 },
		{ "initrd limit", spoil_limit, "initrd", 128 },
		{ "cmdline", spoil_cmdline, "command line has 4 bytes", 128 },
		{ "memory", spoil_nothing, "give it more", 24 },
		{ "no memory", spoil_nothing, "too few", 8 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(guest_memory) mem = memory_of(cases[i].memory_mib * MIB);
		g_autofree struct image *image = image_new();
		g_autoptr(GError) error = NULL;
		struct boot_result r;

		cases[i].spoil(header_of(image));
		g_assert_false(load(mem, image, "x", "abcd", &r, &error));
		if (!strstr(error->message, cases[i].text))
			g_error("%s: '%s' lacks '%s'", cases[i].what, error->message,
				cases[i].text);
	}
}

/* An ELF kernel in form: one segment at 16 MiB, perhaps a PVH note. */
struct elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint64_t entry;
	} note;
	uint8_t code[64];
};

static struct elf elf_of(bool pvh)
{
	struct elf e = {
		.eh = { .e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = 1,
			.e_entry = 0x1000010,
			.e_phoff = offsetof(struct elf, ph),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = pvh ? 2 : 1 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = offsetof(struct elf, code),
			  .p_vaddr = 0xffffffff81000000,
			  .p_paddr = 0x1000000,
			  .p_filesz = sizeof(e.code),
			  .p_memsz = MIB },
			{ .p_type = PT_NOTE,
			  .p_offset = offsetof(struct elf, note),
			  .p_filesz = sizeof(e.note) } },
		.note = { { 4, 8, 18 }, "Xen", 0x1000020 },
	};

	memcpy(e.eh.e_ident, ELFMAG, SELFMAG);
	e.eh.e_ident[EI_CLASS] = ELFCLASS64;
	e.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	memset(e.code, 0xf4, sizeof(e.code));
	return e;
}

static bool load_bytes(struct guest_memory *mem, const void *data, size_t len,
		       struct boot_result *ret, GError **error)
{
	auto_close int fd = file_of(data, len);
	auto_close int initrd = file_of("initrd", 6);
	struct boot_opts opts = {
		.kernel_fd = fd, .kernel_name = "k", .initrd_fd = initrd, .cmdline = "a b"
	};

	return boot_load(mem, &opts, ret, error);
}

static void an_elf_with_a_pvh_note_starts_there(void)
{
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	struct elf e = elf_of(true);
	g_autoptr(GError) error = NULL;
	const uint32_t *info = guest_ptr(mem, LAYOUT_PVH_INFO, 56);
	const uint64_t *module;
	struct boot_result r;

	load_bytes(mem, &e, sizeof(e), &r, &error);
	g_assert_no_error(error);
	g_assert_cmpint(r.protocol, ==, BOOT_PVH);
	g_assert_cmpint(r.entry.mode, ==, CPU_ENTRY_PVH);
	g_assert_cmphex(r.entry.rip, ==, 0x1000020);
	g_assert_cmphex(r.entry.arg, ==, LAYOUT_PVH_INFO);
	g_assert_cmphex(info[0], ==, 0x336ec578);
	g_assert_cmpuint(info[3], ==, 1);
	module = guest_ptr(mem, *(uint64_t *)(info + 4), 32);
	g_assert_cmpmem(guest_ptr(mem, module[0], module[1]), module[1], "initrd", 6);
	g_assert_cmpstr(guest_ptr(mem, *(uint64_t *)(info + 6), 4), ==, "a b");
	g_assert_cmphex(*(uint8_t *)guest_ptr(mem, 0x1000000, 1), ==, 0xf4);
}

static void an_elf_without_one_starts_at_its_64_bit_entry(void)
{
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	struct elf e = elf_of(false);
	struct boot_params *zero = guest_ptr(mem, LAYOUT_BOOT_PARAMS, 4096);
	struct boot_result r;

	g_assert_true(load_bytes(mem, &e, sizeof(e), &r, NULL));
	g_assert_cmpint(r.protocol, ==, BOOT_ELF64);
	g_assert_cmpint(r.entry.mode, ==, CPU_ENTRY_LONG);
	g_assert_cmphex(r.entry.rip, ==, 0x1000010);
	g_assert_cmphex(zero->hdr.header, ==, 0x53726448);
	g_assert_cmpuint(zero->hdr.ramdisk_size, ==, 6);
}

static void impossible_elf_files_are_refused(void)
{
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	struct elf good = elf_of(true), cases[9];
	struct boot_result r;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		cases[i] = good;
	cases[0].eh.e_phnum = 0xffff;
	cases[1].eh.e_phoff = UINT64_MAX - 8;
	cases[2].ph[0].p_paddr = UINT64_MAX - 100;
	cases[3].ph[0].p_memsz = UINT64_MAX;
	cases[4].ph[0].p_filesz = MIB + 1;
	cases[5].ph[0].p_offset = UINT64_MAX - 3;
	cases[6].ph[0].p_paddr = 0x7000;
	cases[7].note.entry = 0xdead0000;
	cases[8].ph[1].p_offset = 1u << 30;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(load_bytes(mem, &cases[i], sizeof(cases[i]), &r, &error));
		g_assert_nonnull(error);
	}
	g_assert_true(load_bytes(mem, &good, sizeof(good), &r, NULL));
}

static void what_is_no_kernel_is_named(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{ "", 0, "an empty file" },
		{ "root:x:0:0\n", 11, "text" },
		{ "#!/bin/sh\n", 10, "a script" },
		{ "QFI\xfb\0\0\0\3", 8, "qcow2" },
		{ "070701000000", 12, "cpio" },
		{ "\x1f\x8b\x08\0\0\0", 6, "gzip" },
		{ "\x28\xb5\x2f\xfd\0", 5, "zstd" },
		{ "!<arch>\ndebian-binary", 21, "Debian package" },
		{ "\0\0\0\0\0\0", 6, "zeroes" },
		{ "\x7f"
		  "ELF\x01\x01",
		  6, "32-bit ELF" },
		{ "\x01\x02\xfe\x03", 4, "unknown" },
	};
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	struct boot_result r;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(load_bytes(mem, cases[i].bytes, cases[i].len, &r, &error));
		if (!strstr(error->message, cases[i].text))
			g_error("'%s' lacks '%s'", error->message, cases[i].text);
	}
}

static void programs_and_folders_are_no_kernels(void)
{
	auto_close int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	auto_close int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	g_autoptr(GError) e1 = NULL, e2 = NULL;
	struct boot_opts opts = { .kernel_fd = self, .kernel_name = "self", .initrd_fd = -1 };
	struct boot_result r;

	g_assert_false(boot_load(mem, &opts, &r, &e1));
	g_assert_nonnull(strstr(e1->message, "shared library or program"));
	opts.kernel_fd = dir;
	g_assert_false(boot_load(mem, &opts, &r, &e2));
	g_assert_nonnull(strstr(e2->message, "not a regular file"));
}

/* By the program itself, as Linux's build does; size appended.  NULL: no such program here. */
static GByteArray *pack(const char *command, const struct elf *e, bool append_size)
{
	g_auto(GStrv) words = g_strsplit(command, " ", -1);
	g_autofree char *program = g_find_program_in_path(words[0]);
	g_autoptr(GSubprocess) child = NULL;
	g_autoptr(GBytes) in = g_bytes_new(e, sizeof(*e)), out = NULL;
	const uint32_t size = sizeof(*e);
	GByteArray *packed;

	if (!program)
		return NULL;
	child = g_subprocess_newv((const char *const *)words,
				  G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE,
				  NULL);
	g_assert_true(g_subprocess_communicate(child, in, NULL, &out, NULL, NULL));
	packed = g_bytes_unref_to_array(g_steal_pointer(&out));
	if (append_size)
		g_byte_array_append(packed, (const uint8_t *)&size, sizeof(size));
	return packed;
}

static bool load_packed(struct guest_memory *mem, const GByteArray *packed, struct boot_result *r,
			GError **error)
{
	g_autofree struct image *image = image_new();
	auto_close int fd = -1;
	struct boot_opts opts = { .kernel_name = "vmlinuz", .initrd_fd = -1, .unpack = true };

	g_assert_cmpuint(packed->len, <, CODE_BYTES - 0x400);
	header_of(image)->payload_offset = 0x400;
	header_of(image)->payload_length = packed->len;
	memcpy(image->bytes + SETUP_BYTES + 0x400, packed->data, packed->len);
	opts.kernel_fd = fd = file_of(image, sizeof(*image));
	return boot_load(mem, &opts, r, error);
}

static void a_payload_packed_by_each_program_is_unpacked(void)
{
	static const struct {
		const char *command;
		bool append_size;
	} cases[] = {
		{ "gzip -n -9", false },
		{ "xz --check=crc32 --x86 --lzma2=dict=32MiB", true },
		{ "lz4 -l -c", true },
		{ "zstd -22 --ultra -c", true },
	};
	struct elf e = elf_of(true);

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(guest_memory) mem = memory_of(64 * MIB);
		g_autoptr(GByteArray) packed = pack(cases[i].command, &e, cases[i].append_size);
		g_autoptr(GError) error = NULL;
		struct boot_result r;

		if (!packed) {
			g_test_message("no '%s' here", cases[i].command);
			continue;
		}
		load_packed(mem, packed, &r, &error);
		g_assert_no_error(error);
		g_assert_cmpint(r.protocol, ==, BOOT_PVH);
		g_assert_cmphex(*(uint8_t *)guest_ptr(mem, 0x1000000, 1), ==, 0xf4);
	}
}

static void damaged_payloads_are_refused(void)
{
	struct elf e = elf_of(true);
	g_autoptr(GByteArray) packed = pack("gzip -n -9", &e, false);
	g_autoptr(guest_memory) mem = memory_of(64 * MIB);
	struct boot_result r;

	if (!packed) {
		g_test_skip("no gzip");
		return;
	}
	for (unsigned at = 0; at < packed->len; at++) {
		g_autoptr(GByteArray) bad = g_byte_array_new();

		g_byte_array_append(bad, packed->data, packed->len);
		bad->data[at] ^= 0xff;
		load_packed(mem, bad, &r, NULL); /* refused or, where the bit is nobody's, loaded */
	}
	memset(packed->data + 20, 0, packed->len - 24);
	g_assert_false(load_packed(mem, packed, &r, NULL));
	packed->data[0] = 'B', packed->data[1] = 'Z', packed->data[2] = 'h';
	g_assert_false(load_packed(mem, packed, &r, NULL));
	g_byte_array_set_size(packed, 4);
	g_assert_false(load_packed(mem, packed, &r, NULL));
}

#define ADD(name) g_test_add_func("/boot/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(a_bzimage_goes_where_its_header_prefers);
	ADD(e820_tells_ram_from_what_is_taken);
	ADD(page_tables_map_4_gib_one_to_one);
	ADD(a_small_guest_gets_the_kernel_lower);
	ADD(the_initrd_obeys_the_kernels_limit);
	ADD(the_agent_runs_before_whom_the_command_line_means);
	ADD(the_agent_stands_behind_the_initrd);
	ADD(each_boot_has_its_own_random_bytes);
	ADD(damaged_headers_are_refused_with_the_reason);
	ADD(an_elf_with_a_pvh_note_starts_there);
	ADD(an_elf_without_one_starts_at_its_64_bit_entry);
	ADD(impossible_elf_files_are_refused);
	ADD(what_is_no_kernel_is_named);
	ADD(programs_and_folders_are_no_kernels);
	ADD(a_payload_packed_by_each_program_is_unpacked);
	ADD(damaged_payloads_are_refused);
	return g_test_run();
}
