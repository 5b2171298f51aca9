/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leases: which card has which address.  The messages are in dhcp-message.c. */
#include "config.h"
#include "libvmm/net/dhcp-priv.h"

#include <stdio.h>

#include "libvmm/util/cleanup.h"

#define OFFER_S 60
#define DECLINED_S 600
#define LEASES_MAX 16384u
#define LINE_FIELDS 5

static uint64_t mac_key(const uint8_t mac[MAC_BYTES])
{
	uint64_t key = 0;

	memcpy(&key, mac, MAC_BYTES);
	return key;
}

static void lease_free(void *opaque)
{
	struct dhcp_lease *l = opaque;

	g_free(l->name);
	g_free(l->client_id);
	g_free(l);
}

static void host_clear(void *opaque)
{
	g_free((char *)((struct dhcp_host *)opaque)->name);
}

void dhcp_set_hosts(struct dhcp *d, const struct dhcp_host *hosts, unsigned n)
{
	g_array_set_size(d->hosts, 0);
	for (unsigned i = 0; i < n; i++) {
		struct dhcp_host h = hosts[i];

		h.name = g_strdup(h.name);
		g_array_append_val(d->hosts, h);
	}
}

struct dhcp *dhcp_new(const struct dhcp_opts *opts)
{
	struct dhcp *d = g_new0(struct dhcp, 1);

	d->server = opts->server;
	d->mask = opts->mask;
	d->reserved = opts->reserved;
	d->router = opts->router;
	d->dns = opts->dns;
	d->domain = g_strdup(opts->domain);
	d->ranges = g_array_new(FALSE, FALSE, sizeof(struct dhcp_range));
	if (opts->n_ranges)
		g_array_append_vals(d->ranges, opts->ranges, opts->n_ranges);
	d->hosts = g_array_new(FALSE, FALSE, sizeof(struct dhcp_host));
	g_array_set_clear_func(d->hosts, host_clear);
	dhcp_set_hosts(d, opts->hosts, opts->n_hosts);
	d->by_ip = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, lease_free);
	d->by_mac = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	return d;
}

void dhcp_free(struct dhcp *d)
{
	if (!d)
		return;
	g_hash_table_unref(d->by_mac);
	g_hash_table_unref(d->by_ip);
	g_array_unref(d->ranges);
	g_array_unref(d->hosts);
	g_free(d->domain);
	g_free(d);
}

/* ---- the tables ---- */

static struct dhcp_lease *find_ip(struct dhcp *d, uint32_t ip)
{
	return g_hash_table_lookup(d->by_ip, GUINT_TO_POINTER(ip));
}

static struct dhcp_lease *find_mac(struct dhcp *d, const uint8_t mac[MAC_BYTES])
{
	uint64_t key = mac_key(mac);

	return g_hash_table_lookup(d->by_mac, &key);
}

void dhcp_drop(struct dhcp *d, struct dhcp_lease *l)
{
	uint64_t key = mac_key(l->mac);

	if (find_mac(d, l->mac) == l)
		g_hash_table_remove(d->by_mac, &key);
	g_hash_table_remove(d->by_ip, GUINT_TO_POINTER(l->ip));
}

/* Somebody else answers at that address: it is left alone for a while, and nobody's. */
void dhcp_decline(struct dhcp *d, struct dhcp_lease *l, int64_t now_s)
{
	uint64_t key = mac_key(l->mac);

	g_hash_table_remove(d->by_mac, &key);
	memset(l->mac, 0, MAC_BYTES);
	l->bound = false;
	l->expires_s = now_s + DECLINED_S;
}

struct dhcp_lease *dhcp_take(struct dhcp *d, unsigned port, const uint8_t mac[MAC_BYTES],
			     uint32_t ip, int64_t now_s)
{
	struct dhcp_lease *l = find_mac(d, mac), *other = find_ip(d, ip);

	if (l && l->ip != ip) {
		dhcp_drop(d, l);
		l = NULL;
	}
	if (other && other != l)
		dhcp_drop(d, other);
	if (!l) {
		uint64_t *key = g_new(uint64_t, 1);

		l = g_new0(struct dhcp_lease, 1);
		l->ip = ip;
		memcpy(l->mac, mac, MAC_BYTES);
		*key = mac_key(mac);
		g_hash_table_insert(d->by_ip, GUINT_TO_POINTER(ip), l);
		g_hash_table_insert(d->by_mac, key, l);
	}
	l->port = port;
	if (!l->bound)
		l->expires_s = now_s + OFFER_S;
	return l;
}

/* ---- choosing ---- */

static const struct dhcp_host *host_of(const struct dhcp *d, const uint8_t *mac, const char *name)
{
	for (unsigned i = 0; i < d->hosts->len; i++) {
		const struct dhcp_host *h = &g_array_index(d->hosts, struct dhcp_host, i);

		if (h->has_mac ? !memcmp(h->mac, mac, MAC_BYTES)
			       : name && !g_ascii_strcasecmp(h->name, name))
			return h;
	}
	return NULL;
}

static bool in_ranges(const struct dhcp *d, uint32_t ip)
{
	for (unsigned i = 0; i < d->ranges->len; i++) {
		const struct dhcp_range *r = &g_array_index(d->ranges, struct dhcp_range, i);

		if (ip >= r->start && ip <= r->end)
			return true;
	}
	return false;
}

static bool is_free(struct dhcp *d, const uint8_t *mac, uint32_t ip, int64_t now_s)
{
	const struct dhcp_lease *l = find_ip(d, ip);

	if (ip == d->server || ip == d->reserved || (l && l != find_mac(d, mac) &&
						     l->expires_s > now_s))
		return false;
	for (unsigned i = 0; i < d->hosts->len; i++)
		if (g_array_index(d->hosts, struct dhcp_host, i).ip == ip)
			return false;
	return true;
}

static bool port_is_greedy(struct dhcp *d, unsigned port, int64_t now_s)
{
	unsigned has = 0;
	GHashTableIter iter;
	gpointer l;

	g_hash_table_iter_init(&iter, d->by_ip);
	while (g_hash_table_iter_next(&iter, NULL, &l)) {
		const struct dhcp_lease *lease = l;

		has += port && lease->port == port && lease->expires_s > now_s;
	}
	return has >= DHCP_PORT_LEASES;
}

static uint32_t free_find(struct dhcp *d, const uint8_t *mac, int64_t now_s)
{
	for (unsigned i = 0; i < d->ranges->len; i++) {
		const struct dhcp_range *r = &g_array_index(d->ranges, struct dhcp_range, i);

		for (uint32_t ip = r->start; ip <= r->end; ip++)
			if (is_free(d, mac, ip, now_s))
				return ip;
	}
	return 0;
}

/* What has run out is kept, so that a card finds its old address; but not without bound. */
static bool is_full(struct dhcp *d, int64_t now_s)
{
	g_autoptr(GPtrArray) old = NULL;
	GHashTableIter iter;
	gpointer l;

	if (g_hash_table_size(d->by_ip) < LEASES_MAX)
		return false;
	old = g_ptr_array_new();
	g_hash_table_iter_init(&iter, d->by_ip);
	while (g_hash_table_iter_next(&iter, NULL, &l))
		if (((struct dhcp_lease *)l)->expires_s <= now_s)
			g_ptr_array_add(old, l);
	for (unsigned i = 0; i < old->len; i++)
		dhcp_drop(d, old->pdata[i]);
	return old->len == 0;
}

uint32_t dhcp_choose(struct dhcp *d, unsigned port, const uint8_t *mac, const char *name,
		     uint32_t wanted, int64_t now_s)
{
	const struct dhcp_host *host = host_of(d, mac, name);
	const struct dhcp_lease *l = find_mac(d, mac);

	if (host)
		return host->ip;
	if (l && in_ranges(d, l->ip) && is_free(d, mac, l->ip, now_s))
		return l->ip;
	if (is_full(d, now_s) || port_is_greedy(d, port, now_s))
		return 0;
	if (wanted && in_ranges(d, wanted) && is_free(d, mac, wanted, now_s))
		return wanted;
	return free_find(d, mac, now_s);
}

uint32_t dhcp_lease_s(const struct dhcp *d, uint32_t ip)
{
	for (unsigned i = 0; i < d->hosts->len; i++) {
		const struct dhcp_host *h = &g_array_index(d->hosts, struct dhcp_host, i);

		if (h->ip == ip)
			return h->lease_s ?: DHCP_LEASE_S;
	}
	for (unsigned i = 0; i < d->ranges->len; i++) {
		const struct dhcp_range *r = &g_array_index(d->ranges, struct dhcp_range, i);

		if (ip >= r->start && ip <= r->end)
			return r->lease_s ?: DHCP_LEASE_S;
	}
	return DHCP_LEASE_S;
}

const char *dhcp_host_name(const struct dhcp *d, const uint8_t *mac)
{
	const struct dhcp_host *host = host_of(d, mac, NULL);

	return host ? host->name : NULL;
}

uint32_t dhcp_address(struct dhcp *d, unsigned port, const uint8_t mac[MAC_BYTES], int64_t now_s)
{
	uint32_t ip = dhcp_choose(d, port, mac, NULL, 0, now_s);

	if (ip)
		dhcp_take(d, port, mac, ip, now_s);
	return ip;
}

/* ---- looking ---- */

static bool is_bound(const struct dhcp_lease *l, int64_t now_s)
{
	return l && l->bound && l->expires_s > now_s;
}

const struct dhcp_lease *dhcp_by_mac(struct dhcp *d, const uint8_t mac[MAC_BYTES], int64_t now_s)
{
	const struct dhcp_lease *l = find_mac(d, mac);

	return is_bound(l, now_s) ? l : NULL;
}

const struct dhcp_lease *dhcp_by_ip(struct dhcp *d, uint32_t ip, int64_t now_s)
{
	const struct dhcp_lease *l = find_ip(d, ip);

	return is_bound(l, now_s) ? l : NULL;
}

static int lease_compare(gconstpointer a, gconstpointer b)
{
	uint32_t x = (*(const struct dhcp_lease *const *)a)->ip;
	uint32_t y = (*(const struct dhcp_lease *const *)b)->ip;

	return (x > y) - (x < y);
}

GPtrArray *dhcp_leases(struct dhcp *d, int64_t now_s)
{
	GPtrArray *list = g_ptr_array_new();
	GHashTableIter iter;
	gpointer l;

	g_hash_table_iter_init(&iter, d->by_ip);
	while (g_hash_table_iter_next(&iter, NULL, &l))
		if (is_bound(l, now_s))
			g_ptr_array_add(list, l);
	g_ptr_array_sort(list, lease_compare);
	return list;
}

const struct dhcp_lease *dhcp_by_name(struct dhcp *d, const char *name, int64_t now_s)
{
	g_autoptr(GPtrArray) list = dhcp_leases(d, now_s);

	for (unsigned i = 0; i < list->len; i++) {
		const struct dhcp_lease *l = list->pdata[i];

		if (l->name && !g_ascii_strcasecmp(l->name, name))
			return l;
	}
	return NULL;
}

/* ---- what outlives the process ---- */

char *dhcp_format(struct dhcp *d, int64_t now_s)
{
	g_autoptr(GPtrArray) list = dhcp_leases(d, now_s);
	GString *text = g_string_new(NULL);

	for (unsigned i = 0; i < list->len; i++) {
		const struct dhcp_lease *l = list->pdata[i];
		char mac[MAC_TEXT_BYTES];

		mac_to_text(l->mac, mac);
		g_string_append_printf(text, "%" G_GINT64_FORMAT " %s %u %s %s\n", l->expires_s,
				       mac, l->ip, l->name ?: "-", l->client_id ?: "-");
	}
	return g_string_free(text, FALSE);
}

static void line_restore(struct dhcp *d, const char *line, int64_t now_s)
{
	g_auto(GStrv) f = g_strsplit(line, " ", LINE_FIELDS);
	uint8_t mac[MAC_BYTES];
	guint64 ip, expires;
	struct dhcp_lease *l;

	if (g_strv_length(f) != LINE_FIELDS || !mac_from_text(f[1], mac) ||
	    !g_ascii_string_to_unsigned(f[0], 10, 0, G_MAXINT64, &expires, NULL) ||
	    !g_ascii_string_to_unsigned(f[2], 10, 1, UINT32_MAX, &ip, NULL) ||
	    (int64_t)expires <= now_s || expires > (guint64)now_s + dhcp_lease_s(d, (uint32_t)ip) ||
	    ((uint32_t)ip & d->mask) != (d->server & d->mask) || find_ip(d, (uint32_t)ip))
		return;
	l = dhcp_take(d, 0, mac, (uint32_t)ip, now_s);
	l->bound = true;
	l->expires_s = (int64_t)expires;
	l->name = dhcp_name_is_fit(f[3]) ? g_strdup(f[3]) : NULL;
	l->client_id = g_str_equal(f[4], "-") ? NULL : g_strndup(f[4], DHCP_CLIENT_ID_TEXT);
}

void dhcp_restore(struct dhcp *d, const char *text, int64_t now_s)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", LEASES_MAX);

	for (char **line = lines; *line; line++)
		line_restore(d, *line, now_s);
}
