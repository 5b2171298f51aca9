/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Back to a snapshot: fresh overlays on the files that it froze.
 *
 *	begun: rows of overlays are pending, the intent says so
 *	the overlays are made
 *	a machine that runs is ended
 *	one transaction: the definition as it was, with the overlays; heads that
 *	nobody needs any more are dead
 *	dead files are removed; the machine is started if it is to run
 *
 * With snapshots inside images (snapshot-tags.c) these become what they were
 * between the machine's end and the transaction.
 *
 * Killed before the transaction it is undone, though a machine that was ended
 * for it is off; once images are being changed it is completed (REVERT_TAGS).
 * After it dead files are removed, and the machine is started if it was to run
 * and does not (REVERT_START).
 */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/disk-live.h"
#include "vmmd/event.h"
#include "vmmd/lifecycle.h"

#define REVERT_KNOWN \
	(SNAPSHOT_REVERT_RUNNING | SNAPSHOT_REVERT_PAUSED | SNAPSHOT_REVERT_FORCE | \
	 SNAPSHOT_REVERT_RESET_NVRAM)

/* How often to look whether a worker that an earlier vmmd was starting is gone. */
#define RESUME_POLL_MS 20

/* ---- the definition ---- */

/*
 * A disk that took no part goes on as it is now.  What the snapshot's definition
 * calls its image may have been frozen since by another snapshot.
 */
static bool plan_untouched(struct snapshot_op *op, struct disk_def *d, GError **error)
{
	const struct disk_def *now = def_disk(op->dom->saved, d->target);
	const struct layer *layer = tree_layer_of(op->tree, d->path);

	if (now) {
		disk_live_set_source(d, now->path, now->format);
		d->type = now->type;
		return true;
	}
	if (!layer || (!layer_references(op->tree, layer) &&
		       !layer_children(op->tree, layer, NULL)))
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: the domain has no disk '%s' any more, and its image "
			 "'%s' is part of other snapshots: attach the disk again first", d->target,
			 d->path);
}

/* The head of today goes with what it has, but for what somebody wants to keep. */
static bool is_doomed(const struct snapshot_op *op, const struct layer *layer)
{
	return layer->ours && !layer->kept && !layer_references(op->tree, layer) &&
	       !layer_children(op->tree, layer, NULL) && !layer_is_shared(op, layer) &&
	       layer_is_head(op->dom, layer);
}

/* What stands on the image would find another one below it. */
static bool is_stood_on(const struct snapshot_op *op, const struct layer *layer)
{
	if (layer_references(op->tree, layer) > layer_tags(op->tree, layer) ||
	    layer_is_shared(op, layer))
		return true;
	for (unsigned i = 0; i < op->tree->layers->len; i++) {
		const struct layer *child = g_ptr_array_index(op->tree->layers, i);

		if (child->parent == layer->id && child->state != LAYER_DEAD &&
		    !is_doomed(op, child))
			return true;
	}
	return false;
}

static bool plan_tag(struct snapshot_op *op, struct disk_def *d, const struct layer *layer,
		     GError **error)
{
	disk_live_set_source(d, layer->path, layer->format);
	return !is_stood_on(op, layer) ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: snapshot '%s' is inside image '%s', on "
			 "which other snapshots or domains stand: delete these first, or take it "
			 "out with 'vmsh image convert -l'", op->name, layer->path);
}

static bool plan_disk(struct snapshot_op *op, struct disk_def *d, GError **error)
{
	const struct node_disk *nd = node_disk_find(op->node, d->target);
	const struct layer *frozen = nd ? tree_layer(op->tree, nd->frozen) : NULL;
	g_autofree char *path = NULL;
	struct layer *overlay;

	if (!frozen)
		return plan_untouched(op, d, error);
	if (nd->place == SNAPSHOT_INTERNAL)
		return plan_tag(op, d, frozen, error);
	path = overlay_path(op->tree, frozen->path, op->name, true);
	overlay = overlay_plan(op, frozen, path);
	disk_live_set_source(d, path, DISK_FORMAT_QCOW2);
	return snapshot_layer_add(op->daemon->store, op->dom->uuid, overlay, error);
}

static bool plan_def(struct snapshot_op *op, GError **error)
{
	struct domain *dom = op->dom;

	op->def = domain_def_parse(op->inactive ?: op->xml, 0, error);
	if (!op->def)
		return false;
	/* it may have been renamed since */
	g_free(op->def->name);
	op->def->name = g_strdup(dom->name);
	for (unsigned i = 0; i < op->def->disks->len; i++)
		if (!plan_disk(op, op->def->disks->pdata[i], error))
			return false;
	return domain_def_check(op->def, error);
}

/* Before anything is changed: a memory that is not there can't be gone back to. */
static bool memory_open(struct snapshot_op *op, GError **error)
{
	const char *path = op->node->memory_path;

	op->paused = op->node->state == SNAPSHOT_PAUSED;
	if (!path)
		return true;
	op->memory_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return op->memory_fd >= 0 ||
	       error_errno(error, errno, "open the memory of snapshot '%s', '%s'", op->name, path);
}

static bool revert_write(struct snapshot_op *op, GError **error)
{
	op->node = tree_find(op->tree, op->name);
	if (!op->node)
		return error_set(error, VMM_ERR_NO_SNAPSHOT,
				 "Domain snapshot not found: no domain snapshot with matching "
				 "name '%s'", op->name);
	if (!memory_open(op, error) ||
	    !snapshot_xml_load(op->daemon->store, op->node->id, &op->xml, &op->inactive, error) ||
	    !store_begin(op->daemon->store, error))
		return false;
	if (plan_def(op, error) && journal_begin(op->daemon->store, INTENT_REVERT, op->dom->uuid,
						 op->name, &op->intent, error))
		return store_commit(op->daemon->store, error);
	store_rollback(op->daemon->store);
	return false;
}

/* ---- the end ---- */

static void revert_fail(struct snapshot_op *op, GError *error)
{
	g_autoptr(GError) why = NULL;

	if (!pending_undo(op->daemon, op->dom->uuid, op->intent, &why))
		g_warning("domain '%s': a revert is taken back at the next start of vmmd: %s",
			  op->dom->name, why->message);
	op_end(op, error);
}

/* The heads of today, unless the new definition has them, too. */
static bool heads_release(struct snapshot_op *op, GError **error)
{
	const domain_def *saved = op->dom->saved;

	for (unsigned i = 0; i < saved->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(saved->disks, i);
		struct layer *layer = tree_layer_of(op->tree, d->path);

		if (layer && !layer_release(op, layer, error))
			return false;
	}
	return true;
}

static bool is_to_run(const struct snapshot_op *op)
{
	return op->memory_fd >= 0 ||
	       op->flags & (SNAPSHOT_REVERT_RUNNING | SNAPSHOT_REVERT_PAUSED);
}

static bool intent_step(struct snapshot_op *op, enum intent_revert_step step, GError **error)
{
	g_autofree char *body = g_strdup_printf("%u %s", op->flags, op->name);

	return journal_step(op->daemon->store, op->intent, (int)step, body, error);
}

static bool intent_follow(struct snapshot_op *op, GError **error)
{
	return is_to_run(op) ? intent_step(op, REVERT_START, error) :
			       journal_end(op->daemon->store, op->intent, error);
}

static bool revert_commit(struct snapshot_op *op, GError **error)
{
	struct store *store = op->daemon->store;
	struct domain *dom = op->dom;

	if (!op_reload(op, error) || !store_begin(store, error))
		return false;
	op->node = tree_find(op->tree, op->name);
	if (!snapshot_pending_accept(store, dom->uuid, error) || !heads_release(op, error) ||
	    !snapshot_current_set(store, dom->uuid, op->node->id, error) ||
	    !domain_save_begin(dom, op->def, error) || !intent_follow(op, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	fault_point("snapshot-revert:committed");
	domain_save_end(dom, g_steal_pointer(&op->def));
	return true;
}

static void on_started(struct domain *dom, const GError *error, void *opaque)
{
	GError *why = error ? g_error_copy(error) : NULL;
	struct snapshot_op *op = opaque;
	g_autoptr(GError) own = NULL;

	fault_point("snapshot-revert:started");
	/* vmmd is ending: the next one starts it */
	if (!g_error_matches(error, VMM_ERROR, VMM_ERR_ABORTED) &&
	    !journal_end(op->daemon->store, op->intent, &own))
		g_warning("domain '%s': %s", dom->name, own->message);
	g_prefix_error(&why, "the snapshot is in place, but the start failed: ");
	op_end(op, why);
}

static void start_cold(struct snapshot_op *op)
{
	op->dom->busy = NULL;
	lifecycle_start(op->dom, NULL, op->flags & SNAPSHOT_REVERT_PAUSED, on_started, op);
}

/* The machine that was, with the disks that are now. */
static void start_from_memory(struct snapshot_op *op)
{
	bool paused = op->flags & SNAPSHOT_REVERT_PAUSED ||
		      (op->paused && !(op->flags & SNAPSHOT_REVERT_RUNNING));
	g_autoptr(domain_def) def = domain_def_parse(op->xml, 0, NULL);
	struct domain *dom = op->dom;

	for (unsigned i = 0; def && i < def->disks->len; i++) {
		struct disk_def *d = g_ptr_array_index(def->disks, i);
		const struct disk_def *now = def_disk(dom->saved, d->target);

		if (now)
			disk_live_set_source(d, now->path, now->format);
	}
	dom->busy = NULL;
	lifecycle_start_saved(dom, def, TAKE_FD(op->memory_fd), false, paused, on_started, op);
}

static void revert_start(struct snapshot_op *op)
{
	if (op->memory_fd >= 0)
		start_from_memory(op);
	else
		start_cold(op);
}

static void heads_sweep(struct snapshot_op *op)
{
	g_autoptr(GError) error = NULL;

	if (!dead_sweep(op->daemon, op->dom->uuid, &error))
		g_warning("domain '%s': files are left over from a revert: %s", op->dom->name,
			  error->message);
}

static void revert_finish(struct snapshot_op *op)
{
	struct domain *dom = op->dom;

	heads_sweep(op);
	dom->reason = REASON_SHUTOFF_FROM_SNAPSHOT;
	store_set_state(op->daemon->store, dom->uuid, (int)dom->state, (int)dom->reason, NULL);
	event_lifecycle(dom, LIFECYCLE_DEFINED, LIFECYCLE_DEFINED_FROM_SNAPSHOT);
	if (is_to_run(op))
		revert_start(op);
	else
		op_end(op, NULL);
}

static void on_applied(struct snapshot_op *op, GError *error)
{
	if (!error && revert_commit(op, &error)) {
		revert_finish(op);
		return;
	}
	if (op->tag > 0)
		g_prefix_error(&error, "%u of %u images are what they were at the snapshot; go "
			       "back to it again when it can be done: ", op->tag, op->tags->len);
	revert_fail(op, error);
}

static void revert_go_on(struct snapshot_op *op)
{
	GError *error = NULL;

	if (node_has_tags(op->node)) {
		if (!intent_step(op, REVERT_TAGS, &error)) {
			revert_fail(op, error);
			return;
		}
		fault_point("snapshot-revert:tags");
		tags_plan(op, op->node);
		tags_run(op, IMAGEJOB_TAG_APPLY, on_applied);
	} else if (revert_commit(op, &error)) {
		revert_finish(op);
	} else {
		revert_fail(op, error);
	}
}

static void on_ended(struct domain *dom, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;

	if (error)
		revert_fail(op, g_error_copy(error));
	else
		/* its end is being told of: the rest waits until that is over */
		g_idle_add_once((GSourceOnceFunc)revert_go_on, op);
}

static void on_files_made(struct snapshot_op *op, GError *error)
{
	fault_point("snapshot-revert:made");
	if (error)
		revert_fail(op, error);
	else if (op->dom->link)
		lifecycle_destroy(op->dom, false, on_ended, op);
	else
		revert_go_on(op);
}

static bool flags_fit(const struct domain *dom, unsigned flags, GError **error)
{
	if (flags & ~REVERT_KNOWN)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: unsupported flags (0x%x)",
				 flags & ~REVERT_KNOWN);
	if (flags & SNAPSHOT_REVERT_RUNNING && flags & SNAPSHOT_REVERT_PAUSED)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: running and paused exclude each other");
	if (dom->state == DOMAIN_SAVED || dom->state == DOMAIN_STARTING)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: domain '%s' %s", dom->name,
				 dom->state == DOMAIN_SAVED ?
					 "has saved memory: remove the managed save first" :
					 "is still starting");
	return true;
}

void snapshot_revert(struct domain *dom, const char *name, unsigned flags, snapshot_done *done,
		     void *opaque)
{
	g_autoptr(GError) error = NULL;
	GError *why = NULL;
	struct snapshot_op *op = flags_fit(dom, flags, &error) ?
		op_begin(dom, "it goes back to a snapshot", name, done, opaque, &error) : NULL;

	if (!op) {
		done(dom, name, error, opaque);
		return;
	}
	op->flags = flags;
	op->files_made = on_files_made;
	if (!revert_write(op, &why)) {
		op_end(op, why);
		return;
	}
	fault_point("snapshot-revert:begun");
	overlays_make(op);
}

/* ---- after a restart ---- */

static void resumed(struct domain *dom, const char *name, const GError *error, void *opaque)
{
	if (error)
		g_warning("domain '%s': back at snapshot '%s': %s", dom->name, name,
			  error->message);
	else
		g_message("domain '%s' runs again, back at snapshot '%s'", dom->name, name);
}

/* A worker that was left half started is ended first. */
static gboolean resume_start(void *opaque)
{
	struct snapshot_op *op = opaque;
	GError *error = NULL;

	if (op->dom->link && op->dom->state != DOMAIN_RUNNING && op->dom->state != DOMAIN_PAUSED)
		return G_SOURCE_CONTINUE;
	heads_sweep(op);
	op->node = tree_find(op->tree, op->name);
	if (op->dom->link || !op->node || !memory_open(op, &error) ||
	    !snapshot_xml_load(op->daemon->store, op->node->id, &op->xml, &op->inactive, &error))
		on_started(op->dom, error, op);
	else
		revert_start(op);
	g_clear_error(&error);
	return G_SOURCE_REMOVE;
}

/* Some images may be what they were at the snapshot: all of them, then. */
static bool resume_tags(struct snapshot_op *op, GError **error)
{
	op->node = tree_find(op->tree, op->name);
	if (!op->node)
		return error_set(error, VMM_ERR_INTERNAL, "snapshot '%s' is gone", op->name);
	if (!snapshot_xml_load(op->daemon->store, op->node->id, &op->xml, &op->inactive, error) ||
	    !plan_def(op, error))
		return false;
	tags_plan(op, op->node);
	tags_run(op, IMAGEJOB_TAG_APPLY, on_applied);
	return true;
}

bool snapshot_revert_resume(struct daemon *daemon, const struct journal_entry *entry,
			    GError **error)
{
	struct domain *dom = domain_find_uuid(daemon->domains, entry->uuid);
	const char *name = strchr(entry->body, ' ');
	struct snapshot_op *op;

	if (entry->step == REVERT_FILES)
		return pending_undo(daemon, entry->uuid, entry->id, error);
	if (!dom || !name)
		return error_set(error, VMM_ERR_INTERNAL, "its domain is gone");
	op = op_begin(dom, "it goes back to a snapshot", name + 1, resumed, NULL, error);
	if (!op)
		return false;
	op->intent = entry->id;
	op->flags = (unsigned)strtoul(entry->body, NULL, 10);
	if (entry->step == REVERT_TAGS) {
		if (resume_tags(op, error))
			return true;
		op_end(op, g_error_copy(*error));
		return false;
	}
	g_timeout_add(RESUME_POLL_MS, resume_start, op);
	return true;
}
