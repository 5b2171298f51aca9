/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What virtio.c (life, status, configuration) and virtio-state.c (stop, save, load) share. */
#pragma once

#include "libvmm/device/virtio.h"

struct virtio_queue {
	struct virtio_queue_regs regs;
	struct virtqueue *vq;
	struct virtio_device *dev;
	unsigned index;
	int kick_fd;
	GSource *source;
};

/* The driver has kicked, or may have: all on the owner's thread. */
void virtio_queue_kick(struct virtio_queue *q);
/* Translates the rings of ready queues; breaks the device where they are nonsense. */
bool virtio_queues_enable(struct virtio_device *dev);
