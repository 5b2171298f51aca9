/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between network.c (parse, check) and network-out.c (format, update). */
#pragma once

#include "libvmm/domain/domain-priv.h"
#include "libvmm/domain/network.h"

struct network_host *network_host_parse(const xmlNode *node, GError **error);
void network_host_free(void *host);
struct network_name *network_name_parse(const xmlNode *node, GError **error);
void network_name_free(void *name);
/* Rules that cross elements. */
bool network_def_check(const network_def *def, GError **error);
