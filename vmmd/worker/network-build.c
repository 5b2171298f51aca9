/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network's definition becomes a switch; its leases are kept, its ports forwarded. */
#include "config.h"
#include "vmmd/worker/network-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"

/* Leases are written down this long after a change: a storm of them is one write. */
#define LEASES_DELAY_MS 200
#define LEASES_MAX_BYTES (4u << 20)

struct forward {
	struct slirp_forward f;		/* its texts are ours */
	char *key;			/* the port's */
};

static void forward_free(void *opaque)
{
	struct forward *f = opaque;

	g_free((char *)f->f.host_addr);
	g_free((char *)f->f.guest_addr);
	g_free(f->key);
	g_free(f);
}

static int64_t now_s(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

/* ---- leases ---- */

static gboolean leases_write(void *opaque)
{
	struct network *n = opaque;
	g_autofree char *text = dhcp_format(switch_dhcp(n->sw), now_s());
	size_t bytes = strlen(text);

	n->leases_source = 0;
	if (pwrite(n->leases_fd, text, bytes, 0) != (ssize_t)bytes ||
	    ftruncate(n->leases_fd, (off_t)bytes) < 0)
		g_warning("leases are not written down: %s", g_strerror(errno));
	return G_SOURCE_REMOVE;
}

static void on_leases_changed(void *opaque)
{
	struct network *n = opaque;

	if (!n->leases_source && n->leases_fd >= 0)
		n->leases_source = g_timeout_add(LEASES_DELAY_MS, leases_write, n);
}

static void leases_read(struct network *n)
{
	g_autofree char *text = NULL;
	struct stat st;
	ssize_t bytes;

	if (n->leases_fd < 0 || !switch_dhcp(n->sw) || fstat(n->leases_fd, &st) < 0 ||
	    st.st_size > LEASES_MAX_BYTES)
		return;
	text = g_malloc((size_t)st.st_size + 1);
	bytes = pread(n->leases_fd, text, (size_t)st.st_size, 0);
	text[MAX(bytes, 0)] = 0;
	dhcp_restore(switch_dhcp(n->sw), text, now_s());
}

/* ---- forwards ---- */

static bool same_forward(const struct forward *f, const char *key, const worker_forward *w)
{
	return g_str_equal(f->key, key) && f->f.udp == !!w->udp &&
	       f->f.host_port == w->host_port && !g_strcmp0(f->f.host_addr ?: "", w->address);
}

bool network_forward_add(struct network *n, struct switch_port *port, const worker_forward *w,
			 GError **error)
{
	uint32_t ip = switch_dhcp(n->sw) ? dhcp_address(switch_dhcp(n->sw),
							switch_port_number(port),
							switch_port_mac(port), now_s()) : 0;
	struct forward *f;

	if (!switch_uplink(n->sw))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: network '%s' has no way to its guests "
				 "from outside: ports are forwarded by <forward mode='nat'/>",
				 n->def->name);
	if (!ip)
		return error_set(error, VMM_ERR_OPERATION_FAILED, "operation failed: network '%s' "
				 "has no address for the guest: see its <dhcp>", n->def->name);
	f = g_new0(struct forward, 1);
	f->key = g_strdup(switch_port_key(port));
	f->f = (struct slirp_forward){
		.udp = w->udp, .host_port = (uint16_t)w->host_port,
		.guest_port = (uint16_t)w->guest_port,
		.host_addr = w->address[0] ? g_strdup(w->address) : NULL,
		.guest_addr = network_ip_text(ip),
	};
	if (slirp_forward_add(switch_uplink(n->sw), &f->f, error)) {
		g_ptr_array_add(n->forwards, f);
		return true;
	}
	forward_free(f);
	return false;
}

void network_forwards_drop(struct network *n, const char *key)
{
	for (unsigned i = n->forwards->len; i-- > 0;) {
		struct forward *f = n->forwards->pdata[i];

		if (!g_str_equal(f->key, key))
			continue;
		slirp_forward_remove(switch_uplink(n->sw), &f->f, NULL);
		g_ptr_array_remove_index_fast(n->forwards, i);
	}
}

bool network_forward_remove(struct network *n, const char *key, const worker_forward *w,
			    GError **error)
{
	for (unsigned i = 0; i < n->forwards->len; i++) {
		struct forward *f = n->forwards->pdata[i];

		if (!same_forward(f, key, w))
			continue;
		if (!slirp_forward_remove(switch_uplink(n->sw), &f->f, error))
			return false;
		g_ptr_array_remove_index_fast(n->forwards, i);
		return true;
	}
	return error_set(error, VMM_ERR_OPERATION_INVALID, "Requested operation is not valid: port "
			 "%u of the host is not forwarded", w->host_port);
}

static void on_port_gone(struct switch_port *port, void *opaque)
{
	network_forwards_drop(opaque, switch_port_key(port));
}

/* ---- the switch ---- */

/* An address that guests need not see: the highest that nobody has by name. */
static uint32_t nameserver_choose(const network_def *def)
{
	uint32_t ip = (def->address | ~network_mask(def)) - 1;

	for (unsigned i = 0; i < def->hosts->len; i++) {
		const struct network_host *h = def->hosts->pdata[i];

		if (h->ip == ip || ip == def->address) {
			ip--;
			i = UINT_MAX;	/* from the first again */
		}
	}
	return ip == def->address ? ip - 1 : ip;
}

static GArray *hosts_of(const network_def *def)
{
	GArray *hosts = g_array_new(FALSE, FALSE, sizeof(struct dhcp_host));

	for (unsigned i = 0; i < def->hosts->len; i++) {
		const struct network_host *h = def->hosts->pdata[i];
		struct dhcp_host one = { .has_mac = h->has_mac, .name = h->name, .ip = h->ip,
					 .lease_s = h->lease_s };

		memcpy(one.mac, h->mac, MAC_BYTES);
		g_array_append_val(hosts, one);
	}
	return hosts;
}

static struct dhcp *dhcp_build(const network_def *def, uint32_t nameserver)
{
	g_autoptr(GArray) hosts = hosts_of(def);
	const struct dhcp_opts opts = {
		.server = def->address, .mask = network_mask(def), .reserved = nameserver,
		.router = def->forward == NETWORK_NAT, .dns = !def->dns_off,
		.domain = def->domain,
		.ranges = (const struct dhcp_range *)(void *)def->ranges->data,
		.n_ranges = def->ranges->len,
		.hosts = (const struct dhcp_host *)(void *)hosts->data, .n_hosts = hosts->len,
	};

	static_assert(sizeof(struct dhcp_range) == sizeof(struct network_range),
		      "one is read as the other");
	return def->dhcp ? dhcp_new(&opts) : NULL;
}

/* A service's name ends in its domain, else in the network's. */
static void record_fill(struct dns *dns, const network_def *def, const struct network_record *r)
{
	const char *domain = r->domain ?: def->domain;
	g_autofree char *name = g_strdup_printf("_%s._%s%s%s", r->name, r->udp ? "udp" : "tcp",
						domain ? "." : "", domain ?: "");

	if (r->value)
		dns_add_txt(dns, r->name, r->value);
	else
		dns_add_srv(dns, name, r->target, r->port, r->priority, r->weight);
}

static void names_fill(struct network *n)
{
	struct dns *dns = switch_dns(n->sw);

	if (!dns)
		return;
	dns_clear(dns);
	for (unsigned i = 0; i < n->def->names->len; i++) {
		const struct network_name *name = n->def->names->pdata[i];

		for (unsigned k = 0; k < name->names->len; k++)
			dns_add(dns, name->names->pdata[k], name->ip);
	}
	for (unsigned i = 0; i < n->def->records->len; i++)
		record_fill(dns, n->def, n->def->records->pdata[i]);
	for (unsigned i = 0; i < n->def->hosts->len; i++) {
		const struct network_host *h = n->def->hosts->pdata[i];

		if (h->name)
			dns_add(dns, h->name, h->ip);
	}
}

static struct net_backend *uplink_build(const network_def *def, uint32_t nameserver, GError **error)
{
	g_autofree char *net = network_ip_text(def->address & network_mask(def));
	const struct slirp_opts opts = {
		.network = net, .prefix = def->prefix, .host = def->address,
		.nameserver = nameserver,
	};

	return slirp_net_new(&opts, error);
}

bool network_build(struct network *n, GError **error)
{
	const network_def *def = n->def;
	uint32_t nameserver = def->forward == NETWORK_NAT ? nameserver_choose(def) : 0;
	struct switch_opts opts = {
		.address = def->address, .mask = network_mask(def), .nameserver = nameserver,
		.dns = !def->dns_off, .domain = def->domain, .local_only = def->local_only,
		.port_gone = on_port_gone, .leases_changed = on_leases_changed, .opaque = n,
	};

	memcpy(opts.mac, def->mac, MAC_BYTES);
	if (def->forward == NETWORK_NAT) {
		opts.uplink = uplink_build(def, nameserver, error);
		if (!opts.uplink)
			return false;
	}
	opts.dhcp = dhcp_build(def, nameserver);
	n->sw = switch_new(&opts);
	names_fill(n);
	leases_read(n);
	return true;
}

void network_refill(struct network *n)
{
	g_autoptr(GArray) hosts = hosts_of(n->def);

	if (switch_dhcp(n->sw))
		dhcp_set_hosts(switch_dhcp(n->sw), (const struct dhcp_host *)(void *)hosts->data,
			       hosts->len);
	names_fill(n);
}

void network_init(struct network *n)
{
	*n = (struct network){ .leases_fd = -1, .loop = g_main_loop_new(NULL, FALSE) };
	n->forwards = g_ptr_array_new_with_free_func(forward_free);
}

void network_done(struct network *n)
{
	if (n->leases_source && g_source_remove(n->leases_source))
		leases_write(n);
	switch_free(n->sw);
	network_def_free(n->def);
	g_ptr_array_unref(n->forwards);
	fd_close(&n->leases_fd);
	g_free(n->xml);
	g_main_loop_unref(n->loop);
}
