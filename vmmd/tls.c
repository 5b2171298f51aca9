/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm-tls, as vmmd sees it: it is started, it says who has come, it is started again. */
#include "config.h"
#include "vmmd/tls.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/server.h"
#include "vmmd/tls/words.h"

#define READY_MS 30000
#define AGAIN_MS 1000		/* then twice that, and so on */
#define AGAIN_MAX_MS 60000

struct tls_server {
	struct server *server;
	const struct tls_policy *policy;
	int fd;			/* -1: it is not there */
	guint source, again;
	unsigned wait_ms;	/* before the next try */
};

static void child_set_up(void *opaque)
{
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void add(GPtrArray *argv, const char *option, const char *value)
{
	if (value)
		g_ptr_array_add(argv, g_strdup_printf("--%s=%s", option, value));
}

static GPtrArray *argv_new(const char *program, const struct tls_policy *policy)
{
	GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(argv, g_strdup(program));
	add(argv, "pki", policy->folder);
	add(argv, "priority", policy->priority);
	for (char **at = policy->listen; at && *at; at++)
		add(argv, "listen", *at);
	for (char **at = policy->allow; at && *at; at++)
		add(argv, "allow", *at);
	g_ptr_array_add(argv, NULL);
	return argv;
}

/* Without a child to wait for: its parent is init.  -1: its stderr is ours. */
static bool spawn(struct tls_server *tls, GError **error)
{
	const char *program = g_getenv("VMM_TLS") ?: PKGLIBEXECDIR "/vmm-tls";
	g_autoptr(GPtrArray) argv = argv_new(program, tls->policy);
	const int target = TLS_WORDS_FD;
	g_autoptr(GError) why = NULL;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "make a pair of sockets");
	g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)argv->pdata, NULL, 0,
					 child_set_up, NULL, -1, -1, -1, &ends[1],
					 &target, 1, NULL, NULL, NULL, NULL, &why);
	close(ends[1]);
	tls->fd = ends[0];
	if (!why)
		return true;
	fd_close(&tls->fd);
	return error_set(error, VMM_ERR_SYSTEM, "start '%s': %s", program, why->message);
}

/* ---- what it says ---- */

/* false: it has failed, and said why. */
static bool heard(struct tls_server *tls, struct tls_words *w, GError **error)
{
	switch (w->word) {
	case TLS_WORD_READY:
		tls->wait_ms = AGAIN_MS;
		break;
	case TLS_WORD_FAILED:
		return error_set(error, VMM_ERR_SYSTEM, "%s", w->text);
	case TLS_WORD_NOTE:
		g_message("%s", w->text);
		break;
	case TLS_WORD_WARNING:
		g_warning("%s", w->text);
		break;
	case TLS_WORD_CLIENT:
		server_take(tls->server, TAKE_FD(w->fd), w->text, w->more);
		break;
	case N_TLS_WORDS:
		break;
	}
	return true;
}

static bool hear(struct tls_server *tls, struct tls_words *w, GError **error)
{
	int r = tls_words_receive(tls->fd, w);

	if (r > 0)
		return heard(tls, w, error);
	return r == 0 ? error_set(error, VMM_ERR_SYSTEM, "vmm-tls has ended") :
			error_errno(error, errno, "hear vmm-tls");
}

static bool wait_ready(struct tls_server *tls, GError **error)
{
	gint64 until = g_get_monotonic_time() + READY_MS * INT64_C(1000);
	struct tls_words w = { .word = N_TLS_WORDS };
	struct pollfd p = { tls->fd, POLLIN, 0 };

	while (w.word != TLS_WORD_READY) {
		gint64 left_ms = (until - g_get_monotonic_time()) / 1000;
		int r = left_ms > 0 ? poll(&p, 1, (int)left_ms) : 0;

		if (r == 0)
			return error_set(error, VMM_ERR_TIMEOUT,
					 "vmm-tls is not ready after %d seconds", READY_MS / 1000);
		if (r > 0 && !hear(tls, &w, error))
			return false;
	}
	return true;
}

/* ---- life ---- */

static void lost(struct tls_server *tls, const char *why);

static gboolean on_words(int fd, GIOCondition condition, void *opaque)
{
	struct tls_server *tls = opaque;
	g_autoptr(GError) error = NULL;
	struct tls_words w;

	if (hear(tls, &w, &error))
		return G_SOURCE_CONTINUE;
	tls->source = 0;
	lost(tls, error->message);
	return G_SOURCE_REMOVE;
}

static gboolean on_again(void *opaque)
{
	struct tls_server *tls = opaque;
	g_autoptr(GError) error = NULL;

	tls->again = 0;
	if (spawn(tls, &error))
		tls->source = g_unix_fd_add(tls->fd, G_IO_IN, on_words, tls);
	else
		lost(tls, error->message);
	return G_SOURCE_REMOVE;
}

static void lost(struct tls_server *tls, const char *why)
{
	g_warning("TLS clients have lost their connections and are served again in %u s: %s",
		  tls->wait_ms / 1000, why);
	fd_close(&tls->fd);
	tls->again = g_timeout_add(tls->wait_ms, on_again, tls);
	tls->wait_ms = MIN(2 * tls->wait_ms, AGAIN_MAX_MS);
}

struct tls_server *tls_server_new(struct server *server, const struct tls_policy *policy,
				  GError **error)
{
	struct tls_server *tls = g_new0(struct tls_server, 1);

	*tls = (struct tls_server){ .server = server, .policy = policy, .fd = -1,
				    .wait_ms = AGAIN_MS };
	if (!spawn(tls, error) || !wait_ready(tls, error))
		g_clear_pointer(&tls, tls_server_free);
	else
		tls->source = g_unix_fd_add(tls->fd, G_IO_IN, on_words, tls);
	return tls;
}

void tls_server_free(struct tls_server *tls)
{
	if (!tls)
		return;
	g_clear_handle_id(&tls->source, g_source_remove);
	g_clear_handle_id(&tls->again, g_source_remove);
	fd_close(&tls->fd);
	g_free(tls);
}
