/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two layers become one, when the lower one is hidden and has no other child.
 *
 *	under <- over <- children		over reads as before at any instant
 *
 * Pull: what only `under` has is copied into `over`, whose backing file is then
 * that of `under`.  Nothing else changes; `under` is dead.  Commit: what `over`
 * has is copied into `under`, the children's headers are changed to name it, and
 * it takes the place of `over` in all rows and in the definition.  An image that
 * is not ours stays under its name, and one with snapshots inside (which do not
 * mind what is written beside them) keeps these: both can only be committed
 * into; otherwise the smaller one is copied.
 *
 * Both can be repeated from any point on, so a killed daemon's successor does
 * the same again, and nobody starts the machine before it is through.
 */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <string.h>
#include <sys/stat.h>

#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/disk-live.h"
#include "vmmd/imagejob.h"

/* ---- choosing ---- */

/* Is it the head of the machine that runs, or below it? */
static bool layer_is_open(const struct snapshot_op *op, const struct layer *layer)
{
	const domain_def *live = op->dom->live;

	for (unsigned i = 0; live && i < live->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(live->disks, i);
		const struct layer *l = tree_layer_of(op->tree, d->path);

		for (; l; l = tree_layer(op->tree, l->parent))
			if (l == layer)
				return true;
	}
	return op->dom->link && !live;
}

static bool was_skipped(const struct snapshot_op *op, const struct layer *layer)
{
	for (unsigned i = 0; i < op->skipped->len; i++)
		if (g_array_index(op->skipped, int64_t, i) == layer->id)
			return true;
	return false;
}

static bool layer_fits(const struct snapshot_op *op, const struct layer *under,
		       struct layer **ret_over)
{
	struct layer *over = NULL;

	if (under->state != LAYER_READY || under->kept || was_skipped(op, under) ||
	    layer_references(op->tree, under) > layer_tags(op->tree, under) ||
	    layer_children(op->tree, under, &over) != 1 || !over->ours || over->kept ||
	    layer_tags(op->tree, over) > 0 ||
	    over->state != LAYER_READY || layer_is_open(op, over) ||
	    layer_is_shared(op, under) || layer_is_shared(op, over))
		return false;
	*ret_over = over;
	return true;
}

static int64_t blocks_of(const struct layer *layer)
{
	struct stat st;

	return stat(layer->path, &st) < 0 ? 0 : st.st_blocks;
}

/* ---- the work ---- */

static void merge_next(struct snapshot_op *op);

static void merge_skip(struct snapshot_op *op, const GError *error)
{
	g_autoptr(GError) why = NULL;

	g_warning("domain '%s': two layers of its disks stay apart: %s", op->dom->name,
		  error->message);
	if (op->intent && !journal_end(op->daemon->store, op->intent, &why))
		g_warning("%s", why->message);
	op->intent = 0;
	g_array_append_val(op->skipped, op->under);
	merge_next(op);
}

static void job_begin(struct snapshot_op *op, const struct imagejob_opts *opts,
		      imagejob_done *done)
{
	g_autoptr(GError) error = NULL;

	if (!imagejob_start(op->daemon, opts, done, NULL, op, &error))
		merge_skip(op, error);
}

static bool head_moves(struct snapshot_op *op, const struct layer *under, const struct layer *over)
{
	struct disk_def *d;

	if (!op->commit || !layer_is_head(op->dom, over))
		return false;
	op->def = domain_def_copy(op->dom->saved);
	d = def_disk(op->def, over->target);
	if (d && strcmp(d->path, over->path) == 0)
		disk_live_set_source(d, under->path, under->format);
	return true;
}

static bool rows_commit(struct snapshot_op *op, const struct layer *under, const struct layer *over,
			GError **error)
{
	struct store *store = op->daemon->store;

	if (!snapshot_layer_replace(store, over->id, under->id, error) ||
	    !snapshot_layer_set_parent(store, over->id, 0, error) ||
	    !snapshot_layer_set(store, over->id, LAYER_DEAD, error))
		return false;
	/* the user's own image again, and nothing else */
	return under->ours || layer_tags(op->tree, under) || layer_references(op->tree, over) ||
	       layer_children(op->tree, over, NULL) ||
	       snapshot_layer_remove(store, under->id, error);
}

static bool rows_pull(struct snapshot_op *op, const struct layer *under, const struct layer *over,
		      GError **error)
{
	struct store *store = op->daemon->store;

	return snapshot_layer_set_parent(store, over->id, under->parent, error) &&
	       snapshot_layer_set(store, under->id, LAYER_DEAD, error);
}

static bool merge_commit(struct snapshot_op *op, GError **error)
{
	const struct layer *under = tree_layer(op->tree, op->under);
	const struct layer *over = tree_layer(op->tree, op->over);
	struct store *store = op->daemon->store;
	bool moves = head_moves(op, under, over);

	if (!store_begin(store, error))
		return false;
	if (!(op->commit ? rows_commit : rows_pull)(op, under, over, error) ||
	    (moves && !domain_save_begin(op->dom, op->def, error)) ||
	    !journal_end(store, op->intent, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	if (moves)
		domain_save_end(op->dom, g_steal_pointer(&op->def));
	return true;
}

static void merge_finish(struct snapshot_op *op)
{
	g_autoptr(GError) error = NULL;
	bool ok = merge_commit(op, &error);

	g_clear_pointer(&op->def, domain_def_free);
	if (!ok) {
		merge_skip(op, error);
		return;
	}
	fault_point("snapshot-merge:committed");
	op->intent = 0;
	if (!dead_sweep(op->daemon, op->dom->uuid, &error))
		g_warning("domain '%s': %s", op->dom->name, error->message);
	merge_next(op);
}

/* Children of `over`, one after the other, get a header that names `under`. */
static void child_next(struct snapshot_op *op);

static void on_child(GVariant *result, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;

	if (error) {
		merge_skip(op, error);
		return;
	}
	fault_point("snapshot-merge:child");
	op->child++;
	child_next(op);
}

static void child_next(struct snapshot_op *op)
{
	const struct layer *under = tree_layer(op->tree, op->under);

	for (; op->child < op->tree->layers->len; op->child++) {
		const struct layer *child = g_ptr_array_index(op->tree->layers, op->child);
		struct imagejob_opts opts = {
			.op = IMAGEJOB_REBASE, .path = child->path, .format = "qcow2",
			.backing = under->path, .backing_format = disk_format_name(under->format),
			.unsafe = true,
		};

		if (child->parent != op->over || child->state != LAYER_READY)
			continue;
		job_begin(op, &opts, on_child);
		return;
	}
	merge_finish(op);
}

static void on_moved(GVariant *result, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;

	if (error) {
		merge_skip(op, error);
		return;
	}
	fault_point("snapshot-merge:moved");
	op->child = 0;
	if (op->commit)
		child_next(op);
	else
		merge_finish(op);
}

/* What the headers say is the truth: somebody may have used another program. */
static bool backing_is(GVariant *images, unsigned at, const struct layer *wanted)
{
	g_autoptr(GVariant) image =
		at < g_variant_n_children(images) ? g_variant_get_child_value(images, at) : NULL;
	const char *backing = NULL;

	if (image)
		g_variant_lookup(image, "full-backing-filename", "&s", &backing);
	return wanted && g_strcmp0(backing, wanted->path) == 0;
}

static bool chain_fits(struct snapshot_op *op, GVariant *images, GError **error)
{
	const struct layer *under = tree_layer(op->tree, op->under);
	const struct layer *over = tree_layer(op->tree, op->over);
	const struct layer *base = tree_layer(op->tree, under->parent);

	if (!backing_is(images, 0, under))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the backing file of '%s' is not '%s': has another program "
				 "changed it?", over->path, under->path);
	if (!op->commit && !backing_is(images, 1, base))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the backing file of '%s' is not '%s': has another program "
				 "changed it?", under->path, base ? base->path : "");
	return true;
}

static void move_data(struct snapshot_op *op)
{
	const struct layer *under = tree_layer(op->tree, op->under);
	const struct layer *base = tree_layer(op->tree, under->parent);
	struct imagejob_opts opts = {
		.op = op->commit ? IMAGEJOB_COMMIT : IMAGEJOB_REBASE,
		.path = tree_layer(op->tree, op->over)->path, .format = "qcow2", .keep = true,
		.backing = op->commit ? NULL : base->path,
		.backing_format = op->commit ? NULL : disk_format_name(base->format),
	};

	job_begin(op, &opts, on_moved);
}

static void on_info(GVariant *result, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;
	const struct layer *under = tree_layer(op->tree, op->under);
	g_autoptr(GVariant) images =
		result ? g_variant_lookup_value(result, "images", NULL) : NULL;
	g_autoptr(GError) why = error ? g_error_copy(error) : NULL;

	if (!why && !images)
		error_set(&why, VMM_ERR_INTERNAL, "nothing is known of '%s'", under->path);
	/* a pull that was interrupted at its very end */
	if (!why && !op->commit && backing_is(images, 0, tree_layer(op->tree, under->parent)))
		merge_finish(op);
	else if (why || !chain_fits(op, images, &why))
		merge_skip(op, why);
	else
		move_data(op);
}

static void merge_begin(struct snapshot_op *op)
{
	const struct layer *over = tree_layer(op->tree, op->over);
	struct imagejob_opts opts = {
		.op = IMAGEJOB_INFO, .path = over->path, .format = "qcow2", .chain = true,
	};

	job_begin(op, &opts, on_info);
}

static bool merge_write(struct snapshot_op *op, GError **error)
{
	g_autofree char *body = g_strdup_printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %d",
						op->under, op->over, op->commit);

	return journal_begin(op->daemon->store, INTENT_MERGE, op->dom->uuid, body, &op->intent,
			     error);
}

static void merge_next(struct snapshot_op *op)
{
	g_autoptr(GError) error = NULL;

	if (!op_reload(op, &error)) {
		g_warning("domain '%s': %s", op->dom->name, error->message);
		op->merged(op);
		return;
	}
	for (unsigned i = 0; i < op->tree->layers->len; i++) {
		struct layer *under = g_ptr_array_index(op->tree->layers, i), *over;

		if (!layer_fits(op, under, &over))
			continue;
		op->under = under->id;
		op->over = over->id;
		op->commit = !under->ours || layer_tags(op->tree, under) > 0 ||
			     blocks_of(over) < blocks_of(under);
		if (merge_write(op, &error)) {
			fault_point("snapshot-merge:begun");
			merge_begin(op);
		} else {
			merge_skip(op, error);
		}
		return;
	}
	op->merged(op);
}

void merge_all(struct snapshot_op *op)
{
	merge_next(op);
}

/* ---- after a restart ---- */

static void on_resumed(struct snapshot_op *op)
{
	op_end(op, NULL);
}

static void resumed(struct domain *dom, const char *name, const GError *error, void *opaque)
{
	g_message("domain '%s': the merge that was interrupted is through", dom->name);
}

bool snapshot_merge_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	struct domain *dom = domain_find_uuid(daemon->domains, entry->uuid);
	g_auto(GStrv) words = g_strsplit(entry->body, " ", 3);
	struct snapshot_op *op;

	if (!dom || g_strv_length(words) != 3)
		return error_set(error, VMM_ERR_INTERNAL, "its domain is gone");
	op = op_begin(dom, "layers of a deleted snapshot are merged", "", resumed, NULL, error);
	if (!op)
		return false;
	op->intent = entry->id;
	op->under = g_ascii_strtoll(words[0], NULL, 10);
	op->over = g_ascii_strtoll(words[1], NULL, 10);
	op->commit = *words[2] == '1';
	op->merged = on_resumed;
	if (!tree_layer(op->tree, op->under) || !tree_layer(op->tree, op->over)) {
		op_end(op, NULL);
		return error_set(error, VMM_ERR_INTERNAL, "its layers are gone");
	}
	merge_begin(op);
	return true;
}
