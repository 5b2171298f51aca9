/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connections of a vsock: slots, names, credit, and how they end.
 *
 * The end (5.10.6.6).  The guest's SHUTDOWN of both directions, or its RST,
 * takes the connection's name from it at once, and the guest gets its RST; what
 * the host has not read by then lingers in the slot.  The host's end tells
 * SHUTDOWN when all that it has sent is in the guest's buffers; if no RST
 * answers one of both directions, we send it.
 */
#include "config.h"
#include "libvmm/device/vsock-priv.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "libvmm/util/error.h"

#define CLOSE_MS 8000			/* as long as Linux waits for the RST */
#define CREDIT_MS 1000
#define TOKEN_INDEX_BITS 11
#define BUFFERS_BYTES (VSOCK_LARGE * (size_t)VSOCK_LARGE_BYTES + \
		       (VSOCK_CONNS_MAX - VSOCK_LARGE) * (size_t)VSOCK_SMALL_BYTES)

static_assert(VSOCK_CONNS_MAX == 1 << TOKEN_INDEX_BITS, "a slot's index is in its token");

/* ---- slots ---- */

static void conn_move(struct vsock_conn *c, GQueue *to)
{
	if (c->in)
		g_queue_unlink(c->in, &c->link);
	c->in = to;
	if (to)
		g_queue_push_tail_link(to, &c->link);
}

bool vsock_conns_init(struct vsock *v, GError **error)
{
	uint8_t *at;

	v->buffers = mmap(NULL, BUFFERS_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v->buffers == MAP_FAILED) {
		v->buffers = NULL;
		return error_errno(error, errno, "%s: room for connections", v->vdev.name);
	}
	/* A huge page for one byte would be a guest's cheap way to much memory. */
	madvise(v->buffers, BUFFERS_BYTES, MADV_NOHUGEPAGE);
	v->conns = g_new0(struct vsock_conn, VSOCK_CONNS_MAX);
	at = v->buffers;
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct vsock_conn *c = &v->conns[i];

		c->link.data = c;
		c->index = i;
		c->fd = -1;
		c->room = i < VSOCK_LARGE ? VSOCK_LARGE_BYTES : VSOCK_SMALL_BYTES;
		c->buf = at;
		at += c->room;
		conn_move(c, i < VSOCK_LARGE ? &v->large : &v->small);
	}
	return true;
}

void vsock_conns_done(struct vsock *v)
{
	if (!v->conns)
		return;
	vsock_conns_drop(v);
	munmap(v->buffers, BUFFERS_BYTES);
	g_free(v->conns);
	v->conns = NULL;
}

struct vsock_conn *vsock_conn_new(struct vsock *v, enum vsock_state state, int fd)
{
	GList *link = g_queue_peek_head_link(v->large.length ? &v->large : &v->small);
	struct vsock_conn *c = link ? link->data : NULL;

	if (!c)
		return NULL;
	conn_move(c, NULL);
	*c = (struct vsock_conn){
		.link = { .data = c }, .index = c->index, .life = c->life + 1, .state = state,
		.fd = fd, .writable = true, .buf = c->buf, .room = c->room,
	};
	atomic_fetch_add(&v->n_conns, 1);
	return c;
}

static struct vsock_conn **bucket_of(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	uint32_t h = guest_port * 0x9e3779b1u ^ host_port * 0x85ebca6bu;

	return &v->buckets[(h ^ h >> 16) % VSOCK_BUCKETS];
}

struct vsock_conn *vsock_conn_find(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c = *bucket_of(v, guest_port, host_port);

	while (c && (c->guest_port != guest_port || c->host_port != host_port))
		c = c->next_hash;
	return c;
}

void vsock_conn_name(struct vsock *v, struct vsock_conn *c, uint32_t guest_port,
		     uint32_t host_port)
{
	struct vsock_conn **bucket = bucket_of(v, guest_port, host_port);

	c->guest_port = guest_port;
	c->host_port = host_port;
	c->next_hash = *bucket;
	*bucket = c;
	c->hashed = true;
}

static void conn_unname(struct vsock *v, struct vsock_conn *c)
{
	struct vsock_conn **p = bucket_of(v, c->guest_port, c->host_port);

	if (!c->hashed)
		return;
	while (*p != c)
		p = &(*p)->next_hash;
	*p = c->next_hash;
	c->hashed = false;
}

void vsock_conn_empty(struct vsock_conn *c)
{
	if (c->touched)
		madvise(c->buf, c->room, MADV_DONTNEED);
	c->touched = false;
	c->at = c->len = 0;
}

void vsock_conn_free(struct vsock *v, struct vsock_conn *c)
{
	conn_unname(v, c);
	vsock_conn_deadline(v, c, 0);
	fd_close(&c->fd);
	vsock_conn_empty(c);
	c->state = VSOCK_FREE;
	conn_move(c, c->index < VSOCK_LARGE ? &v->large : &v->small);
	atomic_fetch_sub(&v->n_conns, 1);
}

void vsock_conns_drop(struct vsock *v)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX && atomic_load(&v->n_conns) > 0; i++)
		if (v->conns[i].state != VSOCK_FREE)
			vsock_conn_free(v, &v->conns[i]);
	v->reset_at = v->n_resets = 0;
	v->tx_waits = false;
}

uint32_t vsock_conn_token(const struct vsock_conn *c)
{
	return c->life << TOKEN_INDEX_BITS | c->index;
}

struct vsock_conn *vsock_conn_by_token(struct vsock *v, uint32_t token)
{
	struct vsock_conn *c = &v->conns[token % VSOCK_CONNS_MAX];

	return c->state != VSOCK_FREE && vsock_conn_token(c) == token ? c : NULL;
}

void vsock_conn_deadline(struct vsock *v, struct vsock_conn *c, unsigned ms)
{
	v->n_deadlines += (ms > 0) - (c->deadline_us > 0);
	c->deadline_us = ms ? g_get_monotonic_time() + ms * INT64_C(1000) : 0;
	if (ms)
		vsock_tick_soon(v);
}

/*
 * Most guests tell of room by themselves, when there is much.  To ask at once
 * would make them tell of each little bit.
 */
static void credit_ask(struct vsock *v, struct vsock_conn *c)
{
	c->owed |= VSOCK_OWED_CREDIT_REQUEST;
	vsock_conn_deadline(v, c, CREDIT_MS);
	vsock_conn_kick(v, c);
}

void vsock_conn_credited(struct vsock *v, struct vsock_conn *c)
{
	if (!c->starved || !vsock_conn_credit(c))
		return;
	c->starved = false;
	if (!c->eof)
		vsock_conn_deadline(v, c, 0);
}

void vsock_conns_tick(struct vsock *v, int64_t now_us)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX && v->n_deadlines > 0; i++) {
		struct vsock_conn *c = &v->conns[i];

		if (!c->deadline_us || c->deadline_us > now_us)
			continue;
		if (c->state == VSOCK_HANDSHAKE)
			vsock_conn_free(v, c);
		else if (c->state == VSOCK_OPEN && !c->eof)
			credit_ask(v, c);
		else
			vsock_conn_abort(v, c);
	}
}

/* ---- what it has for the guest ---- */

uint32_t vsock_conn_credit(const struct vsock_conn *c)
{
	uint32_t in_flight = c->sent - c->peer_fwd;

	/* A guest may shrink its buffer under what is on its way. */
	return in_flight < c->peer_alloc ? c->peer_alloc - in_flight : 0;
}

static bool has_data(const struct vsock_conn *c)
{
	return c->state == VSOCK_OPEN && c->readable && !c->eof &&
	       !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

void vsock_conn_kick(struct vsock *v, struct vsock_conn *c)
{
	if (has_data(c) && !vsock_conn_credit(c) && !c->starved) {
		c->starved = true;
		vsock_conn_deadline(v, c, CREDIT_MS);
	}
	if (c->in || c->state == VSOCK_FREE)
		return;
	if (c->owed || c->host_shut & ~c->told_shut || (has_data(c) && vsock_conn_credit(c)))
		conn_move(c, &v->ready);
}

void vsock_conn_requeue(struct vsock *v, struct vsock_conn *c)
{
	if (c->in == &v->ready)
		conn_move(c, NULL);
	vsock_conn_kick(v, c);
}

/* ---- ends ---- */

void vsock_conn_abort(struct vsock *v, struct vsock_conn *c)
{
	if (c->state == VSOCK_LINGER || !c->hashed) {
		vsock_conn_free(v, c);
		return;
	}
	fd_close(&c->fd);
	vsock_conn_empty(c);
	vsock_conn_deadline(v, c, 0);
	c->state = VSOCK_DEAD;
	c->owed = VSOCK_OWED_RST;
	vsock_conn_kick(v, c);
}

void vsock_conn_eof(struct vsock *v, struct vsock_conn *c, bool error)
{
	c->eof = true;
	c->hup |= error;
	c->host_shut |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (c->hup) {
		c->host_shut = VSOCK_SHUT_BOTH;
		vsock_conn_empty(c);
		fd_close(&c->fd);
		vsock_conn_deadline(v, c, CLOSE_MS);
	}
	vsock_conn_kick(v, c);
}

/* The guest is through with it; what it has sent is still the host's. */
static void conn_linger(struct vsock *v, struct vsock_conn *c)
{
	conn_unname(v, c);
	conn_move(c, NULL);
	vsock_conn_deadline(v, c, 0);
	c->owed = 0;
	c->host_shut = c->told_shut = 0;
	c->state = VSOCK_LINGER;
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RD);
}

void vsock_conn_reset(struct vsock *v, struct vsock_conn *c)
{
	if (c->state == VSOCK_OPEN && c->len && c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		conn_linger(v, c);
	else
		vsock_conn_free(v, c);
}

void vsock_conn_shutdown(struct vsock *v, struct vsock_conn *c, uint32_t flags)
{
	if (c->state != VSOCK_OPEN) {
		vsock_conn_abort(v, c);
		return;
	}
	c->guest_shut |= flags & VSOCK_SHUT_BOTH;
	if (c->guest_shut == VSOCK_SHUT_BOTH && c->len) {
		vsock_reset_later(v, &(struct vsock_reset){
			.src_cid = VSOCK_CID_HOST, .dst_cid = v->cid, .src_port = c->host_port,
			.dst_port = c->guest_port, .type = VIRTIO_VSOCK_TYPE_STREAM });
		conn_linger(v, c);
	} else if (c->guest_shut == VSOCK_SHUT_BOTH) {
		vsock_conn_abort(v, c);
	} else if (c->hup && c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		vsock_conn_eof(v, c, true);	/* no edge will tell of it any more */
	} else if (c->fd >= 0) {
		if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
			shutdown(c->fd, SHUT_RD);
		if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND && !c->len)
			shutdown(c->fd, SHUT_WR);
	}
}
