/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes of a tree: which, when they are set, what is told of those that are lost. */
#include "config.h"

#include "images/agent/tree-attr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define CAPABILITY "security.capability"
#define ACL "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

static const char *const late_names[TREE_LATE_MAX] = { CAPABILITY, ACL, ACL_DEFAULT };

static int late_of(const char *name)
{
	for (int i = 0; i < TREE_LATE_MAX; i++)
		if (!strcmp(name, late_names[i]))
			return i;
	return -1;
}

bool tree_attr_copied(const char *name)
{
	return (!strncmp(name, "user.", 5) && name[5] && strlen(name) <= TREE_NAME_MAX) ||
	       late_of(name) >= 0;
}

bool tree_attr_read(const uint8_t *data, size_t n, struct tree_attr *ret)
{
	size_t name_n = n >= 2 ? tree_number(data, 2) : 0;

	if (name_n == 0 || name_n > TREE_NAME_MAX || n - 2 < name_n ||
	    n - 2 - name_n > TREE_ATTR_MAX || memchr(data + 2, '\0', name_n))
		return false;
	memcpy(ret->name, data + 2, name_n);
	ret->name[name_n] = '\0';
	ret->value = data + 2 + name_n;
	ret->n = n - 2 - name_n;
	return tree_attr_copied(ret->name);
}

/* ---- setting ---- */

static int set(int fd, const char *name, const void *value, size_t n)
{
	return fsetxattr(fd, name, value, n, 0) < 0 ? errno : 0;
}

int tree_attr_take(struct tree_late *late, int fd, const struct tree_attr *a)
{
	int i = late_of(a->name);

	if (i < 0)
		return set(fd, a->name, a->value, a->n);
	if (a->n > TREE_LATE_BYTES)
		return E2BIG;
	free(late->value[i]);
	late->value[i] = malloc(a->n + 1);
	if (!late->value[i])
		abort();
	memcpy(late->value[i], a->value, a->n);
	late->n[i] = a->n;
	return 0;
}

void tree_late_begin(int fd)
{
	fremovexattr(fd, ACL);
	fremovexattr(fd, ACL_DEFAULT);
}

int tree_late_set(struct tree_late *late, int fd, const char **ret_name)
{
	int error = 0;

	for (int i = 0; i < TREE_LATE_MAX; i++) {
		int r = late->value[i] ? set(fd, late_names[i], late->value[i], late->n[i]) : 0;

		if (r && !error) {
			error = r;
			*ret_name = late_names[i];
		}
	}
	tree_late_clear(late);
	return error;
}

void tree_late_clear(struct tree_late *late)
{
	for (int i = 0; i < TREE_LATE_MAX; i++) {
		free(late->value[i]);
		late->value[i] = NULL;
	}
}

/* ---- what is lost ---- */

static const struct {
	const char *name;
	const char *what;
} kinds[] = {
	{ "user.", "attributes of users" },
	{ "security.", "capabilities of programs" },
	{ "system.", "ACLs" },
};

/* A file system that can't hold one can't hold thousands. */
void tree_attr_lost(const struct tree_opts *opts, unsigned *told, const char *path,
		    const char *name, int error)
{
	char text[TREE_TEXT_MAX];
	unsigned i = 0;

	while (i < 2 && strncmp(name, kinds[i].name, strlen(kinds[i].name)))
		i++;
	if (*told & 1U << i || !opts->lost)
		return;
	*told |= 1U << i;
	snprintf(text, sizeof(text), "'%s' is copied without its %s: %s (of %s this is told once)",
		 path, name, strerror(error), kinds[i].what);
	opts->lost(text, opts->opaque);
}
