/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2, private: what is on the disk and what we keep of it in memory.
 * "Spec" in comments is docs/interop/qcow2 of QEMU.  Big endian on the disk;
 * l1 and reft are kept in the host's order.
 */
#pragma once

#include "libvmm/block/block-priv.h"
#include "libvmm/block/image.h"

#define QCOW2_MAGIC 0x514649fbu		/* "QFI\xfb" */
#define QCOW2_HEADER_BYTES_V2 72
#define QCOW2_HEADER_BYTES_V3 104
#define QCOW2_CLUSTER_BITS_MIN 9
#define QCOW2_CLUSTER_BITS_MAX 21
#define QCOW2_L1_BYTES_MAX (32u << 20)
#define QCOW2_REFT_BYTES_MAX (8u << 20)
#define QCOW2_SNAPSHOTS_MAX 65536
#define QCOW2_SNAPSHOT_BYTES_MAX (64u << 20)
#define QCOW2_BACKING_MAX 1023
#define QCOW2_EXTENSIONS_MAX 1024

enum {
	INCOMPAT_DIRTY = 1 << 0,
	INCOMPAT_CORRUPT = 1 << 1,
	INCOMPAT_DATA_FILE = 1 << 2,
	INCOMPAT_COMPRESSION = 1 << 3,
	INCOMPAT_EXTENDED_L2 = 1 << 4,
	COMPAT_LAZY_REFCOUNTS = 1 << 0,
	AUTOCLEAR_BITMAPS = 1 << 0,
	AUTOCLEAR_DATA_FILE_RAW = 1 << 1,
};

enum {
	EXT_END = 0,
	EXT_BACKING_FORMAT = 0xe2792aca,
	EXT_FEATURE_NAMES = 0x6803f857,
	EXT_BITMAPS = 0x23852875,
	EXT_ENCRYPTION = 0x0537be77,
	EXT_DATA_FILE = 0x44415441,
};

enum { BITMAP_IN_USE = 1 << 0, BITMAP_AUTO = 1 << 1 }; /* struct qcow2_bitmap.flags */

struct qcow2_header {
	uint32_t magic, version;
	uint64_t backing_off;
	uint32_t backing_bytes, cluster_bits;
	uint64_t size;
	uint32_t crypt_method, l1_size;
	uint64_t l1_off, reft_off;
	uint32_t reft_clusters, n_snapshots;
	uint64_t snapshots_off;
	/* version 3 */
	uint64_t incompat, compat, autoclear;
	uint32_t refcount_order, header_bytes;
	uint8_t compression_type, padding[7];
} __attribute__((packed));
static_assert(sizeof(struct qcow2_header) == 112);

/* One entry of the feature name table. */
struct qcow2_feature {
	uint8_t type, bit;
	char name[46];
} __attribute__((packed));
static_assert(sizeof(struct qcow2_feature) == 48);

/* Fixed part of a snapshot table entry; then extra data, id, name, padding to 8. */
struct qcow2_snapshot_disk {
	uint64_t l1_off;
	uint32_t l1_size;
	uint16_t id_bytes, name_bytes;
	uint32_t date_sec, date_nsec;
	uint64_t vm_clock_ns;
	uint32_t vm_state_bytes, extra_bytes;
} __attribute__((packed));
static_assert(sizeof(struct qcow2_snapshot_disk) == 40);

struct qcow2_snapshot {
	uint64_t l1_off;
	uint32_t l1_size;
	uint32_t date_sec, date_nsec;
	uint64_t vm_clock_ns, vm_state_bytes, disk_bytes;
	GByteArray *extra;     /* as it stands in the file */
	GByteArray *id, *name; /* any bytes */
};
#define QCOW2_SNAPSHOT_EXTRA_BYTES 16 /* what version 3 asks for */
#define QCOW2_SNAPSHOT_EXTRA_MAX 1024

struct qcow2_bitmap {
	uint64_t off; /* of its entry in the directory */
	uint64_t table_off;
	uint32_t table_size, flags;
	uint8_t granularity_bits;
	char *name;
};

/* Entries: spec, "L1 table entry", "L2 table entry". */
#define ENTRY_OFF_MASK 0x00fffffffffffe00ull
#define ENTRY_COPIED (1ull << 63)
#define ENTRY_COMPRESSED (1ull << 62)
#define ENTRY_ZERO 1ull
#define L1_RESERVED 0x7f000000000001ffull
#define L2_RESERVED 0x3f000000000001feull
#define REFT_RESERVED 0x1ffull
#define HOST_OFF_MAX (1ull << 56)
#define SUBCLUSTERS 32

/* Metadata kept in memory, PAGE_BYTES (or a cluster, if smaller) at a time. */
#define QCOW2_PAGE_BYTES 4096u
#define QCOW2_CACHE_BYTES_MIN (256u << 10)
#define QCOW2_CACHE_BYTES_MAX (4u << 20)

enum page_kind { PAGE_L2, PAGE_REFCOUNT, N_PAGE_KINDS };

struct page {
	uint64_t off;		/* in the file; 0: free */
	uint8_t *data;
	enum page_kind kind;
	bool dirty, used;	/* used: since the clock's hand came by */
	int32_t hash_next;
};

struct qcow2_cache {
	struct page *pages;
	int32_t *heads;
	unsigned n_pages, n_heads, hand;
	unsigned n_dirty[N_PAGE_KINDS];
	uint32_t page_bytes;
};

/* Host clusters that the map has given up, but that may not be used again yet. */
struct freed {
	uint64_t off, n;
};

struct qcow2 {
	struct layer *layer;
	struct file *file;
	struct qcow2_header h;		/* in the host's order */
	bool rw;			/* we may change the file */
	bool dirty_set;			/* the dirty bit is ours to clear */
	bool corrupt;			/* seen by us: no write any more */
	bool has_backing;

	unsigned cluster_bits, l2_bits, entry_bytes, sub_bits;
	uint32_t cluster_bytes;
	uint64_t bytes;
	bool extended;

	uint64_t *l1;
	uint32_t l1_size;
	uint32_t l1_dirty_lo, l1_dirty_hi;	/* [lo, hi) is newer than the disk's */

	uint64_t *reft;
	uint32_t reft_size, reft_used;	/* entries; reft_used: behind the last that is not 0 */
	unsigned refblock_bits;		/* log2 of the refcounts in one block */

	uint64_t free_hint;		/* no free cluster below this one */
	uint64_t fresh_from;		/* host clusters from here on were never written */
	GArray *freed;			/* struct freed: given up in memory */
	GArray *freed_durable;		/* ... and on the disk */
	GArray *freed_grace;		/* ... and waiting for the last readers */

	struct qcow2_cache cache;

	struct qcow2_snapshot *snapshots;
	unsigned n_snapshots;
	uint64_t snapshots_bytes;
	uint64_t bitmaps_off, bitmaps_bytes;	/* of the bitmap directory; 0: none */
	unsigned n_bitmaps;
	struct qcow2_bitmap *bitmaps;
	bool bitmaps_bad;     /* the directory is damaged */
	bool bitmaps_touched; /* all are marked as in use */
	bool guard_lax;	      /* made with OPEN_CHECK */
	GHashTable *guard;    /* cluster -> enum guard_kind; NULL unless rw */
	char *backing, *backing_format, *data_file;
	GByteArray *extensions;		/* all but the backing format, as they stand in the file */

	uint8_t *unpacked, *packed;	/* one cluster, and what it was made from */
	uint64_t unpacked_off;		/* 0: none */
	uint64_t pack_next, pack_end;	/* what is left of the last cluster of packed ones */
};

static inline struct qcow2 *qcow2_of(const struct layer *l)
{
	return l->priv;
}

static inline uint64_t cluster_index(const struct qcow2 *q, uint64_t off)
{
	return off >> q->cluster_bits;
}

static inline uint64_t in_cluster(const struct qcow2 *q, uint64_t off)
{
	return off & (q->cluster_bytes - 1);
}

static inline uint64_t clusters_of(const struct qcow2 *q, uint64_t bytes)
{
	return (bytes >> q->cluster_bits) + (in_cluster(q, bytes) != 0);
}

/* How many L1 entries a disk of that size needs. */
static inline uint64_t l1_entries(const struct qcow2 *q, uint64_t bytes)
{
	unsigned bits = q->cluster_bits + q->l2_bits;

	return (bytes >> bits) + ((bytes & ((1ull << bits) - 1)) != 0);
}

/* Guest data, and nothing else, is in a file of its own, whose clusters nobody counts. */
static inline bool has_data_file(const struct qcow2 *q)
{
	return q->h.incompat & INCOMPAT_DATA_FILE;
}

static inline bool v3(const struct qcow2 *q)
{
	return q->h.version >= 3;
}

/* qcow2-header.c */
enum {
	OPEN_INFO = 1,		/* what we cannot use may still be looked at */
	OPEN_CHECK = 2,		/* damage is no reason to refuse, and nothing is changed */
};

bool header_read(struct qcow2 *q, unsigned flags, GError **error);
int header_write_field(struct qcow2 *q, unsigned at, const void *value, size_t bytes);
int header_set_incompat(struct qcow2 *q, uint64_t incompat);
int header_set_autoclear(struct qcow2 *q, uint64_t autoclear);
/* Disk size, L1, refcount table and snapshot table: one write of one sector. */
int header_write_tables(struct qcow2 *q);
/* Another backing file (or none); all else in the first cluster is kept. */
bool header_set_backing(struct qcow2 *q, const char *backing, const char *format, GError **error);
/* A new header in the disk's order: fields, extensions, name.  NULL when it does not fit. */
GByteArray *header_encode(const struct qcow2_header *h, const char *backing, const char *format,
			  GError **error);

/* qcow2.c */
struct qcow2 *qcow2_new(struct layer *l);
void qcow2_free(struct qcow2 *q);
bool qcow2_open_flags(struct layer *l, unsigned flags, GError **error);
/* Something on the disk cannot be.  Sets the corrupt bit when we write; -EIO. */
int qcow2_corrupt(struct qcow2 *q, const char *what, uint64_t off);
int qcow2_sync(struct qcow2 *q);
/* Nothing is in flight: all on the disk, and what was given up is free. */
int qcow2_settle(struct qcow2 *q);
/* L1 and refcount table again from the disk. */
bool qcow2_load_tables(struct qcow2 *q, unsigned flags, GError **error);

/* qcow2-snap.c */
bool snapshots_load(struct qcow2 *q, unsigned flags, GError **error);
void snapshots_free(struct qcow2 *q);
void snapshot_clear(struct qcow2_snapshot *s);
/* The table as it is to stand in the file. */
GByteArray *snapshots_encode(const struct qcow2 *q);

/* qcow2-snap-edit.c: on an image that is open for writing, with nothing in flight */
bool qcow2_snapshot_create(struct qcow2 *q, const char *name, GError **error);
bool qcow2_snapshot_apply(struct qcow2 *q, const char *name_or_id, GError **error);
bool qcow2_snapshot_delete(struct qcow2 *q, const char *name_or_id, GError **error);
/* Whatever ids there are; that it is not there is no failure of deleting. */
bool qcow2_snapshot_apply_named(struct qcow2 *q, const char *name, GError **error);
bool qcow2_snapshot_delete_named(struct qcow2 *q, const char *name, GError **error);
/* Before the disk's size changes: snapshots that do not say theirs have today's. */
bool qcow2_snapshots_keep_size(struct qcow2 *q, GError **error);

/* qcow2-cache.c */
bool cache_init(struct qcow2 *q, GError **error);
void cache_done(struct qcow2 *q);
/* The page with this byte of the file; valid until the next cache_get. */
int cache_get(struct qcow2 *q, enum page_kind kind, uint64_t off, struct page **ret);
void cache_dirty(struct qcow2 *q, struct page *p);
int cache_write(struct qcow2 *q, enum page_kind kind);
void cache_forget(struct qcow2 *q, uint64_t off, uint64_t bytes);
void cache_reset(struct qcow2 *q);

/* qcow2-alloc.c */
int refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret);
int refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t value);
void refcount_encode(unsigned order, uint8_t *data, uint64_t index, uint64_t value);
int alloc_clusters(struct qcow2 *q, uint64_t want, uint64_t *ret_off, uint64_t *ret_n,
		   bool *ret_fresh);
/* Never linked: free at once. */
int alloc_undo(struct qcow2 *q, uint64_t off, uint64_t n);
/* `n` clusters side by side. */
int alloc_run(struct qcow2 *q, uint64_t n, uint64_t *ret_off);
/* Unlinked in memory: free when that is on the disk and nobody reads them any more. */
void alloc_free_later(struct qcow2 *q, uint64_t off, uint64_t n);
void alloc_frees_durable(struct qcow2 *q);
void alloc_quiesce(struct layer *l, bool begin);
/* Marks them as written from now on; were they never before? */
bool alloc_fresh(struct qcow2 *q, uint64_t cluster, uint64_t n);

/* qcow2-reft.c */
void alloc_reft_used(struct qcow2 *q);
/* 0: the cluster's refcount can be set.  1: room was made, look for a free cluster again. */
int refcount_room(struct qcow2 *q, uint64_t cluster);
/*
 * Refcount blocks that the n free clusters from *first on lack are put at
 * their begin: what is behind is one piece.  1: the table was moved, look again.
 */
int refcount_room_run(struct qcow2 *q, uint64_t *first, uint64_t n);

/* qcow2-guard.c */
enum guard_kind {
	GUARD_HEADER = 1 << 0,
	GUARD_L1 = 1 << 1,
	GUARD_L2 = 1 << 2,
	GUARD_REFT = 1 << 3,
	GUARD_REFBLOCK = 1 << 4,
	GUARD_SNAPSHOTS = 1 << 5,
	GUARD_SNAPSHOT_L1 = 1 << 6,
	GUARD_SNAPSHOT_L2 = 1 << 7,
	GUARD_BITMAP_DIR = 1 << 8,
	GUARD_BITMAP_TABLE = 1 << 9,
	GUARD_BITMAP = 1 << 10,
};

/*
 * Of all metadata as it is loaded.  False: two kinds are at one place, the
 * image is corrupt; with OPEN_CHECK such a place is of both kinds.
 */
bool guard_build(struct qcow2 *q, unsigned flags, GError **error);
void guard_free(struct qcow2 *q);
void guard_add(struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned kind);
/* They are free. */
void guard_drop(struct qcow2 *q, uint64_t off, uint64_t bytes);
/* Kinds other than own in [off, off + bytes) of the file, and where; 0: none. */
unsigned guard_hit(const struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned own,
		   uint64_t *ret_off);
/*
 * Before each write: of metadata of the kind `own`, or of data or something
 * new (0).  On a hit the image is corrupt and the result -EIO.
 */
int guard_check(struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned own);

/* qcow2-bitmap.c */
bool bitmaps_load(struct qcow2 *q, unsigned flags, GError **error);
void bitmaps_free(struct qcow2 *q);
/* Before the disk's contents change. */
int bitmaps_touch(struct qcow2 *q);

static inline int bitmaps_stale(struct qcow2 *q)
{
	return q->bitmaps_touched ? 0 : bitmaps_touch(q);
}

/* qcow2-map.c */
struct entry {
	uint64_t e, bitmap;
};

int map_entry_get(struct qcow2 *q, uint64_t off, struct entry *ret);
int map_entry_set(struct qcow2 *q, uint64_t off, struct entry e);
int map_l2_writable(struct qcow2 *q, uint64_t off);
int map_read(struct layer *l, uint64_t off, uint64_t bytes, struct extent *ret);
void packed_range(const struct qcow2 *q, uint64_t e, uint64_t *ret_off, uint64_t *ret_bytes);

/* qcow2-write.c */
int map_write(struct layer *l, uint64_t off, uint64_t bytes, struct plan *ret);
int map_link(struct layer *l, const struct plan *plan);
void map_abandon(struct layer *l, const struct plan *plan);
int map_zero(struct layer *l, uint64_t off, uint64_t bytes, enum zero_how how);
/* [off, off + bytes), from a cluster's begin on: give up all of it, show what is behind. */
int map_forget(struct qcow2 *q, uint64_t off, uint64_t bytes);

/* qcow2-pack.c */
int pack_read(struct layer *l, const struct extent *ext, const uint8_t **ret);
/* Can something be there? */
bool pack_possible(const struct qcow2 *q, const struct extent *ext);
/* What is possible, into `to`, a cluster; by way of `packed`, two of them.  Any thread. */
int pack_unpack(const struct qcow2 *q, const struct extent *ext, uint8_t *packed, uint8_t *to);
/* A cluster's contents, compressed; any thread.  Bytes in `to`; 0: they do not get fewer. */
size_t pack_squeeze(const struct qcow2 *q, const void *cluster, void *to);
/* The cluster at off is those bytes.  1: it has a place already, write it plainly. */
int pack_store(struct qcow2 *q, uint64_t off, const void *packed, size_t n);

/* qcow2-check.c, qcow2-repair.c */
struct check_opts {
	bool fix_leaks, fix_errors;
	void (*report)(void *opaque, const char *line);
	void *opaque;
	const struct image_progress *progress;	/* may be NULL */
};

struct check {
	struct qcow2 *q;
	const struct check_opts *opts;
	struct image_check *result;
	uint32_t *counts;	/* references found, by host cluster of the file */
	bool counted;		/* ... and it was done */
	uint64_t n;
	uint64_t l2_errors;	/* entries that no refcount can mend */
	uint64_t low;		/* refcounts below the references */
	uint64_t high;		/* above them: leaks */
	uint64_t flags;		/* wrong COPIED flags */
	uint64_t bitmaps;	/* damaged directories of bitmaps */
	uint64_t done, todo;	/* tables and clusters to look at, about; for the progress */
	/* refcount blocks themselves are not counted: they will be rebuilt */
	bool no_refcounts;
};

/* Makes c->counts (to be freed) for the whole file. */
int check_init(struct check *c, struct qcow2 *q, const struct check_opts *opts,
	       struct image_check *result);
int check_count(struct check *c);
/* Counts, compares with the refcounts, looks at the flags. */
int check_once(struct check *c);
int check_flags(struct check *c, bool fix);
int repair_leaks(struct check *c);
int repair_rebuild(struct check *c);

/* Repairs as asked.  The counts of ret are what is left. */
bool qcow2_check(struct qcow2 *q, const struct check_opts *opts, struct image_check *ret,
		 GError **error);

/* qcow2-shadow.c: new tables beside the old ones, then one write that switches */
struct shadow {
	struct qcow2 *q;
	struct image_check result;
	struct check check; /* references of the state to be */
	uint32_t *old;	    /* ... and of the one on the disk */
	uint64_t n_old;
	uint64_t next;	       /* clusters from here on were not taken by us */
	struct qcow2_header h; /* on the disk */
	uint64_t file_end;
	bool switching; /* the header may be the new one */
};

/* Refuses a damaged image. */
bool shadow_begin(struct shadow *s, struct qcow2 *q, GError **error);
/*
 * q->bytes, q->l1, q->snapshots are the state to be: on the disk it is that
 * one, or after a failure at any place still the old one, also in q.  Ends s.
 */
bool shadow_commit(struct shadow *s, GError **error);
void shadow_cancel(struct shadow *s);
/* New refcounts alone, of what is in c: c->counts is what stands in the file. */
int shadow_rebuild_refcounts(struct check *c);
