/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio over MMIO, version 2 (virtio 1.2, 4.2): a page of registers before a
 * virtio device, and an interrupt descriptor behind it.
 *
 * The builder puts virtio_mmio_bus_ops at an address, each virtio_kick_fd() of
 * the device on KVM_IOEVENTFD (base + VIRTIO_MMIO_QUEUE_NOTIFY, 4 bytes, data =
 * queue), and virtio_mmio_irq_fd() on KVM_IRQFD as an edge.  It may put
 * virtio_mmio_ack_fd() of each VIRTIO_MMIO_INT_ bit on KVM_IOEVENTFD (base +
 * VIRTIO_MMIO_INTERRUPT_ACK, 4 bytes, data = the bit): that saves an exit for
 * each interrupt.
 */
#pragma once

#include "libvmm/device/device.h"
#include "libvmm/kvm/bus.h"

#define VIRTIO_MMIO_BYTES 0x1000

struct virtio_device;
struct virtio_mmio;

extern const struct bus_ops virtio_mmio_bus_ops;	/* its dev is the struct virtio_mmio */

/* Takes the device, even on failure; freed with the transport by device_free(). */
struct virtio_mmio *virtio_mmio_new(struct virtio_device *dev, GError **error);
struct device *virtio_mmio_device(struct virtio_mmio *m);
struct virtio_device *virtio_mmio_virtio(struct virtio_mmio *m);
int virtio_mmio_irq_fd(const struct virtio_mmio *m);
int virtio_mmio_ack_fd(const struct virtio_mmio *m, uint32_t bit);
