/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of typed parameters that are being made. */
#include "config.h"
#include "vmmd/params.h"

enum param_type {
	PARAM_INT = 1,
	PARAM_UINT = 2,
	PARAM_HYPER = 3,
	PARAM_UHYPER = 4,
	PARAM_TEXT = 7
};

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

	param.field = g_strdup_vprintf(format, args);
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

void params_uhyper(GArray *params, uint64_t value, const char *format, ...)
{
	PARAMS_ADD(PARAM_UHYPER, ul, value);
}

void params_text(GArray *params, const char *value, const char *format, ...)
{
	PARAMS_ADD(PARAM_TEXT, s, g_strdup(value ?: ""));
}
