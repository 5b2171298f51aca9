/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cp: files and folders into guests and out of them.
 *
 * A thread packs or unpacks the tree (images/agent/tree.h) at one end of a
 * pipe; this one moves its bytes between the pipe and the agent, and tells how
 * far it is.  So nothing waits for an answer per file.
 */
#include "config.h"
#include "vmsh/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "images/agent/tree.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/agent-exec.h"
#include "vmsh/agent-options.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define PROGRESS_MS 250
#define PIPE_BYTES (1 << 20)

struct copy {
	struct shell *sh;
	const char *here, *there; /* paths */
	bool from_guest;
	struct tree_opts opts;
	struct tree_target target; /* of what comes */
	struct tree_count count;
	int pipe[2];
	/* The thread's until it has been joined. */
	struct tree_error failure;
	bool ok;
};

/* "DOMAIN:PATH": its path, and the name before it in *ret_name; NULL: a file of ours. */
static const char *guest_path(const char *text, char **ret_name)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text || memchr(text, '/', (size_t)(colon - text)))
		return NULL;
	*ret_name = g_strndup(text, (gsize)(colon - text));
	return colon[1] ? colon + 1 : "/root/";
}

/* ---- what a person sees meanwhile ---- */

/* On the thread, or from the guest: one write, over the line that tells how far it is. */
static void on_skipped(const char *text, void *opaque)
{
	const struct copy *c = opaque;
	g_autofree char *plain = text_harmless(text);

	fprintf(stderr, "%swarning: %s\n", c->sh->err.width ? "\r\033[K" : "", plain);
}

static gboolean on_progress(void *opaque)
{
	const struct copy *c = opaque;
	g_autofree char *size = size_text(c->count.bytes);

	fprintf(stderr, "\r    %" G_GUINT64_FORMAT " files, %s\033[K", (guint64)c->count.entries,
		size);
	return G_SOURCE_CONTINUE;
}

static GSource *progress_begin(struct copy *c, struct agent *a)
{
	GSource *tick;

	if (!c->sh->err.width || c->sh->quiet)
		return NULL;
	tick = g_timeout_source_new(PROGRESS_MS);
	g_source_set_callback(tick, on_progress, c, NULL);
	g_source_attach(tick, agent_context(a));
	return tick;
}

static void progress_stop(GSource *tick)
{
	if (!tick)
		return;
	g_source_destroy(tick);
	g_source_unref(tick);
	fputs("\r\033[K", stderr);
}

/* ---- the two ends ---- */

static void *tree_main(void *opaque)
{
	struct copy *c = opaque;

	if (c->from_guest)
		c->ok = tree_unpack(c->pipe[0], &c->target, &c->opts, &c->failure);
	else
		c->ok = tree_pack(c->here, c->pipe[1], &c->opts, &c->failure);
	fd_close(&c->pipe[c->from_guest ? 0 : 1]); /* the other thread has only the other end */
	return NULL;
}

static struct json_object *request(const struct copy *c)
{
	struct json_object *o = agent_request(c->from_guest ? "pack" : "unpack");

	agent_put_text(o, "path", c->there);
	if (c->opts.attributes)
		json_object_object_add(o, "attributes", json_object_new_boolean(true));
	if (c->from_guest) {
		json_object_object_add(o, "recursive",
				       json_object_new_boolean(c->opts.recursive));
		return o;
	}
	agent_put_text(o, "name", c->here);
	json_object_object_add(o, "owners", json_object_new_boolean(c->opts.owners));
	return o;
}

/* Who has failed first says why; the other only sees that nothing comes any more. */
static bool outcome(struct copy *c, bool sent, GError *why, GError **error)
{
	g_autofree char *plain = c->ok ? NULL : text_harmless(c->failure.text);

	if (!c->ok && !c->failure.broken_off)
		error_set(error, VMM_ERR_OPERATION_FAILED, "%s", plain);
	else if (!sent && c->ok)
		g_propagate_error(error, g_error_copy(why));
	else if (!sent)
		error_set(error, (enum vmm_error)why->code, "%s%s%s", why->message,
			  c->from_guest ? ": " : "", c->from_guest ? plain : "");
	else if (!c->ok)
		error_set(error, VMM_ERR_OPERATION_FAILED, "%s", plain);
	else if (c->count.skipped)
		error_set(error, VMM_ERR_OPERATION_FAILED,
			  "%" G_GUINT64_FORMAT " of what was to be copied is not",
			  (guint64)c->count.skipped);
	else
		return true;
	return false;
}

static bool copy_run(struct copy *c, struct agent *a, GError **error)
{
	g_autoptr(GError) why = NULL;
	GSource *tick;
	GThread *thread;
	int *ours = &c->pipe[c->from_guest ? 1 : 0];
	bool sent;

	if (!g_unix_open_pipe(c->pipe, FD_CLOEXEC, error))
		return false;
	fcntl(*ours, F_SETPIPE_SZ, PIPE_BYTES); /* or as large as it is */
	tick = progress_begin(c, a);
	thread = g_thread_new("copy", tree_main, c);
	if (c->from_guest)
		sent = agent_fetch_file(a, request(c), *ours, &why);
	else
		sent = agent_send_file(a, request(c), *ours, on_skipped, c, &why);
	fd_close(ours); /* a thread that still works sees it and ends */
	g_thread_join(thread);
	progress_stop(tick);
	return outcome(c, sent, why, error);
}

static bool target_open(struct copy *c, GError **error)
{
	if (c->from_guest && !tree_target_open(c->here, c->there, false, &c->target, &c->failure))
		return error_set(error, VMM_ERR_OPERATION_FAILED, "%s", c->failure.text);
	return true;
}

static bool copy_check(const struct copy *c, GError **error)
{
	/* an agent is asked in JSON; what is below may have names of any bytes */
	if (!g_utf8_validate(c->there, -1, NULL) ||
	    (!c->from_guest && !g_utf8_validate(c->here, -1, NULL)))
		return usage_error(error, "cp: '%s' is no UTF-8: copy the folder that it is in",
				   g_utf8_validate(c->there, -1, NULL) ? c->here : c->there);
	if (!c->from_guest && access(c->here, F_OK) < 0 && errno != EACCES)
		return error_errno(error, errno, "'%s'", c->here);
	return true;
}

static bool cmd_cp(struct shell *sh, struct command_args *args, GError **error)
{
	const char *from = args_text(args, "from"), *to = args_text(args, "to");
	g_autofree char *source = NULL, *target = NULL;
	const char *inside_from = guest_path(from, &source), *inside_to = guest_path(to, &target);
	const bool all = args_given(args, "archive");
	unsigned ms = (unsigned)MIN(args_ms(args, "timeout", AGENT_TIMEOUT_MS), G_MAXINT);
	struct copy c = { .sh = sh, .from_guest = source != NULL, .target.base = -1,
			  .here = source ? to : from, .there = source ? inside_from : inside_to };
	vmm_connect *conn;
	bool ok;

	if (!source == !target)
		return usage_error(error,
				   "cp: one of the two is DOMAIN:PATH, the other a file here");
	c.opts = (struct tree_opts){ .recursive = all || args_given(args, "recursive"),
				     .owners = all || args_given(args, "preserve"),
				     .attributes = all, .lost = on_skipped,
				     .skipped = on_skipped, .opaque = &c, .count = &c.count };
	conn = copy_check(&c, error) ? shell_connect(sh, error) : NULL;
	g_autoptr(vmm_domain) dom =
		conn ? vmm_domain_lookup(conn, source ? source : target, error) : NULL;
	g_autoptr(agent) a = dom ? agent_open(sh, dom, ms, error) : NULL;
	ok = a && target_open(&c, error) && copy_run(&c, a, error);
	fd_close(&c.target.base);
	return ok;
}

/* ---- table ---- */

#define POSITION(option, text, what) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = text, .help = what, \
}
#define OPTION_LETTER(option, key, text) { \
	.name = option, .letter = key, .kind = OPT_FLAG, .help = text, \
}

static const struct option_def options_cp[] = {
	POSITION("from", "FROM", "a file or folder here, or DOMAIN:PATH"),
	POSITION("to", "TO", "the other one; into it if it is a folder, as cp(1) does"),
	OPTION_LETTER("recursive", 'r', "folders with all that is in them; links stay links"),
	OPTION_LETTER("preserve", 'p', "owners and set-id bits, too, where the user may"),
	OPTION_LETTER("archive", 'a', "both of these, and extended attributes"),
	OPTION_AGENT_TIMEOUT, { 0 },
};

const struct command commands_copy[] = {
	{ "cp", AGENT_GROUP, "copy files into a guest or out of it", options_cp, 0, cmd_cp,
	  "Permissions, times of change, links and holes are kept; of a folder that was there "
	  "already, its own. Hard links become copies; FIFOs, sockets and devices are named and "
	  "left out, and cp fails at its end. FOLDER/. is what is in the folder.\n"
	  "-a keeps attributes of users (user.*), POSIX ACLs and, as root, capabilities of "
	  "programs; what can't be kept where the copy is made is told, once of each of these.\n"
	  "Each file is there when all of it is; ^C leaves whole files only." },
	{ 0 },
};
