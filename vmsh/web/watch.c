/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fleet, looked at again and again. */
#include "config.h"
#include "vmsh/web/watch.h"

#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"
#include "vmsh/json.h"
#include "vmsh/top-sample.h"

#define LOOK_MS 2000
#define SOON_MS 150			/* after an event: others come with it */
#define DOWN_MS 1000

struct watch {
	const char *uri;
	struct shell *sh;
	watch_fn *fn;			/* the main loop's, as opaque */
	void *opaque;
	gint ended;			/* atomic: what is posted is for nobody */
	struct owner_thread *thread;

	/* The thread's. */
	GMainContext *context;
	vmm_connect *conn;
	struct top_sample *sample;
	GSource *timer;
	bool on, hurries;		/* hurries: an event has set the timer */
};

/* ---- to the main loop ---- */

struct news {
	struct watch *w;
	char *json;
};

static void news_tell(void *arg)
{
	struct news *n = arg;

	if (!g_atomic_int_get(&n->w->ended))
		n->w->fn(n->json, n->w->opaque);
	g_free(n->json);
	g_free(n);
}

/* watch_free() lets the main loop run what is left of them. */
static void news_post(struct watch *w, struct json *j)
{
	struct news *n = g_new(struct news, 1);

	*n = (struct news){ w, json_finish(j) };
	owner_post(NULL, news_tell, n);
}

static void put_row(struct json *j, const struct top_row *r)
{
	json_begin_object(j, NULL);
	json_string(j, "uuid", vmm_domain_uuid(r->dom));
	json_string(j, "name", vmm_domain_name(r->dom));
	json_string(j, "state", vmm_state_text(r->state));
	json_signed(j, "id", vmm_domain_id(r->dom));
	json_number(j, "vcpus", r->vcpus);
	json_number(j, "memory", r->memory_bytes);
	json_number(j, "uptime", r->uptime_s);
	json_double(j, "cpu", r->cpu_percent);
	json_double(j, "read", r->read_rate);
	json_double(j, "write", r->write_rate);
	json_double(j, "rx", r->rx_rate);
	json_double(j, "tx", r->tx_rate);
	json_end(j);
}

static void tell_fleet(struct watch *w)
{
	struct json *j = json_new_line();
	g_autofree char *host = vmm_connect_hostname(w->conn, NULL);

	json_begin_object(j, NULL);
	json_string(j, "is", "fleet");
	json_string(j, "host", host);
	json_bool(j, "read_only", w->sh->connect_flags & VMM_CONNECT_RO);
	json_begin_array(j, "domains");
	for (unsigned i = 0; i < top_sample_count(w->sample); i++)
		put_row(j, top_sample_row(w->sample, i));
	json_end(j);
	json_end(j);
	news_post(w, j);
}

static void tell_down(struct watch *w, const GError *error)
{
	struct json *j = json_new_line();

	json_begin_object(j, NULL);
	json_string(j, "is", "down");
	json_string(j, "why", error->message);
	json_end(j);
	news_post(w, j);
}

/* ---- looking, on the thread ---- */

static gboolean on_timer(void *opaque);

static void timer_set(struct watch *w, unsigned ms)
{
	if (w->timer) {
		g_source_destroy(w->timer);
		g_source_unref(w->timer);
	}
	w->timer = g_timeout_source_new(ms);
	g_source_set_callback(w->timer, on_timer, w, NULL);
	g_source_attach(w->timer, w->context);
}

static void on_event(vmm_connect *conn, const struct vmm_event *event, void *opaque)
{
	struct watch *w = opaque;

	if (!w->on || w->hurries)
		return;
	w->hurries = true;
	timer_set(w, SOON_MS);
}

static void on_gone(vmm_connect *conn, const GError *error, void *opaque)
{
	on_event(conn, NULL, opaque);
}

static bool watch_connect(struct watch *w, GError **error)
{
	if (w->conn && vmm_connect_is_alive(w->conn))
		return true;
	g_clear_pointer(&w->sample, top_sample_free);
	g_clear_pointer(&w->conn, vmm_connect_close);
	w->conn = vmm_connect_open_interruptible(w->uri, w->sh->connect_flags,
						 w->sh->interrupt_fd, error);
	if (!w->conn)
		return false;
	vmm_connect_set_close_callback(w->conn, w->context, on_gone, w);
	return vmm_event_register(w->conn, NULL, VMM_EVENT_LIFECYCLE, w->context, on_event, w,
				  error) >= 0;
}

static bool look(struct watch *w, GError **error)
{
	struct top_sample *next;

	if (!watch_connect(w, error))
		return false;
	next = top_sample_new(w->conn, w->sample, true, error);
	if (!next)
		return false;
	top_sample_free(w->sample);
	w->sample = next;
	top_sample_sort(w->sample, SORT_NAME, false);
	return true;
}

static gboolean on_timer(void *opaque)
{
	struct watch *w = opaque;
	g_autoptr(GError) error = NULL;
	bool up = look(w, &error);

	w->hurries = false;
	if (up)
		tell_fleet(w);
	else
		tell_down(w, error);
	timer_set(w, up ? LOOK_MS : DOWN_MS);
	return G_SOURCE_REMOVE;
}

/* ---- from the main loop ---- */

static void begin(void *arg)
{
	struct watch *w = arg;

	w->on = true;
	w->hurries = false;
	timer_set(w, 0);
}

/* What is not looked at for long makes no rates of it. */
static void end(void *arg)
{
	struct watch *w = arg;

	w->on = false;
	g_clear_pointer(&w->sample, top_sample_free);
	if (!w->timer)
		return;
	g_source_destroy(w->timer);
	g_source_unref(g_steal_pointer(&w->timer));
}

static void soon(void *arg)
{
	on_event(NULL, NULL, arg);
}

void watch_set(struct watch *w, bool on)
{
	owner_post(w->context, on ? begin : end, w);
}

void watch_soon(struct watch *w)
{
	owner_post(w->context, soon, w);
}

struct watch *watch_new(struct shell *sh, const char *uri, watch_fn *fn, void *opaque)
{
	struct watch *w = g_new0(struct watch, 1);

	w->sh = sh;
	w->uri = uri;
	w->fn = fn;
	w->opaque = opaque;
	w->thread = owner_thread_new("web-watch");
	w->context = owner_thread_context(w->thread);
	return w;
}

static void disconnect(void *arg)
{
	struct watch *w = arg;

	end(w);
	g_clear_pointer(&w->conn, vmm_connect_close);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	g_atomic_int_set(&w->ended, TRUE);
	owner_call(w->context, disconnect, w);
	owner_thread_free(w->thread);
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_free(w);
}
