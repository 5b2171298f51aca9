/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports, learning, and the way of a frame.
 *
 * A batch is read from one port into s->frames; forwarding notes pointers at
 * each receiver, and at the end of the batch each receiver's are sent by one
 * system call.  Only what its socket does not take is copied.
 */
#include "config.h"
#include "libvmm/net/switch-priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

#include "libvmm/net/port.h"
#include "libvmm/util/error.h"

#define QUEUE_FRAMES 512
#define QUEUE_BYTES (1024 * 1024)
#define LEARNED_US (300 * G_USEC_PER_SEC)

struct switch_source {
	GSource base;
	struct switch_port *port;
};

/* ---- sending ---- */

static void queue_add(struct switch_port *p, const uint8_t *data, size_t len)
{
	if (p->queue.length >= QUEUE_FRAMES || p->queued_bytes + len > QUEUE_BYTES) {
		p->dropped++;
		return;
	}
	if (!p->queue.length)
		g_source_modify_unix_fd(p->source, p->tag, G_IO_IN | G_IO_OUT);
	g_queue_push_tail(&p->queue, g_bytes_new(data, len));
	p->queued_bytes += len;
}

/* How many of the packets went. */
static unsigned packets_send(struct switch_port *p, struct iovec *iov, unsigned n)
{
	struct mmsghdr msgs[SWITCH_BATCH];
	int r;

	for (unsigned i = 0; i < n; i++)
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	r = sendmmsg(p->fd, msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
		p->dead = true;
	return r < 0 ? 0 : (unsigned)r;
}

static void port_flush(struct switch_port *p)
{
	unsigned sent = 0;

	if (!p->queue.length && p->n_pending && !p->dead)
		sent = packets_send(p, p->pending, p->n_pending);
	for (unsigned i = sent; i < p->n_pending && !p->dead; i++)
		queue_add(p, p->pending[i].iov_base, p->pending[i].iov_len);
	p->n_pending = 0;
}

static void queue_send(struct switch_port *p)
{
	struct iovec iov[SWITCH_BATCH];
	unsigned n = 0, sent;

	for (GList *l = p->queue.head; l && n < SWITCH_BATCH; l = l->next, n++) {
		iov[n].iov_base = (void *)g_bytes_get_data(l->data, &iov[n].iov_len);
	}
	sent = packets_send(p, iov, n);
	for (unsigned i = 0; i < sent; i++) {
		p->queued_bytes -= iov[i].iov_len;
		g_bytes_unref(g_queue_pop_head(&p->queue));
	}
	if (!p->queue.length)
		g_source_modify_unix_fd(p->source, p->tag, G_IO_IN);
}

static void emit_copy(void *opaque, const uint8_t *data, size_t len)
{
	queue_add(opaque, data, len);
}

static bool is_batched(const struct net_switch *s, const uint8_t *data)
{
	return data >= s->frames[0] && data < s->frames[0] + sizeof(s->frames);
}

static void port_deliver(struct switch_port *p, uint8_t *data, size_t len)
{
	struct net_switch *s = p->sw;
	unsigned lacks = offload_needs(data) & ~p->offload;

	if (p->dead)
		return;
	if (lacks & ~(unsigned)NET_OFFLOAD_CSUM) {
		port_flush(p);
		offload_segment(data, len, s->scratch, emit_copy, p);
		return;
	}
	if (lacks)
		offload_checksum(data, len);
	if (!is_batched(s, data) || p->n_pending == SWITCH_BATCH) {
		struct iovec one = { data, len };

		port_flush(p);
		if (p->queue.length || !packets_send(p, &one, 1))
			queue_add(p, data, len);
		return;
	}
	p->pending[p->n_pending++] = (struct iovec){ data, len };
}

void switch_flush(struct net_switch *s)
{
	for (unsigned i = s->ports->len; i-- > 0;) {
		struct switch_port *p = s->ports->pdata[i];

		port_flush(p);
		if (!p->dead)
			continue;
		if (s->o.port_gone)
			s->o.port_gone(p, s->o.opaque);
		switch_port_remove(p);
	}
}

/* ---- learning ---- */

static struct learned *learn_set(struct net_switch *s, const uint8_t *mac)
{
	uint32_t h = (get32(mac + 2) ^ get16(mac)) * 0x9e3779b1u;

	return s->table[h >> 24 & (LEARN_SETS - 1)];
}

static struct switch_port *own_port(struct net_switch *s, const uint8_t *mac)
{
	for (unsigned i = 0; i < s->ports->len; i++) {
		struct switch_port *p = s->ports->pdata[i];

		if (!memcmp(p->mac, mac, MAC_BYTES))
			return p;
	}
	return NULL;
}

static void learn(struct net_switch *s, struct switch_port *from, const uint8_t *mac)
{
	struct learned *set = learn_set(s, mac), *at = set;

	for (unsigned i = 0; i < LEARN_WAYS; i++) {
		if (set[i].port && !memcmp(set[i].mac, mac, MAC_BYTES)) {
			at = &set[i];
			break;
		}
		if (!set[i].port || (at->port && set[i].seen_us < at->seen_us))
			at = &set[i];
	}
	memcpy(at->mac, mac, MAC_BYTES);
	at->port = from;
	at->seen_us = s->now_us;
}

static struct switch_port *whose(struct net_switch *s, const uint8_t *mac)
{
	struct switch_port *own = own_port(s, mac);
	const struct learned *set = learn_set(s, mac);

	for (unsigned i = 0; !own && i < LEARN_WAYS; i++)
		if (set[i].port && !memcmp(set[i].mac, mac, MAC_BYTES) &&
		    s->now_us - set[i].seen_us < LEARNED_US)
			return set[i].port;
	return own;
}

/* May that port speak as that card? */
static bool may_speak(struct net_switch *s, struct switch_port *from, const uint8_t *mac)
{
	struct switch_port *own;

	if (!memcmp(mac, from->mac, MAC_BYTES))
		return true;
	own = own_port(s, mac);
	if (mac[0] & 1 || !memcmp(mac, s->o.mac, MAC_BYTES) || (own && own != from))
		return false;
	learn(s, from, mac);
	return true;
}

/* ---- the way of a frame ---- */

void switch_forward(struct net_switch *s, struct switch_port *from, uint8_t *data, size_t len)
{
	const uint8_t *to = frame_of(data) + ETH_DST;
	struct switch_port *p = to[0] & 1 ? NULL : whose(s, to);

	if (p) {
		if (p != from)
			port_deliver(p, data, len);
		return;
	}
	for (unsigned i = 0; i < s->ports->len; i++) {
		p = s->ports->pdata[i];
		if (p != from)
			port_deliver(p, data, len);
	}
}

static void note_take(struct switch_port *p, const uint8_t *data)
{
	uint32_t offload;

	memcpy(&offload, data, sizeof(offload));
	p->offload = offload & (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 |
				NET_OFFLOAD_ECN);
}

static void frame_take(struct net_switch *s, struct switch_port *from, uint8_t *data, size_t len)
{
	uint8_t *frame = frame_of(data);

	if (len == PORT_NOTE_BYTES) {
		note_take(from, data);
		return;
	}
	if (len < NET_HDR_BYTES + ETH_BYTES || !offload_check(data, len) ||
	    !may_speak(s, from, frame + ETH_SRC)) {
		from->dropped++;
		return;
	}
	if (!memcmp(frame + ETH_DST, s->o.mac, MAC_BYTES)) {
		gateway_input(s, from, data, len);
		return;
	}
	switch_forward(s, from, data, len);
	if (frame[ETH_DST] & 1)
		gateway_input(s, from, data, len);
}

static void batch_take(struct net_switch *s, struct switch_port *p)
{
	struct mmsghdr msgs[SWITCH_BATCH];
	struct iovec iov[SWITCH_BATCH];
	int n;

	for (unsigned i = 0; i < SWITCH_BATCH; i++) {
		iov[i] = (struct iovec){ s->frames[i], FRAME_ROOM };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	n = recvmmsg(p->fd, msgs, SWITCH_BATCH, MSG_DONTWAIT, NULL);
	s->now_us = g_get_monotonic_time();
	for (int i = 0; i < n; i++) {
		if (msgs[i].msg_len == 0)
			p->dead = true;
		else if (!(msgs[i].msg_hdr.msg_flags & MSG_TRUNC))
			frame_take(s, p, s->frames[i], msgs[i].msg_len);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		p->dead = true;
}

static gboolean port_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct switch_port *p = container_of(source, struct switch_source, base)->port;
	struct net_switch *s = p->sw;
	GIOCondition c = g_source_query_unix_fd(source, p->tag);

	if (c & G_IO_OUT && p->queue.length)
		queue_send(p);
	if (c & G_IO_IN)
		batch_take(s, p);
	else if (c & (G_IO_HUP | G_IO_ERR | G_IO_NVAL))
		p->dead = true;
	switch_flush(s);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs port_source_funcs = { .dispatch = port_dispatch };

/* ---- ports ---- */

struct switch_port *switch_port_find(struct net_switch *s, const char *key)
{
	for (unsigned i = 0; i < s->ports->len; i++) {
		struct switch_port *p = s->ports->pdata[i];

		if (g_str_equal(p->key, key))
			return p;
	}
	return NULL;
}

static bool port_may_be(struct net_switch *s, const struct switch_port_opts *o, GError **error)
{
	const struct switch_port *other = own_port(s, o->mac);
	char mac[MAC_TEXT_BYTES];

	mac_to_text(o->mac, mac);
	if (s->ports->len >= SWITCH_PORTS_MAX)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the network has %u guests' cards, and no more ports",
				 SWITCH_PORTS_MAX);
	if (other || !memcmp(o->mac, s->o.mac, MAC_BYTES))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the MAC address %s is that of %s%s", mac,
				 other ? "another card of the network, of domain " :
					 "the network's gateway", other ? other->name : "");
	return true;
}

struct switch_port *switch_port_add(struct net_switch *s, const struct switch_port_opts *opts,
				    GError **error)
{
	struct switch_port *p = switch_port_find(s, opts->key);
	auto_close int fd = opts->fd;

	if (p)
		switch_port_remove(p);
	if (!port_may_be(s, opts, error) || !g_unix_set_fd_nonblocking(fd, TRUE, error))
		return NULL;
	p = g_new0(struct switch_port, 1);
	p->sw = s;
	p->key = g_strdup(opts->key);
	p->name = g_ascii_strdown(opts->name, -1);
	p->number = ++s->last_number;
	memcpy(p->mac, opts->mac, MAC_BYTES);
	g_queue_init(&p->queue);
	p->source = g_source_new(&port_source_funcs, sizeof(struct switch_source));
	container_of(p->source, struct switch_source, base)->port = p;
	g_source_set_static_name(p->source, "port");
	p->tag = g_source_add_unix_fd(p->source, fd, G_IO_IN);
	p->fd = TAKE_FD(fd);
	g_source_attach(p->source, s->o.owner);
	g_ptr_array_add(s->ports, p);
	return p;
}

void switch_port_remove(struct switch_port *p)
{
	struct net_switch *s = p->sw;

	for (unsigned i = 0; i < LEARN_SETS; i++)
		for (unsigned k = 0; k < LEARN_WAYS; k++)
			if (s->table[i][k].port == p)
				s->table[i][k].port = NULL;
	g_ptr_array_remove_fast(s->ports, p);
	g_source_destroy(p->source);
	g_source_unref(p->source);
	fd_close(&p->fd);
	g_queue_clear_full(&p->queue, (GDestroyNotify)g_bytes_unref);
	g_free(p->key);
	g_free(p->name);
	g_free(p);
}

const char *switch_port_key(const struct switch_port *port)
{
	return port->key;
}

const uint8_t *switch_port_mac(const struct switch_port *port)
{
	return port->mac;
}

unsigned switch_port_number(const struct switch_port *port)
{
	return port->number;
}

GPtrArray *switch_ports(struct net_switch *s)
{
	return s->ports;
}

/* ---- the switch ---- */

struct dhcp *switch_dhcp(struct net_switch *s)
{
	return s->o.dhcp;
}

struct dns *switch_dns(struct net_switch *s)
{
	return s->dns;
}

struct net_backend *switch_uplink(struct net_switch *s)
{
	return s->o.uplink;
}

struct net_switch *switch_new(const struct switch_opts *opts)
{
	struct net_switch *s = g_new0(struct net_switch, 1);

	s->o = *opts;
	s->domain = g_strdup(opts->domain);
	s->o.domain = s->domain;
	s->ports = g_ptr_array_new();
	gateway_init(s);
	return s;
}

void switch_free(struct net_switch *s)
{
	if (!s)
		return;
	while (s->ports->len)
		switch_port_remove(s->ports->pdata[0]);
	g_ptr_array_unref(s->ports);
	net_backend_free(s->o.uplink);
	dhcp_free(s->o.dhcp);
	dns_free(s->dns);
	g_free(s->domain);
	g_free(s);
}
