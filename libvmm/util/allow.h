/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which places a guest may be connected to: patterns, and what matches them.
 *
 *	name:PORT  *.name:PORT (subdomains only)
 *	ADDRESS:PORT  PREFIX/BITS:PORT, IPv6 in brackets: [2001:db8::/32]:443
 *
 * PORT is a number, or * for all.  No system calls.
 */
#pragma once

#include <glib.h>

#include "libvmm/util/inet.h"

#define ALLOW_NAME_MAX 253	/* RFC 1035: of a name as text */
#define ALLOW_RULES_MAX 256

enum allow_kind { ALLOW_NAME, ALLOW_SUBDOMAINS, ALLOW_ADDRESS };

struct allow_rule {
	enum allow_kind kind;
	char name[ALLOW_NAME_MAX + 1];	/* in small letters, no dot at its end */
	struct inet_address prefix;
	unsigned bits;
	uint16_t port;			/* 0: all */
};

bool allow_rule_parse(const char *text, struct allow_rule *ret, GError **error);
/* The one way to write it. */
char *allow_rule_text(const struct allow_rule *rule);
/* rules: of struct allow_rule; each as a word of a command. */
void allow_rules_add_words(const GArray *rules, GStrvBuilder *words);

/* name: as somebody asks for it, that is foreign; never an address. */
bool allow_name(const struct allow_rule *rules, unsigned n, const char *name, uint16_t port);
/*
 * Somebody who opens 0.0.0.0/0 thinks of the internet, not of what stands
 * beside the host.  So a special address (util/inet.h), or one that is the
 * host's own, matches its own pattern, or that of a part of its kind: of
 * 10.0.0.0/8, say.
 */
bool allow_address(const struct allow_rule *rules, unsigned n, const struct inet_address *a,
		   bool own, uint16_t port);
