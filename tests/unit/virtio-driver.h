/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's side of virtio for tests: a driver that works the registers of a
 * virtio-mmio transport and split rings in guest memory, with no KVM.  It does
 * what it is told, right or wrong, and asserts nothing of the device.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#include "libvmm/kvm/memory.h"

struct virtio_device;
struct virtio_mmio;

#define DRIVER_QUEUES 8
#define DRIVER_RING_MAX 256

struct driver_queue {
	uint16_t size;			/* 0: not set up */
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t free_head;		/* next descriptor to hand out, round and round */
	uint16_t avail_idx;		/* shadow of avail->idx */
	uint16_t used_idx;		/* seen so far */
};

struct driver {
	struct guest_memory *mem;
	struct virtio_mmio *mmio;	/* NULL until driver_attach() */
	uint64_t alloc_gpa;		/* bump allocator */
	uint64_t features;		/* what was negotiated */
	struct driver_queue q[DRIVER_QUEUES];
};

/* Guest RAM of `mib` MiB at address 0; make the device on driver->mem, then attach it. */
struct driver *driver_new(unsigned mib);
void driver_free(struct driver *d);		/* the device, the transport and the memory too */
void driver_attach(struct driver *d, struct virtio_device *dev);

uint32_t driver_read(struct driver *d, unsigned reg);
void driver_write(struct driver *d, unsigned reg, uint32_t value);
/* Configuration space. */
void driver_config(struct driver *d, unsigned off, void *buf, unsigned len);

/* Zeroed, 16-byte aligned guest memory; the pointer by driver_ptr(). */
uint64_t driver_alloc(struct driver *d, size_t bytes);
void *driver_ptr(struct driver *d, uint64_t gpa);

/* The steps of 3.1.1; driver_init() does all of them with queues of `ring` entries. */
bool driver_negotiate(struct driver *d, uint64_t wanted);	/* false: no FEATURES_OK */
void driver_queue_setup(struct driver *d, unsigned queue, uint16_t ring);
bool driver_init(struct driver *d, uint64_t wanted, uint16_t ring);
void driver_reset(struct driver *d);

struct driver_buf {
	uint64_t gpa;
	uint32_t len;
	bool in;			/* the device writes it */
};

/* Put a chain on the ring (not yet a kick); its head. */
uint16_t driver_add(struct driver *d, unsigned queue, const struct driver_buf *bufs, unsigned n);
uint16_t driver_add_indirect(struct driver *d, unsigned queue, const struct driver_buf *bufs,
			     unsigned n);
void driver_publish_head(struct driver *d, unsigned queue, uint16_t head);
/* Kicks as KVM would, by the descriptor. */
void driver_kick(struct driver *d, unsigned queue);
bool driver_kick_wanted(struct driver *d, unsigned queue);

/* Iterates the default main context until a chain came back, or 2 seconds are over. */
bool driver_wait(struct driver *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len);
/* The same without waiting. */
bool driver_used(struct driver *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len);
/* Interrupts raised since the last call; acknowledges InterruptStatus into *ret_status. */
unsigned driver_interrupts(struct driver *d, uint32_t *ret_status);
