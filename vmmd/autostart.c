/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domains that start with the host.
 *
 * The mark in the run folder has a line for each domain that was begun, and a
 * last one when all were: so the next vmmd knows where this one was ended.  A
 * domain waits for those that it names until they have started or failed to;
 * names that nobody autostarts do not hold it up, nor does a ring.
 */
#include "config.h"
#include "vmmd/autostart.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/lifecycle.h"
#include "vmmd/metadata.h"

#define MARK_NAME "autostarted"
#define MARK_DONE "done"

struct waiting {
	uint8_t uuid[UUID_BYTES];
	char *name;
	char **after;		/* names; NULL: none */
	bool begun;
};

struct autostart {
	struct daemon *daemon;
	struct autostart_policy policy;
	GPtrArray *waiting;	/* struct waiting: not begun, or being started */
	unsigned starting;
	guint timer;		/* until it runs nothing is begun; 0: no */
	bool stepping, done;
	int mark_fd;
};

static void waiting_free(void *p)
{
	struct waiting *w = p;

	g_free(w->name);
	g_strfreev(w->after);
	g_free(w);
}

void autostart_free(struct autostart *a)
{
	if (!a)
		return;
	if (a->timer)
		g_source_remove(a->timer);
	close(a->mark_fd);
	g_ptr_array_unref(a->waiting);
	g_free(a);
}

/* ---- the mark ---- */

static void mark_write(const struct autostart *a, const char *what)
{
	g_autofree char *line = g_strdup_printf("%s\n", what);

	if (write(a->mark_fd, line, strlen(line)) < 0)
		g_warning("note what autostart has done: %s", g_strerror(errno));
}

/* What the daemon before us has begun; NULL: all is done. */
static char **mark_read(const char *path)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return g_new0(char *, 1);
	lines = g_strsplit(text, "\n", 0);
	/* an empty one is of a vmmd that knew no lines */
	if (!*text || g_strv_contains((const char *const *)lines, MARK_DONE))
		return NULL;
	return g_steal_pointer(&lines);
}

/* ---- order ---- */

static void on_element(GMarkupParseContext *context, const char *element, const char **names,
		       const char **values, void *opaque, GError **error)
{
	char ***ret = opaque;

	for (unsigned i = 0; names[i]; i++) {
		if (g_str_equal(names[i], "after") && !*ret)
			*ret = g_strsplit_set(values[i], " \t\n,", 0);
	}
}

static char **after_of(const struct domain *dom)
{
	static const GMarkupParser parser = { .start_element = on_element };
	g_autofree char *element =
		dom->saved ? metadata_get(dom->saved->metadata, AUTOSTART_NAMESPACE) : NULL;
	g_autoptr(GMarkupParseContext) context = NULL;
	char **after = NULL;

	if (!element)
		return NULL;
	context = g_markup_parse_context_new(&parser, 0, &after, NULL);
	g_markup_parse_context_parse(context, element, -1, NULL);
	return after;
}

/* What was begun on its images by an earlier daemon is gone on with first. */
static bool is_busy(const struct autostart *a, const struct waiting *w)
{
	const struct domain *dom = domain_find_uuid(a->daemon->domains, w->uuid);

	return dom && dom->busy;
}

static bool must_wait(const struct autostart *a, const struct waiting *w)
{
	for (unsigned i = 0; w->after && w->after[i]; i++) {
		for (unsigned k = 0; k < a->waiting->len; k++) {
			const struct waiting *other = g_ptr_array_index(a->waiting, k);

			if (other != w && g_str_equal(other->name, w->after[i]))
				return true;
		}
	}
	return false;
}

/* The next to begin; NULL: all wait. */
static struct waiting *next_of(const struct autostart *a)
{
	struct waiting *ring = NULL;
	bool busy = false;

	for (unsigned i = 0; i < a->waiting->len; i++) {
		struct waiting *w = g_ptr_array_index(a->waiting, i);

		busy |= is_busy(a, w);
		if (w->begun || is_busy(a, w))
			continue;
		if (!must_wait(a, w))
			return w;
		ring = ring ?: w;
	}
	if (!ring || busy || a->starting > 0)
		return NULL;
	g_warning("autostart of domain '%s': those that it is to wait for wait for it", ring->name);
	return ring;
}

/* ---- steps ---- */

static void step(struct autostart *a);

static void on_started(struct domain *dom, const GError *error, void *opaque)
{
	struct autostart *a = opaque;

	if (error)
		g_warning("autostart of domain '%s': %s", dom->name, error->message);
	a->starting--;
	for (unsigned i = 0; i < a->waiting->len; i++) {
		const struct waiting *w = g_ptr_array_index(a->waiting, i);

		if (memcmp(w->uuid, dom->uuid, UUID_BYTES) == 0) {
			g_ptr_array_remove_index(a->waiting, i);
			break;
		}
	}
	if (!a->stepping && !a->daemon->ending)
		step(a);
}

static gboolean on_timer(void *opaque)
{
	struct autostart *a = opaque;

	a->timer = 0;
	step(a);
	return G_SOURCE_REMOVE;
}

static void begin_one(struct autostart *a, struct waiting *w)
{
	struct domain *dom = domain_find_uuid(a->daemon->domains, w->uuid);

	w->begun = true;
	if (!dom || state_is_active(dom->state)) {	/* gone, or somebody was quicker */
		g_ptr_array_remove(a->waiting, w);
		return;
	}
	mark_write(a, dom->uuid_text);
	a->starting++;
	if (a->policy.delay_ms)
		a->timer = g_timeout_add(a->policy.delay_ms, on_timer, a);
	lifecycle_start(dom, NULL, false, on_started, a);
}

static void step(struct autostart *a)
{
	struct waiting *w;

	a->stepping = true;
	while (!a->timer && a->starting < a->policy.parallel && (w = next_of(a)))
		begin_one(a, w);
	a->stepping = false;
	if (a->waiting->len == 0 && !a->done)
		mark_write(a, MARK_DONE);
	a->done = a->waiting->len == 0;
}

void autostart_due(struct domain *dom)
{
	struct autostart *a = dom->daemon->autostart;

	if (a && !dom->busy && !a->stepping && !dom->daemon->ending)
		step(a);
}

bool autostart_is_due(const struct daemon *daemon)
{
	g_autofree char *mark = g_build_filename(daemon->run_dir, MARK_NAME, NULL);

	return !g_file_test(mark, G_FILE_TEST_EXISTS);
}

static void add_waiting(struct autostart *a, const struct domain *dom)
{
	struct waiting *w = g_new0(struct waiting, 1);

	memcpy(w->uuid, dom->uuid, UUID_BYTES);
	w->name = g_strdup(dom->name);
	w->after = after_of(dom);
	g_ptr_array_add(a->waiting, w);
}

struct autostart *autostart_begin(struct daemon *daemon, const struct autostart_policy *policy)
{
	g_autofree char *path = g_build_filename(daemon->run_dir, MARK_NAME, NULL);
	g_auto(GStrv) begun = mark_read(path);
	g_autoptr(GPtrArray) all = NULL;
	struct autostart *a;
	int fd;

	if (!begun)
		return NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) {
		g_warning("no autostart: make '%s': %s", path, g_strerror(errno));
		return NULL;
	}
	a = g_new0(struct autostart, 1);
	a->daemon = daemon;
	a->policy = *policy;
	a->mark_fd = fd;
	a->waiting = g_ptr_array_new_with_free_func(waiting_free);
	mark_write(a, "begun");
	all = domain_table_peek(daemon->domains);
	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);

		if (!dom->autostart || state_is_active(dom->state) ||
		    g_strv_contains((const char *const *)begun, dom->uuid_text))
			continue;
		domain_read(dom);
		add_waiting(a, dom);
	}
	step(a);
	return a;
}
