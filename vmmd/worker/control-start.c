/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * START, the one call that calls back: while the machine is built, paths are
 * opened by vmmd.  The build is synchronous, so its WORKER_PROC_OPEN calls
 * iterate the main loop until they are answered; `building` keeps other
 * commands away meanwhile.
 */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include <glib-unix.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/worker/sandbox.h"
#include "vmmd/worker/vsock-door.h"

#define OPEN_TIMEOUT_MS 30000

/* ---- what the build asks of vmmd ---- */

struct ask {
	bool done;
	GError *error;
	int *fds;
	unsigned n_fds;
	char *ifname;
	worker_folder_ret folder;
};

static void ask_done(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
		     void *opaque)
{
	struct ask *a = opaque;

	a->done = true;
	if (error) {
		a->error = g_error_copy(error);
	} else if (reply->n_fds != a->n_fds) {
		error_set(&a->error, VMM_ERR_RPC, "vmmd sent %u descriptors instead of %u",
			  reply->n_fds, a->n_fds);
	} else if (reply->hdr.procedure == WORKER_PROC_OPEN_TAP) {
		worker_tap_ret ret = { 0 };

		if (!rpc_message_decode(reply, (xdrproc_t)xdr_worker_tap_ret, &ret, &a->error))
			return;
		a->ifname = g_strdup(ret.ifname);
		frame_free((xdrproc_t)xdr_worker_tap_ret, &ret);
	} else if (reply->hdr.procedure == WORKER_PROC_OPEN_FOLDER &&
		   !rpc_message_decode(reply, (xdrproc_t)xdr_worker_folder_ret, &a->folder,
				       &a->error)) {
		return;
	}
	for (unsigned i = 0; !a->error && i < a->n_fds; i++)
		a->fds[i] = TAKE_FD(reply->fds[i]);
}

static bool ask(struct control *c, int procedure, xdrproc_t proc, const void *args, struct ask *a,
		GError **error)
{
	if (!c->link || !rpc_conn_is_open(c->link))
		return error_set(error, VMM_ERR_RPC, "vmmd has gone");
	rpc_conn_call(c->link, WORKER_PROGRAM, procedure, proc, args, NULL, 0, OPEN_TIMEOUT_MS,
		      ask_done, a);
	while (!a->done)
		g_main_context_iteration(NULL, TRUE);
	if (a->error)
		g_propagate_error(error, a->error);
	return !a->error;
}

static int host_open(void *opaque, const char *path, int flags, GError **error)
{
	worker_open_args args = { .path = (char *)path, .flags = (unsigned)flags };
	int fd = -1;
	struct ask a = { .fds = &fd, .n_fds = 1 };

	return ask(opaque, WORKER_PROC_OPEN, (xdrproc_t)xdr_worker_open_args, &args, &a, error)
		       ? fd : -1;
}

static int host_listen(void *opaque, const char *path, GError **error)
{
	return host_open(opaque, path, WORKER_OPEN_LISTEN, error);
}

static bool host_open_tap(void *opaque, const char *alias, unsigned queues, int *ret_fds,
			  char **ret_ifname, GError **error)
{
	worker_tap_args args = { .alias = (char *)alias, .queues = queues };
	struct ask a = { .fds = ret_fds, .n_fds = queues };

	if (!ask(opaque, WORKER_PROC_OPEN_TAP, (xdrproc_t)xdr_worker_tap_args, &args, &a, error))
		return false;
	*ret_ifname = a.ifname;
	return true;
}

static bool host_open_folder(void *opaque, const char *alias, struct machine_folder *ret,
			     GError **error)
{
	worker_folder_args args = { .alias = (char *)alias };
	int fd = -1;
	struct ask a = { .fds = &fd, .n_fds = 1 };

	if (!ask(opaque, WORKER_PROC_OPEN_FOLDER, (xdrproc_t)xdr_worker_folder_args, &args, &a,
		 error))
		return false;
	*ret = (struct machine_folder){ .fd = fd, .mapped = a.folder.mapped,
					.uid = a.folder.uid, .gid = a.folder.gid };
	return true;
}

/* ---- START ---- */

static bool uses_host_network(const struct domain_def *def)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *iface = g_ptr_array_index(def->ifaces, i);

		if (iface->type == IFACE_USER)
			return true;
	}
	return false;
}

static bool vsock_start(const struct domain_def *def, struct machine_vsock *ret, GError **error)
{
	char uuid_text[UUID_TEXT_BYTES];

	uuid_to_text(def->uuid, uuid_text);
	return vsock_door_start(uuid_text, ret, error);
}

static bool start(struct control *c, const worker_start_args *args, int state_fd, int log_fd,
		  GError **error)
{
	struct machine_vsock vsock;
	struct machine_host host = {
		.opener = { .open = host_open, .opaque = c },
		.listen = host_listen,
		.open_tap = host_open_tap,
		.open_folder = host_open_folder,
		.share_proc_fd = -1,
		.opaque = c,
	};
	const struct worker_log log = { log_fd, args->log_bytes };
	uid_t uid = WORKER_UID_BASE + (unsigned)args->id % WORKER_UID_COUNT;
	bool shares;
	g_autoptr(domain_def) def = domain_def_parse(args->xml, DOMAIN_PARSE_LIVE, error);

	if (!def)
		return false;
	shares = def->filesystems->len > 0;
	if (def->vsock && !vsock_start(def, &vsock, error))
		return false;
	host.vsock = def->vsock ? &vsock : NULL;
	if (domain_has_outbound(def) && !control_outbound(c, def, uid, error))
		return false;
	if (!sandbox_enter(&(struct sandbox_opts){
				   .uid = uid, .gid = uid,
				   .host_network = uses_host_network(def),
				   .share_proc_fd = shares ? &host.share_proc_fd : NULL }, error))
		return false;
	if (state_fd < 0 ? !worker_build(&c->w, g_steal_pointer(&def), &host, &log, error)
			 : !worker_restore(&c->w, g_steal_pointer(&def), &host, &log, state_fd,
			     error))
		return false;
	return sandbox_lock(shares, error);
}

static void start_failed(struct control *c, const struct frame_header *call, const GError *error)
{
	if (c->link) {
		rpc_reply_error(c->link, call, error);
		rpc_conn_close(c->link);
	}
	worker_stop(&c->w, WORKER_CAUSE_FAILED, error->message);
}

struct start {
	struct control *c;
	struct frame_header call;
	worker_start_args args;
	int state_fd;		/* -1: a cold boot */
	int log_fd;		/* of the consoles' journal, or -1 */
};

static gboolean on_start(void *opaque)
{
	struct start *st = opaque;
	struct control *c = st->c;
	g_autoptr(GError) error = NULL;
	bool ok = start(c, &st->args, st->state_fd, TAKE_FD(st->log_fd), &error);
	enum worker_cause cause = st->state_fd < 0 ? WORKER_CAUSE_BOOTED : WORKER_CAUSE_RESTORED;

	c->building = false;
	if (!ok) {
		start_failed(c, &st->call, error);
	} else {
		if (st->args.flags & (WORKER_START_PAUSED | WORKER_START_HELD))
			c->w.state = WORKER_PAUSED,
			c->w.cause = st->args.flags & WORKER_START_HELD ? cause : WORKER_CAUSE_USER;
		else
			worker_resume(&c->w, cause);
		if (c->link)
			rpc_reply_none(c->link, &st->call);
	}
	frame_free((xdrproc_t)xdr_worker_start_args, &st->args);
	fd_close(&st->state_fd);
	g_free(st);
	return G_SOURCE_REMOVE;
}

/*
 * The build is not done in here: a source is not dispatched again while its
 * callback runs, so the answers to what the build asks would not be read.
 */
void control_start(struct control *c, struct rpc_message *msg)
{
	g_autoptr(GError) error = NULL;
	struct start *st;
	bool restores, logs;

	if (c->w.state != WORKER_EMPTY || c->building) {
		control_refuse(c, msg, VMM_ERR_OPERATION_INVALID,
			       "this worker has a machine already");
		return;
	}
	st = g_new0(struct start, 1);
	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_start_args, &st->args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		g_free(st);
		return;
	}
	restores = st->args.flags & WORKER_START_RESTORE;
	logs = st->args.flags & WORKER_START_LOG;
	if (msg->n_fds != 0u + restores + logs) {
		control_refuse(c, msg, VMM_ERR_RPC,
			       "a restore, and a journal, come with a descriptor each");
		frame_free((xdrproc_t)xdr_worker_start_args, &st->args);
		g_free(st);
		return;
	}
	st->state_fd = restores ? TAKE_FD(msg->fds[0]) : -1;
	st->log_fd = logs ? TAKE_FD(msg->fds[msg->n_fds - 1]) : -1;
	st->c = c;
	st->call = msg->hdr;
	c->xml = g_strdup(st->args.xml);
	c->id = st->args.id;
	c->started_us = g_get_real_time();
	c->building = true;
	g_idle_add_full(G_PRIORITY_DEFAULT, on_start, st, NULL);
}
