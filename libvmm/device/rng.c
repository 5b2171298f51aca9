/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-rng: getrandom(2) into the guest's buffers.
 *
 * One turn fills at most TURN_BYTES, so that a guest which asks without end
 * shares the loop with everybody else; a rate limit makes it wait for the next
 * period besides.  Owned by the main loop's thread.
 */
#include "config.h"
#include "libvmm/device/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"

#define QUEUE_SIZE 64
#define CHAIN_IOV 64
#define TURN_BYTES (64 * 1024)
#define CHAIN_BYTES (4 * 1024)	/* more in one chain is not asked for by any driver we know */

struct rng {
	struct virtio_device vdev;
	uint64_t rate_bytes;
	unsigned rate_period_ms;
	uint64_t rate_left;	/* in this period */
	GSource *refill;	/* runs while the guest waits for the next period */
	struct iovec iov[CHAIN_IOV];
};

static struct rng *rng_of(struct virtio_device *dev)
{
	return container_of(dev, struct rng, vdev);
}

/* By a buffer of ours: chain_write() knows the pieces, getrandom() does not. */
static uint32_t chain_fill(struct virtqueue_chain *c, size_t budget)
{
	uint8_t bytes[256];
	size_t want = MIN(MIN(c->in_bytes, budget), CHAIN_BYTES);
	size_t done = 0;

	while (done < want) {
		ssize_t n = getrandom(bytes, MIN(want - done, sizeof(bytes)), 0);

		if (n < 0)
			break;	/* EINTR: a short answer is a legal answer */
		done += chain_write(c, done, bytes, n);
	}
	return done;
}

static gboolean rng_refill(gpointer arg)
{
	struct rng *rng = arg;

	g_clear_pointer(&rng->refill, g_source_unref);
	rng->rate_left = rng->rate_bytes;
	virtio_kick_later(&rng->vdev, 0);
	return G_SOURCE_REMOVE;
}

static void refill_arm(struct rng *rng)
{
	if (rng->refill)
		return;
	rng->refill = g_timeout_source_new(rng->rate_period_ms);
	g_source_set_callback(rng->refill, rng_refill, rng, NULL);
	g_source_attach(rng->refill, rng->vdev.ctx);
}

/* The bytes that may be given away now. */
static size_t rng_budget(const struct rng *rng, size_t turn_left)
{
	return rng->rate_bytes ? MIN(rng->rate_left, turn_left) : turn_left;
}

static void rng_kick(struct virtio_device *dev, unsigned queue)
{
	struct rng *rng = rng_of(dev);
	struct virtqueue_chain chain = { .iov = rng->iov, .n_iov = CHAIN_IOV };
	size_t left = TURN_BYTES;

	for (unsigned turns = QUEUE_SIZE; turns; turns--) {
		size_t budget = rng_budget(rng, left);

		if (!budget || virtio_pop(dev, queue, &chain) <= 0)
			break;
		uint32_t n = chain_fill(&chain, budget);
		left -= n;
		if (rng->rate_bytes)
			rng->rate_left -= n;
		virtqueue_push(virtio_queue(dev, queue), chain.head, n);
	}
	virtio_notify(dev, queue);
	if (rng->rate_bytes && rng->rate_left < rng->rate_bytes)
		refill_arm(rng);
	if (rng_budget(rng, TURN_BYTES) && virtqueue_kicks_on(virtio_queue(dev, queue)))
		virtio_kick_later(dev, queue);
}

static void rng_reset(struct virtio_device *dev)
{
	struct rng *rng = rng_of(dev);

	if (rng->refill)
		g_source_destroy(rng->refill);
	g_clear_pointer(&rng->refill, g_source_unref);
}

/* The limit outlives a reset: or a reset would be the way around it. */
static int rng_activate(struct virtio_device *dev)
{
	struct rng *rng = rng_of(dev);

	if (rng->rate_bytes && rng->rate_left < rng->rate_bytes)
		refill_arm(rng);
	return 0;
}

static void rng_save(struct virtio_device *dev, struct state_out *out)
{
	state_put_u64(out, rng_of(dev)->rate_left);
}

static void rng_load(struct virtio_device *dev, struct state_in *in)
{
	struct rng *rng = rng_of(dev);

	uint64_t left = state_get_u64(in);

	rng->rate_left = MIN(left, rng->rate_bytes);
}

static void rng_free(struct virtio_device *dev)
{
	struct rng *rng = rng_of(dev);

	virtio_done(dev);
	g_free(rng);
}

static const struct virtio_ops rng_ops = {
	.activate = rng_activate,
	.reset = rng_reset,
	.kick = rng_kick,
	.save = rng_save,
	.load = rng_load,
	.free = rng_free,
};

struct virtio_device *rng_new(const struct rng_opts *opts, struct guest_memory *mem,
			      GMainContext *ctx, GError **error)
{
	static const uint16_t queue_sizes[] = { QUEUE_SIZE };
	struct rng *rng = g_new0(struct rng, 1);
	struct virtio_opts vopts = {
		.ops = &rng_ops,
		.name = opts->name,
		.type = VIRTIO_ID_RNG,
		.ctx = ctx,
		.mem = mem,
		.n_queues = 1,
		.queue_sizes = queue_sizes,
	};

	rng->rate_bytes = rng->rate_left = opts->rate_bytes;
	rng->rate_period_ms = opts->rate_period_ms ? opts->rate_period_ms : 1000;
	if (!virtio_init(&rng->vdev, &vopts, error)) {
		rng_free(&rng->vdev);
		return NULL;
	}
	return &rng->vdev;
}
