/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command tables, each beside its functions; all end with an entry without name. */
#pragma once

#include "vmsh/command.h"

extern const struct command commands_domain[];	/* cmd-domain.c: life of domains */
extern const struct command commands_exec[];	/* cmd-exec.c: commands inside guests */
extern const struct command commands_reach[];	/* cmd-reach.c: ways into guests */
extern const struct command commands_agent[];	/* cmd-agent.c: inside guests */
extern const struct command commands_copy[];	/* cmd-copy.c: files in and out */
extern const struct command commands_guest[];	/* cmd-guest.c: by its agent */
extern const struct command commands_console[];	/* cmd-console.c: what consoles say */
extern const struct command commands_console_log[];	/* cmd-console-log.c */
extern const struct command commands_create[];	/* cmd-create.c: domains of words */
extern const struct command commands_save[];	/* cmd-save.c: domains in files */
extern const struct command commands_info[];	/* cmd-info.c: looking at domains */
extern const struct command commands_graph[];	/* cmd-graph.c: images the daemon knows */
extern const struct command commands_history[];	/* cmd-history.c: definitions as they were */
extern const struct command commands_log[];	/* cmd-log.c: what happened */
extern const struct command commands_network[];	/* cmd-network.c: networks, ports */
extern const struct command commands_plan[];	/* cmd-plan.c: definitions before they are made */
extern const struct command commands_pool[];	/* cmd-pool.c: storage pools */
extern const struct command commands_vol[];	/* cmd-vol.c: storage volumes */
extern const struct command commands_block[];	/* cmd-block.c: disks of domains in use */
extern const struct command commands_device[];	/* cmd-device.c: disks and cards */
extern const struct command commands_stat[];	/* cmd-stat.c: memory, processors, counters */
extern const struct command commands_host[];	/* cmd-host.c: the host and the daemon */
extern const struct command commands_image[];	/* cmd-image.c: image files, no daemon */
extern const struct command commands_image_bench[];	/* cmd-image-bench.c: how fast */
extern const struct command commands_image_convert[]; /* cmd-image-convert.c: and dd, measure */
extern const struct command commands_image_snapshot[]; /* cmd-image-snapshot.c */
extern const struct command commands_snapshot_create[];	/* cmd-snapshot-create.c */
extern const struct command commands_snapshot[];	/* cmd-snapshot.c */
extern const struct command commands_shell[];	/* cmd-shell.c: the shell itself */
extern const struct command commands_web[];	/* cmd-web.c: pages for a browser */
