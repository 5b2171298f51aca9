/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Request "qga": a command of QEMU's guest agent protocol on standard input,
 * its answer on standard output.  What the command means is done by the
 * requests that the agent has anyway, wherever it has one.
 */
#include "config.h"

#include "images/agent/qga.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_MAX (4 << 20)

static const struct qga_command *const tables[] = { qga_set,   qga_look, qga_disks,
						     qga_files, qga_exec, NULL };

void qga_print(struct json_object *answer)
{
	size_t n;
	const char *text = json_object_to_json_string_length(answer, JSON_C_TO_STRING_PLAIN, &n);

	full_write(STDOUT_FILENO, text, n, "the answer");
	json_object_put(answer);
}

void qga_fail(const char *class, const char *format, ...)
{
	struct json_object *answer = json_object_new_object(), *o = json_object_new_object();
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	object_put_text(o, "class", class ? class : "GenericError");
	object_put_text(o, "desc", text);
	json_object_object_add(answer, "error", o);
	qga_print(answer);
	_exit(0);
}

const char *qga_text(struct json_object *args, const char *key)
{
	const char *text = object_text(args, key);

	if (!text)
		qga_fail(NULL, "Parameter '%s' is missing, or is no text", key);
	return text;
}

int64_t qga_number(struct json_object *args, const char *key, int64_t missing, int64_t min,
		   int64_t max)
{
	bool bad = false;
	int64_t n = object_number(args, key, missing, min, max, &bad);

	if (bad || n < min)
		qga_fail(NULL, "Parameter '%s' is missing, or no number from %lld to %lld", key,
			 (long long)min, (long long)max);
	return n;
}

char *qga_line(const char *path)
{
	char *text = read_small(path, 4096);

	if (text)
		text[strcspn(text, "\n")] = 0;
	if (text && *text)
		return text;
	free(text);
	return NULL;
}

/* ---- of the protocol itself ---- */

static struct json_object *sync_id(struct json_object *args)
{
	return json_object_new_int64(qga_number(args, "id", INT64_MIN, INT64_MIN + 1, INT64_MAX));
}

static struct json_object *ping(struct json_object *args)
{
	return NULL;
}

static qga_fn info;

static const struct qga_command qga_own[] = {
	{ "guest-sync", sync_id, true },
	{ "guest-sync-delimited", sync_id, true },
	{ "guest-ping", ping, true },
	{ "guest-info", info, true },
	{ 0 },
};

static void list_commands(struct json_object *list, const struct qga_command *c)
{
	for (; c->name; c++) {
		struct json_object *o = json_object_new_object();
		object_put_text(o, "name", c->name);
		json_object_object_add(o, "enabled", json_object_new_boolean(true));
		json_object_object_add(o, "success-response", json_object_new_boolean(true));
		json_object_array_add(list, o);
	}
}

static struct json_object *info(struct json_object *args)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	list_commands(list, qga_own);
	for (unsigned i = 0; tables[i]; i++)
		list_commands(list, tables[i]);
	object_put_text(o, "version", PACKAGE_VERSION);
	json_object_object_add(o, "supported_commands", list);
	return o;
}

/* ---- a command ---- */

static const struct qga_command *command_in(const struct qga_command *c, const char *name)
{
	while (c->name && strcmp(c->name, name) != 0)
		c++;
	return c->name ? c : NULL;
}

static const struct qga_command *command_find(const char *name)
{
	const struct qga_command *c = command_in(qga_own, name);

	for (unsigned i = 0; !c && tables[i]; i++)
		c = command_in(tables[i], name);
	return c;
}

static struct json_object *read_command(void)
{
	char *text = malloc(COMMAND_MAX + 1);
	size_t n = 0;
	ssize_t r;

	if (!text)
		abort();
	while (n <= COMMAND_MAX && (r = read(STDIN_FILENO, text + n, COMMAND_MAX + 1 - n)) > 0)
		n += r;
	if (n > COMMAND_MAX)
		qga_fail(NULL, "The command has more than %d bytes", COMMAND_MAX);
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		n--;
	struct json_object *o = object_read(text, n);
	free(text);
	if (!o)
		qga_fail(NULL, "JSON parse error, or no object");
	return o;
}

int request_qga(struct json_object *request)
{
	child_reply(json_object_new_object());
	struct json_object *o = read_command(), *answer = json_object_new_object(), *ret;
	struct json_object *args = json_object_object_get(o, "arguments");
	struct json_object *id = json_object_object_get(o, "id");
	const char *name = qga_text(o, "execute");
	const struct qga_command *c = command_find(name);

	if (!c)
		qga_fail("CommandNotFound", "The command %s has not been found", name);
	if (child_agent()->thaw_at_ms && !c->frozen)
		qga_fail("CommandNotFound",
			 "Command %s has been disabled: file systems are frozen", name);
	if (args && !json_object_is_type(args, json_type_object))
		qga_fail(NULL, "Parameter 'arguments' is no object");
	if (!args)
		args = json_object_new_object();
	bool bad = false;
	int64_t after = object_number(request, "thaw_after", FREEZE_SECONDS, 1, 86400, &bad);
	object_put_number(args, "thaw_after", bad ? FREEZE_SECONDS : after);
	ret = c->fn(args);
	json_object_object_add(answer, "return", ret ? ret : json_object_new_object());
	if (id)
		json_object_object_add(answer, "id", json_object_get(id));
	qga_print(answer);
	return 0;
}
