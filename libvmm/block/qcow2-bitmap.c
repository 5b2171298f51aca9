/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Persistent dirty bitmaps (spec, "Bitmaps"): kept, listed, counted, and marked.
 *
 * We do not keep them up to date.  So before the first change of the disk's
 * contents each is marked as in use, which to QEMU means: not to be trusted.
 * It is not dropped, and whoever wants to get rid of it can do so.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

#define BITMAPS_MAX 65535u
#define BITMAP_NAME_MAX 1023u
#define DIRECTORY_BYTES_MAX (64u << 20)

struct bitmap_disk {
	uint64_t table_off;
	uint32_t table_size, flags;
	uint8_t type, granularity_bits;
	uint16_t name_bytes;
	uint32_t extra_bytes;
} __attribute__((packed));
static_assert(sizeof(struct bitmap_disk) == 24);

static bool bitmap_fits(const struct qcow2 *q, const struct qcow2_bitmap *b)
{
	return !in_cluster(q, b->table_off) && b->table_off <= q->file->end &&
	       b->table_size * 8ull <= q->file->end - b->table_off;
}

/* The size of the entry at off, of which `room` bytes are there; 0 when it cannot be. */
static uint64_t bitmap_read(struct qcow2 *q, uint64_t off, uint64_t room, struct qcow2_bitmap *b)
{
	struct bitmap_disk d;
	uint64_t extra, name;
	char text[BITMAP_NAME_MAX + 1] = "";

	if (room < sizeof(d) || file_pread(q->file, off, &d, sizeof(d)) < 0)
		return 0;
	extra = GUINT32_FROM_BE(d.extra_bytes);
	name = GUINT16_FROM_BE(d.name_bytes);
	if (name > BITMAP_NAME_MAX || sizeof(d) + extra + name > room ||
	    file_pread(q->file, off + sizeof(d) + extra, text, name) < 0)
		return 0;
	*b = (struct qcow2_bitmap){
		.off = off,
		.table_off = GUINT64_FROM_BE(d.table_off),
		.table_size = GUINT32_FROM_BE(d.table_size),
		.flags = GUINT32_FROM_BE(d.flags),
		.granularity_bits = d.granularity_bits,
		.name = g_utf8_make_valid(text, -1),
	};
	return d.granularity_bits <= 31 && bitmap_fits(q, b) ?
		       round_up(sizeof(d) + extra + name, 8) :
		       0;
}

static bool directory_read(struct qcow2 *q)
{
	uint64_t pos = 0, n = q->n_bitmaps, clusters = clusters_of(q, q->file->end);

	q->n_bitmaps = 0;
	if (n > BITMAPS_MAX || q->bitmaps_bytes > DIRECTORY_BYTES_MAX ||
	    in_cluster(q, q->bitmaps_off) || q->bitmaps_off > q->file->end ||
	    q->bitmaps_bytes > q->file->end - q->bitmaps_off)
		return false;
	q->bitmaps = g_new0(struct qcow2_bitmap, n);
	for (uint64_t i = 0; i < n; i++) {
		struct qcow2_bitmap *b = &q->bitmaps[i];
		uint64_t bytes = bitmap_read(q, q->bitmaps_off + pos, q->bitmaps_bytes - pos, b);

		q->n_bitmaps++; /* also half-read ones are to be freed */
		pos += bytes;
		if (!bytes || pos > q->bitmaps_bytes || b->table_size > clusters)
			return false;
		clusters -= b->table_size;
	}
	return true;
}

bool bitmaps_load(struct qcow2 *q, unsigned flags, GError **error)
{
	/* Somebody who knows nothing of bitmaps wrote since they were valid: they are nothing. */
	if (!(q->h.autoclear & AUTOCLEAR_BITMAPS))
		q->n_bitmaps = 0;
	if (!q->n_bitmaps) {
		q->bitmaps_off = q->bitmaps_bytes = 0;
		return true;
	}
	if (directory_read(q))
		return true;
	bitmaps_free(q);
	q->bitmaps_bad = true;
	if (!q->rw || flags & (OPEN_CHECK | OPEN_INFO))
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "image '%s': its directory of bitmaps is damaged; it may only be read; "
			 "'vmsh image check -r all' gives the bitmaps up",
			 q->file->path);
}

void bitmaps_free(struct qcow2 *q)
{
	for (unsigned i = 0; q->bitmaps && i < q->n_bitmaps; i++)
		g_free(q->bitmaps[i].name);
	g_clear_pointer(&q->bitmaps, g_free);
	q->n_bitmaps = 0;
	q->bitmaps_off = q->bitmaps_bytes = 0;
}

/* Four bytes each, within a sector: each is marked or not whatever happens. */
int bitmaps_touch(struct qcow2 *q)
{
	bool any = false;
	int r = 0;

	for (unsigned i = 0; i < q->n_bitmaps && r == 0; i++) {
		struct qcow2_bitmap *b = &q->bitmaps[i];
		uint64_t at = b->off + offsetof(struct bitmap_disk, flags);
		uint32_t be = GUINT32_TO_BE(b->flags | BITMAP_IN_USE);

		if (b->flags & BITMAP_IN_USE)
			continue;
		r = guard_check(q, at, sizeof(be), GUARD_BITMAP_DIR);
		if (r == 0)
			r = file_pwrite(q->file, at, &be, sizeof(be));
		if (r == 0)
			b->flags |= BITMAP_IN_USE;
		any = true;
	}
	if (r == 0 && any)
		r = file_sync(q->file);
	if (r == 0)
		q->bitmaps_touched = true;
	return r;
}
