/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes in and out of the two halves of a virtqueue chain. */
#include "config.h"
#include "libvmm/device/virtqueue.h"

#include <glib.h>
#include <string.h>

size_t chain_read(const struct virtqueue_chain *chain, size_t off, void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < chain->n_out && done < len; i++) {
		const struct iovec *v = &chain->out[i];

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		size_t n = MIN(v->iov_len - off, len - done);
		memcpy((char *)buf + done, (char *)v->iov_base + off, n);
		done += n;
		off = 0;
	}
	return done;
}

size_t chain_write(const struct virtqueue_chain *chain, size_t off, const void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < chain->n_in && done < len; i++) {
		const struct iovec *v = &chain->in[i];

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		size_t n = MIN(v->iov_len - off, len - done);
		memcpy((char *)v->iov_base + off, (const char *)buf + done, n);
		done += n;
		off = 0;
	}
	return done;
}

unsigned chain_pieces(const struct iovec *iov, unsigned n, size_t off, size_t bytes,
		      struct iovec *ret)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n && bytes > 0; i++) {
		size_t cut = MIN(off, iov[i].iov_len), take = MIN(iov[i].iov_len - cut, bytes);

		off -= cut;
		bytes -= take;
		if (take > 0)
			ret[used++] = (struct iovec){ (char *)iov[i].iov_base + cut, take };
	}
	return used;
}

static void skip(struct iovec **iov, unsigned *n, size_t *total, size_t bytes)
{
	bytes = MIN(bytes, *total);
	*total -= bytes;
	while (*n && bytes >= (*iov)->iov_len) {
		bytes -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (bytes) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
		(*iov)->iov_len -= bytes;
	}
}

void chain_skip_out(struct virtqueue_chain *chain, size_t bytes)
{
	skip(&chain->out, &chain->n_out, &chain->out_bytes, bytes);
}

void chain_skip_in(struct virtqueue_chain *chain, size_t bytes)
{
	skip(&chain->in, &chain->n_in, &chain->in_bytes, bytes);
}

void chain_trim_in(struct virtqueue_chain *chain, size_t bytes)
{
	bytes = MIN(bytes, chain->in_bytes);
	chain->in_bytes -= bytes;
	while (chain->n_in && bytes >= chain->in[chain->n_in - 1].iov_len)
		bytes -= chain->in[--chain->n_in].iov_len;
	if (bytes)
		chain->in[chain->n_in - 1].iov_len -= bytes;
}
