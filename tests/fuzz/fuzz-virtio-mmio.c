/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A driver that does anything to the registers, rings and buffers of a device. */
#include "config.h"
#include "fuzz.h"

#include <linux/virtio_mmio.h>

#include "libvmm/device/balloon.h"
#include "libvmm/device/blk.h"
#include "libvmm/device/rng.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "tests/unit/fake-block.h"
#include "tests/unit/virtio-driver.h"

#define DISK_BYTES 8192
#define RAM_MIB 1
#define BUFS_MAX 6
#define ALLOC_END 0x80000

static struct virtio_device *device_new(struct driver *d, unsigned which, struct fake_block *fake)
{
	struct rng_opts rng = { .name = "rng" };
	struct balloon_opts balloon = { .name = "balloon", .free_page_reporting = true };
	struct blk_opts blk = { .name = "blk", .n_queues = 2, .discard = true,
				.write_policy = BLK_POLICY_ENOSPACE };

	switch (which % 3) {
	case 0:
		return rng_new(&rng, d->mem, NULL, NULL);
	case 1:
		return balloon_new(&balloon, d->mem, NULL, NULL);
	default:
		return blk_new(fake_block(fake), &blk, d->mem, NULL, NULL);
	}
}

static void loop_turn(void)
{
	for (unsigned n = 6; n && g_main_context_iteration(NULL, FALSE); n--)
		;
}

/* A chain of what the input says, its first buffer filled with what follows. */
static void chain(struct driver *d, struct fuzz_input *in)
{
	unsigned queue = fuzz_take(in, 1) % DRIVER_QUEUES, n = 1 + fuzz_take(in, 1) % BUFS_MAX;
	struct driver_buf bufs[BUFS_MAX];

	if (!d->q[queue].size || d->alloc_gpa > ALLOC_END)
		return;
	for (unsigned i = 0; i < n; i++) {
		unsigned shape = fuzz_take(in, 1);

		bufs[i] = (struct driver_buf){ .len = fuzz_take(in, shape & 2 ? 4 : 1),
					       .in = shape & 1 };
		bufs[i].gpa = shape & 4 ? fuzz_take(in, 8) : driver_alloc(d, 256);
	}
	uint8_t *first = guest_ptr(d->mem, bufs[0].gpa, 32);
	for (unsigned i = 0; first && i < 24; i++)
		first[i] = fuzz_take(in, 1);
	if (n & 1)
		driver_add(d, queue, bufs, n);
	else
		driver_add_indirect(d, queue, bufs, n);
	driver_kick(d, queue);
}

static void poke(struct driver *d, struct fuzz_input *in)
{
	uint64_t gpa = 0x10000 + (fuzz_take(in, 2) & 0x3fff);
	uint8_t v = fuzz_take(in, 1);

	memcpy(guest_ptr(d->mem, gpa, 1), &v, 1);
}

static void access_register(struct driver *d, struct fuzz_input *in)
{
	unsigned len = 1u << (fuzz_take(in, 1) & 3);
	uint64_t off = fuzz_take(in, 2) % (VIRTIO_MMIO_BYTES - 8), v = fuzz_take(in, len);

	virtio_mmio_bus_ops.write(d->mmio, off, &v, len);
	virtio_mmio_bus_ops.read(d->mmio, off, &v, len);
}

static void step(struct driver *d, struct fake_block *fake, struct fuzz_input *in)
{
	struct device *dev = virtio_mmio_device(d->mmio);

	switch (fuzz_take(in, 1) % 10) {
	case 0:
		access_register(d, in);
		break;
	case 1:
		driver_write(d, (fuzz_take(in, 1) << 2) & 0xff, fuzz_take(in, 4));
		break;
	case 2:
		if (d->alloc_gpa < ALLOC_END)
			driver_init(d, fuzz_take(in, 5), 1u << (fuzz_take(in, 1) & 7));
		break;
	case 3:
	case 4:
		chain(d, in);
		break;
	case 5:
		poke(d, in);
		break;
	case 6:
		loop_turn();
		break;
	case 7:
		fake->error = fuzz_take(in, 1) & 1 ? -28 : 0;
		fake->at_once = fuzz_take(in, 1) & 1;
		break;
	case 8:
		device_start(dev);
		break;
	case 9:
		device_reset(dev);
		memset(d->q, 0, sizeof(d->q));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fake_block *fake = fake_block_new(DISK_BYTES);
	struct driver *d = driver_new(RAM_MIB);

	fuzz_quiet();
	fake->can_discard = true;
	driver_attach(d, device_new(d, fuzz_take(&in, 1), fake));
	driver_init(d, fuzz_take(&in, 5), 16);
	while (in.left)
		step(d, fake, &in);
	loop_turn();
	driver_free(d);
	fake_block_free(fake);
	return 0;
}
