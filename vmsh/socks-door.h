/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A SOCKS 5 door on this host into a guest's network. */
#pragma once

#include "vmsh/shell.h"

/* listener, which it takes, accepts clients; until ^C or the agent's end. */
bool socks_door(struct shell *sh, vmm_domain *dom, int listener, GError **error);
