/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-fs: the device.  A thread of its own serves it, file by file. */
#include "config.h"
#include "libvmm/device/fs-priv.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define HIPRIO_SIZE 128
#define QUEUE_SIZE 1024			/* Linux makes no request larger than its queue */
#define TURN_REQUESTS 64
#define VALID_AUTO_S 1
#define VALID_ALWAYS_S 86400

static_assert(sizeof(struct virtio_fs_config) == 40, "virtio 1.2, 5.11.4");
static_assert(sizeof(((struct virtio_fs_config *)NULL)->tag) == FS_TAG_BYTES, "5.11.4");

/* Some requests; the rest in the loop's next turn, after what else there is to do. */
static void fs_kick(struct virtio_device *dev, unsigned queue)
{
	struct fs *fs = fs_of(dev);
	struct virtqueue *vq = virtio_queue(dev, queue);
	struct virtqueue_chain chain = { .iov = fs->iov, .n_iov = FS_CHAIN_IOV };
	unsigned budget = TURN_REQUESTS;

	do {
		virtqueue_kicks_off(vq);
		for (; budget && virtio_pop(dev, queue, &chain) > 0; budget--)
			fs_call(fs, queue, &chain);
	} while (budget && !virtio_is_broken(dev) && virtqueue_kicks_on(vq));
	if (fs->lock_freed)
		fs_wait_retry(fs);
	virtio_notify(dev, queue);
	if (!budget)
		virtio_kick_later(dev, queue);
}

/* All that the guest had open is closed, all that it knew is forgotten. */
static void fs_reset(struct virtio_device *dev)
{
	struct fs *fs = fs_of(dev);

	fs_wait_forget(fs);
	if (fs->share)
		share_reset(fs->share);
	fs->started = false;
}

static void fs_start(struct virtio_device *dev)
{
	fs_wait_retry(fs_of(dev));
}

static void fs_free(struct virtio_device *dev)
{
	struct fs *fs = fs_of(dev);

	fs_wait_done(fs);
	virtio_done(dev);
	share_free(fs->share);
	syncer_free(fs->syncer);
	g_free(fs->in);
	g_free(fs->out);
	g_free(fs);
}

static const struct virtio_ops fs_ops = {
	.reset = fs_reset,
	.kick = fs_kick,
	.start = fs_start,
	.free = fs_free,
};

struct entering {
	struct share *s;
	int result;
};

static void enter_on_owner(void *arg)
{
	struct entering *e = arg;

	e->result = share_enter(e->s);
}

static bool enter(struct fs *fs, GError **error)
{
	struct entering e = { .s = fs->share };

	owner_call(fs->vdev.ctx, enter_on_owner, &e);
	return e.result == 0 || error_errno(error, e.result, "%s: its thread", fs->vdev.name);
}

struct virtio_device *fs_new(const struct fs_opts *opts, struct guest_memory *mem,
			     GMainContext *ctx, GError **error)
{
	static const uint64_t valid_s[] = {
		[FS_CACHE_AUTO] = VALID_AUTO_S, [FS_CACHE_NONE] = 0,
		[FS_CACHE_ALWAYS] = VALID_ALWAYS_S,
	};
	const uint16_t sizes[] = { HIPRIO_SIZE,
				   (uint16_t)(opts->queue_size ? opts->queue_size : QUEUE_SIZE) };
	struct virtio_fs_config config = { .num_request_queues = GUINT32_TO_LE(1) };
	const struct virtio_opts vopts = {
		.ops = &fs_ops,
		.name = opts->name,
		.type = VIRTIO_ID_FS,
		.ctx = ctx,
		.mem = mem,
		.n_queues = ARRAY_SIZE(sizes),
		.queue_sizes = sizes,
		.config = &config,
		.config_bytes = sizeof(config),
	};
	struct fs *fs = g_new0(struct fs, 1);

	static_assert(ARRAY_SIZE(valid_s) == N_FS_CACHES, "a time for each");
	memcpy(config.tag, opts->tag, strnlen(opts->tag, sizeof(config.tag)));
	fs->cache = opts->cache;
	fs->valid_s = valid_s[opts->cache];
	fs->in = g_malloc(FS_IN_BYTES + 1);
	fs->out = g_malloc(FS_OUT_BYTES);
	fs->share = opts->share;
	if (!virtio_init(&fs->vdev, &vopts, error) || !enter(fs, error)) {
		fs_free(&fs->vdev);
		return NULL;
	}
	fs_wait_init(fs);
	return &fs->vdev;
}
