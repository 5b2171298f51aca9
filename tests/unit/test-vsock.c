/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-vsock between a driver and sockets of the host. */
#include "config.h"
#include "libvmm/device/vsock.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "libvmm/device/device.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/io.h"
#include "libvmm/util/owner.h"
#include "virtio-driver.h"

#define RX 0
#define TX 1
#define EVENT 2
#define CID 5
#define BUFFER 4096
#define PLENTY (1u << 20)
#define STREAM VIRTIO_VSOCK_TYPE_STREAM

struct guest {
	struct driver *d;
	struct virtio_device *dev;
	char *dir, *path;
	int door;			/* the other end of it */
	struct owner_thread *thread;	/* of the device; NULL: this one */
	uint64_t rx[DRIVER_RING_MAX];	/* buffers by head */
	uint64_t tx;			/* one packet */
	uint32_t credit;		/* what it says that it may be sent */
};

struct packet {
	struct virtio_vsock_hdr h;
	uint8_t data[BUFFER];
};

static unsigned warnings;

static GLogWriterOutput on_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer arg)
{
	warnings += level & G_LOG_LEVEL_WARNING ? 1 : 0;
	return level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ?
	       g_log_writer_standard_streams(level, fields, n, arg) : G_LOG_WRITER_HANDLED;
}

static struct virtio_device *device_new(struct guest *g, uint32_t cid)
{
	int door[2];
	struct vsock_opts opts = { .name = "vsock0", .cid = cid };
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, door), ==, 0);
	g->door = door[0];
	opts.door_fd = door[1];
	opts.listen_fd = io_listen_unix(g->path, 0600, &error);
	g_assert_no_error(error);
	return vsock_new(&opts, g->d->mem, g->thread ? owner_thread_context(g->thread) : NULL,
			 &error);
}

static void loop(void)
{
	for (unsigned i = 0; i < 64 && g_main_context_iteration(NULL, FALSE); i++)
		;
}

/* One more buffer for the device. */
static void give(struct guest *g, uint64_t gpa)
{
	struct driver_buf buf = { gpa, BUFFER, true };

	g->rx[driver_add(g->d, RX, &buf, 1)] = gpa;
	driver_kick(g->d, RX);
}

static struct guest *guest_on(struct owner_thread *thread)
{
	struct guest *g = g_new0(struct guest, 1);

	g->thread = thread;
	g->dir = g_dir_make_tmp("vsock-XXXXXX", NULL);
	g->path = g_build_filename(g->dir, "s", NULL);
	g->d = driver_new(8);
	g->dev = device_new(g, CID);
	g->credit = PLENTY;
	driver_attach(g->d, g->dev);
	return g;
}

static struct guest *guest_without_driver(void)
{
	return guest_on(NULL);
}

static struct guest *guest_begin(struct guest *g, unsigned buffers)
{
	g_assert_true(driver_init(g->d, 0, 128));
	g->tx = driver_alloc(g->d, PLENTY);
	for (unsigned i = 0; i < buffers; i++)
		give(g, driver_alloc(g->d, BUFFER));
	return g;
}

static struct guest *guest_new(unsigned buffers)
{
	return guest_begin(guest_without_driver(), buffers);
}

static void guest_free(struct guest *g)
{
	driver_free(g->d);
	owner_thread_free(g->thread);
	fd_close(&g->door);
	g_unlink(g->path);
	g_rmdir(g->dir);
	g_free(g->path);
	g_free(g->dir);
	g_free(g);
}

static struct virtio_vsock_hdr header(const struct guest *g, unsigned op, uint32_t guest_port,
				      uint32_t host_port)
{
	return (struct virtio_vsock_hdr){ .src_cid = CID, .dst_cid = 2, .src_port = guest_port,
					  .dst_port = host_port, .type = STREAM, .op = op,
					  .buf_alloc = g->credit };
}

/* Header and payload in one chain; the device has taken it when this returns. */
static void transmit(struct guest *g, struct virtio_vsock_hdr h, const void *data, size_t len)
{
	struct driver_buf bufs[] = { { g->tx, sizeof(h), false },
				     { g->tx + sizeof(h), (uint32_t)len, false } };

	h.len = (uint32_t)len;
	memcpy(driver_ptr(g->d, g->tx), &h, sizeof(h));
	if (len)
		memcpy(driver_ptr(g->d, g->tx + sizeof(h)), data, len);
	driver_add(g->d, TX, bufs, len ? 2 : 1);
	driver_kick(g->d, TX);
	g_assert_true(driver_wait(g->d, TX, NULL, NULL));
}

static void say(struct guest *g, unsigned op, uint32_t guest_port, uint32_t host_port)
{
	transmit(g, header(g, op, guest_port, host_port), NULL, 0);
}

static bool take(struct guest *g, bool wait, struct packet *ret)
{
	uint16_t head;
	uint32_t len;

	if (!(wait ? driver_wait(g->d, RX, &head, &len) : driver_used(g->d, RX, &head, &len)))
		return false;
	memcpy(ret, driver_ptr(g->d, g->rx[head]), len);
	g_assert_cmpuint(len, ==, sizeof(ret->h) + ret->h.len);
	g_assert_cmpuint(ret->h.src_cid, ==, 2);
	give(g, g->rx[head]);
	return true;
}

/* The next packet for the guest, and it is this. */
static struct virtio_vsock_hdr expect(struct guest *g, unsigned op)
{
	struct packet p;

	g_assert_true(take(g, true, &p));
	g_assert_cmpuint(p.h.op, ==, op);
	return p.h;
}

static void expect_silence(struct guest *g)
{
	struct packet p;

	loop();
	g_assert_false(take(g, false, &p));
}

static int client(struct guest *g, const char *line)
{
	g_autoptr(GError) error = NULL;
	int fd = io_connect_unix(g->path, &error);

	g_assert_no_error(error);
	if (line)
		g_assert_cmpint(send(fd, line, strlen(line), 0), ==, (ssize_t)strlen(line));
	return fd;
}

/* What a client reads, the loop running meanwhile. */
static ssize_t read_some(int fd, void *buf, size_t len)
{
	gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
	ssize_t n;

	while ((n = recv(fd, buf, len, MSG_DONTWAIT)) < 0 && errno == EAGAIN &&
	       g_get_monotonic_time() < end)
		g_main_context_iteration(NULL, FALSE);
	return n < 0 && errno == ECONNRESET ? 0 : n;
}

static void expect_text(int fd, const char *text)
{
	char buf[128] = "";

	g_assert_cmpint(read_some(fd, buf, strlen(text)), ==, (ssize_t)strlen(text));
	g_assert_cmpstr(buf, ==, text);
}

static void expect_hangup(int fd)
{
	char c;

	g_assert_cmpint(read_some(fd, &c, 1), ==, 0);
	close(fd);
}

/* A connection to port 5000 of the guest, accepted; the host's port. */
static int connected(struct guest *g, uint32_t *ret_port)
{
	int fd = client(g, "CONNECT 5000\n");
	struct virtio_vsock_hdr h = expect(g, VIRTIO_VSOCK_OP_REQUEST);
	g_autofree char *ok = g_strdup_printf("OK %u\n", h.src_port);

	g_assert_cmpuint(h.dst_port, ==, 5000);
	say(g, VIRTIO_VSOCK_OP_RESPONSE, 5000, h.src_port);
	expect_text(fd, ok);
	*ret_port = h.src_port;
	return fd;
}

static struct vsock_ask asked(struct guest *g)
{
	struct vsock_ask ask;

	g_assert_cmpint(read_some(g->door, &ask, sizeof(ask)), ==, sizeof(ask));
	return ask;
}

static void door_answer(struct guest *g, struct vsock_ask ask, int error, int fd)
{
	struct vsock_answer answer = { ask.token, error };
	union {
		struct cmsghdr c;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .c = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = fd < 0 ? NULL : &control,
			      .msg_controllen = fd < 0 ? 0 : sizeof(control) };

	memcpy(CMSG_DATA(&control.c), &fd, sizeof(fd));
	g_assert_cmpint(sendmsg(g->door, &msg, 0), ==, sizeof(answer));
}

/* A connection of the guest's port 99 to the host's 7; the service's end. */
static int served(struct guest *g)
{
	struct vsock_ask ask;
	int ends[2];

	say(g, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	ask = asked(g);
	g_assert_cmpuint(ask.port, ==, 7);
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
	door_answer(g, ask, 0, ends[1]);
	close(ends[1]);
	struct virtio_vsock_hdr h = expect(g, VIRTIO_VSOCK_OP_RESPONSE);
	g_assert_cmpuint(h.dst_port, ==, 99);
	g_assert_cmpuint(h.src_port, ==, 7);
	return ends[0];
}

static bool is_broken(struct guest *g)
{
	return driver_read(g->d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* ---- connections ---- */

static void the_guest_reads_its_address(void)
{
	struct guest *g = guest_new(1);
	uint64_t cid;

	g_assert_cmpuint(driver_read(g->d, VIRTIO_MMIO_DEVICE_ID), ==, VIRTIO_ID_VSOCK);
	driver_config(g->d, 0, &cid, sizeof(cid));
	g_assert_cmpuint(cid, ==, CID);
	guest_free(g);
}

static void a_client_talks_with_a_port_of_the_guest(void)
{
	struct guest *g = guest_new(8);
	uint32_t port;
	auto_close int fd = connected(g, &port);
	struct packet p;

	transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 5000, port), "hello", 5);
	expect_text(fd, "hello");
	g_assert_cmpint(send(fd, "world", 5, 0), ==, 5);
	g_assert_true(take(g, true, &p));
	g_assert_cmpuint(p.h.op, ==, VIRTIO_VSOCK_OP_RW);
	g_assert_cmpuint(p.h.dst_cid, ==, CID);
	g_assert_cmpint(memcmp(p.data, "world", 5), ==, 0);
	guest_free(g);
}

static void what_follows_the_first_line_is_the_guests(void)
{
	struct guest *g = guest_new(8);
	auto_close int fd = client(g, "connect 22\r\nSSH-2.0");
	struct virtio_vsock_hdr h = expect(g, VIRTIO_VSOCK_OP_REQUEST);
	struct packet p;

	g_assert_cmpuint(h.dst_port, ==, 22);
	say(g, VIRTIO_VSOCK_OP_RESPONSE, 22, h.src_port);
	g_assert_true(take(g, true, &p));
	g_assert_cmpuint(p.h.len, ==, 7);
	g_assert_cmpint(memcmp(p.data, "SSH-2.0", 7), ==, 0);
	guest_free(g);
}

static void who_names_no_port_is_hung_up(void)
{
	static const char *const lines[] = { "HELLO\n", "CONNECT\n", "CONNECT x\n", "CONNECT 5 6\n",
					     "CONNECT -1\n", "CONNECT 4294967295\n",
					     "CONNECT 99999999999999999999\n",
					     "CONNECT 00000000000000000000000000000000001\n" };
	struct guest *g = guest_new(8);

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		expect_hangup(client(g, lines[i]));
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	expect_silence(g);
	guest_free(g);
}

static void a_client_is_hung_up_where_the_guest_refuses(void)
{
	struct guest *g = guest_new(8);
	int fd = client(g, "CONNECT 5000\n");
	struct virtio_vsock_hdr h = expect(g, VIRTIO_VSOCK_OP_REQUEST);

	say(g, VIRTIO_VSOCK_OP_RST, 5000, h.src_port);
	expect_hangup(fd);
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void a_client_that_leaves_early_takes_its_request_back(void)
{
	struct guest *g = guest_new(8);
	int fd = client(g, "CONNECT 5000\n");

	expect(g, VIRTIO_VSOCK_OP_REQUEST);
	close(fd);
	expect(g, VIRTIO_VSOCK_OP_RST);
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void without_a_driver_clients_are_hung_up(void)
{
	struct guest *g = guest_without_driver();

	expect_hangup(client(g, "CONNECT 5000\n"));
	device_stop(virtio_mmio_device(g->d->mmio));
	device_start(virtio_mmio_device(g->d->mmio));
	expect_hangup(client(g, "CONNECT 5000\n"));
	guest_free(g);
}

static void the_guest_talks_with_a_service_of_the_host(void)
{
	struct guest *g = guest_new(8);
	auto_close int fd = served(g);

	transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 99, 7), "hello", 5);
	expect_text(fd, "hello");
	g_assert_cmpint(send(fd, "world", 5, 0), ==, 5);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 5);
	guest_free(g);
}

static void where_nobody_listens_the_guest_is_refused(void)
{
	struct guest *g = guest_new(8);

	say(g, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	door_answer(g, asked(g), ENOENT, -1);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RST).dst_port, ==, 99);
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void a_door_that_is_lost_refuses_all(void)
{
	struct guest *g = guest_new(8);

	say(g, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	asked(g);
	warnings = 0;
	fd_close(&g->door);
	expect(g, VIRTIO_VSOCK_OP_RST);
	g_assert_cmpuint(warnings, ==, 1);
	say(g, VIRTIO_VSOCK_OP_REQUEST, 99, 8);
	expect(g, VIRTIO_VSOCK_OP_RST);
	guest_free(g);
}

/* ---- credit ---- */

static void the_guest_is_sent_no_more_than_it_has_room_for(void)
{
	struct guest *g = guest_new(8);
	char bytes[100] = "";
	uint32_t port;

	g->credit = 10;
	auto_close int fd = connected(g, &port);
	g_assert_cmpint(send(fd, bytes, sizeof(bytes), 0), ==, sizeof(bytes));
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 10);
	expect(g, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect_silence(g);
	struct virtio_vsock_hdr h = header(g, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 5000, port);
	h.fwd_cnt = 4;
	transmit(g, h, NULL, 0);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 4);
	guest_free(g);
}

static uint32_t fill(struct guest *g, uint32_t port, uint8_t *bytes)
{
	struct virtio_vsock_hdr h;

	say(g, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 99, port);
	h = expect(g, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	for (uint32_t i = 0; i < h.buf_alloc; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return h.buf_alloc;
}

static void a_slow_reader_loses_nothing_and_gives_credit(void)
{
	struct guest *g = guest_new(8);
	auto_close int fd = served(g);
	g_autofree uint8_t *bytes = g_malloc(PLENTY), *got = g_malloc(PLENTY);
	uint32_t room = fill(g, 7, bytes), n = 0;
	int little = 4096;
	struct virtio_vsock_hdr h = { 0 };
	struct packet p;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	for (uint32_t at = 0; at < room; at += 8192)
		transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 99, 7), bytes + at, 8192);
	while (n < room) {
		ssize_t r = read_some(fd, got + n, MIN(3000, room - n));
		g_assert_cmpint(r, >, 0);
		n += (uint32_t)r;
	}
	g_assert_cmpint(memcmp(bytes, got, room), ==, 0);
	loop();
	while (take(g, false, &p))
		h = p.h;
	g_assert_cmpuint(h.op, ==, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	g_assert_cmpuint(h.fwd_cnt, >, room / 2);
	guest_free(g);
}

static void bytes_beyond_the_credit_end_the_connection(void)
{
	struct guest *g = guest_new(32);
	auto_close int fd = served(g);
	g_autofree uint8_t *bytes = g_malloc(PLENTY);
	uint32_t room = fill(g, 7, bytes);
	struct packet p;

	/* the kernel's own buffer takes some: the guest is told, and has not listened */
	for (uint32_t sent = 0; sent < 2 * room + PLENTY; sent += 8192)
		transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 99, 7), bytes, 8192);
	do
		g_assert_true(take(g, true, &p));
	while (p.h.op != VIRTIO_VSOCK_OP_RST);
	g_assert_false(is_broken(g));
	guest_free(g);
}

static void one_who_sends_much_does_not_keep_others_waiting(void)
{
	struct guest *g = guest_new(2);
	g_autofree uint8_t *bytes = g_malloc0(PLENTY);
	uint32_t a, b;
	auto_close int much = connected(g, &a), little = connected(g, &b);
	struct packet p;

	g_assert_cmpint(send(much, bytes, 100000, MSG_DONTWAIT), >, 50000);
	loop();
	g_assert_cmpint(send(little, "x", 1, 0), ==, 1);
	for (unsigned n = 0; n < 8; n++) {
		g_assert_true(take(g, true, &p));
		if (p.h.src_port == b)
			break;
	}
	g_assert_cmpuint(p.h.src_port, ==, b);
	guest_free(g);
}

/* ---- ends ---- */

static void a_client_that_has_said_all_may_still_listen(void)
{
	struct guest *g = guest_new(8);
	uint32_t port;
	int fd = connected(g, &port);
	struct virtio_vsock_hdr h;

	g_assert_cmpint(send(fd, "last", 4, 0), ==, 4);
	shutdown(fd, SHUT_WR);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 4);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_SHUTDOWN).flags, ==, VIRTIO_VSOCK_SHUTDOWN_SEND);
	transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 5000, port), "reply", 5);
	expect_text(fd, "reply");
	h = header(g, VIRTIO_VSOCK_OP_SHUTDOWN, 5000, port);
	h.flags = 3;
	transmit(g, h, NULL, 0);
	expect(g, VIRTIO_VSOCK_OP_RST);
	expect_hangup(fd);
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void a_client_that_leaves_shuts_both_ways(void)
{
	struct guest *g = guest_new(8);
	uint32_t port;
	int fd = connected(g, &port);
	struct packet p;

	g_assert_cmpint(send(fd, "last", 4, 0), ==, 4);
	close(fd);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 4);
	do
		g_assert_true(take(g, true, &p));
	while (p.h.flags != 3);
	g_assert_cmpuint(p.h.op, ==, VIRTIO_VSOCK_OP_SHUTDOWN);
	say(g, VIRTIO_VSOCK_OP_RST, 5000, port);
	expect_silence(g);
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void a_guest_that_has_said_all_may_still_listen(void)
{
	struct guest *g = guest_new(8);
	auto_close int fd = served(g);
	struct virtio_vsock_hdr h = header(g, VIRTIO_VSOCK_OP_SHUTDOWN, 99, 7);
	char c;

	h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
	transmit(g, h, NULL, 0);
	g_assert_cmpint(read_some(fd, &c, 1), ==, 0);
	g_assert_cmpint(send(fd, "reply", 5, 0), ==, 5);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 5);
	say(g, VIRTIO_VSOCK_OP_RW, 99, 7);	/* it said that it would not */
	expect(g, VIRTIO_VSOCK_OP_RST);
	guest_free(g);
}

static void what_a_guest_sent_before_it_closed_arrives(void)
{
	struct guest *g = guest_new(8);
	auto_close int fd = served(g);
	g_autofree uint8_t *bytes = g_malloc(PLENTY), *got = g_malloc(PLENTY);
	uint32_t room = fill(g, 7, bytes), n = 0;
	struct virtio_vsock_hdr h = header(g, VIRTIO_VSOCK_OP_SHUTDOWN, 99, 7);
	struct packet p;
	ssize_t r;

	for (uint32_t at = 0; at < room; at += 8192)
		transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 99, 7), bytes + at, 8192);
	h.flags = 3;
	transmit(g, h, NULL, 0);
	do
		g_assert_true(take(g, true, &p));
	while (p.h.op != VIRTIO_VSOCK_OP_RST);
	while (n < room && (r = read_some(fd, got + n, room - n)) > 0)
		n += (uint32_t)r;
	g_assert_cmpuint(n, ==, room);
	g_assert_cmpint(memcmp(bytes, got, room), ==, 0);
	g_assert_cmpint(read_some(fd, got, 1), ==, 0);
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void a_reset_of_the_device_hangs_all_up(void)
{
	struct guest *g = guest_new(8);
	uint32_t port;
	int fd = connected(g, &port);

	driver_reset(g->d);
	expect_hangup(fd);
	guest_free(g);
}

/* ---- hostile guests ---- */

static void what_belongs_to_nothing_is_reset(void)
{
	static const struct {
		uint64_t src_cid, dst_cid;
		unsigned type, op;
	} bad[] = {
		{ CID, 2, VIRTIO_VSOCK_TYPE_SEQPACKET, VIRTIO_VSOCK_OP_REQUEST },
		{ CID, 2, 77, VIRTIO_VSOCK_OP_RW },
		{ CID, 9, STREAM, VIRTIO_VSOCK_OP_REQUEST },
		{ 9, 2, STREAM, VIRTIO_VSOCK_OP_REQUEST },
		{ CID, 2, STREAM, VIRTIO_VSOCK_OP_RW },
		{ CID, 2, STREAM, VIRTIO_VSOCK_OP_RESPONSE },
		{ CID, 2, STREAM, 77 },
	};
	struct guest *g = guest_new(8);
	uint16_t head;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct virtio_vsock_hdr h = header(g, bad[i].op, 99, 7), *r;

		h.src_cid = bad[i].src_cid;
		h.dst_cid = bad[i].dst_cid;
		h.type = bad[i].type;
		transmit(g, h, NULL, 0);
		g_assert_true(driver_wait(g->d, RX, &head, NULL));
		r = driver_ptr(g->d, g->rx[head]);
		g_assert_cmpuint(r->op, ==, VIRTIO_VSOCK_OP_RST);
		g_assert_cmpuint(r->type, ==, bad[i].type);
		g_assert_cmpuint(r->src_cid, ==, bad[i].dst_cid);
		g_assert_cmpuint(r->dst_cid, ==, bad[i].src_cid);
		g_assert_cmpuint(r->dst_port, ==, 99);
		give(g, g->rx[head]);
	}
	say(g, VIRTIO_VSOCK_OP_RST, 99, 7);
	expect_silence(g);
	guest_free(g);
}

static void an_unknown_operation_ends_its_connection(void)
{
	struct guest *g = guest_new(8);
	int fd = served(g);

	say(g, 77, 99, 7);
	expect(g, VIRTIO_VSOCK_OP_RST);
	expect_hangup(fd);
	guest_free(g);
}

static void broken_by(struct guest *g, unsigned queue, uint32_t len, bool in, uint32_t says)
{
	struct driver_buf buf = { g->tx, len, in };
	struct virtio_vsock_hdr h = header(g, VIRTIO_VSOCK_OP_RW, 5000, 1u << 30);
	uint32_t port;
	int fd = connected(g, &port);

	h.len = says;
	memcpy(driver_ptr(g->d, g->tx), &h, sizeof(h));
	driver_add(g->d, queue, &buf, 1);
	driver_kick(g->d, queue);
	expect_hangup(fd);
	g_assert_true(is_broken(g));
	expect_hangup(client(g, "CONNECT 5000\n"));
	guest_free(g);
}

static void a_packet_without_a_header_breaks_the_device(void)
{
	broken_by(guest_new(8), TX, 43, false, 0);
}

static void a_packet_that_lies_of_its_length_breaks_the_device(void)
{
	broken_by(guest_new(8), TX, 50, false, 7);
}

static void a_buffer_that_holds_no_packet_breaks_the_device(void)
{
	struct guest *g = guest_new(0);
	struct driver_buf buf = { g->tx, 44, true };
	int fd = client(g, "CONNECT 5000\n");

	driver_add(g->d, RX, &buf, 1);
	driver_kick(g->d, RX);
	expect_hangup(fd);
	g_assert_true(is_broken(g));
	guest_free(g);
}

static void a_flood_that_wants_no_answers_is_not_taken(void)
{
	struct guest *g = guest_new(0);
	struct virtio_vsock_hdr h = header(g, VIRTIO_VSOCK_OP_RW, 99, 7);
	struct driver_buf buf = { g->tx, sizeof(h), false };
	unsigned taken = 0;

	memcpy(driver_ptr(g->d, g->tx), &h, sizeof(h));
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 64; i++)
			driver_add(g->d, TX, &buf, 1);
		driver_kick(g->d, TX);
		loop();
		for (unsigned n = 0; driver_used(g->d, TX, NULL, NULL); n++)
			taken++;
		if (taken < 64 * (round + 1))
			break;
	}
	g_assert_cmpuint(taken, ==, 256);
	give(g, driver_alloc(g->d, BUFFER));
	expect(g, VIRTIO_VSOCK_OP_RST);
	g_assert_true(driver_wait(g->d, TX, NULL, NULL));
	guest_free(g);
}

static void more_connections_than_there_are_slots_are_refused(void)
{
	struct guest *g = guest_new(8);

	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		say(g, VIRTIO_VSOCK_OP_REQUEST, 1000 + i, 7);
	g_assert_cmpuint(vsock_conns(g->dev), ==, VSOCK_CONNS_MAX);
	expect_silence(g);
	say(g, VIRTIO_VSOCK_OP_REQUEST, 99, 7);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RST).dst_port, ==, 99);
	/* the door could not hear them all at once, and forgets none */
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		door_answer(g, asked(g), ENOENT, -1);
		expect(g, VIRTIO_VSOCK_OP_RST);
	}
	g_assert_cmpuint(vsock_conns(g->dev), ==, 0);
	guest_free(g);
}

static void a_thousand_connections_live_at_once(void)
{
	enum { N = 1000 };
	struct rlimit files;
	struct guest *g = guest_new(64);
	g_autofree int *fds = g_new(int, N);
	g_autofree uint32_t *ports = g_new(uint32_t, N);

	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &files), ==, 0);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max < 2 * N + 64) {
		g_test_skip("too few descriptors");
		guest_free(g);
		return;
	}
	for (unsigned i = 0; i < N; i++)
		fds[i] = connected(g, &ports[i]);
	g_assert_cmpuint(vsock_conns(g->dev), ==, N);
	for (unsigned i = 0; i < N; i++) {
		transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 5000, ports[i]), &i, sizeof(i));
		unsigned got;
		g_assert_cmpint(read_some(fds[i], &got, sizeof(got)), ==, sizeof(got));
		g_assert_cmpuint(got, ==, i);
		close(fds[i]);
	}
	guest_free(g);
}

/* ---- saved and loaded ---- */

static void a_restored_guest_hears_that_its_connections_are_gone(void)
{
	struct guest *g = guest_new(8);
	struct driver_buf event = { driver_alloc(g->d, 4), 4, true };
	struct driver *d = g->d;
	g_autoptr(state_file) file = state_file_new();
	g_autoptr(GError) error = NULL;
	struct state_out out;
	struct state_in in;
	uint32_t port, len;
	uint64_t cid;
	int fd = connected(g, &port);

	driver_add(d, EVENT, &event, 1);
	device_stop(virtio_mmio_device(d->mmio));
	state_begin(&out, file, "vsock", 1);
	virtio_save(g->dev, &out);
	state_end(&out);
	device_free(virtio_mmio_device(d->mmio));
	expect_hangup(fd);
	fd_close(&g->door);

	g->dev = device_new(g, 77);
	driver_attach(d, g->dev);
	g_assert_true(state_find(file, "vsock", 1, &in, &error));
	g_assert_true(virtio_load(g->dev, &in, &error) && state_done(&in, &error));
	device_start(virtio_mmio_device(d->mmio));
	g_assert_true(driver_wait(d, EVENT, NULL, &len));
	g_assert_cmpuint(len, ==, 4);
	g_assert_cmpuint(*(uint32_t *)driver_ptr(d, event.gpa), ==,
			 VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	driver_config(d, 0, &cid, sizeof(cid));
	g_assert_cmpuint(cid, ==, 77);
	/* and new ones work; the queues are where they were */
	fd = client(g, "CONNECT 5000\n");
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_REQUEST).dst_cid, ==, 77);
	close(fd);
	guest_free(g);
}

static void a_guest_that_stood_still_goes_on(void)
{
	struct guest *g = guest_new(8);
	uint32_t port;
	auto_close int fd = connected(g, &port);
	struct device *dev = virtio_mmio_device(g->d->mmio);

	device_stop(dev);
	g_assert_cmpint(send(fd, "meanwhile", 9, 0), ==, 9);
	expect_silence(g);
	device_start(dev);
	g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 9);
	guest_free(g);
}

/* Not on ours, as in a worker: for ThreadSanitizer. */
static void it_works_on_a_thread_of_its_own(void)
{
	struct guest *g = guest_begin(guest_on(owner_thread_new("vsock")), 8);
	struct device *dev = virtio_mmio_device(g->d->mmio);
	uint32_t port;
	int fd = connected(g, &port);

	for (unsigned i = 0; i < 100; i++) {
		transmit(g, header(g, VIRTIO_VSOCK_OP_RW, 5000, port), "ping", 4);
		expect_text(fd, "ping");
		g_assert_cmpint(send(fd, "pong", 4, 0), ==, 4);
		g_assert_cmpuint(expect(g, VIRTIO_VSOCK_OP_RW).len, ==, 4);
		if (i % 10 == 0) {
			device_stop(dev);
			device_start(dev);
		}
	}
	close(served(g));
	close(fd);
	driver_reset(g->d);
	guest_free(g);
}

#define TEST(f) g_test_add_func("/vsock/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_log_set_writer_func(on_log, NULL, NULL);
	TEST(the_guest_reads_its_address);
	TEST(a_client_talks_with_a_port_of_the_guest);
	TEST(what_follows_the_first_line_is_the_guests);
	TEST(who_names_no_port_is_hung_up);
	TEST(a_client_is_hung_up_where_the_guest_refuses);
	TEST(a_client_that_leaves_early_takes_its_request_back);
	TEST(without_a_driver_clients_are_hung_up);
	TEST(the_guest_talks_with_a_service_of_the_host);
	TEST(where_nobody_listens_the_guest_is_refused);
	TEST(a_door_that_is_lost_refuses_all);
	TEST(the_guest_is_sent_no_more_than_it_has_room_for);
	TEST(a_slow_reader_loses_nothing_and_gives_credit);
	TEST(bytes_beyond_the_credit_end_the_connection);
	TEST(one_who_sends_much_does_not_keep_others_waiting);
	TEST(a_client_that_has_said_all_may_still_listen);
	TEST(a_client_that_leaves_shuts_both_ways);
	TEST(a_guest_that_has_said_all_may_still_listen);
	TEST(what_a_guest_sent_before_it_closed_arrives);
	TEST(a_reset_of_the_device_hangs_all_up);
	TEST(what_belongs_to_nothing_is_reset);
	TEST(an_unknown_operation_ends_its_connection);
	TEST(a_packet_without_a_header_breaks_the_device);
	TEST(a_packet_that_lies_of_its_length_breaks_the_device);
	TEST(a_buffer_that_holds_no_packet_breaks_the_device);
	TEST(a_flood_that_wants_no_answers_is_not_taken);
	TEST(more_connections_than_there_are_slots_are_refused);
	TEST(a_thousand_connections_live_at_once);
	TEST(a_restored_guest_hears_that_its_connections_are_gone);
	TEST(a_guest_that_stood_still_goes_on);
	TEST(it_works_on_a_thread_of_its_own);
	return g_test_run();
}
