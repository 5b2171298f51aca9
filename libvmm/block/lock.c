/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keep two programs off one image.
 *
 * The bytes are QEMU's (docs/devel "image locking", measured with
 * /proc/locks): whoever does X to the image holds a read lock on byte 100 + X,
 * whoever cannot stand others doing X holds a read lock on byte 200 + X.  To
 * get in, take your own, then look whether anybody holds the opposite ones.
 * Open file description locks: they go with the descriptor, also when the
 * process is killed, and a fork shares them.
 */
#include "config.h"
#include "libvmm/block/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

enum { PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };	/* bit numbers */
enum { HOLD_BASE = 100, REFUSE_BASE = 200 };
enum { WAIT_MS = 2000, WAIT_STEP_MS = 20 };

static int lock_byte(int fd, int cmd, short type, off_t at)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	if (fcntl(fd, cmd, &fl) < 0)
		return -errno;
	return cmd == F_OFD_GETLK && fl.l_type != F_UNLCK ? -EAGAIN : 0;
}

static bool fd_locks_file(const char *proc, const char *fd, const struct stat *st)
{
	g_autofree char *link = g_strdup_printf("%s/fd/%s", proc, fd);
	g_autofree char *info = g_strdup_printf("%s/fdinfo/%s", proc, fd);
	g_autofree char *text = NULL;
	struct stat other;

	return stat(link, &other) == 0 && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino && g_file_get_contents(info, &text, NULL, NULL) &&
	       strstr(text, "OFDLCK");
}

static bool process_locks_file(const char *pid, const struct stat *st)
{
	g_autofree char *proc = g_strdup_printf("/proc/%s", pid);
	g_autofree char *fds = g_strdup_printf("%s/fd", proc);
	g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (fd_locks_file(proc, name, st))
			return true;
	return false;
}

/* Another descriptor of ours than the one that wants the lock (which holds some by now). */
static bool self_locks_file(int fd, const struct stat *st)
{
	g_autofree char *own = g_strdup_printf("%d", fd);
	g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (strcmp(name, own) && fd_locks_file("/proc/self", name, st))
			return true;
	return false;
}

/* An OFD lock names no process, so ask everyone whom we may ask. "" when unknown. */
static char *lock_holder(int fd)
{
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	g_autofree char *self = g_strdup_printf("%d", (int)getpid());
	const char *name;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return g_strdup("");
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *comm = NULL, *path = g_strdup_printf("/proc/%s/comm", name);

		if (!g_ascii_isdigit(name[0]) || !strcmp(name, self) ||
		    !process_locks_file(name, &st))
			continue;
		if (!g_file_get_contents(path, &comm, NULL, NULL))
			comm = g_strdup("?");
		return g_strdup_printf(" by process %s (%s)", name, g_strstrip(comm));
	}
	return self_locks_file(fd, &st) ? g_strdup(" by this program") : g_strdup("");
}

/* 0, -EAGAIN: somebody has it, or another -errno. */
static int lock_try(int fd, bool read_only)
{
	static const uint8_t writer[] = { PERM_WRITE, PERM_RESIZE };
	int r = lock_byte(fd, F_OFD_SETLK, F_RDLCK, HOLD_BASE + PERM_READ);

	for (unsigned i = 0; i < ARRAY_SIZE(writer) && r == 0; i++) {
		if (!read_only)
			r = lock_byte(fd, F_OFD_SETLK, F_RDLCK, HOLD_BASE + writer[i]);
		if (r == 0)
			r = lock_byte(fd, F_OFD_SETLK, F_RDLCK, REFUSE_BASE + writer[i]);
	}
	if (r == 0)
		r = lock_byte(fd, F_OFD_GETLK, F_WRLCK, REFUSE_BASE + PERM_READ);
	for (unsigned i = 0; i < ARRAY_SIZE(writer) && r == 0; i++) {
		r = lock_byte(fd, F_OFD_GETLK, F_WRLCK, HOLD_BASE + writer[i]);
		if (r == 0 && !read_only)
			r = lock_byte(fd, F_OFD_GETLK, F_WRLCK, REFUSE_BASE + writer[i]);
	}
	return r == -EACCES ? -EAGAIN : r;
}

/*
 * The kernel lets go of a killed process's io_uring, and so of its files, some
 * time after the process is gone.  When nobody can be found who has the image,
 * that is what we wait for.
 */
bool lock_image(int fd, const char *path, bool read_only, GError **error)
{
	g_autofree char *holder = NULL;
	int r;

	for (unsigned waited_ms = 0;; waited_ms += WAIT_STEP_MS) {
		r = lock_try(fd, read_only);
		if (r != -EAGAIN)
			break;
		g_free(holder);
		holder = lock_holder(fd);
		if (holder[0] || waited_ms >= WAIT_MS)
			return error_set(
				error, VMM_ERR_OPERATION_FAILED, "image '%s' is in use%s", path,
				holder[0] ? holder : ": 'fuser -v' with its name tells by whom");
		g_usleep(WAIT_STEP_MS * 1000);
	}
	return r == 0 || error_errno(error, r, "lock image '%s'", path);
}

void lock_downgrade(int fd)
{
	lock_byte(fd, F_OFD_SETLK, F_UNLCK, HOLD_BASE + PERM_WRITE);
	lock_byte(fd, F_OFD_SETLK, F_UNLCK, HOLD_BASE + PERM_RESIZE);
}
