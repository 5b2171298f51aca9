/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of the outbound proxy beside this worker.  The first is started
 * before the jail; when one has ended vmmd is asked for the next, after a while
 * that doubles with each that does not last.  Without a vmmd the guest has no
 * way out until there is one again.
 */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include <glib-unix.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/worker/outbound.h"

#define AGAIN_S 1u
#define AGAIN_MAX_S 60u		/* who has lived so long counts as one that lasts */
#define ANSWER_MS 10000

static void again_later(struct control *c);

static gboolean on_gone(int fd, GIOCondition condition, void *opaque)
{
	struct control *c = opaque;
	int64_t lived_us = g_get_monotonic_time() - c->outbound.since_us;

	close(fd);
	if (lived_us >= AGAIN_MAX_S * G_TIME_SPAN_SECOND)
		c->outbound.wait_s = AGAIN_S;
	g_warning("the outbound proxy has ended: connections of the guest through it are cut, and "
		  "it gets out again in %u s", c->outbound.wait_s);
	again_later(c);
	return G_SOURCE_REMOVE;
}

/* It lives as long as our end of its life line is open: until this process ends. */
static void watch(struct control *c, int life_fd)
{
	c->outbound.since_us = g_get_monotonic_time();
	g_unix_fd_add(life_fd, G_IO_HUP, on_gone, c);
}

static void on_answer(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
		      void *opaque)
{
	struct control *c = opaque;

	if (!error && reply->n_fds == 1) {
		g_message("the outbound proxy is there again");
		watch(c, TAKE_FD(reply->fds[0]));
		return;
	}
	g_warning("the outbound proxy is not there again, the next try is in %u s: %s",
		  c->outbound.wait_s, error ? error->message : "vmmd sent no descriptor");
	again_later(c);
}

static gboolean on_again(void *opaque)
{
	struct control *c = opaque;

	if (!c->link)
		return G_SOURCE_CONTINUE;
	c->outbound.wait_s = MIN(2 * c->outbound.wait_s, AGAIN_MAX_S);
	rpc_conn_call(c->link, WORKER_PROGRAM, WORKER_PROC_OUTBOUND, (xdrproc_t)xdr_remote_none,
		      &(remote_none){ 0 }, NULL, 0, ANSWER_MS, on_answer, c);
	return G_SOURCE_REMOVE;
}

static void again_later(struct control *c)
{
	g_timeout_add_seconds(c->outbound.wait_s, on_again, c);
}

bool control_outbound(struct control *c, const struct domain_def *def, uid_t uid, GError **error)
{
	char uuid_text[UUID_TEXT_BYTES];
	int life_fd;

	uuid_to_text(def->uuid, uuid_text);
	if (!outbound_start(uuid_text, uid, def->vsock->proxies, &life_fd, error))
		return false;
	c->outbound.wait_s = AGAIN_S;
	watch(c, life_fd);
	return true;
}
