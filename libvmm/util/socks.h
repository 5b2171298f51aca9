/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SOCKS 5 (RFC 1928), a server's side: what a client wants to be connected to.
 * TCP CONNECT only; no authentication, or a user and password (RFC 1929) that
 * are not looked at.  No system calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKS_OUT_MAX 10	/* bytes that one message is answered by */

enum socks_result {
	SOCKS_MORE,
	SOCKS_WANTS,	/* host and port are known: connect, then socks_reply() */
	SOCKS_NO,	/* no client of ours: send what there is to send, hang up */
};

/* RFC 1928, section 6 */
enum socks_code {
	SOCKS_DONE = 0, SOCKS_FAILED = 1, SOCKS_FORBIDDEN = 2, SOCKS_NO_NETWORK = 3,
	SOCKS_NO_HOST = 4, SOCKS_REFUSED = 5, SOCKS_NO_COMMAND = 7, SOCKS_NO_ADDRESS = 8,
};

/* Begin with zeroes. */
struct socks {
	unsigned stage;
	uint8_t got[520];
	size_t n;
	char host[256];		/* a name, or an address as text */
	bool is_name;
	uint16_t port;
};

/*
 * *ret_used: how many of the bytes belong to what was said so far; after WANTS
 * the rest is for the other end.  out and *ret_out: what to send now.
 */
enum socks_result socks_take(struct socks *s, const void *data, size_t n, size_t *ret_used,
			     uint8_t out[SOCKS_OUT_MAX], size_t *ret_out);
size_t socks_reply(uint8_t out[SOCKS_OUT_MAX], enum socks_code code);
/* For an errno of connect(2). */
enum socks_code socks_code_of(int error);
