/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of definitions, what they would do, and doing it. */
#pragma once

#include "vmsh/json.h"
#include "vmsh/shell.h"

/* One file, or a domain whose file is gone. */
struct planned {
	char *file, *xml;	/* NULL: it is to be undefined */
	struct vmm_plan *plan;	/* NULL: error says why */
	char *name;		/* of what is to be undefined */
	GError *error;
	bool done;
};

/* The command "plan"; "define --plan" is the same. */
bool cmd_plan(struct shell *sh, struct command_args *args, GError **error);

/* Of struct planned. */
GPtrArray *planned_new(void);
/* Reads the file and asks the daemon; what fails is kept in it. */
void planned_add_file(GPtrArray *list, vmm_connect *conn, const char *file, unsigned flags);
void planned_add_gone(GPtrArray *list, const char *name);
/* Two files for one domain: the later one is wrong. */
void planned_check_names(GPtrArray *list);

struct planned_count {
	unsigned added, changed, same, gone, refused;
};
struct planned_count planned_count(const GPtrArray *list);

void planned_print(const struct shell *sh, const GPtrArray *list);
char *planned_json(const GPtrArray *list);

/* All that has something to do, several at a time; how many failed (their error says why). */
unsigned planned_apply(GPtrArray *list, vmm_connect *conn, unsigned flags, const char *source);
