/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of internal snapshots, and its way from and to the disk.
 *
 * Writing beside them needs nothing of this: what a snapshot holds has a
 * refcount above 1, hence no COPIED flag, hence is copied on write.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

static bool read_bytes(struct qcow2 *q, uint64_t off, uint32_t bytes, GByteArray **ret)
{
	*ret = g_byte_array_sized_new(bytes + 1);	/* its data is not NULL */
	g_byte_array_set_size(*ret, bytes);
	return file_pread(q->file, off, (*ret)->data, bytes) == 0;
}

/* The size of the entry, 0 when it cannot be. */
static uint64_t snapshot_read(struct qcow2 *q, uint64_t off, struct qcow2_snapshot *s)
{
	uint64_t extra[QCOW2_SNAPSHOT_EXTRA_BYTES / 8] = { 0 }, at = off;
	struct qcow2_snapshot_disk d;
	uint32_t extra_bytes;

	if (file_pread(q->file, at, &d, sizeof(d)) < 0)
		return 0;
	at += sizeof(d);
	extra_bytes = GUINT32_FROM_BE(d.extra_bytes);
	if (extra_bytes > QCOW2_SNAPSHOT_EXTRA_MAX || !read_bytes(q, at, extra_bytes, &s->extra))
		return 0;
	memcpy(extra, s->extra->data, MIN(extra_bytes, sizeof(extra)));
	s->l1_off = GUINT64_FROM_BE(d.l1_off);
	s->l1_size = GUINT32_FROM_BE(d.l1_size);
	s->date_sec = GUINT32_FROM_BE(d.date_sec);
	s->date_nsec = GUINT32_FROM_BE(d.date_nsec);
	s->vm_clock_ns = GUINT64_FROM_BE(d.vm_clock_ns);
	s->vm_state_bytes =
		extra_bytes >= 8 ? GUINT64_FROM_BE(extra[0]) : GUINT32_FROM_BE(d.vm_state_bytes);
	s->disk_bytes = extra_bytes >= 16 ? GUINT64_FROM_BE(extra[1]) : q->bytes;
	at += extra_bytes;
	if (!read_bytes(q, at, GUINT16_FROM_BE(d.id_bytes), &s->id))
		return 0;
	at += s->id->len;
	if (!read_bytes(q, at, GUINT16_FROM_BE(d.name_bytes), &s->name))
		return 0;
	at += s->name->len;
	return round_up(at - off, 8);
}

static bool snapshot_fits(const struct qcow2 *q, const struct qcow2_snapshot *s)
{
	return s->l1_size <= QCOW2_L1_BYTES_MAX / 8 && !in_cluster(q, s->l1_off) &&
	       s->l1_off <= q->file->end && s->l1_size * 8ull <= q->file->end - s->l1_off;
}

bool snapshots_load(struct qcow2 *q, unsigned flags, GError **error)
{
	uint64_t off = q->h.snapshots_off;

	if (!q->h.n_snapshots)
		return true;
	if (off > q->file->end ||
	    q->h.n_snapshots > (q->file->end - off) / sizeof(struct qcow2_snapshot_disk))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' is truncated: its snapshot table is missing",
				 q->file->path);
	q->snapshots = g_new0(struct qcow2_snapshot, q->h.n_snapshots);
	for (unsigned i = 0; i < q->h.n_snapshots; i++) {
		struct qcow2_snapshot *s = &q->snapshots[i];
		uint64_t bytes = snapshot_read(q, off, s);

		q->n_snapshots = i + 1;	/* also half-read ones are to be freed */
		off += bytes;
		if (!bytes || off - q->h.snapshots_off > QCOW2_SNAPSHOT_BYTES_MAX ||
		    (!snapshot_fits(q, s) && !(flags & OPEN_INFO)))
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s': its snapshot table is damaged",
					 q->file->path);
	}
	q->snapshots_bytes = off - q->h.snapshots_off;
	return true;
}

void snapshot_clear(struct qcow2_snapshot *s)
{
	g_clear_pointer(&s->extra, g_byte_array_unref);
	g_clear_pointer(&s->id, g_byte_array_unref);
	g_clear_pointer(&s->name, g_byte_array_unref);
}

void snapshots_free(struct qcow2 *q)
{
	for (unsigned i = 0; i < q->n_snapshots; i++)
		snapshot_clear(&q->snapshots[i]);
	g_clear_pointer(&q->snapshots, g_free);
	q->n_snapshots = 0;
	q->snapshots_bytes = 0;
}

/* ---- writing ---- */

/* Also an old entry gets what version 3 asks for; what comes behind that is kept. */
static void encode_extra(GByteArray *to, const struct qcow2_snapshot *s)
{
	uint64_t extra[] = { GUINT64_TO_BE(s->vm_state_bytes), GUINT64_TO_BE(s->disk_bytes) };

	static_assert(sizeof(extra) == QCOW2_SNAPSHOT_EXTRA_BYTES);
	g_byte_array_append(to, (const guint8 *)extra, sizeof(extra));
	if (s->extra->len > sizeof(extra))
		g_byte_array_append(to, s->extra->data + sizeof(extra),
				    s->extra->len - sizeof(extra));
}

static void encode_one(GByteArray *to, const struct qcow2_snapshot *s)
{
	struct qcow2_snapshot_disk d = {
		.l1_off = GUINT64_TO_BE(s->l1_off),
		.l1_size = GUINT32_TO_BE(s->l1_size),
		.id_bytes = GUINT16_TO_BE(s->id->len),
		.name_bytes = GUINT16_TO_BE(s->name->len),
		.date_sec = GUINT32_TO_BE(s->date_sec),
		.date_nsec = GUINT32_TO_BE(s->date_nsec),
		.vm_clock_ns = GUINT64_TO_BE(s->vm_clock_ns),
		.vm_state_bytes = GUINT32_TO_BE((uint32_t)s->vm_state_bytes),
		.extra_bytes = GUINT32_TO_BE(MAX(s->extra->len, QCOW2_SNAPSHOT_EXTRA_BYTES)),
	};

	g_byte_array_append(to, (const guint8 *)&d, sizeof(d));
	encode_extra(to, s);
	g_byte_array_append(to, s->id->data, s->id->len);
	g_byte_array_append(to, s->name->data, s->name->len);
	while (to->len % 8)
		g_byte_array_append(to, (const guint8 *)"", 1);
}

GByteArray *snapshots_encode(const struct qcow2 *q)
{
	GByteArray *to = g_byte_array_new();

	for (unsigned i = 0; i < q->n_snapshots; i++)
		encode_one(to, &q->snapshots[i]);
	return to;
}
