/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What outlives the child that made it. */
#include "config.h"

#include "images/agent/keep.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "images/agent/child.h"

#define AGAIN_MS 5000 /* a thaw that has not come about is tried again */

static struct kept *find(const struct agent *a, int32_t kind, int32_t id)
{
	for (unsigned i = 0; i < a->n_kept; i++) {
		if (a->kept[i].kind == kind && a->kept[i].id == id)
			return (struct kept *)&a->kept[i];
	}
	return NULL;
}

int keep_find(const struct agent *a, int32_t kind, int32_t id)
{
	const struct kept *k = find(a, kind, id);

	return k ? k->fd : -1;
}

void keep_add(struct agent *a, int32_t kind, int32_t id, int fd)
{
	if (a->n_kept == KEPT_MAX || find(a, kind, id)) {
		close(fd);
		return;
	}
	a->kept[a->n_kept++] = (struct kept){ .kind = kind, .id = id, .fd = fd };
}

void keep_drop(struct agent *a, int32_t kind, int32_t id)
{
	struct kept *k = find(a, kind, id);

	if (!k)
		return;
	close(k->fd);
	*k = a->kept[--a->n_kept];
}

void keep_only(const struct agent *a, int first)
{
	for (int next; first >= 0; first = next) {
		next = -1;
		for (unsigned i = 0; i < a->n_kept; i++) {
			int fd = a->kept[i].fd;
			if (fd >= first && (next < 0 || fd < next))
				next = fd;
		}
		if (next != first)
			close_range(first, next < 0 ? ~0U : (unsigned)next - 1, 0);
		next = next < 0 ? -1 : next + 1;
	}
}

void keep_frozen(struct agent *a, uint32_t seconds)
{
	a->thaw_at_ms = seconds ? agent_now_ms() + seconds * INT64_C(1000) : 0;
}

/* Whoever froze has died, or forgotten it. */
void keep_watch(struct agent *a)
{
	if (!a->thaw_at_ms)
		return;
	if (agent_now_ms() >= a->thaw_at_ms) {
		agent_log("nobody has thawed the file systems: now they are");
		a->thaw_at_ms = child_thaw(a) ? 0 : agent_now_ms() + AGAIN_MS;
	}
	if (a->thaw_at_ms)
		agent_wake_at(a, a->thaw_at_ms);
}
