/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's guest agent protocol, its commands as functions in a child: each gets
 * its arguments (never NULL) and gives what is returned.
 */
#pragma once

#include "images/agent/child.h"

/* NULL: an empty object. */
typedef struct json_object *qga_fn(struct json_object *args);

struct qga_command {
	const char *name;
	qga_fn *fn;
	bool frozen; /* allowed while file systems are frozen */
};

/* Tables end with a name NULL. */
extern const struct qga_command qga_set[], qga_look[], qga_disks[], qga_files[], qga_exec[];

/* The answer is an error of that class (NULL: "GenericError"), and the child ends. */
__attribute__((noreturn, format(printf, 2, 3))) void qga_fail(const char *class, const char *format,
							      ...);
/* The word, or the end. */
const char *qga_text(struct json_object *args, const char *key);
int64_t qga_number(struct json_object *args, const char *key, int64_t missing, int64_t min,
		   int64_t max);
/* As read_small(), but NULL of nothing, and without the last newline. */
char *qga_line(const char *path);
void qga_print(struct json_object *answer); /* takes it */
