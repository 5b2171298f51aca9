/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packed guest RAM out of a file, by as many threads as there are processors.
 * The bytes are anybody's: lengths are bounded, zstd is given both of them,
 * each block has a checksum of its own.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "libvmm/kvm/memory-priv.h"
#include "libvmm/kvm/memory-save.h"
#include "libvmm/util/error.h"

#define THREADS_MAX 8u
#define NAME_MAX_BYTES 32

struct unpack {
	struct guest_memory *mem;
	int fd;
	uint64_t file_off;
	uint64_t n_blocks;
	const uint32_t *lengths;
	uint64_t next;		/* atomic */
	int failed;		/* atomic: an errno, or EBADMSG for a damaged block */
	uint64_t failed_block;	/* atomic */
};

static bool bytes_read(int fd, uint8_t *to, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EBADMSG;
			return false;
		}
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

/* 0 or an errno */
static int block_unpack(const struct unpack *u, uint64_t block, ZSTD_DCtx *zstd, uint8_t *packed)
{
	uint64_t off = block * MEMORY_BLOCK_BYTES;
	uint64_t bytes = MIN(MEMORY_BLOCK_BYTES, u->mem->bytes - off);
	uint32_t len = u->lengths[block];
	bool raw = len == bytes;

	if (!len)
		return 0;
	if (!bytes_read(u->fd, raw ? u->mem->base + off : packed, len, u->file_off + off))
		return errno;
	if (raw || ZSTD_decompressDCtx(zstd, u->mem->base + off, bytes, packed, len) == bytes)
		return 0;
	return EBADMSG;
}

static void *unpack_main(void *arg)
{
	struct unpack *u = arg;
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	g_autofree uint8_t *packed = g_malloc(MEMORY_BLOCK_BYTES);
	uint64_t block;

	while (!g_atomic_int_get(&u->failed) &&
	       (block = __atomic_fetch_add(&u->next, 1, __ATOMIC_RELAXED)) < u->n_blocks) {
		int r = block_unpack(u, block, zstd, packed);

		if (r && g_atomic_int_compare_and_exchange(&u->failed, 0, r))
			__atomic_store_n(&u->failed_block, block, __ATOMIC_RELAXED);
	}
	ZSTD_freeDCtx(zstd);
	return NULL;
}

/* This thread is one of them: that others cannot be made is no error. */
static void unpack_all(struct unpack *u)
{
	GThread *threads[THREADS_MAX] = { 0 };
	unsigned n = MIN(g_get_num_processors(), THREADS_MAX);

	for (unsigned i = 1; i < n; i++)
		threads[i] = g_thread_try_new("unpack", unpack_main, u, NULL);
	unpack_main(u);
	for (unsigned i = 1; i < n; i++)
		if (threads[i])
			g_thread_join(threads[i]);
}

static bool header_get(struct state_in *in, uint64_t *ret_n, GError **error)
{
	uint32_t len;
	const uint8_t *name = state_get_blob(in, NAME_MAX_BYTES, &len);

	if (name && (len != strlen("zstd") || memcmp(name, "zstd", len) != 0)) {
		g_autofree char *raw = g_strndup((const char *)name, len);
		g_autofree char *text = g_strescape(raw, NULL);

		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: its memory is packed by '%s', which this libvmm "
				 "does not know", text);
	}
	in->bad |= state_get_u32(in) != MEMORY_BLOCK_BYTES;
	*ret_n = state_get_u64(in);
	return true;
}

static uint32_t *lengths_get(struct state_in *in, const struct guest_memory *mem, uint64_t n)
{
	g_autofree uint32_t *lengths = NULL;

	in->bad |= n != (mem->bytes + MEMORY_BLOCK_BYTES - 1) / MEMORY_BLOCK_BYTES ||
		   in->left != n * sizeof(*lengths);
	if (in->bad)
		return NULL;
	lengths = g_new(uint32_t, n);
	for (uint64_t i = 0; i < n; i++)
		lengths[i] = state_get_max(in, (uint32_t)MIN(MEMORY_BLOCK_BYTES,
							     mem->bytes - i * MEMORY_BLOCK_BYTES));
	return in->bad ? NULL : g_steal_pointer(&lengths);
}

bool memory_packed_restore(struct guest_memory *mem, int fd, uint64_t file_off,
			   struct state_in *in, GError **error)
{
	struct unpack u = { .mem = mem, .fd = fd, .file_off = file_off };
	g_autofree uint32_t *lengths = NULL;

	if (!header_get(in, &u.n_blocks, error))
		return false;
	u.lengths = lengths = lengths_get(in, mem, u.n_blocks);
	if (!lengths)
		return state_done(in, error);
	unpack_all(&u);
	if (u.failed == EBADMSG)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: the memory at %" PRIu64 " KiB is damaged",
				 u.failed_block * (MEMORY_BLOCK_BYTES >> 10));
	return !u.failed || error_errno(error, u.failed, "read the guest's memory");
}
