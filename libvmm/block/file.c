/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host file: blocking I/O with the alignment that O_DIRECT asks for. */
#include "config.h"
#include "libvmm/block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "libvmm/block/block-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define DIRECT_ALIGN_MAX 4096

static const uint8_t zeroes[FILE_BOUNCE_BYTES] __attribute__((aligned(DIRECT_ALIGN_MAX)));

static int tap(struct file *f, enum block_tap_op op, uint64_t off, const struct iovec *iov,
	       unsigned n_iov, uint64_t bytes)
{
	return f->tap ? f->tap->op(f->tap->opaque, op, off, iov, n_iov, bytes) : 0;
}

/* ---- opening ---- */

static int open_plain(const struct file_opts *o, int flags, GError **error)
{
	int fd;

	if (o->opener && o->opener->open)
		return o->opener->open(o->opener->opaque, o->path, flags, error);
	fd = open(o->path, flags, 0644);
	if (fd >= 0)
		return fd;
	if (errno == EINVAL && (flags & O_DIRECT))
		error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
			  "image '%s': its file system cannot do direct I/O; use cache='writeback'",
			  o->path);
	else
		error_errno(error, errno, "open image '%s'", o->path);
	return -1;
}

/* What direct I/O wants is asked by trying: not every kernel tells by statx. */
static bool file_probe_align(struct file *f, GError **error)
{
	if (!f->direct) {
		f->align = 1;
		return true;
	}
	f->bounce = aligned_alloc(DIRECT_ALIGN_MAX, FILE_BOUNCE_BYTES);
	for (f->align = 512; f->align <= DIRECT_ALIGN_MAX; f->align *= 2) {
		/* Memory off by one unit shows a need that a page-aligned buffer would hide. */
		void *mem = (char *)f->bounce + (f->align < DIRECT_ALIGN_MAX ? f->align : 0);

		if (pread(f->fd, mem, f->align, f->align < DIRECT_ALIGN_MAX ? f->align : 0) >= 0)
			return true;
	}
	return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
			 "image '%s': direct I/O does not work; use cache='writeback'", f->path);
}

static bool file_measure(struct file *f, GError **error)
{
	struct stat st;
	uint64_t end;

	if (fstat(f->fd, &st) < 0)
		return error_errno(error, errno, "image '%s'", f->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' is neither a file nor a block device", f->path);
	/*
	 * O_NONBLOCK was for a FIFO in place of an image; io_uring would
	 * take it as "do not wait".
	 */
	fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK);
	f->is_device = S_ISBLK(st.st_mode);
	f->dev = f->is_device ? st.st_rdev : st.st_dev;
	f->ino = f->is_device ? 0 : st.st_ino;
	f->end = st.st_size;
	if (f->is_device) {
		if (ioctl(f->fd, BLKGETSIZE64, &end) < 0)
			return error_errno(error, errno, "size of device '%s'", f->path);
		f->end = end;
	}
	return true;
}

struct file *file_open(const struct file_opts *o, GError **error)
{
	g_autoptr(file) f = g_new0(struct file, 1);
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (o->read_only ? O_RDONLY : O_RDWR);

	f->path = g_strdup(o->path);
	f->read_only = o->read_only;
	f->unsafe = o->cache == BLOCK_CACHE_UNSAFE;
	f->direct = o->cache == BLOCK_CACHE_NONE || o->cache == BLOCK_CACHE_DIRECTSYNC;
	f->tap = o->tap;
	flags |= o->create ? O_CREAT : 0;
	flags |= o->exclusive ? O_EXCL : 0;
	f->fd = open_plain(o, flags | (f->direct ? O_DIRECT : 0),
			   o->direct_optional && f->direct ? NULL : error);
	if (f->fd < 0 && o->direct_optional && f->direct) {
		f->direct = false;
		f->fd = open_plain(o, flags, error);
	}
	if (f->fd < 0 || !file_measure(f, error) || !file_probe_align(f, error))
		return NULL;
	return g_steal_pointer(&f);
}

void file_close(struct file *f)
{
	if (!f)
		return;
	fd_close(&f->fd);
	free(f->bounce);
	g_free(f->path);
	g_free(f);
}

/* ---- vectors ---- */

/* What a short transfer has left over, in place. */
static unsigned iov_advance(struct iovec *iov, unsigned n_iov, size_t by)
{
	unsigned i = 0;

	while (i < n_iov && by >= iov[i].iov_len)
		by -= iov[i++].iov_len;
	memmove(iov, iov + i, (n_iov - i) * sizeof(*iov));
	n_iov -= i;
	if (n_iov > 0) {
		iov[0].iov_base = (char *)iov[0].iov_base + by;
		iov[0].iov_len -= by;
	}
	return n_iov;
}

#define IOV_STEP 64

int file_preadv(struct file *f, uint64_t off, const struct iovec *iov, unsigned n_iov)
{
	struct iovec part[IOV_STEP];
	uint64_t total = iov_bytes(iov, n_iov), pos = 0, bytes;

	while (pos < total) {
		unsigned n = iov_slice(iov, n_iov, pos, total - pos, part, IOV_STEP, &bytes);

		while (n > 0) {
			ssize_t got = preadv(f->fd, part, n, off + pos);

			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return -errno;
			if (got == 0) {
				iov_zero(iov, n_iov, pos, total - pos);
				return 0;
			}
			pos += got;
			n = iov_advance(part, n, got);
			if (f->direct && got % f->align)	/* the file's tail: no more */
				break;
		}
		if (n > 0) {
			iov_zero(iov, n_iov, pos, total - pos);
			return 0;
		}
	}
	return 0;
}

int file_pwritev(struct file *f, uint64_t off, const struct iovec *iov, unsigned n_iov)
{
	struct iovec part[IOV_STEP];
	uint64_t total = iov_bytes(iov, n_iov), pos = 0, bytes;
	int r = tap(f, BLOCK_TAP_WRITE, off, iov, n_iov, total);

	if (r < 0)
		return r;
	while (pos < total) {
		unsigned n = iov_slice(iov, n_iov, pos, total - pos, part, IOV_STEP, &bytes);

		while (n > 0) {
			ssize_t put = pwritev(f->fd, part, n, off + pos);

			if (put < 0 && errno == EINTR)
				continue;
			if (put <= 0)
				return put < 0 ? -errno : -EIO;
			pos += put;
			n = iov_advance(part, n, put);
		}
	}
	f->end = MAX(f->end, off + total);
	return 0;
}

/* ---- flat buffers, any alignment ---- */

static int bounce_read(struct file *f, uint64_t off, uint64_t bytes)
{
	struct iovec iov = { f->bounce, bytes };

	return file_preadv(f, off, &iov, 1);
}

static int bounce_write(struct file *f, uint64_t off, uint64_t bytes)
{
	struct iovec iov = { f->bounce, bytes };

	return file_pwritev(f, off, &iov, 1);
}

static bool file_fits(const struct file *f, uint64_t off, const void *buf, size_t bytes)
{
	return f->align == 1 || ((off | (uintptr_t)buf | bytes) & (f->align - 1)) == 0;
}

int file_pread(struct file *f, uint64_t off, void *buf, size_t bytes)
{
	struct iovec iov = { buf, bytes };
	uint8_t *to = buf;

	if (file_fits(f, off, buf, bytes))
		return file_preadv(f, off, &iov, 1);
	while (bytes > 0) {
		uint64_t from = round_down(off, f->align), skip = off - from;
		uint64_t len = MIN(bytes, FILE_BOUNCE_BYTES - skip);
		int r = bounce_read(f, from, round_up(skip + len, f->align));

		if (r < 0)
			return r;
		memcpy(to, (uint8_t *)f->bounce + skip, len);
		to += len;
		off += len;
		bytes -= len;
	}
	return 0;
}

int file_pwrite(struct file *f, uint64_t off, const void *buf, size_t bytes)
{
	struct iovec iov = { (void *)buf, bytes };
	const uint8_t *from = buf;

	if (file_fits(f, off, buf, bytes))
		return file_pwritev(f, off, &iov, 1);
	while (bytes > 0) {
		uint64_t at = round_down(off, f->align), skip = off - at;
		uint64_t len = MIN(bytes, FILE_BOUNCE_BYTES - skip);
		uint64_t span = round_up(skip + len, f->align);
		int r = skip || len < span ? bounce_read(f, at, span) : 0;

		if (r < 0)
			return r;
		memcpy((uint8_t *)f->bounce + skip, from, len);
		r = bounce_write(f, at, span);
		if (r < 0)
			return r;
		from += len;
		off += len;
		bytes -= len;
	}
	return 0;
}

/* ---- space ---- */

static int file_fallocate(struct file *f, int mode, uint64_t off, uint64_t bytes)
{
	int r;

	do
		r = fallocate(f->fd, mode, off, bytes);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int write_zeroes(struct file *f, uint64_t off, uint64_t bytes)
{
	while (bytes > 0) {
		uint64_t len = MIN(bytes, sizeof(zeroes));
		int r = file_pwrite(f, off, zeroes, len);

		if (r < 0)
			return r;
		off += len;
		bytes -= len;
	}
	return 0;
}

static bool not_supported(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS || r == -EINVAL || r == -ENODEV || r == -EPERM;
}

int file_zero(struct file *f, uint64_t off, uint64_t bytes, bool unmap)
{
	uint64_t grow = !f->is_device && off + bytes > f->end ? off + bytes : 0;
	int r;

	if (grow && off >= f->end)	/* all of it is new: a longer file reads as zeroes there */
		return file_truncate(f, grow);
	r = grow ? file_truncate(f, grow) : 0;
	if (r == 0)
		r = tap(f, BLOCK_TAP_ZERO, off, NULL, 0, bytes);
	if (r < 0)
		return r;
	r = -EOPNOTSUPP;
	if (unmap)
		r = file_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, bytes);
	if (not_supported(r))
		r = file_fallocate(f, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, bytes);
	if (not_supported(r))
		r = write_zeroes(f, off, bytes);
	return r;
}

int file_punch(struct file *f, uint64_t off, uint64_t bytes)
{
	int r = tap(f, BLOCK_TAP_ZERO, off, NULL, 0, bytes);

	if (r < 0)
		return r;
	return file_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, bytes);
}

int file_truncate(struct file *f, uint64_t bytes)
{
	int r;

	if (f->is_device)
		return bytes <= f->end ? 0 : -ENOSPC;
	r = tap(f, BLOCK_TAP_TRUNCATE, 0, NULL, 0, bytes);
	if (r < 0)
		return r;
	do
		r = ftruncate(f->fd, bytes);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	f->end = bytes;
	return 0;
}

int file_sync(struct file *f)
{
	int r;

	if (f->sync_error < 0)
		return f->sync_error;
	if (f->unsafe || f->read_only)
		return 0;
	r = tap(f, BLOCK_TAP_SYNC, 0, NULL, 0, 0);
	/* a tapped file is a test's: no need to wait */
	if (r == 0 && !f->tap && fdatasync(f->fd) < 0)
		r = -errno;
	if (r < 0)
		f->sync_error = r;
	return r;
}
