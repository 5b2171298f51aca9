/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by request.c (what the guest asked) and piece.c (one I/O for it). */
#pragma once

#include "libvmm/block/block-priv.h"
#include "libvmm/block/ring.h"

#define PIECES 128		/* I/Os in flight on one disk */
#define PIECE_IOV 128
#define FLAT_BYTES (128 * 1024)	/* of data copied together for O_DIRECT's sake */
#define BOUNCE_TOTAL (16 * 1024 * 1024)
#define BOUNCE_KEEP 4		/* kept while nothing is going on */

enum { STEP_DONE = 0, STEP_STALL = 1 };	/* or -errno */

enum req_phase { REQ_DATA, REQ_SYNC, REQ_LAST };

/* In block_req.engine. */
struct req {
	struct req *prev, *next;
	uint64_t pos, end;		/* [pos, end) is still to be started */
	unsigned pending;		/* pieces in flight */
	int result;
	enum req_phase phase;
	bool waiting;			/* for an earlier request, or for a piece */
};
static_assert(sizeof(struct req) <= sizeof(((struct block_req *)0)->engine));

struct piece {
	struct ring_op op;
	struct piece *next, *prev;	/* free list; linking list */
	struct block *b;
	struct req *rq;
	uint64_t off, bytes;		/* of the guest's disk */
	struct plan plan;
	uint8_t *bounce;
	uint64_t bounce_skip;		/* read: the data begins here in bounce */
	uint64_t lead, trail;		/* of plan.head, plan.tail: what is written with the data */
	uint64_t cow_pos, cow_end;
	uint8_t *cow_buf;		/* where cow_pos goes */
	bool in_tail, flat, linking;
	unsigned parity;
	unsigned n_iov;
	struct iovec iov[PIECE_IOV + 2];
};

struct bounce {
	struct bounce *next;
};

struct block {
	struct layer *top;
	struct ring *ring;
	GMainContext *ctx;
	GSource *source;		/* the ring's completions */
	/* a while after the first change of the map since a flush */
	GSource *write_back;
	bool write_back_armed, write_back_busy;
	struct block_req write_back_req;
	bool read_only, discard, writethrough;
	uint64_t bytes;
	/* requests that share such a unit are not in flight together */
	uint32_t serial_bytes;
	struct req *first, *last;	/* submitted, not ended; in order */
	unsigned n_waiting;
	struct req *ended, **ended_last;
	bool delivering;

	struct piece *pieces;		/* untouched, and so not there, until used */
	unsigned n_pieces_used;		/* the first so many have been in use */
	struct piece *free_pieces;	/* of those; the last used is the warmest */
	struct piece *linking;		/* pieces whose plan must be linked */
	/*
	 * Clusters that a sync has freed may be reused when the pieces that
	 * were in flight at that sync have ended: they may still read them.
	 */
	unsigned busy[2], parity;
	bool in_grace;

	struct bounce *bounces;
	uint64_t bounce_bytes;
	/*
	 * A block over one of this one's own layers, for a job: it has requests
	 * of its own and uses this one's ring.  A chain of them.
	 */
	struct block *host, *lodger;
	/* A job's: told of each write, zeroing and discard before it is begun. */
	void (*written)(void *opaque, uint64_t offset, uint64_t bytes);
	void *written_opaque;
	unsigned n_bounces, n_bounces_free, max_bounces;
};

static inline struct block_req *req_outer(struct req *rq)
{
	return container_of((uint64_t *)rq, struct block_req, engine);
}

static inline struct req *req_inner(struct block_req *outer)
{
	return (struct req *)outer->engine;
}

/* piece.c */
uint8_t *bounce_get(struct block *b);	/* NULL: none left; or no memory */
bool bounce_left(const struct block *b);
struct piece *piece_get(struct block *b, struct req *rq);
void piece_put(struct piece *p);
/* The piece is over: the request hears of it. */
void piece_end(struct piece *p, int r);
/* I/O with p->iov. */
void piece_add(struct piece *p, enum ring_code code, struct file *f, uint64_t off,
	       void (*done)(struct ring_op *op));
void linking_add(struct piece *p);
void pieces_init(struct block *b);
/* There is another top image; nothing is in flight. */
void pieces_fit(struct block *b);
void pieces_done(struct block *b);
void bounces_trim(struct block *b);
/* Start the next part of the request at rq->pos: STEP_DONE, STEP_STALL or -errno. */
int piece_read(struct block *b, struct req *rq);
/* [rq->pos, rq->pos + limit), from the request's iov or, for WRITE_ZEROES, zeroes. */
int piece_write(struct block *b, struct req *rq, uint64_t limit);
int piece_sync(struct block *b, struct req *rq);
/* How much from off on no write is about to link; 0: wait. */
uint64_t piece_unlinked(const struct block *b, uint64_t off, uint64_t bytes);
void block_synced(struct block *b);
/* block.c: lodgers.  Nothing of a lodger's is in flight when it is freed. */
struct block *lodger_new(struct block *host, struct layer *top, bool read_only);
void lodger_free(struct block *lodger);
/* Some of what is in flight ends. */
void block_wait(struct block *b);
/* The map in memory is newer than the disk's. */
void block_dirtied(struct block *b);
/* There are buffers that an idle disk does without. */
void block_tidy_later(struct block *b);
