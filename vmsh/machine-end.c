/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a machine has ended, by its state. */
#include "config.h"
#include "vmsh/machine-end.h"

#define WAIT_MS 5000
#define LOOK_MS 50

enum { REASON_CRASHED = 3, REASON_SAVED = 5 }; /* of a domain that is shut off */

static const char *look(vmm_domain *dom)
{
	g_autoptr(GError) why = NULL;
	int state, reason;

	if (!vmm_domain_state(dom, &state, &reason, &why))
		return g_error_matches(why, VMM_ERROR, VMM_ERR_NO_DOMAIN) ? "was shut off" : NULL;
	if (state == VMM_STATE_CRASHED || (state == VMM_STATE_SHUTOFF && reason == REASON_CRASHED))
		return "crashed";
	if (state != VMM_STATE_SHUTOFF)
		return NULL;
	return reason == REASON_SAVED ? "was saved and stopped" : "was shut off";
}

const char *machine_end(struct shell *sh, vmm_domain *dom)
{
	const gint64 until = g_get_monotonic_time() + WAIT_MS * INT64_C(1000);
	const char *end;

	while (!(end = look(dom)) && g_get_monotonic_time() < until && shell_sleep(sh, LOOK_MS)) {
	}
	return end;
}
