/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clones. */
#include "config.h"
#include "vmmd/clone.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/event.h"
#include "vmmd/graph.h"
#include "vmmd/imagejob.h"
#include "vmmd/state.h"
#include "vmmd/store.h"

struct clone {
	struct daemon *daemon;
	domain_def *def;		/* the new one */
	const domain_def *of;		/* copy of the old one's definition, owned */
	bool copy;
	unsigned next;			/* disk */
	int64_t intent;
	GPtrArray *files;		/* that are made; all are named in the intent */
	clone_done *done;
	void *opaque;
};

static void clone_free(struct clone *c)
{
	domain_def_free(c->def);
	domain_def_free((domain_def *)c->of);
	g_ptr_array_unref(c->files);
	g_free(c);
}

static void files_remove(struct daemon *daemon, char **files)
{
	for (; files && *files; files++) {
		if (unlink(*files) < 0 && errno != ENOENT)
			g_warning("image '%s' of an unfinished clone: %s", *files,
				  g_strerror(errno));
		graph_forget(daemon, *files);
	}
}

static void clone_fail(struct clone *c, const GError *failed)
{
	g_autoptr(GError) error = NULL;

	g_ptr_array_add(c->files, NULL);
	if (c->intent) {
		files_remove(c->daemon, (char **)c->files->pdata);
		if (!journal_end(c->daemon->store, c->intent, &error))
			g_warning("clone '%s': %s", c->def->name, error->message);
	}
	c->done(NULL, failed, c->opaque);
	clone_free(c);
}

/* ---- the definition ---- */

static void macs_renew(domain_def *def)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		struct iface_def *iface = g_ptr_array_index(def->ifaces, i);

		/* the vendor's half stays */
		if (getrandom(iface->mac + 3, 3, 0) != 3)
			iface->mac[5] ^= 1;
	}
}

static void disk_rename(const domain_def *def, struct disk_def *d, bool copy)
{
	g_autofree char *dir = g_path_get_dirname(d->path);
	bool raw = copy && d->format == DISK_FORMAT_RAW;
	g_autofree char *name =
		g_strdup_printf("%s-%s.%s", def->name, d->target, raw ? "img" : "qcow2");

	g_free(d->path);
	d->path = g_build_filename(dir, name, NULL);
	d->type = DISK_FILE;
	d->no_backing = false;
	d->format = raw ? DISK_FORMAT_RAW : DISK_FORMAT_QCOW2;
}

static bool def_make(struct clone *c, const char *name, GError **error)
{
	c->def = domain_def_copy(c->of);
	g_free(c->def->name);
	c->def->name = g_strdup(name);
	uuid_random(c->def->uuid);
	macs_renew(c->def);
	for (unsigned i = 0; i < c->def->disks->len; i++) {
		struct disk_def *d = g_ptr_array_index(c->def->disks, i);

		if (disk_def_apart(d))
			continue;
		if (d->type != DISK_FILE)
			return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
					 "disk '%s' is a block device: there is no folder beside "
					 "it for the clone's image", d->target);
		disk_rename(c->def, d, c->copy);
		if (access(d->path, F_OK) == 0 || errno != ENOENT)
			return error_set(error, VMM_ERR_OPERATION_FAILED,
					 "operation failed: '%s' exists already", d->path);
	}
	return domain_def_check(c->def, error);
}

static bool clone_permitted(struct domain *of, const char *name, GError **error)
{
	if (!domain_name_check(name, error) || !domain_idle(of, error) ||
	    !domain_need_saved(of, error))
		return false;
	if (state_is_active(of->state))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: domain '%s' runs: shut it down "
				 "before it is cloned", of->name);
	return !domain_find_name(of->daemon->domains, name) ||
	       error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: domain '%s' already exists", name);
}

/* ---- the images ---- */

static bool clone_begin(struct clone *c, GError **error)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new();
	g_autoptr(GVariant) body = NULL;
	g_autofree char *text = NULL;

	for (unsigned i = 0; i < c->def->disks->len; i++) {
		struct disk_def *d = g_ptr_array_index(c->def->disks, i);

		if (!disk_def_apart(d))
			g_ptr_array_add(paths, d->path);
	}
	body = g_variant_ref_sink(g_variant_new_bytestring_array(
		(const char *const *)paths->pdata, (gssize)paths->len));
	text = g_variant_print(body, TRUE);
	return journal_begin(c->daemon->store, CLONE_INTENT, c->def->uuid, text, &c->intent, error);
}

static bool clone_commit(struct clone *c, struct domain *dom, GError **error)
{
	struct store *store = c->daemon->store;

	if (!store_begin(store, error))
		return false;
	if (!domain_save_begin(dom, c->def, error) ||
	    !journal_end(store, c->intent, error)) {
		store_rollback(store);
		return false;
	}
	fault_point("clone:commit");
	if (!store_commit(store, error))
		return false;
	domain_save_end(dom, g_steal_pointer(&c->def));
	return true;
}

static void clone_end(struct clone *c)
{
	g_autoptr(GError) error = NULL;
	struct domain *dom;

	if (domain_find_name(c->daemon->domains, c->def->name)) {
		error_set(&error, VMM_ERR_OPERATION_FAILED,
			  "operation failed: domain '%s' already exists", c->def->name);
		clone_fail(c, error);
		return;
	}
	dom = domain_new(c->daemon, c->def->uuid, c->def->name);
	if (!clone_commit(c, dom, &error)) {
		domain_drop(dom);
		clone_fail(c, error);
		return;
	}
	event_lifecycle(dom, LIFECYCLE_DEFINED, LIFECYCLE_DEFINED_ADDED);
	c->done(dom, NULL, c->opaque);
	clone_free(c);
}

static void clone_next(struct clone *c);

static void on_image_made(GVariant *result, const GError *error, void *opaque)
{
	struct clone *c = opaque;

	fault_point("clone:image");
	if (error)
		clone_fail(c, error);
	else
		clone_next(c);
}

static struct imagejob_opts job_of(const struct clone *c, const struct disk_def *from,
				   const struct disk_def *to)
{
	const char *format = disk_format_name(from->format);

	if (c->copy)
		return (struct imagejob_opts){
			.op = IMAGEJOB_CONVERT, .path = from->path, .format = format,
			.target = to->path, .target_format = disk_format_name(to->format),
		};
	return (struct imagejob_opts){
		.op = IMAGEJOB_CREATE, .path = to->path, .format = "qcow2", .backing = from->path,
		.backing_format = format, .exclusive = true,
	};
}

static void clone_next(struct clone *c)
{
	const struct disk_def *from, *to;
	g_autoptr(GError) error = NULL;
	struct imagejob_opts o;

	while (c->next < c->def->disks->len &&
	       disk_def_apart(g_ptr_array_index(c->def->disks, c->next)))
		c->next++;
	if (c->next == c->def->disks->len) {
		clone_end(c);
		return;
	}
	from = g_ptr_array_index(c->of->disks, c->next);
	to = g_ptr_array_index(c->def->disks, c->next);
	c->next++;
	g_ptr_array_add(c->files, g_strdup(to->path));
	o = job_of(c, from, to);
	if (!imagejob_start(c->daemon, &o, on_image_made, NULL, c, &error))
		clone_fail(c, error);
}

void clone_start(struct domain *of, const char *name, bool copy, clone_done *done, void *opaque)
{
	g_autoptr(GError) error = NULL;
	struct clone *c;

	if (!clone_permitted(of, name, &error)) {
		done(NULL, error, opaque);
		return;
	}
	c = g_new0(struct clone, 1);
	c->daemon = of->daemon;
	c->of = domain_def_copy(of->saved);
	c->copy = copy;
	c->files = g_ptr_array_new_with_free_func(g_free);
	c->done = done;
	c->opaque = opaque;
	if (!def_make(c, name, &error) || !clone_begin(c, &error))
		clone_fail(c, error);
	else
		clone_next(c);
}

bool clone_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	g_autoptr(GVariant) body =
		g_variant_parse(G_VARIANT_TYPE_BYTESTRING_ARRAY, entry->body, NULL, NULL, NULL);
	g_auto(GStrv) files = body ? g_variant_dup_bytestring_array(body, NULL) : NULL;

	if (!body)
		return error_set(error, VMM_ERR_INTERNAL, "internal error: an intent is damaged");
	files_remove(daemon, files);
	return journal_end(daemon->store, entry->id, error);
}
