/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A network's process: the switch between its guests, in a jail like a
 * machine's.  Guests' frames are all that it ever reads, and they are a
 * stranger's; it has no file but its leases and no socket but those of its
 * ports and, if the network has a way out, of libslirp.
 *
 * One vmmd at a time, as control.c has it; without any it goes on.
 */
#include "config.h"
#include "vmmd/worker/network-priv.h"

#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/worker/sandbox.h"
#include "vmmd/worker/worker.h"

/* A switch of id N runs as this uid + N: behind those of workers (control-start.c). */
#define SWITCH_UID_BASE 0x7f000000u
#define SWITCH_UID_COUNT 0x00f00000u
/* A vmmd that does not come within this time of the start is gone. */
#define FIRST_CONTACT_S 60

/* ---- commands ---- */

static bool start(struct network *n, const worker_net_args *args, GError **error)
{
	uid_t uid = SWITCH_UID_BASE + (unsigned)args->id % SWITCH_UID_COUNT;

	n->def = network_def_parse(args->xml, 0, error);
	if (!n->def)
		return false;
	n->xml = g_strdup(args->xml);
	n->id = args->id;
	n->started_us = g_get_real_time();
	return sandbox_enter(&(struct sandbox_opts){
				     .uid = uid, .gid = uid,
				     .host_network = n->def->forward == NETWORK_NAT }, error) &&
	       network_build(n, error) && sandbox_lock(false, error);
}

static bool do_start(struct network *n, struct rpc_message *msg, GError **error)
{
	worker_net_args args = { 0 };
	bool ok;

	if (n->def || msg->n_fds != 1)
		return error_set(error, VMM_ERR_RPC, "a switch is started once, with its leases");
	n->leases_fd = TAKE_FD(msg->fds[0]);
	ok = rpc_message_decode(msg, (xdrproc_t)xdr_worker_net_args, &args, error) &&
	     start(n, &args, error);
	frame_free((xdrproc_t)xdr_worker_net_args, &args);
	if (!ok)
		g_main_loop_quit(n->loop);
	return ok;
}

/* The lists of hosts; what else the definition has stays until the next start. */
static bool do_update(struct network *n, struct rpc_message *msg, GError **error)
{
	worker_net_args args = { 0 };
	g_autoptr(network_def) def = NULL;
	bool ok;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_net_args, &args, error))
		def = network_def_parse(args.xml, 0, error);
	ok = def != NULL;
	if (ok) {
		g_free(n->xml);
		n->xml = g_strdup(args.xml);
		network_def_free(n->def);
		n->def = g_steal_pointer(&def);
		network_refill(n);
	}
	frame_free((xdrproc_t)xdr_worker_net_args, &args);
	return ok;
}

static bool port_add(struct network *n, const worker_port_args *args, int fd, GError **error)
{
	struct switch_port_opts opts = { .key = args->key, .name = args->domain, .fd = fd };
	struct switch_port *port;

	memcpy(opts.mac, args->mac, MAC_BYTES);
	if (switch_port_find(n->sw, args->key))
		network_forwards_drop(n, args->key);
	port = switch_port_add(n->sw, &opts, error);
	for (u_int i = 0; port && i < args->forwards.forwards_len; i++) {
		if (network_forward_add(n, port, &args->forwards.forwards_val[i], error))
			continue;
		network_forwards_drop(n, args->key);
		switch_port_remove(port);
		return false;
	}
	return port;
}

static bool do_port(struct network *n, struct rpc_message *msg, GError **error)
{
	worker_port_args args = { 0 };
	bool ok;

	if (msg->n_fds != 1)
		return error_set(error, VMM_ERR_RPC, "a port comes with a descriptor");
	ok = rpc_message_decode(msg, (xdrproc_t)xdr_worker_port_args, &args, error) &&
	     port_add(n, &args, TAKE_FD(msg->fds[0]), error);
	frame_free((xdrproc_t)xdr_worker_port_args, &args);
	return ok;
}

static bool do_forward(struct network *n, struct rpc_message *msg, GError **error)
{
	worker_forward_args args = { 0 };
	struct switch_port *port = NULL;
	bool ok = rpc_message_decode(msg, (xdrproc_t)xdr_worker_forward_args, &args, error);

	if (ok)
		port = switch_port_find(n->sw, args.key);
	if (ok && !port)
		ok = error_set(error, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: the guest is not plugged into "
			       "network '%s'", n->def->name);
	else if (ok)
		ok = args.remove ? network_forward_remove(n, args.key, &args.forward, error)
				 	: network_forward_add(n, port, &args.forward, error);
	frame_free((xdrproc_t)xdr_worker_forward_args, &args);
	return ok;
}

static void do_info(struct network *n, const struct rpc_message *msg)
{
	const int64_t now_s = g_get_real_time() / G_USEC_PER_SEC;
	g_autoptr(GPtrArray) leases = switch_dhcp(n->sw) ? dhcp_leases(switch_dhcp(n->sw), now_s)
							 : g_ptr_array_new();
	GPtrArray *ports = switch_ports(n->sw);
	g_autofree worker_name *keys = g_new0(worker_name, ports->len);
	g_autofree worker_lease *wire = g_new0(worker_lease, leases->len);
	worker_net_info_ret ret = { { ports->len, keys }, { leases->len, wire } };

	for (unsigned i = 0; i < ports->len; i++)
		keys[i] = (char *)switch_port_key(ports->pdata[i]);
	for (unsigned i = 0; i < leases->len; i++) {
		const struct dhcp_lease *l = leases->pdata[i];

		wire[i] = (worker_lease){
			.ip = l->ip, .expires_s = l->expires_s, .name = l->name ?: (char *)"",
			.client_id = l->client_id ?: (char *)"",
		};
		memcpy(wire[i].mac, l->mac, MAC_BYTES);
	}
	rpc_reply(n->link, &msg->hdr, (xdrproc_t)xdr_worker_net_info_ret, &ret);
}

static void do_hello(struct network *n, const struct rpc_message *msg)
{
	worker_hello_ret ret = {
		.protocol = WORKER_PROTOCOL_VERSION, .pid = (unsigned long)getpid(),
		.state = n->sw ? WORKER_RUNNING : WORKER_EMPTY, .detail = (char *)"",
		.id = n->id, .started_us = n->started_us, .xml = n->xml ?: (char *)"",
	};

	rpc_reply(n->link, &msg->hdr, (xdrproc_t)xdr_worker_hello_ret, &ret);
}

typedef bool handler(struct network *n, struct rpc_message *msg, GError **error);

/* Those that answer nothing, or an error. */
static handler *handler_find(int procedure)
{
	switch (procedure) {
	case WORKER_PROC_NET_START:
		return do_start;
	case WORKER_PROC_NET_UPDATE:
		return do_update;
	case WORKER_PROC_NET_PORT:
		return do_port;
	case WORKER_PROC_NET_FORWARD:
		return do_forward;
	default:
		return NULL;
	}
}

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct network *n = opaque;
	int procedure = msg->hdr.program == WORKER_PROGRAM ? msg->hdr.procedure : 0;
	handler *fn = handler_find(procedure);
	g_autoptr(GError) error = NULL;

	if (msg->hdr.type != FRAME_CALL && msg->hdr.type != FRAME_CALL_WITH_FDS)
		return;
	if (procedure == WORKER_PROC_HELLO) {
		do_hello(n, msg);
		return;
	}
	if (!fn && procedure != WORKER_PROC_NET_INFO) {
		rpc_reply_unknown(conn, &msg->hdr);
		return;
	}
	if (!n->sw && procedure != WORKER_PROC_NET_START)
		error_set(&error, VMM_ERR_OPERATION_INVALID, "the switch is not started");
	else if (fn)
		fn(n, msg, &error);
	else
		do_info(n, msg);
	if (error)
		rpc_reply_error(conn, &msg->hdr, error);
	else if (fn)
		rpc_reply_none(conn, &msg->hdr);
}

/* ---- the connection ---- */

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct network *n = opaque;

	if (n->link == conn)
		n->link = NULL;
	rpc_conn_free(conn);
	if (!n->link && !n->sw)
		g_main_loop_quit(n->loop);
}

static const struct rpc_conn_ops link_ops = { .message = on_message, .closed = on_closed };

static gboolean on_accept(int fd, GIOCondition condition, void *opaque)
{
	struct network *n = opaque;
	int peer = control_accept(fd);

	if (peer < 0)
		return G_SOURCE_CONTINUE;
	if (n->link)
		rpc_conn_close(g_steal_pointer(&n->link));
	n->link = rpc_conn_new(peer, NULL, &link_ops, n);
	return G_SOURCE_CONTINUE;
}

static gboolean on_no_contact(void *opaque)
{
	struct network *n = opaque;

	if (!n->sw && !n->link)
		g_main_loop_quit(n->loop);
	return G_SOURCE_REMOVE;
}

static gboolean on_signal(int fd, GIOCondition condition, void *opaque)
{
	g_main_loop_quit(((struct network *)opaque)->loop);
	return G_SOURCE_REMOVE;
}

int network_run(int listen_fd)
{
	auto_close int signals = worker_signals_new(0);
	struct network n;

	network_init(&n);
	g_unix_set_fd_nonblocking(listen_fd, TRUE, NULL);
	g_unix_fd_add(listen_fd, G_IO_IN, on_accept, &n);
	g_unix_fd_add(signals, G_IO_IN, on_signal, &n);
	g_timeout_add_seconds(FIRST_CONTACT_S, on_no_contact, &n);
	g_main_loop_run(n.loop);

	while (n.link) {
		rpc_conn_close(n.link);
		while (n.link && g_main_context_iteration(NULL, TRUE))
			;
	}
	network_done(&n);
	return 0;
}
