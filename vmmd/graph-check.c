/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the graph of images forbids, and the words for it. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/domain.h"
#include "vmmd/graph-priv.h"

#define SEEN_INTERVAL_S 600	/* how old "last seen right" may get in the database */

/* ---- who uses an image ---- */

static bool chain_has(struct daemon *daemon, const char *top, const char *path)
{
	for (unsigned i = 0; top && i < IMAGEHEAD_CHAIN_MAX; i++) {
		const struct graph_image *row;

		if (g_str_equal(top, path))
			return true;
		row = g_hash_table_lookup(daemon->graph->images, top);
		top = row ? row->parent : NULL;
	}
	return false;
}

enum { USED_OFF = 1, USED_RUNNING = 2 };

static void users_add(struct domain *dom, const domain_def *def, const char *path,
		      GHashTable *seen, GPtrArray *ret)
{
	for (unsigned i = 0; def && i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);
		g_autofree char *top = g_canonicalize_filename(d->path, "/");
		g_autofree char *text = g_strdup_printf("%s (%s)", dom->name, d->target);

		if (!chain_has(dom->daemon, top, path) ||
		    !g_hash_table_add(seen, g_strdup(text)))
			continue;
		g_ptr_array_add(ret, g_steal_pointer(&text));
	}
}

/* kinds: of domains that are to be looked at. */
static GPtrArray *users_of(struct daemon *daemon, const char *path, unsigned kinds)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GPtrArray *users = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *key = g_canonicalize_filename(path, "/");
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);
		bool active = state_is_active(dom->state);

		if (active && kinds & USED_RUNNING)
			users_add(dom, dom->live, key, seen, users);
		if (kinds & USED_OFF)
			users_add(dom, dom->saved, key, seen, users);
	}
	return users;
}

GPtrArray *graph_users(struct daemon *daemon, const char *path)
{
	return users_of(daemon, path, USED_OFF | USED_RUNNING);
}

GPtrArray *graph_running(struct daemon *daemon, const char *path)
{
	return users_of(daemon, path, USED_RUNNING);
}

/* "a, b, c and 4 more"; NULL for none. */
static char *names_join(const GPtrArray *names)
{
	GString *s = g_string_new(NULL);

	for (unsigned i = 0; i < names->len && i < 8; i++)
		g_string_append_printf(s, "%s%s", i ? ", " : "",
				       (const char *)g_ptr_array_index(names, i));
	if (names->len > 8)
		g_string_append_printf(s, " and %u more", names->len - 8);
	return names->len ? g_string_free(s, FALSE) : (g_string_free(s, TRUE), NULL);
}

/* ---- what has changed ---- */

static char *time_text(int64_t s)
{
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(s);

	return at ? g_date_time_format(at, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}

static char *differ(const struct graph_image *was, const struct graph_image *is)
{
	GString *s = g_string_new(NULL);

	if (was->size != is->size)
		g_string_append_printf(s, ", its size was %" G_GUINT64_FORMAT
				       " and is %" G_GUINT64_FORMAT " bytes", was->size, is->size);
	if (was->digest != is->digest)
		g_string_append(s, ", its header is another");
	if (was->mtime_ns != is->mtime_ns) {
		g_autofree char *then = time_text(was->mtime_ns / 1000000000);
		g_autofree char *now = time_text(is->mtime_ns / 1000000000);

		g_string_append_printf(s, ", it was last written at %s and now at %s", then, now);
	}
	/* alone it means a copy that was made with care */
	if (s->len > 0 && was->inode != is->inode)
		g_string_append(s, ", it is another file");
	if (s->len > 0)
		g_string_erase(s, 0, 2);
	return s->len ? g_string_free(s, FALSE) : (g_string_free(s, TRUE), NULL);
}

char *graph_difference(struct daemon *daemon, const char *path)
{
	const struct graph_image *row = graph_find(daemon, path);
	struct graph_image *now = row ? graph_look(row->path, row->format) : NULL;
	char *text = NULL;

	if (row && !now)
		text = g_strdup_printf("it can't be opened: %s", g_strerror(errno));
	else if (row)
		text = differ(row, now);
	graph_image_free(now);
	return text;
}

/* ---- a start ---- */

static void seen_again(struct graph *graph, struct graph_image *row, const struct graph_image *now)
{
	if (now->seen_s - row->seen_s < SEEN_INTERVAL_S && row->inode == now->inode)
		return;
	row = g_memdup2(row, sizeof(*row));
	row->path = g_strdup(row->path);
	row->parent = g_strdup(row->parent);
	row->seen_s = now->seen_s;
	row->inode = now->inode;
	graph_put(graph, row);
}

static bool base_changed(struct daemon *daemon, const struct graph_image *row, const char *what,
			 GError **error)
{
	g_autoptr(GPtrArray) users = graph_users(daemon, row->path);
	g_autofree char *who = names_join(users), *when = time_text(row->seen_s);

	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: the base image '%s' has changed since "
			 "overlays were made on it: %s. It was last seen right at %s. What is on "
			 "its overlays may be damaged: %s. Put the old file back; or, if its "
			 "contents are the same, say 'vmsh image-accept %s'",
			 row->path, what, when, who ? who : "no domain is defined on it",
			 row->path);
}

/* The row; what the last machine has left of an image that it wrote to is right. */
static struct graph_image *settled(struct daemon *daemon, const char *path)
{
	struct graph_image *row = g_hash_table_lookup(daemon->graph->images, path);
	g_autoptr(GPtrArray) running = row && row->unsettled ? graph_running(daemon, path) : NULL;

	if (!running || running->len > 0)
		return row;
	graph_changed(daemon, path);
	return g_hash_table_lookup(daemon->graph->images, path);
}

static bool base_check(struct daemon *daemon, const char *path, GError **error)
{
	struct graph_image *row = settled(daemon, path);
	struct graph_image *now = row ? graph_look(path, row->format) : NULL;
	g_autofree char *what = now ? differ(row, now) : NULL;

	/* The worker's error names a base that is not there. */
	if (now && !what)
		seen_again(daemon->graph, row, now);
	graph_image_free(now);
	return !what || base_changed(daemon, row, what, error);
}

static bool head_check(struct daemon *daemon, const struct disk_def *d, const char *path,
		       GError **error)
{
	g_autoptr(GPtrArray) overlays = disk_def_is_written(d) ? graph_overlays(daemon, path)
								   : NULL;
	g_autofree char *names = overlays ? names_join(overlays) : NULL;
	const struct graph_image *row = graph_find(daemon, path);

	/* One that stands on itself can't be opened: the worker's error says so. */
	if (!names || (row && chain_has(daemon, row->parent, path)))
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: disk '%s' would write into '%s', on "
			 "which other images stand: %s. Give the domain an overlay of its own, or "
			 "make the disk <readonly/> or <transient/>",
			 d->target, path, names);
}

bool graph_check_start(struct daemon *daemon, const domain_def *def, GError **error)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);
		g_autofree char *path = g_canonicalize_filename(d->path, "/");
		g_autoptr(GPtrArray) chain = NULL;

		if (!head_check(daemon, d, path, error))
			return false;
		if (d->no_backing)
			continue;
		chain = imagehead_chain(path, d->format == DISK_FORMAT_RAW);
		for (unsigned k = 1; k < chain->len; k++)
			if (!base_check(daemon, g_ptr_array_index(chain, k), error))
				return false;
	}
	graph_learn_def(daemon, def);
	return true;
}

/* ---- a change ---- */

bool graph_may_change(struct daemon *daemon, const char *path, const char *verb, bool goes,
		      GError **error)
{
	g_autoptr(GPtrArray) overlays = graph_overlays(daemon, path);
	g_autoptr(GPtrArray) running = users_of(daemon, path, USED_RUNNING);
	g_autoptr(GPtrArray) all = graph_users(daemon, path);
	g_autofree char *above = names_join(overlays), *live = names_join(running);
	g_autofree char *off = goes ? names_join(all) : NULL;

	if (above)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: can't %s '%s': other images "
				 "stand on it: %s%s%s; flatten or delete them first",
				 verb, path, above, all->len ? ", used by " : "",
				 all->len ? (const char *)g_ptr_array_index(all, 0) : "");
	if (live)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: can't %s '%s': it is in use by "
				 "running domains: %s",
				 verb, path, live);
	if (off)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: can't %s '%s': it is a disk of "
				 "%s; undefine the domain or take the disk out of it first",
				 verb, path, off);
	return true;
}

bool graph_accept(struct daemon *daemon, const char *path, GError **error)
{
	g_autofree char *key = g_canonicalize_filename(path, "/");
	const struct graph_image *row = graph_find(daemon, key);
	struct graph_image *now = row ? graph_look(key, row->format) : NULL;

	if (!row)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: no image '%s' is known; "
				 "'vmsh image-tree' shows those that are", key);
	if (!now)
		return error_errno(error, errno, "open image '%s'", key);
	g_message("image '%s' is accepted as it is now", key);
	graph_put(daemon->graph, now);
	return true;
}
