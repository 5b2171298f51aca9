/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Internal snapshots: read, so that they are kept whole and can be listed.
 *
 * Writing beside them needs nothing of this: what a snapshot holds has a
 * refcount above 1, hence no COPIED flag, hence is copied on write.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

static char *read_text(struct qcow2 *q, uint64_t off, uint16_t bytes)
{
	g_autofree char *raw = g_malloc0(bytes + 1);

	if (file_pread(q->file, off, raw, bytes) < 0)
		return g_strdup("?");
	return g_utf8_make_valid(raw, -1);
}

/* The size of the entry, 0 when it cannot be. */
static uint64_t snapshot_read(struct qcow2 *q, uint64_t off, struct qcow2_snapshot *s)
{
	struct qcow2_snapshot_disk d;
	uint64_t extra[2] = { 0 }, at = off + sizeof(d);
	uint32_t extra_bytes;

	if (file_pread(q->file, off, &d, sizeof(d)) < 0)
		return 0;
	extra_bytes = GUINT32_FROM_BE(d.extra_bytes);
	if (extra_bytes > 1024 ||
	    file_pread(q->file, at, extra, MIN(extra_bytes, sizeof(extra))) < 0)
		return 0;
	s->l1_off = GUINT64_FROM_BE(d.l1_off);
	s->l1_size = GUINT32_FROM_BE(d.l1_size);
	s->date_sec = GUINT32_FROM_BE(d.date_sec);
	s->date_nsec = GUINT32_FROM_BE(d.date_nsec);
	s->vm_clock_ns = GUINT64_FROM_BE(d.vm_clock_ns);
	s->vm_state_bytes =
		extra_bytes >= 8 ? GUINT64_FROM_BE(extra[0]) : GUINT32_FROM_BE(d.vm_state_bytes);
	s->disk_bytes = extra_bytes >= 16 ? GUINT64_FROM_BE(extra[1]) : q->bytes;
	at += extra_bytes;
	s->id = read_text(q, at, GUINT16_FROM_BE(d.id_bytes));
	at += GUINT16_FROM_BE(d.id_bytes);
	s->name = read_text(q, at, GUINT16_FROM_BE(d.name_bytes));
	at += GUINT16_FROM_BE(d.name_bytes);
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

void snapshots_free(struct qcow2 *q)
{
	for (unsigned i = 0; i < q->n_snapshots; i++) {
		g_free(q->snapshots[i].id);
		g_free(q->snapshots[i].name);
	}
	g_clear_pointer(&q->snapshots, g_free);
	q->n_snapshots = 0;
}
