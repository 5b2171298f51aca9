/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fsync on threads, for devices with files. */
#include "config.h"
#include "libvmm/device/syncer.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/owner.h"

#define THREADS 2

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_RUNS, SLOT_DONE };

struct slot {
	enum slot_state state;
	bool forgotten;			/* it runs, and nobody waits for it */
	struct sync_job job;
};

struct syncer {
	const char *name;
	GMainContext *ctx;
	void (*ready)(void *opaque);
	void *opaque;
	GThread *threads[THREADS];	/* from the first job on */
	GSource *done;			/* woken by the threads */
	pthread_mutex_t lock;		/* protects what follows */
	pthread_cond_t cond;
	struct slot slots[SYNCER_JOBS];
	bool ending;
};

static int sync_now(const struct sync_job *job)
{
	int r = job->what == SYNC_FS ? syncfs(job->fd) :
		job->what == SYNC_DATA ? fdatasync(job->fd) : fsync(job->fd);

	return r < 0 ? -errno : 0;
}

static struct slot *slot_in(struct syncer *s, enum slot_state state)
{
	for (unsigned i = 0; i < SYNCER_JOBS; i++)
		if (s->slots[i].state == state)
			return &s->slots[i];
	return NULL;
}

/* The lock is held, but while it works. */
static void slot_run(struct syncer *s, struct slot *slot)
{
	struct sync_job job = slot->job;

	slot->state = SLOT_RUNS;
	pthread_mutex_unlock(&s->lock);
	int r = sync_now(&job);
	fd_close(&job.fd);
	pthread_mutex_lock(&s->lock);
	slot->job.fd = -1;
	slot->job.result = r;
	slot->state = slot->forgotten ? SLOT_FREE : SLOT_DONE;
	if (!s->ending)
		g_source_set_ready_time(s->done, 0);
}

static void *sync_main(void *opaque)
{
	struct syncer *s = opaque;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct slot *slot = slot_in(s, SLOT_READY);

		if (!slot && s->ending)
			break;
		if (slot)
			slot_run(s, slot);
		else
			pthread_cond_wait(&s->cond, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* One is enough to go on. */
static bool threads_begin(struct syncer *s)
{
	for (unsigned i = 0; i < THREADS && !s->threads[i]; i++)
		s->threads[i] = g_thread_try_new(s->name, sync_main, s, NULL);
	return s->threads[0];
}

bool syncer_add(struct syncer *s, struct sync_job *job)
{
	const bool threads = threads_begin(s);
	struct slot *slot;

	pthread_mutex_lock(&s->lock);
	slot = threads && !s->ending ? slot_in(s, SLOT_FREE) : NULL;
	if (slot) {
		*slot = (struct slot){ .state = SLOT_READY, .job = *job };
		pthread_cond_signal(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
	if (slot)
		return true;
	job->result = sync_now(job);
	fd_close(&job->fd);
	return false;
}

bool syncer_take(struct syncer *s, struct sync_job *ret)
{
	struct slot *slot;

	pthread_mutex_lock(&s->lock);
	slot = slot_in(s, SLOT_DONE);
	if (slot) {
		*ret = slot->job;
		slot->state = SLOT_FREE;
	}
	pthread_mutex_unlock(&s->lock);
	return slot != NULL;
}

/* The lock is held. */
static void slot_forget(struct slot *slot)
{
	if (slot->state == SLOT_READY)
		fd_close(&slot->job.fd);
	if (slot->state == SLOT_RUNS)
		slot->forgotten = true;
	else
		slot->state = SLOT_FREE;
}

bool syncer_forget(struct syncer *s, const uint64_t *id, struct sync_job *ret)
{
	struct slot *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < SYNCER_JOBS && !found; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->state != SLOT_FREE && !slot->forgotten && (!id || slot->job.id == *id))
			found = slot;
	}
	if (found) {
		*ret = found->job;
		slot_forget(found);
	}
	pthread_mutex_unlock(&s->lock);
	return found != NULL;
}

void syncer_forget_all(struct syncer *s)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < SYNCER_JOBS; i++)
		slot_forget(&s->slots[i]);
	pthread_mutex_unlock(&s->lock);
}

/* ---- life ---- */

static gboolean on_done(void *opaque)
{
	struct syncer *s = opaque;

	g_source_set_ready_time(s->done, -1);
	s->ready(s->opaque);
	return G_SOURCE_CONTINUE;
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, void *opaque)
{
	return fn(opaque);
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

struct syncer *syncer_new(const char *name, GMainContext *ctx, void (*ready)(void *opaque),
			  void *opaque)
{
	struct syncer *s = g_new0(struct syncer, 1);

	s->name = name;
	s->ctx = ctx;
	s->ready = ready;
	s->opaque = opaque;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	s->done = g_source_new(&source_funcs, sizeof(GSource));
	g_source_set_callback(s->done, on_done, s, NULL);
	g_source_set_static_name(s->done, name);
	g_source_attach(s->done, ctx);
	return s;
}

static void source_end(void *opaque)
{
	g_source_destroy(opaque);
}

void syncer_stop(struct syncer *s)
{
	if (!s)
		return;
	owner_call(s->ctx, source_end, s->done);
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < THREADS; i++)
		if (s->threads[i])
			g_thread_join(s->threads[i]);
}

void syncer_free(struct syncer *s)
{
	if (!s)
		return;
	syncer_forget_all(s);
	g_source_unref(s->done);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	g_free(s);
}
