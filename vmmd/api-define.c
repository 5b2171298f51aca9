/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that make, change and remove definitions. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/change.h"
#include "vmmd/event.h"
#include "vmmd/lifecycle.h"
#include "vmmd/metadata.h"
#include "vmmd/save.h"

enum define_flags { DEFINE_VALIDATE = 1 };
/* What there is nothing of is removed by doing nothing: NVRAM, TPM. */
enum undefine_flags { UNDEFINE_MANAGED_SAVE = 1, UNDEFINE_SNAPSHOTS = 2, UNDEFINE_KNOWN = 0x7f };

static void define(struct call *call, const char *xml, unsigned flags)
{
	unsigned parse = flags & DEFINE_VALIDATE ? DOMAIN_PARSE_VALIDATE : 0;
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) def = NULL;
	struct domain *dom;
	bool updated;

	if (!api_flags(call, flags, DEFINE_VALIDATE))
		return;
	def = domain_def_parse(xml, parse, &error);
	if (!def || !domain_match(call->daemon->domains, def, &dom, &error)) {
		call_fail(call, error);
		return;
	}
	lifecycle_strip(call->daemon, def);
	updated = dom != NULL;
	if (!dom)
		dom = domain_new(call->daemon, def->uuid, def->name);
	if (!domain_save(dom, g_steal_pointer(&def), &error)) {
		call_fail(call, error);
		if (!updated)
			domain_drop(dom);
		return;
	}
	event_lifecycle(dom, LIFECYCLE_DEFINED,
			updated ? LIFECYCLE_DEFINED_UPDATED : LIFECYCLE_DEFINED_ADDED);
	call_reply(call, &(remote_dom_ret){ .dom = api_ref(dom) });
}

static void define_xml(struct call *call, const void *argp)
{
	const remote_xml_args *args = argp;

	define(call, args->xml, 0);
}

static void define_xml_flags(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;

	define(call, args->xml, args->flags);
}

/* An active domain goes on as a transient one. */
static void undefine(struct call *call, const remote_domain *ref, unsigned flags)
{
	struct domain *dom = api_domain_of(call, ref);
	g_autoptr(GError) error = NULL;

	if (!dom || !api_flags(call, flags, UNDEFINE_KNOWN))
		return;
	if (!dom->persistent) {
		call_fail_text(
			call, VMM_ERR_OPERATION_INVALID,
			"Requested operation is not valid: domain '%s' is transient: destroy it",
			dom->name);
		return;
	}
	if (dom->snapshots && !(flags & UNDEFINE_SNAPSHOTS)) {
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: cannot delete inactive domain "
			       "with %u snapshots: delete them first, or undefine it with "
			       "--snapshots-metadata, which leaves their files", dom->snapshots);
		return;
	}
	if (dom->state == DOMAIN_SAVED && !(flags & UNDEFINE_MANAGED_SAVE)) {
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: domain '%s' has saved memory: "
			       "undefine it with --managed-save to remove that too",
			       dom->name);
		return;
	}
	if ((dom->state == DOMAIN_SAVED && !save_managed_remove(dom, &error)) ||
	    !domain_forget(dom, &error)) {
		call_fail(call, error);
		return;
	}
	event_lifecycle(dom, LIFECYCLE_UNDEFINED, LIFECYCLE_UNDEFINED_REMOVED);
	call_reply(call, NULL);
	if (!state_is_active(dom->state))
		domain_drop(dom);
}

static void undefine_plain(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	undefine(call, &args->dom, 0);
}

static void undefine_flags(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;

	undefine(call, &args->dom, args->flags);
}

static void set_autostart(struct call *call, const void *argp)
{
	const remote_dom_int_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(GError) error = NULL;

	if (!dom)
		return;
	if (!dom->persistent)
		error_set(
			&error, VMM_ERR_OPERATION_INVALID,
			"Requested operation is not valid: cannot set autostart for transient "
			"domain '%s'",
			dom->name);
	else
		domain_set_autostart(dom, args->num != 0, &error);
	api_done(dom, error, call);
}

static bool rename_permitted(struct domain *dom, const char *name, GError **error)
{
	if (!name || !domain_name_check(name, error))
		return name ? false :
			      error_set(error, VMM_ERR_INVALID_ARG,
					"invalid argument: no new name");
	if (state_is_active(dom->state))
		return error_set(
			error, VMM_ERR_OPERATION_INVALID,
			"Requested operation is not valid: cannot rename active domain '%s'",
			dom->name);
	if (domain_find_name(dom->daemon->domains, name))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "operation failed: domain '%s' already exists", name);
	return domain_need_saved(dom, error) != NULL;
}

static void rename_domain(struct call *call, const void *argp)
{
	const remote_dom_opt_text_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	const char *name = args->text ? *args->text : NULL;
	g_autoptr(GError) error = NULL;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (!rename_permitted(dom, name, &error)) {
		call_fail(call, error);
		return;
	}
	event_lifecycle(dom, LIFECYCLE_UNDEFINED, LIFECYCLE_UNDEFINED_RENAMED);
	if (!domain_rename(dom, name, &error)) {
		event_lifecycle(dom, LIFECYCLE_DEFINED, LIFECYCLE_DEFINED_ADDED);
		call_fail(call, error);
		return;
	}
	event_lifecycle(dom, LIFECYCLE_DEFINED, LIFECYCLE_DEFINED_RENAMED);
	call_reply(call, &(remote_int_ret){ 0 });
}

/* ---- metadata ---- */

enum metadata_type { METADATA_DESCRIPTION, METADATA_TITLE, METADATA_ELEMENT, N_METADATA_TYPES };

static bool metadata_type_fit(struct call *call, int type, const remote_opt_text uri)
{
	if (type < 0 || type >= N_METADATA_TYPES) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: unknown metadata type %d", type);
		return false;
	}
	if (type == METADATA_ELEMENT && !uri) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: a metadata element needs its uri");
		return false;
	}
	return true;
}

static void get_metadata(struct call *call, const void *argp)
{
	const remote_get_metadata_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autofree char *text = NULL;
	const domain_def *def;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG) ||
	    !metadata_type_fit(call, args->type, args->uri) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	def = affect & API_LIVE ? dom->live : dom->saved;
	if (args->type == METADATA_DESCRIPTION)
		text = g_strdup(def->description);
	else if (args->type == METADATA_TITLE)
		text = g_strdup(def->title);
	else
		text = metadata_get(def->metadata, *args->uri);
	if (text)
		call_reply(call, &(remote_text_ret){ .text = text });
	else
		call_fail_text(call, VMM_ERR_NO_METADATA,
			       "metadata not found: Requested metadata element is not present");
}

static void text_set(char **text, const char *to)
{
	g_free(*text);
	*text = to && *to ? g_strdup(to) : NULL;
}

static bool metadata_apply(domain_def *def, const void *opaque, GError **error)
{
	const remote_set_metadata_args *args = opaque;
	const char *text = args->metadata ? *args->metadata : NULL;
	char *whole = NULL;

	switch (args->type) {
	case METADATA_DESCRIPTION:
		text_set(&def->description, text);
		return true;
	case METADATA_TITLE:
		if (text && strchr(text, '\n'))
			return error_set(
				error, VMM_ERR_INVALID_ARG,
				"invalid argument: a domain's title can't contain newlines");
		text_set(&def->title, text);
		return true;
	default:
		if (!metadata_set(def->metadata, *args->uri, args->key ? *args->key : NULL, text,
				  &whole, error))
			return false;
		g_free(def->metadata);
		def->metadata = whole;
		return true;
	}
}

static void set_metadata(struct call *call, const void *argp)
{
	const remote_set_metadata_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_auto(change) c = { 0 };
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG) ||
	    !metadata_type_fit(call, args->type, args->uri) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	if (!change_begin(&c, dom, affect, metadata_apply, args, &error)) {
		call_fail(call, error);
		return;
	}
	event_metadata(dom, args->type, args->uri ? *args->uri : NULL);
	change_commit(&c, call);
}

const struct api_entry api_define[] = {
	{ REMOTE_PROC_DOMAIN_DEFINE_XML, define_xml },
	{ REMOTE_PROC_DOMAIN_DEFINE_XML_FLAGS, define_xml_flags },
	{ REMOTE_PROC_DOMAIN_UNDEFINE, undefine_plain },
	{ REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, undefine_flags },
	{ REMOTE_PROC_DOMAIN_SET_AUTOSTART, set_autostart },
	{ REMOTE_PROC_DOMAIN_RENAME, rename_domain },
	{ REMOTE_PROC_DOMAIN_GET_METADATA, get_metadata },
	{ REMOTE_PROC_DOMAIN_SET_METADATA, set_metadata },
	{ 0 }
};
