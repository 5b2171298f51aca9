/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a qcow2 image: open, map, read, write, check, repair. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/block/block.h"
#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (256 * 1024)

/* The image may name any file of this host as its backing file: it gets none. */
static int only_this(void *opaque, const char *path, int flags, GError **error)
{
	if (strcmp(path, opaque)) {
		error_errno(error, ENOENT, "open '%s'", path);
		return -1;
	}
	return open(path, flags);
}

static void use(char *path, bool read_only)
{
	struct block_opener opener = { .open = only_this, .opaque = path };
	struct block_opts opts = {
		.path = path,
		.format = "qcow2",
		.read_only = read_only,
		.share = true,
		.no_backing = true,
		.discard = true,
		.no_uring = true,
		.cache = BLOCK_CACHE_UNSAFE,
		.opener = &opener,
	};
	static uint8_t buf[128 * 1024];
	g_autoptr(block) b = block_open(&opts, NULL);
	uint64_t bytes = b ? block_bytes(b) : 0;

	for (unsigned i = 0; i < 8 && bytes > 0; i++) {
		uint64_t off = bytes / 8 * i & ~511ull, n = MIN(sizeof(buf), bytes - off);

		block_pread(b, off, buf, n);
		if (read_only)
			continue;
		block_pwrite(b, off + n / 2, buf, n / 4);
		block_pwrite_zeroes(b, off, MIN(bytes - off, 1 << 20), i & BLOCK_REQ_UNMAP);
		block_pdiscard(b, off + n / 3, n / 3);
		if (i == 4)
			block_flush(b);
	}
}

static void write_input(int fd, const uint8_t *data, size_t size)
{
	g_assert_cmpint(ftruncate(fd, 0), ==, 0);
	g_assert_cmpint(pwrite(fd, data, size, 0), ==, size);
}

static bool on_extent(void *opaque, const struct image_extent *extent)
{
	return --*(int *)opaque > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_close int fd = memfd_create("image", MFD_CLOEXEC);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autoptr(image_info) info = NULL;
	struct image_check check;
	int budget = 1000;

	fuzz_quiet();
	if (fd < 0 || size > INPUT_MAX)
		return 0;
	write_input(fd, data, size);
	info = image_info_new(path, "qcow2", false, NULL);
	use(path, true);
	if (info && !info->backing_filename)
		image_map(path, "qcow2", on_extent, &budget, NULL);
	image_check(path, "qcow2", NULL, &check, NULL);
	use(path, false);
	write_input(fd, data, size);
	image_check(path, "qcow2", &(struct image_check_opts){ .repair = IMAGE_REPAIR_ALL }, &check,
		    NULL);
	use(path, false);
	return 0;
}
