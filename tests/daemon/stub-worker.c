/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker with no machine in it, so that the daemon's tests need no KVM: it
 * speaks worker.x, counts on its console (each line once, 50 a second), echoes
 * what is typed, and obeys.  Words in the domain's <cmdline> make it misbehave:
 *
 *	stub:die		exit before START is answered
 *	stub:fail		answer START with an error
 *	stub:mute		never answer START
 *	stub:silent		answer HELLO of the first vmmd only
 *	stub:deaf		ignore the power button
 *	stub:immortal		ignore STOP
 *	stub:off		power off 200 ms after the start
 *	stub:crash		crash 200 ms after the start
 *	stub:open=PATH		ask for PATH before answering START
 *	stub:flood		write to the console as fast as it goes
 *	stub:window		write the size of the window that it is told
 *	stub:mutter		write 1000 lines to stderr, with what moves a terminal's cursor
 *	stub:agent		have this host's agent at the end of the agent's channel
 *	stub:agentless		have that channel, and nobody at its end
 *	stub:qga=PATH		have whoever listens at PATH at the end of a qemu-ga's channel
 *	stub:late		have nobody at the vsock for the first second
 *	stub:greedy		ask for 200 outbound proxies at once, and say how many came
 *	stub:chatter		tell of one state after the other as fast as it goes
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvmm/device/hub.h"
#include "libvmm/device/recorder.h"
#include "libvmm/domain/domain.h"
#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"

#define TICK_MS 20
#define END_MS 200
#define FLOOD_BYTES 131072

struct stub {
	GMainLoop *loop;
	struct rpc_conn *link;
	struct hub *hub;
	struct recorder *recorder;
	int status_fd, state, cause, id;
	char *xml;
	domain_def *def;
	int64_t started_us;
	uint64_t balloon_kib;
	unsigned count, hellos;
	bool restart_at_poweroff;
	struct frame_header start;
};

static bool told_to(const struct stub *s, const char *word)
{
	g_auto(GStrv) words =
		g_strsplit(s->def && s->def->os.cmdline ? s->def->os.cmdline : "", " ", -1);

	return g_strv_contains((const char *const *)words, word);
}

static void state_set(struct stub *s, int state, int cause)
{
	worker_event_state ev = { state, cause, (char *)"" };

	s->state = state;
	s->cause = cause;
	if (s->link)
		rpc_event(s->link, WORKER_PROGRAM, WORKER_PROC_EVENT_STATE,
			  (xdrproc_t)xdr_worker_event_state, &ev);
}

static void stop(struct stub *s, int cause, const char *detail)
{
	g_autofree char *line = g_strdup_printf("%d %d %s\n", WORKER_STOPPED, cause, detail);

	hub_drain(s->hub, 100);
	hub_free(g_steal_pointer(&s->hub));
	g_clear_pointer(&s->recorder, recorder_free);
	state_set(s, WORKER_STOPPED, cause);
	if (ftruncate(s->status_fd, 0) < 0 || pwrite(s->status_fd, line, strlen(line), 0) < 0)
		exit(3);
	g_main_loop_quit(s->loop);
}

static gboolean on_tick(void *opaque)
{
	struct stub *s = opaque;
	g_autofree char *line = g_strdup_printf("count %u\n", s->count);
	static const uint8_t flood[FLOOD_BYTES];

	if (s->state != WORKER_RUNNING || !s->hub)
		return G_SOURCE_CONTINUE;
	if (told_to(s, "stub:flood")) {
		hub_put(s->hub, flood, sizeof(flood));
	} else {
		hub_put(s->hub, (const uint8_t *)line, strlen(line));
		s->count++;
	}
	return G_SOURCE_CONTINUE;
}

#define CHATTER_BYTES 65536	/* of it waits at most */

static gboolean on_chatter(void *opaque)
{
	struct stub *s = opaque;

	while (s->link && rpc_conn_queued(s->link) < CHATTER_BYTES)
		state_set(s, s->state == WORKER_RUNNING ? WORKER_PAUSED : WORKER_RUNNING,
			  WORKER_CAUSE_USER);
	return s->state == WORKER_STOPPED ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void mutter(void)
{
	for (unsigned i = 0; i < 1000; i++)
		fprintf(stderr, "\033[2J\r\xff mutter %u\n", i);
}

static void restart(struct stub *s)
{
	s->restart_at_poweroff = false;
	if (s->recorder)
		recorder_boot(s->recorder, CONLOG_REBOOTED);
	state_set(s, WORKER_RUNNING, WORKER_CAUSE_BOOTED);
	if (s->link)
		rpc_event(s->link, WORKER_PROGRAM, WORKER_PROC_EVENT_REBOOT,
			  (xdrproc_t)xdr_remote_none, &(remote_none){ 0 });
}

static gboolean on_poweroff(void *opaque)
{
	struct stub *s = opaque;

	if (s->restart_at_poweroff)
		restart(s);
	else
		stop(s, WORKER_CAUSE_GUEST_POWEROFF, "the guest powered off");
	return G_SOURCE_REMOVE;
}

static gboolean on_crash(void *opaque)
{
	stop(opaque, WORKER_CAUSE_CRASHED, "triple fault");
	return G_SOURCE_REMOVE;
}

/* ---- the console's device: echo ---- */

static size_t echo_room(void *dev)
{
	return 4096;
}

static void echo_input(void *dev, const uint8_t *data, size_t len)
{
	struct stub *s = dev;

	hub_put(s->hub, (const uint8_t *)"[", 1);
	hub_put(s->hub, data, len);
	hub_put(s->hub, (const uint8_t *)"]\n", 2);
}

static const struct hub_ops echo_ops = { .room = echo_room, .input = echo_input };

/* ---- START ---- */

static void on_outbound(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
			void *opaque)
{
	static unsigned asked, came;

	came += !error && reply->n_fds == 1;
	if (++asked == 200)
		fprintf(stderr, "outbound: %u of %u\n", came, asked);
}

static void ask_much(struct stub *s)
{
	for (unsigned i = 0; i < 200; i++)
		rpc_conn_call(s->link, WORKER_PROGRAM, WORKER_PROC_OUTBOUND,
			      (xdrproc_t)xdr_remote_none, &(remote_none){ 0 }, NULL, 0, 30000,
			      on_outbound, s);
}

static void start_answer(struct stub *s)
{
	if (told_to(s, "stub:mute"))
		return;
	if (told_to(s, "stub:fail")) {
		g_autoptr(GError) error =
			g_error_new(VMM_ERROR, VMM_ERR_CONFIG_UNSUPPORTED, "no such kernel");

		rpc_reply_error(s->link, &s->start, error);
		stop(s, WORKER_CAUSE_FAILED, error->message);
		return;
	}
	if (s->state != WORKER_PAUSED)
		state_set(s, WORKER_RUNNING, WORKER_CAUSE_BOOTED);
	rpc_reply_none(s->link, &s->start);
	if (told_to(s, "stub:off"))
		g_timeout_add(END_MS, on_poweroff, s);
	if (told_to(s, "stub:greedy"))
		ask_much(s);
	if (told_to(s, "stub:mutter"))
		mutter();
	if (told_to(s, "stub:chatter"))
		g_timeout_add(TICK_MS, on_chatter, s);
	if (told_to(s, "stub:crash"))
		g_timeout_add(END_MS, on_crash, s);
}

static void on_opened(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
		      void *opaque)
{
	struct stub *s = opaque;
	char head[16] = "";

	if (error) {
		rpc_reply_error(conn, &s->start, error);
		stop(s, WORKER_CAUSE_FAILED, error->message);
		return;
	}
	if (read(reply->fds[0], head, sizeof(head) - 1) < 0)
		fprintf(stderr, "read: %s\n", g_strerror(errno));
	start_answer(s);
}

static void log_begin(struct stub *s, struct rpc_message *msg, uint64_t bytes)
{
	s->recorder = recorder_new(TAKE_FD(msg->fds[msg->n_fds - 1]), bytes, NULL);
	if (!s->recorder)
		return;
	hub_record(s->hub, s->recorder);
	recorder_boot(s->recorder, CONLOG_STARTED);
}

/* What serves in a guest goes with its machine; g_spawn() reaps by a process in between. */
static void end_with_us(gpointer unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/*
 * "CONNECT PORT": the agent at any but 6, where nothing is read and the end comes soon, 7, where
 * whatever comes comes back, 8, where the answer takes its time, and 9, where nobody is.
 */
static gboolean on_vsock(int fd, GIOCondition condition, void *opaque)
{
	static const char ok[] = "OK 1\n";
	char *agent[] = { (char *)g_getenv("VMM_AGENT"), (char *)"--stdio", (char *)"--stay",
			  NULL };
	char *cat[] = { (char *)"cat", NULL };
	char *slow[] = { (char *)"sh", (char *)"-c", (char *)"n=$(wc -c); sleep 2; echo got $n",
			 NULL };
	char *deaf[] = { (char *)"sleep", (char *)"1", NULL };
	struct stub *s = opaque;
	auto_close int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	char line[32] = "";

	for (size_t n = 0; n < sizeof(line) - 1 && read(peer, line + n, 1) == 1; n++)
		if (line[n] == '\n')
			break;
	if (g_str_equal(line, "CONNECT 9\n") ||
	    (told_to(s, "stub:late") && g_get_real_time() < s->started_us + G_USEC_PER_SEC))
		return G_SOURCE_CONTINUE;
	if (write(peer, ok, strlen(ok)) != (ssize_t)strlen(ok))
		return G_SOURCE_CONTINUE;
	if (told_to(s, "stub:agentless"))
		TAKE_FD(peer);
	else
		g_spawn_async_with_fds(NULL,
				       g_str_equal(line, "CONNECT 6\n") ? deaf :
				       g_str_equal(line, "CONNECT 7\n") ? cat :
				       g_str_equal(line, "CONNECT 8\n") ? slow : agent, NULL,
				       G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, end_with_us,
				       NULL, NULL, peer, peer, -1, NULL);
	return G_SOURCE_CONTINUE;
}

static void vsock_begin(struct stub *s)
{
	int fd = s->def->vsock ? io_listen_unix("vsock.sock", 0600, NULL) : -1;

	if (fd < 0 || listen(fd, 128) < 0)
		return;
	g_unix_fd_add(fd, G_IO_IN, on_vsock, s);
}

static void do_start(struct stub *s, struct rpc_message *msg)
{
	worker_start_args args = { 0 };
	g_autoptr(GError) error = NULL;
	const char *path;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_start_args, &args, &error))
		exit(4);
	s->start = msg->hdr;
	if (args.flags & WORKER_START_LOG)
		log_begin(s, msg, args.log_bytes);
	s->xml = g_strdup(args.xml);
	s->id = args.id;
	s->started_us = g_get_real_time();
	s->def = domain_def_parse(s->xml, DOMAIN_PARSE_LIVE, &error);
	if (!s->def) {
		rpc_reply_error(s->link, &msg->hdr, error);
		exit(5);
	}
	s->balloon_kib = s->def->current_bytes / 1024;
	vsock_begin(s);
	if (args.flags & WORKER_START_PAUSED)
		s->state = WORKER_PAUSED, s->cause = WORKER_CAUSE_USER;
	frame_free((xdrproc_t)xdr_worker_start_args, &args);
	if (told_to(s, "stub:die"))
		exit(7);
	path = s->def->os.cmdline ? strstr(s->def->os.cmdline, "stub:open=") : NULL;
	if (path) {
		worker_open_args open_args = { (char *)path + strlen("stub:open="), O_RDONLY };

		rpc_conn_call(s->link, WORKER_PROGRAM, WORKER_PROC_OPEN,
			      (xdrproc_t)xdr_worker_open_args, &open_args, NULL, 0, 5000, on_opened,
			      s);
	} else {
		start_answer(s);
	}
}

/* ---- the rest ---- */

static void do_hello(struct stub *s, struct rpc_message *msg)
{
	worker_hello_ret ret = {
		.protocol = WORKER_PROTOCOL_VERSION,
		.pid = (unsigned long)getpid(),
		.state = s->state,
		.cause = s->cause,
		.detail = (char *)"",
		.id = s->id,
		.started_us = s->started_us,
		.xml = s->xml ?: (char *)"",
	};

	if (++s->hellos == 1 || !told_to(s, "stub:silent"))
		rpc_reply(s->link, &msg->hdr, (xdrproc_t)xdr_worker_hello_ret, &ret);
}

static void do_powerdown(struct stub *s, struct rpc_message *msg)
{
	worker_powerdown_args args = { 0 };

	rpc_message_decode(msg, (xdrproc_t)xdr_worker_powerdown_args, &args, NULL);
	s->restart_at_poweroff = args.flags & WORKER_POWERDOWN_RESTART;
	rpc_reply_none(s->link, &msg->hdr);
	if (!told_to(s, "stub:deaf"))
		g_timeout_add(END_MS, on_poweroff, s);
}

/* An agent for each who asks, as over vsock; it serves this host. */
static int agent_new(struct stub *s, GError **error)
{
	char *argv[] = { (char *)g_getenv("VMM_AGENT"), (char *)"--stdio", (char *)"--stay", NULL };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		error_errno(error, errno, "socketpair");
		return -1;
	}
	if (told_to(s, "stub:agentless"))
		return pair[0];		/* the other end stays open, and silent */
	if (!g_spawn_async_with_fds(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, end_with_us, NULL,
				    NULL, pair[1], pair[1], -1, error))
		fd_close(&pair[0]);
	close(pair[1]);
	return pair[0];
}

/* A qemu-ga, or what a test has in its place. */
static int qga_new(struct stub *s, GError **error)
{
	const char *word = s->def->os.cmdline ? strstr(s->def->os.cmdline, "stub:qga=") : NULL;
	const char *path = word ? word + strlen("stub:qga=") : NULL;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(addr.sun_path, path ? path : "", sizeof(addr.sun_path));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		error_errno(error, errno, "connect to '%s'", addr.sun_path);
		fd_close(&fd);
	}
	return fd;
}

static void do_console(struct stub *s, struct rpc_message *msg)
{
	static const enum hub_mode modes[] = { HUB_READ, HUB_WRITE, HUB_TAKE_OVER };
	worker_console_args args = { 0 };
	worker_console_ret ret = { .device = (char *)"serial0" };
	g_autoptr(GError) error = NULL;
	int fd = -1;

	rpc_message_decode(msg, (xdrproc_t)xdr_worker_console_args, &args, NULL);
	if (g_str_equal(args.device, DOMAIN_AGENT_CHANNEL))
		fd = agent_new(s, &error);
	else if (g_str_equal(args.device, "org.qemu.guest_agent.0"))
		fd = qga_new(s, &error);
	else if (*args.device && !g_str_equal(args.device, "serial0"))
		error_set(&error, VMM_ERR_INVALID_ARG, "there is no console '%s'", args.device);
	else
		fd = hub_attach(s->hub, modes[args.mode % 3], args.who, args.replay_bytes,
				&ret.position, &error);
	ret.run = s->recorder ? recorder_run(s->recorder) : 0;
	frame_free((xdrproc_t)xdr_worker_console_args, &args);
	if (fd < 0)
		rpc_reply_error(s->link, &msg->hdr, error);
	else if (told_to(s, "stub:old-console"))
		rpc_reply_fds(s->link, &msg->hdr, (xdrproc_t)xdr_remote_none, &(remote_none){ 0 },
			      &fd, 1);
	else
		rpc_reply_fds(s->link, &msg->hdr, (xdrproc_t)xdr_worker_console_ret, &ret, &fd, 1);
}

static void do_window(struct stub *s, struct rpc_message *msg)
{
	worker_window_args args = { 0 };
	g_autofree char *line = NULL;

	rpc_message_decode(msg, (xdrproc_t)xdr_worker_window_args, &args, NULL);
	line = g_strdup_printf("window %ux%u\n", args.columns, args.rows);
	if (told_to(s, "stub:window"))
		hub_put(s->hub, (const uint8_t *)line, strlen(line));
	frame_free((xdrproc_t)xdr_worker_window_args, &args);
	rpc_reply_none(s->link, &msg->hdr);
}

static void do_stats(struct stub *s, struct rpc_message *msg)
{
	worker_vcpu_stats vcpus[] = { { 1, 1000000000, 42 } };
	worker_memory_stat memory[] = { { 5, 100000 }, { 4, 50000 } };
	worker_block_stats blocks[] = { { (char *)"vda", 10, 4096, 5, 20, 8192, 6, 3, 7, 0, 0 } };
	worker_net_stats nets[] = { { (char *)"net0", 1, 2, 3, 4, 5, 6, 7, 8 } };
	worker_stats_ret ret = {
		.cpu_ns = 2000000000,
		.user_ns = 1500000000,
		.system_ns = 500000000,
		.balloon_kib = s->balloon_kib,
		.memory = { 2, memory },
		.vcpus = { 1, vcpus },
		.blocks = { MIN(1, s->def->disks->len), blocks },
		.nets = { MIN(1, s->def->ifaces->len), nets },
	};

	rpc_reply(s->link, &msg->hdr, (xdrproc_t)xdr_worker_stats_ret, &ret);
}

static void do_set_balloon(struct stub *s, struct rpc_message *msg)
{
	worker_balloon_args args = { 0 };
	worker_event_balloon ev;

	rpc_message_decode(msg, (xdrproc_t)xdr_worker_balloon_args, &args, NULL);
	ev.kib = s->balloon_kib = args.kib;
	rpc_reply_none(s->link, &msg->hdr);
	rpc_event(s->link, WORKER_PROGRAM, WORKER_PROC_EVENT_BALLOON,
		  (xdrproc_t)xdr_worker_event_balloon, &ev);
}

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct stub *s = opaque;

	switch (msg->hdr.procedure) {
	case WORKER_PROC_HELLO:
		do_hello(s, msg);
		return;
	case WORKER_PROC_START:
		do_start(s, msg);
		return;
	case WORKER_PROC_POWERDOWN:
		do_powerdown(s, msg);
		return;
	case WORKER_PROC_CONSOLE_OPEN:
		do_console(s, msg);
		return;
	case WORKER_PROC_CONSOLE_RESIZE:
		do_window(s, msg);
		return;
	case WORKER_PROC_STATS:
		do_stats(s, msg);
		return;
	case WORKER_PROC_SET_BALLOON:
		do_set_balloon(s, msg);
		return;
	case WORKER_PROC_STOP:
		if (told_to(s, "stub:immortal"))
			return;
		rpc_reply_none(conn, &msg->hdr);
		stop(s, WORKER_CAUSE_DESTROYED, "");
		return;
	case WORKER_PROC_PAUSE:
		state_set(s, WORKER_PAUSED, WORKER_CAUSE_USER);
		break;
	case WORKER_PROC_RESUME:
		state_set(s, WORKER_RUNNING, WORKER_CAUSE_USER);
		break;
	case WORKER_PROC_RESET:
		restart(s);
		break;
	default:
		break;
	}
	rpc_reply_none(conn, &msg->hdr);
}

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct stub *s = opaque;

	if (s->link == conn)
		s->link = NULL;
	rpc_conn_free(conn);
	if (!s->link && s->state == WORKER_EMPTY)
		g_main_loop_quit(s->loop);
}

static const struct rpc_conn_ops conn_ops = { .message = on_message, .closed = on_closed };

static gboolean on_accept(int fd, GIOCondition condition, void *opaque)
{
	struct stub *s = opaque;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0)
		return G_SOURCE_CONTINUE;
	if (s->link)
		rpc_conn_close(s->link);
	s->link = rpc_conn_new(peer, NULL, &conn_ops, s);
	return G_SOURCE_CONTINUE;
}


/* It leads nowhere, and ends with its machine as a real one. */
static int outbound_run(void)
{
	char byte;

	while (read(4, &byte, 1) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct stub s = { .status_fd = 4, .id = -1, .loop = g_main_loop_new(NULL, FALSE) };

	if (argc > 1 && g_str_equal(argv[1], "--image")) {
		g_autofree char *real =
			g_build_filename(g_getenv("VMM_BUILDDIR"), "vmmd", "vmm-worker", NULL);

		execv(real, argv);
		return 127;
	}
	if (argc > 1 && g_str_equal(argv[1], "--outbound"))
		return outbound_run();
	s.hub = hub_new("serial0", NULL);
	hub_set_device(s.hub, &echo_ops, &s);
	g_unix_set_fd_nonblocking(3, TRUE, NULL);
	g_unix_fd_add(3, G_IO_IN, on_accept, &s);
	g_timeout_add(TICK_MS, on_tick, &s);
	g_main_loop_run(s.loop);
	if (s.link)
		rpc_conn_close(s.link);
	while (s.link)
		g_main_context_iteration(NULL, TRUE);
	return 0;
}
