/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* To a daemon by TLS: name, address, handshake, all on the client's thread and within time. */
#include "config.h"
#include "libvmm/client/transport-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>

#include "libvmm/rpc/tls.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define CONNECT_MS 10000
#define HANDSHAKE_MS 10000

struct way {
	struct transport base;
	struct tls_creds *creds;
	struct tls_pipe *pipe;
	int plain;			/* until the pipe has it */
	GCancellable *cancel;
	GSource *timeout;		/* of connecting; NULL: none */
	bool connecting, timed_out;
	GError *failure;
};

static int port(const struct way *w)
{
	return w->base.uri->port ? w->base.uri->port : TLS_PORT;
}

/* The client sees its socket end, and asks why.  Takes error. */
static void fail(struct way *w, GError *error)
{
	if (!w->failure)
		w->failure = error;
	else
		g_clear_error(&error);
	fd_close(&w->plain);
}

static void timeout_stop(struct way *w)
{
	if (w->timeout)
		g_source_destroy(w->timeout);
	g_clear_pointer(&w->timeout, g_source_unref);
}

static gboolean on_timeout(void *opaque)
{
	struct way *w = opaque;

	w->timed_out = true;
	g_cancellable_cancel(w->cancel);
	return G_SOURCE_REMOVE;
}

static void on_ended(struct tls_pipe *pipe, const GError *error, void *opaque)
{
	struct way *w = opaque;

	if (error)
		fail(w, g_error_copy(error));
	g_clear_pointer(&w->pipe, tls_pipe_free);
}

static const struct tls_pipe_ops pipe_ops = { .ended = on_ended };

static void connected(struct way *w, GSocketConnection *c)
{
	int fd = g_socket_get_fd(g_socket_connection_get_socket(c));
	int net = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	const struct uri *uri = w->base.uri;

	if (net < 0) {
		fail(w, g_error_new(VMM_ERROR, VMM_ERR_SYSTEM, "keep the connection: %s",
				    g_strerror(errno)));
		return;
	}
	w->pipe = tls_pipe_new(w->base.ctx, w->creds, uri->no_verify ? NULL : uri->host, net,
			       HANDSHAKE_MS, &pipe_ops, w);
	tls_pipe_attach(w->pipe, TAKE_FD(w->plain));
}

static void on_connected(GObject *source, GAsyncResult *result, void *opaque)
{
	struct way *w = opaque;
	g_autoptr(GError) why = NULL;
	g_autoptr(GSocketConnection) c =
		g_socket_client_connect_to_host_finish(G_SOCKET_CLIENT(source), result, &why);

	w->connecting = false;
	timeout_stop(w);
	if (c)
		connected(w, c);
	else if (w->timed_out)
		fail(w, g_error_new(VMM_ERROR, VMM_ERR_TIMEOUT,
				    "'%s' port %d does not answer within %d seconds",
				    w->base.uri->host, port(w), CONNECT_MS / 1000));
	else
		fail(w, g_error_new(VMM_ERROR, VMM_ERR_SYSTEM, "connect to '%s' port %d: %s",
				    w->base.uri->host, port(w), why->message));
}

static void way_start(struct transport *t)
{
	struct way *w = container_of(t, struct way, base);
	g_autoptr(GSocketClient) client = g_socket_client_new();

	/* What is set for browsers is not meant for us. */
	g_socket_client_set_enable_proxy(client, FALSE);
	w->connecting = true;
	w->timeout = g_timeout_source_new(CONNECT_MS);
	g_source_set_callback(w->timeout, on_timeout, w, NULL);
	g_source_attach(w->timeout, t->ctx);
	g_socket_client_connect_to_host_async(client, t->uri->host, (guint16)port(w), w->cancel,
					      on_connected, w);
}

static void way_stop(struct transport *t)
{
	struct way *w = container_of(t, struct way, base);

	g_cancellable_cancel(w->cancel);
	while (w->connecting)
		g_main_context_iteration(t->ctx, TRUE);
	g_clear_pointer(&w->pipe, tls_pipe_free);
	timeout_stop(w);
}

struct asked {
	struct way *way;
	GError *failure;
};

static void failure_get(void *arg)
{
	struct asked *a = arg;

	a->failure = a->way->failure ? g_error_copy(a->way->failure) : NULL;
}

static GError *way_failure(struct transport *t)
{
	struct asked a = { container_of(t, struct way, base), NULL };

	owner_call(t->ctx, failure_get, &a);
	return a.failure;
}

static void way_free(struct transport *t)
{
	struct way *w = container_of(t, struct way, base);

	fd_close(&w->plain);
	tls_creds_unref(w->creds);
	g_object_unref(w->cancel);
	g_clear_error(&w->failure);
	g_free(w);
}

static const struct transport_ops ops = {
	.start = way_start, .stop = way_stop, .failure = way_failure, .free = way_free,
};

struct transport *transport_tls_new(const struct uri *uri, int plain_fd, GError **error)
{
	struct way *w = g_new0(struct way, 1);

	w->base.ops = &ops;
	w->plain = plain_fd;
	w->cancel = g_cancellable_new();
	w->creds = tls_creds_load(TLS_CLIENT, uri->pkipath, uri->tls_priority, error);
	if (w->creds)
		return &w->base;
	way_free(&w->base);
	return NULL;
}
