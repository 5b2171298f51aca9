/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One command of QEMU's guest agent protocol and its answer, in what our agent
 * speaks (frames around it, docs/agent-protocol.md) or in what a qemu-ga speaks
 * (lines).  No system calls; what comes in is a guest's and may be anything.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define AGENT_COMMAND_MAX (3u << 20)
#define AGENT_TEXT_MAX (4u << 20)	/* of an answer: what a libvirt client takes as a text */
#define AGENT_WORDS_MAX 65536		/* of JSON that is read: brackets, commas, colons */

enum agent_tongue {
	AGENT_FRAMES,
	AGENT_PORT,	/* frames, on a line that somebody may have had before */
	AGENT_LINES,
};

struct agent_speech;

/* sync: a number that no one before us will have used; thaw_after 0: as the agent likes. */
struct agent_speech *agent_speech_new(enum agent_tongue tongue, const char *command,
				      unsigned thaw_after, uint32_t sync);
void agent_speech_free(struct agent_speech *s);

/* What is to be sent now; the sender removes it from the front. */
GByteArray *agent_speech_out(struct agent_speech *s);
/* Bytes from the guest.  false: it does not speak the protocol, or says that it failed. */
bool agent_speech_take(struct agent_speech *s, const void *data, size_t n, GError **error);
/* Has it answered at all?  Until then the command has not been sent. */
bool agent_speech_greeted(const struct agent_speech *s);
/* The answer, an object; NULL: not yet. */
const char *agent_speech_answer(const struct agent_speech *s);

/* NULL: no object, or more than we care to keep in pieces. */
struct json_object *agent_json(const char *text, size_t n);
