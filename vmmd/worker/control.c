/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket: commands in, events out (worker.x).
 *
 * One vmmd at a time.  A new connection takes the place of the old one: on a
 * Unix socket the old one's end is the old vmmd's death, and a vmmd is alone
 * by its own lock.  Without any the machine just goes on.
 *
 * START is the one call that calls back: while the machine is built, paths are
 * opened by vmmd.  The build is synchronous, so its WORKER_PROC_OPEN calls
 * iterate the main loop until they are answered; `building` keeps other
 * commands away meanwhile.
 */
#include "config.h"
#include "vmmd/worker/worker.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "libvmm/device/hub.h"
#include "libvmm/rpc/conn.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/worker/sandbox.h"

/* A vmmd that does not come within this time of the start, or leaves before START, is gone. */
#define FIRST_CONTACT_S 60
#define OPEN_TIMEOUT_MS 30000
/* Worker of domain id N runs as this uid + N: a user of its own, that owns nothing. */
#define WORKER_UID_BASE 0x70000000u
#define WORKER_UID_COUNT 0x0f000000u

struct control {
	struct worker w;
	struct rpc_conn *link;		/* NULL: no vmmd */
	guint listen_source, contact_source;
	char *xml;			/* of START */
	int id;
	int64_t started_us;
	bool building;
};

typedef void handler(struct control *c, struct rpc_message *msg);

static void reply_error(struct control *c, const struct rpc_message *msg, enum vmm_error code,
			const char *text)
{
	g_autoptr(GError) error = g_error_new_literal(VMM_ERROR, code, text);

	rpc_reply_error(c->link, &msg->hdr, error);
}

/* ---- what the build asks of vmmd ---- */

struct ask {
	bool done;
	GError *error;
	int *fds;
	unsigned n_fds;
	char *ifname;
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

/* ---- commands ---- */

static void do_hello(struct control *c, struct rpc_message *msg)
{
	worker_hello_ret ret = {
		.protocol = WORKER_PROTOCOL_VERSION,
		.pid = (unsigned long)getpid(),
		.state = c->w.state,
		.cause = c->w.cause,
		.detail = c->w.detail,
		.id = c->id,
		.started_us = c->started_us,
		.xml = c->xml ?: (char *)"",
	};

	rpc_reply(c->link, &msg->hdr, (xdrproc_t)xdr_worker_hello_ret, &ret);
}

static bool uses_host_network(const struct domain_def *def)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *iface = g_ptr_array_index(def->ifaces, i);

		if (iface->type == IFACE_USER)
			return true;
	}
	return false;
}

static bool start(struct control *c, const worker_start_args *args, GError **error)
{
	const struct machine_host host = {
		.opener = { .open = host_open, .opaque = c },
		.listen = host_listen,
		.open_tap = host_open_tap,
		.opaque = c,
	};
	uid_t uid = WORKER_UID_BASE + (unsigned)args->id % WORKER_UID_COUNT;
	g_autoptr(domain_def) def = domain_def_parse(args->xml, DOMAIN_PARSE_LIVE, error);

	if (!def)
		return false;
	if (!sandbox_enter(&(struct sandbox_opts){ .uid = uid, .gid = uid,
						   .host_network = uses_host_network(def) }, error))
		return false;
	return worker_build(&c->w, g_steal_pointer(&def), &host, error) && sandbox_lock(error);
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
};

static gboolean on_start(void *opaque)
{
	struct start *st = opaque;
	struct control *c = st->c;
	g_autoptr(GError) error = NULL;
	bool ok = start(c, &st->args, &error);

	c->building = false;
	if (!ok) {
		start_failed(c, &st->call, error);
	} else {
		if (st->args.flags & WORKER_START_PAUSED)
			c->w.state = WORKER_PAUSED, c->w.cause = WORKER_CAUSE_USER;
		else
			worker_resume(&c->w, WORKER_CAUSE_BOOTED);
		if (c->link)
			rpc_reply_none(c->link, &st->call);
	}
	frame_free((xdrproc_t)xdr_worker_start_args, &st->args);
	g_free(st);
	return G_SOURCE_REMOVE;
}

/*
 * The build is not done in here: a source is not dispatched again while its
 * callback runs, so the answers to what the build asks would not be read.
 */
static void do_start(struct control *c, struct rpc_message *msg)
{
	g_autoptr(GError) error = NULL;
	struct start *st;

	if (c->w.state != WORKER_EMPTY || c->building) {
		reply_error(c, msg, VMM_ERR_OPERATION_INVALID, "this worker has a machine already");
		return;
	}
	st = g_new0(struct start, 1);
	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_start_args, &st->args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		g_free(st);
		return;
	}
	st->c = c;
	st->call = msg->hdr;
	c->xml = g_strdup(st->args.xml);
	c->id = st->args.id;
	c->started_us = g_get_real_time();
	c->building = true;
	g_idle_add_full(G_PRIORITY_DEFAULT, on_start, st, NULL);
}

static void do_resume(struct control *c, struct rpc_message *msg)
{
	if (c->w.cause == WORKER_CAUSE_CRASHED) {
		reply_error(c, msg, VMM_ERR_OPERATION_INVALID,
			    "the guest has crashed: reset or destroy it");
		return;
	}
	if (c->w.state == WORKER_PAUSED)
		worker_resume(&c->w, WORKER_CAUSE_USER);
	rpc_reply_none(c->link, &msg->hdr);
}

/* A call that is answered later, if its asker is still there. */
struct later {
	struct control *c;
	struct rpc_conn *link;
	struct frame_header call;
};

static void later_reply(void *opaque)
{
	g_autofree struct later *l = opaque;

	if (l->c->link == l->link)
		rpc_reply_none(l->link, &l->call);
}

static void do_pause(struct control *c, struct rpc_message *msg)
{
	struct later *l = g_new(struct later, 1);

	*l = (struct later){ .c = c, .link = c->link, .call = msg->hdr };
	worker_pause(&c->w, WORKER_CAUSE_USER, later_reply, l);
}

static void do_powerdown(struct control *c, struct rpc_message *msg)
{
	worker_powerdown_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_powerdown_args, &args, &error) &&
	    worker_powerdown(&c->w, args.flags & WORKER_POWERDOWN_RESTART, &error))
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_reset(struct control *c, struct rpc_message *msg)
{
	worker_reset(&c->w);
	rpc_reply_none(c->link, &msg->hdr);
}

static void do_stop(struct control *c, struct rpc_message *msg)
{
	struct frame_header call = msg->hdr;

	worker_stop(&c->w, WORKER_CAUSE_DESTROYED, NULL);
	if (c->link)
		rpc_reply_none(c->link, &call);
}

static void do_console_open(struct control *c, struct rpc_message *msg)
{
	static const enum hub_mode modes[] = { HUB_READ, HUB_WRITE, HUB_TAKE_OVER };
	worker_console_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct hub *hub = NULL;
	int fd = -1;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_console_args, &args, &error)) {
		hub = machine_hub(c->w.machine, args.device);
		if (!hub)
			error_set(&error, VMM_ERR_INVALID_ARG, "there is no console '%s'",
				  args.device);
		else if (args.mode >= ARRAY_SIZE(modes))
			error_set(&error, VMM_ERR_INVALID_ARG, "console mode %u", args.mode);
		else
			fd = hub_attach(hub, modes[args.mode], args.who, args.replay_bytes, &error);
		frame_free((xdrproc_t)xdr_worker_console_args, &args);
	}
	if (fd < 0)
		rpc_reply_error(c->link, &msg->hdr, error);
	else
		rpc_reply_fds(c->link, &msg->hdr, (xdrproc_t)xdr_remote_none, NULL, &fd, 1);
}

static uint64_t timeval_ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_usec * 1000u;
}

static void stats_devices(struct machine *m, worker_stats_ret *ret)
{
	ret->vcpus.vcpus_len = machine_n_vcpus(m);
	ret->vcpus.vcpus_val = g_new0(worker_vcpu_stats, ret->vcpus.vcpus_len);
	for (unsigned i = 0; i < ret->vcpus.vcpus_len; i++) {
		struct machine_vcpu_stats s;

		machine_vcpu_stats(m, i, &s);
		ret->vcpus.vcpus_val[i] =
			(worker_vcpu_stats){ s.halted ? 2 : 1, s.cpu_ns, s.exits };
	}
	ret->blocks.blocks_len = machine_n_disks(m);
	ret->blocks.blocks_val = g_new0(worker_block_stats, ret->blocks.blocks_len);
	for (unsigned i = 0; i < ret->blocks.blocks_len; i++) {
		struct machine_disk_stats s;

		machine_disk_stats(m, i, &s);
		ret->blocks.blocks_val[i] = (worker_block_stats){
			(char *)s.target, (long)s.rd_reqs, (long)s.rd_bytes, (long)s.rd_ns,
			(long)s.wr_reqs, (long)s.wr_bytes, (long)s.wr_ns, (long)s.fl_reqs,
			(long)s.fl_ns, (long)s.errs };
	}
	ret->nets.nets_len = machine_n_nets(m);
	ret->nets.nets_val = g_new0(worker_net_stats, ret->nets.nets_len);
	for (unsigned i = 0; i < ret->nets.nets_len; i++) {
		struct machine_net_stats s;

		machine_net_stats(m, i, &s);
		ret->nets.nets_val[i] = (worker_net_stats){
			(char *)s.target, (long)s.rx_bytes, (long)s.rx_packets, (long)s.rx_errs,
			(long)s.rx_drop, (long)s.tx_bytes, (long)s.tx_packets, (long)s.tx_errs,
			(long)s.tx_drop };
	}
}

static void do_stats(struct control *c, struct rpc_message *msg)
{
	struct machine_memory_stat memory[64];
	worker_memory_stat wire[64];
	struct machine *m = c->w.machine;
	worker_stats_ret ret = { 0 };
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	ret.user_ns = timeval_ns(&usage.ru_utime);
	ret.system_ns = timeval_ns(&usage.ru_stime);
	ret.cpu_ns = ret.user_ns + ret.system_ns;
	ret.balloon_kib = machine_balloon_bytes(m) / 1024;
	ret.memory.memory_len = machine_memory_stats(m, memory, ARRAY_SIZE(memory));
	ret.memory.memory_val = wire;
	for (unsigned i = 0; i < ret.memory.memory_len; i++)
		wire[i] = (worker_memory_stat){ memory[i].tag, memory[i].value };
	stats_devices(m, &ret);
	rpc_reply(c->link, &msg->hdr, (xdrproc_t)xdr_worker_stats_ret, &ret);
	g_free(ret.vcpus.vcpus_val);
	g_free(ret.blocks.blocks_val);
	g_free(ret.nets.nets_val);
}

static void do_set_balloon(struct control *c, struct rpc_message *msg)
{
	worker_balloon_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_balloon_args, &args, &error) &&
	    machine_set_balloon(c->w.machine,
				args.kib > UINT64_MAX / 1024 ? UINT64_MAX : args.kib * 1024,
				&error))
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_set_stats_period(struct control *c, struct rpc_message *msg)
{
	worker_period_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_period_args, &args, &error) &&
	    machine_set_stats_period(c->w.machine, (unsigned)MAX(args.seconds, 0), &error))
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_set_actions(struct control *c, struct rpc_message *msg)
{
	worker_actions args = { 0 };
	g_autoptr(GError) error = NULL;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_actions, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	c->w.actions = args;
	rpc_reply_none(c->link, &msg->hdr);
}

static const struct {
	handler *fn;
	bool any_state;		/* also before START */
} handlers[] = {
	[WORKER_PROC_HELLO] = { do_hello, true },
	[WORKER_PROC_START] = { do_start, true },
	[WORKER_PROC_RESUME] = { do_resume },
	[WORKER_PROC_PAUSE] = { do_pause },
	[WORKER_PROC_POWERDOWN] = { do_powerdown },
	[WORKER_PROC_RESET] = { do_reset },
	[WORKER_PROC_STOP] = { do_stop, true },
	[WORKER_PROC_CONSOLE_OPEN] = { do_console_open },
	[WORKER_PROC_STATS] = { do_stats },
	[WORKER_PROC_SET_BALLOON] = { do_set_balloon },
	[WORKER_PROC_SET_STATS_PERIOD] = { do_set_stats_period },
	[WORKER_PROC_SET_ACTIONS] = { do_set_actions },
};

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct control *c = opaque;
	unsigned proc = (unsigned)msg->hdr.procedure;

	if (msg->hdr.type != FRAME_CALL)
		return;
	if (msg->hdr.program != WORKER_PROGRAM || proc >= ARRAY_SIZE(handlers) ||
	    !handlers[proc].fn)
		rpc_reply_unknown(conn, &msg->hdr);
	else if (c->building && proc != WORKER_PROC_HELLO)
		reply_error(c, msg, VMM_ERR_OPERATION_INVALID, "the machine is being built");
	else if (!handlers[proc].any_state && !c->w.machine)
		reply_error(c, msg, VMM_ERR_OPERATION_INVALID, "there is no machine");
	else
		handlers[proc].fn(c, msg);
}

/* ---- events ---- */

static void event_state(struct worker *w, void *opaque)
{
	struct control *c = opaque;
	worker_event_state ev = { w->state, w->cause, w->detail };

	if (c->link && !c->building)
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_STATE,
			  (xdrproc_t)xdr_worker_event_state, &ev);
}

static void event_rebooted(void *opaque)
{
	struct control *c = opaque;

	if (c->link)
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_REBOOT,
			  (xdrproc_t)xdr_remote_none, NULL);
}

static void event_balloon(uint64_t kib, void *opaque)
{
	struct control *c = opaque;
	worker_event_balloon ev = { kib };

	if (c->link)
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_BALLOON,
			  (xdrproc_t)xdr_worker_event_balloon, &ev);
}

static void event_io_error(const char *target, const char *path, int err, bool paused, void *opaque)
{
	struct control *c = opaque;
	worker_event_io_error ev = { (char *)target, (char *)path, err, paused };

	if (c->link)
		rpc_event(c->link, WORKER_PROGRAM, WORKER_PROC_EVENT_IO_ERROR,
			  (xdrproc_t)xdr_worker_event_io_error, &ev);
}

/* ---- the connection ---- */

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct control *c = opaque;

	if (error)
		g_info("vmmd's connection: %s", error->message);
	if (c->link == conn)
		c->link = NULL;
	rpc_conn_free(conn);
	/* Nobody will ever say START now; after START we go on without vmmd. */
	if (!c->link && c->w.state == WORKER_EMPTY && !c->building)
		g_main_loop_quit(c->w.loop);
}

static const struct rpc_conn_ops link_ops = { .message = on_message, .closed = on_closed };

static gboolean on_accept(int fd, GIOCondition condition, void *opaque)
{
	struct control *c = opaque;
	auto_close int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	socklen_t len = sizeof(struct ucred);
	struct ucred cred;

	if (peer < 0)
		return G_SOURCE_CONTINUE;
	if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		g_warning("refused a control connection of uid %u", cred.uid);
		return G_SOURCE_CONTINUE;
	}
	if (c->link)
		rpc_conn_close(g_steal_pointer(&c->link));
	c->link = rpc_conn_new(TAKE_FD(peer), NULL, &link_ops, c);
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
		.io_error = event_io_error, .opaque = &c,
	};
	auto_close int signals = worker_signals_new();

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
