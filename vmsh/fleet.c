/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One command on many domains.
 *
 * The calls run on a few threads over the one connection, which carries any
 * number of calls at a time.  Threads only call; the main thread prints, in
 * the order in which the domains were named.  ^C makes the calls that wait
 * fail and those that have not begun be skipped.
 */
#include "config.h"
#include "vmsh/fleet.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/nearest.h"
#include "vmsh/sql.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define FLEET_THREADS 16
#define FLEET_THREADS_MAX 256

static void target_free(void *p)
{
	struct target *t = p;

	g_free(t->name);
	vmm_domain_unref(t->dom);
	g_clear_error(&t->error);
	g_free(t);
}

/* seen: the uuids of those that are targets, which have them. */
static void add_target(GPtrArray *targets, GHashTable *seen, const char *name, vmm_domain *dom,
		       GError *error)
{
	struct target *t;

	if (dom && !g_hash_table_add(seen, (char *)vmm_domain_uuid(dom))) {
		vmm_domain_unref(dom);
		return;
	}
	t = g_new0(struct target, 1);
	t->name = g_strdup(name);
	t->dom = dom;
	t->error = error;
	g_ptr_array_add(targets, t);
}

static int by_name(const void *a, const void *b)
{
	vmm_domain *const *x = a, *const *y = b;

	return g_strcmp0(vmm_domain_name(*x), vmm_domain_name(*y));
}

static unsigned add_matches(GPtrArray *targets, GHashTable *seen, GPtrArray *all,
			    const char *pattern)
{
	unsigned n = 0;

	for (unsigned i = 0; i < all->len; i++) {
		const char *name = vmm_domain_name(all->pdata[i]);

		if (fnmatch(pattern, name, 0) != 0)
			continue;
		add_target(targets, seen, name, vmm_domain_ref(all->pdata[i]), NULL);
		n++;
	}
	return n;
}

static bool select_glob(vmm_connect *conn, GPtrArray *targets, GHashTable *seen,
			const struct word *w, unsigned list_flags, GError **error)
{
	g_autoptr(GPtrArray) all = vmm_domain_list(conn, list_flags, error);
	const char *state = list_flags & VMM_LIST_ACTIVE ? "running " :
			    list_flags & VMM_LIST_INACTIVE ? "stopped " : "";

	if (!all)
		return false;
	g_ptr_array_sort(all, by_name);
	if (add_matches(targets, seen, all, w->pattern) > 0)
		return true;
	g_set_error(error, VMM_ERROR, VMM_ERR_NO_DOMAIN,
		    "no %sdomain matches '%s': list --all shows them all", state, w->text);
	return false;
}

static const char *domain_name_at(const void *arg, unsigned i)
{
	const GPtrArray *all = arg;

	return i < all->len ? vmm_domain_name(all->pdata[i]) : NULL;
}

static vmm_domain *lookup(vmm_connect *conn, const char *text, GError **error)
{
	g_autoptr(GPtrArray) all = NULL;
	g_autoptr(GError) why = NULL;
	vmm_domain *dom = vmm_domain_lookup(conn, text, &why);
	const char *near;

	if (dom)
		return dom;
	if (!g_error_matches(why, VMM_ERROR, VMM_ERR_NO_DOMAIN)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	all = vmm_domain_list(conn, 0, NULL);
	near = all ? nearest(text, domain_name_at, all) : NULL;
	if (near)
		g_set_error(error, VMM_ERROR, VMM_ERR_NO_DOMAIN,
			    "there is no domain '%s': did you mean '%s'?", text, near);
	else
		g_set_error(error, VMM_ERROR, VMM_ERR_NO_DOMAIN,
			    "there is no domain '%s': list --all shows them all", text);
	return NULL;
}

/*
 * The domains that words name, each once, in the order written: ids, uuids,
 * names and globs over names.  A glob takes only domains that list_flags
 * select (0: all), so that "shutdown web-*" does not fail for those that are
 * off.  NULL and *error when the daemon cannot be asked or nothing matches.
 */
GPtrArray *fleet_select(struct shell *sh, const GPtrArray *words, unsigned list_flags,
			GError **error)
{
	g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(target_free);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	vmm_connect *conn = shell_connect(sh, error);

	if (!conn)
		return NULL;
	for (unsigned i = 0; i < words->len; i++) {
		const struct word *w = words->pdata[i];
		g_autoptr(GError) why = NULL;
		vmm_domain *dom;

		if (pattern_is_glob(w->pattern)) {
			if (!select_glob(conn, targets, seen, w, list_flags, error))
				return NULL;
			continue;
		}
		dom = lookup(conn, w->text, &why);
		if (!dom && !vmm_connect_is_alive(conn)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return NULL;
		}
		add_target(targets, seen, w->text, dom, g_steal_pointer(&why));
	}
	return g_steal_pointer(&targets);
}

void fleet_keep(GPtrArray *items, fleet_keep_fn *fn, void *opaque)
{
	g_autofree void **dropped = g_new(void *, items->len + 1);
	unsigned n_kept = 0, n_dropped = 0;

	for (unsigned i = 0; i < items->len; i++) {
		if (fn(items->pdata[i], opaque))
			items->pdata[n_kept++] = items->pdata[i];
		else
			dropped[n_dropped++] = items->pdata[i];
	}
	memcpy(items->pdata + n_kept, dropped, n_dropped * sizeof(*dropped));
	g_ptr_array_set_size(items, (int)n_kept);	/* frees what is behind */
}

static bool target_is_chosen(const void *target, void *uuids)
{
	const struct target *t = target;

	return !t->dom || g_hash_table_contains(uuids, vmm_domain_uuid(t->dom));
}

/* Those that are named, or all that list_flags select; of them those that --where chooses. */
GPtrArray *fleet_choose(struct shell *sh, const struct command_args *args, unsigned list_flags,
			GError **error)
{
	const GPtrArray *words = args_words(args, "domain");
	const char *where = args_text(args, "where");
	g_autoptr(GPtrArray) chosen = where ? sql_choose(sh, where, NULL, error) : NULL;
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) uuids = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) targets = NULL;

	if (where && !chosen)
		return NULL;
	if (words->len > 0 || !where) {
		targets = fleet_select(sh, words, list_flags, error);
	} else {
		g_autoptr(GPtrArray) all = vmm_domain_list(sh->conn, list_flags, error);

		targets = all ? g_ptr_array_new_with_free_func(target_free) : NULL;
		if (targets)
			g_ptr_array_sort(all, by_name);
		for (unsigned i = 0; targets && i < all->len; i++)
			add_target(targets, seen, vmm_domain_name(all->pdata[i]),
				   vmm_domain_ref(all->pdata[i]), NULL);
	}
	for (unsigned i = 0; chosen && i < chosen->len; i++)
		g_hash_table_add(uuids, chosen->pdata[i]);
	if (targets && where)
		fleet_keep(targets, target_is_chosen, uuids);
	if (targets && targets->len == 0) {
		error_set(error, VMM_ERR_NO_DOMAIN,
			  "no domain that this is for has %s: list --all --filter shows which do",
			  where);
		return NULL;
	}
	return g_steal_pointer(&targets);
}

/* ---- choosing from a list ---- */

static bool word_names(const struct word *w, const vmm_domain *dom)
{
	g_autofree char *id = g_strdup_printf("%d", vmm_domain_id(dom));

	return fnmatch(w->pattern, vmm_domain_name(dom), 0) == 0 ||
	       g_str_equal(w->text, vmm_domain_uuid(dom)) ||
	       (vmm_domain_id(dom) >= 0 && g_str_equal(w->text, id));
}

static void print_unnamed(struct shell *sh, const struct word *w)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(vmm_domain) dom = NULL;

	if (pattern_is_glob(w->pattern))
		g_set_error(&error, VMM_ERROR, VMM_ERR_NO_DOMAIN,
			    "no domain listed here matches '%s': list --all shows them all",
			    w->text);
	else if ((dom = lookup(sh->conn, w->text, &error)))
		g_set_error(&error, VMM_ERROR, VMM_ERR_NO_DOMAIN,
			    "domain '%s' is not of those listed here: list --all shows it",
			    w->text);
	shell_print_error(sh, error);
}

struct naming {
	const GPtrArray *words;
	bool *named;		/* of each word: somebody has it */
};

static bool stats_is_named(const void *stats, void *opaque)
{
	const struct naming *n = opaque;
	bool wanted = false;

	for (unsigned j = 0; j < n->words->len; j++) {
		if (word_names(n->words->pdata[j],
			       ((const struct vmm_domain_stats *)stats)->domain))
			wanted = n->named[j] = true;
	}
	return wanted;
}

bool fleet_filter(struct shell *sh, const struct command_args *args, GPtrArray *stats)
{
	const GPtrArray *words = args_words(args, "domain");
	g_autofree bool *named = g_new0(bool, words->len + 1);
	struct naming naming = { words, named };
	bool all = true;

	if (words->len)
		fleet_keep(stats, stats_is_named, &naming);
	for (unsigned j = 0; j < words->len; j++) {
		if (!named[j])
			print_unnamed(sh, words->pdata[j]);
		all = all && named[j];
	}
	return all;
}

vmm_domain *fleet_domain(struct shell *sh, const struct command_args *args, GError **error)
{
	const GPtrArray *words = args_words(args, "domain");
	g_autoptr(GPtrArray) targets = fleet_select(sh, words, 0, error);
	struct target *t;

	if (!targets)
		return NULL;
	if (targets->len != 1) {
		usage_error(error, "'%s' matches %u domains, and %s takes one",
			    args_text(args, "domain"), targets->len, args_command(args)->name);
		return NULL;
	}
	t = targets->pdata[0];
	if (t->error)
		g_propagate_error(error, g_steal_pointer(&t->error));
	return g_steal_pointer(&t->dom);
}

/* ---- advice ---- */

/* What goes with the state that the domain is in, when that was the trouble. */
static const char *advice(vmm_domain *dom, bool for_off, const GError *why)
{
	int state = VMM_STATE_NONE, reason;

	if (!g_error_matches(why, VMM_ERROR, VMM_ERR_OPERATION_INVALID) ||
	    !vmm_domain_state(dom, &state, &reason, NULL))
		return NULL;
	switch (state) {
	case VMM_STATE_SHUTOFF:
		return for_off ? NULL : "start it with: vmsh start";
	case VMM_STATE_PAUSED:
		return "let it run with: vmsh resume";
	case VMM_STATE_RUNNING:
		return "see what it does with: vmsh console";
	case VMM_STATE_SHUTDOWN:
		return "wait, or stop it now with: vmsh destroy";
	default:
		return NULL;
	}
}

static void advise(vmm_domain *dom, bool for_off, GError **error)
{
	static const char generic[] = "Requested operation is not valid: ";
	GError *why = error ? *error : NULL;
	const char *what = why ? advice(dom, for_off, why) : NULL;
	const char *name = vmm_domain_name(dom);
	g_autofree char *quoted = word_quote(name);
	g_autofree char *cited = g_strdup_printf("'%s'", name);
	g_autofree char *old = NULL;
	const char *text;
	bool named;

	if (!why)
		return;
	old = g_steal_pointer(&why->message);
	text = g_str_has_prefix(old, generic) ? old + strlen(generic) : old;
	named = strstr(text, cited);	/* a domain may be called "a" */
	why->message = named ? g_strdup(text) : g_strdup_printf("domain '%s': %s", name, text);
	if (!what || strstr(why->message, "'vmsh "))	/* it tells a way out itself */
		return;
	g_free(old);
	old = g_steal_pointer(&why->message);
	why->message = g_strdup_printf("%s: %s %s", old, what, quoted);
}

void fleet_advise(vmm_domain *dom, GError **error)
{
	advise(dom, false, error);
}

/* ---- many at once ---- */

struct fleet {
	struct shell *sh;
	const struct fleet_job *job;
	GPtrArray *targets;
	GAsyncQueue *finished;	/* target indexes + 1 */
	unsigned threads;
	uint64_t delay_ms;
	GMutex gate;		/* of next_us */
	gint64 next_us;		/* when the next one may begin */
};

/* One after the other, delay_ms apart; false: interrupted. */
static bool wait_for_turn(struct fleet *f)
{
	gint64 now, wait_us;
	bool ok;

	g_mutex_lock(&f->gate);
	now = g_get_monotonic_time();
	wait_us = MAX(f->next_us - now, 0);
	ok = shell_sleep(f->sh, (unsigned)((wait_us + 999) / 1000));
	f->next_us = now + wait_us + (gint64)f->delay_ms * 1000;
	g_mutex_unlock(&f->gate);
	return ok;
}

static void run_one(void *data, void *user)
{
	struct fleet *f = user;
	struct target *t = f->targets->pdata[GPOINTER_TO_UINT(data) - 1];

	if (!wait_for_turn(f))
		g_set_error(&t->error, VMM_ERROR, VMM_ERR_ABORTED, "domain '%s': interrupted",
			    t->name);
	else if (!f->job->fn(f->sh, t->dom, f->job->opaque, &t->error))
		advise(t->dom, f->job->for_off, &t->error);
	g_async_queue_push(f->finished, data);
}

static void show_progress(const struct fleet *f, unsigned done)
{
	if (f->targets->len < 2 || !f->sh->err.width)
		return;
	fprintf(stderr, "\r\033[K");
	if (done < f->targets->len)
		fprintf(stderr, "%s %u of %u ...", f->job->doing, done, f->targets->len);
	fflush(stderr);
}

static void report(const struct fleet *f, const struct target *t)
{
	if (!t->error)
		shell_say(f->sh, "Domain '%s' %s", vmm_domain_name(t->dom), f->job->done);
	else if (f->targets->len > 1)
		shell_print_error(f->sh, t->error);
	fflush(stdout);
}

/* Starts all calls and prints each result once those before it are there. */
static unsigned run_all(struct fleet *f)
{
	g_autofree bool *done = g_new0(bool, f->targets->len);
	GThreadPool *pool = g_thread_pool_new(run_one, f, (int)f->threads, FALSE, NULL);
	unsigned failed = 0, next = 0, n = f->targets->len;

	for (unsigned i = 0; i < n; i++) {
		struct target *t = f->targets->pdata[i];

		if (t->error)
			g_async_queue_push(f->finished, GUINT_TO_POINTER(i + 1));
		else
			g_thread_pool_push(pool, GUINT_TO_POINTER(i + 1), NULL);
	}
	for (unsigned i = 0; i < n; i++) {
		show_progress(f, i);
		done[GPOINTER_TO_UINT(g_async_queue_pop(f->finished)) - 1] = true;
		if (done[next])
			show_progress(f, n);
		for (; next < n && done[next]; next++) {
			report(f, f->targets->pdata[next]);
			failed += ((struct target *)f->targets->pdata[next])->error != NULL;
		}
	}
	show_progress(f, n);
	g_thread_pool_free(pool, FALSE, TRUE);
	return failed;
}

static bool run_targets(struct shell *sh, const struct command_args *args, GPtrArray *targets,
			const struct fleet_job *job, GError **error)
{
	struct fleet f = { .sh = sh, .job = job, .targets = targets };
	unsigned failed;

	f.threads = (unsigned)CLAMP(args_number(args, "parallel", FLEET_THREADS), 1,
				    FLEET_THREADS_MAX);
	f.delay_ms = MIN(args_ms(args, "delay", 0), G_MAXINT);
	f.finished = g_async_queue_new();
	failed = run_all(&f);
	g_async_queue_unref(f.finished);
	if (failed && targets->len == 1)
		g_propagate_error(error,
				  g_steal_pointer(&((struct target *)targets->pdata[0])->error));
	else if (failed)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "%u of %u domains %s, %u failed", targets->len - failed, targets->len,
			    job->done, failed);
	else if (targets->len > 1)
		shell_say(sh, "%u domains %s", targets->len, job->done);
	return failed == 0;
}

static bool print_targets(struct shell *sh, const GPtrArray *targets, const struct fleet_job *job)
{
	bool ok = true;

	for (unsigned i = 0; i < targets->len; i++) {
		const struct target *t = targets->pdata[i];
		g_autofree char *name = text_harmless(t->name);

		ok = ok && !t->error;
		if (t->error)
			shell_print_error(sh, t->error);
		else
			printf("Domain '%s' would be %s\n", name, job->done);
	}
	if (!ok)
		sh->status = STATUS_FAILED;
	return ok;
}

bool fleet_run(struct shell *sh, const struct command_args *args, unsigned list_flags,
	       const struct fleet_job *job, GError **error)
{
	g_autoptr(GPtrArray) targets = fleet_choose(sh, args, list_flags, error);

	if (targets && args_given(args, "dry-run"))
		return print_targets(sh, targets, job);
	return targets && run_targets(sh, args, targets, job, error);
}
