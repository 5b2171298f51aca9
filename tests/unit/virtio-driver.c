/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's side of virtio for tests, without KVM. */
#include "config.h"
#include "virtio-driver.h"

#include <glib.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"

#define ALLOC_FROM 0x10000
#define WAIT_US (60 * G_USEC_PER_SEC)	/* the machine may be busy */

struct driver *driver_new(unsigned mib)
{
	struct driver *d = g_new0(struct driver, 1);
	struct guest_memory_opts opts = { .bytes = (uint64_t)mib << 20, .name = "test" };
	g_autoptr(GError) error = NULL;

	d->mem = guest_memory_new(&opts, &error);
	g_assert_no_error(error);
	d->alloc_gpa = ALLOC_FROM;
	return d;
}

void driver_free(struct driver *d)
{
	if (d->mmio)
		device_free(virtio_mmio_device(d->mmio));
	guest_memory_free(d->mem);
	g_free(d);
}

void driver_attach(struct driver *d, struct virtio_device *dev)
{
	g_autoptr(GError) error = NULL;

	d->mmio = virtio_mmio_new(dev, &error);
	g_assert_no_error(error);
}

uint32_t driver_read(struct driver *d, unsigned reg)
{
	uint32_t value;

	virtio_mmio_bus_ops.read(d->mmio, reg, &value, sizeof(value));
	return value;
}

void driver_write(struct driver *d, unsigned reg, uint32_t value)
{
	virtio_mmio_bus_ops.write(d->mmio, reg, &value, sizeof(value));
}

void driver_config(struct driver *d, unsigned off, void *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		virtio_mmio_bus_ops.read(d->mmio, VIRTIO_MMIO_CONFIG + off + i,
					 (char *)buf + i, 1);
}

uint64_t driver_alloc(struct driver *d, size_t bytes)
{
	uint64_t gpa = d->alloc_gpa;

	g_assert_nonnull(guest_ptr(d->mem, gpa, bytes));
	memset(guest_ptr(d->mem, gpa, bytes), 0, bytes);
	d->alloc_gpa = (gpa + bytes + 15) & ~UINT64_C(15);
	return gpa;
}

void *driver_ptr(struct driver *d, uint64_t gpa)
{
	return guest_ptr(d->mem, gpa, 1);
}

void driver_reset(struct driver *d)
{
	driver_write(d, VIRTIO_MMIO_STATUS, 0);
	memset(d->q, 0, sizeof(d->q));
}

static uint32_t offered(struct driver *d, unsigned word)
{
	driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
	return driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES);
}

bool driver_negotiate(struct driver *d, uint64_t wanted)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	driver_reset(d);
	driver_write(d, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	driver_write(d, VIRTIO_MMIO_STATUS, status);
	d->features = 0;
	for (unsigned word = 0; word < 2; word++) {
		uint32_t bits = (wanted >> (32 * word)) & offered(d, word);

		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, bits);
		d->features |= (uint64_t)bits << (32 * word);
	}
	driver_write(d, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void write64(struct driver *d, unsigned reg, uint64_t value)
{
	driver_write(d, reg, value);
	driver_write(d, reg + 4, value >> 32);
}

void driver_queue_setup(struct driver *d, unsigned queue, uint16_t ring)
{
	struct driver_queue *q = &d->q[queue];

	q->size = ring;
	q->desc_gpa = driver_alloc(d, 16 * ring);
	q->avail_gpa = driver_alloc(d, 6 + 2 * ring);
	q->used_gpa = driver_alloc(d, 6 + 8 * ring);
	q->desc = driver_ptr(d, q->desc_gpa);
	q->avail = driver_ptr(d, q->avail_gpa);
	q->used = driver_ptr(d, q->used_gpa);
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, ring);
	write64(d, VIRTIO_MMIO_QUEUE_DESC_LOW, q->desc_gpa);
	write64(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, q->avail_gpa);
	write64(d, VIRTIO_MMIO_QUEUE_USED_LOW, q->used_gpa);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

bool driver_init(struct driver *d, uint64_t wanted, uint16_t ring)
{
	if (!driver_negotiate(d, wanted | UINT64_C(1) << VIRTIO_F_VERSION_1))
		return false;
	for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
		driver_write(d, VIRTIO_MMIO_QUEUE_SEL, i);
		uint32_t max = driver_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX);
		if (max)
			driver_queue_setup(d, i, MIN(ring, max));
	}
	uint32_t status = driver_read(d, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK;
	driver_write(d, VIRTIO_MMIO_STATUS, status);
	return driver_read(d, VIRTIO_MMIO_STATUS) == status;
}

static struct vring_desc desc_of(const struct driver_buf *buf, bool last, unsigned next)
{
	return (struct vring_desc){
		.addr = buf->gpa,
		.len = buf->len,
		.flags = (buf->in ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT),
		.next = last ? 0 : next,
	};
}

void driver_publish_head(struct driver *d, unsigned queue, uint16_t head)
{
	struct driver_queue *q = &d->q[queue];

	q->avail->ring[q->avail_idx & (q->size - 1)] = head;
	__atomic_store_n(&q->avail->idx, ++q->avail_idx, __ATOMIC_RELEASE);
}

/* Descriptors go round and round: a test has fewer in flight than the ring has. */
uint16_t driver_add(struct driver *d, unsigned queue, const struct driver_buf *bufs, unsigned n)
{
	struct driver_queue *q = &d->q[queue];
	uint16_t head = q->free_head;

	for (unsigned i = 0; i < n; i++) {
		uint16_t at = (head + i) & (q->size - 1);

		q->desc[at] = desc_of(&bufs[i], i == n - 1, (at + 1) & (q->size - 1));
	}
	q->free_head = (head + n) & (q->size - 1);
	driver_publish_head(d, queue, head);
	return head;
}

uint16_t driver_add_indirect(struct driver *d, unsigned queue, const struct driver_buf *bufs,
			     unsigned n)
{
	struct driver_queue *q = &d->q[queue];
	uint64_t table_gpa = driver_alloc(d, n * sizeof(struct vring_desc));
	struct vring_desc *table = driver_ptr(d, table_gpa);
	uint16_t head = q->free_head;

	for (unsigned i = 0; i < n; i++)
		table[i] = desc_of(&bufs[i], i == n - 1, i + 1);
	q->desc[head] = (struct vring_desc){
		.addr = table_gpa,
		.len = n * sizeof(struct vring_desc),
		.flags = VRING_DESC_F_INDIRECT,
	};
	q->free_head = (head + 1) & (q->size - 1);
	driver_publish_head(d, queue, head);
	return head;
}

void driver_kick(struct driver *d, unsigned queue)
{
	eventfd_write(virtio_kick_fd(virtio_mmio_virtio(d->mmio), queue), 1);
}

/* After driver_publish_head() of one chain. */
bool driver_kick_wanted(struct driver *d, unsigned queue)
{
	struct driver_queue *q = &d->q[queue];

	if (!(d->features & UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX))
		return !(q->used->flags & VRING_USED_F_NO_NOTIFY);
	uint16_t event = *(__u16 *)&q->used->ring[q->size];
	return vring_need_event(event, q->avail_idx, q->avail_idx - 1);
}

bool driver_used(struct driver *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len)
{
	struct driver_queue *q = &d->q[queue];

	if (!q->size || __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_idx)
		return false;
	struct vring_used_elem e = q->used->ring[q->used_idx++ & (q->size - 1)];
	if (ret_head)
		*ret_head = e.id;
	if (ret_len)
		*ret_len = e.len;
	return true;
}

static gboolean nudge(gpointer arg)
{
	return G_SOURCE_CONTINUE;
}

bool driver_wait(struct driver *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len)
{
	gint64 end = g_get_monotonic_time() + WAIT_US;
	guint timer = g_timeout_add(1, nudge, NULL);	/* the device may be on another thread */
	bool came;

	while (!(came = driver_used(d, queue, ret_head, ret_len)) &&
	       g_get_monotonic_time() < end)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timer);
	return came;
}

unsigned driver_interrupts(struct driver *d, uint32_t *ret_status)
{
	uint32_t status = driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS);
	eventfd_t n = 0;

	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, status);
	if (ret_status)
		*ret_status = status;
	return eventfd_read(virtio_mmio_irq_fd(d->mmio), &n) < 0 ? 0 : n;
}
