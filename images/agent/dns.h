/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question to a name server and its answer (RFC 1035); no system calls. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DNS_MESSAGE_MAX 1232

enum dns_type { DNS_A = 1, DNS_AAAA = 28 };

struct dns_address {
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
};

/* How many bytes; 0: that is no name. */
size_t dns_ask(uint8_t message[DNS_MESSAGE_MAX], const char *name, enum dns_type type, uint16_t id);
/* How many addresses; -1: no answer to this question. */
int dns_read(const uint8_t *message, size_t n, uint16_t id, struct dns_address *ret, int max);
