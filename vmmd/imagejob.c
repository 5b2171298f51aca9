/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Children that work on images.
 *
 * A job has three sources: the answer (stdout), the progress, and the process
 * itself by its pidfd.  The process's end is the job's end; what it has written
 * until then is in the pipes.
 */
#include "config.h"
#include "vmmd/imagejob.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/graph.h"
#include "vmmd/imagehead.h"

#define ANSWER_MAX_BYTES (64u << 20)
#define CANCEL_PATIENCE_MS 5000		/* from SIGTERM to SIGKILL */

struct imagejob {
	struct daemon *daemon;
	imagejob_done *done;
	imagejob_progress *progress;
	void *opaque;
	enum imagejob_op op;
	char *path;
	char *what;			/* "convert '/a/b'" */
	int pidfd, answer_fd, progress_fd;
	guint pid_source, answer_source, progress_source, patience_source;
	bool cancelled, answer_too_long;
	GString *answer;
	char line[64];			/* of progress, not yet whole */
	size_t line_bytes;
};

static const char *const op_names[] = {
	[IMAGEJOB_INFO] = "info", [IMAGEJOB_CREATE] = "create", [IMAGEJOB_CHECK] = "check",
	[IMAGEJOB_MAP] = "map", [IMAGEJOB_CONVERT] = "convert", [IMAGEJOB_RESIZE] = "resize",
	[IMAGEJOB_REBASE] = "rebase", [IMAGEJOB_COMMIT] = "commit", [IMAGEJOB_WIPE] = "wipe",
	[IMAGEJOB_TAG] = "tag", [IMAGEJOB_TAG_APPLY] = "tag-apply", [IMAGEJOB_UNTAG] = "untag",
	[IMAGEJOB_UPLOAD] = "upload", [IMAGEJOB_DOWNLOAD] = "download",
};
static_assert(ARRAY_SIZE(op_names) == N_IMAGEJOBS, "each operation has a name");

/* ---- the command line ---- */

static void G_GNUC_PRINTF(2, 3) add(GPtrArray *argv, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_ptr_array_add(argv, g_strdup_vprintf(format, ap));
	va_end(ap);
}

static void add_text(GPtrArray *argv, const char *option, const char *value)
{
	if (value)
		add(argv, "--%s=%s", option, value);
}

static void add_allowed(GPtrArray *argv, const char *path, bool raw)
{
	g_autoptr(GPtrArray) chain = imagehead_chain(path, raw);

	for (unsigned i = 0; i < chain->len; i++)
		add_text(argv, "allow-read", g_ptr_array_index(chain, i));
}

/* A file that is made, or replaced, is work on its folder. */
static void add_folder(GPtrArray *argv, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);

	add_text(argv, "allow-write", dir);
}

static bool changes_image(enum imagejob_op op)
{
	return op == IMAGEJOB_RESIZE || op == IMAGEJOB_REBASE || op == IMAGEJOB_COMMIT ||
	       op == IMAGEJOB_WIPE || op == IMAGEJOB_UPLOAD || op == IMAGEJOB_TAG ||
	       op == IMAGEJOB_TAG_APPLY || op == IMAGEJOB_UNTAG;
}

static void add_jail(GPtrArray *argv, const struct imagejob_opts *o)
{
	bool raw = g_strcmp0(o->format, "raw") == 0;

	if (o->op != IMAGEJOB_CREATE)
		add_allowed(argv, o->path, raw);
	if (o->op == IMAGEJOB_CREATE)
		add_folder(argv, o->path);
	else if (changes_image(o->op) || o->repair)
		add_text(argv, "allow-write", o->path);
	if (o->target)
		add_folder(argv, o->target);
	if (o->backing && *o->backing) {
		g_autofree char *dir = g_path_get_dirname(o->target ?: o->path);
		g_autofree char *full = g_canonicalize_filename(o->backing, dir);

		add_allowed(argv, full, g_strcmp0(o->backing_format, "raw") == 0);
	}
	if (o->op == IMAGEJOB_COMMIT) {
		g_autoptr(GPtrArray) chain = imagehead_chain(o->path, raw);

		if (chain->len > 1)
			add_text(argv, "allow-write", g_ptr_array_index(chain, 1));
	}
}

static GPtrArray *argv_new(const struct daemon *daemon, const struct imagejob_opts *o)
{
	const struct {
		const char *name;
		bool on;
	} flags[] = {
		{ "extended-l2", o->extended_l2 }, { "lazy-refcounts", o->lazy_refcounts },
		{ "chain", o->chain },		   { "shrink", o->shrink },
		{ "unsafe", o->unsafe },	   { "keep", o->keep },
		{ "compress", o->compress },	   { "share", o->share },
		{ "exclusive", o->exclusive },	   { "sparse", o->sparse },
	};
	GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

	add(argv, "%s", daemon->worker_path);
	add(argv, "--image");
	add(argv, "%s", op_names[o->op]);
	add_text(argv, "path", o->path);
	add_text(argv, "format", o->format);
	add_text(argv, "target", o->target);
	add_text(argv, "target-format", o->target_format);
	add_text(argv, "backing", o->backing);
	add_text(argv, "backing-format", o->backing_format);
	add_text(argv, "compat", o->compat);
	add_text(argv, "preallocation", o->preallocation);
	add_text(argv, "compression-type", o->compression_type);
	add_text(argv, "repair", o->repair);
	add_text(argv, "tag", o->tag);
	if (o->bytes)
		add(argv, "--bytes=%" G_GUINT64_FORMAT, o->bytes);
	if (o->offset)
		add(argv, "--offset=%" G_GUINT64_FORMAT, o->offset);
	if (o->cluster_bytes)
		add(argv, "--cluster-bytes=%u", o->cluster_bytes);
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].on)
			add(argv, "--%s", flags[i].name);
	add_jail(argv, o);
	g_ptr_array_add(argv, NULL);
	return argv;
}

/* ---- the end ---- */

static void job_free(struct imagejob *job)
{
	job->daemon->imagejobs = g_slist_remove(job->daemon->imagejobs, job);
	g_clear_handle_id(&job->pid_source, g_source_remove);
	g_clear_handle_id(&job->answer_source, g_source_remove);
	g_clear_handle_id(&job->progress_source, g_source_remove);
	g_clear_handle_id(&job->patience_source, g_source_remove);
	fd_close(&job->pidfd);
	fd_close(&job->answer_fd);
	fd_close(&job->progress_fd);
	g_string_free(job->answer, TRUE);
	g_free(job->path);
	g_free(job->what);
	g_free(job);
}

static GVariant *answer_parse(struct imagejob *job, GError **error)
{
	g_autoptr(GVariant) answer = NULL;
	g_autoptr(GVariant) result = NULL;
	const char *text;
	guint32 code;

	if (job->answer_too_long) {
		error_set(error, VMM_ERR_OPERATION_FAILED, "%s: the answer is too long", job->what);
		return NULL;
	}
	answer = g_variant_parse(G_VARIANT_TYPE("(usa{sv})"), job->answer->str, NULL, NULL, NULL);
	if (!answer) {
		error_set(error, VMM_ERR_INTERNAL, "internal error: %s: no answer", job->what);
		return NULL;
	}
	g_variant_get(answer, "(u&s@a{sv})", &code, &text, &result);
	if (code == 0)
		return g_steal_pointer(&result);
	error_set(error, code, "%s", text);
	return NULL;
}

/* An answer counts, however the process ended after it. */
static GVariant *job_result(struct imagejob *job, const siginfo_t *info, GError **error)
{
	if (job->answer->len > 0)
		return answer_parse(job, error);
	if (job->cancelled)
		error_set(error, VMM_ERR_ABORTED, "%s: cancelled", job->what);
	else if (info->si_code == CLD_EXITED)
		error_set(error, VMM_ERR_OPERATION_FAILED,
			  "%s: the child that works on images exited with status %d; vmmd's log "
			  "may say why",
			  job->what, info->si_status);
	else
		error_set(error, VMM_ERR_OPERATION_FAILED,
			  "%s: the child that works on images was killed by signal %d (%s)",
			  job->what, info->si_status, g_strsignal(info->si_status));
	return NULL;
}

/* False at the end of the file, or when there is no more for now. */
static bool answer_read(struct imagejob *job)
{
	char buf[16384];
	ssize_t n = read(job->answer_fd, buf, sizeof(buf));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	job->answer_too_long |= job->answer->len + (size_t)n > ANSWER_MAX_BYTES;
	if (!job->answer_too_long)
		g_string_append_len(job->answer, buf, n);
	return true;
}

/* What we have changed ourselves is no change behind our back. */
static void graph_tell(struct imagejob *job)
{
	g_autoptr(GPtrArray) chain = NULL;

	if (!job->daemon->graph)
		return;
	if (job->op == IMAGEJOB_COMMIT) {
		chain = imagehead_chain(job->path, false);
		if (chain->len > 1)
			graph_changed(job->daemon, g_ptr_array_index(chain, 1));
	}
	if (job->op == IMAGEJOB_REBASE)
		graph_learn(job->daemon, job->path, GRAPH_QCOW2);
	if (changes_image(job->op))
		graph_changed(job->daemon, job->path);
}

static void job_end(struct imagejob *job)
{
	g_autoptr(GVariant) result = NULL;
	g_autoptr(GError) error = NULL;
	siginfo_t info = { 0 };

	waitid((idtype_t)P_PIDFD, (id_t)job->pidfd, &info, WEXITED);
	while (answer_read(job))
		;
	result = job_result(job, &info, &error);
	graph_tell(job);
	job->done(result, error, job->opaque);
	job_free(job);
}

static gboolean on_process_end(int fd, GIOCondition condition, void *opaque)
{
	struct imagejob *job = opaque;

	job->pid_source = 0;
	job_end(job);
	return G_SOURCE_REMOVE;
}

/* ---- meanwhile ---- */

static gboolean on_answer(int fd, GIOCondition condition, void *opaque)
{
	struct imagejob *job = opaque;

	if (answer_read(job) || errno == EAGAIN)
		return G_SOURCE_CONTINUE;
	job->answer_source = 0;
	return G_SOURCE_REMOVE;
}

static void progress_line(struct imagejob *job)
{
	unsigned long long done, total;

	job->line[job->line_bytes] = 0;
	if (sscanf(job->line, "%llu %llu", &done, &total) == 2 && total > 0 && job->progress)
		job->progress(MIN(done, total), total, job->opaque);
}

static gboolean on_progress(int fd, GIOCondition condition, void *opaque)
{
	struct imagejob *job = opaque;
	char buf[512];
	ssize_t n = read(job->progress_fd, buf, sizeof(buf));

	if (n <= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
		job->progress_source = 0;
		return G_SOURCE_REMOVE;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			progress_line(job);
			job->line_bytes = 0;
		} else if (job->line_bytes < sizeof(job->line) - 1) {
			job->line[job->line_bytes++] = buf[i];
		}
	}
	return G_SOURCE_CONTINUE;
}

static void job_signal(struct imagejob *job, int sig)
{
	syscall(SYS_pidfd_send_signal, job->pidfd, sig, NULL, 0);
}

static gboolean on_patience_end(void *opaque)
{
	struct imagejob *job = opaque;

	job->patience_source = 0;
	job_signal(job, SIGKILL);
	return G_SOURCE_REMOVE;
}

void imagejob_cancel(struct imagejob *job)
{
	if (job->cancelled)
		return;
	job->cancelled = true;
	job_signal(job, SIGTERM);
	job->patience_source = g_timeout_add(CANCEL_PATIENCE_MS, on_patience_end, job);
}

void imagejobs_end(struct daemon *daemon)
{
	daemon->ending = true;
	while (daemon->imagejobs) {
		struct imagejob *job = daemon->imagejobs->data;

		job->cancelled = true;
		job_signal(job, SIGKILL);
		job_end(job);
	}
}

/* ---- the start ---- */

/*
 * In the child, before exec.  What it writes would otherwise go on behind the
 * back of the next vmmd, which repeats or undoes the work.
 */
static void child_set_up(void *opaque)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != GPOINTER_TO_INT(opaque))
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool job_spawn(struct imagejob *job, const struct imagejob_opts *opts, GPtrArray *argv,
		      GError **error)
{
	auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool has_data = opts->op == IMAGEJOB_UPLOAD || opts->op == IMAGEJOB_DOWNLOAD;
	int answer[2], progress[2], sources[2], targets[] = { 3, 4 };
	g_autoptr(GError) why = NULL;
	pid_t pid;
	bool ok;

	if (null < 0 || pipe2(answer, O_CLOEXEC) < 0)
		return error_errno(error, errno, "%s", job->what);
	job->answer_fd = answer[0];
	if (pipe2(progress, O_CLOEXEC) < 0) {
		close(answer[1]);
		return error_errno(error, errno, "%s", job->what);
	}
	job->progress_fd = progress[0];
	sources[0] = progress[1];
	sources[1] = has_data ? opts->data_fd : -1;
	ok = g_spawn_async_with_pipes_and_fds(
		"/", (const char *const *)argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
		child_set_up, GINT_TO_POINTER(getpid()), null, answer[1], -1, sources, targets,
		has_data ? 2 : 1, &pid, NULL, NULL, NULL, &why);
	close(answer[1]);
	close(progress[1]);
	if (!ok)
		return error_set(error, VMM_ERR_SYSTEM, "start '%s': %s",
				 job->daemon->worker_path, why->message);
	job->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (job->pidfd >= 0)
		return true;
	error_errno(error, errno, "watch the child for %s", job->what);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return false;
}

struct imagejob *imagejob_start(struct daemon *daemon, const struct imagejob_opts *opts,
				imagejob_done *done, imagejob_progress *progress, void *opaque,
				GError **error)
{
	g_autoptr(GPtrArray) argv = argv_new(daemon, opts);
	struct imagejob *job = g_new0(struct imagejob, 1);

	*job = (struct imagejob){
		.daemon = daemon, .done = done, .progress = progress, .opaque = opaque,
		.op = opts->op, .path = g_strdup(opts->path),
		.what = g_strdup_printf("%s '%s'", op_names[opts->op], opts->path),
		.pidfd = -1, .answer_fd = -1, .progress_fd = -1, .answer = g_string_new(NULL),
	};
	if (daemon->ending)
		error_set(error, VMM_ERR_ABORTED, "%s: vmmd is ending", job->what);
	else if (job_spawn(job, opts, argv, error)) {
		g_unix_set_fd_nonblocking(job->answer_fd, TRUE, NULL);
		g_unix_set_fd_nonblocking(job->progress_fd, TRUE, NULL);
		job->pid_source = g_unix_fd_add(job->pidfd, G_IO_IN, on_process_end, job);
		job->answer_source =
			g_unix_fd_add(job->answer_fd, G_IO_IN | G_IO_HUP, on_answer, job);
		job->progress_source =
			g_unix_fd_add(job->progress_fd, G_IO_IN | G_IO_HUP, on_progress, job);
		daemon->imagejobs = g_slist_prepend(daemon->imagejobs, job);
		return job;
	}
	job_free(job);
	return NULL;
}
