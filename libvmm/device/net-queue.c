/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames between virtqueues and a backend.
 *
 * To the guest, the backend writes into the guest's own buffers.  How long a
 * frame is shows only when it is there, so we offer as much as the last one
 * took, and the spill behind it; what lands in the spill is copied into
 * further buffers (mergeable ones, 5.1.6.4).  Buffers that were not needed are
 * given back unseen.
 *
 * From the guest, a chain is one frame, handed on as it is.  A backend that
 * can take no more gets it again when it is writable: frames wait in the
 * guest's ring, nowhere else.
 */
#include "config.h"
#include "libvmm/device/net-priv.h"

#include <errno.h>
#include <string.h>

#define TURN_FRAMES 64
#define ETH_MIN 14

static unsigned rx_queue(unsigned pair)
{
	return 2 * pair;
}

static unsigned tx_queue(unsigned pair)
{
	return 2 * pair + 1;
}

/* --- to the guest --- */

struct rx {			/* one frame on its way */
	struct net *net;
	struct virtqueue *vq;
	unsigned queue;
	unsigned n_chains;
	unsigned n_iov;		/* of net->iov, used by the chains */
	size_t room;		/* bytes in the chains, header included */
};

static bool is_mergeable(const struct net *net)
{
	return virtio_has(&net->vdev, VIRTIO_NET_F_MRG_RXBUF);
}

/* One more buffer; false: there is none, or too many. */
static bool rx_chain_add(struct rx *rx)
{
	struct net *net = rx->net;
	struct virtqueue_chain *c = &net->chains[rx->n_chains];

	/* Never with fewer places than a legal chain may want: that would break the queue. */
	if (rx->n_chains == NET_RX_CHAINS || rx->n_iov > NET_RX_IOV - NET_CHAIN_IOV)
		return false;
	*c = (struct virtqueue_chain){ .iov = net->iov + rx->n_iov, .n_iov = NET_CHAIN_IOV };
	if (!virtio_pop(&net->vdev, rx->queue, c))
		return false;
	if (c->in_bytes < (rx->n_chains == 0 ? NET_HDR_BYTES : 1)) {
		virtio_broken(&net->vdev, "a receive buffer of %zu bytes holds no header",
			      c->in_bytes);
		virtqueue_unpop(rx->vq, 1);
		return false;
	}
	rx->n_iov += c->n_out + c->n_in;
	rx->room += c->in_bytes;
	rx->n_chains++;
	return true;
}

static void rx_give_back(struct rx *rx, unsigned keep)
{
	virtqueue_unpop(rx->vq, rx->n_chains - keep);
	rx->n_chains = keep;
}

/* The chains' pieces and the spill as one list; a backend without headers begins behind ours. */
static unsigned rx_frame_iov(struct rx *rx, size_t skip)
{
	struct net *net = rx->net;
	unsigned n = 0;

	for (unsigned i = 0; i < rx->n_chains; i++) {
		for (unsigned j = 0; j < net->chains[i].n_in; j++) {
			struct iovec v = net->chains[i].in[j];
			size_t cut = MIN(skip, v.iov_len);

			skip -= cut;
			if (v.iov_len > cut)
				net->frame_iov[n++] = (struct iovec){ (char *)v.iov_base + cut,
								      v.iov_len - cut };
		}
	}
	net->frame_iov[n++] = (struct iovec){ net->spill, NET_HDR_BYTES + NET_FRAME_MAX };
	return n;
}

/* What landed in the spill goes into more buffers. */
static bool rx_unspill(struct rx *rx, size_t total)
{
	const uint8_t *from = rx->net->spill;
	size_t left = total - rx->room;

	while (left > 0) {
		if (!is_mergeable(rx->net) || !rx_chain_add(rx))
			return false;
		size_t n = chain_write(&rx->net->chains[rx->n_chains - 1], 0, from, left);
		from += n;
		left -= n;
	}
	return true;
}

/* 5.1.6.4: without mergeable buffers num_buffers is 1; without GUEST_CSUM the flags are 0. */
static void rx_header(struct rx *rx)
{
	struct net *net = rx->net;
	struct virtio_net_hdr_v1 hdr = { .num_buffers = GUINT16_TO_LE(rx->n_chains) };
	size_t from = offsetof(struct virtio_net_hdr_v1, num_buffers);

	if (!net->backend->vnet_hdr || !virtio_has(&net->vdev, VIRTIO_NET_F_GUEST_CSUM))
		from = 0;
	chain_write(&net->chains[0], from, (uint8_t *)&hdr + from, sizeof(hdr) - from);
}

static void rx_push(struct rx *rx, size_t total)
{
	for (unsigned i = 0; i < rx->n_chains; i++) {
		const struct virtqueue_chain *c = &rx->net->chains[i];
		size_t n = MIN(total, c->in_bytes);

		virtqueue_fill(rx->vq, i, c->head, (uint32_t)n);
		total -= n;
	}
	virtqueue_publish(rx->vq, rx->n_chains);
}

static void rx_frame_done(struct rx *rx, size_t total)
{
	struct net *net = rx->net;
	size_t have = 0;
	unsigned used = 0;

	if (total > rx->room && !rx_unspill(rx, total)) {
		rx_give_back(rx, 0);
		atomic_fetch_add(&net->rx_drop, 1);
		return;
	}
	while (have < total)
		have += net->chains[used++].in_bytes;
	rx_give_back(rx, used);
	rx_header(rx);
	rx_push(rx, total);
	net->rx_hint = (unsigned)MAX(total, NET_RX_HINT_MIN);
	atomic_fetch_add(&net->rx_packets, 1);
	atomic_fetch_add(&net->rx_bytes, total - NET_HDR_BYTES);
}

/* 1: one frame went in; 0: no buffer; -EAGAIN: no frame. */
static int rx_frame(struct net *net, unsigned pair)
{
	struct rx rx = { .net = net, .queue = rx_queue(pair),
			 .vq = virtio_queue(&net->vdev, rx_queue(pair)) };
	size_t skip = net->backend->vnet_hdr ? 0 : NET_HDR_BYTES;
	ssize_t n;

	while (rx.room < net->rx_hint && rx_chain_add(&rx) && is_mergeable(net))
		;
	if (rx.n_chains == 0)
		return 0;
	n = net->backend->ops->recv(net->backend, pair, net->frame_iov, rx_frame_iov(&rx, skip));
	if (n < 0 || (size_t)n + skip < NET_HDR_BYTES + 1 || virtio_is_broken(&net->vdev)) {
		rx_give_back(&rx, 0);
		if (n != -EAGAIN)
			atomic_fetch_add(&net->rx_errs, 1);
		return n == -EAGAIN ? -EAGAIN : 1;
	}
	rx_frame_done(&rx, (size_t)n + skip);
	return 1;
}

void net_rx(struct net *net, unsigned pair)
{
	struct virtqueue *vq = virtio_queue(&net->vdev, rx_queue(pair));
	bool wait_for_frames = true;

	for (unsigned i = 0; i < TURN_FRAMES; i++) {
		int r = rx_frame(net, pair);

		if (r == 0 && !virtqueue_kicks_on(vq)) {
			wait_for_frames = false;	/* but for buffers: a kick */
			break;
		}
		if (r == -EAGAIN)
			break;
	}
	net->backend->ops->want_read(net->backend, pair,
				     wait_for_frames && !virtio_is_broken(&net->vdev));
	virtio_notify(&net->vdev, rx_queue(pair));
}

void net_rx_discard(struct net *net, unsigned pair)
{
	struct iovec v = { net->spill, NET_HDR_BYTES + NET_FRAME_MAX };

	for (unsigned i = 0; i < 1024; i++) {
		ssize_t n = net->backend->ops->recv(net->backend, pair, &v, 1);

		if (n < 0)
			return;
		atomic_fetch_add(&net->rx_drop, 1);
	}
}

/* --- from the guest --- */

/* 0, or -EAGAIN: the chain must wait. */
static int tx_frame(struct net *net, unsigned pair, struct virtqueue_chain *chain)
{
	size_t bytes = chain->out_bytes - MIN(chain->out_bytes, NET_HDR_BYTES);
	int r;

	if (bytes < ETH_MIN || bytes > NET_FRAME_MAX) {
		atomic_fetch_add(&net->tx_errs, 1);
		return 0;
	}
	if (!net->link) {
		atomic_fetch_add(&net->tx_drop, 1);
		return 0;
	}
	if (!net->backend->vnet_hdr)
		chain_skip_out(chain, NET_HDR_BYTES);
	r = net->backend->ops->send(net->backend, pair, chain->out, chain->n_out);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		atomic_fetch_add(&net->tx_errs, 1);
		return 0;
	}
	atomic_fetch_add(&net->tx_packets, 1);
	atomic_fetch_add(&net->tx_bytes, bytes);
	return 0;
}

void net_tx(struct net *net, unsigned pair)
{
	struct virtqueue *vq = virtio_queue(&net->vdev, tx_queue(pair));
	struct virtqueue_chain chain = { .iov = net->iov, .n_iov = NET_CHAIN_IOV };
	unsigned budget = TURN_FRAMES;

	for (; budget > 0 && virtio_pop(&net->vdev, tx_queue(pair), &chain); budget--) {
		if (tx_frame(net, pair, &chain) == -EAGAIN) {
			virtqueue_unpop(vq, 1);
			net->backend->ops->want_write(net->backend, pair, true);
			virtio_notify(&net->vdev, tx_queue(pair));
			return;
		}
		virtqueue_push(vq, chain.head, 0);
	}
	virtio_notify(&net->vdev, tx_queue(pair));
	if (budget == 0 || virtqueue_kicks_on(vq))
		virtio_kick_later(&net->vdev, tx_queue(pair));
}
