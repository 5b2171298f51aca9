/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vsock connection's end on the host: a stream socket, watched by edges, so
 * that a connection costs no system call while nothing happens on it.
 */
#include "config.h"
#include "libvmm/device/vsock-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CONNECT_MS 10000		/* for the guest to answer: it is a driver that answers */
#define LINE_MAX_BYTES 32		/* "CONNECT 4294967295\r\n" has 20 */
#define HOST_PORTS_FROM (1u << 30)	/* as Firecracker and Cloud Hypervisor count */
#define VERB "CONNECT "

/* ---- from the guest ---- */

/* The guest may send as much again: it is told when it has used up half. */
static void conn_forwarded(struct vsock_conn *c, size_t n)
{
	c->forwarded += (uint32_t)n;
	if (c->got - c->told > c->room / 2)
		c->owed |= VSOCK_OWED_CREDIT;
}

/* Bytes that went, at most n; what can't ever go counts as gone. */
static size_t host_write(struct vsock *v, struct vsock_conn *c, struct iovec *iov, unsigned n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	size_t all = 0;
	ssize_t r = -1;

	for (unsigned i = 0; i < n; i++)
		all += iov[i].iov_len;
	if (c->fd >= 0 && !(c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)) {
		if (!c->writable)
			return 0;
		r = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r >= 0)
			return (size_t)r;
		if (errno == EAGAIN || errno == EINTR) {
			c->writable = errno == EINTR;
			return 0;
		}
		c->host_shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	}
	return all;
}

static void buffer_add(struct vsock_conn *c, const struct virtqueue_chain *payload, size_t from)
{
	while (from < payload->out_bytes) {
		uint32_t end = (c->at + c->len) % c->room;
		uint32_t run = MIN(c->room - c->len, c->room - end);

		run = (uint32_t)chain_read(payload, from, c->buf + end, run);
		if (!run)
			return;
		c->touched = true;
		c->len += run;
		from += run;
	}
}

static void buffer_drain(struct vsock *v, struct vsock_conn *c)
{
	while (c->len > 0) {
		uint32_t run = MIN(c->len, c->room - c->at);
		struct iovec iov[] = { { c->buf + c->at, run }, { c->buf, c->len - run } };
		size_t n = host_write(v, c, iov, iov[1].iov_len ? 2 : 1);

		if (!n)
			break;
		c->at = (c->at + (uint32_t)n) % c->room;
		c->len -= (uint32_t)n;
		conn_forwarded(c, n);
	}
	if (c->len)
		return;
	vsock_conn_empty(c);
	if (c->fd >= 0 && c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		shutdown(c->fd, SHUT_WR);
}

void vsock_conn_data(struct vsock *v, struct vsock_conn *c, const struct virtqueue_chain *payload)
{
	size_t n = 0;

	if (c->state != VSOCK_OPEN || c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND ||
	    payload->out_bytes > c->room - (c->got - c->forwarded)) {
		vsock_conn_abort(v, c);
		return;
	}
	c->got += (uint32_t)payload->out_bytes;
	if (!c->len && payload->n_out)
		n = host_write(v, c, payload->out, payload->n_out);
	if (n)
		conn_forwarded(c, n);
	if (n < payload->out_bytes) {
		buffer_add(c, payload, n);
		buffer_drain(v, c);	/* until EAGAIN: only then there will be an edge */
	}
}

/* ---- to the guest: the handshake ---- */

static void host_port_choose(struct vsock *v, struct vsock_conn *c, uint32_t guest_port)
{
	do {
		v->next_port = MAX(v->next_port + 1, HOST_PORTS_FROM);
	} while (v->next_port == UINT32_MAX || vsock_conn_find(v, guest_port, v->next_port));
	vsock_conn_name(v, c, guest_port, v->next_port);
}

static bool line_parse(const char *line, uint32_t *ret_port)
{
	uint64_t port;
	char *end;

	if (g_ascii_strncasecmp(line, VERB, strlen(VERB)) != 0 ||
	    !g_ascii_isdigit(line[strlen(VERB)]))
		return false;
	port = g_ascii_strtoull(line + strlen(VERB), &end, 10);
	*ret_port = (uint32_t)port;
	return port < UINT32_MAX && (!*end || g_str_equal(end, "\r"));
}

/* Looked at and left there until it is whole: what follows the line is the guest's. */
static void handshake(struct vsock *v, struct vsock_conn *c)
{
	char line[LINE_MAX_BYTES + 1];
	ssize_t n = recv(c->fd, line, LINE_MAX_BYTES, MSG_PEEK | MSG_DONTWAIT);
	char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	uint32_t port;

	if (!end && !c->hup && (n < 0 ? errno == EAGAIN : n > 0 && n < LINE_MAX_BYTES))
		return;			/* an edge tells of more */
	if (end)
		*end = 0;
	if (!end || !line_parse(line, &port) ||
	    recv(c->fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT) < 0) {
		vsock_conn_free(v, c);
		return;
	}
	host_port_choose(v, c, port);
	c->state = VSOCK_REQUESTED;
	c->owed |= VSOCK_OWED_REQUEST;
	vsock_conn_deadline(v, c, CONNECT_MS);
	vsock_conn_kick(v, c);
}

void vsock_conn_accepted(struct vsock *v, struct vsock_conn *c)
{
	char line[32];
	int n = g_snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	if (c->state != VSOCK_REQUESTED ||
	    send(c->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n) {
		vsock_conn_abort(v, c);
		return;
	}
	c->state = VSOCK_OPEN;
	vsock_conn_deadline(v, c, 0);
}

/* ---- from the guest: the door's answer ---- */

void vsock_conn_answered(struct vsock *v, struct vsock_conn *c, int fd)
{
	c->fd = fd;
	if (fd < 0 || !vsock_watch(v, c)) {
		vsock_conn_abort(v, c);
		return;
	}
	c->state = VSOCK_OPEN;
	c->owed |= VSOCK_OWED_RESPONSE;
	vsock_conn_kick(v, c);
}

/* ---- edges ---- */

static void linger_event(struct vsock *v, struct vsock_conn *c)
{
	buffer_drain(v, c);
	if (!c->len || c->fd < 0)
		vsock_conn_free(v, c);
}

void vsock_conn_event(struct vsock *v, struct vsock_conn *c, uint32_t events)
{
	bool hup = events & (EPOLLHUP | EPOLLERR);

	c->readable |= hup || events & (EPOLLIN | EPOLLRDHUP);
	c->writable |= hup || events & EPOLLOUT;
	c->hup |= hup;
	switch (c->state) {
	case VSOCK_HANDSHAKE:
		handshake(v, c);
		return;
	case VSOCK_REQUESTED:
		if (hup)
			vsock_conn_abort(v, c);
		return;
	case VSOCK_OPEN:
		if (c->len > 0)
			buffer_drain(v, c);
		if (hup && (c->eof || c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
			vsock_conn_eof(v, c, true);
		else
			vsock_conn_kick(v, c);
		return;
	case VSOCK_LINGER:
		linger_event(v, c);
		return;
	default:
		return;
	}
}
