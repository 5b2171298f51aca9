/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An event as a line for people, and as one of JSON. */
#include "config.h"
#include "vmsh/event-print.h"

#include "vmsh/json.h"
#include "vmsh/param.h"
#include "vmsh/table.h"

static const char *subject_name(const struct vmm_event *e)
{
	return e->domain  ? vmm_domain_name(e->domain) :
	       e->network ? vmm_network_name(e->network) :
	       e->pool	  ? vmm_pool_name(e->pool) :
			    NULL;
}

static const char *subject_uuid(const struct vmm_event *e)
{
	return e->domain  ? vmm_domain_uuid(e->domain) :
	       e->network ? vmm_network_uuid(e->network) :
	       e->pool	  ? vmm_pool_uuid(e->pool) :
			    NULL;
}

static const char *word(const char *const *words, size_t n, int i)
{
	return i >= 0 && (size_t)i < n ? words[i] : "unknown";
}

#define WORD(words, i) word(words, G_N_ELEMENTS(words), i)

static const char *const watchdog_words[] = {
	"none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi",
};
static const char *const io_words[] = { "none", "pause", "report" };
static const char *const agent_words[] = { "unknown", "connected", "disconnected" };
static const char *const metadata_words[] = { "description", "title", "element" };

/* NULL: it tells of no change of life. */
static const char *life_text(const struct vmm_event *e)
{
	switch (e->id) {
	case VMM_EVENT_LIFECYCLE:
		return vmm_lifecycle_text(e->event);
	case VMM_EVENT_NETWORK_LIFECYCLE:
	case VMM_EVENT_POOL_LIFECYCLE:
		return vmm_pool_lifecycle_text(e->event);
	default:
		return NULL;
	}
}

/* ---- JSON ---- */

static void json_job(struct json *j, const struct vmm_job_info *job)
{
	json_string(j, "operation", vmm_job_operation_text(job->operation));
	json_bool(j, "success", job->type == VMM_JOB_COMPLETED);
	json_number(j, "elapsed_ms", job->elapsed_ms);
	json_number(j, "bytes", job->done_bytes);
	json_string(j, "error", job->message);
}

static void json_tunables(struct json *j, const struct vmm_event *e)
{
	json_begin_object(j, "tunables");
	for (unsigned i = 0; i < e->n_params; i++)
		json_param(j, &e->params[i]);
	json_end(j);
}

static void json_kind(struct json *j, const struct vmm_event *e)
{
	switch (e->id) {
	case VMM_EVENT_LIFECYCLE:
		json_string(j, "detail", vmm_lifecycle_detail_text(e->event, e->detail));
		break;
	case VMM_EVENT_WATCHDOG:
		json_string(j, "action", WORD(watchdog_words, e->event));
		break;
	case VMM_EVENT_IO_ERROR:
	case VMM_EVENT_IO_ERROR_REASON:
		json_string(j, "action", WORD(io_words, e->event));
		break;
	case VMM_EVENT_BLOCK_JOB:
	case VMM_EVENT_BLOCK_JOB_2:
		json_string(j, "job", vmm_block_job_text(e->event));
		json_string(j, "status", vmm_block_job_status_text(e->detail));
		break;
	case VMM_EVENT_BALLOON_CHANGE:
		json_number(j, "memory_kib", e->value);
		break;
	case VMM_EVENT_TUNABLE:
		json_tunables(j, e);
		break;
	case VMM_EVENT_AGENT_LIFECYCLE:
		json_string(j, "state", WORD(agent_words, e->event));
		break;
	case VMM_EVENT_JOB_COMPLETED:
		json_job(j, e->job);
		break;
	case VMM_EVENT_METADATA_CHANGE:
		json_string(j, "metadata", WORD(metadata_words, e->event));
		break;
	}
}

char *event_json_line(const struct vmm_event *event, const char *noun)
{
	struct json *j = json_new_line();

	json_begin_object(j, NULL);
	json_string(j, "event", vmm_event_name(event->id));
	json_string(j, noun, subject_name(event));
	json_string(j, "uuid", subject_uuid(event));
	json_double(j, "time", g_get_real_time() / 1e6);
	if (life_text(event))
		json_string(j, "type", life_text(event));
	json_kind(j, event);
	if (event->path)
		json_string(j, "path", event->path);
	if (event->device)
		json_string(j, "device", event->device);
	if (event->reason)
		json_string(j, "reason", event->reason);
	json_end(j);
	return json_finish(j);
}

/* ---- for people ---- */

static void line_job(GString *s, const struct vmm_job_info *job)
{
	g_autofree char *size = g_format_size_full(job->done_bytes, G_FORMAT_SIZE_IEC_UNITS);

	g_string_append_printf(s, ": %s %s after %.1f s",
			       vmm_job_operation_text(job->operation),
			       job->message ? "failed" : "completed",
			       (double)job->elapsed_ms / 1e3);
	if (job->message)
		g_string_append_printf(s, ": %s", job->message);
	else
		g_string_append_printf(s, ", %s", size);
}

static void line_tunables(GString *s, const struct vmm_event *e)
{
	for (unsigned i = 0; i < e->n_params; i++) {
		g_autofree char *value = param_text(&e->params[i]);

		g_string_append_printf(s, "%s %s=%s", i ? "" : ":", e->params[i].name,
				       value ?: "?");
	}
}

static void line_io_error(GString *s, const struct vmm_event *e)
{
	g_string_append_printf(s, ": %s (%s): %s%s", e->path, e->device,
			       WORD(io_words, e->event), e->reason && *e->reason ? ", " : "");
	g_string_append(s, e->reason ?: "");
}

static void line_kind(GString *s, const struct vmm_event *e)
{
	switch (e->id) {
	case VMM_EVENT_LIFECYCLE:
		g_string_append_printf(s, ": %s %s", life_text(e),
				       vmm_lifecycle_detail_text(e->event, e->detail));
		break;
	case VMM_EVENT_NETWORK_LIFECYCLE:
	case VMM_EVENT_POOL_LIFECYCLE:
		g_string_append_printf(s, ": %s", life_text(e));
		break;
	case VMM_EVENT_WATCHDOG:
		g_string_append_printf(s, ": %s", WORD(watchdog_words, e->event));
		break;
	case VMM_EVENT_IO_ERROR:
	case VMM_EVENT_IO_ERROR_REASON:
		line_io_error(s, e);
		break;
	case VMM_EVENT_BLOCK_JOB:
	case VMM_EVENT_BLOCK_JOB_2:
		g_string_append_printf(s, ": %s of %s %s", vmm_block_job_text(e->event),
				       e->path ?: e->device, vmm_block_job_status_text(e->detail));
		break;
	case VMM_EVENT_BALLOON_CHANGE:
		g_string_append_printf(s, ": %" G_GUINT64_FORMAT " KiB", (guint64)e->value);
		break;
	case VMM_EVENT_DEVICE_REMOVED:
	case VMM_EVENT_DEVICE_ADDED:
		g_string_append_printf(s, ": %s", e->device);
		break;
	case VMM_EVENT_TUNABLE:
		line_tunables(s, e);
		break;
	case VMM_EVENT_AGENT_LIFECYCLE:
		g_string_append_printf(s, ": %s", WORD(agent_words, e->event));
		break;
	case VMM_EVENT_JOB_COMPLETED:
		line_job(s, e->job);
		break;
	case VMM_EVENT_METADATA_CHANGE:
		g_string_append_printf(s, ": %s%s%s", WORD(metadata_words, e->event),
				       e->reason ? " " : "", e->reason ?: "");
		break;
	}
}

char *event_line(const struct vmm_event *event, const char *noun)
{
	g_autoptr(GString) s = g_string_new(NULL);

	g_string_printf(s, "event '%s' for %s '%s'", vmm_event_name(event->id), noun,
			subject_name(event) ?: "-");
	line_kind(s, event);
	return text_harmless(s->str);
}
