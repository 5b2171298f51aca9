/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The whole state of one vCPU: saved at power-on so that a reset is a load,
 * and saved for a snapshot.
 *
 * The order of loading is not free.  Control registers come first, for they
 * say which APIC mode and which XCR0 are legal; the LAPIC before the MSRs,
 * for the deadline MSR only counts when its timer is in deadline mode; events
 * last, for what comes before may queue or clear one.
 */
#include "config.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "libvmm/kvm/cpu.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MSR_TSC		 0x10
#define MAX_MSRS	 4096
#define MSR_BATCH	 128u /* KVM takes fewer than 256 */
#define MAX_XSAVE_BYTES	 (1u << 20)
#define MAX_NESTED_BYTES (1u << 20)

struct cpu_state {
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave *xsave; /* NULL: fpu instead */
	uint32_t xsave_bytes;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	bool has_xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_nested_state *nested; /* NULL: KVM has none */
	struct kvm_msr_entry *msrs;
	unsigned n_msrs;
};

union msr_one {
	struct kvm_msrs head;
	uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

/*
 * As many as KVM gives in one call; it stops at one that this guest's CPUID
 * lacks, which holds no state and is left out.
 */
static void msrs_read(int fd, const uint32_t *indices, unsigned n, struct cpu_state *s)
{
	g_autofree struct kvm_msrs *batch =
		g_malloc0(sizeof(*batch) + MSR_BATCH * sizeof(batch->entries[0]));

	while (n) {
		unsigned want = MIN(n, MSR_BATCH), got;
		int r;

		batch->nmsrs = want;
		for (unsigned i = 0; i < want; i++)
			batch->entries[i] = (struct kvm_msr_entry){ .index = indices[i] };
		r = ioctl(fd, KVM_GET_MSRS, batch);
		got = CLAMP(r, 0, (int)want);
		memcpy(s->msrs + s->n_msrs, batch->entries, got * sizeof(batch->entries[0]));
		s->n_msrs += got;
		got += got < want;
		indices += got;
		n -= got;
	}
}

static bool msrs_save(struct kvm *kvm, int fd, struct cpu_state *s, GError **error)
{
	g_autofree struct kvm_msr_list *list =
		g_malloc0(sizeof(*list) + MAX_MSRS * sizeof(list->indices[0]));

	list->nmsrs = MAX_MSRS;
	if (ioctl(kvm_dev_fd(kvm), KVM_GET_MSR_INDEX_LIST, list) < 0)
		return error_errno(error, errno, "KVM_GET_MSR_INDEX_LIST");
	s->msrs = g_new0(struct kvm_msr_entry, list->nmsrs);
	msrs_read(fd, list->indices, list->nmsrs, s);
	return true;
}

static uint32_t xsave_bytes(struct kvm *kvm)
{
	int bytes = kvm_cap(kvm, KVM_CAP_XSAVE2);

	return (uint32_t)CLAMP(bytes, (int)sizeof(struct kvm_xsave), (int)MAX_XSAVE_BYTES);
}

static bool xsave_save(struct kvm *kvm, int fd, struct cpu_state *s, GError **error)
{
	uint32_t bytes = xsave_bytes(kvm);

	if (kvm_cap(kvm, KVM_CAP_XSAVE) <= 0) {
		if (ioctl(fd, KVM_GET_FPU, &s->fpu) < 0)
			return error_errno(error, errno, "KVM_GET_FPU");
		return true;
	}
	s->xsave = g_malloc0(bytes);
	s->xsave_bytes = bytes;
	if (ioctl(fd, bytes > sizeof(*s->xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, s->xsave) < 0)
		return error_errno(error, errno, "KVM_GET_XSAVE");
	return true;
}

static bool nested_save(struct kvm *kvm, int fd, struct cpu_state *s, GError **error)
{
	int bytes = kvm_cap(kvm, KVM_CAP_NESTED_STATE);

	if (bytes <= 0)
		return true;
	bytes = CLAMP(bytes, (int)sizeof(*s->nested), (int)MAX_NESTED_BYTES);
	s->nested = g_malloc0(bytes);
	s->nested->size = bytes;
	if (ioctl(fd, KVM_GET_NESTED_STATE, s->nested) < 0)
		return error_errno(error, errno, "KVM_GET_NESTED_STATE");
	return true;
}

struct cpu_state *cpu_state_save(struct kvm *kvm, int fd, GError **error)
{
	g_autoptr(cpu_state) s = g_new0(struct cpu_state, 1);
	const struct {
		unsigned long request;
		const char *name;
		void *into;
	} parts[] = {
		/* First: it makes KVM digest INIT and SIPI that wait. */
		{ KVM_GET_MP_STATE, "KVM_GET_MP_STATE", &s->mp },
		{ KVM_GET_REGS, "KVM_GET_REGS", &s->regs },
		{ KVM_GET_SREGS, "KVM_GET_SREGS", &s->sregs },
		{ KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", &s->debugregs },
		{ KVM_GET_LAPIC, "KVM_GET_LAPIC", &s->lapic },
		{ KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &s->events },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		if (ioctl(fd, parts[i].request, parts[i].into) < 0) {
			error_errno(error, errno, "%s", parts[i].name);
			return NULL;
		}
	s->has_xcrs = kvm_cap(kvm, KVM_CAP_XCRS) > 0 && ioctl(fd, KVM_GET_XCRS, &s->xcrs) == 0;
	if (!xsave_save(kvm, fd, s, error) || !nested_save(kvm, fd, s, error) ||
	    !msrs_save(kvm, fd, s, error))
		return NULL;
	return g_steal_pointer(&s);
}

static void msrs_load(int fd, const struct cpu_state *s, bool with_tsc)
{
	for (unsigned i = 0; i < s->n_msrs; i++) {
		union msr_one one = { .head.nmsrs = 1 };

		one.head.entries[0] = s->msrs[i];
		/* Some can be read and not written; none of those holds state. */
		if (with_tsc || s->msrs[i].index != MSR_TSC)
			ioctl(fd, KVM_SET_MSRS, &one);
	}
}

static bool nested_load(int fd, const struct cpu_state *s, GError **error)
{
	if (s->nested && ioctl(fd, KVM_SET_NESTED_STATE, s->nested) < 0)
		return error_errno(error, errno, "KVM_SET_NESTED_STATE");
	return true;
}

bool cpu_state_load(int fd, const struct cpu_state *s, bool with_tsc, GError **error)
{
	bool in_nested = s->nested && s->nested->flags & KVM_STATE_NESTED_GUEST_MODE;
	const struct {
		bool there;
		unsigned long request;
		const char *name;
		const void *from;
	} parts[] = {
		{ true, KVM_SET_MP_STATE, "KVM_SET_MP_STATE", &s->mp },
		{ true, KVM_SET_REGS, "KVM_SET_REGS", &s->regs },
		{ true, KVM_SET_SREGS, "KVM_SET_SREGS", &s->sregs },
		{ s->has_xcrs, KVM_SET_XCRS, "KVM_SET_XCRS", &s->xcrs },
		{ s->xsave, KVM_SET_XSAVE, "KVM_SET_XSAVE", s->xsave },
		{ !s->xsave, KVM_SET_FPU, "KVM_SET_FPU", &s->fpu },
		{ true, KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS", &s->debugregs },
		{ true, KVM_SET_LAPIC, "KVM_SET_LAPIC", &s->lapic },
	};

	/* A vCPU that runs a guest of its own leaves it before its registers are replaced. */
	if (!in_nested && !nested_load(fd, s, error))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].there && ioctl(fd, parts[i].request, parts[i].from) < 0)
			return error_errno(error, errno, "%s", parts[i].name);
	msrs_load(fd, s, with_tsc);
	if (in_nested && !nested_load(fd, s, error))
		return false;
	if (ioctl(fd, KVM_SET_VCPU_EVENTS, &s->events) < 0)
		return error_errno(error, errno, "KVM_SET_VCPU_EVENTS");
	return true;
}

/* --- saved --- */

void cpu_state_put(const struct cpu_state *s, struct state_out *out)
{
	state_put(out, &s->mp, sizeof(s->mp));
	state_put(out, &s->regs, sizeof(s->regs));
	state_put(out, &s->sregs, sizeof(s->sregs));
	state_put(out, &s->fpu, sizeof(s->fpu));
	state_put_u8(out, s->has_xcrs);
	state_put(out, &s->xcrs, sizeof(s->xcrs));
	state_put(out, &s->debugregs, sizeof(s->debugregs));
	state_put(out, &s->lapic, sizeof(s->lapic));
	state_put(out, &s->events, sizeof(s->events));
	state_put_blob(out, s->xsave, s->xsave_bytes);
	state_put_blob(out, s->nested, s->nested ? s->nested->size : 0);
	state_put_u32(out, s->n_msrs);
	for (unsigned i = 0; i < s->n_msrs; i++) {
		state_put_u32(out, s->msrs[i].index);
		state_put_u64(out, s->msrs[i].data);
	}
}

/*
 * KVM reads as many bytes as this host's area has.  One that was saved longer
 * may have zeroes there only: components that this host lacks, unused.
 */
static void xsave_get(struct kvm *kvm, struct state_in *in, struct cpu_state *s)
{
	bool has = kvm_cap(kvm, KVM_CAP_XSAVE) > 0;
	uint32_t here = has ? xsave_bytes(kvm) : 0, len;
	const uint8_t *saved = state_get_blob(in, MAX_XSAVE_BYTES, &len);

	in->bad |= !has != !len || (len && len < sizeof(*s->xsave));
	for (uint32_t i = here; i < len && !in->bad; i++)
		in->bad |= saved[i] != 0;
	if (in->bad || !len)
		return;
	s->xsave = g_malloc0(here);
	s->xsave_bytes = here;
	memcpy(s->xsave, saved, MIN(len, here));
}

/* Its own size field says how much KVM reads. */
static void nested_get(struct kvm *kvm, struct state_in *in, struct cpu_state *s)
{
	uint32_t len;
	const uint8_t *saved = state_get_blob(in, MAX_NESTED_BYTES, &len);

	if (!len || in->bad)
		return;
	s->nested = g_malloc0(MAX(len, sizeof(*s->nested)));
	memcpy(s->nested, saved, len);
	if (len < sizeof(*s->nested) || s->nested->size != len)
		in->bad = true;
	else if (kvm_cap(kvm, KVM_CAP_NESTED_STATE) <= 0)
		g_clear_pointer(&s->nested, g_free);
}

struct cpu_state *cpu_state_get(struct kvm *kvm, struct state_in *in)
{
	g_autoptr(cpu_state) s = g_new0(struct cpu_state, 1);

	state_get(in, &s->mp, sizeof(s->mp));
	state_get(in, &s->regs, sizeof(s->regs));
	state_get(in, &s->sregs, sizeof(s->sregs));
	state_get(in, &s->fpu, sizeof(s->fpu));
	s->has_xcrs = state_get_bool(in) && kvm_cap(kvm, KVM_CAP_XCRS) > 0;
	state_get(in, &s->xcrs, sizeof(s->xcrs));
	state_get(in, &s->debugregs, sizeof(s->debugregs));
	state_get(in, &s->lapic, sizeof(s->lapic));
	state_get(in, &s->events, sizeof(s->events));
	xsave_get(kvm, in, s);
	nested_get(kvm, in, s);
	s->n_msrs = state_get_max(in, MAX_MSRS);
	s->msrs = g_new0(struct kvm_msr_entry, s->n_msrs);
	for (unsigned i = 0; i < s->n_msrs && !in->bad; i++) {
		s->msrs[i].index = state_get_u32(in);
		s->msrs[i].data = state_get_u64(in);
	}
	return in->bad ? NULL : g_steal_pointer(&s);
}

void cpu_state_advance_tsc(struct cpu_state *s, uint64_t cycles)
{
	for (unsigned i = 0; i < s->n_msrs; i++)
		if (s->msrs[i].index == MSR_TSC)
			s->msrs[i].data += cycles;
}

void cpu_state_free(struct cpu_state *s)
{
	if (!s)
		return;
	g_free(s->xsave);
	g_free(s->nested);
	g_free(s->msrs);
	g_free(s);
}
