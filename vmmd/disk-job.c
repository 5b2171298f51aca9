/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block jobs of running domains: what begins one. */
#include "config.h"
#include "vmmd/disk-job-priv.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/graph.h"
#include "vmmd/handed.h"
#include "vmmd/imagehead.h"
#include "vmmd/permit.h"
#include "vmmd/snapshot-tree.h"

int disk_job_type(int kind)
{
	static const int types[] = { DISK_JOB_PULL, DISK_JOB_COMMIT, DISK_JOB_COMMIT_HEAD };

	return kind >= 0 && kind < (int)ARRAY_SIZE(types) ? types[kind] : 0;
}

/* ---- one request ---- */

void job_end(struct job *j, const GError *error)
{
	j->done(j->dom, error, j->opaque);
	if (j->chain)
		g_ptr_array_unref(j->chain);
	g_free(j->target);
	g_free(j->head);
	g_free(j->base);
	g_free(j->way);
	g_free(j);
}

void job_on_answer(const void *ret, const GError *error, void *opaque)
{
	job_end(opaque, error);
}

const char *job_image_at(const struct job *j, unsigned i)
{
	return g_ptr_array_index(j->chain, i);
}

/* No snapshot stands on its images; --no-metadata leaves some that none does. */
static bool disk_is_free(const struct job *j, GError **error)
{
	g_autoptr(snapshot_tree) tree =
		snapshot_tree_load(j->dom->daemon->store, j->dom->uuid, error);
	bool free = tree && tree->nodes->len == 0;

	if (!tree)
		return false;
	for (unsigned i = 0; i < tree->layers->len; i++) {
		const struct layer *l = g_ptr_array_index(tree->layers, i);

		free &= !g_str_equal(l->target, j->target) || l->state == LAYER_READY;
	}
	if (free)
		return true;
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: disk '%s' of domain '%s' is part of "
			 "snapshots, which stand on its images: 'vmsh snapshot-delete' merges them",
			 j->target, j->dom->name);
}

/* From now on the files are the user's: what the rows say of them is not so for long. */
static bool layers_drop(const struct job *j, GError **error)
{
	return snapshot_layers_drop(j->dom->daemon->store, j->dom->uuid, j->target, error);
}

void job_graph_follow(struct domain *dom, const char *target)
{
	const struct disk_def *d = dom->live ? disk_live_find(dom->live, target) : NULL;
	g_autoptr(GPtrArray) chain = NULL;

	if (!d)
		return;
	chain = imagehead_chain(d->path, d->format == DISK_FORMAT_RAW);
	for (unsigned i = 0; i < chain->len; i++) {
		const struct graph_image *row =
			graph_find(dom->daemon, g_ptr_array_index(chain, i));

		if (row && row->unsettled)
			graph_changed(dom->daemon, row->path);
	}
	graph_learn(dom->daemon, d->path,
		    d->format == DISK_FORMAT_RAW ? GRAPH_RAW : GRAPH_QCOW2);
}

struct job *job_begin(struct domain *dom, const char *disk, disk_live_done *done,
			     void *opaque)
{
	struct job *j = g_new0(struct job, 1);
	g_autoptr(GError) error = NULL;
	const struct disk_def *d = dom->live && dom->link ? disk_live_find(dom->live, disk) : NULL;

	*j = (struct job){ .dom = dom, .done = done, .opaque = opaque };
	if (!dom->live || !dom->link) {
		error_set(&error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: domain '%s' is not running",
			  dom->name);
	} else if (!d) {
		error_set(&error, VMM_ERR_INVALID_ARG,
			  "invalid argument: domain '%s' has no disk '%s'", dom->name, disk);
	} else if (d->transient) {
		error_set(&error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: disk '%s' of domain '%s' is "
			  "transient: its image stays as it is", d->target, dom->name);
	} else {
		j->target = g_strdup(d->target);
		j->head = g_strdup(d->path);
		j->chain = imagehead_chain(d->path, d->format == DISK_FORMAT_RAW || d->no_backing);
		if (domain_idle(dom, &error))
			return j;
	}
	job_end(j, error);
	return NULL;
}

int job_image_find(const struct job *j, const char *name, GError **error)
{
	size_t n = strlen(j->target);
	g_autofree char *path = g_canonicalize_filename(name, "/");

	if (!strncmp(name, j->target, n) && name[n] == '[') {
		unsigned long i = strtoul(name + n + 1, NULL, 10);

		if (i < j->chain->len)
			return (int)i;
	}
	if (g_str_equal(name, j->target))
		return 0;
	for (unsigned i = 0; i < j->chain->len; i++)
		if (g_str_equal(job_image_at(j, i), path))
			return (int)i;
	error_set(error, VMM_ERR_INVALID_ARG,
		  "invalid argument: image '%s' is not in the chain of disk '%s', which begins "
		  "with '%s'", name, j->target, j->head);
	return -1;
}

bool job_stranger(const struct job *j, const char *path, GError **error)
{
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: '%s' is not an image that the machine of domain '%s' "
			 "was started with: the header of one of disk '%s' has changed since", path,
			 j->dom->name, j->target);
}

/* ---- relative names ---- */

/* What the image above it calls an image of the chain; NULL: nothing relative. */
static char *relative_name(const struct job *j, unsigned at)
{
	struct imagehead head = { 0 };
	char *name = NULL;

	if (imagehead_look(job_image_at(j, at - 1), false, &head) && head.backing &&
	    !g_path_is_absolute(head.backing))
		name = g_steal_pointer(&head.backing);
	imagehead_clear(&head);
	return name;
}

/* What the image above `first` would call `last`: the names in between, one after the other. */
static char *relative_way(const struct job *j, unsigned first, unsigned last, GError **error)
{
	g_autofree char *way = NULL;

	for (unsigned i = first; i <= last; i++) {
		g_autofree char *name = relative_name(j, i);
		g_autofree char *folder = way ? g_path_get_dirname(way) : NULL;

		if (!name) {
			error_set(error, VMM_ERR_OPERATION_INVALID,
				  "Requested operation is not valid: can't keep relative backing "
				  "relationship: '%s' names '%s' by its whole path; leave "
				  "--keep-relative out, or 'vmsh image rebase -u' it while the "
				  "domain is off", job_image_at(j, i - 1), job_image_at(j, i));
			return NULL;
		}
		g_free(way);
		way = !folder || g_str_equal(folder, ".") ? g_strdup(name) :
							    g_build_filename(folder, name, NULL);
	}
	return g_steal_pointer(&way);
}

/* ---- pull ---- */

/* The base's place in the chain, 0 for none; -1: an error. */
static int pull_base(const struct job *j, const struct disk_pull *p, GError **error)
{
	int at;

	if (!p->base && p->relative) {
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: a relative name is kept of a base: give one");
		return -1;
	}
	if (!p->base)
		return 0;
	at = job_image_find(j, p->base, error);
	if (at == 0)
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: '%s' is the disk's own image", p->base);
	return at ?: -1;
}

void disk_job_pull(struct domain *dom, const char *disk, const struct disk_pull *p,
		   disk_live_done *done, void *opaque)
{
	struct job *j = job_begin(dom, disk, done, opaque);
	g_autoptr(GError) error = NULL;
	int at;

	if (!j)
		return;
	at = pull_base(j, p, &error);
	if (!error && p->relative)
		j->way = relative_way(j, 1, (unsigned)at, &error);
	if (error || !disk_is_free(j, &error) || !layers_drop(j, &error)) {
		job_end(j, error);
		return;
	}
	link_job_start(dom->link,
		       &(worker_job_args){ .target = j->target, .kind = KIND_PULL,
					   .base = at ? (char *)job_image_at(j, (unsigned)at) :
							(char *)"",
					   .top = (char *)"", .backing = j->way ?: (char *)"",
					   .bytes_per_s = p->bytes_per_s },
		       NULL, 0, job_on_answer, j);
}

/* ---- commit ---- */

/* Whose chains would the job change under them? */
bool job_def_needs(const domain_def *def, const char *image, const char *but, GError **error)
{
	for (unsigned i = 0; def && i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);
		g_autoptr(GPtrArray) chain = NULL;

		if (g_strcmp0(d->target, but) == 0)
			continue;
		chain = imagehead_chain(d->path, d->format == DISK_FORMAT_RAW || d->no_backing);
		if (g_ptr_array_find_with_equal_func(chain, image, g_str_equal, NULL))
			return !error_set(error, VMM_ERR_OPERATION_INVALID,
					  "Requested operation is not valid: image '%s' is also "
					  "behind disk '%s' of domain '%s'",
					  image, d->target, def->name);
	}
	return false;
}

static bool base_is_ours(const struct job *j, const char *base, GError **error)
{
	g_autoptr(GPtrArray) all = domain_table_list(j->dom->daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		const struct domain *other = g_ptr_array_index(all, i);
		const char *but = other == j->dom ? j->target : NULL;

		if (job_def_needs(other->live, base, but, error) ||
		    job_def_needs(other->saved, base, but, error))
			return false;
	}
	return true;
}

enum disk_format job_format_at(const struct job *j, unsigned at)
{
	struct imagehead head = { 0 };
	bool raw = false;

	if (imagehead_look(job_image_at(j, at - 1), false, &head))
		raw = head.backing_is_raw;
	imagehead_clear(&head);
	return raw ? DISK_FORMAT_RAW : DISK_FORMAT_QCOW2;
}

static bool commit_range(struct job *j, const struct disk_commit *c, GError **error)
{
	int top = c->top ? job_image_find(j, c->top, error) : 0;
	int base;

	if (top < 0)
		return false;
	base = c->base ? job_image_find(j, c->base, error) :
	       c->shallow ? top + 1 : (int)j->chain->len - 1;
	if (base < 0)
		return false;
	if (base <= top || base >= (int)j->chain->len)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: nothing is behind image '%s' in the chain of "
				 "disk '%s'", job_image_at(j, (unsigned)top), j->target);
	if (top == 0 && !c->active)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: commit of '%s' active layer requires active "
				 "flag", j->target);
	j->top = (unsigned)top;
	j->bottom = (unsigned)base;
	return true;
}

void job_images_forget(const struct job *j, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		graph_forget(j->dom->daemon, job_image_at(j, i));
}

static void on_commit_started(const void *ret, const GError *error, void *opaque)
{
	struct job *j = opaque;

	if (error) {
		job_graph_follow(j->dom, j->target);
		job_delete_settle(j->dom, j->target);
	}
	job_end(j, error);
}

/* The chain is what the worker's own image says: no file but those that it has already. */
static int give_for_writing(const struct job *j, const char *path, GError **error)
{
	auto_close int fd = permit_open_image(path, O_RDWR, error);

	if (fd < 0)
		return -1;
	if (!handed_has(j->dom, fd, false)) {
		job_stranger(j, path, error);
		return -1;
	}
	return handed_note(j->dom, fd, error) ? TAKE_FD(fd) : -1;
}

static bool commit_start(struct job *j, const struct disk_commit *c, GError **error)
{
	worker_job_args args = {
		.target = j->target, .kind = j->top ? KIND_COMMIT : KIND_COMMIT_HEAD,
		.base = (char *)job_image_at(j, j->bottom),
		.top = (char *)(j->top ? job_image_at(j, j->top) : ""),
		.backing = j->way ?: (char *)"",
		.bytes_per_s = c->bytes_per_s,
	};
	int fds[2] = { -1, -1 };
	unsigned n = 1;
	bool ok;

	fds[0] = give_for_writing(j, args.base, error);
	if (fds[0] >= 0 && j->top > 1)
		fds[n++] = give_for_writing(j, job_image_at(j, j->top - 1), error);
	ok = fds[n - 1] >= 0 && layers_drop(j, error) &&
	     (!c->deletes || job_delete_begin(j, error));
	if (ok) {
		fault_point("block-commit:begun");
		graph_unsettle(j->dom->daemon, args.base);
		if (j->top > 1)
			graph_unsettle(j->dom->daemon, job_image_at(j, j->top - 1));
		job_images_forget(j, MAX(j->top, 1), j->bottom);
		fault_point("block-commit:forgotten");
		link_job_start(j->dom->link, &args, fds, n, on_commit_started, j);
	}
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return ok;
}

static bool commit_permitted(struct job *j, const struct disk_commit *c, GError **error)
{
	if (!commit_range(j, c, error) || !disk_is_free(j, error) ||
	    !base_is_ours(j, job_image_at(j, j->bottom), error))
		return false;
	/* A commit of the head changes no header. */
	if (c->relative && j->top)
		j->way = relative_way(j, j->top, j->bottom, error);
	return !c->relative || !j->top || j->way;
}

void disk_job_commit(struct domain *dom, const char *disk, const struct disk_commit *c,
		     disk_live_done *done, void *opaque)
{
	struct job *j = job_begin(dom, disk, done, opaque);
	g_autoptr(GError) error = NULL;

	if (j && (!commit_permitted(j, c, &error) || !commit_start(j, c, &error)))
		job_end(j, error);
}
