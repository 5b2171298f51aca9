/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on consoles: sitting at one, watching many, talking to one by script. */
#include "config.h"
#include "vmsh/commands.h"

#include <string.h>

#include "vmsh/console-many.h"
#include "vmsh/console.h"
#include "vmsh/expect.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"
#include "vmsh/xml-file.h"

/* ---- console ---- */

static bool history_asked(const struct command_args *args, struct console_opts *opts,
			  GError **error)
{
	bool since = args_given(args, "since"), boot = args_given(args, "from-boot");

	if (since && boot)
		return usage_error(error, "console: --since and --from-boot exclude each other");
	opts->journal = since || boot;
	opts->boot = boot ? 0 : FEED_ALL_BOOTS;
	if (since)
		opts->since_us = g_get_real_time() -
				 (int64_t)args_ms(args, "since", 0) * 1000;
	return true;
}

static bool watch_many(struct shell *sh, const struct command_args *args,
		       const struct console_opts *opts, GError **error)
{
	const struct feed_opts what = {
		.device = opts->device, .live = true, .flags = VMM_CONSOLE_WATCH,
		.journal = opts->journal, .since_us = opts->since_us, .boot = opts->boot,
	};
	g_autoptr(shell_word) every = NULL;
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	const GPtrArray *words = args_words(args, "domain");
	g_autoptr(GPtrArray) targets = NULL;

	if (words->len == 0) {
		every = word_new("*");
		g_ptr_array_add(all, every);
		words = all;
	}
	targets = fleet_select(sh, words, VMM_LIST_ACTIVE, error);
	return targets && console_many(sh, targets, &what, error);
}

static bool cmd_console(struct shell *sh, struct command_args *args, GError **error)
{
	const char *env = g_getenv("VMSH_ESCAPE"), *escape = args_text(args, "escape");
	struct console_opts opts = {
		.device = args_text(args, "devname"),
		.flags = (args_given(args, "force") || args_given(args, "take-over") ?
			  CONSOLE_FORCE : 0) |
			 (args_given(args, "safe") ? CONSOLE_SAFE : 0) |
			 (args_given(args, "read-only") ? CONSOLE_READ_ONLY : 0),
		.escape = escape ? escape : env,
	};
	g_autoptr(vmm_domain) dom = NULL;

	if (!history_asked(args, &opts, error))
		return false;
	if (args_given(args, "all"))
		return watch_many(sh, args, &opts, error);
	if (!args_given(args, "domain"))
		return usage_error(error, "console: DOMAIN is missing; --all watches many");
	dom = fleet_domain(sh, args, error);
	return dom && console_run(sh, dom, &opts, error);
}

/* ---- wait, expect ---- */

static struct expect_opts expect_options(const struct command_args *args)
{
	return (struct expect_opts){
		.device = args_text(args, "devname"),
		.fresh = args_given(args, "new"),
		.timeout_ms = args_ms(args, "timeout", EXPECT_TIMEOUT_MS),
	};
}

static bool cmd_wait(struct shell *sh, struct command_args *args, GError **error)
{
	const struct expect_opts opts = expect_options(args);
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);

	return dom && expect_wait(sh, dom, &opts, args_text(args, "text"), error);
}

static bool cmd_expect(struct shell *sh, struct command_args *args, GError **error)
{
	const char *path = args_text(args, "script");
	struct expect_opts opts = expect_options(args);
	g_autofree char *text = xml_file_read(path, error);
	g_autoptr(expect_script) script = text ? expect_parse(text, path, error) : NULL;
	g_autoptr(vmm_domain) dom = script ? fleet_domain(sh, args, error) : NULL;

	if (!text)
		g_prefix_error(error, "%s: ", path);
	opts.take_over = args_given(args, "take-over");
	opts.show = args_given(args, "show");
	return dom && expect_run(sh, dom, &opts, script, error);
}

/* ---- tables ---- */

#define OPTION_TIMEOUT(text) { \
	.name = "timeout", .kind = OPT_TIME, .value = "DURATION", .help = text, \
}
#define OPTION_TAKE_OVER OPTION_FLAG("take-over", "take the keyboard from whoever has it now")

static const struct option_def options_console[] = {
	{ .name = "domain", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .complete = COMPLETE_ACTIVE, .value = "DOMAIN",
	  .help = "one; with --all names, ids, uuids and globs, or none for all that run" },
	OPTION_DEVNAME,
	OPTION_FLAG("all", "watch many at once, each line with its domain's name"),
	{ .name = "since", .kind = OPT_TIME, .value = "DURATION",
	  .help = "show first what was said since then: 90s, 5m, 2h" },
	OPTION_FLAG("from-boot", "show first all that was said since the machine's last boot"),
	OPTION_FLAG("read-only", "watch, send nothing"),
	OPTION_TAKE_OVER,
	OPTION_FLAG("force", "the same as --take-over"),
	OPTION_FLAG("safe", "only if nobody else is attached"),
	{ .name = "escape", .kind = OPT_STRING, .value = "KEYS",
	  .help = "what leaves: ^X for a control key, ~. for Enter ~ ., or none; else "
		  "$VMSH_ESCAPE, else ^] and ~." },
	{ 0 },
};

static const struct option_def options_wait[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "text", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, .value = "RE",
	  .help = "a regular expression (PCRE), looked for in each line" },
	OPTION_DEVNAME,
	OPTION_TIMEOUT("fail after this time; a minute if not given"),
	OPTION_FLAG("new", "what was said before does not count"),
	{ 0 },
};

static const struct option_def options_expect[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "script", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "SCRIPT",
	  .help = "a file; - is the standard input" },
	OPTION_DEVNAME,
	OPTION_TIMEOUT("of each expect, until the script says another; a minute if not given"),
	OPTION_FLAG("new", "what was said before does not count"),
	OPTION_TAKE_OVER,
	OPTION_FLAG("show", "print what the console says meanwhile"),
	{ 0 },
};

#define GROUP "Consoles"

const struct command commands_console[] = {
	{ "console", GROUP, "attach to a serial console; Ctrl-] or Enter ~ . leaves",
	  options_console, 0, cmd_console,
	  "What the guest wrote last is shown first. One can write, others watch; --take-over "
	  "takes the keyboard.\n"
	  "A virtio console gets the size of the writer's terminal, also when it changes." },
	{ "wait", GROUP, "wait until a console says something", options_wait, 0, cmd_wait,
	  "What was said since the last boot counts, too. Fails when the time is over or the "
	  "guest has gone." },
	{ "expect", GROUP, "talk to a console by a script", options_expect, 0, cmd_expect,
	  "A step a line: expect RE waits for a regular expression; send TEXT types, sendline TEXT "
	  "with Enter; timeout DURATION holds for what follows; pause DURATION; fail RE ends the "
	  "script when that is said; print TEXT. CONSOLE SCRIPTS in vmsh(1) has more." },
	{ 0 },
};
