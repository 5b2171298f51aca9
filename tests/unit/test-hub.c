/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Console hubs: replay, slow readers, one writer, no input lost. */
#include "config.h"
#include "libvmm/device/hub.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"

/* A device that takes `room` bytes until someone reads them. */
struct guest {
	struct hub *hub;
	GMainContext *ctx;
	GString *typed;
	size_t room;
	unsigned cols, rows;
	unsigned escapes;
};

static size_t guest_room(void *dev)
{
	struct guest *g = dev;

	return g->room;
}

static void guest_input(void *dev, const uint8_t *data, size_t len)
{
	struct guest *g = dev;

	g_assert_cmpuint(len, <=, g->room);
	g->room -= len;
	g_string_append_len(g->typed, (const char *)data, (gssize)len);
}

static void guest_resize(void *dev, unsigned cols, unsigned rows)
{
	struct guest *g = dev;

	g->cols = cols;
	g->rows = rows;
}

static const struct hub_ops guest_ops = { guest_room, guest_input, guest_resize };

static void guest_open(struct guest *g, const void *arg)
{
	g->ctx = g_main_context_new();
	g->hub = hub_new("test", g->ctx);
	g->typed = g_string_new(NULL);
	g->room = 1 << 20;
	hub_set_device(g->hub, &guest_ops, g);
}

static void guest_close(struct guest *g, const void *arg)
{
	hub_free(g->hub);
	g_string_free(g->typed, TRUE);
	g_main_context_unref(g->ctx);
}

/* Until the loop rests; without the time that it takes to see if there is more output. */
static void settle(struct guest *g)
{
	hub_drain(g->hub, 0);
	for (int i = 0; i < 1000 && g_main_context_iteration(g->ctx, FALSE); i++)
		;
	g_assert_false(g_main_context_iteration(g->ctx, FALSE));
}

static void put(struct guest *g, const char *text)
{
	hub_put(g->hub, (const uint8_t *)text, strlen(text));
}

static int attach(struct guest *g, enum hub_mode mode, const char *who)
{
	g_autoptr(GError) error = NULL;
	int fd = hub_attach(g->hub, mode, who, UINT64_MAX, NULL, &error);

	g_assert_no_error(error);
	return fd;
}

/* All that fd gives without waiting. */
static char *take(struct guest *g, int fd)
{
	GString *s = g_string_new(NULL);
	char buf[4096];
	ssize_t n;

	do {
		settle(g);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		g_string_append_len(s, buf, MAX(n, 0));
	} while (n > 0);
	return g_string_free(s, FALSE);
}

static void expect(struct guest *g, int fd, const char *want)
{
	g_autofree char *got = take(g, fd);

	g_assert_cmpstr(got, ==, want);
}

static void type(int fd, const char *text)
{
	g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

static void a_late_reader_gets_the_replay(struct guest *g, const void *arg)
{
	auto_close int fd = -1;

	put(g, "booting\n");
	fd = attach(g, HUB_READ, "bob");
	put(g, "login: ");
	expect(g, fd, "booting\nlogin: ");
}

static void the_replay_can_be_shortened(struct guest *g, const void *arg)
{
	auto_close int fd = -1;

	put(g, "0123456789");
	fd = hub_attach(g->hub, HUB_READ, "bob", 4, NULL, NULL);
	expect(g, fd, "6789");
}

static void the_ring_keeps_the_last_bytes_of_a_flood(struct guest *g, const void *arg)
{
	auto_close int fd = -1;
	g_autofree char *got = NULL;
	g_autofree char *flood = g_strnfill(HUB_RING_BYTES + 100, 'x');
	struct hub_stats stats;

	put(g, flood);
	put(g, "the end");
	fd = attach(g, HUB_READ, "bob");
	got = take(g, fd);
	g_assert_cmpuint(strlen(got), ==, HUB_RING_BYTES);
	g_assert_true(g_str_has_suffix(got, "xthe end"));
	hub_stats(g->hub, &stats);
	g_assert_cmpuint(stats.missed_bytes, ==, 0);
	g_assert_cmpuint(stats.out_bytes, ==, HUB_RING_BYTES + 107);
}

static void a_slow_reader_is_told_how_much_it_missed(struct guest *g, const void *arg)
{
	auto_close int slow = attach(g, HUB_READ, "slow");
	auto_close int fast = attach(g, HUB_READ, "fast");
	g_autofree char *chunk = g_strnfill(10000, 'x');
	g_autofree char *got = NULL;
	g_auto(GStrv) parts = NULL;
	struct hub_stats stats;

	for (int i = 0; i < 100; i++) {
		put(g, chunk);
		g_free(take(g, fast));
	}
	got = take(g, slow);
	hub_stats(g->hub, &stats);
	g_assert_cmpuint(stats.missed_bytes, >, 0);
	parts = g_strsplit(got, " bytes missed]\r\n", -1);
	g_assert_cmpuint(g_strv_length(parts), ==, 2);
	g_assert_cmpuint(strlen(got) + stats.missed_bytes, >, 1000000);
	put(g, "fine again");
	expect(g, slow, "fine again");
}

static void there_is_one_writer(struct guest *g, const void *arg)
{
	auto_close int ann = attach(g, HUB_WRITE, "ann");
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(hub_attach(g->hub, HUB_WRITE, "bob", 0, NULL, &error), ==, -1);
	g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
	g_assert_nonnull(strstr(error->message, "ann"));
	type(ann, "hello");
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "hello");
}

static void what_a_watcher_types_goes_nowhere(struct guest *g, const void *arg)
{
	auto_close int fd = attach(g, HUB_READ, "bob");

	type(fd, "rm -rf /\n");
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "");
}

static void taking_over_closes_the_other_stream(struct guest *g, const void *arg)
{
	auto_close int ann = attach(g, HUB_WRITE, "ann");
	auto_close int bob = -1;
	char c;

	settle(g);
	bob = attach(g, HUB_TAKE_OVER, "bob");
	expect(g, ann, "\r\n[taken over by bob]\r\n");
	g_assert_cmpint(recv(ann, &c, 1, MSG_DONTWAIT), ==, 0);
	type(bob, "mine");
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "mine");
}

static void a_writer_that_leaves_makes_room_for_the_next(struct guest *g, const void *arg)
{
	int ann = attach(g, HUB_WRITE, "ann");
	auto_close int bob = -1;

	close(ann);
	settle(g);
	bob = attach(g, HUB_WRITE, "bob");
}

static void input_waits_for_room(struct guest *g, const void *arg)
{
	auto_close int fd = attach(g, HUB_WRITE, "ann");

	g->room = 3;
	type(fd, "reboot\n");
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "reb");
	g->room = 100;
	hub_ready(g->hub);
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "reboot\n");
}

static void what_a_writer_typed_before_it_left_arrives(struct guest *g, const void *arg)
{
	int ann = attach(g, HUB_WRITE, "ann");
	auto_close int bob = -1;

	g->room = 0;
	type(ann, "poweroff\n");
	close(ann);
	settle(g);
	bob = attach(g, HUB_WRITE, "bob");
	type(bob, "y\n");
	settle(g);
	g->room = 100;
	hub_ready(g->hub);
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "poweroff\ny\n");
}

static void a_half_closed_stream_still_reads(struct guest *g, const void *arg)
{
	auto_close int fd = attach(g, HUB_WRITE, "ann");

	type(fd, "date\n");
	shutdown(fd, SHUT_WR);
	settle(g);
	put(g, "monday\n");
	expect(g, fd, "monday\n");
	g_assert_cmpstr(g->typed->str, ==, "date\n");
}

static void note_escape(void *arg)
{
	struct guest *g = arg;

	g->escapes++;
}

static void a_terminal_has_an_escape_byte(struct guest *g, const void *arg)
{
	int in[2], out[2];
	char buf[16] = "";

	g_assert_cmpint(pipe2(in, O_CLOEXEC), ==, 0);
	g_assert_cmpint(pipe2(out, O_CLOEXEC), ==, 0);
	hub_set_escape(g->hub, 0x1d, note_escape, g);
	g_assert_true(hub_attach_fd(g->hub, HUB_WRITE, "terminal", in[0], out[1], NULL));
	g_assert_cmpint(write(in[1], "a\x1d" "b", 3), ==, 3);
	close(in[1]);
	put(g, "hi");
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "ab");
	g_assert_cmpuint(g->escapes, ==, 1);
	g_assert_cmpint(read(out[0], buf, sizeof(buf)), ==, 2);
	close(out[0]);
}

static void a_pipe_that_ended_does_not_spin_while_input_waits(struct guest *g, const void *arg)
{
	int in[2];

	g_assert_cmpint(pipe2(in, O_CLOEXEC), ==, 0);
	g->room = 1;
	g_assert_true(hub_attach_fd(g->hub, HUB_WRITE, "pipe", in[0], -1, NULL));
	g_assert_cmpint(write(in[1], "abc", 3), ==, 3);
	close(in[1]);
	settle(g);	/* fails if the loop never rests */
	g->room = 10;
	hub_ready(g->hub);
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "abc");
}

static void a_file_gets_everything(struct guest *g, const void *arg)
{
	g_autofree char *path = NULL, *text = NULL;
	int fd = g_file_open_tmp("hub-XXXXXX", &path, NULL);

	put(g, "before ");
	g_assert_true(hub_attach_fd(g->hub, HUB_READ, "log", -1, fd, NULL));
	put(g, "after");
	settle(g);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "before after");
	g_unlink(path);
}

static void a_listening_socket_serves_one_client_after_the_other(struct guest *g, const void *arg)
{
	g_autofree char *dir = g_dir_make_tmp("hub-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "agent", NULL);
	int first, second;

	g_assert_true(hub_listen_fd(g->hub, io_listen_unix(path, 0600, NULL), 0, NULL));
	put(g, "old ");
	first = io_connect_unix(path, NULL);
	second = io_connect_unix(path, NULL);
	type(first, "1");
	type(second, "2");
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "1");
	put(g, "answer");
	expect(g, first, "answer");
	close(first);
	settle(g);
	g_assert_cmpstr(g->typed->str, ==, "12");
	close(second);
	settle(g);
	hub_free(g_steal_pointer(&g->hub));
	g_unlink(path);
	g_rmdir(dir);
}

static void the_window_size_reaches_the_device(struct guest *g, const void *arg)
{
	hub_resize(g->hub, 132, 43);
	g_assert_cmpuint(g->cols, ==, 132);
	g_assert_cmpuint(g->rows, ==, 43);
}

static void the_first_byte_wakes_the_loop_and_the_next_soon_follow(struct guest *g, const void *arg)
{
	auto_close int fd = attach(g, HUB_READ, "bob");
	char c = 0;

	settle(g);
	put(g, "l");
	g_assert_true(g_main_context_iteration(g->ctx, FALSE));
	g_assert_cmpint(recv(fd, &c, 1, MSG_DONTWAIT), ==, 1);
	put(g, "s");
	do	/* hangs if nobody looks again */
		g_main_context_iteration(g->ctx, TRUE);
	while (recv(fd, &c, 1, MSG_DONTWAIT) < 0);
	g_assert_cmpint(c, ==, 's');
}

static void draining_waits_for_a_reader_but_not_for_ever(struct guest *g, const void *arg)
{
	auto_close int fd = attach(g, HUB_READ, "sleeper");
	g_autofree char *chunk = g_strnfill(HUB_RING_BYTES, 'x');
	int64_t begin;

	put(g, chunk);
	put(g, chunk);
	begin = g_get_monotonic_time();
	hub_drain(g->hub, 50);
	g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
	g_free(take(g, fd));
	put(g, "last words");
	hub_drain(g->hub, 10000);
	expect(g, fd, "last words");
}

/* --- with a vCPU thread --- */

#define FLOOD_LINES 20000

static void *flood(void *arg)
{
	struct guest *g = arg;
	char line[8];

	for (int i = 0; i < FLOOD_LINES; i++) {
		g_snprintf(line, sizeof(line), "%06d\n", i);
		hub_put(g->hub, (const uint8_t *)line, 7);
	}
	return NULL;
}

static void a_reader_of_a_flood_from_a_vcpu_gets_order_and_end(struct guest *g, const void *arg)
{
	auto_close int fd = attach(g, HUB_READ, "bob");
	g_autoptr(GThread) thread = g_thread_new("vcpu", flood, g);
	g_autoptr(GString) got = g_string_new(NULL);
	struct hub_stats stats;

	while (!g_str_has_suffix(got->str, "019999\n")) {
		char buf[4096];
		ssize_t n;

		g_main_context_iteration(g->ctx, FALSE);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		g_string_append_len(got, buf, MAX(n, 0));
	}
	g_thread_join(g_steal_pointer(&thread));
	hub_stats(g->hub, &stats);
	g_assert_cmpuint(stats.out_bytes, ==, FLOOD_LINES * 7);
	g_assert_cmpuint(got->len, ==, FLOOD_LINES * 7);
	for (int i = 0; i < FLOOD_LINES; i += 997)
		g_assert_cmpint(atoi(got->str + (ptrdiff_t)i * 7), ==, i);
}

#define STORY(name) g_test_add("/hub/" #name, struct guest, NULL, guest_open, name, guest_close)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(a_late_reader_gets_the_replay);
	STORY(the_replay_can_be_shortened);
	STORY(the_ring_keeps_the_last_bytes_of_a_flood);
	STORY(a_slow_reader_is_told_how_much_it_missed);
	STORY(there_is_one_writer);
	STORY(what_a_watcher_types_goes_nowhere);
	STORY(taking_over_closes_the_other_stream);
	STORY(a_writer_that_leaves_makes_room_for_the_next);
	STORY(input_waits_for_room);
	STORY(what_a_writer_typed_before_it_left_arrives);
	STORY(a_half_closed_stream_still_reads);
	STORY(a_terminal_has_an_escape_byte);
	STORY(a_pipe_that_ended_does_not_spin_while_input_waits);
	STORY(a_file_gets_everything);
	STORY(a_listening_socket_serves_one_client_after_the_other);
	STORY(the_window_size_reaches_the_device);
	STORY(the_first_byte_wakes_the_loop_and_the_next_soon_follow);
	STORY(draining_waits_for_a_reader_but_not_for_ever);
	STORY(a_reader_of_a_flood_from_a_vcpu_gets_order_and_end);
	return g_test_run();
}
