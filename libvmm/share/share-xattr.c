/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes of the guest: those that a program may give its own files.
 *
 * Names of the other classes mean something to the host's kernel (capabilities
 * of a program, labels, access lists), and a guest has no say there.
 */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>

static bool is_ours(const char *name)
{
	return g_str_has_prefix(name, XATTR_OURS);
}

static int name_check(const struct share_node *node, const char *name)
{
	if (strnlen(name, SHARE_XATTR_NAME_MAX + 1) > SHARE_XATTR_NAME_MAX)
		return -ERANGE;
	if (!g_str_has_prefix(name, XATTR_USER_PREFIX))
		return -EOPNOTSUPP;
	if (is_ours(name))
		return -EPERM;
	return S_ISREG(node->type) || S_ISDIR(node->type) ? 0 : -EPERM;
}

ssize_t share_xattr_get(struct share *s, struct share_node *node, const char *name, void *value,
			size_t len)
{
	struct fd_name n = fd_name(node->fd);
	int r = name_check(node, name);
	ssize_t got;

	if (r < 0)
		return r == -EPERM ? -ENODATA : r;
	got = getxattr(n.text, name, value, len);
	return got < 0 ? share_errno() : got;
}

/* The names that the guest may know of those in names, in place. */
static size_t list_filter(char *names, size_t len)
{
	size_t at = 0, kept = 0;

	while (at < len) {
		size_t one = strnlen(names + at, len - at) + 1;

		if (at + one > len)
			break;
		if (g_str_has_prefix(names + at, XATTR_USER_PREFIX) && !is_ours(names + at)) {
			memmove(names + kept, names + at, one);
			kept += one;
		}
		at += one;
	}
	return kept;
}

ssize_t share_xattr_list(struct share *s, struct share_node *node, char *names, size_t len)
{
	struct fd_name n = fd_name(node->fd);
	ssize_t got;
	char *all = s->xattr_bytes;

	if (!S_ISREG(node->type) && !S_ISDIR(node->type))
		return 0;
	got = listxattr(n.text, all, SHARE_XATTR_MAX);
	if (got < 0)
		return share_errno();
	size_t kept = list_filter(all, (size_t)got);
	if (len == 0)
		return (ssize_t)kept;
	if (kept > len)
		return -ERANGE;
	memcpy(names, all, kept);
	return (ssize_t)kept;
}

int share_xattr_set(struct share *s, struct share_node *node, const char *name,
		    const void *value, size_t len, int flags)
{
	struct fd_name n = fd_name(node->fd);
	int r = share_check_write(s);

	if (r == 0)
		r = name_check(node, name);
	if (r == 0 && len > SHARE_XATTR_MAX)
		r = -E2BIG;
	if (r == 0 && flags & ~(XATTR_CREATE | XATTR_REPLACE))
		r = -EINVAL;
	if (r == 0 && setxattr(n.text, name, value, len, flags) < 0)
		r = share_errno();
	return r;
}

int share_xattr_remove(struct share *s, struct share_node *node, const char *name)
{
	struct fd_name n = fd_name(node->fd);
	int r = share_check_write(s);

	if (r == 0)
		r = name_check(node, name);
	if (r < 0)
		return r == -EPERM ? -ENODATA : r;
	return removexattr(n.text, name) < 0 ? share_errno() : 0;
}
