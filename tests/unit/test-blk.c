/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-blk as its driver sees it, over a block that the test commands. */
#include "config.h"
#include "libvmm/device/blk.h"

#include <errno.h>
#include <glib.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "fake-block.h"
#include "libvmm/device/device.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "virtio-driver.h"

#define DISK_BYTES (64 * 1024)
#define SECTORS (DISK_BYTES / 512)
#define ALL_FEATURES UINT64_MAX
#define NOT_YET 0xee

struct disk {
	struct fake_block *fake;
	struct virtio_device *dev;
	struct driver *d;
	unsigned n_errors;
	int last_error;
	bool must_pause;
};

typedef struct disk disk;

static void on_error(void *opaque, int error, bool must_pause)
{
	struct disk *k = opaque;

	k->n_errors++;
	k->last_error = error;
	k->must_pause = must_pause;
}

static struct disk *disk_with(struct blk_opts opts, struct fake_block *fake, uint64_t features)
{
	struct disk *k = g_new0(struct disk, 1);
	g_autoptr(GError) error = NULL;

	opts.name = "virtio-disk0";
	opts.on_error = on_error;
	opts.opaque = k;
	k->fake = fake;
	k->d = driver_new(2);
	k->dev = blk_new(fake_block(fake), &opts, k->d->mem, NULL, &error);
	g_assert_no_error(error);
	driver_attach(k->d, k->dev);
	g_assert_true(driver_init(k->d, features, 16));
	return k;
}

static struct disk *disk_new(void)
{
	return disk_with((struct blk_opts){ 0 }, fake_block_new(DISK_BYTES), ALL_FEATURES);
}

static void disk_free(struct disk *k)
{
	driver_free(k->d);
	g_assert_true(k->fake->closed);
	fake_block_free(k->fake);
	g_free(k);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(disk, disk_free)

/* A request on the ring: where its data and its status are. */
struct io {
	uint64_t data_gpa;
	uint8_t *data;
	uint8_t *status;
};

static struct io io_add(struct disk *k, unsigned queue, uint32_t type, uint64_t sector,
			uint32_t bytes, bool in)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	uint64_t hdr_gpa = driver_alloc(k->d, sizeof(hdr));
	uint64_t status_gpa = driver_alloc(k->d, 1);
	struct io io = { .data_gpa = driver_alloc(k->d, bytes) };
	struct driver_buf bufs[] = { { hdr_gpa, sizeof(hdr), false }, { io.data_gpa, bytes, in },
				     { status_gpa, 1, true } };

	memcpy(driver_ptr(k->d, hdr_gpa), &hdr, sizeof(hdr));
	io.data = driver_ptr(k->d, io.data_gpa);
	io.status = driver_ptr(k->d, status_gpa);
	*io.status = NOT_YET;
	driver_add(k->d, queue, bufs, 3);
	return io;
}

static void run_loop(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static uint8_t io_run(struct disk *k, struct io io)
{
	driver_kick(k->d, 0);
	if (!driver_wait(k->d, 0, NULL, NULL))
		return NOT_YET;
	return *io.status;
}

static uint8_t io_do(struct disk *k, uint32_t type, uint64_t sector, uint32_t bytes, bool in)
{
	return io_run(k, io_add(k, 0, type, sector, bytes, in));
}

static uint8_t range_do(struct disk *k, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes r = { .sector = sector, .num_sectors = n,
						     .flags = flags };
	struct io io = io_add(k, 0, type, 0, sizeof(r), false);

	memcpy(io.data, &r, sizeof(r));
	return io_run(k, io);
}

static void what_is_written_is_read_again(void)
{
	g_autoptr(disk) k = disk_new();
	struct io w = io_add(k, 0, VIRTIO_BLK_T_OUT, 3, 1024, false);

	memset(w.data, 'x', 1024);
	g_assert_cmpuint(io_run(k, w), ==, VIRTIO_BLK_S_OK);
	struct io r = io_add(k, 0, VIRTIO_BLK_T_IN, 4, 512, true);
	g_assert_cmpuint(io_run(k, r), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpmem(r.data, 512, w.data, 512);
	g_assert_cmpuint(k->fake->bytes[3 * 512 - 1], ==, 0);
	g_assert_cmpuint(k->fake->bytes[3 * 512], ==, 'x');
}

static void the_used_length_covers_data_and_status(void)
{
	g_autoptr(disk) k = disk_new();
	uint32_t len;

	io_add(k, 0, VIRTIO_BLK_T_IN, 0, 512, true);
	driver_kick(k->d, 0);
	g_assert_true(driver_wait(k->d, 0, NULL, &len));
	g_assert_cmpuint(len, ==, 513);
}

static void the_frame_may_be_cut_anywhere(void)
{
	g_autoptr(disk) k = disk_new();
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = 1 };
	uint64_t out = driver_alloc(k->d, 16), in = driver_alloc(k->d, 1024);
	struct driver_buf bufs[] = { { out, 5, false }, { out + 5, 11, false }, { in, 100, true },
				     { in + 100, 413, true } };
	uint8_t *bytes = driver_ptr(k->d, in);

	memset(k->fake->bytes + 512, 'y', 512);
	memcpy(driver_ptr(k->d, out), &hdr, 16);
	bytes[512] = NOT_YET;
	driver_add_indirect(k->d, 0, bufs, 4);
	driver_kick(k->d, 0);
	g_assert_true(driver_wait(k->d, 0, NULL, NULL));
	g_assert_cmpuint(bytes[0], ==, 'y');
	g_assert_cmpuint(bytes[511], ==, 'y');
	g_assert_cmpuint(bytes[512], ==, VIRTIO_BLK_S_OK);
}

static void what_lies_outside_of_the_disk_is_an_error(void)
{
	g_autoptr(disk) k = disk_new();
	static const struct { uint64_t sector; uint32_t bytes; } bad[] = {
		{ SECTORS, 512 }, { SECTORS - 1, 1024 }, { UINT64_MAX, 512 },
		{ UINT64_C(1) << 55, 512 }, { (UINT64_C(1) << 55) - 1, 1024 },
		{ SECTORS + 1, 0 }, { 0, 511 }, { 0, 513 },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, bad[i].sector, bad[i].bytes, true), ==,
				 VIRTIO_BLK_S_IOERR);
		g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].bytes, false),
				 ==, VIRTIO_BLK_S_IOERR);
	}
	g_assert_cmpuint(k->fake->n_submitted, ==, 0);
	g_assert_cmpuint(k->n_errors, ==, 0);
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, SECTORS - 1, 512, true), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, SECTORS, 0, true), ==, VIRTIO_BLK_S_OK);
}

static void an_unknown_request_is_unsupported(void)
{
	g_autoptr(disk) k = disk_new();

	g_assert_cmpuint(io_do(k, 2, 0, 512, true), ==, VIRTIO_BLK_S_UNSUPP);
	g_assert_cmpuint(io_do(k, UINT32_MAX, 0, 512, false), ==, VIRTIO_BLK_S_UNSUPP);
}

static void a_request_without_a_place_for_its_status_breaks_it(void)
{
	g_autoptr(disk) k = disk_new();
	struct driver_buf bufs[] = { { driver_alloc(k->d, 64), 64, false } };

	driver_add(k->d, 0, bufs, 1);
	driver_kick(k->d, 0);
	run_loop();
	g_assert_true(virtio_is_broken(k->dev));
	g_assert_true(driver_init(k->d, ALL_FEATURES, 16));
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, 0, 512, true), ==, VIRTIO_BLK_S_OK);
}

static void a_short_header_breaks_it(void)
{
	g_autoptr(disk) k = disk_new();
	struct driver_buf bufs[] = { { driver_alloc(k->d, 16), 15, false },
				     { driver_alloc(k->d, 16), 16, true } };

	driver_add(k->d, 0, bufs, 2);
	driver_kick(k->d, 0);
	run_loop();
	g_assert_true(virtio_is_broken(k->dev));
}

static void the_serial_number_is_given(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ .serial = "WD-12345" },
				      fake_block_new(DISK_BYTES), ALL_FEATURES);
	struct io io = io_add(k, 0, VIRTIO_BLK_T_GET_ID, 0, 20, true);

	memset(io.data, 'z', 20);
	g_assert_cmpuint(io_run(k, io), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpmem(io.data, 20, "WD-12345\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	io = io_add(k, 0, VIRTIO_BLK_T_GET_ID, 0, 2, true);
	g_assert_cmpuint(io_run(k, io), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpmem(io.data, 2, "WD", 2);
}

static void a_serial_number_that_is_too_long_is_refused(void)
{
	struct fake_block *fake = fake_block_new(DISK_BYTES);
	struct blk_opts opts = { .name = "x", .serial = "123456789012345678901" };
	g_autoptr(GError) error = NULL;

	g_assert_null(blk_new(fake_block(fake), &opts, NULL, NULL, &error));
	g_assert_nonnull(strstr(error->message, "longer than 20 bytes"));
	g_assert_true(fake->closed);
	fake_block_free(fake);
}

static void a_read_only_disk_refuses_to_change(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ .read_only = true },
				      fake_block_new(DISK_BYTES), ALL_FEATURES);

	g_assert_true(virtio_has(k->dev, VIRTIO_BLK_F_RO));
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, 0, 512, false), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(range_do(k, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(range_do(k, VIRTIO_BLK_T_DISCARD, 0, 1, 0), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(k->fake->n_submitted, ==, 0);
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_FLUSH, 0, 0, false), ==, VIRTIO_BLK_S_OK);
}

static void the_configuration_describes_the_disk(void)
{
	struct fake_block *fake = fake_block_new(DISK_BYTES);
	fake->can_discard = true;
	fake->cluster_bytes = 65536;
	g_autoptr(disk) k = disk_with((struct blk_opts){ .n_queues = 3, .discard = true,
							 .physical_block_bytes = 4096 },
				      fake, ALL_FEATURES);
	struct virtio_blk_config c = { 0 };

	driver_config(k->d, 0, &c, 60);
	g_assert_cmpuint(driver_read(k->d, VIRTIO_MMIO_DEVICE_ID), ==, VIRTIO_ID_BLOCK);
	g_assert_cmpuint(c.capacity, ==, SECTORS);
	g_assert_cmpuint(c.seg_max, ==, 126);
	g_assert_cmpuint(c.blk_size, ==, 512);
	g_assert_cmpuint(c.physical_block_exp, ==, 3);
	g_assert_cmpuint(c.num_queues, ==, 3);
	g_assert_cmpuint(c.discard_sector_alignment, ==, 128);
	g_assert_cmpuint(c.write_zeroes_may_unmap, ==, 1);
	g_assert_true(virtio_has(k->dev, VIRTIO_BLK_F_MQ));
	g_assert_true(virtio_has(k->dev, VIRTIO_BLK_F_DISCARD));
}

static void every_queue_is_served(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ .n_queues = 3 },
				      fake_block_new(DISK_BYTES), ALL_FEATURES);

	for (unsigned q = 0; q < 3; q++) {
		struct io io = io_add(k, q, VIRTIO_BLK_T_IN, q, 512, true);

		driver_kick(k->d, q);
		g_assert_true(driver_wait(k->d, q, NULL, NULL));
		g_assert_cmpuint(*io.status, ==, VIRTIO_BLK_S_OK);
	}
}

static void zeroes_are_written_and_may_unmap(void)
{
	g_autoptr(disk) k = disk_new();

	memset(k->fake->bytes, 'x', DISK_BYTES);
	g_assert_cmpuint(range_do(k, VIRTIO_BLK_T_WRITE_ZEROES, 1, 2, 1), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->last_flags, ==, BLOCK_REQ_UNMAP);
	g_assert_cmpuint(k->fake->bytes[511], ==, 'x');
	g_assert_cmpuint(k->fake->bytes[512], ==, 0);
	g_assert_cmpuint(k->fake->bytes[1535], ==, 0);
	g_assert_cmpuint(k->fake->bytes[1536], ==, 'x');
	g_assert_cmpuint(range_do(k, VIRTIO_BLK_T_WRITE_ZEROES, 5, 1, 0), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->last_flags, ==, 0);
}

static void bad_ranges_are_refused_as_the_spec_says(void)
{
	struct fake_block *fake = fake_block_new(DISK_BYTES);
	fake->can_discard = true;
	g_autoptr(disk) k = disk_with((struct blk_opts){ .discard = true }, fake, ALL_FEATURES);
	enum { D = VIRTIO_BLK_T_DISCARD, Z = VIRTIO_BLK_T_WRITE_ZEROES };

	g_assert_cmpuint(range_do(k, D, 0, 1, 1), ==, VIRTIO_BLK_S_UNSUPP);
	g_assert_cmpuint(range_do(k, Z, 0, 1, 2), ==, VIRTIO_BLK_S_UNSUPP);
	g_assert_cmpuint(range_do(k, Z, SECTORS, 1, 0), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(range_do(k, Z, UINT64_MAX, 2, 0), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(range_do(k, D, 0, UINT32_MAX, 0), ==, VIRTIO_BLK_S_IOERR);
	k->fake->n_bytes = UINT64_C(1) << 41;
	g_assert_cmpuint(range_do(k, D, 0, UINT32_MAX, 0), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(range_do(k, Z, 0, (32 << 11) + 1, 0), ==, VIRTIO_BLK_S_IOERR);
	k->fake->n_bytes = DISK_BYTES;
	g_assert_cmpuint(io_do(k, D, 0, 15, false), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(io_do(k, D, 0, 0, false), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(io_do(k, D, 0, 16 * 17, false), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(k->fake->n_submitted, ==, 0);
	g_assert_cmpuint(range_do(k, D, 5, 0, 0), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(range_do(k, D, 5, 1, 0), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->n_submitted, ==, 1);
}

static void several_ranges_are_one_request(void)
{
	struct fake_block *fake = fake_block_new(DISK_BYTES);
	fake->can_discard = true;
	g_autoptr(disk) k = disk_with((struct blk_opts){ .discard = true }, fake, ALL_FEATURES);
	struct virtio_blk_discard_write_zeroes r[] = { { .sector = 1, .num_sectors = 1 },
						       { .sector = 2, .num_sectors = 0 },
						       { .sector = 7, .num_sectors = 2 } };
	struct io io = io_add(k, 0, VIRTIO_BLK_T_DISCARD, 0, sizeof(r), false);
	struct blk_stats st;

	memset(fake->bytes, 'x', DISK_BYTES);
	memcpy(io.data, r, sizeof(r));
	g_assert_cmpuint(io_run(k, io), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(fake->n_submitted, ==, 2);
	g_assert_cmpuint(fake->bytes[512], ==, 0);
	g_assert_cmpuint(fake->bytes[1024], ==, 'x');
	g_assert_cmpuint(fake->bytes[8 * 512], ==, 0);
	blk_stats(k->dev, &st);
	g_assert_cmpuint(st.discard_reqs, ==, 1);
	g_assert_cmpuint(st.discard_bytes, ==, 3 * 512);
}

static void a_driver_without_flush_gets_write_through(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ 0 }, fake_block_new(DISK_BYTES),
				      ALL_FEATURES & ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH));

	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, 0, 512, false), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->n_flushes, ==, 1);
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, 0, 512, true), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->n_flushes, ==, 1);
}

static void the_driver_may_switch_the_cache_off(void)
{
	g_autoptr(disk) k = disk_new();
	unsigned wce = VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce);
	uint8_t off = 0, now;

	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, 0, 512, false), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->n_flushes, ==, 0);
	virtio_mmio_bus_ops.write(k->d->mmio, wce, &off, 1);
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, 0, 512, false), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->n_flushes, ==, 1);
	driver_reset(k->d);
	virtio_mmio_bus_ops.read(k->d->mmio, wce, &now, 1);
	g_assert_cmpuint(now, ==, 1);
}

static void an_error_is_reported_to_the_guest(void)
{
	g_autoptr(disk) k = disk_new();
	struct blk_stats st;

	k->fake->error = -EIO;
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, 0, 512, true), ==, VIRTIO_BLK_S_IOERR);
	g_assert_cmpuint(k->n_errors, ==, 1);
	g_assert_cmpint(k->last_error, ==, EIO);
	g_assert_false(k->must_pause);
	blk_stats(k->dev, &st);
	g_assert_cmpuint(st.errs, ==, 1);
	g_assert_cmpuint(st.rd_reqs, ==, 0);
	k->fake->error = -EOPNOTSUPP;
	g_assert_cmpuint(range_do(k, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), ==, VIRTIO_BLK_S_UNSUPP);
	g_assert_cmpuint(k->n_errors, ==, 1);
}

static void an_error_that_is_ignored_is_hidden(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ .write_policy = BLK_POLICY_IGNORE },
				      fake_block_new(DISK_BYTES), ALL_FEATURES);

	k->fake->error = -EIO;
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, 0, 512, false), ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->n_errors, ==, 0);
}

static void a_full_host_disk_pauses_and_the_write_is_tried_again(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ .write_policy = BLK_POLICY_ENOSPACE },
				      fake_block_new(DISK_BYTES), ALL_FEATURES);
	struct io a = io_add(k, 0, VIRTIO_BLK_T_OUT, 0, 512, false);
	struct io b = io_add(k, 0, VIRTIO_BLK_T_OUT, 1, 512, false);

	memset(a.data, 'a', 512);
	k->fake->error = -ENOSPC;
	driver_kick(k->d, 0);
	run_loop();
	g_assert_true(k->must_pause);
	g_assert_cmpuint(*a.status, ==, NOT_YET);
	device_start(virtio_mmio_device(k->d->mmio));
	run_loop();
	g_assert_cmpuint(*b.status, ==, NOT_YET);	/* still full */
	k->fake->error = 0;
	device_start(virtio_mmio_device(k->d->mmio));
	g_assert_true(driver_wait(k->d, 0, NULL, NULL));
	g_assert_true(driver_wait(k->d, 0, NULL, NULL));
	g_assert_cmpuint(*a.status, ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(*b.status, ==, VIRTIO_BLK_S_OK);
	g_assert_cmpuint(k->fake->bytes[0], ==, 'a');
	k->fake->error = -EIO;	/* another error is no reason to wait */
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_OUT, 0, 512, false), ==, VIRTIO_BLK_S_IOERR);
}

static void a_reset_forgets_what_waits(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ .read_policy = BLK_POLICY_STOP },
				      fake_block_new(DISK_BYTES), ALL_FEATURES);

	k->fake->error = -EIO;
	io_add(k, 0, VIRTIO_BLK_T_IN, 0, 512, true);
	driver_kick(k->d, 0);
	run_loop();
	g_assert_true(k->must_pause);
	k->fake->error = 0;
	g_assert_true(driver_init(k->d, ALL_FEATURES, 16));
	unsigned submitted = k->fake->n_submitted;
	device_start(virtio_mmio_device(k->d->mmio));
	g_assert_cmpuint(k->fake->n_submitted, ==, submitted);
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, 0, 512, true), ==, VIRTIO_BLK_S_OK);
}

static void a_reset_drains_what_is_in_flight(void)
{
	g_autoptr(disk) k = disk_new();
	struct io io = io_add(k, 0, VIRTIO_BLK_T_IN, 0, 512, true);
	struct vring_used *used = k->d->q[0].used;

	k->fake->hold = true;
	driver_kick(k->d, 0);
	run_loop();
	g_assert_cmpuint(g_queue_get_length(&k->fake->pending), ==, 1);
	driver_reset(k->d);
	g_assert_cmpuint(g_queue_get_length(&k->fake->pending), ==, 0);
	g_assert_cmpuint(*io.status, ==, NOT_YET);	/* nothing of the old ring is touched */
	g_assert_cmpuint(used->idx, ==, 0);
	k->fake->hold = false;
	g_assert_true(driver_init(k->d, ALL_FEATURES, 16));
	g_assert_cmpuint(io_do(k, VIRTIO_BLK_T_IN, 0, 512, true), ==, VIRTIO_BLK_S_OK);
}

static void a_batch_is_one_kick_and_one_interrupt(void)
{
	g_autoptr(disk) k = disk_with((struct blk_opts){ 0 }, fake_block_new(DISK_BYTES), 0);

	for (unsigned i = 0; i < 5; i++)
		io_add(k, 0, VIRTIO_BLK_T_IN, i, 512, true);
	driver_kick(k->d, 0);
	for (unsigned i = 0; i < 5; i++)
		g_assert_true(driver_wait(k->d, 0, NULL, NULL));
	run_loop();
	g_assert_cmpuint(driver_interrupts(k->d, NULL), ==, 1);
	g_assert_cmpuint(k->fake->n_kicks, <=, 2);
}

static void a_block_that_answers_at_once_is_fine(void)
{
	g_autoptr(disk) k = disk_new();

	k->fake->at_once = true;
	for (unsigned i = 0; i < 1000; i++) {
		struct io io = io_add(k, 0, VIRTIO_BLK_T_OUT, i % SECTORS, 512, false);

		g_assert_cmpuint(io_run(k, io), ==, VIRTIO_BLK_S_OK);
		k->d->alloc_gpa = 0x40000;
	}
}

static void statistics_count_what_was_done(void)
{
	g_autoptr(disk) k = disk_new();
	struct blk_stats st;

	io_do(k, VIRTIO_BLK_T_OUT, 0, 1024, false);
	io_do(k, VIRTIO_BLK_T_IN, 0, 512, true);
	io_do(k, VIRTIO_BLK_T_IN, 0, 512, true);
	io_do(k, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	blk_stats(k->dev, &st);
	g_assert_cmpuint(st.wr_reqs, ==, 1);
	g_assert_cmpuint(st.wr_bytes, ==, 1024);
	g_assert_cmpuint(st.rd_reqs, ==, 2);
	g_assert_cmpuint(st.rd_bytes, ==, 1024);
	g_assert_cmpuint(st.rd_ns, >, 0);
	g_assert_cmpuint(st.fl_reqs, ==, 1);
	g_assert_cmpuint(st.errs, ==, 0);
}

#define TEST(f) g_test_add_func("/blk/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(what_is_written_is_read_again);
	TEST(the_used_length_covers_data_and_status);
	TEST(the_frame_may_be_cut_anywhere);
	TEST(what_lies_outside_of_the_disk_is_an_error);
	TEST(an_unknown_request_is_unsupported);
	TEST(a_request_without_a_place_for_its_status_breaks_it);
	TEST(a_short_header_breaks_it);
	TEST(the_serial_number_is_given);
	TEST(a_serial_number_that_is_too_long_is_refused);
	TEST(a_read_only_disk_refuses_to_change);
	TEST(the_configuration_describes_the_disk);
	TEST(every_queue_is_served);
	TEST(zeroes_are_written_and_may_unmap);
	TEST(bad_ranges_are_refused_as_the_spec_says);
	TEST(several_ranges_are_one_request);
	TEST(a_driver_without_flush_gets_write_through);
	TEST(the_driver_may_switch_the_cache_off);
	TEST(an_error_is_reported_to_the_guest);
	TEST(an_error_that_is_ignored_is_hidden);
	TEST(a_full_host_disk_pauses_and_the_write_is_tried_again);
	TEST(a_reset_forgets_what_waits);
	TEST(a_reset_drains_what_is_in_flight);
	TEST(a_batch_is_one_kick_and_one_interrupt);
	TEST(a_block_that_answers_at_once_is_fine);
	TEST(statistics_count_what_was_done);
	return g_test_run();
}
