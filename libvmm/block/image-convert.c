/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image convert" and "image compare".
 *
 * The target is made under a name of its own beside the final one, brought to
 * the disk, then renamed: nobody ever sees half an image.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES (2u << 20)
#define SPARSE_BYTES 4096u	/* zeroes shorter than this are written as data */

struct copy {
	const struct image_convert_opts *o;
	struct block *from, *to;
	uint8_t *buf;
	uint64_t total;
	bool pack;
};

/* ---- copying ---- */

/* Runs of data and of zeroes in the chunk; the target reads as zeroes where nothing is written. */
static int write_sparse(struct copy *c, uint64_t off, uint64_t bytes)
{
	uint64_t pos = 0;

	while (pos < bytes) {
		uint64_t n = MIN(SPARSE_BYTES, bytes - pos), end;
		bool zero = buffer_is_zero(c->buf + pos, n);
		int r;

		for (end = pos + n; end < bytes; end += n) {
			n = MIN(SPARSE_BYTES, bytes - end);
			if (buffer_is_zero(c->buf + end, n) != zero)
				break;
		}
		r = zero ? 0 : block_pwrite(c->to, off + pos, c->buf + pos, end - pos);
		if (r < 0)
			return r;
		pos = end;
	}
	return 0;
}

static int write_packed(struct copy *c, uint64_t off, uint64_t bytes)
{
	uint64_t cluster = block_cluster_bytes(c->to);

	for (uint64_t pos = 0; pos < bytes; pos += cluster) {
		uint64_t n = MIN(cluster, bytes - pos);
		int r;

		if (buffer_is_zero(c->buf + pos, n))
			continue;
		memset(c->buf + pos + n, 0, cluster - n);	/* the disk's end */
		r = pack_write(qcow2_of(block_top(c->to)), off + pos, c->buf + pos);
		if (r == 1)
			r = block_pwrite(c->to, off + pos, c->buf + pos, n);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool copy_chunk(struct copy *c, uint64_t off, uint64_t bytes, GError **error)
{
	int r = block_pread(c->from, off, c->buf, bytes);

	if (r < 0)
		return error_errno(error, r, "read image '%s'", c->o->source);
	r = c->pack ? write_packed(c, off, bytes) : write_sparse(c, off, bytes);
	return r == 0 || error_errno(error, r, "write image '%s'", c->o->target.path);
}

static bool copy_all(struct copy *c, GError **error)
{
	uint64_t end = MIN(block_bytes(c->from), block_bytes(c->to)), off = 0;

	while (off < end) {
		uint64_t step = CHUNK_BYTES - off % CHUNK_BYTES;
		struct extent ext;
		int r = image_map_data(block_top(c->from), off, end - off, &ext);

		if (r < 0)
			return error_errno(error, r, "read image '%s'", c->o->source);
		if (ext.type == EXTENT_ZERO && c->pack)	/* packed ones are whole clusters */
			ext.bytes = ext.bytes >= step ?
					    round_down(off + ext.bytes, CHUNK_BYTES) - off :
					    0;
		if (ext.type != EXTENT_ZERO || !ext.bytes) {
			ext.bytes = c->pack ? MIN(step, end - off) : MIN(step, ext.bytes);
			if (!copy_chunk(c, off, ext.bytes, error))
				return false;
		}
		off += ext.bytes;
		if (!image_tick(&c->o->progress, off, end, error))
			return false;
	}
	return true;
}

/* ---- target ---- */

static bool target_free(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || error_errno(error, errno, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "'%s' is not a regular file: cannot be replaced by an image",
				 path);
	return lock_image(fd, path, false, error);
}

static bool convert_to(struct copy *c, const char *path, GError **error)
{
	struct image_create_opts t = c->o->target;
	struct block_opts bo = { .path = path, .format = t.format, .cache = BLOCK_CACHE_UNSAFE };
	bool ok;

	t.path = path;
	t.exclusive = true;
	t.bytes = t.bytes ? t.bytes : block_bytes(c->from);
	if (!image_create(&t, error))
		return false;
	c->to = block_open(&bo, error);
	if (!c->to)
		return false;
	c->pack = c->o->compress;
	ok = copy_all(c, error);
	if (ok) {
		int r = block_flush(c->to);

		ok = r == 0 || error_errno(error, r, "write image '%s'", c->o->target.path);
	}
	block_close(c->to);
	return ok && image_sync_path(path, error);
}

static bool target_publish(const char *temp, const char *path, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);

	if (rename(temp, path) < 0)
		return error_errno(error, errno, "rename '%s' to '%s'", temp, path);
	return image_sync_path(folder, error);
}

static bool convert_check(const struct image_convert_opts *o, GError **error)
{
	if (o->target.backing_file)
		return error_set(
			error, VMM_ERR_OPERATION_UNSUPPORTED,
			"convert makes an image of its own; for an overlay use 'image create -b'");
	if (o->compress && strcmp(o->target.format ? o->target.format : "", "qcow2"))
		return error_set(error, VMM_ERR_INVALID_ARG, "only qcow2 images can be compressed");
	return true;
}

bool image_convert(const struct image_convert_opts *o, GError **error)
{
	struct copy c = { .o = o };
	g_autofree char *temp = g_strdup_printf("%s.%d.tmp", o->target.path, (int)getpid());
	bool ok;

	if (!convert_check(o, error))
		return false;
	c.from = image_open(o->source, o->source_format, true, o->share_source, error);
	if (!c.from)
		return false;
	c.buf = g_malloc(CHUNK_BYTES);
	ok = target_free(o->target.path, error);
	if (ok) {
		unlink(temp);	/* of a process with our number that is no more */
		ok = convert_to(&c, temp, error) && target_publish(temp, o->target.path, error);
		if (!ok)
			unlink(temp);
	}
	g_free(c.buf);
	block_close(c.from);
	return ok;
}

/* ---- compare ---- */

struct pair {
	struct block *a, *b;
	uint8_t *buf_a, *buf_b;
	bool strict;
};

static int pair_map(struct block *b, uint64_t off, uint64_t *bytes, bool *ret_zero)
{
	struct extent ext;
	int r = image_map_data(block_top(b), off, *bytes, &ext);

	if (r < 0)
		return r;
	*bytes = MIN(*bytes, ext.bytes);
	*ret_zero = ext.type == EXTENT_ZERO;
	return 0;
}

static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t n)
{
	uint64_t i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* Bytes that are equal from off on, at most *bytes, which is cut to what was looked at. */
static int pair_chunk(struct pair *p, uint64_t off, uint64_t *bytes, uint64_t *ret_same)
{
	bool za, zb;
	int r = pair_map(p->a, off, bytes, &za);

	if (r == 0)
		r = pair_map(p->b, off, bytes, &zb);
	if (r < 0)
		return r;
	*ret_same = *bytes;
	if (za && zb)
		return 0;
	*ret_same = *bytes = MIN(*bytes, CHUNK_BYTES);
	if (p->strict && za != zb) {
		*ret_same = 0;
		return 0;
	}
	r = block_pread(p->a, off, p->buf_a, *bytes);
	if (r == 0)
		r = block_pread(p->b, off, p->buf_b, *bytes);
	if (r == 0)
		*ret_same = first_difference(p->buf_a, p->buf_b, *bytes);
	return r;
}

/* Only one has it: it must read as zeroes. */
static int tail_chunk(struct pair *p, struct block *b, uint64_t off, uint64_t *bytes,
		      uint64_t *ret_same)
{
	bool zero;
	int r = pair_map(b, off, bytes, &zero);

	if (r < 0)
		return r;
	*ret_same = *bytes;
	if (zero)
		return 0;
	*ret_same = *bytes = MIN(*bytes, CHUNK_BYTES);
	memset(p->buf_b, 0, *bytes);
	r = block_pread(b, off, p->buf_a, *bytes);
	if (r == 0)
		*ret_same = first_difference(p->buf_a, p->buf_b, *bytes);
	return r;
}

static bool compare_all(struct pair *p, const struct image_progress *progress,
			struct image_compare *ret, GError **error)
{
	static const struct image_progress silent;
	uint64_t small = MIN(block_bytes(p->a), block_bytes(p->b));
	uint64_t large = MAX(block_bytes(p->a), block_bytes(p->b));
	struct block *longer = block_bytes(p->a) > small ? p->a : p->b;

	for (uint64_t off = 0; off < large && ret->equal;) {
		uint64_t n = (off < small ? small : large) - off, same;
		int r = off < small ? pair_chunk(p, off, &n, &same) :
				      tail_chunk(p, longer, off, &n, &same);

		if (r < 0)
			return error_errno(error, r, "compare at %" G_GUINT64_FORMAT, off);
		ret->equal = same == n;
		ret->offset = off + same;
		off += n;
		if (!image_tick(progress ? progress : &silent, off, large, error))
			return false;
	}
	return true;
}

bool image_compare(const char *a, const char *a_format, const char *b, const char *b_format,
		   bool strict, const struct image_progress *progress, struct image_compare *ret,
		   GError **error)
{
	struct pair p = { .strict = strict };
	bool ok = false;

	*ret = (struct image_compare){ .equal = true };
	p.a = image_open(a, a_format, true, false, error);
	p.b = p.a ? image_open(b, b_format, true, false, error) : NULL;
	if (p.b) {
		ret->sizes_differ = block_bytes(p.a) != block_bytes(p.b);
		ret->equal = !(strict && ret->sizes_differ);
		p.buf_a = g_malloc(CHUNK_BYTES);
		p.buf_b = g_malloc(CHUNK_BYTES);
		ok = compare_all(&p, progress, ret, error);
		g_free(p.buf_a);
		g_free(p.buf_b);
	}
	block_close(p.b);
	block_close(p.a);
	return ok;
}
