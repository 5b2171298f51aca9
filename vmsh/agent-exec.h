/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command in a guest on our own standard streams. */
#pragma once

#include "vmsh/agent.h"

struct agent_exec_opts {
	bool stdin_too;		/* forward the standard input */
	bool terminal;
};

/* Takes the request, a "spawn".  *ret_status: what a shell would make of its end. */
bool agent_exec(struct agent *a, struct json_object *request, const struct agent_exec_opts *opts,
		int *ret_status, GError **error);

/* What a guest says of a copy, line by line: a few of them, which may be hostile. */
typedef void agent_said(const char *line, void *opaque);

/* From a descriptor to a request's input, and from its output to one.  said NULL: none listens. */
bool agent_send_file(struct agent *a, struct json_object *request, int fd, agent_said *said,
		     void *opaque, GError **error);
bool agent_fetch_file(struct agent *a, struct json_object *request, int fd, GError **error);
