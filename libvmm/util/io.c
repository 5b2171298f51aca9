/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets in the file system. */
#include "config.h"
#include "libvmm/util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define BACKLOG 128

static gboolean address_of(const char *path, struct sockaddr_un *ret, GError **error)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "socket path '%s' is longer than %zu bytes", path,
				 sizeof(ret->sun_path) - 1);
	strncpy(ret->sun_path, path, sizeof(ret->sun_path) - 1);
	return TRUE;
}

int io_connect_unix(const char *path, GError **error)
{
	struct sockaddr_un sa;
	int fd, err;

	if (!address_of(path, &sa, error)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	err = errno;
	fd_close(&fd);
	error_errno(error, err, "connect to '%s'", path);
	errno = err;
	return -1;
}

/* Only a socket whose owner is dead goes away. */
static gboolean stale_remove(const char *path, GError **error)
{
	g_autoptr(GError) refused = NULL;
	auto_close int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? TRUE : error_errno(error, errno, "stat '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "'%s' exists and is no socket: move it away", path);
	fd = io_connect_unix(path, &refused);
	if (fd >= 0 || errno == EAGAIN)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "'%s' is in use by another process", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(error, errno, "remove stale socket '%s'", path);
	return TRUE;
}

int io_listen_unix(const char *path, mode_t mode, GError **error)
{
	struct sockaddr_un sa;
	auto_close int fd = -1;

	if (!address_of(path, &sa, error) || !stale_remove(path, error))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The mode counts from the first moment: nobody may connect before it is set. */
	if (fd < 0 || fchmod(fd, mode) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, mode) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		error_errno(error, errno, "listen on '%s'", path);
		return -1;
	}
	return TAKE_FD(fd);
}
