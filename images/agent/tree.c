/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What packing and unpacking a tree share: entries, the way down, the target. */
#include "config.h"

#include "images/agent/tree.h"
#include "images/agent/tree-attr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY_BYTES 32 /* before the name */

bool tree_fail(struct tree_error *e, int code, bool broken_off, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	if (code && n > 0 && n < (int)sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(code));
	e->code = code;
	e->broken_off = broken_off;
	return false;
}

/* ---- entries ---- */

uint64_t tree_number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

void tree_number_put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = value >> 8 * i;
}

static bool name_ok(const char *name, size_t n)
{
	return n > 0 && n <= TREE_NAME_MAX && !memchr(name, '/', n) && !memchr(name, '\0', n) &&
	       !(n == 1 && name[0] == '.') && !(n == 2 && name[0] == '.' && name[1] == '.');
}

static bool target_ok(uint8_t kind, const char *target, size_t n)
{
	return kind == TREE_LINK ? n > 0 && n <= TREE_LINK_MAX && !memchr(target, '\0', n) : n == 0;
}

bool tree_entry_read(uint8_t kind, const uint8_t *data, size_t n, struct tree_entry *ret)
{
	size_t name_n = n >= ENTRY_BYTES ? tree_number(data + 30, 2) : 0;
	const char *name = (const char *)data + ENTRY_BYTES;

	if (n < ENTRY_BYTES || n - ENTRY_BYTES < name_n || !name_ok(name, name_n) ||
	    !target_ok(kind, name + name_n, n - ENTRY_BYTES - name_n))
		return false;
	ret->mode = tree_number(data, 2) & 07777;
	ret->uid = tree_number(data + 2, 4);
	ret->gid = tree_number(data + 6, 4);
	ret->mtime_s = (int64_t)tree_number(data + 10, 8);
	ret->mtime_ns = tree_number(data + 18, 4) % 1000000000;
	ret->size = tree_number(data + 22, 8);
	memcpy(ret->name, name, name_n);
	ret->name[name_n] = '\0';
	memcpy(ret->target, name + name_n, n - ENTRY_BYTES - name_n);
	ret->target[n - ENTRY_BYTES - name_n] = '\0';
	return true;
}

size_t tree_entry_write(uint8_t kind, const struct tree_entry *e, uint8_t *out)
{
	size_t name_n = strlen(e->name), target_n = kind == TREE_LINK ? strlen(e->target) : 0;

	tree_number_put(out, e->mode, 2);
	tree_number_put(out + 2, e->uid, 4);
	tree_number_put(out + 6, e->gid, 4);
	tree_number_put(out + 10, (uint64_t)e->mtime_s, 8);
	tree_number_put(out + 18, e->mtime_ns, 4);
	tree_number_put(out + 22, e->size, 8);
	tree_number_put(out + 30, name_n, 2);
	memcpy(out + ENTRY_BYTES, e->name, name_n);
	memcpy(out + ENTRY_BYTES + name_n, e->target, target_n);
	return ENTRY_BYTES + name_n + target_n;
}

/* ---- the way down ---- */

struct tree_level *tree_push(struct tree_path *p, const char *name)
{
	if (p->depth == p->room) {
		p->room = p->room ? 2 * p->room : 16;
		p->levels = realloc(p->levels, p->room * sizeof(*p->levels));
		if (!p->levels)
			abort();
	}
	struct tree_level *l = &p->levels[p->depth++];
	*l = (struct tree_level){ 0 };
	snprintf(l->name, sizeof(l->name), "%s", name);
	return l;
}

void tree_pop(struct tree_path *p)
{
	struct tree_level *l = &p->levels[--p->depth];

	free(l->names);
	free(l->entry);
	tree_late_clear(&l->late);
}

void tree_path_clear(struct tree_path *p)
{
	while (p->depth)
		tree_pop(p);
	free(p->levels);
	p->levels = NULL;
	p->room = 0;
}

/* From its end, as that tells more. */
static bool put_before(char *text, size_t *at, const char *part)
{
	size_t n = strlen(part);

	if (*at < n + 1 + strlen(".../")) {
		*at -= strlen(".../");
		memcpy(text + *at, ".../", strlen(".../"));
		return false;
	}
	if (text[*at] && part[n ? n - 1 : 0] != '/')
		text[--*at] = '/';
	*at -= n;
	memcpy(text + *at, part, n);
	return true;
}

/* The first level is the top itself, which has the user's name for it. */
void tree_path_text(const struct tree_path *p, const char *name, char text[512])
{
	size_t at = 511;
	bool fits = true;

	text[at] = '\0';
	if (name && p->depth)
		fits = put_before(text, &at, name);
	for (unsigned i = p->depth; fits && i > 1; i--)
		fits = put_before(text, &at, p->levels[i - 1].name);
	if (fits)
		put_before(text, &at, p->top);
	memmove(text, text + at, 512 - at);
}

int tree_up(int fd, const struct tree_level *above)
{
	struct stat st;
	int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(fd);
	if (up < 0 || (fstat(up, &st) == 0 && st.st_dev == above->dev && st.st_ino == above->ino))
		return up;
	close(up);
	errno = ESTALE;
	return -1;
}

/* ---- the target ---- */

/* The last part of a path, in place; slashes behind it go.  "" for a place rather than a name. */
static char *last_part(char *path)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	char *slash = strrchr(path, '/');
	char *name = slash ? slash + 1 : path;
	return strcmp(name, ".") && strcmp(name, "..") ? name : path + n;
}

static bool name_set(struct tree_target *t, const char *name, struct tree_error *e)
{
	if (strlen(name) > TREE_NAME_MAX)
		return tree_fail(e, ENAMETOOLONG, false, "'%s'", t->path);
	memcpy(t->name, name, strlen(name) + 1);
	return true;
}

static bool folder_open(const char *path, struct tree_target *t, struct tree_error *e)
{
	t->base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->base >= 0 || tree_fail(e, errno, false, "'%s'", path);
}

/* What is not there yet, or is no folder. */
static bool new_open(char *copy, struct tree_target *t, struct tree_error *e)
{
	size_t n = strlen(copy);

	t->folder = n > 0 && copy[n - 1] == '/';
	char *name = last_part(copy);
	if (!*name)
		return tree_fail(e, ENOENT, false, "'%s'", t->path);
	if (!name_set(t, name, e))
		return false;
	if (name == copy)
		return folder_open(".", t, e);
	name[-1] = '\0'; /* the folder before it, and that may be the root */
	return folder_open(name - 1 == copy ? "/" : copy, t, e);
}

bool tree_target_open(const char *path, const char *source, bool follow, struct tree_target *ret,
		      struct tree_error *e)
{
	struct tree_target t = { .base = -1 };
	struct stat st;
	bool there = stat(path, &st) == 0, into = there && S_ISDIR(st.st_mode), ok;
	char *real = there && follow ? realpath(path, NULL) : NULL;
	char *copy = strdup(into ? source : real ? real : path);

	if (!copy)
		abort();
	snprintf(t.path, sizeof(t.path), "%s", path);
	if (into)
		ok = name_set(&t, last_part(copy), e) && folder_open(path, &t, e);
	else
		ok = new_open(copy, &t, e);
	if (ok && into && *t.name)
		snprintf(t.path, sizeof(t.path), "%s%s%s", path,
			 path[strlen(path) - 1] == '/' ? "" : "/", t.name);
	free(copy);
	free(real);
	if (ok)
		*ret = t;
	return ok;
}
