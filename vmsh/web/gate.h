/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may use the pages: a link that works once, then a session.
 *
 * A session has two secrets.  The cookie is sent by the browser to every port
 * of this host, so whoever listens at another one can learn it; the key is kept
 * by the page itself, which no other origin can read.  It takes both.  No
 * system calls but for randomness: time is the caller's.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define GATE_SECRET_CHARS 64	/* 256 bits, in hex */
#define GATE_TOKEN_MINUTES 10
#define GATE_SESSION_HOURS 12

struct gate;

/* names: by which the pages are reached besides addresses and localhost; NULL: none. */
struct gate *gate_new(unsigned port, const char *const *names);
void gate_free(struct gate *g);
typedef struct gate gate;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gate, gate_free)

/* A new token; the one before is forgotten. */
const char *gate_token_new(struct gate *g, gint64 now_us);

enum gate_answer {
	GATE_IN,
	GATE_WRONG,		/* it is not the token, or no longer */
	GATE_WAIT,		/* too many have been wrong of late */
};

struct gate_pass {
	char cookie[GATE_SECRET_CHARS + 1];
	char key[GATE_SECRET_CHARS + 1];
};

/* The token dies of it. */
enum gate_answer gate_login(struct gate *g, const char *token, gint64 now_us,
			    struct gate_pass *ret);

/* What a browser's Cookie header and the page's key are worth.  Both may be NULL. */
bool gate_knows(const struct gate *g, const char *cookie_header, const char *key, gint64 now_us);
const char *gate_cookie_name(const struct gate *g);

/*
 * Host says by what name we were asked: a name that somebody else's DNS could
 * bend to this host is refused.  The origin must be that same place.
 */
bool gate_host_allowed(const struct gate *g, const char *host);
bool gate_origin_allowed(const char *host, const char *origin);
