/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a console journal: nothing is believed before its CRC and bounds are checked. */
#include "config.h"
#include "libvmm/util/conlog-priv.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

struct conlog {
	GBytes *bytes;
	const uint8_t *data;
	size_t size;
	uint64_t id;
	GArray *sealed;			/* offsets, in order of their segments' numbers */
	const struct conlog_segment *live;	/* NULL: none, or in the ring too */

	unsigned next;			/* of sealed; behind it the live one */
	struct conlog_segment seg;	/* the one that is being read */
	uint8_t *unpacked;
	const uint8_t *records;
	size_t left;
	bool begun;			/* a boot without a record is told of, too */
	uint64_t told_boot;
	uint64_t expected[CONLOG_DEVICES_MAX];	/* positions, of seg.run */
};

/* ---- what the writer shares ---- */

static uint32_t crc_of(uint32_t crc, const void *data, size_t bytes)
{
	/* zlib's answer to no data at no address is another */
	return bytes ? (uint32_t)crc32_z(crc, data, bytes) : crc;
}

uint32_t conlog_file_crc(const struct conlog_file_head *head)
{
	return crc_of(CONLOG_VERSION, &head->id, sizeof(head->id));
}

uint32_t conlog_segment_crc(const struct conlog_segment *seg)
{
	return crc_of(0, (const uint8_t *)seg + 8, sizeof(*seg) - 8);
}

uint32_t conlog_record_crc(const struct conlog_segment *seg, const struct conlog_record *rec,
			   const uint8_t *data)
{
	const uint64_t of[] = { seg->id, seg->number };
	uint32_t crc = crc_of(0, of, sizeof(of));

	crc = crc_of(crc, (const uint8_t *)rec + 4, sizeof(*rec) - 4);
	return crc_of(crc, data, rec->len);
}

static bool record_is_whole(const struct conlog_segment *seg, const uint8_t *at, size_t left,
			    struct conlog_record *ret)
{
	if (left < sizeof(*ret))
		return false;
	memcpy(ret, at, sizeof(*ret));
	return ret->len <= CONLOG_RECORD_MAX && ret->device < CONLOG_DEVICES_MAX &&
	       left - sizeof(*ret) >= ret->len &&
	       conlog_record_crc(seg, ret, at + sizeof(*ret)) == ret->crc;
}

size_t conlog_records_whole(const struct conlog_segment *seg, const uint8_t *records, size_t bytes)
{
	struct conlog_record rec;
	size_t at = 0;

	while (record_is_whole(seg, records + at, bytes - at, &rec))
		at += sizeof(rec) + rec.len;
	return at;
}

/* ---- finding the segments ---- */

/* The segment whose head is there, of this file; NULL. */
static const struct conlog_segment *segment_at(const struct conlog *log, size_t at)
{
	const struct conlog_segment *seg = (const void *)(log->data + at);

	if (at > log->size || log->size - at < sizeof(*seg) ||
	    seg->magic != CONLOG_SEGMENT_MAGIC || seg->id != log->id ||
	    seg->cause >= N_CONLOG_CAUSES || seg->names[sizeof(seg->names) - 1] ||
	    conlog_segment_crc(seg) != seg->crc)
		return NULL;
	return seg;
}

static bool sealed_fits(const struct conlog *log, const struct conlog_segment *seg, size_t at)
{
	return seg->raw_bytes && seg->raw_bytes <= CONLOG_RECORDS_BYTES &&
	       seg->packed_bytes <= log->size - at - sizeof(*seg);
}

static size_t sealed_bytes(const struct conlog_segment *seg)
{
	size_t bytes = sizeof(*seg) + seg->packed_bytes;

	return (bytes + CONLOG_ALIGN - 1) / CONLOG_ALIGN * CONLOG_ALIGN;
}

static const struct conlog_segment *sealed_nth(const struct conlog *log, unsigned i)
{
	return (const void *)(log->data + g_array_index(log->sealed, size_t, i));
}

static int sealed_order(const void *a, const void *b, void *opaque)
{
	const struct conlog *log = opaque;
	const struct conlog_segment *sa = (const void *)(log->data + *(const size_t *)a);
	const struct conlog_segment *sb = (const void *)(log->data + *(const size_t *)b);

	return sa->number < sb->number ? -1 : sa->number > sb->number;
}

static void ring_scan(struct conlog *log)
{
	size_t at = CONLOG_RING_OFFSET;

	while (at < log->size && log->size - at >= CONLOG_ALIGN) {
		const struct conlog_segment *seg = segment_at(log, at);

		if (!seg || !sealed_fits(log, seg, at)) {
			at += CONLOG_ALIGN;
			continue;
		}
		/* younger than the copy's live segment: sealed while the copy was made */
		if (!log->live || seg->number <= log->live->number)
			g_array_append_val(log->sealed, at);
		at += sealed_bytes(seg);
	}
	g_array_sort_with_data(log->sealed, sealed_order, log);
}

/* ---- reading ---- */

static bool unpack(struct conlog *log, const struct conlog_segment *seg)
{
	const uint8_t *packed = (const uint8_t *)seg + sizeof(*seg);

	if (crc_of(0, packed, seg->packed_bytes) != seg->packed_crc)
		return false;
	if (!log->unpacked)
		log->unpacked = g_malloc(CONLOG_RECORDS_BYTES);
	return ZSTD_decompress(log->unpacked, CONLOG_RECORDS_BYTES, packed, seg->packed_bytes) ==
	       seg->raw_bytes;
}

static void segment_enter(struct conlog *log, const struct conlog_segment *seg,
			  const uint8_t *records, size_t bytes)
{
	if (seg->run != log->seg.run)
		memset(log->expected, 0, sizeof(log->expected));
	log->seg = *seg;
	log->records = records;
	log->left = bytes;
	log->begun = seg->boot != log->told_boot;
	log->told_boot = seg->boot;
}

/* A segment that turns out to be torn is as if it was not there. */
static bool segment_next(struct conlog *log)
{
	while (log->next < log->sealed->len) {
		const struct conlog_segment *seg = sealed_nth(log, log->next++);

		/* twice the same: a ring that somebody has played with */
		if ((log->seg.magic && seg->number <= log->seg.number) || !unpack(log, seg))
			continue;
		segment_enter(log, seg, log->unpacked, seg->raw_bytes);
		return true;
	}
	if (log->next++ > log->sealed->len || !log->live ||
	    (log->seg.magic && log->live->number <= log->seg.number))
		return false;
	segment_enter(log, log->live, (const uint8_t *)log->live + sizeof(*log->live),
		      MIN(CONLOG_RECORDS_BYTES,
			  log->size - CONLOG_LIVE_OFFSET - sizeof(*log->live)));
	return true;
}

static const char *device_name(const struct conlog_segment *seg, unsigned device)
{
	const char *name = seg->names, *end = seg->names + sizeof(seg->names);

	while (device-- && name < end)
		name += strlen(name) + 1;
	return name < end ? name : "";
}

static void entry_fill(const struct conlog *log, struct conlog_entry *ret)
{
	*ret = (struct conlog_entry){
		.run = log->seg.run, .boot = log->seg.boot, .boot_us = log->seg.boot_us,
		.cause = (enum conlog_cause)log->seg.cause, .time_us = log->seg.boot_us,
		.device = "",
	};
}

static bool record_next(struct conlog *log, struct conlog_entry *ret)
{
	struct conlog_record rec;

	if (!record_is_whole(&log->seg, log->records, log->left, &rec))
		return false;
	entry_fill(log, ret);
	ret->time_us = rec.time_us;
	ret->device = device_name(&log->seg, rec.device);
	ret->device_number = rec.device;
	ret->pos = rec.pos;
	ret->missed = rec.pos > log->expected[rec.device] ? rec.pos - log->expected[rec.device] : 0;
	ret->data = log->records + sizeof(rec);
	ret->len = rec.len;
	log->expected[rec.device] = rec.pos + rec.len;
	log->records += sizeof(rec) + rec.len;
	log->left -= sizeof(rec) + rec.len;
	return true;
}

bool conlog_next(struct conlog *log, struct conlog_entry *ret)
{
	do {
		if (log->begun) {
			log->begun = false;
			entry_fill(log, ret);
			return true;
		}
		if (log->seg.magic && record_next(log, ret))
			return true;
	} while (segment_next(log));
	return false;
}

uint64_t conlog_last_boot(const struct conlog *log)
{
	struct conlog_end end;

	conlog_end(log, &end);
	return end.boot;
}

void conlog_end(const struct conlog *log, struct conlog_end *ret)
{
	const struct conlog_segment *last =
		log->sealed->len ? sealed_nth(log, log->sealed->len - 1) : NULL;

	*ret = (struct conlog_end){ .id = log->id, .ring_next = CONLOG_RING_OFFSET };
	if (last) {
		ret->number = last->number;
		ret->boot = last->boot;
		ret->ring_next = (size_t)((const uint8_t *)last - log->data) + sealed_bytes(last);
	}
	if (log->live) {
		ret->boot = MAX(ret->boot, log->live->boot);
		ret->live = log->live->number > ret->number ? log->live : NULL;
		ret->number = MAX(ret->number, log->live->number);
	}
}

struct conlog *conlog_new(GBytes *bytes, GError **error)
{
	struct conlog *log = g_new0(struct conlog, 1);
	const struct conlog_file_head *head;

	log->bytes = g_bytes_ref(bytes);
	log->data = g_bytes_get_data(bytes, &log->size);
	log->sealed = g_array_new(FALSE, FALSE, sizeof(size_t));
	if (log->size == 0)
		return log;
	head = (const void *)log->data;
	if (log->size < sizeof(*head) || head->magic != CONLOG_MAGIC ||
	    head->crc != conlog_file_crc(head)) {
		error_set(error, VMM_ERR_OPERATION_FAILED, "it is no console journal");
	} else if (head->version != CONLOG_VERSION) {
		error_set(error, VMM_ERR_NO_SUPPORT, "a console journal of version %u: this is %u",
			  head->version, CONLOG_VERSION);
	} else {
		log->id = head->id;
		log->live = segment_at(log, CONLOG_LIVE_OFFSET);
		ring_scan(log);
		return log;
	}
	conlog_free(log);
	return NULL;
}

void conlog_free(struct conlog *log)
{
	if (!log)
		return;
	g_array_unref(log->sealed);
	g_bytes_unref(log->bytes);
	g_free(log->unpacked);
	g_free(log);
}
