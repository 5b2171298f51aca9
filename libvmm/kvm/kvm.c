/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/kvm and one VM.
 *
 * The machine asks KVM for an in-kernel irqchip (8259s, IOAPIC, a LAPIC per
 * vCPU), because interrupts then need no exit to us.  It never uses the 8259s:
 * irq.c routes every line to the IOAPIC.
 */
#include "config.h"
#include "libvmm/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "libvmm/kvm/irq.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/*
 * On Intel, KVM wants four pages of guest address space for itself: below the
 * BIOS's traditional place, where no RAM and no device of ours is.
 */
#define KVM_IDENTITY_MAP UINT64_C(0xfffbc000)
#define KVM_TSS		 0xfffbd000ul

struct kvm {
	int dev_fd;
	int vm_fd;
	unsigned max_vcpus;
};

static const struct needed_cap {
	int cap;
	const char *name;
	const char *for_what;
} needed_caps[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest RAM" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "interrupt controllers" },
	{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", "interrupt lines" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "device interrupts" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "virtio doorbells" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "real mode on Intel" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR", "real mode on Intel" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "CPUID" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "several vCPUs, reset" },
	{ KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS", "reset and snapshots" },
	{ KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS", "reset and snapshots" },
	{ KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK", "the guest's clock" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "prompt pause" },
};

static int dev_open(GError **error)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			  "there is no /dev/kvm: load the module kvm_intel or kvm_amd, and turn on "
			  "virtualization "
			  "in the firmware's settings (or nesting, in a virtual machine)");
	else if (errno == EACCES || errno == EPERM)
		error_set(error, VMM_ERR_SYSTEM,
			  "no permission to open /dev/kvm: add the user to the group that owns it "
			  "(usually 'kvm')");
	else
		error_errno(error, errno, "cannot open /dev/kvm");
	return -1;
}

static bool version_check(int dev_fd, GError **error)
{
	int version = ioctl(dev_fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return error_errno(error, errno,
				   "this is not /dev/kvm: cannot ask for its version");
	if (version != 12)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "/dev/kvm speaks version %d, not 12", version);
	return true;
}

static bool caps_check(int dev_fd, GError **error)
{
	for (unsigned i = 0; i < ARRAY_SIZE(needed_caps); i++) {
		const struct needed_cap *c = &needed_caps[i];

		if (ioctl(dev_fd, KVM_CHECK_EXTENSION, c->cap) <= 0)
			return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
					 "the host's KVM lacks %s, which is needed for %s: use a "
					 "newer kernel "
					 "(5.10 or later is known to have it)",
					 c->name, c->for_what);
	}
	return true;
}

/* The ioctl is interrupted by any signal while it waits for memory: ask again. */
static int vm_create(int dev_fd)
{
	for (unsigned tries = 0;; tries++) {
		int fd = ioctl(dev_fd, KVM_CREATE_VM, 0);

		if (fd >= 0 || errno != EINTR || tries == 100)
			return fd;
	}
}

/* 32-bit APIC ids in KVM_SET_LAPIC: what more than 255 vCPUs need.  Without it there are 255. */
static void x2apic_enable(struct kvm *kvm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args[0] = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
	};
	int max = kvm_cap(kvm, KVM_CAP_MAX_VCPUS);

	kvm->max_vcpus = max > 0 ? max : 4;
	if (!kvm_cap(kvm, KVM_CAP_X2APIC_API) || ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &cap) < 0)
		kvm->max_vcpus = MIN(kvm->max_vcpus, 255u);
}

static bool chips_create(struct kvm *kvm, GError **error)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = KVM_IDENTITY_MAP;

	if (ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return error_errno(error, errno, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS) < 0)
		return error_errno(error, errno, "KVM_SET_TSS_ADDR");
	if (ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return error_errno(error, errno, "KVM_CREATE_IRQCHIP");
	/* A kernel with neither a deadline timer nor a PIT cannot calibrate its LAPIC timer. */
	if (kvm_cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER) <= 0 &&
	    ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return error_errno(error, errno, "KVM_CREATE_PIT2");
	return irq_init(kvm, error);
}

/*
 * Memory before the irqchip: making that leaves KVM with an RCU grace period of
 * its own pace, for which the first change of memory waits, 7 to 12 ms.
 */
static bool vm_init(struct kvm *kvm, const struct guest_memory *mem, GError **error)
{
	if (!version_check(kvm->dev_fd, error) || !caps_check(kvm->dev_fd, error))
		return false;
	kvm->vm_fd = vm_create(kvm->dev_fd);
	if (kvm->vm_fd < 0)
		return error_errno(error, errno, "/dev/kvm cannot make a virtual machine");
	x2apic_enable(kvm);
	if (mem && !kvm_set_memory(kvm, mem, error))
		return false;
	return chips_create(kvm, error);
}

struct kvm *kvm_new(int dev_fd, const struct guest_memory *mem, GError **error)
{
	struct kvm *kvm = g_new0(struct kvm, 1);

	kvm->vm_fd = -1;
	kvm->dev_fd = dev_fd >= 0 ? dev_fd : dev_open(error);
	if (kvm->dev_fd >= 0 && vm_init(kvm, mem, error))
		return kvm;
	kvm_free(kvm);
	return NULL;
}

void kvm_free(struct kvm *kvm)
{
	if (!kvm)
		return;
	fd_close(&kvm->vm_fd);
	fd_close(&kvm->dev_fd);
	g_free(kvm);
}

int kvm_dev_fd(const struct kvm *kvm)
{
	return kvm->dev_fd;
}

int kvm_vm_fd(const struct kvm *kvm)
{
	return kvm->vm_fd;
}

int kvm_cap(const struct kvm *kvm, int capability)
{
	return ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, capability);
}

unsigned kvm_max_vcpus(const struct kvm *kvm)
{
	return kvm->max_vcpus;
}

static bool slots_set(struct kvm *kvm, const struct guest_memory *mem, uint32_t flags,
		      GError **error)
{
	unsigned n;
	const struct guest_region *r = guest_memory_regions(mem, &n);

	for (unsigned i = 0; i < n; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.flags = flags,
			.guest_phys_addr = r[i].gpa,
			.memory_size = r[i].bytes,
			.userspace_addr = (uintptr_t)r[i].hva,
		};

		if (ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return error_errno(error, errno,
					   "KVM refuses %" PRIu64
					   " MiB of guest memory at 0x%" PRIx64 "%s",
					   r[i].bytes >> 20, r[i].gpa,
					   flags ? " with a dirty log" : "");
	}
	return true;
}

bool kvm_set_memory(struct kvm *kvm, const struct guest_memory *mem, GError **error)
{
	return slots_set(kvm, mem, 0, error);
}

bool kvm_log_memory(struct kvm *kvm, const struct guest_memory *mem, bool on, GError **error)
{
	return slots_set(kvm, mem, on ? KVM_MEM_LOG_DIRTY_PAGES : 0, error);
}
