/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of a machine are opened by vmmd, as the user that vmmd is: so that
 * is whose permissions are asked, component by component.
 */
#include "config.h"
#include "vmmd/preflight.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libvmm/host/node.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/folder.h"
#include "vmmd/cid.h"
#include "vmmd/graph.h"
#include "vmmd/imagehead.h"

#define KVM_DEVICE "/dev/kvm"
#define HUGEPAGES_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define INTERFACES "/sys/class/net/"
#define PORTS_TRIED_MAX 256u

struct flight {
	struct daemon *daemon;
	const domain_def *def;
	const struct domain *dom;
	preflight_found *found;
	void *opaque;
};

static void find(const struct flight *f, enum preflight_severity severity, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

static void find(const struct flight *f, enum preflight_severity severity, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	f->found(severity, text, f->opaque);
}

static const domain_def *running(const struct flight *f)
{
	return f->dom ? f->dom->live : NULL;
}

/* ---- paths ---- */

static bool may(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* Is all of the way there, up to but without the last component? */
static bool way_is_open(const struct flight *f, const char *what, const char *path)
{
	for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
		g_autofree char *folder = g_strndup(path, slash - path);

		if (may(folder, X_OK))
			continue;
		if (errno == EACCES)
			find(f, PREFLIGHT_NO_START,
			     "%s '%s': uid %u, as which vmmd runs, may not enter the folder '%s'",
			     what, path, geteuid(), folder);
		else
			find(f, PREFLIGHT_NO_START, "%s '%s': folder '%s': %s", what, path, folder,
			     g_strerror(errno));
		return false;
	}
	return true;
}

static bool check_file(const struct flight *f, const char *what, const char *path, bool write)
{
	struct stat st;

	if (!path || !way_is_open(f, what, path))
		return false;
	if (stat(path, &st) < 0) {
		find(f, PREFLIGHT_NO_START, "%s '%s': %s", what, path, g_strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		find(f, PREFLIGHT_NO_START, "%s '%s' is neither a file nor a block device", what,
		     path);
		return false;
	}
	if (may(path, write ? R_OK | W_OK : R_OK))
		return true;
	find(f, PREFLIGHT_NO_START, "%s '%s': uid %u, as which vmmd runs, may not %s it: %s", what,
	     path, geteuid(), errno == EACCES && may(path, R_OK) ? "write" : "read",
	     g_strerror(errno));
	return false;
}

/* What an image may still take of its file system. */
static void check_space(const struct flight *f, const struct disk_def *d)
{
	auto_close int fd = open(d->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct imagehead head = { 0 };
	struct statvfs fs;
	struct stat st;
	uint64_t free_bytes, taken;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fstatvfs(fd, &fs) < 0 ||
	    !imagehead_read(fd, d->format == DISK_FORMAT_RAW, &head, NULL))
		return;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	taken = (uint64_t)st.st_blocks * 512;
	if (head.bytes > taken && head.bytes - taken > free_bytes) {
		g_autofree char *need = g_format_size_full(head.bytes - taken,
							   G_FORMAT_SIZE_IEC_UNITS);
		g_autofree char *have = g_format_size_full(free_bytes, G_FORMAT_SIZE_IEC_UNITS);

		find(f, PREFLIGHT_DOUBT,
		     "disk '%s': '%s' may grow by %s, and its file system has %s left: the "
		     "guest pauses when that is used up", d->target, d->path, need, have);
	}
	imagehead_clear(&head);
}

static void check_disks(const struct flight *f)
{
	bool all = true;

	for (unsigned i = 0; i < f->def->disks->len; i++) {
		const struct disk_def *d = f->def->disks->pdata[i];
		g_autofree char *what = g_strdup_printf("disk '%s':", d->target);

		if (!check_file(f, what, d->path, disk_def_is_written(d)))
			all = false;
		else if (disk_def_is_written(d))
			check_space(f, d);
	}
	if (all && !running(f)) {
		g_autoptr(GError) error = NULL;

		if (!graph_check_start(f->daemon, f->def, &error))
			find(f, PREFLIGHT_NO_START, "%s", error->message);
	}
}

/* Tried as a start would, in the name of the first machine that there ever was. */
static void check_folder(const struct flight *f, const struct filesystem_def *fs)
{
	const struct daemon *d = f->daemon;
	const char *const ours[] = { d->state_dir, d->run_dir, d->log_dir, NULL };
	const struct folder_opts opts = {
		.path = fs->dir, .readonly = fs->readonly, .ours = ours,
		.machine = geteuid() == 0 ? WORKER_UID_BASE : 0,
	};
	g_autofree char *what = g_strdup_printf("filesystem '%s':", fs->tag);
	g_autoptr(GError) error = NULL;
	struct folder folder;

	if (!way_is_open(f, what, fs->dir))
		return;
	if (!folder_open(&opts, &folder, &error)) {
		find(f, PREFLIGHT_NO_START, "%s %s", what, error->message);
		return;
	}
	fd_close(&folder.fd);
	if (folder.mapped && !folder.uid && !fs->readonly)
		find(f, PREFLIGHT_DOUBT,
		     "%s '%s' belongs to root, and so will all that the guest makes there: a "
		     "folder of a user's own is better", what, fs->dir);
}

static void check_chardevs(const struct flight *f, const GPtrArray *devs)
{
	for (unsigned i = 0; i < devs->len; i++) {
		const struct chardev_def *dev = devs->pdata[i];
		g_autofree char *folder = dev->path ? g_path_get_dirname(dev->path) : NULL;

		if ((dev->backend != CHARDEV_FILE && dev->backend != CHARDEV_UNIX) || !folder ||
		    !way_is_open(f, dev->alias, dev->path) || may(dev->path, W_OK) ||
		    may(folder, W_OK))
			continue;
		find(f, PREFLIGHT_NO_START, "%s '%s': uid %u may make nothing in '%s'", dev->alias,
		     dev->path, geteuid(), folder);
	}
}

static void check_paths(const struct flight *f)
{
	if (!f->def->os.kernel)
		find(f, PREFLIGHT_NO_START, "there is no <kernel> in <os>, and no firmware that "
		     "could load one from a disk");
	else
		check_file(f, "kernel", f->def->os.kernel, false);
	if (f->def->os.initrd)
		check_file(f, "initrd", f->def->os.initrd, false);
	check_disks(f);
	for (unsigned i = 0; i < f->def->filesystems->len; i++)
		check_folder(f, f->def->filesystems->pdata[i]);
	check_chardevs(f, f->def->serials);
	check_chardevs(f, f->def->consoles);
	check_chardevs(f, f->def->channels);
}

/* ---- ports and bridges ---- */

static bool forwards(const domain_def *def, const struct forward_def *like, unsigned port)
{
	for (unsigned i = 0; def && i < def->ifaces->len; i++) {
		const struct iface_def *n = def->ifaces->pdata[i];

		for (unsigned j = 0; n->forwards && j < n->forwards->len; j++) {
			const struct forward_def *fwd = n->forwards->pdata[j];

			for (unsigned k = 0; fwd->udp == like->udp && k < fwd->ranges->len; k++) {
				const struct port_range *r =
					&g_array_index(fwd->ranges, struct port_range, k);

				if (!r->exclude && port >= r->start && port <= r->end)
					return true;
			}
		}
	}
	return false;
}

/* 0, or why nobody could listen there now. */
static int port_try(const struct forward_def *fwd, unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	const int type = fwd->udp ? SOCK_DGRAM : SOCK_STREAM;
	auto_close int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (fd < 0)
		return 0;
	if (fwd->address && inet_pton(AF_INET, fwd->address, &at.sin_addr) != 1)
		return EADDRNOTAVAIL;
	if (!fwd->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
}

static void check_forward(const struct flight *f, const char *alias, const struct forward_def *fwd)
{
	unsigned tried = 0;

	for (unsigned i = 0; i < fwd->ranges->len; i++) {
		const struct port_range *r = &g_array_index(fwd->ranges, struct port_range, i);

		for (unsigned p = r->start; !r->exclude && p <= r->end; p++) {
			int why;

			if (++tried > PORTS_TRIED_MAX || forwards(running(f), fwd, p) ||
			    !(why = port_try(fwd, p)))
				continue;
			find(f, PREFLIGHT_NO_START, "interface '%s': %s port %u of the host: %s",
			     alias, fwd->udp ? "udp" : "tcp", p,
			     why == EACCES ? "only root may listen below 1024" : g_strerror(why));
		}
	}
}

static void check_vsock(const struct flight *f)
{
	const struct vsock_def *v = f->def->vsock;
	const struct domain *user = v && !v->auto_cid ? cid_user(f->daemon, v->cid, f->dom) : NULL;

	if (user)
		find(f, PREFLIGHT_NO_START, "vsock: domain '%s' runs with <cid address='%u'/>",
		     user->name, v->cid);
}

static void check_net(const struct flight *f)
{
	for (unsigned i = 0; i < f->def->ifaces->len; i++) {
		const struct iface_def *n = f->def->ifaces->pdata[i];
		g_autofree char *bridge = g_strconcat(INTERFACES, n->bridge ? n->bridge : "", NULL);

		if (n->type == IFACE_BRIDGE && !may(bridge, F_OK))
			find(f, PREFLIGHT_NO_START, "interface '%s': the host has no bridge '%s'",
			     n->alias, n->bridge);
		for (unsigned j = 0; n->forwards && j < n->forwards->len; j++)
			check_forward(f, n->alias, n->forwards->pdata[j]);
	}
}

/* ---- processors and memory ---- */

/* libvirt's names and the kernel's, where they are two. */
static const char *cpuinfo_name(const char *feature)
{
	static const char *const other[][2] = {
		{ "invtsc", "nonstop_tsc" }, { "tsc-deadline", "tsc_deadline_timer" },
		{ "pclmuldq", "pclmulqdq" }, { "sse3", "pni" }, { "sse4.1", "sse4_1" },
		{ "sse4.2", "sse4_2" }, { "cmp_legacy", "cmp_legacy" }, { "lahf_lm", "lahf_lm" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(other); i++)
		if (!strcmp(feature, other[i][0]))
			return other[i][1];
	return feature;
}

static void check_features(const struct flight *f)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) words = NULL;

	if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL))
		return;
	words = g_strsplit_set(text, " \t\n", -1);
	for (unsigned i = 0; f->def->cpu.features && i < f->def->cpu.features->len; i++) {
		const struct cpu_feature_def *c = f->def->cpu.features->pdata[i];
		g_autofree char *plain = g_strdelimit(g_strdup(cpuinfo_name(c->name)), "-", '_');

		if (c->policy == CPU_POLICY_REQUIRE &&
		    !g_strv_contains((const char *const *)words, plain))
			find(f, PREFLIGHT_DOUBT,
			     "<feature policy='require' name='%s'/>: /proc/cpuinfo does not show "
			     "it", c->name);
	}
}

static void check_cpus(const struct flight *f)
{
	g_autoptr(node_topology) topo = node_topology_read();
	unsigned online = node_cpus_online(topo);

	if (!may(KVM_DEVICE, R_OK | W_OK))
		find(f, PREFLIGHT_NO_START, KVM_DEVICE ": %s: %s", g_strerror(errno),
		     errno == EACCES ? "is vmmd's user in the group kvm?" :
				       "vmsh host-validate tells what is missing");
	if (f->def->vcpus > online)
		find(f, PREFLIGHT_DOUBT, "%u vCPUs share %u processors of the host", f->def->vcpus,
		     online);
	check_features(f);
}

static void check_hugepages(const struct flight *f)
{
	g_autofree char *text = NULL;
	uint64_t pages, needed = f->def->memory_bytes / DOMAIN_HUGEPAGE_BYTES;

	if (!f->def->hugepages || !g_file_get_contents(HUGEPAGES_FREE, &text, NULL, NULL))
		return;
	pages = g_ascii_strtoull(text, NULL, 10);
	if (pages < needed)
		find(f, PREFLIGHT_NO_START,
		     "<hugepages>: %" G_GUINT64_FORMAT " pages of 2 MiB are free, and <memory> "
		     "needs %" G_GUINT64_FORMAT ": sysctl vm.nr_hugepages", pages, needed);
}

static void check_memory(const struct flight *f)
{
	const uint64_t kib = f->def->memory_bytes / 1024;
	struct node_memory node;

	if (running(f))
		return;
	check_hugepages(f);
	if (!node_memory_read(-1, &node, NULL))
		return;
	if (kib > node.total_kib)
		find(f, PREFLIGHT_NO_START,
		     "<memory> is %" G_GUINT64_FORMAT " MiB, more than the host's %"
		     G_GUINT64_FORMAT " MiB", kib / 1024, node.total_kib / 1024);
	else if (kib > node.free_kib + node.buffers_kib + node.cached_kib)
		find(f, PREFLIGHT_DOUBT,
		     "<memory> is %" G_GUINT64_FORMAT " MiB, and the host has %" G_GUINT64_FORMAT
		     " MiB left", kib / 1024,
		     (node.free_kib + node.buffers_kib + node.cached_kib) / 1024);
}

void preflight(struct daemon *daemon, const domain_def *def, const struct domain *dom,
	       preflight_found *found, void *opaque)
{
	const struct flight f = { daemon, def, dom, found, opaque };

	check_paths(&f);
	check_net(&f);
	check_vsock(&f);
	check_cpus(&f);
	check_memory(&f);
}
