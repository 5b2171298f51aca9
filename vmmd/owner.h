/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users who may do something on a read-only connection: the owner of a domain,
 * named in its <metadata> by root or the group, steers it.  Nothing by which
 * vmmd would open a file for him: he defines nothing and saves nowhere.
 */
#pragma once

#include <sys/types.h>

#include "vmmd/domain.h"

#define OWNER_NS "https://libvmm.org/xmlns/owner/1.0"

/* Of libvirt's program: one whose arguments begin with the domain. */
bool owner_may(int procedure);
bool owner_is(const struct domain *dom, uid_t uid);
