/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows: read once, kept in memory, each change written at once. */
#include "config.h"
#include "vmmd/graph.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/graph-priv.h"
#include "vmmd/store-priv.h"

void graph_image_free(void *p)
{
	struct graph_image *image = p;

	if (!image)
		return;
	g_free(image->path);
	g_free(image->parent);
	g_free(image);
}

/* ---- the table ---- */

static struct graph_image *row_read(sqlite3_stmt *st)
{
	struct graph_image *image = g_new0(struct graph_image, 1);

	image->path = g_strdup((const char *)sqlite3_column_text(st, 0));
	image->inode = (uint64_t)sqlite3_column_int64(st, 1);
	image->size = (uint64_t)sqlite3_column_int64(st, 2);
	image->mtime_ns = sqlite3_column_int64(st, 3);
	image->digest = (uint64_t)sqlite3_column_int64(st, 4);
	image->format = (enum graph_format)sqlite3_column_int(st, 5);
	image->parent = g_strdup((const char *)sqlite3_column_text(st, 6));
	image->seen_s = sqlite3_column_int64(st, 7);
	image->unsettled = sqlite3_column_int(st, 8);
	return image;
}

struct graph *graph_open(struct daemon *daemon, GError **error)
{
	sqlite3_stmt *st = store_statement(daemon->store,
		"SELECT path, inode, size, mtime, digest, format, parent, seen, unsettled"
		" FROM images", error);
	struct graph *graph;
	int rc;

	if (!st)
		return NULL;
	graph = g_new0(struct graph, 1);
	graph->daemon = daemon;
	graph->images = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, graph_image_free);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct graph_image *image = row_read(st);

		g_hash_table_replace(graph->images, image->path, image);
	}
	if (rc != SQLITE_DONE) {
		store_error(daemon->store, "read the images", error);
		g_clear_pointer(&graph, graph_free);
	}
	store_reset(st);
	return graph;
}

void graph_free(struct graph *graph)
{
	if (!graph)
		return;
	g_hash_table_unref(graph->images);
	g_free(graph);
}

static bool row_write(struct graph *graph, const struct graph_image *image, GError **error)
{
	sqlite3_stmt *st = store_statement(graph->daemon->store,
		"INSERT OR REPLACE INTO images"
		"(path, inode, size, mtime, digest, format, parent, seen, unsettled)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", error);

	if (!st)
		return false;
	sqlite3_bind_text(st, 1, image->path, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 2, (int64_t)image->inode);
	sqlite3_bind_int64(st, 3, (int64_t)image->size);
	sqlite3_bind_int64(st, 4, image->mtime_ns);
	sqlite3_bind_int64(st, 5, (int64_t)image->digest);
	sqlite3_bind_int(st, 6, (int)image->format);
	sqlite3_bind_text(st, 7, image->parent, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 8, image->seen_s);
	sqlite3_bind_int(st, 9, image->unsettled);
	return store_run_soon(graph->daemon->store, st, "note an image", error);
}

/* A row that can't be written costs a warning that comes too late, never the work itself. */
void graph_put(struct graph *graph, struct graph_image *image)
{
	g_autoptr(GError) error = NULL;

	if (!row_write(graph, image, &error))
		g_warning("image '%s': %s", image->path, error->message);
	g_hash_table_replace(graph->images, image->path, image);
}

void graph_forget(struct daemon *daemon, const char *path)
{
	g_autofree char *key = g_canonicalize_filename(path, "/");
	g_autoptr(GError) error = NULL;
	sqlite3_stmt *st;

	if (!g_hash_table_remove(daemon->graph->images, key))
		return;
	st = store_statement(daemon->store, "DELETE FROM images WHERE path = ?1", &error);
	if (st)
		sqlite3_bind_text(st, 1, key, -1, SQLITE_TRANSIENT);
	if (!st || !store_run_soon(daemon->store, st, "forget an image", &error))
		g_warning("image '%s': %s", key, error->message);
}

/* ---- looking ---- */

struct graph_image *graph_look(const char *path, enum graph_format format)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct imagehead head = { 0 };
	struct graph_image *image;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) ||
	    !imagehead_read(fd, format == GRAPH_RAW, &head, NULL))
		return NULL;
	image = g_new0(struct graph_image, 1);
	image->path = g_strdup(path);
	image->inode = st.st_ino;
	image->size = head.qcow2 || !S_ISBLK(st.st_mode) ? (uint64_t)st.st_size : head.bytes;
	image->mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
	image->digest = head.digest;
	image->format = head.qcow2 ? GRAPH_QCOW2 : format;
	image->parent = imagehead_backing_path(&head, path);
	image->seen_s = g_get_real_time() / G_USEC_PER_SEC;
	imagehead_clear(&head);
	return image;
}

enum graph_format graph_format_of(const struct disk_def *disk)
{
	return disk->format == DISK_FORMAT_QCOW2 ? GRAPH_QCOW2 : GRAPH_RAW;
}

const struct graph_image *graph_find(struct daemon *daemon, const char *path)
{
	g_autofree char *key = g_canonicalize_filename(path, "/");

	return g_hash_table_lookup(daemon->graph->images, key);
}

static gint path_order(gconstpointer a, gconstpointer b)
{
	const struct graph_image *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

GPtrArray *graph_list(struct daemon *daemon)
{
	GPtrArray *list = g_ptr_array_new();
	struct graph_image *image;
	GHashTableIter at;

	g_hash_table_iter_init(&at, daemon->graph->images);
	while (g_hash_table_iter_next(&at, NULL, (void **)&image))
		g_ptr_array_add(list, image);
	g_ptr_array_sort(list, path_order);
	return list;
}

GPtrArray *graph_overlays(struct daemon *daemon, const char *path)
{
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *key = g_canonicalize_filename(path, "/");
	g_autoptr(GPtrArray) all = graph_list(daemon);

	for (unsigned i = 0; i < all->len; i++) {
		const struct graph_image *row = g_ptr_array_index(all, i);
		struct graph_image *now;

		if (g_strcmp0(row->parent, key) != 0)
			continue;
		now = graph_look(row->path, row->format);
		if (now && g_strcmp0(now->parent, key) == 0)
			g_ptr_array_add(found, g_strdup(row->path));
		else if (!now && errno == ENOENT)
			graph_forget(daemon, row->path);
		graph_image_free(now);
	}
	return found;
}

/* ---- learning ---- */

static bool overlays_other_than(struct daemon *daemon, const char *path, const char *overlay)
{
	g_autoptr(GPtrArray) overlays = graph_overlays(daemon, path);

	for (unsigned i = 0; i < overlays->len; i++)
		if (g_strcmp0(g_ptr_array_index(overlays, i), overlay) != 0)
			return true;
	return false;
}

/*
 * overlay is the image above it, which is new as one of this parent if
 * new_overlay: this is the moment from which the parent must stay as it is.
 */
static void learn_one(struct graph *graph, struct graph_image *now, const char *overlay,
		      bool new_overlay)
{
	struct graph_image *row = g_hash_table_lookup(graph->images, now->path);
	bool keep = row && overlay &&
		    (!new_overlay || overlays_other_than(graph->daemon, now->path, overlay));
	g_autoptr(GPtrArray) running = graph_running(graph->daemon, now->path);

	now->unsettled = overlay && running->len > 0;
	if (keep || (row && !overlay && g_strcmp0(row->parent, now->parent) == 0))
		graph_image_free(now);
	else
		graph_put(graph, now);
}

void graph_learn(struct daemon *daemon, const char *path, enum graph_format format)
{
	g_autofree char *overlay = NULL;
	char *next = g_canonicalize_filename(path, "/");
	bool new_overlay = false;

	for (unsigned i = 0; next && i < IMAGEHEAD_CHAIN_MAX; i++) {
		struct graph_image *now = graph_look(next, format);
		const struct graph_image *row = graph_find(daemon, next);
		char *here = next;

		next = now ? g_strdup(now->parent) : NULL;
		format = GRAPH_UNKNOWN;
		if (now) {
			bool fresh = !row || g_strcmp0(row->parent, now->parent) != 0;

			learn_one(daemon->graph, now, overlay, new_overlay);
			new_overlay = fresh;
		}
		g_free(overlay);
		overlay = here;
	}
	g_free(next);
}

void graph_learn_def(struct daemon *daemon, const domain_def *def)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);

		graph_learn(daemon, d->path, graph_format_of(d));
	}
}

void graph_settle(struct daemon *daemon, const domain_def *live)
{
	for (unsigned i = 0; i < live->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(live->disks, i);
		g_autoptr(GPtrArray) chain = imagehead_chain(d->path, d->format == DISK_FORMAT_RAW);

		for (unsigned k = 1; k < chain->len; k++) {
			const struct graph_image *row =
				graph_find(daemon, g_ptr_array_index(chain, k));

			if (row && row->unsettled)
				graph_changed(daemon, row->path);
		}
	}
}

void graph_unsettle(struct daemon *daemon, const char *path)
{
	const struct graph_image *row = graph_find(daemon, path);
	struct graph_image *now = graph_look(path, row ? row->format : GRAPH_UNKNOWN);

	if (!now)
		return;
	now->unsettled = true;
	graph_put(daemon->graph, now);
}

void graph_changed(struct daemon *daemon, const char *path)
{
	g_autofree char *key = g_canonicalize_filename(path, "/");
	const struct graph_image *row = graph_find(daemon, key);
	struct graph_image *now = graph_look(key, row ? row->format : GRAPH_UNKNOWN);

	if (now)
		graph_put(daemon->graph, now);
	else
		graph_forget(daemon, key);
}
