/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From serial ports, consoles and channels to hubs and the devices at them. */
#include "config.h"
#include "libvmm/machine/build-priv.h"

#include <fcntl.h>

#include "libvmm/device/console.h"
#include "libvmm/device/hub.h"
#include "libvmm/device/serial.h"
#include "libvmm/domain/domain.h"
#include "libvmm/machine/layout.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

void machine_hub_free(void *p)
{
	struct machine_hub *h = p;

	hub_free(h->hub);
	g_free(h->alias);
	g_free(h->name);
	g_free(h);
}

static bool hub_to_file(struct hub *hub, const struct chardev_def *def,
			const struct machine_host *host, GError **error)
{
	int flags = O_WRONLY | O_CREAT | (def->append ? O_APPEND : O_TRUNC);
	int fd = host->opener.open(host->opener.opaque, def->path, flags, error);

	return fd >= 0 && hub_attach_fd(hub, HUB_READ, def->path, -1, fd, error);
}

static bool hub_to_socket(struct hub *hub, const struct chardev_def *def,
			  const struct machine_host *host, GError **error)
{
	int fd = host->listen(host->opaque, def->path, error);

	return fd >= 0 && hub_listen_fd(hub, fd, 0, error);
}

/* Every character device has a hub, whatever its backend: vmsh console reaches all of them. */
static struct hub *hub_build(struct machine *m, const struct chardev_def *def,
			     const struct machine_host *host, GError **error)
{
	struct machine_hub *h = g_new0(struct machine_hub, 1);
	bool ok = true;

	*h = (struct machine_hub){ .alias = g_strdup(def->alias),
				   .name = g_strdup(def->name),
				   .hub = hub_new(def->alias, m->ctx) };
	g_ptr_array_add(m->hubs, h);
	if (host->recorder && !def->name)	/* channels carry no text */
		hub_record(h->hub, host->recorder);
	if (def->backend == CHARDEV_FILE)
		ok = hub_to_file(h->hub, def, host, error);
	else if (def->backend == CHARDEV_UNIX && def->path)
		ok = hub_to_socket(h->hub, def, host, error);
	if (!ok)
		g_prefix_error(error, "%s '%s': ", chardev_kind_name(def->kind), def->alias);
	return ok ? h->hub : NULL;
}

bool build_serials(struct machine *m, const struct domain_def *def,
		   const struct machine_host *host, GError **error)
{
	static const struct acpi_serial com[MACHINE_SERIALS_MAX] = {
		{ LAYOUT_COM1_PORT, LAYOUT_COM1_GSI },
		{ LAYOUT_COM2_PORT, LAYOUT_COM2_GSI },
	};

	if (def->serials->len > MACHINE_SERIALS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%u serial ports: this machine has %u; use <console> with "
				 "<target type='virtio'/> for more",
				 def->serials->len, MACHINE_SERIALS_MAX);
	for (unsigned i = 0; i < def->serials->len; i++) {
		struct hub *hub = hub_build(m, g_ptr_array_index(def->serials, i), host, error);
		int line = hub ? machine_line_new(m, com[i].gsi, error) : -1;
		const char *name = i ? "COM2" : "COM1";
		struct serial *serial;

		if (line < 0)
			return false;
		serial = serial_new(name, hub, line);
		g_ptr_array_add(m->devices, serial_device(serial));
		g_array_append_val(m->com, com[i]);
		if (!bus_add(m->pio, com[i].port, SERIAL_BYTES, name, &serial_ops, serial, error))
			return false;
	}
	return true;
}

bool build_console(struct machine *m, const struct domain_def *def,
		   const struct machine_host *host, GError **error)
{
	g_autoptr(GArray) ports = g_array_new(FALSE, TRUE, sizeof(struct console_port));
	struct console_opts opts = { .name = "virtio-serial0" };
	GPtrArray *const kinds[] = { def->consoles, def->channels };

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned i = 0; i < kinds[k]->len; i++) {
			const struct chardev_def *c = g_ptr_array_index(kinds[k], i);
			struct console_port port = { .channel = c->name };

			if (c->target == CHARDEV_TARGET_SERIAL)
				continue;
			port.hub = hub_build(m, c, host, error);
			if (!port.hub)
				return false;
			g_array_append_val(ports, port);
		}
	}
	if (ports->len == 0)
		return true;
	opts.ports = (struct console_port *)(void *)ports->data;
	opts.n_ports = ports->len;
	return machine_virtio_add(m, console_new(&opts, m->mem, m->ctx, error), error);
}
