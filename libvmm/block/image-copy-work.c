/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying a disk: what a thread of the pool does with a chunk, beside others. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-copy-priv.h"

static int extent_read(const struct extent *e, uint64_t off, uint8_t *to)
{
	struct layer *l = (struct layer *)e->layer;
	g_autofree uint8_t *room = NULL;
	uint32_t cluster = l->cluster_bytes, in = off & (cluster - 1);
	int r;

	if (e->type == EXTENT_ZERO) {
		memset(to, 0, e->bytes);
		return 0;
	}
	if (e->type == EXTENT_DATA)
		return file_pread(layer_data(l), e->host_off, to, e->bytes);
	room = g_try_malloc(3 * (size_t)cluster);
	if (!room)
		return -ENOMEM;
	if (e->bytes == cluster)
		return pack_unpack(qcow2_of(l), e, room, to);
	r = pack_unpack(qcow2_of(l), e, room, room + 2 * (size_t)cluster);
	if (r == 0)
		memcpy(to, room + 2 * (size_t)cluster + in, e->bytes);
	return r;
}

static int slot_unpack(struct slot *s)
{
	uint64_t pos = 0;
	int r = 0;

	for (guint i = 0; i < s->extents->len && r == 0; i++) {
		const struct extent *e = &g_array_index(s->extents, struct extent, i);

		r = extent_read(e, s->copy->o->skip + s->off + pos, s->buf + pos);
		pos += e->bytes;
	}
	return r;
}

static void slot_squeeze(struct slot *s)
{
	struct copy *c = s->copy;
	struct qcow2 *q = qcow2_of(block_top(c->o->to));
	uint64_t whole = round_up(s->bytes, c->cluster);	/* the disk's end */

	memset(s->buf + s->bytes, 0, whole - s->bytes);
	for (uint64_t pos = 0; pos < s->bytes; pos += c->cluster)
		s->packed_bytes[pos / c->cluster] =
			!c->o->full && buffer_is_zero(s->buf + pos, c->cluster) ? 0 :
			pack_squeeze(q, s->buf + pos, s->packed + pos);
}

void copy_work(void *item, void *opaque)
{
	struct slot *s = item;
	struct copy *c = opaque;

	s->result = slot_unpack(s);
	if (s->result == 0 && c->o->compress)
		slot_squeeze(s);
	g_mutex_lock(&c->lock);
	s->state = SLOT_READY;
	g_cond_signal(&c->worked);
	g_mutex_unlock(&c->lock);
}
