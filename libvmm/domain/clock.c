/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <clock>: what the RTC shows at start, and which timers the guest sees. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

#define ADJUSTMENT_MAX_S (1ll << 36)	/* two thousand years */

static const char *const offset_names[] = { "utc", "localtime", "variable", "timezone" };
static const char *const basis_names[] = { "utc", "localtime" };
static const char *const timer_names[] = { "kvmclock", "tsc", "hpet", "pit", "rtc" };
static const char *const tick_names[] = { NULL, "delay", "catchup" };

static_assert(ARRAY_SIZE(offset_names) == N_CLOCK_OFFSETS, "a name for each");
static_assert(ARRAY_SIZE(timer_names) == N_TIMER_NAMES, "a name for each");
static_assert(ARRAY_SIZE(tick_names) == N_TICKPOLICIES, "a name for each");

/* What can be said of each without telling a lie. */
static const struct timer_rule {
	bool present, absent, tickpolicy;
} timer_rules[] = {
	[TIMER_KVMCLOCK] = { .present = true },
	[TIMER_TSC] = { .present = true },
	[TIMER_HPET] = { .absent = true },
	/* There is none, but virt-install says how its ticks go, of any machine. */
	[TIMER_PIT] = { .absent = true, .tickpolicy = true },
	[TIMER_RTC] = { .present = true, .tickpolicy = true },
};

static_assert(ARRAY_SIZE(timer_rules) == N_TIMER_NAMES, "a name for each");

void clock_def_done(struct clock_def *clock)
{
	g_clear_pointer(&clock->timers, g_ptr_array_unref);
	g_clear_pointer(&clock->timezone, g_free);
}

static bool check_timer(const xmlNode *node, const struct timer_def *t, GError **error)
{
	const struct timer_rule *rule = &timer_rules[t->name];
	const char *name = timer_names[t->name];

	if (t->present == TRISTATE_OFF && !rule->absent)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "%s is always there: leave present= out", name);
	if (!rule->present && (t->present == TRISTATE_ON || (!t->present && !t->tickpolicy)))
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "the machine has no %s: use present='no'", name);
	if (t->tickpolicy && !rule->tickpolicy)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "%s has no tickpolicy: leave it out", name);
	return true;
}

static bool parse_timer(const xmlNode *node, struct clock_def *clock, GError **error)
{
	struct timer_def t = { 0 };
	g_autofree char *name = NULL;

	if (!xml_expect(node, "name present tickpolicy", "", error) ||
	    !xml_attr_need(node, "name", &name, error) ||
	    !XML_ATTR_ENUM(node, "name", timer_names, &t.name, error) ||
	    !XML_ATTR_ENUM(node, "present", tristate_yesno, &t.present, error) ||
	    !XML_ATTR_ENUM(node, "tickpolicy", tick_names, &t.tickpolicy, error) ||
	    !check_timer(node, &t, error))
		return false;
	for (unsigned i = 0; clock->timers && i < clock->timers->len; i++)
		if (((struct timer_def *)clock->timers->pdata[i])->name == t.name)
			return xml_error(node, VMM_ERR_XML, error, "timer '%s' is there twice",
					 name);
	if (!clock->timers)
		clock->timers = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(clock->timers, g_memdup2(&t, sizeof(t)));
	return true;
}

/* A name below /usr/share/zoneinfo, never a way out of it. */
static bool parse_timezone(const xmlNode *node, struct clock_def *clock, GError **error)
{
	if (!xml_attr_need(node, "timezone", &clock->timezone, error))
		return false;
	for (const char *c = clock->timezone; *c; c++)
		if (!g_ascii_isalnum(*c) && !strchr("/_+-", *c))
			return xml_error(node, VMM_ERR_XML, error,
					 "'%s' is not a time zone's name like Europe/Berlin",
					 clock->timezone);
	return clock->timezone[0] != '/' ||
	       xml_error(node, VMM_ERR_XML, error, "'%s' begins with '/'", clock->timezone);
}

static bool parse_adjustment(const xmlNode *node, struct clock_def *clock, GError **error)
{
	unsigned basis = 0;

	if (!xml_attr_i64(node, "adjustment", &clock->adjustment_s, error) ||
	    !XML_ATTR_ENUM(node, "basis", basis_names, &basis, error))
		return false;
	clock->basis_localtime = basis;
	if (clock->adjustment_s > ADJUSTMENT_MAX_S || clock->adjustment_s < -ADJUSTMENT_MAX_S)
		return xml_error(node, VMM_ERR_XML, error, "adjustment= is out of range");
	return true;
}

static bool parse_offset(const xmlNode *node, struct clock_def *clock, GError **error)
{
	static const char *const attrs[] = {
		[CLOCK_UTC] = "offset",
		[CLOCK_LOCALTIME] = "offset",
		[CLOCK_VARIABLE] = "offset adjustment basis",
		[CLOCK_TIMEZONE] = "offset timezone",
	};

	if (!XML_ATTR_ENUM(node, "offset", offset_names, &clock->offset, error) ||
	    !xml_expect(node, attrs[clock->offset], "timer*", error))
		return false;
	if (clock->offset == CLOCK_TIMEZONE)
		return parse_timezone(node, clock, error);
	return clock->offset != CLOCK_VARIABLE || parse_adjustment(node, clock, error);
}

bool clock_def_parse(const xmlNode *node, struct clock_def *clock, GError **error)
{
	if (!node)
		return true;
	if (!parse_offset(node, clock, error))
		return false;
	for (const xmlNode *n = xml_child(node, "timer"); n; n = xml_next(n))
		if (!parse_timer(n, clock, error))
			return false;
	return true;
}

void clock_def_format(struct xml_out *out, const struct clock_def *clock)
{
	xml_begin(out, "clock");
	xml_put(out, "offset", offset_names[clock->offset]);
	if (clock->offset == CLOCK_VARIABLE) {
		xml_putf(out, "adjustment", "%" G_GINT64_FORMAT, clock->adjustment_s);
		xml_put(out, "basis", basis_names[clock->basis_localtime]);
	}
	xml_put(out, "timezone", clock->timezone);
	for (unsigned i = 0; clock->timers && i < clock->timers->len; i++) {
		const struct timer_def *t = clock->timers->pdata[i];

		xml_begin(out, "timer");
		xml_put(out, "name", timer_names[t->name]);
		xml_put(out, "present", tristate_yesno[t->present]);
		xml_put(out, "tickpolicy", tick_names[t->tickpolicy]);
		xml_end(out);
	}
	xml_end(out);
}
