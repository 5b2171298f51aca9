/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying a disk for "image convert", "dd" and "commit": several chunks are on
 * their way at once.
 *
 * The caller's thread owns both disks.  A chunk is read, in some cases worked
 * on by a thread of the pool (what is compressed is unpacked or squeezed), then
 * written.  Unless asked otherwise, chunks begin to be written in the order of
 * their offsets, so that the target is laid out in order.  A slot belongs to
 * the caller's thread but for the time that it is WORKING.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-copy-priv.h"
#include "libvmm/block/request-priv.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES (1u << 20)
#define ZERO_BYTES (256u << 20)	/* in one request: so that it can be cancelled */
#define SHORT_BYTES (64u << 10)	/* islands of data are read with the holes around them */
#define SLOTS 8u
#define SLOTS_WORK 16u	/* a thread that waits for a processor does not stop the others soon */
#define THREADS_MIN 4u	/* a busy host gives more to more; QEMU's number */

static void copy_fail(struct copy *c, int result, bool reading)
{
	if (c->result == 0) {
		c->result = result;
		c->reading_failed = reading;
	}
}

/* ---- a thread's work ---- */

static bool work_push(struct copy *c, struct slot *s)
{
	if (!c->pool)
		c->pool = g_thread_pool_new(copy_work, c,
					    CLAMP(g_get_num_processors(), THREADS_MIN, c->n_slots),
					    FALSE, NULL);
	s->state = SLOT_WORKING;
	return g_thread_pool_push(c->pool, s, NULL);
}

static void work_wait(struct copy *c, struct slot *s)
{
	g_mutex_lock(&c->lock);
	while (s->state == SLOT_WORKING)
		g_cond_wait(&c->worked, &c->lock);
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

static void write_submit(struct slot *s, uint64_t bytes, bool zeroes)
{
	s->iov = (struct iovec){ zeroes ? NULL : s->buf + s->pos, bytes };
	s->req = (struct block_req){ .op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_WRITE,
				     .flags = s->copy->o->full ? 0 : BLOCK_REQ_UNMAP,
				     .offset = s->off + s->pos, .bytes = bytes,
				     .iov = &s->iov, .n_iov = !zeroes, .done = write_done };
	s->pos += bytes;
	block_submit(s->copy->o->to, &s->req);
}

/* Is a piece of the sparse size at pos all zeroes?  *ret: how long it is. */
static bool zero_at(const struct slot *s, uint64_t pos, uint64_t *ret)
{
	const struct image_copy *o = s->copy->o;
	uint32_t unit = o->sparse_bytes ?: IMAGE_SPARSE_BYTES;

	*ret = MIN(unit - (s->off + pos) % unit, s->bytes - pos);
	return !o->full && buffer_is_zero(s->buf + pos, *ret);
}

/* The next run to be written, of data or of zeroes.  0: none. */
static uint64_t next_run(struct slot *s, bool *ret_zeroes)
{
	uint64_t at = s->pos, n;

	while (at < s->bytes) {
		bool zero = zero_at(s, at, &n);

		if (at == s->pos)
			*ret_zeroes = zero;
		else if (zero != *ret_zeroes)
			break;
		at += n;
		if (zero && !s->copy->o->over)
			s->pos = at;	/* it reads so already */
	}
	return at - s->pos;
}

/* Clusters that got smaller go where they fit; 0: none is left, or bytes to write plainly. */
static uint64_t store_packed(struct slot *s, bool *ret_zeroes)
{
	struct copy *c = s->copy;
	struct qcow2 *q = qcow2_of(block_top(c->o->to));

	*ret_zeroes = false;
	for (; s->pos < s->bytes && c->result == 0; s->pos += c->cluster) {
		uint32_t n = s->packed_bytes[s->pos / c->cluster];
		int r = 1;

		if (!n && !c->o->full && buffer_is_zero(s->buf + s->pos, c->cluster)) {
			if (!c->o->over)
				continue;
			*ret_zeroes = true;
		}
		if (n)
			r = pack_store(q, s->off + s->pos, s->packed + s->pos, n);
		if (r < 0)
			copy_fail(c, r, false);
		if (r == 1)
			return MIN(c->cluster, s->bytes - s->pos);
	}
	return 0;
}

static uint64_t next_write(struct slot *s, bool *ret_zeroes)
{
	*ret_zeroes = s->zeroes;
	if (s->zeroes)
		return s->bytes - s->pos;
	return s->copy->o->compress ? store_packed(s, ret_zeroes) : next_run(s, ret_zeroes);
}

static void slot_write(struct slot *s)
{
	struct copy *c = s->copy;
	uint64_t n = 0;
	bool zeroes;

	if (s->result < 0)
		copy_fail(c, s->result, true);
	if (c->result == 0)
		n = next_write(s, &zeroes);
	s->state = n ? SLOT_WRITING : SLOT_DONE;
	if (n)
		write_submit(s, n, zeroes);
}

/* ---- reading ---- */

/* Of all layers, with holes of raw files; or of those before o->until alone. */
static int copy_map(struct copy *c, uint64_t off, uint64_t bytes, struct extent *ret)
{
	const struct image_copy *o = c->o;
	struct layer *top = block_top(o->from);

	if (!o->partial)
		return image_map_data(top, off, bytes, ret);
	*ret = (struct extent){ .type = EXTENT_BACKING, .layer = top, .bytes = bytes };
	for (struct layer *l = top; l != o->until && ret->type == EXTENT_BACKING; l = l->backing) {
		int r;

		if (off >= l->bytes) {	/* a shorter one hides what is behind it */
			ret->type = EXTENT_ZERO;
			return 0;
		}
		r = l->ops->map(l, off, MIN(ret->bytes, l->bytes - off), ret);
		if (r < 0)
			return r;
	}
	return 0;
}

static void read_done(struct block_req *req, int result)
{
	struct slot *s = container_of(req, struct slot, req);
	struct copy *c = s->copy;

	c->n_reading--;
	s->state = SLOT_READY;
	if (result < 0)
		copy_fail(c, result, true);
	else if (c->o->compress)
		work_push(c, s);
}

static struct slot *slot_take(struct copy *c, uint64_t bytes)
{
	struct slot *s = c->idle[--c->n_idle];

	c->used[c->n++] = s;
	s->off = c->pos;
	s->bytes = bytes;
	s->pos = 0;
	s->result = 0;
	s->zeroes = false;
	g_array_set_size(s->extents, 0);
	c->pos += bytes;
	return s;
}

/* What is in the next bytes counts for image_shown(). */
static int chunk_shown(struct copy *c, const struct extent *first, uint64_t bytes, GError **error)
{
	struct extent ext = *first;

	for (uint64_t pos = 0; pos < bytes; pos += ext.bytes) {
		int r = pos ? copy_map(c, c->o->skip + c->pos + pos, bytes - pos, &ext) : 0;

		if (r < 0)
			return r;
		if (!image_shown(&ext, MIN(ext.bytes, bytes - pos), error))
			return -EUCLEAN;
	}
	return 0;
}

static void slot_read(struct copy *c, uint64_t bytes)
{
	struct slot *s = slot_take(c, bytes);

	c->n_reading++;
	s->state = SLOT_READING;
	s->iov = (struct iovec){ s->buf, bytes };
	s->req = (struct block_req){ .op = BLOCK_READ, .offset = c->o->skip + s->off,
				     .bytes = bytes, .iov = &s->iov, .n_iov = 1,
				     .done = read_done };
	block_submit(c->o->from, &s->req);
}

/* What is compressed is read by a thread, to be unpacked beside others. */
static int slot_read_packed(struct copy *c, uint64_t bytes)
{
	struct slot *s = slot_take(c, bytes);
	uint64_t n = 0;

	s->state = SLOT_DONE;
	while (n < bytes) {
		struct extent ext;
		int r = copy_map(c, c->o->skip + s->off + n, bytes - n, &ext);

		if (r < 0)
			return r;
		if (ext.type == EXTENT_PACKED && !pack_possible(qcow2_of(ext.layer), &ext))
			return -EIO;
		g_array_append_val(s->extents, ext);
		n += ext.bytes;
	}
	work_push(c, s);
	return 0;
}

static void slot_zero(struct copy *c, uint64_t bytes)
{
	struct slot *s = slot_take(c, bytes);

	s->zeroes = true;
	s->state = SLOT_READY;
}

/* Squeezed chunks are whole ones: zeroes count from a chunk's begin to a chunk's end. */
static uint64_t skip_bytes(const struct copy *c, const struct extent *ext)
{
	uint64_t to = c->pos + ext->bytes;

	if (ext->type != EXTENT_ZERO || c->o->full)
		return 0;
	return !c->o->compress || to >= c->end ? ext->bytes : round_down(to, c->chunk) - c->pos;
}

static uint64_t read_bytes(const struct copy *c, const struct extent *ext)
{
	uint64_t n = MIN(c->chunk - c->pos % c->chunk, c->end - c->pos);

	if (c->o->over && !c->o->compress)
		return MIN(n, ext->bytes);
	/* not far into the zeroes behind it */
	if (!c->o->compress && ext->type == EXTENT_DATA)
		return MIN(n, MAX(ext->bytes, SHORT_BYTES));
	return n;
}

/* One step from c->pos on. */
static int copy_next(struct copy *c, GError **error)
{
	struct extent ext;
	uint64_t skip, n;
	int r = copy_map(c, c->o->skip + c->pos, c->end - c->pos, &ext);

	if (r < 0)
		return r;
	skip = skip_bytes(c, &ext);
	if (ext.type == EXTENT_BACKING || (skip && !c->o->over)) {
		c->pos += skip ?: ext.bytes;
		return 0;
	}
	if (skip) {
		slot_zero(c, MIN(skip, ZERO_BYTES));
		return 0;
	}
	n = read_bytes(c, &ext);
	r = chunk_shown(c, &ext, n, error);
	if (r < 0)
		return r;
	if (ext.type == EXTENT_PACKED)
		return slot_read_packed(c, n);
	slot_read(c, n);
	return 0;
}

/* Skips a bounded number of holes: somebody wants to know how far we are. */
static void copy_fill(struct copy *c, GError **error)
{
	for (unsigned budget = 64; budget > 0; budget--) {
		int r;

		if (c->n_idle == 0 || c->pos == c->end || c->result < 0)
			break;
		r = copy_next(c, error);
		if (r < 0)
			copy_fail(c, r, true);
	}
}

/* ---- all of it ---- */

static void copy_advance(struct copy *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		struct slot *s = c->used[i];
		enum slot_state state = slot_state(c, s);

		if (state == SLOT_READY)
			slot_write(s);
		if (!c->o->any_order && (state == SLOT_READING || state == SLOT_WORKING))
			break;
	}
	block_kick(c->o->to);
	for (unsigned i = 0; i < c->n; i++) {
		if (slot_state(c, c->used[i]) == SLOT_DONE)
			c->idle[c->n_idle++] = c->used[i];
		else
			c->used[n++] = c->used[i];
	}
	c->n = n;
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
	s = c->used[0];
	switch (slot_state(c, s)) {
	case SLOT_WRITING:
		block_wait(c->o->to);
		break;
	case SLOT_WORKING:
		work_wait(c, s);
		break;
	default:
		break;
	}
}

static bool copy_run(struct copy *c, GError **error)
{
	GError *first = NULL;

	while ((c->pos < c->end && c->result == 0) || c->n > 0) {
		copy_fill(c, &first);
		block_kick(c->o->from);
		copy_advance(c);
		copy_wait(c);
		if (c->result == 0 && !image_tick(c->o->progress, c->pos, c->end, &first))
			copy_fail(c, -ECANCELED, false);
	}
	if (first)
		g_propagate_error(error, first);
	if (c->result == 0 || first)
		return c->result == 0;
	return error_errno(error, c->result, c->reading_failed ? "read image '%s'" :
			   "write image '%s'", c->reading_failed ? c->o->source : c->o->target);
}

static void slots_init(struct copy *c)
{
	for (unsigned i = 0; i < c->n_slots; i++) {
		struct slot *s = &c->slots[i];

		s->copy = c;
		s->buf = g_malloc(c->chunk);
		s->extents = g_array_new(FALSE, FALSE, sizeof(struct extent));
		c->idle[c->n_idle++] = s;
		if (!c->o->compress)
			continue;
		s->packed = g_malloc(c->chunk);
		s->packed_bytes = g_new(uint32_t, c->chunk / c->cluster);
	}
}

static void slots_done(struct copy *c)
{
	for (unsigned i = 0; i < c->n_slots; i++) {
		g_free(c->slots[i].buf);
		g_array_unref(c->slots[i].extents);
		g_free(c->slots[i].packed);
		g_free(c->slots[i].packed_bytes);
	}
}

bool image_copy(const struct image_copy *o, GError **error)
{
	uint64_t have = block_bytes(o->from), skip = MIN(o->skip, have);
	struct copy c = { .o = o, .end = MIN(have - skip, block_bytes(o->to)),
			  .cluster = block_cluster_bytes(o->to),
			  .chunk = MAX(CHUNK_BYTES, block_cluster_bytes(o->to)) };
	bool ok;

	if (o->bytes)
		c.end = MIN(c.end, o->bytes);
	c.n_slots = MIN(o->requests ?: o->compress ? SLOTS_WORK : SLOTS, IMAGE_REQUESTS_MAX);
	g_mutex_init(&c.lock);
	g_cond_init(&c.worked);
	slots_init(&c);
	ok = copy_run(&c, error);
	if (c.pool)
		g_thread_pool_free(c.pool, FALSE, TRUE);
	slots_done(&c);
	g_cond_clear(&c.worked);
	g_mutex_clear(&c.lock);
	return ok;
}
