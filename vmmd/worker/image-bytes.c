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

static bool upload_all(const struct image_tool *t, int fd, uint8_t *buf, GError **error)
{
	uint64_t done = 0, most = t->bytes ? (uint64_t)t->bytes : G_MAXINT64 - (uint64_t)t->offset;

	for (;;) {
		ssize_t n = read(DATA_FD, buf, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno, "read what is uploaded");
		if (n == 0)
			return true;
		if ((uint64_t)n > most - done)
			return error_set(error, VMM_ERR_OPERATION_FAILED,
					 "operation failed: more was uploaded than the %" PRIu64
					 " bytes that were announced", most);
		if (!write_at(fd, buf, (size_t)n, (uint64_t)t->offset + done))
			return error_errno(error, errno, "write '%s'", t->path);
		done += (uint64_t)n;
	}
}

bool image_tool_upload(struct image_tool *t, GError **error)
{
	g_autofree uint8_t *buf = g_malloc(CHUNK_BYTES);
	g_autoptr(block) lock = file_lock(t, false, error);
	auto_close int fd = lock ? file_open(t, O_WRONLY, error) : -1;

	if (fd < 0 || !upload_all(t, fd, buf, error))
		return false;
	return fsync(fd) == 0 || error_errno(error, errno, "write '%s'", t->path);
}

/* ---- download ---- */

bool image_tool_download(struct image_tool *t, GError **error)
{
	g_autofree uint8_t *buf = g_malloc(CHUNK_BYTES);
	g_autoptr(block) lock = file_lock(t, true, error);
	auto_close int fd = lock ? file_open(t, O_RDONLY, error) : -1;
	uint64_t at = (uint64_t)t->offset, left = t->bytes ? (uint64_t)t->bytes : UINT64_MAX;

	if (fd < 0)
		return false;
	while (left > 0) {
		ssize_t n = pread(fd, buf, MIN(left, CHUNK_BYTES), (off_t)at);

		if (n < 0)
			return error_errno(error, errno, "read '%s'", t->path);
		if (n == 0)
			break;
		if (!write_all(DATA_FD, buf, (size_t)n))
			return error_errno(error, errno, "send '%s'", t->path);
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return true;
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
