/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of vmmd share: where things are, and each other. One thread, one main loop. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct daemon {
	GMainLoop *loop;
	/* root, with the well-known folders; else a user's session */
	bool system_mode;
	char *state_dir, *run_dir, *log_dir;
	char *image_dir;		/* of the default pool */
	char *cgroup_dir;		/* cgroup.c's; NULL until it is needed */
	char *worker_path;		/* the program vmm-worker */
	const char *save_format;	/* of saved memory: a name that save.h knows; NULL: raw */
	uint64_t console_log_bytes;	/* bound of each domain's journal of consoles; 0: none */
	unsigned start_timeout_ms;	/* for a worker's answer to START */
	unsigned stop_timeout_ms;	/* and to STOP, before it is killed */
	unsigned powerdown_timeout_ms;	/* after which a guest has ignored the button */

	struct store *store;
	struct logbook *logbook;
	struct copies *copies;		/* of definitions, beside the database */
	struct domain_table *domains;
	struct event_hub *events;
	struct server *server;
	struct tls_server *tls;		/* NULL: none */
	struct metrics_server *metrics;	/* NULL: it is off */
	struct autostart *autostart;	/* domains that are yet to start with the host; NULL */
	struct bulks *bulks;		/* bulk.c's; NULL until somebody asks */
	struct owners *owners;		/* owner.c's; NULL until somebody asks */
	struct graph *graph;		/* of images */
	GPtrArray *pools;		/* struct pool */
	GPtrArray *networks;		/* struct network */
	GSList *agent_asks;		/* agent-ask.c's */
	GSList *imagejobs;		/* struct imagejob: children at work */
	guint settle;			/* settle.c's timer; 0 */
	int64_t started_s;		/* real time */
	bool in_background;		/* stderr is nobody's */
	bool verbose;
	bool ending;			/* nothing new is begun */
	bool asked_to_end;		/* by a signal, perhaps before the loop runs */
};
