/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "metrics": the fleet's counters as text; the daemon makes it. */
#include "config.h"
#include "vmsh/metrics.h"

#include <stdio.h>

#include "vmsh/shell.h"

bool cmd_metrics(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	g_autofree char *text =
		conn ? vmm_connect_metrics(conn, args_given(args, "prometheus") ?
					   VMM_METRICS_PROMETHEUS : VMM_METRICS_OPENMETRICS,
					   error) : NULL;

	if (text)
		fputs(text, stdout);
	return text;
}
