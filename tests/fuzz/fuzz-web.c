/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a Host, an Origin, cookies and JSON of a browser: they let nobody in. */
#include "config.h"
#include "fuzz.h"

#include "vmsh/web/gate.h"
#include "vmsh/web/said.h"

static void try_words(const uint8_t *data, size_t size)
{
	g_auto(said) words = { 0 };

	if (!said_parse(data, size, &words))
		g_assert_null(words.what);
	g_assert_cmpint(words.bytes, >=, -1);
	g_assert_cmpint(words.bytes, <=, SAID_BYTES_MAX);
	g_assert_cmpint(words.columns, <=, SAID_BYTES_MAX);
	g_assert_cmpint(words.rows, <=, SAID_BYTES_MAX);
}

static void try_gate(const char *text)
{
	static const char *const names[] = { "fleet.example", NULL };
	g_autoptr(gate) g = gate_new(8000, names);
	g_autofree char *token = g_strdup(gate_token_new(g, 1));
	struct gate_pass pass;

	g_assert_cmpint(gate_login(g, text, 2, &pass), !=, GATE_IN);
	g_assert_cmpint(gate_login(g, token, 3, &pass), ==, GATE_IN);
	if (!strstr(text, pass.cookie))
		g_assert_false(gate_knows(g, text, pass.key, 4));
	if (gate_host_allowed(g, text))
		g_assert_null(strpbrk(text, "/@?#\\ \t\r\n,;"));
	if (gate_origin_allowed("127.0.0.1:8000", text))
		g_assert_true(g_ascii_strcasecmp(text, "http://127.0.0.1:8000") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);

	fuzz_quiet();
	try_words(data, size);
	try_gate(text);
	return 0;
}
