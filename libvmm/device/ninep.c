/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-9p: the device, and each request's way through it. */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>
#include <linux/virtio_ids.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"

#define QUEUE_SIZE 128
#define F_MOUNT_TAG 0
#define TURN_REQUESTS 64		/* then the loop looks at what else there is */
#define PROTOCOL "9P2000.L"
#define ERROR_BYTES (NINEP_HDR_BYTES + 4)

/* ---- messages that are about the session ---- */

/* A new session: what the last one had is gone. */
static int ninep_version(struct ninep *p, struct ninep_msg *m)
{
	uint32_t msize = get_u32(m);
	char version[NINEP_NAME_BYTES];
	int r = msg_get_name(m, version);
	const char *ours = PROTOCOL;

	if (r < 0)
		return r;
	if (msize < NINEP_MSIZE_MIN)
		return -EMSGSIZE;
	ninep_sync_abort(p);
	ninep_fids_drop(p);
	p->msize = MIN(msize, NINEP_MSIZE_MAX);
	if (strcmp(version, PROTOCOL)) {
		p->msize = 0;
		ours = "unknown";
	}
	msg_put(m, MIN(msize, NINEP_MSIZE_MAX), 4);
	msg_put_text(m, ours, strlen(ours));
	return 0;
}

static ninep_fn *const handlers[256] = {
	[T_STATFS] = ninep_statfs, [T_LOPEN] = ninep_lopen, [T_LCREATE] = ninep_lcreate,
	[T_SYMLINK] = ninep_symlink, [T_MKNOD] = ninep_mknod, [T_RENAME] = ninep_rename,
	[T_READLINK] = ninep_readlink, [T_GETATTR] = ninep_getattr, [T_SETATTR] = ninep_setattr,
	[T_XATTRWALK] = ninep_xattrwalk, [T_XATTRCREATE] = ninep_xattrcreate,
	[T_READDIR] = ninep_readdir, [T_FSYNC] = ninep_fsync, [T_LOCK] = ninep_lock,
	[T_GETLOCK] = ninep_getlock, [T_LINK] = ninep_link, [T_MKDIR] = ninep_mkdir,
	[T_RENAMEAT] = ninep_renameat, [T_UNLINKAT] = ninep_unlinkat, [T_VERSION] = ninep_version,
	[T_ATTACH] = ninep_attach, [T_FLUSH] = ninep_flush, [T_WALK] = ninep_walk,
	[T_READ] = ninep_read, [T_WRITE] = ninep_write, [T_CLUNK] = ninep_clunk,
	[T_REMOVE] = ninep_remove,
};

/* ---- one request ---- */

/* False: it is no message, or has no room for an answer; the driver is wrong, not its user. */
static bool request_read(struct ninep *p, struct virtqueue_chain *chain, struct ninep_msg *m)
{
	const uint8_t *r = p->request;
	size_t n = chain_read(chain, 0, p->request, sizeof(p->request));

	*m = (struct ninep_msg){ .at = r, .end = r + n, .chain = chain,
				 .put = p->answer + NINEP_HDR_BYTES,
				 .put_end = p->answer + sizeof(p->answer) };
	m->size = get_u32(m);
	m->type = get_u8(m);
	m->tag = get_u16(m);
	if (m->bad || m->size < NINEP_HDR_BYTES || m->size > chain->out_bytes ||
	    chain->in_bytes < ERROR_BYTES)
		return false;
	m->end = r + MIN(n, m->size);
	m->in_bytes = MIN(chain->in_bytes, p->msize ? p->msize : NINEP_MSIZE_MIN);
	return true;
}

static int request_do(struct ninep *p, struct ninep_msg *m)
{
	ninep_fn *fn = handlers[m->type];
	size_t bytes = m->type == T_WRITE ? NINEP_WRITE_HDR : m->size;

	if (!p->msize && m->type != T_VERSION)
		return -EPROTO;
	if (!fn)
		return -EOPNOTSUPP;
	if (bytes > sizeof(p->request) || (p->msize && m->size > p->msize))
		return -EMSGSIZE;
	return fn(p, m);
}

/* How long the answer is. */
static uint32_t answer_write(struct ninep *p, struct ninep_msg *m, int r)
{
	uint8_t type = m->type + 1;
	size_t head, bytes;

	if (r == 0 && (size_t)(m->put - p->answer) + m->direct > m->chain->in_bytes)
		r = -EMSGSIZE;	/* only a client that gives little room for an answer sees it */
	if (r < 0) {
		m->put = p->answer + NINEP_HDR_BYTES;
		m->direct = 0;
		msg_put(m, (uint64_t)-r, 4);
		type = T_LERROR + 1;
	}
	head = (size_t)(m->put - p->answer);
	bytes = head + m->direct;
	ninep_put_le(p->answer, bytes, 4);
	p->answer[4] = type;
	ninep_put_le(p->answer + 5, m->tag, 2);
	chain_write(m->chain, 0, p->answer, head);
	return (uint32_t)bytes;
}

static bool request_serve(struct ninep *p, struct virtqueue_chain *chain)
{
	struct ninep_msg m;
	int r;

	if (!request_read(p, chain, &m)) {
		virtio_broken(&p->vdev, "a request of %zu bytes with room for %zu",
			      chain->out_bytes, chain->in_bytes);
		return false;
	}
	r = request_do(p, &m);
	if (r != NINEP_LATER)
		virtqueue_push(virtio_queue(&p->vdev, 0), chain->head, answer_write(p, &m, r));
	return true;
}

/* ---- the device ---- */

static void ninep_kick(struct virtio_device *dev, unsigned queue)
{
	struct ninep *p = ninep_of(dev);
	unsigned left = TURN_REQUESTS;

	while (left > 0) {
		struct virtqueue_chain chain = { .iov = p->iov, .n_iov = NINEP_CHAIN_IOV };

		if (virtio_pop(dev, queue, &chain) <= 0)
			break;
		left--;
		if (!request_serve(p, &chain))
			return;
	}
	virtio_notify(dev, queue);
	if (left == 0 || virtqueue_kicks_on(virtio_queue(dev, queue)))
		virtio_kick_later(dev, queue);
}

static void ninep_reset(struct virtio_device *dev)
{
	struct ninep *p = ninep_of(dev);

	if (p->syncer)
		syncer_forget_all(p->syncer);
	ninep_fids_drop(p);
	p->msize = 0;
}

static void ninep_start(struct virtio_device *dev)
{
	ninep_sync_answer(ninep_of(dev));
}

/*
 * What a saved guest had open is gone: its requests are refused until it mounts
 * anew.  vmmd does not save a machine with shared folders.
 */
static void ninep_load(struct virtio_device *dev, struct state_in *in)
{
	(void)in;
	ninep_reset(dev);
}

static void drop_on_owner(void *opaque)
{
	ninep_reset(opaque);
}

static void ninep_free(struct virtio_device *dev)
{
	struct ninep *p = ninep_of(dev);

	syncer_stop(p->syncer);
	if (p->fids && p->buckets && p->share)
		owner_call(dev->ctx, drop_on_owner, dev);
	virtio_done(dev);
	syncer_free(p->syncer);
	ninep_fids_done(p);
	share_free(p->share);
	g_free(p);
}

static const struct virtio_ops ninep_ops = {
	.reset = ninep_reset,
	.kick = ninep_kick,
	.start = ninep_start,
	.load = ninep_load,
	.free = ninep_free,
};

struct entering {
	struct share *share;
	int r;
};

static void enter_on_owner(void *opaque)
{
	struct entering *e = opaque;

	e->r = share_enter(e->share);
}

static bool share_begin(struct ninep *p, GMainContext *ctx, GError **error)
{
	struct entering e = { .share = p->share };

	owner_call(ctx, enter_on_owner, &e);
	return e.r == 0 || error_errno(error, -e.r, "%s: enter the shared folder", p->vdev.name);
}

struct virtio_device *ninep_new(const struct ninep_opts *opts, struct guest_memory *mem,
				GMainContext *ctx, GError **error)
{
	static const uint16_t queue_sizes[] = { QUEUE_SIZE };
	uint8_t config[2 + NINEP_TAG_MAX];
	const size_t tag_bytes = MIN(strlen(opts->tag), NINEP_TAG_MAX);
	const struct virtio_opts vopts = {
		.ops = &ninep_ops,
		.name = opts->name,
		.type = VIRTIO_ID_9P,
		.ctx = ctx,
		.mem = mem,
		.features = 1u << F_MOUNT_TAG,
		.n_queues = ARRAY_SIZE(queue_sizes),
		.queue_sizes = queue_sizes,
		.config = config,
		.config_bytes = 2 + tag_bytes,
	};
	struct ninep *p = g_new0(struct ninep, 1);

	p->share = opts->share;
	ninep_put_le(config, tag_bytes, 2);
	memcpy(config + 2, opts->tag, tag_bytes);
	if (!virtio_init(&p->vdev, &vopts, error) || !ninep_fids_init(p, error) ||
	    !share_begin(p, ctx, error)) {
		ninep_free(&p->vdev);
		return NULL;
	}
	p->syncer = syncer_new("9p/sync", ctx, ninep_sync_answer, p);
	return &p->vdev;
}

unsigned ninep_fids(struct virtio_device *dev)
{
	return ninep_of(dev)->n_fids;
}
