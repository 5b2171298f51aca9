/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a machine takes to be saved and restored, on any KVM: the guest of
 * one page (echo.S) in a machine of MIB, of which TOUCHED MiB hold data.
 *
 *	snapshot-timer ECHO.elf FOLDER MIB TOUCHED ROUNDS
 *
 * Beside each save the same bytes are written by a plain loop, and synced as
 * the save is.  One JSON line with medians in milliseconds.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "libvmm/device/hub.h"
#include "libvmm/domain/domain.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/machine/save.h"
#include "libvmm/util/cleanup.h"

#define ROUNDS_MAX 100
#define PIECE (UINT64_C(1) << 20)

struct result {
	double copy_ms, save_ms, build_ms, first_ms, build_cpu_ms, reply_ms;
};

static struct {
	const char *kernel, *folder;
	uint64_t mib, touched_mib;
	unsigned rounds;
} opts;

static double ms_since(gint64 start)
{
	return (double)(g_get_monotonic_time() - start) / 1000;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "snapshot-timer: %s\n", what);
	exit(1);
}

static int host_open(void *opaque, const char *path, int flags, GError **error)
{
	return open(path, flags | O_CLOEXEC);
}

static void ignore_end(void *opaque, enum machine_end end, const char *detail)
{
}

static void ignore_balloon(void *opaque, uint64_t guest_bytes)
{
}

static struct machine *build(int state_fd)
{
	const struct machine_host host = { .opener = { .open = host_open } };
	const struct machine_events events = { .ended = ignore_end,
					       .balloon_changed = ignore_balloon };
	g_autofree char *xml = g_strdup_printf(
		"<domain type='kvm'><name>bench</name><memory unit='MiB'>%u</memory><vcpu>1</vcpu>"
		"<os><type arch='x86_64' machine='microvm'>hvm</type><kernel>%s</kernel></os>"
		"<devices><serial type='pty'/></devices></domain>",
		(unsigned)opts.mib, opts.kernel);
	g_autoptr(domain_def) def = domain_def_parse(xml, 0, NULL);
	struct machine *m;

	must(def, "the definition");
	m = state_fd < 0 ? machine_build(def, &host, &events, NULL)
			 : machine_build_saved(def, &host, &events, state_fd, NULL);
	must(m, "build a machine");
	return m;
}

static void touch(struct machine *m)
{
	uint8_t *at = guest_ptr(m->mem, 2 << 20, opts.touched_mib * PIECE);

	must(at, "more touched than there is");
	for (uint64_t i = 0; i < opts.touched_mib * PIECE; i += sizeof(uint64_t))
		memcpy(at + i, &(uint64_t){ i * 0x9e3779b97f4a7c15u + 1 }, sizeof(uint64_t));
}

static int file_new(void)
{
	int fd = open(opts.folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	must(fd >= 0, "a file in FOLDER");
	return fd;
}

static double copy(struct machine *m)
{
	const uint8_t *at = guest_ptr(m->mem, 2 << 20, opts.touched_mib * PIECE);
	auto_close int fd = file_new();
	gint64 start = g_get_monotonic_time();

	for (uint64_t i = 0; i < opts.touched_mib; i++)
		must(pwrite(fd, at + i * PIECE, PIECE, (off_t)(i * PIECE)) == (ssize_t)PIECE,
		     "write");
	fdatasync(fd);
	return ms_since(start);
}

static void on_saved(void *opaque, const GError *error)
{
	must(!error, "save");
	*(bool *)opaque = true;
}

static double save(struct machine *m, int fd)
{
	const struct machine_save_opts save = { .fd = dup(fd), .xml = "<domain/>", .run = true };
	gint64 start = g_get_monotonic_time();
	bool done = false;

	machine_save(m, &save, on_saved, &done);
	while (!done)
		g_main_context_iteration(NULL, TRUE);
	return ms_since(start);
}

/* What is typed comes back. */
static void ask(struct machine *m, const char *text)
{
	auto_close int line = hub_attach(machine_hub(m, ""), HUB_WRITE, "bench", 0, NULL, NULL);
	char buf[256];
	size_t n = 0;

	must(send(line, text, strlen(text), 0) == (ssize_t)strlen(text), "type");
	while (n < sizeof(buf) - 1) {
		ssize_t r = recv(line, buf + n, sizeof(buf) - 1 - n, MSG_DONTWAIT);

		if (r <= 0) {
			g_main_context_iteration(NULL, FALSE);
			continue;
		}
		n += (size_t)r;
		buf[n] = 0;
		if (strstr(buf, text))
			return;
	}
}

/* What a busy host cannot spoil. */
static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void restore(int fd, struct result *r)
{
	gint64 start = g_get_monotonic_time();
	double cpu = cpu_ms();
	struct machine *m = build(fd);
	struct machine_vcpu_stats s = { 0 };

	r->build_ms = ms_since(start);
	r->build_cpu_ms = cpu_ms() - cpu;
	machine_resume(m);
	/* The guest hears that it is a copy, and says so: that is its first exit. */
	while (!s.exits)
		machine_vcpu_stats(m, 0, &s);
	r->first_ms = ms_since(start);
	ask(m, "z");
	r->reply_ms = ms_since(start);
	machine_free(m);
}

static void round_run(struct result *r)
{
	auto_close int fd = file_new();
	struct machine *m = build(-1);

	machine_resume(m);
	ask(m, "a");
	touch(m);
	r->copy_ms = copy(m);
	r->save_ms = save(m, fd);
	machine_free(m);
	restore(fd, r);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const struct result *r, size_t member)
{
	double v[ROUNDS_MAX];

	for (unsigned i = 0; i < opts.rounds; i++)
		memcpy(&v[i], (const char *)&r[i] + member, sizeof(v[i]));
	qsort(v, opts.rounds, sizeof(v[0]), by_value);
	return v[opts.rounds / 2];
}

int main(int argc, char **argv)
{
	struct result r[ROUNDS_MAX];

	must(argc == 6, "ECHO.elf FOLDER MIB TOUCHED ROUNDS");
	opts.kernel = argv[1];
	opts.folder = argv[2];
	opts.mib = strtoull(argv[3], NULL, 10);
	opts.touched_mib = strtoull(argv[4], NULL, 10);
	opts.rounds = (unsigned)strtoul(argv[5], NULL, 10);
	must(opts.rounds && opts.rounds <= ROUNDS_MAX, "ROUNDS from 1 to 100");
	for (unsigned i = 0; i < opts.rounds; i++)
		round_run(&r[i]);
	double copy_ms = median(r, offsetof(struct result, copy_ms));
	double save_ms = median(r, offsetof(struct result, save_ms));
	printf("{\"bench\": \"snapshot\", \"mib\": %u, \"touched_mib\": %u, \"copy_ms\": %.1f, "
	       "\"save_ms\": %.1f, \"save_to_copy\": %.2f, \"restore_build_ms\": %.2f, "
	       "\"restore_first_ms\": %.2f, \"restore_build_cpu_ms\": %.2f, "
	       "\"restore_reply_ms\": %.2f}\n",
	       (unsigned)opts.mib, (unsigned)opts.touched_mib, copy_ms, save_ms, save_ms / copy_ms,
	       median(r, offsetof(struct result, build_ms)),
	       median(r, offsetof(struct result, first_ms)),
	       median(r, offsetof(struct result, build_cpu_ms)),
	       median(r, offsetof(struct result, reply_ms)));
	return 0;
}
