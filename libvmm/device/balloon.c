/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-balloon (virtio 1.2, 5.5).
 *
 * What the guest inflates or reports as free is given back to the host at once
 * and reads as zeroes when the guest touches it again; deflating needs no work.
 * A page number is 4 KiB of guest address, whatever the guest's page size.
 *
 * Which queue is which depends on what was negotiated: Linux leaves no number
 * unused, while 5.5.2 has fixed ones.  Without free page hints the two differ
 * for the reporting queue only, which is 3 for Linux and 4 in the text: here
 * both are.
 */
#include "config.h"
#include "libvmm/device/balloon.h"

#include <assert.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "libvmm/device/virtio.h"
#include "libvmm/kvm/memory.h"
#include "libvmm/util/cleanup.h"

#define PAGE_BITS VIRTIO_BALLOON_PFN_SHIFT
#define PAGE_BYTES (UINT64_C(1) << PAGE_BITS)
#define PAGE_KIB 4
#define QUEUE_SIZE 128
#define CHAIN_IOV 64
#define PFNS_AT_ONCE 256		/* Linux sends so many */
#define CHAIN_PFNS_MAX (16 * PFNS_AT_ONCE)
#define CHAINS_PER_TURN 4
#define CONFIG_BYTES 8

enum role { INFLATE, DEFLATE, STATS, REPORTING };

static_assert(sizeof(struct virtio_balloon_stat) == 10, "tag and value, packed (5.5.6.3)");

struct balloon {
	struct virtio_device vdev;
	uint32_t ram_pages;
	uint32_t target_pages;		/* that the balloon shall hold */
	uint32_t actual_pages;		/* that the guest says it holds */
	void (*on_change)(void *opaque, uint64_t actual_kib);
	void *opaque;

	unsigned period_s;
	GSource *timer;
	bool stats_held;		/* the driver's statistics buffer is with us */
	uint16_t stats_head;
	uint32_t stats_seen;		/* a bit for each BALLOON_ tag */
	uint64_t stats[BALLOON_N_TAGS];

	uint32_t pfns[PFNS_AT_ONCE];
	struct iovec iov[CHAIN_IOV];
};

static struct balloon *balloon_of(struct virtio_device *dev)
{
	return container_of(dev, struct balloon, vdev);
}

static enum role queue_role(const struct balloon *b, unsigned queue)
{
	if (queue < STATS)
		return queue;
	if (queue == STATS && virtio_has(&b->vdev, VIRTIO_BALLOON_F_STATS_VQ))
		return STATS;
	return REPORTING;
}

/* --- inflate --- */

static int pfn_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Sorted, so that neighbours go in one call; a failure only leaves the host
 * with less (4 KiB of a 2 MiB hugetlb page cannot be given back).
 */
static bool pfns_discard(struct balloon *b, unsigned n)
{
	struct guest_memory *mem = b->vdev.mem;

	qsort(b->pfns, n, sizeof(b->pfns[0]), pfn_compare);
	for (unsigned i = 0, run; i < n; i += run) {
		uint64_t gpa = (uint64_t)b->pfns[i] << PAGE_BITS;

		for (run = 1; i + run < n && b->pfns[i + run] <= b->pfns[i + run - 1] + 1; run++)
			;
		uint64_t pages = b->pfns[i + run - 1] - b->pfns[i] + 1;
		if (!guest_ptr(mem, gpa, pages << PAGE_BITS))
			return false;
		(void)guest_memory_discard(mem, gpa, pages << PAGE_BITS);
	}
	return true;
}

static bool inflate(struct balloon *b, const struct virtqueue_chain *c)
{
	size_t total = c->out_bytes - c->out_bytes % sizeof(b->pfns[0]);

	if (total > CHAIN_PFNS_MAX * sizeof(b->pfns[0]))
		return false;
	for (size_t off = 0; off < total;) {
		size_t n = chain_read(c, off, b->pfns, MIN(sizeof(b->pfns), total - off));

		if (!pfns_discard(b, n / sizeof(b->pfns[0])))
			return false;
		off += n;
	}
	return true;
}

/* --- free page reporting --- */

static bool hva_to_gpa(const struct guest_memory *mem, const void *hva, uint64_t *ret)
{
	unsigned n;
	const struct guest_region *r = guest_memory_regions(mem, &n);

	for (; n; n--, r++) {
		uint64_t off = (uintptr_t)hva - (uintptr_t)r->hva;

		if (off < r->bytes) {
			*ret = r->gpa + off;
			return true;
		}
	}
	return false;
}

/* The whole pages of each piece: what is left over at its ends the guest may still use. */
static void report(struct balloon *b, const struct virtqueue_chain *c)
{
	for (unsigned i = 0; i < c->n_in; i++) {
		uint64_t gpa, end;

		if (!hva_to_gpa(b->vdev.mem, c->in[i].iov_base, &gpa))
			continue;
		end = (gpa + c->in[i].iov_len) & ~(PAGE_BYTES - 1);
		gpa = (gpa + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
		if (gpa < end)
			(void)guest_memory_discard(b->vdev.mem, gpa, end - gpa);
	}
}

/* --- statistics --- */

struct tag_map {
	uint8_t tag;
	bool is_bytes;
};

static const struct tag_map tag_map[] = {
	[VIRTIO_BALLOON_S_SWAP_IN] = { BALLOON_SWAP_IN, true },
	[VIRTIO_BALLOON_S_SWAP_OUT] = { BALLOON_SWAP_OUT, true },
	[VIRTIO_BALLOON_S_MAJFLT] = { BALLOON_MAJOR_FAULT, false },
	[VIRTIO_BALLOON_S_MINFLT] = { BALLOON_MINOR_FAULT, false },
	[VIRTIO_BALLOON_S_MEMFREE] = { BALLOON_UNUSED, true },
	[VIRTIO_BALLOON_S_MEMTOT] = { BALLOON_AVAILABLE, true },
	[VIRTIO_BALLOON_S_AVAIL] = { BALLOON_USABLE, true },
	[VIRTIO_BALLOON_S_CACHES] = { BALLOON_DISK_CACHES, true },
	[VIRTIO_BALLOON_S_HTLB_PGALLOC] = { BALLOON_HUGETLB_PGALLOC, false },
	[VIRTIO_BALLOON_S_HTLB_PGFAIL] = { BALLOON_HUGETLB_PGFAIL, false },
};

static void stat_set(struct balloon *b, unsigned tag, uint64_t value)
{
	b->stats[tag] = value;
	b->stats_seen |= 1u << tag;
}

/* All ones is the driver's "I do not know". */
static void stats_parse(struct balloon *b, const struct virtqueue_chain *c)
{
	struct virtio_balloon_stat s;
	size_t off = 0;

	for (unsigned n = 2 * ARRAY_SIZE(tag_map); n; n--, off += sizeof(s)) {
		if (chain_read(c, off, &s, sizeof(s)) < sizeof(s))
			break;
		if (s.tag >= ARRAY_SIZE(tag_map) || s.val == UINT64_MAX)
			continue;
		const struct tag_map *t = &tag_map[s.tag];
		stat_set(b, t->tag, t->is_bytes ? s.val >> 10 : s.val);
	}
	if (off)
		stat_set(b, BALLOON_LAST_UPDATE, g_get_real_time() / G_USEC_PER_SEC);
}

/* Giving the buffer back asks for fresh numbers (5.5.6.3). */
static void stats_return(struct balloon *b)
{
	if (!b->stats_held || !b->vdev.active || b->vdev.stopped)
		return;
	b->stats_held = false;
	virtqueue_push(virtio_queue(&b->vdev, STATS), b->stats_head, 0);
	virtio_notify(&b->vdev, STATS);
}

static gboolean stats_tick(gpointer arg)
{
	stats_return(arg);
	return G_SOURCE_CONTINUE;
}

static void timer_stop(struct balloon *b)
{
	if (b->timer)
		g_source_destroy(b->timer);
	g_clear_pointer(&b->timer, g_source_unref);
}

static void timer_start(struct balloon *b)
{
	timer_stop(b);
	if (!b->period_s)
		return;
	b->timer = g_timeout_source_new_seconds(b->period_s);
	g_source_set_callback(b->timer, stats_tick, b, NULL);
	g_source_attach(b->timer, b->vdev.ctx);
}

/* The driver has one buffer: if there is a second, the first goes back. */
static void stats_take(struct balloon *b, const struct virtqueue_chain *c)
{
	stats_parse(b, c);
	stats_return(b);
	b->stats_held = true;
	b->stats_head = c->head;
}

/* --- the device --- */

static bool chain_serve(struct balloon *b, enum role role, const struct virtqueue_chain *c)
{
	switch (role) {
	case INFLATE:
		if (inflate(b, c))
			return true;
		virtio_broken(&b->vdev, "it gave pages away that it does not have");
		return false;
	case REPORTING:
		report(b, c);
		return true;
	case DEFLATE:
	case STATS:
		break;
	}
	return true;
}

static void balloon_kick(struct virtio_device *dev, unsigned queue)
{
	struct balloon *b = balloon_of(dev);
	struct virtqueue *vq = virtio_queue(dev, queue);
	struct virtqueue_chain chain = { .iov = b->iov, .n_iov = CHAIN_IOV };
	enum role role = queue_role(b, queue);

	virtqueue_kicks_off(vq);
	for (unsigned n = CHAINS_PER_TURN; n && virtio_pop(dev, queue, &chain) > 0; n--) {
		if (role == STATS) {
			stats_take(b, &chain);
			continue;
		}
		if (!chain_serve(b, role, &chain))
			return;
		virtqueue_push(vq, chain.head, 0);
	}
	virtio_notify(dev, queue);
	if (virtqueue_kicks_on(vq))
		virtio_kick_later(dev, queue);
}

static void actual_set(struct balloon *b, uint32_t pages)
{
	if (pages == b->actual_pages)
		return;
	b->actual_pages = pages;
	if (b->on_change)
		b->on_change(b->opaque, balloon_actual_kib(&b->vdev));
}

static void balloon_config_write(struct virtio_device *dev, size_t off, const void *data,
				 size_t len)
{
	uint32_t actual;

	if (off != offsetof(struct virtio_balloon_config, actual) || len != sizeof(actual))
		return;
	virtio_config_store(dev, off, data, len);
	memcpy(&actual, data, sizeof(actual));
	actual_set(balloon_of(dev), MIN(actual, balloon_of(dev)->ram_pages));
}

static int balloon_activate(struct virtio_device *dev)
{
	timer_start(balloon_of(dev));
	return 0;
}

/* A guest that starts anew has all of its memory, and knows no statistics. */
static void balloon_reset(struct virtio_device *dev)
{
	struct balloon *b = balloon_of(dev);
	uint32_t none = 0;

	timer_stop(b);
	b->stats_held = false;
	b->stats_seen = 0;
	virtio_config_store(dev, offsetof(struct virtio_balloon_config, actual), &none,
			    sizeof(none));
	actual_set(b, 0);
}

static void balloon_save(struct virtio_device *dev, struct state_out *out)
{
	struct balloon *b = balloon_of(dev);

	state_put_u32(out, b->actual_pages);
	state_put_u8(out, b->stats_held);
	state_put_u16(out, b->stats_head);
}

/* The target is the saved one, which the configuration space has. */
static void balloon_load(struct virtio_device *dev, struct state_in *in)
{
	struct balloon *b = balloon_of(dev);
	uint32_t actual = state_get_max(in, b->ram_pages), target;
	bool held = state_get_bool(in);
	uint16_t head = state_get_u16(in);

	virtio_config_read(dev, offsetof(struct virtio_balloon_config, num_pages), &target,
			   sizeof(target));
	in->bad |= held && (!dev->active ||
			    virtqueue_held(virtio_queue(dev, STATS), head) != head);
	if (in->bad)
		return;
	b->target_pages = MIN(target, b->ram_pages);
	b->stats_held = held;
	b->stats_head = head;
	actual_set(b, actual);
	if (dev->active)
		timer_start(b);
}

static void balloon_free(struct virtio_device *dev)
{
	timer_stop(balloon_of(dev));
	virtio_done(dev);
	g_free(balloon_of(dev));
}

static const struct virtio_ops balloon_ops = {
	.activate = balloon_activate,
	.reset = balloon_reset,
	.kick = balloon_kick,
	.config_write = balloon_config_write,
	.save = balloon_save,
	.load = balloon_load,
	.free = balloon_free,
};

struct virtio_device *balloon_new(const struct balloon_opts *opts, struct guest_memory *mem,
				  GMainContext *ctx, GError **error)
{
	static const uint16_t sizes[] = { QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE,
					  QUEUE_SIZE };
	struct balloon *b = g_new0(struct balloon, 1);
	uint8_t config[CONFIG_BYTES] = { 0 };
	struct virtio_opts vopts = {
		.ops = &balloon_ops,
		.name = opts->name,
		.type = VIRTIO_ID_BALLOON,
		.ctx = ctx,
		.mem = mem,
		/* Always with statistics: a period may be set later. */
		.features = UINT64_C(1) << VIRTIO_BALLOON_F_STATS_VQ |
			    (uint64_t)opts->deflate_on_oom << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
			    (uint64_t)opts->free_page_reporting << VIRTIO_BALLOON_F_REPORTING,
		.n_queues = ARRAY_SIZE(sizes),
		.queue_sizes = sizes,
		.config = config,
		.config_bytes = CONFIG_BYTES,
	};

	b->ram_pages = MIN(guest_memory_bytes(mem) >> PAGE_BITS, UINT32_MAX);
	b->period_s = opts->stats_period_s;
	if (!virtio_init(&b->vdev, &vopts, error)) {
		balloon_free(&b->vdev);
		return NULL;
	}
	if (opts->target_kib)
		balloon_set_target(&b->vdev, opts->target_kib);
	b->on_change = opts->on_change;
	b->opaque = opts->opaque;
	return &b->vdev;
}

static uint64_t kib_of(const struct balloon *b, uint32_t balloon_pages)
{
	return (uint64_t)(b->ram_pages - balloon_pages) * PAGE_KIB;
}

uint64_t balloon_set_target(struct virtio_device *dev, uint64_t kib)
{
	struct balloon *b = balloon_of(dev);
	uint64_t keep = MIN(kib / PAGE_KIB, b->ram_pages);

	b->target_pages = b->ram_pages - keep;
	virtio_config_update(dev, offsetof(struct virtio_balloon_config, num_pages),
			     &b->target_pages, sizeof(b->target_pages));
	return kib_of(b, b->target_pages);
}

uint64_t balloon_target_kib(struct virtio_device *dev)
{
	return kib_of(balloon_of(dev), balloon_of(dev)->target_pages);
}

uint64_t balloon_actual_kib(struct virtio_device *dev)
{
	return kib_of(balloon_of(dev), balloon_of(dev)->actual_pages);
}

void balloon_set_stats_period(struct virtio_device *dev, unsigned seconds)
{
	struct balloon *b = balloon_of(dev);

	b->period_s = seconds;
	if (dev->active)
		timer_start(b);
}

unsigned balloon_stats(struct virtio_device *dev, struct balloon_stat ret[BALLOON_N_TAGS])
{
	struct balloon *b = balloon_of(dev);
	unsigned n = 0;

	stat_set(b, BALLOON_ACTUAL, balloon_actual_kib(dev));
	for (unsigned tag = 0; tag < BALLOON_N_TAGS; tag++)
		if (b->stats_seen & 1u << tag)
			ret[n++] = (struct balloon_stat){ tag, b->stats[tag] };
	return n;
}
