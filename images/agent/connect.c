/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A TCP port of the guest's own loopback, for a host that has no network to it. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "images/agent/child.h"

static int dial(uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s >= 0 && connect(s, (struct sockaddr *)&four, sizeof(four)) == 0)
		return s;
	int error = errno;
	if (s >= 0)
		close(s);
	s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || connect(s, (struct sockaddr *)&six, sizeof(six)) < 0)
		child_fail(error, "connect to TCP port %u of the guest", port);
	return s;
}

/* false: it has ended */
static bool copy(int from, int to)
{
	static char data[65536];
	ssize_t n = read(from, data, sizeof(data));

	if (n < 0 && errno == EINTR)
		return true;
	for (char *p = data; n > 0;) {
		ssize_t done = write(to, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		p += done;
		n -= done;
		if (n == 0)
			return true;
	}
	return false;
}

int request_connect(struct json_object *request)
{
	int s = dial(need_number(request, "port", -1, 1, 65535));
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN }, { s, POLLIN } };

	child_reply(json_object_new_object());
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (fds[0].revents && !copy(STDIN_FILENO, s)) {
			shutdown(s, SHUT_WR);
			fds[0].fd = -1;
		}
		if (fds[1].revents && !copy(s, STDOUT_FILENO))
			return 0;
	}
}
