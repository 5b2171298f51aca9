/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a snapshot.
 *
 *	begun: rows of node and overlays are pending, the intent says so
 *	the overlays are made; a running machine's memory is saved, and it stands
 *	still from there on
 *	--quiesce: the guest's file systems are frozen, until its disks are switched
 *	a running machine's disks are switched to them (CREATE_SWITCH)
 *	one transaction: rows are ready, the definition names the overlays
 *
 * Killed before CREATE_SWITCH it is undone.  After it the overlays may have the
 * guest's newest data, so it is completed, unless the machine still runs and
 * says that it has not been switched.
 */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/disk-live.h"
#include "vmmd/lifecycle-priv.h"
#include "vmmd/save.h"

/* ---- rows ---- */

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

static bool create_write(struct snapshot_op *op, const snapshot_def *def, GError **error)
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

/* ---- the end ---- */

/* Whatever is pending of the domain becomes true; also what a killed daemon left so. */
static bool create_commit(struct domain *dom, int64_t intent, GError **error)
{
	struct store *store = dom->daemon->store;
	g_autoptr(snapshot_tree) tree = snapshot_tree_load(store, dom->uuid, error);
	g_autoptr(domain_def) def = tree ? def_with_heads(dom, tree) : NULL;
	const struct node *last =
		tree && tree->nodes->len ? tree->nodes->pdata[tree->nodes->len - 1] : NULL;

	if (!tree || !store_begin(store, error))
		return false;
	if (!snapshot_pending_accept(store, dom->uuid, error) ||
	    (last && last->pending && !snapshot_current_set(store, dom->uuid, last->id, error)) ||
	    (def && !domain_save_begin(dom, def, error)) ||
	    !journal_end(store, intent, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	fault_point("snapshot-create:committed");
	if (def)
		domain_save_end(dom, g_steal_pointer(&def));
	return true;
}

static void create_fail(struct snapshot_op *op, GError *error)
{
	g_autoptr(GError) why = NULL;

	if (!pending_undo(op->daemon, op->dom->uuid, op->intent, &why))
		g_warning("domain '%s': a snapshot is taken back at the next start of vmmd: %s",
			  op->dom->name, why->message);
	op_end(op, error);
}

static void on_halted(struct domain *dom, const GError *error, void *opaque)
{
	op_end(opaque, error ? g_error_copy(error) : NULL);
}

static void create_finish(struct snapshot_op *op)
{
	GError *error = NULL;

	if (!create_commit(op->dom, op->intent, &error)) {
		op_end(op, error);
		return;
	}
	if (op->flags & SNAPSHOT_CREATE_HALT && op->dom->link)
		lifecycle_destroy(op->dom, false, on_halted, op);
	else
		op_end(op, NULL);
}

static void on_resumed(const void *ret, const GError *error, void *opaque)
{
	if (error)
		g_warning("resume after a snapshot: %s", error->message);
}

/* Whatever came of it, the guest goes on as before its memory was saved. */
static void guest_resume(struct snapshot_op *op)
{
	struct domain *dom = op->dom;

	if (dom->life)
		dom->life->saving = false;
	if (op->resume && dom->link)
		link_command(dom->link, WORKER_PROC_RESUME, 0, on_resumed, NULL);
	op->resume = false;
}

static void on_switched(struct domain *dom, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;

	fault_point("snapshot-create:switched");
	quiesce_thaw(op);
	if (!(op->flags & SNAPSHOT_CREATE_HALT) || error)
		guest_resume(op);
	if (!error || g_error_matches(error, VMM_ERROR, VMM_ERR_RPC))
		create_finish(op);
	else
		create_fail(op, g_error_copy(error));
}

static void switch_heads(struct snapshot_op *op)
{
	g_autofree struct disk_head *heads = g_new(struct disk_head, op->news->len);
	GError *error = NULL;

	for (unsigned i = 0; i < op->news->len; i++) {
		const struct layer *layer = g_ptr_array_index(op->news, i);

		heads[i] = (struct disk_head){ layer->target, layer->path };
	}
	if (!journal_step(op->daemon->store, op->intent, CREATE_SWITCH, NULL, &error)) {
		quiesce_thaw(op);
		guest_resume(op);
		create_fail(op, error);
		return;
	}
	fault_point("snapshot-create:switch");
	disk_live_switch_heads(op->dom, heads, op->news->len, on_switched, op);
}

static void on_frozen(struct snapshot_op *op, GError *error)
{
	if (error)
		create_fail(op, error);
	else
		switch_heads(op);
}

/* The machine stands still; its disks are switched before it goes on. */
static void on_memory(const void *ret, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;

	fault_point("snapshot-create:memory");
	if (error) {
		op->resume = false;
		guest_resume(op);
		create_fail(op, g_error_copy(error));
	} else if (op->news->len > 0) {
		switch_heads(op);
	} else {
		on_switched(op->dom, NULL, op);
	}
}

static void memory_save(struct snapshot_op *op)
{
	struct domain *dom = op->dom;
	const char *path = op->node->memory_path;
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	worker_save_args args = { .xml = op->xml, .detail = (char *)"snapshot" };
	GError *error = NULL;

	if (fd < 0) {
		error_errno(&error, errno, "create '%s'", path);
		create_fail(op, error);
		return;
	}
	op->resume = dom->state != DOMAIN_PAUSED;
	args.flags = (op->resume ? WORKER_SAVE_RUN : 0) | save_format_flags(dom->daemon, NULL);
	dom->life->saving = true;
	link_save(dom->link, &args, fd, on_memory, op);
}

/* ---- inside the images ---- */

/* What a tag that may be left would cost is room; what is pending must not stay. */
static void on_untagged(struct snapshot_op *op, GError *error)
{
	g_autoptr(GError) why = error;

	if (why)
		g_warning("domain '%s': snapshot '%s' may be left inside an image: %s",
			  op->dom->name, op->name, why->message);
	create_fail(op, g_steal_pointer(&op->failure));
}

static void on_tagged(struct snapshot_op *op, GError *error)
{
	if (!error) {
		create_finish(op);
		return;
	}
	op->failure = error;
	tags_run(op, IMAGEJOB_UNTAG, on_untagged);
}

static void on_tags_free(struct snapshot_op *op, GError *error)
{
	if (error || !journal_step(op->daemon->store, op->intent, CREATE_TAGS, NULL, &error)) {
		create_fail(op, error);
		return;
	}
	fault_point("snapshot-create:tags");
	tags_run(op, IMAGEJOB_TAG, on_tagged);
}

static void on_files_made(struct snapshot_op *op, GError *error)
{
	if (error)
		create_fail(op, error);
	else if (node_has_tags(op->node))
		tags_run(op, IMAGEJOB_INFO, on_tags_free);
	else if (op->dom->link && op->node->memory_path)
		memory_save(op);
	else if (op->node->memory_path)
		create_fail(op, g_error_new(VMM_ERROR, VMM_ERR_OPERATION_INVALID,
					    "the domain has ended meanwhile"));
	else if (op->dom->link && op->news->len > 0 && op->flags & SNAPSHOT_CREATE_QUIESCE)
		quiesce_freeze(op, on_frozen);
	else if (op->dom->link && op->news->len > 0)
		switch_heads(op);
	else
		create_finish(op);
}

void snapshot_create(struct domain *dom, snapshot_def *taken, unsigned flags, snapshot_done *done,
		     void *opaque)
{
	g_autoptr(snapshot_def) def = taken;
	g_autoptr(GError) error = NULL;
	GError *why = NULL;
	struct snapshot_op *op;

	if (!def->name)
		def->name = g_strdup_printf("%" G_GINT64_FORMAT,
					    g_get_real_time() / G_USEC_PER_SEC);
	op = asked_fits(dom, def, flags, &error) ?
		     op_begin(dom, "a snapshot of it is being made", def->name, done, opaque,
			      &error) :
		     NULL;
	if (!op) {
		done(dom, NULL, error, opaque);
		return;
	}
	op->flags = flags;
	op->files_made = on_files_made;
	if (!asked_disks_fit(domain_def_now(dom), def, &why) || !create_write(op, def, &why)) {
		op_end(op, why);
		return;
	}
	fault_point("snapshot-create:begun");
	tags_plan(op, op->node);
	overlays_make(op);
}

/* ---- after a restart ---- */

static bool live_has_heads(const struct domain *dom, const snapshot_tree *tree)
{
	for (unsigned i = 0; i < tree->layers->len; i++) {
		const struct layer *layer = g_ptr_array_index(tree->layers, i);
		const struct disk_def *d = def_disk(dom->live, layer->target);

		if (layer->state == LAYER_PENDING && layer->parent &&
		    (!d || strcmp(d->path, layer->path) != 0))
			return false;
	}
	return true;
}

static void undone(struct domain *dom, const char *name, const GError *error, void *opaque)
{
	g_message("domain '%s': snapshot '%s', which was interrupted, is taken back", dom->name,
		  name);
}

static bool tags_undo(struct domain *dom, const struct journal_entry *entry, GError **error)
{
	struct snapshot_op *op = op_begin(dom, "a snapshot of it is taken back", entry->body,
					  undone, NULL, error);

	if (!op)
		return false;
	op->intent = entry->id;
	for (unsigned i = 0; i < op->tree->nodes->len; i++)
		if (((struct node *)op->tree->nodes->pdata[i])->pending)
			tags_plan(op, op->tree->nodes->pdata[i]);
	tags_run(op, IMAGEJOB_UNTAG, on_untagged);
	return true;
}

bool snapshot_create_resume(struct daemon *daemon, const struct journal_entry *entry,
			    GError **error)
{
	struct domain *dom = domain_find_uuid(daemon->domains, entry->uuid);
	g_autoptr(snapshot_tree) tree = snapshot_tree_load(daemon->store, entry->uuid, error);

	if (!tree || !dom || !domain_need_saved(dom, error))
		return dom || error_set(error, VMM_ERR_INTERNAL, "its domain is gone");
	if (entry->step == CREATE_FILES)
		return pending_undo(daemon, entry->uuid, entry->id, error);
	if (entry->step == CREATE_TAGS)
		return tags_undo(dom, entry, error);
	if (!dom->link)
		return create_commit(dom, entry->id, error);
	/* a worker that did not say since when it runs has said nothing at all */
	if (dom->started_us == 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the worker of domain '%s' does not say which disks it has",
				 dom->name);
	return live_has_heads(dom, tree) ? create_commit(dom, entry->id, error) :
					   pending_undo(daemon, entry->uuid, entry->id, error);
}
