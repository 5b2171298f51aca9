/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM: one mapping with a hole in the guest's addresses, none in ours.
 *
 * What matters most for speed is that the host backs it by 2 MiB pages: with
 * 4 KiB pages a booting guest takes 70 times as many nested page faults.  Host
 * and guest addresses are therefore equal modulo 2 MiB, and the memory is a
 * memfd only where the host gives huge pages to one (hugetlb, or shmem_enabled
 * is not "never", which is the kernel's default); otherwise it is anonymous,
 * which THP serves by default.
 */
#include "config.h"
#include "libvmm/kvm/memory-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MAX_BYTES  (UINT64_C(1) << 44)

static bool shmem_has_huge_pages(void)
{
	g_autofree char *text = NULL;

	return g_file_get_contents("/sys/kernel/mm/transparent_hugepage/shmem_enabled", &text, NULL,
				   NULL) &&
	       !strstr(text, "[never]") && !strstr(text, "[deny]");
}

static int memfd_open(const struct guest_memory_opts *opts, GError **error)
{
	unsigned flags = MFD_CLOEXEC | (opts->hugetlb ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	auto_close int fd = memfd_create(opts->name ? opts->name : "guest-memory", flags);

	if (fd < 0) {
		error_errno(error, errno, "cannot create guest memory%s",
			    opts->hugetlb ? " of 2 MiB huge pages" : "");
		return -1;
	}
	if (ftruncate(fd, opts->bytes) < 0) {
		error_errno(error, errno, "cannot size guest memory to %" PRIu64 " MiB",
			    opts->bytes >> 20);
		return -1;
	}
	return TAKE_FD(fd);
}

/* An address range of ours, aligned to 2 MiB, not yet backed. */
static void *address_space_reserve(uint64_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return MAP_FAILED;
	head = -(uintptr_t)p & (HUGE_BYTES - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + bytes, HUGE_BYTES - head);
	return p + head;
}

static bool memory_map(struct guest_memory *mem, const struct guest_memory_opts *opts,
		       GError **error)
{
	int flags = MAP_FIXED | MAP_NORESERVE |
		    (mem->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	void *at = address_space_reserve(mem->bytes);

	if (at == MAP_FAILED)
		return error_errno(error, errno, "cannot map %" PRIu64 " MiB of guest memory",
				   mem->bytes >> 20);
	mem->base = at;
	/* A hugetlb mapping takes its pages from the pool now: no SIGBUS later. */
	if (opts->hugetlb)
		flags &= ~MAP_NORESERVE;
	if (mmap(at, mem->bytes, PROT_READ | PROT_WRITE, flags, mem->fd, 0) == MAP_FAILED)
		return opts->hugetlb
			       ? error_errno(
					 error, errno,
					 "the host's pool of 2 MiB huge pages cannot give %" PRIu64
					 " MiB (see vm.nr_hugepages)",
					 mem->bytes >> 20)
			       : error_errno(error, errno,
					     "cannot map %" PRIu64 " MiB of guest memory",
					     mem->bytes >> 20);
	/* Advice only: each may be refused and the guest runs all the same. */
	madvise(at, mem->bytes, MADV_DONTDUMP);
	madvise(at, mem->bytes, MADV_DONTFORK);
	if (!opts->hugetlb)
		madvise(at, mem->bytes, MADV_HUGEPAGE);
#ifdef PR_SET_VMA
	if (mem->fd < 0)
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, mem->bytes, opts->name);
#endif
	return true;
}

static void memory_split(struct guest_memory *mem)
{
	uint64_t low = MIN(mem->bytes, GUEST_LOW_RAM_END);

	mem->regions[mem->n_regions++] =
		(struct guest_region){ .gpa = 0, .bytes = low, .hva = mem->base };
	if (mem->bytes > low)
		mem->regions[mem->n_regions++] = (struct guest_region){
			.gpa = GUEST_HIGH_RAM,
			.bytes = mem->bytes - low,
			.hva = mem->base + low,
			.fd_off = low,
		};
}

static bool size_check(const struct guest_memory_opts *opts, GError **error)
{
	if (!opts->bytes || opts->bytes % PAGE_BYTES || opts->bytes > MAX_BYTES)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "guest memory of %" PRIu64
				 " bytes: must be a multiple of 4 KiB, up to 16 TiB",
				 opts->bytes);
	if (opts->hugetlb && opts->bytes % HUGE_BYTES)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "guest memory of %" PRIu64
				 " KiB on huge pages: must be a multiple of 2 MiB",
				 opts->bytes >> 10);
	return true;
}

struct guest_memory *guest_memory_new(const struct guest_memory_opts *opts, GError **error)
{
	g_autoptr(guest_memory) mem = g_new0(struct guest_memory, 1);

	mem->fd = mem->file_fd = -1;
	mem->hugetlb = opts->hugetlb;
	if (!size_check(opts, error))
		return NULL;
	mem->bytes = opts->bytes;
	if (opts->hugetlb || shmem_has_huge_pages()) {
		mem->fd = memfd_open(opts, error);
		if (mem->fd < 0)
			return NULL;
	}
	if (!memory_map(mem, opts, error))
		return NULL;
	memory_split(mem);
	return g_steal_pointer(&mem);
}

void guest_memory_free(struct guest_memory *mem)
{
	if (!mem)
		return;
	memory_file_done(mem);
	if (mem->base)
		munmap(mem->base, mem->bytes);
	fd_close(&mem->fd);
	g_free(mem->wrote);
	g_free(mem);
}

void *guest_ptr(const struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->n_regions; i++) {
		const struct guest_region *r = &mem->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->bytes)
			return len <= r->bytes - (gpa - r->gpa) ? (uint8_t *)r->hva + (gpa - r->gpa)
								: NULL;
	}
	return NULL;
}

uint64_t guest_memory_bytes(const struct guest_memory *mem)
{
	return mem->bytes;
}

const struct guest_region *guest_memory_regions(const struct guest_memory *mem, unsigned *ret_n)
{
	*ret_n = mem->n_regions;
	return mem->regions;
}

static int memory_drop(struct guest_memory *mem, uint64_t off, uint64_t len)
{
	int r;

	if (mem->file_blocks)
		r = memory_file_drop(mem, off, len);
	else if (mem->fd < 0)
		r = madvise(mem->base + off, len, MADV_DONTNEED) < 0 ? -errno : 0;
	else
		r = fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len) < 0
			    ? -errno : 0;
	guest_memory_wrote(mem, mem->base + off, len);
	return r;
}

int guest_memory_discard(struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
	uint8_t *p = guest_ptr(mem, gpa, len);

	if (!p || gpa % PAGE_BYTES || len % PAGE_BYTES)
		return -EINVAL;
	return len ? memory_drop(mem, p - mem->base, len) : 0;
}

int guest_memory_clear(struct guest_memory *mem)
{
	return memory_drop(mem, 0, mem->bytes);
}
