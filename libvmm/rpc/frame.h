/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of every message: a 28-byte header of seven big-endian words, the
 * first of which is the length of the whole message with itself.  The payload
 * is XDR, or raw bytes in a stream packet.  See libvirt's remote protocol.
 */
#pragma once

#include <glib.h>
#include <rpc/rpc.h>
#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 28
#define FRAME_MESSAGE_MAX (33554432 + 4)	/* with the length word */
#define FRAME_PAYLOAD_MAX 33554408
#define FRAME_FDS_MAX 32
#define FRAME_STREAM_CHUNK 262120		/* the most that we send in one stream packet */
#define FRAME_UNTRUSTED_MAX 65536		/* for peers that have not authenticated */

enum frame_program {
	FRAME_PROGRAM_REMOTE = 0x20008086,
	FRAME_PROGRAM_QEMU = 0x20008087,
	FRAME_PROGRAM_KEEPALIVE = 0x6b656570,
	FRAME_PROGRAM_VMM = 0x20564d4d,		/* ours */
};

enum frame_type {
	FRAME_CALL = 0,
	FRAME_REPLY = 1,
	FRAME_MESSAGE = 2,			/* an event */
	FRAME_STREAM = 3,
	FRAME_CALL_WITH_FDS = 4,
	FRAME_REPLY_WITH_FDS = 5,
	FRAME_STREAM_HOLE = 6,
};

enum frame_status {
	FRAME_OK = 0,
	FRAME_ERROR = 1,
	FRAME_CONTINUE = 2,			/* streams only */
};

struct frame_header {
	uint32_t length;			/* of the message, header included */
	uint32_t program;
	uint32_t version;
	int32_t procedure;
	uint32_t type;				/* enum frame_type */
	uint32_t serial;
	uint32_t status;			/* enum frame_status */
};

/* "void" where a type is wanted: no bytes on the wire. */
typedef struct remote_none {
	char unused;
} remote_none;

bool_t xdr_remote_none(XDR *xdrs, remote_none *none);

void frame_header_encode(const struct frame_header *h, uint8_t ret[FRAME_HEADER_BYTES]);
/* Refuses a length below the header's or above max, an unknown type or status. */
bool frame_header_decode(const uint8_t in[FRAME_HEADER_BYTES], uint32_t max,
			 struct frame_header *ret, GError **error);

/*
 * One whole message, ready to send: header (its length filled in), the word
 * nfds if the type is one of _WITH_FDS, then what proc makes of data.
 * NULL if the value breaks its own limits (a string over 4 MiB, too many
 * elements, or a message over FRAME_MESSAGE_MAX).
 */
GBytes *frame_encode(const struct frame_header *h, unsigned n_fds, xdrproc_t proc, const void *data,
		     GError **error);
/* The same with raw bytes after the header (stream data). */
GBytes *frame_encode_raw(const struct frame_header *h, const void *data, size_t bytes);

/*
 * Decode a payload into *ret, which the caller has zeroed and releases with
 * frame_free() after success; after failure nothing is left to release.
 * Trailing bytes are ignored, as libvirt does.  Never allocates more than a
 * small multiple of the payload, whatever its counts say.
 */
bool frame_decode(const uint8_t *payload, size_t bytes, xdrproc_t proc, void *ret, GError **error);
void frame_free(xdrproc_t proc, void *data);
