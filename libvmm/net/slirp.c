/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libslirp on a GMainContext.
 *
 * Theory.  libslirp has no loop of its own: before each sleep it is asked which
 * sockets it waits for (prepare), afterwards it is told what happened to them
 * (dispatch).  The GPollFDs of our GSource follow that list; only a change of
 * descriptor costs anything, a change of events does not.  With no socket there
 * is no timeout, so an idle guest wakes nobody.
 *
 * Frames from the guest are copied before libslirp sees them: it reads headers
 * more than once, and the guest could change them in between.  Frames to the
 * guest wait in a bounded queue; what does not fit is dropped, as on a wire,
 * and TCP sends it again.
 */
#include "config.h"
#include "libvmm/net/slirp-priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/net/frame.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define QUEUE_FRAMES 1024
#define QUEUE_BYTES (1024 * 1024)
#define MTU_MIN 68
#define MTU_MAX 65521

struct slirp_source {
	GSource base;
	struct slirp_net *net;
};

static bool has_frame(const struct slirp_net *s)
{
	return s->want_read && s->frames.length > 0;
}

/* --- what libslirp calls --- */

static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct slirp_net *s = opaque;

	if (s->frames.length >= QUEUE_FRAMES || s->queued_bytes + len > QUEUE_BYTES) {
		__atomic_fetch_add(&s->dropped, 1, __ATOMIC_RELAXED);
		return (ssize_t)len;
	}
	g_queue_push_tail(&s->frames, g_bytes_new(buf, len));
	s->queued_bytes += len;
	return (ssize_t)len;
}

static void on_guest_error(const char *msg, void *opaque)
{
	g_debug("user network: %s", msg);
}

static int64_t on_clock(void *opaque)
{
	return g_get_monotonic_time() * 1000;
}

struct slirp_timer {
	GSource base;
	struct slirp_net *net;
	SlirpTimerId id;
	void *opaque;
};

static gboolean timer_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct slirp_timer *t = container_of(source, struct slirp_timer, base);

	g_source_set_ready_time(source, -1);
	slirp_handle_timer(t->net->slirp, t->id, t->opaque);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = { .dispatch = timer_dispatch };

static void *on_timer_new(SlirpTimerId id, void *timer_opaque, void *opaque)
{
	struct slirp_net *s = opaque;
	GSource *source = g_source_new(&timer_funcs, sizeof(struct slirp_timer));
	struct slirp_timer *t = container_of(source, struct slirp_timer, base);

	t->net = s;
	t->id = id;
	t->opaque = timer_opaque;
	g_source_set_static_name(source, "slirp timer");
	g_source_attach(source, s->base.owner);
	return source;
}

static void on_timer_free(void *timer, void *opaque)
{
	g_source_destroy(timer);
	g_source_unref(timer);
}

static void on_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	g_source_set_ready_time(timer, expire_ms * 1000);
}

static void on_poll_fd(int fd, void *opaque)
{
	/* Nothing to do: the list is asked for before every sleep. */
}

static void on_notify(void *opaque)
{
	struct slirp_net *s = opaque;

	g_main_context_wakeup(s->base.owner);
}

static void on_init_completed(Slirp *slirp, void *opaque)
{
}

static const SlirpCb slirp_calls = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_poll_fd,
	.unregister_poll_fd = on_poll_fd,
	.notify = on_notify,
	.init_completed = on_init_completed,
	.timer_new_opaque = on_timer_new,
};

/* --- the loop --- */

static const struct {
	int slirp;
	GIOCondition glib;
} poll_bits[] = {
	{ SLIRP_POLL_IN, G_IO_IN },   { SLIRP_POLL_OUT, G_IO_OUT }, { SLIRP_POLL_PRI, G_IO_PRI },
	{ SLIRP_POLL_ERR, G_IO_ERR }, { SLIRP_POLL_HUP, G_IO_HUP },
};

static void poll_drop(struct slirp_net *s, struct poll_slot *slot)
{
	if (slot->added)
		g_source_remove_poll(s->source, &slot->poll);
	slot->added = false;
}

static void poll_set(struct slirp_net *s, struct poll_slot *slot, int fd, gushort events)
{
	if (slot->poll.fd != fd)
		poll_drop(s, slot);
	slot->poll = (GPollFD){ .fd = fd, .events = events };
	if (!slot->added)
		g_source_add_poll(s->source, &slot->poll);
	slot->added = true;
}

static int on_add_poll(int fd, int events, void *opaque)
{
	struct slirp_net *s = opaque;
	gushort want = 0;

	for (size_t i = 0; i < ARRAY_SIZE(poll_bits); i++)
		if (events & poll_bits[i].slirp)
			want |= poll_bits[i].glib;
	if (s->n_polls == s->polls->len)
		g_ptr_array_add(s->polls, g_new0(struct poll_slot, 1));
	poll_set(s, s->polls->pdata[s->n_polls], fd, want);
	return (int)s->n_polls++;
}

static int on_get_revents(int i, void *opaque)
{
	struct slirp_net *s = opaque;
	const struct poll_slot *slot = s->polls->pdata[i];
	int events = 0;

	for (size_t bit = 0; bit < ARRAY_SIZE(poll_bits); bit++)
		if (slot->poll.revents & poll_bits[bit].glib)
			events |= poll_bits[bit].slirp;
	return events;
}

static gboolean slirp_prepare(GSource *source, gint *timeout_ms)
{
	struct slirp_net *s = container_of(source, struct slirp_source, base)->net;
	int64_t now_us = g_get_monotonic_time(), due_us;
	uint32_t wait_ms = UINT32_MAX;

	s->n_polls = 0;
	slirp_pollfds_fill(s->slirp, &wait_ms, on_add_poll, s);
	for (guint i = s->n_polls; i < s->polls->len; i++)
		poll_drop(s, s->polls->pdata[i]);
	/* It always asks to be called in a second; with no socket there is nothing to time out. */
	due_us = s->n_polls == 0 || wait_ms > INT_MAX ? -1 : now_us + (int64_t)wait_ms * 1000;
	/* Asked again it counts from then: a loop that others keep awake must not put it off. */
	if (due_us < 0 || s->deadline_us < 0 || due_us < s->deadline_us)
		s->deadline_us = due_us;
	*timeout_ms = s->deadline_us < 0 ? -1
					 : (gint)(MAX(s->deadline_us - now_us + 999, 0) / 1000);
	return has_frame(s);
}

static bool is_due(const struct slirp_net *s)
{
	return s->deadline_us >= 0 && g_get_monotonic_time() >= s->deadline_us;
}

static gboolean slirp_check(GSource *source)
{
	struct slirp_net *s = container_of(source, struct slirp_source, base)->net;

	for (unsigned i = 0; i < s->n_polls; i++)
		if (((struct poll_slot *)s->polls->pdata[i])->poll.revents)
			return TRUE;
	return has_frame(s) || is_due(s);
}

static gboolean slirp_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct slirp_net *s = container_of(source, struct slirp_source, base)->net;

	s->deadline_us = -1;
	slirp_pollfds_poll(s->slirp, 0, on_get_revents, s);
	if (has_frame(s) && s->base.calls)
		s->base.calls->readable(s->base.card, 0);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs slirp_source_funcs = {
	.prepare = slirp_prepare,
	.check = slirp_check,
	.dispatch = slirp_dispatch,
};

/* --- the backend --- */

static int slirp_net_send(struct net_backend *b, unsigned queue, const struct iovec *iov,
			  unsigned n)
{
	struct slirp_net *s = slirp_of(b);
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		if (iov[i].iov_len > sizeof(s->frame) - len)
			return -EMSGSIZE;
		memcpy(s->frame + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	slirp_input(s->slirp, s->frame, (int)len);
	/* What waited for a guest's address goes when libslirp is polled next: now. */
	if (len > ETH_BYTES && get16(s->frame + ETH_TYPE) == ETH_ARP)
		s->deadline_us = 0;
	return 0;
}

static ssize_t slirp_net_recv(struct net_backend *b, unsigned queue, const struct iovec *iov,
			      unsigned n)
{
	struct slirp_net *s = slirp_of(b);
	g_autoptr(GBytes) frame = g_queue_pop_head(&s->frames);
	const uint8_t *data;
	size_t len, off = 0;

	if (!frame)
		return -EAGAIN;
	data = g_bytes_get_data(frame, &len);
	s->queued_bytes -= len;
	for (unsigned i = 0; i < n && off < len; i++) {
		size_t part = MIN(iov[i].iov_len, len - off);

		memcpy(iov[i].iov_base, data + off, part);
		off += part;
	}
	return (ssize_t)len;
}

static void slirp_want_read(struct net_backend *b, unsigned queue, bool on)
{
	slirp_of(b)->want_read = on;
}

static void slirp_want_write(struct net_backend *b, unsigned queue, bool on)
{
	/* send() never asks for it. */
}

static int slirp_set_offload(struct net_backend *b, unsigned offload)
{
	return offload ? -EOPNOTSUPP : 0;
}

static int slirp_set_queues(struct net_backend *b, unsigned pairs)
{
	return pairs == 1 ? 0 : -EINVAL;
}

static uint64_t slirp_dropped(struct net_backend *b)
{
	return __atomic_load_n(&slirp_of(b)->dropped, __ATOMIC_RELAXED);
}

static void slirp_net_free(struct net_backend *b)
{
	struct slirp_net *s = slirp_of(b);

	if (s->slirp)
		slirp_cleanup(s->slirp);
	for (guint i = 0; i < s->polls->len; i++)
		poll_drop(s, s->polls->pdata[i]);
	g_source_destroy(s->source);
	g_source_unref(s->source);
	g_ptr_array_unref(s->polls);
	g_queue_clear_full(&s->frames, (GDestroyNotify)g_bytes_unref);
	g_main_context_unref(s->base.owner);
	g_free(s);
}

static const struct net_ops slirp_net_ops = {
	.send = slirp_net_send,
	.recv = slirp_net_recv,
	.want_read = slirp_want_read,
	.want_write = slirp_want_write,
	.set_offload = slirp_set_offload,
	.set_queues = slirp_set_queues,
	.dropped = slirp_dropped,
	.free = slirp_net_free,
};

bool slirp_net_is(const struct net_backend *b)
{
	return b->ops == &slirp_net_ops;
}

/* --- making one --- */

static bool config_ipv4(const struct slirp_opts *opts, SlirpConfig *c, GError **error)
{
	unsigned prefix = opts->prefix ? opts->prefix : 24;
	struct in_addr net;

	if (inet_pton(AF_INET, opts->network ? opts->network : "10.0.2.0", &net) != 1)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "user network: '%s' is no IPv4 address", opts->network);
	if (prefix < 8 || prefix > (opts->host ? 30 : 27))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "user network: a prefix of %u; it can be 8 to 27", prefix);
	c->in_enabled = true;
	c->vnetmask.s_addr = htonl(~(UINT32_MAX >> prefix));
	c->vnetwork.s_addr = net.s_addr & c->vnetmask.s_addr;
	c->vhost.s_addr = opts->host ? htonl(opts->host) : c->vnetwork.s_addr | htonl(2);
	c->vnameserver.s_addr = opts->nameserver ? htonl(opts->nameserver)
						 : c->vnetwork.s_addr | htonl(3);
	c->vdhcp_start.s_addr = c->vnetwork.s_addr | (htonl(15) & ~c->vnetmask.s_addr);
	return true;
}

static bool config_ipv6(const struct slirp_opts *opts, SlirpConfig *c, GError **error)
{
	if (!opts->ipv6)
		return true;
	if (inet_pton(AF_INET6, opts->network6 ? opts->network6 : "fec0::",
		      &c->vprefix_addr6) != 1)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "user network: '%s' is no IPv6 address", opts->network6);
	c->vprefix_len = (uint8_t)(opts->prefix6 ? opts->prefix6 : 64);
	if (c->vprefix_len > 126)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "user network: an IPv6 prefix of %u; it can be up to 126",
				 c->vprefix_len);
	c->in6_enabled = true;
	c->vhost6 = c->vnameserver6 = c->vprefix_addr6;
	c->vhost6.s6_addr[15] |= 2;
	c->vnameserver6.s6_addr[15] |= 3;
	return true;
}

static bool config_fill(const struct slirp_opts *opts, SlirpConfig *c, GError **error)
{
	*c = (SlirpConfig){
		.version = 4,
		.restricted = opts->restricted,
		.vhostname = opts->hostname,
		.if_mtu = opts->mtu,
		.if_mru = opts->mtu,
	};
	if (opts->mtu && (opts->mtu < MTU_MIN || opts->mtu > MTU_MAX))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "user network: an MTU of %u; it can be %d to %d", opts->mtu,
				 MTU_MIN, MTU_MAX);
	return config_ipv4(opts, c, error) && config_ipv6(opts, c, error);
}

struct net_backend *slirp_net_new(const struct slirp_opts *opts, GError **error)
{
	g_autoptr(net_backend) b = NULL;
	struct slirp_net *s;
	SlirpConfig config;

	if (!config_fill(opts, &config, error))
		return NULL;
	s = g_new0(struct slirp_net, 1);
	b = &s->base;
	*b = (struct net_backend){ .ops = &slirp_net_ops, .queues = 1 };
	b->owner = g_main_context_ref(opts->owner ? opts->owner : g_main_context_default());
	s->polls = g_ptr_array_new_with_free_func(g_free);
	g_queue_init(&s->frames);
	s->source = g_source_new(&slirp_source_funcs, sizeof(struct slirp_source));
	container_of(s->source, struct slirp_source, base)->net = s;
	g_source_set_static_name(s->source, "slirp");
	s->slirp = slirp_new(&config, &slirp_calls, s);
	if (!s->slirp) {
		error_set(error, VMM_ERR_OPERATION_FAILED, "libslirp %s did not start",
			  slirp_version_string());
		return NULL;
	}
	g_source_attach(s->source, b->owner);
	for (unsigned i = 0; i < opts->n_forwards; i++)
		if (!slirp_forward_add(b, &opts->forwards[i], error))
			return NULL;
	return g_steal_pointer(&b);
}
