/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way out of a guest without a network: who connects to a port of the
 * guest's loopback is at the host's SOCKS 5 proxy, by vsock.  The bytes are not
 * looked at: whom the guest may reach is decided where the guest can't touch it.
 *
 * One process, one loop.  Of more connections than there is room for the rest
 * wait in the listeners' queues.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "images/agent/agent.h"
#include "images/agent/proto.h"
#include "images/agent/way.h"

#define CONNS_MAX 128
#define LISTENERS 2 /* 127.0.0.1, ::1 */
#define QUEUE 128
#define CONNECT_MS 10000
#define LOOK_MS 1000
#define EARLY_MS 60000 /* so long a second address is looked for */
#define AGAIN_MS 1000
#define REST_MS 100

struct conn {
	int client, host;   /* until they are joined */
	int64_t until_ms;   /* to be connected */
	struct join *join;
	int polled;         /* its place among the polled; -1: it came later */
};

struct outbound {
	uint16_t port;
	const char *path; /* a Unix socket in place of the host's vsock; NULL */
	int listeners[LISTENERS];
	int64_t started_ms, look_ms, rest_ms;
	bool complained;
	struct conn conns[CONNS_MAX];
	unsigned n;
	struct pollfd polled[LISTENERS + 2 * CONNS_MAX];
	unsigned n_polled;
};

/* ---- where programs come ---- */

/* Nobody may have done it in a guest that has no network; its addresses come with it. */
static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 && !(r.ifr_flags & IFF_UP)) {
		r.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &r);
	}
	if (fd >= 0)
		close(fd);
}

static int listen_at(bool v6, uint16_t port)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, v6 ? (void *)&to6 : (void *)&to4, v6 ? sizeof(to6) : sizeof(to4)) == 0 &&
	    listen(fd, QUEUE) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool listens(const struct outbound *o)
{
	return o->listeners[0] >= 0 || o->listeners[1] >= 0;
}

static bool may_look(const struct outbound *o)
{
	return !listens(o) || ((o->listeners[0] < 0 || o->listeners[1] < 0) &&
			       agent_now_ms() < o->started_ms + EARLY_MS);
}

/* A guest may have the one kind of addresses only, and neither early in its boot. */
static void look(struct outbound *o)
{
	bool first = !listens(o);
	int error = 0;

	if (agent_now_ms() < o->look_ms)
		return;
	o->look_ms = agent_now_ms() + LOOK_MS;
	for (int i = 0; i < LISTENERS; i++) {
		if (o->listeners[i] < 0)
			o->listeners[i] = listen_at(i, o->port);
		if (o->listeners[i] < 0 && errno == EADDRNOTAVAIL) {
			loopback_up();
			o->listeners[i] = listen_at(i, o->port);
		}
		error = o->listeners[i] < 0 && !error ? errno : error;
	}
	if (first && listens(o))
		agent_log("port %u of the loopback leads to the host's proxy", o->port);
	else if (first && !o->complained)
		agent_log("port %u of the loopback: %s; there is no way out yet", o->port,
			  strerror(error));
	o->complained = true;
}

/* ---- connections ---- */

static int host_connect(const struct outbound *o)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST,
				  .svm_port = AGENT_OUTBOUND_VSOCK_PORT };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(o->path ? AF_UNIX : AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (o->path)
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", o->path);
	if (fd >= 0 && connect(fd, o->path ? (void *)&un : (void *)&vm,
			       o->path ? sizeof(un) : sizeof(vm)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void conn_end(struct outbound *o, struct conn *c, bool broken)
{
	if (c->join) {
		join_free(c->join, broken);
	} else {
		close(c->client);
		close(c->host);
	}
	*c = o->conns[--o->n];
}

static void on_listener(struct outbound *o, int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), yes = 1;
	struct conn *c = &o->conns[o->n];

	if (client < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			o->rest_ms = agent_now_ms() + REST_MS; /* out of descriptors or memory */
		return;
	}
	int host = host_connect(o);
	if (host < 0) {
		close(client);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	*c = (struct conn){ .client = client, .host = host, .polled = -1,
			    .until_ms = agent_now_ms() + CONNECT_MS };
	o->n++;
}

/* false: it has ended. */
static bool conn_connected(struct conn *c, short revents)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	if (!revents)
		return agent_now_ms() < c->until_ms;
	if (getsockopt(c->host, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 || error)
		return false;
	c->join = join_new(c->client, c->host);
	if (!c->join)
		c->client = c->host = -1;
	return c->join;
}

static void conn_go(struct outbound *o, struct conn *c)
{
	const struct pollfd *polled = &o->polled[c->polled];

	if (!c->join) {
		if (!conn_connected(c, polled[0].revents))
			conn_end(o, c, false);
		return;
	}
	enum join_result r = join_go(c->join, polled);
	if (r != JOIN_GOES)
		conn_end(o, c, r == JOIN_BROKEN);
}

/* ---- the loop ---- */

static int prepare(struct outbound *o)
{
	int64_t now = agent_now_ms(), wake = INT64_MAX;
	bool room = o->n < CONNS_MAX && now >= o->rest_ms;

	if (now < o->rest_ms)
		wake = o->rest_ms;
	if (may_look(o)) {
		look(o);
		wake = wake < o->look_ms ? wake : o->look_ms;
	}
	o->n_polled = LISTENERS;
	for (int i = 0; i < LISTENERS; i++)
		o->polled[i] = (struct pollfd){ room ? o->listeners[i] : -1, POLLIN, 0 };
	for (unsigned i = 0; i < o->n; i++) {
		struct conn *c = &o->conns[i];
		struct pollfd *p = &o->polled[o->n_polled];

		c->polled = (int)o->n_polled;
		p[0] = (struct pollfd){ c->host, POLLOUT, 0 };
		p[1] = (struct pollfd){ -1, 0, 0 };
		if (c->join)
			join_wait(c->join, p);
		else
			wake = wake < c->until_ms ? wake : c->until_ms;
		o->n_polled += 2;
	}
	return wake == INT64_MAX ? -1 : wake > now ? (int)(wake - now) : 0;
}

static void turn(struct outbound *o)
{
	int timeout = prepare(o);

	if (poll(o->polled, o->n_polled, timeout) < 0)
		return; /* EINTR */
	/* from behind: one that ends is replaced by the last, whose turn has been */
	for (unsigned i = o->n; i > 0; i--)
		conn_go(o, &o->conns[i - 1]);
	for (int i = 0; i < LISTENERS; i++) {
		if (o->polled[i].revents && o->n < CONNS_MAX)
			on_listener(o, o->listeners[i]);
	}
}

/* It listens already, if it can. */
static struct outbound *outbound_new(uint16_t port, const char *path)
{
	struct outbound *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->port = port;
	o->path = path;
	o->listeners[0] = o->listeners[1] = -1;
	o->started_ms = agent_now_ms();
	look(o);
	return o;
}

static void outbound_free(struct outbound *o)
{
	for (int i = 0; i < LISTENERS; i++) {
		if (o->listeners[i] >= 0)
			close(o->listeners[i]);
	}
	free(o);
}

int outbound_run(uint16_t port, const char *path)
{
	struct outbound *o = outbound_new(port, path);

	signal(SIGPIPE, SIG_IGN);
	while (o)
		turn(o);
	return 1;
}

/* ---- beside the agent ---- */

/* Of the agent's descriptors it has none. */
static void child(struct agent *a, struct outbound *o)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(1);
	prctl(PR_SET_NAME, "vmm-outbound");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	a->n_kept = 0;
	for (int i = 0; i < LISTENERS; i++) {
		if (o->listeners[i] >= 0)
			keep_add(a, KEPT_FILE, i, o->listeners[i]);
	}
	keep_only(a, 3);
	for (;;)
		turn(o);
}

void outbound_watch(struct agent *a)
{
	int64_t now = agent_now_ms();

	if (!a->outbound_port || a->outbound_pid > 0 || a->first_root)
		return;
	if (now < a->outbound_at_ms) {
		agent_wake_at(a, a->outbound_at_ms);
		return;
	}
	a->outbound_at_ms = now + AGAIN_MS;
	/* Before the fork: who has spoken with the agent finds the port open. */
	struct outbound *o = outbound_new(a->outbound_port, NULL);
	pid_t pid = o ? fork() : -1;
	if (pid == 0)
		child(a, o);
	if (o)
		outbound_free(o);
	a->outbound_pid = pid;
	if (pid < 0)
		agent_wake_at(a, a->outbound_at_ms);
}

void outbound_reaped(struct agent *a, pid_t pid)
{
	if (pid != a->outbound_pid)
		return;
	a->outbound_pid = 0;
	agent_log("the way to the host's proxy has ended; it is made anew");
}
