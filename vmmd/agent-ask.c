/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command to what answers in a guest.
 *
 * The roads are tried in turn until on one somebody greets us; from then on the
 * command may have been heard, and there is no second try.  A line takes one
 * after the other: who comes later waits.  Each has a deadline for the greeting
 * and one for the answer, so a guest that hangs costs its caller seconds, and
 * us a descriptor until then.  A domain may go at any time: it is looked up.
 */
#include "config.h"
#include "vmmd/agent-ask.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "images/agent/object.h"
#include "libvmm/util/cleanup.h"
#include "images/agent/proto.h"
#include "libvmm/util/error.h"
#include "vmmd/agent-password.h"
#include "vmmd/agent-road.h"
#include "vmmd/agent-speech.h"

#define READ_BYTES 65536
#define TRIES 20		/* of a line that somebody has: perhaps we ourselves, just before */
#define TRY_MS 100
#define ASKS_MAX 64		/* of a domain, at a time */

enum road { ROAD_NONE, ROAD_VSOCK, ROAD_PORT, ROAD_QEMU, N_ROADS };

struct ask {
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
	char *command, *who;
	unsigned timeout_ms, thaw_after_s;
	agent_done *done;
	void *opaque;

	enum road road;
	bool waits;		/* for the line */
	unsigned tries;		/* to get it */
	bool dialing;		/* dialed() will come */
	bool over;		/* but nobody wants it */
	int fd;
	guint readable, writable, late;
	struct agent_speech *speech;
	GError *error;		/* of the last road */
};

static void ask_next(struct ask *a);

static struct domain *domain_of(const struct ask *a)
{
	struct domain *dom = domain_find_uuid(a->daemon->domains, a->uuid);

	return dom && dom->link && dom->live ? dom : NULL;
}

/* ---- the end ---- */

static void hang_up(struct ask *a)
{
	g_clear_handle_id(&a->readable, g_source_remove);
	g_clear_handle_id(&a->writable, g_source_remove);
	g_clear_handle_id(&a->late, g_source_remove);
	fd_close(&a->fd);
	g_clear_pointer(&a->speech, agent_speech_free);
}

static void ask_free(struct ask *a)
{
	hang_up(a);
	g_clear_error(&a->error);
	g_free(a->command);
	g_free(a->who);
	g_free(a);
}

/* The line is free: whoever waits for it goes on. */
static void line_free(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], enum road road)
{
	struct ask *next = NULL;

	for (GSList *l = daemon->agent_asks; l; l = l->next) {
		struct ask *a = l->data;

		if (memcmp(a->uuid, uuid, UUID_BYTES) == 0 && a->road == road && a->waits)
			next = a;	/* the list begins with the latest */
	}
	if (!next)
		return;
	next->waits = false;
	next->road--;		/* the same once more */
	ask_next(next);
}

/* The guest may say what it likes: a text of it is shown without what terminals obey. */
static GError *refusal(struct json_object *no)
{
	const char *desc = object_text(no, "desc");
	g_autofree char *plain = g_strndup(desc ? desc : "it does not say why", 512);

	for (char *c = plain; *c; c++)
		*c = g_ascii_iscntrl(*c) ? '?' : *c;
	return g_error_new(VMM_ERROR, VMM_ERR_INTERNAL,
			   "internal error: unable to execute QEMU agent command: %s", plain);
}

/* The line is hung up before: who is told may ask again at once. */
static void tell(agent_done *done, void *opaque, const char *answer, GError *error)
{
	struct json_object *o = answer ? agent_json(answer, strlen(answer)) : NULL;
	struct json_object *ret = NULL, *no = o ? json_object_object_get(o, "error") : NULL;

	if (!error && no)
		error = refusal(no);
	else if (!error && (!o || !json_object_object_get_ex(o, "return", &ret)))
		error_set(&error, VMM_ERR_AGENT,
			  "Guest agent is not responding: its answer is none");
	done(error ? NULL : ret, error ? NULL : answer, error, opaque);
	g_clear_error(&error);
	json_object_put(o);
}

/* Takes the error; without one the speech has the answer. */
static void ask_end(struct ask *a, GError *error)
{
	struct agent_speech *speech = g_steal_pointer(&a->speech);
	struct daemon *daemon = a->daemon;
	agent_done *done = a->done;
	void *opaque = a->opaque;
	enum road road = a->waits ? ROAD_NONE : a->road;
	uint8_t uuid[UUID_BYTES];

	memcpy(uuid, a->uuid, sizeof(uuid));
	daemon->agent_asks = g_slist_remove(daemon->agent_asks, a);
	hang_up(a);
	if (a->dialing)
		a->over = true;
	else
		ask_free(a);
	tell(done, opaque, error ? NULL : agent_speech_answer(speech), error);
	agent_speech_free(speech);
	if (road > ROAD_VSOCK)
		line_free(daemon, uuid, road);
}

/* Takes the error: of this road; on the next somebody may answer, if nobody has heard us. */
static void road_failed(struct ask *a, GError *error)
{
	bool heard = a->speech && agent_speech_greeted(a->speech);
	enum road road = a->road;

	if (heard) {
		ask_end(a, error);
		return;
	}
	hang_up(a);
	g_clear_error(&a->error);
	a->error = error;
	if (road > ROAD_VSOCK) {
		a->road = N_ROADS;
		line_free(a->daemon, a->uuid, road);
		a->road = road;
	}
	ask_next(a);
}

/* ---- a conversation ---- */

static gboolean on_late(void *opaque)
{
	struct ask *a = opaque;

	a->late = 0;
	road_failed(a, g_error_new(VMM_ERROR, VMM_ERR_AGENT,
				   "Guest agent is not responding: %s",
				   agent_speech_greeted(a->speech) ?
					   "it has not answered in time" :
					   "nobody answers in the guest"));
	return G_SOURCE_REMOVE;
}

static void ask_write(struct ask *a);

static gboolean on_writable(int fd, GIOCondition condition, void *opaque)
{
	struct ask *a = opaque;

	a->writable = 0;
	ask_write(a);
	return G_SOURCE_REMOVE;
}

/* An error of the write is one of the next read. */
static void ask_write(struct ask *a)
{
	GByteArray *out = agent_speech_out(a->speech);

	while (out->len > 0) {
		ssize_t n = write(a->fd, out->data, out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		g_byte_array_remove_range(out, 0, (guint)n);
	}
	if (out->len > 0 && !a->writable && errno == EAGAIN)
		a->writable = g_unix_fd_add(a->fd, G_IO_OUT, on_writable, a);
}

/* Greeted: from now on the time is the command's. */
static void new_deadline(struct ask *a)
{
	g_clear_handle_id(&a->late, g_source_remove);
	a->late = g_timeout_add(a->timeout_ms, on_late, a);
}

static gboolean on_readable(int fd, GIOCondition condition, void *opaque)
{
	struct ask *a = opaque;
	uint8_t buf[READ_BYTES];
	ssize_t n = read(fd, buf, sizeof(buf));
	bool greeted = agent_speech_greeted(a->speech);
	GError *error = NULL;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0)
		error_set(&error, VMM_ERR_AGENT,
			  "Guest agent is not responding: it has gone before it answered");
	if (error || !agent_speech_take(a->speech, buf, (size_t)n, &error)) {
		a->readable = 0;
		road_failed(a, error);
		return G_SOURCE_REMOVE;
	}
	if (agent_speech_answer(a->speech)) {
		a->readable = 0;
		ask_end(a, NULL);
		return G_SOURCE_REMOVE;
	}
	if (!greeted && agent_speech_greeted(a->speech))
		new_deadline(a);
	ask_write(a);
	return G_SOURCE_CONTINUE;
}

/* ---- the roads ---- */

static void dial(struct ask *a, struct domain *dom);

static gboolean on_again(void *opaque)
{
	struct ask *a = opaque;
	struct domain *dom = domain_of(a);

	a->late = 0;
	if (dom)
		dial(a, dom);
	else
		road_failed(a, g_error_new(VMM_ERROR, VMM_ERR_AGENT,
					   "Guest agent is not responding: the domain has ended"));
	return G_SOURCE_REMOVE;
}

static void on_dialed(int fd, const GError *error, void *opaque)
{
	static const enum agent_tongue tongues[N_ROADS] = {
		[ROAD_VSOCK] = AGENT_FRAMES, [ROAD_PORT] = AGENT_PORT, [ROAD_QEMU] = AGENT_LINES,
	};
	struct ask *a = opaque;
	g_autofree char *command = NULL;

	a->dialing = false;
	if (a->over) {
		if (fd >= 0)
			close(fd);
		ask_free(a);
		return;
	}
	if (error && a->road > ROAD_VSOCK && a->tries++ < TRIES) {
		a->late = g_timeout_add(TRY_MS, on_again, a);
		return;
	}
	if (error) {
		road_failed(a, g_error_new(VMM_ERROR, VMM_ERR_AGENT,
					   "Guest agent is not responding: %s", error->message));
		return;
	}
	a->fd = fd;
	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	command = a->road == ROAD_QEMU ? g_strdup(a->command) : agent_password(a->command);
	a->speech = agent_speech_new(tongues[a->road], command, a->thaw_after_s, g_random_int());
	a->readable = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, a);
	a->late = g_timeout_add(MIN(a->timeout_ms, AGENT_ANSWER_MS), on_late, a);
	ask_write(a);
}

static bool has_road(const struct domain *dom, enum road road)
{
	return road == ROAD_VSOCK ? dom->live->vsock != NULL :
				    agent_has_channel(dom->live, road == ROAD_PORT ?
								 DOMAIN_AGENT_CHANNEL :
								 AGENT_QEMU_CHANNEL);
}

static bool line_is_taken(const struct ask *self)
{
	for (GSList *l = self->daemon->agent_asks; l; l = l->next) {
		const struct ask *a = l->data;

		if (a != self && a->road == self->road && !a->waits &&
		    memcmp(a->uuid, self->uuid, UUID_BYTES) == 0)
			return true;
	}
	return false;
}

static void ask_next(struct ask *a)
{
	struct domain *dom = domain_of(a);

	for (a->road++; dom && a->road < N_ROADS && !has_road(dom, a->road); a->road++) {
	}
	if (!dom || a->road >= N_ROADS) {
		GError *error = g_steal_pointer(&a->error);

		a->road = N_ROADS;
		if (!error)
			error_set(&error, VMM_ERR_AGENT,
				  "Guest agent is not responding: QEMU guest agent is not "
				  "connected: the domain has no way to an agent: <vsock> or a "
				  "<channel> %s", AGENT_QEMU_CHANNEL);
		ask_end(a, error);
		return;
	}
	a->waits = a->road > ROAD_VSOCK && line_is_taken(a);
	if (!a->waits)
		dial(a, dom);
}

static void dial(struct ask *a, struct domain *dom)
{
	a->dialing = true;
	if (a->road == ROAD_VSOCK)
		agent_dial_vsock(dom, AGENT_VSOCK_PORT, on_dialed, a);
	else
		agent_dial_channel(dom, a->road == ROAD_PORT ? DOMAIN_AGENT_CHANNEL :
							       AGENT_QEMU_CHANNEL,
				   a->who, on_dialed, a);
}

static unsigned asks_of(const struct domain *dom)
{
	unsigned n = 0;

	for (GSList *l = dom->daemon->agent_asks; l; l = l->next)
		n += memcmp(((struct ask *)l->data)->uuid, dom->uuid, UUID_BYTES) == 0;
	return n;
}

void agent_ask(struct domain *dom, const struct agent_wish *wish, agent_done *done, void *opaque)
{
	unsigned own_ms = dom->agent_timeout_s > 0 ? dom->agent_timeout_s * 1000u : 0;
	g_autoptr(GError) error = NULL;
	struct ask *a;

	if (!dom->link || !dom->live)
		error_set(&error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: domain '%s' is not running",
			  dom->name);
	else if (dom->state == DOMAIN_PAUSED)
		error_set(&error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: domain '%s' is paused: its agent "
			  "can't answer", dom->name);
	else if (asks_of(dom) >= ASKS_MAX)
		error_set(&error, VMM_ERR_AGENT,
			  "Guest agent is not responding: %u commands wait for it already",
			  ASKS_MAX);
	else if (!*wish->command || strlen(wish->command) > AGENT_COMMAND_MAX)
		error_set(&error, VMM_ERR_INVALID_ARG,
			  "invalid argument: a command for the agent has 1 to %u bytes",
			  AGENT_COMMAND_MAX);
	if (error) {
		done(NULL, NULL, error, opaque);
		return;
	}
	a = g_new0(struct ask, 1);
	*a = (struct ask){
		.daemon = dom->daemon, .command = g_strdup(wish->command),
		.who = g_strdup(wish->who), .done = done, .opaque = opaque, .fd = -1,
		.timeout_ms = own_ms ?: wish->timeout_ms ?: AGENT_ANSWER_MS,
		.thaw_after_s = wish->thaw_after_s,
	};
	memcpy(a->uuid, dom->uuid, UUID_BYTES);
	a->daemon->agent_asks = g_slist_prepend(a->daemon->agent_asks, a);
	ask_next(a);
}

void agent_asks_end(struct daemon *daemon)
{
	while (daemon->agent_asks) {
		struct ask *a = daemon->agent_asks->data;

		a->waits = true;	/* nobody goes on after it */
		ask_end(a, g_error_new(VMM_ERROR, VMM_ERR_AGENT, "vmmd ends"));
	}
}

char *agent_command(const char *name, struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	char *text;

	object_put_text(o, "execute", name);
	if (args)
		json_object_object_add(o, "arguments", args);
	text = g_strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	return text;
}
