/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tap interfaces: making one, and frames through its descriptors.
 *
 * All queues hang on one GSource.  The virtio header goes through as it is,
 * 12 bytes of it both ways (TUNSETVNETHDRSZ), so the kernel and the guest do
 * checksums and segmentation between them and we only pass iovecs.
 */
#include "config.h"
#include "libvmm/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define TUN_PATH "/dev/net/tun"

static_assert(TUN_F_CSUM == (int)NET_OFFLOAD_CSUM && TUN_F_TSO4 == (int)NET_OFFLOAD_TSO4 &&
	      TUN_F_TSO6 == (int)NET_OFFLOAD_TSO6 && TUN_F_TSO_ECN == (int)NET_OFFLOAD_ECN &&
	      TUN_F_UFO == (int)NET_OFFLOAD_UFO, "handed on as they are");

/* --- making one --- */

static bool tun_open_failed(int err, GError **error)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_set(error, VMM_ERR_SYSTEM,
				 "%s is not there: load the module with 'modprobe tun'", TUN_PATH);
	default:
		return error_errno(error, err, "open '%s'", TUN_PATH);
	}
}

static bool tun_set_failed(int err, const char *ifname, GError **error)
{
	switch (err) {
	case EPERM:
		return error_set(error, VMM_ERR_SYSTEM,
				 "interface '%s' needs CAP_NET_ADMIN: run vmmd as root, or make it "
				 "first with 'ip tuntap add dev %s mode tap user USER'",
				 ifname, ifname);
	case EBUSY:
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "interface '%s' is in use by another process", ifname);
	case EINVAL:
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "interface '%s' is no tap, or has another number of queues "
				 "(multi_queue)", ifname);
	default:
		return error_errno(error, err, "make interface '%s'", ifname);
	}
}

/* One queue; *name comes in as asked for and goes out as it is. */
static int queue_open(char name[IFNAMSIZ], bool multi, GError **error)
{
	auto_close int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int hdr = NET_HDR_BYTES;

	if (fd < 0) {
		tun_open_failed(errno, error);
		return -1;
	}
	if (multi)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	g_strlcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		tun_set_failed(errno, name, error);
		return -1;
	}
	g_strlcpy(name, ifr.ifr_name, IFNAMSIZ);
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr) < 0) {
		error_errno(error, errno, "interface '%s': header size", name);
		return -1;
	}
	return TAKE_FD(fd);
}

static bool link_ioctl(int sock, const char *name, unsigned long request, struct ifreq *ifr,
		       const char *what, GError **error)
{
	g_strlcpy(ifr->ifr_name, name, IFNAMSIZ);
	if (ioctl(sock, request, ifr) < 0)
		return error_errno(error, errno, "interface '%s': %s", name, what);
	return true;
}

static bool link_join(int sock, const char *name, const char *bridge, GError **error)
{
	struct ifreq ifr = { .ifr_ifindex = (int)if_nametoindex(name) };

	if (!if_nametoindex(bridge))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "bridge '%s' is not there: make it with "
				 "'ip link add %s type bridge'", bridge, bridge);
	g_strlcpy(ifr.ifr_name, bridge, IFNAMSIZ);
	if (ioctl(sock, SIOCBRADDIF, &ifr) == 0)
		return true;
	if (errno == EOPNOTSUPP || errno == EINVAL)
		return error_set(error, VMM_ERR_OPERATION_FAILED, "'%s' is not a bridge", bridge);
	return error_errno(error, errno, "add interface '%s' to bridge '%s'", name, bridge);
}

static bool link_setup(const struct tap_opts *opts, const char *name, GError **error)
{
	auto_close int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_mtu = (int)opts->mtu };

	if (sock < 0)
		return error_errno(error, errno, "make a socket");
	/* A bridge takes the smallest MTU of its ports: ours shall not shrink it. */
	if (!opts->mtu && opts->bridge && if_nametoindex(opts->bridge) &&
	    !link_ioctl(sock, opts->bridge, SIOCGIFMTU, &ifr, "read the MTU", error))
		return false;
	if (ifr.ifr_mtu && !link_ioctl(sock, name, SIOCSIFMTU, &ifr, "set the MTU", error))
		return false;
	if (opts->bridge && !link_join(sock, name, opts->bridge, error))
		return false;
	if (opts->keep_down)
		return true;
	if (!link_ioctl(sock, name, SIOCGIFFLAGS, &ifr, "read its state", error))
		return false;
	ifr.ifr_flags |= IFF_UP;
	return link_ioctl(sock, name, SIOCSIFFLAGS, &ifr, "set it up", error);
}

bool tap_open(const struct tap_opts *opts, int *fds, char ret_ifname[IFNAMSIZ], GError **error)
{
	const char *wanted = opts->ifname ? opts->ifname : "vnet%d";
	char name[IFNAMSIZ];
	unsigned n = 0;

	if (opts->queues < 1 || opts->queues > NET_QUEUES_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "interface '%s': %u queues; it can have 1 to %d", wanted,
				 opts->queues, NET_QUEUES_MAX);
	if (g_strlcpy(name, wanted, IFNAMSIZ) >= IFNAMSIZ)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "the interface name '%s' is longer than %d bytes", wanted,
				 IFNAMSIZ - 1);
	for (; n < opts->queues; n++) {
		fds[n] = queue_open(name, opts->queues > 1, error);
		if (fds[n] < 0)
			break;
	}
	if (n == opts->queues && link_setup(opts, name, error)) {
		g_strlcpy(ret_ifname, name, IFNAMSIZ);
		return true;
	}
	while (n-- > 0)
		fd_close(&fds[n]);
	return false;
}

/* --- the backend --- */

struct tap {
	struct net_backend base;
	GSource *source;
	struct tap_queue {
		int fd;
		void *tag;
		GIOCondition want;
		bool detached;
	} queues[NET_QUEUES_MAX];
};

struct tap_source {
	GSource base;
	struct tap *tap;
};

static struct tap *tap_of(struct net_backend *b)
{
	return container_of(b, struct tap, base);
}

static int tap_send(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	return writev(tap_of(b)->queues[queue].fd, iov, (int)n) < 0 ? -errno : 0;
}

static ssize_t tap_recv(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	struct tap_queue *q = &tap_of(b)->queues[queue];
	ssize_t r = q->detached ? 0 : readv(q->fd, iov, (int)n);

	/* EOF and a queue that is gone say nothing more, either. */
	return r > 0 ? r : -EAGAIN;
}

static void queue_want(struct tap *t, unsigned queue, GIOCondition what, bool on)
{
	struct tap_queue *q = &t->queues[queue];
	GIOCondition want = on ? q->want | what : q->want & ~what;

	if (want == q->want || !q->tag)
		return;
	q->want = want;
	g_source_modify_unix_fd(t->source, q->tag, want);
}

static void tap_want_read(struct net_backend *b, unsigned queue, bool on)
{
	queue_want(tap_of(b), queue, G_IO_IN, on);
}

static void tap_want_write(struct net_backend *b, unsigned queue, bool on)
{
	queue_want(tap_of(b), queue, G_IO_OUT, on);
}

static int tap_set_offload(struct net_backend *b, unsigned offload)
{
	/* Segmentation without checksums is EINVAL for the kernel, and makes no sense (5.1.3.1). */
	if (!(offload & NET_OFFLOAD_CSUM))
		offload = 0;
	if (!(offload & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6)))
		offload &= ~(unsigned)NET_OFFLOAD_ECN;
	return ioctl(tap_of(b)->queues[0].fd, TUNSETOFFLOAD, (unsigned long)offload) < 0 ? -errno
											 : 0;
}

static int queue_attach(struct tap_queue *q, bool on)
{
	struct ifreq ifr = { .ifr_flags = (short)(on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE) };

	if (q->detached == !on)
		return 0;
	if (ioctl(q->fd, TUNSETQUEUE, &ifr) < 0)
		return -errno;
	q->detached = !on;
	return 0;
}

static int tap_set_queues(struct net_backend *b, unsigned pairs)
{
	struct tap *t = tap_of(b);

	for (unsigned i = 1; i < b->queues; i++) {
		int r = queue_attach(&t->queues[i], i < pairs);

		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t tap_dropped(struct net_backend *b)
{
	return 0;	/* the interface's own counter has them */
}

static void tap_free(struct net_backend *b)
{
	struct tap *t = tap_of(b);

	g_source_destroy(t->source);
	g_source_unref(t->source);
	for (unsigned i = 0; i < b->queues; i++)
		fd_close(&t->queues[i].fd);
	g_free(t);
}

static const struct net_ops tap_net_ops = {
	.send = tap_send,
	.recv = tap_recv,
	.want_read = tap_want_read,
	.want_write = tap_want_write,
	.set_offload = tap_set_offload,
	.set_queues = tap_set_queues,
	.dropped = tap_dropped,
	.free = tap_free,
};

/* The interface was deleted: polling on would spin. */
static void queue_lost(struct tap *t, unsigned i)
{
	struct tap_queue *q = &t->queues[i];

	if (q->detached)
		return;
	g_message("a tap interface is gone; the card's cable is cut");
	g_source_remove_unix_fd(t->source, q->tag);
	q->tag = NULL;
}

static gboolean tap_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct tap *t = container_of(source, struct tap_source, base)->tap;

	for (unsigned i = 0; i < t->base.queues; i++) {
		struct tap_queue *q = &t->queues[i];
		GIOCondition c = q->tag ? g_source_query_unix_fd(source, q->tag) : 0;

		if (c & (G_IO_ERR | G_IO_HUP | G_IO_NVAL))
			queue_lost(t, i);
		if (c & G_IO_IN && q->want & G_IO_IN && t->base.calls)
			t->base.calls->readable(t->base.card, i);
		if (c & G_IO_OUT && q->want & G_IO_OUT && t->base.calls)
			t->base.calls->writable(t->base.card, i);
	}
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs tap_source_funcs = { .dispatch = tap_dispatch };

static bool queue_check(int fd, GError **error)
{
	struct ifreq ifr = { 0 };
	int hdr = NET_HDR_BYTES;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return error_errno(error, errno, "the descriptor %d is no tap", fd);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_VNET_HDR))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "interface '%.*s' must be a tap with vnet_hdr", IFNAMSIZ,
				 ifr.ifr_name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return error_errno(error, errno, "interface '%.*s'", IFNAMSIZ, ifr.ifr_name);
	return true;
}

/* UFO went from some kernels, so ask for it apart. */
static unsigned offload_probe(int fd)
{
	unsigned all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(all | TUN_F_UFO)) == 0)
		all |= TUN_F_UFO;
	else if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)all) < 0)
		all = 0;
	ioctl(fd, TUNSETOFFLOAD, 0UL);
	return all;
}

struct net_backend *tap_net_new(const int *fds, unsigned n, GMainContext *owner, GError **error)
{
	struct tap *t;

	if (n < 1 || n > NET_QUEUES_MAX) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "%u tap queues; there can be 1 to %d",
			  n, NET_QUEUES_MAX);
		return NULL;
	}
	for (unsigned i = 0; i < n; i++)
		if (!queue_check(fds[i], error))
			return NULL;
	t = g_new0(struct tap, 1);
	t->base = (struct net_backend){
		.ops = &tap_net_ops,
		.owner = owner,
		.vnet_hdr = true,
		.offload = offload_probe(fds[0]),
		.queues = n,
	};
	t->source = g_source_new(&tap_source_funcs, sizeof(struct tap_source));
	container_of(t->source, struct tap_source, base)->tap = t;
	g_source_set_static_name(t->source, "tap");
	for (unsigned i = 0; i < n; i++) {
		t->queues[i].fd = fds[i];
		t->queues[i].tag = g_source_add_unix_fd(t->source, fds[i], 0);
	}
	g_source_attach(t->source, owner);
	return &t->base;
}
