/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-blk over real images, on a disk's thread, compared with an array and by qemu-img. */
#include "config.h"

#include <glib.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "block-util.h"
#include "libvmm/device/blk.h"
#include "libvmm/device/virtio.h"
#include "libvmm/util/owner.h"
#include "virtio-driver.h"

#define DISK_BYTES (2u << 20)
#define SECTORS (DISK_BYTES / 512)
#define DEPTH 8			/* requests at once, each in its own part of the disk */
#define PART_SECTORS (SECTORS / DEPTH)
#define IO_SECTORS_MAX 96
#define CLUSTER_SECTORS 128
#define ROUNDS 150

struct disk {
	struct owner_thread *thread;
	struct driver *d;
	struct virtio_device *dev;
	uint64_t mark_gpa;
	GRand *rand;
	uint8_t *model;
};

struct io {
	uint32_t type;
	uint64_t sector;
	uint32_t n;
	uint8_t *data, *status;
};

static struct disk *disk_new(const char *name, const char *format)
{
	struct block_opts o = { .discard = true };
	struct blk_opts opts = { .name = "virtio-disk0", .discard = true };
	struct disk *k = g_new0(struct disk, 1);
	g_autoptr(GError) error = NULL;

	k->thread = owner_thread_new("disk-vda");
	k->d = driver_new(4);
	k->rand = g_rand_new_with_seed(7);
	k->model = g_malloc0(DISK_BYTES);
	k->dev = blk_new(disk_open_opts(name, format, o), &opts, k->d->mem,
			 owner_thread_context(k->thread), &error);
	g_assert_no_error(error);
	driver_attach(k->d, k->dev);
	g_assert_true(driver_init(k->d, UINT64_MAX, 128));
	k->mark_gpa = k->d->alloc_gpa;
	return k;
}

static void disk_free(struct disk *k)
{
	driver_free(k->d);
	owner_thread_free(k->thread);
	g_rand_free(k->rand);
	g_free(k->model);
	g_free(k);
}

static void io_add(struct disk *k, struct io *io)
{
	struct virtio_blk_outhdr hdr = { .type = io->type, .sector = io->sector };
	bool unmap = io->type == VIRTIO_BLK_T_WRITE_ZEROES && g_rand_boolean(k->rand);
	struct virtio_blk_discard_write_zeroes r = { .sector = io->sector, .num_sectors = io->n,
						     .flags = unmap };
	bool ranged = io->type >= VIRTIO_BLK_T_DISCARD;
	uint32_t bytes = ranged ? sizeof(r) : io->n * 512, cut = bytes / 3 + 1;
	uint64_t hdr_gpa = driver_alloc(k->d, 16), data = driver_alloc(k->d, bytes);
	uint64_t status = driver_alloc(k->d, 1);
	bool in = io->type == VIRTIO_BLK_T_IN;
	struct driver_buf bufs[] = { { hdr_gpa, 16, false }, { data, cut, in },
				     { data + cut, bytes - cut, in }, { status, 1, true } };

	io->data = driver_ptr(k->d, data);
	io->status = driver_ptr(k->d, status);
	*io->status = 0xee;
	memcpy(driver_ptr(k->d, hdr_gpa), &hdr, 16);
	if (ranged)
		memcpy(io->data, &r, sizeof(r));
	else if (!in)
		memset(io->data, g_rand_int(k->rand), bytes);
	driver_add_indirect(k->d, 0, bufs, G_N_ELEMENTS(bufs));
}

static struct io io_random(struct disk *k, unsigned part)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_DISCARD };
	uint32_t n = g_rand_int_range(k->rand, 1, IO_SECTORS_MAX);
	struct io io = { .type = types[g_rand_int_range(k->rand, 0, 5)], .n = n,
			 .sector = part * PART_SECTORS +
				   g_rand_int_range(k->rand, 0, PART_SECTORS - n) };

	if (io.type == VIRTIO_BLK_T_DISCARD) {	/* of less, the image may keep what it had */
		io.sector -= io.sector % CLUSTER_SECTORS;
		io.n = CLUSTER_SECTORS;
	}
	return io;
}

/* What the image must hold now, or held. */
static void io_settle(struct disk *k, const struct io *io)
{
	uint8_t *at = k->model + io->sector * 512;

	g_assert_cmpuint(*io->status, ==, VIRTIO_BLK_S_OK);
	switch (io->type) {
	case VIRTIO_BLK_T_IN:
		g_assert_cmpmem(io->data, io->n * 512, at, io->n * 512);
		break;
	case VIRTIO_BLK_T_OUT:
		memcpy(at, io->data, io->n * 512);
		break;
	default:	/* our engine's discard reads as zeroes, too */
		memset(at, 0, io->n * 512);
	}
}

static void round_run(struct disk *k)
{
	struct io ios[DEPTH];

	k->d->alloc_gpa = k->mark_gpa;
	for (unsigned i = 0; i < DEPTH; i++) {
		ios[i] = io_random(k, i);
		io_add(k, &ios[i]);
	}
	driver_kick(k->d, 0);
	for (unsigned i = 0; i < DEPTH; i++)
		g_assert_true(driver_wait(k->d, 0, NULL, NULL));
	for (unsigned i = 0; i < DEPTH; i++)
		io_settle(k, &ios[i]);
}

static void disk_compare(struct disk *k, const char *name, const char *format)
{
	g_autofree char *raw = g_strdup(test_path("model.raw"));

	g_assert_true(g_file_set_contents(raw, (char *)k->model, DISK_BYTES, NULL));
	must("qemu-img compare -f raw -F %s model.raw %s", format, name);
}

static void exercise(const char *name, const char *format)
{
	struct disk *k = disk_new(name, format);
	struct blk_stats st;

	for (unsigned i = 0; i < ROUNDS; i++)
		round_run(k);
	blk_stats(k->dev, &st);
	g_assert_cmpuint(st.rd_reqs + st.wr_reqs + st.discard_reqs, ==, ROUNDS * DEPTH);
	g_assert_cmpuint(st.errs, ==, 0);
	driver_free(k->d);	/* closes the image: everything is in the file */
	k->d = driver_new(1);
	disk_compare(k, name, format);
	disk_free(k);
}

static void a_raw_image_holds_what_the_guest_wrote(void)
{
	if (!have_qemu())
		return;
	must("truncate -s %u disk.raw", DISK_BYTES);
	exercise("disk.raw", "raw");
}

static void a_qcow2_image_holds_what_the_guest_wrote(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 disk.qcow2 %u", DISK_BYTES);
	exercise("disk.qcow2", "qcow2");
	check_clean("disk.qcow2", false);
}

static void an_overlay_holds_what_the_guest_wrote(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 -o cluster_size=4k base.qcow2 %u", DISK_BYTES);
	must("qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2");
	exercise("over.qcow2", "qcow2");
	check_clean("over.qcow2", false);
}

/* After a reset each sector is as before or as written, and the device goes on. */
static void resets_in_the_middle_do_no_harm(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 reset.qcow2 %u", DISK_BYTES);
	struct disk *k = disk_new("reset.qcow2", "qcow2");

	for (unsigned i = 0; i < 60; i++) {
		k->d->alloc_gpa = k->mark_gpa;
		for (unsigned part = 0; part < DEPTH; part++) {
			struct io io = io_random(k, part);
			io_add(k, &io);
		}
		driver_kick(k->d, 0);
		if (i & 1)
			g_usleep(g_rand_int_range(k->rand, 0, 300));
		k->d->alloc_gpa = 0x10000;
		g_assert_true(driver_init(k->d, UINT64_MAX, 128));
	}
	struct io io = { .type = VIRTIO_BLK_T_OUT, .sector = 5, .n = 4 };
	io_add(k, &io);
	driver_kick(k->d, 0);
	g_assert_true(driver_wait(k->d, 0, NULL, NULL));
	g_assert_cmpuint(*io.status, ==, VIRTIO_BLK_S_OK);
	disk_free(k);
	check_clean("reset.qcow2", false);
}

#define TEST(f) g_test_add_func("/blk-image/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(a_raw_image_holds_what_the_guest_wrote);
	TEST(a_qcow2_image_holds_what_the_guest_wrote);
	TEST(an_overlay_holds_what_the_guest_wrote);
	TEST(resets_in_the_middle_do_no_harm);
	int r = g_test_run();
	test_folder_remove();
	return r;
}
