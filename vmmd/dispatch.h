/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a message to the function that answers it. */
#pragma once

#include "vmmd/server.h"

/* Takes the call: it is answered here or by its handler. */
void dispatch(struct call *call, struct rpc_message *msg);
/* Into a logbook: call->who did it, or what went wrong. */
void dispatch_log(const struct call *call, const GError *error);
/* Of which programs it takes calls. */
bool dispatch_knows(uint32_t program);
