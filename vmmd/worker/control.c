/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket: commands in (control-call.c), events out (worker.x).
 *
 * One vmmd at a time.  A new connection takes the place of the old one: on a
 * Unix socket the old one's end is the old vmmd's death, and a vmmd is alone
 * by its own lock.  Without any the machine just goes on.
 */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"

/* A vmmd that does not come within this time of the start, or leaves before START, is gone. */
#define FIRST_CONTACT_S 60

/* ---- events ---- */

/*
 * vmmd reads only so many a second, and a guest can cause any number (resets,
 * I/O errors).  While it does not read, events are left out, so that replies
 * do not queue behind them; the newest state is told when it reads again.
 */
static bool link_is_clear(const struct control *c)
{
	return c->link && rpc_conn_queued(c->link) == 0;
}

static void event_state(struct worker *w, void *opaque)
{
	struct control *c = opaque;
	worker_event_state ev = { w->state, w->cause, w->detail };

	c->state_waits = c->link && !link_is_clear(c) && w->state != WORKER_STOPPED;
	if (c->link && !c->building && !c->state_waits)
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_STATE,
			  (xdrproc_t)xdr_worker_event_state, &ev);
}

static void on_drained(struct rpc_conn *conn, void *opaque)
{
	struct control *c = opaque;

	if (c->state_waits && conn == c->link)
		event_state(&c->w, c);
}

static void event_rebooted(void *opaque)
{
	struct control *c = opaque;

	if (link_is_clear(c))
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_REBOOT,
			  (xdrproc_t)xdr_remote_none, NULL);
}

static void event_balloon(uint64_t kib, void *opaque)
{
	struct control *c = opaque;
	worker_event_balloon ev = { kib };

	if (link_is_clear(c))
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_BALLOON,
			  (xdrproc_t)xdr_worker_event_balloon, &ev);
}

static void event_io_error(const char *target, const char *path, int err, bool paused, void *opaque)
{
	struct control *c = opaque;
	worker_event_io_error ev = { (char *)target, (char *)path, err, paused };

	if (c->link && (paused || link_is_clear(c)))
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_IO_ERROR,
			  (xdrproc_t)xdr_worker_event_io_error, &ev);
}

static void event_job(const char *target, int kind, int event, const char *text, void *opaque)
{
	struct control *c = opaque;
	worker_event_job ev = { (char *)target, kind, event, (char *)text };

	if (c->link)
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_JOB,
			  (xdrproc_t)xdr_worker_event_job, &ev);
}

/* ---- the connection ---- */

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct control *c = opaque;

	if (error)
		g_info("vmmd's connection: %s", error->message);
	if (c->link == conn)
		c->link = NULL;
	/* What was to follow a save nobody knows: the guest goes on. */
	if (!c->link && c->w.machine)
		machine_save_cancel(c->w.machine);
	rpc_conn_free(conn);
	/* Nobody will ever say START now; after START we go on without vmmd. */
	if (!c->link && c->w.state == WORKER_EMPTY && !c->building)
		g_main_loop_quit(c->w.loop);
}

static const struct rpc_conn_ops link_ops = {
	.message = control_message, .closed = on_closed, .drained = on_drained,
};

int control_accept(int fd)
{
	auto_close int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	socklen_t len = sizeof(struct ucred);
	struct ucred cred;

	if (peer < 0)
		return -1;
	if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		g_warning("refused a control connection of uid %u", cred.uid);
		return -1;
	}
	return TAKE_FD(peer);
}

static gboolean on_accept(int fd, GIOCondition condition, void *opaque)
{
	struct control *c = opaque;
	int peer = control_accept(fd);

	if (peer < 0)
		return G_SOURCE_CONTINUE;
	if (c->link)
		rpc_conn_close(g_steal_pointer(&c->link));
	c->link = rpc_conn_new(peer, NULL, &link_ops, c);
	c->link_nr++;
	return G_SOURCE_CONTINUE;
}

static gboolean on_no_contact(void *opaque)
{
	struct control *c = opaque;

	c->contact_source = 0;
	if (c->w.state == WORKER_EMPTY && !c->link) {
		g_warning("no vmmd came within %d s", FIRST_CONTACT_S);
		g_main_loop_quit(c->w.loop);
	}
	return G_SOURCE_REMOVE;
}

/* SIGTERM: the host goes down; disks are closed properly. */
static gboolean on_signal(int fd, GIOCondition condition, void *opaque)
{
	struct control *c = opaque;

	if (c->w.machine)
		worker_stop(&c->w, WORKER_CAUSE_DESTROYED,
			    "the worker was told to end by a signal");
	g_main_loop_quit(c->w.loop);
	return G_SOURCE_REMOVE;
}

/* What was sent last (the reply to STOP, the final state) still has to leave. */
static void link_flush(struct control *c)
{
	if (!c->link)
		return;
	rpc_conn_close(c->link);
	while (c->link)
		g_main_context_iteration(NULL, TRUE);
}

int control_run(int listen_fd, int status_fd)
{
	struct control c = { .id = -1 };
	const struct worker_front front = {
		.state = event_state, .rebooted = event_rebooted, .balloon = event_balloon,
		.io_error = event_io_error, .job = event_job, .opaque = &c,
	};
	auto_close int signals = worker_signals_new(0);

	c.w = (struct worker){ .loop = g_main_loop_new(NULL, FALSE), .front = &front,
			       .status_fd = status_fd, .detail = g_strdup("") };
	g_unix_set_fd_nonblocking(listen_fd, TRUE, NULL);
	c.listen_source = g_unix_fd_add(listen_fd, G_IO_IN, on_accept, &c);
	g_unix_fd_add(signals, G_IO_IN, on_signal, &c);
	c.contact_source = g_timeout_add_seconds(FIRST_CONTACT_S, on_no_contact, &c);
	g_main_loop_run(c.w.loop);

	g_source_remove(c.listen_source);
	if (c.contact_source)
		g_source_remove(c.contact_source);
	link_flush(&c);
	g_free(c.xml);
	worker_done(&c.w);
	return c.w.exit_status;
}
