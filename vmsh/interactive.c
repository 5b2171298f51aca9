/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The readline loop.
 *
 * Readline's callback interface, with a poll() of our own: so ^C while a line
 * is written arrives where ^C during a command does, at the interrupt
 * descriptor, and never ends the shell.
 */
#include "config.h"
#include "vmsh/interactive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "vmsh/complete.h"
#include "vmsh/exec.h"
#include "vmsh/words.h"

#define HISTORY_LINES 2000

/* Readline's callbacks carry no argument. */
static struct shell *the_shell;
static bool line_done;
static volatile sig_atomic_t resized, continued;

static void on_winch(int sig)
{
	resized = 1;
}

static void on_cont(int sig)
{
	continued = 1;
}

static char *history_path(void)
{
	g_autofree char *folder = g_build_filename(g_get_user_state_dir(), "vmsh", NULL);

	if (g_mkdir_with_parents(folder, 0700) < 0)
		return NULL;
	return g_build_filename(folder, "history", NULL);
}

static void history_load(void)
{
	g_autofree char *path = history_path();

	using_history();
	stifle_history(HISTORY_LINES);
	if (path)
		read_history(path);
}

/* After each line, so that a shell that is killed has kept its history. */
static void history_keep(const char *line)
{
	g_autofree char *path = history_path();
	HIST_ENTRY *last =
		history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
	int fd;

	if (!*line || g_ascii_isspace(*line) || (last && g_str_equal(last->line, line)))
		return;
	add_history(line);
	fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	if (fd < 0)
		return;
	close(fd);
	append_history(1, path);
}

static void history_shorten(void)
{
	g_autofree char *path = history_path();

	if (path)
		history_truncate_file(path, HISTORY_LINES);
}

/* ---- completion ---- */

static char **as_matches(GPtrArray *list, const char *text)
{
	char **matches = calloc(list->len + 2, sizeof(char *));
	size_t common = list->len > 0 ? strlen(list->pdata[0]) : 0;

	for (unsigned i = 0; i < list->len; i++) {
		const char *a = list->pdata[0], *b = list->pdata[i];
		size_t same = 0;

		while (same < common && a[same] == b[same])
			same++;
		common = same;
		matches[i + 1] = strdup(b);
	}
	matches[0] = strndup(list->len > 0 ? list->pdata[0] : text, common);
	if (list->len == 1) {
		free(matches[1]);
		matches[1] = NULL;
	}
	return matches;
}

static char **on_complete(const char *text, int start, int end)
{
	g_autofree char *context = g_strndup(rl_line_buffer, start);
	g_autoptr(GPtrArray) list = NULL;
	enum opt_complete files;

	list = complete_word(the_shell, context, text, &files);
	rl_attempted_completion_over = files == COMPLETE_NOTHING;
	return list->len > 0 ? as_matches(list, text) : NULL;
}

/* ---- lines ---- */

static void on_line(char *line)
{
	rl_callback_handler_remove();
	line_done = true;
	if (!line) {
		printf("\n");
		the_shell->quit = true;
		return;
	}
	history_keep(line);
	shell_run_line(the_shell, line);
	free(line);
}

static const char *prompt(struct shell *sh)
{
	if (!sh->out.colour)
		return "vmsh> ";
	return "\001\033[1m\002vmsh>\001\033[0m\002 ";
}

static void drop_line(struct shell *sh)
{
	uint64_t count;

	(void)!read(sh->interrupt_fd, &count, sizeof(count));
	printf("^C\n");
	rl_callback_sigcleanup();
	rl_free_line_state();
	rl_callback_handler_remove();
	line_done = true;
}

static void read_line(struct shell *sh)
{
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = sh->interrupt_fd, .events = POLLIN },
	};

	line_done = false;
	continued = 0;
	rl_callback_handler_install(prompt(sh), on_line);
	while (!line_done) {
		if (resized) {
			resized = 0;
			rl_resize_terminal();
		}
		if (continued) {
			/* who had the terminal meanwhile left it in his mode */
			continued = 0;
			rl_deprep_terminal();
			rl_prep_terminal(1);
			rl_forced_update_display();
		}
		if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			drop_line(sh);
		else if (fds[0].revents)
			rl_callback_read_char();
	}
}

static void setup_readline(void)
{
	struct sigaction winch = { .sa_handler = on_winch }, cont = { .sa_handler = on_cont };

	rl_readline_name = "vmsh";
	rl_catch_signals = 0;
	rl_catch_sigwinch = 0;
	rl_attempted_completion_function = on_complete;
	rl_basic_word_break_characters = " \t\n;\"'=|>";
	rl_completer_quote_characters = "\"'";
	rl_filename_quote_characters = " \t\n;\"'*?[]#";
	sigaction(SIGWINCH, &winch, NULL);
	sigaction(SIGCONT, &cont, NULL);
}

void interactive_run(struct shell *sh)
{
	uint64_t count;

	the_shell = sh;
	setup_readline();
	history_load();
	while (!sh->quit) {
		(void)!read(sh->interrupt_fd, &count, sizeof(count));
		read_line(sh);
	}
	history_shorten();
}
