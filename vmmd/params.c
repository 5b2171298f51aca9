/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of typed parameters that are being made. */
#include "config.h"
#include "vmmd/params.h"

#include <string.h>

#include "libvmm/util/error.h"

static void param_clear(void *p)
{
	remote_param *param = p;

	g_free(param->field);
	if (param->value.type == PARAM_TEXT)
		g_free(param->value.remote_value_u.s);
}

GArray *params_new(void)
{
	GArray *params = g_array_new(FALSE, TRUE, sizeof(remote_param));

	g_array_set_clear_func(params, param_clear);
	return params;
}

static remote_param *params_add(GArray *params, enum param_type type, const char *format,
				va_list args)
{
	remote_param param = { .value.type = (int)type };

	/* most names are as they stand, and there are tens of thousands in a long answer */
	param.field = strchr(format, '%') ? g_strdup_vprintf(format, args) : g_strdup(format);
	g_array_append_val(params, param);
	return &g_array_index(params, remote_param, params->len - 1);
}

#define PARAMS_ADD(type_, member, value_) \
	va_list args; \
	va_start(args, format); \
	params_add(params, type_, format, args)->value.remote_value_u.member = value_; \
	va_end(args)

void params_int(GArray *params, int value, const char *format, ...)
{
	PARAMS_ADD(PARAM_INT, i, value);
}

void params_uint(GArray *params, unsigned value, const char *format, ...)
{
	PARAMS_ADD(PARAM_UINT, u, value);
}

void params_hyper(GArray *params, int64_t value, const char *format, ...)
{
	PARAMS_ADD(PARAM_HYPER, l, value);
}

void params_uhyper(GArray *params, uint64_t value, const char *format, ...)
{
	PARAMS_ADD(PARAM_UHYPER, ul, value);
}

void params_bool(GArray *params, bool value, const char *format, ...)
{
	PARAMS_ADD(PARAM_BOOL, i, value);
}

void params_text(GArray *params, const char *value, const char *format, ...)
{
	PARAMS_ADD(PARAM_TEXT, s, g_strdup(value ?: ""));
}

bool param_number(const remote_param *p, uint64_t *ret, GError **error)
{
	switch (p->value.type) {
	case PARAM_INT:
		*ret = (uint64_t)p->value.remote_value_u.i;
		return true;
	case PARAM_UINT:
		*ret = p->value.remote_value_u.u;
		return true;
	case PARAM_HYPER:
		*ret = (uint64_t)p->value.remote_value_u.l;
		return true;
	case PARAM_UHYPER:
		*ret = p->value.remote_value_u.ul;
		return true;
	default:
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: parameter '%s' is not a number", p->field);
	}
}
