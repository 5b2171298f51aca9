/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two kinds of jobs on a pool's threads, at most one of each at a time: waiting
 * for the disk, and moving a long WAL into the database, which waits for it
 * several times.  The main thread gives a job and takes its result; of what is
 * here the threads touch only what their comment gives them.
 */
#include "config.h"
#include "vmmd/store-sync.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"

/* What nobody waits for is on the disk so much later. */
#define DELAY_US (200 * 1000)
#define CHECKPOINT_PAGES 1000

enum job { JOB_SYNC = 1, JOB_CHECKPOINT };

struct waiter {
	uint64_t upto;			/* commits */
	store_synced_fn *fn;
	void *opaque;
};

struct store_sync {
	uint64_t committed, synced, asked;	/* asked: what JOB_SYNC will have synced */
	bool syncing, checkpointing;
	GQueue waiting;			/* struct waiter *, by upto */
	GThreadPool *pool;
	GSource *done;			/* the threads wake it */
	bool failed;			/* once, and so for ever */
	void (*on_failed)(int err, void *opaque);
	void *opaque;
	/* JOB_SYNC's while it runs */
	int wal_fd;
	/* JOB_CHECKPOINT's */
	char *database;
	sqlite3 *db;
	/* results, of any thread */
	GMutex lock;
	bool sync_ended, checkpoint_ended;
	int sync_errno;
};

struct done_source {
	GSource source;
	struct store_sync *s;
};

/* ---- the threads ---- */

static void checkpoint(struct store_sync *s)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (!s->db && sqlite3_open_v2(s->database, &s->db, flags, NULL) != SQLITE_OK) {
		g_warning("checkpoint of '%s': %s", s->database, sqlite3_errmsg(s->db));
		g_clear_pointer(&s->db, sqlite3_close);
		return;
	}
	/* busy is no failure: the next one goes on */
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static int wait_for_disk(struct store_sync *s)
{
	int failed = fault_errno("store:sync");

	return failed ?: fdatasync(s->wal_fd) < 0 ? errno : 0;
}

static void job_run(void *data, void *opaque)
{
	struct store_sync *s = opaque;
	const enum job job = (enum job)GPOINTER_TO_INT(data);
	int failed = 0;

	if (job == JOB_SYNC)
		failed = wait_for_disk(s);
	else
		checkpoint(s);
	g_mutex_lock(&s->lock);
	if (job == JOB_SYNC) {
		s->sync_ended = true;
		s->sync_errno = failed;
	} else {
		s->checkpoint_ended = true;
	}
	g_mutex_unlock(&s->lock);
	g_source_set_ready_time(s->done, 0);
}

/* ---- the main thread ---- */

static void begin(struct store_sync *s)
{
	if (s->syncing || s->synced == s->committed)
		return;
	s->syncing = true;
	s->asked = s->committed;
	g_thread_pool_push(s->pool, GINT_TO_POINTER(JOB_SYNC), NULL);
}

/* Those that wait for no more than has been asked for; a waiter may ask for more. */
static void tell(struct store_sync *s, uint64_t upto, const GError *error)
{
	struct waiter *w;

	while ((w = g_queue_peek_head(&s->waiting)) && w->upto <= upto) {
		g_queue_pop_head(&s->waiting);
		w->fn(error, w->opaque);
		g_free(w);
	}
}

static void sync_failed(struct store_sync *s, int failed, GError **error)
{
	if (!failed)
		return;
	if (!s->failed)
		s->on_failed(failed, s->opaque);
	s->failed = true;
	error_errno(error, failed, "it is stored, but may be lost if the power fails: write '%s' "
		    "to the disk", s->database);
	g_warning("%s", (*error)->message);
}

static void take_results(struct store_sync *s)
{
	g_autoptr(GError) error = NULL;
	bool sync_ended, checkpoint_ended;
	int failed;

	g_mutex_lock(&s->lock);
	sync_ended = s->sync_ended;
	checkpoint_ended = s->checkpoint_ended;
	failed = s->sync_errno;
	s->sync_ended = s->checkpoint_ended = false;
	g_mutex_unlock(&s->lock);
	if (checkpoint_ended)
		s->checkpointing = false;
	if (!sync_ended)
		return;
	s->syncing = false;
	s->synced = MAX(s->synced, s->asked);
	sync_failed(s, failed, &error);
	tell(s, s->asked, error);
}

static gboolean on_done(GSource *source, GSourceFunc callback, void *data)
{
	struct store_sync *s = ((struct done_source *)source)->s;

	g_source_set_ready_time(source, -1);
	take_results(s);
	tell(s, s->synced, NULL);
	begin(s);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs done_funcs = { .dispatch = on_done };

void store_sync_committed(struct store_sync *s, unsigned wal_pages, bool whole)
{
	s->committed++;
	if (whole)
		s->synced = s->committed;
	else if (!s->syncing && g_source_get_ready_time(s->done) < 0)
		g_source_set_ready_time(s->done, g_get_monotonic_time() + DELAY_US);
	if (wal_pages < CHECKPOINT_PAGES || s->checkpointing || s->failed)
		return;
	s->checkpointing = true;
	g_thread_pool_push(s->pool, GINT_TO_POINTER(JOB_CHECKPOINT), NULL);
}

uint64_t store_sync_commits(const struct store_sync *s)
{
	return s->committed;
}

bool store_sync_is_done(const struct store_sync *s)
{
	return s->synced == s->committed;
}

void store_sync_when(struct store_sync *s, store_synced_fn *fn, void *opaque)
{
	struct waiter *w = g_new(struct waiter, 1);

	fault_point("store:awaited");
	*w = (struct waiter){ s->committed, fn, opaque };
	g_queue_push_tail(&s->waiting, w);
	if (s->synced == s->committed)
		g_source_set_ready_time(s->done, 0);
	begin(s);
}

/* The WAL is new with each daemon, and so is its name in the folder. */
static int wal_open(const char *database, GError **error)
{
	g_autofree char *wal = g_strconcat(database, "-wal", NULL);
	g_autofree char *folder = g_path_get_dirname(database);
	auto_close int fd = open(wal, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	auto_close int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || dir < 0 || fsync(dir) < 0) {
		error_errno(error, errno, "open '%s'", wal);
		return -1;
	}
	return TAKE_FD(fd);
}

struct store_sync *store_sync_new(const char *database, void (*failed)(int err, void *opaque),
				  void *opaque, GError **error)
{
	auto_close int fd = wal_open(database, error);
	struct store_sync *s;

	if (fd < 0)
		return NULL;
	s = g_new0(struct store_sync, 1);
	g_mutex_init(&s->lock);
	g_queue_init(&s->waiting);
	s->database = g_strdup(database);
	s->on_failed = failed;
	s->opaque = opaque;
	s->wal_fd = TAKE_FD(fd);
	s->done = g_source_new(&done_funcs, sizeof(struct done_source));
	((struct done_source *)s->done)->s = s;
	g_source_set_static_name(s->done, "store-sync");
	g_source_attach(s->done, NULL);
	s->pool = g_thread_pool_new(job_run, s, 2, FALSE, NULL);
	return s;
}

void store_sync_free(struct store_sync *s)
{
	g_autoptr(GError) error = NULL;

	if (!s)
		return;
	begin(s);
	g_thread_pool_free(s->pool, FALSE, TRUE);
	take_results(s);
	if (s->synced != s->committed)
		sync_failed(s, wait_for_disk(s), &error);
	tell(s, s->committed, error);
	g_source_destroy(s->done);
	g_source_unref(s->done);
	sqlite3_close(s->db);
	fd_close(&s->wal_fd);
	g_mutex_clear(&s->lock);
	g_free(s->database);
	g_free(s);
}
