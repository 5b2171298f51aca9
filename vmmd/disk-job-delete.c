/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images that a commit makes superfluous, and that are to go with it.
 *
 * Which ones is an intent from before the worker is told until they have gone
 * or are to stay.  That the commit was done is not remembered but seen: the
 * image above names the base; of a commit of the head, the machine's definition
 * names it, or the intent says that the saved one was changed to.  So nothing
 * goes after a job that was aborted or has failed, whoever died meanwhile, and
 * the next vmmd removes what one that was killed between two files has left.
 *
 * The chain is the word of headers that a worker writes: only what it was given
 * goes, by its inode, and nothing that somebody else needs.  That is looked at
 * before the job begins, and again before each file goes.
 */
#include "config.h"
#include "vmmd/disk-job-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/graph.h"
#include "vmmd/handed.h"
#include "vmmd/imagehead.h"
#include "vmmd/logbook.h"
#include "vmmd/permit.h"
#include "vmmd/snapshot-tree.h"

/* Target; image above the first that goes, "" for none; base; path and inode of each that goes. */
#define BODY_TYPE "(sayaya(aytt))"
#define FILE_TYPE "(aytt)"
enum { STEP_SAVED = 1 };	/* a commit of the head: the saved definition names the base */

/* ---- who needs an image ---- */

static bool overlay_needs(struct daemon *daemon, const char *path, const char *above,
			  GError **error)
{
	g_autoptr(GPtrArray) overlays = graph_overlays(daemon, path);

	for (unsigned i = 0; i < overlays->len; i++) {
		const char *overlay = g_ptr_array_index(overlays, i);

		if (g_strcmp0(overlay, above) != 0)
			return !error_set(error, VMM_ERR_OPERATION_INVALID,
					  "Requested operation is not valid: image '%s' can't be "
					  "deleted: '%s' stands on it, too: leave --delete out",
					  path, overlay);
	}
	return false;
}

/* but: the disk whose chain it is, in its domain; its saved definition may name another image. */
static bool domain_needs(struct domain *dom, const char *path, const struct job *but,
			 GError **error)
{
	const struct disk_def *saved =
		but && but->dom == dom && dom->saved ? disk_live_find(dom->saved, but->target) :
						       NULL;
	const char *live_but = but && but->dom == dom ? but->target : NULL;
	bool same = saved && g_str_equal(saved->path, but->head);

	return job_def_needs(dom->live, path, live_but, error) ||
	       job_def_needs(dom->saved, path, same ? live_but : NULL, error);
}

/* Snapshots of another domain: those of this one were asked before. */
static bool snapshot_needs(struct daemon *daemon, const uint8_t but[UUID_BYTES], const char *path,
			   GError **error)
{
	g_autofree char *name = snapshot_layer_owner(daemon->store, path, but);

	return name &&
	       !error_set(error, VMM_ERR_OPERATION_INVALID,
				  "Requested operation is not valid: image '%s' can't be deleted: "
				  "it belongs to snapshots of domain '%s'", path, name);
}

static bool is_needed(struct domain *dom, const char *path, const char *above,
		      const struct job *but, GError **error)
{
	g_autoptr(GPtrArray) all = domain_table_list(dom->daemon->domains);

	for (unsigned i = 0; i < all->len; i++)
		if (domain_needs(g_ptr_array_index(all, i), path, but, error))
			return true;
	return overlay_needs(dom->daemon, path, above, error) ||
	       snapshot_needs(dom->daemon, dom->uuid, path, error);
}

/* ---- before ---- */

static bool file_add(const struct job *j, unsigned at, GVariantBuilder *files, GError **error)
{
	const char *path = job_image_at(j, at);
	auto_close int fd = permit_open_image(path, O_RDONLY, error);
	struct stat st;

	if (fd < 0)
		return false;
	if (!handed_has(j->dom, fd, false))
		return job_stranger(j, path, error);
	if (lstat(path, &st) < 0)
		return error_errno(error, errno, "look at '%s'", path);
	if (!S_ISREG(st.st_mode))	/* a block device, a link: it is not ours to remove */
		return true;
	if (is_needed(j->dom, path, at ? job_image_at(j, at - 1) : NULL, j, error))
		return false;
	g_variant_builder_add(files, "(^aytt)", path, (guint64)st.st_dev, (guint64)st.st_ino);
	return true;
}

bool job_delete_begin(const struct job *j, GError **error)
{
	g_auto(GVariantBuilder) files = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a" FILE_TYPE));
	g_autoptr(GVariant) body = NULL;
	g_autofree char *text = NULL;
	int64_t id;

	for (unsigned i = j->top; i < j->bottom; i++)
		if (!file_add(j, i, &files, error))
			return false;
	body = g_variant_ref_sink(g_variant_new("(s^ay^aya" FILE_TYPE ")", j->target,
						j->top ? job_image_at(j, j->top - 1) : "",
						job_image_at(j, j->bottom), &files));
	text = g_variant_print(body, TRUE);
	return journal_begin(j->dom->daemon->store, JOB_DELETE_INTENT, j->dom->uuid, text, &id,
			     error);
}

/* ---- what is written down ---- */

typedef struct deletion deletion;
struct deletion {
	int64_t id;
	int step;
	GVariant *body;
	const char *target, *above, *base;	/* the body's */
	GVariantIter *files;
};

static void deletion_done(struct deletion *d)
{
	g_clear_pointer(&d->files, g_variant_iter_free);
	g_clear_pointer(&d->body, g_variant_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(deletion, deletion_done)

static bool deletion_read(const struct journal_entry *e, struct deletion *ret)
{
	*ret = (struct deletion){ .id = e->id, .step = e->step };
	ret->body = g_variant_parse(G_VARIANT_TYPE(BODY_TYPE), e->body, NULL, NULL, NULL);
	if (!ret->body)
		return false;
	g_variant_get(ret->body, "(&s^&ay^&aya" FILE_TYPE ")", &ret->target, &ret->above,
		      &ret->base, &ret->files);
	return true;
}

typedef bool deletion_fn(struct domain *dom, const struct deletion *d, GError **error);

/* Of each of the domain's; target NULL: of all its disks. */
static bool deletions_do(struct domain *dom, const char *target, deletion_fn *fn, GError **error)
{
	g_autoptr(GPtrArray) list = journal_list(dom->daemon->store, error);

	for (unsigned i = 0; list && i < list->len; i++) {
		const struct journal_entry *e = g_ptr_array_index(list, i);
		g_auto(deletion) d = { 0 };

		if (!g_str_equal(e->kind, JOB_DELETE_INTENT) ||
		    memcmp(e->uuid, dom->uuid, UUID_BYTES) != 0 || !deletion_read(e, &d) ||
		    (target && !g_str_equal(d.target, target)))
			continue;
		if (!fn(dom, &d, error))
			return false;
	}
	return list;
}

static bool deletion_note_saved(struct domain *dom, const struct deletion *d, GError **error)
{
	return journal_step(dom->daemon->store, d->id, STEP_SAVED, NULL, error);
}

bool job_delete_note_saved(struct domain *dom, const char *target, GError **error)
{
	return deletions_do(dom, target, deletion_note_saved, error);
}

/* ---- after ---- */

static bool is_committed(struct domain *dom, const struct deletion *d)
{
	const struct disk_def *live = dom->live ? disk_live_find(dom->live, d->target) : NULL;
	g_autofree char *path = live ? g_canonicalize_filename(live->path, "/") : NULL;
	g_autofree char *below = NULL;
	struct imagehead head = { 0 };

	if (!*d->above)
		return dom->live ? g_strcmp0(path, d->base) == 0 : d->step == STEP_SAVED;
	if (imagehead_look(d->above, false, &head))
		below = imagehead_backing_path(&head, d->above);
	imagehead_clear(&head);
	return g_strcmp0(below, d->base) == 0;
}

/* Folder and name of a file that is still the one that was meant; false: it is not. */
static bool image_find(const char *path, uint64_t dev, uint64_t ino, int *ret_folder)
{
	g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
	auto_close int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	struct stat st;

	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_dev != dev || st.st_ino != ino)
		return false;
	*ret_folder = TAKE_FD(fd);
	return true;
}

/* In the folder that was looked into, whatever its path leads to by now. */
static bool image_unlink(int folder, const char *path, GError **error)
{
	g_autofree char *name = g_path_get_basename(path);

	return (unlinkat(folder, name, 0) == 0 && fsync(folder) == 0) ||
	       error_errno(error, errno, "delete '%s'", path);
}

static void image_remove(struct domain *dom, const struct deletion *d, int folder,
			 const char *path)
{
	g_autoptr(GError) error = NULL;

	if (is_needed(dom, path, NULL, NULL, &error) || !image_unlink(folder, path, &error)) {
		logbook_domain(dom, LOG_LEVEL_WARNING, "commit", NULL,
			       "'%s' is committed into '%s' and was to be deleted; it stays: %s",
			       path, d->base, error->message);
		return;
	}
	graph_forget(dom->daemon, path);
	logbook_domain(dom, LOG_LEVEL_NOTE, "commit", NULL,
		       "'%s' is committed into '%s' and deleted", path, d->base);
}

static bool deletion_settle(struct domain *dom, const struct deletion *d, GError **error)
{
	bool committed = is_committed(dom, d);
	const char *path;
	guint64 dev, ino;

	while (g_variant_iter_next(d->files, "(^&aytt)", &path, &dev, &ino)) {
		auto_close int folder = -1;

		if (!committed || !image_find(path, dev, ino, &folder))
			continue;
		image_remove(dom, d, folder, path);
		fault_point("block-delete:removed");
	}
	return journal_end(dom->daemon->store, d->id, error);
}

void job_delete_settle(struct domain *dom, const char *target)
{
	g_autoptr(GError) error = NULL;

	if (!deletions_do(dom, target, deletion_settle, &error))
		g_warning("domain '%s': images that were to be deleted: %s", dom->name,
			  error->message);
}

/* One that runs tells later, when its worker has said whether its job is over. */
bool job_delete_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	struct domain *dom = domain_find_uuid(daemon->domains, entry->uuid);

	if (!dom)	/* a transient one that has ended: nobody knows what became of its job */
		return journal_end(daemon->store, entry->id, error);
	if (!state_is_active(dom->state))
		job_delete_settle(dom, NULL);
	return true;
}

bool job_delete_waits(const struct domain *dom, const struct journal_entry *entry)
{
	return dom && dom->live && g_str_equal(entry->kind, JOB_DELETE_INTENT);
}
