/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-9p: fsync, the one request that is answered later, and what interrupts it. */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>

int ninep_fsync(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	bool data_only = m->at < m->end && get_u32(m);	/* older clients leave it out */
	struct sync_job job = { .what = data_only ? SYNC_DATA : SYNC_FILE, .id = m->tag,
				.head = m->chain->head };

	if (m->bad || !f || !f->file)
		return m->bad ? -EINVAL : -EBADF;
	job.fd = share_file_dup(p->share, f->file);
	if (job.fd < 0)
		return job.fd;
	return syncer_add(p->syncer, &job) ? NINEP_LATER : job.result;
}

/* The chain of a request that is being looked at is in p->iov. */
static void answer_later(struct ninep *p, const struct sync_job *job, int r)
{
	struct virtqueue *vq = virtio_queue(&p->vdev, job->queue);
	struct virtqueue_chain chain = { .iov = p->later, .n_iov = NINEP_CHAIN_IOV };
	uint8_t answer[NINEP_HDR_BYTES + 4];
	size_t n = NINEP_HDR_BYTES + (r < 0 ? 4 : 0);

	if (virtqueue_repop(vq, job->head, &chain) <= 0) {
		virtio_broken(&p->vdev, "a request was changed while it waited");
		return;
	}
	ninep_put_le(answer, n, 4);
	answer[4] = (r < 0 ? T_LERROR : T_FSYNC) + 1;
	ninep_put_le(answer + 5, job->id, 2);
	ninep_put_le(answer + NINEP_HDR_BYTES, (uint64_t)-r, 4);
	virtqueue_push(vq, chain.head, (uint32_t)chain_write(&chain, 0, answer, n));
}

/* The request that is given up is answered before this one, and only once. */
int ninep_flush(struct ninep *p, struct ninep_msg *m)
{
	const uint64_t tag = get_u16(m);
	struct sync_job job;

	if (m->bad)
		return -EINVAL;
	if (syncer_forget(p->syncer, &tag, &job))
		answer_later(p, &job, -EINTR);
	return 0;
}

void ninep_sync_abort(struct ninep *p)
{
	struct sync_job job;

	while (syncer_forget(p->syncer, NULL, &job))
		answer_later(p, &job, -EINTR);
}

/* The results wait while the machine stands: nothing is written to its memory then. */
void ninep_sync_answer(void *opaque)
{
	struct ninep *p = opaque;
	struct sync_job job;
	bool any = false;

	while (!p->vdev.stopped && syncer_take(p->syncer, &job)) {
		answer_later(p, &job, job.result);
		any = true;
	}
	if (any)
		virtio_notify(&p->vdev, 0);
}
