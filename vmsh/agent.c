/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One conversation with the agent in a guest.
 *
 * What comes before the zeroes and the HELLO that answer ours is of somebody
 * before us.  Credit for output is given when it has been written, so that a
 * reader who stands still stops the guest's command, and nothing in between
 * keeps more than a window.
 */
#include "config.h"
#include "vmsh/agent.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

#include "images/agent/object.h"
#include "images/agent/wire.h"
#include "libvmm/util/error.h"
#include "vmsh/machine-end.h"

#define RETRY_MIN_MS 10 /* a guest may be up in a few hundred */
#define RETRY_MAX_MS 250
#define IGNORED_MS 5000

struct agent {
	struct shell *sh;
	char *name; /* the domain's */
	vmm_domain *dom;
	GMainContext *context;
	vmm_stream *stream;
	struct wire_reader in;
	bool greeted, closed, ended;
	bool gone;	  /* it has hung up */
	bool machine_off; /* and why */
	uint32_t channel; /* 0: no request is open */
	const struct agent_ops *ops;
	void *opaque;
	uint32_t input_credit;
	bool replied, told; /* told: ^C was passed on */
	bool shared;	    /* ^C is for others, too */
	GSource *ignored;   /* then: the command takes its time to end; NULL */
	struct agent_end end;
	GError *error;
};

static void send_frame(struct agent *a, uint8_t type, const void *data, uint32_t n)
{
	struct bytes out = { 0 };

	wire_put(&out, type, type == AGENT_HELLO ? 0 : a->channel, data, n);
	if (!a->closed &&
	    !vmm_stream_write(a->stream, out.data + out.start, bytes_count(&out), NULL))
		a->closed = true;
	bytes_clear(&out);
}

static bool send_json(struct agent *a, uint8_t type, struct json_object *o)
{
	size_t n;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &n);
	bool ok = n <= AGENT_DATA_MAX;

	if (ok)
		send_frame(a, type, text, (uint32_t)n);
	json_object_put(o);
	return ok;
}

void agent_stop(struct agent *a, GError *error)
{
	if (!a->error)
		a->error = error;
	else
		g_error_free(error);
	a->ended = true;
}

static void stop_with(struct agent *a, const char *text)
{
	agent_stop(a, g_error_new(VMM_ERROR, VMM_ERR_AGENT, "the agent of '%s' %s", a->name, text));
}

static void give_credit(struct agent *a, uint32_t n)
{
	uint8_t bytes[4];

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(n >> 8 * i);
	send_frame(a, AGENT_CREDIT, bytes, sizeof(bytes));
}

static void on_output(struct agent *a, const struct frame *f)
{
	if (a->ops && a->ops->output &&
	    !a->ops->output(a, f->type == AGENT_ERRORS, f->data, f->n, a->opaque))
		a->ended = true;
	give_credit(a, f->n);
}

static void on_credit(struct agent *a, const struct frame *f)
{
	uint32_t n = f->n == 4 ? wire_u32(f->data) : 0;

	a->input_credit = MIN(AGENT_WINDOW, a->input_credit + MIN(n, AGENT_WINDOW));
	if (a->ops && a->ops->room && a->replied)
		a->ops->room(a, a->opaque);
}

static void on_reply(struct agent *a, struct json_object *o)
{
	a->replied = true;
	if (a->ops && a->ops->reply)
		a->ops->reply(a, o, a->opaque);
	if (a->ops && a->ops->room)
		a->ops->room(a, a->opaque);
}

static void on_exit_frame(struct agent *a, struct json_object *o)
{
	bool bad = false;

	a->end.signal = (int)object_number(o, "signal", 0, 1, 64, &bad);
	a->end.code = a->end.signal ? -1 : (int)object_number(o, "code", 0, 0, 255, &bad);
	if (bad)
		stop_with(a, "tells an end that no process can have");
	a->channel = 0;
	a->ended = true;
}

/* The guest may say what it likes: a text of it is shown without what terminals obey. */
static void on_failed(struct agent *a, struct json_object *o)
{
	const char *text = object_text(o, "error");
	g_autofree char *plain = g_strdup(text ? text : "it does not say why");

	for (char *c = plain; *c; c++) {
		if (g_ascii_iscntrl(*c))
			*c = '?';
	}
	a->channel = 0;
	agent_stop(a, g_error_new(VMM_ERROR, VMM_ERR_AGENT, "'%s': %s", a->name, plain));
}

static void on_json(struct agent *a, const struct frame *f)
{
	struct json_object *o = object_read(f->data, f->n);

	if (!o)
		stop_with(a, "sends what is no JSON");
	else if (f->type == AGENT_HELLO)
		a->greeted = true;
	else if (f->type == AGENT_REPLY)
		on_reply(a, o);
	else if (f->type == AGENT_EXIT)
		on_exit_frame(a, o);
	else
		on_failed(a, o);
	json_object_put(o);
}

static void on_frame(struct agent *a, const struct frame *f)
{
	if (f->type != AGENT_HELLO && (!a->channel || f->channel != a->channel))
		return; /* of a request that is over */
	switch (f->type) {
	case AGENT_OUTPUT:
	case AGENT_ERRORS:
		on_output(a, f);
		break;
	case AGENT_CREDIT:
		on_credit(a, f);
		break;
	case AGENT_CLOSED:
		break; /* its exit follows */
	case AGENT_HELLO:
	case AGENT_REPLY:
	case AGENT_EXIT:
	case AGENT_FAILED:
		on_json(a, f);
		break;
	default:
		stop_with(a, "sends frames that are a host's");
	}
}

static void parse(struct agent *a)
{
	enum wire_result r = WIRE_MORE;
	struct frame f;

	while (!a->error && (r = wire_read(&a->in, &f)) == WIRE_FRAME)
		on_frame(a, &f);
	if (r == WIRE_BROKEN)
		stop_with(a, "does not speak its protocol");
}

static void on_data(vmm_stream *stream, const void *data, size_t bytes, void *opaque)
{
	struct agent *a = opaque;

	bytes_add(&a->in.unread, data, bytes);
	parse(a);
}

static void on_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct agent *a = opaque;

	a->closed = true;
	a->gone = !error && !a->error;
	if (error)
		agent_stop(a, g_error_copy(error));
	else
		stop_with(a, "has gone");
}

static gboolean on_ignored(void *opaque)
{
	agent_stop(opaque, g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "interrupted"));
	return G_SOURCE_REMOVE;
}

/* It stays readable for the others: who has passed it on looks no more, but waits not for ever. */
static gboolean interrupt_share(struct agent *a)
{
	a->told = true;
	a->ignored = g_timeout_source_new(IGNORED_MS);
	g_source_set_callback(a->ignored, on_ignored, a, NULL);
	g_source_attach(a->ignored, a->context);
	agent_signal(a, SIGINT);
	return G_SOURCE_REMOVE;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	struct agent *a = opaque;

	if (a->shared && a->channel && a->replied)
		return interrupt_share(a);

	if (a->channel && a->replied && !a->told) {
		a->told = true;
		shell_interrupt_clear(a->sh);
		agent_signal(a, SIGINT);
		return G_SOURCE_CONTINUE;
	}
	agent_stop(a, g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "interrupted"));
	return G_SOURCE_CONTINUE;
}

static gboolean on_late(void *opaque)
{
	struct agent *a = opaque;

	stop_with(a, "does not answer: it is not there, or not yet (vmsh console shows how far the "
		     "guest is)");
	return G_SOURCE_REMOVE;
}

static void iterate(struct agent *a, const bool *until, unsigned timeout_ms)
{
	g_autoptr(GSource) interrupt = g_unix_fd_source_new(a->sh->interrupt_fd, G_IO_IN);
	g_autoptr(GSource) late = timeout_ms ? g_timeout_source_new(timeout_ms) : NULL;

	g_source_set_callback(interrupt, G_SOURCE_FUNC(on_interrupt), a, NULL);
	g_source_attach(interrupt, a->context);
	if (late) {
		g_source_set_callback(late, on_late, a, NULL);
		g_source_attach(late, a->context);
	}
	while (!*until && !a->ended)
		g_main_context_iteration(a->context, TRUE);
	g_source_destroy(interrupt);
	if (late)
		g_source_destroy(late);
}

static void say_hello(struct agent *a)
{
	g_autofree uint8_t *zeroes = g_malloc0(AGENT_FLUSH);
	struct json_object *o = json_object_new_object();

	vmm_stream_write(a->stream, zeroes, AGENT_FLUSH, NULL);
	object_put_number(o, "version", AGENT_PROTOCOL_VERSION);
	send_json(a, AGENT_HELLO, o);
}

static struct agent *try_open(struct shell *sh, vmm_domain *dom, unsigned timeout_ms,
			      GError **error)
{
	static const struct vmm_stream_ops ops = { .data = on_data, .closed = on_closed };
	g_autoptr(agent) a = g_new0(struct agent, 1);

	a->sh = sh;
	a->name = g_strdup(vmm_domain_name(dom));
	a->dom = vmm_domain_ref(dom);
	a->context = g_main_context_new();
	a->in.lost = true;
	a->stream = vmm_domain_open_agent(dom, a->context, &ops, a, error);
	if (!a->stream)
		return NULL;
	say_hello(a);
	iterate(a, &a->greeted, timeout_ms);
	if (a->error) {
		g_propagate_error(error, g_steal_pointer(&a->error));
		return NULL;
	}
	return g_steal_pointer(&a);
}

/*
 * A guest that boots refuses until its agent is there; other errors don't go
 * away.  It is asked again after a tenth of the time that has passed.
 */
struct agent *agent_open(struct shell *sh, vmm_domain *dom, unsigned timeout_ms, GError **error)
{
	const gint64 begun = g_get_monotonic_time();
	const gint64 until = begun + timeout_ms * INT64_C(1000);

	for (;;) {
		g_autoptr(GError) why = NULL;
		gint64 now = g_get_monotonic_time(), left_ms = (until - now) / 1000;
		gint64 pause_ms = CLAMP((now - begun) / 10000, RETRY_MIN_MS, RETRY_MAX_MS);
		struct agent *a = try_open(sh, dom, (unsigned)MAX(left_ms, 1), &why);

		if (a)
			return a;
		if (!strstr(why->message, "not responding") || left_ms <= pause_ms ||
		    !shell_sleep(sh, (unsigned)pause_ms)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return NULL;
		}
	}
}

void agent_close(struct agent *a)
{
	if (!a)
		return;
	if (a->channel && a->stream && !a->closed) {
		agent_signal(a, SIGHUP); /* on a port our going is not seen */
		vmm_stream_finish(a->stream, NULL);
	}
	vmm_stream_free(a->stream);
	if (a->ignored) {
		g_source_destroy(a->ignored);
		g_source_unref(a->ignored);
	}
	bytes_clear(&a->in.unread);
	g_clear_error(&a->error);
	if (a->context)
		g_main_context_unref(a->context);
	vmm_domain_unref(a->dom);
	g_free(a->name);
	g_free(a);
}

static void explain_end(struct agent *a)
{
	const char *end = machine_end(a->sh, a->dom);

	if (!end)
		return;
	a->machine_off = true;
	g_clear_error(&a->error);
	a->error = g_error_new(VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			       "the machine of '%s' %s while the command ran", a->name, end);
}

bool agent_machine_off(const struct agent *a)
{
	return a->machine_off;
}

bool agent_run(struct agent *a, struct json_object *request, const struct agent_ops *ops,
	       void *opaque, struct agent_end *ret, GError **error)
{
	static const bool never = false;

	a->channel = 1;
	a->ops = ops;
	a->opaque = opaque;
	a->input_credit = AGENT_WINDOW;
	a->replied = a->told = a->ended = false;
	a->end = (struct agent_end){ .code = 1 };
	if (!send_json(a, AGENT_REQUEST, request)) {
		a->channel = 0;
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "the command and its environment have more than %u bytes",
				 AGENT_DATA_MAX);
	}
	iterate(a, &never, 0);
	a->ops = NULL;
	if (a->gone && a->error)
		explain_end(a);
	if (a->error) {
		g_propagate_error(error, g_steal_pointer(&a->error));
		return false;
	}
	*ret = a->end;
	return true;
}

static void keep_reply(struct agent *a, struct json_object *reply, void *opaque)
{
	struct json_object **ret = opaque;

	*ret = json_object_get(reply);
}

struct json_object *agent_ask(struct agent *a, struct json_object *request, GError **error)
{
	static const struct agent_ops ops = { .reply = keep_reply };
	struct json_object *reply = NULL;
	struct agent_end end;

	if (agent_run(a, request, &ops, &reply, &end, error))
		return reply;
	json_object_put(reply);
	return NULL;
}

void agent_share_interrupt(struct agent *a)
{
	a->shared = true;
}

GMainContext *agent_context(struct agent *a)
{
	return a->context;
}

size_t agent_room(const struct agent *a)
{
	return a->channel && a->replied ? a->input_credit : 0;
}

void agent_input(struct agent *a, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	g_assert(bytes <= a->input_credit);
	a->input_credit -= (uint32_t)bytes;
	for (size_t n; bytes > 0; p += n, bytes -= n) {
		n = MIN(bytes, AGENT_DATA_MAX);
		send_frame(a, AGENT_INPUT, p, (uint32_t)n);
	}
}

void agent_input_end(struct agent *a)
{
	send_frame(a, AGENT_END, NULL, 0);
}

void agent_control(struct agent *a, struct json_object *control)
{
	if (a->channel)
		send_json(a, AGENT_CONTROL, control);
	else
		json_object_put(control);
}

void agent_signal(struct agent *a, int signal)
{
	struct json_object *o = agent_request("kill");

	object_put_number(o, "signal", signal);
	agent_control(a, o);
}

struct json_object *agent_request(const char *what)
{
	struct json_object *o = json_object_new_object();

	object_put_text(o, "do", what);
	return o;
}

void agent_put_text(struct json_object *o, const char *key, const char *text)
{
	if (text)
		object_put_text(o, key, text);
}

void agent_put_number(struct json_object *o, const char *key, int64_t number)
{
	object_put_number(o, key, number);
}
