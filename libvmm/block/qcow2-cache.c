/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * L2 tables and refcount blocks in memory, page by page.
 *
 * Write-back order.  A refcount page may be written at any time: refcounts only
 * go up before something refers to a cluster, and down after nothing on the
 * disk does (qcow2-alloc.c).  An L2 page may only be written by qcow2_sync(),
 * after the data and refcounts that it refers to are on the disk.  So eviction
 * takes clean pages first, then writes refcount pages, and only then asks for a
 * sync, after which all are clean.
 *
 * Reads and writes of pages block the disk's thread.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

static unsigned page_hash(const struct qcow2_cache *c, uint64_t off)
{
	return (unsigned)((off / c->page_bytes) * 0x9e3779b97f4a7c15ull >> 32) & (c->n_heads - 1);
}

/* As much as maps the whole image, within bounds; memory is touched only as it is used. */
bool cache_init(struct qcow2 *q, GError **error)
{
	struct qcow2_cache *c = &q->cache;
	uint64_t whole = clusters_of(q, q->bytes) * q->entry_bytes * 2;
	uint64_t bytes = CLAMP(whole, QCOW2_CACHE_BYTES_MIN, QCOW2_CACHE_BYTES_MAX);

	c->page_bytes = MIN(q->cluster_bytes, QCOW2_PAGE_BYTES);
	c->n_pages = bytes / c->page_bytes;
	for (c->n_heads = 64; c->n_heads < c->n_pages; c->n_heads *= 2)
		;
	c->pages = g_try_new0(struct page, c->n_pages);
	c->heads = g_try_new(int32_t, c->n_heads);
	if (!c->pages || !c->heads)
		return error_errno(error, ENOMEM, "image '%s': metadata cache", q->file->path);
	for (unsigned i = 0; i < c->n_heads; i++)
		c->heads[i] = -1;
	return true;
}

void cache_done(struct qcow2 *q)
{
	struct qcow2_cache *c = &q->cache;

	for (unsigned i = 0; c->pages && i < c->n_pages; i++)
		g_free(c->pages[i].data);
	g_free(c->pages);
	g_free(c->heads);
}

static struct page *page_find(struct qcow2_cache *c, uint64_t off)
{
	int32_t i = c->heads[page_hash(c, off)];

	while (i >= 0 && c->pages[i].off != off)
		i = c->pages[i].hash_next;
	return i >= 0 ? &c->pages[i] : NULL;
}

static void page_insert(struct qcow2_cache *c, struct page *p)
{
	int32_t *head = &c->heads[page_hash(c, p->off)];

	p->hash_next = *head;
	*head = p - c->pages;
}

static void page_remove(struct qcow2_cache *c, struct page *p)
{
	int32_t *at = &c->heads[page_hash(c, p->off)];

	while (*at != p - c->pages)
		at = &c->pages[*at].hash_next;
	*at = p->hash_next;
	if (p->dirty)
		c->n_dirty[p->kind]--;
	p->dirty = false;
	p->off = 0;
}

static int page_write(struct qcow2 *q, struct page *p)
{
	unsigned kind = p->kind == PAGE_L2 ? GUARD_L2 : GUARD_REFBLOCK;
	int r = guard_check(q, p->off, q->cache.page_bytes, kind);

	if (r == 0)
		r = file_pwrite(q->file, p->off, p->data, q->cache.page_bytes);
	if (r < 0)
		return r;
	p->dirty = false;
	q->cache.n_dirty[p->kind]--;
	return 0;
}

void cache_dirty(struct qcow2 *q, struct page *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	q->cache.n_dirty[p->kind]++;
}

int cache_write(struct qcow2 *q, enum page_kind kind)
{
	struct qcow2_cache *c = &q->cache;

	for (unsigned i = 0; i < c->n_pages && c->n_dirty[kind] > 0; i++) {
		struct page *p = &c->pages[i];
		int r = p->dirty && p->kind == kind ? page_write(q, p) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

void cache_forget(struct qcow2 *q, uint64_t off, uint64_t bytes)
{
	struct qcow2_cache *c = &q->cache;

	for (uint64_t at = off; at < off + bytes; at += c->page_bytes) {
		struct page *p = page_find(c, at);

		if (p)
			page_remove(c, p);
	}
}

/* Second chance: a page that was used since the last round is spared once. */
static struct page *page_victim(struct qcow2_cache *c)
{
	for (unsigned n = 0; n < 2 * c->n_pages; n++) {
		struct page *p = &c->pages[c->hand];

		c->hand = (c->hand + 1) % c->n_pages;
		if (!p->off)
			return p;
		if (!p->dirty && !p->used)
			return p;
		p->used = false;
	}
	return NULL;
}

static int page_make_room(struct qcow2 *q, struct page **ret)
{
	struct page *p = page_victim(&q->cache);
	int r;

	if (!p) {
		r = q->cache.n_dirty[PAGE_REFCOUNT] ? cache_write(q, PAGE_REFCOUNT) : qcow2_sync(q);
		if (r < 0)
			return r;
		p = page_victim(&q->cache);
	}
	if (!p)
		return -EIO;
	if (p->off)
		page_remove(&q->cache, p);
	if (!p->data)
		p->data = g_try_malloc(q->cache.page_bytes);
	if (!p->data)
		return -ENOMEM;
	*ret = p;
	return 0;
}

int cache_get(struct qcow2 *q, enum page_kind kind, uint64_t off, struct page **ret)
{
	struct qcow2_cache *c = &q->cache;
	uint64_t at = round_down(off, c->page_bytes);
	struct page *p = page_find(c, at);
	int r;

	if (p && p->kind != kind)
		return qcow2_corrupt(q, "a cluster is both L2 table and refcount block", at);
	if (!p) {
		r = page_make_room(q, &p);
		if (r < 0)
			return r;
		r = file_pread(q->file, at, p->data, c->page_bytes);
		if (r < 0)
			return r;
		p->off = at;
		p->kind = kind;
		page_insert(c, p);
	}
	p->used = true;
	*ret = p;
	return 0;
}

/* Somebody changed the file behind our back, or is about to. */
void cache_reset(struct qcow2 *q)
{
	for (unsigned i = 0; i < q->cache.n_pages; i++)
		if (q->cache.pages[i].off)
			page_remove(&q->cache, &q->cache.pages[i]);
}
