/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The addresses of vsocks: no two machines that run have one. */
#pragma once

#include "vmmd/domain.h"

/* Who runs with this address, or is about to; never `except`.  NULL: nobody. */
const struct domain *cid_user(const struct daemon *daemon, uint32_t cid,
			      const struct domain *except);
/* Gives live's vsock (if it has one) its address; an error when its own is taken. */
bool cid_choose(const struct daemon *daemon, const struct domain *dom, domain_def *live,
		GError **error);
