/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client or ten thousand definitions needed for a moment lies between
 * what stays, and malloc gives back the end of the heap only.  A walk over the
 * free pieces costs about a millisecond per 30 MiB.
 */
#include "config.h"
#include "vmmd/settle.h"

#include <malloc.h>

#define SETTLE_MS 1000

static gboolean on_settle(void *opaque)
{
	struct daemon *daemon = opaque;

	daemon->settle = 0;
	malloc_trim(0);
	return G_SOURCE_REMOVE;
}

void settle_soon(struct daemon *daemon)
{
	if (!daemon->settle && !daemon->ending)
		daemon->settle = g_timeout_add_full(G_PRIORITY_LOW, SETTLE_MS, on_settle, daemon,
						    NULL);
}

void settle_end(struct daemon *daemon)
{
	g_clear_handle_id(&daemon->settle, g_source_remove);
}
