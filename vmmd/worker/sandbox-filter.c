/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Seccomp filters: which calls a process is left with in its jail. */
#include "config.h"
#include "vmmd/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* Memory, time, signals, the end: what the C library wants of any process. */
static const int process_allowed[] = {
	SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise),
	SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Sorted by what asks for them; one line a subject. */
static const int allowed[] = {
	/* bytes */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(preadv2), SCMP_SYS(pwritev2), SCMP_SYS(lseek),
	SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(fdatasync), SCMP_SYS(fsync), SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate), SCMP_SYS(sync_file_range), SCMP_SYS(copy_file_range),
	SCMP_SYS(io_uring_enter),
	/* waiting */
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(eventfd2),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(pipe2), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(membarrier),
	/* memory */
	SCMP_SYS(mremap), SCMP_SYS(mlock), SCMP_SYS(munlock), SCMP_SYS(mincore),
	/* sockets: consoles, the control channel, user-mode networking */
	SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(listen),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(socketpair),
	/* time, threads, the process itself */
	SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getcpu),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit), SCMP_SYS(setpriority),
};

/* Shared folders: what a guest does to its files, all below descriptors. */
static const int share_allowed[] = {
	SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(getdents64), SCMP_SYS(readlinkat),
	SCMP_SYS(mkdirat), SCMP_SYS(mknodat), SCMP_SYS(symlinkat), SCMP_SYS(linkat),
	SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(fchmodat),
	SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(getxattr), SCMP_SYS(setxattr),
	SCMP_SYS(listxattr), SCMP_SYS(removexattr), SCMP_SYS(flock), SCMP_SYS(syncfs),
};

/* A worker never does these: whoever tries is not the worker any more. */
static const int fatal[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(bpf), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(setuid), SCMP_SYS(setresuid), SCMP_SYS(keyctl),
};

/* _IOC_TYPE: KVM's; TUN, FIONBIO and terminals; block devices. */
static const scmp_datum_t ioctl_types[] = { 0xae, 0x54, 0x12 };

/* A message comes, a socket is sent. */
static const int door_allowed[] = {
	SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(connect),
};

/* Sockets and what finds names: resolv.conf and hosts are read, servers are asked. */
static const int outbound_allowed[] = {
	SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(shutdown), SCMP_SYS(read),
	SCMP_SYS(writev), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(fcntl), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(pread64), SCMP_SYS(mremap),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sysinfo), SCMP_SYS(rt_sigaction),
};

/* Connections that are there already, and what GnuTLS and a main loop want. */
static const int tls_allowed[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(lseek), SCMP_SYS(fcntl),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(accept4), SCMP_SYS(sendto),
	SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
	SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(socketpair), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(mremap), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(getrandom), SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(rt_sigaction),
	SCMP_SYS(prlimit64),
};

/* Never executable memory: injected code has nowhere to be. */
static int filter_add_memory(scmp_filter_ctx f)
{
	int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	return r ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int filter_add_socket(scmp_filter_ctx f, int family)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
}

/* Calls that are fine with some arguments only. */
static int filter_add_conditions(scmp_filter_ctx f)
{
	int r = filter_add_socket(f, AF_INET) ?: filter_add_socket(f, AF_INET6);

	/* Threads, not processes.  clone3's flags can't be seen: glibc falls back on ENOSYS. */
	r = r ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	r = r ?: seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	r = r ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				  SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	for (size_t i = 0; !r && i < ARRAY_SIZE(ioctl_types); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, ioctl_types[i] << 8));
	return r;
}

static int filter_add(scmp_filter_ctx f, uint32_t action, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		r = seccomp_rule_add(f, action, calls[i], 0);
	return r;
}

/* calls, and what only an intruder would try; more: calls with conditions. */
static bool filter_load(const int *calls, size_t n, int (*more)(scmp_filter_ctx), GError **error)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = f ? filter_add_memory(f) : -ENOMEM;

	r = r ?: filter_add(f, SCMP_ACT_ALLOW, process_allowed, ARRAY_SIZE(process_allowed));
	r = r ?: filter_add(f, SCMP_ACT_ALLOW, calls, n);
	r = r ?: filter_add(f, SCMP_ACT_KILL_PROCESS, fatal, ARRAY_SIZE(fatal));
	r = r ?: more(f);
	r = r ?: seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	r = r ?: seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = r ?: seccomp_load(f);
	seccomp_release(f);
	/* The filter's rules were the last of what only the start needs. */
	malloc_trim(0);
	return r ? error_errno(error, r, "sandbox: load the seccomp filter") : true;
}

static int filter_add_reading(scmp_filter_ctx f)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT, O_RDONLY));
}

/* libslirp reads resolv.conf again when it changes. */
static int filter_add_alone(scmp_filter_ctx f)
{
	return filter_add_conditions(f) ?: filter_add_reading(f);
}

static int filter_add_shares(scmp_filter_ctx f)
{
	return filter_add_conditions(f) ?:
	       filter_add(f, SCMP_ACT_ALLOW, share_allowed, ARRAY_SIZE(share_allowed));
}

static int door_add_conditions(scmp_filter_ctx f)
{
	return filter_add_socket(f, AF_UNIX);
}

/* How much there is of an answer is asked by an ioctl. */
static int outbound_add_conditions(scmp_filter_ctx f)
{
	return filter_add_socket(f, AF_INET) ?: filter_add_socket(f, AF_INET6) ?:
	       filter_add_reading(f) ?:
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_EQ, FIONREAD));
}

bool sandbox_lock(bool shares, GError **error)
{
	return filter_load(allowed, ARRAY_SIZE(allowed),
			   shares ? filter_add_shares : filter_add_alone, error);
}

bool sandbox_lock_door(GError **error)
{
	return filter_load(door_allowed, ARRAY_SIZE(door_allowed), door_add_conditions, error);
}

bool sandbox_lock_outbound(GError **error)
{
	return filter_load(outbound_allowed, ARRAY_SIZE(outbound_allowed),
			   outbound_add_conditions, error);
}

bool sandbox_lock_tls(GError **error)
{
	return filter_load(tls_allowed, ARRAY_SIZE(tls_allowed), filter_add_reading, error);
}
