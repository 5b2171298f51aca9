/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring of a console, its readers and the way of input.
 *
 * Theory.  One GSource holds every descriptor; each time it is dispatched,
 * hub_round() looks at all of them: listeners, input, output, and at the end
 * what to poll for next.  There is no other state machine.
 *
 * Output.  hub_put() copies under the lock and wakes the owner only when a
 * reader has asked for the next byte (`hungry`).  After a round that wrote
 * something the owner looks again by itself COALESCE_US later, and asks to be
 * woken only when there was nothing more: the first byte goes out at once, a
 * flood costs a copy per byte and no wake-up, whether readers are slow, fast
 * or absent.
 * total counts bytes for ever; byte i is at ring[i % HUB_RING_BYTES] while
 * total - i <= HUB_RING_BYTES.
 *
 * Input.  Nothing is read that the device has no room for.  `starved` is set
 * before room is asked for a last time; the device makes room first and looks
 * at `starved` then, so one of the two sees the other.  When a writer leaves,
 * what is still in its socket goes to the backlog: `echo reboot | vmsh console`
 * must not depend on how fast the guest reads.
 */
#include "config.h"
#include "libvmm/device/hub-priv.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "libvmm/device/recorder.h"
#include "libvmm/util/cleanup.h"

#define COALESCE_US 3000	/* 35 bytes of a real 115200 baud line */

struct hub_source {
	GSource base;
	struct hub *hub;
};

void hub_wake(struct hub *hub)
{
	g_source_set_ready_time(hub->source, 0);
}

/* --- any thread --- */

static void ring_write(struct hub *hub, const uint8_t *data, size_t len)
{
	size_t at = hub->total % HUB_RING_BYTES;
	size_t first = MIN(len, HUB_RING_BYTES - at);

	memcpy(hub->ring + at, data, first);
	memcpy(hub->ring, data + first, len - first);
	hub->total += len;
}

void hub_put(struct hub *hub, const uint8_t *data, size_t len)
{
	bool wake;

	pthread_mutex_lock(&hub->lock);
	if (hub->recorder)
		recorder_put(hub->recorder, hub->recorder_device, hub->total, data, len);
	if (len > HUB_RING_BYTES) {
		hub->total += len - HUB_RING_BYTES;
		data += len - HUB_RING_BYTES;
		len = HUB_RING_BYTES;
	}
	ring_write(hub, data, len);
	wake = hub->hungry;
	hub->hungry = false;
	pthread_mutex_unlock(&hub->lock);
	if (wake)
		hub_wake(hub);
}

void hub_ready(struct hub *hub)
{
	if (atomic_exchange(&hub->starved, false))
		hub_wake(hub);
}

/* --- the round --- */

static void hub_sweep(struct hub *hub)
{
	for (guint i = hub->readers->len; i-- > 0;) {
		struct hub_reader *r = hub->readers->pdata[i];

		if (r->dead)
			g_ptr_array_remove_index(hub->readers, i);
	}
}

static void hub_settle(struct hub *hub)
{
	bool starved = atomic_load(&hub->starved);
	bool behind = false, hungry = false;

	pthread_mutex_lock(&hub->lock);
	for (guint i = 0; i < hub->readers->len; i++) {
		struct hub_reader *r = hub->readers->pdata[i];

		if (!hub_reader_settle(r, starved))
			continue;
		hungry = true;
		behind |= r->pos < hub->total;
	}
	hub->hungry = hungry && !behind && !hub->busy;
	pthread_mutex_unlock(&hub->lock);
	if (behind)
		hub_wake(hub);
	else if (hub->busy)
		g_source_set_ready_time(hub->source, g_get_monotonic_time() + COALESCE_US);
}

static gboolean hub_round(GSource *source, GSourceFunc fn, void *arg)
{
	struct hub *hub = container_of(source, struct hub_source, base)->hub;

	g_source_set_ready_time(source, -1);
	hub->busy = false;
	hub_listeners_run(hub);
	hub_backlog_pump(hub);
	for (guint i = 0; i < hub->readers->len; i++) {
		struct hub_reader *r = hub->readers->pdata[i];

		if (!r->dead)
			hub_reader_round(r);
	}
	hub_sweep(hub);
	hub_settle(hub);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs hub_source_funcs = { .dispatch = hub_round };

/* --- life --- */

struct hub *hub_new(const char *name, GMainContext *owner)
{
	struct hub *hub = g_new0(struct hub, 1);

	hub->name = g_strdup(name);
	hub->owner = g_main_context_ref(owner ? owner : g_main_context_default());
	hub->escape = -1;
	hub->ring = mmap(NULL, HUB_RING_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (hub->ring == MAP_FAILED)
		g_error("no memory for the console '%s'", name);
	pthread_mutex_init(&hub->lock, NULL);
	hub->readers = g_ptr_array_new_with_free_func(hub_reader_free);
	hub->listeners = g_ptr_array_new_with_free_func(hub_listener_free);
	hub->backlog = g_byte_array_new();
	hub->source = g_source_new(&hub_source_funcs, sizeof(struct hub_source));
	container_of(hub->source, struct hub_source, base)->hub = hub;
	g_source_set_name(hub->source, name);
	g_source_attach(hub->source, owner);
	return hub;
}

void hub_free(struct hub *hub)
{
	if (!hub)
		return;
	g_ptr_array_unref(hub->readers);
	g_ptr_array_unref(hub->listeners);
	g_source_destroy(hub->source);
	g_source_unref(hub->source);
	g_byte_array_unref(hub->backlog);
	pthread_mutex_destroy(&hub->lock);
	munmap(hub->ring, HUB_RING_BYTES);
	g_main_context_unref(hub->owner);
	g_free(hub->name);
	g_free(hub);
}

void hub_set_device(struct hub *hub, const struct hub_ops *ops, void *dev)
{
	hub->ops = ops;
	hub->dev = dev;
	atomic_store(&hub->starved, false);
	hub_wake(hub);
}

void hub_record(struct hub *hub, struct recorder *recorder)
{
	hub->recorder_device = recorder_add(recorder, hub->name);
	hub->recorder = recorder;
}

const char *hub_name(const struct hub *hub)
{
	return hub->name;
}

void hub_set_escape(struct hub *hub, uint8_t byte, void (*fn)(void *arg), void *arg)
{
	hub->escape = byte;
	hub->escape_fn = fn;
	hub->escape_arg = arg;
}

void hub_resize(struct hub *hub, unsigned cols, unsigned rows)
{
	if (hub->ops && hub->ops->resize)
		hub->ops->resize(hub->dev, cols, rows);
}

uint64_t hub_total_bytes(struct hub *hub)
{
	uint64_t total;

	pthread_mutex_lock(&hub->lock);
	total = hub->total;
	pthread_mutex_unlock(&hub->lock);
	return total;
}

void hub_stats(struct hub *hub, struct hub_stats *ret)
{
	*ret = (struct hub_stats){
		.out_bytes = hub_total_bytes(hub),
		.in_bytes = atomic_load(&hub->in_bytes),
		.missed_bytes = atomic_load(&hub->missed_bytes),
		.readers = hub->readers->len,
		.has_writer = hub_writer(hub) != NULL,
	};
}

/* The first reader that has not got everything; all others have been given what they take. */
static struct hub_reader *hub_flush_all(struct hub *hub)
{
	struct hub_reader *waiting = NULL;

	for (guint i = 0; i < hub->readers->len; i++) {
		struct hub_reader *r = hub->readers->pdata[i];

		if (r->dead || r->out_fd < 0)
			continue;
		hub_reader_flush(r);
		if (!r->dead && (r->blocked || r->pos < hub_total_bytes(hub)))
			waiting = r;
	}
	return waiting;
}

void hub_drain(struct hub *hub, unsigned timeout_ms)
{
	int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
	struct hub_reader *r;

	while ((r = hub_flush_all(hub))) {
		int64_t left_ms = (end - g_get_monotonic_time()) / 1000;
		struct pollfd p = { .fd = r->out_fd, .events = POLLOUT };

		if (left_ms <= 0)
			return;
		poll(&p, 1, (int)left_ms);
	}
	hub_wake(hub);
}
