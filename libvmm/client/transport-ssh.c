/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To a daemon by ssh: its standard input and output are the connection, and on
 * the other side a program moves the bytes to the daemon's socket.
 */
#include "config.h"
#include "libvmm/client/transport-priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define CONNECT_S "15"
#define FAR_SESSION_SOCKET "\"${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/vmm/vmmd.sock\""
#define SAID_BYTES_MAX 4096		/* of what ssh says: the last of it */
#define END_MS 2000			/* for an ssh that is about to end */
#define LEAVE_MS 300			/* for one that has been left */

struct way {
	struct transport base;
	GPid pid;			/* 0: reaped */
	int pid_fd, err_fd;
	GSource *source;		/* of err_fd */
	GString *said;
	int status;
};

/* ---- what is run ---- */

static const char *program(const struct uri *uri)
{
	return uri->command ? uri->command : "ssh";
}

/* On the other side: its own vmsh knows where the socket is. */
static char *far_vmsh(const struct uri *uri, bool readonly)
{
	const char *path = uri->session ? "session" : "system";
	g_autofree char *escaped =
		uri->socket ? g_uri_escape_string(uri->socket, "/", FALSE) : NULL;
	g_autofree char *name = escaped ?
		g_strdup_printf("vmm+unix:///%s?socket=%s", path, escaped) :
		g_strdup_printf("vmm:///%s", path);
	g_autofree char *quoted = g_shell_quote(name);

	return g_strdup_printf("exec vmsh %s-c %s --proxy", readonly ? "-r " : "", quoted);
}

/* Some netcats stay when their input has ended, unless they are told not to. */
static char *far_netcat(const struct uri *uri)
{
	g_autofree char *nc = g_shell_quote(uri->netcat ? uri->netcat : "nc");
	g_autofree char *path =
		uri->socket  ? g_shell_quote(uri->socket) :
		uri->session ? g_strdup(FAR_SESSION_SOCKET) :
			       g_strdup("/run/vmm/vmmd.sock");

	return g_strdup_printf("q=; %s -h 2>&1 | grep -q -e '-q ' && q=-q0; exec %s $q -U %s", nc,
			       nc, path);
}

static char *far_script(const struct uri *uri, bool readonly)
{
	const char *proxy = uri->proxy ? uri->proxy : uri->netcat ? "netcat" : "auto";
	g_autofree char *vmsh = far_vmsh(uri, readonly);
	g_autofree char *netcat = far_netcat(uri);
	g_autofree char *name = g_shell_quote(uri->name);

	if (strcmp(proxy, "native") == 0)
		return g_strdup_printf("exec virt-ssh-helper %s%s", readonly ? "-r " : "", name);
	if (strcmp(proxy, "netcat") == 0)
		return g_steal_pointer(&netcat);
	return g_strdup_printf("if command -v vmsh >/dev/null 2>&1; then %s; fi; %s", vmsh, netcat);
}

static void add(GPtrArray *argv, const char *word)
{
	g_ptr_array_add(argv, g_strdup(word));
}

static void add_option(GPtrArray *argv, const char *option, const char *value)
{
	if (!value)
		return;
	add(argv, option);
	add(argv, value);
}

/* The other side's shell, whichever it is, sees the script as one word for sh. */
static GPtrArray *command_line(const struct uri *uri, bool readonly)
{
	GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *port = uri->port ? g_strdup_printf("%d", uri->port) : NULL;
	g_autofree char *script = far_script(uri, readonly);
	g_autofree char *quoted = g_shell_quote(script);

	add(argv, program(uri));
	add_option(argv, "-p", port);
	add_option(argv, "-l", uri->user);
	add_option(argv, "-i", uri->keyfile);
	add_option(argv, "-o", "ConnectTimeout=" CONNECT_S);
	add_option(argv, "-o", uri->no_verify ? "StrictHostKeyChecking=no" : NULL);
	add_option(argv, "-o", uri->no_tty ? "BatchMode=yes" : NULL);
	add(argv, "-T");
	add_option(argv, "-e", "none");
	add(argv, "--");
	add(argv, uri->host);
	g_ptr_array_add(argv, g_strdup_printf("sh -c %s", quoted));
	g_ptr_array_add(argv, NULL);
	return argv;
}

/* ^C stops a command of ours, not the connection that later ones need. */
static void child_setup(void *opaque)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
}

/* ---- what it says ---- */

/* False when there is no more, now or ever; errno is EAGAIN for now. */
static bool said_read(struct way *w)
{
	char buffer[1024];
	ssize_t n = read(w->err_fd, buffer, sizeof(buffer));

	if (n == 0)
		errno = 0;
	if (n > 0)
		g_string_append_len(w->said, buffer, n);
	if (w->said->len > SAID_BYTES_MAX)
		g_string_erase(w->said, 0, (gssize)(w->said->len - SAID_BYTES_MAX));
	return n > 0;
}

static gboolean on_said(int fd, GIOCondition condition, void *opaque)
{
	struct way *w = opaque;

	if (said_read(w) || errno == EAGAIN)
		return G_SOURCE_CONTINUE;
	return G_SOURCE_REMOVE;
}

static void way_start(struct transport *t)
{
	struct way *w = container_of(t, struct way, base);

	w->source = g_unix_fd_source_new(w->err_fd, G_IO_IN);
	g_source_set_callback(w->source, G_SOURCE_FUNC(on_said), w, NULL);
	g_source_attach(w->source, t->ctx);
}

static void way_stop(struct transport *t)
{
	struct way *w = container_of(t, struct way, base);

	g_source_destroy(w->source);
	g_clear_pointer(&w->source, g_source_unref);
}

/* ---- its end ---- */

static bool way_wait(struct way *w, int ms)
{
	struct pollfd fd = { .fd = w->pid_fd, .events = POLLIN };
	pid_t got = 0;

	if (!w->pid)
		return true;
	while (poll(&fd, 1, ms) < 0 && errno == EINTR)
		continue;
	if (w->pid_fd < 0 || fd.revents)
		got = waitpid(w->pid, &w->status, WNOHANG);
	if (got == 0)
		return false;
	w->pid = 0;
	return true;
}

struct asked {
	struct way *way;
	GError *failure;
};

static char *said_text(struct way *w)
{
	char *text = g_utf8_make_valid(w->said->str, (gssize)w->said->len);

	return g_strstrip(text);
}

static void failure_make(void *arg)
{
	struct asked *a = arg;
	struct way *w = a->way;
	const struct uri *uri = w->base.uri;
	g_autofree char *text = NULL;
	bool ended = way_wait(w, END_MS);

	while (said_read(w))
		continue;
	text = said_text(w);
	if (!ended && !*text)
		return;
	if (!ended)
		a->failure = g_error_new(VMM_ERROR, VMM_ERR_RPC, "%s to '%s' says: %s",
					 program(uri), uri->host, text);
	else if (*text)
		a->failure = g_error_new(VMM_ERROR, VMM_ERR_RPC, "%s to '%s' failed: %s",
					 program(uri), uri->host, text);
	else
		a->failure = g_error_new(VMM_ERROR, VMM_ERR_RPC,
					 "%s to '%s' ended with status %d and no word",
					 program(uri), uri->host,
					 WIFEXITED(w->status) ? WEXITSTATUS(w->status) :
								128 + WTERMSIG(w->status));
}

static GError *way_failure(struct transport *t)
{
	struct asked a = { container_of(t, struct way, base), NULL };

	owner_call(t->ctx, failure_make, &a);
	return a.failure;
}

static void way_free(struct transport *t)
{
	struct way *w = container_of(t, struct way, base);

	if (!way_wait(w, LEAVE_MS))
		kill(w->pid, SIGTERM);
	if (!way_wait(w, END_MS)) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, &w->status, 0);
	}
	fd_close(&w->pid_fd);
	fd_close(&w->err_fd);
	g_string_free(w->said, TRUE);
	g_free(w);
}

static const struct transport_ops ops = {
	.start = way_start, .stop = way_stop, .failure = way_failure, .free = way_free,
};

struct transport *transport_ssh_new(const struct uri *uri, bool readonly, int plain_fd,
				    GError **error)
{
	auto_close int plain = plain_fd;
	g_autoptr(GPtrArray) argv = command_line(uri, readonly);
	g_autoptr(GError) why = NULL;
	struct way *w = g_new0(struct way, 1);

	w->base.ops = &ops;
	w->pid_fd = -1;
	if (!g_spawn_async_with_pipes_and_fds(
		    NULL, (const char *const *)argv->pdata, NULL,
		    G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
			    G_SPAWN_CLOEXEC_PIPES, child_setup, NULL, plain,
		    plain, -1, NULL, NULL, 0, &w->pid, NULL, NULL, &w->err_fd, &why)) {
		error_set(error, VMM_ERR_SYSTEM, "run '%s': %s", program(uri), why->message);
		g_free(w);
		return NULL;
	}
	g_unix_set_fd_nonblocking(w->err_fd, TRUE, NULL);
	w->pid_fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	w->said = g_string_new(NULL);
	return &w->base;
}
