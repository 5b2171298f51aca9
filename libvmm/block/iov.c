/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of an iovec. */
#include "config.h"

#include <string.h>

#include "libvmm/block/block-priv.h"

/* At most max entries for [skip, skip + bytes); ret_bytes is what they hold. */
unsigned iov_slice(const struct iovec *iov, unsigned n_iov, uint64_t skip, uint64_t bytes,
		   struct iovec *out, unsigned max, uint64_t *ret_bytes)
{
	uint64_t got = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < n_iov && n < max && got < bytes; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		out[n].iov_base = (char *)iov[i].iov_base + skip;
		out[n].iov_len = MIN(iov[i].iov_len - skip, bytes - got);
		got += out[n++].iov_len;
		skip = 0;
	}
	*ret_bytes = got;
	return n;
}

/* Calls fn for each piece of [skip, skip + bytes). */
static void iov_each(const struct iovec *iov, unsigned n_iov, uint64_t skip, uint64_t bytes,
		     void (*fn)(void *piece, uint8_t *buf, size_t len), uint8_t *buf)
{
	for (unsigned i = 0; i < n_iov && bytes > 0; i++) {
		size_t len;

		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		len = MIN(iov[i].iov_len - skip, bytes);
		fn((char *)iov[i].iov_base + skip, buf, len);
		buf = buf ? buf + len : NULL;
		bytes -= len;
		skip = 0;
	}
}

static void piece_zero(void *piece, uint8_t *buf, size_t len)
{
	memset(piece, 0, len);
}

static void piece_fill(void *piece, uint8_t *buf, size_t len)
{
	memcpy(piece, buf, len);
}

static void piece_read(void *piece, uint8_t *buf, size_t len)
{
	memcpy(buf, piece, len);
}

void iov_zero(const struct iovec *iov, unsigned n_iov, uint64_t skip, uint64_t bytes)
{
	iov_each(iov, n_iov, skip, bytes, piece_zero, NULL);
}

void iov_from_buf(const struct iovec *iov, unsigned n_iov, uint64_t skip, const void *buf,
		  uint64_t bytes)
{
	iov_each(iov, n_iov, skip, bytes, piece_fill, (uint8_t *)buf);
}

void iov_to_buf(const struct iovec *iov, unsigned n_iov, uint64_t skip, void *buf, uint64_t bytes)
{
	iov_each(iov, n_iov, skip, bytes, piece_read, buf);
}

bool iov_aligned(const struct iovec *iov, unsigned n_iov, uint32_t align)
{
	for (unsigned i = 0; i < n_iov; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & (align - 1))
			return false;
	return true;
}

uint64_t iov_bytes(const struct iovec *iov, unsigned n_iov)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n_iov; i++)
		sum += iov[i].iov_len;
	return sum;
}
