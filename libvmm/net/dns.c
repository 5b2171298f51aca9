/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names: questions read, looked up, answered. */
#include "config.h"
#include "libvmm/net/dns.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/net/frame.h"

#define TTL_S 10		/* addresses go with their leases */
#define CLASS_IN 1
#define REVERSE ".in-addr.arpa"

enum { DNS_ID = 0, DNS_FLAGS = 2, DNS_QUESTIONS = 4, DNS_ANSWERS = 6, DNS_HEADER_BYTES = 12 };
enum { FLAG_QR = 0x8000, FLAG_OPCODE = 0x7800, FLAG_AA = 0x400, FLAG_RD = 0x100, FLAG_RA = 0x80 };
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_ANY = 255 };
enum rcode { RCODE_OK = 0, RCODE_NO_NAME = 3, RCODE_REFUSED = 5 };

struct dns {
	struct dns_opts o;
	char *domain;			/* in lower case */
	GHashTable *names;		/* name -> address */
	GHashTable *addresses;		/* address -> its first name */
	GHashTable *records;		/* name -> GPtrArray of struct record */
};

struct record {
	unsigned type;
	size_t bytes;
	uint8_t data[];
};

struct question {
	char name[DNS_NAME_BYTES];	/* in lower case, dots between */
	unsigned type, class;
	size_t end;			/* behind it, in the query */
};

struct dns *dns_new(const struct dns_opts *opts)
{
	struct dns *d = g_new0(struct dns, 1);

	d->o = *opts;
	d->domain = opts->domain ? g_ascii_strdown(opts->domain, -1) : NULL;
	d->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	d->addresses = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
	d->records = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
					   (GDestroyNotify)g_ptr_array_unref);
	return d;
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	g_hash_table_unref(d->names);
	g_hash_table_unref(d->addresses);
	g_hash_table_unref(d->records);
	g_free(d->domain);
	g_free(d);
}

static size_t name_encode(const char *name, uint8_t *ret)
{
	g_auto(GStrv) labels = g_strsplit(name, ".", -1);
	size_t n = 0;

	for (char **l = labels; *l; l++) {
		size_t len = strlen(*l);

		if (!len || len > 63 || n + len + 2 > DNS_NAME_BYTES)
			return 0;
		ret[n++] = (uint8_t)len;
		memcpy(ret + n, *l, len);
		n += len;
	}
	ret[n++] = 0;
	return n;
}

void dns_add(struct dns *d, const char *name, uint32_t ip)
{
	gpointer key = GUINT_TO_POINTER(ip);

	g_hash_table_replace(d->names, g_ascii_strdown(name, -1), key);
	if (!g_hash_table_contains(d->addresses, key))
		g_hash_table_insert(d->addresses, key, g_ascii_strdown(name, -1));
}

void dns_clear(struct dns *d)
{
	g_hash_table_remove_all(d->names);
	g_hash_table_remove_all(d->addresses);
	g_hash_table_remove_all(d->records);
}

static void record_add(struct dns *d, const char *name, unsigned type, const uint8_t *data,
		       size_t bytes)
{
	g_autofree char *key = g_ascii_strdown(name, -1);
	GPtrArray *list = g_hash_table_lookup(d->records, key);
	struct record *r = g_malloc(sizeof(*r) + bytes);

	if (!list) {
		list = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(d->records, g_steal_pointer(&key), list);
	}
	r->type = type;
	r->bytes = bytes;
	memcpy(r->data, data, bytes);
	g_ptr_array_add(list, r);
}

void dns_add_txt(struct dns *d, const char *name, const char *value)
{
	uint8_t data[256];
	size_t n = MIN(strlen(value), 255);

	data[0] = (uint8_t)n;
	memcpy(data + 1, value, n);
	record_add(d, name, DNS_TXT, data, n + 1);
}

void dns_add_srv(struct dns *d, const char *name, const char *target, unsigned port,
		 unsigned priority, unsigned weight)
{
	uint8_t data[6 + DNS_NAME_BYTES] = { 0 };
	size_t n = target ? name_encode(target, data + 6) : 1;	/* the root: no such service */

	if (!n)
		return;
	put16(data, priority);
	put16(data + 2, weight);
	put16(data + 4, port);
	record_add(d, name, DNS_SRV, data, 6 + n);
}

/* ---- reading ---- */

/* A question's name has no pointers (4.1.2); labels with dots in them are nobody's here. */
static bool question_read(const uint8_t *query, size_t bytes, struct question *ret)
{
	size_t at = DNS_HEADER_BYTES, n = 0;

	while (at < bytes && query[at]) {
		size_t label = query[at++];

		if (label > 63 || at + label >= bytes || n + label + 2 > sizeof(ret->name))
			return false;
		if (n)
			ret->name[n++] = '.';
		for (size_t i = 0; i < label; i++, at++) {
			if (!g_ascii_isgraph(query[at]) || query[at] == '.')
				return false;
			ret->name[n++] = g_ascii_tolower((char)query[at]);
		}
	}
	if (at + 5 > bytes)
		return false;
	ret->name[n] = 0;
	ret->type = get16(query + at + 1);
	ret->class = get16(query + at + 3);
	ret->end = at + 5;
	return true;
}

/* ---- looking up ---- */

/* Is the name below our domain?  Then *ret is what stands before that. */
static bool strip_domain(const struct dns *d, const char *name, char *ret)
{
	size_t n = strlen(name), m = d->domain ? strlen(d->domain) : 0;

	g_strlcpy(ret, name, DNS_NAME_BYTES);
	if (!m || n <= m + 1 || name[n - m - 1] != '.' || strcmp(name + n - m, d->domain) != 0)
		return false;
	ret[n - m - 1] = 0;
	return true;
}

static uint32_t lookup(struct dns *d, const char *name, bool *ret_ours)
{
	char bare[DNS_NAME_BYTES];
	bool below = strip_domain(d, name, bare);
	uint32_t ip = GPOINTER_TO_UINT(g_hash_table_lookup(d->names, name));

	if (!ip)
		ip = GPOINTER_TO_UINT(g_hash_table_lookup(d->names, bare));
	if (!ip && !strchr(bare, '.'))
		ip = d->o.resolve(bare, d->o.opaque);
	/* A name of one label is never a host of the world's. */
	*ret_ours = ip || !strchr(name, '.') || (below && (d->o.local_only || !d->o.forward));
	return ip;
}

/* What is said of a name, by itself or below our domain; NULL. */
static const GPtrArray *lookup_records(const struct dns *d, const char *name)
{
	char bare[DNS_NAME_BYTES];
	const GPtrArray *list = g_hash_table_lookup(d->records, name);

	return list || !strip_domain(d, name, bare) ? list :
						      g_hash_table_lookup(d->records, bare);
}

static bool reverse_read(const char *name, uint32_t *ret)
{
	unsigned a, b, c, d;
	int end = 0;

	if (!g_str_has_suffix(name, REVERSE) ||
	    sscanf(name, "%3u.%3u.%3u.%3u%n", &d, &c, &b, &a, &end) != 4 ||
	    strcmp(name + end, REVERSE) != 0 || a > 255 || b > 255 || c > 255 || d > 255)
		return false;
	*ret = a << 24 | b << 16 | c << 8 | d;
	return true;
}

static char *lookup_reverse(struct dns *d, uint32_t ip)
{
	const char *name = g_hash_table_lookup(d->addresses, GUINT_TO_POINTER(ip));

	name = name ?: d->o.reverse(ip, d->o.opaque);
	if (!name || strchr(name, '.') || !d->domain)
		return g_strdup(name);
	return g_strdup_printf("%s.%s", name, d->domain);
}

/* ---- answering ---- */

static size_t reply_begin(const struct dns *d, const uint8_t *query, const struct question *q,
			  enum rcode rcode, uint8_t *reply)
{
	unsigned flags = FLAG_QR | FLAG_AA | (get16(query + DNS_FLAGS) & FLAG_RD) | rcode |
			 (d->o.forward ? FLAG_RA : 0);

	memcpy(reply, query, q->end);
	put16(reply + DNS_FLAGS, flags);
	put16(reply + DNS_QUESTIONS, 1);
	memset(reply + DNS_ANSWERS, 0, DNS_HEADER_BYTES - DNS_ANSWERS);
	return q->end;
}

static size_t put_record(uint8_t *reply, size_t at, unsigned type, const uint8_t *data, size_t n)
{
	put16(reply + DNS_ANSWERS, get16(reply + DNS_ANSWERS) + 1);
	put16(reply + at, 0xc000 | DNS_HEADER_BYTES);
	put16(reply + at + 2, type);
	put16(reply + at + 4, CLASS_IN);
	put32(reply + at + 6, TTL_S);
	put16(reply + at + 10, (unsigned)n);
	memcpy(reply + at + 12, data, n);
	return at + 12 + n;
}

static enum dns_verdict answer_reverse(struct dns *d, const uint8_t *query,
				       const struct question *q, uint32_t ip, uint8_t *reply,
				       size_t *ret_bytes)
{
	g_autofree char *name = lookup_reverse(d, ip);
	uint8_t encoded[DNS_NAME_BYTES];
	size_t n = name ? name_encode(name, encoded) : 0;

	if (!n && (ip & d->o.mask) != d->o.network && d->o.forward)
		return DNS_FORWARD;
	*ret_bytes = reply_begin(d, query, q, n ? RCODE_OK : RCODE_NO_NAME, reply);
	if (n && (q->type == TYPE_PTR || q->type == TYPE_ANY) &&
	    *ret_bytes + 12 + n <= DNS_REPLY_BYTES)
		*ret_bytes = put_record(reply, *ret_bytes, TYPE_PTR, encoded, n);
	return DNS_ANSWER;
}

static enum dns_verdict refuse(struct dns *d, const uint8_t *query, const struct question *q,
			       uint8_t *reply, size_t *ret_bytes)
{
	if (d->o.forward)
		return DNS_FORWARD;
	*ret_bytes = reply_begin(d, query, q, RCODE_REFUSED, reply);
	return DNS_ANSWER;
}

/* As many as fit. */
static size_t put_records(uint8_t *reply, size_t at, unsigned type, const GPtrArray *records)
{
	for (unsigned i = 0; records && i < records->len; i++) {
		const struct record *r = records->pdata[i];

		if ((type == r->type || type == TYPE_ANY) && at + 12 + r->bytes <= DNS_REPLY_BYTES)
			at = put_record(reply, at, r->type, r->data, r->bytes);
	}
	return at;
}

enum dns_verdict dns_handle(struct dns *d, const uint8_t *query, size_t bytes,
			    uint8_t reply[DNS_REPLY_BYTES], size_t *ret_bytes)
{
	const GPtrArray *records;
	struct question q;
	uint8_t address[4];
	uint32_t ip;
	bool ours;

	if (bytes < DNS_HEADER_BYTES || get16(query + DNS_FLAGS) & FLAG_QR)
		return DNS_DROP;
	if (get16(query + DNS_FLAGS) & FLAG_OPCODE || get16(query + DNS_QUESTIONS) != 1 ||
	    !question_read(query, bytes, &q))
		return d->o.forward ? DNS_FORWARD : DNS_DROP;
	if (q.class != CLASS_IN)
		return refuse(d, query, &q, reply, ret_bytes);
	if (reverse_read(q.name, &ip))
		return answer_reverse(d, query, &q, ip, reply, ret_bytes);
	ip = lookup(d, q.name, &ours);
	records = lookup_records(d, q.name);
	if (!ours && !records)
		return refuse(d, query, &q, reply, ret_bytes);
	*ret_bytes = reply_begin(d, query, &q, ip || records ? RCODE_OK : RCODE_NO_NAME, reply);
	if (ip && (q.type == TYPE_A || q.type == TYPE_ANY)) {
		put32(address, ip);
		*ret_bytes = put_record(reply, *ret_bytes, TYPE_A, address, sizeof(address));
	}
	*ret_bytes = put_records(reply, *ret_bytes, q.type, records);
	return DNS_ANSWER;
}
