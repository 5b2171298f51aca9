/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-balloon (virtio 1.2, 5.5): the guest gives pages back and takes them
 * again.  Owned by the main loop; the functions below are called there.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct guest_memory;
struct virtio_device;

struct balloon_opts {
	const char *name;		/* alias: "balloon0" */
	bool deflate_on_oom;		/* <memballoon autodeflate='on'> */
	bool free_page_reporting;	/* <memballoon freePageReporting='on'> */
	unsigned stats_period_s;	/* 0: never ask the guest */
	uint64_t target_kib;		/* <currentMemory>; 0: all of it */
	/* Also on a reset, so perhaps while the device is freed.  May be NULL. */
	void (*on_change)(void *opaque, uint64_t actual_kib);
	void *opaque;
};

struct virtio_device *balloon_new(const struct balloon_opts *opts, struct guest_memory *mem,
				  GMainContext *ctx, GError **error);

/* What the guest shall have; clamped to what there is.  The result is the clamped value. */
uint64_t balloon_set_target(struct virtio_device *dev, uint64_t kib);
uint64_t balloon_target_kib(struct virtio_device *dev);
/* What the guest has, as far as it told. */
uint64_t balloon_actual_kib(struct virtio_device *dev);
void balloon_set_stats_period(struct virtio_device *dev, unsigned seconds);

/* Statistics as virDomainMemoryStat has them: its tags, and KiB where the value is a size. */
enum balloon_tag {
	BALLOON_SWAP_IN,
	BALLOON_SWAP_OUT,
	BALLOON_MAJOR_FAULT,
	BALLOON_MINOR_FAULT,
	BALLOON_UNUSED,
	BALLOON_AVAILABLE,
	BALLOON_ACTUAL,
	BALLOON_RSS,			/* never given here: it is the process's */
	BALLOON_USABLE,
	BALLOON_LAST_UPDATE,		/* seconds since the epoch */
	BALLOON_DISK_CACHES,
	BALLOON_HUGETLB_PGALLOC,
	BALLOON_HUGETLB_PGFAIL,
	BALLOON_N_TAGS,
};

struct balloon_stat {
	int tag;
	uint64_t value;
};

/* Fills at most BALLOON_N_TAGS; the result is how many. */
unsigned balloon_stats(struct virtio_device *dev, struct balloon_stat ret[BALLOON_N_TAGS]);
