/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "-c HOST,HOST": one command asked of several daemons at once.
 *
 * Each host is a vmsh of its own ("--member"), whose table comes through its
 * standard output in one piece, with a mark before it; other output is text.
 * So a host that hangs, or is not there, costs the others nothing.
 */
#include "config.h"
#include "vmsh/hosts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/rc.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define HOSTS_MAX 64
#define SAID_BYTES_MAX (64u << 20)	/* of one host */
#define TABLE_MARK "\001vmsh table\n"

enum { OUT, ERR, N_ENDS };

struct member {
	char *host;
	GPid pid;
	int fds[N_ENDS];		/* -1: ended */
	GByteArray *said[N_ENDS];
	int status;
	bool misfit;			/* no table, or of another shape */
	bool endless;			/* it has said more than we keep */
};

static void member_free(void *opaque)
{
	struct member *m = opaque;

	for (unsigned i = 0; i < N_ENDS; i++) {
		fd_close(&m->fds[i]);
		g_byte_array_unref(m->said[i]);
	}
	g_free(m->host);
	g_free(m);
}

/* ---- members ---- */

void hosts_answer(const struct table *t)
{
	g_autoptr(GBytes) bytes = table_to_bytes(t);

	fputs(TABLE_MARK, stdout);
	fwrite(g_bytes_get_data(bytes, NULL), 1, g_bytes_get_size(bytes), stdout);
}

static GPtrArray *member_words(const struct shell *sh, const char *self, const char *host,
			       const GPtrArray *words)
{
	GPtrArray *argv = g_ptr_array_new();

	g_ptr_array_add(argv, (char *)self);
	g_ptr_array_add(argv, (char *)"--member");
	if (sh->connect_flags & VMM_CONNECT_RO)
		g_ptr_array_add(argv, (char *)"-r");
	g_ptr_array_add(argv, (char *)"-c");
	g_ptr_array_add(argv, (char *)host);
	g_ptr_array_add(argv, (char *)"--");
	for (unsigned i = 0; i < words->len; i++)
		g_ptr_array_add(argv, (char *)words_text(words, i));
	g_ptr_array_add(argv, NULL);
	return argv;
}

static struct member *member_new(const struct shell *sh, const char *host, const GPtrArray *words,
				 GError **error)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", error);
	g_autoptr(GPtrArray) argv = self ? member_words(sh, self, host, words) : NULL;
	struct member *m;

	if (!self)
		return NULL;
	m = g_new0(struct member, 1);
	m->host = g_strdup(host);
	for (unsigned i = 0; i < N_ENDS; i++) {
		m->fds[i] = -1;
		m->said[i] = g_byte_array_new();
	}
	if (!g_spawn_async_with_pipes(NULL, (char **)argv->pdata, NULL,
				      G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES, NULL, NULL,
				      &m->pid, NULL, &m->fds[OUT], &m->fds[ERR], error))
		g_clear_pointer(&m, member_free);
	return m;
}

static void member_read(struct member *m, unsigned end)
{
	uint8_t buffer[65536];
	ssize_t n = read(m->fds[end], buffer, sizeof(buffer));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0 && m->said[end]->len + (size_t)n <= SAID_BYTES_MAX) {
		g_byte_array_append(m->said[end], buffer, (unsigned)n);
		return;
	}
	if (n > 0) {
		m->endless = true;
		kill(m->pid, SIGTERM);
	}
	fd_close(&m->fds[end]);
}

static void member_wait(struct member *m)
{
	while (waitpid(m->pid, &m->status, 0) < 0 && errno == EINTR)
		continue;
}

/* Until all have said everything; a ^C ends them. */
static void members_listen(const struct shell *sh, GPtrArray *members)
{
	bool interrupted = false;

	for (;;) {
		struct pollfd fds[HOSTS_MAX * N_ENDS + 1];
		unsigned n = members->len * N_ENDS, open = 0;

		for (unsigned i = 0; i < n; i++) {
			const struct member *m = members->pdata[i / N_ENDS];

			fds[i] = (struct pollfd){ .fd = m->fds[i % N_ENDS], .events = POLLIN };
			open += fds[i].fd >= 0;
		}
		fds[n] = (struct pollfd){ .fd = interrupted ? -1 : sh->interrupt_fd,
					  .events = POLLIN };
		if (open == 0)
			break;
		if (poll(fds, n + 1, -1) < 0)
			continue;
		for (unsigned i = 0; i < n; i++)
			if (fds[i].revents)
				member_read(members->pdata[i / N_ENDS], i % N_ENDS);
		for (unsigned i = 0; fds[n].revents && i < members->len; i++)
			kill(((struct member *)members->pdata[i])->pid, SIGTERM);
		interrupted |= fds[n].revents != 0;
	}
	g_ptr_array_foreach(members, (GFunc)(void (*)(void))member_wait, NULL);
}

/* ---- what they have said ---- */

static char *said_text(const struct member *m, unsigned end)
{
	const GByteArray *said = m->said[end];

	return said->len > 0 ? g_strndup((char *)said->data, said->len) : g_strdup("");
}

/* What is wrong with an answer, if the member itself could not say. */
static char *trouble_of(const struct member *m)
{
	if (m->misfit)
		return g_strdup("its answer has other columns than those of the hosts before it");
	if (m->endless)
		return g_strdup_printf("its answer is longer than %u MiB", SAID_BYTES_MAX >> 20);
	if (WIFSIGNALED(m->status))
		return WTERMSIG(m->status) == SIGTERM || WTERMSIG(m->status) == SIGINT ?
			       g_strdup("interrupted") :
			       g_strdup_printf("its answer is lost: vmsh was killed by signal %d",
					       WTERMSIG(m->status));
	return g_strdup("");
}

static void tell_trouble(const struct shell *sh, const struct member *m)
{
	g_autofree char *said = said_text(m, ERR), *trouble = trouble_of(m);
	g_autoptr(GError) error = NULL;
	char *text = g_strstrip(said);

	if (g_str_has_prefix(text, "error: "))
		text += strlen("error: ");
	if (m->misfit || !*text)
		text = trouble;
	if (!*text)
		return;
	error = g_error_new(VMM_ERROR, VMM_ERR_OPERATION_FAILED, "%s: %s", m->host, text);
	shell_print_error(sh, error);
}

static void tell_text(const struct member *m)
{
	g_autofree char *said = said_text(m, OUT);
	g_auto(GStrv) lines = g_strsplit(said, "\n", 0);

	for (unsigned i = 0; lines[i]; i++) {
		g_autofree char *harmless = text_harmless(lines[i]);

		if (*lines[i] || lines[i + 1])
			printf("%s: %s\n", m->host, harmless);
	}
}

static bool is_table(const struct member *m)
{
	size_t mark = strlen(TABLE_MARK);

	return m->said[OUT]->len > mark && memcmp(m->said[OUT]->data, TABLE_MARK, mark) == 0;
}

/* A record of each host is a row, too. */
static bool tell_member(const struct member *m, struct table **t)
{
	static const struct column first = { "Host", "host", COLUMN_SHRINK };
	size_t mark = strlen(TABLE_MARK);
	g_autoptr(GBytes) bytes = NULL;

	if (!is_table(m)) {
		tell_text(m);
		return true;
	}
	bytes = g_bytes_new(m->said[OUT]->data + mark, m->said[OUT]->len - mark);
	return table_append_bytes(t, &first, m->host, bytes);
}

static bool members_tell(struct shell *sh, const struct command_args *args,
			 const GPtrArray *members)
{
	g_autoptr(table) t = NULL;
	bool ok = true;

	for (unsigned i = 0; i < members->len; i++) {
		struct member *m = members->pdata[i];

		m->misfit = !tell_member(m, &t);
		ok &= m->status == 0 && !m->misfit;
	}
	if (t)
		shell_print_table(sh, args, t);
	for (unsigned i = 0; i < members->len; i++)
		tell_trouble(sh, members->pdata[i]);
	return ok;
}

/* ---- the command ---- */

bool hosts_are_several(const struct shell *sh)
{
	const char *text = rc_uri(sh, sh->uri);

	return text && strchr(text, ',');
}

static char **hosts_split(const struct shell *sh, GError **error)
{
	g_auto(GStrv) hosts = g_strsplit(rc_uri(sh, sh->uri), ",", HOSTS_MAX + 1);

	for (unsigned i = 0; hosts[i]; i++) {
		g_strstrip(hosts[i]);
		if (!*hosts[i] || i == HOSTS_MAX) {
			usage_error(error, i == HOSTS_MAX ? "more than %d hosts" :
							    "a host without a name, of up to %d",
				    HOSTS_MAX);
			return NULL;
		}
		for (unsigned k = 0; k < i; k++) {
			if (!g_str_equal(hosts[i], hosts[k]))
				continue;
			usage_error(error, "host '%s' is named twice", hosts[i]);
			return NULL;
		}
	}
	return g_steal_pointer(&hosts);
}

/* All that is asked for only reads? */
static bool only_reads(const struct command *cmd, const struct command_args *args)
{
	const struct option_def *opt;

	if (!(cmd->flags & COMMAND_HOSTS))
		return false;
	for (unsigned i = 0; (opt = command_option(cmd, i)); i++)
		if (opt->flags & OPT_CHANGES && args_given(args, opt->name))
			return false;
	return true;
}

bool hosts_run(struct shell *sh, const struct command *cmd, const struct command_args *args,
	       const GPtrArray *words, GError **error)
{
	g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func(member_free);
	g_auto(GStrv) hosts = NULL;
	bool ok = true;

	if (!only_reads(cmd, args))
		return usage_error(error, "%s is for one host at a time: name one with -c; of "
				   "several can be asked what only reads, such as list and sql",
				   cmd->name);
	hosts = hosts_split(sh, error);
	for (unsigned i = 0; hosts && hosts[i]; i++) {
		struct member *m = member_new(sh, hosts[i], words, ok ? error : NULL);

		ok &= m != NULL;
		if (m)
			g_ptr_array_add(members, m);
	}
	if (!hosts)
		return false;
	members_listen(sh, members);
	if (members_tell(sh, args, members) && ok)
		return true;
	sh->status = STATUS_FAILED;	/* they have said why */
	return false;
}
