/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Procedures for which a guest's agent would be asked.  There is none: they say
 * so with the code by which clients know that, and each looks at its domain only.
 */
#include "config.h"

#include "libvmm/rpc/procother.h"
#include "vmmd/api.h"

static void no_agent(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	if (api_active_of(call, &args->dom))
		call_fail_text(call, VMM_ERR_AGENT,
			       "Guest agent is not responding: QEMU guest agent is not connected");
}

static void no_qemu(struct call *call, const void *argp)
{
	call_fail_text(call, VMM_ERR_NO_SUPPORT,
		       "this function is not supported by the connection driver: "
		       "there is no QEMU behind this machine");
}

const struct api_entry api_agent[] = {
	{ REMOTE_PROC_DOMAIN_FSFREEZE, no_agent },
	{ REMOTE_PROC_DOMAIN_FSTHAW, no_agent },
	{ REMOTE_PROC_DOMAIN_FSTRIM, no_agent },
	{ REMOTE_PROC_DOMAIN_GET_FSINFO, no_agent },
	{ REMOTE_PROC_DOMAIN_GET_TIME, no_agent },
	{ REMOTE_PROC_DOMAIN_SET_TIME, no_agent },
	{ REMOTE_PROC_DOMAIN_SET_USER_PASSWORD, no_agent },
	{ REMOTE_PROC_DOMAIN_GET_GUEST_INFO, no_agent },
	{ REMOTE_PROC_DOMAIN_GET_GUEST_VCPUS, no_agent },
	{ REMOTE_PROC_DOMAIN_SET_GUEST_VCPUS, no_agent },
	{ REMOTE_PROC_DOMAIN_AGENT_SET_RESPONSE_TIMEOUT, no_agent },
	{ REMOTE_PROC_DOMAIN_AUTHORIZED_SSH_KEYS_GET, no_agent },
	{ REMOTE_PROC_DOMAIN_AUTHORIZED_SSH_KEYS_SET, no_agent },
	{ REMOTE_PROC_DOMAIN_GET_HOSTNAME, no_agent },
	{ 0 }
};

const struct api_entry api_qemu[] = {
	{ QEMU_PROC_DOMAIN_MONITOR_COMMAND, no_qemu },
	{ QEMU_PROC_CONNECT_DOMAIN_ATTACH, no_qemu },
	{ QEMU_PROC_DOMAIN_AGENT_COMMAND, no_agent },
	{ QEMU_PROC_CONNECT_DOMAIN_MONITOR_EVENT_REGISTER, no_qemu },
	{ QEMU_PROC_CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER, no_qemu },
	{ QEMU_PROC_DOMAIN_MONITOR_COMMAND_WITH_FILES, no_qemu },
	{ 0 }
};
