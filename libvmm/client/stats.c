/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics: of memory, disks, interfaces, and of all domains in one call. */
#include "config.h"
#include <string.h>

#include "libvmm/client/client-priv.h"

int vmm_domain_memory_stats(vmm_domain *dom, struct vmm_memory_stat *ret_stats, unsigned n,
			    GError **error)
{
	remote_dom_uint_flags_args args = {
		.dom = domain_to_wire(dom), .num = MIN(n, REMOTE_MEMORY_STATS_MAX),
	};
	remote_memory_stats_ret ret;

	if (!CALL(dom->conn, DOMAIN_MEMORY_STATS, dom_uint_flags_args, &args, memory_stats_ret,
		  &ret, error))
		return -1;
	n = MIN(n, ret.stats.stats_len);
	for (unsigned i = 0; i < n; i++)
		ret_stats[i] = (struct vmm_memory_stat){ ret.stats.stats_val[i].tag,
							 ret.stats.stats_val[i].val };
	FREE(memory_stats_ret, &ret);
	return n;
}

bool vmm_domain_block_stats(vmm_domain *dom, const char *disk, struct vmm_block_stats *ret_stats,
			    GError **error)
{
	remote_dom_text_args args = { .dom = domain_to_wire(dom), .text = (char *)disk };
	remote_block_stats_ret ret;

	if (!CALL(dom->conn, DOMAIN_BLOCK_STATS, dom_text_args, &args, block_stats_ret, &ret,
		  error))
		return false;
	*ret_stats = (struct vmm_block_stats){
		.rd_reqs = ret.rd_req,
		.rd_bytes = ret.rd_bytes,
		.wr_reqs = ret.wr_req,
		.wr_bytes = ret.wr_bytes,
		.errs = ret.errs,
	};
	return true;
}

bool vmm_domain_block_info(vmm_domain *dom, const char *disk, struct vmm_block_info *ret_info,
			   GError **error)
{
	remote_dom_text_flags_args args = { .dom = domain_to_wire(dom), .text = (char *)disk };
	remote_block_info_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_BLOCK_INFO, dom_text_flags_args, &args, block_info_ret,
		  &ret, error))
		return false;
	*ret_info = (struct vmm_block_info){ ret.allocation, ret.capacity, ret.physical };
	return true;
}

bool vmm_domain_interface_stats(vmm_domain *dom, const char *device,
				struct vmm_interface_stats *ret_stats, GError **error)
{
	remote_dom_text_args args = { .dom = domain_to_wire(dom), .text = (char *)device };
	remote_interface_stats_ret ret;

	if (!CALL(dom->conn, DOMAIN_INTERFACE_STATS, dom_text_args, &args, interface_stats_ret,
		  &ret, error))
		return false;
	*ret_stats = (struct vmm_interface_stats){
		ret.rx_bytes, ret.rx_packets, ret.rx_errs, ret.rx_drop,
		ret.tx_bytes, ret.tx_packets, ret.tx_errs, ret.tx_drop,
	};
	return true;
}

void param_from_wire(const remote_param *wire, struct vmm_param *ret)
{
	g_strlcpy(ret->name, wire->field, sizeof(ret->name));
	ret->type = wire->value.type;
	switch (wire->value.type) {
	case VMM_PARAM_INT:
		ret->value.i = wire->value.remote_value_u.i;
		break;
	case VMM_PARAM_UINT:
		ret->value.u = wire->value.remote_value_u.u;
		break;
	case VMM_PARAM_LLONG:
		ret->value.l = wire->value.remote_value_u.l;
		break;
	case VMM_PARAM_ULLONG:
		ret->value.ul = wire->value.remote_value_u.ul;
		break;
	case VMM_PARAM_DOUBLE:
		ret->value.d = wire->value.remote_value_u.d;
		break;
	case VMM_PARAM_BOOLEAN:
		ret->value.i = wire->value.remote_value_u.b;
		break;
	case VMM_PARAM_STRING:
		ret->value.s = g_strdup(wire->value.remote_value_u.s);
		break;
	}
}

struct vmm_param *params_from_wire(const remote_param *wire, unsigned n)
{
	struct vmm_param *params = g_new0(struct vmm_param, n);

	for (unsigned i = 0; i < n; i++)
		param_from_wire(&wire[i], &params[i]);
	return params;
}

void params_free(struct vmm_param *params, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (params[i].type == VMM_PARAM_STRING)
			g_free(params[i].value.s);
	g_free(params);
}

static void domain_stats_free(void *data)
{
	struct vmm_domain_stats *stats = data;

	params_free(stats->params, (unsigned)stats->n_params);
	vmm_domain_unref(stats->domain);
	g_free(stats);
}

static struct vmm_domain_stats *domain_stats_from_wire(vmm_connect *conn,
						       const remote_domain_stats *wire)
{
	struct vmm_domain_stats *stats = g_new0(struct vmm_domain_stats, 1);

	stats->domain = domain_from_wire(conn, &wire->dom);
	stats->n_params = wire->params.params_len;
	stats->params = params_from_wire(wire->params.params_val, wire->params.params_len);
	return stats;
}

GPtrArray *vmm_domain_stats_all(vmm_connect *conn, unsigned stats, unsigned list_flags,
				GError **error)
{
	remote_all_stats_args args = { .stats = stats, .flags = list_flags };
	remote_all_stats_ret ret;
	GPtrArray *all;

	if (!CALL(conn, CONNECT_GET_ALL_DOMAIN_STATS, all_stats_args, &args, all_stats_ret, &ret,
		  error))
		return NULL;
	all = g_ptr_array_new_with_free_func(domain_stats_free);
	for (u_int i = 0; i < ret.retStats.retStats_len; i++)
		g_ptr_array_add(all, domain_stats_from_wire(conn, &ret.retStats.retStats_val[i]));
	FREE(all_stats_ret, &ret);
	return all;
}

const struct vmm_param *vmm_domain_stats_find(const struct vmm_domain_stats *stats,
					      const char *name)
{
	for (size_t i = 0; i < stats->n_params; i++)
		if (strcmp(stats->params[i].name, name) == 0)
			return &stats->params[i];
	return NULL;
}

uint64_t vmm_domain_stats_number(const struct vmm_domain_stats *stats, const char *name,
				 uint64_t fallback)
{
	const struct vmm_param *p = vmm_domain_stats_find(stats, name);

	switch (p ? p->type : 0) {
	case VMM_PARAM_INT:
	case VMM_PARAM_BOOLEAN:
		return p->value.i;
	case VMM_PARAM_UINT:
		return p->value.u;
	case VMM_PARAM_LLONG:
		return p->value.l;
	case VMM_PARAM_ULLONG:
		return p->value.ul;
	default:
		return fallback;
	}
}
