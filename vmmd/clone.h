/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new domain like another that is off: own name, uuid and MAC addresses, and
 * disks of its own, beside the old ones as NAME-TARGET.qcow2.  An overlay stands on
 * the old disk, which from then on nobody may write to.
 */
#pragma once

#include "vmmd/domain.h"
#include "vmmd/journal.h"

#define CLONE_INTENT "clone"

/* dom: the new one, or NULL with error. */
typedef void clone_done(struct domain *dom, const GError *error, void *opaque);

/* done is called once, perhaps before it returns. */
void clone_start(struct domain *of, const char *name, bool copy, clone_done *done, void *opaque);
/* A clone that was not finished never was: its images go. */
bool clone_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error);
