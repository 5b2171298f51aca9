/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "top" shows of each domain: counters of two moments become rates. */
#pragma once

#include "vmsh/shell.h"

/* One domain at one moment.  Rates are 0 until there is an earlier sample of it. */
struct top_row {
	vmm_domain *dom;
	int state;
	unsigned vcpus;
	uint64_t memory_bytes;
	uint64_t uptime_s;
	double cpu_percent;	/* of one processor */
	double read_rate, write_rate, rx_rate, tx_rate;	/* bytes a second */
	uint64_t cpu_ns, read_bytes, write_bytes, rx_bytes, tx_bytes;
};

enum top_sort { SORT_NAME, SORT_STATE, SORT_CPU, SORT_MEMORY, SORT_DISK, SORT_NET, N_SORTS };

struct top_sample;

/* One call for all domains.  before: the last one, or NULL; all: those that are off as well. */
struct top_sample *top_sample_new(vmm_connect *conn, const struct top_sample *before, bool all,
				  GError **error);
void top_sample_free(struct top_sample *s);
typedef struct top_sample top_sample;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(top_sample, top_sample_free)

void top_sample_sort(struct top_sample *s, enum top_sort by, bool reverse);
unsigned top_sample_count(const struct top_sample *s);
unsigned top_sample_running(const struct top_sample *s);
const struct top_row *top_sample_row(const struct top_sample *s, unsigned i);
/* The place of the domain of that uuid; -1. */
int top_sample_find(const struct top_sample *s, const char *uuid);
/* The sum of all rows. */
struct top_row top_sample_sum(const struct top_sample *s);
