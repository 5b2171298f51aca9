/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What server.c, the life of it, http.c, requests, and socket.c, WebSockets, share. */
#pragma once

#include <libsoup/soup.h>

#include "vmsh/web/server.h"
#include "vmsh/web/watch.h"

#define SOCKETS_FOLDER "/ws"
#define SOCKETS_MAX 32		/* terminals and viewers of the fleet */

struct web_server {
	struct shell *sh;
	char *uri;
	SoupServer *soup;
	GSocketService *listener;
	GHashTable *connections;	/* of GSocketConnection, not owned */
	struct gate *gate;
	char *place;			/* "127.0.0.1:8000" */
	GThreadPool *deeds;
	struct watch *watch;
	char *fleet;			/* what watch said last; NULL: nothing yet */
	GPtrArray *viewers;		/* of struct viewer */
	GPtrArray *terms;		/* of struct term */
};

/* http.c */
void http_init(struct web_server *s);
/* Answers, with what no browser should guess at. */
void http_answer(SoupServerMessage *msg, unsigned status, const char *type, const char *text);

/* socket.c */
void sockets_init(struct web_server *s);
/* Tells them to end, and waits until they have. */
void sockets_done(struct web_server *s);
