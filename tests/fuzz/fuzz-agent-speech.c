/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent, ours or a qemu-ga, sends to vmmd: in pieces, whatever it is. */
#include "config.h"
#include "fuzz.h"

#include "images/agent/proto.h"
#include "vmmd/agent-speech.h"

/* The first byte: the tongue; then pieces, whose first byte is their length, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t zeroes[AGENT_FLUSH];
	struct agent_speech *s;
	enum agent_tongue tongue;

	if (size == 0)
		return 0;
	tongue = data[0] % 3;
	s = agent_speech_new(tongue, "{\"execute\":\"guest-ping\"}", data[0] & 64, 7);
	if (tongue != AGENT_LINES && !(data[0] & 128))
		g_assert_true(agent_speech_take(s, zeroes, sizeof(zeroes), NULL));
	data++;
	size--;
	while (size > 0 && !agent_speech_answer(s)) {
		size_t n = MIN(size, (size_t)(data[0] & 63) + 1);
		g_autoptr(GError) error = NULL;

		if (!agent_speech_take(s, data, n, &error)) {
			g_assert_nonnull(error);
			break;
		}
		g_assert_cmpuint(agent_speech_out(s)->len, <, 1 << 20);
		data += n;
		size -= n;
	}
	if (agent_speech_answer(s)) {
		struct json_object *o = agent_json(agent_speech_answer(s),
						   strlen(agent_speech_answer(s)));
		if (o)
			g_assert_true(json_object_is_type(o, json_type_object));
		json_object_put(o);
	}
	agent_speech_free(s);
	return 0;
}
