/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An outbound proxy is started as its worker started the first: by the worker's
 * program, in the run folder, with the worker's stderr, in its cgroup.  A
 * worker may be hostile, so what the new one is told comes from the definition
 * that runs, and there is one at a time: while the old one still answers, its
 * socket is not given to another.
 */
#include "config.h"
#include "vmmd/outbound.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/agent/proto.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "vmmd/cgroup.h"
#include "vmmd/supervisor.h"

#define SOCKET_NAME "vsock.sock_" G_STRINGIFY(AGENT_OUTBOUND_VSOCK_PORT)
#define AGAIN_US (900 * G_TIME_SPAN_MILLISECOND) /* workers ask after a second */

/* Its own session, as the worker's: no signal of vmmd's terminal ends it. */
static void child_set_up(void *opaque)
{
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static char **words_new(const struct domain *dom)
{
	uid_t uid = WORKER_UID_BASE + (unsigned)dom->id % WORKER_UID_COUNT;
	g_autofree char *uid_text = g_strdup_printf("%u", uid);
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();

	g_strv_builder_add_many(words, dom->daemon->worker_path, "--outbound", dom->uuid_text,
				uid_text, NULL);
	allow_rules_add_words(dom->live->vsock->proxies, words);
	return g_strv_builder_end(words);
}

/* By way of the descriptor: the folder may be deeper than a socket's name is long. */
static int listener_new(int folder, GError **error)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d/" SOCKET_NAME, folder);
	auto_close int fd = io_listen_unix(path, 0600, error);

	if (fd >= 0 && listen(fd, SOMAXCONN) < 0) {
		error_errno(error, errno, "listen on '%s'", SOCKET_NAME);
		return -1;
	}
	return TAKE_FD(fd);
}

/* What the worker writes to, too; its other end is the logbook's. */
static int said_open(int folder, GError **error)
{
	auto_close int fd = openat(folder, "said", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		return TAKE_FD(fd);
	error_errno(error, fd < 0 ? errno : EINVAL, "open the worker's stderr");
	return -1;
}

/* fds: the listener, its end of the life line.  Nobody waits for it: its parent is init. */
static bool spawn(const struct domain *dom, const char *path, int said, const int fds[2],
		  pid_t *ret, GError **error)
{
	static const int targets[] = { WORKER_OUTBOUND_LISTEN_FD, WORKER_OUTBOUND_LIFE_FD };
	g_auto(GStrv) words = words_new(dom);
	auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	g_autoptr(GError) why = NULL;

	if (null < 0)
		return error_errno(error, errno, "open '/dev/null'");
	if (g_spawn_async_with_pipes_and_fds(path, (const char *const *)words, NULL, 0,
					     child_set_up, NULL, null, said, said, fds, targets, 2,
					     ret, NULL, NULL, NULL, &why))
		return true;
	return error_set(error, VMM_ERR_SYSTEM, "start '%s': %s", words[0], why->message);
}

static bool begin(const struct domain *dom, int end, pid_t *ret, GError **error)
{
	g_autofree char *path = supervisor_folder(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text);
	auto_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	auto_close int said = -1, listener = -1;

	if (folder < 0)
		return error_errno(error, errno, "open folder '%s'", path);
	return (said = said_open(folder, error)) >= 0 &&
	       (listener = listener_new(folder, error)) >= 0 &&
	       spawn(dom, path, said, (int[]){ listener, end }, ret, error);
}

static bool may_begin(const struct domain *dom, int64_t *at_us, GError **error)
{
	int64_t now = g_get_monotonic_time();

	if (!dom->live || !domain_has_outbound(dom->live))
		return error_set(error, VMM_ERR_ACCESS_DENIED, "the domain has no <vmm:proxy>");
	if (*at_us && now - *at_us < AGAIN_US)
		return error_set(error, VMM_ERR_ACCESS_DENIED, "one was begun a moment ago");
	*at_us = now;
	return true;
}

int outbound_again(struct domain *dom, int64_t *at_us, GError **error)
{
	auto_close int ours = -1, its = -1;
	int life[2];
	pid_t pid;

	if (!may_begin(dom, at_us, error))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life) < 0) {
		error_errno(error, errno, "make the outbound proxy's life line");
		return -1;
	}
	ours = life[0];
	its = life[1];
	/* one that the cgroup does not take ends by its life line */
	if (!begin(dom, its, &pid, error) ||
	    !cgroup_apply(dom->daemon, dom->uuid_text, pid, NULL, &dom->live->tune, error))
		return -1;
	return TAKE_FD(ours);
}
