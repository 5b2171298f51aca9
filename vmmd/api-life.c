/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that start, stop and steer domains. */
#include "config.h"

#include "libvmm/rpc/worker.h"
#include "vmmd/agent-ask.h"
#include "vmmd/api.h"
#include "vmmd/console.h"
#include "vmmd/event.h"
#include "vmmd/lifecycle.h"
#include "vmmd/live.h"
#include "vmmd/save.h"
#include "vmmd/supervisor.h"

/* NVRAM, which the last discards, does not exist; the cache is the disks' own matter. */
enum start_flags {
	START_PAUSED = 1, START_AUTODESTROY = 2, START_BYPASS_CACHE = 4, START_FORCE_BOOT = 8,
	START_VALIDATE = 0x10, START_RESET_NVRAM = 0x20,
	START_KNOWN = START_PAUSED | START_AUTODESTROY | START_BYPASS_CACHE | START_FORCE_BOOT,
};

enum destroy_flags { DESTROY_GRACEFUL = 1 };
enum shutdown_flags { SHUTDOWN_ACPI = 1, SHUTDOWN_AGENT = 2, SHUTDOWN_KNOWN = 0x1f };
enum console_flags { CONSOLE_FORCE = 1, CONSOLE_SAFE = 2 };

/* ---- start ---- */

/* The domain ends when this client does; a mark tells it to a vmmd that comes later. */
static void belong_to_client(struct session *session, struct domain *dom, unsigned flags)
{
	if (!dom || !dom->life || !(flags & START_AUTODESTROY))
		return;
	dom->autodestroy = session;
	session_set_autodestroys(session);
	supervisor_mark(dom->daemon, dom->uuid_text, SUPERVISOR_AUTODESTROY);
}

/* After lifecycle_start() the call may be answered and the domain gone: it is looked up again. */
static void start(struct call *call, const remote_domain *ref, unsigned flags, lifecycle_done *done)
{
	struct session *session = call->session;
	struct daemon *daemon = call->daemon;
	struct domain *dom = api_domain_of(call, ref);
	g_autoptr(GError) error = NULL;

	if (!dom || !api_flags(call, flags, START_KNOWN))
		return;
	if (!domain_may(dom, EV_START, &error) ||
	    (flags & START_FORCE_BOOT && !save_managed_remove(dom, &error))) {
		call_fail(call, error);
		return;
	}
	lifecycle_start(dom, NULL, flags & START_PAUSED, done, call);
	belong_to_client(session, domain_find_uuid(daemon->domains, (const uint8_t *)ref->uuid),
			 flags);
}

static void create(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	start(call, &args->dom, 0, api_done);
}

static void create_with_flags(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;

	start(call, &args->dom, args->flags, api_done_dom);
}

/* Transient, or a persistent one that runs with another definition this time. */
static void create_xml(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;
	unsigned parse = args->flags & START_VALIDATE ? DOMAIN_PARSE_VALIDATE : 0;
	struct session *session = call->session;
	struct daemon *daemon = call->daemon;
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) def = NULL;
	struct domain *dom;

	if (!api_flags(call, args->flags, START_KNOWN | START_VALIDATE))
		return;
	def = domain_def_parse(args->xml, parse, &error);
	if (!def || !domain_match(daemon->domains, def, &dom, &error) ||
	    (dom && !domain_may(dom, EV_START, &error))) {
		call_fail(call, error);
		return;
	}
	lifecycle_strip(daemon, def);
	if (!dom)
		dom = domain_new(daemon, def->uuid, def->name);
	lifecycle_start(dom, def, args->flags & START_PAUSED, api_done_dom, call);
	belong_to_client(session, domain_find_uuid(daemon->domains, def->uuid), args->flags);
}

/* ---- stop and steer ---- */

static void destroy(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		lifecycle_destroy(dom, false, api_done, call);
}

static void destroy_flags(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, DESTROY_GRACEFUL))
		lifecycle_destroy(dom, args->flags & DESTROY_GRACEFUL, api_done, call);
}

static void suspend(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		lifecycle_suspend(dom, api_done, call);
}

static void resume(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		lifecycle_resume(dom, api_done, call);
}

static void reset(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		lifecycle_reset(dom, api_done, call);
}

/* Several ways may be offered: the agent is tried first, the power button is what is left. */
struct ending {
	struct call *call;
	bool again, button;
};

static void press(struct call *call, struct domain *dom, bool again)
{
	if (again)
		lifecycle_reboot(dom, api_done, call);
	else
		lifecycle_shutdown(dom, api_done, call);
}

static void on_agent(struct json_object *ret, const char *text, const GError *error, void *opaque)
{
	g_autofree struct ending *e = opaque;
	struct domain *dom = domain_find_uuid(e->call->daemon->domains, e->call->about);

	if (error && e->button && dom)
		press(e->call, dom, e->again);
	else if (error)
		call_fail(e->call, error);
	else
		call_reply(e->call, NULL);
}

static void ask_agent(struct call *call, struct domain *dom, bool again, bool button)
{
	struct ending *e = g_new(struct ending, 1);
	struct agent_wish wish = {
		.command = again ? "{\"execute\":\"guest-shutdown\","
				   "\"arguments\":{\"mode\":\"reboot\"}}" :
				   "{\"execute\":\"guest-shutdown\"}",
		.who = session_who(call->session),
	};

	*e = (struct ending){ call, again, button };
	agent_ask(dom, &wish, on_agent, e);
}

static void end_by(struct call *call, struct domain *dom, unsigned flags, bool again)
{
	bool button = flags == 0 || flags & SHUTDOWN_ACPI;

	if (!api_flags(call, flags, SHUTDOWN_KNOWN))
		return;
	if (flags & SHUTDOWN_AGENT)
		ask_agent(call, dom, again, button);
	else if (button)
		press(call, dom, again);
	else
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: this machine has the ACPI power button and "
			       "its guest's agent: use --mode acpi or --mode agent");
}

static void shutdown_flags(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		end_by(call, dom, args->flags, false);
}

static void shutdown_plain(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		lifecycle_shutdown(dom, api_done, call);
}

static void reboot(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		end_by(call, dom, args->flags, true);
}

static bool action_set(domain_def *def, unsigned type, unsigned action, GError **error)
{
	enum domain_action *const actions[] = { &def->on_poweroff, &def->on_reboot,
						&def->on_crash };

	*actions[type] = action;
	return domain_def_check(def, error);
}

static void set_lifecycle_action(struct call *call, const void *argp)
{
	const remote_dom_lifecycle_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG))
		return;
	if (args->type > 2 || args->action >= N_DOMAIN_ACTIONS) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: lifecycle type %u, action %u", args->type,
			       args->action);
		return;
	}
	if (!api_affect(call, dom, args->flags, &affect))
		return;
	live = affect & API_LIVE ? domain_def_copy(dom->live) : NULL;
	saved = affect & API_CONFIG ? domain_def_copy(dom->saved) : NULL;
	if ((live && !action_set(live, args->type, args->action, &error)) ||
	    (saved && !action_set(saved, args->type, args->action, &error)))
		call_fail(call, error);
	else
		live_change_call(dom, g_steal_pointer(&live), g_steal_pointer(&saved), call);
}

/* ---- console ---- */

static void open_console(struct call *call, const void *argp)
{
	const remote_dom_opt_text_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	const char *device = args->text ? *args->text : "";

	if (!dom || !api_flags(call, args->flags, CONSOLE_FORCE | CONSOLE_SAFE | CONSOLE_WATCH))
		return;
	console_open(call, dom, device, args->flags & CONSOLE_WATCH ? WORKER_CONSOLE_READ :
		     args->flags & CONSOLE_FORCE ? WORKER_CONSOLE_TAKE_OVER : WORKER_CONSOLE_WRITE,
		     true);
}

static void open_channel(struct call *call, const void *argp)
{
	const remote_dom_opt_text_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	const struct chardev_def *first;

	if (!dom || !api_flags(call, args->flags, CONSOLE_FORCE))
		return;
	if (!dom->live || dom->live->channels->len == 0) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: domain '%s' has no channel", dom->name);
		return;
	}
	first = g_ptr_array_index(dom->live->channels, 0);
	console_open(call, dom, args->text ? *args->text : first->alias,
		     args->flags & CONSOLE_FORCE ? WORKER_CONSOLE_TAKE_OVER : WORKER_CONSOLE_WRITE,
		     true);
}

const struct api_entry api_life[] = {
	{ REMOTE_PROC_DOMAIN_CREATE, create },
	{ REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS, create_with_flags },
	{ REMOTE_PROC_DOMAIN_CREATE_XML, create_xml },
	{ REMOTE_PROC_DOMAIN_DESTROY, destroy },
	{ REMOTE_PROC_DOMAIN_DESTROY_FLAGS, destroy_flags },
	{ REMOTE_PROC_DOMAIN_SUSPEND, suspend },
	{ REMOTE_PROC_DOMAIN_RESUME, resume },
	{ REMOTE_PROC_DOMAIN_SHUTDOWN, shutdown_plain },
	{ REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, shutdown_flags },
	{ REMOTE_PROC_DOMAIN_REBOOT, reboot },
	{ REMOTE_PROC_DOMAIN_RESET, reset },
	{ REMOTE_PROC_DOMAIN_SET_LIFECYCLE_ACTION, set_lifecycle_action },
	{ REMOTE_PROC_DOMAIN_OPEN_CONSOLE, open_console },
	{ REMOTE_PROC_DOMAIN_OPEN_CHANNEL, open_channel },
	{ 0 }
};
