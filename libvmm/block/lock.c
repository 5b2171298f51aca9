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
#include <time.h>
#include <unistd.h>

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

/* ---- who has it ---- */

/*
 * A line of /proc/PID/fdinfo, "lock: 1: OFDLCK ADVISORY READ -1 fe:01:42 100 101":
 * is it one of the bytes that keep us out?
 */
static bool line_conflicts(const char *line, bool read_only)
{
	static const uint8_t keep_out[] = {
		HOLD_BASE + PERM_WRITE,	  HOLD_BASE + PERM_RESIZE,   REFUSE_BASE + PERM_READ,
		REFUSE_BASE + PERM_WRITE, REFUSE_BASE + PERM_RESIZE, /* these: who only reads may */
	};
	unsigned n = read_only ? 3 : ARRAY_SIZE(keep_out);
	unsigned long long from, to;
	const char *at = strstr(line, "OFDLCK");

	if (!at || sscanf(at, "OFDLCK %*s %*s %*s %*s %llu %llu", &from, &to) != 2)
		return at != NULL; /* up to the end of the file */
	for (unsigned i = 0; i < n; i++)
		if (keep_out[i] >= from && keep_out[i] <= to)
			return true;
	return false;
}

static bool fd_locks_file(const char *proc, const char *fd, const struct stat *st, bool read_only)
{
	g_autofree char *link = g_strdup_printf("%s/fd/%s", proc, fd);
	g_autofree char *info = g_strdup_printf("%s/fdinfo/%s", proc, fd);
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	struct stat other;

	if (stat(link, &other) < 0 || other.st_dev != st->st_dev || other.st_ino != st->st_ino ||
	    !g_file_get_contents(info, &text, NULL, NULL))
		return false;
	lines = g_strsplit(text, "\n", -1);
	for (unsigned i = 0; lines[i]; i++)
		if (line_conflicts(lines[i], read_only))
			return true;
	return false;
}

/* except: a descriptor's number, or NULL */
static bool process_locks_file(const char *proc, const struct stat *st, bool read_only,
			       const char *except)
{
	g_autofree char *fds = g_strdup_printf("%s/fd", proc);
	g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_strcmp0(name, except) != 0 && fd_locks_file(proc, name, st, read_only))
			return true;
	return false;
}

/* A word of another process's command line, fit to be printed. */
static char *word_harmless(const char *word, size_t bytes)
{
	g_autofree char *copy = g_strndup(word, bytes);
	char *valid = g_utf8_make_valid(copy, -1);

	for (char *c = valid; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	return valid;
}

/* "vmm-worker --name web", or QEMU as libvirt starts it, "-name guest=web,..."; NULL: neither. */
static char *domain_of(const char *proc)
{
	g_autofree char *path = g_strdup_printf("%s/cmdline", proc);
	g_autofree char *args = NULL;
	gsize n;

	if (!g_file_get_contents(path, &args, &n, NULL))
		return NULL;
	for (const char *a = args; a < args + n; a += strlen(a) + 1) {
		const char *value = a + strlen(a) + 1;

		if (value >= args + n)
			break;
		if (!strcmp(a, "--name"))
			return word_harmless(value, strlen(value));
		if (!strcmp(a, "-name")) {
			value += g_str_has_prefix(value, "guest=") ? strlen("guest=") : 0;
			return word_harmless(value, strcspn(value, ","));
		}
	}
	return NULL;
}

/* When the process began (proc(5), "starttime"); NULL when that cannot be known. */
static char *begin_of(const char *proc)
{
	g_autofree char *path = g_strdup_printf("%s/stat", proc), *text = NULL;
	g_autoptr(GDateTime) date = NULL;
	unsigned long long ticks;
	struct timespec now, boot;
	const char *at;

	if (!g_file_get_contents(path, &text, NULL, NULL) || !(at = strrchr(text, ')')) ||
	    sscanf(at,
		   ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %llu",
		   &ticks) != 1)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	date = g_date_time_new_from_unix_local(now.tv_sec - boot.tv_sec +
					       ticks / sysconf(_SC_CLK_TCK));
	return date ? g_date_time_format(date, "%Y-%m-%d %H:%M:%S") : NULL;
}

static char *holder_text(const char *proc, const char *pid)
{
	g_autofree char *path = g_strdup_printf("%s/comm", proc), *raw = NULL, *comm = NULL;
	g_autofree char *domain = domain_of(proc), *begin = begin_of(proc);

	if (!g_file_get_contents(path, &raw, NULL, NULL))
		raw = g_strdup("?");
	comm = word_harmless(raw, strcspn(raw, "\n"));
	return g_strdup_printf(" by process %s (%s)%s%s%s%s%s", pid, comm,
			       domain ? " of domain '" : "", domain ? domain : "",
			       domain ? "'" : "", begin ? ", which runs since " : "",
			       begin ? begin : "");
}

/* An OFD lock names no process, so ask everyone whom we may ask. "" when unknown. */
static char *lock_holder(int fd, bool read_only)
{
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	g_autofree char *self = g_strdup_printf("%d", (int)getpid());
	g_autofree char *own = g_strdup_printf("%d", fd);
	const char *name;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return g_strdup("");
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *proc = g_strdup_printf("/proc/%s", name);

		if (g_ascii_isdigit(name[0]) && strcmp(name, self) != 0 &&
		    process_locks_file(proc, &st, read_only, NULL))
			return holder_text(proc, name);
	}
	/* Another descriptor of ours than the one that wants the lock (which holds some by now). */
	return process_locks_file("/proc/self", &st, read_only, own) ?
		       g_strdup(" by this program") :
		       g_strdup("");
}

/* ---- taking it ---- */

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
		holder = lock_holder(fd, read_only);
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

void lock_release(int fd)
{
	lock_downgrade(fd);
	lock_byte(fd, F_OFD_SETLK, F_UNLCK, HOLD_BASE + PERM_READ);
	lock_byte(fd, F_OFD_SETLK, F_UNLCK, REFUSE_BASE + PERM_WRITE);
	lock_byte(fd, F_OFD_SETLK, F_UNLCK, REFUSE_BASE + PERM_RESIZE);
}
