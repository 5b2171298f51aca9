/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's dirty log and our own, as one.
 *
 * KVM notes what the vCPUs write, and what itself writes for them.  Devices
 * write through pointers: guest_memory_wrote() sets the page's bit after the
 * write, a taker clears it before the copy, so the copy has the write or the
 * bit is there again.
 *
 * With KVM_CLEAR_DIRTY_LOG a page is watched anew just before it is copied,
 * and the first pass needs no start at which all memory is write-protected at
 * once; without, KVM_GET_DIRTY_LOG does both at the beginning of each pass.
 */
#include "config.h"
#include "libvmm/kvm/dirty.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libvmm/kvm/memory-priv.h"
#include "libvmm/util/error.h"

#define WORD_PAGES 64u

struct dirty_log {
	struct kvm *kvm;
	struct guest_memory *mem;
	bool manual;		/* KVM_CLEAR_DIRTY_LOG */
	uint64_t n_words;
	uint64_t *pages;	/* changed and not taken, as far as KVM has told */
	uint64_t *fetched;	/* of one region */
};

static uint64_t n_words_of(uint64_t bytes)
{
	return (bytes / PAGE_BYTES + WORD_PAGES - 1) / WORD_PAGES;
}

/* --- what we write --- */

bool guest_memory_is_watched(const struct guest_memory *mem)
{
	return __atomic_load_n(&mem->watched, __ATOMIC_ACQUIRE);
}

void guest_memory_wrote(const struct guest_memory *mem, const void *hva, uint64_t bytes)
{
	uint64_t off = (uint64_t)((const uint8_t *)hva - mem->base), page, last;

	if (!guest_memory_is_watched(mem) || !bytes || off >= mem->bytes)
		return;
	last = (off + MIN(bytes, mem->bytes - off) - 1) / PAGE_BYTES;
	for (page = off / PAGE_BYTES; page <= last; page = (page | (WORD_PAGES - 1)) + 1) {
		uint64_t bits = UINT64_MAX << page % WORD_PAGES;

		if ((page | (WORD_PAGES - 1)) > last)
			bits &= UINT64_MAX >> (WORD_PAGES - 1 - last % WORD_PAGES);
		/* Atomic even where the bit is set: our bytes are out before it is looked at. */
		__atomic_fetch_or(&mem->wrote[page / WORD_PAGES], bits, __ATOMIC_SEQ_CST);
	}
}

/*
 * Whoever did not see the watch has its bytes out when this returns: the
 * barrier is his, he need not have one.  Without it (a kernel that has none)
 * some nanoseconds are left in which a write may be missed, before any page
 * is copied.
 */
static void watch_begin(struct guest_memory *mem, uint64_t n_words)
{
	if (!mem->wrote)
		mem->wrote = g_new(uint64_t, n_words);
	memset(mem->wrote, 0, n_words * sizeof(*mem->wrote));
	__atomic_store_n(&mem->watched, true, __ATOMIC_SEQ_CST);
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

/* --- the log --- */

/* Bits of pages behind the end of memory are never set, so that counts are right. */
static void pages_set_all(struct dirty_log *log)
{
	uint64_t n = log->mem->bytes / PAGE_BYTES;

	memset(log->pages, 0xff, log->n_words * sizeof(*log->pages));
	if (n % WORD_PAGES)
		log->pages[log->n_words - 1] = UINT64_MAX >> (WORD_PAGES - n % WORD_PAGES);
}

/* Together with INITIALLY_SET: huge pages are split where and when they are copied. */
static bool manual_enable(struct kvm *kvm)
{
	int can = kvm_cap(kvm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
			   (can > 0 ? can & KVM_DIRTY_LOG_INITIALLY_SET : 0),
	};

	return can > 0 && can & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE &&
	       ioctl(kvm_vm_fd(kvm), KVM_ENABLE_CAP, &cap) == 0;
}

struct dirty_log *dirty_log_new(struct kvm *kvm, struct guest_memory *mem, GError **error)
{
	struct dirty_log *log = g_new0(struct dirty_log, 1);

	log->kvm = kvm;
	log->mem = mem;
	log->manual = manual_enable(kvm);
	log->n_words = n_words_of(mem->bytes);
	log->pages = g_new(uint64_t, log->n_words);
	log->fetched = g_new(uint64_t, log->n_words);
	pages_set_all(log);
	watch_begin(mem, log->n_words);
	if (kvm_log_memory(kvm, mem, true, error))
		return log;
	dirty_log_free(log);
	return NULL;
}

void dirty_log_free(struct dirty_log *log)
{
	if (!log)
		return;
	__atomic_store_n(&log->mem->watched, false, __ATOMIC_SEQ_CST);
	kvm_log_memory(log->kvm, log->mem, false, NULL);
	g_free(log->pages);
	g_free(log->fetched);
	g_free(log);
}

static bool region_fetch(struct dirty_log *log, unsigned slot, const struct guest_region *r,
			 GError **error)
{
	struct kvm_dirty_log get = { .slot = slot, .dirty_bitmap = log->fetched };
	uint64_t *to = log->pages + r->fd_off / PAGE_BYTES / WORD_PAGES;
	uint64_t n = n_words_of(r->bytes);

	/* KVM rounds up to words of its own, which are as long as ours. */
	memset(log->fetched, 0, n * sizeof(*log->fetched));
	if (ioctl(kvm_vm_fd(log->kvm), KVM_GET_DIRTY_LOG, &get) < 0)
		return error_errno(error, errno, "KVM_GET_DIRTY_LOG");
	for (uint64_t i = 0; i < n; i++)
		to[i] |= log->fetched[i];
	return true;
}

bool dirty_log_begin(struct dirty_log *log, uint64_t *ret_pages, GError **error)
{
	unsigned n_regions;
	const struct guest_region *r = guest_memory_regions(log->mem, &n_regions);

	for (unsigned i = 0; i < n_regions; i++)
		if (!region_fetch(log, i, &r[i], error))
			return false;
	*ret_pages = 0;
	for (uint64_t i = 0; i < log->n_words; i++) {
		uint64_t ours = __atomic_load_n(&log->mem->wrote[i], __ATOMIC_RELAXED);

		*ret_pages += (uint64_t)__builtin_popcountll(log->pages[i] | ours);
	}
	return true;
}

/* A slot ends at the end of its region; words of ours never lie in two. */
static bool pages_rearm(struct dirty_log *log, uint64_t first, unsigned n_words, GError **error)
{
	unsigned slot = 0, n_regions;
	const struct guest_region *r = guest_memory_regions(log->mem, &n_regions);
	struct kvm_clear_dirty_log clear = { .dirty_bitmap = log->pages + first / WORD_PAGES };
	uint64_t page;

	while (slot + 1 < n_regions && first >= r[slot + 1].fd_off / PAGE_BYTES)
		slot++;
	page = first - r[slot].fd_off / PAGE_BYTES;
	clear.slot = slot;
	clear.first_page = page;
	clear.num_pages = (uint32_t)MIN((uint64_t)n_words * WORD_PAGES,
					r[slot].bytes / PAGE_BYTES - page);
	if (ioctl(kvm_vm_fd(log->kvm), KVM_CLEAR_DIRTY_LOG, &clear) < 0)
		return error_errno(error, errno, "KVM_CLEAR_DIRTY_LOG");
	return true;
}

bool dirty_log_take(struct dirty_log *log, uint64_t first, unsigned n_words, uint64_t *ret_bits,
		    GError **error)
{
	uint64_t at = first / WORD_PAGES, any = 0;

	for (unsigned i = 0; i < n_words; i++)
		any |= log->pages[at + i];
	if (any && log->manual && !pages_rearm(log, first, n_words, error))
		return false;
	for (unsigned i = 0; i < n_words; i++) {
		ret_bits[i] = log->pages[at + i] |
			      __atomic_exchange_n(&log->mem->wrote[at + i], 0, __ATOMIC_SEQ_CST);
		log->pages[at + i] = 0;
	}
	return true;
}
