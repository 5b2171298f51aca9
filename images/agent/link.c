/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection: bytes in, frames to their channels, frames out. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/agent/channel.h"

#define UNSENT_MAX (4 * AGENT_DATA_MAX)
#define READ_ONCE 131072

bool link_has_room(const struct link *l)
{
	return bytes_count(&l->unsent) < UNSENT_MAX;
}

void link_send(struct link *l, uint8_t type, uint32_t channel, const void *data, uint32_t n)
{
	wire_put(&l->unsent, type, channel, data, n);
}

void link_send_json(struct link *l, uint8_t type, uint32_t channel, struct json_object *o)
{
	size_t n;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &n);

	if (n <= AGENT_DATA_MAX)
		link_send(l, type, channel, text, n);
	json_object_put(o);
}

static void greet(struct link *l)
{
	struct json_object *o = json_object_new_object();

	object_put_number(o, "version", AGENT_PROTOCOL_VERSION);
	object_put_text(o, "agent", PACKAGE_VERSION);
	object_put_number(o, "window", AGENT_WINDOW);
	link_send_json(l, AGENT_HELLO, 0, o);
}

struct link *link_new(struct agent *a, int in, int out, bool port)
{
	struct link *l = a->n_links < LINKS_MAX ? calloc(1, sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
	fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
	*l = (struct link){ .next = a->links, .agent = a, .in = in, .out = out, .port = port };
	a->links = l;
	a->n_links++;
	return l;
}

static void orphan_all(struct link *l)
{
	for (struct channel *ch = l->agent->channels; ch; ch = ch->next) {
		if (ch->link == l)
			channel_orphan(ch);
	}
}

static void link_end(struct link *l)
{
	if (l->dead)
		return;
	l->dead = true;
	orphan_all(l);
}

void link_free(struct link *l)
{
	l->agent->n_links--;
	close(l->in);
	if (l->out != l->in)
		close(l->out);
	bytes_clear(&l->unread);
	bytes_clear(&l->unsent);
	free(l);
}

/* A stream that went astray ends; a port can't, so it waits for somebody to begin anew. */
static void broken(struct link *l, const char *why)
{
	agent_log("protocol error: %s", why);
	if (!l->port) {
		link_end(l);
		return;
	}
	orphan_all(l);
	l->lost = true;
	l->greeted = false;
	l->zeroes = 0;
}

/* Half a frame of the old conversation may be on its way to the new partner. */
static void begin_anew(struct link *l)
{
	orphan_all(l);
	bytes_drop(&l->unsent, bytes_count(&l->unsent));
	memset(bytes_room(&l->unsent, AGENT_FLUSH), AGENT_PAD, AGENT_FLUSH);
	bytes_added(&l->unsent, AGENT_FLUSH);
	greet(l);
}

/* On a port, a HELLO is of somebody new: what was before it is over. */
static void on_hello(struct link *l, const struct frame *f)
{
	struct json_object *o = object_read(f->data, f->n);
	bool bad = false;

	if (!o || object_number(o, "version", 0, 1, INT32_MAX, &bad) < 1 || bad) {
		broken(l, "a HELLO without a version");
	} else if (l->greeted && !l->port) {
		broken(l, "a second HELLO");
	} else {
		begin_anew(l);
		l->greeted = true;
	}
	json_object_put(o);
}

static void on_request(struct link *l, const struct frame *f)
{
	struct json_object *o = object_read(f->data, f->n);

	if (!f->channel || channel_find(l, f->channel))
		broken(l, "a request on a channel that is in use");
	else if (!o)
		broken(l, "a request that is no JSON object");
	else
		channel_open(l, f->channel, o);
	json_object_put(o);
}

static void on_control(struct link *l, struct channel *ch, const struct frame *f)
{
	struct json_object *o = object_read(f->data, f->n);

	if (o)
		channel_control(ch, o);
	else
		broken(l, "a control that is no JSON object");
	json_object_put(o);
}

/* Frames to a channel that has ended crossed its end on their way: nothing is wrong. */
static void on_frame(struct link *l, const struct frame *f)
{
	struct channel *ch = channel_find(l, f->channel);

	if (f->type == AGENT_HELLO) {
		on_hello(l, f);
	} else if (!l->greeted) {
		broken(l, "the first frame is no HELLO");
	} else if (f->type == AGENT_REQUEST) {
		on_request(l, f);
	} else if (f->type > AGENT_CREDIT || (f->type == AGENT_CREDIT && f->n != 4)) {
		broken(l, "a frame of an agent's, or a bad CREDIT");
	} else if (ch && f->type == AGENT_CONTROL) {
		on_control(l, ch, f);
	} else if (ch && f->type == AGENT_INPUT) {
		if (!channel_input(ch, f->data, f->n))
			broken(l, "more input than the window allows");
	} else if (ch && f->type == AGENT_END) {
		channel_end(ch);
	} else if (ch) {
		channel_credit(ch, wire_u32(f->data));
	}
}

static void parse(struct link *l)
{
	struct frame f;
	size_t used;

	while (!l->dead && bytes_count(&l->unread)) {
		const uint8_t *data = l->unread.data + l->unread.start;
		size_t n = bytes_count(&l->unread);

		if (l->lost) {
			l->lost = !wire_skip(data, n, &l->zeroes, &used);
			bytes_drop(&l->unread, used);
			continue;
		}
		enum wire_result r = wire_next(data, n, &f, &used);
		if (r == WIRE_FRAME)
			on_frame(l, &f);
		else if (r == WIRE_BROKEN)
			broken(l, "what came is no frame");
		bytes_drop(&l->unread, used);
		if (r == WIRE_MORE)
			return;
	}
}

static void on_readable(void *opaque, short revents)
{
	struct link *l = opaque;

	if (l->dead)
		return;
	ssize_t n = read(l->in, bytes_room(&l->unread, READ_ONCE), READ_ONCE);
	if (n > 0) {
		bytes_added(&l->unread, n);
		parse(l);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		link_end(l);
	}
}

static void on_writable(void *opaque, short revents)
{
	struct link *l = opaque;

	if (l->dead)
		return;
	ssize_t n = write(l->out, l->unsent.data + l->unsent.start, bytes_count(&l->unsent));
	if (n > 0)
		bytes_drop(&l->unsent, n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		link_end(l);
}

void link_watch(struct link *l)
{
	if (l->agent->first_root)
		return; /* nobody is heard before the guest has its root */
	if (link_has_room(l))
		agent_watch(l->agent, l->in, POLLIN, on_readable, l);
	if (bytes_count(&l->unsent))
		agent_watch(l->agent, l->out, POLLOUT, on_writable, l);
}
