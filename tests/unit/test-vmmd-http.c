/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of HTTP requests: what is right is understood, what is odd is refused. */
#include "config.h"

#include <glib.h>
#include <string.h>

#include "vmmd/http-head.h"

static int parse(const char *text, struct http_head *ret)
{
	size_t bytes = strlen(text);

	g_assert_cmpuint(http_head_length(text, bytes), ==, bytes);
	return http_head_parse(text, bytes, ret);
}

static void what_prometheus_asks_for_is_understood(void)
{
	struct http_head head;

	g_assert_cmpint(parse("GET /metrics?x=1 HTTP/1.1\r\nHost: localhost:9177\r\n"
			      "User-Agent: Prometheus/2.42\r\nContent-Length: 0\r\n"
			      "accept: application/openmetrics-text;version=1.0.0,*/*\r\n\r\n",
			      &head), ==, 200);
	g_assert_cmpstr(head.path, ==, "/metrics");
	g_assert_true(head.openmetrics && !head.head_only);
	g_assert_cmpint(parse("HEAD / HTTP/1.0\r\n\r\n", &head), ==, 200);
	g_assert_cmpstr(head.path, ==, "/");
	g_assert_true(!head.openmetrics && head.head_only);
}

static void what_is_odd_is_refused(void)
{
	static const struct {
		int status;
		const char *text;
	} odd[] = {
		{ 400, "\r\n\r\n" }, { 400, "GET\r\n\r\n" }, { 400, "GET /\r\n\r\n" },
		{ 400, "GET  / HTTP/1.1\r\n\r\n" }, { 400, "GET / HTTP/1.1 x\r\n\r\n" },
		{ 400, " GET / HTTP/1.1\r\n\r\n" }, { 400, "GET metrics HTTP/1.1\r\n\r\n" },
		{ 400, "GET http://x/ HTTP/1.1\r\n\r\n" }, { 400, "GET /\t HTTP/1.1\r\n\r\n" },
		{ 400, "GET /\xc3\xa4 HTTP/1.1\r\n\r\n" }, { 505, "GET / HTTP/2.0\r\n\r\n" },
		{ 505, "GET / HTTP/1.10\r\n\r\n" }, { 400, "GET / FTP/1.1\r\n\r\n" },
		{ 405, "POST / HTTP/1.1\r\n\r\n" }, { 405, "get / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nno field\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n: x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nA : x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nA: x\r\n folded\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nA: x\ny\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" },
	};
	struct http_head head;

	for (unsigned i = 0; i < G_N_ELEMENTS(odd); i++) {
		g_test_message("%s", odd[i].text);
		g_assert_cmpint(parse(odd[i].text, &head), ==, odd[i].status);
	}
	g_assert_cmpint(http_head_parse("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 23, &head), ==, 400);
}

static void a_head_has_an_end_and_a_bound(void)
{
	GString *text = g_string_new("GET / HTTP/1.1\r\n");
	struct http_head head;

	g_assert_cmpuint(http_head_length(text->str, text->len), ==, 0);
	for (unsigned i = 0; i < 1000; i++)
		g_string_append(text, "A: b\r\n");
	g_string_append(text, "\r\n");
	g_assert_cmpint(parse(text->str, &head), ==, 431);
	g_string_free(text, TRUE);
	text = g_string_new("GET /");
	for (unsigned i = 0; i < 1000; i++)
		g_string_append_c(text, 'x');
	g_string_append(text, " HTTP/1.1\r\n\r\n");
	g_assert_cmpint(parse(text->str, &head), ==, 200);
	g_assert_cmpuint(strlen(head.path), <, sizeof(head.path));
	g_string_free(text, TRUE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/http/what Prometheus asks for is understood",
			what_prometheus_asks_for_is_understood);
	g_test_add_func("/http/what is odd is refused", what_is_odd_is_refused);
	g_test_add_func("/http/a head has an end and a bound", a_head_has_an_end_and_a_bound);
	return g_test_run();
}
