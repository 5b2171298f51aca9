/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains that start with the host. */
#pragma once

#include "vmmd/domain.h"

/*
 * Starts those that are marked, once in the life of the run folder (which the
 * host's restart empties): a daemon that is merely restarted starts nothing.
 */
void autostart_all(struct daemon *daemon);
/* The domain is not busy any more: perhaps its start has waited for that. */
void autostart_due(struct domain *dom);
