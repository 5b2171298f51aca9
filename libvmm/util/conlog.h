/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of a machine's consoles: what the guest wrote, when, on which
 * device, in which boot; one file that never grows above its bound.
 *
 *	0		head: magic, version, the file's random id
 *	4 KiB		the live segment: its head and records as they come
 *	260 KiB		a ring of sealed segments, each a head and its records packed by
 *			zstd, at a multiple of 1 KiB
 *
 * A record is whole or not there: its CRC covers the file's id and the number
 * of its segment too, so what an earlier segment left in the live area, or a
 * guest wrote into it, is none.  When the live area is full it is first copied
 * to the ring, packed, and then begun anew with the next number: whoever is
 * killed in between leaves the segment in both places, and readers take it
 * once.  The ring overwrites its oldest; when a segment does not fit before
 * the file's bound the file ends there and the ring goes on at its beginning.
 *
 * A segment belongs to one boot and says all of it: so the rest can be read
 * when the segments before it are gone.  Positions count a device's bytes since
 * its machine was built (a run); a position that jumps marks what is missing.
 *
 * A copy can be made while the file is written: CONLOG_FIRST_BYTES at once, then
 * the rest in any pieces.  Sealed segments younger than the live one in the copy
 * are then no part of it.
 *
 * Numbers are the host's, which is little-endian.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONLOG_LIVE_BYTES (256u << 10)
#define CONLOG_FIRST_BYTES (4096u + CONLOG_LIVE_BYTES)
#define CONLOG_BYTES_MIN (UINT64_C(1) << 20)
#define CONLOG_BYTES_MAX (UINT64_C(256) << 20)
#define CONLOG_DEVICES_MAX 64

enum conlog_cause {		/* how a boot began */
	CONLOG_STARTED,
	CONLOG_RESTORED,	/* saved memory goes on */
	CONLOG_REBOOTED,
	N_CONLOG_CAUSES
};

/* --- writing: one thread at a time --- */

struct conlog_writer;

/*
 * Goes on with the journal in fd (read and write; taken, also on failure), or
 * begins one if there is none; bytes bounds the file, and is itself brought
 * between the two limits above.
 */
struct conlog_writer *conlog_writer_new(int fd, uint64_t bytes, GError **error);
void conlog_writer_free(struct conlog_writer *w);
uint64_t conlog_writer_run(const struct conlog_writer *w);	/* a random number */

/* devices: names, in the order of their numbers.  Before a boot nothing can be added. */
bool conlog_boot(struct conlog_writer *w, enum conlog_cause cause, int64_t time_us,
		 const char *const *devices, unsigned n, GError **error);
/* len 0: tells the position only. */
bool conlog_add(struct conlog_writer *w, unsigned device, int64_t time_us, uint64_t pos,
		const void *data, size_t len, GError **error);
/* What was added is in the file. */
bool conlog_flush(struct conlog_writer *w, GError **error);

/* --- reading, a copy in memory --- */

struct conlog;

struct conlog_entry {
	uint64_t run, boot;
	enum conlog_cause cause;	/* of the boot */
	int64_t boot_us;		/* real time, as time_us */
	int64_t time_us;
	const char *device;
	unsigned device_number;		/* 0: the machine's first */
	uint64_t pos;			/* of the first byte */
	uint64_t missed;		/* bytes of this device that are not there before it */
	const uint8_t *data;		/* valid until the next entry is asked for */
	size_t len;			/* may be 0: a boot without a word, or missed bytes */
};

/* An error when it is no journal; whatever is broken in one is left out.  Empty bytes: empty. */
struct conlog *conlog_new(GBytes *bytes, GError **error);
void conlog_free(struct conlog *log);
typedef struct conlog conlog;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(conlog, conlog_free)

uint64_t conlog_last_boot(const struct conlog *log);	/* 0: there is none */
/* Oldest first; false at the end. */
bool conlog_next(struct conlog *log, struct conlog_entry *ret);
