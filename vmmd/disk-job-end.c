/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block jobs of running domains: their ends. */
#include "config.h"
#include "vmmd/disk-job-priv.h"

#include <fcntl.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/event.h"
#include "vmmd/handed.h"
#include "vmmd/permit.h"

static void told(struct domain *dom, const char *target, int kind, enum disk_job_status status)
{
	const struct disk_def *d = dom->live ? disk_live_find(dom->live, target) : NULL;

	if (d)
		event_block_job(dom, d->path, d->target, disk_job_type(kind), (int)status);
}

void disk_job_event(struct domain *dom, const worker_event_job *ev)
{
	if (ev->event == EVENT_FAILED)
		g_warning("domain '%s': disk '%s': %s", dom->name, ev->target, ev->text);
	if (ev->event != EVENT_READY) {
		job_graph_follow(dom, ev->target);
		job_delete_settle(dom, ev->target);
	}
	told(dom, ev->target, ev->kind, ev->event == EVENT_READY ? DISK_JOB_IS_READY :
	     ev->event == EVENT_DONE ? DISK_JOB_COMPLETED : DISK_JOB_FAILED);
}

static void control(struct job *j, int what, const char *xml, link_done *done)
{
	link_job_control(j->dom->link,
			 &(worker_job_control_args){ .target = j->target, .what = what,
						     .xml = (char *)(xml ?: "") }, done, j);
}

static void on_pivoted(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;

	fault_point("block-pivot:pivoted");
	if (!error && j->dom->live) {
		disk_live_set_source(disk_live_find(j->dom->live, j->target), j->base,
				     j->base_format);
		domain_refresh_live(j->dom);
		told(j->dom, j->target, KIND_COMMIT_HEAD, DISK_JOB_COMPLETED);
	}
	job_graph_follow(j->dom, j->target);
	if (!error)
		job_delete_settle(j->dom, j->target);
	job_end(j, error);
}

static void pivot(struct job *j)
{
	g_autoptr(domain_def) def = domain_def_copy(j->dom->live);
	g_autofree char *xml = NULL;

	disk_live_set_source(disk_live_find(def, j->target), j->base, j->base_format);
	job_images_forget(j, 0, (unsigned)job_image_find(j, j->base, NULL));
	def->id = j->dom->id;
	xml = domain_def_format(def, DOMAIN_FORMAT_LIVE);
	control(j, CONTROL_PIVOT, xml, on_pivoted);
}

/* The definition that the next start uses, if it has this disk still. */
static bool pivot_save(struct job *j, GError **error)
{
	struct store *store = j->dom->daemon->store;
	g_autoptr(domain_def) def = NULL;
	struct disk_def *d;

	if (!j->dom->saved)
		return true;
	def = domain_def_copy(j->dom->saved);
	d = disk_live_find(def, j->target);
	if (!d || !g_str_equal(d->path, j->head))
		return true;
	disk_live_set_source(d, j->base, j->base_format);
	if (!domain_idle(j->dom, error) || !store_begin(store, error))
		return false;
	if (!domain_save_begin(j->dom, def, error) ||
	    !job_delete_note_saved(j->dom, j->target, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	domain_save_end(j->dom, g_steal_pointer(&def));
	return true;
}

struct unhold {
	struct job *j;
	GError *error;
};

static void on_unheld(const void *ret, const GError *error, void *opaque)
{
	struct unhold *u = opaque;

	job_end(u->j, u->error);
	g_clear_error(&u->error);
	g_free(u);
}

static void on_held(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;
	g_autoptr(GError) own = NULL;
	struct unhold *u;

	if (error) {
		job_end(j, error);
		return;
	}
	fault_point("block-pivot:held");
	if (pivot_save(j, &own)) {
		fault_point("block-pivot:saved");
		pivot(j);
	} else {
		u = g_new(struct unhold, 1);
		*u = (struct unhold){ j, g_steal_pointer(&own) };
		link_job_control(j->dom->link,
				 &(worker_job_control_args){ .target = j->target,
							     .what = CONTROL_UNHOLD,
							     .xml = (char *)"" },
				 on_unheld, u);
	}
}

/* It becomes what the domain writes to, also at its next start. */
static bool base_was_given(const struct job *j, const char *base, GError **error)
{
	auto_close int fd = permit_open_image(base, O_RDONLY, error);

	return fd >= 0 && (handed_has(j->dom, fd, true) || job_stranger(j, base, error));
}

/* What the worker's job has as its base is the worker's word: it must be in the chain. */
static void on_info_for_pivot(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;
	const worker_job_info_ret *info = ret;
	g_autoptr(GError) own = NULL;
	int base;

	if (error) {
		job_end(j, error);
		return;
	}
	if (info->kind != KIND_COMMIT_HEAD || !info->ready)
		error_set(&own, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: the block job on disk '%s' is not "
			  "ready to pivot", j->target);
	base = own ? -1 : job_image_find(j, info->base, &own);
	if (!own && base < 1)
		error_set(&own, VMM_ERR_INTERNAL, "internal error: '%s' is no base", info->base);
	if (!own)
		base_was_given(j, job_image_at(j, (unsigned)base), &own);
	if (own) {
		job_end(j, own);
		return;
	}
	j->base = g_strdup(job_image_at(j, (unsigned)base));
	j->base_format = job_format_at(j, (unsigned)base);
	control(j, CONTROL_HOLD, NULL, on_held);
}

static void on_aborted(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;

	if (!error) {
		job_graph_follow(j->dom, j->target);
		job_delete_settle(j->dom, j->target);
		told(j->dom, j->target, j->kind, DISK_JOB_CANCELLED);
	}
	job_end(j, error);
}

static void on_info_for_abort(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;
	const worker_job_info_ret *info = ret;

	if (error) {
		job_end(j, error);
		return;
	}
	j->kind = info->kind;
	control(j, CONTROL_ABORT, NULL, on_aborted);
}

void disk_job_abort(struct domain *dom, const char *disk, bool pivots, disk_live_done *done,
		    void *opaque)
{
	struct job *j = job_begin(dom, disk, done, opaque);

	if (j)
		link_job_info(dom->link, j->target,
			      pivots ? on_info_for_pivot : on_info_for_abort, j);
}

/* ---- an earlier vmmd's ---- */

static void adopted(struct domain *dom, const GError *error, void *opaque)
{
	if (error)
		g_warning("domain '%s': a block job's end: %s", dom->name, error->message);
}

static void on_info_for_adopt(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;
	const worker_job_info_ret *info = ret;
	const struct disk_def *d = j->dom->saved ? disk_live_find(j->dom->saved, j->target) : NULL;
	int base = -1;

	if (!error && info->kind < 0) {	/* it may have ended while nobody listened */
		job_graph_follow(j->dom, j->target);
		job_delete_settle(j->dom, j->target);
	}
	if (error || !info->held) {
		job_end(j, error);
		return;
	}
	if (d && !g_str_equal(d->path, j->head))
		base = job_image_find(j, d->path, NULL);
	if (base < 1) {
		control(j, CONTROL_UNHOLD, NULL, job_on_answer);
		return;
	}
	j->base = g_strdup(d->path);
	j->base_format = d->format;
	pivot(j);
}

void disk_job_adopt(struct domain *dom)
{
	for (unsigned i = 0; dom->live && i < dom->live->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(dom->live->disks, i);
		struct job *j = d->transient ? NULL : job_begin(dom, d->target, adopted, NULL);

		if (j)
			link_job_info(dom->link, j->target, on_info_for_adopt, j);
	}
}

void disk_job_gone(struct domain *dom)
{
	job_delete_settle(dom, NULL);
}
