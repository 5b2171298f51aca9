/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of a network's guests (RFC 1035): answers to one question at a time,
 * or the word that somebody else should be asked.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_PORT 53
#define DNS_REPLY_BYTES 512
#define DNS_NAME_BYTES 256

struct dns_opts {
	uint32_t network, mask;		/* whose addresses have their names here */
	const char *domain;		/* NULL; copied */
	bool local_only;		/* its other names are nowhere */
	bool forward;			/* there is somebody else */
	/* Names that come and go; name is without the domain, in lower case.  0, NULL: none. */
	uint32_t (*resolve)(const char *name, void *opaque);
	const char *(*reverse)(uint32_t ip, void *opaque);
	void *opaque;
};

struct dns;

struct dns *dns_new(const struct dns_opts *opts);
void dns_free(struct dns *d);
/* A name that stays; it comes before all others. */
void dns_add(struct dns *d, const char *name, uint32_t ip);
enum dns_type { DNS_TXT = 16, DNS_SRV = 33 };
/* Likewise, what is said of a name; value: a text, at most 255 bytes. */
void dns_add_txt(struct dns *d, const char *name, const char *value);
/* name: "_ldap._tcp.lan"; target NULL: there is no such service. */
void dns_add_srv(struct dns *d, const char *name, const char *target, unsigned port,
		 unsigned priority, unsigned weight);
void dns_clear(struct dns *d);

enum dns_verdict { DNS_DROP, DNS_ANSWER, DNS_FORWARD };

enum dns_verdict dns_handle(struct dns *d, const uint8_t *query, size_t bytes,
			    uint8_t reply[DNS_REPLY_BYTES], size_t *ret_bytes);
