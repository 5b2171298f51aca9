/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control channel to one worker: calls out, events and requests for descriptors in. */
#include "config.h"
#include "vmmd/link-priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libvmm/domain/domain.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* How long a process may outlive its connection. */
#define LINGER_MS 3000
/* And how long a connection may outlive its process (a child of it may hold it). */
#define SETTLE_MS 200
/* A worker that talks more is read more slowly: an event may reach each client and the history. */
#define MESSAGE_COST_US (G_USEC_PER_SEC / 100)
#define MESSAGES_AHEAD_US (300 * MESSAGE_COST_US)
#define REST_MS 100
#define HAS_ENDED "the machine has ended meanwhile"
#define TAP_QUEUES_MAX FRAME_FDS_MAX
#define NO_ANSWER "the domain's worker does not answer; 'destroy' ends it all the same"

struct link {
	struct rpc_conn *conn;		/* NULL when it has ended */
	int pidfd;
	bool ended;			/* the process, not yet told */
	guint pid_source, linger_source, rest_source;
	gint64 paid_us;			/* up to when its messages have used up its time */
	const struct link_ops *ops;
	void *opaque;
};

/* ---- the process ---- */

void link_kill(struct link *l)
{
	if (syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		g_warning("kill a worker: %s", g_strerror(errno));
}

bool link_is_connected(const struct link *l)
{
	return l->conn && !l->ended;
}

static gboolean on_linger(void *opaque)
{
	struct link *l = opaque;

	l->linger_source = 0;
	link_kill(l);
	return G_SOURCE_REMOVE;
}

static char *end_describe(int pidfd)
{
	siginfo_t info = { 0 };

	/* An adopted worker is not our child: its status went to init. */
	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		return g_strdup("has ended");
	if (info.si_code == CLD_EXITED)
		return g_strdup_printf("exited with status %d", info.si_status);
	return g_strdup_printf("was killed by signal %d (%s)", info.si_status,
			       g_strsignal(info.si_status));
}

/*
 * No message can come any more: pending calls are told before anybody
 * forgets what they were about.
 */
static void link_end(struct link *l)
{
	g_autofree char *how = end_describe(l->pidfd);

	g_clear_handle_id(&l->pid_source, g_source_remove);
	g_clear_handle_id(&l->linger_source, g_source_remove);
	g_clear_handle_id(&l->rest_source, g_source_remove);
	g_clear_pointer(&l->conn, rpc_conn_free);
	l->ops->gone(how, l->opaque);
}

static gboolean on_settled(void *opaque)
{
	struct link *l = opaque;

	l->linger_source = 0;
	link_end(l);
	return G_SOURCE_REMOVE;
}

/* Its last messages may still be in the socket: the connection's end follows them, soon. */
static gboolean on_process_end(int fd, GIOCondition condition, void *opaque)
{
	struct link *l = opaque;

	l->pid_source = 0;
	l->ended = true;
	if (!l->conn) {
		link_end(l);
		return G_SOURCE_REMOVE;
	}
	g_clear_handle_id(&l->linger_source, g_source_remove);
	l->linger_source = g_timeout_add(SETTLE_MS, on_settled, l);
	return G_SOURCE_REMOVE;
}

/* ---- what the worker says ---- */

typedef void event_fn(struct link *l, const void *data);

static void event_state(struct link *l, const void *data)
{
	const worker_event_state *ev = data;

	l->ops->state(ev->state, ev->cause, ev->detail, l->opaque);
}

static void event_reboot(struct link *l, const void *data)
{
	l->ops->rebooted(l->opaque);
}

static void event_balloon(struct link *l, const void *data)
{
	const worker_event_balloon *ev = data;

	l->ops->balloon(ev->kib, l->opaque);
}

static void event_io_error(struct link *l, const void *data)
{
	l->ops->io_error(data, l->opaque);
}

static void event_job(struct link *l, const void *data)
{
	l->ops->job(data, l->opaque);
}

static const struct {
	int procedure;
	xdrproc_t proc;
	event_fn *fn;
} events[] = {
	{ WORKER_PROC_EVENT_JOB, (xdrproc_t)xdr_worker_event_job, event_job },
	{ WORKER_PROC_EVENT_STATE, (xdrproc_t)xdr_worker_event_state, event_state },
	{ WORKER_PROC_EVENT_REBOOT, (xdrproc_t)xdr_remote_none, event_reboot },
	{ WORKER_PROC_EVENT_BALLOON, (xdrproc_t)xdr_worker_event_balloon, event_balloon },
	{ WORKER_PROC_EVENT_IO_ERROR, (xdrproc_t)xdr_worker_event_io_error, event_io_error },
};

union event_data {
	worker_event_state state;
	worker_event_balloon balloon;
	worker_event_io_error io_error;
	worker_event_job job;
	remote_none none;
};

static void link_event(struct link *l, struct rpc_message *msg)
{
	g_autoptr(GError) error = NULL;
	union event_data data = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i].procedure != msg->hdr.procedure)
			continue;
		if (!rpc_message_decode(msg, events[i].proc, &data, &error)) {
			g_warning("a worker's event %d: %s", msg->hdr.procedure, error->message);
			return;
		}
		events[i].fn(l, &data);
		frame_free(events[i].proc, &data);
		return;
	}
}

static void link_open(struct link *l, struct rpc_message *msg)
{
	worker_open_args args = { 0 };
	g_autoptr(GError) error = NULL;
	int fd = -1;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_open_args, &args, &error)) {
		fd = l->ops->open(args.path, args.flags, l->opaque, &error);
		frame_free((xdrproc_t)xdr_worker_open_args, &args);
	}
	if (fd < 0)
		rpc_reply_error(l->conn, &msg->hdr, error);
	else
		rpc_reply_fds(l->conn, &msg->hdr, (xdrproc_t)xdr_remote_none, &(remote_none){ 0 },
			      &fd, 1);
}

static void link_open_tap(struct link *l, struct rpc_message *msg)
{
	worker_tap_args args = { 0 };
	g_autoptr(GError) error = NULL;
	g_autofree char *ifname = NULL;
	int fds[TAP_QUEUES_MAX];
	bool ok = rpc_message_decode(msg, (xdrproc_t)xdr_worker_tap_args, &args, &error);
	enum link_tap tap = LINK_TAP_FAILED;
	unsigned queues = args.queues;

	if (ok && (queues < 1 || queues > TAP_QUEUES_MAX))
		ok = error_set(&error, VMM_ERR_INVALID_ARG, "%u queues", queues);
	if (ok)
		tap = l->ops->open_tap(args.alias, queues, fds, &ifname, &msg->hdr, l->opaque,
				       &error);
	frame_free((xdrproc_t)xdr_worker_tap_args, &args);
	if (tap == LINK_TAP_DONE) {
		worker_tap_ret ret = { .ifname = ifname };

		rpc_reply_fds(l->conn, &msg->hdr, (xdrproc_t)xdr_worker_tap_ret, &ret, fds, queues);
	} else if (tap == LINK_TAP_FAILED) {
		rpc_reply_error(l->conn, &msg->hdr, error);
	}
}

static void link_open_folder(struct link *l, struct rpc_message *msg)
{
	worker_folder_args args = { 0 };
	worker_folder_ret ret = { 0 };
	g_autoptr(GError) error = NULL;
	int fd = -1;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_folder_args, &args, &error)) {
		fd = l->ops->open_folder(args.alias, &ret, l->opaque, &error);
		frame_free((xdrproc_t)xdr_worker_folder_args, &args);
	}
	if (fd < 0)
		rpc_reply_error(l->conn, &msg->hdr, error);
	else
		rpc_reply_fds(l->conn, &msg->hdr, (xdrproc_t)xdr_worker_folder_ret, &ret, &fd, 1);
}

static void link_outbound(struct link *l, struct rpc_message *msg)
{
	g_autoptr(GError) error = NULL;
	int fd = l->ops->outbound(l->opaque, &error);

	if (fd < 0)
		rpc_reply_error(l->conn, &msg->hdr, error);
	else
		rpc_reply_fds(l->conn, &msg->hdr, (xdrproc_t)xdr_remote_none, &(remote_none){ 0 },
			      &fd, 1);
}

void link_reply_tap(struct link *l, const struct frame_header *call, int fd, const GError *error)
{
	worker_tap_ret ret = { .ifname = (char *)"" };

	if (!l->conn)
		fd_close(&fd);
	else if (error)
		rpc_reply_error(l->conn, call, error);
	else
		rpc_reply_fds(l->conn, call, (xdrproc_t)xdr_worker_tap_ret, &ret, &fd, 1);
}

static gboolean on_rested(void *opaque)
{
	struct link *l = opaque;

	l->rest_source = 0;
	if (l->conn)
		rpc_conn_resume(l->conn);
	return G_SOURCE_REMOVE;
}

static void link_spend(struct link *l)
{
	gint64 now = g_get_monotonic_time();

	l->paid_us = MAX(l->paid_us, now) + MESSAGE_COST_US;
	if (l->paid_us - now < MESSAGES_AHEAD_US || l->rest_source)
		return;
	rpc_conn_pause(l->conn);
	l->rest_source = g_timeout_add(REST_MS, on_rested, l);
}

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct link *l = opaque;

	link_spend(l);
	if (msg->hdr.program != WORKER_PROGRAM || !l->ops->state)
		return;		/* a switch has nothing to say unasked */
	if (msg->hdr.type == FRAME_MESSAGE)
		link_event(l, msg);
	else if (msg->hdr.type == FRAME_CALL && msg->hdr.procedure == WORKER_PROC_OPEN)
		link_open(l, msg);
	else if (msg->hdr.type == FRAME_CALL && msg->hdr.procedure == WORKER_PROC_OPEN_TAP)
		link_open_tap(l, msg);
	else if (msg->hdr.type == FRAME_CALL && msg->hdr.procedure == WORKER_PROC_OPEN_FOLDER)
		link_open_folder(l, msg);
	else if (msg->hdr.type == FRAME_CALL && msg->hdr.procedure == WORKER_PROC_OUTBOUND)
		link_outbound(l, msg);
	else if (msg->hdr.type == FRAME_CALL)
		rpc_reply_unknown(conn, &msg->hdr);
}

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct link *l = opaque;

	if (error)
		g_info("a worker's connection: %s", error->message);
	rpc_conn_free(g_steal_pointer(&l->conn));
	if (l->ended) {
		link_end(l);
		return;
	}
	g_clear_handle_id(&l->linger_source, g_source_remove);
	l->linger_source = g_timeout_add(LINGER_MS, on_linger, l);
}

static const struct rpc_conn_ops conn_ops = { .message = on_message, .closed = on_closed };

struct link *link_new(int fd, int pidfd, const struct link_ops *ops, void *opaque)
{
	struct link *l = g_new0(struct link, 1);

	l->ops = ops;
	l->opaque = opaque;
	l->pidfd = pidfd;
	l->pid_source = g_unix_fd_add(pidfd, G_IO_IN, on_process_end, l);
	if (fd >= 0)
		l->conn = rpc_conn_new(fd, NULL, &conn_ops, l);
	return l;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	g_clear_pointer(&l->conn, rpc_conn_free);
	g_clear_handle_id(&l->pid_source, g_source_remove);
	g_clear_handle_id(&l->linger_source, g_source_remove);
	g_clear_handle_id(&l->rest_source, g_source_remove);
	fd_close(&l->pidfd);
	g_free(l);
}

/* ---- calls ---- */

union result {
	worker_hello_ret hello;
	worker_stats_ret stats;
	worker_save_progress progress;
	worker_job_info_ret job;
	worker_net_info_ret net;
	worker_console_ret console;
	remote_none none;
};

/* What its user can do about it, or what it means: a socket's words are for nobody. */
static const GError *told_plainly(const struct rpc_conn *conn, const GError *error, GError **ret)
{
	if (g_error_matches(error, VMM_ERROR, VMM_ERR_TIMEOUT))
		error_set(ret, VMM_ERR_TIMEOUT, NO_ANSWER);
	else if (error && !rpc_conn_is_open(conn))
		error_set(ret, VMM_ERR_RPC, HAS_ENDED);	/* a start has its own words for it */
	else
		return error;
	return *ret;
}

static void on_reply(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
		     void *opaque)
{
	g_autofree struct link_pending *p = opaque;
	g_autoptr(GError) bad = NULL;
	union result ret = { 0 };

	error = told_plainly(conn, error, &bad);
	if (!error && !rpc_message_decode(reply, p->proc, &ret, &bad))
		error = bad;
	p->done(error ? NULL : &ret, error, p->opaque);
	if (!error)
		frame_free(p->proc, &ret);
}

static void on_fd_reply(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
			void *opaque)
{
	g_autofree struct link_pending *p = opaque;
	g_autoptr(GError) bad = NULL;
	union result ret = { 0 };

	error = told_plainly(conn, error, &bad);
	if (!error && reply->n_fds != 1) {
		error_set(&bad, VMM_ERR_RPC, "the worker sent %u descriptors instead of one",
			  reply->n_fds);
		error = bad;
	}
	/* A worker of an older vmmd gives the descriptor alone. */
	if (!error && reply->bytes && !rpc_message_decode(reply, p->proc, &ret, &bad))
		error = bad;
	p->fd_done(error ? -1 : TAKE_FD(reply->fds[0]), error ? NULL : &ret, error, p->opaque);
	if (!error && reply->bytes)
		frame_free(p->proc, &ret);
}

static void no_connection(struct link_pending *p)
{
	g_autoptr(GError) error = g_error_new_literal(VMM_ERROR, VMM_ERR_OPERATION_FAILED,
						      NO_ANSWER);

	if (p->done)
		p->done(NULL, error, p->opaque);
	else
		p->fd_done(-1, NULL, error, p->opaque);
}

void link_call(struct link *l, int procedure, xdrproc_t proc, const void *args, const int *fds,
	       unsigned n_fds, unsigned timeout_ms, struct link_pending pending)
{
	if (!l->conn)
		no_connection(&pending);
	else
		rpc_conn_call(l->conn, WORKER_PROGRAM, procedure, proc, args, fds, n_fds,
			      timeout_ms, pending.done ? on_reply : on_fd_reply,
			      g_memdup2(&pending, sizeof(pending)));
}
