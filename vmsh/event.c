/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "event": what the daemon reports, as lines. */
#include "config.h"
#include "vmsh/event.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#include "vmsh/fleet.h"
#include "vmsh/json.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"

static const int event_ids[] = {
	VMM_EVENT_LIFECYCLE,	   VMM_EVENT_REBOOT,	    VMM_EVENT_WATCHDOG,
	VMM_EVENT_IO_ERROR_REASON, VMM_EVENT_CONTROL_ERROR, VMM_EVENT_BALLOON_CHANGE,
	VMM_EVENT_DEVICE_REMOVED,  VMM_EVENT_DEVICE_ADDED,  VMM_EVENT_AGENT_LIFECYCLE,
	VMM_EVENT_METADATA_CHANGE,
};

struct watch {
	struct shell *sh;
	struct command_args *args;
	bool done;
	bool timed_out;
	unsigned seen;
	GError *error;
};

static void print_json(const struct vmm_event *event)
{
	struct json *j = json_new_line();
	g_autofree char *line = NULL;

	json_begin_object(j, NULL);
	json_string(j, "event", vmm_event_name(event->id));
	json_string(j, "domain", event->domain ? vmm_domain_name(event->domain) : NULL);
	json_string(j, "uuid", event->domain ? vmm_domain_uuid(event->domain) : NULL);
	json_double(j, "time", g_get_real_time() / 1e6);
	if (event->id == VMM_EVENT_LIFECYCLE) {
		json_string(j, "type", vmm_lifecycle_text(event->event));
		json_string(j, "detail", vmm_lifecycle_detail_text(event->event, event->detail));
	}
	if (event->id == VMM_EVENT_BALLOON_CHANGE)
		json_number(j, "memory_kib", event->value);
	if (event->path)
		json_string(j, "path", event->path);
	if (event->device)
		json_string(j, "device", event->device);
	if (event->reason)
		json_string(j, "reason", event->reason);
	json_end(j);
	line = json_finish(j);
	fputs(line, stdout);
}

static char *event_rest(const struct vmm_event *event)
{
	if (event->id == VMM_EVENT_LIFECYCLE)
		return g_strdup_printf(": %s %s", vmm_lifecycle_text(event->event),
				       vmm_lifecycle_detail_text(event->event, event->detail));
	if (event->id == VMM_EVENT_BALLOON_CHANGE)
		return g_strdup_printf(": %" G_GUINT64_FORMAT " KiB", event->value);
	return g_strdup_printf("%s%s%s%s%s%s", event->path ? ": " : "",
			       event->path ? event->path : "", event->device ? ": " : "",
			       event->device ? event->device : "", event->reason ? ": " : "",
			       event->reason ? event->reason : "");
}

static void print_plain(struct watch *w, const struct vmm_event *event)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d %H:%M:%S.%f");
	g_autofree char *rest = event_rest(event);
	g_autofree char *harmless = NULL;
	g_autofree char *line = NULL;

	line = g_strdup_printf("event '%s' for domain '%s'%s", vmm_event_name(event->id),
			       event->domain ? vmm_domain_name(event->domain) : "-", rest);
	harmless = text_harmless(line);
	if (args_given(w->args, "timestamp"))
		printf("%s: ", stamp);
	printf("%s\n", harmless);
}

static void on_event(vmm_connect *conn, const struct vmm_event *event, void *opaque)
{
	struct watch *w = opaque;

	if (w->done)
		return;
	if (args_json(w->args))
		print_json(event);
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
	((struct watch *)opaque)->done = true;
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

static bool register_all(struct watch *w, vmm_connect *conn, vmm_domain *dom, GMainContext *context,
			 GArray *registrations, GError **error)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(event_ids); i++) {
		int id;

		if (!is_asked_for(w->args, event_ids[i]))
			continue;
		id = vmm_event_register(conn, dom, event_ids[i], context, on_event, w, error);
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
	if (!args_json(w->args))	/* each line of that is an object */
		shell_say(w->sh, "events received: %u", w->seen);
	if (!w->timed_out || w->seen > 0)
		return true;
	g_set_error(error, VMM_ERROR, VMM_ERR_TIMEOUT, "no event within %s s",
		    args_text(w->args, "timeout"));
	return false;
}

static bool watch_run(struct watch *w, vmm_connect *conn, vmm_domain *dom, GError **error)
{
	g_autoptr(GArray) registrations = g_array_new(FALSE, FALSE, sizeof(int));
	GMainContext *context = g_main_context_new();
	bool ok;

	vmm_connect_set_close_callback(conn, context, on_close, w);
	ok = register_all(w, conn, dom, context, registrations, error);
	if (ok)
		watch_loop(w, context);
	for (unsigned i = 0; i < registrations->len; i++)
		vmm_event_deregister(conn, g_array_index(registrations, int, i), NULL);
	vmm_connect_set_close_callback(conn, NULL, NULL, NULL);
	g_main_context_unref(context);
	return ok && watch_result(w, error);
}

static bool list_names(const struct command_args *args)
{
	struct json *j = args_json(args) ? json_new() : NULL;
	g_autofree char *text = NULL;

	if (j)
		json_begin_array(j, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(event_ids); i++) {
		if (j)
			json_string(j, NULL, vmm_event_name(event_ids[i]));
		else
			printf("%s\n", vmm_event_name(event_ids[i]));
	}
	if (j) {
		json_end(j);
		text = json_finish(j);
		fputs(text, stdout);
	}
	return true;
}

static bool check_name(const char *name, GError **error)
{
	for (unsigned i = 0; name && i < G_N_ELEMENTS(event_ids); i++) {
		if (g_str_equal(vmm_event_name(event_ids[i]), name))
			return true;
	}
	return !name || usage_error(error, "event: no event is called '%s': event --list", name);
}

bool cmd_event(struct shell *sh, struct command_args *args, GError **error)
{
	struct watch w = { .sh = sh, .args = args };
	g_autoptr(vmm_domain) dom = NULL;
	vmm_connect *conn;
	bool ok;

	if (args_given(args, "list"))
		return list_names(args);
	if (!check_name(args_text(args, "event"), error))
		return false;
	conn = shell_connect(sh, error);
	if (!conn)
		return false;
	if (args_given(args, "domain") && !(dom = fleet_domain(sh, args, error)))
		return false;
	ok = watch_run(&w, conn, dom, error);
	g_clear_error(&w.error);
	return ok;
}

const struct option_def options_event[] = {
	{ .name = "event",
	  .kind = OPT_STRING,
	  .flags = OPT_POSITION,
	  .complete = COMPLETE_WORDS,
	  .value = "EVENT",
	  .help = "which; lifecycle if not given",
	  .words = "lifecycle reboot watchdog io-error-reason control-error balloon-change "
		   "device-removed device-added agent-lifecycle metadata-change" },
	{ .name = "domain",
	  .kind = OPT_STRING,
	  .complete = COMPLETE_DOMAIN,
	  .value = "DOMAIN",
	  .help = "of this domain only" },
	OPTION_FLAG("all", "all kinds of events"),
	OPTION_FLAG("loop", "until Ctrl-C or the timeout, not only one"),
	{ .name = "timeout",
	  .kind = OPT_NUMBER,
	  .value = "SECONDS",
	  .help = "end after this time" },
	OPTION_FLAG("timestamp", "with date and time"),
	OPTION_FLAG("list", "list the names of events"),
	{ 0 },
};
