/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a <filesystem> to the device that serves it, with a thread of its own. */
#include "config.h"
#include "libvmm/machine/build-priv.h"

#include <sys/resource.h>

#include "libvmm/device/fs.h"
#include "libvmm/device/ninep.h"
#include "libvmm/device/virtio.h"
#include "libvmm/domain/domain.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static_assert(FILESYSTEM_TAG_MAX_BYTES == FS_TAG_BYTES, "libvmm/domain and libvmm/device");

#define FILES_MAX 4096			/* open in one share, at most */
#define OTHERS 4096			/* descriptors of the process that are for all else */

static enum share_owner_mode owners_of(enum filesystem_access access)
{
	static const enum share_owner_mode modes[] = {
		[FILESYSTEM_PASSTHROUGH] = SHARE_PASSTHROUGH,
		[FILESYSTEM_MAPPED] = SHARE_MAPPED,
		[FILESYSTEM_SQUASH] = SHARE_SQUASH,
	};

	static_assert(ARRAY_SIZE(modes) == N_FILESYSTEM_ACCESSES, "an access mode is missing");
	return modes[access];
}

static enum fs_cache cache_of(enum filesystem_cache cache)
{
	static const enum fs_cache caches[] = {
		[FILESYSTEM_CACHE_AUTO] = FS_CACHE_AUTO,
		[FILESYSTEM_CACHE_NONE] = FS_CACHE_NONE,
		[FILESYSTEM_CACHE_ALWAYS] = FS_CACHE_ALWAYS,
	};

	static_assert(ARRAY_SIZE(caches) == N_FILESYSTEM_CACHES, "a cache mode is missing");
	return caches[cache];
}

/* A fair part of the descriptors that the process may have. */
static void limits_set(struct share_opts *opts, unsigned n_shares)
{
	struct rlimit files;
	rlim_t each;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	each = files.rlim_cur > OTHERS ? (files.rlim_cur - OTHERS) / n_shares : 0;
	opts->files_max = (unsigned)CLAMP(each / 8, 64, FILES_MAX);
	opts->nodes_max = (unsigned)MIN(each > 2 * opts->files_max ? each - 2 * opts->files_max
								    : 256, UINT32_MAX);
}

static struct share *folder_share(struct machine *m, const struct filesystem_def *def,
				  unsigned n_shares, const struct machine_host *host,
				  GError **error)
{
	struct share_opts opts = { .name = def->tag, .proc_fd = m->share_proc_fd,
				   .owners = owners_of(def->access), .fmode = def->fmode,
				   .dmode = def->dmode, .readonly = def->readonly };
	struct machine_folder folder;

	if (!host->open_folder(host->opaque, def->alias, &folder, error))
		return NULL;
	opts.root_fd = folder.fd;
	opts.ours_are = folder.mapped;
	opts.uid = folder.uid;
	opts.gid = folder.gid;
	limits_set(&opts, n_shares);
	return share_new(&opts, error);
}

/* Either takes the share, also on failure. */
static struct virtio_device *device_new(struct machine *m, const struct filesystem_def *def,
					struct share *s, GMainContext *ctx, GError **error)
{
	const struct fs_opts fs = { .name = def->alias, .tag = def->tag, .share = s,
				    .cache = cache_of(def->cache), .queue_size = def->queue };
	const struct ninep_opts ninep = { .name = def->alias, .tag = def->tag, .share = s };

	return def->driver == FILESYSTEM_VIRTIOFS ? fs_new(&fs, m->mem, ctx, error)
						  : ninep_new(&ninep, m->mem, ctx, error);
}

bool build_share(struct machine *m, const struct filesystem_def *def, unsigned n_shares,
		 const struct machine_host *host, GError **error)
{
	g_autofree char *name = g_strdup_printf("%.10s/%.4s", m->name, def->alias);
	struct share *s = folder_share(m, def, n_shares, host, error);
	struct owner_thread *thread;

	if (!s)
		return false;
	thread = owner_thread_new(name);
	g_ptr_array_add(m->share_threads, thread);
	return machine_virtio_add(m, device_new(m, def, s, owner_thread_context(thread), error),
				  error);
}
