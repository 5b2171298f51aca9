/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio device without its transport: status, features, queues and the
 * configuration space (virtio 1.2, chapters 2 and 3).
 *
 * Threads.  `ctx` is the owner: it alone touches queues, runs kick(),
 * activate(), reset() and the rest of the ops.  vCPU threads come in through
 * a transport, which holds its own lock around virtio_status_set() and the
 * queue registers; these go to the owner by owner_call(), so a driver that has
 * written 0 to the status finds the device at rest when the write is done.
 * The owner never takes a transport's lock and never waits for a vCPU.
 *
 * A device embeds a struct virtio_device and finds itself by container_of().
 */
#pragma once

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvmm/device/virtqueue.h"

struct guest_memory;
struct virtio_device;

/* All on the owner's thread.  Those that may be NULL do nothing then. */
struct virtio_ops {
	/* The driver is ready, features are settled, queues enabled; < 0: broken.  May be NULL. */
	int (*activate)(struct virtio_device *dev);
	/*
	 * Finish or forget all that is in flight: when this returns, no guest
	 * memory is touched any more.  Queues are reset afterwards.  May be NULL.
	 */
	void (*reset)(struct virtio_device *dev);
	/* The driver kicked a queue; also once for each queue after activate(). */
	void (*kick)(struct virtio_device *dev, unsigned queue);
	/* The driver wrote its configuration space; the bytes are inside it.  May be NULL. */
	void (*config_write)(struct virtio_device *dev, size_t off, const void *data, size_t len);
	/*
	 * The machine has stopped: finish what is in flight and take nothing
	 * new (virtio_pop() gives nothing, kicks are not delivered).  May be NULL.
	 */
	void (*stop)(struct virtio_device *dev);
	/*
	 * The machine goes on after a stop or a load: retry what waits.  All
	 * queues are kicked afterwards.  May be NULL.
	 */
	void (*start)(struct virtio_device *dev);
	/*
	 * The state that is not in the queues or in the configuration space,
	 * of a stopped device.  load() has both loaded; it is called for an
	 * inactive device, too, and has no need to check lengths (state.h).
	 */
	void (*save)(struct virtio_device *dev, struct state_out *out);
	void (*load)(struct virtio_device *dev, struct state_in *in);
	void (*free)(struct virtio_device *dev);
};

struct virtio_queue;

struct virtio_device {
	const struct virtio_ops *ops;
	char *name;
	unsigned type;			/* VIRTIO_ID_* */
	GMainContext *ctx;
	struct guest_memory *mem;

	uint64_t offered;
	uint64_t negotiated;		/* stable from activate() to reset() */
	_Atomic uint32_t status;
	_Atomic uint64_t faults;	/* how often the driver broke it */
	bool active;			/* between activate() and reset(); owner */
	bool stopped;			/* between stop() and start(); owner */

	unsigned n_queues;
	struct virtio_queue *queues;

	GMutex config_lock;		/* protects config and generation */
	uint8_t *config;
	size_t config_bytes;
	uint32_t generation;

	/* Raise an interrupt: a queue has used chains, or (queue < 0) config changed. */
	void (*notify)(void *transport, int queue);
	void *transport;
};

struct virtio_opts {
	const struct virtio_ops *ops;
	const char *name;		/* alias: "virtio-disk0" */
	unsigned type;
	GMainContext *ctx;
	struct guest_memory *mem;
	/* VERSION_1, INDIRECT_DESC and EVENT_IDX are added. */
	uint64_t features;
	unsigned n_queues;
	const uint16_t *queue_sizes;	/* maxima: powers of two <= VIRTQUEUE_SIZE_MAX */
	const void *config;		/* initial contents, little-endian */
	size_t config_bytes;
};

/* --- for devices --- */

bool virtio_init(struct virtio_device *dev, const struct virtio_opts *opts, GError **error);
/* Undoes init; resets first.  The device's own free() calls it.  Fine on a zeroed struct. */
void virtio_done(struct virtio_device *dev);

static inline bool virtio_has(const struct virtio_device *dev, unsigned feature)
{
	return dev->negotiated & (UINT64_C(1) << feature);
}

struct virtqueue *virtio_queue(struct virtio_device *dev, unsigned queue);
/* virtqueue_pop() that breaks the device where the driver broke the ring: 1 or 0. */
int virtio_pop(struct virtio_device *dev, unsigned queue, struct virtqueue_chain *chain);
/* Interrupt the driver if it wants to know: once per batch of virtqueue_push(). */
void virtio_notify(struct virtio_device *dev, unsigned queue);
/* Run kick() again from the loop: what a handler does that stops before the queue is empty. */
void virtio_kick_later(struct virtio_device *dev, unsigned queue);

/*
 * The driver broke a rule and we cannot go on: DEVICE_NEEDS_RESET (2.1.2).  Any
 * thread.  Said in the log once per reset, counted, never fatal.
 */
void virtio_broken(struct virtio_device *dev, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool virtio_is_broken(const struct virtio_device *dev);

/* Change the configuration space and tell the driver. */
void virtio_config_update(struct virtio_device *dev, size_t off, const void *data, size_t len);
/* The same without telling it: the value is the driver's own. */
void virtio_config_store(struct virtio_device *dev, size_t off, const void *data, size_t len);

/* --- for transports and the builder --- */

/* A descriptor that, written, kicks the queue: for KVM_IOEVENTFD. */
int virtio_kick_fd(const struct virtio_device *dev, unsigned queue);

void virtio_features_set(struct virtio_device *dev, unsigned word, uint32_t bits);
uint32_t virtio_status_get(const struct virtio_device *dev);
void virtio_status_set(struct virtio_device *dev, uint32_t value);
void virtio_reset(struct virtio_device *dev);
void virtio_start(struct virtio_device *dev);
void virtio_stop(struct virtio_device *dev);

/* All but the transport's part; while stopped. */
void virtio_save(struct virtio_device *dev, struct state_out *out);
bool virtio_load(struct virtio_device *dev, struct state_in *in, GError **error);

/* Reads beyond the end give zeroes, writes there are dropped. */
void virtio_config_read(struct virtio_device *dev, size_t off, void *data, size_t len);
void virtio_config_write(struct virtio_device *dev, size_t off, const void *data, size_t len);
uint32_t virtio_config_generation(struct virtio_device *dev);

/* Queue registers; NULL when there is no such queue.  Writable while !ready. */
struct virtio_queue_regs {
	struct virtqueue_layout layout;
	uint16_t size_max;
	bool ready;
};

struct virtio_queue_regs *virtio_queue_regs(struct virtio_device *dev, unsigned queue);
