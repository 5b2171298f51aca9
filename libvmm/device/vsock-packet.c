/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets between the queues and the connections (virtio 1.2, 5.10.6).
 *
 * What the guest sends goes straight from its memory into the socket.  To the
 * guest, one read fills a batch of its buffers behind the places of their
 * headers; the headers follow, and buffers that were not needed are given back.
 */
#include "config.h"
#include "libvmm/device/vsock-priv.h"

#include <errno.h>
#include <sys/socket.h>

#define TURN_PACKETS 64
#define TURN_BYTES (1u << 20)
#define TURN_CONNS 64
#define TURN_REFILLS 8			/* of the guest's buffers */
#define BATCH_BYTES (64u << 10)

/* ---- to the guest ---- */

/* 1: a buffer of the guest; 0: none, or a driver that broke the device. */
static int rx_pop(struct vsock *v, struct virtqueue_chain *chain)
{
	if (!virtio_pop(&v->vdev, VSOCK_RX, chain))
		return 0;
	if (chain->in_bytes > VSOCK_HDR_BYTES)
		return 1;
	virtio_broken(&v->vdev, "a receive buffer of %zu bytes holds no packet", chain->in_bytes);
	virtqueue_unpop(virtio_queue(&v->vdev, VSOCK_RX), 1);
	return 0;
}

/* A packet of a connection; each tells what the guest may send. */
static struct virtio_vsock_hdr header_of(struct vsock *v, struct vsock_conn *c, unsigned op,
					 uint32_t flags, size_t len)
{
	c->told = c->forwarded;
	c->owed &= ~(unsigned)VSOCK_OWED_CREDIT;
	return (struct virtio_vsock_hdr){
		.src_cid = GUINT64_TO_LE(VSOCK_CID_HOST), .dst_cid = GUINT64_TO_LE(v->cid),
		.src_port = GUINT32_TO_LE(c->host_port), .dst_port = GUINT32_TO_LE(c->guest_port),
		.len = GUINT32_TO_LE((uint32_t)len),
		.type = GUINT16_TO_LE(VIRTIO_VSOCK_TYPE_STREAM), .op = GUINT16_TO_LE(op),
		.flags = GUINT32_TO_LE(flags), .buf_alloc = GUINT32_TO_LE(c->room),
		.fwd_cnt = GUINT32_TO_LE(c->forwarded),
	};
}

static void rx_push(struct vsock *v, const struct virtqueue_chain *chain,
		    const struct virtio_vsock_hdr *hdr)
{
	chain_write(chain, 0, hdr, sizeof(*hdr));
	virtqueue_push(virtio_queue(&v->vdev, VSOCK_RX), chain->head, sizeof(*hdr));
}

static bool control_send(struct vsock *v, struct vsock_conn *c, unsigned op, uint32_t flags)
{
	struct virtqueue_chain chain = { .iov = v->iov, .n_iov = VSOCK_CHAIN_IOV };
	struct virtio_vsock_hdr hdr;

	if (!rx_pop(v, &chain))
		return false;
	hdr = header_of(v, c, op, flags, 0);
	rx_push(v, &chain, &hdr);
	return true;
}

/* The first of what it owes; false: there is no buffer. */
static bool owed_send(struct vsock *v, struct vsock_conn *c)
{
	static const struct {
		unsigned owed, op;
	} packets[] = {
		{ VSOCK_OWED_RST, VIRTIO_VSOCK_OP_RST },
		{ VSOCK_OWED_REQUEST, VIRTIO_VSOCK_OP_REQUEST },
		{ VSOCK_OWED_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE },
		{ VSOCK_OWED_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE },
		{ VSOCK_OWED_CREDIT_REQUEST, VIRTIO_VSOCK_OP_CREDIT_REQUEST },
	};
	size_t i = 0;

	while (!(c->owed & packets[i].owed))
		i++;
	if (!control_send(v, c, packets[i].op, 0))
		return false;
	c->owed &= ~packets[i].owed;
	return true;
}

/* Buffers of the guest for at most `max` bytes; how many. */
static unsigned batch_pop(struct vsock *v, size_t max)
{
	unsigned n = 0, pieces = 0;

	for (size_t room = 0; n < VSOCK_BATCH && room < max; n++) {
		struct virtqueue_chain *c = &v->chains[n];

		/* Never with fewer places than a legal chain may want: that breaks the queue. */
		if (pieces > VSOCK_IOV - VSOCK_CHAIN_IOV)
			break;
		*c = (struct virtqueue_chain){ .iov = v->iov + pieces, .n_iov = VSOCK_CHAIN_IOV };
		if (!rx_pop(v, c))
			break;
		pieces += c->n_out + c->n_in;
		room += c->in_bytes - VSOCK_HDR_BYTES;
	}
	return n;
}

/* What lies behind the headers, `max` bytes of it at most. */
static unsigned batch_payload(struct vsock *v, unsigned n_chains, size_t max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_chains; i++) {
		size_t skip = VSOCK_HDR_BYTES;

		for (unsigned j = 0; j < v->chains[i].n_in && max > 0; j++) {
			const struct iovec *in = &v->chains[i].in[j];
			size_t cut = MIN(skip, in->iov_len), len = MIN(in->iov_len - cut, max);

			skip -= cut;
			max -= len;
			if (len > 0)
				v->payload[n++] =
					(struct iovec){ (char *)in->iov_base + cut, len };
		}
	}
	return n;
}

static void batch_push(struct vsock *v, struct vsock_conn *c, unsigned n_chains, size_t bytes)
{
	struct virtqueue *vq = virtio_queue(&v->vdev, VSOCK_RX);
	unsigned used = 0;

	c->sent += (uint32_t)bytes;
	for (; bytes > 0; used++) {
		const struct virtqueue_chain *chain = &v->chains[used];
		size_t len = MIN(bytes, chain->in_bytes - VSOCK_HDR_BYTES);
		struct virtio_vsock_hdr hdr = header_of(v, c, VIRTIO_VSOCK_OP_RW, 0, len);

		chain_write(chain, 0, &hdr, sizeof(hdr));
		virtqueue_fill(vq, used, chain->head, (uint32_t)(sizeof(hdr) + len));
		bytes -= len;
	}
	virtqueue_unpop(vq, n_chains - used);
	virtqueue_publish(vq, used);
}

/* One read of the host's bytes; false: there is no buffer. */
static bool data_send(struct vsock *v, struct vsock_conn *c)
{
	size_t max = MIN(vsock_conn_credit(c), BATCH_BYTES);
	unsigned n_chains = batch_pop(v, max);
	ssize_t n;

	if (!n_chains)
		return false;
	n = recvmsg(c->fd, &(struct msghdr){ .msg_iov = v->payload,
					     .msg_iovlen = batch_payload(v, n_chains, max) },
		    MSG_DONTWAIT);
	if (n > 0) {
		batch_push(v, c, n_chains, (size_t)n);
		return true;
	}
	virtqueue_unpop(virtio_queue(&v->vdev, VSOCK_RX), n_chains);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		c->readable = errno == EINTR;
	else
		vsock_conn_eof(v, c, n < 0);
	return true;
}

/* A connection's turn; false: there is no buffer for what it has. */
static bool conn_turn(struct vsock *v, struct vsock_conn *c)
{
	while (c->owed) {
		bool last = c->owed & VSOCK_OWED_RST;

		if (!owed_send(v, c))
			return false;
		if (last) {
			vsock_conn_free(v, c);
			return true;
		}
	}
	if (c->state == VSOCK_OPEN && c->readable && !c->eof &&
	    !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) && vsock_conn_credit(c) &&
	    !data_send(v, c))
		return false;
	if (c->host_shut & ~c->told_shut) {
		if (!control_send(v, c, VIRTIO_VSOCK_OP_SHUTDOWN, c->host_shut))
			return false;
		c->told_shut = c->host_shut;
	}
	return true;
}

/* The oldest RST that has no connection. */
static bool reset_send(struct vsock *v)
{
	const struct vsock_reset *r = &v->resets[v->reset_at];
	struct virtqueue_chain chain = { .iov = v->iov, .n_iov = VSOCK_CHAIN_IOV };
	struct virtio_vsock_hdr hdr = {
		.src_cid = GUINT64_TO_LE(r->src_cid), .dst_cid = GUINT64_TO_LE(r->dst_cid),
		.src_port = GUINT32_TO_LE(r->src_port), .dst_port = GUINT32_TO_LE(r->dst_port),
		.type = GUINT16_TO_LE(r->type), .op = GUINT16_TO_LE(VIRTIO_VSOCK_OP_RST),
	};

	if (!rx_pop(v, &chain))
		return false;
	rx_push(v, &chain, &hdr);
	v->reset_at = (v->reset_at + 1) % VSOCK_RESETS;
	v->n_resets--;
	return true;
}

void vsock_reset_later(struct vsock *v, const struct vsock_reset *reset)
{
	v->resets[(v->reset_at + v->n_resets++) % VSOCK_RESETS] = *reset;
}

/* false: there is no buffer. */
static bool rx_turn(struct vsock *v)
{
	while (v->n_resets > 0)
		if (!reset_send(v))
			return false;
	for (unsigned i = 0; i < TURN_CONNS && v->ready.length > 0; i++) {
		struct vsock_conn *c = g_queue_peek_head_link(&v->ready)->data;

		if (!conn_turn(v, c))
			return false;
		vsock_conn_requeue(v, c);
	}
	return true;
}

void vsock_rx(struct vsock *v)
{
	struct virtqueue *vq = virtio_queue(&v->vdev, VSOCK_RX);
	bool waits = false;

	if (!virtqueue_is_enabled(vq))
		return;
	for (unsigned i = 0; i < TURN_REFILLS && !waits && !rx_turn(v); i++)
		waits = virtio_is_broken(&v->vdev) || !virtqueue_kicks_on(vq);
	virtio_notify(&v->vdev, VSOCK_RX);
	if (!waits && (v->ready.length > 0 || v->n_resets > 0))	/* else a kick brings buffers */
		virtio_kick_later(&v->vdev, VSOCK_RX);
	if (v->tx_waits && v->n_resets < VSOCK_RESETS) {
		v->tx_waits = false;
		virtio_kick_later(&v->vdev, VSOCK_TX);
	}
}

/* ---- from the guest ---- */

static void reset_reply(struct vsock *v, const struct virtio_vsock_hdr *h)
{
	if (h->op != VIRTIO_VSOCK_OP_RST)
		vsock_reset_later(v, &(struct vsock_reset){
			.src_cid = h->dst_cid, .dst_cid = h->src_cid, .src_port = h->dst_port,
			.dst_port = h->src_port, .type = h->type });
}

static void request(struct vsock *v, const struct virtio_vsock_hdr *h)
{
	struct vsock_conn *c = v->door_fd < 0 ? NULL : vsock_conn_new(v, VSOCK_ASKED, -1);

	if (!c) {
		reset_reply(v, h);
		return;
	}
	vsock_conn_name(v, c, h->src_port, h->dst_port);
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	vsock_ask_door(v, c);
}

static void conn_packet(struct vsock *v, struct vsock_conn *c, const struct virtio_vsock_hdr *h,
			const struct virtqueue_chain *payload)
{
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	vsock_conn_credited(v, c);
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		vsock_conn_accepted(v, c);
		break;
	case VIRTIO_VSOCK_OP_RST:
		vsock_conn_reset(v, c);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		vsock_conn_shutdown(v, c, h->flags);
		break;
	case VIRTIO_VSOCK_OP_RW:
		vsock_conn_data(v, c, payload);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		c->owed |= c->state == VSOCK_OPEN ? VSOCK_OWED_CREDIT : 0;
		break;
	default:		/* a second REQUEST, or what nobody knows */
		vsock_conn_abort(v, c);
	}
	vsock_conn_kick(v, c);
}

/* Only those to us, from who the guest is, of our type, are of a connection. */
static void packet(struct vsock *v, const struct virtio_vsock_hdr *h,
		   const struct virtqueue_chain *payload)
{
	struct vsock_conn *c = NULL;

	if (h->type != VIRTIO_VSOCK_TYPE_STREAM || h->dst_cid != VSOCK_CID_HOST ||
	    h->src_cid != v->cid) {
		reset_reply(v, h);
		return;
	}
	c = vsock_conn_find(v, h->src_port, h->dst_port);
	if (c)
		conn_packet(v, c, h, payload);
	else if (h->op == VIRTIO_VSOCK_OP_REQUEST)
		request(v, h);
	else
		reset_reply(v, h);
}

static void header_swap(struct virtio_vsock_hdr *h)
{
	h->src_cid = GUINT64_FROM_LE(h->src_cid);
	h->dst_cid = GUINT64_FROM_LE(h->dst_cid);
	h->src_port = GUINT32_FROM_LE(h->src_port);
	h->dst_port = GUINT32_FROM_LE(h->dst_port);
	h->len = GUINT32_FROM_LE(h->len);
	h->type = GUINT16_FROM_LE(h->type);
	h->op = GUINT16_FROM_LE(h->op);
	h->flags = GUINT32_FROM_LE(h->flags);
	h->buf_alloc = GUINT32_FROM_LE(h->buf_alloc);
	h->fwd_cnt = GUINT32_FROM_LE(h->fwd_cnt);
}

static void chain_cut_out(struct virtqueue_chain *chain, size_t bytes)
{
	chain->out_bytes = MIN(chain->out_bytes, bytes);
	for (unsigned i = 0; i < chain->n_out; i++) {
		chain->out[i].iov_len = MIN(chain->out[i].iov_len, bytes);
		bytes -= chain->out[i].iov_len;
	}
}

/* The header is a copy: what the guest makes of its own later means nothing. */
static void tx_packet(struct vsock *v, struct virtqueue_chain *chain)
{
	struct virtio_vsock_hdr h;

	if (chain_read(chain, 0, &h, sizeof(h)) < sizeof(h)) {
		virtio_broken(&v->vdev, "a packet of %zu bytes has no header", chain->out_bytes);
		return;
	}
	header_swap(&h);
	chain_skip_out(chain, sizeof(h));
	if (h.op == VIRTIO_VSOCK_OP_RW && h.len > chain->out_bytes) {
		virtio_broken(&v->vdev, "a packet says that it has %u bytes; it has %zu",
			      h.len, chain->out_bytes);
		return;
	}
	chain_cut_out(chain, h.len);
	packet(v, &h, chain);
}

void vsock_tx(struct vsock *v)
{
	struct virtqueue *vq = virtio_queue(&v->vdev, VSOCK_TX);
	struct virtqueue_chain chain = { .iov = v->iov, .n_iov = VSOCK_CHAIN_IOV };
	unsigned packets = 0;
	size_t bytes = 0;

	while (v->n_resets < VSOCK_RESETS && packets < TURN_PACKETS && bytes < TURN_BYTES &&
	       virtio_pop(&v->vdev, VSOCK_TX, &chain)) {
		uint16_t head = chain.head;

		bytes += chain.out_bytes;
		packets++;
		tx_packet(v, &chain);
		virtqueue_push(vq, head, 0);
	}
	virtio_notify(&v->vdev, VSOCK_TX);
	v->tx_waits = v->n_resets == VSOCK_RESETS;
	if (!v->tx_waits && virtqueue_kicks_on(vq))
		virtio_kick_later(&v->vdev, VSOCK_TX);
}
