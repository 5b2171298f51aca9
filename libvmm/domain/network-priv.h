/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between network.c (parse, check) and network-out.c (format, update). */
#pragma once

#include "libvmm/domain/domain-priv.h"
#include "libvmm/domain/network.h"

struct network_host *network_host_parse(const xmlNode *node, GError **error);
void network_host_free(void *host);
struct network_name *network_name_parse(const xmlNode *node, GError **error);
void network_name_free(void *name);
typedef struct network_record network_record;
void network_record_free(void *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(network_record, network_record_free)
/* <txt> and <srv> of <dns>. */
bool network_records_parse(const xmlNode *dns, network_def *def, GError **error);
void network_records_format(struct xml_out *out, const network_def *def);
bool network_dns_name_check(const xmlNode *node, const char *name, GError **error);
/* <lease expiry='12' unit='hours'/> within node; 0: none. */
bool network_lease_parse(const xmlNode *node, uint32_t *ret, GError **error);
/* Rules that cross elements. */
bool network_def_check(const network_def *def, GError **error);
