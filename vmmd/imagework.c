/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commit, flatten, rebase, move. */
#include "config.h"
#include "vmmd/imagework.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/domain.h"
#include "vmmd/graph.h"
#include "vmmd/imagejob.h"
#include "vmmd/snapshot-tree.h"

struct work {
	struct daemon *daemon;
	enum imagework_op op;
	char *path, *other, *format;	/* of a move: the format of path */
	char *parent;			/* of a move: what path stands on; NULL */
	int64_t intent;			/* 0: not begun */
	GPtrArray *overlays;		/* of a move: still to be told */
	imagework_done *done;
	void *opaque;
};

static const char *const verbs[] = { "commit", "flatten", "rebase", "move" };
static_assert(ARRAY_SIZE(verbs) == N_IMAGEWORKS, "each has a verb");

static void work_end(struct work *w, const GError *failed)
{
	g_autoptr(GError) error = NULL;

	if (w->intent && !journal_end(w->daemon->store, w->intent, &error))
		g_warning("%s of image '%s': %s", verbs[w->op], w->path, error->message);
	w->done(failed, w->opaque);
	g_clear_pointer(&w->overlays, g_ptr_array_unref);
	g_free(w->path);
	g_free(w->other);
	g_free(w->format);
	g_free(w->parent);
	g_free(w);
}

/* ---- may it be done? ---- */

/* Snapshots have their own tables of who stands on whom. */
static bool no_snapshot(struct daemon *daemon, const char *path, const char *verb, GError **error)
{
	g_autofree char *owner = snapshot_layer_owner(daemon->store, path, NULL);

	return !owner || error_set(error, VMM_ERR_OPERATION_INVALID,
				   "Requested operation is not valid: can't %s '%s': it belongs to "
				   "snapshots of domain '%s'; delete those first", verb, path,
				   owner);
}

static bool not_running(struct daemon *daemon, const char *path, const char *verb, GError **error)
{
	g_autoptr(GPtrArray) users = graph_running(daemon, path);

	return users->len == 0 ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: can't %s '%s': it is in use by %s, "
			 "which runs", verb, path, (const char *)g_ptr_array_index(users, 0));
}

/* What work leaves is recorded as right: it must not begin with a base that is not. */
static bool base_unchanged(const struct work *w, const char *path, const GPtrArray *overlays,
			   GError **error)
{
	g_autofree char *changed = graph_difference(w->daemon, path);

	return !changed || overlays->len == 0 ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: the base image '%s' has changed: %s; "
			 "see 'vmsh image-accept'", path, changed);
}

static bool commit_permitted(const struct work *w, const char *base, GError **error)
{
	g_autoptr(GPtrArray) others = graph_overlays(w->daemon, base);

	if (!base_unchanged(w, base, others, error))
		return false;
	for (unsigned i = 0; i < others->len; i++)
		if (!g_str_equal(g_ptr_array_index(others, i), w->path))
			return error_set(error, VMM_ERR_OPERATION_INVALID,
					 "Requested operation is not valid: can't commit into '%s':"
					 " '%s' stands on it, too; flatten that first", base,
					 (const char *)g_ptr_array_index(others, i));
	return not_running(w->daemon, base, "commit into", error) &&
	       no_snapshot(w->daemon, base, "commit into", error);
}

static bool work_permitted(const struct work *w, GError **error)
{
	const char *verb = verbs[w->op];
	const struct graph_image *row;
	g_autoptr(GPtrArray) overlays = NULL;

	graph_learn(w->daemon, w->path, GRAPH_UNKNOWN);
	row = graph_find(w->daemon, w->path);
	if (!row)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "can't %s '%s': it can't be opened", verb, w->path);
	overlays = graph_overlays(w->daemon, w->path);
	if (!not_running(w->daemon, w->path, verb, error) ||
	    !no_snapshot(w->daemon, w->path, verb, error) ||
	    !base_unchanged(w, w->path, overlays, error))
		return false;
	if (w->op == IMAGEWORK_MOVE)
		return w->other && (g_path_is_absolute(w->other) ||
				    error_set(error, VMM_ERR_INVALID_ARG,
					      "'%s' is no absolute path", w->other));
	if (row->format != GRAPH_QCOW2 || (w->op != IMAGEWORK_REBASE && !row->parent))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: '%s' is no overlay", w->path);
	if (w->op == IMAGEWORK_REBASE && (!w->other || !w->format))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "a rebase needs the new backing image and its format");
	return w->op != IMAGEWORK_COMMIT || commit_permitted(w, row->parent, error);
}

/* ---- commit, flatten, rebase: one child ---- */

static void on_job_done(GVariant *result, const GError *error, void *opaque)
{
	fault_point("image-work:done");
	work_end(opaque, error);
}

static void job_run(struct work *w, const struct imagejob_opts *o, imagejob_done *done)
{
	g_autoptr(GError) error = NULL;

	if (!imagejob_start(w->daemon, o, done, NULL, w, &error))
		work_end(w, error);
}

/* ---- move ---- */

static bool folder_sync(const char *path, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(path);
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return (fd >= 0 && fsync(fd) == 0) || error_errno(error, errno, "sync folder '%s'", dir);
}

static bool file_move(const struct work *w, GError **error)
{
	if (renameat2(AT_FDCWD, w->path, AT_FDCWD, w->other, RENAME_NOREPLACE) < 0 &&
	    !(errno == ENOENT && access(w->other, F_OK) == 0))
		return error_errno(error, errno, "move '%s' to '%s'%s", w->path, w->other,
				   errno == EXDEV ? " (on another file system: clone it)" : "");
	fault_point("image-move:renamed");
	return folder_sync(w->path, error) && folder_sync(w->other, error);
}

static bool definition_follow(struct domain *dom, const struct work *w, GError **error)
{
	g_autoptr(domain_def) def = dom->saved ? domain_def_copy(dom->saved) : NULL;
	bool any = false;

	for (unsigned i = 0; def && i < def->disks->len; i++) {
		struct disk_def *d = g_ptr_array_index(def->disks, i);
		g_autofree char *path = g_canonicalize_filename(d->path, "/");

		if (!g_str_equal(path, w->path))
			continue;
		g_free(d->path);
		d->path = g_strdup(w->other);
		any = true;
	}
	return !any || domain_save_now(dom, g_steal_pointer(&def), error);
}

static void move_end(struct work *w)
{
	g_autoptr(GPtrArray) all = domain_table_list(w->daemon->domains);
	g_autoptr(GError) error = NULL;

	for (unsigned i = 0; i < all->len; i++)
		if (!definition_follow(g_ptr_array_index(all, i), w, &error))
			break;
	fault_point("image-move:defined");
	graph_forget(w->daemon, w->path);
	graph_learn(w->daemon, w->other, GRAPH_UNKNOWN);
	work_end(w, error);
}

static void move_next(struct work *w);

static void on_overlay_told(GVariant *result, const GError *error, void *opaque)
{
	fault_point("image-move:rebased");
	if (error)
		work_end(opaque, error);
	else
		move_next(opaque);
}

/* The overlays' headers, one after the other: only the name in them changes. */
static void move_next(struct work *w)
{
	g_autofree char *overlay = NULL;

	if (w->overlays->len == 0) {
		move_end(w);
		return;
	}
	overlay = g_ptr_array_steal_index(w->overlays, w->overlays->len - 1);
	job_run(w, &(struct imagejob_opts){
			   .op = IMAGEJOB_REBASE, .path = overlay, .format = "qcow2",
			   .backing = w->other, .unsafe = true,
			   .backing_format = w->format }, on_overlay_told);
}

/* A name relative to the old folder means nothing in the new one. */
static void move_run(struct work *w)
{
	const struct graph_image *below = w->parent ? graph_find(w->daemon, w->parent) : NULL;
	bool raw_parent = below && below->format != GRAPH_QCOW2;
	g_autoptr(GError) error = NULL;

	w->overlays = graph_overlays(w->daemon, w->path);
	if (!file_move(w, &error)) {
		work_end(w, error);
		return;
	}
	if (!w->parent) {
		move_next(w);
		return;
	}
	job_run(w, &(struct imagejob_opts){
			   .op = IMAGEJOB_REBASE, .path = w->other, .format = "qcow2",
			   .backing = w->parent, .unsafe = true,
			   .backing_format = raw_parent ? "raw" : "qcow2" }, on_overlay_told);
}

/* ---- the whole ---- */

static void work_run(struct work *w)
{
	struct imagejob_opts o = { .path = w->path, .format = "qcow2" };

	if (w->op == IMAGEWORK_MOVE) {
		move_run(w);
		return;
	}
	o.op = w->op == IMAGEWORK_COMMIT ? IMAGEJOB_COMMIT : IMAGEJOB_REBASE;
	if (w->op == IMAGEWORK_REBASE) {
		o.backing = w->other;
		o.backing_format = w->format;
	}
	job_run(w, &o, on_job_done);
}

/* The intent's text: a GVariant, as names may have any byte but NUL. */
#define BODY_TYPE "(uayayayay)"

static bool work_begin(struct work *w, GError **error)
{
	static const uint8_t nobody[UUID_BYTES];
	const struct graph_image *row = graph_find(w->daemon, w->path);
	g_autoptr(GVariant) body = NULL;
	g_autofree char *text = NULL;

	/* Once the file is elsewhere the graph forgets it: what it was must be in the intent. */
	if (w->op == IMAGEWORK_MOVE) {
		g_free(w->format);
		w->format = g_strdup(row->format == GRAPH_QCOW2 ? "qcow2" : "raw");
		w->parent = g_strdup(row->parent);
	}
	body = g_variant_ref_sink(g_variant_new("(u^ay^ay^ay^ay)", (guint32)w->op, w->path,
						w->other ?: "", w->format ?: "",
						w->parent ?: ""));
	text = g_variant_print(body, TRUE);

	return journal_begin(w->daemon->store, IMAGEWORK_INTENT, nobody, text, &w->intent, error);
}

void imagework_start(struct daemon *daemon, const struct imagework_opts *opts,
		     imagework_done *done, void *opaque)
{
	struct work *w = g_new0(struct work, 1);
	g_autoptr(GError) error = NULL;

	w->daemon = daemon;
	w->op = opts->op;
	w->path = g_canonicalize_filename(opts->path, "/");
	w->other = g_strdup(opts->other);
	w->format = g_strdup(opts->format);
	w->done = done;
	w->opaque = opaque;
	if (!work_permitted(w, &error) || !work_begin(w, &error))
		work_end(w, error);
	else
		work_run(w);
}

static void on_resumed(const GError *error, void *opaque)
{
	if (error)
		g_warning("work on images that was left half done: %s", error->message);
	else
		g_message("work on images that was left half done is done");
}

bool imagework_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	g_autoptr(GVariant) body = g_variant_parse(G_VARIANT_TYPE(BODY_TYPE), entry->body, NULL,
						   NULL, NULL);
	const char *path, *other, *format, *parent;
	struct work *w;
	guint32 op;

	if (!body)
		return error_set(error, VMM_ERR_INTERNAL, "internal error: an intent is damaged");
	g_variant_get(body, "(u^&ay^&ay^&ay^&ay)", &op, &path, &other, &format, &parent);
	if (op >= N_IMAGEWORKS)
		return error_set(error, VMM_ERR_INTERNAL, "internal error: an intent is damaged");
	w = g_new0(struct work, 1);
	*w = (struct work){
		.daemon = daemon, .op = op, .path = g_strdup(path), .intent = entry->id,
		.other = *other ? g_strdup(other) : NULL,
		.format = *format ? g_strdup(format) : NULL,
		.parent = *parent ? g_strdup(parent) : NULL, .done = on_resumed,
	};
	work_run(w);
	return true;
}
