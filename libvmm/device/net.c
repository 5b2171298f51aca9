/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-net: features, configuration space, control queue.
 *
 * Queue pairs come first, then the control queue: behind all pairs if
 * multiqueue was negotiated, behind the first if not (5.1.2).  Offloads are
 * the backend's; the driver's choice among them is told to it on activation,
 * and taken back on reset.
 */
#include "config.h"
#include "libvmm/device/net-priv.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define QUEUE_SIZE 256
#define CONTROL_QUEUE_SIZE 64
#define CONTROL_TURN 64
#define BIT64(n) (UINT64_C(1) << (n))

static const struct {		/* what the guest may be sent, and send */
	unsigned offload;
	unsigned guest;
	unsigned host;
} offload_features[] = {
	{ NET_OFFLOAD_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_CSUM },
	{ NET_OFFLOAD_TSO4, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_HOST_TSO4 },
	{ NET_OFFLOAD_TSO6, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_HOST_TSO6 },
	{ NET_OFFLOAD_ECN, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_HOST_ECN },
	{ NET_OFFLOAD_UFO, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_HOST_UFO },
};

static unsigned control_queue(const struct net *net)
{
	return virtio_has(&net->vdev, VIRTIO_NET_F_MQ) ? 2 * net->backend->queues : 2;
}

static unsigned offload_of_features(uint64_t features)
{
	unsigned offload = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++)
		if (features & BIT64(offload_features[i].guest))
			offload |= offload_features[i].offload;
	return offload;
}

/* --- backend's events --- */

static bool net_is_up(const struct net *net)
{
	return net->vdev.active && !net->vdev.stopped && !virtio_is_broken(&net->vdev) && net->link;
}

static bool has_queue(struct net *net, unsigned queue)
{
	return virtqueue_is_enabled(virtio_queue(&net->vdev, queue));
}

static void net_readable(void *card, unsigned pair)
{
	struct net *net = card;

	if (net_is_up(net) && pair < net->pairs && has_queue(net, 2 * pair))
		net_rx(net, pair);
	else
		net->backend->ops->want_read(net->backend, pair, false);
}

static void net_writable(void *card, unsigned pair)
{
	struct net *net = card;

	net->backend->ops->want_write(net->backend, pair, false);
	if (net->vdev.active && !net->vdev.stopped && has_queue(net, 2 * pair + 1))
		net_tx(net, pair);
}

static const struct net_calls net_calls = { .readable = net_readable, .writable = net_writable };

static void net_listen(struct net *net, bool on)
{
	for (unsigned i = 0; i < net->backend->queues; i++) {
		bool used = on && i < net->pairs;

		if (used)
			net_rx_discard(net, i);
		net->backend->ops->want_read(net->backend, i, used);
	}
}

/* --- control queue --- */

static int control_rx(struct net *net, uint8_t cmd, const uint8_t *data, size_t len)
{
	/* Filters are hints: we give the guest all that the backend has (5.1.6.5.1). */
	return len == 1 && cmd <= VIRTIO_NET_CTRL_RX_NOBCAST ? 0 : -EINVAL;
}

static int control_mac(struct net *net, uint8_t cmd, const uint8_t *data, size_t len)
{
	if (cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return 0;
	if (cmd != VIRTIO_NET_CTRL_MAC_ADDR_SET || len != 6)
		return -EINVAL;
	virtio_config_store(&net->vdev, offsetof(struct virtio_net_config, mac), data, 6);
	return 0;
}

static int control_mq(struct net *net, uint8_t cmd, const uint8_t *data, size_t len)
{
	unsigned pairs = len == 2 ? data[0] | data[1] << 8 : 0;
	int r;

	if (cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !virtio_has(&net->vdev, VIRTIO_NET_F_MQ))
		return -EINVAL;
	if (pairs < 1 || pairs > net->backend->queues)
		return -EINVAL;
	r = net->backend->ops->set_queues(net->backend, pairs);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < net->backend->queues; i++)
		if ((i < net->pairs) != (i < pairs))
			net->backend->ops->want_read(net->backend, i, net->link && i < pairs);
	net->pairs = pairs;
	return 0;
}

static int offload_set(struct net *net, unsigned offload)
{
	net->offload = offload;
	return net->backend->ops->set_offload(net->backend, offload);
}

static int control_offloads(struct net *net, uint8_t cmd, const uint8_t *data, size_t len)
{
	uint64_t wanted;

	if (cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || len != sizeof(wanted))
		return -EINVAL;
	memcpy(&wanted, data, sizeof(wanted));
	wanted = GUINT64_FROM_LE(wanted);
	if (wanted & ~net->vdev.negotiated)
		return -EINVAL;
	return offload_set(net, offload_of_features(wanted));
}

static int control_handle(struct net *net, const struct virtqueue_chain *chain)
{
	struct virtio_net_ctrl_hdr hdr;
	uint8_t data[8];
	size_t len;

	if (chain_read(chain, 0, &hdr, sizeof(hdr)) < sizeof(hdr))
		return -EINVAL;
	len = chain_read(chain, sizeof(hdr), data, sizeof(data));
	switch (hdr.class) {
	case VIRTIO_NET_CTRL_RX:
		return control_rx(net, hdr.cmd, data, len);
	case VIRTIO_NET_CTRL_MAC:
		return control_mac(net, hdr.cmd, data, len);
	case VIRTIO_NET_CTRL_MQ:
		return control_mq(net, hdr.cmd, data, len);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return control_offloads(net, hdr.cmd, data, len);
	default:
		return -EINVAL;
	}
}

static void net_control(struct net *net, unsigned queue)
{
	struct virtqueue *vq = virtio_queue(&net->vdev, queue);
	struct virtqueue_chain chain = { .iov = net->iov, .n_iov = NET_CHAIN_IOV };
	unsigned budget = CONTROL_TURN;

	for (; budget > 0 && virtio_pop(&net->vdev, queue, &chain); budget--) {
		uint8_t ack = control_handle(net, &chain) < 0 ? VIRTIO_NET_ERR : VIRTIO_NET_OK;

		virtqueue_push(vq, chain.head, (uint32_t)chain_write(&chain, 0, &ack, 1));
	}
	virtio_notify(&net->vdev, queue);
	if (budget == 0 || virtqueue_kicks_on(vq))
		virtio_kick_later(&net->vdev, queue);
}

/* --- the device --- */

static void net_kick(struct virtio_device *dev, unsigned queue)
{
	struct net *net = net_of(dev);

	if (queue == control_queue(net))
		net_control(net, queue);
	else if (queue & 1 && queue / 2 < net->backend->queues)
		net_tx(net, queue / 2);
	else if (queue / 2 < net->pairs && net->link)
		net_rx(net, queue / 2);
}

static int net_activate(struct virtio_device *dev)
{
	struct net *net = net_of(dev);
	int r;

	net->pairs = 1;
	net->rx_hint = NET_RX_HINT_MIN;
	r = net->backend->ops->set_queues(net->backend, 1);
	if (r == 0)
		r = offload_set(net, offload_of_features(dev->negotiated));
	if (r == 0 && net->link)
		net_listen(net, true);
	return r;
}

static void net_reset(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	net_listen(net, false);
	for (unsigned i = 0; i < net->backend->queues; i++)
		net->backend->ops->want_write(net->backend, i, false);
	net->pairs = 1;
}

/* Frames wait where they wait for a card without buffers. */
static void net_stop(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned i = 0; i < net->backend->queues; i++) {
		net->backend->ops->want_read(net->backend, i, false);
		net->backend->ops->want_write(net->backend, i, false);
	}
}

static void net_start(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned i = 0; i < net->pairs; i++)
		net->backend->ops->want_read(net->backend, i, net->link);
}

static void net_save(struct virtio_device *dev, struct state_out *out)
{
	struct net *net = net_of(dev);

	state_put_u32(out, net->pairs);
	state_put_u32(out, net->offload);
}

/* The cable is as the definition has it: the guest is told if it was another. */
static void net_load(struct virtio_device *dev, struct state_in *in)
{
	struct net *net = net_of(dev);
	unsigned pairs = state_get_max(in, net->backend->queues);
	unsigned offload = state_get_u32(in);
	uint16_t status = net->link ? GUINT16_TO_LE(VIRTIO_NET_S_LINK_UP) : 0;

	in->bad |= !pairs || offload & ~net->backend->offload;
	if (in->bad)
		return;
	net->pairs = pairs;
	net->rx_hint = NET_RX_HINT_MIN;
	if (dev->active)
		in->bad |= net->backend->ops->set_queues(net->backend, pairs) < 0 ||
			   offload_set(net, offload) < 0;
	virtio_config_store(dev, offsetof(struct virtio_net_config, status), &status,
			    sizeof(status));
}

static void backend_free_on_owner(void *arg)
{
	struct net *net = arg;

	net_backend_free(g_steal_pointer(&net->backend));
}

static void net_free(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	owner_call(net->backend->owner, backend_free_on_owner, net);
	virtio_done(dev);
	g_free(net->spill);
	g_free(net);
}

static const struct virtio_ops net_ops = {
	.activate = net_activate,
	.reset = net_reset,
	.kick = net_kick,
	.stop = net_stop,
	.start = net_start,
	.save = net_save,
	.load = net_load,
	.free = net_free,
};

void net_set_link(struct virtio_device *dev, bool up)
{
	struct net *net = net_of(dev);
	uint16_t status = up ? GUINT16_TO_LE(VIRTIO_NET_S_LINK_UP) : 0;

	if (net->link == up)
		return;
	net->link = up;
	if (dev->active && !dev->stopped)
		net_listen(net, up);
	virtio_config_update(dev, offsetof(struct virtio_net_config, status), &status,
			     sizeof(status));
}

void net_stats(struct virtio_device *dev, struct net_stats *ret)
{
	struct net *net = net_of(dev);

	*ret = (struct net_stats){
		.rx_bytes = atomic_load(&net->rx_bytes),
		.rx_packets = atomic_load(&net->rx_packets),
		.rx_errs = atomic_load(&net->rx_errs),
		.rx_drop = atomic_load(&net->rx_drop) +
			   net->backend->ops->dropped(net->backend),
		.tx_bytes = atomic_load(&net->tx_bytes),
		.tx_packets = atomic_load(&net->tx_packets),
		.tx_errs = atomic_load(&net->tx_errs),
		.tx_drop = atomic_load(&net->tx_drop),
	};
}

static uint64_t net_features(const struct net_backend *b, const struct net_opts *opts)
{
	uint64_t f = BIT64(VIRTIO_NET_F_MAC) | BIT64(VIRTIO_NET_F_STATUS) |
		     BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VIRTIO_NET_F_CTRL_VQ) |
		     BIT64(VIRTIO_NET_F_CTRL_RX) | BIT64(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (opts->mtu)
		f |= BIT64(VIRTIO_NET_F_MTU);
	if (b->queues > 1)
		f |= BIT64(VIRTIO_NET_F_MQ);
	if (!b->vnet_hdr || !b->offload)
		return f;
	f |= BIT64(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++)
		if (b->offload & offload_features[i].offload)
			f |= BIT64(offload_features[i].guest) | BIT64(offload_features[i].host);
	return f;
}

struct virtio_device *net_new(struct net_backend *backend, const struct net_opts *opts,
			      struct guest_memory *mem, GMainContext *ctx, GError **error)
{
	struct net *net = g_new0(struct net, 1);
	uint16_t queue_sizes[2 * NET_QUEUES_MAX + 1];
	struct virtio_net_config config = {
		.status = GUINT16_TO_LE(opts->link_down ? 0 : VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = GUINT16_TO_LE(backend->queues),
		.mtu = GUINT16_TO_LE(opts->mtu),
	};
	struct virtio_opts vopts = {
		.ops = &net_ops,
		.name = opts->name,
		.type = VIRTIO_ID_NET,
		.ctx = ctx,
		.mem = mem,
		.features = net_features(backend, opts),
		.n_queues = 2 * backend->queues + 1,
		.queue_sizes = queue_sizes,
		.config = &config,
		.config_bytes = offsetof(struct virtio_net_config, mtu) + sizeof(config.mtu),
	};

	memcpy(config.mac, opts->mac, sizeof(config.mac));
	for (unsigned i = 0; i < 2 * backend->queues; i++)
		queue_sizes[i] = (uint16_t)(opts->queue_size ? opts->queue_size : QUEUE_SIZE);
	queue_sizes[2 * backend->queues] = CONTROL_QUEUE_SIZE;
	net->backend = backend;
	net->pairs = 1;
	net->link = !opts->link_down;
	net->spill = g_malloc(NET_HDR_BYTES + NET_FRAME_MAX);
	if (!virtio_init(&net->vdev, &vopts, error)) {
		net_free(&net->vdev);
		return NULL;
	}
	net_plug(backend, &net_calls, net);
	return &net->vdev;
}
