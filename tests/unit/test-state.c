/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saved state: the file, and each device's part of it. */
#include "config.h"
#include "libvmm/util/state.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/mman.h>

#include "libvmm/util/error.h"
#include "tests/unit/saved-devices.h"

/* --- the file --- */

static int file_with(const char *text)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	g_autoptr(state_file) s = state_file_new();
	g_autoptr(GError) error = NULL;
	struct state_out out;

	state_begin(&out, s, "numbers", 1);
	state_put_u8(&out, 1);
	state_put_u16(&out, 2);
	state_put_u32(&out, 3);
	state_put_u64(&out, 4);
	state_put_blob(&out, text, (uint32_t)strlen(text));
	state_end(&out);
	state_begin(&out, s, "empty", 7);
	state_end(&out);
	state_file_write(s, fd, 8192, &error);
	g_assert_no_error(error);
	return fd;
}

static void what_is_written_is_read(void)
{
	auto_close int fd = file_with("text");
	g_autoptr(GError) error = NULL;
	g_autoptr(state_file) s = NULL;
	struct state_in in;
	uint64_t bytes;
	uint32_t len;

	s = state_file_read(fd, &bytes, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(bytes, ==, 8192);
	g_assert_true(state_find(s, "numbers", 1, &in, &error));
	g_assert_cmpuint(state_get_u8(&in), ==, 1);
	g_assert_cmpuint(state_get_u16(&in), ==, 2);
	g_assert_cmpuint(state_get_u32(&in), ==, 3);
	g_assert_cmpuint(state_get_u64(&in), ==, 4);
	g_assert_cmpint(memcmp(state_get_blob(&in, 10, &len), "text", 4), ==, 0);
	g_assert_true(state_done(&in, &error));
	g_assert_cmpuint(state_get_u64(&in), ==, 0);
	g_assert_false(state_done(&in, NULL));
	g_assert_false(state_find(s, "empty", 6, &in, &error));
	g_assert_nonnull(strstr(error->message, "'empty' has version 7, this libvmm knows 6"));
	g_assert_false(state_find(s, "none", 1, &in, NULL));
}

static void features_are_kept_and_those_not_known_refused(void)
{
	auto_close int fd = memfd_create("state", MFD_CLOEXEC);
	g_autoptr(state_file) s = state_file_new(), read = NULL;
	g_autoptr(GError) error = NULL;
	struct state_out out;
	uint64_t bytes;

	state_begin(&out, s, "empty", 1);
	state_end(&out);
	state_file_set_flags(s, STATE_PACKED);
	g_assert_true(state_file_write(s, fd, 0, NULL));
	read = state_file_read(fd, &bytes, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(state_file_flags(read), ==, STATE_PACKED);
	state_file_set_flags(s, STATE_PACKED | 0x40);
	g_assert_true(state_file_write(s, fd, 0, NULL));
	g_assert_null(state_file_read(fd, &bytes, &error));
	g_assert_nonnull(strstr(error->message, "features 0x40"));
}

static void each_changed_byte_is_found(void)
{
	auto_close int fd = file_with("text");
	off_t end = lseek(fd, 0, SEEK_END);
	off_t table = STATE_RAM_OFFSET + 8192;
	uint64_t bytes;

	for (off_t at = 0; at < end; at = at == 127 ? table : at + 1) {
		g_autoptr(state_file) s = NULL;
		uint8_t was, is;

		g_assert_cmpint(pread(fd, &was, 1, at), ==, 1);
		is = was ^ 0x10;
		g_assert_cmpint(pwrite(fd, &is, 1, at), ==, 1);
		s = state_file_read(fd, &bytes, NULL);
		/* all but the padding behind a section */
		if (s)
			g_assert_cmpuint(was, ==, 0);
		g_assert_cmpint(pwrite(fd, &was, 1, at), ==, 1);
	}
}

static void a_file_that_is_cut_anywhere_is_refused(void)
{
	auto_close int fd = file_with("text");
	off_t end = lseek(fd, 0, SEEK_END);
	uint64_t bytes;

	for (off_t at = end - 1; at > 0; at = at > (off_t)STATE_RAM_OFFSET ? at - 1 : at / 2) {
		g_assert_cmpint(ftruncate(fd, at), ==, 0);
		g_assert_null(state_file_read(fd, &bytes, NULL));
	}
}

static void new_sections_leave_the_memory_and_win(void)
{
	auto_close int fd = file_with("text");
	g_autoptr(state_file) s = NULL, t = NULL;
	struct state_out out;
	struct state_in in;
	char page[8192];
	uint64_t bytes;
	uint32_t len;

	memset(page, 'm', sizeof(page));
	g_assert_cmpint(pwrite(fd, page, sizeof(page), STATE_RAM_OFFSET), ==, sizeof(page));
	s = state_file_read(fd, &bytes, NULL);
	state_begin(&out, s, "numbers", 1);
	state_put_blob(&out, "other", 5);
	state_end(&out);
	g_assert_true(state_file_write(s, fd, bytes, NULL));
	t = state_file_read(fd, &bytes, NULL);
	g_assert_true(state_find(t, "numbers", 1, &in, NULL));
	g_assert_cmpint(memcmp(state_get_blob(&in, 10, &len), "other", 5), ==, 0);
	memset(page, 0, sizeof(page));
	g_assert_cmpint(pread(fd, page, sizeof(page), STATE_RAM_OFFSET), ==, sizeof(page));
	g_assert_cmpint(page[0], ==, 'm');
	g_assert_cmpint(page[8191], ==, 'm');
}

/* --- devices --- */

static void out8(struct serial *s, unsigned reg, uint8_t v)
{
	serial_ops.write(s, reg, &v, 1);
}

static void virtio_use(struct saved_device *s)
{
	struct driver_buf buf = { 0 };
	struct driver_buf write[3];
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT, .sector = 3 };

	g_assert_true(driver_init(s->d, UINT64_MAX, 16));
	buf = (struct driver_buf){ driver_alloc(s->d, 64), 64, s->kind != SAVED_BALLOON };
	if (s->kind == SAVED_BLK) {
		/* a write that fails, and waits for the machine to be resumed */
		write[0] = (struct driver_buf){ driver_alloc(s->d, 16), 16, false };
		memcpy(driver_ptr(s->d, write[0].gpa), &hdr, sizeof(hdr));
		write[1] = (struct driver_buf){ driver_alloc(s->d, 512), 512, false };
		memset(driver_ptr(s->d, write[1].gpa), 'w', 512);
		write[2] = (struct driver_buf){ driver_alloc(s->d, 1), 1, true };
		s->fake->error = -EIO;
		driver_add(s->d, 0, write, 3);
	} else {
		driver_add(s->d, s->kind == SAVED_BALLOON ? 2 : 0, &buf, 1);
	}
	driver_kick(s->d, s->kind == SAVED_BALLOON ? 2 : 0);
	for (int i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
}

static void use(struct saved_device *s)
{
	uint8_t v[2] = { 11, 0x42 };

	if (s->d)
		virtio_use(s);
	if (s->serial) {
		out8(s->serial, UART_LCR, UART_LCR_DLAB);
		out8(s->serial, UART_TX, 3);
		out8(s->serial, UART_LCR, UART_LCR_WLEN8);
		out8(s->serial, UART_FCR, UART_FCR_ENABLE_FIFO);
		out8(s->serial, UART_IER, UART_IER_RDI | UART_IER_THRI);
		out8(s->serial, UART_MCR, UART_MCR_LOOP);
		out8(s->serial, UART_TX, 'x');
	}
	if (s->rtc) {
		rtc_ops.write(s->rtc, 0, v, 1);
		rtc_ops.write(s->rtc, 1, v + 1, 1);
	}
	if (s->power)
		power_press(s->power);
}

static GBytes *save(struct saved_device *s)
{
	struct state_out out;
	g_autoptr(state_file) file = state_file_new();
	struct state_in in;

	device_stop(s->dev);
	state_begin(&out, file, "device", 1);
	s->dev->ops->save(s->dev, &out);
	state_end(&out);
	g_assert_true(state_find(file, "device", 1, &in, NULL));
	return g_bytes_new(in.at, in.left);
}

static bool load(struct saved_device *s, GBytes *bytes, GError **error)
{
	struct state_in in = { .name = "device", .version = 1 };

	in.at = g_bytes_get_data(bytes, &in.left);
	return s->dev->ops->load(s->dev, &in, error);
}

static void memory_copy(struct saved_device *to, struct saved_device *from)
{
	if (from->d)
		memcpy(guest_ptr(to->d->mem, 0, SAVED_RAM_BYTES),
		       guest_ptr(from->d->mem, 0, SAVED_RAM_BYTES), SAVED_RAM_BYTES);
}

static void each_device_loads_what_it_saved(void)
{
	for (unsigned kind = 0; kind < N_SAVED_KINDS; kind++) {
		struct saved_device *a = saved_new(kind), *b = saved_new(kind);
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) first = NULL, second = NULL;

		use(a);
		first = save(a);
		memory_copy(b, a);
		load(b, first, &error);
		if (error)
			g_error("device %u: %s", kind, error->message);
		second = save(b);
		g_assert_true(g_bytes_equal(first, second));
		saved_free(a);
		saved_free(b);
	}
}

static void a_cut_or_changed_section_never_breaks_a_device(void)
{
	for (unsigned kind = 0; kind < N_SAVED_KINDS; kind++) {
		struct saved_device *a = saved_new(kind);
		g_autoptr(GBytes) whole = NULL;
		gsize len;
		const uint8_t *data;

		use(a);
		whole = save(a);
		data = g_bytes_get_data(whole, &len);
		for (gsize at = 0; at < len; at++) {
			g_autofree uint8_t *changed = g_memdup2(data, len);
			g_autoptr(GBytes) cut = g_bytes_new(data, at);
			g_autoptr(GBytes) other = NULL;
			struct saved_device *b = saved_new(kind), *c = saved_new(kind);

			changed[at] ^= 0xff;
			other = g_bytes_new(changed, len);
			memory_copy(b, a);
			memory_copy(c, a);
			g_assert_false(load(b, cut, NULL) && at < len / 2);
			load(c, other, NULL);
			device_start(c->dev);
			for (int i = 0; i < 5; i++)
				g_main_context_iteration(NULL, FALSE);
			saved_free(b);
			saved_free(c);
		}
		saved_free(a);
	}
}

/* A request that waits for the host's disk is tried again by the restored machine. */
static void a_request_that_waits_is_saved_and_done_later(void)
{
	struct saved_device *a = saved_new(SAVED_BLK), *b = saved_new(SAVED_BLK);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) error = NULL;
	uint8_t written[512];

	memset(written, 'w', sizeof(written));
	use(a);
	bytes = save(a);
	memory_copy(b, a);
	load(b, bytes, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(b->fake->n_submitted, ==, 0);
	device_start(b->dev);
	for (int i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_cmpint(memcmp(b->fake->bytes + 3 * 512, written, 512), ==, 0);
	saved_free(a);
	saved_free(b);
}

static void a_stopped_device_takes_nothing_until_it_is_started(void)
{
	struct saved_device *s = saved_new(SAVED_RNG);
	struct driver_buf buf;

	g_assert_true(driver_init(s->d, 0, 16));
	buf = (struct driver_buf){ driver_alloc(s->d, 64), 64, true };
	device_stop(s->dev);
	driver_add(s->d, 0, &buf, 1);
	driver_kick(s->d, 0);
	for (int i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_false(driver_used(s->d, 0, NULL, NULL));
	device_start(s->dev);
	g_assert_true(driver_wait(s->d, 0, NULL, NULL));
	saved_free(s);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/state/" #name, name)
	TEST(what_is_written_is_read);
	TEST(features_are_kept_and_those_not_known_refused);
	TEST(each_changed_byte_is_found);
	TEST(a_file_that_is_cut_anywhere_is_refused);
	TEST(new_sections_leave_the_memory_and_win);
	TEST(each_device_loads_what_it_saved);
	TEST(a_cut_or_changed_section_never_breaks_a_device);
	TEST(a_request_that_waits_is_saved_and_done_later);
	TEST(a_stopped_device_takes_nothing_until_it_is_started);
	return g_test_run();
}
