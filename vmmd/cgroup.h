/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cgroup (v2) for each domain that has limits, named by its uuid; a domain
 * without any stays where vmmd is.  Root's are in the folder "vmm" at the top, a
 * user's beside vmmd's own, where the user's systemd has handed that over;
 * VMM_CGROUP_DIR names another.  Where there is none, limits are refused.
 */
#pragma once

#include <sys/types.h>

#include "libvmm/domain/domain.h"
#include "vmmd/daemon.h"

/*
 * Puts the process into the domain's cgroup and sets what `to` and `from` (NULL:
 * nothing) have different there.  No-op when that is nothing.
 */
bool cgroup_apply(struct daemon *daemon, const char *uuid_text, pid_t pid,
		  const struct tune_def *from, const struct tune_def *to, GError **error);
/* When nobody is in it any more. */
void cgroup_remove(const struct daemon *daemon, const char *uuid_text);
