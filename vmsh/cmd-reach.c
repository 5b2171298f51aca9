/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways into guests: shared folders' mounts, ports of their vsocks, ssh over those. */
#include "config.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/agent-exec.h"
#include "vmsh/agent-options.h"
#include "vmsh/cmd-exec.h"
#include "vmsh/commands.h"
#include "vmsh/fleet.h"
#include "vmsh/rc.h"
#include "vmsh/tty.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define SSH_PORT 22
#define PIECE 32768
#define QUEUED_MAX 262144

/* ---- mount, umount ---- */

static bool ask(struct shell *sh, const struct command_args *args, struct json_object *request,
		GError **error)
{
	g_autoptr(agent) a = exec_agent(sh, args, error);
	struct json_object *reply = NULL;

	if (!a)
		json_object_put(request);
	else
		reply = agent_ask(a, request, error);
	json_object_put(reply);
	return reply != NULL;
}

static bool cmd_mount(struct shell *sh, struct command_args *args, GError **error)
{
	const char *tag = args_text(args, "tag"), *path = args_text(args, "path");
	struct json_object *o = agent_request("mount");

	agent_put_text(o, "tag", tag);
	agent_put_text(o, "path", path);
	agent_put_text(o, "type", args_text(args, "type"));
	json_object_object_add(o, "read_only", json_object_new_boolean(args_given(args, "ro")));
	if (!ask(sh, args, o, error))
		return false;
	shell_say(sh, "Mounted '%s' at %s in '%s'", tag, path, args_text(args, "domain"));
	return true;
}

static bool cmd_umount(struct shell *sh, struct command_args *args, GError **error)
{
	struct json_object *o = agent_request("unmount");

	agent_put_text(o, "path", args_text(args, "path"));
	return ask(sh, args, o, error);
}

/* ---- vsock-connect ---- */

struct pipe {
	vmm_stream *stream;
	GMainContext *context;
	bool ended;
	GError *error;
};

static void on_data(vmm_stream *stream, const void *data, size_t bytes, void *opaque)
{
	struct pipe *p = opaque;

	p->ended = !tty_write(STDOUT_FILENO, data, bytes);
}

static void on_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct pipe *p = opaque;

	p->ended = true;
	p->error = error ? g_error_copy(error) : NULL;
}

static gboolean on_input(int fd, GIOCondition condition, void *opaque)
{
	struct pipe *p = opaque;
	char data[PIECE];
	ssize_t n;

	if (vmm_stream_queued(p->stream) >= QUEUED_MAX) {
		g_usleep(1000); /* the guest is slower than who feeds us */
		return G_SOURCE_CONTINUE;
	}
	n = read(fd, data, sizeof(data));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return G_SOURCE_CONTINUE;
	if (n > 0 && vmm_stream_write(p->stream, data, (size_t)n, NULL))
		return G_SOURCE_CONTINUE;
	vmm_stream_write_end(p->stream, NULL); /* the answer may still come */
	return G_SOURCE_REMOVE;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	struct pipe *p = opaque;

	p->ended = true;
	p->error = g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "interrupted");
	return G_SOURCE_REMOVE;
}

static bool pipe_run(struct shell *sh, struct pipe *p, GError **error)
{
	g_autoptr(GSource) input =
		g_unix_fd_source_new(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR);
	g_autoptr(GSource) interrupt = g_unix_fd_source_new(sh->interrupt_fd, G_IO_IN);

	g_source_set_callback(input, G_SOURCE_FUNC(on_input), p, NULL);
	g_source_set_callback(interrupt, G_SOURCE_FUNC(on_interrupt), p, NULL);
	g_source_attach(input, p->context);
	g_source_attach(interrupt, p->context);
	while (!p->ended)
		g_main_context_iteration(p->context, TRUE);
	g_source_destroy(input);
	g_source_destroy(interrupt);
	vmm_stream_free(p->stream);
	if (p->error)
		g_propagate_error(error, g_steal_pointer(&p->error));
	return !*error;
}

/* The way without vsock in the guest's service: its loopback, by its agent. */
static bool tcp_run(struct shell *sh, vmm_domain *dom, const struct command_args *args,
		    unsigned port, GError **error)
{
	const struct agent_exec_opts opts = { .stdin_too = true };
	unsigned ms = (unsigned)MIN(args_ms(args, "timeout", AGENT_TIMEOUT_MS), G_MAXINT);
	g_autoptr(agent) a = agent_open(sh, dom, ms, error);
	struct json_object *o;
	int status;

	if (!a)
		return false;
	o = agent_request("connect");
	agent_put_number(o, "port", port);
	return agent_exec(a, o, &opts, &status, error);
}

static bool cmd_vsock_connect(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct vmm_stream_ops ops = { .data = on_data, .closed = on_closed };
	const uint64_t port = args_number(args, "port", 0);
	g_autoptr(GMainContext) context = g_main_context_new();
	g_autoptr(vmm_domain) dom = NULL;
	g_autoptr(GError) why = NULL;
	struct pipe p = { .context = context };

	if (port >= UINT32_MAX || (args_given(args, "or-tcp") && (port < 1 || port > 65535)))
		return usage_error(error, "vsock-connect: there is no port %" G_GUINT64_FORMAT,
				   port);
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	p.stream = vmm_domain_open_vsock(dom, (unsigned)port, context, &ops, &p, &why);
	if (p.stream && pipe_run(sh, &p, &why))
		return true;
	if (!p.stream && args_given(args, "or-tcp") &&
	    g_error_matches(why, VMM_ERROR, VMM_ERR_OPERATION_FAILED))
		return tcp_run(sh, dom, args, (unsigned)port, error);
	g_propagate_error(error, g_steal_pointer(&why));
	return false;
}

/* ---- ssh ---- */

/* What ssh gives to a shell behind an "exec": quoted for that, and % doubled for ssh itself. */
static void append_word(GString *s, const char *word)
{
	g_autofree char *quoted = g_shell_quote(word);
	g_auto(GStrv) parts = g_strsplit(quoted, "%", -1);
	g_autofree char *doubled = g_strjoinv("%%", parts);

	g_string_append_printf(s, "%s%s", s->len ? " " : "", doubled);
}

static char *proxy_command(struct shell *sh, const vmm_domain *dom)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	const char *uri = rc_uri(sh, sh->uri);
	GString *s = g_string_new(NULL);

	append_word(s, self ? self : "vmsh");
	if (uri) {
		append_word(s, "-c");
		append_word(s, uri);
	}
	append_word(s, "vsock-connect");
	append_word(s, "--or-tcp");
	append_word(s, vmm_domain_uuid(dom));
	g_string_append_printf(s, " %u", SSH_PORT);
	return g_string_free(s, FALSE);
}

static bool cmd_ssh(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *more = args_words(args, "argument");
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *proxy = NULL;
	g_autoptr(GError) why = NULL;
	int status;

	if (!dom)
		return false;
	proxy = proxy_command(sh, dom);
	g_ptr_array_add(argv, g_strdup("ssh"));
	g_ptr_array_add(argv, g_strdup_printf("-oProxyCommand=%s", proxy));
	/* A name may be another guest's tomorrow; its key belongs to the uuid. */
	g_ptr_array_add(argv, g_strdup_printf("-oHostKeyAlias=vmm-%s", vmm_domain_uuid(dom)));
	g_ptr_array_add(argv, g_strdup("-oCheckHostIP=no"));
	if (args_given(args, "login"))
		g_ptr_array_add(argv, g_strdup_printf("-l%s", args_text(args, "login")));
	g_ptr_array_add(argv, g_strdup("--"));
	g_ptr_array_add(argv, g_strdup(vmm_domain_name(dom)));
	for (unsigned i = 0; i < more->len; i++)
		g_ptr_array_add(argv, g_strdup(words_text(more, i)));
	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL,
			  G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL,
			  NULL, &status, &why))
		return error_set(error, VMM_ERR_SYSTEM, "run ssh: %s (apt-get install "
				 "openssh-client)", why->message);
	sh->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return sh->status == 0;
}

/* ---- tables ---- */

#define POSITION(option, text, what) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.value = text, .help = what, \
}

static const struct option_def options_mount[] = {
	OPTION_DOMAIN(ACTIVE),
	POSITION("tag", "TAG", "what <target dir=> of a shared folder says"),
	POSITION("path", "FOLDER", "where in the guest; made if it is not there"),
	{ .name = "type", .kind = OPT_STRING, .complete = COMPLETE_WORDS, .words = "virtiofs 9p",
	  .help = "of the device; the first that the guest can mount if not given" },
	OPTION_FLAG("ro", "read-only"),
	OPTION_AGENT_TIMEOUT,
	{ 0 },
};

static const struct option_def options_umount[] = {
	OPTION_DOMAIN(ACTIVE), POSITION("path", "FOLDER", "in the guest"), OPTION_AGENT_TIMEOUT,
	{ 0 },
};

static const struct option_def options_vsock_connect[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "port", .kind = OPT_NUMBER, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "PORT", .help = "of the guest's vsock" },
	OPTION_FLAG("or-tcp", "if nobody listens there, that TCP port of the guest's loopback, by "
		    "its agent"),
	OPTION_AGENT_TIMEOUT,
	{ 0 },
};

static const struct option_def options_ssh[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "argument", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .value = "COMMAND", .help = "for ssh, behind the host's name" },
	{ .name = "login", .letter = 'l', .kind = OPT_STRING, .value = "USER",
	  .help = "as this user of the guest" },
	{ 0 },
};

const struct command commands_reach[] = {
	{ "mount", AGENT_GROUP, "mount a shared folder inside a guest", options_mount, 0, cmd_mount,
	  NULL },
	{ "umount", AGENT_GROUP, "take a mount in a guest away", options_umount, 0, cmd_umount,
	  NULL },
	{ "ssh", AGENT_GROUP, "ssh into a guest that has an sshd, without a network", options_ssh,
	  0, cmd_ssh,
	  "Runs ssh(1) over the guest's vsock: port 22 of that, or else TCP port 22 of the "
	  "guest's loopback, by its agent. The host key is remembered by the domain's uuid." },
	{ "vsock-connect", AGENT_GROUP, "join the standard streams with a port of a guest",
	  options_vsock_connect, 0, cmd_vsock_connect,
	  "For ProxyCommand and the like. The end of its input is the guest's to see, and the "
	  "guest's end is its own." },
	{ 0 },
};
