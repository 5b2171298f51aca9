/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernel, initrd and command line into guest memory.
 *
 * Memory is all zeroes when a load begins (new, or cleared), so that what a
 * file does not fill needs no writing.  A file is read by offset and length,
 * never mapped: one that shrinks meanwhile gives an error, not a signal.
 */
#include "config.h"
#include "libvmm/machine/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "libvmm/machine/boot-priv.h"
#include "libvmm/machine/layout.h"
#include "libvmm/util/error.h"

#define MAX_FILE_BYTES (UINT64_C(4) << 30)
#define PAGE_MASK      UINT64_C(0xfff)

bool boot_file_read(const struct boot_file *f, uint64_t off, void *to, uint64_t len, GError **error)
{
	uint8_t *p = to;

	if (off > f->size || len > f->size - off)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' is truncated: %" PRIu64 " bytes at %" PRIu64 " are missing",
				 f->name, len, off);
	if (f->fd < 0) {
		memcpy(to, f->bytes + off, len);
		return true;
	}
	while (len) {
		ssize_t n = pread(f->fd, p, MIN(len, UINT64_C(1) << 30), off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno, "cannot read '%s'", f->name);
		if (n == 0)
			return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
					 "'%s' has been truncated", f->name);
		p += n;
		off += n;
		len -= n;
	}
	return true;
}

bool boot_file_place(const struct boot_load *l, const struct boot_file *f, uint64_t off,
		     uint64_t gpa, uint64_t len, GError **error)
{
	void *to = gpa >= LAYOUT_KERNEL_MIN ? guest_ptr(l->mem, gpa, len) : NULL;

	if (!to)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' does not fit: it wants %" PRIu64
				 " KiB of memory at 0x%" PRIx64 ", the guest has %" PRIu64 " MiB",
				 f->name, len >> 10, gpa, guest_memory_bytes(l->mem) >> 20);
	return boot_file_read(f, off, to, len, error);
}

bool boot_file_open(struct boot_file *f, int fd, const char *name, GError **error)
{
	struct stat st;

	*f = (struct boot_file){ .fd = fd, .name = name ? name : "kernel" };
	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "'%s'", f->name);
	if (!S_ISREG(st.st_mode))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "'%s' is not a regular file",
				 f->name);
	if ((uint64_t)st.st_size > MAX_FILE_BYTES)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "'%s' is larger than %" PRIu64 " GiB", f->name,
				 MAX_FILE_BYTES >> 30);
	f->size = st.st_size;
	return true;
}

uint64_t boot_low_end(const struct guest_memory *mem)
{
	return MIN(guest_memory_bytes(mem), GUEST_LOW_RAM_END);
}

unsigned boot_memmap(const struct guest_memory *mem, struct boot_range ret[BOOT_MEMMAP_MAX])
{
	uint64_t bytes = guest_memory_bytes(mem), low = boot_low_end(mem);
	unsigned n = 0;

	ret[n++] = (struct boot_range){ 0, LAYOUT_EBDA, 1 };
	ret[n++] = (struct boot_range){ LAYOUT_EBDA, LAYOUT_KERNEL_MIN - LAYOUT_EBDA, 2 };
	ret[n++] = (struct boot_range){ LAYOUT_KERNEL_MIN, low - LAYOUT_KERNEL_MIN, 1 };
	if (bytes > low)
		ret[n++] = (struct boot_range){ GUEST_HIGH_RAM, bytes - low, 1 };
	return n;
}

bool boot_put_cmdline(struct boot_load *l, uint64_t max, GError **error)
{
	const char *text = l->opts->cmdline ? l->opts->cmdline : "";
	size_t len = strlen(text);
	char *to;

	max = MIN(max, LAYOUT_CMDLINE_BYTES - 1);
	if (len > max)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"the kernel command line has %zu bytes, this kernel takes %" PRIu64, len,
			max);
	to = guest_ptr(l->mem, LAYOUT_CMDLINE, len + 1);
	if (!to)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "no memory for the command line");
	memcpy(to, text, len + 1);
	return true;
}

/* Where bytes of initrd go. */
static bool initrd_find(struct boot_load *l, uint64_t limit, const char *name, uint64_t bytes,
			GError **error)
{
	uint64_t kernel_end = l->ret.kernel_gpa + l->ret.kernel_bytes;
	uint64_t top = MIN(limit, boot_low_end(l->mem)) & ~PAGE_MASK;

	if (top < kernel_end || bytes > top - kernel_end ||
	    ((top - bytes) & ~PAGE_MASK) < kernel_end)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "the initrd '%s' (%" PRIu64
				 " MiB) does not fit between the kernel's end at %" PRIu64
				 " MiB and %" PRIu64 " MiB: give the guest more memory",
				 name, bytes >> 20, kernel_end >> 20, top >> 20);
	l->ret.initrd_gpa = (top - bytes) & ~PAGE_MASK;
	l->ret.initrd_bytes = bytes;
	return true;
}

bool boot_put_initrd(struct boot_load *l, uint64_t limit, GError **error)
{
	const char *name = l->opts->initrd_name ? l->opts->initrd_name : "initrd";
	struct boot_agent agent = { 0 };
	struct boot_file f;
	uint64_t at;
	bool ok;

	if (l->opts->initrd_fd < 0)
		return true;
	if (!boot_file_open(&f, l->opts->initrd_fd, name, error) ||
	    (l->opts->agent && !boot_agent_measure(l, &agent, error)))
		return false;
	at = (f.size + 3) & ~UINT64_C(3);	/* a cpio archive begins at a multiple of four */
	ok = initrd_find(l, limit, name, agent.bytes ? at + agent.bytes : f.size, error) &&
	     (!f.size || boot_file_place(l, &f, 0, l->ret.initrd_gpa, f.size, error)) &&
	     (!agent.bytes || boot_agent_place(l, &agent, l->ret.initrd_gpa + at, error));
	boot_agent_done(&agent);
	return ok;
}

static bool refuse_kernel(const struct boot_file *f, GError **error)
{
	uint8_t head[4096];
	size_t len = MIN(f->size, sizeof(head));

	if (!boot_file_read(f, 0, head, len, error))
		return false;
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "'%s' is not a kernel that this machine can boot: it is %s; a bzImage "
			 "(vmlinuz) or an "
			 "x86-64 ELF vmlinux is needed",
			 f->name, boot_describe(head, len, f->size));
}

/* Where the BIOS data area says what a BIOS would: EBDA segment, KiB of base memory. */
static void put_bios_data(struct guest_memory *mem)
{
	uint8_t *bda = guest_ptr(mem, 0x400, 0x100);
	const uint16_t ebda = LAYOUT_EBDA >> 4, base_kib = LAYOUT_EBDA >> 10;

	memcpy(bda + 0x0e, &ebda, 2);
	memcpy(bda + 0x13, &base_kib, 2);
}

/*
 * Linux on hardware-reduced ACPI reboots by EFI, and where there is none by a
 * jump to the BIOS's reset vector in real mode.  It finds the reset register's
 * value being written: mov $port, %dx; mov $value, %al; out %al, %dx; hlt; jmp to hlt.
 */
static void put_reset_vector(struct guest_memory *mem)
{
	const uint16_t port = LAYOUT_POWER_PORT + LAYOUT_POWER_RESET;
	const uint8_t code[] = {
		0xba, port & 0xff, port >> 8, 0xb0, LAYOUT_RESET_VALUE, 0xee, 0xf4, 0xeb, 0xfd,
	};

	memcpy(guest_ptr(mem, LAYOUT_RESET_VECTOR, sizeof(code)), code, sizeof(code));
}

bool boot_load(struct guest_memory *mem, const struct boot_opts *opts, struct boot_result *ret,
	       GError **error)
{
	struct boot_load l = { .mem = mem, .opts = opts };
	bool ok;

	if (guest_memory_bytes(mem) < LAYOUT_MIN_RAM_BYTES)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%" PRIu64 " MiB of guest memory are too few: %" PRIu64
				 " at least",
				 guest_memory_bytes(mem) >> 20, LAYOUT_MIN_RAM_BYTES >> 20);
	if (!boot_file_open(&l.kernel, opts->kernel_fd, opts->kernel_name, error))
		return false;
	put_bios_data(mem);
	put_reset_vector(mem);
	if (boot_is_elf(&l.kernel))
		ok = boot_elf(&l, error);
	else if (boot_is_bzimage(&l.kernel))
		ok = boot_bzimage(&l, error);
	else
		ok = refuse_kernel(&l.kernel, error);
	if (ok)
		*ret = l.ret;
	return ok;
}
