/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that add devices to a definition, change and remove them; what changes at once. */
#include "config.h"

#include "libvmm/domain/now.h"
#include "vmmd/api.h"
#include "vmmd/change.h"
#include "vmmd/live.h"

#define DEVICE_FORCE 4u			/* of a removable medium: there is none */

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

/* There is no slot that a card could be put into while it runs: all are in the DSDT. */
static void refuse_live(struct call *call, const struct domain *dom, const char *what,
			const char *verb)
{
	call_fail_text(call, VMM_ERR_OPERATION_UNSUPPORTED,
		       "Operation not supported: no %s can be %s domain '%s' while it runs "
		       "(update-device changes limits of disks, links and port forwards of "
		       "interfaces): use --config, for its next start", what, verb, dom->name);
}

static void change_devices(struct call *call, const remote_domain *ref, device_fn *fn,
			   const char *text, unsigned flags)
{
	bool adds = fn == domain_def_add_device, alias = fn == domain_def_remove_alias;
	struct domain *dom = api_domain_of(call, ref);
	g_auto(change) c = { 0 };
	g_autofree char *what = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG | DEVICE_FORCE) ||
	    !api_affect(call, dom, flags, &affect))
		return;
	/* What is wrong with it otherwise is said first. */
	if (!change_begin(&c, dom, affect, wish_take, &(struct wish){ fn, text }, &error) ||
	    !(what = alias ? g_strdup("device") : domain_device_element(text, &error)) ||
	    (c.saved && !renumber(&c.saved, &error)))
		call_fail(call, error);
	else if (affect & API_LIVE)
		refuse_live(call, dom, what, adds ? "plugged into" : "pulled out of");
	else
		change_commit(&c, call);
}

/* Those without flags are about a machine that runs. */
static void attach(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;

	change_devices(call, &args->dom, domain_def_add_device, args->text, API_LIVE);
}

static void attach_flags(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;

	change_devices(call, &args->dom, domain_def_add_device, args->text, args->flags);
}

static void detach(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;

	change_devices(call, &args->dom, domain_def_remove_device, args->text, API_LIVE);
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

static void update(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG | DEVICE_FORCE) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	saved = affect & API_CONFIG ? domain_def_copy(dom->saved) : NULL;
	if ((saved && (!domain_def_change_device(saved, args->text, &error) ||
		       !domain_def_check(saved, &error) || !renumber(&saved, &error))) ||
	    (affect & API_LIVE &&
	     !(live = domain_def_changed_now(dom->live, args->text, &error))))
		call_fail(call, error);
	else
		live_change_call(dom, g_steal_pointer(&live), g_steal_pointer(&saved), call);
}

const struct api_entry api_device[] = {
	{ REMOTE_PROC_DOMAIN_ATTACH_DEVICE, attach },
	{ REMOTE_PROC_DOMAIN_ATTACH_DEVICE_FLAGS, attach_flags },
	{ REMOTE_PROC_DOMAIN_DETACH_DEVICE, detach },
	{ REMOTE_PROC_DOMAIN_DETACH_DEVICE_FLAGS, detach_flags },
	{ REMOTE_PROC_DOMAIN_DETACH_DEVICE_ALIAS, detach_alias },
	{ REMOTE_PROC_DOMAIN_UPDATE_DEVICE_FLAGS, update },
	{ 0 }
};
