/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed parameters, as daemons list them, in what commands print. */
#include "config.h"
#include "vmsh/param.h"

void json_param(struct json *j, const struct vmm_param *p)
{
	switch (p->type) {
	case VMM_PARAM_INT:
		json_signed(j, p->name, p->value.i);
		break;
	case VMM_PARAM_UINT:
		json_number(j, p->name, p->value.u);
		break;
	case VMM_PARAM_LLONG:
		json_signed(j, p->name, p->value.l);
		break;
	case VMM_PARAM_ULLONG:
		json_number(j, p->name, p->value.ul);
		break;
	case VMM_PARAM_DOUBLE:
		json_double(j, p->name, p->value.d);
		break;
	case VMM_PARAM_BOOLEAN:
		json_bool(j, p->name, p->value.i);
		break;
	case VMM_PARAM_STRING:
		json_string(j, p->name, p->value.s);
		break;
	}
}

char *param_text(const struct vmm_param *p)
{
	switch (p->type) {
	case VMM_PARAM_INT:
	case VMM_PARAM_BOOLEAN:
		return g_strdup_printf("%d", p->value.i);
	case VMM_PARAM_UINT:
		return g_strdup_printf("%u", p->value.u);
	case VMM_PARAM_LLONG:
		return g_strdup_printf("%" G_GINT64_FORMAT, (gint64)p->value.l);
	case VMM_PARAM_ULLONG:
		return g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)p->value.ul);
	case VMM_PARAM_DOUBLE:
		return g_strdup_printf("%g", p->value.d);
	case VMM_PARAM_STRING:
		return g_strdup(p->value.s);
	default:
		return NULL;
	}
}
