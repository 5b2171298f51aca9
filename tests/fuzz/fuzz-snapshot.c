/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a qcow2 image: what its snapshots are, and making, applying and deleting some. */
#include "config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (256 * 1024)

/* What let itself be changed was whole before, and is so afterwards. */
static void expect_whole(const char *path, bool changed)
{
	struct image_check c;

	if (changed && (!image_check(path, "qcow2", NULL, &c, NULL) ||
			c.corruptions || c.leaks || c.check_errors))
		g_error("a snapshot damaged the image");
}

static void apply_first(const char *path)
{
	g_autoptr(image_info) info = image_info_new(path, "qcow2", false, NULL);

	if (!info || !info->n_snapshots)
		return;
	expect_whole(path, image_snapshot_apply(path, "qcow2", info->snapshots[0].id, NULL));
	expect_whole(path, image_snapshot_delete(path, "qcow2", info->snapshots[0].name, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_close int fd = memfd_create("image", MFD_CLOEXEC);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

	fuzz_quiet();
	if (fd < 0 || size > INPUT_MAX)
		return 0;
	g_assert_cmpint(pwrite(fd, data, size, 0), ==, size);
	apply_first(path);
	expect_whole(path, image_snapshot_create(path, "qcow2", "a", NULL));
	expect_whole(path, image_snapshot_create(path, "qcow2", "b", NULL));
	expect_whole(path, image_snapshot_delete(path, "qcow2", "a", NULL));
	expect_whole(path, image_snapshot_apply(path, "qcow2", "b", NULL));
	apply_first(path);
	return 0;
}
