/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The addresses of vsocks. */
#include "config.h"
#include "vmmd/cid.h"

#include "libvmm/util/error.h"

static bool has(const domain_def *def, uint32_t cid)
{
	return def && def->vsock && def->vsock->cid == cid;
}

const struct domain *cid_user(const struct daemon *daemon, uint32_t cid,
			      const struct domain *except)
{
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		const struct domain *dom = g_ptr_array_index(all, i);

		if (dom != except && has(dom->live, cid))
			return dom;
	}
	return NULL;
}

/* Neither in use, nor what somebody wants who is off: that one could not start. */
static uint32_t cid_free(const struct daemon *daemon, const struct domain *except)
{
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);
	g_autoptr(GHashTable) taken = g_hash_table_new(g_direct_hash, g_direct_equal);
	uint32_t cid = DOMAIN_CID_FIRST;

	for (unsigned i = 0; i < all->len; i++) {
		const struct domain *dom = g_ptr_array_index(all, i);
		const domain_def *defs[] = { dom->live, dom->saved };

		for (unsigned k = 0; dom != except && k < G_N_ELEMENTS(defs); k++)
			if (defs[k] && defs[k]->vsock)
				g_hash_table_add(taken, GUINT_TO_POINTER(defs[k]->vsock->cid));
	}
	while (g_hash_table_contains(taken, GUINT_TO_POINTER(cid)))
		cid++;
	return cid;
}

bool cid_choose(const struct daemon *daemon, const struct domain *dom, domain_def *live,
		GError **error)
{
	const struct domain *user;

	if (!live->vsock)
		return true;
	if (live->vsock->auto_cid)
		live->vsock->cid = cid_free(daemon, dom);
	user = cid_user(daemon, live->vsock->cid, dom);
	return !user ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: <vsock>: domain '%s' runs with <cid "
			 "address='%u'/>: give another one, or auto='yes'",
			 user->name, live->vsock->cid);
}
