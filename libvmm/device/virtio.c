/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio device without its transport.
 *
 * The life of a device (virtio 1.2, 3.1), as this file sees it:
 *
 *   reset        features and queue registers are the driver's to write
 *   FEATURES_OK  features are settled: a subset of ours, with VERSION_1
 *   DRIVER_OK    the owner translates and enables the queues, then activate()
 *   active       kicks are delivered
 *   broken       DEVICE_NEEDS_RESET: kicks are dropped until the reset
 *
 * The registers are written by vCPU threads under the transport's lock.  The
 * owner reads them only while such a thread waits for it in owner_call(), or
 * while no vCPU runs: that call is the ordering.  The status word is atomic,
 * because virtio_broken() sets a bit of it from any thread.
 */
#include "config.h"
#include "libvmm/device/virtio-priv.h"

#include <assert.h>
#include <errno.h>
#include <glib-unix.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define BIT64(n) (UINT64_C(1) << (n))
#define FEATURES_ALWAYS \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) | \
	 BIT64(VIRTIO_RING_F_EVENT_IDX))
#define STATUS_DRIVERS \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

void virtio_queue_kick(struct virtio_queue *q)
{
	struct virtio_device *dev = q->dev;

	if (dev->active && !dev->stopped && virtqueue_is_enabled(q->vq) && !virtio_is_broken(dev))
		dev->ops->kick(dev, q->index);
}

static gboolean queue_kicked(int fd, GIOCondition condition, gpointer arg)
{
	struct virtio_queue *q = arg;
	eventfd_t count;

	if (eventfd_read(fd, &count) < 0)
		return G_SOURCE_CONTINUE;	/* EAGAIN: a reset was faster */
	virtio_queue_kick(q);
	return G_SOURCE_CONTINUE;
}

static bool queue_init(struct virtio_device *dev, unsigned i, uint16_t size_max, GError **error)
{
	struct virtio_queue *q = &dev->queues[i];

	q->dev = dev;
	q->index = i;
	q->regs.size_max = size_max;
	q->vq = virtqueue_new(dev->mem, size_max);
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0)
		return error_errno(error, errno, "%s: make a kick descriptor", dev->name);
	q->source = g_unix_fd_source_new(q->kick_fd, G_IO_IN);
	g_source_set_callback(q->source, G_SOURCE_FUNC(queue_kicked), q, NULL);
	g_source_set_static_name(q->source, "virtio kick");
	g_source_attach(q->source, dev->ctx);
	return true;
}

bool virtio_init(struct virtio_device *dev, const struct virtio_opts *opts, GError **error)
{
	*dev = (struct virtio_device){
		.ops = opts->ops,
		.name = g_strdup(opts->name),
		.type = opts->type,
		.ctx = opts->ctx ? g_main_context_ref(opts->ctx) : NULL,
		.mem = opts->mem,
		.offered = opts->features | FEATURES_ALWAYS,
		.n_queues = opts->n_queues,
		.queues = g_new0(struct virtio_queue, opts->n_queues),
		.config = g_memdup2(opts->config, opts->config_bytes),
		.config_bytes = opts->config_bytes,
	};
	g_mutex_init(&dev->config_lock);
	for (unsigned i = 0; i < dev->n_queues; i++)
		dev->queues[i].kick_fd = -1;
	for (unsigned i = 0; i < dev->n_queues; i++)
		if (!queue_init(dev, i, opts->queue_sizes[i], error))
			return false;
	return true;
}

static void queue_done(struct virtio_queue *q)
{
	if (q->source) {
		g_source_destroy(q->source);
		g_source_unref(q->source);
	}
	fd_close(&q->kick_fd);
	virtqueue_free(q->vq);
}

static void reset_on_owner(void *arg)
{
	struct virtio_device *dev = arg;

	dev->active = false;
	if (dev->ops->reset)
		dev->ops->reset(dev);
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];
		eventfd_t count;

		virtqueue_reset(q->vq);
		q->regs.ready = false;
		q->regs.layout = (struct virtqueue_layout){ 0 };
		if (eventfd_read(q->kick_fd, &count) < 0)
			continue;	/* there was no kick to forget */
	}
	dev->negotiated = 0;
}

/* Sources die on the owner's thread, where none of them can be running. */
static void done_on_owner(void *arg)
{
	struct virtio_device *dev = arg;

	for (unsigned i = 0; i < dev->n_queues; i++)
		queue_done(&dev->queues[i]);
}

void virtio_done(struct virtio_device *dev)
{
	if (!dev->ops)
		return;
	owner_call(dev->ctx, done_on_owner, dev);
	g_mutex_clear(&dev->config_lock);
	g_free(dev->queues);
	g_free(dev->config);
	g_free(dev->name);
	if (dev->ctx)
		g_main_context_unref(dev->ctx);
	*dev = (struct virtio_device){ 0 };
}

struct virtqueue *virtio_queue(struct virtio_device *dev, unsigned queue)
{
	assert(queue < dev->n_queues);
	return dev->queues[queue].vq;
}

int virtio_pop(struct virtio_device *dev, unsigned queue, struct virtqueue_chain *chain)
{
	if (!dev->active || dev->stopped || virtio_is_broken(dev))
		return 0;
	int r = virtqueue_pop(virtio_queue(dev, queue), chain);
	if (r < 0) {
		virtio_broken(dev, "queue %u offers a malformed chain", queue);
		return 0;
	}
	return r;
}

void virtio_notify(struct virtio_device *dev, unsigned queue)
{
	if (dev->active && virtqueue_wants_interrupt(virtio_queue(dev, queue)))
		dev->notify(dev->transport, queue);
}

void virtio_kick_later(struct virtio_device *dev, unsigned queue)
{
	assert(queue < dev->n_queues);
	eventfd_write(dev->queues[queue].kick_fd, 1);
}

static void config_changed(struct virtio_device *dev)
{
	if (dev->notify && virtio_status_get(dev) & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->notify(dev->transport, -1);
}

/* A driver that breaks its device in a loop must not fill the host's log. */
static bool fault_is_news(uint64_t n)
{
	return n <= 8 || !(n & (n - 1));
}

void virtio_broken(struct virtio_device *dev, const char *format, ...)
{
	if (atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET) &
	    VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	uint64_t n = atomic_fetch_add(&dev->faults, 1) + 1;
	if (fault_is_news(n)) {
		g_autofree char *why = NULL;
		va_list ap;

		va_start(ap, format);
		why = g_strdup_vprintf(format, ap);
		va_end(ap);
		g_message("%s: the guest's driver broke the device, which waits for a reset: %s "
			  "(fault %" G_GUINT64_FORMAT ")", dev->name, why, n);
	}
	config_changed(dev);
}

bool virtio_is_broken(const struct virtio_device *dev)
{
	return virtio_status_get(dev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* --- status and features, for transports --- */

int virtio_kick_fd(const struct virtio_device *dev, unsigned queue)
{
	return queue < dev->n_queues ? dev->queues[queue].kick_fd : -1;
}

struct virtio_queue_regs *virtio_queue_regs(struct virtio_device *dev, unsigned queue)
{
	return queue < dev->n_queues ? &dev->queues[queue].regs : NULL;
}

uint32_t virtio_status_get(const struct virtio_device *dev)
{
	return atomic_load(&dev->status);
}

void virtio_features_set(struct virtio_device *dev, unsigned word, uint32_t bits)
{
	if (word > 1 || virtio_status_get(dev) & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	dev->negotiated &= ~((uint64_t)UINT32_MAX << (32 * word));
	dev->negotiated |= (uint64_t)bits << (32 * word);
}

/* 3.1.1, step 6: FEATURES_OK reads back as 0 where we do not agree.  No legacy drivers (6.2). */
static bool features_are_fine(const struct virtio_device *dev)
{
	return !(dev->negotiated & ~dev->offered) && virtio_has(dev, VIRTIO_F_VERSION_1);
}

bool virtio_queues_enable(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		if (!q->regs.ready)
			continue;
		if (virtqueue_enable(q->vq, &q->regs.layout,
				     virtio_has(dev, VIRTIO_RING_F_EVENT_IDX),
				     virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC)) < 0) {
			virtio_broken(dev, "queue %u has a bad size or lies outside memory", i);
			return false;
		}
	}
	return true;
}

static void activate_on_owner(void *arg)
{
	struct virtio_device *dev = arg;

	if (!virtio_queues_enable(dev))
		return;
	dev->active = true;
	int r = dev->ops->activate ? dev->ops->activate(dev) : 0;
	if (r < 0) {
		virtio_broken(dev, "the device did not start: %s", g_strerror(-r));
		return;
	}
	/* What was kicked too early (3.1.1 forbids it) shall not wait for ever. */
	for (unsigned i = 0; i < dev->n_queues; i++)
		virtio_queue_kick(&dev->queues[i]);
}

void virtio_reset(struct virtio_device *dev)
{
	owner_call(dev->ctx, reset_on_owner, dev);
	/* Last: who reads 0 knows that we are done (2.1.2). */
	atomic_store(&dev->status, 0);
}

void virtio_status_set(struct virtio_device *dev, uint32_t value)
{
	uint32_t added = value & STATUS_DRIVERS & ~virtio_status_get(dev);

	if (!value) {
		virtio_reset(dev);
		return;
	}
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !features_are_fine(dev))
		added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	/* Bits are only ever added (2.1.1): what the driver left out stays. */
	uint32_t now = atomic_fetch_or(&dev->status, added) | added;
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK) || now & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	if (now & VIRTIO_CONFIG_S_FEATURES_OK)
		owner_call(dev->ctx, activate_on_owner, dev);
	else
		virtio_broken(dev, "DRIVER_OK before FEATURES_OK");
}

/* --- configuration space --- */

struct config_access {
	struct virtio_device *dev;
	size_t off;
	const void *data;
	size_t len;
};

static void config_write_on_owner(void *arg)
{
	struct config_access *a = arg;

	a->dev->ops->config_write(a->dev, a->off, a->data, a->len);
}

void virtio_config_read(struct virtio_device *dev, size_t off, void *data, size_t len)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&dev->config_lock);

	memset(data, 0, len);
	if (off < dev->config_bytes)
		memcpy(data, dev->config + off, MIN(len, dev->config_bytes - off));
}

void virtio_config_write(struct virtio_device *dev, size_t off, const void *data, size_t len)
{
	struct config_access a = { .dev = dev, .off = off, .data = data, .len = len };

	if (!dev->ops->config_write || off > dev->config_bytes || len > dev->config_bytes - off)
		return;
	owner_call(dev->ctx, config_write_on_owner, &a);
}

uint32_t virtio_config_generation(struct virtio_device *dev)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&dev->config_lock);

	return dev->generation;
}

void virtio_config_store(struct virtio_device *dev, size_t off, const void *data, size_t len)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&dev->config_lock);

	assert(off <= dev->config_bytes && len <= dev->config_bytes - off);
	memcpy(dev->config + off, data, len);
	dev->generation++;
}

void virtio_config_update(struct virtio_device *dev, size_t off, const void *data, size_t len)
{
	virtio_config_store(dev, off, data, len);
	config_changed(dev);
}
