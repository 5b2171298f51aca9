/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DHCP messages: RFC 2131 says who answers what when, RFC 2132 what the options are. */
#include "config.h"
#include "libvmm/net/dhcp-priv.h"

#include "libvmm/net/frame.h"

#define MAGIC 0x63825363u
#define BROADCAST UINT32_MAX
#define NAME_MAX_BYTES 63

enum {				/* places in a message */
	BOOT_OP = 0, BOOT_HTYPE = 1, BOOT_HLEN = 2, BOOT_XID = 4, BOOT_FLAGS = 10,
	BOOT_CIADDR = 12, BOOT_YIADDR = 16, BOOT_SIADDR = 20, BOOT_GIADDR = 24, BOOT_CHADDR = 28,
	BOOT_MAGIC = 236, BOOT_OPTIONS = 240,
};
enum {				/* options */
	OPT_PAD = 0, OPT_MASK = 1, OPT_ROUTER = 3, OPT_DNS = 6, OPT_NAME = 12, OPT_DOMAIN = 15,
	OPT_BROADCAST = 28, OPT_REQUESTED = 50, OPT_LEASE = 51, OPT_TYPE = 53, OPT_SERVER = 54,
	OPT_T1 = 58, OPT_T2 = 59, OPT_CLIENT = 61, OPT_END = 255,
};
enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

struct request {
	const uint8_t *msg;
	const uint8_t *mac;
	unsigned type;
	uint32_t ciaddr, requested, server;
	char name[NAME_MAX_BYTES + 1];
	char client_id[DHCP_CLIENT_ID_TEXT + 1];
};

bool dhcp_name_is_fit(const char *name)
{
	size_t n = strlen(name);

	return n && n <= NAME_MAX_BYTES && name[0] != '-' && name[n - 1] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

/* ---- reading ---- */

static void read_name(struct request *r, const uint8_t *value, size_t n)
{
	char text[256];

	/* some send "name.domain" */
	memcpy(text, value, n);
	text[n] = 0;
	text[strcspn(text, ".")] = 0;
	if (dhcp_name_is_fit(text))
		g_strlcpy(r->name, text, sizeof(r->name));
}

static void read_client_id(struct request *r, const uint8_t *value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		g_snprintf(r->client_id + 3 * i, 4, "%02x%s", value[i], i + 1 < n ? ":" : "");
}

static void read_option(struct request *r, unsigned code, const uint8_t *value, size_t n)
{
	if (code == OPT_TYPE && n == 1)
		r->type = value[0];
	else if (code == OPT_REQUESTED && n == 4)
		r->requested = get32(value);
	else if (code == OPT_SERVER && n == 4)
		r->server = get32(value);
	else if (code == OPT_NAME)
		read_name(r, value, n);
	else if (code == OPT_CLIENT)
		read_client_id(r, value, n);
}

static bool request_read(struct request *r, const uint8_t *msg, size_t bytes)
{
	*r = (struct request){ .msg = msg };
	if (bytes < BOOT_OPTIONS || msg[BOOT_OP] != 1 || msg[BOOT_HTYPE] != 1 ||
	    msg[BOOT_HLEN] != MAC_BYTES || get32(msg + BOOT_MAGIC) != MAGIC ||
	    get32(msg + BOOT_GIADDR))
		return false;
	r->mac = msg + BOOT_CHADDR;
	r->ciaddr = get32(msg + BOOT_CIADDR);
	for (size_t at = BOOT_OPTIONS; at < bytes && msg[at] != OPT_END;) {
		if (msg[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (at + 2 > bytes || at + 2 + msg[at + 1] > bytes)
			return false;
		read_option(r, msg[at], msg + at + 2, msg[at + 1]);
		at += 2u + msg[at + 1];
	}
	return !(r->mac[0] & 1) && memcmp(r->mac, "\0\0\0\0\0", MAC_BYTES) != 0;
}

/* ---- writing ---- */

static void put_option(struct dhcp_reply *ret, unsigned code, const void *value, size_t n)
{
	if (!n || n > 255 || ret->bytes + n + 3 > sizeof(ret->data))
		return;
	ret->data[ret->bytes] = (uint8_t)code;
	ret->data[ret->bytes + 1] = (uint8_t)n;
	memcpy(ret->data + ret->bytes + 2, value, n);
	ret->bytes += n + 2;
}

static void put_number(struct dhcp_reply *ret, unsigned code, uint32_t value)
{
	uint8_t bytes[4];

	put32(bytes, value);
	put_option(ret, code, bytes, sizeof(bytes));
}

static void reply_begin(const struct dhcp *d, const struct request *r, unsigned type, uint32_t ip,
			struct dhcp_reply *ret)
{
	uint8_t kind = (uint8_t)type;

	memset(ret->data, 0, sizeof(ret->data));
	ret->data[BOOT_OP] = 2;
	ret->data[BOOT_HTYPE] = 1;
	ret->data[BOOT_HLEN] = MAC_BYTES;
	memcpy(ret->data + BOOT_XID, r->msg + BOOT_XID, 4);
	memcpy(ret->data + BOOT_FLAGS, r->msg + BOOT_FLAGS, 2);
	put32(ret->data + BOOT_CIADDR, type == ACK ? r->ciaddr : 0);
	put32(ret->data + BOOT_YIADDR, ip);
	put32(ret->data + BOOT_SIADDR, type == NAK ? 0 : d->server);
	memcpy(ret->data + BOOT_CHADDR, r->mac, MAC_BYTES);
	put32(ret->data + BOOT_MAGIC, MAGIC);
	ret->bytes = BOOT_OPTIONS;
	put_option(ret, OPT_TYPE, &kind, 1);
	put_number(ret, OPT_SERVER, d->server);
	/* 4.1: to whom; a client without address that does not ask for a broadcast takes both */
	ret->to = r->ciaddr && type != NAK ? r->ciaddr : BROADCAST;
	if (ret->to == BROADCAST && ip && !(get16(r->msg + BOOT_FLAGS) & 0x8000))
		ret->to = ip;
}

static void reply_end(struct dhcp_reply *ret)
{
	ret->data[ret->bytes++] = OPT_END;
	/* BOOTP's least: some clients insist (RFC 1542, 2.1) */
	ret->bytes = MAX(ret->bytes, 300);
}

static void put_network(const struct dhcp *d, const struct request *r, struct dhcp_reply *ret)
{
	const char *name = dhcp_host_name(d, r->mac);

	put_number(ret, OPT_MASK, d->mask);
	put_number(ret, OPT_BROADCAST, d->server | ~d->mask);
	if (d->router)
		put_number(ret, OPT_ROUTER, d->server);
	if (d->dns)
		put_number(ret, OPT_DNS, d->server);
	if (d->domain)
		put_option(ret, OPT_DOMAIN, d->domain, strlen(d->domain));
	if (name)
		put_option(ret, OPT_NAME, name, strlen(name));
}

static void reply_lease(const struct dhcp *d, const struct request *r, unsigned type, uint32_t ip,
			struct dhcp_reply *ret)
{
	uint32_t lease_s = dhcp_lease_s(d, ip);

	reply_begin(d, r, type, ip, ret);
	put_number(ret, OPT_LEASE, lease_s);
	put_number(ret, OPT_T1, lease_s / 2);
	put_number(ret, OPT_T2, lease_s / 8 * 7);
	put_network(d, r, ret);
	reply_end(ret);
}

/* ---- answering ---- */

static void on_discover(struct dhcp *d, unsigned port, const struct request *r, int64_t now_s,
			struct dhcp_reply *ret)
{
	const char *name = r->name[0] ? r->name : NULL;
	uint32_t ip = dhcp_choose(d, port, r->mac, name, r->requested, now_s);

	if (!ip)
		return;
	dhcp_take(d, port, r->mac, ip, now_s);
	reply_lease(d, r, OFFER, ip, ret);
}

static void bind_lease(struct dhcp *d, unsigned port, const struct request *r, uint32_t ip,
		       int64_t now_s)
{
	struct dhcp_lease *l = dhcp_take(d, port, r->mac, ip, now_s);

	l->bound = true;
	l->expires_s = now_s + dhcp_lease_s(d, ip);
	g_free(l->name);
	g_free(l->client_id);
	l->name = g_strdup(r->name[0] ? r->name : dhcp_host_name(d, r->mac));
	l->client_id = r->client_id[0] ? g_strdup(r->client_id) : NULL;
}

static void on_request(struct dhcp *d, unsigned port, const struct request *r, int64_t now_s,
		       struct dhcp_reply *ret)
{
	uint32_t wanted = r->requested ?: r->ciaddr, ip;

	if (r->server && r->server != d->server)
		return;		/* another's offer was taken; ours runs out */
	ip = dhcp_choose(d, port, r->mac, r->name[0] ? r->name : NULL, wanted, now_s);
	if (ip && ip == wanted) {
		bind_lease(d, port, r, ip, now_s);
		ret->changed = true;
		reply_lease(d, r, ACK, ip, ret);
	} else if (wanted) {
		reply_begin(d, r, NAK, 0, ret);
		reply_end(ret);
	}
}

static void on_end(struct dhcp *d, const struct request *r, int64_t now_s, struct dhcp_reply *ret)
{
	const struct dhcp_lease *bound = dhcp_by_mac(d, r->mac, now_s);
	struct dhcp_lease *l = (struct dhcp_lease *)bound;
	uint32_t ip = r->type == DECLINE ? r->requested : r->ciaddr;

	if (!l || l->ip != ip)
		return;
	ret->changed = true;
	if (r->type == DECLINE)
		dhcp_decline(d, l, now_s);
	else
		dhcp_drop(d, l);
}

static void on_inform(const struct dhcp *d, const struct request *r, struct dhcp_reply *ret)
{
	if (!r->ciaddr)
		return;
	reply_begin(d, r, ACK, 0, ret);
	put_network(d, r, ret);
	reply_end(ret);
}

void dhcp_handle(struct dhcp *d, unsigned port, const uint8_t *msg, size_t bytes, int64_t now_s,
		 struct dhcp_reply *ret)
{
	struct request r;

	ret->bytes = 0;
	ret->changed = false;
	if (!request_read(&r, msg, bytes))
		return;
	switch (r.type) {
	case DISCOVER:
		on_discover(d, port, &r, now_s, ret);
		return;
	case REQUEST:
		on_request(d, port, &r, now_s, ret);
		return;
	case DECLINE:
	case RELEASE:
		on_end(d, &r, now_s, ret);
		return;
	case INFORM:
		on_inform(d, &r, ret);
		return;
	}
}
