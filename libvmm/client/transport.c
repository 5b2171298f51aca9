/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways to daemons of other hosts: what they have in common. */
#include "config.h"
#include "libvmm/client/transport-priv.h"

#include <errno.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

struct transport *transport_new(const struct uri *uri, bool readonly, int *ret_fd, GError **error)
{
	auto_close int ours = -1, theirs = -1;
	struct transport *t;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		error_errno(error, errno, "make a pair of sockets");
		return NULL;
	}
	ours = ends[0];
	theirs = ends[1];
	t = uri->transport == URI_TLS ?
		    transport_tls_new(uri, TAKE_FD(theirs), error) :
		    transport_ssh_new(uri, readonly, TAKE_FD(theirs), error);
	if (t) {
		t->uri = uri;
		*ret_fd = TAKE_FD(ours);
	}
	return t;
}

static void run_start(void *arg)
{
	struct transport *t = arg;

	t->ops->start(t);
}

static void run_stop(void *arg)
{
	struct transport *t = arg;

	t->ops->stop(t);
}

void transport_start(struct transport *t, GMainContext *ctx)
{
	t->ctx = ctx;
	owner_call(ctx, run_start, t);
}

GError *transport_failure(struct transport *t)
{
	return t->ops->failure(t);
}

void transport_stop(struct transport *t)
{
	if (t && t->ctx)
		owner_call(t->ctx, run_stop, t);
}

void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}
