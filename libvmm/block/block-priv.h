/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside libvmm/block: layers, extents and plans.
 *
 * A disk is a stack of layers, each one image file in a format.  A format only
 * answers where bytes are (an extent) or where they are to go (a plan); the
 * request engine moves them.  All of it belongs to the disk's owner thread.
 */
#pragma once

#include "libvmm/block/block.h"
#include "libvmm/block/file.h"
#include "libvmm/util/cleanup.h"

#define CHAIN_MAX 64	/* layers; QEMU users report trouble from a dozen on */

enum extent_type {
	EXTENT_DATA,	/* at host_off of the layer's file */
	EXTENT_ZERO,	/* zeroes */
	EXTENT_BACKING,	/* not here: ask the layer below */
	EXTENT_PACKED,	/* compressed: layer_ops.unpack */
};

struct extent {
	enum extent_type type;
	const struct layer *layer;	/* who answered; for BACKING the last one asked */
	uint64_t host_off;		/* DATA; PACKED: of the packed bytes */
	uint64_t bytes;			/* never 0 */
	uint32_t packed_bytes;		/* PACKED: upper bound */
	bool allocated;			/* ZERO: host space is kept at host_off */
};

/*
 * Where a write goes.  Bytes [off, off + bytes) of the guest land at host_off.
 * When link is set the map does not know yet: `head` bytes before and `tail`
 * bytes after must be written together with the data, with what the guest sees
 * there now, and then layer_ops.link() is called (or abandon() on failure).
 */
struct plan {
	uint64_t off, bytes, host_off;
	uint64_t head, tail;
	bool link;
	bool fresh;		/* the host range was never written: it reads as zeroes */
	bool new_clusters;	/* allocated for this plan */
};

struct layer;

enum zero_how {
	ZERO_KEEP,	/* reads as zeroes, host space may stay */
	ZERO_UNMAP,	/* reads as zeroes, host space is given back */
	ZERO_DISCARD,	/* contents are dead, give back what is easy to give */
};

struct layer_ops {
	/* Where is [off, off + bytes)?  Answers for a prefix of it. */
	int (*map)(struct layer *l, uint64_t off, uint64_t bytes, struct extent *ret);
	/* Where shall it go?  Answers for a prefix of it. */
	int (*map_write)(struct layer *l, uint64_t off, uint64_t bytes, struct plan *ret);
	int (*link)(struct layer *l, const struct plan *plan);
	void (*abandon)(struct layer *l, const struct plan *plan);
	/* Aligned to zero_bytes (or up to the image's end).  -ENOTSUP: write zeroes instead. */
	int (*zero)(struct layer *l, uint64_t off, uint64_t bytes, enum zero_how how);
	/* A whole cluster, unpacked, valid until the next call. */
	int (*unpack)(struct layer *l, const struct extent *ext, const uint8_t **ret);
	/* Metadata in order, up to but not including a last file_sync. */
	int (*sync)(struct layer *l);
	/*
	 * begin: remember what the syncs until now have freed.  Not begin: those
	 * who might have been reading that are done, it may be used again.
	 */
	void (*quiesce)(struct layer *l, bool begin);
	void (*close)(struct layer *l);
};

struct layer {
	const struct layer_ops *ops;
	const char *format;		/* static */
	struct file *file;
	struct file *data; /* qcow2's external data file; NULL: data is in `file` */
	uint64_t bytes;
	uint32_t cluster_bytes;		/* unit of allocation; 512 for raw */
	uint32_t zero_bytes;		/* alignment of layer_ops.zero */
	bool read_only;
	bool discard;
	uint64_t shown;			/* offline tools: data found in it until now */
	struct layer *backing;		/* owned */
	void *priv;			/* struct qcow2 */
};

/* Where EXTENT_DATA is. */
static inline struct file *layer_data(const struct layer *l)
{
	return l->data ? l->data : l->file;
}

/* raw.c, qcow2.c: the file is owned by the layer on success. */
bool raw_open(struct layer *l, GError **error);
bool qcow2_open(struct layer *l, GError **error);
/* How the image names its backing file; NULL when it has none. */
const char *qcow2_backing_name(const struct layer *l);
const char *qcow2_backing_format(const struct layer *l);
/* Its external data file; NULL when it has none. */
const char *qcow2_data_name(const struct layer *l);
void qcow2_set_bytes(struct layer *l, uint64_t bytes);
/* Nothing is in flight.  All of it on the disk and marked clean; no write until it is thawed. */
int qcow2_freeze(struct layer *l);
bool qcow2_thaw(struct layer *l, GError **error);
void qcow2_set_file(struct layer *l, struct file *f);

/* chain.c */
struct layer *chain_open(const struct block_opts *opts, GError **error);
void chain_close(struct layer *top);
/* Never EXTENT_BACKING: beyond the last layer are zeroes. */
int chain_map(struct layer *top, uint64_t off, uint64_t bytes, struct extent *ret);
/* A path of a backing file as it would be opened; NULL and *error when it is no local file. */
char *chain_resolve(const char *overlay, const char *name, GError **error);

/* block.c */
struct layer *block_top(struct block *b);
void block_set_bytes(struct block *b, uint64_t bytes);

/* iov.c */
unsigned iov_slice(const struct iovec *iov, unsigned n_iov, uint64_t skip, uint64_t bytes,
		   struct iovec *out, unsigned max, uint64_t *ret_bytes);
void iov_zero(const struct iovec *iov, unsigned n_iov, uint64_t skip, uint64_t bytes);
void iov_from_buf(const struct iovec *iov, unsigned n_iov, uint64_t skip, const void *buf,
		  uint64_t bytes);
void iov_to_buf(const struct iovec *iov, unsigned n_iov, uint64_t skip, void *buf, uint64_t bytes);
bool iov_aligned(const struct iovec *iov, unsigned n_iov, uint32_t align);
uint64_t iov_bytes(const struct iovec *iov, unsigned n_iov);

static inline uint64_t round_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

/* Callers know that v is far from 2^64. */
static inline uint64_t round_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}
