/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots with the guest's file systems at rest: frozen by its agent before
 * the disks are switched, thawed after, whatever came of it.  If vmmd dies in
 * between, the deadline that our agent was given does it.
 */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include "libvmm/util/error.h"
#include "vmmd/agent-ask.h"

#define FREEZE_MS 30000
#define THAW_AFTER_S 60		/* a switch takes milliseconds */

static void on_thawed(struct json_object *ret, const char *text, const GError *error, void *opaque)
{
	if (error)
		g_warning("thaw a guest's file systems after a snapshot: %s; its agent does it "
			  "%u s after it froze them", error->message, THAW_AFTER_S);
}

void quiesce_thaw(struct snapshot_op *op)
{
	struct agent_wish wish = { .command = "{\"execute\":\"guest-fsfreeze-thaw\"}",
				   .who = "a snapshot", .timeout_ms = FREEZE_MS };

	if (op->frozen && op->dom->link)
		agent_ask(op->dom, &wish, on_thawed, NULL);
	op->frozen = false;
}

static void on_frozen(struct json_object *ret, const char *text, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;
	GError *why = error ? g_error_copy(error) : NULL;

	/* One that answers too late may have frozen all the same. */
	op->frozen = true;
	if (!why && !op->dom->link)
		error_set(&why, VMM_ERR_OPERATION_INVALID, "the domain has ended meanwhile");
	if (why)
		quiesce_thaw(op);
	op->quiesced(op, why);
}

void quiesce_freeze(struct snapshot_op *op, void (*frozen)(struct snapshot_op *op, GError *error))
{
	struct agent_wish wish = { .command = "{\"execute\":\"guest-fsfreeze-freeze\"}",
				   .who = "a snapshot", .timeout_ms = FREEZE_MS,
				   .thaw_after_s = THAW_AFTER_S };

	op->quiesced = frozen;
	agent_ask(op->dom, &wish, on_frozen, op);
}
