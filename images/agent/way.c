/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One way of a connection that is passed on. */
#include "config.h"

#include "images/agent/way.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void way_begin(struct way *w, int from, int to)
{
	w->from = from;
	w->to = to;
	w->start = w->end = 0;
}

struct pollfd way_wait(const struct way *w)
{
	if (w->to < 0)
		return (struct pollfd){ -1, 0, 0 };
	return w->start < w->end ? (struct pollfd){ w->to, POLLOUT, 0 } :
				   (struct pollfd){ w->from, POLLIN, 0 };
}

static void way_end(struct way *w, bool socket)
{
	if (socket)
		shutdown(w->to, SHUT_WR);
	else
		close(w->to);
	w->to = -1;
}

static bool later(void)
{
	return errno == EAGAIN || errno == EINTR;
}

bool way_go(struct way *w, bool to_socket)
{
	ssize_t n;

	if (w->start == w->end) {
		n = read(w->from, w->data, sizeof(w->data));
		if (n < 0)
			return later();
		w->start = 0;
		w->end = n;
		if (n == 0) {
			way_end(w, to_socket);
			return true;
		}
	}
	n = write(w->to, w->data + w->start, w->end - w->start);
	if (n < 0)
		return later();
	w->start += n;
	return true;
}

/* ---- both ---- */

struct join *join_new(int a, int b)
{
	struct join *j = malloc(sizeof(*j));

	if (!j) {
		close(a);
		close(b);
		return NULL;
	}
	for (int i = 0; i < 2; i++) {
		j->ends[i] = i ? b : a;
		way_begin(&j->ways[i], i ? b : a, i ? a : b);
	}
	return j;
}

void join_wait(const struct join *j, struct pollfd ret[2])
{
	for (int i = 0; i < 2; i++)
		ret[i] = way_wait(&j->ways[i]);
}

enum join_result join_go(struct join *j, const struct pollfd polled[2])
{
	for (int i = 0; i < 2; i++) {
		if (polled[i].revents && !way_go(&j->ways[i], true))
			return JOIN_BROKEN;
	}
	return j->ways[0].to < 0 && j->ways[1].to < 0 ? JOIN_OVER : JOIN_GOES;
}

void join_free(struct join *j, bool broken)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	for (int i = 0; i < 2; i++) {
		if (broken)
			setsockopt(j->ends[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(j->ends[i]);
	}
	free(j);
}
