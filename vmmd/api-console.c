/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own program on consoles and on the agent's channel. */
#include "config.h"

#include "vmmd/agent.h"
#include "vmmd/api.h"
#include "vmmd/console-log.h"
#include "vmmd/console.h"
#include "vmmd/link.h"

static const char *device_of(const remote_opt_text device)
{
	return device ? *device : "";
}

static void console_attach(struct call *call, const void *argp)
{
	static const unsigned modes[] = {
		[VMM_WIRE_CONSOLE_WRITE] = WORKER_CONSOLE_WRITE,
		[VMM_WIRE_CONSOLE_TAKE_OVER] = WORKER_CONSOLE_TAKE_OVER,
		[VMM_WIRE_CONSOLE_WATCH] = WORKER_CONSOLE_READ,
	};
	const vmm_console_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (!dom || !api_flags(call, args->flags, VMM_WIRE_CONSOLE_NEW))
		return;
	if (args->mode >= G_N_ELEMENTS(modes)) {
		call_fail_text(call, VMM_ERR_INVALID_ARG, "invalid argument: console mode %u",
			       args->mode);
		return;
	}
	console_open(call, dom, device_of(args->device), modes[args->mode],
		     !(args->flags & VMM_WIRE_CONSOLE_NEW));
}

static void console_log(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		console_log_send(call, dom);
}

static void console_resize(struct call *call, const void *argp)
{
	const vmm_window_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	worker_window_args window = {
		(char *)device_of(args->device), args->columns, args->rows,
	};

	if (!dom)
		return;
	if (console_is_writer(call->session, dom, window.device))
		link_console_resize(dom->link, &window, api_link_done, call);
	else
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: the size of a console is that of "
			       "the terminal of who types on it: open it for writing first");
}

static void agent_open(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom)
		agent_relay(call, dom);
}

static void vsock_open(struct call *call, const void *argp)
{
	const vmm_vsock_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom)
		agent_relay_port(call, dom, args->port);
}

const struct api_entry api_console[] = {
	{ VMM_PROC_AGENT_OPEN, agent_open },
	{ VMM_PROC_VSOCK_OPEN, vsock_open },
	{ VMM_PROC_CONSOLE_ATTACH, console_attach },
	{ VMM_PROC_CONSOLE_LOG, console_log },
	{ VMM_PROC_CONSOLE_RESIZE, console_resize },
	{ 0 },
};
