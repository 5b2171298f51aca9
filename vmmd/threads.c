/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pinning a worker's threads, from outside. */
#include "config.h"
#include "vmmd/threads.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define LAST_CPU_FIELD 39		/* of /proc/PID/stat, proc(5) */

static char *task_text(pid_t pid, const char *tid, const char *file)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task/%s/%s", pid, tid, file);
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

/* "NAME/vcpu3": of which vCPU it is. */
static int task_vcpu(pid_t pid, const char *tid)
{
	g_autofree char *name = task_text(pid, tid, "comm");
	const char *at = name ? strstr(name, "/vcpu") : NULL;
	unsigned vcpu;

	return at && sscanf(at, "/vcpu%u", &vcpu) == 1 ? (int)vcpu : THREADS_OTHER;
}

/* Calls fn for each thread of that kind until it says false. */
static bool threads_each(pid_t pid, int vcpu, bool (*fn)(pid_t tid, void *opaque, GError **error),
			 void *opaque, GError **error)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *tid;

	while (dir && (tid = g_dir_read_name(dir)))
		if (task_vcpu(pid, tid) == vcpu &&
		    !fn((pid_t)g_ascii_strtoll(tid, NULL, 10), opaque, error))
			return false;
	return true;
}

struct pin {
	cpu_set_t *cpus;
	const char *text;
	unsigned n;
};

static bool pin_one(pid_t tid, void *opaque, GError **error)
{
	struct pin *p = opaque;

	p->n++;
	if (sched_setaffinity(tid, CPU_ALLOC_SIZE(DOMAIN_CPUS_MAX), p->cpus) == 0 ||
	    errno == ESRCH)	/* it has ended meanwhile */
		return true;
	if (errno == EINVAL)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: the host has none of the CPUs %s", p->text);
	return error_errno(error, errno, "pin a thread to CPUs %s", p->text);
}

bool threads_pin(pid_t pid, int vcpu, const char *cpuset, GError **error)
{
	struct pin p = { CPU_ALLOC(DOMAIN_CPUS_MAX), cpuset ?: "all", 0 };
	uint8_t map[DOMAIN_CPUS_MAX / 8];
	bool ok;

	if (cpuset)
		domain_cpuset_map(cpuset, map);
	else
		memset(map, 0xff, sizeof(map));
	CPU_ZERO_S(CPU_ALLOC_SIZE(DOMAIN_CPUS_MAX), p.cpus);
	for (unsigned i = 0; i < DOMAIN_CPUS_MAX; i++)
		if (map[i / 8] & 1u << i % 8)
			CPU_SET_S(i, CPU_ALLOC_SIZE(DOMAIN_CPUS_MAX), p.cpus);
	ok = threads_each(pid, vcpu, pin_one, &p, error);
	CPU_FREE(p.cpus);
	if (ok && p.n == 0)
		ok = error_set(error, VMM_ERR_OPERATION_FAILED,
			       "operation failed: the worker (pid %d) has no such thread", pid);
	return ok;
}

bool threads_pin_all(pid_t pid, const domain_def *def, GError **error)
{
	const GPtrArray *pins = def->tune.vcpu_pins;

	for (unsigned i = 0; pins && i < pins->len; i++) {
		const struct vcpu_pin_def *pin = pins->pdata[i];

		if (pin->vcpu < def->vcpus &&
		    !threads_pin(pid, (int)pin->vcpu, pin->cpuset, error))
			return false;
	}
	return !def->tune.emulator_pin ||
	       threads_pin(pid, THREADS_OTHER, def->tune.emulator_pin, error);
}

struct last {
	pid_t pid;
	int cpu;
};

static bool last_one(pid_t tid, void *opaque, GError **error)
{
	struct last *l = opaque;
	g_autofree char *id = g_strdup_printf("%d", tid);
	g_autofree char *text = task_text(l->pid, id, "stat");
	const char *at = text ? strrchr(text, ')') : NULL;	/* the name may have blanks */
	g_auto(GStrv) fields = g_strsplit(at ? at + 1 : "", " ", -1);

	/* after ')' and a blank comes field 3 */
	if (g_strv_length(fields) > LAST_CPU_FIELD - 2)
		l->cpu = (int)g_ascii_strtoll(fields[LAST_CPU_FIELD - 2], NULL, 10);
	return true;
}

int threads_last_cpu(pid_t pid, unsigned vcpu)
{
	struct last l = { pid, -1 };

	threads_each(pid, (int)vcpu, last_one, &l, NULL);
	return l.cpu;
}
