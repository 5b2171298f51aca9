/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A shared folder: life, and the few ways in which it opens anything. */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "libvmm/util/error.h"

#define FMODE_DEFAULT 0600		/* of a mapped share, as QEMU has it */
#define DMODE_DEFAULT 0700

struct fd_name fd_name(int fd)
{
	struct fd_name n;

	snprintf(n.text, sizeof(n.text), "%d", fd);
	return n;
}

int share_errno(void)
{
	return errno == EMFILE ? -ENFILE : -errno;
}

int share_name_check(const char *name)
{
	size_t len = strnlen(name, SHARE_NAME_MAX + 1);

	if (len > SHARE_NAME_MAX)
		return -ENAMETOOLONG;
	if (len == 0 || !strcmp(name, ".") || !strcmp(name, "..") || memchr(name, '/', len))
		return -EINVAL;
	return 0;
}

/*
 * A name of one component can't leave its folder but by a symbolic link, a
 * magic one, or a mount: the kernel is told to follow none of them.
 */
int share_open_at(int dir_fd, const char *name, int flags, mode_t mode)
{
	const struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd;

	do {
		fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? share_errno() : fd;
}

/* Who calls has looked at the type: an open of anything else may have effects. */
int share_reopen(struct share *s, int fd, int flags)
{
	struct fd_name n = fd_name(fd);
	int r = openat(s->proc_fd, n.text, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return r < 0 ? share_errno() : r;
}

/*
 * Of one file system, its own numbers.  Others (of an overlay, of subvolumes)
 * are told apart in the upper bits, or two files would look like links of one.
 */
uint64_t share_ino(struct share *s, dev_t dev, ino_t ino)
{
	unsigned i = 0;

	while (i < s->n_devs && s->devs[i] != dev)
		i++;
	if (i == s->n_devs && s->n_devs < SHARE_DEVS_MAX)
		s->devs[s->n_devs++] = dev;
	return i == 0 ? ino : ino ^ ((uint64_t)i << 56);
}

int share_proc_open(void)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/fd",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? share_errno() : fd;
}

int share_enter(struct share *s)
{
	if (unshare(CLONE_FS) < 0 || fchdir(s->proc_fd) < 0)
		return -errno;
	umask(0);
	return 0;
}

bool share_is_readonly(const struct share *s)
{
	return s->readonly;
}

void share_reset(struct share *s)
{
	for (uint32_t i = 1; i < s->files_top; i++)
		if (s->files[i].fd >= 0)
			share_close(s, &s->files[i]);
	for (uint32_t i = 1; i < s->nodes_top; i++)
		if (s->nodes[i].fd >= 0)
			share_put(s, &s->nodes[i], UINT64_MAX);
}

/* ---- life ---- */

static bool limits_set(struct share *s, const struct share_opts *opts, GError **error)
{
	struct rlimit files;
	uint64_t ours = SHARE_FDS_LEFT + SHARE_LOCKS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(error, errno, "%s: getrlimit", opts->name);
	s->files_max = opts->files_max ? opts->files_max : SHARE_FILES_DEFAULT;
	s->nodes_max = opts->nodes_max;
	ours += s->files_max;
	if (s->nodes_max == 0 && files.rlim_cur > ours)
		s->nodes_max = (uint32_t)MIN(files.rlim_cur - ours, SHARE_NODES_MAX);
	s->nodes_max = MIN(s->nodes_max, SHARE_NODES_MAX);
	if (s->nodes_max < 16)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "%s: a shared folder needs more open files than %llu "
				 "(ulimit -n, LimitNOFILE=)",
				 opts->name, (unsigned long long)files.rlim_cur);
	for (s->n_buckets = 64; s->n_buckets < s->nodes_max && s->n_buckets < 65536;)
		s->n_buckets *= 2;
	return true;
}

/* One mapping: what is never touched costs nothing. */
static bool tables_map(struct share *s, GError **error)
{
	size_t nodes = (s->nodes_max + 1) * sizeof(struct share_node);
	size_t files = (s->files_max + 1) * sizeof(struct share_file);
	size_t locks = (SHARE_LOCKS_MAX + 1) * sizeof(struct share_lock);
	size_t buckets = s->n_buckets * sizeof(uint32_t);
	char *p;

	s->memory_bytes = nodes + files + locks + buckets;
	p = mmap(NULL, s->memory_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return error_errno(error, errno, "%s: map %zu bytes", s->name, s->memory_bytes);
	s->memory = p;
	s->nodes = (void *)p;
	s->files = (void *)(p + nodes);
	s->locks = (void *)(p + nodes + files);
	s->buckets = (void *)(p + nodes + files + locks);
	s->nodes_top = s->files_top = s->locks_top = 1;
	return true;
}

/* Mapped owners live in attributes: without them a guest's root could make nothing. */
static bool xattrs_check(struct share *s, GError **error)
{
	auto_close int fd = share_reopen(s, s->nodes[1].fd, O_RDONLY | O_DIRECTORY);
	uint32_t value;

	if (fd < 0)
		return error_errno(error, fd, "%s: open the folder", s->name);
	if (s->owners != SHARE_MAPPED || fgetxattr(fd, XATTR_OURS "uid", &value, 4) >= 0 ||
	    errno == ENODATA || errno == ERANGE)
		return true;
	return error_errno(error, errno,
			   "%s: accessmode='mapped' keeps owners in user attributes, which this "
			   "file system has not (accessmode='squash' needs none)",
			   s->name);
}

struct share *share_new(const struct share_opts *opts, GError **error)
{
	g_autoptr(share) s = g_new0(struct share, 1);
	auto_close int root_fd = opts->root_fd;

	s->name = g_strdup(opts->name);
	s->proc_fd = opts->proc_fd;
	s->owners = opts->owners;
	s->readonly = opts->readonly;
	s->ours_are = opts->ours_are && opts->owners != SHARE_SQUASH;
	s->our_uid = geteuid();
	s->our_gid = getegid();
	s->uid = opts->uid;
	s->gid = opts->gid;
	s->fmode = opts->fmode ? opts->fmode : FMODE_DEFAULT;
	s->dmode = opts->dmode ? opts->dmode : DMODE_DEFAULT;
	s->dir_bytes = g_malloc(SHARE_DIR_BYTES);
	s->xattr_bytes = g_malloc(SHARE_XATTR_MAX);
	if (!limits_set(s, opts, error) || !tables_map(s, error) ||
	    !share_root_set(s, TAKE_FD(root_fd), error) || !xattrs_check(s, error))
		return NULL;
	return g_steal_pointer(&s);
}

void share_free(struct share *s)
{
	if (!s)
		return;
	if (s->memory) {
		share_reset(s);
		if (s->nodes_top > 1)
			fd_close(&s->nodes[1].fd);
		munmap(s->memory, s->memory_bytes);
	}
	g_free(s->xattr_bytes);
	g_free(s->dir_bytes);
	g_free(s->name);
	g_free(s);
}
