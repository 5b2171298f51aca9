/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec --all: a command inside many guests at once.
 *
 * A thread of a pool has a conversation with one guest's agent.  What guests
 * say comes out line by line, whole lines only, under one lock.  ^C goes to
 * all commands; those that go on are left after a moment.
 */
#include "config.h"
#include "vmsh/exec-many.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/agent-options.h"
#include "vmsh/cmd-exec.h"
#include "vmsh/fleet.h"
#include "vmsh/usage.h"

#define THREADS 16
#define THREADS_MAX 256
#define LINE_BYTES_MAX 65536
#define STATUS_NOT_RUN 255
#define SIGNALLED 128

struct many {
	struct shell *sh;
	const struct command_args *args;
	unsigned width; /* of the longest name */
	GMutex lock;	/* of the standard streams */
};

struct part { /* one guest's; its thread's */
	struct many *many;
	struct target *target;
	GString *lines[2]; /* of output and of errors, not ended yet */
	struct agent_end end;
	bool ended;	  /* by itself: end says how */
	bool machine_off; /* it ended by that */
	double seconds;
};

/* The lock is held. */
static void put_line(const struct part *p, bool errors, const char *text)
{
	const struct screen *screen = errors ? &p->many->sh->err : &p->many->sh->out;
	g_autofree char *plain = screen->width ? text_harmless(text) : g_strdup(text);
	g_autofree char *head =
		g_strdup_printf("%-*s |", (int)p->many->width, p->target->name);
	g_autofree char *shown = text_coloured(head, COLOUR_DIM, screen);

	fprintf(errors ? stderr : stdout, "%s %s\n", shown, plain);
}

static void line_end(const struct part *p, bool errors)
{
	GString *line = p->lines[errors];

	if (line->len && line->str[line->len - 1] == '\r')
		g_string_truncate(line, line->len - 1);
	put_line(p, errors, line->str);
	g_string_truncate(line, 0);
}

static bool on_output(struct agent *a, bool errors, const void *data, size_t bytes, void *opaque)
{
	struct part *p = opaque;
	const char *at = data, *end = at + bytes;

	g_mutex_lock(&p->many->lock);
	for (; at < end; at++) {
		if (*at == '\n' || p->lines[errors]->len >= LINE_BYTES_MAX)
			line_end(p, errors);
		if (*at != '\n')
			g_string_append_c(p->lines[errors], *at ? *at : '?');
	}
	bool ok = fflush(stdout) == 0;
	g_mutex_unlock(&p->many->lock);
	return ok;
}

static void on_room(struct agent *a, void *opaque)
{
	agent_input_end(a);
}

static bool run_part(struct part *p, GError **error)
{
	static const struct agent_ops ops = { .output = on_output, .room = on_room };
	const struct command_args *args = p->many->args;
	unsigned ms = (unsigned)MIN(args_ms(args, "timeout", AGENT_TIMEOUT_MS), G_MAXINT);
	g_autoptr(agent) a = agent_open(p->many->sh, p->target->dom, ms, error);
	struct json_object *o;

	if (!a)
		return false;
	agent_share_interrupt(a);
	o = exec_request(args, !args_given(args, "raw"));
	json_object_object_add(o, "network", json_object_new_boolean(args_given(args, "network")));
	bool ok = agent_run(a, o, &ops, p, &p->end, error);
	p->machine_off = agent_machine_off(a);
	return ok;
}

static void run_one(void *data, void *user)
{
	struct part *p = data;
	gint64 begun_us = g_get_monotonic_time();

	if (p->target->error)
		return;
	if (shell_interrupted(p->many->sh))
		g_set_error(&p->target->error, VMM_ERROR, VMM_ERR_ABORTED, "interrupted");
	else
		p->ended = run_part(p, &p->target->error);
	p->seconds = (double)(g_get_monotonic_time() - begun_us) / G_USEC_PER_SEC;
	g_mutex_lock(&p->many->lock);
	for (int errors = 0; errors < 2; errors++)
		if (p->lines[errors]->len)
			line_end(p, errors);
	g_mutex_unlock(&p->many->lock);
}

/* ---- the summary ---- */

static const struct column columns[] = {
	{ "Name", "name" },
	{ "End", "end", COLUMN_SHRINK },
	{ "Status", "status", COLUMN_RIGHT },
	{ "Seconds", "seconds", COLUMN_RIGHT },
	{ 0 },
};

static int status_of(const struct part *p)
{
	if (!p->ended)
		return p->machine_off ? STATUS_MACHINE_OFF : STATUS_NOT_RUN;
	return p->end.signal ? SIGNALLED + p->end.signal : p->end.code;
}

static void add_row(struct table *t, const struct part *p)
{
	g_autofree char *signal = p->end.signal ? g_strdup_printf("signal %d", p->end.signal) :
						  NULL;
	g_autofree char *seconds = g_strdup_printf("%.2f", p->seconds);
	int status = status_of(p);

	table_text(t, p->target->name);
	table_text(t, !p->ended ? p->target->error->message : signal ? signal : "exited");
	table_colour(t, status ? COLOUR_RED : COLOUR_GREEN);
	table_number(t, (uint64_t)status, NULL);
	table_real(t, p->seconds, seconds);
}

/* Beside the output, which scripts read. */
static void summarize(const struct many *m, const GPtrArray *parts)
{
	g_autoptr(table) t = table_new(columns);
	g_autofree char *text = NULL;

	for (unsigned i = 0; i < parts->len; i++)
		add_row(t, parts->pdata[i]);
	text = table_render(t, &m->sh->err);
	if (!m->sh->quiet)
		fputs(text, stderr);
}

static void part_free(void *data)
{
	struct part *p = data;

	g_string_free(p->lines[0], TRUE);
	g_string_free(p->lines[1], TRUE);
	g_free(p);
}

static struct part *part_new(struct many *m, struct target *target)
{
	struct part *p = g_new0(struct part, 1);

	p->many = m;
	p->target = target;
	p->lines[0] = g_string_new(NULL);
	p->lines[1] = g_string_new(NULL);
	return p;
}

bool exec_many(struct shell *sh, const struct command_args *args, GError **error)
{
	g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(part_free);
	g_autoptr(GPtrArray) targets = NULL;
	struct many m = { .sh = sh, .args = args };
	GThreadPool *pool;

	if (args_given(args, "tty") || args_given(args, "interactive"))
		return usage_error(error, "exec: --all has no terminal and no input: leave -t and "
				   "-i out");
	targets = fleet_choose(sh, args, VMM_LIST_ACTIVE, error);
	if (!targets)
		return false;
	pool = g_thread_pool_new(run_one, NULL,
				 (int)CLAMP(args_number(args, "parallel", THREADS), 1, THREADS_MAX),
				 FALSE, NULL);
	for (unsigned i = 0; i < targets->len; i++) {
		g_ptr_array_add(parts, part_new(&m, targets->pdata[i]));
		m.width = MAX(m.width, text_width(((struct target *)targets->pdata[i])->name));
	}
	for (unsigned i = 0; i < parts->len; i++)
		g_thread_pool_push(pool, parts->pdata[i], NULL);
	g_thread_pool_free(pool, FALSE, TRUE);
	summarize(&m, parts);
	for (unsigned i = 0; i < parts->len; i++)
		sh->status = MAX(sh->status, status_of(parts->pdata[i]));
	return sh->status == 0;
}
