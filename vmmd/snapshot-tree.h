/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snapshots of one domain as the database has them, and their statements.
 *
 * Two structures lie over each other.  Nodes are what a user sees: a tree of
 * snapshots.  Layers are the files: for each disk a forest in which a child is
 * an overlay on its parent.
 *
 *	node A ---- node B			a domain with one disk
 *	  |  \        |
 *	  |   node C  |				A, B, C: which layer is frozen there
 *	  v        \  v
 *	disk.raw <- disk.A <- disk.B		disk.B is the head: what is written now
 *	     ^--- disk.A-1 (C)
 *
 * Invariants:
 * - A layer is frozen (nobody writes to it) from the moment that a node refers
 *   to it or that it has a child.  A head has neither.  A node whose snapshot is
 *   inside the image (a tag, SNAPSHOT_INTERNAL) refers to it, but freezes nothing.
 * - A layer with tags is not merged into the one below it: they would be lost, or
 *   show another backing file's data.
 * - A layer's file has its parent's path as its backing file; a root's file may
 *   have a chain of its own below, which is none of our business.
 * - A frozen layer without a node is hidden.  It is merged as soon as it has one
 *   child only and nobody has the two open.
 * - Files are removed only of layers that are ours: made by a snapshot or a
 *   revert.
 * - A pending node or layer belongs to an intent that may be undone; a dead
 *   layer's file is about to be removed.  Neither is ever shown.
 */
#pragma once

#include "libvmm/domain/snapshot.h"
#include "vmmd/store.h"

enum layer_state { LAYER_READY, LAYER_PENDING, LAYER_DEAD };

struct layer {
	int64_t id, parent;		/* parent 0: a root */
	char *target;			/* "vda" */
	char *path;
	enum disk_format format;
	enum layer_state state;
	bool ours;
	bool kept;			/* frozen by a snapshot without metadata: stays as it is */
};

struct node_disk {
	char *target;
	enum snapshot_place place;
	int64_t frozen;			/* layer, INTERNAL: that has the tag; NO: 0 */
	int64_t overlay;		/* the layer made with the node; 0: it is no more */
};

struct node {
	int64_t id, parent;
	char *name, *description;
	enum snapshot_state state;
	int64_t created_s;
	bool current, pending;
	char *memory_path;		/* NULL: without memory */
	bool memory_ours;
	GPtrArray *disks;		/* of struct node_disk */
};

struct snapshot_tree {
	GPtrArray *nodes;		/* of struct node, parents first */
	GPtrArray *layers;		/* of struct layer, parents first */
};
typedef struct snapshot_tree snapshot_tree;

snapshot_tree *snapshot_tree_load(struct store *store, const uint8_t uuid[UUID_BYTES],
				  GError **error);
void snapshot_tree_free(snapshot_tree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(snapshot_tree, snapshot_tree_free)

/* These see ready nodes only; NULL: there is none. */
struct node *tree_find(const snapshot_tree *tree, const char *name);
struct node *tree_current(const snapshot_tree *tree);
struct node *tree_parent(const snapshot_tree *tree, const struct node *node);
bool tree_is_below(const snapshot_tree *tree, const struct node *node, const struct node *above);
unsigned tree_children(const snapshot_tree *tree, const struct node *node);
/* These also see what is pending. */
struct node *tree_node(const snapshot_tree *tree, int64_t id);
/* A node of that name without an id, in the tree alone. */
struct node *tree_node_new(snapshot_tree *tree, const char *name);
struct node_disk *node_disk_add(struct node *node, const char *target, enum snapshot_place place);
struct node_disk *node_disk_find(const struct node *node, const char *target);
/* Is it inside its disks' own images? */
bool node_has_tags(const struct node *node);

struct layer *tree_layer(const snapshot_tree *tree, int64_t id);
/* The layer that this file is, whatever its state. */
struct layer *tree_layer_of(const snapshot_tree *tree, const char *path);
unsigned layer_references(const snapshot_tree *tree, const struct layer *layer);
/* How many of these are snapshots inside it. */
unsigned layer_tags(const snapshot_tree *tree, const struct layer *layer);
/* Children that are not dead; *ret_one is one of them. */
unsigned layer_children(const snapshot_tree *tree, const struct layer *layer,
			struct layer **ret_one);

/* ---- statements; those that change something belong into a transaction ---- */

/* Both definitions of a node as they were written; the strings are the caller's. */
bool snapshot_xml_load(struct store *store, int64_t node, char **ret_xml, char **ret_inactive,
		       GError **error);
/* Sets the id; its disks are written with it. */
bool snapshot_node_add(struct store *store, const uint8_t uuid[UUID_BYTES], struct node *node,
		       const char *xml, const char *inactive, GError **error);
bool snapshot_node_remove(struct store *store, int64_t node, GError **error);
bool snapshot_node_describe(struct store *store, int64_t node, const char *text, GError **error);
bool snapshot_node_adopt(struct store *store, int64_t from, int64_t to, GError **error);
/* node 0: none any more. */
bool snapshot_current_set(struct store *store, const uint8_t uuid[UUID_BYTES], int64_t node,
			  GError **error);
bool snapshot_layer_add(struct store *store, const uint8_t uuid[UUID_BYTES], struct layer *layer,
			GError **error);
bool snapshot_layer_remove(struct store *store, int64_t layer, GError **error);
/* All of a disk's, when no node needs them. */
bool snapshot_layers_drop(struct store *store, const uint8_t uuid[UUID_BYTES], const char *target,
			  GError **error);
/* Whose tree has this file: its name; NULL: nobody's, or only that of `but` (NULL: of none). */
char *snapshot_layer_owner(struct store *store, const char *path, const uint8_t *but);
bool snapshot_layer_set(struct store *store, int64_t layer, enum layer_state state, GError **error);
bool snapshot_layer_keep(struct store *store, int64_t layer, GError **error);
/* `from` is gone and `to` has its place: its children, and what nodes know of it. */
bool snapshot_layer_replace(struct store *store, int64_t from, int64_t to, GError **error);
bool snapshot_layer_set_parent(struct store *store, int64_t layer, int64_t parent, GError **error);
/* All that is pending of a domain becomes ready, or goes. */
bool snapshot_pending_accept(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error);
bool snapshot_pending_drop(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error);
/* All that is known of a domain's snapshots goes; the files stay. */
bool snapshot_forget_all(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error);
/* Nodes that are ready; 0 on failure. */
unsigned snapshot_count(struct store *store, const uint8_t uuid[UUID_BYTES]);
/* The uuids, as GBytes, of domains with snapshots or layers; the array is the caller's. */
GPtrArray *snapshot_domains(struct store *store, GError **error);
