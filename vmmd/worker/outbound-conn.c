/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection of the outbound proxy: a SOCKS request, the decision, the
 * addresses one after the other, then bytes both ways.
 *
 * The decision is made twice.  A name is looked for in the rules before anybody
 * is asked for its addresses; then each address is looked at, and the one that
 * passed is the one that is connected to: whoever owns an allowed name can point
 * it at a machine beside the host (DNS rebinding), but not lead us there.
 */
#include "config.h"
#include "vmmd/worker/outbound-priv.h"

#include <errno.h>
#include <glib.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"

#define GREET_MS 15000	/* for a client to say what it wants */
#define REACH_MS 20000	/* from then on, to find the name and to connect */
#define ADDRESS_MS 6000	/* for each address but the last */

int64_t outbound_now_ms(void)
{
	return g_get_monotonic_time() / 1000;
}

/* ---- the client ---- */

/* Few bytes into an empty socket: who does not take them is none of ours. */
static bool client_send(const struct conn *c, const uint8_t *out, size_t n)
{
	return !n || send(c->client, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* false, so that a function can return it: the connection is over. */
static bool client_refuse(const struct conn *c, enum socks_code code)
{
	uint8_t out[SOCKS_OUT_MAX];

	client_send(c, out, socks_reply(out, code));
	return false;
}

static char *wanted_text(const struct conn *c)
{
	bool v6 = !c->socks.is_name && strchr(c->socks.host, ':');

	return g_strdup_printf(v6 ? "[%s]:%u" : "%s:%u", c->socks.host, c->socks.port);
}

/* ---- what is allowed ---- */

static bool refuse(const struct outbound *o, const struct conn *c)
{
	g_autofree char *what = wanted_text(c);
	g_autofree char *why = g_strdup_printf("there is no <vmm:proxy allow='%s'/>", what);

	refusals_tell(o->refusals, what, why);
	return client_refuse(c, SOCKS_FORBIDDEN);
}

static bool refuse_address(const struct outbound *o, const struct conn *c,
			   const struct inet_address *a, const char *kind)
{
	char text[INET_TEXT_BYTES];
	g_autofree char *what = wanted_text(c), *why = NULL;

	inet_address_to_text(a, text);
	why = g_strdup_printf(a->v6 ? "the name leads to %s, %s, and there is no "
				      "<vmm:proxy allow='[%s]:%u'/>" :
				      "the name leads to %s, %s, and there is no "
				      "<vmm:proxy allow='%s:%u'/>",
			      text, kind, text, c->socks.port);
	refusals_tell(o->refusals, what, why);
	return client_refuse(c, SOCKS_FORBIDDEN);
}

/* Whoever talks to himself does so from the address that he talks to; nothing is sent for that. */
static bool is_own(const struct inet_address *a)
{
	union inet_sockaddr sa, from;
	socklen_t bytes = inet_address_to_sockaddr(a, 9, &sa), from_bytes = sizeof(from);
	auto_close int fd = socket(sa.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct inet_address source;

	return fd >= 0 && connect(fd, &sa.any, bytes) == 0 &&
	       getsockname(fd, &from.any, &from_bytes) == 0 &&
	       inet_address_from_sockaddr(&from.any, &source) &&
	       source.v6 == a->v6 && !memcmp(source.bytes, a->bytes, sizeof(a->bytes));
}

/* NULL: it may be connected to; else what is the matter with it. */
static const char *address_judge(const struct outbound *o, const struct conn *c,
				 const struct inet_address *a)
{
	const char *special = inet_address_special(a);
	bool own = is_own(a);

	if (allow_address(o->rules, o->n_rules, a, own, c->socks.port))
		return NULL;
	if (!c->socks.is_name)
		return "not allowed";
	return special ?: own ? "an address of this host" : NULL;
}

/* The addresses that may be connected to stay. */
static bool addresses_judge(const struct outbound *o, struct conn *c)
{
	struct inet_address bad = { 0 };
	const char *kind = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		const char *why = address_judge(o, c, &c->found[i]);

		if (!why) {
			c->found[n++] = c->found[i];
		} else if (!kind) {
			kind = why;
			bad = c->found[i];
		}
	}
	c->n = n;
	if (n > 0)
		return true;
	return c->socks.is_name ? refuse_address(o, c, &bad, kind) : refuse(o, c);
}

/* ---- connecting ---- */

/* With the next address, until one of them may become something. */
static bool connect_next(struct conn *c)
{
	const int yes = 1;

	for (; c->at < c->n; c->at++) {
		union inet_sockaddr sa;
		socklen_t bytes = inet_address_to_sockaddr(&c->found[c->at], c->socks.port, &sa);
		auto_close int fd = socket(sa.any.sa_family,
					   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0 || (connect(fd, &sa.any, bytes) < 0 && errno != EINPROGRESS)) {
			c->error = errno;
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
		c->remote = TAKE_FD(fd);
		c->next_ms = ++c->at < c->n ? outbound_now_ms() + ADDRESS_MS : c->until_ms;
		return true;
	}
	return client_refuse(c, socks_code_of(c->error));
}

static bool addresses_try(const struct outbound *o, struct conn *c)
{
	c->stage = CONN_CONNECTS;
	return addresses_judge(o, c) && connect_next(c);
}

static bool connected(struct conn *c)
{
	uint8_t out[SOCKS_OUT_MAX];

	if (!client_send(c, out, socks_reply(out, SOCKS_DONE)))
		return false;
	c->join = join_new(c->client, c->remote);
	c->client = c->remote = -1;
	c->stage = CONN_JOINED;
	return c->join;
}

static bool on_connects(struct conn *c, short revents)
{
	socklen_t bytes = sizeof(c->error);

	if (!revents && outbound_now_ms() < c->next_ms)
		return true;
	if (!revents)
		c->error = ETIMEDOUT;
	else if (getsockopt(c->remote, SOL_SOCKET, SO_ERROR, &c->error, &bytes) < 0)
		c->error = errno;
	if (!c->error)
		return connected(c);
	fd_close(&c->remote);
	return connect_next(c);
}

/* ---- the request ---- */

static bool wants(const struct outbound *o, struct conn *c)
{
	c->until_ms = outbound_now_ms() + REACH_MS;
	if (!c->socks.is_name) {
		c->n = inet_address_from_text(c->socks.host, &c->found[0]);
		return c->n ? addresses_try(o, c) : client_refuse(c, SOCKS_NO_HOST);
	}
	if (!allow_name(o->rules, o->n_rules, c->socks.host, c->socks.port))
		return refuse(o, c);
	c->stage = CONN_NAME;
	c->question = names_ask(o->names, c->socks.host);
	return true;
}

bool conn_answered(const struct outbound *o, struct conn *c, const struct question *q)
{
	c->question = NULL;
	c->n = q->n;
	memcpy(c->found, q->found, sizeof(c->found));
	return c->n ? addresses_try(o, c) : client_refuse(c, SOCKS_NO_HOST);
}

/* What follows the request is for the other end, and stays in the socket. */
static bool on_greets(const struct outbound *o, struct conn *c)
{
	uint8_t data[sizeof(c->socks.got)], out[SOCKS_OUT_MAX];
	ssize_t n = recv(c->client, data, sizeof(data), MSG_PEEK);
	size_t used, answer;
	enum socks_result r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	r = socks_take(&c->socks, data, (size_t)n, &used, out, &answer);
	if (recv(c->client, data, used, 0) != (ssize_t)used || !client_send(c, out, answer))
		return false;
	return r == SOCKS_WANTS ? wants(o, c) : r == SOCKS_MORE;
}

/* ---- for the loop ---- */

void conn_begin(struct conn *c, int client)
{
	*c = (struct conn){ .client = client, .remote = -1,
			    .until_ms = outbound_now_ms() + GREET_MS };
}

void conn_end(const struct outbound *o, struct conn *c)
{
	if (c->question)
		names_leave(o->names, g_steal_pointer(&c->question));
	if (c->join)
		join_free(g_steal_pointer(&c->join), c->stage != CONN_OVER);
	fd_close(&c->client);
	fd_close(&c->remote);
}

int64_t conn_wait(const struct conn *c, struct pollfd ret[2])
{
	ret[0] = ret[1] = (struct pollfd){ .fd = -1 };
	switch (c->stage) {
	case CONN_GREETS:
		ret[0] = (struct pollfd){ .fd = c->client, .events = POLLIN };
		return c->until_ms;
	case CONN_NAME:
		/* nothing is read, but that it has gone is seen */
		ret[0] = (struct pollfd){ .fd = c->client };
		return c->until_ms;
	case CONN_CONNECTS:
		ret[0] = (struct pollfd){ .fd = c->client };
		ret[1] = (struct pollfd){ .fd = c->remote, .events = POLLOUT };
		return MIN(c->next_ms, c->until_ms);
	case CONN_JOINED:
		join_wait(c->join, ret);
		return -1;
	case CONN_OVER:
		break;
	}
	return 0;
}

static bool joined_go(struct conn *c, const struct pollfd polled[2])
{
	enum join_result r = join_go(c->join, polled);

	if (r == JOIN_OVER)
		c->stage = CONN_OVER;
	return r == JOIN_GOES;
}

bool conn_go(const struct outbound *o, struct conn *c, const struct pollfd polled[2])
{
	if (c->stage == CONN_JOINED)
		return joined_go(c, polled);
	if (polled[0].revents)
		return c->stage == CONN_GREETS && on_greets(o, c);
	/* What has come counts, however late we are: the host may be busy. */
	if (outbound_now_ms() >= c->until_ms && !polled[1].revents)
		return c->stage != CONN_GREETS && client_refuse(c, SOCKS_NO_HOST);
	return c->stage != CONN_CONNECTS || on_connects(c, polled[1].revents);
}
