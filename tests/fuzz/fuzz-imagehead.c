/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as an image: what the daemon reads of its header is what the engine reads. */
#include "config.h"
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"
#include "vmmd/imagehead.h"

#define INPUT_MAX 65536

static void compare(const struct imagehead *head, const struct image_info *info)
{
	const char *name = info->backing_filename, *format = info->backing_format;

	if (!name)
		return;
	g_assert_true(head->qcow2);
	if (g_str_has_prefix(name, "file:"))
		name += strlen("file:");
	g_assert_cmpstr(head->backing, ==, name);
	g_assert_cmpint(head->backing_is_named, ==, format != NULL);
	g_assert_cmpint(head->backing_is_raw, ==, g_strcmp0(format, "raw") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_close int fd = memfd_create("image", MFD_CLOEXEC);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	struct imagehead head = { 0 }, again = { 0 }, raw = { 0 };
	g_autofree char *backing = NULL;
	g_autoptr(image_info) info = NULL;

	fuzz_quiet();
	if (fd < 0 || size > INPUT_MAX || write(fd, data, size) != (ssize_t)size)
		return 0;
	g_assert_true(imagehead_read(fd, false, &head, NULL));
	g_assert_true(imagehead_read(fd, false, &again, NULL));
	g_assert_true(imagehead_read(fd, true, &raw, NULL));
	g_assert_cmpuint(head.digest, ==, again.digest);
	g_assert_true(!raw.qcow2 && !raw.backing && raw.bytes == size);
	backing = imagehead_backing_path(&head, "/images/over.qcow2");
	g_assert_true(!backing || g_path_is_absolute(backing));
	info = image_info_new(path, "qcow2", false, NULL);
	if (info)
		compare(&head, info);
	imagehead_clear(&head);
	imagehead_clear(&again);
	return 0;
}
