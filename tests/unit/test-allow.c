/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Patterns of places, as tables: what is one, who matches, and which addresses are special. */
#include "config.h"

#include "libvmm/util/allow.h"
#include "libvmm/util/cleanup.h"

static void a_pattern_has_one_way_to_be_written(void)
{
	static const char *const table[][2] = {
		{ "deb.example.org:443", NULL },
		{ "Deb.Example.ORG.:443", "deb.example.org:443" },
		{ "*.example.org:*", NULL },
		{ "a_b.c-d:1", NULL },
		{ "3par:65535", NULL },
		{ "10.1.2.3:22", NULL },
		{ "10.1.2.3/32:22", "10.1.2.3:22" },
		{ "10.0.0.0/8:22", NULL },
		{ "0.0.0.0/0:*", NULL },
		{ "[2001:DB8:0::1]:443", "[2001:db8::1]:443" },
		{ "[2001:db8::/32]:443", NULL },
		{ "[::/0]:*", NULL },
		{ "[::ffff:10.0.0.1]:80", "10.0.0.1:80" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *text = NULL;
		struct allow_rule rule;

		allow_rule_parse(table[i][0], &rule, &error);
		g_assert_no_error(error);
		text = allow_rule_text(&rule);
		g_assert_cmpstr(text, ==, table[i][1] ?: table[i][0]);
	}
}

static void what_is_no_pattern_is_refused_with_a_hint(void)
{
	static const char *const table[][2] = {
		{ "", "HOST:PORT" },
		{ "deb.example.org", "HOST:PORT" },
		{ "deb.example.org:", "port ''" },
		{ "deb.example.org:https", "port 'https'" },
		{ "deb.example.org:0", "port '0'" },
		{ "deb.example.org:65536", "port '65536'" },
		{ "deb.example.org:-1", "port '-1'" },
		{ "https://deb.example.org:443", "is a URL" },
		{ "https://deb.example.org", "is a URL" },
		{ "*:443", "'*.example.org:443'" },
		{ "a.*.org:443", "'*.example.org:443'" },
		{ "*.*.org:443", "'*.example.org:443'" },
		{ "*x.org:443", "'*.example.org:443'" },
		{ "*.:443", "neither a name nor an address" },
		{ ".org:443", "neither a name nor an address" },
		{ "a..org:443", "neither a name nor an address" },
		{ "b\303\274cher.example:443", "xn--" },
		{ "a b:443", "neither a name nor an address" },
		{ "127.1:80", "neither a name nor an address" },
		{ "2130706433:80", "neither a name nor an address" },
		{ "0x7f000001:80", "neither a name nor an address" },
		{ "*.0x7f.1:80", "neither a name nor an address" },
		{ "10.1.2.3/8:22", "write '10.0.0.0/8'" },
		{ "10.0.0.0/33:22", "0 to 32 bits" },
		{ "10.0.0.0/:22", "0 to 32 bits" },
		{ "[2001:db8::1/32]:1", "write '2001:db8::/32'" },
		{ "[2001:db8::/129]:1", "0 to 128 bits" },
		{ "2001:db8::1", "'[2001:db8::1]:443'" },
		{ "[2001:db8::1]", "HOST:PORT" },
		{ "[2001:db8::1:443", "HOST:PORT" },
		{ "[example.org]:443", "not an IPv6 address" },
		{ "[fe80::1%eth0]:443", "not an IPv6 address" },
	};
	g_autofree char *label = g_strnfill(64, 'a'), *long_name = NULL, *many = NULL;
	struct allow_rule rule;

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(allow_rule_parse(table[i][0], &rule, &error));
		g_assert_nonnull(error);
		if (!strstr(error->message, table[i][1]))
			g_error("%s: %s", table[i][0], error->message);
	}
	long_name = g_strdup_printf("%s.org:1", label);
	g_assert_false(allow_rule_parse(long_name, &rule, NULL));
	many = g_strdup_printf("%0254d.a:1", 0);
	g_assert_false(allow_rule_parse(many, &rule, NULL));
}

struct asked {
	const char *pattern, *host;
	uint16_t port;
	bool ok;
};

static void a_name_matches_as_it_is_written_whoever_shouts(void)
{
	static const struct asked table[] = {
		{ "deb.example.org:443", "deb.example.org", 443, true },
		{ "deb.example.org:443", "DEB.example.ORG", 443, true },
		{ "deb.example.org:443", "deb.example.org.", 443, true },
		{ "deb.example.org:443", "deb.example.org..", 443, false },
		{ "deb.example.org:443", "deb.example.org", 80, false },
		{ "deb.example.org:443", "xdeb.example.org", 443, false },
		{ "deb.example.org:443", "x.deb.example.org", 443, false },
		{ "deb.example.org:443", "deb.example.org.evil.net", 443, false },
		{ "deb.example.org:443", "example.org", 443, false },
		{ "deb.example.org:443", "", 443, false },
		{ "deb.example.org:*", "deb.example.org", 1, true },
		{ "*.example.org:443", "deb.example.org", 443, true },
		{ "*.example.org:443", "a.b.example.org.", 443, true },
		{ "*.example.org:443", "example.org", 443, false },
		{ "*.example.org:443", ".example.org", 443, false },
		{ "*.example.org:443", "badexample.org", 443, false },
		{ "*.example.org:443", "*.example.org", 443, false },
		{ "10.0.0.0/8:22", "10.0.0.1", 22, false },
		{ "0.0.0.0/0:*", "deb.example.org", 22, false },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct allow_rule rule;

		g_assert_true(allow_rule_parse(table[i].pattern, &rule, NULL));
		g_test_message("%s %s", table[i].pattern, table[i].host);
		g_assert_true(allow_name(&rule, 1, table[i].host, table[i].port) == table[i].ok);
	}
	g_assert_false(allow_name(NULL, 0, "deb.example.org", 443));
}

static void an_address_matches_patterns_of_addresses_alone(void)
{
	static const struct asked table[] = {
		{ "10.0.0.0/8:22", "10.255.0.1", 22, true },
		{ "10.0.0.0/8:22", "11.0.0.1", 22, false },
		{ "10.0.0.0/8:22", "10.0.0.1", 23, false },
		{ "10.0.0.0/8:22", "::ffff:10.0.0.1", 22, true },
		{ "10.0.0.0/8:22", "a00::1", 22, false },
		{ "192.168.4.0/23:*", "192.168.5.9", 7, true },
		{ "192.168.4.0/23:*", "192.168.6.0", 7, false },
		{ "0.0.0.0/0:80", "198.51.100.1", 80, true },
		{ "0.0.0.0/0:80", "2001:db8::1", 80, false },
		{ "[::/0]:80", "2001:db8::1", 80, true },
		{ "[::/0]:80", "10.0.0.1", 80, false },
		/* what stands beside the host is opened on purpose only */
		{ "0.0.0.0/0:80", "127.0.0.1", 80, false },
		{ "0.0.0.0/0:80", "10.0.0.1", 80, false },
		{ "0.0.0.0/0:80", "169.254.169.254", 80, false },
		{ "0.0.0.0/0:80", "0.0.0.0", 80, false },
		{ "8.0.0.0/5:80", "10.0.0.1", 80, false },
		{ "8.0.0.0/5:80", "8.8.8.8", 80, true },
		{ "127.0.0.0/8:80", "127.0.0.1", 80, true },
		{ "127.0.0.1:80", "127.0.0.1", 80, true },
		{ "10.32.0.0/12:80", "10.33.0.1", 80, true },
		{ "[::/0]:80", "::1", 80, false },
		{ "[::/0]:80", "fd00::1", 80, false },
		{ "[fd00::/8]:80", "fd00::1", 80, true },
		{ "[::1]:80", "::1", 80, true },
		{ "[64:ff9b::/96]:80", "64:ff9b::a00:1", 80, false },
		{ "[64:ff9b::/96]:80", "64:ff9b::808:808", 80, true },
		{ "[64:ff9b::a00:0/104]:80", "64:ff9b::a00:1", 80, true },
		{ "[2002::/16]:80", "2002:a00:1::1", 80, false },
		{ "[2002:a00::/24]:80", "2002:a00:1::1", 80, true },
		{ "[2001:db8::/33]:80", "2001:db8:7fff::1", 80, true },
		{ "[2001:db8::/33]:80", "2001:db8:8000::1", 80, false },
		{ "[2001:db8::1]:80", "2001:db8::1", 80, true },
		{ "[2001:db8::1]:80", "2001:db8::2", 80, false },
		{ "deb.example.org:80", "10.0.0.1", 80, false },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct inet_address a;
		struct allow_rule rule;

		g_assert_true(allow_rule_parse(table[i].pattern, &rule, NULL));
		g_assert_true(inet_address_from_text(table[i].host, &a));
		g_test_message("%s %s", table[i].pattern, table[i].host);
		g_assert_true(allow_address(&rule, 1, &a, false, table[i].port) == table[i].ok);
	}
}

static void an_address_of_the_host_itself_is_opened_by_its_own_pattern(void)
{
	static const struct asked table[] = {
		{ "0.0.0.0/0:22", "198.51.100.1", 22, false },
		{ "198.51.100.0/24:22", "198.51.100.1", 22, false },
		{ "198.51.100.1:22", "198.51.100.1", 22, true },
		{ "10.0.0.0/8:22", "10.0.0.1", 22, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct inet_address a;
		struct allow_rule rule;

		g_assert_true(allow_rule_parse(table[i].pattern, &rule, NULL));
		g_assert_true(inet_address_from_text(table[i].host, &a));
		g_assert_true(allow_address(&rule, 1, &a, true, 22) == table[i].ok);
	}
}

static void addresses_that_are_not_the_internets_are_known(void)
{
	static const struct {
		const char *address, *what;
	} table[] = {
		{ "127.0.0.1", "loopback" }, { "127.255.0.1", "loopback" }, { "0.0.0.0", "this" },
		{ "10.1.2.3", "private" }, { "172.16.0.1", "private" },
		{ "172.31.255.255", "private" },
		{ "172.32.0.1", NULL }, { "172.15.0.1", NULL }, { "192.168.0.1", "private" },
		{ "192.169.0.1", NULL }, { "100.64.0.1", "NAT" }, { "100.128.0.1", NULL },
		{ "169.254.169.254", "link-local" }, { "224.0.0.1", "multicast" },
		{ "239.255.255.255", "multicast" }, { "255.255.255.255", "reserved" },
		{ "198.18.0.1", "benchmark" }, { "198.51.100.1", NULL }, { "8.8.8.8", NULL },
		{ "::1", "loopback" }, { "::", "this" }, { "::127.0.0.1", "this" },
		{ "::ffff:127.0.0.1", "loopback" }, { "::ffff:8.8.8.8", NULL },
		{ "64:ff9b::7f00:1", "loopback" }, { "64:ff9b::808:808", NULL },
		{ "64:ff9b:1::808:808", "private" }, { "2002:a00:1::1", "private" },
		{ "2002:808:808::1", NULL }, { "2001:0:1::1", "tunnel" }, { "fd00::1", "private" },
		{ "fc00::1", "private" }, { "fe80::1", "link-local" }, { "febf::1", "link-local" },
		{ "fec0::1", "private" }, { "ff02::1", "multicast" }, { "2001:db8::1", NULL },
		{ "2606:4700::1111", NULL }, { "100::1", "reserved" }, { "1::1", "reserved" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct inet_address a;
		const char *what;

		g_assert_true(inet_address_from_text(table[i].address, &a));
		what = inet_address_special(&a);
		g_test_message("%s: %s", table[i].address, what ?: "public");
		g_assert_true(!what == !table[i].what);
		g_assert_true(!what || strstr(what, table[i].what));
	}
}

static void an_address_goes_through_a_sockaddr_and_back(void)
{
	static const char *const table[] = { "192.0.2.1", "2001:db8::1" };
	union inet_sockaddr sa;

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct inet_address a, back;
		char text[INET_TEXT_BYTES];

		g_assert_true(inet_address_from_text(table[i], &a));
		g_assert_cmpuint(inet_address_to_sockaddr(&a, 443, &sa), ==,
				 i ? sizeof(sa.v6) : sizeof(sa.v4));
		g_assert_cmpuint(g_ntohs(sa.v4.sin_port), ==, 443);
		g_assert_true(inet_address_from_sockaddr(&sa.any, &back));
		inet_address_to_text(&back, text);
		g_assert_cmpstr(text, ==, table[i]);
	}
	sa.v6.sin6_scope_id = 2;
	g_assert_false(inet_address_from_sockaddr(&sa.any, &(struct inet_address){ 0 }));
}

#define ADD(f) g_test_add_func("/allow/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(a_pattern_has_one_way_to_be_written);
	ADD(what_is_no_pattern_is_refused_with_a_hint);
	ADD(a_name_matches_as_it_is_written_whoever_shouts);
	ADD(an_address_matches_patterns_of_addresses_alone);
	ADD(an_address_of_the_host_itself_is_opened_by_its_own_pattern);
	ADD(addresses_that_are_not_the_internets_are_known);
	ADD(an_address_goes_through_a_sockaddr_and_back);
	return g_test_run();
}
