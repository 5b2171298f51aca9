/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Switches: one process for an active network, from when it is first needed.
 *
 * A switch that ends unasked is started again at once, and its guests get new
 * cables; one that keeps ending is tried every few seconds.
 */
#include "config.h"
#include "vmmd/network.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/said.h"
#include "vmmd/store.h"
#include "vmmd/supervisor.h"

#define HELLO_TIMEOUT_MS 5000
#define QUICK_DEATHS_MAX 3
#define QUICK_US (10 * G_USEC_PER_SEC)
#define REVIVAL_S 5

struct netswitch {
	struct network *net;		/* NULL: it is told to end */
	struct link *link;
	struct said *said;		/* its stderr */
	struct said_budget said_budget;
	int64_t since_us;
};

static char *uuid_of(const network_def *def)
{
	char text[UUID_TEXT_BYTES];

	uuid_to_text(def->uuid, text);
	return g_strdup(text);
}

/* ---- leases ---- */

static char *leases_path(const struct daemon *daemon, const network_def *def)
{
	g_autofree char *uuid = uuid_of(def);
	g_autofree char *file = g_strconcat(uuid, ".leases", NULL);

	return g_build_filename(daemon->state_dir, "networks", file, NULL);
}

static int leases_open(const struct network *net, GError **error)
{
	g_autofree char *path = leases_path(net->daemon, net->live);
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = -1;

	if (g_mkdir_with_parents(folder, 0700) == 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		error_errno(error, errno, "open '%s'", path);
	return fd;
}

void netswitch_forget(const struct network *net, const network_def *def)
{
	g_autofree char *path = leases_path(net->daemon, def);

	g_unlink(path);
}

/* ---- the process ---- */

static void bury(const struct network *net)
{
	g_autofree char *uuid = uuid_of(net->live);

	supervisor_bury(net->daemon, SUPERVISED_NETWORK, uuid);
}

static void revive(struct network *net)
{
	g_autoptr(GError) error = NULL;

	if (!network_n_users(net))
		return;
	if (network_link(net, &error))
		network_replug(net);
	else
		g_warning("network '%s': its switch does not start: %s", net->live->name,
			  error->message);
}

static gboolean on_revival(void *opaque)
{
	struct network *net = opaque;

	net->revival = 0;
	revive(net);
	return G_SOURCE_REMOVE;
}

static void netswitch_free(struct netswitch *sw)
{
	said_free(sw->said);
	link_free(sw->link);
	g_free(sw);
}

static void on_gone(const char *how, void *opaque)
{
	struct netswitch *sw = opaque;
	struct network *net = sw->net;
	bool quick = g_get_monotonic_time() - sw->since_us < QUICK_US;

	netswitch_free(sw);
	if (!net)
		return;
	net->sw = NULL;
	net->deaths = quick ? net->deaths + 1 : 1;
	g_warning("network '%s': its switch %s: another is started", net->live->name, how);
	bury(net);
	if (net->deaths < QUICK_DEATHS_MAX)
		revive(net);
	else if (!net->revival)
		net->revival = g_timeout_add_seconds(REVIVAL_S, on_revival, net);
}

static const struct link_ops switch_ops = { .gone = on_gone };

static void on_line(const char *line, void *opaque)
{
	struct netswitch *sw = opaque;
	g_autofree char *harmless = logbook_clean(line);
	unsigned left_out;

	if (sw->net && said_may(&sw->said_budget, &left_out))
		g_warning("network '%s': its switch says: %s", sw->net->live->name, harmless);
}

static struct netswitch *netswitch_new(struct network *net, const char *uuid, int fd, int pidfd)
{
	struct netswitch *sw = g_new0(struct netswitch, 1);

	sw->net = net;
	sw->since_us = g_get_monotonic_time();
	sw->link = link_new(fd, pidfd, &switch_ops, sw);
	sw->said = said_new(supervisor_hear(net->daemon, SUPERVISED_NETWORK, uuid), on_line, sw);
	return sw;
}

/* What was asked of it meanwhile is answered by errors, and then it is gone. */
static void on_started(const void *ret, const GError *error, void *opaque)
{
	struct netswitch *sw = opaque;

	if (error && sw->net)
		g_warning("network '%s': its switch: %s", sw->net->live->name, error->message);
}

static bool netswitch_start(struct network *net, GError **error)
{
	g_autofree char *xml = NULL, *uuid = NULL;
	auto_close int leases = -1;
	int fd, pidfd, id;

	if (net->live->forward == NETWORK_BRIDGE) {
		error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
			  "Operation not supported: network '%s' is the bridge '%s' of the host",
			  net->live->name, net->live->bridge);
		return false;
	}
	uuid = uuid_of(net->live);
	xml = network_def_format(net->live, -1);
	leases = leases_open(net, error);
	if (leases < 0 || !store_next_id(net->daemon->store, &id, error) ||
	    !supervisor_spawn(net->daemon, SUPERVISED_NETWORK, net->live->name, uuid, &fd, &pidfd,
			      error))
		return false;
	net->sw = netswitch_new(net, uuid, fd, pidfd);
	/* Calls are done in their order: whoever comes next need not wait for this. */
	link_net_start(net->sw->link, xml, id, leases, on_started, net->sw);
	g_message("network '%s': its switch has started", net->live->name);
	return true;
}

/* One that has lost its connection can do nothing more: nobody waits until its process is gone. */
static bool netswitch_replace(struct network *net, GError **error)
{
	g_warning("network '%s': its switch has hung up: another is started", net->live->name);
	netswitch_end(net);
	if (!netswitch_start(net, error)) {
		net->revival = g_timeout_add_seconds(REVIVAL_S, on_revival, net);
		return false;
	}
	network_replug(net);
	return true;
}

struct link *network_link(struct network *net, GError **error)
{
	if (!network_need_active(net, error) || (!net->sw && !netswitch_start(net, error)) ||
	    (!link_is_connected(net->sw->link) && !netswitch_replace(net, error)))
		return NULL;
	return net->sw->link;
}

void netswitch_end(struct network *net)
{
	struct netswitch *sw = g_steal_pointer(&net->sw);

	g_clear_handle_id(&net->revival, g_source_remove);
	net->deaths = 0;
	if (!sw)
		return;
	sw->net = NULL;
	link_kill(sw->link);	/* it has nothing to lose */
	bury(net);
}

void netswitch_leave(struct network *net)
{
	struct netswitch *sw = g_steal_pointer(&net->sw);

	if (!sw)
		return;
	netswitch_free(sw);
}

/* ---- those of an earlier vmmd ---- */

static void on_adopted(const void *ret, const GError *error, void *opaque)
{
	struct netswitch *sw = opaque;
	const worker_hello_ret *hello = ret;

	if (!sw->net)
		return;
	if (error || hello->state != WORKER_RUNNING) {
		link_kill(sw->link);
		return;
	}
	g_message("network '%s': its switch goes on", sw->net->live->name);
	network_replug(sw->net);
}

void netswitch_adopt(struct network *net)
{
	g_autofree char *uuid = net->live ? uuid_of(net->live) : NULL;
	int fd, pidfd;

	if (!net->live || net->live->forward == NETWORK_BRIDGE || net->sw)
		return;
	if (!supervisor_find(net->daemon, SUPERVISED_NETWORK, uuid, &fd, &pidfd)) {
		bury(net);
		revive(net);
		return;
	}
	net->sw = netswitch_new(net, uuid, fd, pidfd);
	link_hello(net->sw->link, HELLO_TIMEOUT_MS, on_adopted, net->sw);
}
