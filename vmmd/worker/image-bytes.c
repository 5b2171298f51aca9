/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on the bytes of an image's file, whatever they mean: upload, download,
 * wipe.  The block layer's lock is held meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/block/block.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/sparse.h"
#include "vmmd/worker/image-tool-priv.h"

#define DATA_FD 4
#define CHUNK_BYTES (1u << 20)

/* The lock is all that is wanted of it. */
static struct block *file_lock(const struct image_tool *t, bool read_only, GError **error)
{
	const struct block_opts o = {
		.path = t->path, .format = "raw", .read_only = read_only, .no_backing = true,
	};

	return block_open(&o, error);
}

static int file_open(const struct image_tool *t, int flags, GError **error)
{
	int fd = open(t->path, flags | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		error_errno(error, errno, "open '%s'", t->path);
	return fd;
}

static bool write_at(int fd, const uint8_t *buf, size_t bytes, uint64_t at)
{
	while (bytes > 0) {
		ssize_t n = pwrite(fd, buf, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		bytes -= (size_t)n;
		at += (uint64_t)n;
	}
	return true;
}

static bool write_all(int fd, const uint8_t *buf, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, buf, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		bytes -= (size_t)n;
	}
	return true;
}

/* ---- upload ---- */

struct upload {
	const struct image_tool *t;
	int fd;
	uint64_t done, most;
	uint64_t size;			/* of the file */
	GError *error;
};

/* Where it goes; false: it is too much. */
static bool upload_room(struct upload *u, uint64_t bytes, uint64_t *ret_at)
{
	if (bytes > u->most - u->done)
		return error_set(&u->error, VMM_ERR_OPERATION_FAILED,
				 "operation failed: more was uploaded than the %" PRIu64
				 " bytes that were announced", u->most);
	*ret_at = (uint64_t)u->t->offset + u->done;
	u->done += bytes;
	u->size = MAX(u->size, *ret_at + bytes);
	return true;
}

static bool upload_data(const uint8_t *data, size_t bytes, void *opaque)
{
	struct upload *u = opaque;
	uint64_t at = 0;

	return upload_room(u, bytes, &at) &&
	       (write_at(u->fd, data, bytes, at) ||
		error_errno(&u->error, errno, "write '%s'", u->t->path));
}

static bool zeroes_write(int fd, uint64_t at, uint64_t bytes)
{
	g_autofree uint8_t *zeroes = g_malloc0(CHUNK_BYTES);

	for (uint64_t n; bytes > 0; at += n, bytes -= n) {
		n = MIN(bytes, CHUNK_BYTES);
		if (!write_at(fd, zeroes, n, at))
			return false;
	}
	return true;
}

/* What was there is gone, too: who reads it finds what was uploaded. */
static bool upload_hole(uint64_t bytes, void *opaque)
{
	struct upload *u = opaque;
	const uint64_t was = u->size;
	uint64_t at = 0, inside;

	if (!upload_room(u, bytes, &at))
		return false;
	inside = at < was ? MIN(bytes, was - at) : 0;
	if (u->size > was && ftruncate(u->fd, (off_t)u->size) < 0)
		return error_errno(&u->error, errno, "write '%s'", u->t->path);
	if (inside && fallocate(u->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				(off_t)inside) < 0 &&
	    (errno != EOPNOTSUPP || !zeroes_write(u->fd, at, inside)))
		return error_errno(&u->error, errno, "write '%s'", u->t->path);
	return true;
}

static bool upload_piece(struct upload *u, struct sparse_reader *reader, const uint8_t *buf,
			 size_t bytes)
{
	static const struct sparse_ops ops = { upload_data, upload_hole };

	if (!u->t->sparse)
		return upload_data(buf, bytes, u);
	if (sparse_read(reader, buf, bytes, &ops, u) == -EPROTO)
		error_set(&u->error, VMM_ERR_INTERNAL, "read what is uploaded: no records");
	return !u->error;
}

static bool upload_all(struct upload *u, uint8_t *buf)
{
	struct sparse_reader reader = { .have = 0 };
	ssize_t n;

	do {
		n = read(DATA_FD, buf, CHUNK_BYTES);
		if (n < 0 && errno != EINTR)
			return error_errno(&u->error, errno, "read what is uploaded");
		if (n > 0 && !upload_piece(u, &reader, buf, (size_t)n))
			return false;
	} while (n != 0);
	return sparse_is_whole(&reader) ||
	       error_set(&u->error, VMM_ERR_ABORTED, "what is uploaded has broken off");
}

bool image_tool_upload(struct image_tool *t, GError **error)
{
	g_autofree uint8_t *buf = g_malloc(CHUNK_BYTES);
	g_autoptr(block) lock = file_lock(t, false, error);
	auto_close int fd = lock ? file_open(t, O_WRONLY, error) : -1;
	struct upload u = {
		.t = t, .fd = fd,
		.most = t->bytes ? (uint64_t)t->bytes : G_MAXINT64 - (uint64_t)t->offset,
	};
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "write '%s'", t->path);
	u.size = (uint64_t)st.st_size;
	if (!upload_all(&u, buf)) {
		g_propagate_error(error, u.error);
		return false;
	}
	return fsync(fd) == 0 || error_errno(error, errno, "write '%s'", t->path);
}

/* ---- download ---- */

struct download {
	const struct image_tool *t;
	int fd;
	uint8_t *buf;
	uint64_t at, end;
};

static bool record_send(struct download *d, enum sparse_kind kind, uint64_t bytes, GError **error)
{
	uint8_t head[SPARSE_HEAD_BYTES];

	sparse_head(kind, bytes, head);
	return write_all(DATA_FD, head, sizeof(head)) ||
	       error_errno(error, errno, "send '%s'", d->t->path);
}

/* Up to there; that the file has become shorter meanwhile ends it. */
static bool data_send(struct download *d, uint64_t to, GError **error)
{
	while (d->at < to) {
		ssize_t n = pread(d->fd, d->buf, MIN(to - d->at, CHUNK_BYTES), (off_t)d->at);

		if (n < 0)
			return error_errno(error, errno, "read '%s'", d->t->path);
		if (n == 0) {
			d->end = d->at;
			return true;
		}
		if (d->t->sparse && !record_send(d, SPARSE_DATA, (uint64_t)n, error))
			return false;
		if (!write_all(DATA_FD, d->buf, (size_t)n))
			return error_errno(error, errno, "send '%s'", d->t->path);
		d->at += (uint64_t)n;
	}
	return true;
}

static bool hole_send(struct download *d, uint64_t to, GError **error)
{
	if (to > d->at && !record_send(d, SPARSE_HOLE, to - d->at, error))
		return false;
	d->at = to;
	return true;
}

/* The next data, or data to the next hole, and never behind the end. */
static bool place_find(const struct download *d, int what, uint64_t *ret, GError **error)
{
	off_t place = lseek(d->fd, (off_t)d->at, what);

	if (place < 0 && errno != ENXIO)
		return error_errno(error, errno, "read '%s'", d->t->path);
	*ret = place < 0 ? d->end : MIN((uint64_t)place, d->end);
	return true;
}

static bool sparse_send(struct download *d, GError **error)
{
	uint64_t data, hole;

	while (d->at < d->end)
		if (!place_find(d, SEEK_DATA, &data, error) || !hole_send(d, data, error) ||
		    !place_find(d, SEEK_HOLE, &hole, error) || !data_send(d, hole, error))
			return false;
	return true;
}

bool image_tool_download(struct image_tool *t, GError **error)
{
	g_autofree uint8_t *buf = g_malloc(CHUNK_BYTES);
	g_autoptr(block) lock = file_lock(t, true, error);
	auto_close int fd = lock ? file_open(t, O_RDONLY, error) : -1;
	struct download d = { .t = t, .fd = fd, .buf = buf, .at = (uint64_t)t->offset };
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "read '%s'", t->path);
	d.end = (uint64_t)st.st_size;
	if (t->bytes && d.at < d.end)
		d.end = MIN(d.end, d.at + MIN((uint64_t)t->bytes, d.end - d.at));
	return t->sparse ? sparse_send(&d, error) : data_send(&d, d.end, error);
}

/* ---- wipe ---- */

/* Holes hold nothing that could be read. */
static bool wipe_data(const struct image_tool *t, int fd, uint64_t end, GError **error)
{
	g_autofree uint8_t *zeroes = g_malloc0(CHUNK_BYTES);
	gint64 last_us = 0;
	struct image_progress progress = image_tool_progress(&last_us);
	off_t at = 0;

	while ((uint64_t)at < end) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO || error_errno(error, errno, "wipe '%s'", t->path);
		hole = lseek(fd, data, SEEK_HOLE);
		hole = hole < data ? (off_t)end : hole;
		for (at = data; at < hole; at += CHUNK_BYTES) {
			if (!progress.fn(progress.opaque, (uint64_t)at, end))
				return error_set(error, VMM_ERR_ABORTED, "wipe: cancelled");
			if (!write_at(fd, zeroes, (size_t)MIN(hole - at, CHUNK_BYTES),
				      (uint64_t)at))
				return error_errno(error, errno, "wipe '%s'", t->path);
		}
		at = hole;
	}
	return true;
}

static bool wipe_file(const struct image_tool *t, GError **error)
{
	g_autoptr(block) lock = file_lock(t, false, error);
	auto_close int fd = lock ? file_open(t, O_RDWR, error) : -1;
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "wipe '%s'", t->path);
	if (!wipe_data(t, fd, (uint64_t)st.st_size, error))
		return false;
	return fsync(fd) == 0 || error_errno(error, errno, "wipe '%s'", t->path);
}

bool image_tool_wipe(struct image_tool *t, GError **error)
{
	g_autoptr(image_info) info = image_info_new(t->path, t->format, false, error);
	struct image_create_opts again = { .path = t->path, .format = t->format };

	if (!info || !wipe_file(t, error))
		return false;
	if (!info->compat)
		return true;
	again.bytes = info->virtual_bytes;
	again.compat = info->compat;
	again.cluster_bytes = info->cluster_bytes;
	again.refcount_bits = info->refcount_bits;
	again.lazy_refcounts = info->lazy_refcounts;
	again.extended_l2 = info->extended_l2;
	again.compression_type =
		g_strcmp0(info->compression_type, "zstd") == 0 ? info->compression_type : NULL;
	return image_create(&again, error);
}
