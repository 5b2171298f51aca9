/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM into a file.
 *
 * The guest may change a page while it is copied: its bit in the log is set
 * then, and a later pass copies it again.  What must not change is what zstd
 * packs, so a block is copied first.
 *
 * Writing the file to the disk is begun for each piece as it is written: at
 * the end, when somebody waits for the sync, little is left.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "libvmm/kvm/memory-priv.h"
#include "libvmm/kvm/memory-save.h"
#include "libvmm/util/error.h"

#define PIECE_BYTES (UINT64_C(2) << 20)	/* at once, and between two looks at `cancel` */
#define WORD_PAGES 64u
#define PIECE_WORDS (PIECE_BYTES / PAGE_BYTES / WORD_PAGES)
#define LEVEL 1		/* the disk is the bottleneck, or nearly so, and the guest waits */

static_assert(MEMORY_BLOCK_BYTES == WORD_PAGES * PAGE_BYTES, "a block is a word of the log");

struct memory_saver {
	struct memory_saver_opts o;
	uint64_t n_words;
	uint64_t *written;	/* raw: pages that are no holes */
	uint32_t *lengths;	/* zstd: bytes of each block in the file; 0: a hole, zeroes */
	ZSTD_CCtx *zstd;
	uint8_t *block, *packed;
	size_t packed_bytes;
};

struct memory_saver *memory_saver_new(const struct memory_saver_opts *opts)
{
	struct memory_saver *s = g_new0(struct memory_saver, 1);

	s->o = *opts;
	s->n_words = (opts->mem->bytes + MEMORY_BLOCK_BYTES - 1) / MEMORY_BLOCK_BYTES;
	if (opts->format == MEMORY_RAW) {
		s->written = g_new0(uint64_t, s->n_words);
		return s;
	}
	s->lengths = g_new0(uint32_t, s->n_words);
	s->zstd = ZSTD_createCCtx();
	s->packed_bytes = ZSTD_compressBound(MEMORY_BLOCK_BYTES);
	s->block = g_malloc(MEMORY_BLOCK_BYTES);
	s->packed = g_malloc(s->packed_bytes);
	ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
	return s;
}

void memory_saver_free(struct memory_saver *s)
{
	if (!s)
		return;
	ZSTD_freeCCtx(s->zstd);
	g_free(s->written);
	g_free(s->lengths);
	g_free(s->block);
	g_free(s->packed);
	g_free(s);
}

static bool is_zero(const uint8_t *p, uint64_t len)
{
	uint64_t first;

	memcpy(&first, p, sizeof(first));
	return !first && memcmp(p, p + sizeof(first), len - sizeof(first)) == 0;
}

static bool write_at(const struct memory_saver *s, const uint8_t *p, uint64_t len, uint64_t off,
		     GError **error)
{
	while (len) {
		ssize_t n = pwrite(s->o.fd, p, len, (off_t)(s->o.file_off + off));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(error, n ? errno : EIO, "write the guest's memory");
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return true;
}

/* --- raw --- */

/* To be written: what is not zero, or was not when it was written. */
static uint64_t pages_wanted(struct memory_saver *s, uint64_t word, uint64_t bits)
{
	const uint8_t *base = s->o.mem->base + word * MEMORY_BLOCK_BYTES;

	for (uint64_t left = bits & ~s->written[word]; left; left &= left - 1) {
		unsigned page = (unsigned)__builtin_ctzll(left);

		if (is_zero(base + page * PAGE_BYTES, PAGE_BYTES))
			bits &= ~(UINT64_C(1) << page);
	}
	s->written[word] |= bits;
	return bits;
}

/* Runs of pages, also from word to word. */
static bool raw_write(struct memory_saver *s, uint64_t off, const uint64_t *bits, unsigned n_words,
		      GError **error)
{
	uint64_t from = 0, len = 0;

	for (unsigned i = 0; i < n_words; i++) {
		uint64_t word = bits[i];

		if (word)
			word = pages_wanted(s, off / MEMORY_BLOCK_BYTES + i, word);
		for (unsigned page = 0; page < WORD_PAGES; page++) {
			uint64_t at = off + i * MEMORY_BLOCK_BYTES + page * PAGE_BYTES;

			if (!(word >> page & 1))
				continue;
			if (len && from + len != at) {
				if (!write_at(s, s->o.mem->base + from, len, from, error))
					return false;
				len = 0;
			}
			from = len ? from : at;
			len += PAGE_BYTES;
		}
	}
	return !len || write_at(s, s->o.mem->base + from, len, from, error);
}

/* --- zstd --- */

/* The bytes to write are *ret_from; a block that does not become shorter stays as it is. */
static uint32_t block_pack(struct memory_saver *s, uint64_t len, const uint8_t **ret_from)
{
	size_t n;

	*ret_from = s->block;
	if (is_zero(s->block, len))
		return 0;
	n = ZSTD_compress2(s->zstd, s->packed, s->packed_bytes, s->block, len);
	if (ZSTD_isError(n) || n + PAGE_BYTES > len)
		return (uint32_t)len;
	*ret_from = s->packed;
	return (uint32_t)n;
}

static uint64_t pages_up(uint64_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* What an earlier pass has left behind the block's new end is given back; it is not read. */
static bool block_write(struct memory_saver *s, uint64_t block, GError **error)
{
	uint64_t off = block * MEMORY_BLOCK_BYTES, keep, had = pages_up(s->lengths[block]);
	uint64_t len = MIN(MEMORY_BLOCK_BYTES, s->o.mem->bytes - off);
	const uint8_t *from;

	memcpy(s->block, s->o.mem->base + off, len);
	s->lengths[block] = block_pack(s, len, &from);
	keep = pages_up(s->lengths[block]);
	if (had > keep)
		fallocate(s->o.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)(s->o.file_off + off + keep), (off_t)(had - keep));
	return write_at(s, from, s->lengths[block], off, error);
}

static bool packed_write(struct memory_saver *s, uint64_t off, const uint64_t *bits,
			 unsigned n_words, GError **error)
{
	for (unsigned i = 0; i < n_words; i++)
		if (bits[i] && !block_write(s, off / MEMORY_BLOCK_BYTES + i, error))
			return false;
	return true;
}

/* --- passes --- */

static bool piece_write(struct memory_saver *s, struct dirty_log *log, uint64_t off, GError **error)
{
	uint64_t bits[PIECE_WORDS], any = 0, done = 0;
	uint64_t len = MIN(PIECE_BYTES, s->o.mem->bytes - off);
	unsigned n_words = (unsigned)((len + MEMORY_BLOCK_BYTES - 1) / MEMORY_BLOCK_BYTES);

	memset(bits, 0xff, sizeof(bits));
	if (len % MEMORY_BLOCK_BYTES)
		bits[n_words - 1] >>= WORD_PAGES - len % MEMORY_BLOCK_BYTES / PAGE_BYTES;
	if (log && !dirty_log_take(log, off / PAGE_BYTES, n_words, bits, error))
		return false;
	for (unsigned i = 0; i < n_words; i++) {
		any |= bits[i];
		done += (uint64_t)__builtin_popcountll(bits[i]) * PAGE_BYTES;
	}
	if (!any)
		return true;
	if (!(s->o.format == MEMORY_RAW ? raw_write : packed_write)(s, off, bits, n_words, error))
		return false;
	sync_file_range(s->o.fd, (off_t)(s->o.file_off + off), (off_t)len, SYNC_FILE_RANGE_WRITE);
	/* pages may have joined since the pass began */
	done = MIN(done, __atomic_load_n(s->o.left_bytes, __ATOMIC_RELAXED));
	__atomic_fetch_sub(s->o.left_bytes, done, __ATOMIC_RELAXED);
	return true;
}

bool memory_saver_pass(struct memory_saver *s, struct dirty_log *log, GError **error)
{
	const uint64_t end = s->o.mem->bytes;

	if (ftruncate(s->o.fd, (off_t)(s->o.file_off + end)) < 0)
		return error_errno(error, errno, "make room for %" PRIu64 " MiB of memory",
				   end >> 20);
	for (uint64_t off = 0; off < end; off += PIECE_BYTES) {
		if (g_atomic_int_get(s->o.cancel))
			return error_set(error, VMM_ERR_ABORTED,
					 "operation aborted: save cancelled");
		if (!piece_write(s, log, off, error))
			return false;
	}
	return true;
}

void memory_saver_put(const struct memory_saver *s, struct state_out *out)
{
	state_put_blob(out, "zstd", strlen("zstd"));
	state_put_u32(out, MEMORY_BLOCK_BYTES);
	state_put_u64(out, s->n_words);
	for (uint64_t i = 0; i < s->n_words; i++)
		state_put_u32(out, s->lengths[i]);
}
