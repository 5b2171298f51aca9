/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Program vmm-tls: vmmd's TLS port.
 *
 * What strangers make us compute and parse before they have shown a certificate
 * happens in a process of its own, which vmmd does not wait for and whose end
 * it survives.  It reads its certificates and opens its ports, then goes to a
 * jail in which there is nothing but the folders of the certificates, read-only:
 * they are renewed.  Who was let in is handed to vmmd as a socket, with the name
 * that the certificate has.
 */
#include "config.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

#include "libvmm/util/error.h"
#include "vmmd/tls/door.h"
#include "vmmd/tls/listen.h"
#include "vmmd/tls/words.h"
#include "vmmd/worker/sandbox.h"

static struct {
	char **listen, **allow;
	char *folder, *priority;
} opts;

static const GOptionEntry entries[] = {
	{ "listen", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opts.listen, NULL, NULL },
	{ "pki", 0, 0, G_OPTION_ARG_FILENAME, &opts.folder, NULL, NULL },
	{ "allow", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opts.allow, NULL, NULL },
	{ "priority", 0, 0, G_OPTION_ARG_STRING, &opts.priority, NULL, NULL },
	{ 0 },
};

/* vmmd's log has it, not ours. */
static GLogWriterOutput on_log(GLogLevelFlags level, const GLogField *fields, gsize n, void *opaque)
{
	if (level & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO))
		return G_LOG_WRITER_HANDLED;
	for (gsize i = 0; i < n; i++)
		if (g_str_equal(fields[i].key, "MESSAGE"))
			tls_words_send(TLS_WORDS_FD, level & G_LOG_LEVEL_MESSAGE ?
				       TLS_WORD_NOTE : TLS_WORD_WARNING, fields[i].value, NULL, -1);
	return G_LOG_WRITER_HANDLED;
}

static bool listen_one(struct tls_door *door, int fd)
{
	g_autofree char *address = fd >= 0 ? tls_door_address(fd, false) : NULL;

	if (fd < 0)
		return false;
	tls_door_listen(door, fd);
	g_message("TLS clients are served at %s", address);
	return true;
}

static bool listen_all(struct tls_door *door, GError **error)
{
	if (!opts.listen)
		return listen_one(door, tls_listen_everywhere(error));
	for (char **at = opts.listen; *at; at++)
		if (!listen_one(door, tls_listen_at(*at, error)))
			return false;
	return true;
}

static struct tls_door *door_open(GError **error)
{
	struct tls_creds *creds = tls_creds_load(TLS_SERVER, opts.folder, opts.priority, error);
	g_auto(GStrv) folders = creds ? tls_creds_folders(creds) : NULL;
	struct tls_door *door;

	if (!creds)
		return NULL;
	door = tls_door_new(creds, opts.folder, opts.priority, opts.allow);
	if (listen_all(door, error) &&
	    sandbox_enter(&(struct sandbox_opts){ .keep_read = folders }, error) &&
	    sandbox_lock_tls(error))
		return door;
	tls_door_free(door);
	return NULL;
}

/* vmmd says nothing: it has hung up. */
static gboolean on_vmmd(int fd, GIOCondition condition, void *loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	g_autoptr(GError) error = NULL;
	struct tls_door *door = NULL;

	signal(SIGPIPE, SIG_IGN);
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "vmm-tls: it is started by 'vmmd --tls'%s%s\n",
			error ? ": " : "", error ? error->message : "");
		return 2;
	}
	g_log_set_writer_func(on_log, NULL, NULL);
	door = door_open(&error);
	if (!tls_words_send(TLS_WORDS_FD, door ? TLS_WORD_READY : TLS_WORD_FAILED,
			    door ? "" : error->message, NULL, -1) || !door)
		return 1;
	g_unix_fd_add(TLS_WORDS_FD, G_IO_IN | G_IO_HUP | G_IO_ERR, on_vmmd, loop);
	g_main_loop_run(loop);
	tls_door_free(door);
	return 0;
}
