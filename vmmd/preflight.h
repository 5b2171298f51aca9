/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of this host a machine would miss, found out before it is started. */
#pragma once

#include "vmmd/domain.h"

enum preflight_severity {
	PREFLIGHT_REFUSED,	/* the definition itself is wrong */
	PREFLIGHT_NO_START,	/* as things are now a start fails */
	PREFLIGHT_DOUBT,
};

/* In the order in which a start would meet it. */
typedef void preflight_found(enum preflight_severity severity, const char *text, void *opaque);

/*
 * Looks and changes nothing.  dom is the one that def is for; what it holds
 * itself while it runs is not in its way.  NULL: there is none yet.
 */
void preflight(struct daemon *daemon, const domain_def *def, const struct domain *dom,
	       preflight_found *found, void *opaque);
