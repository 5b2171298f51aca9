/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM from a file that holds it byte for byte, pages of zeroes left out.
 *
 * Restored memory is anonymous but for the blocks of 2 MiB in which the file
 * has data: those are private mappings of it, so nothing needs to be read
 * before the guest runs.  Blocks and not pages, for a mapping of each piece of
 * data would run into the host's limit of mappings.  A thread then makes the
 * pages of the file ours, one by one, so that what happens to the file later
 * does not matter; pages that the guest wants first it takes itself.
 *
 * A page that is given back to the host must read as zeroes, and not as the
 * file has it: in those blocks anonymous memory is mapped over it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/kvm/memory-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define PREFETCH_NICE 15

static bool anonymous_map(const struct guest_memory *mem, uint64_t off, uint64_t len)
{
	void *at = mem->base + off;

	if (mmap(at, len, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_NORESERVE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return false;
	madvise(at, len, MADV_DONTDUMP);
	madvise(at, len, MADV_DONTFORK);
	madvise(at, len, MADV_HUGEPAGE);
	return true;
}

/* The next piece of data in the file, in bytes of memory; false: there is none. */
static bool data_next(const struct guest_memory *mem, uint64_t from, uint64_t *ret_off,
		      uint64_t *ret_end)
{
	uint64_t file_end = mem->file_off + mem->bytes;
	off_t data = lseek(mem->file_fd, (off_t)(mem->file_off + from), SEEK_DATA), hole;

	if (data < 0 || (uint64_t)data >= file_end)
		return false;
	hole = lseek(mem->file_fd, data, SEEK_HOLE);
	*ret_off = MAX((uint64_t)data - mem->file_off, from);
	*ret_end = (hole < 0 ? file_end : MIN((uint64_t)hole, file_end)) - mem->file_off;
	return *ret_end > *ret_off;
}

static bool blocks_map(struct guest_memory *mem, uint64_t first, uint64_t n)
{
	uint64_t off = first * HUGE_BYTES, len = MIN(n * HUGE_BYTES, mem->bytes - off);
	void *at = mem->base + off;

	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_NORESERVE | MAP_PRIVATE,
		 mem->file_fd, (off_t)(mem->file_off + off)) == MAP_FAILED)
		return false;
	madvise(at, len, MADV_DONTDUMP);
	madvise(at, len, MADV_DONTFORK);
	return true;
}

static bool file_map(struct guest_memory *mem)
{
	uint64_t n = (mem->bytes + HUGE_BYTES - 1) / HUGE_BYTES, off, end = 0;

	mem->file_blocks = g_new0(bool, n);
	while (end < mem->bytes && data_next(mem, end, &off, &end))
		for (uint64_t b = off / HUGE_BYTES; b <= (end - 1) / HUGE_BYTES; b++)
			mem->file_blocks[b] = true;
	for (uint64_t b = 0, run; b < n; b += run) {
		for (run = 1; b + run < n && mem->file_blocks[b + run] == mem->file_blocks[b];
		     run++)
			;
		if (mem->file_blocks[b] && !blocks_map(mem, b, run))
			return false;
	}
	return true;
}

/* Huge pages of the host's pool can be no private mapping of a file. */
static bool file_read(struct guest_memory *mem, GError **error)
{
	uint64_t off, end = 0;

	while (end < mem->bytes && data_next(mem, end, &off, &end))
		while (off < end) {
			ssize_t n = pread(mem->file_fd, mem->base + off, end - off,
					  (off_t)(mem->file_off + off));

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return error_errno(error, n ? errno : EIO,
						   "read the guest's memory");
			off += (uint64_t)n;
		}
	fd_close(&mem->file_fd);
	return true;
}

bool guest_memory_restore(struct guest_memory *mem, int fd, uint64_t file_off, GError **error)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < file_off ||
	    (uint64_t)st.st_size - file_off < mem->bytes)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the saved state has less memory than the definition");
	mem->file_fd = dup(fd);
	mem->file_off = file_off;
	if (mem->hugetlb)
		return file_read(mem, error);
	fd_close(&mem->fd);
	if (!anonymous_map(mem, 0, mem->bytes) || !file_map(mem))
		return error_errno(error, errno, "cannot map %" PRIu64 " MiB of saved memory",
				   mem->bytes >> 20);
	return true;
}

/* EINVAL of an older kernel: then the pages stay the file's until they are written. */
static void *prefetch_main(void *arg)
{
	struct guest_memory *mem = arg;
	uint64_t off, end = 0;

	pthread_setname_np(pthread_self(), "prefetch");
	/* This thread's alone: the guest and what it wants itself come first. */
	setpriority(PRIO_PROCESS, 0, PREFETCH_NICE);
	while (end < mem->bytes && data_next(mem, end, &off, &end))
		for (uint64_t at = off; at < end; at += HUGE_BYTES) {
			uint64_t len = MIN(HUGE_BYTES, end - at);

			if (g_atomic_int_get(&mem->prefetch_quit) ||
			    madvise(mem->base + at, len, MADV_POPULATE_WRITE) < 0)
				return NULL;
		}
	return NULL;
}

void guest_memory_prefetch(struct guest_memory *mem)
{
	if (mem->file_blocks && !mem->prefetch)
		mem->prefetch = g_thread_new("prefetch", prefetch_main, mem);
}

int memory_file_drop(struct guest_memory *mem, uint64_t off, uint64_t len)
{
	bool from_file = false;

	for (uint64_t b = off / HUGE_BYTES; b <= (off + len - 1) / HUGE_BYTES; b++)
		from_file |= mem->file_blocks[b];
	if (!from_file)
		return madvise(mem->base + off, len, MADV_DONTNEED) < 0 ? -errno : 0;
	if (anonymous_map(mem, off, len)) {
		for (uint64_t b = (off + HUGE_BYTES - 1) / HUGE_BYTES;
		     (b + 1) * HUGE_BYTES <= off + len; b++)
			mem->file_blocks[b] = false;
		return 0;
	}
	/* Too many mappings: the host keeps the memory, the guest gets its zeroes. */
	memset(mem->base + off, 0, len);
	return 0;
}

void memory_file_done(struct guest_memory *mem)
{
	g_atomic_int_set(&mem->prefetch_quit, 1);
	if (mem->prefetch)
		g_thread_join(g_steal_pointer(&mem->prefetch));
	fd_close(&mem->file_fd);
	g_clear_pointer(&mem->file_blocks, g_free);
}
