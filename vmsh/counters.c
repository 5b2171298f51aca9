/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures with names, of a device or of a whole domain. */
#include "config.h"
#include "vmsh/counters.h"

#include <stdio.h>

#include "vmsh/json.h"

void counters_print(const struct command_args *args, const char *device,
		    const struct counter *counters, unsigned n)
{
	g_autofree char *text = NULL;
	struct json *j;

	for (unsigned i = 0; i < n && !args_json(args); i++) {
		if (counters[i].value >= 0)
			printf("%s%s%s %" G_GINT64_FORMAT "\n", device ? device : "",
			       device ? " " : "", counters[i].name, counters[i].value);
	}
	if (!args_json(args))
		return;
	j = json_new();
	json_begin_object(j, NULL);
	if (device)
		json_string(j, "device", device);
	for (unsigned i = 0; i < n; i++) {
		if (counters[i].value >= 0)
			json_signed(j, counters[i].name, counters[i].value);
	}
	json_end(j);
	text = json_finish(j);
	fputs(text, stdout);
}
