/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may use the pages: a link that works once, then a session. */
#include "config.h"
#include "vmsh/web/gate.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "libvmm/util/cleanup.h"

#define SESSIONS_MAX 8
#define COOKIES_MAX 64			/* of one header */
#define MINUTE_US (INT64_C(60) * G_USEC_PER_SEC)
#define WRONG_MAX 5			/* at once; then one more each while */
#define WRONG_US (2 * G_USEC_PER_SEC)

struct session {
	struct gate_pass pass;
	gint64 until_us;		/* 0: a free place */
};

struct gate {
	char *cookie_name;
	char **names;
	char token[GATE_SECRET_CHARS + 1];
	gint64 token_until_us;		/* 0: there is none */
	unsigned wrong;			/* not yet forgiven */
	gint64 forgiven_us;		/* when the last one was */
	struct session sessions[SESSIONS_MAX];
};

static void secret_new(char ret[GATE_SECRET_CHARS + 1])
{
	uint8_t bytes[GATE_SECRET_CHARS / 2];
	size_t got = 0;

	while (got < sizeof(bytes)) {
		ssize_t n = getrandom(bytes + got, sizeof(bytes) - got, 0);

		if (n < 0 && errno != EINTR)
			g_error("getrandom: %s", g_strerror(errno));
		got += n > 0 ? (size_t)n : 0;
	}
	for (unsigned i = 0; i < sizeof(bytes); i++)
		g_snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

/* Its time says nothing about where they differ. */
static bool secret_equal(const char secret[GATE_SECRET_CHARS + 1], const char *said)
{
	unsigned differ = 0;

	if (!said || strlen(said) != GATE_SECRET_CHARS)
		return false;
	for (unsigned i = 0; i < GATE_SECRET_CHARS; i++)
		differ |= (unsigned char)(secret[i] ^ said[i]);
	return differ == 0;
}

struct gate *gate_new(unsigned port, const char *const *names)
{
	struct gate *g = g_new0(struct gate, 1);

	g->cookie_name = g_strdup_printf("vmsh-%u", port);
	g->names = g_strdupv((char **)names);
	return g;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	explicit_bzero(g->token, sizeof(g->token));
	explicit_bzero(g->sessions, sizeof(g->sessions));
	g_strfreev(g->names);
	g_free(g->cookie_name);
	g_free(g);
}

const char *gate_cookie_name(const struct gate *g)
{
	return g->cookie_name;
}

/* ---- tokens ---- */

const char *gate_token_new(struct gate *g, gint64 now_us)
{
	secret_new(g->token);
	g->token_until_us = now_us + GATE_TOKEN_MINUTES * MINUTE_US;
	return g->token;
}

static void forgive(struct gate *g, gint64 now_us)
{
	gint64 n = (now_us - g->forgiven_us) / WRONG_US;

	if (n <= 0)
		return;
	g->wrong -= (unsigned)MIN(n, (gint64)g->wrong);
	g->forgiven_us = now_us;
}

/* A place for a new one: a free one, or that of the one that ends first. */
static struct session *session_place(struct gate *g)
{
	struct session *best = &g->sessions[0];

	for (unsigned i = 1; i < SESSIONS_MAX; i++) {
		if (g->sessions[i].until_us < best->until_us)
			best = &g->sessions[i];
	}
	return best;
}

enum gate_answer gate_login(struct gate *g, const char *token, gint64 now_us,
			    struct gate_pass *ret)
{
	struct session *s;

	forgive(g, now_us);
	if (g->wrong >= WRONG_MAX)
		return GATE_WAIT;
	if (!g->token_until_us || now_us >= g->token_until_us || !secret_equal(g->token, token)) {
		g->wrong++;
		return GATE_WRONG;
	}
	g->token_until_us = 0;
	s = session_place(g);
	secret_new(s->pass.cookie);
	secret_new(s->pass.key);
	s->until_us = now_us + GATE_SESSION_HOURS * 60 * MINUTE_US;
	*ret = s->pass;
	return GATE_IN;
}

/* ---- sessions ---- */

/* The value in "a=1; vmsh-8000=VALUE"; NULL if it is not there. */
static char *cookie_value(const struct gate *g, const char *header)
{
	g_auto(GStrv) parts = g_strsplit(header ? header : "", ";", COOKIES_MAX);
	size_t n = strlen(g->cookie_name);

	for (char **p = parts; *p; p++) {
		const char *part = g_strstrip(*p);

		if (strncmp(part, g->cookie_name, n) == 0 && part[n] == '=')
			return g_strdup(part + n + 1);
	}
	return NULL;
}

bool gate_knows(const struct gate *g, const char *cookie_header, const char *key, gint64 now_us)
{
	g_autofree char *cookie = cookie_value(g, cookie_header);
	bool known = false;

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		const struct session *s = &g->sessions[i];

		known |= s->until_us > now_us && secret_equal(s->pass.cookie, cookie) &&
			 secret_equal(s->pass.key, key);
	}
	return known;
}

/* ---- names ---- */

/* "NAME" of "NAME:PORT" and "[ADDRESS]:PORT"; NULL if it is none. */
static char *host_name(const char *host)
{
	const char *end = host && host[0] == '[' ? strchr(host, ']') : NULL;
	const char *port;

	if (!host)
		return NULL;
	port = end ? end + 1 : strchr(host, ':');
	if (port && *port) {
		size_t digits = strspn(port + 1, "0123456789");

		if (*port != ':' || digits == 0 || digits > 5 || port[1 + digits])
			return NULL;
	}
	if (end)
		return g_strndup(host + 1, (gsize)(end - host - 1));
	return port ? g_strndup(host, (gsize)(port - host)) : g_strdup(host);
}

bool gate_host_allowed(const struct gate *g, const char *host)
{
	g_autofree char *name = host_name(host);

	if (!name)
		return false;
	if (g_hostname_is_ip_address(name) || g_ascii_strcasecmp(name, "localhost") == 0)
		return true;
	for (char **p = g->names; p && *p; p++) {
		if (g_ascii_strcasecmp(name, *p) == 0)
			return true;
	}
	return false;
}

bool gate_origin_allowed(const char *host, const char *origin)
{
	static const char scheme[] = "http://";

	return host && origin && g_str_has_prefix(origin, scheme) &&
	       g_ascii_strcasecmp(origin + strlen(scheme), host) == 0;
}
