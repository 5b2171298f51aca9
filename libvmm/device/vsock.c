/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-vsock: life, events, and the descriptors that lead out.
 *
 * All descriptors hang on one epoll instance, which is one source of the
 * owner's loop: a thousand idle connections cost a turn of the loop nothing.
 */
#include "config.h"
#include "libvmm/device/vsock-priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define QUEUE_SIZE 256
#define EVENT_QUEUE_SIZE 16
#define F_STREAM 0			/* 5.10.3; linux/virtio_vsock.h has not heard of it */
#define TURN_EVENTS 64
#define TURN_ACCEPTS 64
#define HANDSHAKE_MS 60000		/* somebody may be typing */
#define TICK_US G_USEC_PER_SEC
/* What epoll gives back: a connection's token, or one of these. */
#define OF_LISTENER (UINT64_C(1) << 32)
#define OF_DOOR (UINT64_C(2) << 32)

static bool is_up(const struct vsock *v)
{
	return v->vdev.active && !v->vdev.stopped && !virtio_is_broken(&v->vdev);
}

static bool watch(struct vsock *v, int op, int fd, uint32_t events, uint64_t of)
{
	struct epoll_event ev = { .events = events, .data.u64 = of };

	return fd < 0 || epoll_ctl(v->epoll_fd, op, fd, &ev) == 0;
}

bool vsock_watch(struct vsock *v, struct vsock_conn *c)
{
	return watch(v, EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		     vsock_conn_token(c));
}

void vsock_tick_soon(struct vsock *v)
{
	if (g_source_get_ready_time(v->timer) < 0)
		g_source_set_ready_time(v->timer, g_get_monotonic_time() + TICK_US);
}

/* ---- clients of the host ---- */

/* Without descriptors clients wait in the socket's queue, for the next tick. */
static void accept_pause(struct vsock *v, bool pause)
{
	v->accept_waits = pause;
	watch(v, EPOLL_CTL_MOD, v->listen_fd, pause ? 0 : EPOLLIN, OF_LISTENER);
	if (pause)
		vsock_tick_soon(v);
}

/* A guest without a driver, or with too many connections, refuses by hanging up. */
static void client_take(struct vsock *v, int fd)
{
	struct vsock_conn *c = is_up(v) ? vsock_conn_new(v, VSOCK_HANDSHAKE, fd) : NULL;

	if (!c) {
		fd_close(&fd);
		return;
	}
	if (vsock_watch(v, c))
		vsock_conn_deadline(v, c, HANDSHAKE_MS);
	else
		vsock_conn_free(v, c);
}

static void accept_clients(struct vsock *v)
{
	for (unsigned i = 0; i < TURN_ACCEPTS; i++) {
		int fd = accept4(v->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			client_take(v, fd);
		} else {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				accept_pause(v, true);
			return;
		}
	}
}

/* ---- the door ---- */

static void door_lost(struct vsock *v)
{
	g_warning("%s: the guest reaches no service of the host any more", v->vdev.name);
	fd_close(&v->door_fd);
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		if (v->conns[i].state == VSOCK_ASKED)
			vsock_conn_abort(v, &v->conns[i]);
}

void vsock_ask_door(struct vsock *v, struct vsock_conn *c)
{
	const struct vsock_ask ask = { c->host_port, vsock_conn_token(c) };

	c->unasked = false;
	if (send(v->door_fd, &ask, sizeof(ask), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(ask))
		return;
	if (errno == EAGAIN)
		c->unasked = true;	/* EPOLLOUT tells when */
	else
		vsock_conn_abort(v, c);
}

static void door_ask_rest(struct vsock *v)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct vsock_conn *c = &v->conns[i];

		if (c->state == VSOCK_ASKED && c->unasked)
			vsock_ask_door(v, c);
	}
}

/* 1: an answer; 0: none; -1: nobody is there. */
static int door_receive(struct vsock *v, struct vsock_answer *ret, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(v->door_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	*ret_fd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return n == sizeof(*ret) ? 1 : -1;
}

static void door_event(struct vsock *v, uint32_t events)
{
	int r = 0;

	for (unsigned i = 0; i < TURN_EVENTS; i++) {
		struct vsock_answer answer;
		struct vsock_conn *c;
		auto_close int fd = -1;

		r = door_receive(v, &answer, &fd);
		if (r <= 0)
			break;
		c = vsock_conn_by_token(v, answer.token);
		if (c && c->state == VSOCK_ASKED)
			vsock_conn_answered(v, c, TAKE_FD(fd));
	}
	if (r < 0)
		door_lost(v);
	else if (events & EPOLLOUT)
		door_ask_rest(v);
}

/* ---- the loop ---- */

static void flush(struct vsock *v)
{
	if (is_up(v))
		vsock_rx(v);
	if (virtio_is_broken(&v->vdev))
		vsock_conns_drop(v);	/* the host's ends need not wait for a reset */
}

static gboolean on_epoll(void *opaque)
{
	struct vsock *v = opaque;
	struct epoll_event events[TURN_EVENTS];
	int n = epoll_wait(v->epoll_fd, events, TURN_EVENTS, 0);

	for (int i = 0; i < n; i++) {
		uint64_t of = events[i].data.u64;
		struct vsock_conn *c = of < OF_LISTENER ? vsock_conn_by_token(v, (uint32_t)of)
							: NULL;

		if (of == OF_LISTENER)
			accept_clients(v);
		else if (of == OF_DOOR && v->door_fd >= 0)
			door_event(v, events[i].events);
		else if (c)
			vsock_conn_event(v, c, events[i].events);
	}
	flush(v);
	return G_SOURCE_CONTINUE;
}

static gboolean on_tick(void *opaque)
{
	struct vsock *v = opaque;

	g_source_set_ready_time(v->timer, -1);
	if (v->vdev.stopped)
		return G_SOURCE_CONTINUE;
	if (v->accept_waits)
		accept_pause(v, false);
	vsock_conns_tick(v, g_get_monotonic_time());
	if (v->n_deadlines > 0)
		vsock_tick_soon(v);
	flush(v);
	return G_SOURCE_CONTINUE;
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, void *opaque)
{
	return fn(opaque);
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

static GSource *source_new(struct vsock *v, GSourceFunc fn, const char *name)
{
	GSource *s = g_source_new(&source_funcs, sizeof(GSource));

	g_source_set_callback(s, fn, v, NULL);
	g_source_set_static_name(s, name);
	return s;
}

/* ---- the device ---- */

/* 5.10.6.7: connections are gone, the address may be another one. */
static void event_flush(struct vsock *v)
{
	const struct virtio_vsock_event event = {
		GUINT32_TO_LE(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET)
	};
	struct virtqueue_chain chain = { .iov = v->iov, .n_iov = VSOCK_CHAIN_IOV };

	if (!v->event_owed || !virtqueue_is_enabled(virtio_queue(&v->vdev, VSOCK_EVENT)))
		return;
	if (!virtio_pop(&v->vdev, VSOCK_EVENT, &chain) &&
	    !(virtqueue_kicks_on(virtio_queue(&v->vdev, VSOCK_EVENT)) &&
	      virtio_pop(&v->vdev, VSOCK_EVENT, &chain)))
		return;
	if (chain_write(&chain, 0, &event, sizeof(event)) < sizeof(event))
		virtio_broken(&v->vdev, "an event buffer of %zu bytes", chain.in_bytes);
	virtqueue_push(virtio_queue(&v->vdev, VSOCK_EVENT), chain.head, sizeof(event));
	v->event_owed = false;
	virtio_notify(&v->vdev, VSOCK_EVENT);
}

static void vsock_kick(struct virtio_device *dev, unsigned queue)
{
	struct vsock *v = vsock_of(dev);

	if (queue == VSOCK_EVENT)
		event_flush(v);
	if (queue == VSOCK_TX)
		vsock_tx(v);
	flush(v);
}

/*
 * Clients of a guest that stands still wait in the socket's queue; those of one
 * without a driver, running or not, are told at once that nobody is there.
 */
static void poll_set(struct vsock *v, bool on)
{
	g_source_modify_unix_fd(v->source, v->poll_tag, on ? G_IO_IN : 0);
}

static void vsock_reset(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);

	vsock_conns_drop(v);
	v->event_owed = false;
	poll_set(v, true);
}

static void vsock_stop(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);

	poll_set(v, !dev->active);
	v->stopped_us = g_get_monotonic_time();
}

/* Whoever waits for the guest has as much time left as before. */
static void vsock_start(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);
	int64_t slept_us = g_get_monotonic_time() - v->stopped_us;

	for (unsigned i = 0; i < VSOCK_CONNS_MAX && v->n_deadlines > 0; i++)
		if (v->conns[i].deadline_us)
			v->conns[i].deadline_us += slept_us;
	poll_set(v, true);
	if (v->n_deadlines > 0 || v->accept_waits)
		vsock_tick_soon(v);
	event_flush(v);
}

/* Connections are not saved: both ends hear of a reset.  The address is the definition's. */
static void vsock_load(struct virtio_device *dev, struct state_in *in)
{
	struct vsock *v = vsock_of(dev);
	struct virtio_vsock_config config = { GUINT64_TO_LE(v->cid) };

	virtio_config_store(dev, 0, &config, sizeof(config));
	v->event_owed = dev->active;
}

static void done_on_owner(void *opaque)
{
	struct vsock *v = opaque;
	GSource **sources[] = { &v->source, &v->timer };

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		if (*sources[i]) {
			g_source_destroy(*sources[i]);
			g_source_unref(*sources[i]);
		}
		*sources[i] = NULL;
	}
}

static void vsock_free(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);
	GMainContext *ctx = dev->ctx ? g_main_context_ref(dev->ctx) : NULL;

	owner_call(ctx, done_on_owner, v);
	virtio_done(dev);
	vsock_conns_done(v);
	fd_close(&v->listen_fd);
	fd_close(&v->door_fd);
	fd_close(&v->epoll_fd);
	if (ctx)
		g_main_context_unref(ctx);
	g_free(v);
}

static const struct virtio_ops vsock_ops = {
	.reset = vsock_reset,
	.kick = vsock_kick,
	.stop = vsock_stop,
	.start = vsock_start,
	.load = vsock_load,
	.free = vsock_free,
};

static bool descriptors_init(struct vsock *v, GError **error)
{
	v->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (v->listen_fd >= 0 && !g_unix_set_fd_nonblocking(v->listen_fd, TRUE, error))
		return false;
	if (v->epoll_fd < 0 ||
	    !watch(v, EPOLL_CTL_ADD, v->listen_fd, EPOLLIN, OF_LISTENER) ||
	    !watch(v, EPOLL_CTL_ADD, v->door_fd, EPOLLIN | EPOLLOUT | EPOLLET, OF_DOOR))
		return error_errno(error, errno, "%s: watch descriptors", v->vdev.name);
	v->timer = source_new(v, on_tick, "vsock tick");
	v->source = source_new(v, on_epoll, "vsock");
	v->poll_tag = g_source_add_unix_fd(v->source, v->epoll_fd, G_IO_IN);
	g_source_attach(v->timer, v->vdev.ctx);
	g_source_attach(v->source, v->vdev.ctx);
	return true;
}

struct virtio_device *vsock_new(const struct vsock_opts *opts, struct guest_memory *mem,
				GMainContext *ctx, GError **error)
{
	static const uint16_t queue_sizes[] = { QUEUE_SIZE, QUEUE_SIZE, EVENT_QUEUE_SIZE };
	const struct virtio_vsock_config config = { GUINT64_TO_LE(opts->cid) };
	const struct virtio_opts vopts = {
		.ops = &vsock_ops,
		.name = opts->name,
		.type = VIRTIO_ID_VSOCK,
		.ctx = ctx,
		.mem = mem,
		.features = 1u << F_STREAM,
		.n_queues = ARRAY_SIZE(queue_sizes),
		.queue_sizes = queue_sizes,
		.config = &config,
		.config_bytes = sizeof(config),
	};
	struct vsock *v = g_new0(struct vsock, 1);

	v->cid = opts->cid;
	v->listen_fd = opts->listen_fd;
	v->door_fd = opts->door_fd;
	v->epoll_fd = -1;
	if (!virtio_init(&v->vdev, &vopts, error) || !vsock_conns_init(v, error) ||
	    !descriptors_init(v, error)) {
		vsock_free(&v->vdev);
		return NULL;
	}
	return &v->vdev;
}

unsigned vsock_conns(struct virtio_device *dev)
{
	return atomic_load(&vsock_of(dev)->n_conns);
}
