/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One command of QEMU's guest agent protocol and its answer, as bytes. */
#include "config.h"
#include "vmmd/agent-speech.h"

#include <string.h>

#include "images/agent/object.h"
#include "images/agent/wire.h"
#include "libvmm/util/error.h"

#define CHANNEL 1
#define DELIMITER 0xff
#define SYNC_LINE_MAX 4096
#define OUT_MAX (1u << 20)	/* the flush, the credit's worth of a command, and as much again */

struct agent_speech {
	enum agent_tongue tongue;
	GByteArray *out;
	char *command;
	size_t command_bytes, sent;
	unsigned thaw_after;
	uint32_t sync, credit;
	bool greeted, running, complete;
	/* frames */
	struct wire_reader in;
	/* lines: in one that follows a delimiter */
	bool delimited;
	GString *text;
};

static bool bad(GError **error, const char *text)
{
	return error_set(error, VMM_ERR_AGENT, "Guest agent is not responding: it %s", text);
}

struct json_object *agent_json(const char *text, size_t n)
{
	unsigned words = 0;

	for (size_t i = 0; i < n; i++)
		words += text[i] == ',' || text[i] == '[' || text[i] == '{' || text[i] == ':';
	return words <= AGENT_WORDS_MAX ? object_read(text, n) : NULL;
}

/* ---- frames ---- */

static void put_frame(struct agent_speech *s, uint8_t type, uint32_t channel, const void *data,
		      size_t n)
{
	struct bytes b = { 0 };

	wire_put(&b, type, channel, data, (uint32_t)n);
	g_byte_array_append(s->out, b.data + b.start, (guint)bytes_count(&b));
	bytes_clear(&b);
}

static void put_json(struct agent_speech *s, uint8_t type, uint32_t channel, const char *text)
{
	put_frame(s, type, channel, text, strlen(text));
}

static void begin_frames(struct agent_speech *s)
{
	g_autofree char *hello = g_strdup_printf("{\"version\": %d}", AGENT_PROTOCOL_VERSION);
	g_autofree uint8_t *zeroes = g_malloc0(AGENT_FLUSH);

	if (s->tongue == AGENT_PORT)
		g_byte_array_append(s->out, zeroes, AGENT_FLUSH);
	put_json(s, AGENT_HELLO, 0, hello);
	s->in.lost = true;
}

static void put_input(struct agent_speech *s)
{
	while (s->sent < s->command_bytes && s->credit > 0) {
		size_t n = MIN(MIN(s->command_bytes - s->sent, s->credit), AGENT_DATA_MAX);

		put_frame(s, AGENT_INPUT, CHANNEL, s->command + s->sent, n);
		s->sent += n;
		s->credit -= (uint32_t)n;
		if (s->sent == s->command_bytes)
			put_frame(s, AGENT_END, CHANNEL, NULL, 0);
	}
}

static void on_hello(struct agent_speech *s)
{
	g_autofree char *thaw = s->thaw_after ?
					g_strdup_printf(", \"thaw_after\": %u", s->thaw_after) :
					g_strdup("");
	g_autofree char *request = g_strdup_printf("{\"do\": \"qga\"%s}", thaw);

	if (s->greeted)
		return;
	s->greeted = true;
	put_json(s, AGENT_REQUEST, CHANNEL, request);
}

static bool on_output(struct agent_speech *s, const struct frame *f, GError **error)
{
	uint8_t n[4];

	if (!s->running || s->text->len + f->n > AGENT_TEXT_MAX)
		return bad(error, "answers with more than can be taken");
	g_string_append_len(s->text, (const char *)f->data, f->n);
	for (int i = 0; i < 4; i++)
		n[i] = (uint8_t)(f->n >> 8 * i);
	put_frame(s, AGENT_CREDIT, CHANNEL, n, sizeof(n));
	return true;
}

/* What an agent of another release says, too: it knows no such request. */
static bool on_failed(const struct frame *f, GError **error)
{
	struct json_object *o = object_read(f->data, f->n);
	const char *text = object_text(o, "error");
	g_autofree char *plain = g_strndup(text ? text : "it does not say why", 512);

	for (char *c = plain; *c; c++)
		*c = g_ascii_iscntrl(*c) ? '?' : *c;
	json_object_put(o);
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: the guest's agent says: %s", plain);
}

static bool on_frame(struct agent_speech *s, const struct frame *f, GError **error)
{
	if (f->type == AGENT_HELLO) {
		on_hello(s);
		return true;
	}
	if (!s->greeted || f->channel != CHANNEL)
		return true; /* of somebody before us */
	switch (f->type) {
	case AGENT_REPLY:
		s->running = true;
		put_input(s);
		return true;
	case AGENT_CREDIT:
		s->credit = MIN(AGENT_WINDOW, s->credit +
			    MIN(f->n == 4 ? wire_u32(f->data) : 0, AGENT_WINDOW));
		put_input(s);
		return true;
	case AGENT_OUTPUT:
		return on_output(s, f, error);
	case AGENT_EXIT:
		s->complete = true;
		return true;
	case AGENT_FAILED:
		return on_failed(f, error);
	default:
		return bad(error, "sends frames that are none of its");
	}
}

static bool take_frames(struct agent_speech *s, const void *data, size_t n, GError **error)
{
	enum wire_result r = WIRE_MORE;
	struct frame f;

	bytes_add(&s->in.unread, data, n);
	while (!s->complete && (r = wire_read(&s->in, &f)) == WIRE_FRAME)
		if (!on_frame(s, &f, error))
			return false;
	return r != WIRE_BROKEN || bad(error, "does not speak its protocol");
}

/* ---- lines ---- */

/* The delimiter makes a qemu-ga forget what somebody may have left half said. */
static void begin_lines(struct agent_speech *s)
{
	static const uint8_t delimiter = DELIMITER;
	g_autofree char *line =
		g_strdup_printf("{\"execute\":\"guest-sync-delimited\","
				"\"arguments\":{\"id\":%u}}\n",
				s->sync);

	g_byte_array_append(s->out, &delimiter, 1);
	g_byte_array_append(s->out, (const uint8_t *)line, (guint)strlen(line));
}

/* Is this the answer to our sync, not to one of somebody before us? */
static bool is_ours(const struct agent_speech *s)
{
	struct json_object *o = object_read(s->text->str, s->text->len);
	struct json_object *id = o ? json_object_object_get(o, "return") : NULL;
	bool ours = json_object_is_type(id, json_type_int) && json_object_get_int64(id) == s->sync;

	json_object_put(o);
	return ours;
}

static void on_line(struct agent_speech *s)
{
	if (s->greeted) {
		s->complete = true;
		return;
	}
	if (is_ours(s)) {
		s->greeted = true;
		g_byte_array_append(s->out, (const uint8_t *)s->command, (guint)s->command_bytes);
		g_byte_array_append(s->out, (const uint8_t *)"\n", 1);
	}
	s->delimited = false;
	g_string_truncate(s->text, 0);
}

static bool take_lines(struct agent_speech *s, const uint8_t *data, size_t n, GError **error)
{
	for (size_t i = 0; i < n && !s->complete; i++) {
		size_t max = s->greeted ? AGENT_TEXT_MAX : SYNC_LINE_MAX;

		if (!s->greeted && data[i] == DELIMITER) {
			s->delimited = true;
			g_string_truncate(s->text, 0);
		} else if (!s->greeted && !s->delimited) {
			continue;
		} else if (data[i] == '\n' && s->text->len > 0) {
			on_line(s);
		} else if (s->text->len >= max) {
			return bad(error, "answers with more than can be taken");
		} else if (data[i] != '\n' && data[i] != '\r') {
			g_string_append_c(s->text, (char)data[i]);
		}
	}
	return true;
}

/* ---- both ---- */

struct agent_speech *agent_speech_new(enum agent_tongue tongue, const char *command,
				      unsigned thaw_after, uint32_t sync)
{
	struct agent_speech *s = g_new0(struct agent_speech, 1);

	s->tongue = tongue;
	s->out = g_byte_array_new();
	s->command = g_strdup(command);
	s->command_bytes = strlen(command);
	s->thaw_after = thaw_after;
	s->sync = sync;
	s->credit = AGENT_WINDOW;
	s->text = g_string_new(NULL);
	if (tongue == AGENT_LINES)
		begin_lines(s);
	else
		begin_frames(s);
	return s;
}

void agent_speech_free(struct agent_speech *s)
{
	if (!s)
		return;
	g_byte_array_unref(s->out);
	g_free(s->command);
	g_string_free(s->text, TRUE);
	bytes_clear(&s->in.unread);
	g_free(s);
}

GByteArray *agent_speech_out(struct agent_speech *s)
{
	return s->out;
}

bool agent_speech_take(struct agent_speech *s, const void *data, size_t n, GError **error)
{
	if (s->out->len > OUT_MAX)
		return bad(error, "does not read what it is sent");
	return s->tongue == AGENT_LINES ? take_lines(s, data, n, error) :
					  take_frames(s, data, n, error);
}

bool agent_speech_greeted(const struct agent_speech *s)
{
	return s->greeted;
}

const char *agent_speech_answer(const struct agent_speech *s)
{
	return s->complete ? s->text->str : NULL;
}
