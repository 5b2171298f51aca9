/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose message a server reads next.
 *
 * A client that says little is read at once.  In one turn of the loop no more
 * than SLICE_US go to those that are read so; who is left, and who has cost
 * much of late, waits, and is read in another slice of each turn, the cheapest
 * first.  So a client that asks now and then is answered within two slices and
 * one message, whatever the others do.
 *
 * A message costs what we worked for it, or waited for the disk.  That the
 * machine ran others meanwhile is no client's fault: who is charged for that
 * is behind all the others for a second.
 */
#include "config.h"
#include "libvmm/rpc/conn-priv.h"

#include <sys/resource.h>
#include <time.h>

#define SLICE_US 2000
#define DEAR_US 2000
#define COST_HALF_US (250 * 1000)	/* after which half of it is forgotten */

struct rpc_turns {
	GSource *source;
	GPtrArray *waiting;
	gint64 used_us;			/* of this turn of the loop */
};

struct turns_source {
	GSource source;
	struct rpc_turns *turns;
};

static gint64 cost_of(struct rpc_conn *conn, gint64 now_us)
{
	gint64 halves = (now_us - conn->cost_at_us) / COST_HALF_US;

	if (halves > 0) {
		conn->cost_us = halves < 32 ? conn->cost_us >> halves : 0;
		conn->cost_at_us = now_us;
	}
	return conn->cost_us;
}

bool turns_take(struct rpc_turns *t, struct rpc_conn *conn)
{
	if (t->used_us < SLICE_US && cost_of(conn, g_get_monotonic_time()) < DEAR_US)
		return true;
	if (!conn->deferred) {
		conn->deferred = true;
		g_ptr_array_add(t->waiting, conn);
	}
	return false;
}

struct moment {
	gint64 clock_us, worked_us;
	long waits;			/* so often we have given the CPU away ourselves */
};

static struct moment moment_now(void)
{
	struct timespec worked;
	struct rusage usage;		/* its times are those of the kernel's last tick */

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
	getrusage(RUSAGE_THREAD, &usage);
	return (struct moment){
		.clock_us = g_get_monotonic_time(),
		.worked_us = worked.tv_sec * G_USEC_PER_SEC + worked.tv_nsec / 1000,
		.waits = usage.ru_nvcsw,
	};
}

static gint64 cost_since(const struct moment *then)
{
	const struct moment now = moment_now();

	return now.waits == then->waits ? now.worked_us - then->worked_us :
					  now.clock_us - then->clock_us;
}

bool turns_read(struct rpc_turns *t, struct rpc_conn *conn, GError **error)
{
	const struct moment began = moment_now();
	const bool ok = conn_read(conn, 1, error);
	const gint64 cost_us = cost_since(&began);

	t->used_us += cost_us;
	conn->cost_us += cost_us;
	return ok;
}

static struct rpc_conn *take_cheapest(struct rpc_turns *t, gint64 now_us)
{
	struct rpc_conn *conn;
	unsigned at = 0;

	for (unsigned i = 1; i < t->waiting->len; i++)
		if (cost_of(t->waiting->pdata[i], now_us) < cost_of(t->waiting->pdata[at], now_us))
			at = i;
	conn = g_ptr_array_steal_index_fast(t->waiting, at);
	conn->deferred = false;
	return conn;
}

static gboolean on_prepare(GSource *source, gint *timeout_ms)
{
	struct rpc_turns *t = ((struct turns_source *)source)->turns;

	t->used_us = 0;
	*timeout_ms = -1;
	return t->waiting->len > 0;
}

static gboolean on_check(GSource *source)
{
	return ((struct turns_source *)source)->turns->waiting->len > 0;
}

/* Who has more to say is seen by the next poll, and waits again. */
static gboolean on_turn(GSource *source, GSourceFunc callback, void *data)
{
	struct rpc_turns *t = ((struct turns_source *)source)->turns;
	const gint64 end_us = t->used_us + SLICE_US;

	while (t->waiting->len > 0 && t->used_us < end_us)
		conn_read_turn(take_cheapest(t, g_get_monotonic_time()));
	t->used_us = end_us - SLICE_US;
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs turns_funcs = { on_prepare, on_check, on_turn, NULL, NULL, NULL };

struct rpc_turns *turns_new(void)
{
	struct rpc_turns *t = g_new0(struct rpc_turns, 1);

	t->waiting = g_ptr_array_new();
	t->source = g_source_new(&turns_funcs, sizeof(struct turns_source));
	((struct turns_source *)t->source)->turns = t;
	g_source_set_static_name(t->source, "rpc_turns");
	g_source_attach(t->source, NULL);
	return t;
}

void turns_free(struct rpc_turns *t)
{
	g_source_destroy(t->source);
	g_source_unref(t->source);
	g_ptr_array_unref(t->waiting);
	g_free(t);
}

void turns_leave(struct rpc_turns *t, struct rpc_conn *conn)
{
	if (conn->deferred)
		g_ptr_array_remove_fast(t->waiting, conn);
	conn->deferred = false;
}
