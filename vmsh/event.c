/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "event", "net-event", "pool-event": what the daemon reports, as lines. */
#include "config.h"
#include "vmsh/event.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmsh/event-print.h"
#include "vmsh/fleet.h"
#include "vmsh/json.h"
#include "vmsh/options.h"

static const int domain_ids[] = {
	VMM_EVENT_LIFECYCLE,	   VMM_EVENT_REBOOT,	     VMM_EVENT_WATCHDOG,
	VMM_EVENT_IO_ERROR,	   VMM_EVENT_IO_ERROR_REASON, VMM_EVENT_CONTROL_ERROR,
	VMM_EVENT_BLOCK_JOB,	   VMM_EVENT_BALLOON_CHANGE, VMM_EVENT_DEVICE_REMOVED,
	VMM_EVENT_BLOCK_JOB_2,	   VMM_EVENT_TUNABLE,	     VMM_EVENT_AGENT_LIFECYCLE,
	VMM_EVENT_DEVICE_ADDED,	   VMM_EVENT_JOB_COMPLETED,  VMM_EVENT_METADATA_CHANGE,
};
static const int network_ids[] = { VMM_EVENT_NETWORK_LIFECYCLE };
static const int pool_ids[] = { VMM_EVENT_POOL_LIFECYCLE, VMM_EVENT_POOL_REFRESH };

enum whose { OF_DOMAINS, OF_NETWORKS, OF_POOLS };

/* noun: the option that names one, its key in JSON, and what it is called. */
static const struct kind {
	const char *noun;
	const int *ids;
	unsigned n_ids;
} kinds[] = {
	[OF_DOMAINS] = { "domain", domain_ids, G_N_ELEMENTS(domain_ids) },
	[OF_NETWORKS] = { "network", network_ids, G_N_ELEMENTS(network_ids) },
	[OF_POOLS] = { "pool", pool_ids, G_N_ELEMENTS(pool_ids) },
};

struct watch {
	struct shell *sh;
	struct command_args *args;
	enum whose whose;
	/* Only this one's; NULL: of all. */
	vmm_domain *domain;
	vmm_network *network;
	vmm_pool *pool;
	bool done;
	bool timed_out;
	bool interrupted;
	unsigned seen;
	GError *error;
};

static void print_plain(struct watch *w, const struct vmm_event *event)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d %H:%M:%S.%f");
	g_autofree char *line = event_line(event, kinds[w->whose].noun);

	if (args_given(w->args, "timestamp"))
		printf("%s: ", stamp);
	printf("%s\n", line);
}

static void print_json(const struct watch *w, const struct vmm_event *event)
{
	g_autofree char *line = event_json_line(event, kinds[w->whose].noun);

	fputs(line, stdout);
}

static void on_event(vmm_connect *conn, const struct vmm_event *event, void *opaque)
{
	struct watch *w = opaque;

	if (w->done)
		return;
	if (args_json(w->args))
		print_json(w, event);
	else
		print_plain(w, event);
	fflush(stdout);
	w->seen++;
	w->done = !args_given(w->args, "loop");
}

static void on_close(vmm_connect *conn, const GError *error, void *opaque)
{
	struct watch *w = opaque;

	w->done = true;
	if (!w->error)
		w->error = error ? g_error_copy(error) :
				   g_error_new(VMM_ERROR, VMM_ERR_RPC, "the daemon has gone");
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	struct watch *w = opaque;

	w->done = w->interrupted = true;
	return G_SOURCE_REMOVE;
}

static gboolean on_timeout(void *opaque)
{
	struct watch *w = opaque;

	w->done = w->timed_out = true;
	return G_SOURCE_REMOVE;
}

static void attach_source(GMainContext *context, GSource *source, GSourceFunc fn, struct watch *w)
{
	g_source_set_callback(source, fn, w, NULL);
	g_source_attach(source, context);
	g_source_unref(source);
}

static bool is_asked_for(const struct command_args *args, int id)
{
	const char *name = args_text(args, "event");

	if (args_given(args, "all"))
		return true;
	return g_str_equal(name ? name : "lifecycle", vmm_event_name(id));
}

static int event_register(struct watch *w, vmm_connect *conn, int id, GMainContext *context,
			  GError **error)
{
	switch (w->whose) {
	case OF_NETWORKS:
		return vmm_network_event_register(conn, w->network, id, context, on_event, w,
						  error);
	case OF_POOLS:
		return vmm_pool_event_register(conn, w->pool, id, context, on_event, w, error);
	default:
		return vmm_event_register(conn, w->domain, id, context, on_event, w, error);
	}
}

static bool register_all(struct watch *w, vmm_connect *conn, GMainContext *context,
			 GArray *registrations, GError **error)
{
	const struct kind *kind = &kinds[w->whose];

	for (unsigned i = 0; i < kind->n_ids; i++) {
		int id;

		if (!is_asked_for(w->args, kind->ids[i]))
			continue;
		id = event_register(w, conn, kind->ids[i], context, error);
		if (id < 0)
			return false;
		g_array_append_val(registrations, id);
	}
	return true;
}

static void watch_loop(struct watch *w, GMainContext *context)
{
	uint64_t timeout_sec = args_number(w->args, "timeout", 0);

	attach_source(context, g_unix_fd_source_new(w->sh->interrupt_fd, G_IO_IN),
		      G_SOURCE_FUNC(on_interrupt), w);
	if (timeout_sec)
		attach_source(context, g_timeout_source_new_seconds(MIN(timeout_sec, G_MAXINT)),
			      on_timeout, w);
	while (!w->done)
		g_main_context_iteration(context, TRUE);
}

static bool watch_result(struct watch *w, GError **error)
{
	if (w->error) {
		g_propagate_error(error, g_steal_pointer(&w->error));
		return false;
	}
	if (w->interrupted && isatty(STDIN_FILENO))
		fputs("\n", stderr);	/* behind the terminal's "^C" */
	if (!args_json(w->args))	/* each line of that is an object */
		shell_say(w->sh, "events received: %u", w->seen);
	if (!w->timed_out || w->seen > 0)
		return true;
	g_set_error(error, VMM_ERROR, VMM_ERR_TIMEOUT, "no event within %s s",
		    args_text(w->args, "timeout"));
	return false;
}

static bool watch_run(struct watch *w, vmm_connect *conn, GError **error)
{
	g_autoptr(GArray) registrations = g_array_new(FALSE, FALSE, sizeof(int));
	GMainContext *context = g_main_context_new();
	bool ok;

	vmm_connect_set_close_callback(conn, context, on_close, w);
	ok = register_all(w, conn, context, registrations, error);
	if (ok)
		watch_loop(w, context);
	for (unsigned i = 0; i < registrations->len; i++)
		vmm_event_deregister(conn, g_array_index(registrations, int, i), NULL);
	vmm_connect_set_close_callback(conn, NULL, NULL, NULL);
	g_main_context_unref(context);
	return ok && watch_result(w, error);
}

static bool list_names(const struct kind *kind, const struct command_args *args)
{
	struct json *j = args_json(args) ? json_new() : NULL;
	g_autofree char *text = NULL;

	if (j)
		json_begin_array(j, NULL);
	for (unsigned i = 0; i < kind->n_ids; i++) {
		if (j)
			json_string(j, NULL, vmm_event_name(kind->ids[i]));
		else
			printf("%s\n", vmm_event_name(kind->ids[i]));
	}
	if (j) {
		json_end(j);
		text = json_finish(j);
		fputs(text, stdout);
	}
	return true;
}

/* The one whose events are wanted, if one is named. */
static bool subject_find(struct watch *w, vmm_connect *conn, GError **error)
{
	const char *text = args_text(w->args, kinds[w->whose].noun);

	if (!text)
		return true;
	switch (w->whose) {
	case OF_NETWORKS:
		return (w->network = vmm_network_lookup(conn, text, error)) != NULL;
	case OF_POOLS:
		return (w->pool = vmm_pool_lookup(conn, text, error)) != NULL;
	default:
		return (w->domain = fleet_domain(w->sh, w->args, error)) != NULL;
	}
}

static bool event_command(enum whose whose, struct shell *sh, struct command_args *args,
			  GError **error)
{
	struct watch w = { .sh = sh, .args = args, .whose = whose };
	vmm_connect *conn;
	bool ok;

	if (args_given(args, "list"))
		return list_names(&kinds[whose], args);
	conn = shell_connect(sh, error);
	if (!conn)
		return false;
	ok = subject_find(&w, conn, error) && watch_run(&w, conn, error);
	vmm_domain_unref(w.domain);
	vmm_network_free(w.network);
	vmm_pool_free(w.pool);
	g_clear_error(&w.error);
	return ok;
}

bool cmd_event(struct shell *sh, struct command_args *args, GError **error)
{
	return event_command(OF_DOMAINS, sh, args, error);
}

bool cmd_net_event(struct shell *sh, struct command_args *args, GError **error)
{
	return event_command(OF_NETWORKS, sh, args, error);
}

bool cmd_pool_event(struct shell *sh, struct command_args *args, GError **error)
{
	return event_command(OF_POOLS, sh, args, error);
}

#define OPTION_EVENT(names) { \
	.name = "event", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_WORDS, \
	.value = "EVENT", .help = "which; lifecycle if not given", .words = names, \
}
#define OPTION_OF(noun, what, shown) { \
	.name = noun, .kind = OPT_STRING, .complete = COMPLETE_##what, .value = shown, \
	.help = "of this " noun " only", \
}
#define OPTIONS_WAIT \
	OPTION_FLAG("loop", "until Ctrl-C or the timeout, not only one"), { \
		.name = "timeout", .kind = OPT_NUMBER, .value = "SECONDS", \
		.help = "end after this time", \
	}, \
	OPTION_FLAG("timestamp", "with date and time"), \
	OPTION_FLAG("list", "list the names of events")

const struct option_def options_event[] = {
	OPTION_EVENT("lifecycle reboot watchdog io-error io-error-reason control-error block-job "
		     "balloon-change device-removed block-job-2 tunable agent-lifecycle "
		     "device-added job-completed metadata-change"),
	OPTION_OF("domain", DOMAIN, "DOMAIN"), OPTION_FLAG("all", "all kinds of events"),
	OPTIONS_WAIT, { 0 },
};
const struct option_def options_net_event[] = {
	OPTION_EVENT("lifecycle"), OPTION_OF("network", NETWORK, "NETWORK"),
	OPTION_FLAG("all", "all kinds of events"), OPTIONS_WAIT, { 0 },
};
const struct option_def options_pool_event[] = {
	OPTION_EVENT("lifecycle refresh"), OPTION_OF("pool", POOL, "POOL"),
	OPTION_FLAG("all", "all kinds of events"), OPTIONS_WAIT, { 0 },
};
