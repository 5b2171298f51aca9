/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the outbound proxy has refused, as lines on stderr, which vmmd puts in
 * the domain's log.  A guest may ask as fast as it likes: what was told a short
 * time ago is not told again, and of many few are.
 */
#include "config.h"
#include "vmmd/worker/outbound-priv.h"

#include <glib.h>
#include <stdio.h>

#define TOLD_MAX 64
#define AGAIN_MS 600000
#define LINE_MS 30000		/* in the long run, one in so long */
#define AHEAD_MS (30 * LINE_MS)	/* after a quiet time */

struct refusals {
	struct {
		guint hash;
		int64_t at_ms;	/* 0: none */
	} told[TOLD_MAX];
	int64_t paid_ms;	/* as if lines had been told until then; may be before the boot */
	unsigned left_out;
};

struct refusals *refusals_new(void)
{
	struct refusals *r = g_new0(struct refusals, 1);

	r->paid_ms = outbound_now_ms() - AHEAD_MS;
	return r;
}

/* Else a place for it: that of the oldest. */
static bool told_lately(struct refusals *r, guint hash, int64_t now)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < TOLD_MAX; i++) {
		if (r->told[i].at_ms && r->told[i].hash == hash &&
		    now < r->told[i].at_ms + AGAIN_MS)
			return true;
		if (r->told[i].at_ms < r->told[oldest].at_ms)
			oldest = i;
	}
	r->told[oldest].hash = hash;
	r->told[oldest].at_ms = now;
	return false;
}

static bool may_tell(struct refusals *r, int64_t now)
{
	int64_t paid = MAX(r->paid_ms, now - AHEAD_MS) + LINE_MS;

	if (paid > now)
		return false;
	r->paid_ms = paid;
	return true;
}

void refusals_tell(struct refusals *r, const char *what, const char *why)
{
	int64_t now = outbound_now_ms();

	if (told_lately(r, g_str_hash(what), now))
		return;
	if (!may_tell(r, now)) {
		r->left_out++;
		return;
	}
	if (r->left_out > 0)
		fprintf(stderr, "outbound: %u other places were refused, too\n", r->left_out);
	r->left_out = 0;
	fprintf(stderr, "outbound: refused %s: %s\n", what, why);
}
