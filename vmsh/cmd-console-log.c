/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* console-log: what a domain's console said. */
#include "config.h"
#include "vmsh/commands.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#include "vmsh/fleet.h"
#include "vmsh/match.h"
#include "vmsh/options.h"
#include "vmsh/speech.h"
#include "vmsh/usage.h"

struct reader {
	struct shell *sh;
	GRegex *grep;		/* NULL: all lines */
	bool time;		/* before each line */
	struct table *table;	/* JSON: filled; else NULL */
	struct speech *speech;	/* NULL: bytes as they were */
	uint64_t boot;
	bool done;
	GError *error;
};

static char *time_text(int64_t time_us, const char *format)
{
	g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(time_us / G_USEC_PER_SEC);
	g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
	g_autofree char *text = local ? g_date_time_format(local, format) : NULL;

	return g_strdup_printf("%s.%03d", text ? text : "?",
			       (int)(time_us % G_USEC_PER_SEC / 1000));
}

static void put_mark(const struct reader *r, const char *text)
{
	g_autofree char *whole = g_strdup_printf("[%s]", text);
	g_autofree char *shown = text_coloured(whole, COLOUR_DIM, &r->sh->out);

	printf("%s\n", shown);
}

static void put_boot(const struct reader *r, const struct feed_bit *bit)
{
	static const char *const how[] = {
		[CONLOG_STARTED] = "started", [CONLOG_RESTORED] = "restored",
		[CONLOG_REBOOTED] = "rebooted",
	};
	g_autofree char *when = time_text(bit->boot_us, "%F %T");
	g_autofree char *text = g_strdup_printf("boot %" G_GUINT64_FORMAT ", %s %s", bit->boot,
						how[bit->cause], when);

	put_mark(r, text);
}

static void put_missed(const struct reader *r, uint64_t bytes)
{
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT " bytes missed", bytes);

	put_mark(r, text);
}

static void row_add(struct reader *r, const struct speech_line *line)
{
	g_autofree char *when = time_text(line->time_us, "%FT%T");

	table_text(r->table, when);
	table_number(r->table, r->boot, NULL);
	if (line->kind == SPEECH_MISSED)
		table_number(r->table, line->bit->missed, NULL);
	else
		table_none(r->table);
	table_text(r->table, line->kind == SPEECH_LINE ? line->text : NULL);
}

static void put_line(const struct reader *r, const struct speech_line *line)
{
	g_autofree char *harmless = text_harmless(line->text);
	g_autofree char *when = r->time ? time_text(line->time_us, "%F %T") : NULL;

	printf("%s%s%s\n", when ? when : "", when ? "  " : "", harmless);
}

static void on_line(const struct speech_line *line, void *opaque)
{
	struct reader *r = opaque;
	bool plain = line->kind == SPEECH_LINE;

	if (line->kind == SPEECH_BOOT) {
		r->boot = line->bit->boot;
		if (!r->table && !r->grep)
			put_boot(r, line->bit);
		return;
	}
	if (r->grep && !(plain && g_regex_match_full(r->grep, line->text,
						     (gssize)strlen(line->text), 0, 0, NULL, NULL)))
		return;
	if (r->table)
		row_add(r, line);
	else if (plain)
		put_line(r, line);
	else
		put_missed(r, line->bit->missed);
}

static void on_bit(const struct feed_bit *bit, void *opaque)
{
	struct reader *r = opaque;

	if (r->speech) {
		speech_add(r->speech, bit);
	} else {
		if (bit->boot && r->boot && bit->boot != r->boot)
			put_boot(r, bit);
		r->boot = bit->boot ? bit->boot : r->boot;
		if (bit->missed)
			put_missed(r, bit->missed);
		if (bit->len > 0)
			fwrite(bit->data, 1, bit->len, stdout);
	}
	if (!r->table)
		fflush(stdout);
	if (ferror(stdout))
		r->done = true;
}

static void on_ended(const GError *error, void *opaque)
{
	struct reader *r = opaque;

	r->done = true;
	r->error = error ? g_error_copy(error) : NULL;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	((struct reader *)opaque)->done = true;
	return G_SOURCE_REMOVE;
}

static const struct feed_ops ops = { .bit = on_bit, .ended = on_ended };

static bool reader_run(struct reader *r, vmm_domain *dom, const struct feed_opts *opts,
		       GError **error)
{
	g_autoptr(GMainContext) context = g_main_context_new();
	g_autoptr(GSource) interrupt = g_unix_fd_source_new(r->sh->interrupt_fd, G_IO_IN);
	g_autoptr(feed) f = feed_open(dom, opts, context, &ops, r, error);

	if (!f) {
		fleet_advise(dom, error);
		return false;
	}
	g_source_set_callback(interrupt, G_SOURCE_FUNC(on_interrupt), r, NULL);
	g_source_attach(interrupt, context);
	while (opts->live && !r->done)
		g_main_context_iteration(context, TRUE);
	g_source_destroy(interrupt);
	if (r->speech)
		speech_flush(r->speech, G_MAXINT64);
	if (r->error)
		g_propagate_error(error, g_steal_pointer(&r->error));
	return !error || !*error;
}

static const struct column columns[] = {
	{ "Time", "time" }, { "Boot", "boot" }, { "Missed", "missed_bytes" }, { "Text", "text" },
	{ 0 },
};

static bool cmd_console_log(struct shell *sh, struct command_args *args, GError **error)
{
	const char *grep = args_text(args, "grep");
	g_autoptr(GRegex) regex = grep ? match_regex(grep, error) : NULL;
	g_autoptr(table) rows = args_json(args) ? table_new(columns) : NULL;
	struct feed_opts opts = {
		.device = args_text(args, "devname"), .flags = VMM_CONSOLE_WATCH,
		.live = args_given(args, "follow"), .journal = true, .boot = FEED_ALL_BOOTS,
	};
	struct reader r = { .sh = sh, .grep = regex, .time = args_given(args, "time"),
			    .table = rows };
	g_autoptr(vmm_domain) dom = NULL;
	bool ok;

	if (grep && !regex)
		return false;
	if (opts.live && rows)
		return usage_error(error,
				   "console-log: --follow prints lines, and no JSON, XML or CSV");
	if (args_given(args, "since"))
		opts.since_us = g_get_real_time() -
				(int64_t)args_ms(args, "since", 0) * 1000;
	if (args_given(args, "boot"))
		opts.boot = (int)MIN(args_number(args, "boot", 0), G_MAXINT);
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (regex || r.time || rows)
		r.speech = speech_new(on_line, &r);
	ok = reader_run(&r, dom, &opts, error);
	if (ok && rows)
		shell_print_table(sh, args, rows);
	speech_free(r.speech);
	return ok;
}

static const struct option_def options[] = {
	OPTION_DOMAIN(DOMAIN),
	OPTION_DEVNAME,
	{ .name = "grep", .kind = OPT_STRING, .value = "RE",
	  .help = "only lines in which this regular expression (PCRE) is" },
	OPTION_FLAG("time", "before each line, when it was begun"),
	{ .name = "since", .kind = OPT_TIME, .value = "DURATION",
	  .help = "of that long ago and later: 90s, 5m, 2h, 1d" },
	{ .name = "boot", .kind = OPT_NUMBER, .value = "N",
	  .help = "of one boot: 0 is the last one, 1 the one before" },
	OPTION_FLAG("follow", "go on with what comes, until the guest is gone or ^C"),
	{ 0 },
};

const struct command commands_console_log[] = {
	{ "console-log", "Consoles", "print what a console said, also when nobody was attached",
	  options, COMMAND_JSON, cmd_console_log,
	  "The worker keeps what all consoles say, with times, packed, up to a bound (see "
	  "vmmd(8)); it is there when the machine is off, too, until the domain is "
	  "undefined. Without options the bytes come as the guest wrote them.\n"
	  "What was lost, because the disk was slower than the guest or the bound was reached, "
	  "shows as [N bytes missed]." },
	{ 0 },
};
