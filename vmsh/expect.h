/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Conversations with a console: waiting for a text, and scripts.
 *
 * A script has a step a line, the verb and the rest as its argument:
 *
 *	expect RE	wait until this regular expression is in a line
 *	send TEXT	type it; \r \n \t \e \\ \xHH as in C
 *	sendline TEXT	likewise, and Enter
 *	timeout TIME	of each expect from here on: 60s, 5m
 *	pause TIME
 *	fail RE		from here on: whoever sees this while he expects has failed
 *	print TEXT	for the reader of the script's output
 *
 * Quotes around an argument keep its blanks; # begins a comment's line.
 */
#pragma once

#include "vmsh/shell.h"

#define EXPECT_TIMEOUT_MS 60000

struct expect_opts {
	const char *device;	/* NULL: the first console */
	bool fresh;		/* what was said before counts for nothing */
	bool take_over;		/* who types there now goes */
	bool show;		/* what the console says, on stdout */
	uint64_t timeout_ms;	/* of each expect, until the script says another */
};

/* pattern was said since the boot, or is within the timeout. */
bool expect_wait(struct shell *sh, vmm_domain *dom, const struct expect_opts *opts,
		 const char *pattern, GError **error);

struct expect_script;

/* name: of the file, for errors, which say the line. */
struct expect_script *expect_parse(const char *text, const char *name, GError **error);
void expect_script_free(struct expect_script *script);
typedef struct expect_script expect_script;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(expect_script, expect_script_free)

bool expect_run(struct shell *sh, vmm_domain *dom, const struct expect_opts *opts,
		const struct expect_script *script, GError **error);
