/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages of a running guest's memory change: for a copy that is made in
 * passes.  At the first pass all of them have.  Owner: whoever made it; a
 * pass may be another thread's, one at a time.
 */
#pragma once

#include "libvmm/kvm/kvm.h"
#include "libvmm/kvm/memory.h"

struct dirty_log;

/* NULL: this KVM keeps no log.  One at a time; both outlive it. */
struct dirty_log *dirty_log_new(struct kvm *kvm, struct guest_memory *mem, GError **error);
void dirty_log_free(struct dirty_log *log);
typedef struct dirty_log dirty_log;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(dirty_log, dirty_log_free)

/* Begins a pass: *ret_pages have changed and were not taken yet. */
bool dirty_log_begin(struct dirty_log *log, uint64_t *ret_pages, GError **error);
/*
 * Takes 64 * n_words pages from `first`, a multiple of 64, on: a bit for each
 * that is to be copied after this call.  What changes from now on is noted anew.
 */
bool dirty_log_take(struct dirty_log *log, uint64_t first, unsigned n_words, uint64_t *ret_bits,
		    GError **error);
