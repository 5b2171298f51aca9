/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Count all references to each host cluster and compare with the refcounts.
 *
 * Reads the file past the cache; the caller has the image for himself and
 * nothing dirty in memory.  Nothing in the file is trusted: each offset is
 * checked before it is followed, and all loops are bounded by the file's size
 * or a table's.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

#define CLUSTERS_MAX (1ull << 31)
#define TICK_CLUSTERS (1u << 16)	/* of which the progress knows */

static void G_GNUC_PRINTF(2, 3) check_say(struct check *c, const char *format, ...)
{
	g_autofree char *line = NULL;
	va_list ap;

	if (!c->opts->report)
		return;
	va_start(ap, format);
	line = g_strdup_vprintf(format, ap);
	va_end(ap);
	c->opts->report(c->opts->opaque, line);
}

/* -ECANCELED when nobody wants to wait any more. */
static int check_tick(struct check *c)
{
	const struct image_progress *p = c->opts->progress;

	c->done++;
	if (!p || !p->fn || p->fn(p->opaque, MIN(c->done, c->todo), MAX(c->todo, 1)))
		return 0;
	return -ECANCELED;
}

/* ---- references ---- */

/* True when all of it is inside the file and was counted. */
static bool count_range(struct check *c, uint64_t off, uint64_t bytes, const char *what)
{
	struct qcow2 *q = c->q;
	uint64_t first = cluster_index(q, off);

	if (bytes == 0)
		return true;
	if (off >= HOST_OFF_MAX || first >= c->n || cluster_index(q, off + bytes - 1) >= c->n) {
		check_say(c,
			  "ERROR %s at offset 0x%" G_GINT64_MODIFIER
			  "x is behind the end of the file",
			  what, off);
		c->l2_errors++;
		return false;
	}
	for (; first <= cluster_index(q, off + bytes - 1); first++)
		if (c->counts[first] < UINT32_MAX)
			c->counts[first]++;
	return true;
}

static bool count_cluster(struct check *c, uint64_t off, const char *what)
{
	if (in_cluster(c->q, off)) {
		check_say(c, "ERROR %s at offset 0x%" G_GINT64_MODIFIER "x is not aligned", what,
			  off);
		c->l2_errors++;
		return false;
	}
	return count_range(c, off, c->q->cluster_bytes, what);
}

static void count_statistics(struct check *c, uint64_t host, bool packed, uint64_t *next)
{
	c->result->allocated_clusters++;
	c->result->compressed_clusters += packed;
	c->result->fragmented_clusters += packed || (*next && *next != host);
	*next = packed ? 0 : host + c->q->cluster_bytes;
}

static void count_entry(struct check *c, uint64_t e, uint64_t bitmap, bool active, uint64_t *next)
{
	struct qcow2 *q = c->q;
	uint64_t host = e & ENTRY_OFF_MASK, bytes;

	if (has_data_file(q)) {
		if (active && (host || e & ENTRY_COPIED))
			count_statistics(c, host, false, next);
		return;
	}
	if (e & ENTRY_COMPRESSED) {
		packed_range(q, e, &host, &bytes);
		host = round_down(host, 512);
		bytes = round_up(bytes, 512);
		/* The last sector may lie behind the end of a file that ends with the data. */
		if (host < q->file->end && host + bytes > q->file->end)
			bytes = q->file->end - host;
		count_range(c, host, bytes, "compressed cluster");
	} else if (host) {
		count_cluster(c, host, "data cluster");
	} else {
		if (q->extended && bitmap & 0xffffffff) {
			check_say(c, "ERROR an L2 entry has subclusters but no cluster");
			c->l2_errors++;
		}
		return;
	}
	if (!(e & ENTRY_COMPRESSED) && q->extended && (bitmap & (bitmap >> 32) & 0xffffffff)) {
		check_say(c, "ERROR subclusters are both allocated and zero");
		c->l2_errors++;
	}
	if (active)
		count_statistics(c, host, e & ENTRY_COMPRESSED, next);
}

static int count_l2(struct check *c, uint64_t off, uint64_t *table, bool active, uint64_t *next)
{
	struct qcow2 *q = c->q;
	unsigned step = q->entry_bytes / 8;
	int r = file_pread(q->file, off, table, q->cluster_bytes);

	if (r < 0) {
		c->result->check_errors++;
		return r;
	}
	for (uint64_t i = 0; i < q->cluster_bytes / 8; i += step) {
		uint64_t e = GUINT64_FROM_BE(table[i]);
		uint64_t bitmap = q->extended ? GUINT64_FROM_BE(table[i + 1]) : 0;

		if (e || bitmap)
			count_entry(c, e, bitmap, active, next);
	}
	return 0;
}

static int count_l1(struct check *c, uint64_t off, const uint64_t *l1, uint32_t n, bool active)
{
	struct qcow2 *q = c->q;
	g_autofree uint64_t *table = g_try_malloc(q->cluster_bytes);
	uint64_t next = 0, room = c->n;
	int r = 0;

	if (!table)
		return -ENOMEM;
	count_range(c, off, n * 8ull, active ? "active L1 table" : "snapshot's L1 table");
	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint64_t l2 = l1[i] & ENTRY_OFF_MASK;

		if (!l2 || !count_cluster(c, l2, "L2 table"))
			continue;
		/* else one table, named often enough, would keep us for days */
		if (room-- == 0) {
			check_say(c, "ERROR an L1 table names more L2 tables than fit in the file");
			c->l2_errors++;
			break;
		}
		count_l2(c, l2, table, active, &next);
		r = check_tick(c);
	}
	return r;
}

static int count_snapshots(struct check *c)
{
	struct qcow2 *q = c->q;
	int r = 0;

	if (q->n_snapshots)
		count_range(c, q->h.snapshots_off, q->snapshots_bytes, "snapshot table");
	for (unsigned i = 0; i < q->n_snapshots && r == 0; i++) {
		const struct qcow2_snapshot *s = &q->snapshots[i];
		g_autofree uint64_t *l1 = g_try_new(uint64_t, MAX(s->l1_size, 1));

		r = l1 ? file_pread(q->file, s->l1_off, l1, s->l1_size * 8ull) : -ENOMEM;
		for (uint32_t k = 0; r == 0 && k < s->l1_size; k++)
			l1[k] = GUINT64_FROM_BE(l1[k]);
		if (r == 0)
			r = count_l1(c, s->l1_off, l1, s->l1_size, false);
	}
	return r;
}

/* Spec, "Bitmap table": offsets of clusters; bit 0 without an offset: all ones. */
static int count_bitmap(struct check *c, uint64_t table_off, uint32_t n)
{
	if (!count_range(c, table_off, n * 8ull, "bitmap table"))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t e;
		int r = file_pread(c->q->file, table_off + i * 8ull, &e, 8);

		if (r < 0)
			return r;
		e = GUINT64_FROM_BE(e) & ENTRY_OFF_MASK;
		if (e)
			count_cluster(c, e, "bitmap data");
	}
	return 0;
}

static int count_bitmaps(struct check *c)
{
	struct qcow2 *q = c->q;
	int r = 0;

	if (q->bitmaps_bad) {
		check_say(c, "ERROR the directory of bitmaps is damaged");
		c->bitmaps++;
	}
	count_range(c, q->bitmaps_off, q->bitmaps_bytes, "bitmap directory");
	for (unsigned i = 0; i < q->n_bitmaps && r == 0; i++)
		r = count_bitmap(c, q->bitmaps[i].table_off, q->bitmaps[i].table_size);
	return r;
}

static void count_refcounts(struct check *c)
{
	struct qcow2 *q = c->q;

	count_range(c, q->h.reft_off, (uint64_t)q->h.reft_clusters << q->cluster_bits,
		    "refcount table");
	for (uint32_t i = 0; i < q->reft_used; i++) {
		uint64_t errors = c->l2_errors;

		if (!q->reft[i])
			continue;
		if (count_cluster(c, q->reft[i], "refcount block") &&
		    c->counts[cluster_index(q, q->reft[i])] == 1)
			continue;
		/* Nowhere, or it is something else too: a rebuild mends that. */
		q->reft[i] = 0;
		c->low++;
		c->l2_errors = errors;
	}
	alloc_reft_used(q);
}

int check_count(struct check *c)
{
	struct qcow2 *q = c->q;
	int r;

	if (c->counted) {	/* new ones are zeroes that take no memory yet */
		g_free(c->counts);
		c->counts = g_try_new0(uint32_t, c->n);
	}
	if (!c->counts)
		return -ENOMEM;
	c->counted = true;
	c->l2_errors = c->bitmaps = 0;
	c->result->allocated_clusters = c->result->compressed_clusters = 0;
	c->result->fragmented_clusters = 0;
	count_range(c, 0, q->cluster_bytes, "header");
	r = count_l1(c, q->h.l1_off, q->l1, q->l1_size, true);
	if (r == 0)
		r = count_snapshots(c);
	if (r == 0)
		r = count_bitmaps(c);
	if (r == 0 && !c->no_refcounts)
		count_refcounts(c);
	return r;
}

/* ---- comparing ---- */

static int compare_refcounts(struct check *c)
{
	struct qcow2 *q = c->q;
	uint64_t reach = (uint64_t)q->reft_used << q->refblock_bits, end = MAX(c->n, reach);

	for (uint64_t i = 0; i < end; i++) {
		uint64_t want = i < c->n ? c->counts[i] : 0, have = 0;
		int r;

		if (i >= c->n && !q->reft[i >> q->refblock_bits]) {
			i |= (1ull << q->refblock_bits) - 1;
			continue;
		}
		r = refcount_get(q, i, &have);
		if (r < 0)
			c->result->check_errors++;
		if (r == 0 && i % TICK_CLUSTERS == 0)
			r = check_tick(c);
		if (r < 0)
			return r;
		if (want)
			c->result->image_end_offset =
				MAX(c->result->image_end_offset, (i + 1) << q->cluster_bits);
		if (have == want)
			continue;
		c->low += have < want;
		c->high += have > want;
		check_say(c,
			  "%s cluster %" G_GUINT64_FORMAT " refcount=%" G_GUINT64_FORMAT
			  " reference=%" G_GUINT64_FORMAT,
			  have < want ? "ERROR" : "Leaked", i, have, want);
	}
	return 0;
}

/* COPIED is set if and only if the refcount is exactly 1.  Returns the entry as it should be. */
static uint64_t flag_right(struct check *c, uint64_t e, const char *what)
{
	struct qcow2 *q = c->q;
	uint64_t host = e & ENTRY_OFF_MASK, cluster = cluster_index(q, host),
		 right = e & ~ENTRY_COPIED;

	if (!host || (e & ENTRY_COMPRESSED) || cluster >= c->n)
		return e;
	if (c->counts[cluster] == 1)
		right |= ENTRY_COPIED;
	if (right != e) {
		check_say(c, "ERROR OFLAG_COPIED %s: entry=%" G_GINT64_MODIFIER "x references=%u",
			  what, e, c->counts[cluster]);
		c->flags++;
	}
	return right;
}

/* What is two things at once is left alone: mending the one would break the other. */
static int fix_write(struct check *c, uint64_t off, const void *data, uint64_t bytes, unsigned own)
{
	uint64_t at;

	if (!guard_hit(c->q, off, bytes, own, &at))
		return file_pwrite(c->q->file, off, data, bytes);
	check_say(c, "ERROR offset 0x%" G_GINT64_MODIFIER "x is of two kinds; not repaired", at);
	return 0;
}

static int check_flags_l2(struct check *c, uint64_t off, uint64_t *table, bool fix)
{
	struct qcow2 *q = c->q;
	bool changed = false;
	int r = file_pread(q->file, off, table, q->cluster_bytes);

	for (uint64_t i = 0; r == 0 && i < q->cluster_bytes / 8; i += q->entry_bytes / 8) {
		uint64_t e = GUINT64_FROM_BE(table[i]),
			 right = e && !has_data_file(q) ? flag_right(c, e, "data cluster") : e;

		changed |= right != e;
		table[i] = GUINT64_TO_BE(right);
	}
	if (r == 0 && changed && fix)
		r = fix_write(c, off, table, q->cluster_bytes, GUARD_L2 | GUARD_SNAPSHOT_L2);
	return r;
}

int check_flags(struct check *c, bool fix)
{
	struct qcow2 *q = c->q;
	g_autofree uint64_t *table = g_try_malloc(q->cluster_bytes);
	uint64_t room = c->n;

	if (!table)
		return -ENOMEM;
	c->flags = 0;
	if (fix)
		guard_build(q, OPEN_CHECK, NULL);
	for (uint32_t i = 0; i < q->l1_size && room > 0; i++) {
		uint64_t l2 = q->l1[i] & ENTRY_OFF_MASK, right, be;
		int r = 0;

		if (!l2 || in_cluster(q, l2) || cluster_index(q, l2) >= c->n)
			continue;
		room--;
		right = flag_right(c, q->l1[i], "L2 table");
		be = GUINT64_TO_BE(right);
		if (fix && right != q->l1[i])
			r = fix_write(c, q->h.l1_off + i * 8ull, &be, 8, GUARD_L1);
		if (r == 0 && fix)
			q->l1[i] = right;
		if (r == 0)
			r = check_flags_l2(c, l2, table, fix);
		if (r == 0)
			r = check_tick(c);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the whole ---- */

/* L2 tables are read for what they name, and again for their flags. */
static uint64_t check_todo(const struct check *c)
{
	const struct qcow2 *q = c->q;
	uint64_t n = c->n / TICK_CLUSTERS, l2 = 0;

	for (uint32_t i = 0; i < q->l1_size; i++)
		l2 += (q->l1[i] & ENTRY_OFF_MASK) != 0;
	return n + (2 + q->n_snapshots) * MIN(l2, c->n);
}

int check_once(struct check *c)
{
	int r;

	c->low = c->high = c->done = 0;
	c->todo = check_todo(c);
	r = check_count(c);
	if (r == 0)
		r = compare_refcounts(c);
	return r < 0 ? r : check_flags(c, false);
}

static int check_repair(struct check *c)
{
	const struct check_opts *o = c->opts;
	uint64_t low = c->low, high = c->high, flags = c->flags, bitmaps = c->bitmaps;
	int r = 0;

	if (o->fix_errors && low)
		r = repair_rebuild(c);
	else if ((o->fix_leaks || o->fix_errors) && high && !low)
		r = repair_leaks(c);
	else
		high = 0;
	if (r == 0 && o->fix_errors && (low || flags))
		r = check_flags(c, true);
	if (r == 0 && o->fix_errors && c->bitmaps) {
		r = header_set_autoclear(c->q, c->q->h.autoclear & ~(uint64_t)AUTOCLEAR_BITMAPS);
		c->q->bitmaps_bad = false;
	}
	if (r < 0)
		return r;
	if (o->fix_errors)
		c->result->corruptions_fixed = low + flags + bitmaps;
	c->result->leaks_fixed = high;
	return 0;
}

static bool check_run(struct check *c, GError **error)
{
	const struct check_opts quiet = { 0 }, *loud = c->opts;
	struct qcow2 *q = c->q;
	int r = check_once(c);

	if (r == 0 && (loud->fix_errors || loud->fix_leaks) &&
	    (c->low || c->high || c->flags || c->bitmaps)) {
		r = check_repair(c);
		if (r == 0)
			r = file_sync(q->file);
		cache_reset(q);
		c->opts = &quiet;
		if (r == 0)
			r = check_once(c);
	}
	if (r == -ECANCELED)
		return error_set(error, VMM_ERR_ABORTED, "cancelled");
	if (r < 0)
		return error_errno(error, r, "check image '%s'", q->file->path);
	c->result->corruptions = c->low + c->flags + c->l2_errors + c->bitmaps;
	c->result->leaks = c->high;
	c->result->total_clusters = clusters_of(q, q->bytes);
	if (loud->fix_errors && !c->result->corruptions && !c->result->check_errors)
		r = header_set_incompat(q, q->h.incompat &
						   ~(uint64_t)(INCOMPAT_CORRUPT | INCOMPAT_DIRTY));
	return r == 0 || error_errno(error, r, "write header of '%s'", q->file->path);
}

int check_init(struct check *c, struct qcow2 *q, const struct check_opts *opts,
	       struct image_check *result)
{
	*c = (struct check){ .q = q, .opts = opts, .result = result };
	*result = (struct image_check){ 0 };
	c->n = clusters_of(q, q->file->end);
	if (c->n > CLUSTERS_MAX)
		return -EFBIG;
	c->counts = g_try_new0(uint32_t, c->n);
	return c->counts ? 0 : -ENOMEM;
}

bool qcow2_check(struct qcow2 *q, const struct check_opts *opts, struct image_check *ret,
		 GError **error)
{
	struct check c;
	bool ok;
	int r = check_init(&c, q, opts, ret);

	if (r == -EFBIG)
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "image '%s': too many clusters to check", q->file->path);
	if (r < 0)
		return error_errno(error, r, "check image '%s'", q->file->path);
	ok = check_run(&c, error);
	g_free(c.counts);
	return ok;
}
