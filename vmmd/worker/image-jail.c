/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The jail of a child that works on images.
 *
 * It opens files by their names, so it can't have the machine's empty root;
 * Landlock leaves it the few paths that its work is about.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/worker/image-tool.h"

#define MEMORY_MAX_BYTES (2ull << 30)	/* a check of the largest image counts its clusters */
#define DESCRIPTORS_MAX 1024

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
/* everything that version 1 knows; TRUNCATE is version 3's */
#define ACCESS_ALL ((1ull << 13) - 1)
#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE)
#define ACCESS_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | ACCESS_READ)
#define ACCESS_MAKE \
	(LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_READ_DIR | ACCESS_WRITE)

static void landlock_allow(int ruleset, const char *path, uint64_t access, uint64_t handled)
{
	auto_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .parent_fd = fd };
	struct stat st;

	/* What is not there will be named by the open that fails. */
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	if (access == ACCESS_WRITE && S_ISDIR(st.st_mode))
		access = ACCESS_MAKE;
	rule.allowed_access = access & handled;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static bool landlock_enter(char **readable, char **writable, GError **error)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = ACCESS_ALL | (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0),
	};
	auto_close int ruleset = -1;

	if (abi < 1)
		return true;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return error_errno(error, errno, "image jail: make a Landlock ruleset");
	/* who holds a lock that we can't get */
	landlock_allow(ruleset, "/proc", ACCESS_READ | LANDLOCK_ACCESS_FS_READ_DIR,
		       attr.handled_access_fs);
	for (char **path = readable; path && *path; path++)
		landlock_allow(ruleset, *path, ACCESS_READ, attr.handled_access_fs);
	for (char **path = writable; path && *path; path++)
		landlock_allow(ruleset, *path, ACCESS_WRITE, attr.handled_access_fs);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return error_errno(error, errno, "image jail: enter Landlock");
	return true;
}

static void limits_set(void)
{
	const struct rlimit core = { 0, 0 }, files = { DESCRIPTORS_MAX, DESCRIPTORS_MAX };

	setrlimit(RLIMIT_CORE, &core);
	setrlimit(RLIMIT_NOFILE, &files);
#ifndef SANITIZED	/* whose shadow is larger than any limit */
	const struct rlimit memory = { MEMORY_MAX_BYTES, MEMORY_MAX_BYTES };

	setrlimit(RLIMIT_AS, &memory);
#endif
}

/* Images belong to whom they belong: root's right to open them is all that stays of root's. */
static bool capabilities_drop(GError **error)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t keep = geteuid() == 0 ? 1u << CAP_DAC_OVERRIDE : 0;
	const struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = keep, .permitted = keep },
	};

	if (syscall(SYS_capset, &header, caps) < 0)
		return error_errno(error, errno, "image jail: give up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "image jail: no_new_privs");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return true;
}

/* Work on images makes none of these. */
static const int forbidden[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(bpf), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(setuid), SCMP_SYS(setresuid), SCMP_SYS(keyctl),
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
	SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(fchown),
	SCMP_SYS(fchownat), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(symlink),
	SCMP_SYS(symlinkat), SCMP_SYS(link), SCMP_SYS(open_by_handle_at),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(process_madvise),
};

static bool filter_enter(GError **error)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r = f ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_SIZE(forbidden); i++)
		r = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, forbidden[i], 0);
	/* a file of ours without a name gets one; landlock says where */
	r = r ?: seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(linkat), 1,
				  SCMP_A4(SCMP_CMP_NE, AT_SYMLINK_FOLLOW));
	r = r ?: seccomp_load(f);
	seccomp_release(f);
	return r ? error_errno(error, r, "image jail: load the seccomp filter") : true;
}

bool image_jail_enter(char **readable, char **writable, GError **error)
{
	limits_set();
	return capabilities_drop(error) && landlock_enter(readable, writable, error) &&
	       filter_enter(error);
}
