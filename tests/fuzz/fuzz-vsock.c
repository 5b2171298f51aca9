/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A driver of a vsock that says anything, while clients and the door do what they like. */
#include "config.h"
#include "fuzz-driver.h"

#include <linux/virtio_vsock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libvmm/device/device.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "libvmm/device/vsock.h"
#include "libvmm/util/cleanup.h"

#define CID 3
#define CLIENTS 8
#define PORTS 4

struct world {
	struct driver *d;
	struct virtio_device *dev;
	struct sockaddr_un at;		/* an abstract name: no file is left */
	socklen_t at_len;
	int door, ends[CLIENTS];	/* clients' and services' */
	unsigned next;
};

static int listener(struct world *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	w->at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	w->at_len = sizeof(w->at);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&w->at, sizeof(sa_family_t)), ==, 0);
	g_assert_cmpint(listen(fd, 64), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&w->at, &w->at_len), ==, 0);
	return fd;
}

static void keep(struct world *w, int fd)
{
	int *place = &w->ends[w->next++ % CLIENTS];

	fd_close(place);
	*place = fd;
}

static void packet(struct world *w, struct fuzz_input *in)
{
	unsigned odd = (unsigned)fuzz_take(in, 1), op = (unsigned)fuzz_take(in, 1);
	unsigned ports = (unsigned)fuzz_take(in, 1);
	size_t len = fuzz_take(in, 2) % 8192;
	struct virtio_vsock_hdr h = {
		.src_cid = odd & 1 ? fuzz_take(in, 1) : CID,
		.dst_cid = odd & 2 ? fuzz_take(in, 1) : VSOCK_CID_HOST,
		.type = odd & 4 ? (uint16_t)fuzz_take(in, 1) : VIRTIO_VSOCK_TYPE_STREAM,
		.src_port = ports % PORTS,
		.dst_port = ports & 0x80 ? (1u << 30) + (ports >> 2) % PORTS + 1
					 : (ports >> 2) % PORTS,
		.op = op & 0x80 ? op & 0x7f : op % 8,
		.len = (uint32_t)len + (odd & 8 ? (uint32_t)fuzz_take(in, 2) - 0x8000 : 0),
		.flags = (uint32_t)fuzz_take(in, 1),
		.buf_alloc = (uint32_t)fuzz_take(in, odd & 16 ? 4 : 2),
		.fwd_cnt = (uint32_t)fuzz_take(in, odd & 32 ? 4 : 1),
	};
	uint64_t gpa;
	struct driver_buf bufs[2];

	if (!w->d->q[1].size || w->d->alloc_gpa > FUZZ_ALLOC_END - 16384)
		return;
	gpa = driver_alloc(w->d, sizeof(h) + len);
	memcpy(driver_ptr(w->d, gpa), &h, sizeof(h));
	bufs[0] = (struct driver_buf){ gpa, (odd & 64) ? 20 : sizeof(h), false };
	bufs[1] = (struct driver_buf){ gpa + bufs[0].len,
				       (uint32_t)(len + sizeof(h) - bufs[0].len), false };
	driver_add(w->d, 1, bufs, bufs[1].len ? 2 : 1);
	driver_kick(w->d, 1);
}

static void buffers(struct world *w, struct fuzz_input *in)
{
	unsigned n = (unsigned)fuzz_take(in, 1) % 4;
	uint32_t len = (uint32_t)fuzz_take(in, 2) % 5000;

	if (!w->d->q[0].size || w->d->alloc_gpa > FUZZ_ALLOC_END - 32768)
		return;
	for (unsigned i = 0; i <= n; i++) {
		struct driver_buf bufs[] = { { driver_alloc(w->d, 64), 44, true },
					     { driver_alloc(w->d, 5000), len, true } };

		driver_add(w->d, 0, bufs, 2);
	}
	driver_kick(w->d, 0);
}

static void client(struct world *w, struct fuzz_input *in)
{
	static const char *const lines[] = { "CONNECT 0\n", "CONNECT 1\nmore", "CONNECT 2\r\n",
					     "CONNECT 9999999999\n", "CONNECT ", "\n\n", "" };
	const char *line = lines[fuzz_take(in, 1) % ARRAY_SIZE(lines)];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (connect(fd, (struct sockaddr *)&w->at, w->at_len) == 0 &&
	    send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		g_assert_not_reached();
	keep(w, fd);
}

static void end_act(struct world *w, struct fuzz_input *in)
{
	static uint8_t bytes[65536];
	unsigned what = (unsigned)fuzz_take(in, 1);
	int *fd = &w->ends[what % CLIENTS];

	if (*fd < 0)
		return;
	switch (what >> 5) {
	case 0:
	case 1:
	case 2:
		send(*fd, bytes, fuzz_take(in, 2), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 3:
	case 4:
		recv(*fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		break;
	case 5:
		shutdown(*fd, SHUT_WR);
		break;
	case 6:
		shutdown(*fd, SHUT_RD);
		break;
	case 7:
		fd_close(fd);
		break;
	}
}

/* An answer as the door gives it, or one to a question that nobody has asked. */
static void door(struct world *w, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);
	union {
		struct cmsghdr c;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .c = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct vsock_ask ask = { 0 };
	struct vsock_answer answer = { 0 };
	struct iovec iov = { &answer, sizeof(answer) - (what % 64 == 63) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ends[2];

	recv(w->door, &ask, sizeof(ask), MSG_DONTWAIT);
	answer.token = what & 64 ? (uint32_t)fuzz_take(in, 2) : ask.token;
	if (what & 128) {
		g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
		memcpy(CMSG_DATA(&control.c), &ends[1], sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		keep(w, ends[0]);
	}
	sendmsg(w->door, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (what & 128)
		close(ends[1]);
}

static void step(struct world *w, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);
	struct device *dev = virtio_mmio_device(w->d->mmio);

	switch (what % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
		packet(w, in);
		break;
	case 4:
	case 5:
		buffers(w, in);
		break;
	case 6:
		client(w, in);
		break;
	case 7:
	case 8:
	case 9:
		end_act(w, in);
		break;
	case 10:
		door(w, in);
		break;
	case 11:
		fuzz_chain(w->d, in, what / 16 % 3);
		break;
	case 12:
		fuzz_poke(w->d, in);
		break;
	case 13:
		device_stop(dev);
		fuzz_loop(2);
		device_start(dev);
		break;
	case 14:
		fuzz_loop(8);
		break;
	case 15:
		if (what > 200 && w->d->alloc_gpa < FUZZ_ALLOC_END)
			driver_init(w->d, fuzz_take(in, 4), 32);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct world w = { 0 };
	struct vsock_opts opts = { .name = "vsock", .cid = CID };
	int asks[2];

	fuzz_quiet();
	for (unsigned i = 0; i < CLIENTS; i++)
		w.ends[i] = -1;
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, asks), ==, 0);
	w.door = asks[0];
	opts.door_fd = asks[1];
	opts.listen_fd = listener(&w);
	w.d = driver_new(1);
	w.dev = vsock_new(&opts, w.d->mem, NULL, NULL);
	driver_attach(w.d, w.dev);
	driver_init(w.d, fuzz_take(&in, 4), 32);
	while (in.left)
		step(&w, &in);
	fuzz_loop(64);
	g_assert_cmpuint(vsock_conns(w.dev), <=, VSOCK_CONNS_MAX);
	driver_free(w.d);
	fd_close(&w.door);
	for (unsigned i = 0; i < CLIENTS; i++)
		fd_close(&w.ends[i]);
	return 0;
}
