/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between network.c (commands, connection) and network-build.c (switch, leases, forwards). */
#pragma once

#include "libvmm/domain/network.h"
#include "libvmm/net/slirp.h"
#include "libvmm/net/switch.h"
#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/error.h"

struct network {
	GMainLoop *loop;
	struct rpc_conn *link;		/* NULL: no vmmd */
	struct net_switch *sw;		/* NULL until NET_START */
	network_def *def;
	char *xml;
	int id;
	int64_t started_us;
	int leases_fd;
	guint leases_source;
	GPtrArray *forwards;		/* of struct forward (network-build.c) */
};

void network_init(struct network *n);
void network_done(struct network *n);
/* By n->def. */
bool network_build(struct network *n, GError **error);
/* n->def has other lists of hosts. */
void network_refill(struct network *n);

bool network_forward_add(struct network *n, struct switch_port *port, const worker_forward *w,
			 GError **error);
bool network_forward_remove(struct network *n, const char *key, const worker_forward *w,
			    GError **error);
void network_forwards_drop(struct network *n, const char *key);
