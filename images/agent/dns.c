/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question to a name server and its answer: a static program has no name service of its own. */
#include "config.h"

#include "images/agent/dns.h"

#include <string.h>
#include <sys/socket.h>

#define HEADER 12
#define RECORDS_MAX 64

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

size_t dns_ask(uint8_t message[DNS_MESSAGE_MAX], const char *name, enum dns_type type, uint16_t id)
{
	static const uint8_t recursion[] = { 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	size_t at = HEADER;

	if (!*name || strlen(name) > 253)
		return 0;
	message[0] = (uint8_t)(id >> 8);
	message[1] = (uint8_t)id;
	memcpy(message + 2, recursion, sizeof(recursion));
	while (*name) {
		size_t n = strcspn(name, ".");
		if (!n || n > 63)
			return 0;
		message[at++] = (uint8_t)n;
		memcpy(message + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	const uint8_t end[] = { 0, 0, (uint8_t)type, 0, 1 };
	memcpy(message + at, end, sizeof(end));
	return at + sizeof(end);
}

/* Past a name; 0: it goes out of the message.  Where a pointer leads does not matter here. */
static size_t skip_name(const uint8_t *m, size_t n, size_t at)
{
	while (at < n) {
		if (m[at] == 0)
			return at + 1;
		if (m[at] >= 0xc0)
			return at + 2 <= n ? at + 2 : 0;
		at += 1 + (size_t)m[at];
	}
	return 0;
}

/* All addresses of the answer: they are what the name, or what it is another name of, has. */
int dns_read(const uint8_t *m, size_t n, uint16_t id, struct dns_address *ret, int max)
{
	size_t at = HEADER;
	int found = 0;

	if (n < HEADER || u16(m) != id || !(m[2] & 0x80) || u16(m + 4) > 1)
		return -1;
	if (u16(m + 4) == 1) {
		at = skip_name(m, n, at);
		if (!at || at + 4 > n)
			return -1;
		at += 4;
	}
	unsigned records = m[3] & 15 ? 0 : u16(m + 6);
	for (unsigned i = 0; i < records && i < RECORDS_MAX && found < max; i++) {
		at = skip_name(m, n, at);
		if (!at || at + 10 > n || u16(m + at + 8) > n - at - 10)
			break;
		uint16_t type = u16(m + at), bytes = u16(m + at + 8);
		at += 10;
		if ((type == DNS_A && bytes == 4) || (type == DNS_AAAA && bytes == 16)) {
			ret[found].family = type == DNS_A ? AF_INET : AF_INET6;
			memcpy(ret[found++].bytes, m + at, bytes);
		}
		at += bytes;
	}
	return found;
}
