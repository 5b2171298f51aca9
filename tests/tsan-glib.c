/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What TSan can't see of GLib, which is not built with it: that a lock, a queue
 * or a main loop hands memory from one thread to another.  A library to preload
 * (HACKING.md); without it each such handing-over looks like a race, and when
 * all of GLib is suppressed instead nothing that its threads do is looked at.
 *
 * Locks and queues are told as they are.  Who gives a main loop or a pool work
 * is before all that is done after a poll() or by a pool: more than is true,
 * so a race between two such messages may be missed.
 */
#include <dlfcn.h>
#include <glib.h>
#include <poll.h>

/* Weak: programs that are not built with TSan have the library preloaded, too. */
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

static char loops;

static void acquire(void *address)
{
	if (__tsan_acquire)
		__tsan_acquire(address);
}

static void release(void *address)
{
	if (__tsan_release)
		__tsan_release(address);
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

#define LOCK(type, name, lock) \
	void name##lock(type *l) \
	{ \
		REAL(name##lock)(l); \
		acquire(l); \
	}
#define UNLOCK(type, name, unlock) \
	void name##unlock(type *l) \
	{ \
		release(l); \
		REAL(name##unlock)(l); \
	}
#define TRYLOCK(type, name, trylock) \
	gboolean name##trylock(type *l) \
	{ \
		gboolean got = REAL(name##trylock)(l); \
\
		if (got) \
			acquire(l); \
		return got; \
	}
LOCK(GMutex, g_mutex_, lock)
TRYLOCK(GMutex, g_mutex_, trylock)
UNLOCK(GMutex, g_mutex_, unlock)
LOCK(GRecMutex, g_rec_mutex_, lock)
UNLOCK(GRecMutex, g_rec_mutex_, unlock)
LOCK(GRWLock, g_rw_lock_, writer_lock)
UNLOCK(GRWLock, g_rw_lock_, writer_unlock)
LOCK(GRWLock, g_rw_lock_, reader_lock)
UNLOCK(GRWLock, g_rw_lock_, reader_unlock)

void g_cond_wait(GCond *cond, GMutex *l)
{
	release(l);
	REAL(g_cond_wait)(cond, l);
	acquire(l);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *l, gint64 end_us)
{
	gboolean in_time;

	release(l);
	in_time = REAL(g_cond_wait_until)(cond, l, end_us);
	acquire(l);
	return in_time;
}

/* ---- queues and pools ---- */

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
	release(queue);
	REAL(g_async_queue_push)(queue, data);
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
	gpointer data = REAL(g_async_queue_pop)(queue);

	acquire(queue);
	return data;
}

/* What a pool was to run, and with what. */
struct work {
	GFunc fn;
	gpointer user;
};

static void work_run(gpointer data, gpointer user)
{
	struct work *w = user;

	acquire(&loops);
	w->fn(data, w->user);
	release(&loops);
}

GThreadPool *g_thread_pool_new(GFunc fn, gpointer user, gint threads, gboolean exclusive,
			       GError **error)
{
	struct work *w = g_new(struct work, 1);	/* as long as the program */

	*w = (struct work){ fn, user };
	return REAL(g_thread_pool_new)(work_run, w, threads, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error)
{
	release(&loops);
	return REAL(g_thread_pool_push)(pool, data, error);
}

void g_thread_pool_free(GThreadPool *pool, gboolean immediate, gboolean wait)
{
	REAL(g_thread_pool_free)(pool, immediate, wait);
	acquire(&loops);
}

/* ---- main loops ---- */

guint g_source_attach(GSource *source, GMainContext *context)
{
	release(&loops);
	return REAL(g_source_attach)(source, context);
}

void g_main_context_invoke_full(GMainContext *context, gint priority, GSourceFunc fn, gpointer data,
				GDestroyNotify notify)
{
	release(&loops);
	REAL(g_main_context_invoke_full)(context, priority, fn, data, notify);
}

static gint poll_told(GPollFD *fds, guint n, gint timeout_ms)
{
	gint ready = poll((struct pollfd *)fds, n, timeout_ms);

	acquire(&loops);
	return ready;
}

void g_main_loop_run(GMainLoop *loop)
{
	g_main_context_set_poll_func(g_main_loop_get_context(loop), poll_told);
	REAL(g_main_loop_run)(loop);
}

gboolean g_main_context_iteration(GMainContext *context, gboolean may_block)
{
	g_main_context_set_poll_func(context ? context : g_main_context_default(), poll_told);
	return REAL(g_main_context_iteration)(context, may_block);
}
