/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changed devices: anything for the next start, of a running machine an interface's link. */
#include "config.h"
#include "vmmd/api.h"

#include "vmmd/link.h"

struct relink {
	struct call *call;
	struct domain *dom;
	unsigned index;
	bool down;
};

static void on_relinked(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct relink *r = opaque;
	struct domain *dom = r->dom;

	if (!error && dom->live && r->index < dom->live->ifaces->len) {
		((struct iface_def *)g_ptr_array_index(dom->live->ifaces, r->index))->link_down =
			r->down;
		domain_refresh_live(dom);
	}
	api_done(dom, error, r->call);
}

static void relink_live(struct call *call, struct domain *dom, domain_def *changed, unsigned index)
{
	const struct iface_def *iface = g_ptr_array_index(changed->ifaces, index);
	struct relink *r = g_new(struct relink, 1);
	g_autofree char *xml = NULL;

	changed->id = dom->id;
	xml = domain_def_format(changed, DOMAIN_FORMAT_LIVE);
	*r = (struct relink){ call, dom, index, iface->link_down };
	link_set_link(dom->link, index, !iface->link_down, xml, on_relinked, r);
}

static void update_device(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect, index = 0;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	live = affect & API_LIVE ? domain_def_copy(dom->live) : NULL;
	saved = affect & API_CONFIG ? domain_def_copy(dom->saved) : NULL;
	if ((live && !domain_def_change_link(live, args->text, &index, &error)) ||
	    (saved && !domain_def_change_device(saved, args->text, &error)) ||
	    (saved && !domain_save(dom, g_steal_pointer(&saved), &error)) || !live)
		api_done(dom, error, call);
	else
		relink_live(call, dom, live, index);
}

const struct api_entry api_iface[] = {
	{ REMOTE_PROC_DOMAIN_UPDATE_DEVICE_FLAGS, update_device },
	{ 0 }
};
