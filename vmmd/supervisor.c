/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting workers and finding them again.
 *
 * The listening socket is made before the worker is, so that vmmd can connect
 * at once and no moment exists in which a live worker can't be reached: if
 * vmmd is killed in between, the next finds folder, socket and pid.
 */
#include "config.h"
#include "vmmd/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/cgroup.h"

#define STATUS_MAX_BYTES 8192
#define CONTROL_SOCKET "control.sock"

static const char *const folder_names[] = {
	[SUPERVISED_DOMAIN] = "domains", [SUPERVISED_NETWORK] = "networks",
};

char *supervisor_folder(const struct daemon *daemon, enum supervised what, const char *uuid_text)
{
	return g_build_filename(daemon->run_dir, folder_names[what], uuid_text, NULL);
}

/* By way of the folder's descriptor: a run folder may be deeper than sun_path is long. */
static bool socket_address(int folder, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return g_snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", folder,
			  name) < (int)sizeof(ret->sun_path);
}

static int folder_open(const struct daemon *daemon, enum supervised what, const char *uuid_text,
		       bool make, GError **error)
{
	g_autofree char *path = supervisor_folder(daemon, what, uuid_text);
	int fd;

	if (make && g_mkdir_with_parents(path, 0700) < 0) {
		error_errno(error, errno, "make folder '%s'", path);
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		error_errno(error, errno, "open folder '%s'", path);
	return fd;
}

static int control_listen(int folder, GError **error)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;

	unlinkat(folder, CONTROL_SOCKET, 0);
	if (fd < 0 || !socket_address(folder, CONTROL_SOCKET, &addr) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 4) < 0) {
		error_errno(error, errno, "make the worker's control socket");
		return -1;
	}
	return TAKE_FD(fd);
}

static int socket_connect(int folder, const char *name, GError **error)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;

	if (fd < 0 || !socket_address(folder, name, &addr) ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		error_errno(error, errno, "connect to the worker's '%s'", name);
		return -1;
	}
	return TAKE_FD(fd);
}

int supervisor_dial(const struct daemon *daemon, enum supervised what, const char *uuid_text,
		    const char *name, GError **error)
{
	auto_close int folder = folder_open(daemon, what, uuid_text, false, error);

	return folder < 0 ? -1 : socket_connect(folder, name, error);
}

/* Open for reading as well: it stays open, whoever listens or does not. */
static int said_open(int folder, GError **error)
{
	int fd = -1;

	unlinkat(folder, "said", 0);
	if (mkfifoat(folder, "said", 0600) == 0)
		fd = openat(folder, "said", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		error_errno(error, errno, "make the worker's stderr");
	return fd;
}

int supervisor_hear(const struct daemon *daemon, enum supervised what, const char *uuid_text)
{
	auto_close int folder = folder_open(daemon, what, uuid_text, false, NULL);
	struct stat st;
	auto_close int fd = folder < 0 ? -1 : openat(folder, "said", O_RDONLY | O_NONBLOCK |
						     O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? TAKE_FD(fd) : -1;
}

/* Its own session: no signal of vmmd's terminal or service ends a guest. */
static void child_set_up(void *opaque)
{
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool pid_write(int folder, pid_t pid, GError **error)
{
	g_autofree char *text = g_strdup_printf("%d\n", pid);
	auto_close int fd = openat(folder, "pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return error_errno(error, errno, "write the worker's pid file");
	return true;
}

static bool spawn(const struct daemon *daemon, enum supervised what, const char *name,
		  const char *uuid_text, int folder, pid_t *ret, GError **error)
{
	const char *argv[] = { daemon->worker_path, "--control-fd=3", "--status-fd=4",
			       "--name", name, "--uuid", uuid_text,
			       what == SUPERVISED_NETWORK ? "--network" : NULL, NULL };
	g_autofree char *path = supervisor_folder(daemon, what, uuid_text);
	auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	auto_close int control = control_listen(folder, error);
	auto_close int status = -1, said = -1;
	int sources[] = { -1, -1 }, targets[] = { 3, 4 };
	g_autoptr(GError) why = NULL;

	if (control < 0 || (said = said_open(folder, error)) < 0)
		return false;
	status = openat(folder, "status", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (status < 0 || null < 0)
		return error_errno(error, errno, "open the worker's status file");
	sources[0] = control;
	sources[1] = status;
	if (g_spawn_async_with_pipes_and_fds(path, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
					     child_set_up, NULL, null, said, said, sources, targets,
					     2, ret, NULL, NULL, NULL, &why))
		return true;
	return error_set(error, VMM_ERR_SYSTEM, "start '%s': %s", daemon->worker_path,
			 why->message);
}

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool supervisor_spawn(const struct daemon *daemon, enum supervised what, const char *name,
		      const char *uuid_text, int *ret_fd, int *ret_pidfd, GError **error)
{
	auto_close int folder = folder_open(daemon, what, uuid_text, true, error);
	auto_close int fd = -1, pidfd = -1;
	pid_t pid;

	if (folder < 0 || !spawn(daemon, what, name, uuid_text, folder, &pid, error))
		return false;
	/* a child is not reaped before we do it: the pid is still its own */
	pidfd = pidfd_of(pid);
	if (pidfd < 0)
		error_errno(error, errno, "watch the worker");
	else if (pid_write(folder, pid, error))
		fd = socket_connect(folder, CONTROL_SOCKET, error);
	if (fd < 0) {
		kill(pid, SIGKILL);
		return false;
	}
	*ret_fd = TAKE_FD(fd);
	*ret_pidfd = TAKE_FD(pidfd);
	return true;
}

/* Only a process whose own arguments name the uuid is that worker. */
static bool pid_is_worker(pid_t pid, const char *uuid_text)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", pid);
	g_autofree char *args = NULL;
	bool uuid_follows = false;
	gsize bytes;

	if (!g_file_get_contents(path, &args, &bytes, NULL))
		return false;
	for (const char *a = args; a < args + bytes; a += strlen(a) + 1) {
		if (uuid_follows)
			return g_str_equal(a, uuid_text);
		uuid_follows = g_str_equal(a, "--uuid");
	}
	return false;
}

static pid_t pid_read(int folder)
{
	auto_close int fd = openat(folder, "pid", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[16] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return (pid_t)g_ascii_strtoll(text, NULL, 10);
}

/* vmmd may have been killed before it wrote the pid file: then look at everybody. */
static pid_t pid_search(const char *uuid_text)
{
	g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
	const char *name;

	while (proc && (name = g_dir_read_name(proc))) {
		pid_t pid = (pid_t)g_ascii_strtoll(name, NULL, 10);

		if (pid > 0 && pid_is_worker(pid, uuid_text))
			return pid;
	}
	return 0;
}

pid_t supervisor_pid(const struct daemon *daemon, const char *uuid_text)
{
	auto_close int folder = folder_open(daemon, SUPERVISED_DOMAIN, uuid_text, false, NULL);
	pid_t pid = folder < 0 ? 0 : pid_read(folder);

	return pid > 0 && pid_is_worker(pid, uuid_text) ? pid : 0;
}

/* statm, for smaps_rollup would walk all of a guest's pages each time that somebody looks. */
bool supervisor_rss(const struct daemon *daemon, const char *uuid_text, uint64_t *ret_kib)
{
	pid_t pid = supervisor_pid(daemon, uuid_text);
	g_autofree char *path = g_strdup_printf("/proc/%d/statm", pid);
	g_autofree char *text = NULL;
	unsigned long pages;

	if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL) ||
	    sscanf(text, "%*u %lu", &pages) != 1)
		return false;
	*ret_kib = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	return true;
}

bool supervisor_find(const struct daemon *daemon, enum supervised what, const char *uuid_text,
		     int *ret_fd, int *ret_pidfd)
{
	auto_close int folder = folder_open(daemon, what, uuid_text, false, NULL);
	auto_close int pidfd = -1;
	pid_t pid;

	if (folder < 0)
		return false;
	pid = pid_read(folder);
	if (pid <= 0)
		pid = pid_search(uuid_text);
	if (pid <= 0 || (pidfd = pidfd_of(pid)) < 0 || !pid_is_worker(pid, uuid_text))
		return false;
	*ret_fd = socket_connect(folder, CONTROL_SOCKET, NULL);
	*ret_pidfd = TAKE_FD(pidfd);
	return true;
}

char **supervisor_scan(const struct daemon *daemon, enum supervised what)
{
	g_autofree char *path = g_build_filename(daemon->run_dir, folder_names[what], NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	GPtrArray *found = g_ptr_array_new();
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_uuid_string_is_valid(name))
			g_ptr_array_add(found, g_strdup(name));
	g_ptr_array_add(found, NULL);
	return (char **)g_ptr_array_free(found, FALSE);
}

bool supervisor_mark(const struct daemon *daemon, const char *uuid_text, const char *mark)
{
	auto_close int folder = folder_open(daemon, SUPERVISED_DOMAIN, uuid_text, false, NULL);
	auto_close int fd =
		folder < 0 ? -1 : openat(folder, mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0;
}

bool supervisor_marked(const struct daemon *daemon, const char *uuid_text, const char *mark)
{
	auto_close int folder = folder_open(daemon, SUPERVISED_DOMAIN, uuid_text, false, NULL);

	return folder >= 0 && faccessat(folder, mark, F_OK, 0) == 0;
}

/* The worker wrote it: nothing in it is trusted but that it is a number and a text. */
static void status_read(int folder, struct supervisor_end *ret)
{
	auto_close int fd = openat(folder, "status", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[STATUS_MAX_BYTES];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	int state, cause, at = 0;

	if (n <= 0)
		return;
	text[n] = 0;
	if (sscanf(text, "%d %d %n", &state, &cause, &at) < 2 || at == 0 || state != WORKER_STOPPED)
		return;
	ret->cause = cause;
	ret->detail = g_utf8_make_valid(g_strchomp(text + at), -1);
}

void supervisor_last_words(const struct daemon *daemon, const char *uuid_text,
			   struct supervisor_end *ret)
{
	auto_close int folder = folder_open(daemon, SUPERVISED_DOMAIN, uuid_text, false, NULL);

	*ret = (struct supervisor_end){ .cause = WORKER_CAUSE_NONE };
	if (folder >= 0)
		status_read(folder, ret);
}

static bool status_write(int folder, const char *text)
{
	static const char fresh[] = "status.new";
	auto_close int fd = -1;

	unlinkat(folder, fresh, 0);
	fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	       renameat(folder, fresh, folder, "status") == 0;
}

void supervisor_conclude(const struct daemon *daemon, const char *uuid_text, int cause,
			 const char *detail)
{
	auto_close int folder = folder_open(daemon, SUPERVISED_DOMAIN, uuid_text, false, NULL);
	g_autofree char *text =
		g_strdup_printf("%d %d %s\n", WORKER_STOPPED, cause, detail ?: "");

	if (folder >= 0 && !status_write(folder, text))
		g_warning("how worker '%s' has ended can't be noted: %s", uuid_text,
			  g_strerror(errno));
}

void supervisor_bury(const struct daemon *daemon, enum supervised what, const char *uuid_text)
{
	g_autofree char *path = supervisor_folder(daemon, what, uuid_text);
	auto_close int folder = folder_open(daemon, what, uuid_text, false, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	if (folder < 0)
		return;
	while (dir && (name = g_dir_read_name(dir)))
		unlinkat(folder, name, 0);
	g_rmdir(path);
	cgroup_remove(daemon, uuid_text);
}
