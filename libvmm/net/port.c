/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The card's end: a backend of one socket, which may be replaced. */
#include "config.h"
#include "libvmm/net/port.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define OFFLOADS (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN)

struct port {
	struct net_backend base;
	int fd;			/* -1: the cable is cut */
	GSource *source;
	gpointer tag;
	GIOCondition want;
	uint32_t offload;
};

struct port_source {
	GSource base;
	struct port *port;
};

static const struct net_ops port_ops;

static struct port *port_of(struct net_backend *b)
{
	return container_of(b, struct port, base);
}

bool port_net_is(const struct net_backend *b)
{
	return b->ops == &port_ops;
}

static void cut(struct port *p)
{
	if (p->tag)
		g_source_remove_unix_fd(p->source, p->tag);
	p->tag = NULL;
	fd_close(&p->fd);
}

static void want(struct port *p, GIOCondition what, bool on)
{
	GIOCondition now = on ? p->want | what : p->want & ~what;

	if (now == p->want)
		return;
	p->want = now;
	if (p->tag)
		g_source_modify_unix_fd(p->source, p->tag, now);
}

static int port_send(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	struct port *p = port_of(b);
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };

	if (p->fd < 0)
		return -ENETDOWN;
	return sendmsg(p->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static ssize_t port_recv(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	struct port *p = port_of(b);
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	ssize_t r = p->fd < 0 ? -1 : recvmsg(p->fd, &msg, MSG_DONTWAIT);

	/* What ends here says nothing more; the source sees it and cuts. */
	return r > 0 ? r : -EAGAIN;
}

static void port_want_read(struct net_backend *b, unsigned queue, bool on)
{
	want(port_of(b), G_IO_IN, on);
}

static void port_want_write(struct net_backend *b, unsigned queue, bool on)
{
	want(port_of(b), G_IO_OUT, on);
}

static void note(struct port *p)
{
	if (p->fd >= 0 && send(p->fd, &p->offload, PORT_NOTE_BYTES, MSG_NOSIGNAL) < 0)
		g_debug("a switch was not told of offloads: %s", g_strerror(errno));
}

static int port_set_offload(struct net_backend *b, unsigned offload)
{
	struct port *p = port_of(b);

	/* 5.1.3.1: segments without checksums make no sense */
	p->offload = offload & NET_OFFLOAD_CSUM ? offload & OFFLOADS : 0;
	note(p);
	return 0;
}

static int port_set_queues(struct net_backend *b, unsigned pairs)
{
	return pairs == 1 ? 0 : -EINVAL;
}

static uint64_t port_dropped(struct net_backend *b)
{
	return 0;	/* the switch counts them */
}

static void port_free(struct net_backend *b)
{
	struct port *p = port_of(b);

	cut(p);
	g_source_destroy(p->source);
	g_source_unref(p->source);
	g_free(p);
}

static const struct net_ops port_ops = {
	.send = port_send,
	.recv = port_recv,
	.want_read = port_want_read,
	.want_write = port_want_write,
	.set_offload = port_set_offload,
	.set_queues = port_set_queues,
	.dropped = port_dropped,
	.free = port_free,
};

static gboolean port_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct port *p = container_of(source, struct port_source, base)->port;
	GIOCondition c = p->tag ? g_source_query_unix_fd(source, p->tag) : 0;

	if (c & G_IO_IN && p->base.calls)
		p->base.calls->readable(p->base.card, 0);
	if (c & G_IO_OUT && p->base.calls)
		p->base.calls->writable(p->base.card, 0);
	if (c & (G_IO_HUP | G_IO_ERR | G_IO_NVAL)) {
		g_message("a network's switch is gone: the cable is cut until another comes");
		cut(p);
	}
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs port_source_funcs = { .dispatch = port_dispatch };

void port_net_plug(struct net_backend *b, int fd)
{
	struct port *p = port_of(b);

	cut(p);
	p->fd = fd;
	p->tag = g_source_add_unix_fd(p->source, fd, p->want);
	note(p);
	/* Frames that waited for the old one go to the new one. */
	if (p->base.calls)
		p->base.calls->writable(p->base.card, 0);
}

struct net_backend *port_net_new(int fd, GMainContext *owner, GError **error)
{
	int type = 0;
	socklen_t len = sizeof(type);
	struct port *p;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		error_set(error, VMM_ERR_OPERATION_FAILED,
			  "the descriptor %d is no cable to a switch", fd);
		return NULL;
	}
	p = g_new0(struct port, 1);
	p->base = (struct net_backend){
		.ops = &port_ops, .owner = owner, .vnet_hdr = true, .offload = OFFLOADS,
		.queues = 1,
	};
	p->source = g_source_new(&port_source_funcs, sizeof(struct port_source));
	container_of(p->source, struct port_source, base)->port = p;
	g_source_set_static_name(p->source, "switch port");
	g_source_attach(p->source, owner);
	p->fd = fd;
	p->tag = g_source_add_unix_fd(p->source, fd, 0);
	return &p->base;
}
