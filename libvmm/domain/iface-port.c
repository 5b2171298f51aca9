/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <portForward> as single ports, and changes by single ports. */
#include "config.h"

#include <string.h>

#include "libvmm/domain/domain-priv.h"
#include "libvmm/util/cleanup.h"

static bool in_range(const struct port_range *r, unsigned port)
{
	return port >= r->start && port <= r->end;
}

static bool is_excluded(const struct forward_def *f, unsigned port)
{
	for (unsigned i = 0; i < f->ranges->len; i++) {
		const struct port_range *r = &g_array_index(f->ranges, struct port_range, i);

		if (r->exclude && in_range(r, port))
			return true;
	}
	return false;
}

static void ports_of(const struct forward_def *f, const struct port_range *r, GArray *ret)
{
	for (unsigned p = r->start; !r->exclude && p <= r->end; p++) {
		struct iface_port one = {
			.udp = f->udp, .address = f->address, .host = (uint16_t)p,
			.guest = (uint16_t)(r->to + (p - r->start)),
		};

		if (!is_excluded(f, p))
			g_array_append_val(ret, one);
	}
}

GArray *iface_ports(const struct iface_def *iface)
{
	GArray *ports = g_array_new(FALSE, FALSE, sizeof(struct iface_port));

	for (unsigned i = 0; i < iface->forwards->len; i++) {
		const struct forward_def *f = iface->forwards->pdata[i];

		for (unsigned k = 0; k < f->ranges->len; k++)
			ports_of(f, &g_array_index(f->ranges, struct port_range, k), ports);
	}
	return ports;
}

static bool same_host(const struct forward_def *f, const struct iface_port *port)
{
	return f->udp == port->udp && !g_strcmp0(f->address, port->address);
}

bool iface_port_add(struct iface_def *iface, const struct iface_port *port, GError **error)
{
	struct port_range r = { port->host, port->host, port->guest, false };
	struct forward_def *f;

	if (iface->type != IFACE_USER && iface->type != IFACE_NETWORK)
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED, "Operation not supported: "
				 "interface '%s' is neither of type='user' nor of type='network'",
				 iface->alias);
	if (!port->host || !port->guest)
		return error_set(error, VMM_ERR_INVALID_ARG, "invalid argument: port 0");
	if (iface->forwards->len >= DOMAIN_DEVICES_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "more than %u <portForward>",
				 DOMAIN_DEVICES_MAX);
	f = g_new0(struct forward_def, 1);
	f->udp = port->udp;
	f->address = g_strdup(port->address);
	f->ranges = g_array_new(FALSE, FALSE, sizeof(struct port_range));
	g_array_append_val(f->ranges, r);
	g_ptr_array_add(iface->forwards, f);
	return true;
}

/* Out of the middle of a range by an exclusion. */
static bool range_leave_out(struct forward_def *f, unsigned at, unsigned port)
{
	const struct port_range *r = &g_array_index(f->ranges, struct port_range, at);
	struct port_range without = { (uint16_t)port, (uint16_t)port, (uint16_t)port, true };

	if (r->exclude || !in_range(r, port) || is_excluded(f, port))
		return false;
	if (r->start == r->end)
		g_array_remove_index(f->ranges, at);
	else
		g_array_append_val(f->ranges, without);
	return true;
}

static bool has_ports(const struct forward_def *f)
{
	for (unsigned i = 0; i < f->ranges->len; i++)
		if (!g_array_index(f->ranges, struct port_range, i).exclude)
			return true;
	return false;
}

bool iface_port_remove(struct iface_def *iface, const struct iface_port *port, GError **error)
{
	for (unsigned i = 0; i < iface->forwards->len; i++) {
		struct forward_def *f = iface->forwards->pdata[i];

		for (unsigned k = 0; same_host(f, port) && k < f->ranges->len; k++) {
			if (!range_leave_out(f, k, port->host))
				continue;
			if (!has_ports(f))
				g_ptr_array_remove_index(iface->forwards, i);
			return true;
		}
	}
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: %s port %s:%u is not forwarded to "
			 "interface '%s'", port->udp ? "UDP" : "TCP", port->address ?: "*",
			 port->host, iface->alias);
}

void iface_take_ports(struct iface_def *iface, const struct iface_def *from)
{
	struct iface_def *fresh;

	if (iface == from)
		return;
	fresh = iface_def_new(iface->type);
	for (unsigned i = 0; i < from->forwards->len; i++) {
		const struct forward_def *f = from->forwards->pdata[i];
		struct forward_def *copy = g_new(struct forward_def, 1);

		*copy = (struct forward_def){ f->udp, g_strdup(f->address),
					      g_array_copy(f->ranges) };
		g_ptr_array_add(fresh->forwards, copy);
	}
	g_ptr_array_unref(iface->forwards);
	iface->forwards = g_ptr_array_ref(fresh->forwards);
	iface_def_free(fresh);
}
