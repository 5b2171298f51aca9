/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker gives up so that a guest that takes it over gains little. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct sandbox_opts {
	uid_t uid, gid;		/* to become when we are root; 0: stay */
	bool host_network;	/* user-mode networking connects from here */
	bool names;		/* names are found by files, too: /etc/hosts */
	bool keep_folder;	/* the working folder stays what it is, and all that is there */
	char **keep_read;	/* these folders, absolute, stay where they are, read-only; NULL */
	/* libvmm/share/share.h: share_proc_open()'s; NULL: there are no shared folders */
	int *share_proc_fd;
};

/*
 * First half, before any thread exists: own user (if not root) or uid (if
 * root), mount, IPC and UTS namespaces, an empty root folder, no capability,
 * no way to gain one.  A missing namespace feature is a warning in the log,
 * not an error: it is the administrator's kernel.
 */
bool sandbox_enter(const struct sandbox_opts *opts, GError **error);

/*
 * Second half, when everything is open and before the guest runs: the seccomp
 * filter, on all threads.  What the filter does not know fails with EPERM; what
 * only an intruder would try (execve, ptrace, mount, ...) ends the process.
 * shares: there are shared folders, in which files are made.
 */
bool sandbox_lock(bool shares, GError **error);
/* The same of a vsock's door: it receives, connects to Unix sockets and sends, no more. */
bool sandbox_lock_door(GError **error);
/* Of an outbound proxy: TCP and names, no file is written, no thread is begun. */
bool sandbox_lock_outbound(GError **error);
/* Of the TLS port: connections that come, reading what is in the jail, one more socket for each. */
bool sandbox_lock_tls(GError **error);
