/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* log: who did what and when. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/fleet.h"
#include "vmsh/match.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"

#define ENTRIES_AT_ONCE 1024u
#define LOOK_MS 500		/* --follow: how often the daemon is asked */

struct reader {
	struct shell *sh;
	GRegex *grep;		/* NULL: all entries */
	struct table *table;	/* JSON: filled; else NULL */
};

static char *time_text(int64_t at_us, const char *format)
{
	g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);
	g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
	g_autofree char *text = local ? g_date_time_format(local, format) : NULL;

	return g_strdup_printf("%s.%03d", text ? text : "?",
			       (int)(at_us % G_USEC_PER_SEC / 1000));
}

static const char *level_name(const struct vmm_log_entry *e)
{
	static const char *const names[] = {
		[VMM_LOG_ERROR] = "error", [VMM_LOG_WARNING] = "warning", [VMM_LOG_NOTE] = "note",
	};

	return names[e->level];
}

static bool is_wanted(const struct reader *r, const struct vmm_log_entry *e)
{
	g_autofree char *line = NULL;

	if (!r->grep)
		return true;
	line = g_strdup_printf("%s %s %s", e->event, e->who, e->text);
	return g_regex_match_full(r->grep, line, (gssize)strlen(line), 0, 0, NULL, NULL);
}

static void put_row(struct table *t, const struct vmm_log_entry *e)
{
	g_autofree char *when = time_text(e->at_us, "%FT%T");

	table_text(t, when);
	table_text(t, level_name(e));
	table_text(t, e->event);
	table_text(t, *e->who ? e->who : "vmmd");
	table_text(t, e->text);
}

/* The daemon has cleaned the texts; another daemon may not have. */
static void put_line(const struct reader *r, const struct vmm_log_entry *e)
{
	g_autofree char *when = time_text(e->at_us, "%F %T");
	g_autofree char *line = g_strdup_printf("%-12s %s%s%s%s", e->event, e->text,
						*e->who ? "  [" : "", e->who, *e->who ? "]" : "");
	g_autofree char *harmless = text_harmless(line);
	g_autofree char *shown =
		text_coloured(harmless, e->level == VMM_LOG_ERROR ? COLOUR_RED :
			      e->level == VMM_LOG_WARNING ? COLOUR_YELLOW : COLOUR_NONE,
			      &r->sh->out);

	printf("%s  %s\n", when, shown);
}

static void put_entries(const struct reader *r, const GPtrArray *entries)
{
	for (unsigned i = 0; i < entries->len; i++) {
		const struct vmm_log_entry *e = entries->pdata[i];

		if (!is_wanted(r, e))
			continue;
		if (r->table)
			put_row(r->table, e);
		else
			put_line(r, e);
	}
	if (!r->table)
		fflush(stdout);
}

static bool read_all(const struct reader *r, vmm_domain *dom, struct vmm_log_query *query,
		     bool follow, GError **error)
{
	for (;;) {
		g_autoptr(GPtrArray) entries = vmm_log_read(shell_connect(r->sh, NULL), dom, query,
							    error);

		if (!entries)
			return false;
		put_entries(r, entries);
		if (entries->len > 0)
			query->after = ((struct vmm_log_entry *)
					entries->pdata[entries->len - 1])->number;
		if (ferror(stdout) || shell_interrupted(r->sh))
			return true;
		if (entries->len > 0 && !query->newest)
			continue;
		query->newest = false;
		query->max = ENTRIES_AT_ONCE;
		if (!follow || !shell_sleep(r->sh, LOOK_MS))
			return true;
	}
}

static const struct column columns[] = {
	{ "Time", "time" }, { "Level", "level" }, { "Event", "event" }, { "By", "by" },
	{ "Text", "text", COLUMN_SHRINK }, { 0 },
};

static bool check_options(const struct command_args *args, GError **error)
{
	if (args_given(args, "follow") && args_json(args))
		return usage_error(error, "log: --follow prints lines, and no JSON, XML or CSV");
	if (args_number(args, "last", 1) < 1 || args_number(args, "last", 1) > VMM_LOG_READ_MAX)
		return usage_error(error, "log: --last: 1 to %d", VMM_LOG_READ_MAX);
	return true;
}

static bool cmd_log(struct shell *sh, struct command_args *args, GError **error)
{
	const char *grep = args_text(args, "grep");
	g_autoptr(GRegex) regex = grep ? match_regex(grep, error) : NULL;
	g_autoptr(table) rows = args_json(args) ? table_new(columns) : NULL;
	struct vmm_log_query query = {
		.newest = args_given(args, "last"),
		.max = (unsigned)args_number(args, "last", ENTRIES_AT_ONCE),
	};
	struct reader r = { .sh = sh, .grep = regex, .table = rows };
	g_autoptr(vmm_domain) dom = NULL;

	if ((grep && !regex) || !check_options(args, error) || !shell_connect(sh, error))
		return false;
	if (args_given(args, "since"))
		query.since_us = g_get_real_time() - (int64_t)args_ms(args, "since", 0) * 1000;
	if (args_given(args, "domain") && !(dom = fleet_domain(sh, args, error)))
		return false;
	if (!read_all(&r, dom, &query, args_given(args, "follow"), error))
		return false;
	if (rows)
		shell_print_table(sh, args, rows);
	return true;
}

static const struct option_def options[] = {
	{ .name = "domain", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_DOMAIN,
	  .value = "DOMAIN", .help = "the domain's name, id or uuid; the daemon's own log if not "
	  "given" },
	{ .name = "grep", .kind = OPT_STRING, .value = "RE",
	  .help = "only entries in which this regular expression (PCRE) is" },
	{ .name = "since", .kind = OPT_TIME, .value = "DURATION",
	  .help = "of that long ago and later: 90s, 5m, 2h, 1d" },
	{ .name = "last", .kind = OPT_NUMBER, .value = "N", .help = "only the last N entries" },
	OPTION_FLAG("follow", "go on with what comes, until ^C"),
	{ 0 },
};

const struct command commands_log[] = {
	{ "log", "Information", "show who did what to a domain, and what happened to it", options,
	  COMMAND_JSON, cmd_log,
	  "One line for each call that changes something, with who made it; for each change of "
	  "the domain's state, with its reason; for errors of its disks, and for what its worker "
	  "has to say. Without DOMAIN, the daemon's own messages and the calls that are about no "
	  "domain.\n"
	  "A log is bounded: the oldest entries go first, and what a guest can cause is written "
	  "200 times at once and then every 10 seconds at most (\"left-out\" tells how much was "
	  "not). On a read-only connection the owner of a domain can read its log, nobody else." },
	{ 0 },
};
