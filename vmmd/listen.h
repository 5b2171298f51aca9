/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where vmmd listens. */
#pragma once

#include "vmmd/daemon.h"
#include "vmmd/tls.h"

struct listen_policy {
	gboolean libvirt_compat;	/* where libvirt's clients look, too */
	gboolean libvirt_qemu;		/* also for qemu:///system */
	bool well_known;		/* the run folder is the one that everybody knows */
	gboolean tls;
	struct tls_policy tls_policy;
};

/* Options that mean nothing without another one. */
bool listen_policy_check(const struct listen_policy *policy, GError **error);
bool listen_all(struct daemon *d, const struct listen_policy *policy, GError **error);
