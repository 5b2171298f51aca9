/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk: an image and the images behind it, opened together.
 *
 * One thread owns a disk: the one that iterates the GMainContext given to
 * block_attach() (before that: the opener).  Every call below is made by the
 * owner.  block_submit() allocates nothing and returns at once; done() runs on
 * the owner's thread, exactly once for each request, perhaps before
 * block_submit() returns.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct block;

enum block_cache {
	BLOCK_CACHE_WRITEBACK,		/* host page cache; flush is honoured */
	BLOCK_CACHE_NONE,		/* O_DIRECT; flush is honoured */
	BLOCK_CACHE_WRITETHROUGH,	/* each write is on the disk when done */
	BLOCK_CACHE_DIRECTSYNC,		/* both of the above */
	BLOCK_CACHE_UNSAFE,		/* flush does nothing */
};

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	/* afterwards the bytes read as anything; here: zeroes where we can */
	BLOCK_DISCARD,
	BLOCK_WRITE_ZEROES,
};

enum block_req_flags {
	BLOCK_REQ_UNMAP = 1,	/* WRITE_ZEROES may give space back */
	BLOCK_REQ_JOB = 2,	/* not the guest's */
};

struct block_req {
	enum block_op op;
	unsigned flags;
	uint64_t offset;	/* bytes; need not be aligned to anything */
	uint64_t bytes;
	const struct iovec *iov;/* READ, WRITE: at least `bytes` long; the caller's until done() */
	unsigned n_iov;
	void (*done)(struct block_req *req, int result);	/* 0 or -errno */
	uint64_t engine[32];	/* the engine's own; zeroed by block_submit() */
};

/*
 * How a path becomes a descriptor: open(2) when NULL, else a broker that has
 * the rights that we gave up.  flags as for open(2).  -1 and *error on failure.
 */
struct block_opener {
	int (*open)(void *opaque, const char *path, int flags, GError **error);
	void *opaque;
};

enum block_tap_op { BLOCK_TAP_WRITE, BLOCK_TAP_ZERO, BLOCK_TAP_TRUNCATE, BLOCK_TAP_SYNC };

/* Tests: told of each change of the top image's file before it is made; -errno makes it fail. */
struct block_tap {
	int (*op)(void *opaque, enum block_tap_op op, uint64_t off, const struct iovec *iov,
		  unsigned n_iov, uint64_t bytes);
	void *opaque;
};

struct block_opts {
	const char *path;	/* may be relative to the working folder */
	const char *format;	/* "raw" or "qcow2": never guessed */
	bool read_only;
	bool share;		/* take no lock: info on an image in use */
	bool no_backing;	/* the one image, not its chain */
	bool discard;		/* <driver discard='unmap'>: discards reach the file */
	bool no_uring;		/* pread and pwrite even where io_uring works */
	enum block_cache cache;
	const struct block_opener *opener;
	const struct block_tap *tap;	/* implies no_uring */
};

struct block *block_open(const struct block_opts *opts, GError **error);
/*
 * What is written goes to an overlay in fd, an empty file that nobody else has; taken.  The image
 * of opts, whose path is absolute, is only read.
 */
struct block *block_open_scratch(const struct block_opts *opts, int fd, GError **error);
/* Waits for what is in flight, writes back metadata, clears the dirty bit, unlocks. */
void block_close(struct block *b);
typedef struct block block;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(block, block_close)

/* Completions are delivered by sources on ctx from now on; its thread is the owner. */
bool block_attach(struct block *b, GMainContext *ctx, GError **error);
/* Waits for what is in flight; the disk has no owner afterwards and may be attached again. */
void block_detach(struct block *b);

void block_submit(struct block *b, struct block_req *req);
/* Hands what was submitted since the last kick to the kernel: once per batch. */
void block_kick(struct block *b);
/* Returns when nothing is in flight. */
void block_drain(struct block *b);

uint64_t block_bytes(const struct block *b);	/* the guest's disk size, a multiple of 512 */
bool block_is_read_only(const struct block *b);
bool block_can_discard(const struct block *b);
/* What the host has left for the head, and of how much: 0 of 0 when nobody knows. */
uint64_t block_room(const struct block *b, uint64_t *ret_total);
uint32_t block_cluster_bytes(const struct block *b);	/* good discard granularity; 512 for raw */

/* Without a loop: submit, kick, wait.  For tools and tests.  0 or -errno. */
int block_pread(struct block *b, uint64_t offset, void *buf, size_t bytes);
int block_pwrite(struct block *b, uint64_t offset, const void *buf, size_t bytes);
int block_flush(struct block *b);
int block_pdiscard(struct block *b, uint64_t offset, uint64_t bytes);
int block_pwrite_zeroes(struct block *b, uint64_t offset, uint64_t bytes, unsigned flags);
