/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own program that look at the past of definitions. */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmmd/api.h"
#include "vmmd/disk-live.h"
#include "vmmd/event.h"
#include "vmmd/graph.h"
#include "vmmd/history.h"

static struct domain *saved_domain(struct call *call, const remote_domain *ref)
{
	struct domain *dom = api_domain_of(call, ref);

	if (!dom || dom->persistent)
		return dom;
	call_fail_text(call, VMM_ERR_OPERATION_INVALID,
		       "Requested operation is not valid: domain '%s' is transient: it has no "
		       "saved definition", dom->name);
	return NULL;
}

static void history(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = saved_domain(call, &args->dom);
	g_autoptr(GPtrArray) list = NULL;
	g_autofree vmm_wire_revision *wire = NULL;
	g_autoptr(GError) error = NULL;

	if (!dom)
		return;
	list = history_list(call->daemon->store, dom->uuid, VMM_REVISIONS_MAX, &error);
	if (!list) {
		call_fail(call, error);
		return;
	}
	wire = g_new(vmm_wire_revision, list->len);
	for (unsigned i = 0; i < list->len; i++) {
		const struct history_entry *e = g_ptr_array_index(list, i);

		wire[i] = (vmm_wire_revision){
			.number = e->number, .at_s = e->at_s, .restored = e->restored,
			.bytes = e->bytes, .who = e->who,
		};
	}
	call_reply(call, &(vmm_history_ret){ .revisions = { list->len, wire } });
}

static void revision_xml(struct call *call, const void *argp)
{
	const vmm_revision_args *args = argp;
	struct domain *dom = saved_domain(call, &args->dom);
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = NULL;

	if (!dom)
		return;
	xml = history_xml(call->daemon->store, dom->uuid, args->number, &error);
	if (xml)
		call_reply(call, &(remote_text_ret){ .text = xml });
	else
		call_fail(call, error);
}

/* Of disks that the domain does not have now: could it be started with them? */
static bool disk_is_there(const struct domain *dom, const struct disk_def *d, unsigned number,
			  GError **error)
{
	g_autoptr(GPtrArray) overlays = disk_def_is_written(d)
						? graph_overlays(dom->daemon, d->path) : NULL;

	if (access(d->path, F_OK) < 0 && errno == ENOENT)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: in revision %u disk '%s' of "
				 "domain '%s' is '%s', which is no more: it was merged with "
				 "another image or deleted. 'vmsh history' shows other revisions",
				 number, d->target, dom->name, d->path);
	if (overlays && overlays->len > 0)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: in revision %u disk '%s' of "
				 "domain '%s' is '%s', on which '%s' stands by now: revert to a "
				 "snapshot instead", number, d->target, dom->name, d->path,
				 (const char *)g_ptr_array_index(overlays, 0));
	return true;
}

static bool disks_are_there(const struct domain *dom, const domain_def *def, unsigned number,
			    GError **error)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);

		if ((!dom->saved || !disk_live_find(dom->saved, d->path)) &&
		    !disk_is_there(dom, d, number, error))
			return false;
	}
	return true;
}

/* A renamed domain keeps the name that it has now: others know it by that. */
static bool restore(struct domain *dom, unsigned number, GError **error)
{
	struct store *store = dom->daemon->store;
	g_autofree char *xml = history_xml(store, dom->uuid, number, error);
	g_autoptr(domain_def) def = xml ? domain_def_parse(xml, 0, error) : NULL;
	bool ok;

	if (!def || !disks_are_there(dom, def, number, error))
		return false;
	g_free(def->name);
	def->name = g_strdup(dom->name);
	store_set_restored(store, number);
	ok = domain_save(dom, g_steal_pointer(&def), error);
	store_set_restored(store, 0);
	return ok;
}

/* number 0: what was before. */
static void undo(struct call *call, const void *argp)
{
	const vmm_revision_args *args = argp;
	struct domain *dom = saved_domain(call, &args->dom);
	g_autoptr(GError) error = NULL;
	unsigned number = args->number;

	if (!dom)
		return;
	if ((!number && !history_before(call->daemon->store, dom->uuid, &number, &error)) ||
	    !restore(dom, number, &error)) {
		call_fail(call, error);
		return;
	}
	event_lifecycle(dom, LIFECYCLE_DEFINED, LIFECYCLE_DEFINED_UPDATED);
	call_reply(call, &(vmm_number_ret){ .number = number });
}

const struct api_entry api_history[] = {
	{ VMM_PROC_DOMAIN_HISTORY, history },
	{ VMM_PROC_DOMAIN_REVISION_XML, revision_xml },
	{ VMM_PROC_DOMAIN_UNDO, undo },
	{ 0 },
};
