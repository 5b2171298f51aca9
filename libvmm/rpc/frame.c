/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to bytes and back: header, lengths, XDR payloads. */
#include "config.h"
#include "libvmm/rpc/frame.h"

#include <assert.h>
#include <string.h>

#include "libvmm/util/error.h"

/* The first try; most messages are shorter. */
#define ENCODE_GUESS_BYTES 4096

static_assert(sizeof(struct frame_header) == FRAME_HEADER_BYTES, "seven words");

bool_t xdr_remote_none(XDR *xdrs, remote_none *none)
{
	return TRUE;
}

static void word_put(uint8_t *at, uint32_t v)
{
	v = GUINT32_TO_BE(v);
	memcpy(at, &v, sizeof(v));
}

static uint32_t word_get(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return GUINT32_FROM_BE(v);
}

void frame_header_encode(const struct frame_header *h, uint8_t ret[FRAME_HEADER_BYTES])
{
	word_put(ret, h->length);
	word_put(ret + 4, h->program);
	word_put(ret + 8, h->version);
	word_put(ret + 12, h->procedure);
	word_put(ret + 16, h->type);
	word_put(ret + 20, h->serial);
	word_put(ret + 24, h->status);
}

bool frame_header_decode(const uint8_t in[FRAME_HEADER_BYTES], uint32_t max,
			 struct frame_header *ret, GError **error)
{
	struct frame_header h = {
		.length = word_get(in),
		.program = word_get(in + 4),
		.version = word_get(in + 8),
		.procedure = word_get(in + 12),
		.type = word_get(in + 16),
		.serial = word_get(in + 20),
		.status = word_get(in + 24),
	};

	if (h.length < FRAME_HEADER_BYTES)
		return error_set(error, VMM_ERR_RPC,
				 "message of %u bytes is shorter than its header", h.length);
	if (h.length > max)
		return error_set(error, VMM_ERR_RPC,
				 "message of %u bytes is longer than the %u allowed", h.length,
				 max);
	if (h.type > FRAME_STREAM_HOLE)
		return error_set(error, VMM_ERR_RPC, "message of unknown type %u", h.type);
	if (h.status > FRAME_CONTINUE)
		return error_set(error, VMM_ERR_RPC, "message of unknown status %u", h.status);
	*ret = h;
	return true;
}

static bool has_fds(const struct frame_header *h)
{
	return h->type == FRAME_CALL_WITH_FDS || h->type == FRAME_REPLY_WITH_FDS;
}

/*
 * Payload into buf; false if it does not fit or breaks its limits: the caller tries a larger one.
 */
static bool payload_encode(uint8_t *buf, size_t bytes, bool fds, unsigned n_fds, xdrproc_t proc,
			   const void *data, size_t *ret_used)
{
	XDR xdrs;
	bool ok;

	xdrmem_create(&xdrs, (char *)buf, bytes, XDR_ENCODE);
	ok = (!fds || xdr_u_int(&xdrs, &n_fds)) && proc(&xdrs, (void *)data);
	*ret_used = XDR_GETPOS(&xdrs);
	XDR_DESTROY(&xdrs);
	return ok;
}

static GBytes *frame_finish(struct frame_header h, uint8_t *buf, size_t bytes)
{
	h.length = bytes;
	frame_header_encode(&h, buf);
	return g_bytes_new_take(g_realloc(buf, bytes), bytes);	/* it may wait long: no slack */
}

GBytes *frame_encode(const struct frame_header *h, unsigned n_fds, xdrproc_t proc, const void *data,
		     GError **error)
{
	g_autofree uint8_t *buf = NULL;
	size_t used;

	for (size_t room = ENCODE_GUESS_BYTES;; room = MIN(room * 8, FRAME_PAYLOAD_MAX)) {
		buf = g_realloc(buf, FRAME_HEADER_BYTES + room);
		if (payload_encode(buf + FRAME_HEADER_BYTES, room, has_fds(h), n_fds, proc, data,
				   &used))
			return frame_finish(*h, g_steal_pointer(&buf), FRAME_HEADER_BYTES + used);
		if (room == FRAME_PAYLOAD_MAX)
			break;
	}
	error_set(error, VMM_ERR_RPC, "procedure %d: a value is larger than the protocol allows",
		  h->procedure);
	return NULL;
}

GBytes *frame_encode_raw(const struct frame_header *h, const void *data, size_t bytes)
{
	uint8_t *buf = g_malloc(FRAME_HEADER_BYTES + bytes);

	if (bytes)
		memcpy(buf + FRAME_HEADER_BYTES, data, bytes);
	return frame_finish(*h, buf, FRAME_HEADER_BYTES + bytes);
}

bool frame_decode(const uint8_t *payload, size_t bytes, xdrproc_t proc, void *ret, GError **error)
{
	XDR xdrs;
	bool ok;

	xdrmem_create(&xdrs, (char *)payload, bytes, XDR_DECODE);
	ok = proc(&xdrs, ret);
	XDR_DESTROY(&xdrs);
	if (ok)
		return true;
	frame_free(proc, ret);
	return error_set(error, VMM_ERR_RPC,
			 "the message's content is not what its procedure takes");
}

void frame_free(xdrproc_t proc, void *data)
{
	xdr_free(proc, data);
}
