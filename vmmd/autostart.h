/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains that start with the host. */
#pragma once

#include "vmmd/domain.h"

struct autostart;

/* Of the domain's <metadata>: <autostart xmlns='urn:libvmm:autostart' after='db cache'/> */
#define AUTOSTART_NAMESPACE "urn:libvmm:autostart"

struct autostart_policy {
	unsigned parallel;	/* so many are being started at a time */
	unsigned delay_ms;	/* from one's beginning to the next one's */
};

/*
 * Starts those that are marked, once in the life of the run folder (which the
 * host's restart empties), each after those that its metadata names: a daemon
 * that is merely restarted starts nothing, but goes on with what the one before
 * it had not begun yet.  NULL: nothing is to be done.
 */
struct autostart *autostart_begin(struct daemon *daemon, const struct autostart_policy *policy);
/* The domain is not busy any more: perhaps its start has waited for that. */
void autostart_due(struct domain *dom);
/* Begins no more; NULL is fine. */
void autostart_free(struct autostart *a);
/* Is that still to come? */
bool autostart_is_due(const struct daemon *daemon);
