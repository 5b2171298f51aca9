/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image measure": how long the file of an image would be.
 *
 * An upper bound that is met: header, tables and refcounts in whole clusters,
 * and each cluster in which the source has data.
 */
#include "config.h"

#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

static uint64_t divide_up(uint64_t n, uint64_t by)
{
	return n / by + (n % by != 0);
}

/* Of so many clusters, counting the refcounts' own. */
static uint64_t refcount_clusters(uint64_t clusters, uint64_t cluster, unsigned refcount_bits)
{
	uint64_t per_block = cluster * 8 / refcount_bits, table = 0, blocks = 0;

	for (unsigned budget = 64; budget > 0; budget--) {
		uint64_t last = table + blocks;

		blocks = divide_up(clusters + table + blocks, per_block);
		table = divide_up(blocks * 8, cluster);
		if (table + blocks == last)
			break;
	}
	return table + blocks;
}

/* Header, L1, L2 and refcounts of an image all of which is allocated. */
static uint64_t tables_bytes(const struct image_create_opts *o, uint64_t bytes)
{
	uint64_t cluster = o->cluster_bytes ?: 65536, data = divide_up(bytes, cluster);
	uint64_t l2 = divide_up(data, cluster / (o->extended_l2 ? 16 : 8));
	uint64_t n = 1 + l2 + divide_up(l2 * 8, cluster);

	n += refcount_clusters(n + data, cluster, o->refcount_bits ?: 16);
	return n * cluster;
}

/* Clusters with data, in bytes. */
static bool data_bytes(struct block *b, uint64_t cluster, const struct image_progress *progress,
		       uint64_t *ret, GError **error)
{
	uint64_t end = block_bytes(b), counted = 0, off = 0;	/* counted: up to here */
	struct extent ext;

	for (*ret = 0; off < end; off += ext.bytes) {
		uint64_t to;
		int r = image_map_data(block_top(b), off, end - off, &ext);

		if (r < 0)
			return error_errno(error, r, "map image '%s' at %" G_GUINT64_FORMAT,
					   block_top(b)->file->path, off);
		if (!image_tick(progress, off, end, error))
			return false;
		if (ext.type == EXTENT_ZERO)
			continue;
		to = round_up(off + ext.bytes, cluster);
		*ret += to - MAX(counted, round_down(off, cluster));
		counted = to;
	}
	return true;
}

/* Spec, "Bitmaps extension": directory entry, table, and all of its bits. */
static uint64_t bitmaps_bytes(const struct image_info *info, uint64_t cluster)
{
	uint64_t directory = 0, sum = 0;

	for (unsigned i = 0; i < info->n_bitmaps; i++) {
		const struct image_bitmap *b = &info->bitmaps[i];
		uint64_t bits = divide_up(info->virtual_bytes, b->granularity);
		uint64_t n = divide_up(divide_up(bits, 8), cluster);

		if (b->in_use)
			continue;
		directory += round_up(24 + strlen(b->name), 8);
		sum += n * cluster + round_up(n * 8, cluster);
	}
	return sum + round_up(directory, cluster);
}

static bool measure_source(const struct image_measure_opts *o, struct image_measure *ret,
			   uint64_t *bytes, uint64_t *data, GError **error)
{
	uint64_t cluster = o->target.cluster_bytes ?: 65536;
	g_autoptr(image_info) info = image_info_new(o->source, o->source_format, false, error);
	g_autoptr(block) b = NULL;

	if (!info)
		return false;
	b = image_open(o->source, info->format, true, o->share_source, error);
	if (!b || !data_bytes(b, cluster, &o->progress, data, error))
		return false;
	*bytes = block_bytes(b);
	ret->has_bitmaps = g_strcmp0(info->compat, "1.1") == 0 && !image_is_v2(&o->target);
	if (ret->has_bitmaps)
		ret->bitmaps = bitmaps_bytes(info, cluster);
	return true;
}

bool image_measure(const struct image_measure_opts *o, struct image_measure *ret, GError **error)
{
	const struct image_create_opts *t = &o->target;
	uint64_t cluster = t->cluster_bytes ?: 65536, bytes = t->bytes, data = 0, tables;
	bool full = t->preallocation == IMAGE_PREALLOC_FALLOC ||
		    t->preallocation == IMAGE_PREALLOC_FULL;

	*ret = (struct image_measure){ 0 };
	if (!image_create_check(t, error))
		return false;
	if (o->source && !measure_source(o, ret, &bytes, &data, error))
		return false;
	bytes = round_up(bytes, 512);
	if (!strcmp(t->format, "raw")) {
		*ret = (struct image_measure){ .required = bytes, .fully_allocated = bytes };
		return true;
	}
	tables = tables_bytes(t, bytes);
	ret->fully_allocated = tables + round_up(bytes, cluster);
	ret->required = tables + (full ? round_up(bytes, cluster) : data);
	return true;
}
