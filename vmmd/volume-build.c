/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes made, copied, resized, wiped: each by a child. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/graph.h"
#include "vmmd/imagejob.h"
#include "vmmd/volume-priv.h"

#define VOLUME_MODE 0600

struct work {
	struct pool *pool;		/* stays while it is held */
	char *name, *part, *path;	/* part: the hidden name's path; NULL when nothing is new */
	volume_def *def;		/* of what is new */
	volume_done *done;
	void *opaque;
};

bool volume_hold(struct pool *pool, const char *name, GError **error)
{
	if (!pool_need_active(pool, error))
		return false;
	if (!g_hash_table_add(pool->building, g_strdup(name)))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: volume '%s' is being worked on",
				 name);
	pool->busy++;
	return true;
}

void volume_release(struct pool *pool, const char *name)
{
	g_hash_table_remove(pool->building, name);
	pool->busy--;
}

static struct work *work_new(struct pool *pool, const char *name, volume_done *done, void *opaque)
{
	struct work *w = g_new0(struct work, 1);

	w->pool = pool;
	w->name = g_strdup(name);
	w->path = volume_path(pool, name);
	w->done = done;
	w->opaque = opaque;
	return w;
}

static void work_end(struct work *w, const GError *error)
{
	volume_release(w->pool, w->name);
	w->done(error, w->opaque);
	volume_def_free(w->def);
	g_free(w->name);
	g_free(w->part);
	g_free(w->path);
	g_free(w);
}

static void work_start(struct work *w, const struct imagejob_opts *opts, imagejob_done *done)
{
	g_autoptr(GError) error = NULL;

	if (!imagejob_start(w->pool->daemon, opts, done, NULL, w, &error))
		work_end(w, error);
}

static void on_changed(GVariant *result, const GError *error, void *opaque)
{
	work_end(opaque, error);
}

/* ---- new ones ---- */

static bool part_own(const struct work *w, int fd, GError **error)
{
	const struct storage_owner *o = &w->def->owner;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(error, VMM_ERR_OPERATION_FAILED, "'%s' is no plain file", w->part);
	if (((o->uid >= 0 && st.st_uid != (uid_t)o->uid) ||
	     (o->gid >= 0 && st.st_gid != (gid_t)o->gid)) &&
	    fchown(fd, (uid_t)o->uid, (gid_t)o->gid) < 0)
		return error_errno(error, errno, "change the owner of '%s'", w->path);
	if (fchmod(fd, o->mode >= 0 ? (mode_t)o->mode : VOLUME_MODE) < 0)
		return error_errno(error, errno, "change the mode of '%s'", w->path);
	return true;
}

/* The name appears with all that belongs to it, or not at all; never over another. */
static bool part_publish(struct work *w, GError **error)
{
	g_autofree char *part = g_path_get_basename(w->part);
	auto_close int folder = pool_open(w->pool, error);
	auto_close int fd =
		folder < 0 ? -1 : openat(folder, part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (folder < 0)
		return false;
	if (fd < 0)
		return error_errno(error, errno, "open '%s'", w->part);
	if (!part_own(w, fd, error))
		return false;
	fault_point("volume-create:made");
	if (renameat2(folder, part, folder, w->name, RENAME_NOREPLACE) < 0)
		return error_set(error, errno == EEXIST ? VMM_ERR_VOLUME_EXISTS : VMM_ERR_SYSTEM,
				 "make volume '%s': %s", w->name, g_strerror(errno));
	fault_point("volume-create:named");
	return fsync(folder) == 0 || error_errno(error, errno, "sync '%s'", w->pool->def->path);
}

static void on_made(GVariant *result, const GError *failed, void *opaque)
{
	struct work *w = opaque;
	g_autoptr(GError) error = NULL;

	if (failed || !part_publish(w, &error))
		unlink(w->part);
	else
		graph_learn(w->pool->daemon, w->path,
			    w->def->format == DISK_FORMAT_RAW ? GRAPH_RAW : GRAPH_QCOW2);
	work_end(w, failed ? failed : error);
}

/* raw: what is to be allocated at once is all or nothing. */
static const char *preallocation(const volume_def *def, bool metadata)
{
	if (def->format == DISK_FORMAT_QCOW2)
		return metadata ? "metadata" : NULL;
	return def->has_allocation && def->capacity && def->allocation >= def->capacity ? "falloc" :
											  NULL;
}

static bool name_is_free(const struct pool *pool, const char *name, GError **error)
{
	auto_close int folder = pool_open(pool, error);
	struct stat st;

	if (folder < 0)
		return false;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(error, VMM_ERR_VOLUME_EXISTS,
				 "storage volume '%s' exists already in pool '%s'", name,
				 pool->def->name);
	return true;
}

static bool create_permitted(struct pool *pool, const volume_def *def,
			     const struct volume_source *source, GError **error)
{
	if (!def->has_capacity && !def->backing && !source)
		return error_set(error, VMM_ERR_XML, "<capacity> of the volume is missing");
	return name_is_free(pool, def->name, error) && volume_hold(pool, def->name, error);
}

void volume_create(struct pool *pool, volume_def *def, const struct volume_source *source,
		   bool metadata, volume_done *done, void *opaque)
{
	g_autoptr(GError) error = NULL;
	struct imagejob_opts o;
	struct work *w;

	if (!pool_need_active(pool, &error) || !create_permitted(pool, def, source, &error)) {
		done(error, opaque);
		volume_def_free(def);
		return;
	}
	w = work_new(pool, def->name, done, opaque);
	w->def = def;
	w->part = g_strdup_printf("%s/.%s" VOLUME_PART, pool->def->path, def->name);
	unlink(w->part);
	o = (struct imagejob_opts){
		.op = IMAGEJOB_CREATE, .path = w->part, .format = disk_format_name(def->format),
		.bytes = def->capacity, .backing = def->backing,
		.backing_format = def->backing ? disk_format_name(def->backing_format) : NULL,
		.compat = def->compat, .cluster_bytes = def->cluster_bytes,
		.lazy_refcounts = def->lazy_refcounts, .extended_l2 = def->extended_l2,
		.preallocation = preallocation(def, metadata),
	};
	if (source) {
		o.op = IMAGEJOB_CONVERT;
		o.target = w->part;
		o.target_format = o.format;
		o.path = source->path;
		o.format = disk_format_name(source->format);
		o.backing = o.backing_format = NULL;
	}
	work_start(w, &o, on_made);
}

/* ---- changes ---- */

static struct work *change_begin(struct pool *pool, const char *name, const char *verb,
				 volume_def **ret_def, volume_done *done, void *opaque)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volume_def) def = volume_read(pool, name, &error);

	if (def && graph_may_change(pool->daemon, def->path, verb, false, &error) &&
	    volume_hold(pool, name, &error)) {
		*ret_def = g_steal_pointer(&def);
		return work_new(pool, name, done, opaque);
	}
	done(error, opaque);
	return NULL;
}

void volume_resize(struct pool *pool, const char *name, uint64_t bytes, bool shrink, bool allocate,
		   volume_done *done, void *opaque)
{
	volume_def *def;
	struct work *w = change_begin(pool, name, "resize", &def, done, opaque);

	if (!w)
		return;
	w->def = def;
	work_start(w, &(struct imagejob_opts){
			      .op = IMAGEJOB_RESIZE, .path = w->path, .bytes = bytes,
			      .format = disk_format_name(def->format), .shrink = shrink,
			      .preallocation = allocate ? "falloc" : NULL }, on_changed);
}

void volume_wipe(struct pool *pool, const char *name, volume_done *done, void *opaque)
{
	volume_def *def;
	struct work *w = change_begin(pool, name, "wipe", &def, done, opaque);

	if (!w)
		return;
	w->def = def;
	work_start(w, &(struct imagejob_opts){ .op = IMAGEJOB_WIPE, .path = w->path,
					       .format = disk_format_name(def->format) },
		   on_changed);
}
