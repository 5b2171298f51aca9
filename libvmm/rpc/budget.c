/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server's connections share: memory, and who goes when it is too much; and its time. */
#include "config.h"
#include "libvmm/rpc/conn-priv.h"

struct rpc_budget {
	size_t max, bytes;
	GPtrArray *conns;
	struct rpc_turns *turns;
};

struct rpc_budget *rpc_budget_new(size_t max_bytes)
{
	struct rpc_budget *b = g_new0(struct rpc_budget, 1);

	b->max = max_bytes;
	b->conns = g_ptr_array_new();
	b->turns = turns_new();
	return b;
}

void rpc_budget_free(struct rpc_budget *b)
{
	if (!b)
		return;
	turns_free(b->turns);
	g_ptr_array_unref(b->conns);
	g_free(b);
}

struct rpc_turns *budget_turns(struct rpc_budget *b)
{
	return b->turns;
}

void rpc_conn_set_budget(struct rpc_conn *conn, struct rpc_budget *b, uid_t owner)
{
	conn->budget = b;
	conn->owner = owner;
	g_ptr_array_add(b->conns, conn);
	budget_update(conn);
}

void budget_leave(struct rpc_conn *conn)
{
	if (!conn->budget)
		return;
	conn->budget->bytes -= conn->held;
	turns_leave(conn->budget->turns, conn);
	g_ptr_array_remove_fast(conn->budget->conns, conn);
	conn->budget = NULL;
}

static size_t owner_bytes(const struct rpc_budget *b, uid_t owner)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < b->conns->len; i++) {
		const struct rpc_conn *conn = b->conns->pdata[i];

		bytes += conn->owner == owner ? conn->held : 0;
	}
	return bytes;
}

/* The largest of the user who has most: many small ones shut nobody else out. */
static struct rpc_conn *budget_largest(const struct rpc_budget *b)
{
	struct rpc_conn *largest = NULL;
	size_t most = 0;

	for (unsigned i = 0; i < b->conns->len; i++) {
		struct rpc_conn *conn = b->conns->pdata[i];
		size_t bytes = conn->held ? owner_bytes(b, conn->owner) : 0;

		if (bytes > most || (bytes == most && largest && conn->held > largest->held)) {
			largest = conn;
			most = bytes;
		}
	}
	return largest;
}

void budget_update(struct rpc_conn *conn)
{
	struct rpc_budget *b = conn->budget;
	struct rpc_conn *largest;

	if (!b)
		return;
	b->bytes -= conn->held;
	conn->held = conn->queued + (conn->in == CONN_IN_BODY ? conn->body->len : 0);
	b->bytes += conn->held;
	while (b->bytes > b->max && (largest = budget_largest(b))) {
		budget_leave(largest);
		conn_give_up(largest,
			     "all clients together hold too much, and this one most: %zu bytes",
			     largest->held);
		conn_update(largest);
	}
}
