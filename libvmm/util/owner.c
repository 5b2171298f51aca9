/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Run a function on the thread that owns an object. */
#include "config.h"
#include "libvmm/util/owner.h"

#include <pthread.h>

struct call {
	owner_fn *fn;
	void *arg;
	GMutex lock;		/* protects done */
	GCond cond;
	gint posted, done;	/* atomic only for TSan, which can't see into GLib's locks */
};

struct post {
	owner_fn *fn;
	void *arg;
};

struct owner_thread {
	GMainContext *ctx;
	GMainLoop *loop;
	GThread *thread;
	char name[16];
};

static gboolean call_run(void *arg)
{
	struct call *c = arg;

	(void)g_atomic_int_get(&c->posted);
	c->fn(c->arg);
	g_mutex_lock(&c->lock);
	g_atomic_int_set(&c->done, TRUE);
	g_cond_signal(&c->cond);
	g_mutex_unlock(&c->lock);
	return G_SOURCE_REMOVE;
}

void owner_call(GMainContext *owner, owner_fn *fn, void *arg)
{
	struct call c = { .fn = fn, .arg = arg };

	if (g_main_context_is_owner(owner)) {
		fn(arg);
		return;
	}
	g_mutex_init(&c.lock);
	g_cond_init(&c.cond);
	g_atomic_int_set(&c.posted, TRUE);
	g_main_context_invoke_full(owner, G_PRIORITY_HIGH, call_run, &c, NULL);
	g_mutex_lock(&c.lock);
	while (!g_atomic_int_get(&c.done))
		g_cond_wait(&c.cond, &c.lock);
	g_mutex_unlock(&c.lock);
	g_mutex_clear(&c.lock);
	g_cond_clear(&c.cond);
}

static gboolean post_run(void *arg)
{
	struct post *p = arg;

	p->fn(p->arg);
	return G_SOURCE_REMOVE;
}

void owner_post(GMainContext *owner, owner_fn *fn, void *arg)
{
	g_autoptr(GSource) source = g_idle_source_new();
	struct post *p = g_new(struct post, 1);

	*p = (struct post){ .fn = fn, .arg = arg };
	g_source_set_priority(source, G_PRIORITY_DEFAULT);
	g_source_set_callback(source, post_run, p, g_free);
	g_source_attach(source, owner);
}

static void *owner_thread_main(void *arg)
{
	struct owner_thread *t = arg;

	pthread_setname_np(pthread_self(), t->name);
	g_main_context_push_thread_default(t->ctx);
	g_main_loop_run(t->loop);
	g_main_context_pop_thread_default(t->ctx);
	return NULL;
}

struct owner_thread *owner_thread_new(const char *name)
{
	struct owner_thread *t = g_new0(struct owner_thread, 1);

	g_strlcpy(t->name, name, sizeof(t->name));
	t->ctx = g_main_context_new();
	t->loop = g_main_loop_new(t->ctx, FALSE);
	t->thread = g_thread_new(t->name, owner_thread_main, t);
	return t;
}

GMainContext *owner_thread_context(struct owner_thread *t)
{
	return t->ctx;
}

static void thread_quit(void *arg)
{
	struct owner_thread *t = arg;

	g_main_loop_quit(t->loop);
}

void owner_thread_free(struct owner_thread *t)
{
	if (!t)
		return;
	owner_post(t->ctx, thread_quit, t);
	g_thread_join(t->thread);
	g_main_loop_unref(t->loop);
	g_main_context_unref(t->ctx);
	g_free(t);
}
