/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TLS connection on a main context, with a plain socket at its other side.
 *
 * Each way has one chunk under way: what was read is sent before more is read,
 * so who does not read holds up the other side and costs no memory.  GnuTLS
 * reads whole records: bytes that it has decrypted and we have not fetched are
 * seen by no poll(), so dispatch asks for another turn.
 *
 * The end: when the plain side has hung up and its last bytes are sent, or
 * when the network fails.  When only the network has hung up, the plain side
 * is told and ends in its own time.
 */
#include "config.h"
#include "libvmm/rpc/tls-priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES 16384		/* what a TLS record holds */
#define TURN_CHUNKS 16			/* then the loop sees others */
#define HANDSHAKE_TURN 8
#define LINGER_US (5 * G_USEC_PER_SEC)
#define ACCEPTED 1			/* the server's byte after the handshake */
/* A peer that has vanished without a word is noticed after two minutes. */
#define ALIVE_IDLE_S 60
#define ALIVE_INTERVAL_S 15
#define ALIVE_COUNT 4

enum stage {
	STAGE_HANDSHAKE,
	STAGE_WORD,			/* client: the server's byte is to come */
	STAGE_OPEN,
};

struct chunk {
	uint8_t data[CHUNK_BYTES];
	size_t from, to;
};

struct tls_pipe {
	GSource *source;
	struct tls_creds *creds;
	char *host, *peer;
	const struct tls_pipe_ops *ops;
	void *opaque;

	gnutls_session_t session;
	gnutls_typed_vdata_st expect[N_TLS_EXPECT];
	int net, plain;
	void *net_tag, *plain_tag;	/* NULL while nothing is waited for */
	enum stage stage;
	bool begun;			/* the handshake */
	struct chunk up, down;		/* to the network, from it */
	bool up_eof, down_eof;		/* no more comes */
	bool down_told;			/* the plain side knows */
	bool up_blocked;		/* the network takes nothing now */
	/* Of the message on its way up: its length word as far as it is known, what is to come. */
	uint8_t word[sizeof(uint32_t)];
	unsigned have;
	uint32_t left;
	unsigned timeout_ms;
	gint64 deadline_us;		/* of handshake or end; 0: none */

	unsigned busy;			/* callbacks on the stack */
	bool freed, ended;
};

struct pipe_source {
	GSource source;
	struct tls_pipe *pipe;
};

static bool chunk_is_empty(const struct chunk *c)
{
	return c->from == c->to;
}

/* ---- life ---- */

static void pipe_release(struct tls_pipe *p)
{
	g_source_destroy(p->source);
	g_source_unref(p->source);
	tls_lib.deinit(p->session);
	tls_creds_unref(p->creds);
	fd_close(&p->net);
	fd_close(&p->plain);
	g_free(p->host);
	g_free(p->peer);
	g_free(p);
}

static void busy_leave(struct tls_pipe *p)
{
	if (--p->busy == 0 && p->freed)
		pipe_release(p);
}

void tls_pipe_free(struct tls_pipe *p)
{
	if (!p || p->freed)
		return;
	p->busy++;
	p->freed = p->ended = true;
	busy_leave(p);
}

const char *tls_pipe_peer(const struct tls_pipe *p)
{
	return p->peer;
}

static unsigned net_events(const struct tls_pipe *p)
{
	if (p->ended)
		return 0;
	if (p->stage == STAGE_HANDSHAKE)
		return tls_lib.record_get_direction(p->session) ? G_IO_OUT : G_IO_IN;
	return (chunk_is_empty(&p->down) && !p->down_eof ? G_IO_IN : 0) |
	       (p->up_blocked ? G_IO_OUT : 0);
}

static unsigned plain_events(const struct tls_pipe *p)
{
	if (p->ended || p->stage != STAGE_OPEN || p->plain < 0)
		return 0;
	return (chunk_is_empty(&p->up) && !p->up_eof ? G_IO_IN : 0) |
	       (chunk_is_empty(&p->down) ? 0 : G_IO_OUT);
}

/* Not merely an empty mask: poll() would report a hang-up for ever. */
static void watch(struct tls_pipe *p, void **tag, int fd, unsigned events)
{
	if (*tag && !events)
		g_source_remove_unix_fd(p->source, g_steal_pointer(tag));
	else if (*tag)
		g_source_modify_unix_fd(p->source, *tag, events);
	else if (events)
		*tag = g_source_add_unix_fd(p->source, fd, events);
}

/* There is something to do that no poll() would tell. */
static bool pipe_is_ready(const struct tls_pipe *p)
{
	/* The client speaks first, and nothing wakes it to. */
	if (p->ended || p->stage == STAGE_HANDSHAKE)
		return !p->ended && !p->begun;
	return (chunk_is_empty(&p->down) && tls_lib.record_check_pending(p->session) > 0) ||
	       (!chunk_is_empty(&p->up) && !p->up_blocked && p->plain >= 0);
}

static void pipe_update(struct tls_pipe *p)
{
	watch(p, &p->net_tag, p->net, net_events(p));
	watch(p, &p->plain_tag, p->plain, plain_events(p));
	g_source_set_ready_time(p->source, pipe_is_ready(p) ? 0 :
				p->deadline_us && !p->ended ? p->deadline_us : -1);
}

/* ---- the handshake ---- */

static bool handshake_done(struct tls_pipe *p, GError **error)
{
	p->peer = tls_session_peer(p->session);
	if (p->creds->side == TLS_CLIENT) {
		p->stage = STAGE_WORD;
		return true;
	}
	if (p->ops->permit && !p->ops->permit(p, p->peer ? p->peer : "", p->opaque)) {
		tls_lib.alert_send(p->session, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
		return error_set(error, VMM_ERR_AUTH_FAILED,
				 "'%s' is not on the list of those who may connect",
				 p->peer ? p->peer : "?");
	}
	p->up.data[0] = ACCEPTED;
	p->up.to = p->left = 1;
	p->stage = STAGE_OPEN;
	return true;
}

static bool handshake(struct tls_pipe *p, GError **error)
{
	int r = GNUTLS_E_AGAIN;

	p->begun = true;
	for (unsigned i = 0; i < HANDSHAKE_TURN; i++) {
		r = tls_lib.handshake(p->session);
		if (r >= 0)
			return handshake_done(p, error);
		if (r == GNUTLS_E_AGAIN)
			return true;
		if (tls_lib.error_is_fatal(r))
			break;
	}
	if (!tls_lib.error_is_fatal(r))
		return error_set(error, VMM_ERR_RPC, "TLS: too many warnings");
	tls_lib.alert_send_appropriate(p->session, r);
	return tls_session_failed(p->session, p->creds, p->host, r, error);
}

static bool is_hangup(int r)
{
	return r == 0 || r == GNUTLS_E_PREMATURE_TERMINATION || r == GNUTLS_E_PULL_ERROR;
}

/* With TLS 1.3 a server sees our certificate after we are done: its refusal comes here. */
static bool word_take(struct tls_pipe *p, GError **error)
{
	uint8_t word = 0;
	ssize_t r = tls_lib.record_recv(p->session, &word, 1);

	if (r == 1 && word == ACCEPTED) {
		p->stage = STAGE_OPEN;
		return true;
	}
	if (r < 0 && !tls_lib.error_is_fatal((int)r))
		return true;
	if (r < 0 && !is_hangup((int)r))
		return tls_session_failed(p->session, p->creds, p->host, (int)r, error);
	return error_set(error, VMM_ERR_AUTH_FAILED,
			 "%s did not accept the certificate '%s': %s", tls_peer_name(p->host),
			 p->creds->paths[TLS_FILE_CERT],
			 r == 1 ? "its answer makes no sense" :
				  "it hung up; its log, or its list of allowed names, has why");
}

/* ---- data ---- */

static bool down_fill(struct tls_pipe *p, GError **error)
{
	ssize_t r = tls_lib.record_recv(p->session, p->down.data, CHUNK_BYTES);

	p->down.from = p->down.to = 0;
	if (r > 0)
		p->down.to = (size_t)r;
	else if (is_hangup((int)r))
		p->down_eof = true;
	else if (r == GNUTLS_E_REHANDSHAKE)
		return error_set(error, VMM_ERR_RPC, "TLS: the peer wants a second handshake");
	else if (tls_lib.error_is_fatal((int)r))
		return tls_session_failed(p->session, p->creds, p->host, (int)r, error);
	return true;
}

static void down_drain(struct tls_pipe *p)
{
	ssize_t n = send(p->plain, p->down.data + p->down.from, p->down.to - p->down.from,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		p->down.from += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		p->down.from = p->down.to;	/* nobody reads it; up_fill() will see that, too */
}

static void up_fill(struct tls_pipe *p)
{
	ssize_t n = recv(p->plain, p->up.data, CHUNK_BYTES, MSG_DONTWAIT);

	p->up.from = p->up.to = 0;
	if (n > 0)
		p->up.to = (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		p->up_eof = true;
}

/*
 * A TLS record has bytes of one message only: libvirt's client polls the
 * socket after each message and does not see what GnuTLS has decrypted
 * already, so the second message of a record would wait for a third.
 */
static size_t up_piece(struct tls_pipe *p)
{
	size_t rest = p->up.to - p->up.from, lacking = sizeof(p->word) - p->have;
	uint32_t length;

	if (p->left > 0)
		return MIN(rest, p->left);
	if (rest < lacking)
		return rest;
	memcpy(p->word + p->have, p->up.data + p->up.from, lacking);
	memcpy(&length, p->word, sizeof(length));
	length = GUINT32_FROM_BE(length);
	return MIN(rest, MAX(length, sizeof(length)) - p->have);
}

static void up_sent(struct tls_pipe *p, size_t n)
{
	const uint8_t *at = p->up.data + p->up.from;
	uint32_t length;

	p->up.from += n;
	for (; n > 0 && p->left == 0 && p->have < sizeof(p->word); n--)
		p->word[p->have++] = *at++;
	if (p->left == 0 && p->have == sizeof(p->word)) {
		memcpy(&length, p->word, sizeof(length));
		p->left = MAX(GUINT32_FROM_BE(length), sizeof(length)) - sizeof(length);
		p->have = 0;
	}
	p->left -= MIN(n, p->left);
}

static bool up_drain(struct tls_pipe *p, GError **error)
{
	/* After GNUTLS_E_AGAIN it wants the same bytes again, which these are. */
	ssize_t r = tls_lib.record_send(p->session, p->up.data + p->up.from, up_piece(p));

	p->up_blocked = r == GNUTLS_E_AGAIN;
	if (r > 0)
		up_sent(p, (size_t)r);
	else if (tls_lib.error_is_fatal((int)r))
		return error_set(error, VMM_ERR_RPC, "connection lost: %s",
				 tls_lib.strerror((int)r));
	return true;
}

static bool carry_down(struct tls_pipe *p, GError **error)
{
	for (unsigned i = 0; i < TURN_CHUNKS && !p->down_told; i++) {
		if (chunk_is_empty(&p->down) && !p->down_eof && !down_fill(p, error))
			return false;
		if (chunk_is_empty(&p->down))
			break;
		down_drain(p);
		if (!chunk_is_empty(&p->down))
			break;
	}
	if (p->down_eof && chunk_is_empty(&p->down) && !p->down_told) {
		shutdown(p->plain, SHUT_WR);
		p->down_told = true;
	}
	return true;
}

static bool carry_up(struct tls_pipe *p, GError **error)
{
	for (unsigned i = 0; i < TURN_CHUNKS; i++) {
		if (chunk_is_empty(&p->up) && !p->up_eof)
			up_fill(p);
		if (chunk_is_empty(&p->up))
			break;
		if (!up_drain(p, error))
			return false;
		if (p->up_blocked)
			break;
	}
	if (p->up_eof && !p->deadline_us)
		p->deadline_us = g_get_monotonic_time() + LINGER_US;
	return true;
}

/* ---- the loop ---- */

static void pipe_end(struct tls_pipe *p, const GError *error)
{
	p->ended = true;
	if (p->stage == STAGE_OPEN && !error)
		tls_lib.bye(p->session, GNUTLS_SHUT_WR);
	pipe_update(p);
	fd_close(&p->net);
	fd_close(&p->plain);
	p->ops->ended(p, error, p->opaque);
}

static void stage_opened(struct tls_pipe *p)
{
	p->deadline_us = 0;
	if (p->ops->open)
		p->ops->open(p, p->opaque);
}

/* False with an error, or without one at a clean end. */
static bool pipe_work(struct tls_pipe *p, GError **error)
{
	enum stage before = p->stage;

	if (p->stage == STAGE_HANDSHAKE && !handshake(p, error))
		return false;
	if (p->stage == STAGE_WORD && !p->ended && !word_take(p, error))
		return false;
	if (p->stage == STAGE_OPEN && before != STAGE_OPEN && !p->ended)
		stage_opened(p);
	if (p->ended)
		return true;
	if (p->stage == STAGE_OPEN && p->plain >= 0 &&
	    (!carry_down(p, error) || !carry_up(p, error) ||
	     (p->up_eof && chunk_is_empty(&p->up))))
		return false;
	if (!p->deadline_us || g_get_monotonic_time() < p->deadline_us)
		return true;
	if (p->stage != STAGE_OPEN)
		error_set(error, VMM_ERR_TIMEOUT,
			  "%s has not completed the TLS handshake within %u seconds",
			  tls_peer_name(p->host), p->timeout_ms / 1000);
	return false;
}

static gboolean pipe_dispatch(GSource *source, GSourceFunc callback, void *data)
{
	struct tls_pipe *p = ((struct pipe_source *)source)->pipe;
	g_autoptr(GError) error = NULL;

	p->busy++;
	if (!p->ended && !pipe_work(p, &error) && !p->ended)
		pipe_end(p, error);
	if (!p->ended)
		pipe_update(p);
	busy_leave(p);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs pipe_source_funcs = { .dispatch = pipe_dispatch };

static void net_prepare(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, ALIVE_COUNT },
	};

	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	/* comforts, which a socket of a test need not have */
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

struct tls_pipe *tls_pipe_new(GMainContext *ctx, struct tls_creds *creds, const char *host,
			      int net_fd, unsigned timeout_ms, const struct tls_pipe_ops *ops,
			      void *opaque)
{
	struct tls_pipe *p = g_new0(struct tls_pipe, 1);

	p->creds = tls_creds_ref(creds);
	p->host = g_strdup(host);
	p->ops = ops;
	p->opaque = opaque;
	p->net = net_fd;
	p->plain = -1;
	p->timeout_ms = timeout_ms;
	p->deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	net_prepare(net_fd);
	p->session = tls_session_new(creds, p->host, net_fd, p->expect);
	p->source = g_source_new(&pipe_source_funcs, sizeof(struct pipe_source));
	((struct pipe_source *)p->source)->pipe = p;
	g_source_set_static_name(p->source, "tls_pipe");
	pipe_update(p);
	g_source_attach(p->source, ctx);
	return p;
}

void tls_pipe_attach(struct tls_pipe *p, int plain_fd)
{
	p->plain = plain_fd;
	g_unix_set_fd_nonblocking(plain_fd, TRUE, NULL);
	if (!p->busy && !p->ended)
		pipe_update(p);
}
