/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio over MMIO, version 2 (virtio 1.2, 4.2.2).
 *
 * Registers are read and written on vCPU threads; `lock` protects the
 * selectors and orders everything that changes the device.  What a running
 * driver does often, interrupt status, acknowledge and notify, takes no lock.
 *
 * The interrupt is an edge on each notification, also when the status bit is
 * set already: an edge that came while the guest's interrupt controller had
 * the line masked is lost, and the next one has to make up for it.
 *
 * An acknowledgement need not come to us when it is written: with
 * virtio_mmio_ack_fd() on KVM_IOEVENTFD it costs no exit to userspace, of two
 * for each interrupt.  So InterruptStatus is kept in two halves, what is
 * pending and what the driver has been shown; the acknowledgements that wait
 * in their descriptors clear shown bits, only those, at the next read.
 *
 * Whatever 4.2.2 does not have reads as zero; writes to it are dropped.
 */
#include "config.h"
#include "libvmm/device/virtio-mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MMIO_MAGIC 0x74726976	/* "virt" */
#define MMIO_VERSION 2
#define INTERRUPT_BITS 2
#define MMIO_VENDOR 0x4d4d564c	/* "LVMM" */

struct virtio_mmio {
	struct device base;
	struct virtio_device *dev;
	int irq_fd;
	int ack_fd[INTERRUPT_BITS];
	_Atomic uint32_t pending;	/* not yet read by the driver */
	_Atomic uint32_t shown;		/* read, not yet acknowledged */
	GMutex lock;
	uint32_t offered_sel;
	uint32_t accepted_sel;
	uint32_t queue_sel;
};

/* From the owner's thread, mostly: no lock here. */
static void mmio_notify(void *transport, int queue)
{
	struct virtio_mmio *m = transport;

	atomic_fetch_or(&m->pending, queue < 0 ? VIRTIO_MMIO_INT_CONFIG : VIRTIO_MMIO_INT_VRING);
	eventfd_write(m->irq_fd, 1);
}

/* Those of `bits` that were acknowledged behind our back. */
static uint32_t acks_take(struct virtio_mmio *m, uint32_t bits)
{
	uint32_t acked = 0;

	for (unsigned i = 0; i < INTERRUPT_BITS; i++) {
		eventfd_t n;

		if (bits & 1u << i && eventfd_read(m->ack_fd[i], &n) == 0)
			acked |= 1u << i;
	}
	return acked;
}

static uint32_t interrupt_status(struct virtio_mmio *m)
{
	uint32_t fresh = atomic_exchange(&m->pending, 0);
	uint32_t acked = acks_take(m, fresh | atomic_load(&m->shown));

	atomic_fetch_and(&m->shown, ~acked);
	return atomic_fetch_or(&m->shown, fresh) | fresh;
}

static uint32_t offered_word(const struct virtio_mmio *m)
{
	return m->offered_sel < 2 ? m->dev->offered >> (32 * m->offered_sel) : 0;
}

static uint32_t reg_read_locked(struct virtio_mmio *m, uint64_t reg)
{
	const struct virtio_queue_regs *q = virtio_queue_regs(m->dev, m->queue_sel);

	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return m->dev->type;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return offered_word(m);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? q->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->ready;
	case VIRTIO_MMIO_STATUS:
		return virtio_status_get(m->dev);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX;	/* 4.2.2.1: there is no such region */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return virtio_config_generation(m->dev);
	default:
		return 0;
	}
}

static uint32_t reg_read(struct virtio_mmio *m, uint64_t reg)
{
	if (reg == VIRTIO_MMIO_INTERRUPT_STATUS)
		return interrupt_status(m);

	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&m->lock);
	return reg_read_locked(m, reg);
}

static void set_half(uint64_t *word, bool high, uint32_t value)
{
	unsigned shift = high ? 32 : 0;

	*word = (*word & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/*
 * A ready queue is the device's: it keeps its layout until the reset.  Only a
 * driver that has not said DRIVER_OK may take it back.
 */
static void queue_write(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
	struct virtio_queue_regs *q = virtio_queue_regs(m->dev, m->queue_sel);

	if (!q || virtio_status_get(m->dev) & VIRTIO_CONFIG_S_DRIVER_OK)
		return;
	if (reg == VIRTIO_MMIO_QUEUE_READY) {
		q->ready = value & 1;
		return;
	}
	if (q->ready)
		return;
	switch (reg) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->layout.size = value <= UINT16_MAX ? value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->layout.desc_gpa, reg == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->layout.avail_gpa, reg == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&q->layout.used_gpa, reg == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	}
}

static void status_write(struct virtio_mmio *m, uint32_t value)
{
	virtio_status_set(m->dev, value);
	if (!value) {
		acks_take(m, UINT32_MAX);
		atomic_store(&m->pending, 0);
		atomic_store(&m->shown, 0);
	}
}

static void reg_write_locked(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->offered_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->accepted_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_features_set(m->dev, m->accepted_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->queue_sel = value;
		break;
	case VIRTIO_MMIO_STATUS:
		status_write(m, value);
		break;
	default:
		queue_write(m, reg, value);
	}
}

static void reg_write(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
	if (reg == VIRTIO_MMIO_INTERRUPT_ACK) {
		atomic_fetch_and(&m->shown, ~value);
		return;
	}
	if (reg == VIRTIO_MMIO_QUEUE_NOTIFY) {	/* where no ioeventfd took it */
		if (value < m->dev->n_queues)
			virtio_kick_later(m->dev, value);
		return;
	}

	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&m->lock);
	reg_write_locked(m, reg, value);
}

/* 4.2.2.2: registers are 32 bits wide and accessed so; configuration space in any width. */
static void mmio_read(void *dev, uint64_t off, void *data, unsigned len)
{
	struct virtio_mmio *m = dev;

	if (off >= VIRTIO_MMIO_CONFIG) {
		virtio_config_read(m->dev, off - VIRTIO_MMIO_CONFIG, data, len);
		return;
	}
	memset(data, 0, len);
	if (len == sizeof(uint32_t) && !(off & 3)) {
		uint32_t value = reg_read(m, off);

		memcpy(data, &value, sizeof(value));
	}
}

static void mmio_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct virtio_mmio *m = dev;
	uint32_t value;

	if (off >= VIRTIO_MMIO_CONFIG) {
		virtio_config_write(m->dev, off - VIRTIO_MMIO_CONFIG, data, len);
	} else if (len == sizeof(value) && !(off & 3)) {
		memcpy(&value, data, sizeof(value));
		reg_write(m, off, value);
	}
}

const struct bus_ops virtio_mmio_bus_ops = { .read = mmio_read, .write = mmio_write };

static void mmio_start(struct device *base)
{
	virtio_start(container_of(base, struct virtio_mmio, base)->dev);
}

static void mmio_stop(struct device *base)
{
	virtio_stop(container_of(base, struct virtio_mmio, base)->dev);
}

static void mmio_save(struct device *base, struct state_out *out)
{
	struct virtio_mmio *m = container_of(base, struct virtio_mmio, base);
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&m->lock);

	atomic_fetch_and(&m->shown, ~acks_take(m, atomic_load(&m->shown)));
	state_put_u32(out, atomic_load(&m->pending));
	state_put_u32(out, atomic_load(&m->shown));
	state_put_u32(out, m->offered_sel);
	state_put_u32(out, m->accepted_sel);
	state_put_u32(out, m->queue_sel);
	virtio_save(m->dev, out);
}

/*
 * The line is raised again for what the driver has not acknowledged: the edge
 * may have been on its way to the interrupt controller when that was saved.
 */
static bool mmio_load(struct device *base, struct state_in *in, GError **error)
{
	struct virtio_mmio *m = container_of(base, struct virtio_mmio, base);
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&m->lock);
	uint32_t pending = state_get_max(in, VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	uint32_t shown = state_get_max(in, VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);

	atomic_store(&m->pending, pending);
	atomic_store(&m->shown, shown);
	m->offered_sel = state_get_u32(in);
	m->accepted_sel = state_get_u32(in);
	m->queue_sel = state_get_u32(in);
	if (!virtio_load(m->dev, in, error) || !state_done(in, error))
		return false;
	if (pending | shown)
		eventfd_write(m->irq_fd, 1);
	return true;
}

static void mmio_reset(struct device *base)
{
	struct virtio_mmio *m = container_of(base, struct virtio_mmio, base);
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&m->lock);

	status_write(m, 0);
	m->offered_sel = m->accepted_sel = m->queue_sel = 0;
}

static void mmio_dispose(struct virtio_mmio *m)
{
	fd_close(&m->irq_fd);
	for (unsigned i = 0; i < INTERRUPT_BITS; i++)
		fd_close(&m->ack_fd[i]);
	g_mutex_clear(&m->lock);
	g_free(m);
}

static void mmio_free(struct device *base)
{
	struct virtio_mmio *m = container_of(base, struct virtio_mmio, base);

	virtio_reset(m->dev);
	m->dev->ops->free(m->dev);
	mmio_dispose(m);
}

static const struct device_ops mmio_device_ops = {
	.start = mmio_start,
	.stop = mmio_stop,
	.reset = mmio_reset,
	.save = mmio_save,
	.load = mmio_load,
	.free = mmio_free,
};

static struct virtio_mmio *mmio_alloc(struct virtio_device *dev)
{
	struct virtio_mmio *m = g_new0(struct virtio_mmio, 1);

	m->base = (struct device){ .ops = &mmio_device_ops, .name = dev->name };
	m->dev = dev;
	g_mutex_init(&m->lock);
	m->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < INTERRUPT_BITS; i++)
		m->ack_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return m;
}

struct virtio_mmio *virtio_mmio_new(struct virtio_device *dev, GError **error)
{
	struct virtio_mmio *m = mmio_alloc(dev);

	if (m->irq_fd < 0 || m->ack_fd[0] < 0 || m->ack_fd[1] < 0) {
		error_errno(error, errno, "%s: make an interrupt descriptor", dev->name);
		dev->ops->free(dev);
		mmio_dispose(m);
		return NULL;
	}
	dev->transport = m;
	dev->notify = mmio_notify;
	return m;
}

struct device *virtio_mmio_device(struct virtio_mmio *m)
{
	return &m->base;
}

struct virtio_device *virtio_mmio_virtio(struct virtio_mmio *m)
{
	return m->dev;
}

int virtio_mmio_irq_fd(const struct virtio_mmio *m)
{
	return m->irq_fd;
}

int virtio_mmio_ack_fd(const struct virtio_mmio *m, uint32_t bit)
{
	return m->ack_fd[bit == VIRTIO_MMIO_INT_VRING ? 0 : 1];
}
