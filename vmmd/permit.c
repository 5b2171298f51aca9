/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker is not trusted: it reads images that a stranger may have made.
 * So it has no path of its own, and asks here.
 *
 * A backing file is named by an image, not by the definition.  Its name is
 * read here, from the header of an image that was just handed out, never taken
 * from the worker; and never from an image that is raw by the definition or by
 * its overlay's word, for a guest writes what it likes into those.
 */
#include "config.h"
#include "vmmd/permit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/net/tap.h"
#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "vmmd/daemon.h"
#include "vmmd/imagehead.h"

/* images in all that one start may open by way of headers */
#define CHAIN_MAX 256

enum permit_kind {
	PERMIT_READ = 1,		/* kernel, initrd, read-only disk, backing image */
	PERMIT_WRITE = 2,
	PERMIT_CREATE = 4,		/* output of a character device */
	PERMIT_LISTEN = 8,
	PERMIT_QCOW2 = 16,		/* its header may name a backing image */
	PERMIT_DEVICE = 32,		/* a character device: /dev/kvm */
};

struct permit {
	GHashTable *paths;		/* canonical path -> enum permit_kind bits */
	char *scratch;			/* the folder of files without a name */
	unsigned scratches;		/* so many more of those */
	const domain_def *live;
};

static char *canonical(const char *path)
{
	return g_canonicalize_filename(path, "/");
}

static void permit_add(struct permit *p, const char *path, unsigned kind)
{
	char *key;

	if (!path)
		return;
	key = canonical(path);
	kind |= GPOINTER_TO_UINT(g_hash_table_lookup(p->paths, key));
	g_hash_table_replace(p->paths, key, GUINT_TO_POINTER(kind));
}

static void permit_add_chardevs(struct permit *p, const GPtrArray *devs)
{
	for (unsigned i = 0; i < devs->len; i++) {
		const struct chardev_def *dev = g_ptr_array_index(devs, i);

		if (dev->backend == CHARDEV_FILE)
			permit_add(p, dev->path, PERMIT_WRITE | PERMIT_CREATE);
		else if (dev->backend == CHARDEV_UNIX)
			permit_add(p, dev->path, PERMIT_LISTEN);
	}
}

struct permit *permit_new(const domain_def *live, const char *scratch)
{
	struct permit *p = g_new0(struct permit, 1);

	p->scratch = g_strdup(scratch);
	p->live = live;
	p->paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	permit_add(p, "/dev/kvm", PERMIT_READ | PERMIT_WRITE | PERMIT_DEVICE);
	permit_add(p, live->os.kernel, PERMIT_READ);
	permit_add(p, live->os.initrd, PERMIT_READ);
	for (unsigned i = 0; i < live->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(live->disks, i);

		p->scratches += d->transient;
		permit_add(p, d->path, PERMIT_READ | (disk_def_is_written(d) ? PERMIT_WRITE : 0) |
			   (d->format == DISK_FORMAT_QCOW2 && !d->no_backing ? PERMIT_QCOW2 : 0));
	}
	permit_add_chardevs(p, live->serials);
	permit_add_chardevs(p, live->consoles);
	permit_add_chardevs(p, live->channels);
	return p;
}

void permit_free(struct permit *p)
{
	if (!p)
		return;
	g_hash_table_unref(p->paths);
	g_free(p->scratch);
	g_free(p);
}

/* ---- backing images ---- */

static void permit_backing(struct permit *p, const char *path, int fd)
{
	struct imagehead head = { 0 };
	g_autofree char *full = NULL;

	if (g_hash_table_size(p->paths) > CHAIN_MAX || !imagehead_read(fd, false, &head, NULL))
		return;
	full = imagehead_backing_path(&head, path);
	permit_add(p, full, PERMIT_READ | (head.backing_is_raw ? 0 : PERMIT_QCOW2));
	imagehead_clear(&head);
}

/* ---- opening ---- */

static bool flags_permitted(unsigned kind, unsigned flags)
{
	unsigned mode = flags & O_ACCMODE;
	unsigned known = O_ACCMODE | O_CLOEXEC | O_DIRECT | O_DSYNC | O_SYNC | O_NOCTTY |
			 O_NONBLOCK | O_LARGEFILE | O_NOFOLLOW | O_NOATIME;

	if (kind & PERMIT_CREATE)
		known |= O_CREAT | O_TRUNC | O_APPEND;
	if (flags & ~known)
		return false;
	if (mode != O_RDONLY && !(kind & PERMIT_WRITE))
		return false;
	return mode == O_WRONLY || kind & PERMIT_READ;
}

/* A pipe or a socket in the place of an image would hang us, a terminal would own us. */
static bool file_is_fit(int fd, unsigned kind, const char *path, GError **error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "stat '%s'", path);
	if (S_ISDIR(st.st_mode))
		return error_set(error, VMM_ERR_OPERATION_FAILED, "'%s' is a folder", path);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ||
	    (S_ISCHR(st.st_mode) && kind & (PERMIT_DEVICE | PERMIT_CREATE)))
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "'%s' is neither a file nor a block device", path);
}

static int file_open(struct permit *p, const char *path, unsigned kind, unsigned flags,
		     GError **error)
{
	auto_close int fd = open(path, (int)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), 0600);

	if (fd < 0) {
		error_errno(error, errno, "open '%s'", path);
		return -1;
	}
	if (!file_is_fit(fd, kind, path, error))
		return -1;
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, (int)(flags & ~(O_CREAT | O_TRUNC | O_CLOEXEC)));
	if (kind & PERMIT_QCOW2)
		permit_backing(p, path, fd);
	return TAKE_FD(fd);
}

int permit_open_image(const char *path, int flags, GError **error)
{
	auto_close int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		error_errno(error, errno, "open '%s'", path);
	return fd >= 0 && file_is_fit(fd, 0, path, error) ? TAKE_FD(fd) : -1;
}

/* The program for guests; where it is, is the daemon's word. */
static int open_agent(GError **error)
{
	const char *path = g_getenv("VMM_AGENT");

	return permit_open_image(path ? path : PKGLIBEXECDIR "/vmm-agent", O_RDONLY, error);
}

/* It never has a name where O_TMPFILE works; elsewhere for an instant. */
static int open_scratch(struct permit *p, GError **error)
{
	g_autofree char *name = g_build_filename(p->scratch, ".scratch-XXXXXX", NULL);
	int fd = open(p->scratch, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && (fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600)) >= 0)
		unlink(name);
	if (fd < 0)
		error_errno(error, errno, "make a file for a transient disk in '%s'", p->scratch);
	else
		p->scratches--;
	return fd;
}

int permit_open(struct permit *p, const char *path, unsigned flags, GError **error)
{
	g_autofree char *key = g_path_is_absolute(path) ? canonical(path) : g_strdup("");
	unsigned kind = GPOINTER_TO_UINT(g_hash_table_lookup(p->paths, key));

	if (!strcmp(path, DOMAIN_AGENT_FILE) && flags_permitted(PERMIT_READ, flags) &&
	    domain_agent_injected(p->live))
		return open_agent(error);
	if (!strcmp(path, DOMAIN_SCRATCH_FILE) && p->scratches)
		return open_scratch(p, error);
	if (flags == WORKER_OPEN_LISTEN && kind & PERMIT_LISTEN)
		return io_listen_unix(key, 0660, error);
	if (kind && flags_permitted(kind, flags))
		return file_open(p, key, kind, flags, error);
	g_warning("a worker asked for '%s' with flags %#x: refused", path, flags);
	error_set(error, VMM_ERR_ACCESS_DENIED, kind ? "'%s' may not be opened like that" :
		  "'%s' is not part of the domain's definition", path);
	return -1;
}

bool permit_open_folder(struct permit *p, const struct daemon *daemon, const char *alias,
			struct folder *ret, GError **error)
{
	const char *const ours[] = { daemon->state_dir, daemon->run_dir, daemon->log_dir, NULL };
	struct folder_opts opts = { .ours = ours };

	if (geteuid() == 0)
		opts.machine = WORKER_UID_BASE + (unsigned)p->live->id % WORKER_UID_COUNT;
	for (unsigned i = 0; i < p->live->filesystems->len; i++) {
		const struct filesystem_def *fs = p->live->filesystems->pdata[i];

		if (g_strcmp0(fs->alias, alias) != 0)
			continue;
		opts.path = fs->dir;
		opts.readonly = fs->readonly;
		return folder_open(&opts, ret, error);
	}
	return error_set(error, VMM_ERR_ACCESS_DENIED, "the domain has no folder '%s'", alias);
}

bool permit_open_tap(struct permit *p, const char *alias, unsigned queues, int *fds,
		     char **ret_ifname, GError **error)
{
	char ifname[IFNAMSIZ];

	for (unsigned i = 0; i < p->live->ifaces->len; i++) {
		const struct iface_def *iface = g_ptr_array_index(p->live->ifaces, i);
		struct tap_opts opts = {
			.ifname = iface->target, .queues = queues, .mtu = iface->mtu,
			.bridge = iface->type == IFACE_BRIDGE ? iface->bridge : NULL,
			.keep_down = iface->target_unmanaged,
		};

		if (iface->type == IFACE_USER || g_strcmp0(iface->alias, alias) != 0)
			continue;
		if (!tap_open(&opts, fds, ifname, error))
			return false;
		*ret_ifname = g_strdup(ifname);
		return true;
	}
	return error_set(error, VMM_ERR_ACCESS_DENIED, "the domain has no tap interface '%s'",
			 alias);
}
