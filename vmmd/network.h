/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Networks that guests share.
 *
 * An active nat or isolated network has a process of its own, its switch
 * (network-switch.c), from the first guest's start on.  It outlives vmmd like
 * a machine does, and one that dies is replaced: the guests get new cables and
 * keep their addresses, which are in a file.  A network on a bridge is a name
 * for that bridge.
 */
#pragma once

#include "libvmm/domain/network.h"
#include "vmmd/domain.h"
#include "vmmd/link.h"

struct netswitch;

struct network {
	struct daemon *daemon;
	network_def *saved;		/* of the next start; NULL: transient */
	network_def *live;		/* NULL: not active */
	bool autostart;
	struct netswitch *sw;		/* NULL: nobody needed it yet */
	unsigned deaths;		/* of switches, one soon after the other */
	guint revival;			/* the next try, after several */
};

/* Reads the database, makes the default network if there never was one, starts what is to run. */
bool networks_load(struct daemon *daemon, GError **error);
/* An earlier vmmd's switches; when the domains are known. */
void networks_adopt(struct daemon *daemon);
void networks_free(GPtrArray *networks);

struct network *network_find_uuid(struct daemon *daemon, const uint8_t uuid[UUID_BYTES]);
struct network *network_find_name(struct daemon *daemon, const char *name);
/* Live while it is active, else saved. */
const network_def *network_now(const struct network *net);

/* def is taken. */
struct network *network_define(struct daemon *daemon, network_def *def, GError **error);
struct network *network_create(struct daemon *daemon, network_def *def, GError **error);
bool network_undefine(struct network *net, GError **error);
bool network_start(struct network *net, GError **error);
/* A transient one is gone afterwards. */
bool network_stop(struct network *net, GError **error);
bool network_set_autostart(struct network *net, bool on, GError **error);
/* saved, live: new definitions of a changed network, NULL as it is; taken. */
bool network_change(struct network *net, network_def *saved, network_def *live, GError **error);
bool network_need_active(const struct network *net, GError **error);

/* ---- guests ---- */

/* Are the networks of its interfaces there, and active? */
bool networks_check_start(struct daemon *daemon, const domain_def *def, GError **error);
/* A starting domain's interface of type network (link.h's open_tap). */
enum link_tap network_open_tap(struct domain *dom, const struct iface_def *iface, int *fds,
			       char **ret_ifname, const struct frame_header *call, GError **error);
/* The switch's name for an interface. */
char *network_port_key(const struct domain *dom, const struct iface_def *iface);

typedef void network_user_fn(struct domain *dom, unsigned index, void *opaque);
/* Each interface of active domains that is on it. */
void network_users(const struct network *net, network_user_fn *fn, void *opaque);
unsigned network_n_users(const struct network *net);
/* Cables to those that have none: after the switch was replaced. */
void network_replug(struct network *net);

/* ---- the switch ---- */

/* Its link; starts it if it is not there.  NULL on failure, and of a network on a bridge. */
struct link *network_link(struct network *net, GError **error);
void netswitch_end(struct network *net);
void netswitch_leave(struct network *net);
void netswitch_adopt(struct network *net);
/* The file of its leases goes. */
void netswitch_forget(const struct network *net, const network_def *def);
