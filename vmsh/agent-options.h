/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Table entries of the commands that ask an agent. */
#pragma once

#include "vmsh/options.h"

#define AGENT_GROUP "Inside guests"
#define AGENT_TIMEOUT_MS 30000

#define OPTION_AGENT_TIMEOUT { \
	.name = "timeout", .kind = OPT_TIME, .value = "DURATION", \
	.help = "wait so long for the agent; 30 s if not given", \
}
#define OPTIONS_USER { \
	.name = "user", .kind = OPT_STRING, .value = "USER", \
	.help = "name or uid in the guest; root if not given", \
}, { \
	.name = "cwd", .kind = OPT_STRING, .value = "FOLDER", \
	.help = "begin there; in the user's home if not given", \
}, { \
	.name = "env", .letter = 'e', .kind = OPT_STRING, .flags = OPT_MANY, \
	.value = "NAME=VALUE", .help = "put it into the environment", \
}
#define OPTIONS_STREAMS { \
	.name = "interactive", .letter = 'i', .kind = OPT_FLAG, \
	.help = "forward the standard input also when it is a terminal", \
}, { \
	.name = "tty", .letter = 't', .kind = OPT_FLAG, .help = "in a terminal of its own", \
}
