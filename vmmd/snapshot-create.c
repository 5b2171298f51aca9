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
	if (!asked_disks_fit(domain_def_now(dom), def, &why) || !snapshot_plan(op, def, &why)) {
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
