/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that list, look up and describe domains. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/lifecycle.h"
#include "vmmd/link.h"
#include "vmmd/owner.h"

/* ---- lists ---- */

/*
 * CONNECT_LIST_ALL_DOMAINS: bits of a group are or-ed, groups are and-ed, an
 * empty group does not filter.
 */
enum list_filter {
	LIST_ACTIVE = 1, LIST_INACTIVE = 2,
	LIST_PERSISTENT = 4, LIST_TRANSIENT = 8,
	LIST_RUNNING = 0x10, LIST_PAUSED = 0x20, LIST_SHUTOFF = 0x40, LIST_OTHER = 0x80,
	LIST_SAVED = 0x100, LIST_NOT_SAVED = 0x200,
	LIST_AUTOSTART = 0x400, LIST_NO_AUTOSTART = 0x800,
	LIST_SNAPSHOT = 0x1000, LIST_NO_SNAPSHOT = 0x2000,
	LIST_CHECKPOINT = 0x4000, LIST_NO_CHECKPOINT = 0x8000,
	LIST_KNOWN = 0xffff,
};

static unsigned list_bits(const struct domain *dom)
{
	static const unsigned state_bits[] = {
		[WIRE_RUNNING] = LIST_RUNNING,
		[WIRE_PAUSED] = LIST_PAUSED,
		[WIRE_SHUTOFF] = LIST_SHUTOFF,
		[WIRE_CRASHED] = LIST_OTHER,
	};
	unsigned state = state_bits[state_to_wire(dom->state)] ?: LIST_OTHER;

	return state | (state_is_active(dom->state) ? LIST_ACTIVE : LIST_INACTIVE) |
	       (dom->persistent ? LIST_PERSISTENT : LIST_TRANSIENT) |
	       (dom->state == DOMAIN_SAVED ? LIST_SAVED : LIST_NOT_SAVED) |
	       (dom->autostart ? LIST_AUTOSTART : LIST_NO_AUTOSTART) |
	       (dom->snapshots ? LIST_SNAPSHOT : LIST_NO_SNAPSHOT) | LIST_NO_CHECKPOINT;
}

static bool list_matches(const struct domain *dom, unsigned flags)
{
	static const unsigned groups[] = {
		LIST_ACTIVE | LIST_INACTIVE, LIST_PERSISTENT | LIST_TRANSIENT,
		LIST_RUNNING | LIST_PAUSED | LIST_SHUTOFF | LIST_OTHER, LIST_SAVED | LIST_NOT_SAVED,
		LIST_AUTOSTART | LIST_NO_AUTOSTART, LIST_SNAPSHOT | LIST_NO_SNAPSHOT,
		LIST_CHECKPOINT | LIST_NO_CHECKPOINT,
	};
	unsigned bits = list_bits(dom);

	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		if (flags & groups[i] && !(flags & groups[i] & bits))
			return false;
	return true;
}

GPtrArray *api_list(struct call *call, unsigned flags)
{
	GPtrArray *list = domain_table_peek(call->daemon->domains);
	unsigned kept = 0;

	owner_filter(call->session, call->daemon, list);
	for (unsigned i = 0; i < list->len; i++)
		if (list_matches(g_ptr_array_index(list, i), flags))
			list->pdata[kept++] = list->pdata[i];
	g_ptr_array_set_size(list, (int)MIN(kept, (unsigned)REMOTE_DOMAINS_MAX));
	return list;
}

static void list_all(struct call *call, const void *argp)
{
	const remote_list_args *args = argp;
	g_autoptr(GPtrArray) list = NULL;
	g_autofree remote_domain *refs = NULL;
	remote_domains_ret ret = { 0 };

	if (!api_flags(call, args->flags, LIST_KNOWN))
		return;
	list = api_list(call, args->flags);
	ret.ret = list->len;
	if (args->need_results) {
		refs = g_new(remote_domain, list->len + 1);
		for (unsigned i = 0; i < list->len; i++)
			refs[i] = api_ref(g_ptr_array_index(list, i));
		ret.domains.domains_len = list->len;
		ret.domains.domains_val = refs;
	}
	call_reply(call, &ret);
}

static void count(struct call *call, unsigned flags)
{
	g_autoptr(GPtrArray) list = api_list(call, flags);

	call_reply(call, &(remote_int_ret){ .num = (int)list->len });
}

static void num_active(struct call *call, const void *argp)
{
	count(call, LIST_ACTIVE);
}

static void num_inactive(struct call *call, const void *argp)
{
	count(call, LIST_INACTIVE);
}

static void list_ids(struct call *call, const void *argp)
{
	const remote_int_args *args = argp;
	g_autoptr(GPtrArray) list = api_list(call, LIST_ACTIVE);
	g_autofree int *ids = g_new(int, list->len + 1);
	unsigned n = MIN(list->len, (unsigned)MAX(args->num, 0));

	for (unsigned i = 0; i < n; i++)
		ids[i] = ((struct domain *)g_ptr_array_index(list, i))->id;
	call_reply(call, &(remote_ids_ret){ .ids = { n, ids } });
}

static void list_names(struct call *call, const void *argp)
{
	const remote_int_args *args = argp;
	g_autoptr(GPtrArray) list = api_list(call, LIST_INACTIVE);
	g_autofree remote_text *names = g_new(remote_text, list->len + 1);
	unsigned n = MIN(list->len, (unsigned)MAX(args->num, 0));

	for (unsigned i = 0; i < n; i++)
		names[i] = ((struct domain *)g_ptr_array_index(list, i))->name;
	call_reply(call, &(remote_names_ret){ .names = { n, names } });
}

/* ---- look-ups ---- */

static void reply_domain(struct call *call, struct domain *dom, const char *what,
			 const char *wanted)
{
	if (dom && owner_sees(call->session, dom))
		call_reply(call, &(remote_dom_ret){ .dom = api_ref(dom) });
	else
		call_fail_text(call, VMM_ERR_NO_DOMAIN,
			       "Domain not found: no domain with matching %s '%s'", what, wanted);
}

static void lookup_name(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	reply_domain(call, domain_find_name(call->daemon->domains, args->name), "name", args->name);
}

static void lookup_uuid(struct call *call, const void *argp)
{
	const remote_uuid_args *args = argp;
	char text[UUID_TEXT_BYTES];

	uuid_to_text((const uint8_t *)args->uuid, text);
	reply_domain(call, domain_find_uuid(call->daemon->domains, (const uint8_t *)args->uuid),
		     "uuid", text);
}

static void lookup_id(struct call *call, const void *argp)
{
	const remote_int_args *args = argp;
	char text[16];

	g_snprintf(text, sizeof(text), "%d", args->num);
	reply_domain(call, domain_find_id(call->daemon->domains, args->num), "id", text);
}

/* ---- facts ---- */

static void reply_int(struct call *call, int num)
{
	call_reply(call, &(remote_int_ret){ .num = num });
}

static void is_active(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		reply_int(call, state_is_active(dom->state));
}

static void is_persistent(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		reply_int(call, dom->persistent);
}

/* Was the saved definition changed since the start? */
static void is_updated(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autofree char *as_saved = NULL, *saved = NULL;

	if (!dom)
		return;
	if (dom->live && dom->persistent)
		as_saved = domain_def_format(dom->live, 0);
	saved = as_saved ? domain_saved_xml(dom) : NULL;
	reply_int(call, as_saved && g_strcmp0(as_saved, saved) != 0);
}

struct info {
	struct call *call;
	struct domain *dom;
};

static void info_reply(struct call *call, const struct domain *dom, uint64_t cpu_ns)
{
	const domain_def *def = domain_def_now(dom);
	remote_domain_info_ret ret = { .state = state_to_wire(dom->state), .cpuTime = cpu_ns };

	if (def) {
		ret.maxMem = def->memory_bytes / 1024;
		ret.memory = dom->balloon_kib ?: def->current_bytes / 1024;
		ret.nrVirtCpu = def->vcpus;
	}
	call_reply(call, &ret);
}

/* A worker that does not answer is no reason to hide what else is known. */
static void on_info_stats(const void *data, const GError *error, void *opaque)
{
	g_autofree struct info *info = opaque;
	const worker_stats_ret *stats = data;

	if (stats && stats->balloon_kib)
		info->dom->balloon_kib = stats->balloon_kib;
	info_reply(info->call, info->dom, stats ? stats->cpu_ns : 0);
}

static void get_info(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	struct info *info;

	if (!dom)
		return;
	if (!dom->link || dom->state == DOMAIN_STARTING) {
		info_reply(call, dom, 0);
		return;
	}
	info = g_new(struct info, 1);
	*info = (struct info){ call, dom };
	link_stats(dom->link, on_info_stats, info);
}

static void get_state(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		call_reply(call,
			   &(remote_state_ret){ (int)state_to_wire(dom->state), (int)dom->reason });
}

/* 0: ready for commands, 2: busy with its start or end. */
static void get_control_info(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	remote_control_info_ret ret = { 0 };

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (dom->state == DOMAIN_STARTING || dom->state == DOMAIN_STOPPING) {
		ret.state = 2;
		ret.stateTime = (uint64_t)(g_get_monotonic_time() - dom->state_since_us) / 1000;
	}
	call_reply(call, &ret);
}

static void get_os_type(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_text_ret){ .text = (char *)"hvm" });
}

/* What the state and its reason leave open, in words. */
static void get_messages(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	remote_text texts[2];
	remote_names_ret ret = { .names = { 0, texts } };

	if (!dom || !api_flags(call, args->flags, 3))
		return;
	if (dom->saved_fault)
		texts[ret.names.names_len++] = dom->saved_fault;
	if (dom->detail)
		texts[ret.names.names_len++] = dom->detail;
	call_reply(call, &ret);
}

static void get_autostart(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		reply_int(call, dom->autostart);
}

/* ---- XML ---- */

enum xml_flags { XML_SECURE = 1, XML_INACTIVE = 2, XML_UPDATE_CPU = 4, XML_MIGRATABLE = 8 };

/* What a domain that was never saved would be saved as. */
static char *unsaved_xml(const struct domain *dom)
{
	g_autoptr(domain_def) def = dom->live ? domain_def_copy(dom->live) : NULL;

	if (def)
		lifecycle_strip(dom->daemon, def);
	return def ? domain_def_format(def, 0) : NULL;
}

static void get_xml(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autofree char *made = NULL;
	const char *xml;

	if (!dom || !api_flags(call, args->flags,
			       XML_SECURE | XML_INACTIVE | XML_UPDATE_CPU | XML_MIGRATABLE))
		return;
	if (args->flags & XML_SECURE && session_readonly(call->session)) {
		call_fail_text(call, VMM_ERR_OPERATION_DENIED,
			       "operation with secure XML is forbidden for read only access");
		return;
	}
	if (dom->live && !(args->flags & XML_INACTIVE))
		xml = dom->live_xml;
	else
		xml = made = domain_saved_xml(dom) ?: unsaved_xml(dom);
	if (xml)
		call_reply(call, &(remote_text_ret){ .text = (char *)xml });
	else
		call_fail_text(call, VMM_ERR_OPERATION_FAILED,
			       "operation failed: the worker of domain '%s' does not answer",
			       dom->name);
}

const struct api_entry api_domain[] = {
	{ REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, list_all },
	{ REMOTE_PROC_CONNECT_NUM_OF_DOMAINS, num_active },
	{ REMOTE_PROC_CONNECT_NUM_OF_DEFINED_DOMAINS, num_inactive },
	{ REMOTE_PROC_CONNECT_LIST_DOMAINS, list_ids },
	{ REMOTE_PROC_CONNECT_LIST_DEFINED_DOMAINS, list_names },
	{ REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, lookup_name },
	{ REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, lookup_uuid },
	{ REMOTE_PROC_DOMAIN_LOOKUP_BY_ID, lookup_id },
	{ REMOTE_PROC_DOMAIN_IS_ACTIVE, is_active },
	{ REMOTE_PROC_DOMAIN_IS_PERSISTENT, is_persistent },
	{ REMOTE_PROC_DOMAIN_IS_UPDATED, is_updated },
	{ REMOTE_PROC_DOMAIN_GET_INFO, get_info },
	{ REMOTE_PROC_DOMAIN_GET_STATE, get_state },
	{ REMOTE_PROC_DOMAIN_GET_CONTROL_INFO, get_control_info },
	{ REMOTE_PROC_DOMAIN_GET_OS_TYPE, get_os_type },
	{ REMOTE_PROC_DOMAIN_GET_MESSAGES, get_messages },
	{ REMOTE_PROC_DOMAIN_GET_AUTOSTART, get_autostart },
	{ REMOTE_PROC_DOMAIN_GET_XML_DESC, get_xml },
	{ 0 }
};
