/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of the outbound proxy: getaddrinfo() in a few threads.
 *
 * A question belongs to a thread from names_ask() until names_answered(); of
 * its fields that only the loop has, waiters.  One that nobody waits for any
 * more is forgotten if no thread has begun with it, so there are never more
 * than connections and threads.
 */
#include "config.h"
#include "vmmd/worker/outbound-priv.h"

#include <netdb.h>
#include <nss.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS 8
#define OPTIONS "timeout:2 attempts:2"	/* resolv.conf(5): a server that is silent */

struct names {
	GAsyncQueue *asked, *answered;
	GHashTable *open;	/* by their names; the loop's */
	int wake_fd;
};

static void take(struct question *q, const struct addrinfo *list)
{
	for (const struct addrinfo *i = list; i && q->n < FOUND_MAX; i = i->ai_next)
		q->n += inet_address_from_sockaddr(i->ai_addr, &q->found[q->n]);
}

static void find(struct question *q)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;

	if (getaddrinfo(q->name, NULL, &hints, &list) == 0) {
		take(q, list);
		freeaddrinfo(list);
	}
}

static void *thread_main(void *opaque)
{
	struct names *names = opaque;

	g_async_queue_push(names->answered, names);
	for (;;) {
		struct question *q = g_async_queue_pop(names->asked);

		find(q);
		g_async_queue_push(names->answered, q);
		eventfd_write(names->wake_fd, 1);
	}
	return NULL;
}

struct names *names_new(int *ret_fd)
{
	struct names *names = g_new0(struct names, 1);
	struct question warm = { .name = "localhost" };

	/* The one file that is there, then the name servers; what it needs is loaded now. */
	__nss_configure_lookup("hosts", "files dns");
	setenv("RES_OPTIONS", OPTIONS, 0);
	find(&warm);
	names->asked = g_async_queue_new();
	names->answered = g_async_queue_new();
	names->open = g_hash_table_new(g_str_hash, g_str_equal);
	names->wake_fd = *ret_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < THREADS; i++)
		g_thread_unref(g_thread_new("names", thread_main, names));
	/* A thread's first steps are none that the filter allows: each tells that it is there. */
	for (unsigned i = 0; i < THREADS; i++)
		g_async_queue_pop(names->answered);
	return names;
}

struct question *names_ask(struct names *names, const char *name)
{
	struct question *q = g_hash_table_lookup(names->open, name);

	if (!q) {
		q = g_new0(struct question, 1);
		g_strlcpy(q->name, name, sizeof(q->name));
		g_hash_table_insert(names->open, q->name, q);
		g_async_queue_push(names->asked, q);
	}
	q->waiters++;
	return q;
}

void names_leave(struct names *names, struct question *q)
{
	if (--q->waiters > 0 || !g_async_queue_remove(names->asked, q))
		return;
	g_hash_table_remove(names->open, q->name);
	g_free(q);
}

struct question *names_answered(struct names *names)
{
	struct question *q = g_async_queue_try_pop(names->answered);
	eventfd_t n;

	/* Looked at again after the descriptor is clear: what comes then makes it readable. */
	if (!q && eventfd_read(names->wake_fd, &n) == 0)
		q = g_async_queue_try_pop(names->answered);
	if (q)
		g_hash_table_remove(names->open, q->name);
	return q;
}
