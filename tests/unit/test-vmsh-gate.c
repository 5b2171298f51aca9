/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is let in to the pages of vmsh web. */
#include "config.h"

#include <glib.h>
#include <stdint.h>

#include "vmsh/web/gate.h"

#define MINUTE (INT64_C(60) * G_USEC_PER_SEC)

static struct gate *gate_with(struct gate_pass *ret, gint64 now_us)
{
	struct gate *g = gate_new(8000, NULL);
	g_autofree char *token = g_strdup(gate_token_new(g, now_us));

	g_assert_cmpint(gate_login(g, token, now_us, ret), ==, GATE_IN);
	return g;
}

static bool knows(const struct gate *g, const char *before, const struct gate_pass *pass,
		  const char *after, gint64 now_us)
{
	g_autofree char *cookies =
		g_strdup_printf("%s%s=%s%s", before, gate_cookie_name(g), pass->cookie, after);

	return gate_knows(g, cookies, pass->key, now_us);
}

static void a_token_lets_in_once_and_ages(void)
{
	g_autoptr(gate) g = gate_new(8000, NULL);
	g_autofree char *first = g_strdup(gate_token_new(g, 0));
	g_autofree char *second = g_strdup(gate_token_new(g, 0));
	struct gate_pass pass;

	g_assert_cmpstr(first, !=, second);
	g_assert_cmpint(gate_login(g, first, 1, &pass), ==, GATE_WRONG);
	g_assert_cmpint(gate_login(g, second, 1, &pass), ==, GATE_IN);
	g_assert_cmpint(gate_login(g, second, 1, &pass), ==, GATE_WRONG);
	g_free(second);
	second = g_strdup(gate_token_new(g, 0));
	g_assert_cmpint(gate_login(g, second, GATE_TOKEN_MINUTES * MINUTE, &pass), ==, GATE_WRONG);
	g_assert_cmpint(gate_login(g, NULL, 1, &pass), ==, GATE_WRONG);
}

static void guessing_becomes_slow(void)
{
	g_autoptr(gate) g = gate_new(8000, NULL);
	g_autofree char *token = g_strdup(gate_token_new(g, 0));
	struct gate_pass pass;
	unsigned tried = 0;

	for (gint64 now = 0; now < MINUTE; now += G_USEC_PER_SEC / 100)
		tried += gate_login(g, "0", now, &pass) == GATE_WRONG;
	g_assert_cmpuint(tried, <=, 36);
	g_assert_cmpint(gate_login(g, token, MINUTE - 1, &pass), ==, GATE_WAIT);
	g_assert_cmpint(gate_login(g, token, 2 * MINUTE, &pass), ==, GATE_IN);
}

static void a_session_takes_both_secrets_and_ends(void)
{
	struct gate_pass pass, other;
	g_autoptr(gate) g = gate_with(&pass, 0);

	g_assert_true(knows(g, "", &pass, "", 1));
	g_assert_true(knows(g, "a=b; ", &pass, "; c", 1));
	g_assert_false(knows(g, "x", &pass, "", 1));
	g_assert_false(knows(g, "", &pass, "0", 1));
	g_assert_false(gate_knows(g, NULL, pass.key, 1));
	other = pass;
	other.key[0] ^= 1;
	g_assert_false(knows(g, "", &other, "", 1));
	g_assert_false(knows(g, "", &pass, "", GATE_SESSION_HOURS * 60 * MINUTE));
}

static void the_ninth_session_takes_the_place_of_the_first(void)
{
	struct gate_pass pass[9];
	g_autoptr(gate) g = gate_with(&pass[0], 0);

	for (unsigned i = 1; i < G_N_ELEMENTS(pass); i++) {
		g_autofree char *token = g_strdup(gate_token_new(g, i));

		g_assert_cmpint(gate_login(g, token, i, &pass[i]), ==, GATE_IN);
	}
	g_assert_false(knows(g, "", &pass[0], "", 10));
	for (unsigned i = 1; i < G_N_ELEMENTS(pass); i++)
		g_assert_true(knows(g, "", &pass[i], "", 10));
}

static void hosts_are_addresses_and_known_names(void)
{
	static const char *const names[] = { "fleet.example", NULL };
	static const char *const good[] = { "127.0.0.1", "127.0.0.1:1", "localhost",
					    "LOCALHOST:65535", "[::1]:80", "[::1]",
					    "192.0.2.7:8000", "Fleet.Example:8000" };
	static const char *const bad[] = { "", ":8000", "evil.example", "localhost.evil.example",
					   "127.0.0.1.evil.example", "127.0.0.1:", "127.0.0.1:80x",
					   "127.0.0.1:123456", "127.0.0.1, evil.example", "[::1",
					   "[::1]x", "a@127.0.0.1", "127.0.0.1:80:80",
					   "fleet.example.", "127.0.0.1/x" };
	g_autoptr(gate) g = gate_new(8000, names);

	for (unsigned i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(gate_host_allowed(g, good[i]));
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(gate_host_allowed(g, bad[i]));
	g_assert_false(gate_host_allowed(g, NULL));
}

static void the_origin_is_the_same_place(void)
{
	g_assert_true(gate_origin_allowed("127.0.0.1:8000", "http://127.0.0.1:8000"));
	g_assert_false(gate_origin_allowed("127.0.0.1:8000", "http://127.0.0.1:8001"));
	g_assert_false(gate_origin_allowed("127.0.0.1:8000", "https://127.0.0.1:8000"));
	g_assert_false(gate_origin_allowed("127.0.0.1:8000", "http://localhost:8000"));
	g_assert_false(gate_origin_allowed("127.0.0.1:8000", "null"));
	g_assert_false(gate_origin_allowed("127.0.0.1:8000", NULL));
	g_assert_false(gate_origin_allowed(NULL, "http://127.0.0.1:8000"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/gate/once", a_token_lets_in_once_and_ages);
	g_test_add_func("/gate/slow", guessing_becomes_slow);
	g_test_add_func("/gate/session", a_session_takes_both_secrets_and_ends);
	g_test_add_func("/gate/ninth", the_ninth_session_takes_the_place_of_the_first);
	g_test_add_func("/gate/hosts", hosts_are_addresses_and_known_names);
	g_test_add_func("/gate/origin", the_origin_is_the_same_place);
	return g_test_run();
}
