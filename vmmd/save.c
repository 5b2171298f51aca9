/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A running domain into a file. */
#include "config.h"
#include "vmmd/save.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/job-past.h"
#include "vmmd/journal.h"
#include "vmmd/lifecycle-priv.h"

#define TMP_SUFFIX ".vmm-tmp"

struct save {
	struct domain *dom;
	char *path, *tmp;
	int64_t intent;
	int64_t began_us;
	lifecycle_done *done;
	void *opaque;
};

bool save_flags_check(unsigned flags, GError **error)
{
	if ((flags & (SAVE_RUNNING | SAVE_PAUSED)) != (SAVE_RUNNING | SAVE_PAUSED))
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "invalid argument: --running and --paused exclude each other");
}

bool save_format_check(const char *format, GError **error)
{
	static const char *const formats[] = { "raw", "sparse", "zstd", NULL };

	return !format || g_strv_contains(formats, format) ||
	       error_set(error, VMM_ERR_INVALID_ARG,
			 "invalid argument: save image format '%s': raw or zstd", format);
}

unsigned save_format_flags(const struct daemon *daemon, const char *format)
{
	return g_strcmp0(format ?: daemon->save_format, "zstd") == 0 ? WORKER_SAVE_ZSTD : 0;
}

char *save_managed_path(const struct domain *dom)
{
	g_autofree char *name = g_strconcat(dom->uuid_text, ".save", NULL);

	return g_build_filename(dom->daemon->state_dir, "save", name, NULL);
}

bool save_managed_is_there(const struct domain *dom)
{
	g_autofree char *path = save_managed_path(dom);

	return g_file_test(path, G_FILE_TEST_EXISTS);
}

bool save_is_active(const struct domain *dom)
{
	return dom->life && dom->life->saving;
}

/* ---- before ---- */

/* What is there is replaced if it is a file; a device or a pipe is not. */
static bool path_is_fit(const char *path, GError **error)
{
	struct stat st;

	if (!g_path_is_absolute(path))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: '%s' is not an absolute path", path);
	if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: '%s' is there and is no ordinary file", path);
}

static int tmp_open(const char *tmp, GError **error)
{
	int fd;

	g_unlink(tmp);
	fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		error_errno(error, errno, "create '%s'", tmp);
	return fd;
}

/* What is written on them has no name by which a restored machine could find it. */
static bool has_no_transient_disk(const struct domain *dom, GError **error)
{
	for (unsigned i = 0; dom->live && i < dom->live->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(dom->live->disks, i);

		if (d->transient)
			return error_set(error, VMM_ERR_OPERATION_INVALID,
					 "Requested operation is not valid: disk '%s' of domain "
					 "'%s' is transient: its memory can't be saved without "
					 "what is on that",
					 d->target, dom->name);
	}
	return true;
}

static bool may_save(struct domain *dom, GError **error)
{
	if (!domain_may(dom, EV_SAVE, error) || !has_no_transient_disk(dom, error))
		return false;
	if (!save_is_active(dom))
		return true;
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: domain '%s' is being saved", dom->name);
}

/* ---- after ---- */

static void save_free(struct save *s)
{
	g_autoptr(GError) error = NULL;

	if (s->intent && !journal_end(s->dom->daemon->store, s->intent, &error))
		g_warning("domain '%s': %s", s->dom->name, error->message);
	g_free(s->path);
	g_free(s->tmp);
	g_free(s);
}

static void save_fail(struct save *s, const GError *error)
{
	g_unlink(s->tmp);
	if (s->dom->life)
		s->dom->life->saving = false;
	job_past_note(s->dom, JOB_OPERATION_SAVE, s->began_us, 0, error);
	s->done(s->dom, error, s->opaque);
	save_free(s);
}

static bool folder_sync(const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && fsync(fd) == 0;
}

/* What it takes of the disk. */
static uint64_t file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* The worker stood still for nothing: the guest goes on. */
static void on_resumed(const void *ret, const GError *error, void *opaque)
{
	if (error)
		g_warning("resume after a save that failed: %s", error->message);
}

static void on_saved(const void *ret, const GError *error, void *opaque)
{
	struct save *s = opaque;
	struct domain *dom = s->dom;
	g_autoptr(GError) why = NULL;

	if (error) {
		save_fail(s, error);
		return;
	}
	fault_point("save:written");
	if (g_rename(s->tmp, s->path) < 0 || !folder_sync(s->path)) {
		error_errno(&why, errno, "rename '%s'", s->tmp);
		if (dom->life->run_after_save)
			link_command(dom->link, WORKER_PROC_RESUME, 0, on_resumed, NULL);
		save_fail(s, why);
		return;
	}
	fault_point("save:renamed");
	dom->life->saved = true;
	job_past_note(dom, JOB_OPERATION_SAVE, s->began_us, file_bytes(s->path), NULL);
	lifecycle_destroy(dom, false, s->done, s->opaque);
	save_free(s);
}

static bool save_begin(struct domain *dom, struct save *s, int *ret_fd, GError **error)
{
	if (!path_is_fit(s->path, error) || !journal_begin(dom->daemon->store, SAVE_INTENT,
							   dom->uuid, s->path, &s->intent, error))
		return false;
	fault_point("save:begun");
	*ret_fd = tmp_open(s->tmp, error);
	return *ret_fd >= 0;
}

static struct save *save_new(struct domain *dom, const char *path, lifecycle_done *done,
			     void *opaque)
{
	struct save *s = g_new0(struct save, 1);

	s->dom = dom;
	s->began_us = g_get_monotonic_time();
	s->path = path ? g_strdup(path) : save_managed_path(dom);
	s->tmp = g_strconcat(s->path, TMP_SUFFIX, NULL);
	s->done = done;
	s->opaque = opaque;
	if (!path) {
		g_autofree char *dir = g_path_get_dirname(s->path);

		g_mkdir_with_parents(dir, 0700);
	}
	return s;
}

void save_domain(struct domain *dom, const struct save_opts *opts, lifecycle_done *done,
		 void *opaque)
{
	worker_save_args args = { .flags = save_format_flags(dom->daemon, opts->format) };
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	auto_close int fd = -1;
	struct save *s;

	if (!may_save(dom, &error) || !save_format_check(opts->format, &error)) {
		done(dom, error, opaque);
		return;
	}
	s = save_new(dom, opts->path, done, opaque);
	if (!save_begin(dom, s, &fd, &error)) {
		done(dom, error, opaque);
		save_free(s);
		return;
	}
	text = opts->xml ? g_strdup(opts->xml) : domain_def_format(dom->live, 0);
	dom->life->saving = true;
	dom->life->run_after_save = dom->state != DOMAIN_PAUSED;
	if (opts->flags & SAVE_RUNNING ||
	    (!(opts->flags & SAVE_PAUSED) && dom->life->run_after_save))
		args.flags |= WORKER_SAVE_RUN;
	args.xml = text;
	args.detail = s->path;
	link_save(dom->link, &args, fd, on_saved, s);
}

struct cancel {
	struct domain *dom;
	lifecycle_done *done;
	void *opaque;
};

static void on_cancelled(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct cancel *c = opaque;

	c->done(c->dom, error, c->opaque);
}

void save_cancel(struct domain *dom, lifecycle_done *done, void *opaque)
{
	struct cancel *c = g_new(struct cancel, 1);

	*c = (struct cancel){ dom, done, opaque };
	link_command(dom->link, WORKER_PROC_SAVE_CANCEL, 0, on_cancelled, c);
}

/* ---- an earlier vmmd's ---- */

static void on_ended(struct domain *dom, const GError *error, void *opaque)
{
	g_message("domain '%s' was saved by a vmmd that was killed", dom->name);
}

static bool adopt_saved(struct domain *dom, const char *path)
{
	g_autofree char *tmp = g_strconcat(path, TMP_SUFFIX, NULL);

	if (!g_path_is_absolute(path) || g_file_test(tmp, G_FILE_TEST_EXISTS) ||
	    !g_file_test(path, G_FILE_TEST_EXISTS)) {
		link_command(dom->link, WORKER_PROC_RESUME, 0, on_resumed, NULL);
		return false;
	}
	dom->life->saved = true;
	lifecycle_destroy(dom, false, on_ended, NULL);
	return true;
}

bool save_adopt(struct domain *dom, int state, int cause, const char *detail)
{
	if (state == WORKER_PAUSED && cause == WORKER_CAUSE_SAVED)
		return adopt_saved(dom, detail);
	if (!save_managed_is_there(dom)) {
		/* Removed, and then vmmd was killed: it was about to run. */
		if (state == WORKER_PAUSED && cause == WORKER_CAUSE_RESTORED)
			link_command(dom->link, WORKER_PROC_RESUME, 0, on_resumed, NULL);
		return false;
	}
	if (state == WORKER_PAUSED) {
		/* it was to be started, and has not run */
		link_kill(dom->link);
		return true;
	}
	g_warning("domain '%s' runs, and yet has saved memory: that is removed", dom->name);
	save_managed_remove(dom, NULL);
	return false;
}

bool save_intent_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	g_autofree char *tmp = g_strconcat(entry->body, TMP_SUFFIX, NULL);

	g_unlink(tmp);
	return journal_end(daemon->store, entry->id, error);
}
