/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Virtio devices before a guest on /dev/kvm that means them no good. */
#include "config.h"

#include "libvmm/device/balloon.h"
#include "libvmm/device/blk.h"
#include "libvmm/device/rng.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "tests/payload/run.h"
#include "tests/unit/fake-block.h"

#include <linux/virtio_mmio.h>

PAYLOAD_DECLARE(virtio);

#define PATIENCE_MS 60000
#define DEVICES 3

static struct device *device_add(struct payload *p, unsigned slot, struct virtio_device *dev)
{
	uint64_t base = PAYLOAD_MMIO + slot * VIRTIO_MMIO_BYTES;
	g_autoptr(GError) error = NULL;
	struct virtio_mmio *m = virtio_mmio_new(dev, &error);

	g_assert_no_error(error);
	bus_add(p->mmio, base, VIRTIO_MMIO_BYTES, dev->name, &virtio_mmio_bus_ops, m, &error);
	g_assert_no_error(error);
	irq_attach(p->kvm, 5 + slot, virtio_mmio_irq_fd(m), &error);
	g_assert_no_error(error);
	irq_attach_kick(p->kvm, base + VIRTIO_MMIO_QUEUE_NOTIFY, 0, virtio_kick_fd(dev, 0), &error);
	g_assert_no_error(error);
	irq_attach_kick(p->kvm, base + VIRTIO_MMIO_INTERRUPT_ACK, 1, virtio_mmio_ack_fd(m, 1),
			&error);
	g_assert_no_error(error);
	return virtio_mmio_device(m);
}

static void nonsense_from_a_guest_leaves_devices_that_work(void)
{
	struct rng_opts rng = { .name = "rng0" };
	struct balloon_opts balloon = { .name = "balloon0", .free_page_reporting = true };
	struct blk_opts blk = { .name = "virtio-disk0" };
	struct fake_block *fake = fake_block_new(65536);
	struct device *devices[DEVICES];
	struct payload p;

	if (payload_open(&p, 1)) {
		devices[0] = device_add(&p, 0, rng_new(&rng, p.mem, p.ctx, NULL));
		devices[1] = device_add(&p, 1, balloon_new(&balloon, p.mem, p.ctx, NULL));
		devices[2] = device_add(&p, 2, blk_new(fake_block(fake), &blk, p.mem, p.ctx, NULL));
		payload_start(&p, PAYLOAD_OF(virtio));
		g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 0);
		for (unsigned i = 0; i < DEVICES; i++)
			device_free(devices[i]);
		payload_close(&p);
	}
	fake_block_free(fake);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/virtio-guest/nonsense_from_a_guest_leaves_devices_that_work",
			nonsense_from_a_guest_leaves_devices_that_work);
	return g_test_run();
}
