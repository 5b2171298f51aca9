/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a <disk> to an image and the device at it, with a thread of its own. */
#include "config.h"
#include "libvmm/machine/build-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "libvmm/device/blk.h"
#include "libvmm/domain/domain.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static enum block_cache cache_of(enum disk_cache cache)
{
	static const enum block_cache caches[] = {
		[DISK_CACHE_DEFAULT] = BLOCK_CACHE_WRITEBACK,
		[DISK_CACHE_NONE] = BLOCK_CACHE_NONE,
		[DISK_CACHE_WRITETHROUGH] = BLOCK_CACHE_WRITETHROUGH,
		[DISK_CACHE_WRITEBACK] = BLOCK_CACHE_WRITEBACK,
		[DISK_CACHE_DIRECTSYNC] = BLOCK_CACHE_DIRECTSYNC,
		[DISK_CACHE_UNSAFE] = BLOCK_CACHE_UNSAFE,
	};

	static_assert(ARRAY_SIZE(caches) == N_DISK_CACHES, "a cache mode is missing");
	return caches[cache];
}

/* Without a word a full disk of the host pauses the guest: it could do nothing about it. */
static enum blk_policy blk_policy_of(enum disk_policy policy)
{
	static const enum blk_policy policies[] = {
		[DISK_POLICY_DEFAULT] = BLK_POLICY_ENOSPACE,
		[DISK_POLICY_REPORT] = BLK_POLICY_REPORT,
		[DISK_POLICY_STOP] = BLK_POLICY_STOP,
		[DISK_POLICY_IGNORE] = BLK_POLICY_IGNORE,
		[DISK_POLICY_ENOSPACE] = BLK_POLICY_ENOSPACE,
	};

	static_assert(ARRAY_SIZE(policies) == N_DISK_POLICIES, "a policy is missing");
	return policies[policy];
}

/* Space is given back only where discards are. */
static enum blk_zeroes zeroes_of(const struct disk_def *def)
{
	if (def->detect_zeroes == DISK_ZEROES_UNMAP && def->discard == DISK_DISCARD_UNMAP)
		return BLK_ZEROES_UNMAP;
	return def->detect_zeroes >= DISK_ZEROES_ON ? BLK_ZEROES_ON : BLK_ZEROES_OFF;
}

struct machine_limits machine_limits_of(const char *target, const char *group, const uint64_t *v)
{
	struct machine_limits l = { target, group, .limits.op_bytes = v[IOTUNE_SIZE] };

	for (unsigned i = 0; i < ARRAY_SIZE(l.limits.limits); i++)
		l.limits.limits[i] = (struct blk_limit){ v[i], v[IOTUNE_MAX + i],
							 v[IOTUNE_LENGTH + i] };
	return l;
}

void machine_disk_free(void *p)
{
	struct machine_disk *d = p;

	owner_thread_free(d->thread);
	machine_wake_free(d->wake);
	throttle_unref(d->throttle);
	g_free(d->limits_group);
	g_free(d->job_text);
	g_free(d->target);
	g_free(d->path);
	g_free(d);
}

static struct machine_disk *disk_new(struct machine *m, const struct disk_def *def)
{
	struct machine_disk *d = g_new0(struct machine_disk, 1);
	g_autofree char *thread = g_strdup_printf("%.10s/%s", m->name, def->target);

	d->m = m;
	d->target = g_strdup(def->target);
	d->path = g_strdup(def->path);
	d->limits_group = g_strdup("");
	d->wake = machine_wake_new(m, machine_on_disk_error, d);
	d->thread = owner_thread_new(thread);
	g_ptr_array_add(m->disks, d);
	return d;
}

static struct block *scratch_open(const struct machine_host *host, const struct block_opts *image,
				  GError **error)
{
	const struct block_opener *o = &host->opener;
	int fd = o->open ? o->open(o->opaque, DOMAIN_SCRATCH_FILE, O_RDWR, error)
			 : memfd_create("scratch", MFD_CLOEXEC);

	if (fd < 0 && !o->open)
		error_errno(error, errno, "make a file for what is written");
	return fd < 0 ? NULL : block_open_scratch(image, fd, error);
}

bool build_disk(struct machine *m, const struct disk_def *def,
		const struct machine_host *host, GError **error)
{
	const struct block_opts image = {
		.path = def->path,
		.format = disk_format_name(def->format),
		.read_only = def->readonly,
		.share = def->shareable,
		.no_backing = def->no_backing,
		.discard = def->discard == DISK_DISCARD_UNMAP,
		.no_uring = def->io == DISK_IO_THREADS,
		.cache = cache_of(def->cache),
		.opener = &host->opener,
	};
	struct blk_opts opts = {
		.name = def->alias,
		.serial = def->serial,
		.n_queues = def->queues ?: MIN(m->n_vcpus, 4u),
		.read_only = def->readonly,
		.no_cache = def->cache == DISK_CACHE_WRITETHROUGH ||
			    def->cache == DISK_CACHE_DIRECTSYNC,
		.discard = image.discard,
		.detect_zeroes = zeroes_of(def),
		.write_policy = blk_policy_of(def->error_policy),
		.read_policy = blk_policy_of(def->rerror_policy == DISK_POLICY_DEFAULT
						     ? def->error_policy
						     : def->rerror_policy),
		.on_error = machine_disk_failed,
		.on_room = machine_disk_has_room,
	};
	const struct machine_limits limits =
		machine_limits_of(def->target, def->iotune_group ?: "", disk_iotune(def));
	struct block *b = def->transient ? scratch_open(host, &image, error)
					 : block_open(&image, error);
	struct machine_disk *d;

	if (!b)
		return false;
	d = disk_new(m, def);
	d->image = image;
	d->image.path = NULL;
	d->image.opener = NULL;
	opts.opaque = d;
	d->dev = blk_new(b, &opts, m->mem, owner_thread_context(d->thread), error);
	if (d->dev)
		machine_set_limits(m, &limits, 1, NULL);
	return machine_virtio_add(m, d->dev, error);
}
