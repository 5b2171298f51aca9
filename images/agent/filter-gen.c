/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs when the agent is built: libseccomp compiles the sandbox's filter, this
 * prints it as C.  So the agent carries 2 KiB of it, not the library.
 */
#include "config.h"

#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What changes the system, looks into others, or has been the way out of a sandbox before. */
static const char *const refused[] = {
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"move_mount",
	"open_tree",
	"mount_setattr",
	"unshare",
	"setns",
	"swapon",
	"swapoff",
	"reboot",
	"acct",
	"quotactl",
	"quotactl_fd",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"bpf",
	"perf_event_open",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"pidfd_getfd",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"keyctl",
	"add_key",
	"request_key",
	"open_by_handle_at",
	"name_to_handle_at",
	"iopl",
	"ioperm",
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"sethostname",
	"setdomainname",
	"syslog",
	"vhangup",
	"lookup_dcookie",
	"nfsservctl",
	"uselib",
	"fanotify_init",
	"mknod",
	"mknodat",
	"move_pages",
	"migrate_pages",
	"set_mempolicy",
	"mbind",
	"modify_ldt",
	"personality",
};

static int refuse_all(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(refused) / sizeof(*refused); i++) {
		int nr = seccomp_syscall_resolve_name(refused[i]);
		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	return r;
}

static int refuse_arguments(scmp_filter_ctx ctx)
{
	static const unsigned long namespaces[] = { CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
						    CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
						    CLONE_NEWCGROUP };
	static const int families[] = { AF_PACKET, AF_VSOCK, AF_ALG, AF_KEY };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(namespaces) / sizeof(*namespaces); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	for (size_t i = 0; r == 0 && i < sizeof(families) / sizeof(*families); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, families[i]));
	/* Its flags are behind a pointer; C libraries take this for an old kernel and use clone. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1_32(SCMP_CMP_EQ, TIOCSTI));
	return r;
}

int main(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	FILE *f = tmpfile();
	struct sock_filter s;
	int r = ctx && f ? refuse_all(ctx) : -ENOMEM;

	if (r == 0)
		r = refuse_arguments(ctx);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fileno(f));
	if (r < 0) {
		fprintf(stderr, "filter-gen: %s\n", strerror(-r));
		return 1;
	}
	rewind(f);
	while (fread(&s, sizeof(s), 1, f) == 1)
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", s.code, s.jt, s.jf, s.k);
	fclose(f);
	seccomp_release(ctx);
	return fflush(stdout) != 0;
}
