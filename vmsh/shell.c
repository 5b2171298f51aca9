/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a session with the user: connection, output, interrupts. */
#include "config.h"
#include "vmsh/shell.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/complete.h"
#include "vmsh/hosts.h"
#include "vmsh/json.h"
#include "vmsh/rc.h"

#define ERROR_INDENT 7	/* "error: " */

/* The one thing that the signal handler may touch. */
static int sigint_fd = -1;

static void on_sigint(int sig)
{
	int saved = errno;
	uint64_t one = 1;

	(void)!write(sigint_fd, &one, sizeof(one));
	errno = saved;
}

/* Columns of the terminal behind fd; 0 if it is none. */
static unsigned screen_width(int fd)
{
	const char *columns = g_getenv("COLUMNS");
	struct winsize size;

	if (!isatty(fd))
		return 0;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return columns ? CLAMP(g_ascii_strtoull(columns, NULL, 10), 20, 1000) : 80;
}

static void screen_init(struct screen *screen, int fd)
{
	const char *no_colour = g_getenv("NO_COLOR");

	screen->width = screen_width(fd);
	screen->colour = isatty(fd) && !(no_colour && *no_colour) &&
			 g_strcmp0(g_getenv("TERM"), "dumb") != 0;
	screen->utf8 = g_str_equal(nl_langinfo(CODESET), "UTF-8");
}

void shell_init(struct shell *sh)
{
	struct sigaction action = { .sa_handler = on_sigint };

	sh->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sh->interrupt_fd < 0)
		g_error("eventfd: %s", g_strerror(errno));
	sigint_fd = sh->interrupt_fd;
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	screen_init(&sh->out, STDOUT_FILENO);
	screen_init(&sh->err, STDERR_FILENO);
}

void shell_screen_update(struct shell *sh)
{
	screen_init(&sh->out, STDOUT_FILENO);
}

void shell_done(struct shell *sh)
{
	shell_disconnect(sh);
	rc_free(sh);
	complete_cache_free(sh->completions);
	signal(SIGINT, SIG_DFL);
	close(sh->interrupt_fd);
	g_free(sh->uri);
}

void shell_disconnect(struct shell *sh)
{
	g_clear_pointer(&sh->conn, vmm_connect_close);
}

vmm_connect *shell_connect(struct shell *sh, GError **error)
{
	if (sh->conn && vmm_connect_is_alive(sh->conn))
		return sh->conn;
	shell_disconnect(sh);
	sh->conn = vmm_connect_open_interruptible(rc_uri(sh, sh->uri), sh->connect_flags,
						  sh->interrupt_fd, error);
	return sh->conn;
}

bool shell_interrupted(const struct shell *sh)
{
	return !shell_sleep(sh, 0);
}

bool shell_sleep(const struct shell *sh, unsigned ms)
{
	struct pollfd fd = { .fd = sh->interrupt_fd, .events = POLLIN };

	return poll(&fd, 1, ms) == 0;
}

void shell_interrupt_clear(struct shell *sh)
{
	uint64_t count;

	(void)!read(sh->interrupt_fd, &count, sizeof(count));
}

/* ---- output ---- */

void shell_print_error(const struct shell *sh, const GError *error)
{
	g_autofree char *word = text_coloured("error:", COLOUR_RED, &sh->err);
	g_auto(GStrv) lines = g_strsplit(error->message, "\n", 0);
	unsigned width = screen_width(STDERR_FILENO);
	GString *s = g_string_new(NULL);

	fflush(stdout);
	for (unsigned i = 0; lines[i]; i++) {
		g_autofree char *line = text_harmless(lines[i]);

		if (!*line && i > 0)
			continue;
		g_string_append_printf(s, "%s ", i == 0 ? word : "      ");
		text_append_wrapped(s, line, ERROR_INDENT, width ? width : G_MAXUINT);
	}
	fputs(s->str, stderr);
	g_string_free(s, TRUE);
}

void shell_say(const struct shell *sh, const char *format, ...)
{
	g_autofree char *text = NULL;
	g_autofree char *line = NULL;
	va_list ap;

	if (sh->quiet)
		return;
	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	line = text_harmless(text);
	printf("%s\n", line);
}

static void print_rendered(char *text)
{
	fputs(text, stdout);
	g_free(text);
}

void shell_print_table(const struct shell *sh, const struct command_args *args,
		       const struct table *t)
{
	if (sh->member) {
		hosts_answer(t);
		return;
	}
	print_rendered(args_json(args) ? table_render_json(t, false) : table_render(t, &sh->out));
}

void shell_print_record(const struct shell *sh, const struct command_args *args,
			const struct table *t)
{
	if (sh->member) {
		hosts_answer(t);
		return;
	}
	print_rendered(args_json(args) ? table_render_json(t, true) :
					 table_render_record(t, &sh->out));
}

void shell_print_text(const struct shell *sh, const struct command_args *args, const char *key,
		      const char *text)
{
	bool is_xml = args_output(args) == OUTPUT_XML && g_str_equal(key, "xml");
	struct json *j;

	if (!args_json(args) || is_xml) {
		size_t n = strlen(text);

		printf("%s%s", text, n > 0 && text[n - 1] == '\n' ? "" : "\n");
		return;
	}
	j = json_new();
	json_begin_object(j, NULL);
	json_string(j, key, text);
	json_end(j);
	print_rendered(json_finish(j));
}
