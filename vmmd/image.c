/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How large a disk's image is: of a qcow2 file only the header's size field is read. */
#include "config.h"
#include "vmmd/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/imagehead.h"

static bool qcow2_capacity(int fd, const char *path, uint64_t *ret, GError **error)
{
	struct imagehead head = { 0 };

	if (!imagehead_read(fd, false, &head, error))
		return false;
	imagehead_clear(&head);
	if (!head.qcow2)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "operation failed: '%s' is not a qcow2 image", path);
	*ret = head.bytes;
	return true;
}

bool image_size(const struct disk_def *disk, struct image_size *ret, GError **error)
{
	auto_close int fd = open(disk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct image_size size = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(error, errno, "open '%s'", disk->path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &size.physical) < 0)
			return error_errno(error, errno, "size of '%s'", disk->path);
		size.allocation = size.physical;
	} else {
		size.physical = (uint64_t)st.st_size;
		size.allocation = (uint64_t)st.st_blocks * 512;
	}
	size.capacity = size.physical;
	if (disk->format == DISK_FORMAT_QCOW2 &&
	    !qcow2_capacity(fd, disk->path, &size.capacity, error))
		return false;
	*ret = size;
	return true;
}
