/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The whole terminal for one command.
 *
 * The sequences are those that every terminal of the last decades has: another
 * screen, the cursor's place and its hiding, clearing.  However the process
 * ends, the terminal is given back.
 */
#include "config.h"
#include "vmsh/fullscreen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define ESCAPE_MS 50	/* after an ESC: what comes within is one key */

/* What the signal handlers may touch. */
static int winch_fd = -1;
static struct termios before;

static const int fatal_signals[] = { SIGTERM, SIGHUP, SIGQUIT };
static struct sigaction winch_before;

static void on_winch(int sig)
{
	int saved = errno;
	uint64_t one = 1;

	(void)!write(winch_fd, &one, sizeof(one));
	errno = saved;
}

static void put(const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(STDOUT_FILENO, text, bytes);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			bytes -= (size_t)n;
		}
	}
}

static void give_back(void)
{
	(void)!write(STDOUT_FILENO, LEAVE, strlen(LEAVE));
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void on_fatal(int sig)
{
	give_back();
	signal(sig, SIG_DFL);
	raise(sig);
}

bool fullscreen_begin(struct shell *sh)
{
	struct sigaction winch = { .sa_handler = on_winch };
	struct sigaction fatal = { .sa_handler = on_fatal };
	struct termios now;

	fflush(stdout);
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return false;
	winch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigaction(SIGWINCH, &winch, &winch_before);
	for (unsigned i = 0; i < G_N_ELEMENTS(fatal_signals); i++)
		sigaction(fatal_signals[i], &fatal, NULL);
	now = before;
	now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	now.c_cc[VMIN] = 1;
	now.c_cc[VTIME] = 0;
	now.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
	put(ENTER, strlen(ENTER));
	return true;
}

void fullscreen_end(void)
{
	give_back();
	for (unsigned i = 0; i < G_N_ELEMENTS(fatal_signals); i++)
		signal(fatal_signals[i], SIG_DFL);
	sigaction(SIGWINCH, &winch_before, NULL);
	close(winch_fd);
	winch_fd = -1;
}

void fullscreen_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_rows = size.ws_row > 0 ? size.ws_row : 24;
	*ret_columns = size.ws_col > 0 ? size.ws_col : 80;
}

/* ---- keys ---- */

static int read_byte(unsigned timeout_ms)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	unsigned char c;

	return poll(&fd, 1, (int)timeout_ms) > 0 && read(STDIN_FILENO, &c, 1) == 1 ? c : -1;
}

/* What follows ESC; of sequences that are not known nothing is left. */
static int read_escape(void)
{
	static const struct {
		const char *sequence;
		int key;
	} known[] = {
		{ "[A", KEY_UP },	{ "[B", KEY_DOWN },	 { "[C", KEY_RIGHT },
		{ "[D", KEY_LEFT },	{ "OA", KEY_UP },	 { "OB", KEY_DOWN },
		{ "OC", KEY_RIGHT },	{ "OD", KEY_LEFT },	 { "[5~", KEY_PAGE_UP },
		{ "[6~", KEY_PAGE_DOWN }, { "[H", KEY_HOME },	 { "[F", KEY_END },
		{ "[1~", KEY_HOME },	{ "[4~", KEY_END },
	};
	char sequence[8] = "";
	unsigned n = 0;
	int c;

	while (n + 1 < sizeof(sequence) && (c = read_byte(ESCAPE_MS)) >= 0) {
		sequence[n++] = (char)c;
		if (n > 1 && (g_ascii_isalpha(c) || c == '~'))
			break;
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
		if (g_str_equal(sequence, known[i].sequence))
			return known[i].key;
	}
	return n == 0 ? '\033' : KEY_NONE;
}

int fullscreen_key(const struct shell *sh, unsigned timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = sh->interrupt_fd, .events = POLLIN },
		{ .fd = winch_fd, .events = POLLIN },
	};
	uint64_t count;
	int c;

	if (poll(fds, G_N_ELEMENTS(fds), (int)timeout_ms) < 0 && errno != EINTR)
		return KEY_INTERRUPT;
	if (fds[1].revents)
		return KEY_INTERRUPT;
	if (read(winch_fd, &count, sizeof(count)) == sizeof(count))
		return KEY_RESIZE;
	if (!fds[0].revents)
		return KEY_NONE;
	c = read_byte(0);
	if (c < 0)
		return KEY_INTERRUPT;
	return c == '\033' ? read_escape() : c;
}

/* ---- the picture ---- */

/* One line, as much of it as fits; sequences of colours take no room. */
static const char *append_line(GString *out, const char *p, unsigned columns)
{
	unsigned used = 0;
	bool cut = false;

	while (*p && *p != '\n') {
		const char *next = g_utf8_next_char(p);
		char one[8] = "";

		if (*p == '\033') {
			next = p + strcspn(p, "mK\n");
			next += *next && *next != '\n';
			g_string_append_len(out, p, next - p);
			p = next;
			continue;
		}
		memcpy(one, p, MIN((size_t)(next - p), sizeof(one) - 1));
		cut |= used + text_width(one) > columns;
		if (!cut) {
			used += text_width(one);
			g_string_append(out, one);
		}
		p = next;
	}
	g_string_append(out, "\033[0m\033[K");
	return *p ? p + 1 : p;
}

void fullscreen_show(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *out = g_string_new("\033[H");
	unsigned rows, columns;

	fullscreen_size(&rows, &columns);
	for (const char *p = valid; *p && rows > 0; rows--) {
		p = append_line(out, p, columns);
		g_string_append(out, *p && rows > 1 ? "\r\n" : "");
	}
	g_string_append(out, "\033[J");
	put(out->str, out->len);
	g_string_free(out, TRUE);
}
