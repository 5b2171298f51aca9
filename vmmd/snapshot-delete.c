/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deleting snapshots.  One transaction takes the nodes out of the tree and
 * marks as dead what nobody needs any more; then the dead files go, and layers
 * that are hidden now are merged where that can be done at once.
 */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"

#define DELETE_KNOWN \
	(SNAPSHOT_DELETE_CHILDREN | SNAPSHOT_DELETE_METADATA_ONLY | SNAPSHOT_DELETE_CHILDREN_ONLY)

static bool is_doomed(const struct snapshot_op *op, const struct node *node)
{
	bool below = op->flags & (SNAPSHOT_DELETE_CHILDREN | SNAPSHOT_DELETE_CHILDREN_ONLY) &&
		     tree_is_below(op->tree, node, op->node);

	return below || (node == op->node && !(op->flags & SNAPSHOT_DELETE_CHILDREN_ONLY));
}

/* The nearest one above that stays; NULL: none. */
static const struct node *survivor(const struct snapshot_op *op, const struct node *node)
{
	while (node && is_doomed(op, node))
		node = tree_parent(op->tree, node);
	return node;
}

/* ---- files ---- */

/* The memory's file is nobody's layer, but goes in the same way. */
static bool memory_release(struct snapshot_op *op, const struct node *node, GError **error)
{
	struct layer dead = { .target = (char *)"", .path = node->memory_path,
			      .state = LAYER_DEAD, .ours = true };

	if (!node->memory_path || !node->memory_ours ||
	    op->flags & SNAPSHOT_DELETE_METADATA_ONLY)
		return true;
	return snapshot_layer_add(op->daemon->store, op->dom->uuid, &dead, error);
}

/* The user's own image again, and nothing else? */
static bool tagged_release(struct snapshot_op *op, struct layer *layer, GError **error)
{
	if (layer->ours || layer->kept || layer_references(op->tree, layer) ||
	    layer_children(op->tree, layer, NULL))
		return layer_release(op, layer, error);
	layer->state = LAYER_DEAD;
	return snapshot_layer_remove(op->daemon->store, layer->id, error);
}

/* What one node no longer refers to; what only it has frozen may be left to the user. */
static bool disks_release(struct snapshot_op *op, struct node *node, GError **error)
{
	struct store *store = op->daemon->store;

	for (unsigned i = 0; i < node->disks->len; i++) {
		struct node_disk *nd = g_ptr_array_index(node->disks, i);
		struct layer *layer = tree_layer(op->tree, nd->frozen);

		nd->frozen = 0;
		if (!layer)
			continue;
		if (nd->place == SNAPSHOT_INTERNAL) {
			if (!tagged_release(op, layer, error))
				return false;
			continue;
		}
		if (op->flags & SNAPSHOT_DELETE_METADATA_ONLY) {
			layer->kept = true;
			if (!snapshot_layer_keep(store, layer->id, error))
				return false;
		} else if (!layer_release(op, layer, error)) {
			return false;
		}
	}
	return true;
}

static bool node_delete(struct snapshot_op *op, struct node *node, GError **error)
{
	struct store *store = op->daemon->store;
	const struct node *heir = survivor(op, node);

	if (node_has_tags(node) && op->dom->link && !(op->flags & SNAPSHOT_DELETE_METADATA_ONLY))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: snapshot '%s' is inside the "
				 "files of domain '%s', which it is using: shut it down first",
				 node->name, op->dom->name);
	if (!(op->flags & SNAPSHOT_DELETE_METADATA_ONLY))
		tags_plan(op, node);
	if (node->current &&
	    !snapshot_current_set(store, op->dom->uuid, heir ? heir->id : 0, error))
		return false;
	return snapshot_node_adopt(store, node->id, node->parent, error) &&
	       snapshot_node_remove(store, node->id, error) && memory_release(op, node, error) &&
	       disks_release(op, node, error);
}

/* From the leaves up: ids grow from parents to children. */
static bool nodes_delete(struct snapshot_op *op, GError **error)
{
	for (unsigned i = op->tree->nodes->len; i-- > 0;) {
		struct node *node = g_ptr_array_index(op->tree->nodes, i);

		if (is_doomed(op, node) && !node_delete(op, node, error))
			return false;
	}
	return true;
}

static bool delete_commit(struct snapshot_op *op, GError **error)
{
	op->node = tree_find(op->tree, op->name);
	if (!op->node)
		return error_set(error, VMM_ERR_NO_SNAPSHOT,
				 "Domain snapshot not found: no domain snapshot with matching "
				 "name '%s'", op->name);
	if (!store_begin(op->daemon->store, error))
		return false;
	if (nodes_delete(op, error) && tags_forget(op, error))
		return store_commit(op->daemon->store, error);
	store_rollback(op->daemon->store);
	return false;
}

static void on_merged(struct snapshot_op *op)
{
	op_end(op, NULL);
}

void snapshot_delete(struct domain *dom, const char *name, unsigned flags, snapshot_done *done,
		     void *opaque)
{
	g_autoptr(GError) error = NULL;
	GError *why = NULL;
	struct snapshot_op *op = NULL;

	if (flags & ~DELETE_KNOWN)
		error_set(&error, VMM_ERR_INVALID_ARG, "invalid argument: unsupported flags (0x%x)",
			  flags & ~DELETE_KNOWN);
	else if (flags & SNAPSHOT_DELETE_CHILDREN && flags & SNAPSHOT_DELETE_CHILDREN_ONLY)
		error_set(&error, VMM_ERR_INVALID_ARG,
			  "invalid argument: children and children-only exclude each other");
	else
		op = op_begin(dom, "a snapshot of it is being deleted", name, done, opaque, &error);
	if (!op) {
		done(dom, name, error, opaque);
		return;
	}
	op->flags = flags;
	op->merged = on_merged;
	if (!delete_commit(op, &why)) {
		op_end(op, why);
		return;
	}
	fault_point("snapshot-delete:committed");
	if (!dead_sweep(op->daemon, dom->uuid, &error))
		g_warning("domain '%s': files are left over from a snapshot: %s", dom->name,
			  error->message);
	tags_remove(op, merge_all);
}
