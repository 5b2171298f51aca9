/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Patterns of places that a guest may be connected to. */
#include "config.h"
#include "libvmm/util/allow.h"

#include <string.h>

#include "libvmm/util/error.h"

#define LABEL_MAX 63

/* ---- names ---- */

/* Resolvers take 127.1 and 0x7f000001 for addresses. */
static bool is_number(const char *label)
{
	const char *hex = g_str_has_prefix(label, "0x") ? "abcdef" : "";

	for (const char *c = label + (*hex ? 2 : 0); *c; c++)
		if (!g_ascii_isdigit(*c) && !strchr(hex, *c))
			return false;
	return true;
}

/* In small letters, without a dot at the end. */
static bool name_clean(const char *text, size_t n, char ret[ALLOW_NAME_MAX + 1])
{
	size_t label = 0, at = 0;

	if (n > 1 && text[n - 1] == '.')
		n--;
	if (!n || n > ALLOW_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '.' ? !label : !g_ascii_isalnum(text[i]) &&
						      text[i] != '-' && text[i] != '_')
			return false;
		label = text[i] == '.' ? 0 : label + 1;
		at = label == 1 ? i : at;
		if (label > LABEL_MAX)
			return false;
		ret[i] = g_ascii_tolower(text[i]);
	}
	ret[n] = 0;
	return label && !is_number(ret + at);
}

static bool parse_name(const char *text, const char *host, struct allow_rule *ret, GError **error)
{
	bool sub = g_str_has_prefix(host, "*.");

	ret->kind = sub ? ALLOW_SUBDOMAINS : ALLOW_NAME;
	if (name_clean(host + 2 * sub, strlen(host + 2 * sub), ret->name))
		return true;
	if (strchr(host + sub, '*') || !strcmp(host, "*"))
		return error_set(error, VMM_ERR_XML,
				 "'%s': '*' stands before a name, for what is below it: "
				 "'*.example.org:443'", text);
	return error_set(error, VMM_ERR_XML,
			 "'%s': '%s' is neither a name nor an address; a name has letters, digits, "
			 "'-' and '.', in other scripts it is written as the DNS has it (xn--...)",
			 text, host);
}

/* ---- addresses ---- */

static void prefix_cut(struct inet_address *a, unsigned bits)
{
	unsigned bytes = a->v6 ? 16 : 4;

	for (unsigned i = 0; i < bytes; i++) {
		unsigned keep = bits > i * 8 ? MIN(bits - i * 8, 8u) : 0;

		a->bytes[i] &= (uint8_t)(0xff << (8 - keep));
	}
}

static bool parse_bits(const char *text, const char *bits, struct allow_rule *ret, GError **error)
{
	const unsigned most = inet_address_bits(&ret->prefix);
	const struct inet_address given = ret->prefix;
	char cut[INET_TEXT_BYTES];
	guint64 n;

	ret->bits = most;
	if (!bits)
		return true;
	if (!g_ascii_string_to_unsigned(bits, 10, 0, most, &n, NULL))
		return error_set(error, VMM_ERR_XML, "'%s': the prefix has 0 to %u bits", text,
				 most);
	ret->bits = (unsigned)n;
	prefix_cut(&ret->prefix, ret->bits);
	inet_address_to_text(&ret->prefix, cut);
	return !memcmp(&given.bytes, &ret->prefix.bytes, sizeof(given.bytes)) ||
	       error_set(error, VMM_ERR_XML,
			 "'%s': there are bits behind the first %u; write '%s/%u'", text,
			 ret->bits, cut, ret->bits);
}

/* false without an error: it is no address. */
static bool parse_address(const char *text, const char *host, struct allow_rule *ret,
			  GError **error)
{
	g_auto(GStrv) parts = g_strsplit(host, "/", 2);

	ret->kind = ALLOW_ADDRESS;
	return parts[0] && inet_address_from_text(parts[0], &ret->prefix) &&
	       parse_bits(text, parts[1], ret, error);
}

/* ---- a rule ---- */

static bool parse_port(const char *text, const char *port, uint16_t *ret, GError **error)
{
	guint64 n = 0;

	if (strcmp(port, "*") && !g_ascii_string_to_unsigned(port, 10, 1, 65535, &n, NULL))
		return error_set(error, VMM_ERR_XML,
				 "'%s': the port '%s' is neither a number from 1 to 65535 nor '*' "
				 "for all", text, port);
	*ret = (uint16_t)n;
	return true;
}

/* The host without brackets, and what is behind the colon; NULL: none of this form. */
static char *split(const char *text, const char **ret_port)
{
	const char *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');

	if (*text == '[' ? !end || end[1] != ':' : !end || strchr(end + 1, ':'))
		return NULL;
	*ret_port = end + (*text == '[' ? 2 : 1);
	return *text == '[' ? g_strndup(text + 1, (gsize)(end - text - 1)) :
			      g_strndup(text, (gsize)(end - text));
}

static bool refuse_form(const char *text, GError **error)
{
	struct inet_address a;

	if (strstr(text, "://"))
		return error_set(error, VMM_ERR_XML,
				 "'%s' is a URL: write NAME:PORT, as 'example.org:443'", text);
	if (inet_address_from_text(text, &a) && a.v6)
		return error_set(error, VMM_ERR_XML,
				 "'%s': an IPv6 address is in brackets, and has a port: '[%s]:443'",
				 text, text);
	return error_set(error, VMM_ERR_XML,
			 "'%s' is not HOST:PORT: a name, '*.NAME', an address, or a prefix as "
			 "'10.0.0.0/8' or '[2001:db8::/32]'; then a port, or '*' for all", text);
}

bool allow_rule_parse(const char *text, struct allow_rule *ret, GError **error)
{
	struct allow_rule rule = { 0 };
	const char *port = NULL;
	g_autofree char *host = split(text, &port);
	g_autoptr(GError) why = NULL;

	if (!host || strstr(text, "://"))
		return refuse_form(text, error);
	if (!parse_port(text, port, &rule.port, error))
		return false;
	if (!parse_address(text, host, &rule, &why)) {
		if (why) {
			g_propagate_error(error, g_steal_pointer(&why));
			return false;
		}
		if (*text == '[')
			return error_set(error, VMM_ERR_XML, "'%s': '%s' is not an IPv6 address",
					 text, host);
		if (!parse_name(text, host, &rule, error))
			return false;
	}
	*ret = rule;
	return true;
}

char *allow_rule_text(const struct allow_rule *r)
{
	char address[INET_TEXT_BYTES], port[8] = "*", bits[8] = "";

	if (r->port)
		g_snprintf(port, sizeof(port), "%u", r->port);
	if (r->kind != ALLOW_ADDRESS)
		return g_strdup_printf("%s%s:%s", r->kind == ALLOW_SUBDOMAINS ? "*." : "", r->name,
				       port);
	inet_address_to_text(&r->prefix, address);
	if (r->bits != inet_address_bits(&r->prefix))
		g_snprintf(bits, sizeof(bits), "/%u", r->bits);
	return r->prefix.v6 ? g_strdup_printf("[%s%s]:%s", address, bits, port) :
			      g_strdup_printf("%s%s:%s", address, bits, port);
}

void allow_rules_add_words(const GArray *rules, GStrvBuilder *words)
{
	for (unsigned i = 0; i < rules->len; i++) {
		g_autofree char *text =
			allow_rule_text(&g_array_index(rules, struct allow_rule, i));

		g_strv_builder_add(words, text);
	}
}

/* ---- who matches ---- */

static bool name_matches(const struct allow_rule *r, const char *name)
{
	size_t below = strlen(name), rest = strlen(r->name);

	if (r->kind == ALLOW_NAME)
		return !strcmp(name, r->name);
	return r->kind == ALLOW_SUBDOMAINS && below > rest + 1 &&
	       name[below - rest - 1] == '.' && !strcmp(name + below - rest, r->name);
}

bool allow_name(const struct allow_rule *rules, unsigned n, const char *name, uint16_t port)
{
	char clean[ALLOW_NAME_MAX + 1];

	if (!name_clean(name, strlen(name), clean))
		return false;
	for (unsigned i = 0; i < n; i++)
		if ((!rules[i].port || rules[i].port == port) && name_matches(&rules[i], clean))
			return true;
	return false;
}

static bool address_matches(const struct allow_rule *r, const struct inet_address *a, bool closely)
{
	bool close = r->bits == inet_address_bits(a) || inet_prefix_special(&r->prefix, r->bits);

	return r->kind == ALLOW_ADDRESS && (close || !closely) &&
	       inet_address_within(a, &r->prefix, r->bits);
}

bool allow_address(const struct allow_rule *rules, unsigned n, const struct inet_address *a,
		   bool own, uint16_t port)
{
	bool closely = own || inet_address_special(a);

	for (unsigned i = 0; i < n; i++)
		if ((!rules[i].port || rules[i].port == port) &&
		    address_matches(&rules[i], a, closely))
			return true;
	return false;
}
