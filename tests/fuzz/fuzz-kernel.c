/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a kernel: loaded as a file, and unpacked as a payload. */
#include "config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/machine/boot-priv.h"
#include "libvmm/util/cleanup.h"
#include "tests/fuzz/fuzz.h"

static void load(struct guest_memory *mem, const uint8_t *data, size_t size, bool unpack)
{
	auto_close int fd = memfd_create("kernel", MFD_CLOEXEC);
	struct boot_opts opts = {
		.kernel_fd = fd, .initrd_fd = fd, .cmdline = "quiet", .unpack = unpack
	};
	struct boot_result r;

	if (fd >= 0 && write(fd, data, size) == (ssize_t)size)
		boot_load(mem, &opts, &r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_memory_opts opts = { .bytes = 64 << 20, .name = "fuzz" };
	g_autoptr(guest_memory) mem = guest_memory_new(&opts, NULL);
	g_autofree uint8_t *unpacked = NULL;
	size_t len;

	if (!mem || size > 1 << 20)
		return 0;
	load(mem, data, size, false);
	load(mem, data, size, true);
	/* The size to allocate is in the last bytes; gigabytes of zeroes teach nothing. */
	if (size >= 8 && data[size - 1] == 0 && data[size - 2] < 16)
		unpacked = unpack_kernel(data, size, &len, NULL);
	return 0;
}
