/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and folders of the guest as one stream: pack, unpack. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "images/agent/child.h"
#include "images/agent/tree.h"

int request_pack(struct json_object *request)
{
	struct tree_count count = { 0 };
	const struct tree_opts opts = { .recursive = object_flag(request, "recursive"),
					.attributes = object_flag(request, "attributes"),
					.count = &count };
	const char *path = need_text(request, "path");
	struct tree_error e;

	child_reply(json_object_new_object());
	if (!tree_pack(path, STDOUT_FILENO, &opts, &e))
		child_fail(0, "%s", e.text);
	return 0;
}

static struct tree_temp temp; /* this child's only one, for a signal that ends it */

static void on_end(int signal)
{
	if (temp.there)
		unlinkat(temp.dir, temp.name, 0);
	_exit(128 + signal);
}

/* For the host to tell: a line on our stderr. */
static void on_lost(const char *text, void *opaque)
{
	fprintf(stderr, "%s\n", text);
}

int request_unpack(struct json_object *request)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGTERM };
	struct tree_count count = { 0 };
	const struct tree_opts opts = { .owners = object_flag(request, "owners"),
					.attributes = object_flag(request, "attributes"),
					.lost = on_lost,
					.count = &count, .temp = &temp };
	const char *path = need_text(request, "path"), *name = need_text(request, "name");
	struct tree_target target;
	struct tree_error e;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		signal(ends[i], on_end);
	if (!tree_target_open(path, name, true, &target, &e))
		child_fail(0, "%s", e.text);
	child_reply(json_object_new_object()); /* now let it come */
	if (!tree_unpack(STDIN_FILENO, &target, &opts, &e))
		child_fail(0, "%s", e.text);
	return 0;
}
