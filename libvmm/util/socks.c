/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SOCKS 5, a server's side. */
#include "config.h"
#include "libvmm/util/socks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define SOCKS_VERSION 5
#define PASSWORD_VERSION 1

enum { STAGE_METHODS, STAGE_PASSWORD, STAGE_REQUEST, STAGE_OVER };
enum { METHOD_NONE = 0, METHOD_PASSWORD = 2, METHOD_NO = 0xff };
enum { COMMAND_CONNECT = 1 };
enum { ADDRESS_IPV4 = 1, ADDRESS_NAME = 3, ADDRESS_IPV6 = 4 };

/* How long the message is whose first n bytes are here; more than n: not known yet, or not all. */
static size_t message_bytes(const struct socks *s)
{
	const uint8_t *p = s->got;

	switch (s->stage) {
	case STAGE_METHODS:
		return s->n < 2 ? 2 : 2 + (size_t)p[1];
	case STAGE_PASSWORD:
		return s->n < 2 || s->n < 3 + (size_t)p[1] ? (s->n < 2 ? 2 : 3 + (size_t)p[1]) :
							     3 + (size_t)p[1] + p[2 + p[1]];
	default:
		if (s->n < 5)
			return 5;
		return p[3] == ADDRESS_IPV4 ? 10 :
		       p[3] == ADDRESS_IPV6 ? 22 :
		       p[3] == ADDRESS_NAME ? 7 + (size_t)p[4] :
					      5;
	}
}

static enum socks_result refuse(struct socks *s, enum socks_code code, uint8_t *out,
				size_t *ret_out)
{
	s->stage = STAGE_OVER;
	*ret_out = socks_reply(out, code);
	return SOCKS_NO;
}

static enum socks_result on_methods(struct socks *s, uint8_t *out, size_t *ret_out)
{
	bool none = memchr(s->got + 2, METHOD_NONE, s->got[1]);
	bool password = memchr(s->got + 2, METHOD_PASSWORD, s->got[1]);

	out[0] = SOCKS_VERSION;
	out[1] = none ? METHOD_NONE : password ? METHOD_PASSWORD : METHOD_NO;
	*ret_out = 2;
	s->stage = none ? STAGE_REQUEST : password ? STAGE_PASSWORD : STAGE_OVER;
	return none || password ? SOCKS_MORE : SOCKS_NO;
}

static enum socks_result on_password(struct socks *s, uint8_t *out, size_t *ret_out)
{
	out[0] = PASSWORD_VERSION;
	out[1] = 0;
	*ret_out = 2;
	s->stage = STAGE_REQUEST;
	return SOCKS_MORE;
}

/* Letters of names alone: what is made of it is a request in JSON, and a line of a log. */
static bool take_name(struct socks *s, const uint8_t *name, size_t n)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	for (size_t i = 0; i < n; i++) {
		if (!name[i] || !strchr(letters, name[i]))
			return false;
	}
	memcpy(s->host, name, n);
	s->host[n] = 0;
	s->is_name = true;
	return n > 0;
}

static enum socks_result on_request(struct socks *s, uint8_t *out, size_t *ret_out)
{
	const uint8_t *p = s->got;
	bool ok = true;

	if (p[1] != COMMAND_CONNECT)
		return refuse(s, SOCKS_NO_COMMAND, out, ret_out);
	if (p[3] == ADDRESS_NAME)
		ok = take_name(s, p + 5, p[4]);
	else if (p[3] == ADDRESS_IPV4 || p[3] == ADDRESS_IPV6)
		inet_ntop(p[3] == ADDRESS_IPV4 ? AF_INET : AF_INET6, p + 4, s->host,
			  sizeof(s->host));
	else
		return refuse(s, SOCKS_NO_ADDRESS, out, ret_out);
	s->port = (uint16_t)(p[s->n - 2] << 8 | p[s->n - 1]);
	if (!ok || !s->port)
		return refuse(s, SOCKS_NO_HOST, out, ret_out);
	/* A name that is an address is judged as one. */
	struct in_addr v4;
	if (s->is_name && inet_pton(AF_INET, s->host, &v4) == 1)
		s->is_name = false;
	s->stage = STAGE_OVER;
	return SOCKS_WANTS;
}

static enum socks_result on_message(struct socks *s, uint8_t *out, size_t *ret_out)
{
	enum socks_result r;

	if (s->got[0] != (s->stage == STAGE_PASSWORD ? PASSWORD_VERSION : SOCKS_VERSION)) {
		s->stage = STAGE_OVER;
		return SOCKS_NO;
	}
	r = s->stage == STAGE_METHODS  ? on_methods(s, out, ret_out) :
	    s->stage == STAGE_PASSWORD ? on_password(s, out, ret_out) :
					 on_request(s, out, ret_out);
	s->n = 0;
	return r;
}

enum socks_result socks_take(struct socks *s, const void *data, size_t n, size_t *ret_used,
			     uint8_t out[SOCKS_OUT_MAX], size_t *ret_out)
{
	const uint8_t *p = data;

	*ret_used = *ret_out = 0;
	if (s->stage == STAGE_OVER)
		return SOCKS_NO;
	while (*ret_used < n) {
		s->got[s->n++] = p[(*ret_used)++];
		if (s->n < message_bytes(s))
			continue;
		/* One message at a time: a client waits for the answer. */
		return on_message(s, out, ret_out);
	}
	return SOCKS_MORE;
}

size_t socks_reply(uint8_t out[SOCKS_OUT_MAX], enum socks_code code)
{
	memset(out, 0, SOCKS_OUT_MAX);
	out[0] = SOCKS_VERSION;
	out[1] = (uint8_t)code;
	out[3] = ADDRESS_IPV4;
	return SOCKS_OUT_MAX;
}

enum socks_code socks_code_of(int error)
{
	return error == ECONNREFUSED				? SOCKS_REFUSED :
	       error == ENETUNREACH				? SOCKS_NO_NETWORK :
	       error == EHOSTUNREACH || error == ETIMEDOUT ||
			       error == ENOENT			? SOCKS_NO_HOST :
	       error == EACCES || error == EPERM		? SOCKS_FORBIDDEN :
								  SOCKS_FAILED;
}
