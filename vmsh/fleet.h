/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One command on many domains: choosing them, and calling for all at once. */
#pragma once

#include "vmsh/shell.h"

/* A domain that the user named, or why there is none. */
struct target {
	char *name;
	vmm_domain *dom;	/* NULL: error says why */
	GError *error;
};

/*
 * Those that words name, each once (struct target), in the order written; a
 * glob takes only domains that list_flags select.  NULL and *error when the
 * daemon can't be asked or nothing matches.
 */
GPtrArray *fleet_select(struct shell *sh, const GPtrArray *words, unsigned list_flags,
			GError **error);

/*
 * Those that options "domain" and "where" choose together (struct target); a glob, or no word,
 * takes those that list_flags select.  NULL and *error when there is none.
 */
GPtrArray *fleet_choose(struct shell *sh, const struct command_args *args, unsigned list_flags,
			GError **error);

/* The single domain of option "domain". */
vmm_domain *fleet_domain(struct shell *sh, const struct command_args *args, GError **error);

/*
 * Leaves of stats, an array of struct vmm_domain_stats, those that option
 * "domain" names; all if it was not given.  False when a word names none of
 * them: that has been printed.
 */
bool fleet_filter(struct shell *sh, const struct command_args *args, GPtrArray *stats);

/* Leaves those for which fn is true, in their order; in one pass, however many they are. */
typedef bool fleet_keep_fn(const void *item, void *opaque);
void fleet_keep(GPtrArray *items, fleet_keep_fn *fn, void *opaque);

/* Runs on any thread. */
typedef bool fleet_fn(struct shell *sh, vmm_domain *dom, void *opaque, GError **error);

struct fleet_job {
	const char *doing;	/* "starting" */
	const char *done;	/* "started": reported for each */
	fleet_fn *fn;
	void *opaque;
	bool for_off;		/* domains that are off need no advice to be started */
};

/*
 * On the domains that OPTION_DOMAINS() chooses, several at a time.  False if one
 * failed.
 */
bool fleet_run(struct shell *sh, const struct command_args *args, unsigned list_flags,
	       const struct fleet_job *job, GError **error);

/*
 * Makes *error name the domain and say what to do next; for any error that a
 * call on dom gave.
 */
void fleet_advise(vmm_domain *dom, GError **error);
