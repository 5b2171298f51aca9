/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "top": the fleet on the whole screen, or as text for scripts.
 *
 * The main thread asks for all domains in one call, draws and reads keys.
 * What a key begins runs on a thread of its own, so that a guest that is slow
 * to start does not hold up the picture; its end is told in the last line.
 */
#include "config.h"
#include "vmsh/top.h"

#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/exec.h"
#include "vmsh/fleet.h"
#include "vmsh/fullscreen.h"
#include "vmsh/options.h"
#include "vmsh/top-priv.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define DELAY_MS 2000
#define DELAY_MIN_MS 100
#define ACTION_LOOK_MS 100	/* how often to look whether an action has ended */
#define ACTION_THREADS 8

/* ---- looking ---- */

static bool look(struct top *top, GError **error)
{
	vmm_connect *conn = shell_connect(top->sh, error);
	struct top_sample *next =
		conn ? top_sample_new(conn, top->sample, top->all, error) : NULL;
	int at;

	if (!next)
		return false;
	top_sample_sort(next, top->sort, top->reverse);
	top_sample_free(top->sample);
	top->sample = next;
	at = top->selected ? top_sample_find(next, top->selected) : -1;
	top->at = at >= 0 ? (unsigned)at : top->at;
	return true;
}

static void sort_again(struct top *top, enum top_sort by, bool reverse)
{
	top->sort = by;
	top->reverse = reverse;
	top_sample_sort(top->sample, by, reverse);
	top->at = top->first = 0;
	g_clear_pointer(&top->selected, g_free);
}

static void say(struct top *top, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void say(struct top *top, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	g_free(top->message);
	top->message = text_harmless(text);
}

/* ---- what keys begin ---- */

struct action {
	char key;
	vmm_domain *dom;
	const char *done;
	GError *error;
};

static void action_free(struct action *a)
{
	vmm_domain_unref(a->dom);
	g_clear_error(&a->error);
	g_free(a);
}

static bool start_or_resume(vmm_domain *dom, GError **error)
{
	int state, reason;

	if (vmm_domain_state(dom, &state, &reason, NULL) && state == VMM_STATE_PAUSED)
		return vmm_domain_resume(dom, error);
	return vmm_domain_create(dom, 0, error);
}

static void action_run(void *data, void *opaque)
{
	struct action *a = data;
	struct top *top = opaque;

	switch (a->key) {
	case 's':
		start_or_resume(a->dom, &a->error);
		break;
	case 't':
		vmm_domain_shutdown(a->dom, 0, &a->error);
		break;
	case 'p':
		vmm_domain_suspend(a->dom, &a->error);
		break;
	case 'x':
		vmm_domain_destroy(a->dom, 0, &a->error);
		break;
	}
	if (a->error)
		fleet_advise(a->dom, &a->error);
	g_async_queue_push(top->ended, a);
}

static void action_begin(struct top *top, vmm_domain *dom, char key, const char *doing,
			 const char *done)
{
	struct action *a = g_new0(struct action, 1);

	a->key = key;
	a->dom = vmm_domain_ref(dom);
	a->done = done;
	top->pending++;
	say(top, "%s '%s' ...", doing, vmm_domain_name(dom));
	g_thread_pool_push(top->actions, a, NULL);
}

/* True: something has ended. */
static bool actions_reap(struct top *top)
{
	struct action *a;
	bool any = false;

	while ((a = g_async_queue_try_pop(top->ended))) {
		if (a->error)
			say(top, "%s", a->error->message);
		else
			say(top, "Domain '%s' %s", vmm_domain_name(a->dom), a->done);
		top->pending--;
		action_free(a);
		any = true;
	}
	return any;
}

static void attach(struct top *top, const vmm_domain *dom)
{
	g_autoptr(GPtrArray) words =
		g_ptr_array_new_with_free_func((GDestroyNotify)word_free);
	g_autoptr(GError) error = NULL;

	g_ptr_array_add(words, word_new("console"));
	g_ptr_array_add(words, word_new(vmm_domain_name(dom)));
	fullscreen_end();
	if (!shell_run_inner(top->sh, words, &error))
		say(top, "%s", error ? error->message : "the console has ended");
	fflush(stdout);
	shell_interrupt_clear(top->sh);
	fullscreen_begin(top->sh);
}

/* A key that is about the selected domain. */
static void domain_key(struct top *top, int key)
{
	vmm_domain *dom = top->at < top_sample_count(top->sample) ?
				  top_sample_row(top->sample, top->at)->dom : NULL;
	int answer;

	if (!dom)
		return;
	switch (key) {
	case 's':
		action_begin(top, dom, 's', "Starting", "runs");
		break;
	case 't':
		action_begin(top, dom, 't', "Shutting down", "was asked to shut down");
		break;
	case 'p':
		action_begin(top, dom, 'p', "Pausing", "is paused");
		break;
	case 'x':
		say(top, "Destroy '%s'? y: yes, any other key: no", vmm_domain_name(dom));
		top_draw(top);
		answer = fullscreen_key(top->sh, G_MAXINT);
		g_clear_pointer(&top->message, g_free);
		if (answer == 'y')
			action_begin(top, dom, 'x', "Destroying", "destroyed");
		break;
	case 'a':
	case '\n':
	case '\r':
		attach(top, dom);
		break;
	}
}

static bool move_key(struct top *top, int key)
{
	unsigned n = top_sample_count(top->sample), rows, width, page;
	int64_t to = top->at;

	fullscreen_size(&rows, &width);
	page = rows > TOP_LINES_AROUND + 1 ? rows - TOP_LINES_AROUND - 1 : 1;
	switch (key) {
	case KEY_UP:
		to--;
		break;
	case KEY_DOWN:
		to++;
		break;
	case KEY_PAGE_UP:
		to -= page;
		break;
	case KEY_PAGE_DOWN:
		to += page;
		break;
	case KEY_HOME:
		to = 0;
		break;
	case KEY_END:
		to = n;
		break;
	default:
		return false;
	}
	if (n == 0)
		return true;
	top->at = (unsigned)CLAMP(to, 0, (int64_t)n - 1);
	g_free(top->selected);
	top->selected = g_strdup(vmm_domain_uuid(top_sample_row(top->sample, top->at)->dom));
	return true;
}

/* True: look again at once. */
static bool on_key(struct top *top, int key)
{
	static const char sort_keys[] = "NEPMDT";	/* as enum top_sort */
	const char *sort = key > 0 && key < 256 ? strchr(sort_keys, key) : NULL;

	if (top->help) {
		top->help = false;
		return false;
	}
	g_clear_pointer(&top->message, g_free);
	if (move_key(top, key))
		return false;
	if (sort)
		sort_again(top, (enum top_sort)(sort - sort_keys), false);
	else if (key == 'R')
		sort_again(top, top->sort, !top->reverse);
	else if (key == 'h' || key == '?')
		top->help = true;
	else if (key == 'i')
		top->all = !top->all;
	else
		domain_key(top, key);
	return key == 'i' || key == ' ';
}

/* ---- loops ---- */

static bool run_screen(struct top *top, unsigned delay_ms, GError **error)
{
	gint64 next_us = 0;
	int key = KEY_NONE;

	while (key != KEY_INTERRUPT && (key != 'q' || top->help)) {
		gint64 now = g_get_monotonic_time();
		bool again = actions_reap(top) || now >= next_us;

		if (key != KEY_NONE && key != KEY_RESIZE)
			again |= on_key(top, key);
		if (again && !look(top, error))
			return false;
		if (again)
			next_us = g_get_monotonic_time() + delay_ms * G_GINT64_CONSTANT(1000);
		top_draw(top);
		now = MAX(next_us - g_get_monotonic_time(), 0) / 1000 + 1;
		key = fullscreen_key(top->sh,
				     (unsigned)(top->pending ? MIN(now, ACTION_LOOK_MS) : now));
	}
	return true;
}

/* Actions that are still under way are told to give up. */
static void actions_end(struct top *top)
{
	uint64_t one = 1;

	if (top->pending > 0)
		(void)!write(top->sh->interrupt_fd, &one, sizeof(one));
	g_thread_pool_free(top->actions, FALSE, TRUE);
	actions_reap(top);
	g_async_queue_unref(top->ended);
	shell_interrupt_clear(top->sh);
}

static bool run_batch(struct top *top, const struct command_args *args, uint64_t count,
		      unsigned delay_ms, GError **error)
{
	if (!look(top, error))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		g_autoptr(table) t = table_new(top_columns);
		g_autofree char *head = NULL;

		if (!shell_sleep(top->sh, delay_ms) || !look(top, error))
			return false;
		head = top_summary(top);
		if (!args_json(args))
			printf("%s%s\n", i > 0 ? "\n" : "", head);
		for (unsigned k = 0; k < top_sample_count(top->sample); k++)
			top_add_row(t, top_sample_row(top->sample, k), true);
		shell_print_table(top->sh, args, t);
		fflush(stdout);
	}
	return true;
}

static enum top_sort sort_of(const struct command_args *args)
{
	const char *name = args_text(args, "sort");

	for (unsigned i = 0; name && i < N_SORTS; i++) {
		if (g_str_equal(name, top_sort_names[i]))
			return (enum top_sort)i;
	}
	return SORT_CPU;
}

bool cmd_top(struct shell *sh, struct command_args *args, GError **error)
{
	unsigned delay_ms = (unsigned)CLAMP(args_ms(args, "delay", DELAY_MS), DELAY_MIN_MS,
					    G_MAXINT);
	struct top top = { .sh = sh, .sort = sort_of(args), .all = args_given(args, "all") };
	bool ok;

	if (args_given(args, "batch") || args_json(args)) {
		ok = run_batch(&top, args, args_number(args, "iterations", 1), delay_ms, error);
	} else if (!shell_connect(sh, error)) {
		ok = false;
	} else if (!fullscreen_begin(sh)) {
		ok = usage_error(error, "top needs a terminal: for a script there is --batch");
	} else {
		top.ended = g_async_queue_new();
		top.actions = g_thread_pool_new(action_run, &top, ACTION_THREADS, FALSE, NULL);
		ok = run_screen(&top, delay_ms, error);
		fullscreen_end();
		actions_end(&top);
	}
	top_sample_free(top.sample);
	g_free(top.selected);
	g_free(top.message);
	return ok;
}

const struct option_def options_top[] = {
	{ .name = "all", .letter = 'a', .kind = OPT_FLAG, .help = "those that are off as well" },
	{ .name = "sort", .letter = 's', .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "name state cpu memory disk net", .value = "COLUMN",
	  .help = "name, state, cpu, memory, disk or net; cpu if not given" },
	{ .name = "delay", .letter = 'd', .kind = OPT_TIME, .value = "TIME",
	  .help = "from one look to the next; 2s if not given" },
	{ .name = "batch", .letter = 'b', .kind = OPT_FLAG,
	  .help = "print text and end, after a first look that only begins the count" },
	{ .name = "iterations", .letter = 'n', .kind = OPT_NUMBER, .value = "N",
	  .help = "with --batch: so many times; else once" },
	{ 0 },
};
