/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The outbound proxy: programs in a guest without a network get to places that
 * the definition's <vmm:proxy> name, and to no others.
 *
 * It is a process of its own beside the worker, for it has what the worker must
 * not have: the host's network.  In its jail there are no files but those by
 * which names are found, no capability, the machine's uid, and a filter of its
 * own.  The guest's connections come as any others by the vsock's door, to the
 * Unix socket of the proxy's port.  It ends with the worker, and goes on
 * without vmmd as the worker does.
 *
 * One loop owns all connections; threads that were there before the filter
 * find names.  A connection has one buffer a way, and who does not read stops
 * who writes.  When all places are taken others wait in the listener's queue.
 */
#include "config.h"
#include "vmmd/worker/outbound.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "images/agent/proto.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "vmmd/worker/helper.h"
#include "vmmd/worker/outbound-priv.h"
#include "vmmd/worker/sandbox.h"

#define SOCKET_NAME "vsock.sock_" G_STRINGIFY(AGENT_OUTBOUND_VSOCK_PORT)
#define REST_MS 100	/* when there are no descriptors left */

/* ---- in the worker ---- */

static bool spawn(const char *uuid_text, uid_t uid, const GArray *rules, const int fds[2],
		  GError **error)
{
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();
	g_autofree char *uid_text = g_strdup_printf("%u", uid);
	g_auto(GStrv) list = NULL;

	g_strv_builder_add_many(words, "--outbound", uuid_text, uid_text, NULL);
	allow_rules_add_words(rules, words);
	list = g_strv_builder_end(words);
	if (helper_spawn((const char *const *)list, fds, 2, error))
		return true;
	g_prefix_error(error, "start the outbound proxy: ");
	return false;
}

bool outbound_start(const char *uuid_text, uid_t uid, const GArray *rules, int *ret_life_fd,
		    GError **error)
{
	auto_close int listener = io_listen_unix(SOCKET_NAME, 0600, error);
	int life[2];

	if (listener < 0)
		return false;
	if (listen(listener, SOMAXCONN) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life) < 0)
		return error_errno(error, errno, "make the outbound proxy's sockets");
	bool ok = spawn(uuid_text, uid, rules, (int[]){ listener, life[1] }, error);
	close(life[1]);
	if (ok)
		*ret_life_fd = life[0];
	else
		close(life[0]);
	return ok;
}

/* ---- the proxy ---- */

struct proxy {
	struct outbound out;
	int answers_fd;
	int64_t rest_ms;	/* nobody is let in before */
	struct conn conns[CONNS_MAX];
	unsigned n;
	struct pollfd polled[3 + 2 * CONNS_MAX];
};

enum { POLLED_LIFE, POLLED_LISTENER, POLLED_ANSWERS, POLLED_CONNS };

static void drop(struct proxy *p, unsigned i)
{
	conn_end(&p->out, &p->conns[i]);
	p->conns[i] = p->conns[--p->n];
}

static void on_listener(struct proxy *p)
{
	int fd = accept4(WORKER_OUTBOUND_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		conn_begin(&p->conns[p->n++], fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		p->rest_ms = outbound_now_ms() + REST_MS;
}

static void on_answers(struct proxy *p)
{
	struct question *q;

	while ((q = names_answered(p->out.names))) {
		for (unsigned i = p->n; i > 0; i--) {
			struct conn *c = &p->conns[i - 1];

			if (c->question == q && !conn_answered(&p->out, c, q))
				drop(p, i - 1);
		}
		g_free(q);
	}
}

/* How long to wait at most; -1: for ever. */
static int prepare(struct proxy *p)
{
	int64_t now = outbound_now_ms(), wake = now < p->rest_ms ? p->rest_ms : -1;
	bool room = p->n < CONNS_MAX && now >= p->rest_ms;

	p->polled[POLLED_LIFE] = (struct pollfd){ .fd = WORKER_OUTBOUND_LIFE_FD, .events = POLLIN };
	p->polled[POLLED_LISTENER] =
		(struct pollfd){ .fd = room ? WORKER_OUTBOUND_LISTEN_FD : -1, .events = POLLIN };
	p->polled[POLLED_ANSWERS] = (struct pollfd){ .fd = p->answers_fd, .events = POLLIN };
	for (unsigned i = 0; i < p->n; i++) {
		int64_t until = conn_wait(&p->conns[i], &p->polled[POLLED_CONNS + 2 * i]);

		if (until >= 0 && (wake < 0 || until < wake))
			wake = until;
	}
	return wake < 0 ? -1 : (int)MAX(wake - now, 0);
}

/* false: the worker has gone. */
static bool turn(struct proxy *p)
{
	int timeout = prepare(p);

	if (poll(p->polled, POLLED_CONNS + 2 * p->n, timeout) < 0)
		return errno == EINTR;
	if (p->polled[POLLED_LIFE].revents)
		return false;
	/* From behind: who ends is replaced by the last, whose turn has been. */
	for (unsigned i = p->n; i > 0; i--)
		if (!conn_go(&p->out, &p->conns[i - 1], &p->polled[POLLED_CONNS + 2 * (i - 1)]))
			drop(p, i - 1);
	if (p->polled[POLLED_ANSWERS].revents)
		on_answers(p);
	if (p->polled[POLLED_LISTENER].revents && p->n < CONNS_MAX)
		on_listener(p);
	return true;
}

static bool prepare_rules(char *const *words, unsigned n, struct outbound *ret, GError **error)
{
	struct allow_rule *rules = g_new0(struct allow_rule, n);

	ret->rules = rules;
	ret->n_rules = n;
	for (unsigned i = 0; i < n; i++)
		if (!allow_rule_parse(words[i], &rules[i], error))
			return false;
	return true;
}

static bool start(struct proxy *p, uid_t uid, char *const *words, unsigned n, GError **error)
{
	sigset_t none;

	sigemptyset(&none);	/* the worker reads its signals, we end by ours */
	sigprocmask(SIG_SETMASK, &none, NULL);
	g_unix_set_fd_nonblocking(WORKER_OUTBOUND_LISTEN_FD, TRUE, NULL);
	if (!prepare_rules(words, n, &p->out, error) ||
	    !sandbox_enter(&(struct sandbox_opts){ .uid = uid, .gid = uid, .host_network = true,
						   .names = true }, error))
		return false;
	p->out.refusals = refusals_new();
	p->out.names = names_new(&p->answers_fd);
	return sandbox_lock_outbound(error);
}

int outbound_run(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	struct proxy *p = g_new0(struct proxy, 1);
	guint64 uid = 0;

	if (argc < 2 || argc - 2 > ALLOW_RULES_MAX ||
	    !g_ascii_string_to_unsigned(argv[1], 10, 0, G_MAXUINT32 - 1, &uid, &error) ||
	    !start(p, (uid_t)uid, argv + 2, (unsigned)argc - 2, &error)) {
		fprintf(stderr, "vmm-worker --outbound: %s\n",
			error ? error->message : "UUID UID ALLOW...");
		return 1;
	}
	while (turn(p))
		;
	return 0;
}
