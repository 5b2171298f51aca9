/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function per procedure: check, act, answer.  They keep no state.  args
 * are decoded and bounded, and gone when the function returns; the call may be
 * kept and answered later.
 */
#pragma once

#include "libvmm/rpc/vmmtab.h"
#include "libvmm/util/error.h"
#include "vmmd/domain.h"
#include "vmmd/network.h"
#include "vmmd/pool.h"
#include "vmmd/server.h"

typedef void api_fn(struct call *call, const void *args);

struct api_entry {
	int procedure;
	api_fn *fn;
};

/* Tables end with procedure 0. */
extern const struct api_entry api_host[], api_domain[], api_define[], api_life[], api_tune[],
	api_stats[], api_bulk[], api_events[], api_network[], api_storage[], api_snapshot[],
	api_block[], api_save[], api_volume[], api_iface[], api_agent[], api_guest[],
	api_cpu[], api_nodedev[],
	api_limit[], api_pin[], api_device[],
	api_nothing[];
/* Of libvirt's program for QEMU. */
extern const struct api_entry api_qemu[];
/* Of our own program. */
extern const struct api_entry api_console[], api_doctor[], api_history[], api_image[], api_log[],
	api_plan[], api_port[];

/* flags of many procedures; neither: what it is now */
enum api_affect { API_LIVE = 1, API_CONFIG = 2 };

/* Each of these has answered the call when it gives NULL or false. */
struct domain *api_domain_of(struct call *call, const remote_domain *ref);
struct network *api_network_of(struct call *call, const remote_network *ref);
struct pool *api_pool_of(struct call *call, const remote_pool *ref);
struct domain *api_active_of(struct call *call, const remote_domain *ref);
/* Of what tells of all domains: does the caller see them all? */
bool api_sees_all(struct call *call);
bool api_flags(struct call *call, unsigned flags, unsigned known);
/* Turns "what it is now" into API_LIVE or API_CONFIG and checks that there is such a definition. */
bool api_affect(struct call *call, struct domain *dom, unsigned flags, unsigned *ret);
/* The definition that these flags mean; `known` are others that the procedure has. */
const domain_def *api_def_of(struct call *call, const remote_domain *ref, unsigned flags,
			     unsigned known);
/* Of the CPUs that the host has, those of a pin (NULL: the definition's own); all bytes are set. */
void api_pin_map(const domain_def *def, const char *pin, uint8_t *ret, unsigned bytes);

remote_domain api_ref(const struct domain *dom);
/* A lifecycle_done: answers the call (opaque) with nothing or the error. */
void api_done(struct domain *dom, const GError *error, void *opaque);
/* Likewise, with the domain. */
void api_done_dom(struct domain *dom, const GError *error, void *opaque);
/* A link_done that answers the call with nothing or the error. */
void api_link_done(const void *ret, const GError *error, void *opaque);
/*
 * Domains that CONNECT_LIST_ALL_DOMAINS's flags choose, of those that the caller sees, by name; see
 * domain_table_peek().
 */
GPtrArray *api_list(struct call *call, unsigned flags);
