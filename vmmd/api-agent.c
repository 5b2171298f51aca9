/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that a guest's agent does, each by one command of QEMU's guest agent protocol. */
#include "config.h"

#include <string.h>

#include "images/agent/object.h"
#include "libvmm/rpc/procother.h"
#include "vmmd/agent-call.h"
#include "vmmd/api.h"

#define NS INT64_C(1000000000)
#define LONGEST_S 3600

/* of seconds, instead of them */
enum timeouts { TIMEOUT_BLOCK = -2, TIMEOUT_DEFAULT = -1, TIMEOUT_NOWAIT = 0 };
enum { BLOCK_S = 600 };		/* a guest that never answers must not be waited for for ever */
enum { TIME_SYNC = 1 };
enum { PASSWORD_ENCRYPTED = 1 };
enum keys_flags { KEYS_APPEND = 1, KEYS_REMOVE = 2 };

static struct json_object *texts(char *const *names, unsigned n)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < n; i++)
		json_object_array_add(list, json_object_new_string(names[i]));
	return list;
}

/* ---- file systems ---- */

static void reply_count(struct call *call, struct domain *dom, struct json_object *ret)
{
	int64_t n = json_object_get_int64(ret);
	remote_int_ret wire = { .num = (int)CLAMP(n, 0, G_MAXINT) };

	if (json_object_is_type(ret, json_type_int))
		call_reply(call, &wire);
	else
		agent_call_odd(call);
}

static void freeze(struct call *call, const void *argp)
{
	const remote_dom_names_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	unsigned n = args->names.names_len;
	struct json_object *o;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (n == 0) {
		agent_call(call, dom, "guest-fsfreeze-freeze", NULL, AGENT_SLOW_MS, reply_count);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "mountpoints", texts(args->names.names_val, n));
	agent_call(call, dom, "guest-fsfreeze-freeze-list", o, AGENT_SLOW_MS, reply_count);
}

/* Some of the frozen ones can't be thawed alone: all are, as everywhere. */
static void thaw(struct call *call, const void *argp)
{
	const remote_dom_names_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		agent_call(call, dom, "guest-fsfreeze-thaw", NULL, AGENT_SLOW_MS, reply_count);
}

static void trim(struct call *call, const void *argp)
{
	const remote_fstrim_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct json_object *o;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (args->mountPoint) {
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: all file systems are trimmed, not '%s' alone",
			       *args->mountPoint);
		return;
	}
	o = json_object_new_object();
	object_put_number(o, "minimum", (int64_t)MIN(args->minimum, G_MAXINT64));
	agent_call(call, dom, "guest-fstrim", o, AGENT_SLOW_MS, NULL);
}

/* ---- the clock ---- */

static void reply_time(struct call *call, struct domain *dom, struct json_object *ret)
{
	int64_t ns = json_object_get_int64(ret);
	remote_time_ret wire = { .seconds = ns / NS, .nseconds = (u_int)(ns % NS) };

	if (json_object_is_type(ret, json_type_int) && ns >= 0)
		call_reply(call, &wire);
	else
		agent_call_odd(call);
}

static void get_time(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		agent_call(call, dom, "guest-get-time", NULL, 0, reply_time);
}

static void set_time(struct call *call, const void *argp)
{
	const remote_set_time_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct json_object *o = NULL;

	if (!dom || !api_flags(call, args->flags, TIME_SYNC))
		return;
	if (args->seconds < 0 || args->seconds >= G_MAXINT64 / NS || args->nseconds >= NS) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: a guest's clock goes from 1970 to 2262");
		return;
	}
	if (!(args->flags & TIME_SYNC)) {
		o = json_object_new_object();
		object_put_number(o, "time", args->seconds * NS + args->nseconds);
	}
	agent_call(call, dom, "guest-set-time", o, 0, NULL);
}

/* ---- accounts ---- */

static void set_password(struct call *call, const void *argp)
{
	const remote_set_password_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	const char *password = args->password ? *args->password : "";
	g_autofree char *coded = g_base64_encode((const guchar *)password, strlen(password));
	struct json_object *o;

	if (!dom || !api_flags(call, args->flags, PASSWORD_ENCRYPTED))
		return;
	o = json_object_new_object();
	object_put_text(o, "username", args->user ? *args->user : "root");
	object_put_text(o, "password", coded);
	json_object_object_add(o, "crypted",
			       json_object_new_boolean(args->flags & PASSWORD_ENCRYPTED));
	agent_call(call, dom, "guest-set-user-password", o, 0, NULL);
}

static void reply_keys(struct call *call, struct domain *dom, struct json_object *ret)
{
	struct json_object *list = json_object_is_type(ret, json_type_object) ?
					   json_object_object_get(ret, "keys") : NULL;
	size_t n = guest_list(list, REMOTE_NAMES_MAX);
	g_autofree char **keys = g_new0(char *, n);
	remote_names_ret wire = { .names = { 0, keys } };

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		if (json_object_is_type(o, json_type_string))
			keys[wire.names.names_len++] = (char *)json_object_get_string(o);
	}
	call_reply(call, &wire);
}

static void get_keys(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct json_object *o;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	o = json_object_new_object();
	object_put_text(o, "username", args->text);
	agent_call(call, dom, "guest-ssh-get-authorized-keys", o, 0, reply_keys);
}

/* virsh sends what follows a file's last newline, too. */
static struct json_object *lines(char *const *keys, unsigned n)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < n; i++) {
		if (*keys[i])
			json_object_array_add(list, json_object_new_string(keys[i]));
	}
	return list;
}

static void set_keys(struct call *call, const void *argp)
{
	const remote_ssh_keys_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	bool remove = args->flags & KEYS_REMOVE, append = args->flags & KEYS_APPEND;
	struct json_object *o;

	if (!dom || !api_flags(call, args->flags, KEYS_APPEND | KEYS_REMOVE))
		return;
	o = json_object_new_object();
	object_put_text(o, "username", args->user);
	json_object_object_add(o, "keys", lines(args->keys.keys_val, args->keys.keys_len));
	if (!remove)
		json_object_object_add(o, "reset", json_object_new_boolean(!append));
	agent_call(call, dom, remove ? "guest-ssh-remove-authorized-keys" :
				       "guest-ssh-add-authorized-keys", o, 0, NULL);
}

/* ---- names ---- */

static void reply_host_name(struct call *call, struct domain *dom, struct json_object *ret)
{
	const char *name = json_object_is_type(ret, json_type_object) ?
				   object_text(ret, "host-name") : NULL;
	remote_text_ret wire = { .text = (char *)name };

	if (name)
		call_reply(call, &wire);
	else
		agent_call_odd(call);
}

static void get_host_name(struct call *call, const void *argp)
{
	enum { LEASE = 1, AGENT = 2 };
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (!dom || !api_flags(call, args->flags, LEASE | AGENT))
		return;
	if (args->flags == LEASE)
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: names of leases are in 'net-dhcp-leases'; "
			       "here is '--source agent'");
	else if (agent_allowed(call, dom))
		agent_call(call, dom, "guest-get-host-name", NULL, 0, reply_host_name);
}

/* ---- what there is none of ---- */

static void no_vcpus(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	if (api_active_of(call, &args->dom))
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: a guest's vCPUs are not taken from it while "
			       "it runs: 'vcpucount', and 'setvcpus --config' for the next start");
}

static void no_qemu(struct call *call, const void *argp)
{
	call_fail_text(call, VMM_ERR_NO_SUPPORT,
		       "this function is not supported by the connection driver: "
		       "there is no QEMU behind this machine");
}

/* ---- any command ---- */

static void set_timeout(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	remote_int_ret wire = { 0 };

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (args->num < TIMEOUT_BLOCK || args->num > LONGEST_S) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: a timeout has -2 to %d seconds", LONGEST_S);
		return;
	}
	dom->agent_timeout_s = args->num == TIMEOUT_BLOCK   ? BLOCK_S :
			       args->num == TIMEOUT_DEFAULT ? 0 :
							      MAX(args->num, 1);
	call_reply(call, &wire);
}

static void on_command(struct json_object *ret, const char *text, const GError *error,
		       void *opaque)
{
	remote_text line = (char *)text;
	remote_opt_text_ret wire = { .text = &line };

	if (!opaque)
		return;			/* answered already */
	if (error)
		call_fail(opaque, error);
	else
		call_reply(opaque, &wire);
}

static void command(struct call *call, const void *argp)
{
	const remote_agent_command_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	bool nowait = args->timeout == TIMEOUT_NOWAIT;
	struct agent_wish wish = { .command = args->command };
	remote_text empty = (char *)"";
	remote_opt_text_ret none = { &empty };	/* NULL is what virsh takes for a failure */

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (args->timeout < TIMEOUT_BLOCK || args->timeout > LONGEST_S) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: a timeout has -2 to %d seconds", LONGEST_S);
		return;
	}
	wish.who = session_who(call->session);
	wish.timeout_ms = args->timeout == TIMEOUT_BLOCK ? BLOCK_S * 1000 :
			  args->timeout > 0		 ? (unsigned)args->timeout * 1000 : 0;
	agent_ask(dom, &wish, on_command, nowait ? NULL : call);
	if (nowait)
		call_reply(call, &none);
}

const struct api_entry api_agent[] = {
	{ REMOTE_PROC_DOMAIN_FSFREEZE, freeze },
	{ REMOTE_PROC_DOMAIN_FSTHAW, thaw },
	{ REMOTE_PROC_DOMAIN_FSTRIM, trim },
	{ REMOTE_PROC_DOMAIN_GET_TIME, get_time },
	{ REMOTE_PROC_DOMAIN_SET_TIME, set_time },
	{ REMOTE_PROC_DOMAIN_SET_USER_PASSWORD, set_password },
	{ REMOTE_PROC_DOMAIN_GET_GUEST_VCPUS, no_vcpus },
	{ REMOTE_PROC_DOMAIN_SET_GUEST_VCPUS, no_vcpus },
	{ REMOTE_PROC_DOMAIN_AGENT_SET_RESPONSE_TIMEOUT, set_timeout },
	{ REMOTE_PROC_DOMAIN_AUTHORIZED_SSH_KEYS_GET, get_keys },
	{ REMOTE_PROC_DOMAIN_AUTHORIZED_SSH_KEYS_SET, set_keys },
	{ REMOTE_PROC_DOMAIN_GET_HOSTNAME, get_host_name },
	{ 0 }
};

const struct api_entry api_qemu[] = {
	{ QEMU_PROC_DOMAIN_MONITOR_COMMAND, no_qemu },
	{ QEMU_PROC_CONNECT_DOMAIN_ATTACH, no_qemu },
	{ QEMU_PROC_DOMAIN_AGENT_COMMAND, command },
	{ QEMU_PROC_CONNECT_DOMAIN_MONITOR_EVENT_REGISTER, no_qemu },
	{ QEMU_PROC_CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER, no_qemu },
	{ QEMU_PROC_DOMAIN_MONITOR_COMMAND_WITH_FILES, no_qemu },
	{ 0 }
};
