/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing a console journal.  The live segment is kept in memory as it is in
 * the file: what is packed is what was written.
 */
#include "config.h"
#include "libvmm/util/conlog-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define PACK_LEVEL 1		/* fast: a flood must not cost a CPU */

struct conlog_writer {
	int fd;
	uint64_t bytes;			/* the file's bound */
	uint64_t ring_next;
	uint64_t run;
	struct conlog_segment seg;	/* the live one */
	uint8_t *records;
	size_t used, flushed;
};

static bool write_at(struct conlog_writer *w, const void *data, size_t bytes, uint64_t at,
		     GError **error)
{
	while (bytes > 0) {
		ssize_t n = pwrite(w->fd, data, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(error, n < 0 ? errno : ENOSPC,
					   "write the console journal");
		data = (const uint8_t *)data + n;
		bytes -= (size_t)n;
		at += (uint64_t)n;
	}
	return true;
}

bool conlog_flush(struct conlog_writer *w, GError **error)
{
	if (!write_at(w, w->records + w->flushed, w->used - w->flushed,
		      CONLOG_LIVE_OFFSET + CONLOG_ALIGN + w->flushed, error))
		return false;
	w->flushed = w->used;
	return true;
}

/* ---- segments ---- */

static bool segment_write(struct conlog_writer *w, struct conlog_segment *seg, uint64_t at,
			  GError **error)
{
	seg->crc = conlog_segment_crc(seg);
	return write_at(w, seg, sizeof(*seg), at, error);
}

static uint64_t ring_place(struct conlog_writer *w, size_t bytes)
{
	uint64_t at = w->ring_next;

	if (at + bytes <= w->bytes)
		return at;
	/* what is behind here is of the last round: out of its order */
	if (ftruncate(w->fd, (off_t)at) < 0)
		g_debug("console journal: ftruncate: %s", g_strerror(errno));
	return CONLOG_RING_OFFSET;
}

/* Copies the live segment to the ring, packed: the body first, its head last. */
static bool segment_seal(struct conlog_writer *w, GError **error)
{
	size_t room = ZSTD_compressBound(w->used);
	g_autofree uint8_t *packed = g_malloc0(room + CONLOG_ALIGN);
	struct conlog_segment seg = w->seg;
	size_t n = ZSTD_compress(packed, room, w->records, w->used, PACK_LEVEL);
	size_t padded = (n + CONLOG_ALIGN - 1) / CONLOG_ALIGN * CONLOG_ALIGN;
	uint64_t at;

	if (ZSTD_isError(n))
		return error_set(error, VMM_ERR_INTERNAL, "pack the console journal: %s",
				 ZSTD_getErrorName(n));
	seg.raw_bytes = (uint32_t)w->used;
	seg.packed_bytes = (uint32_t)n;
	seg.packed_crc = (uint32_t)crc32_z(0, packed, n);
	at = ring_place(w, sizeof(seg) + padded);
	if (!write_at(w, packed, padded, at + sizeof(seg), error) ||
	    !segment_write(w, &seg, at, error))
		return false;
	w->ring_next = at + sizeof(seg) + padded;
	return true;
}

static bool segment_begin(struct conlog_writer *w, GError **error)
{
	w->used = w->flushed = 0;
	w->seg.number++;
	return segment_write(w, &w->seg, CONLOG_LIVE_OFFSET, error);
}

bool conlog_add(struct conlog_writer *w, unsigned device, int64_t time_us, uint64_t pos,
		const void *data, size_t len, GError **error)
{
	do {
		struct conlog_record rec = {
			.len = (uint16_t)MIN(len, CONLOG_RECORD_MAX), .device = (uint16_t)device,
			.time_us = time_us, .pos = pos,
		};

		if (CONLOG_RECORDS_BYTES - w->used < sizeof(rec) + rec.len &&
		    (!segment_seal(w, error) || !segment_begin(w, error)))
			return false;
		rec.crc = conlog_record_crc(&w->seg, &rec, data);
		memcpy(w->records + w->used, &rec, sizeof(rec));
		if (rec.len)
			memcpy(w->records + w->used + sizeof(rec), data, rec.len);
		w->used += sizeof(rec) + rec.len;
		data = (const uint8_t *)data + rec.len;
		pos += rec.len;
		len -= rec.len;
	} while (len > 0);
	return true;
}

bool conlog_boot(struct conlog_writer *w, enum conlog_cause cause, int64_t time_us,
		 const char *const *devices, unsigned n, GError **error)
{
	size_t at = 0;

	if (w->used && !segment_seal(w, error))
		return false;
	w->seg.run = w->run;
	w->seg.boot++;
	w->seg.boot_us = time_us;
	w->seg.cause = cause;
	memset(w->seg.names, 0, sizeof(w->seg.names));
	for (unsigned i = 0; i < n && at + strlen(devices[i]) + 2 < sizeof(w->seg.names); i++) {
		memcpy(w->seg.names + at, devices[i], strlen(devices[i]));
		at += strlen(devices[i]) + 1;
	}
	return segment_begin(w, error);
}

/* ---- life ---- */

static bool file_begin(struct conlog_writer *w, GError **error)
{
	struct conlog_file_head head = { .magic = CONLOG_MAGIC, .version = CONLOG_VERSION };

	if (ftruncate(w->fd, 0) < 0 || ftruncate(w->fd, CONLOG_FIRST_BYTES) < 0)
		return error_errno(error, errno, "empty the console journal");
	if (getrandom(&head.id, sizeof(head.id), 0) != sizeof(head.id))
		return error_errno(error, errno, "a random number");
	head.crc = conlog_file_crc(&head);
	w->seg.id = head.id;
	return write_at(w, &head, sizeof(head), 0, error);
}

/* The last writer's live segment is sealed, what it wrote of it. */
static bool file_take(struct conlog_writer *w, const struct conlog *log, GError **error)
{
	struct conlog_end end;

	conlog_end(log, &end);
	w->ring_next = end.ring_next;
	if (end.live) {
		const uint8_t *records = (const uint8_t *)end.live + sizeof(*end.live);

		w->seg = *end.live;
		w->used = conlog_records_whole(end.live, records, CONLOG_RECORDS_BYTES);
		memcpy(w->records, records, w->used);
		if (w->used && !segment_seal(w, error))
			return false;
		w->used = 0;
	}
	w->seg.magic = CONLOG_SEGMENT_MAGIC;
	w->seg.id = end.id;
	w->seg.number = end.number;
	w->seg.boot = end.boot;
	return true;
}

/* Mapped, not read: of a large journal the heads are looked at only. */
static bool file_open(struct conlog_writer *w, GError **error)
{
	struct stat st;
	struct conlog *log;
	GBytes *bytes;
	void *map;
	bool ok;

	if (fstat(w->fd, &st) < 0)
		return error_errno(error, errno, "stat the console journal");
	if ((uint64_t)st.st_size > w->bytes && ftruncate(w->fd, (off_t)w->bytes) < 0)
		return error_errno(error, errno, "shorten the console journal");
	if (st.st_size < (off_t)CONLOG_FIRST_BYTES)
		return file_begin(w, error);
	st.st_size = MIN(st.st_size, (off_t)w->bytes);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, w->fd, 0);
	if (map == MAP_FAILED)
		return error_errno(error, errno, "map the console journal");
	bytes = g_bytes_new_static(map, (size_t)st.st_size);
	log = conlog_new(bytes, NULL);
	ok = log ? file_take(w, log, error) : file_begin(w, error);
	conlog_free(log);
	g_bytes_unref(bytes);
	munmap(map, (size_t)st.st_size);
	return ok;
}

struct conlog_writer *conlog_writer_new(int fd, uint64_t bytes, GError **error)
{
	struct conlog_writer *w = g_new0(struct conlog_writer, 1);

	w->fd = fd;
	w->bytes = CLAMP(bytes, CONLOG_BYTES_MIN, CONLOG_BYTES_MAX);
	w->ring_next = CONLOG_RING_OFFSET;
	w->records = g_malloc(CONLOG_RECORDS_BYTES);
	w->seg.magic = CONLOG_SEGMENT_MAGIC;
	if (getrandom(&w->run, sizeof(w->run), 0) == sizeof(w->run) && file_open(w, error))
		return w;
	conlog_writer_free(w);
	return NULL;
}

void conlog_writer_free(struct conlog_writer *w)
{
	if (!w)
		return;
	fd_close(&w->fd);
	g_free(w->records);
	g_free(w);
}

uint64_t conlog_writer_run(const struct conlog_writer *w)
{
	return w->run;
}
