/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registers that a boot protocol asks for, and all registers as text. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "libvmm/kvm/cpu.h"
#include "libvmm/util/error.h"

#define CR0_PE	      0x1u
#define CR0_ET	      0x10u
#define CR0_PG	      0x80000000u
#define CR4_PAE	      0x20u
#define EFER_LME      0x100u
#define EFER_LMA      0x400u

#define TYPE_CODE     0xb /* execute, read, accessed */
#define TYPE_DATA     0x3 /* read, write, accessed */
#define TYPE_TSS_BUSY 0xb

/* Selectors are the boot protocol's __BOOT_CS and __BOOT_DS. */
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS	 0x20

static struct kvm_segment segment_code(const struct cpu_entry *entry)
{
	bool wide = entry->mode == CPU_ENTRY_LONG;

	return (struct kvm_segment){
		.selector = SEL_CODE,
		.limit = 0xffffffff,
		.type = TYPE_CODE,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = wide,
		.db = !wide,
	};
}

static struct kvm_segment segment_data(void)
{
	return (struct kvm_segment){
		.selector = SEL_DATA,
		.limit = 0xffffffff,
		.type = TYPE_DATA,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = 1,
	};
}

/* VM entry on Intel demands a busy TSS, whatever the guest does with it. */
static struct kvm_segment segment_tss(void)
{
	return (struct kvm_segment){
		.selector = SEL_TSS,
		.limit = 0x67,
		.type = TYPE_TSS_BUSY,
		.present = 1,
	};
}

/* A descriptor as memory has it (SDM vol. 3, 3.4.5); every base is 0. */
static uint64_t segment_pack(struct kvm_segment s)
{
	uint64_t limit = s.g ? s.limit >> 12 : s.limit;

	return (limit & 0xffff) | (uint64_t)s.type << 40 | (uint64_t)s.s << 44 |
	       (uint64_t)s.dpl << 45 | (uint64_t)s.present << 47 | (limit >> 16 & 0xf) << 48 |
	       (uint64_t)s.l << 53 | (uint64_t)s.db << 54 | (uint64_t)s.g << 55;
}

void cpu_entry_gdt(const struct cpu_entry *entry, uint64_t gdt[CPU_GDT_ENTRIES])
{
	memset(gdt, 0, CPU_GDT_ENTRIES * sizeof(gdt[0]));
	gdt[SEL_CODE / 8] = segment_pack(segment_code(entry));
	gdt[SEL_DATA / 8] = segment_pack(segment_data());
	gdt[SEL_TSS / 8] = segment_pack(segment_tss());
}

static void sregs_fill(struct kvm_sregs *sregs, const struct cpu_entry *entry)
{
	sregs->cs = segment_code(entry);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment_data();
	sregs->tr = segment_tss();
	sregs->gdt.base = entry->gdt_gpa;
	sregs->gdt.limit = CPU_GDT_ENTRIES * 8 - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cr0 = CR0_PE | CR0_ET;
	sregs->cr4 = 0;
	sregs->efer = 0;
	if (entry->mode != CPU_ENTRY_LONG)
		return;
	sregs->cr0 |= CR0_PG;
	sregs->cr3 = entry->cr3;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

bool cpu_set_entry(int vcpu_fd, const struct cpu_entry *entry, GError **error)
{
	struct kvm_regs regs = { .rip = entry->rip, .rsp = entry->stack, .rflags = 2 };
	struct kvm_sregs sregs;

	if (entry->mode == CPU_ENTRY_LONG)
		regs.rsi = entry->arg;
	else
		regs.rbx = entry->arg;
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return error_errno(error, errno, "KVM_GET_SREGS");
	sregs_fill(&sregs, entry);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return error_errno(error, errno, "KVM_SET_SREGS at the kernel's entry");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return error_errno(error, errno, "KVM_SET_REGS at the kernel's entry");
	return true;
}

static void segment_print(GString *to, const char *name, const struct kvm_segment *s)
{
	g_string_append_printf(to, "%s %04x base %016" PRIx64 " limit %08x type %x%s%s%s\n", name,
			       s->selector, (uint64_t)s->base, s->limit, s->type,
			       s->l ? " long" : "", s->db ? " 32" : "",
			       s->unusable ? " unusable" : "");
}

static void sregs_print(GString *to, const struct kvm_sregs *s)
{
	segment_print(to, "cs", &s->cs);
	segment_print(to, "ds", &s->ds);
	segment_print(to, "ss", &s->ss);
	segment_print(to, "fs", &s->fs);
	segment_print(to, "gs", &s->gs);
	segment_print(to, "tr", &s->tr);
	g_string_append_printf(to, "gdt %016" PRIx64 " limit %04x  idt %016" PRIx64 " limit %04x\n",
			       (uint64_t)s->gdt.base, s->gdt.limit, (uint64_t)s->idt.base,
			       s->idt.limit);
	g_string_append_printf(to,
			       "cr0 %08" PRIx64 " cr2 %016" PRIx64 " cr3 %016" PRIx64
			       " cr4 %08" PRIx64 " efer %" PRIx64 "\n",
			       (uint64_t)s->cr0, (uint64_t)s->cr2, (uint64_t)s->cr3,
			       (uint64_t)s->cr4, (uint64_t)s->efer);
}

char *cpu_format_registers(int vcpu_fd)
{
	GString *to = g_string_new(NULL);
	struct kvm_regs r;
	struct kvm_sregs s;

	if (ioctl(vcpu_fd, KVM_GET_REGS, &r) == 0) {
		const struct {
			const char *name;
			uint64_t value;
		} general[] = {
			{ "rip", r.rip }, { "rflags", r.rflags }, { "rsp", r.rsp },
			{ "rbp", r.rbp }, { "rax", r.rax },	  { "rbx", r.rbx },
			{ "rcx", r.rcx }, { "rdx", r.rdx },	  { "rsi", r.rsi },
			{ "rdi", r.rdi }, { "r8", r.r8 },	  { "r9", r.r9 },
			{ "r10", r.r10 }, { "r11", r.r11 },	  { "r12", r.r12 },
			{ "r13", r.r13 }, { "r14", r.r14 },	  { "r15", r.r15 },
		};

		for (unsigned i = 0; i < G_N_ELEMENTS(general); i++)
			g_string_append_printf(to, "%s %016" PRIx64 "%c", general[i].name,
					       general[i].value,
					       i % 4 == 3 || i == 17 ? '\n' : ' ');
	}
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &s) == 0)
		sregs_print(to, &s);
	return g_string_free(to, FALSE);
}
