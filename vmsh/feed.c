/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A console's past and present as one. */
#include "config.h"
#include "vmsh/feed.h"

#include <string.h>

#include "libvmm/util/error.h"

/* More than any journal has: a copy that grows on is not one. */
#define COPY_BYTES_MAX (CONLOG_BYTES_MAX + (1u << 20))
#define COPY_STILL_S 30		/* without a byte: it will not come any more */

struct feed {
	struct feed_opts opts;
	const struct feed_ops *ops;
	void *opaque;
	vmm_stream *stream;		/* NULL: not live */
	struct vmm_console_place place;	/* of the stream's first byte */
	GByteArray *early;		/* live bytes, until the journal has been told; then NULL */
	bool ended;
	GError *ended_by;
	uint64_t skip;			/* live bytes that the journal had, too */
	struct feed_bit live;		/* what a live bit says but for its bytes */
};

/* ---- the copy of the journal ---- */

struct copy {
	GByteArray *bytes;
	size_t told;			/* of bytes, when on_still() last looked */
	bool closed;
	GError *error;
};

static gboolean on_still(void *opaque)
{
	struct copy *c = opaque;

	if (c->told == c->bytes->len && !c->error)
		error_set(&c->error, VMM_ERR_TIMEOUT,
			  "the journal of the console did not come within %d s", COPY_STILL_S);
	c->told = c->bytes->len;
	return G_SOURCE_CONTINUE;
}

static void copy_data(vmm_stream *stream, const void *data, size_t len, void *opaque)
{
	struct copy *c = opaque;

	if (c->bytes->len + len <= COPY_BYTES_MAX)
		g_byte_array_append(c->bytes, data, (guint)len);
	else if (!c->error)
		error_set(&c->error, VMM_ERR_RPC, "the console journal is too long");
}

static void copy_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct copy *c = opaque;

	c->closed = true;
	if (error && !c->error)
		c->error = g_error_copy(error);
}

static struct conlog *journal_read(vmm_domain *dom, GMainContext *context, GError **error)
{
	static const struct vmm_stream_ops ops = { .data = copy_data, .closed = copy_closed };
	struct copy copy = { .bytes = g_byte_array_new() };
	vmm_stream *stream = vmm_domain_open_console_log(dom, context, &ops, &copy, error);
	GSource *still = g_timeout_source_new_seconds(COPY_STILL_S);
	g_autoptr(GBytes) bytes = NULL;
	struct conlog *log = NULL;

	g_source_set_callback(still, on_still, &copy, NULL);
	g_source_attach(still, context);
	while (stream && !copy.closed && !copy.error)
		g_main_context_iteration(context, TRUE);
	g_source_destroy(still);
	g_source_unref(still);
	vmm_stream_free(stream);
	bytes = g_byte_array_free_to_bytes(copy.bytes);
	if (copy.error)
		g_propagate_error(error, copy.error);
	else if (stream)
		log = conlog_new(bytes, error);
	return log;
}

/* ---- the past ---- */

static bool device_matches(const struct feed *f, const struct conlog_entry *e)
{
	const char *device = f->stream ? f->place.device : f->opts.device;

	return device ? g_str_equal(e->device, device) : e->device_number == 0;
}

static bool entry_wanted(const struct feed *f, const struct conlog_entry *e, uint64_t last_boot)
{
	if (f->opts.boot != FEED_ALL_BOOTS &&
	    e->boot + (unsigned)f->opts.boot != last_boot)
		return false;
	return e->time_us >= f->opts.since_us;
}

static void entry_tell(struct feed *f, const struct conlog_entry *e)
{
	const struct feed_bit bit = {
		.time_us = e->time_us, .boot = e->boot, .boot_us = e->boot_us, .cause = e->cause,
		.device = e->device, .missed = e->missed, .data = e->data, .len = e->len,
	};

	f->ops->bit(&bit, f->opaque);
}

/* The last boot in the journal is an earlier machine's when this one's is not written. */
static bool journal_is_of(const struct feed *f, uint64_t run)
{
	return !f->stream || f->place.run == run;
}

static void journal_tell(struct feed *f, struct conlog *log)
{
	uint64_t last_boot = conlog_last_boot(log), end = 0;
	struct conlog_entry e;

	while (conlog_next(log, &e)) {
		bool ours = journal_is_of(f, e.run);

		if (e.device[0] && !device_matches(f, &e))
			continue;
		if (f->stream && ours) {
			end = MAX(end, e.pos + e.len);
			f->live.boot = e.boot;
			f->live.boot_us = e.boot_us;
			f->live.cause = e.cause;
		}
		if ((ours || f->opts.boot == FEED_ALL_BOOTS) && entry_wanted(f, &e, last_boot))
			entry_tell(f, &e);
	}
	if (f->stream && end > f->place.position)
		f->skip = end - f->place.position;
	else if (f->stream && f->live.boot)
		f->live.missed = f->place.position - end;
}

/* ---- the present ---- */

static void live_tell(struct feed *f, const uint8_t *data, size_t len)
{
	size_t skip = MIN(f->skip, len);

	f->skip -= skip;
	if (skip == len)
		return;
	f->live.time_us = g_get_real_time();
	f->live.data = data + skip;
	f->live.len = len - skip;
	f->ops->bit(&f->live, f->opaque);
	f->live.missed = 0;
}

static void on_data(vmm_stream *stream, const void *data, size_t len, void *opaque)
{
	struct feed *f = opaque;

	if (f->early)
		g_byte_array_append(f->early, data, (guint)len);
	else
		live_tell(f, data, len);
}

static void on_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct feed *f = opaque;

	f->ended = true;
	if (f->early)
		f->ended_by = error ? g_error_copy(error) : NULL;
	else if (f->ops->ended)
		f->ops->ended(error, f->opaque);
}

static void early_tell(struct feed *f)
{
	g_autoptr(GByteArray) early = g_steal_pointer(&f->early);

	if (early->len)
		live_tell(f, early->data, early->len);
	if (f->ended && f->ops->ended)
		f->ops->ended(f->ended_by, f->opaque);
}

/* ---- life ---- */

static bool feed_begin(struct feed *f, vmm_domain *dom, GMainContext *context, GError **error)
{
	static const struct vmm_stream_ops ops = { .data = on_data, .closed = on_closed };
	g_autoptr(conlog) log = NULL;

	if (f->opts.live) {
		f->stream = vmm_domain_attach_console(dom, f->opts.device, f->opts.flags, context,
						      &ops, f, &f->place, error);
		if (!f->stream)
			return false;
		f->live.device = f->place.device;
	}
	if (f->opts.journal) {
		log = journal_read(dom, context, error);
		if (!log)
			return false;
		journal_tell(f, log);
	}
	early_tell(f);
	return true;
}

struct feed *feed_open(vmm_domain *dom, const struct feed_opts *opts, GMainContext *context,
		       const struct feed_ops *ops, void *opaque, GError **error)
{
	struct feed *f = g_new0(struct feed, 1);

	*f = (struct feed){ .opts = *opts, .ops = ops, .opaque = opaque,
			    .early = g_byte_array_new() };
	if (feed_begin(f, dom, context, error))
		return f;
	feed_free(f);
	return NULL;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	vmm_stream_free(f->stream);
	if (f->early)
		g_byte_array_unref(f->early);
	g_clear_error(&f->ended_by);
	g_free(f);
}

vmm_stream *feed_stream(struct feed *f)
{
	return f->stream;
}

const char *feed_device(const struct feed *f)
{
	return f->place.device;
}
