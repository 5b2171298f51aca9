/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of a definition can change while its machine runs.  All that says "now"
 * or "at the next start" asks here, and so does what brings a change about.
 */
#pragma once

#include "libvmm/domain/domain.h"

enum now_part {
	NOW_WORDS,			/* title, description, metadata */
	NOW_LIMITS,			/* shares of the host, pins */
	NOW_ACTIONS,			/* on_poweroff and the others */
	NOW_BALLOON,			/* currentMemory */
	NOW_STATS,			/* the balloon's period of statistics */
	NOW_LINK,			/* of an interface; up or down */
	NOW_PORTS,			/* likewise; forwards */
	NOW_IOTUNE,			/* of all disks: some may share them */
	N_NOW_PARTS
};

/* One part; index: of the interface in both of them, which have the same devices. */
void domain_def_put_now(domain_def *def, const domain_def *from, enum now_part part,
			unsigned index);
/* All of them; devices are the same by <mac> and target, whatever their order. */
void domain_def_take_now(domain_def *def, const domain_def *from);

/*
 * One device of a machine that runs as `xml` has it, where that is possible:
 * VMM_ERR_OPERATION_UNSUPPORTED names the field that is not.
 */
domain_def *domain_def_changed_now(const domain_def *live, const char *xml, GError **error);
