/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio device stopped and started, saved and loaded.
 *
 * A stopped device holds no chain but those that wait for a start (a disk's
 * requests that failed under error_policy='stop'); the queues say which, and
 * load() takes them again by their heads.
 */
#include "config.h"
#include "libvmm/device/virtio-priv.h"

#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define STATUS_KNOWN \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

#define STATUS_ACTIVE (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

static void stop_on_owner(void *arg)
{
	struct virtio_device *dev = arg;

	if (dev->stopped)
		return;
	dev->stopped = true;
	if (dev->ops->stop)
		dev->ops->stop(dev);
}

void virtio_stop(struct virtio_device *dev)
{
	owner_call(dev->ctx, stop_on_owner, dev);
}

static void start_on_owner(void *arg)
{
	struct virtio_device *dev = arg;

	dev->stopped = false;
	if (!dev->active)
		return;
	if (dev->ops->start)
		dev->ops->start(dev);
	/* Kicks that came while it stood still were not delivered. */
	for (unsigned i = 0; i < dev->n_queues; i++)
		virtio_queue_kick(&dev->queues[i]);
}

void virtio_start(struct virtio_device *dev)
{
	owner_call(dev->ctx, start_on_owner, dev);
}

/* --- save --- */

static void queue_save(const struct virtio_queue *q, struct state_out *out)
{
	const struct virtqueue_layout *l = &q->regs.layout;

	state_put_u8(out, q->regs.ready);
	state_put_u16(out, l->size);
	state_put_u64(out, l->desc_gpa);
	state_put_u64(out, l->avail_gpa);
	state_put_u64(out, l->used_gpa);
	state_put_u8(out, virtqueue_is_enabled(q->vq));
	if (virtqueue_is_enabled(q->vq))
		virtqueue_save(q->vq, out);
}

struct transfer {
	struct virtio_device *dev;
	struct state_out *out;
	struct state_in *in;
	GError **error;
	bool ok;
};

static void save_on_owner(void *arg)
{
	const struct transfer *t = arg;
	struct virtio_device *dev = t->dev;
	struct state_out *out = t->out;

	state_put_u32(out, dev->type);
	state_put_u64(out, dev->negotiated);
	state_put_u32(out, virtio_status_get(dev));
	state_put_u8(out, dev->active);
	state_put_u32(out, dev->n_queues);
	for (unsigned i = 0; i < dev->n_queues; i++)
		queue_save(&dev->queues[i], out);
	state_put_u32(out, virtio_config_generation(dev));
	state_put_blob(out, dev->config, (uint32_t)dev->config_bytes);
	if (dev->ops->save)
		dev->ops->save(dev, out);
}

void virtio_save(struct virtio_device *dev, struct state_out *out)
{
	struct transfer t = { .dev = dev, .out = out };

	owner_call(dev->ctx, save_on_owner, &t);
}

/* --- load --- */

static void queue_load(struct virtio_queue *q, struct state_in *in)
{
	struct virtqueue_layout *l = &q->regs.layout;
	bool enabled;

	q->regs.ready = state_get_bool(in);
	l->size = state_get_u16(in);
	l->desc_gpa = state_get_u64(in);
	l->avail_gpa = state_get_u64(in);
	l->used_gpa = state_get_u64(in);
	enabled = state_get_bool(in);
	if (!enabled || in->bad)
		return;
	if (!q->regs.ready || !q->dev->active ||
	    virtqueue_enable(q->vq, l, virtio_has(q->dev, VIRTIO_RING_F_EVENT_IDX),
			     virtio_has(q->dev, VIRTIO_RING_F_INDIRECT_DESC)) < 0)
		in->bad = true;
	else
		virtqueue_load(q->vq, in);
}

static bool features_load(struct virtio_device *dev, struct state_in *in, GError **error)
{
	uint64_t negotiated = state_get_u64(in);

	if (negotiated & ~dev->offered)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: the guest uses features 0x%" PRIx64
				 " of '%s', which this machine's has not",
				 negotiated & ~dev->offered, dev->name);
	dev->negotiated = negotiated;
	return true;
}

static bool config_load(struct virtio_device *dev, struct state_in *in)
{
	uint32_t generation = state_get_u32(in), len;
	const uint8_t *config = state_get_blob(in, (uint32_t)dev->config_bytes, &len);

	if (!config || len != dev->config_bytes) {
		in->bad |= len != dev->config_bytes;
		return !in->bad;
	}
	g_mutex_lock(&dev->config_lock);
	if (len)
		memcpy(dev->config, config, len);
	dev->generation = generation;
	g_mutex_unlock(&dev->config_lock);
	return true;
}

static bool device_load(struct virtio_device *dev, struct state_in *in, GError **error)
{
	uint32_t status;

	in->bad |= state_get_u32(in) != dev->type;
	if (!features_load(dev, in, error))
		return false;
	status = state_get_u32(in);
	dev->active = state_get_bool(in);
	in->bad |= status & ~(uint32_t)STATUS_KNOWN || state_get_u32(in) != dev->n_queues;
	/* Else the driver could activate it once more, under the chains that it holds. */
	in->bad |= dev->active && (status & STATUS_ACTIVE) != STATUS_ACTIVE;
	atomic_store(&dev->status, status & STATUS_KNOWN);
	for (unsigned i = 0; i < dev->n_queues && !in->bad; i++)
		queue_load(&dev->queues[i], in);
	if (!config_load(dev, in))
		return state_done(in, error);
	if (dev->ops->load)
		dev->ops->load(dev, in);
	return !in->bad || state_done(in, error);
}

static void load_on_owner(void *arg)
{
	struct transfer *t = arg;

	t->dev->stopped = true;
	t->ok = device_load(t->dev, t->in, t->error);
}

bool virtio_load(struct virtio_device *dev, struct state_in *in, GError **error)
{
	struct transfer t = { .dev = dev, .in = in, .error = error };

	owner_call(dev->ctx, load_on_owner, &t);
	return t.ok;
}
