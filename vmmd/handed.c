/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what a worker was given: a struct entry for each, appended. */
#include "config.h"
#include "vmmd/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/supervisor.h"

struct entry {
	uint64_t dev, ino, writable;
};

static int list_open(const struct domain *dom, int flags)
{
	g_autofree char *folder =
		supervisor_folder(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text);
	g_autofree char *path = g_build_filename(folder, "handed", NULL);

	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static bool entry_of(int fd, struct entry *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return false;
	*ret = (struct entry){ S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, st.st_ino,
			       (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY };
	return true;
}

static bool list_has(int list, const struct entry *wanted)
{
	struct entry e;

	for (off_t at = 0; pread(list, &e, sizeof(e), at) == sizeof(e); at += sizeof(e))
		if (e.dev == wanted->dev && e.ino == wanted->ino &&
		    (e.writable || !wanted->writable))
			return true;
	return false;
}

bool handed_note(const struct domain *dom, int fd, GError **error)
{
	auto_close int list = list_open(dom, O_RDWR | O_CREAT | O_APPEND);
	struct entry e;

	if (list >= 0 && (!entry_of(fd, &e) || list_has(list, &e)))
		return true;
	return (list >= 0 && write(list, &e, sizeof(e)) == sizeof(e)) ||
	       error_errno(error, errno, "note what the worker of domain '%s' is given", dom->name);
}

bool handed_has(const struct domain *dom, int fd, bool for_writing)
{
	auto_close int list = list_open(dom, O_RDONLY);
	struct entry e;

	if (list < 0 || !entry_of(fd, &e))
		return false;
	e.writable = for_writing;
	return list_has(list, &e);
}
