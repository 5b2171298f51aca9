/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Can this host's KVM run Linux?  A tiny guest tries what a kernel needs
 * before its first message; some hosts offer a KVM that interprets ring 0 and
 * fails there.  Takes under 3 seconds whatever the guest does.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum probe_test {
	PROBE_INT3,		/* breakpoint through the IDT */
	PROBE_XSAVE,		/* xsave, xrstor; skipped where CPUID has none */
	PROBE_CMPXCHG16B,
	PROBE_RING3,		/* iretq to ring 3 */
	PROBE_SYSCALL,		/* and back by syscall */
	PROBE_SPEED,		/* a loop in ring 0 */
	N_PROBE,
};

enum probe_verdict { PROBE_PASS, PROBE_FAIL, PROBE_SKIP };

struct probe_result {
	const char *name;	/* "int3" */
	const char *why;	/* what of Linux needs it, one line */
	enum probe_verdict verdict;
	char detail[120];
};

struct probe {
	struct probe_result tests[N_PROBE];
	double ring0_mips;	/* million loop turns a second; 0: not measured */
	bool runs_linux;	/* every test passed or was skipped */
};

/* dev_fd as for kvm_new().  False: no VM could be made at all. */
bool probe_run(int dev_fd, struct probe *ret, GError **error);
