/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a domain's definitions, both or none. */
#include "config.h"
#include "vmmd/change.h"

#include "vmmd/link.h"

void change_done(struct change *c)
{
	g_clear_pointer(&c->live, domain_def_free);
	g_clear_pointer(&c->saved, domain_def_free);
}

static bool apply(domain_def *def, change_fn *fn, const void *opaque, GError **error)
{
	return !def || (fn(def, opaque, error) && domain_def_check(def, error));
}

bool change_begin(struct change *ret, struct domain *dom, unsigned affect, change_fn *fn,
		  const void *opaque, GError **error)
{
	*ret = (struct change){
		.dom = dom,
		.live = affect & API_LIVE ? domain_def_copy(dom->live) : NULL,
		.saved = affect & API_CONFIG ? domain_def_copy(dom->saved) : NULL,
	};
	if (ret->live)
		ret->live->id = dom->id;
	return apply(ret->saved, fn, opaque, error) && apply(ret->live, fn, opaque, error);
}

struct keeping {
	struct domain *dom;
	domain_def *live;
	struct call *call;
};

static void on_kept(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct keeping *k = opaque;

	if (error || !k->dom->live)
		domain_def_free(k->live);
	else
		domain_set_live(k->dom, k->live);
	api_done(k->dom, error, k->call);
}

void change_commit(struct change *c, struct call *call)
{
	struct domain *dom = c->dom;
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = NULL;
	struct keeping *k;

	if ((c->saved && !domain_save(dom, g_steal_pointer(&c->saved), &error)) ||
	    !c->live) {
		api_done(dom, error, call);
		return;
	}
	xml = domain_def_format(c->live, DOMAIN_FORMAT_LIVE);
	k = g_new(struct keeping, 1);
	*k = (struct keeping){ dom, g_steal_pointer(&c->live), call };
	link_set_xml(dom->link, xml, on_kept, k);
}
