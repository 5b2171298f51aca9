/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Table entries that many commands share. */
#pragma once

#include "vmsh/command.h"

#define OPTION_DOMAIN(what) { \
	.name = "domain", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_##what, .value = "DOMAIN", .help = "the domain's name, id or uuid", \
}

/* With what fleet_run() takes besides. */
#define OPTION_DOMAINS(what) { \
	.name = "domain", .kind = OPT_STRING, \
	.flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY | OPT_OR_WHERE, \
	.complete = COMPLETE_##what, .value = "DOMAIN", \
	.help = "names, ids or uuids; also globs, as in web-*", \
}, { \
	.name = "where", .kind = OPT_STRING, .complete = COMPLETE_EXPRESSION, \
	.value = "EXPRESSION", \
	.help = "those for which it holds, as in \"memory_mb > 1024\"", \
}, { \
	.name = "parallel", .kind = OPT_NUMBER, .value = "N", \
	.help = "so many at a time; else 16", \
}, { \
	.name = "delay", .kind = OPT_TIME, .value = "TIME", \
	.help = "from one's beginning to the next one's", \
}, \
OPTION_FLAG("dry-run", "only print which domains they would be")

#define OPTION_DEVNAME { \
	.name = "devname", .kind = OPT_STRING, .value = "DEVICE", \
	.help = "alias of a serial port or console; the first one if not given", \
}

#define OPTION_FLAG(option, text) { .name = option, .kind = OPT_FLAG, .help = text }

#define OPTION_HIDDEN_FLAG(option) { \
	.name = option, .kind = OPT_FLAG, .flags = OPT_HIDDEN, .help = "", \
}

#define OPTIONS_AFFECT \
	OPTION_FLAG("live", "of the running domain"), \
	OPTION_FLAG("config", "of the stored definition: from the next start on"), \
	OPTION_FLAG("current", "of what the domain is now: the default")

/* VMM_AFFECT_* of OPTIONS_AFFECT. */
#define args_affect(args) \
	((args_given(args, "live") ? VMM_AFFECT_LIVE : 0) | \
	 (args_given(args, "config") ? VMM_AFFECT_CONFIG : 0))
