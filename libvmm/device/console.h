/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-console (virtio 1.2, 5.3) with multiport: consoles (hvc0, hvc1, ...)
 * and named channels (/dev/virtio-ports/NAME), each before a hub of its own.
 * Everything on the owner's thread, which is the hubs' too.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_PORTS_MAX 31
#define CONSOLE_NAME_MAX 127	/* bytes of a channel's name */

struct guest_memory;
struct hub;
struct virtio_device;

struct console_port {
	const char *channel;	/* "org.qemu.guest_agent.0"; NULL: a console */
	struct hub *hub;	/* outlives the device */
};

struct console_opts {
	const char *name;	/* alias: "virtio-serial0" */
	const struct console_port *ports;	/* a console, if there is one, comes first */
	unsigned n_ports;
	/*
	 * The guest opened or closed a channel (<target state=>).  Owner's
	 * thread; may be NULL.
	 */
	void (*on_state)(void *opaque, unsigned port, bool open);
	void *opaque;
};

struct virtio_device *console_new(const struct console_opts *opts, struct guest_memory *mem,
				  GMainContext *ctx, GError **error);

bool console_port_is_open(struct virtio_device *dev, unsigned port);
