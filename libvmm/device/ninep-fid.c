/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fids: the guest's numbers for files.  They are slots of one mapping, found
 * by a hash of the number; slot 0 is none.  What is never used costs nothing.
 */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>
#include <sys/mman.h>

#include "libvmm/util/error.h"

#define NOFID UINT32_MAX

static void *pages_map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

#define FIDS_BYTES ((NINEP_FIDS_MAX + 1) * sizeof(struct ninep_fid))
#define BUCKETS_BYTES (NINEP_FID_BUCKETS * sizeof(uint32_t))
#define XATTRS_BYTES (NINEP_XATTRS_MAX * sizeof(struct ninep_xattr))

bool ninep_fids_init(struct ninep *p, GError **error)
{
	p->fids = pages_map(FIDS_BYTES);
	p->buckets = pages_map(BUCKETS_BYTES);
	p->xattrs = pages_map(XATTRS_BYTES);
	p->fids_top = 1;
	if (!p->fids || !p->buckets || !p->xattrs)
		return error_errno(error, errno, "%s: memory for fids", p->vdev.name);
	return true;
}

void ninep_fids_done(struct ninep *p)
{
	if (p->fids)
		munmap(p->fids, FIDS_BYTES);
	if (p->buckets)
		munmap(p->buckets, BUCKETS_BYTES);
	if (p->xattrs)
		munmap(p->xattrs, XATTRS_BYTES);
}

/* Linux counts from 0 up: the low bits are as good as any hash. */
static uint32_t *bucket_of(struct ninep *p, uint32_t fid)
{
	return &p->buckets[fid % NINEP_FID_BUCKETS];
}

struct ninep_fid *ninep_fid(struct ninep *p, uint32_t fid)
{
	for (uint32_t i = *bucket_of(p, fid); i; i = p->fids[i].next)
		if (p->fids[i].fid == fid)
			return &p->fids[i];
	return NULL;
}

int ninep_fid_new(struct ninep *p, uint32_t fid, struct share_node *node, struct ninep_fid **ret)
{
	struct ninep_fid *f;
	uint32_t slot = p->fids_free;

	if (fid == NOFID || ninep_fid(p, fid))
		return -EBADF;
	if (slot)
		p->fids_free = p->fids[slot].next;
	else if (p->fids_top <= NINEP_FIDS_MAX)
		slot = p->fids_top++;
	else
		return -ENFILE;
	f = &p->fids[slot];
	f->fid = fid;
	f->kind = FID_FILE;
	f->uid = 0;
	f->node = node;
	f->file = NULL;
	f->xattr = NULL;
	f->parent = NULL;
	f->name[0] = '\0';
	f->next = *bucket_of(p, fid);
	*bucket_of(p, fid) = slot;
	p->n_fids++;
	*ret = f;
	return 0;
}

static void fid_unlink(struct ninep *p, struct ninep_fid *f)
{
	uint32_t slot = (uint32_t)(f - p->fids), *at = bucket_of(p, f->fid);

	while (*at != slot)
		at = &p->fids[*at].next;
	*at = f->next;
	f->next = p->fids_free;
	p->fids_free = slot;
	p->n_fids--;
}

void ninep_fid_free(struct ninep *p, struct ninep_fid *f)
{
	fid_unlink(p, f);
	if (f->file)
		share_close(p->share, f->file);
	if (f->xattr)
		f->xattr->used = false;
	if (f->node)
		share_put(p->share, f->node, 1);
	if (f->parent)
		share_put(p->share, f->parent, 1);
	f->kind = FID_FREE;
}

void ninep_fid_move(struct ninep *p, struct ninep_fid *f, struct share_node *node,
		    struct share_node *parent, const char *name)
{
	struct share_node *was = f->node, *was_parent = f->parent;

	if (parent)
		share_get(p->share, parent);
	f->node = node;
	f->parent = parent;
	if (f->name != name)
		g_strlcpy(f->name, name, sizeof(f->name));
	share_put(p->share, was, 1);
	if (was_parent)
		share_put(p->share, was_parent, 1);
}

void ninep_fids_drop(struct ninep *p)
{
	for (uint32_t i = 1; i < p->fids_top; i++)
		if (p->fids[i].kind != FID_FREE)
			ninep_fid_free(p, &p->fids[i]);
	p->fids_top = 1;
	p->fids_free = 0;
	memset(p->buckets, 0, BUCKETS_BYTES);
	share_reset(p->share);
}

struct ninep_xattr *ninep_xattr_new(struct ninep *p)
{
	for (unsigned i = 0; i < NINEP_XATTRS_MAX; i++) {
		struct ninep_xattr *x = &p->xattrs[i];

		if (!x->used) {
			x->used = true;
			x->size = x->filled = 0;
			x->flags = 0;
			return x;
		}
	}
	return NULL;
}
