/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed clusters.  Reading blocks the disk's thread: two neighbours are
 * usually read one after the other, so the last cluster unpacked is kept.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "libvmm/block/qcow2-priv.h"

#define DEFLATE_WINDOW (-12)	/* what QEMU writes: raw deflate, 4 KiB window */
#define INFLATE_WINDOW (-15)	/* reads all of them */

static int unpack_zlib(const uint8_t *from, size_t n, uint8_t *to, size_t bytes)
{
	z_stream z = {
		.next_in = (uint8_t *)from, .avail_in = n, .next_out = to, .avail_out = bytes
	};
	int r;

	if (inflateInit2(&z, INFLATE_WINDOW) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* What is behind the stream is somebody else's sector: it does not matter. */
	return (r == Z_STREAM_END || r == Z_BUF_ERROR || r == Z_OK) && z.avail_out == 0 ? 0 : -EIO;
}

static int unpack_zstd(const uint8_t *from, size_t n, uint8_t *to, size_t bytes)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { from, n, 0 };
	ZSTD_outBuffer out = { to, bytes, 0 };
	size_t r = 1;

	if (!z)
		return -ENOMEM;
	while (out.pos < bytes && in.pos < in.size && !ZSTD_isError(r)) {
		size_t before = in.pos + out.pos;

		r = ZSTD_decompressStream(z, &out, &in);
		if (in.pos + out.pos == before)
			break;
	}
	ZSTD_freeDStream(z);
	return !ZSTD_isError(r) && out.pos == bytes ? 0 : -EIO;
}

bool pack_possible(const struct qcow2 *q, const struct extent *ext)
{
	/* A descriptor's sectors reach at most two clusters far. */
	return ext->packed_bytes <= 2 * q->cluster_bytes && ext->host_off < q->file->end;
}

int pack_unpack(const struct qcow2 *q, const struct extent *ext, uint8_t *packed, uint8_t *to)
{
	size_t n = ext->packed_bytes;
	int r = file_pread(q->file, ext->host_off, packed, n);

	if (r < 0)
		return r;
	return q->h.compression_type ? unpack_zstd(packed, n, to, q->cluster_bytes) :
				       unpack_zlib(packed, n, to, q->cluster_bytes);
}

int pack_read(struct layer *l, const struct extent *ext, const uint8_t **ret)
{
	struct qcow2 *q = qcow2_of(l);
	int r;

	if (ext->host_off == q->unpacked_off && q->unpacked_off) {
		*ret = q->unpacked;
		return 0;
	}
	if (!pack_possible(q, ext))
		return qcow2_corrupt(q, "a compressed cluster is at an impossible place",
				     ext->host_off);
	if (!q->packed)
		q->packed = g_try_malloc(2 * q->cluster_bytes);
	if (!q->unpacked)
		q->unpacked = g_try_malloc(q->cluster_bytes);
	if (!q->packed || !q->unpacked)
		return -ENOMEM;
	q->unpacked_off = 0;
	r = pack_unpack(q, ext, q->packed, q->unpacked);
	if (r < 0)
		return r;
	q->unpacked_off = ext->host_off;
	*ret = q->unpacked;
	return 0;
}

/* ---- writing, for "image convert -c" ---- */

static size_t squeeze_zlib(const void *from, void *to, size_t bytes)
{
	z_stream z = {
		.next_in = (uint8_t *)from, .avail_in = bytes, .next_out = to, .avail_out = bytes
	};
	int r;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW, 9,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	r = deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return r == Z_STREAM_END ? z.total_out : 0;
}

static size_t squeeze_zstd(const void *from, void *to, size_t bytes)
{
	size_t n = ZSTD_compress(to, bytes, from, bytes, ZSTD_CLEVEL_DEFAULT);

	return ZSTD_isError(n) ? 0 : n;
}

static int refcount_add(struct qcow2 *q, uint64_t cluster)
{
	uint64_t rc;
	int r = refcount_get(q, cluster, &rc);

	return r < 0 ? r : refcount_set(q, cluster, rc + 1);
}

/*
 * Right behind the last one, also over the end of its host cluster when the
 * next is free.  Each host cluster counts those that touch it.
 */
static int pack_place(struct qcow2 *q, size_t bytes, uint64_t *ret_off)
{
	uint64_t left = q->pack_end - q->pack_next, off = 0, n;
	bool fresh;
	int r = 0;

	if (bytes > left) {
		r = alloc_clusters(q, 1, &off, &n, &fresh);
		if (r < 0)
			return r;
		if (off != q->pack_end)
			left = 0;
		q->pack_end = off + q->cluster_bytes;
	}
	if (left)
		r = refcount_add(q, cluster_index(q, q->pack_next));
	if (r == -ERANGE && !off) {	/* full, as 1-bit refcounts are: it is nobody else's */
		q->pack_next = q->pack_end;
		return pack_place(q, bytes, ret_off);
	}
	if (!left || r == -ERANGE) {
		q->pack_next = off;
		r = 0;
	}
	if (r == 0) {
		*ret_off = q->pack_next;
		q->pack_next += bytes;
	}
	return r;
}

static int pack_link(struct qcow2 *q, uint64_t off, uint64_t host, size_t bytes)
{
	unsigned x = 62 - (q->cluster_bits - 8);
	uint64_t sectors = ((host & 511) + bytes + 511) / 512 - 1;
	struct entry n = { .e = ENTRY_COMPRESSED | sectors << x | host };

	if (host >> x)
		return -EFBIG;
	return map_entry_set(q, off, n);
}

size_t pack_squeeze(const struct qcow2 *q, const void *cluster, void *to)
{
	size_t n = q->h.compression_type ? squeeze_zstd(cluster, to, q->cluster_bytes) :
					   squeeze_zlib(cluster, to, q->cluster_bytes);

	return n < q->cluster_bytes ? n : 0;
}

int pack_store(struct qcow2 *q, uint64_t off, const void *packed, size_t n)
{
	uint64_t host = 0;
	struct entry old;
	int r = map_entry_get(q, off, &old);

	if (r < 0)
		return r;
	if (old.e)	/* only ever into a new image */
		return 1;
	r = map_l2_writable(q, off);
	if (r == 0)
		r = pack_place(q, n, &host);
	if (r == 0)
		r = file_pwrite(q->file, host, packed, n);
	return r < 0 ? r : pack_link(q, off, host, n);
}
