/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's snapshots in memory: reading them, finding one's way in them. */
#include "config.h"
#include "vmmd/snapshot-tree.h"

#include <string.h>

#include "vmmd/store-priv.h"

static void layer_free(void *p)
{
	struct layer *layer = p;

	g_free(layer->target);
	g_free(layer->path);
	g_free(layer);
}

static void node_disk_free(void *p)
{
	struct node_disk *d = p;

	g_free(d->target);
	g_free(d);
}

static void node_free(void *p)
{
	struct node *node = p;

	g_free(node->name);
	g_free(node->description);
	g_free(node->memory_path);
	g_ptr_array_unref(node->disks);
	g_free(node);
}

void snapshot_tree_free(snapshot_tree *tree)
{
	if (!tree)
		return;
	g_ptr_array_unref(tree->nodes);
	g_ptr_array_unref(tree->layers);
	g_free(tree);
}

/* ---- reading ---- */

static char *text_of(sqlite3_stmt *st, int column)
{
	return g_strdup((const char *)sqlite3_column_text(st, column));
}

static void read_node(snapshot_tree *tree, sqlite3_stmt *st)
{
	struct node *node = g_new0(struct node, 1);

	node->id = sqlite3_column_int64(st, 0);
	node->parent = sqlite3_column_int64(st, 1);
	node->name = text_of(st, 2);
	node->description = text_of(st, 3);
	node->state = (enum snapshot_state)sqlite3_column_int(st, 4);
	node->created_s = sqlite3_column_int64(st, 5);
	node->current = sqlite3_column_int(st, 6);
	node->pending = sqlite3_column_int(st, 7);
	node->memory_path = text_of(st, 8);
	node->memory_ours = sqlite3_column_int(st, 9);
	node->disks = g_ptr_array_new_with_free_func(node_disk_free);
	g_ptr_array_add(tree->nodes, node);
}

static void read_disk(snapshot_tree *tree, sqlite3_stmt *st)
{
	struct node *node = tree_node(tree, sqlite3_column_int64(st, 0));
	struct node_disk *d =
		node_disk_add(node, (const char *)sqlite3_column_text(st, 1),
			      (enum snapshot_place)sqlite3_column_int(st, 2));

	d->frozen = sqlite3_column_int64(st, 3);
	d->overlay = sqlite3_column_int64(st, 4);
}

static void read_layer(snapshot_tree *tree, sqlite3_stmt *st)
{
	struct layer *layer = g_new0(struct layer, 1);

	layer->id = sqlite3_column_int64(st, 0);
	layer->parent = sqlite3_column_int64(st, 1);
	layer->target = text_of(st, 2);
	layer->path = text_of(st, 3);
	layer->format = (enum disk_format)sqlite3_column_int(st, 4);
	layer->state = (enum layer_state)sqlite3_column_int(st, 5);
	layer->ours = sqlite3_column_int(st, 6);
	layer->kept = sqlite3_column_int(st, 7);
	g_ptr_array_add(tree->layers, layer);
}

typedef void read_fn(snapshot_tree *tree, sqlite3_stmt *st);

static bool read_rows(struct store *store, snapshot_tree *tree, const uint8_t uuid[UUID_BYTES],
		      const char *sql, read_fn *fn, GError **error)
{
	sqlite3_stmt *st = store_statement(store, sql, error);
	int rc;

	if (!st)
		return false;
	store_bind_uuid(st, 1, uuid);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		fn(tree, st);
	if (rc != SQLITE_DONE)
		store_error(store, "read the snapshots", error);
	store_reset(st);
	return rc == SQLITE_DONE;
}

/* A child is always younger than its parent: the order of ids is one from the roots. */
snapshot_tree *snapshot_tree_load(struct store *store, const uint8_t uuid[UUID_BYTES],
				  GError **error)
{
	g_autoptr(snapshot_tree) tree = g_new0(snapshot_tree, 1);

	tree->nodes = g_ptr_array_new_with_free_func(node_free);
	tree->layers = g_ptr_array_new_with_free_func(layer_free);
	if (!read_rows(store, tree, uuid,
		       "SELECT id, parent, name, description, state, created, current, pending,"
		       " memory, memory_ours FROM snapshots WHERE domain = ?1 ORDER BY id",
		       read_node, error) ||
	    !read_rows(store, tree, uuid,
		       "SELECT d.snapshot, d.target, d.place, d.frozen, d.overlay"
		       " FROM snapshot_disks d JOIN snapshots s ON s.id = d.snapshot"
		       " WHERE s.domain = ?1 ORDER BY d.snapshot, d.target",
		       read_disk, error) ||
	    !read_rows(store, tree, uuid,
		       "SELECT id, parent, target, path, format, state, ours, kept FROM layers"
		       " WHERE domain = ?1 ORDER BY id",
		       read_layer, error))
		return NULL;
	return g_steal_pointer(&tree);
}

/* ---- nodes ---- */

struct node *tree_node(const snapshot_tree *tree, int64_t id)
{
	for (unsigned i = 0; i < tree->nodes->len; i++) {
		struct node *node = g_ptr_array_index(tree->nodes, i);

		if (node->id == id)
			return node;
	}
	return NULL;
}

struct node *tree_find(const snapshot_tree *tree, const char *name)
{
	for (unsigned i = 0; i < tree->nodes->len; i++) {
		struct node *node = g_ptr_array_index(tree->nodes, i);

		if (!node->pending && strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

struct node *tree_current(const snapshot_tree *tree)
{
	for (unsigned i = 0; i < tree->nodes->len; i++) {
		struct node *node = g_ptr_array_index(tree->nodes, i);

		if (node->current && !node->pending)
			return node;
	}
	return NULL;
}

struct node *tree_parent(const snapshot_tree *tree, const struct node *node)
{
	return node->parent ? tree_node(tree, node->parent) : NULL;
}

bool tree_is_below(const snapshot_tree *tree, const struct node *node, const struct node *above)
{
	while ((node = tree_parent(tree, node)))
		if (node == above)
			return true;
	return false;
}

unsigned tree_children(const snapshot_tree *tree, const struct node *node)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tree->nodes->len; i++) {
		const struct node *child = g_ptr_array_index(tree->nodes, i);

		n += !child->pending && child->parent == node->id;
	}
	return n;
}

struct node *tree_node_new(snapshot_tree *tree, const char *name)
{
	struct node *node = g_new0(struct node, 1);

	node->name = g_strdup(name);
	node->disks = g_ptr_array_new_with_free_func(node_disk_free);
	g_ptr_array_add(tree->nodes, node);
	return node;
}

struct node_disk *node_disk_add(struct node *node, const char *target, enum snapshot_place place)
{
	struct node_disk *d = g_new0(struct node_disk, 1);

	d->target = g_strdup(target);
	d->place = place;
	g_ptr_array_add(node->disks, d);
	return d;
}

struct node_disk *node_disk_find(const struct node *node, const char *target)
{
	for (unsigned i = 0; i < node->disks->len; i++) {
		struct node_disk *d = g_ptr_array_index(node->disks, i);

		if (strcmp(d->target, target) == 0)
			return d;
	}
	return NULL;
}

bool node_has_tags(const struct node *node)
{
	for (unsigned i = 0; i < node->disks->len; i++)
		if (((const struct node_disk *)node->disks->pdata[i])->place == SNAPSHOT_INTERNAL)
			return true;
	return false;
}

/* ---- layers ---- */

struct layer *tree_layer(const snapshot_tree *tree, int64_t id)
{
	for (unsigned i = 0; id && i < tree->layers->len; i++) {
		struct layer *layer = g_ptr_array_index(tree->layers, i);

		if (layer->id == id)
			return layer;
	}
	return NULL;
}

struct layer *tree_layer_of(const snapshot_tree *tree, const char *path)
{
	for (unsigned i = 0; i < tree->layers->len; i++) {
		struct layer *layer = g_ptr_array_index(tree->layers, i);

		if (strcmp(layer->path, path) == 0)
			return layer;
	}
	return NULL;
}

unsigned layer_references(const snapshot_tree *tree, const struct layer *layer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tree->nodes->len; i++) {
		const struct node *node = g_ptr_array_index(tree->nodes, i);

		for (unsigned j = 0; j < node->disks->len; j++)
			n += ((struct node_disk *)node->disks->pdata[j])->frozen == layer->id;
	}
	return n;
}

unsigned layer_tags(const snapshot_tree *tree, const struct layer *layer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tree->nodes->len; i++) {
		const struct node *node = g_ptr_array_index(tree->nodes, i);

		for (unsigned j = 0; j < node->disks->len; j++) {
			const struct node_disk *d = g_ptr_array_index(node->disks, j);

			n += d->frozen == layer->id && d->place == SNAPSHOT_INTERNAL;
		}
	}
	return n;
}

unsigned layer_children(const snapshot_tree *tree, const struct layer *layer,
			struct layer **ret_one)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tree->layers->len; i++) {
		struct layer *child = g_ptr_array_index(tree->layers, i);

		if (child->parent != layer->id || child->state == LAYER_DEAD)
			continue;
		if (ret_one)
			*ret_one = child;
		n++;
	}
	return n;
}
