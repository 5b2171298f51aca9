/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users who may do something on a read-only connection: the owner of a domain,
 * named in its <metadata> by root or the group, steers it.  Nothing by which
 * vmmd would open a file for him: he defines nothing and saves nowhere.  What is
 * not his he does not see.
 */
#pragma once

#include <sys/types.h>

#include "vmmd/domain.h"
#include "vmmd/server.h"

struct owners;
void owners_free(struct owners *owners);

#define OWNER_NS "https://libvmm.org/xmlns/owner/1.0"

/* Of libvirt's program: one whose arguments begin with the domain. */
bool owner_may(int procedure);
/* A new definition may name another. */
void owner_note(struct domain *dom);
/* A domain with an owner has come, or gone. */
void owner_changed(struct daemon *daemon);
bool owner_is(const struct domain *dom, uid_t uid);
/*
 * On the socket for everybody a user who owns domains sees these alone; another
 * sees those that nobody owns.  Root, and the user whose vmmd it is, see all.
 * session NULL: it has ended.
 */
bool owner_sees(const struct session *session, const struct domain *dom);
/* Those of a list (of struct domain) that it sees stay. */
void owner_filter(const struct session *session, struct daemon *daemon, GPtrArray *domains);
/* Is there a domain that it does not see? */
bool owner_misses(const struct session *session, struct daemon *daemon);
