/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that add devices to a definition and remove them, for its next start. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/change.h"

#define ATTACH_FORCE 4u			/* of a removable medium: there is none */

typedef bool device_fn(domain_def *def, const char *text, GError **error);

struct wish {
	device_fn *fn;
	const char *text;
};

/* Read anew: what stands in the middle has its number by its place. */
static bool renumber(domain_def **def, GError **error)
{
	g_autofree char *xml = domain_def_format(*def, 0);
	domain_def *again = domain_def_parse(xml, 0, error);

	if (!again)
		return false;
	domain_def_free(*def);
	*def = again;
	return true;
}

static bool wish_take(domain_def *def, const void *opaque, GError **error)
{
	const struct wish *wish = opaque;

	return wish->fn(def, wish->text, error);
}

static void change_devices(struct call *call, const remote_domain *ref, device_fn *fn,
			   const char *text, unsigned flags)
{
	struct domain *dom = api_domain_of(call, ref);
	g_auto(change) c = { 0 };
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG | ATTACH_FORCE) ||
	    !api_affect(call, dom, flags, &affect))
		return;
	if (affect & API_LIVE)
		call_fail_text(call, VMM_ERR_OPERATION_UNSUPPORTED,
			       "Operation not supported: nothing is plugged into the running "
			       "machine of domain '%s': use --config", dom->name);
	else if (!change_begin(&c, dom, affect, wish_take, &(struct wish){ fn, text }, &error) ||
		 !renumber(&c.saved, &error))
		call_fail(call, error);
	else
		change_commit(&c, call);
}

static void attach(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;

	change_devices(call, &args->dom, domain_def_add_device, args->text, 0);
}

static void attach_flags(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;

	change_devices(call, &args->dom, domain_def_add_device, args->text, args->flags);
}

static void detach(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;

	change_devices(call, &args->dom, domain_def_remove_device, args->text, 0);
}

static void detach_flags(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;

	change_devices(call, &args->dom, domain_def_remove_device, args->text, args->flags);
}

static void detach_alias(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;

	change_devices(call, &args->dom, domain_def_remove_alias, args->text, args->flags);
}

const struct api_entry api_device[] = {
	{ REMOTE_PROC_DOMAIN_ATTACH_DEVICE, attach },
	{ REMOTE_PROC_DOMAIN_ATTACH_DEVICE_FLAGS, attach_flags },
	{ REMOTE_PROC_DOMAIN_DETACH_DEVICE, detach },
	{ REMOTE_PROC_DOMAIN_DETACH_DEVICE_FLAGS, detach_flags },
	{ REMOTE_PROC_DOMAIN_DETACH_DEVICE_ALIAS, detach_alias },
	{ 0 }
};
