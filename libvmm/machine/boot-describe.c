/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file is, by its first bytes: for the message when it is no kernel. */
#include "config.h"

#include <elf.h>
#include <string.h>

#include "libvmm/machine/boot.h"
#include "libvmm/util/cleanup.h"

static const struct magic {
	uint16_t at;
	uint8_t len;
	const char *bytes;
	const char *what;
} magics[] = {
	{ 56, 4, "ARM\x64", "a Linux Image for arm64" },
	{ 56, 4, "RSC\x05", "a Linux Image for RISC-V" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image" },
	{ 0, 4, "KDMV", "a VMDK disk image" },
	{ 0, 8, "vhdxfile", "a VHDX disk image" },
	{ 0, 6, "070701", "a cpio archive (an initrd?)" },
	{ 0, 6, "070702", "a cpio archive (an initrd?)" },
	{ 0, 2, "\xc7\x71", "a cpio archive (an initrd?)" },
	{ 0, 2, "\x1f\x8b", "gzip-compressed data (an initrd, or a kernel to be unpacked first?)" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "xz-compressed data (an initrd, or a kernel to be unpacked first?)" },
	{ 0, 4, "\x28\xb5\x2f\xfd",
	  "zstd-compressed data (an initrd, or a kernel to be unpacked first?)" },
	{ 0, 4, "\x02\x21\x4c\x18",
	  "lz4-compressed data (an initrd, or a kernel to be unpacked first?)" },
	{ 0, 4, "\x04\x22\x4d\x18",
	  "lz4-compressed data (an initrd, or a kernel to be unpacked first?)" },
	{ 0, 3, "BZh", "bzip2-compressed data" },
	{ 0, 8, "!<arch>\n", "an archive or a Debian package: unpack it (dpkg-deb -x)" },
	{ 0, 4, "hsqs", "a squashfs filesystem" },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot image" },
	{ 0, 4, "PK\x03\x04", "a ZIP archive" },
	{ 257, 5, "ustar", "a tar archive" },
	{ 1080, 2, "\x53\xef", "an ext2, ext3 or ext4 filesystem" },
	{ 512, 8, "EFI PART", "a disk image with a GUID partition table" },
	{ 0, 2, "#!", "a script" },
	{ 0, 5, "<?xml", "an XML document" },
	{ 0, 2, "MZ", "a Windows or EFI program" },
	{ 510, 2, "\x55\xaa", "a disk image or boot sector" },
};

static const char *describe_elf(const uint8_t *head, size_t len)
{
	Elf64_Ehdr eh;

	if (head[EI_CLASS] == ELFCLASS32)
		return "a 32-bit ELF file";
	if (len < sizeof(eh))
		return "a truncated ELF file";
	memcpy(&eh, head, sizeof(eh));
	if (eh.e_machine != EM_X86_64)
		return "an ELF file for another processor";
	switch (eh.e_type) {
	case ET_REL:
		return "an ELF object file or kernel module";
	case ET_DYN:
		return "an ELF shared library or program";
	case ET_CORE:
		return "an ELF core dump";
	case ET_EXEC:
		return "an ELF program without a kernel's entry";
	default:
		return "an ELF file of an unknown type";
	}
}

static bool is_text(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((head[i] < 0x20 && !strchr("\t\n\r\f\x1b", head[i])) || head[i] == 0x7f ||
		    !head[i])
			return false;
	return true;
}

static bool is_zero(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (head[i])
			return false;
	return true;
}

const char *boot_describe(const uint8_t *head, size_t len, uint64_t file_bytes)
{
	if (!file_bytes || !len)
		return "an empty file";
	if (len > EI_CLASS && memcmp(head, ELFMAG, SELFMAG) == 0)
		return describe_elf(head, len);
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if ((size_t)m->at + m->len <= len && memcmp(head + m->at, m->bytes, m->len) == 0)
			return m->what;
	}
	if (is_text(head, len))
		return "text";
	if (is_zero(head, len))
		return "a file of zeroes";
	return "data of an unknown kind";
}
