/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-blk before a struct block: the device.
 *
 * The disk's thread owns queues, slots and image.  A chain is taken into a
 * free slot; there are as many as the queue has heads, so one is there for
 * each chain that virtqueue_pop() accepts.  blk-request.c has the life of a
 * request.
 *
 * Interrupts and engine kicks are batched: what completions leave behind is
 * done by blk_settle() once in a turn of the loop, before it sleeps.
 */
#include "config.h"
#include "libvmm/device/blk-priv.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define QUEUES_MAX 64
#define QUEUE_SIZE 256
#define ROOM_TICK_MS 2000
#define ROOM_BYTES_MAX (64u << 20)
#define SEGMENT_BYTES_MAX (1u << 20)
#define CONFIG_BYTES offsetof(struct virtio_blk_config, max_secure_erase_sectors)

static_assert(CONFIG_BYTES == 60, "the configuration up to write_zeroes_may_unmap (5.2.4)");

struct settle_source {
	GSource source;
	struct blk *blk;
};

/*
 * Takes at most a queue full of chains before others get the loop: a driver
 * that adds them as fast as we finish them would keep us here.
 */
static void blk_kick(struct virtio_device *dev, unsigned queue)
{
	struct blk *blk = blk_of(dev);
	struct blk_queue *q = &blk->queues[queue];
	struct virtqueue *vq = virtio_queue(dev, queue);
	unsigned budget = blk->queue_size;
	bool more;

	if (blk->holds)
		return;
	do {
		virtqueue_kicks_off(vq);
		for (more = true; more && q->n_free && budget; budget--) {
			struct blk_slot *s = blk_slot_get(blk, queue);

			more = virtio_pop(dev, queue, &s->chain) > 0;
			if (more)
				blk_slot_begin(blk, s);
			else
				blk_slot_put(blk, s);
		}
		blk->engine_kick = false;
		block_kick(blk->block);
		q->stalled = !q->n_free;
		if (q->stalled)
			return;
	} while (budget && virtqueue_kicks_on(vq));
	if (!budget)
		virtio_kick_later(dev, queue);
}

static void queues_notify(struct blk *blk)
{
	for (unsigned i = 0; i < blk->n_queues; i++) {
		if (!blk->queues[i].notify)
			continue;
		blk->queues[i].notify = false;
		virtio_notify(&blk->vdev, i);
	}
}

/* Once in a turn of the loop, before it sleeps. */
static gboolean blk_settle(GSource *source, int *timeout)
{
	struct blk *blk = ((struct settle_source *)source)->blk;

	*timeout = -1;
	while (blk->engine_kick) {
		blk->engine_kick = false;
		block_kick(blk->block);
	}
	queues_notify(blk);
	return FALSE;
}

static gboolean settle_never(GSource *source, GSourceFunc callback, gpointer arg)
{
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs settle_funcs = { .prepare = blk_settle, .dispatch = settle_never };

static void settle_attach(struct blk *blk)
{
	blk->settle = g_source_new(&settle_funcs, sizeof(struct settle_source));
	((struct settle_source *)blk->settle)->blk = blk;
	/* Before all others, or a busy source could hide it from a turn. */
	g_source_set_priority(blk->settle, G_PRIORITY_HIGH);
	g_source_set_static_name(blk->settle, "virtio-blk settle");
	g_source_attach(blk->settle, blk->vdev.ctx);
}

static void wce_set(struct blk *blk, uint8_t wce)
{
	blk->writeback = wce;
	virtio_config_store(&blk->vdev, offsetof(struct virtio_blk_config, wce), &wce, 1);
}

static void blk_config_write(struct virtio_device *dev, size_t off, const void *data, size_t len)
{
	uint8_t wce = *(const uint8_t *)data;

	if (off == offsetof(struct virtio_blk_config, wce) && len == 1 && wce <= 1 &&
	    virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE))
		wce_set(blk_of(dev), wce);
}

/* ---- requests that wait ---- */

/* Enough to be worth a try: a part of the file system more than there was. */
static uint64_t room_wanted(struct blk *blk)
{
	uint64_t total, free = block_room(blk->block, &total);

	return free + CLAMP(total / 100, 1, ROOM_BYTES_MAX);
}

static gboolean on_room_tick(void *opaque)
{
	struct blk *blk = opaque;
	uint64_t total;

	if (block_room(blk->block, &total) >= blk->room_wanted && blk->on_room)
		blk->on_room(blk->opaque);
	return G_SOURCE_CONTINUE;
}

void blk_slot_wait(struct blk *blk, struct blk_slot *s, int error)
{
	s->next_waiting = blk->waiting;
	blk->waiting = s;
	blk->waiting_error = error;
	if (blk->room || (error != ENOSPC && error != EDQUOT))
		return;
	blk->room_wanted = room_wanted(blk);
	blk->room = g_timeout_source_new(ROOM_TICK_MS);
	g_source_set_static_name(blk->room, "virtio-blk room");
	g_source_set_callback(blk->room, on_room_tick, blk, NULL);
	g_source_attach(blk->room, blk->vdev.ctx);
}

/* The waiting ones, newest first; they wait no more. */
static struct blk_slot *waiting_take(struct blk *blk)
{
	struct blk_slot *s = blk->waiting;

	blk->waiting = NULL;
	blk->waiting_error = 0;
	if (blk->room)
		g_source_destroy(blk->room);
	g_clear_pointer(&blk->room, g_source_unref);
	return s;
}

static void blk_reset(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);
	struct blk_slot *s, *next;

	if (!blk->block)
		return;
	blk->draining = true;
	for (s = waiting_take(blk); s; s = next) {
		next = s->next_waiting;
		blk_slot_put(blk, s);
	}
	blk_throttle_reset(blk);
	block_drain(blk->block);
	blk->draining = false;
	blk->engine_kick = blk->retry = false;
	for (unsigned i = 0; i < blk->n_queues; i++) {
		assert(blk->queues[i].n_free == blk->queue_size);
		blk->queues[i].stalled = blk->queues[i].notify = false;
	}
	wce_set(blk, 1);	/* 5.2.5.2: its state after a reset */
}

/* A request that ends may begin its next part, or a flush: until nothing does. */
static void blk_stop(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);

	blk->retry = false;
	do {
		blk->engine_kick = false;
		block_kick(blk->block);
		block_drain(blk->block);
	} while (blk->engine_kick);
	queues_notify(blk);
}

/* The machine runs again: oldest first is not needed, no order was promised. */
static void blk_start(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);
	struct blk_slot *s, *next;

	blk->retry = blk->holds;
	if (blk->retry)
		return;
	for (s = waiting_take(blk); s; s = next) {
		next = s->next_waiting;
		blk_slot_submit(blk, s);
	}
	blk_throttle_go_on(blk);
	blk->engine_kick = false;
	block_kick(blk->block);
}

void blk_hold(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);

	blk->holds++;
	block_drain(blk->block);
}

void blk_release(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);

	if (--blk->holds)
		return;
	if (blk->retry)
		blk_start(dev);
	blk_throttle_go_on(blk);
	for (unsigned i = 0; i < blk->n_queues; i++)
		virtio_kick_later(dev, i);
}

struct block *blk_block(struct virtio_device *dev)
{
	return blk_of(dev)->block;
}

void blk_resized(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);
	uint32_t logical;
	uint64_t bytes = block_bytes(blk->block), sectors;

	virtio_config_read(dev, offsetof(struct virtio_blk_config, blk_size), &logical,
			   sizeof(logical));
	sectors = (bytes - bytes % logical) >> SECTOR_BITS;
	virtio_config_update(dev, offsetof(struct virtio_blk_config, capacity), &sectors,
			     sizeof(sectors));
}

int blk_waiting_error(struct virtio_device *dev)
{
	return blk_of(dev)->waiting_error;
}

static void blk_save(struct virtio_device *dev, struct state_out *out)
{
	struct blk *blk = blk_of(dev);

	state_put_u8(out, blk->writeback);
	state_put_u64(out, block_bytes(blk->block));
}

/* What waited when it was saved waits again, for the start. */
static void waiting_load(struct blk *blk, unsigned queue, struct state_in *in)
{
	struct virtqueue *vq = virtio_queue(&blk->vdev, queue);

	for (int head = virtqueue_held(vq, 0); head >= 0; head = virtqueue_held(vq, head + 1)) {
		struct blk_slot *s = blk_slot_get(blk, queue);

		if (virtqueue_repop(vq, (uint16_t)head, &s->chain) < 0 ||
		    !blk_slot_hold(blk, s)) {
			blk_slot_put(blk, s);
			in->bad = true;
			return;
		}
	}
}

static void blk_load(struct virtio_device *dev, struct state_in *in)
{
	struct blk *blk = blk_of(dev);

	blk->writeback = state_get_bool(in);
	in->bad |= state_get_u64(in) != block_bytes(blk->block);
	/* A broken device holds what broke it, too, and waits for its reset. */
	if (!dev->active || virtio_is_broken(dev))
		return;
	for (unsigned i = 0; i < blk->n_queues && !in->bad; i++)
		waiting_load(blk, i, in);
}

static void close_on_owner(void *arg)
{
	struct blk *blk = arg;

	waiting_take(blk);
	blk_throttle_done(blk);
	if (blk->settle) {
		g_source_destroy(blk->settle);
		g_source_unref(blk->settle);
	}
	block_close(blk->block);
	blk->block = NULL;
}

static void blk_free(struct virtio_device *dev)
{
	struct blk *blk = blk_of(dev);

	owner_call(dev->ctx, close_on_owner, blk);
	virtio_done(dev);
	for (unsigned i = 0; i < blk->n_queues; i++) {
		g_free(blk->queues[i].slots);
		g_free(blk->queues[i].free);
	}
	g_free(blk->queues);
	g_free(blk);
}

static const struct virtio_ops blk_ops = {
	.reset = blk_reset,
	.kick = blk_kick,
	.config_write = blk_config_write,
	.stop = blk_stop,
	.start = blk_start,
	.save = blk_save,
	.load = blk_load,
	.free = blk_free,
};

/* --- construction --- */

static uint64_t blk_features(const struct blk *blk, const struct blk_opts *opts)
{
	uint64_t f = UINT64_C(1) << VIRTIO_BLK_F_SEG_MAX | UINT64_C(1) << VIRTIO_BLK_F_SIZE_MAX |
		     UINT64_C(1) << VIRTIO_BLK_F_BLK_SIZE | UINT64_C(1) << VIRTIO_BLK_F_TOPOLOGY;

	if (!blk->no_cache)
		f |= UINT64_C(1) << VIRTIO_BLK_F_FLUSH | UINT64_C(1) << VIRTIO_BLK_F_CONFIG_WCE;
	if (blk->n_queues > 1)
		f |= UINT64_C(1) << VIRTIO_BLK_F_MQ;
	if (blk->read_only)
		return f | UINT64_C(1) << VIRTIO_BLK_F_RO;
	if (opts->discard && block_can_discard(blk->block))
		f |= UINT64_C(1) << VIRTIO_BLK_F_DISCARD;
	return f | UINT64_C(1) << VIRTIO_BLK_F_WRITE_ZEROES;
}

static struct virtio_blk_config blk_config(const struct blk *blk, const struct blk_opts *opts)
{
	uint32_t logical = opts->logical_block_bytes ? opts->logical_block_bytes : SECTOR_BYTES;
	uint32_t physical = MAX(opts->physical_block_bytes, logical);
	uint64_t bytes = block_bytes(blk->block);

	return (struct virtio_blk_config){
		.capacity = (bytes - bytes % logical) >> SECTOR_BITS,
		.size_max = SEGMENT_BYTES_MAX,
		.seg_max = SEG_MAX,
		.blk_size = logical,
		.physical_block_exp = g_bit_nth_lsf(physical / logical, -1),
		.min_io_size = physical / logical,
		.wce = 1,
		.num_queues = blk->n_queues,
		.max_discard_sectors = DISCARD_SECTORS_MAX,
		.max_discard_seg = RANGES_MAX,
		.discard_sector_alignment = block_cluster_bytes(blk->block) >> SECTOR_BITS,
		.max_write_zeroes_sectors = ZERO_SECTORS_MAX,
		.max_write_zeroes_seg = RANGES_MAX,
		.write_zeroes_may_unmap = opts->discard && block_can_discard(blk->block),
	};
}

static bool is_block_size(uint32_t n)
{
	return !n || (n >= SECTOR_BYTES && n <= (64u << 10) && !(n & (n - 1)));
}

static bool opts_check(const struct blk_opts *opts, GError **error)
{
	if (opts->serial && strlen(opts->serial) > BLK_SERIAL_BYTES)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%s: the serial '%s' is longer than %u bytes", opts->name,
				 opts->serial, BLK_SERIAL_BYTES);
	if (opts->n_queues > QUEUES_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%s: %u queues are more than %u", opts->name, opts->n_queues,
				 QUEUES_MAX);
	if (opts->queue_size > VIRTQUEUE_SIZE_MAX || (opts->queue_size & (opts->queue_size - 1)))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%s: the queue size %u is not a power of two up to %u", opts->name,
				 opts->queue_size, VIRTQUEUE_SIZE_MAX);
	if (!is_block_size(opts->logical_block_bytes) || !is_block_size(opts->physical_block_bytes))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%s: a block size is not a power of two from 512 to 65536",
				 opts->name);
	return true;
}

static void queues_new(struct blk *blk)
{
	blk->queues = g_new0(struct blk_queue, blk->n_queues);
	for (unsigned i = 0; i < blk->n_queues; i++) {
		struct blk_queue *q = &blk->queues[i];

		q->slots = g_new0(struct blk_slot, blk->queue_size);
		q->free = g_new(uint16_t, blk->queue_size);
		q->n_free = blk->queue_size;
		for (unsigned k = 0; k < blk->queue_size; k++)
			q->free[k] = blk->queue_size - 1 - k;
	}
}

static struct blk *blk_alloc(struct block *image, const struct blk_opts *opts)
{
	struct blk *blk = g_new0(struct blk, 1);

	blk->block = image;
	blk->read_only = opts->read_only || block_is_read_only(image);
	blk->no_cache = opts->no_cache;
	blk->writeback = true;
	blk->detect_zeroes = opts->detect_zeroes;
	blk->read_policy = opts->read_policy;
	blk->write_policy = opts->write_policy;
	blk->on_error = opts->on_error;
	blk->on_room = opts->on_room;
	blk->opaque = opts->opaque;
	blk->n_queues = opts->n_queues ? opts->n_queues : 1;
	blk->queue_size = opts->queue_size ? opts->queue_size : QUEUE_SIZE;
	if (opts->serial)
		memcpy(blk->serial, opts->serial, strlen(opts->serial));
	queues_new(blk);
	return blk;
}

struct virtio_device *blk_new(struct block *image, const struct blk_opts *opts,
			      struct guest_memory *mem, GMainContext *ctx, GError **error)
{
	uint16_t sizes[QUEUES_MAX];

	if (!opts_check(opts, error)) {
		block_close(image);
		return NULL;
	}
	struct blk *blk = blk_alloc(image, opts);
	struct virtio_blk_config config = blk_config(blk, opts);
	struct virtio_opts vopts = {
		.ops = &blk_ops,
		.name = opts->name,
		.type = VIRTIO_ID_BLOCK,
		.ctx = ctx,
		.mem = mem,
		.features = blk_features(blk, opts),
		.n_queues = blk->n_queues,
		.queue_sizes = sizes,
		.config = &config,
		.config_bytes = CONFIG_BYTES,
	};

	for (unsigned i = 0; i < blk->n_queues; i++)
		sizes[i] = blk->queue_size;
	if (!virtio_init(&blk->vdev, &vopts, error) || !block_attach(image, ctx, error)) {
		blk_free(&blk->vdev);
		return NULL;
	}
	settle_attach(blk);
	return &blk->vdev;
}

void blk_stats(struct virtio_device *dev, struct blk_stats *ret)
{
	const uint64_t *from = (const uint64_t *)&blk_of(dev)->stats;
	uint64_t *to = (uint64_t *)ret;

	for (unsigned i = 0; i < sizeof(*ret) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
