/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying a disk for "image convert": several chunks are on their way at once.
 *
 * The caller's thread owns both disks.  A chunk is read, in some cases squeezed
 * by a thread of the pool, then written; chunks begin to be written in the
 * order of their offsets, so that the target is laid out in order.  A slot
 * belongs to the caller's thread but for the time that it is SQUEEZING.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/block/request-priv.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES (1u << 20)
#define SPARSE_BYTES 4096u	/* zeroes shorter than this are written as data */
#define SHORT_BYTES (64u << 10)	/* islands of data are read with the holes around them */
#define SLOTS 8u
#define THREADS_MIN 4u	/* a busy host gives more to more; QEMU's number */

enum slot_state { SLOT_READING, SLOT_SQUEEZING, SLOT_READY, SLOT_WRITING, SLOT_DONE };

struct slot {
	struct copy *copy;
	enum slot_state state;
	struct block_req req;
	struct iovec iov;
	uint8_t *buf;
	uint64_t off, bytes, pos;	/* of the disk; what has been written of it */
	uint8_t *packed;		/* a cluster of this at the place of each in buf */
	uint32_t *packed_bytes;		/* by cluster; 0: not smaller, write it plainly */
};

struct copy {
	const struct image_copy *o;
	struct slot slots[SLOTS];
	unsigned first, n;		/* in use, a ring in the order of offsets */
	unsigned n_reading;		/* of them */
	uint64_t pos, end;		/* slots were given out up to pos */
	uint32_t cluster;		/* compressing: of the target */
	uint32_t chunk;			/* a multiple of it */
	GThreadPool *pool;		/* NULL: no compression */
	GMutex lock;
	GCond squeezed;
	int result;
	bool reading_failed;
};

static struct slot *slot_at(struct copy *c, unsigned i)
{
	return &c->slots[(c->first + i) % SLOTS];
}

static void copy_fail(struct copy *c, int result, bool reading)
{
	if (c->result == 0) {
		c->result = result;
		c->reading_failed = reading;
	}
}

/* ---- squeezing ---- */

static void slot_squeeze(void *item, void *opaque)
{
	struct slot *s = item;
	struct copy *c = opaque;
	struct qcow2 *q = qcow2_of(block_top(c->o->to));

	for (uint64_t pos = 0; pos < s->bytes; pos += c->cluster)
		s->packed_bytes[pos / c->cluster] =
			buffer_is_zero(s->buf + pos, c->cluster) ? 0 :
			pack_squeeze(q, s->buf + pos, s->packed + pos);
	g_mutex_lock(&c->lock);
	s->state = SLOT_READY;
	g_cond_signal(&c->squeezed);
	g_mutex_unlock(&c->lock);
}

static void squeezed_wait(struct copy *c, struct slot *s)
{
	g_mutex_lock(&c->lock);
	while (s->state == SLOT_SQUEEZING)
		g_cond_wait(&c->squeezed, &c->lock);
	g_mutex_unlock(&c->lock);
}

static enum slot_state slot_state(struct copy *c, struct slot *s)
{
	enum slot_state state;

	g_mutex_lock(&c->lock);
	state = s->state;
	g_mutex_unlock(&c->lock);
	return state;
}

/* ---- writing ---- */

static void slot_write(struct slot *s);

static void write_done(struct block_req *req, int result)
{
	struct slot *s = container_of(req, struct slot, req);

	if (result < 0)
		copy_fail(s->copy, result, false);
	slot_write(s);
}

static void write_submit(struct slot *s, uint64_t bytes)
{
	s->iov = (struct iovec){ s->buf + s->pos, bytes };
	s->req = (struct block_req){ .op = BLOCK_WRITE, .offset = s->off + s->pos, .bytes = bytes,
				     .iov = &s->iov, .n_iov = 1, .done = write_done };
	s->pos += bytes;
	block_submit(s->copy->o->to, &s->req);
}

/* The next run of data, whole SPARSE_BYTES; skips zeroes.  0: none. */
static uint64_t next_data(struct slot *s)
{
	uint64_t at, n;

	while (s->pos < s->bytes &&
	       buffer_is_zero(s->buf + s->pos, MIN(SPARSE_BYTES, s->bytes - s->pos)))
		s->pos += MIN(SPARSE_BYTES, s->bytes - s->pos);
	for (at = s->pos; at < s->bytes; at += n) {
		n = MIN(SPARSE_BYTES, s->bytes - at);
		if (buffer_is_zero(s->buf + at, n))
			break;
	}
	return at - s->pos;
}

/* Clusters that got smaller go where they fit; 0: none is left, or bytes to write plainly. */
static uint64_t store_packed(struct slot *s)
{
	struct copy *c = s->copy;
	struct qcow2 *q = qcow2_of(block_top(c->o->to));

	for (; s->pos < s->bytes && c->result == 0; s->pos += c->cluster) {
		uint32_t n = s->packed_bytes[s->pos / c->cluster];
		int r = 1;

		if (buffer_is_zero(s->buf + s->pos, c->cluster))
			continue;
		if (n)
			r = pack_store(q, s->off + s->pos, s->packed + s->pos, n);
		if (r < 0)
			copy_fail(c, r, false);
		if (r == 1)
			return MIN(c->cluster, s->bytes - s->pos);
	}
	return 0;
}

static void slot_write(struct slot *s)
{
	uint64_t n = 0;

	if (s->copy->result == 0)
		n = s->copy->pool ? store_packed(s) : next_data(s);
	s->state = n ? SLOT_WRITING : SLOT_DONE;
	if (n)
		write_submit(s, n);
}

/* ---- reading ---- */

static void read_done(struct block_req *req, int result)
{
	struct slot *s = container_of(req, struct slot, req);
	struct copy *c = s->copy;

	c->n_reading--;
	s->state = SLOT_READY;
	if (result < 0) {
		copy_fail(c, result, true);
	} else if (c->pool) {
		uint64_t whole = round_up(s->bytes, c->cluster);	/* the disk's end */

		memset(s->buf + s->bytes, 0, whole - s->bytes);
		s->state = SLOT_SQUEEZING;
		g_thread_pool_push(c->pool, s, NULL);
	}
}

static void slot_read(struct copy *c, uint64_t bytes)
{
	struct slot *s = slot_at(c, c->n++);

	c->n_reading++;
	s->state = SLOT_READING;
	s->off = c->pos;
	s->bytes = bytes;
	s->pos = 0;
	s->iov = (struct iovec){ s->buf, bytes };
	s->req = (struct block_req){ .op = BLOCK_READ, .offset = s->off, .bytes = bytes,
				     .iov = &s->iov, .n_iov = 1, .done = read_done };
	block_submit(c->o->from, &s->req);
	c->pos += bytes;
}

/* Squeezed chunks are whole ones: zeroes count from a chunk's begin to a chunk's end. */
static uint64_t skip_bytes(const struct copy *c, const struct extent *ext)
{
	uint64_t to = c->pos + ext->bytes;

	if (ext->type != EXTENT_ZERO)
		return 0;
	return !c->pool || to >= c->end ? ext->bytes : round_down(to, c->chunk) - c->pos;
}

/* From c->pos on: how much can be skipped (or 0), how much else is to be read. */
static int next_extent(struct copy *c, uint64_t *ret_skip, uint64_t *ret_bytes)
{
	struct extent ext;
	int r = image_map_data(block_top(c->o->from), c->pos, c->end - c->pos, &ext);

	if (r < 0)
		return r;
	*ret_skip = skip_bytes(c, &ext);
	*ret_bytes = MIN(c->chunk - c->pos % c->chunk, c->end - c->pos);
	if (!c->pool && ext.type == EXTENT_DATA)	/* not far into the zeroes behind it */
		*ret_bytes = MIN(*ret_bytes, MAX(ext.bytes, SHORT_BYTES));
	return 0;
}

static void copy_fill(struct copy *c)
{
	while (c->n < SLOTS && c->pos < c->end && c->result == 0) {
		uint64_t skip, bytes;
		int r = next_extent(c, &skip, &bytes);

		if (r < 0)
			copy_fail(c, r, true);
		else if (skip)
			c->pos += skip;
		else
			slot_read(c, bytes);
	}
}

/* ---- all of it ---- */

static void copy_advance(struct copy *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct slot *s = slot_at(c, i);
		enum slot_state state = slot_state(c, s);

		if (state == SLOT_READY)
			slot_write(s);
		if (state == SLOT_READING || state == SLOT_SQUEEZING)
			break;
	}
	block_kick(c->o->to);
	while (c->n > 0 && slot_state(c, slot_at(c, 0)) == SLOT_DONE) {
		c->first = (c->first + 1) % SLOTS;
		c->n--;
	}
}

/*
 * Something changes.  Reads first, for what was read feeds the pool and the
 * writes; then the oldest slot, which must be written before the others.
 */
static void copy_wait(struct copy *c)
{
	struct slot *s;

	if (c->n == 0)
		return;
	if (c->n_reading > 0) {
		block_wait(c->o->from);
		return;
	}
	s = slot_at(c, 0);
	switch (slot_state(c, s)) {
	case SLOT_WRITING:
		block_wait(c->o->to);
		break;
	case SLOT_SQUEEZING:
		squeezed_wait(c, s);
		break;
	default:
		break;
	}
}

static bool copy_run(struct copy *c, GError **error)
{
	while ((c->pos < c->end && c->result == 0) || c->n > 0) {
		copy_fill(c);
		block_kick(c->o->from);
		copy_advance(c);
		copy_wait(c);
		if (c->result == 0 && !image_tick(c->o->progress, c->pos, c->end, error))
			copy_fail(c, -ECANCELED, false);
	}
	if (c->result == 0 || c->result == -ECANCELED)
		return c->result == 0;
	return error_errno(error, c->result, c->reading_failed ? "read image '%s'" :
			   "write image '%s'", c->reading_failed ? c->o->source : c->o->target);
}

static void slots_init(struct copy *c)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		c->slots[i].copy = c;
		c->slots[i].buf = g_malloc(c->chunk);
		if (!c->pool)
			continue;
		c->slots[i].packed = g_malloc(c->chunk);
		c->slots[i].packed_bytes = g_new(uint32_t, c->chunk / c->cluster);
	}
}

bool image_copy(const struct image_copy *o, GError **error)
{
	struct copy c = { .o = o, .end = MIN(block_bytes(o->from), block_bytes(o->to)),
			  .cluster = block_cluster_bytes(o->to),
			  .chunk = MAX(CHUNK_BYTES, block_cluster_bytes(o->to)) };
	bool ok;

	g_mutex_init(&c.lock);
	g_cond_init(&c.squeezed);
	if (o->compress)
		c.pool = g_thread_pool_new(slot_squeeze, &c,
					   CLAMP(g_get_num_processors(), THREADS_MIN, SLOTS),
					   FALSE, NULL);
	slots_init(&c);
	ok = copy_run(&c, error);
	if (c.pool)
		g_thread_pool_free(c.pool, FALSE, TRUE);
	for (unsigned i = 0; i < SLOTS; i++) {
		g_free(c.slots[i].buf);
		g_free(c.slots[i].packed);
		g_free(c.slots[i].packed_bytes);
	}
	g_cond_clear(&c.squeezed);
	g_mutex_clear(&c.lock);
	return ok;
}

/* ---- overlays ---- */

struct difference {
	const struct image_copy *o;
	uint8_t *have, *want;
};

/* Both show the same bytes of the same file. */
static bool same_place(const struct extent *a, const struct extent *b)
{
	const struct file *fa = a->layer->file, *fb = b->layer->file;

	if (a->type == EXTENT_ZERO || b->type == EXTENT_ZERO)
		return a->type == b->type;
	return a->type == EXTENT_DATA && b->type == EXTENT_DATA && a->host_off == b->host_off &&
	       fa->dev == fb->dev && fa->ino == fb->ino;
}

/* n bytes at pos of the buffers differ; zeroes need not be written out. */
static int difference_write(struct difference *d, uint64_t off, uint64_t pos, uint64_t n)
{
	if (buffer_is_zero(d->want + pos, n))
		return block_pwrite_zeroes(d->o->to, off + pos, n, BLOCK_REQ_UNMAP);
	return block_pwrite(d->o->to, off + pos, d->want + pos, n);
}

static int difference_chunk(struct difference *d, uint64_t off, uint64_t bytes)
{
	uint64_t unit = MAX(block_cluster_bytes(d->o->to), SPARSE_BYTES);
	int r = block_pread(d->o->from, off, d->want, bytes);

	if (r == 0)
		r = block_pread(d->o->to, off, d->have, bytes);
	for (uint64_t pos = 0, n; pos < bytes && r == 0; pos += n) {
		n = MIN(unit - (off + pos) % unit, bytes - pos);
		if (memcmp(d->have + pos, d->want + pos, n) != 0)
			r = difference_write(d, off, pos, n);
	}
	return r;
}

static int difference_step(struct difference *d, uint64_t off, uint64_t *bytes)
{
	struct extent have, want;
	int r = image_map_data(block_top(d->o->from), off, *bytes, &want);

	if (r == 0)
		r = image_map_data(block_top(d->o->to), off, want.bytes, &have);
	if (r < 0)
		return r;
	*bytes = have.bytes;
	if (same_place(&have, &want))
		return 0;
	*bytes = MIN(*bytes, CHUNK_BYTES);
	return difference_chunk(d, off, *bytes);
}

bool image_copy_difference(const struct image_copy *o, GError **error)
{
	g_autofree uint8_t *have = g_malloc(CHUNK_BYTES), *want = g_malloc(CHUNK_BYTES);
	struct difference d = { .o = o, .have = have, .want = want };
	uint64_t end = block_bytes(o->to), bytes;

	for (uint64_t off = 0; off < end; off += bytes) {
		int r;

		bytes = end - off;
		r = difference_step(&d, off, &bytes);
		if (r < 0)
			return error_errno(error, r, "copy '%s' into '%s' at %" G_GUINT64_FORMAT,
					   o->source, o->target, off);
		if (!image_tick(o->progress, off + bytes, end, error))
			return false;
	}
	return true;
}
