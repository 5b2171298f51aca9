/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The history of events. */
#include "config.h"
#include "vmmd/store-priv.h"

static bool add_event(struct store *s, const struct store_event *ev, GError **error)
{
	return store_write(s, error, "store an event",
			   "INSERT INTO events(at, uuid, name, event, detail)"
			   " VALUES(?1, ?2, ?3, ?4, ?5)", "iusii", ev->at_us, ev->uuid, ev->name,
			   (int64_t)ev->event, (int64_t)ev->detail);
}

bool store_add_events(struct store *s, const struct store_event *events, size_t n, GError **error)
{
	bool ok = store_begin_soon(s, error);

	for (size_t i = 0; ok && i < n; i++)
		ok = add_event(s, &events[i], error);
	ok = ok && store_write(s, error, "store an event",
			       "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?1",
			       "i", (int64_t)STORE_EVENTS_MAX);
	if (ok)
		return store_commit(s, error);
	store_rollback(s);
	return false;
}
