/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For a target that does what its input says with files: in namespaces of its own every mount is
 * read-only and without devices, but for a new one on FUZZ_JAIL_DIR and the current folder, where
 * libFuzzer keeps what it finds.  Root gives its capabilities up.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FUZZ_JAIL_DIR "/mnt"

static inline bool jail_mount(void)
{
	struct mount_attr closed = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	struct mount_attr open = { .attr_clr = MOUNT_ATTR_RDONLY };
	g_autofree char *here = g_get_current_dir();

	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(here, here, NULL, MS_BIND, NULL) == 0 && chdir(here) == 0 &&
	       mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &closed, sizeof(closed)) == 0 &&
	       mount_setattr(AT_FDCWD, ".", 0, &open, sizeof(open)) == 0 &&
	       mount("fuzz", FUZZ_JAIL_DIR, "tmpfs", MS_NODEV | MS_NOSUID, "size=64m") == 0;
}

static inline bool jail_drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	return syscall(SYS_capset, &head, none) == 0;
}

static inline bool jail_enter(void)
{
	const int user = geteuid() == 0 ? 0 : CLONE_NEWUSER;

	return unshare(user | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) == 0 && jail_mount() &&
	       jail_drop_capabilities();
}

/* Once, at the first input.  Without namespaces nothing may be tried: the program ends, skipped. */
static inline void fuzz_jail(void)
{
	static gsize once;

	if (!g_once_init_enter(&once))
		return;
	if (!jail_enter()) {
		printf("1..0 # SKIP no namespaces here: %s\n", g_strerror(errno));
		exit(0);
	}
	g_once_init_leave(&once, 1);
}
