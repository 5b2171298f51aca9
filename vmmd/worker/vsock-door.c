/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The door: who connects for a guest to the host's services.
 *
 * A worker may make no Unix socket, for with the host's network it could reach
 * whatever listens on an abstract one.  So a process that does nothing else
 * connects: it has no capability, no network and no file system but the
 * machine's run folder, and it reads nothing but port numbers.  It is in the
 * worker's cgroup: what a guest makes it do is the guest's own time.  It ends
 * when the worker does, and goes on without vmmd as the worker does.
 */
#include "config.h"
#include "vmmd/worker/vsock-door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvmm/device/vsock.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "vmmd/worker/helper.h"
#include "vmmd/worker/sandbox.h"

#define SOCKET_NAME "vsock.sock"
#define ASKS_FD 3

/* ---- in the worker ---- */

static bool door_spawn(const char *uuid_text, int end, GError **error)
{
	const char *const words[] = { "--vsock-door", uuid_text, NULL };

	if (helper_spawn(words, &end, 1, error))
		return true;
	g_prefix_error(error, "start the vsock's door: ");
	return false;
}

bool vsock_door_start(const char *uuid_text, struct machine_vsock *ret, GError **error)
{
	auto_close int listener = io_listen_unix(SOCKET_NAME, 0600, error);
	int ends[2];

	if (listener < 0)
		return false;
	if (listen(listener, SOMAXCONN) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "make the vsock's sockets");
	bool ok = door_spawn(uuid_text, ends[1], error);
	close(ends[1]);
	if (ok)
		*ret = (struct machine_vsock){ TAKE_FD(listener), ends[0] };
	else
		close(ends[0]);
	return ok;
}

/* ---- the door ---- */

/* Never waits: a service whose queue is full refuses. */
static int service_connect(uint32_t port, int *ret_error)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKET_NAME "_%u", port);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		*ret_error = 0;
		return TAKE_FD(fd);
	}
	*ret_error = errno;
	return -1;
}

static bool answer_send(const struct vsock_answer *answer, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)answer, sizeof(*answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				       .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(ASKS_FD, &msg, MSG_NOSIGNAL) == sizeof(*answer);
}

static bool serve(void)
{
	struct vsock_ask ask;
	ssize_t n = recv(ASKS_FD, &ask, sizeof(ask), 0);

	if (n < 0 && errno == EINTR)
		return true;
	if (n != sizeof(ask))
		return false;
	struct vsock_answer answer = { .token = ask.token };
	auto_close int fd = service_connect(ask.port, &answer.error);
	return answer_send(&answer, fd);
}

int vsock_door_run(void)
{
	g_autoptr(GError) error = NULL;

	if (!sandbox_enter(&(struct sandbox_opts){ .keep_folder = true }, &error) ||
	    !sandbox_lock_door(&error)) {
		fprintf(stderr, "vmm-worker --vsock-door: %s\n", error->message);
		return 1;
	}
	while (serve())
		;
	return 0;
}
