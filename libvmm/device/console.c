/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-console with multiport.
 *
 * Queues (5.3.2): 0 and 1 carry port 0, 2 and 3 control messages, 2 + 2n and
 * 3 + 2n port n.  Port 0 is a console's or nobody's: a driver without
 * multiport takes it for one.
 *
 * Control messages to the driver are not queued: each port has a set of those
 * that it still owes (enum owed), sent in that order as buffers come.  However
 * often a driver asks for them, no memory grows and no list gets long.
 *
 * Input: room is what the next buffer of the driver takes; the chain is looked
 * at and put back, so a reset finds nothing in our hands.  Output goes to the
 * hub at once; one turn takes at most TURN_BYTES.
 */
#include "config.h"
#include "libvmm/device/console.h"

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "libvmm/device/hub.h"
#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define QUEUE_SIZE 64
#define CONTROL_QUEUE_SIZE 32
#define CHAIN_IOV 128
#define TURN_BYTES (256 * 1024)
#define TURN_CHAINS 256
#define QUEUE_CONTROL_IN 2	/* to the driver */
#define QUEUE_CONTROL_OUT 3
#define CONTROL_BYTES_MAX (sizeof(struct virtio_console_control) + CONSOLE_NAME_MAX)

enum owed {			/* control messages, in the order in which they are sent */
	OWED_ADD = 1 << 0,
	OWED_CONSOLE = 1 << 1,
	OWED_NAME = 1 << 2,
	OWED_OPEN = 1 << 3,
	OWED_RESIZE = 1 << 4,
};
#define OWED_ALL ((1u << 5) - 1)

struct port {
	struct console *console;
	struct hub *hub;
	char *channel;		/* NULL: a console */
	unsigned index;		/* in opts->ports */
	unsigned id;		/* on the wire */
	unsigned owed;
	bool ready;		/* the driver has it */
	bool open;		/* somebody in the guest has it open */
	uint16_t cols, rows;
};

struct console {
	struct virtio_device vdev;
	void (*on_state)(void *opaque, unsigned port, bool open);
	void *opaque;
	unsigned n_ports;
	struct port *ports;
	struct iovec iov[CHAIN_IOV];
};

static struct console *console_of(struct virtio_device *dev)
{
	return container_of(dev, struct console, vdev);
}

static unsigned port_in_queue(const struct port *p)	/* to the driver */
{
	return p->id == 0 ? 0 : 2 + 2 * p->id;
}

static struct port *port_by_queue(struct console *c, unsigned queue)
{
	unsigned id = queue < 2 ? 0 : queue / 2 - 1;

	for (unsigned i = 0; i < c->n_ports; i++)
		if (c->ports[i].id == id)
			return &c->ports[i];
	return NULL;
}

static struct port *port_by_id(struct console *c, uint32_t id)
{
	for (unsigned i = 0; i < c->n_ports; i++)
		if (c->ports[i].id == id)
			return &c->ports[i];
	return NULL;
}

static void port_set_open(struct port *p, bool open)
{
	if (p->open == open)
		return;
	p->open = open;
	if (p->console->on_state)
		p->console->on_state(p->console->opaque, p->index, open);
	if (open)
		hub_ready(p->hub);
}

/* --- input --- */

static int port_pop(struct port *p, struct virtqueue_chain *chain)
{
	*chain = (struct virtqueue_chain){ .iov = p->console->iov, .n_iov = CHAIN_IOV };
	return virtio_pop(&p->console->vdev, port_in_queue(p), chain);
}

static size_t port_room(void *dev)
{
	struct port *p = dev;
	struct virtqueue *vq = virtio_queue(&p->console->vdev, port_in_queue(p));
	struct virtqueue_chain chain;

	if (!p->open || !virtqueue_is_enabled(vq))
		return 0;
	if (!port_pop(p, &chain) && !(virtqueue_kicks_on(vq) && port_pop(p, &chain)))
		return 0;
	virtqueue_unpop(vq, 1);
	if (chain.in_bytes == 0)
		virtio_broken(&p->console->vdev,
			      "port %u has an input buffer that cannot be written", p->id);
	return chain.in_bytes;
}

static void port_input(void *dev, const uint8_t *data, size_t len)
{
	struct port *p = dev;
	unsigned queue = port_in_queue(p);
	struct virtqueue_chain chain;

	/* As many as room() saw in one; more only if the driver has changed it since. */
	for (unsigned i = 0; i < QUEUE_SIZE && len > 0 && port_pop(p, &chain); i++) {
		size_t n = chain_write(&chain, 0, data, len);

		virtqueue_push(virtio_queue(&p->console->vdev, queue), chain.head, (uint32_t)n);
		data += n;
		len -= n;
	}
	virtio_notify(&p->console->vdev, queue);
}

/* --- control, to the driver --- */

static size_t control_make(struct port *p, enum owed what, uint8_t *buf)
{
	struct virtio_console_control msg = { .id = GUINT32_TO_LE(p->id) };
	/*
	 * 5.3.6.2 says columns first; Linux has always read rows first (a fix
	 * was taken back, for devices had followed it), and so they are sent.
	 */
	uint16_t size[] = { GUINT16_TO_LE(p->rows), GUINT16_TO_LE(p->cols) };
	const void *tail = NULL;
	size_t n = 0;

	switch (what) {
	case OWED_ADD:
		msg.event = GUINT16_TO_LE(VIRTIO_CONSOLE_PORT_ADD);
		break;
	case OWED_CONSOLE:
		msg.event = GUINT16_TO_LE(VIRTIO_CONSOLE_CONSOLE_PORT);
		msg.value = GUINT16_TO_LE(1);
		break;
	case OWED_NAME:
		msg.event = GUINT16_TO_LE(VIRTIO_CONSOLE_PORT_NAME);
		tail = p->channel;
		n = strlen(p->channel);
		break;
	case OWED_OPEN:
		msg.event = GUINT16_TO_LE(VIRTIO_CONSOLE_PORT_OPEN);
		msg.value = GUINT16_TO_LE(1);
		break;
	case OWED_RESIZE:
		msg.event = GUINT16_TO_LE(VIRTIO_CONSOLE_RESIZE);
		tail = size;
		n = sizeof(size);
		break;
	}
	memcpy(buf, &msg, sizeof(msg));
	if (n > 0)
		memcpy(buf + sizeof(msg), tail, n);
	return sizeof(msg) + n;
}

/* The next message that is owed goes into one buffer; false: no buffer, or nothing owed. */
static bool control_send(struct console *c, struct port *p)
{
	struct virtqueue_chain chain = { .iov = c->iov, .n_iov = CHAIN_IOV };
	uint8_t buf[CONTROL_BYTES_MAX];
	unsigned what = p->owed & -p->owed;
	size_t n;

	if (!what || !virtio_pop(&c->vdev, QUEUE_CONTROL_IN, &chain))
		return false;
	n = control_make(p, what, buf);
	if (chain_write(&chain, 0, buf, n) < n)
		virtio_broken(&c->vdev, "a control buffer of %zu bytes is too short",
			      chain.in_bytes);
	virtqueue_push(virtio_queue(&c->vdev, QUEUE_CONTROL_IN), chain.head, (uint32_t)n);
	p->owed &= ~what;
	return true;
}

static bool console_owes(const struct console *c)
{
	unsigned owed = 0;

	for (unsigned i = 0; i < c->n_ports; i++)
		owed |= c->ports[i].owed;
	return owed;
}

static void control_flush(struct console *c)
{
	if (!c->vdev.active || c->vdev.stopped ||
	    !virtqueue_is_enabled(virtio_queue(&c->vdev, QUEUE_CONTROL_IN)))
		return;
	do {
		for (unsigned i = 0; i < c->n_ports; i++)
			while (control_send(c, &c->ports[i]))
				;
	} while (console_owes(c) && !virtio_is_broken(&c->vdev) &&
		 virtqueue_kicks_on(virtio_queue(&c->vdev, QUEUE_CONTROL_IN)));
	virtio_notify(&c->vdev, QUEUE_CONTROL_IN);
}

/* --- control, from the driver --- */

static void port_became_ready(struct port *p)
{
	p->ready = true;
	if (!p->channel)
		p->owed |= OWED_CONSOLE | OWED_OPEN | (p->cols ? OWED_RESIZE : 0);
	else
		p->owed |= OWED_NAME | OWED_OPEN;
}

/* What is unknown is ignored (5.3.6.2.2 has no answer for it). */
static void control_handle(struct console *c, const struct virtio_console_control *msg)
{
	struct port *p = port_by_id(c, GUINT32_FROM_LE(msg->id));
	bool value = GUINT16_FROM_LE(msg->value) == 1;

	switch (GUINT16_FROM_LE(msg->event)) {
	case VIRTIO_CONSOLE_DEVICE_READY:
		for (unsigned i = 0; value && i < c->n_ports; i++)
			c->ports[i].owed |= OWED_ADD;
		break;
	case VIRTIO_CONSOLE_PORT_READY:
		if (p && value)
			port_became_ready(p);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		if (p)
			port_set_open(p, value);
		break;
	}
}

static void control_kick(struct console *c)
{
	struct virtqueue *vq = virtio_queue(&c->vdev, QUEUE_CONTROL_OUT);
	struct virtqueue_chain chain = { .iov = c->iov, .n_iov = CHAIN_IOV };
	struct virtio_console_control msg;

	for (unsigned i = 0; i < TURN_CHAINS; i++) {
		if (!virtio_pop(&c->vdev, QUEUE_CONTROL_OUT, &chain))
			break;
		bool whole = chain_read(&chain, 0, &msg, sizeof(msg)) == sizeof(msg);
		virtqueue_push(vq, chain.head, 0);
		if (whole)
			control_handle(c, &msg);
	}
	virtio_notify(&c->vdev, QUEUE_CONTROL_OUT);
	control_flush(c);
}

/* --- output --- */

/* Whatever the driver does to the bytes meanwhile: they are only copied. */
static void port_output(struct port *p, const struct virtqueue_chain *chain)
{
	for (unsigned i = 0; i < chain->n_out; i++)
		hub_put(p->hub, chain->out[i].iov_base, chain->out[i].iov_len);
}

static bool output_turn(struct console *c, unsigned queue)
{
	struct virtqueue_chain chain = { .iov = c->iov, .n_iov = CHAIN_IOV };
	struct port *p = port_by_queue(c, queue);
	size_t bytes = 0;

	for (unsigned i = 0; i < TURN_CHAINS && bytes < TURN_BYTES; i++) {
		if (!virtio_pop(&c->vdev, queue, &chain))
			return false;
		if (p)
			port_output(p, &chain);
		bytes += chain.out_bytes;
		virtqueue_push(virtio_queue(&c->vdev, queue), chain.head, 0);
	}
	return true;
}

static void console_kick(struct virtio_device *dev, unsigned queue)
{
	struct console *c = console_of(dev);
	struct virtqueue *vq = virtio_queue(dev, queue);
	struct port *p;

	if (queue == QUEUE_CONTROL_IN) {
		control_flush(c);
		return;
	}
	if (queue == QUEUE_CONTROL_OUT)
		control_kick(c);
	else if (!(queue & 1) && (p = port_by_queue(c, queue)))
		hub_ready(p->hub);
	else if (queue & 1 && output_turn(c, queue))
		virtio_kick_later(dev, queue);
	if (queue & 1) {
		virtio_notify(dev, queue);
		if (virtqueue_kicks_on(vq))
			virtio_kick_later(dev, queue);
	}
}

/* --- life --- */

static int console_activate(struct virtio_device *dev)
{
	struct console *c = console_of(dev);

	/* Without multiport nobody tells what is open: port 0 is, always. */
	if (!virtio_has(dev, VIRTIO_CONSOLE_F_MULTIPORT) && !c->ports[0].channel)
		port_set_open(&c->ports[0], true);
	return 0;
}

static void console_reset(struct virtio_device *dev)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->n_ports; i++) {
		c->ports[i].owed = 0;
		c->ports[i].ready = false;
		port_set_open(&c->ports[i], false);
	}
}

/* The machine goes on: those who type may do so again. */
static void console_start(struct virtio_device *dev)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->n_ports; i++)
		hub_ready(c->ports[i].hub);
	control_flush(c);
}

static void console_save(struct virtio_device *dev, struct state_out *out)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->n_ports; i++) {
		const struct port *p = &c->ports[i];

		state_put_u32(out, p->owed);
		state_put_u8(out, p->ready);
		state_put_u8(out, p->open);
		state_put_u16(out, p->cols);
		state_put_u16(out, p->rows);
	}
}

static void console_load(struct virtio_device *dev, struct state_in *in)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->n_ports; i++) {
		struct port *p = &c->ports[i];

		p->owed = state_get_max(in, OWED_ALL);
		p->ready = state_get_bool(in);
		port_set_open(p, state_get_bool(in));
		p->cols = state_get_u16(in);
		p->rows = state_get_u16(in);
	}
}

static void console_config_write(struct virtio_device *dev, size_t off, const void *data,
				 size_t len)
{
	struct console *c = console_of(dev);

	if (off == offsetof(struct virtio_console_config, emerg_wr) && !c->ports[0].channel)
		hub_put(c->ports[0].hub, data, 1);
}

static void port_resize(void *dev, unsigned cols, unsigned rows)
{
	struct port *p = dev;
	uint16_t size[] = { GUINT16_TO_LE(MIN(cols, UINT16_MAX)),
			    GUINT16_TO_LE(MIN(rows, UINT16_MAX)) };

	if (p->channel || (p->cols == cols && p->rows == rows))
		return;
	p->cols = (uint16_t)MIN(cols, UINT16_MAX);
	p->rows = (uint16_t)MIN(rows, UINT16_MAX);
	if (p->ready)
		p->owed |= OWED_RESIZE;
	control_flush(p->console);
	if (p->id == 0)
		virtio_config_update(&p->console->vdev, 0, size, sizeof(size));
}

static const struct hub_ops port_ops = {
	.room = port_room,
	.input = port_input,
	.resize = port_resize,
};

static void console_free(struct virtio_device *dev)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->n_ports; i++) {
		if (c->ports[i].hub)
			hub_set_device(c->ports[i].hub, NULL, NULL);
		g_free(c->ports[i].channel);
	}
	virtio_done(dev);
	g_free(c->ports);
	g_free(c);
}

static const struct virtio_ops console_ops = {
	.activate = console_activate,
	.reset = console_reset,
	.kick = console_kick,
	.config_write = console_config_write,
	.start = console_start,
	.save = console_save,
	.load = console_load,
	.free = console_free,
};

static bool ports_check(const struct console_opts *opts, GError **error)
{
	if (opts->n_ports < 1 || opts->n_ports > CONSOLE_PORTS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%s: %u ports; it can have 1 to %d", opts->name, opts->n_ports,
				 CONSOLE_PORTS_MAX);
	for (unsigned i = 0; i < opts->n_ports; i++) {
		const char *channel = opts->ports[i].channel;

		if (channel && (!*channel || strlen(channel) > CONSOLE_NAME_MAX))
			return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
					 "%s: a channel's name has 1 to %d bytes", opts->name,
					 CONSOLE_NAME_MAX);
	}
	return true;
}

static void ports_init(struct console *c, const struct console_opts *opts)
{
	unsigned first = opts->ports[0].channel ? 1 : 0;

	c->n_ports = opts->n_ports;
	c->ports = g_new0(struct port, opts->n_ports);
	for (unsigned i = 0; i < opts->n_ports; i++)
		c->ports[i] = (struct port){
			.console = c,
			.hub = opts->ports[i].hub,
			.channel = g_strdup(opts->ports[i].channel),
			.index = i,
			.id = first + i,
		};
}

struct virtio_device *console_new(const struct console_opts *opts, struct guest_memory *mem,
				  GMainContext *ctx, GError **error)
{
	uint16_t queue_sizes[2 * (CONSOLE_PORTS_MAX + 2)];
	struct virtio_console_config config = { 0 };
	struct virtio_opts vopts = {
		.ops = &console_ops,
		.name = opts->name,
		.type = VIRTIO_ID_CONSOLE,
		.ctx = ctx,
		.mem = mem,
		.features = 1 << VIRTIO_CONSOLE_F_SIZE | 1 << VIRTIO_CONSOLE_F_MULTIPORT |
			    1 << VIRTIO_CONSOLE_F_EMERG_WRITE,
		.queue_sizes = queue_sizes,
		.config = &config,
		.config_bytes = sizeof(config),
	};
	struct console *c;
	unsigned n_ids;

	if (!ports_check(opts, error))
		return NULL;
	c = g_new0(struct console, 1);
	c->on_state = opts->on_state;
	c->opaque = opts->opaque;
	ports_init(c, opts);
	n_ids = c->ports[c->n_ports - 1].id + 1;
	config.max_nr_ports = GUINT32_TO_LE(n_ids);
	vopts.n_queues = 2 * (n_ids + 1);
	for (unsigned i = 0; i < vopts.n_queues; i++)
		queue_sizes[i] = i == QUEUE_CONTROL_IN || i == QUEUE_CONTROL_OUT ?
				 CONTROL_QUEUE_SIZE : QUEUE_SIZE;
	if (!virtio_init(&c->vdev, &vopts, error)) {
		console_free(&c->vdev);
		return NULL;
	}
	for (unsigned i = 0; i < c->n_ports; i++)
		hub_set_device(c->ports[i].hub, &port_ops, &c->ports[i]);
	return &c->vdev;
}

bool console_port_is_open(struct virtio_device *dev, unsigned port)
{
	struct console *c = console_of(dev);

	return port < c->n_ports && c->ports[port].open;
}
