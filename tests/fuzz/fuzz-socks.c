/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a SOCKS client says, in pieces, and whether it is allowed; what a name server answers. */
#include "config.h"
#include "fuzz.h"

#include "images/agent/dns.h"
#include "libvmm/util/allow.h"
#include "libvmm/util/socks.h"

/* A name is never taken for an address, and an address never for a name. */
static void judge(const struct socks *s)
{
	static const char *const words[] = { "*.example.org:*", "b.c:443", "[::/0]:*",
					     "10.0.0.0/8:*" };
	struct allow_rule rules[G_N_ELEMENTS(words)];
	struct inet_address a;

	for (unsigned i = 0; i < G_N_ELEMENTS(words); i++)
		g_assert_true(allow_rule_parse(words[i], &rules[i], NULL));
	if (!s->is_name)
		g_assert_true(inet_address_from_text(s->host, &a));
	else if (allow_name(rules, G_N_ELEMENTS(words), s->host, s->port))
		g_assert_false(inet_address_from_text(s->host, &a));
}

/* What is accepted is written so that it is read as the same. */
static void pattern(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size), *once = NULL, *again = NULL;
	struct allow_rule rule;

	if (!allow_rule_parse(text, &rule, NULL))
		return;
	once = allow_rule_text(&rule);
	g_assert_true(allow_rule_parse(once, &rule, NULL));
	again = allow_rule_text(&rule);
	g_assert_cmpstr(once, ==, again);
}

static void client(const uint8_t *data, size_t size)
{
	struct socks s = { 0 };
	uint8_t out[SOCKS_OUT_MAX];
	size_t used, answer;

	while (size > 0) {
		size_t n = MIN(size, (size_t)(data[0] & 7) + 1);
		enum socks_result r = socks_take(&s, data, n, &used, out, &answer);

		g_assert_cmpuint(used, <=, n);
		g_assert_cmpuint(answer, <=, sizeof(out));
		if (r == SOCKS_WANTS) {
			g_assert_true(s.host[0] && s.port && strlen(s.host) < sizeof(s.host));
			g_assert_true(g_str_is_ascii(s.host) && !strpbrk(s.host, " \"\\\n"));
			judge(&s);
		}
		if (r != SOCKS_MORE)
			break;
		g_assert_cmpuint(used, >, 0);
		data += used;
		size -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_address found[4];
	g_autofree uint8_t *exact = g_memdup2(data, size);	/* a byte too far is seen */

	client(data, size);
	pattern(data, size);
	int n = dns_read(exact, size, size < 2 ? 0 : (uint16_t)(data[0] << 8 | data[1]), found, 4);
	g_assert_true(n >= -1 && n <= 4);
	return 0;
}
