/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of a snapshot that is about to be made: its node, its overlays, its intent. */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include "libvmm/util/error.h"

static char *choose_path(struct snapshot_op *op, const struct snapshot_disk *sd,
			 const struct disk_def *d, GError **error)
{
	g_autofree char *path = NULL;

	if (disk_def_apart(d)) {
		error_set(error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: disk '%s' is %s: it can't have a "
			  "snapshot", d->target, disk_def_apart(d));
		return NULL;
	}
	if (sd && sd->path)
		path = g_canonicalize_filename(sd->path, "/");
	else if (d->type == DISK_FILE)
		path = overlay_path(op->tree, d->path, op->name, false);
	else
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			  "unsupported configuration: block device '%s' has no folder for its "
			  "overlay: give <source file='...'/> for disk '%s'", d->path, d->target);
	if (path && op->flags & SNAPSHOT_CREATE_REUSE_EXT && !path_is_free(path))
		return overlay_fits(op, d, path, error) ? g_steal_pointer(&path) : NULL;
	if (path && (!path_is_free(path) || tree_layer_of(op->tree, path))) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			  "unsupported configuration: external snapshot file for disk %s already "
			  "exists: %s", d->target, path);
		return NULL;
	}
	return g_steal_pointer(&path);
}

static struct layer *head_layer(struct snapshot_op *op, const struct disk_def *d, GError **error)
{
	struct layer *head = tree_layer_of(op->tree, d->path);

	if (head)
		return head;
	head = g_new0(struct layer, 1);
	head->target = g_strdup(d->target);
	head->path = g_strdup(d->path);
	head->format = d->format;
	head->state = LAYER_PENDING;
	g_ptr_array_add(op->tree->layers, head);
	return snapshot_layer_add(op->daemon->store, op->dom->uuid, head, error) ? head : NULL;
}

/* The image that has the tag stays writable. */
static bool inside_write(struct snapshot_op *op, struct node_disk *nd, const struct disk_def *d,
			 GError **error)
{
	struct layer *head;

	if (disk_def_apart(d) || d->format != DISK_FORMAT_QCOW2)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: disk '%s' is %s: a snapshot can't be "
				 "inside its image; leave it out with snapshot='no'", d->target,
				 disk_def_apart(d) ?: "raw");
	head = head_layer(op, d, error);
	if (!head)
		return false;
	nd->frozen = head->id;
	return !layer_is_shared(op, head) ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: image '%s' of disk '%s' is used by "
			 "other domains or overlays", d->path, d->target);
}

static bool disk_write(struct snapshot_op *op, const snapshot_def *def, const struct disk_def *d,
		       GError **error)
{
	const struct snapshot_disk *sd = asked_disk(def, d);
	struct node_disk *nd = node_disk_add(op->node, d->target, asked_place(def, sd, d));
	g_autofree char *path = NULL;
	struct layer *head, *overlay;

	if (nd->place == SNAPSHOT_NO && op->node->memory_path && !d->readonly && !d->shareable)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: disk '%s' must take part: the memory "
				 "would not fit it later", d->target);
	if (nd->place == SNAPSHOT_NO)
		return true;
	if (nd->place == SNAPSHOT_INTERNAL)
		return inside_write(op, nd, d, error);
	path = choose_path(op, sd, d, error);
	head = path ? head_layer(op, d, error) : NULL;
	if (!head)
		return false;
	overlay = overlay_plan(op, head, path);
	overlay->ours = path_is_free(path);	/* else it stays the user's */
	if (!snapshot_layer_add(op->daemon->store, op->dom->uuid, overlay, error) ||
	    (op->flags & SNAPSHOT_CREATE_NO_METADATA &&
	     !snapshot_layer_keep(op->daemon->store, head->id, error)))
		return false;
	nd->frozen = head->id;
	nd->overlay = overlay->id;
	return true;
}

static bool rows_write(struct snapshot_op *op, const snapshot_def *def, GError **error)
{
	const domain_def *now = domain_def_now(op->dom);
	bool metadata = !(op->flags & SNAPSHOT_CREATE_NO_METADATA);

	for (unsigned i = 0; i < now->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(now->disks, i);

		if (!disk_write(op, def, d, error))
			return false;
	}
	if (op->news->len > 0 && node_has_tags(op->node))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: a snapshot is inside the files of all "
				 "its disks or of none");
	if (op->news->len == 0 && !node_has_tags(op->node) &&
	    (now->disks->len > 0 || op->flags & SNAPSHOT_CREATE_DISK_ONLY))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: no disk takes part in the snapshot");
	return (!metadata || snapshot_node_add(op->daemon->store, op->dom->uuid, op->node, op->xml,
					       op->inactive, error)) &&
	       journal_begin(op->daemon->store, INTENT_CREATE, op->dom->uuid, op->name,
			     &op->intent, error);
}

/* NULL and *error when the place is taken. */
static char *memory_path(struct snapshot_op *op, const snapshot_def *def, GError **error)
{
	g_autofree char *folder = g_build_filename(op->daemon->state_dir, "snapshot", NULL);
	g_autofree char *file = g_strdup_printf("%s-%s.mem", op->dom->uuid_text, op->name);
	g_autofree char *path = def->memory_path ? g_canonicalize_filename(def->memory_path, "/") :
						   g_build_filename(folder, file, NULL);

	if (!def->memory_path)
		g_mkdir_with_parents(folder, 0700);
	if (path_is_free(path))
		return g_steal_pointer(&path);
	error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
		  "unsupported configuration: the file for the memory already exists: %s", path);
	return NULL;
}

static bool node_fill(struct snapshot_op *op, const snapshot_def *def, GError **error)
{
	const struct node *current = tree_current(op->tree);
	struct domain *dom = op->dom;

	op->node = tree_node_new(op->tree, op->name);
	op->node->parent = current ? current->id : 0;
	op->node->description = g_strdup(def->description);
	op->node->created_s = g_get_real_time() / G_USEC_PER_SEC;
	op->node->pending = true;
	op->node->state = state_is_active(dom->state) ? SNAPSHOT_DISK : SNAPSHOT_SHUTOFF;
	op->xml = domain_def_format(domain_def_now(dom), 0);
	op->inactive = dom->live ? domain_saved_xml(dom) : NULL;
	if (g_strcmp0(op->inactive, op->xml) == 0)
		g_clear_pointer(&op->inactive, g_free);
	if (!asked_memory(dom, def, op->flags))
		return true;
	op->node->state = dom->state == DOMAIN_PAUSED ? SNAPSHOT_PAUSED : SNAPSHOT_RUNNING;
	op->node->memory_ours = true;
	op->node->memory_path = memory_path(op, def, error);
	return op->node->memory_path;
}

bool snapshot_plan(struct snapshot_op *op, const snapshot_def *def, GError **error)
{
	if (tree_find(op->tree, op->name))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "operation failed: domain snapshot %s already exists", op->name);
	if (!node_fill(op, def, error) || !store_begin(op->daemon->store, error))
		return false;
	if (rows_write(op, def, error))
		return store_commit(op->daemon->store, error);
	store_rollback(op->daemon->store);
	return false;
}
