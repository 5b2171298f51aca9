/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decode, permit, call: the procedure tables of the protocol meet our functions. */
#include "config.h"
#include "vmmd/dispatch.h"

#include "libvmm/rpc/procother.h"
#include "libvmm/rpc/vmmtab.h"
#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/lifecycle.h"
#include "vmmd/logbook.h"
#include "vmmd/owner.h"
#include "vmmd/refusal.h"
#include "vmmd/store.h"

struct procedure {
	const char *name;
	xdrproc_t args, ret;
	size_t args_bytes;
	enum remote_need need;
};

#define PROCEDURE(nr, name_, args_, ret_, need_) \
	[nr] = { #name_, (xdrproc_t)xdr_remote_##args_, (xdrproc_t)xdr_remote_##ret_, \
		 sizeof(remote_##args_), REMOTE_##need_ },

#define OWN_PROCEDURE(nr, name_, args_, ret_, need_) \
	[nr] = { #name_, (xdrproc_t)xdr_##args_, (xdrproc_t)xdr_##ret_, sizeof(args_), \
		 REMOTE_##need_ },

static const struct procedure procedures[REMOTE_PROC_MAX + 1] = { REMOTE_PROCEDURES(PROCEDURE) };
static const struct procedure own_procedures[VMM_PROC_MAX + 1] = { VMM_PROCEDURES(OWN_PROCEDURE) };

/* libvirt's program for what only QEMU has. */
#define QEMU_PROCEDURE(nr, name_, args_, ret_) \
	[nr] = { #name_, (xdrproc_t)xdr_remote_##args_, (xdrproc_t)xdr_remote_##ret_, \
		 sizeof(remote_##args_), REMOTE_WRITE },

static const struct procedure qemu_procedures[] = { QEMU_PROCEDURES(QEMU_PROCEDURE) };

static const struct api_entry *const remote_tables[] = {
	api_domain, api_life, api_stats, api_bulk, api_host, api_events, api_define, api_tune,
	api_nodedev, api_network, api_storage, api_snapshot, api_block, api_save, api_volume,
	api_iface, api_agent, api_guest, api_cpu, api_limit, api_pin, api_device,
	api_nothing, NULL
};
static const struct api_entry *const own_tables[] = {
	api_console, api_doctor, api_history, api_image, api_log, api_plan, api_port, NULL
};
static const struct api_entry *const qemu_tables[] = { api_qemu, NULL };

static const struct program {
	uint32_t number;
	const struct procedure *procedures;
	int max;
	const struct api_entry *const *tables;
} programs[] = {
	{ FRAME_PROGRAM_REMOTE, procedures, REMOTE_PROC_MAX, remote_tables },
	{ FRAME_PROGRAM_VMM, own_procedures, VMM_PROC_MAX, own_tables },
	{ FRAME_PROGRAM_QEMU, qemu_procedures, ARRAY_SIZE(qemu_procedures) - 1, qemu_tables },
};

static const struct program *program_find(uint32_t number)
{
	for (unsigned i = 0; i < ARRAY_SIZE(programs); i++)
		if (programs[i].number == number)
			return &programs[i];
	return NULL;
}

bool dispatch_knows(uint32_t program)
{
	return program_find(program) != NULL;
}

static const struct procedure *procedure_find(const struct frame_header *hdr)
{
	const struct program *program = program_find(hdr->program);
	int nr = hdr->procedure;

	if (!program || nr <= 0 || nr > program->max || !program->procedures[nr].name)
		return NULL;
	return &program->procedures[nr];
}

static api_fn *handler_find(const struct frame_header *hdr)
{
	const struct api_entry *const *tables = program_find(hdr->program)->tables;

	for (; *tables; tables++)
		for (const struct api_entry *e = *tables; e->procedure; e++)
			if (e->procedure == hdr->procedure)
				return e->fn;
	return NULL;
}

/* What is known but not here has its name; clients fall back on older calls for both. */
static void refuse(struct call *call)
{
	const bool remote = call->hdr.program == FRAME_PROGRAM_REMOTE;
	const char *name = remote ? refusal_name(call->hdr.procedure) : NULL;
	const char *why = name ? refusal_reason(name) : NULL;

	if (name)
		call_fail_text(call, VMM_ERR_NO_SUPPORT,
			       "this function is not supported by the connection driver: %s%s%s",
			       name, why ? ": " : "", why ?: "");
	else
		call_fail_text(call, VMM_ERR_RPC, "unknown procedure: %d", call->hdr.procedure);
}

/* May be the owner's, whose domain it is is seen when it is known (owned()). */
static bool owner_calls(const struct call *call)
{
	return call->hdr.program == FRAME_PROGRAM_REMOTE && owner_may(call->hdr.procedure) &&
	       session_owns(call->session);
}

/* Before the arguments are read: the domain is the first of them. */
static bool owned(struct call *call, const struct procedure *p, const struct rpc_message *msg)
{
	const xdrproc_t proc = (xdrproc_t)xdr_remote_dom_args;
	const struct domain *dom = NULL;
	remote_dom_args args = { 0 };

	if (p->need != REMOTE_WRITE || !session_readonly(call->session))
		return true;
	if (rpc_message_decode(msg, proc, &args, NULL)) {
		dom = domain_find_uuid(call->daemon->domains, (const uint8_t *)args.dom.uuid);
		frame_free(proc, &args);
	}
	if (dom && owner_is(dom, session_uid(call->session)))
		return true;
	call_fail_text(call, VMM_ERR_OPERATION_DENIED,
		       "operation %s is forbidden for read only access, but for the owner of a "
		       "domain", p->name);
	return false;
}

static bool permitted(struct call *call, const struct procedure *p)
{
	struct session *s = call->session;

	if (p->need >= REMOTE_READ && !session_is_open(s)) {
		call_fail_text(call, VMM_ERR_INTERNAL,
			       "internal error: the connection is not open");
		return false;
	}
	if (p->need == REMOTE_WRITE && session_readonly(s) && !owner_calls(call)) {
		call_fail_text(call, VMM_ERR_OPERATION_DENIED,
			       "operation %s is forbidden for read only access", p->name);
		return false;
	}
	return true;
}

/* ---- who did what ---- */

/* They change nothing that anybody would look for later, and come often. */
static bool is_noted(const struct frame_header *hdr, const struct procedure *p)
{
	if (p->need != REMOTE_WRITE)
		return false;
	return hdr->program != FRAME_PROGRAM_VMM ||
	       (hdr->procedure != VMM_PROC_CONSOLE_RESIZE &&
		hdr->procedure != VMM_PROC_CONSOLE_LOG && hdr->procedure != VMM_PROC_DOMAIN_PLAN);
}

static void cut_suffix(char *text, const char *suffix)
{
	if (g_str_has_suffix(text, suffix))
		text[strlen(text) - strlen(suffix)] = 0;
}

/* As people say it: "DOMAIN_DESTROY_FLAGS" is "destroy", what libvirt calls create is "start". */
static char *call_name(const struct call *call)
{
	const char *name = procedure_find(&call->hdr)->name;
	bool of_domain = g_str_has_prefix(name, "DOMAIN_");
	g_autofree char *text = g_ascii_strdown(of_domain ? name + strlen("DOMAIN_") : name, -1);

	cut_suffix(text, "_flags");
	cut_suffix(text, "_with");
	g_strdelimit(text, "_", '-');
	return of_domain && g_str_equal(text, "create") ? g_strdup("start") :
							  g_steal_pointer(&text);
}

void dispatch_log(const struct call *call, const GError *error)
{
	const struct domain *dom =
		call->has_domain ? domain_find_uuid(call->daemon->domains, call->about) : NULL;
	enum log_level level = error ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTE;
	const char *event = error ? "failed" : "done";
	g_autofree char *name = call_name(call);
	g_autofree char *text = error ? g_strdup_printf("%s: %s", name, error->message) :
					g_strdup(name);

	if (dom)
		logbook_domain(dom, level, event, call->who, "%s", text);
	else
		logbook_add(call->daemon->logbook, call->has_domain ? call->about : NULL, level,
			    event, call->who, text);
}

/* ---- a call ---- */

void dispatch(struct call *call, struct rpc_message *msg)
{
	const struct procedure *p = procedure_find(&msg->hdr);
	g_autoptr(GError) error = NULL;
	g_autofree void *args = NULL;
	struct store *store;
	api_fn *fn;

	if (p && !permitted(call, p))
		return;
	fn = p ? handler_find(&msg->hdr) : NULL;
	if (!fn) {
		refuse(call);
		return;
	}
	if (!owned(call, p, msg))
		return;
	args = g_malloc0(p->args_bytes);
	if (!rpc_message_decode(msg, p->args, args, &error)) {
		call_fail(call, error);
		return;
	}
	call->ret_proc = p->ret;
	if (is_noted(&msg->hdr, p))
		call->who = g_strdup(session_who(call->session));
	call->writes = p->need == REMOTE_WRITE;
	/* The call, and its client, may be gone when it returns. */
	store = call->daemon->store;
	store_set_author(store, session_who(call->session));
	fn(call, args);
	store_set_author(store, NULL);
	frame_free(p->args, args);
}

/* ---- what handlers share ---- */

struct domain *api_domain_of(struct call *call, const remote_domain *ref)
{
	struct domain *dom = domain_find_uuid(call->daemon->domains, (const uint8_t *)ref->uuid);
	char uuid[UUID_TEXT_BYTES];

	if (dom && owner_sees(call->session, dom)) {
		memcpy(call->about, dom->uuid, UUID_BYTES);
		call->has_domain = true;
		return dom;
	}
	uuid_to_text((const uint8_t *)ref->uuid, uuid);
	call_fail_text(call, VMM_ERR_NO_DOMAIN,
		       "Domain not found: no domain with matching uuid '%s' (%s)", uuid, ref->name);
	return NULL;
}

bool api_sees_all(struct call *call)
{
	if (!owner_misses(call->session, call->daemon))
		return true;
	call_fail_text(call, VMM_ERR_OPERATION_DENIED,
		       "operation %s is forbidden here: it tells of domains that belong to others",
		       procedure_find(&call->hdr)->name);
	return false;
}

struct domain *api_active_of(struct call *call, const remote_domain *ref)
{
	struct domain *dom = api_domain_of(call, ref);

	if (!dom || dom->link)
		return dom;
	call_fail_text(call, VMM_ERR_OPERATION_INVALID,
		       "Requested operation is not valid: domain '%s' is not running", dom->name);
	return NULL;
}

bool api_flags(struct call *call, unsigned flags, unsigned known)
{
	if ((flags & ~known) == 0)
		return true;
	call_fail_text(call, VMM_ERR_INVALID_ARG,
		       "invalid argument: unsupported flags (0x%x) in procedure %s", flags & ~known,
		       procedure_find(&call->hdr)->name);
	return false;
}

bool api_affect(struct call *call, struct domain *dom, unsigned flags, unsigned *ret)
{
	bool active = state_is_active(dom->state);
	unsigned affect = flags & (API_LIVE | API_CONFIG);

	if (affect == 0)
		affect = active ? API_LIVE : API_CONFIG;
	if (affect & API_LIVE && !active) {
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: domain '%s' is not running",
			       dom->name);
		return false;
	}
	if (affect & API_LIVE && !dom->live) {
		call_fail_text(call, VMM_ERR_OPERATION_FAILED,
			       "operation failed: the worker of domain '%s' does not answer",
			       dom->name);
		return false;
	}
	if (affect & API_CONFIG && !dom->saved) {
		g_autoptr(GError) error = NULL;

		domain_need_saved(dom, &error);
		call_fail(call, error);
		return false;
	}
	*ret = affect;
	return true;
}

const domain_def *api_def_of(struct call *call, const remote_domain *ref, unsigned flags,
			     unsigned known)
{
	struct domain *dom = api_domain_of(call, ref);
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG | known) ||
	    !api_affect(call, dom, flags, &affect))
		return NULL;
	return affect & API_LIVE ? dom->live : dom->saved;
}

remote_domain api_ref(const struct domain *dom)
{
	remote_domain ref = { .name = dom->name, .id = dom->id };

	memcpy(ref.uuid, dom->uuid, UUID_BYTES);
	return ref;
}

void api_done(struct domain *dom, const GError *error, void *opaque)
{
	if (error)
		call_fail(opaque, error);
	else
		call_reply(opaque, NULL);
}

void api_done_dom(struct domain *dom, const GError *error, void *opaque)
{
	remote_dom_ret ret = { .dom = api_ref(dom) };

	if (error)
		call_fail(opaque, error);
	else
		call_reply(opaque, &ret);
}

void api_link_done(const void *ret, const GError *error, void *opaque)
{
	api_done(NULL, error, opaque);
}
