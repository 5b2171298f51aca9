/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's physical address map, ports and interrupt lines: one picture.
 *
 *	00000000  RAM: real mode vectors, BIOS data area (0x400)
 *	00000500  GDT \
 *	00006000  PVH start info, memory map, modules    |  while booting;
 *	00007000  boot_params ("zero page")              |  plain RAM for the
 *	00008ff0  stack, downwards                       |  kernel afterwards
 *	00009000  identity page tables, 6 pages          |
 *	00020000  command line, up to 64 KiB            /
 *	0009fc00  EBDA (empty), reserved
 *	000e0000  RSDP, XSDT, FADT, MADT, DSDT, the generation id, reserved
 *	000ffff0  where a PC's reset vector is: nine bytes that reset the machine
 *	00100000  RAM: the kernel at its preferred address; the initrd at the end
 *	c0000000  end of low RAM, whatever its size     -- device hole --
 *	d0000000  virtio-mmio devices, a page each
 *	e0000000  (PCI configuration space, machine='pci')
 *	fec00000  IOAPIC, pins 0 to 23
 *	fee00000  local APICs
 *	fffbc000  KVM's identity map and TSS pages
 *	100000000 RAM beyond the first 3 GiB
 *
 * Lines, all edge-triggered, active high.  GSIs not named are free.
 *	0  PIT, where KVM has no TSC deadline timer
 *	3  COM2    4  COM1    5  events (power button)    8  RTC
 *	6, 7, 9 to 23  virtio-mmio devices 0 to 16, in this order
 */
#pragma once

#include <stdint.h>

#define LAYOUT_GDT 0x500
#define LAYOUT_PVH_INFO 0x6000
#define LAYOUT_BOOT_PARAMS 0x7000
#define LAYOUT_STACK 0x8ff0
#define LAYOUT_PAGE_TABLES 0x9000
#define LAYOUT_CMDLINE 0x20000
#define LAYOUT_CMDLINE_BYTES 0x10000
#define LAYOUT_EBDA 0x9fc00
#define LAYOUT_ACPI 0xe0000
#define LAYOUT_ACPI_END 0xf0000
#define LAYOUT_GENERATION 0xeff00	/* VM generation id, 16 bytes; within the ACPI area */
#define LAYOUT_RESET_VECTOR 0xffff0
#define LAYOUT_KERNEL_MIN 0x100000

#define LAYOUT_MIN_RAM_BYTES (UINT64_C(16) << 20)

/* The two ends of the hole in RAM are GUEST_LOW_RAM_END and GUEST_HIGH_RAM, memory.h. */
#define LAYOUT_VIRTIO_MMIO 0xd0000000u
#define LAYOUT_VIRTIO_MMIO_STEP 0x1000u
#define LAYOUT_VIRTIO_MMIO_BYTES 0x200u
#define LAYOUT_VIRTIO_MMIO_MAX 17
#define LAYOUT_IOAPIC 0xfec00000u
#define LAYOUT_LAPIC 0xfee00000u

#define LAYOUT_COM1_PORT 0x3f8
#define LAYOUT_COM2_PORT 0x2f8
#define LAYOUT_COM_PORTS 8
#define LAYOUT_RTC_PORT 0x70
#define LAYOUT_RTC_PORTS 2
#define LAYOUT_I8042_PORT 0x64		/* the reset line only */
#define LAYOUT_PCI_PORT 0xcf8		/* an empty bus */

/*
 * The power block, eight ports, all accesses of one byte:
 *	+0  events since the last read, cleared by reading; bit 0: power button,
 *	    bit 1: the generation id has changed
 *	+1  ACPI sleep control (SLP_TYP in bits 2 to 4, SLP_EN bit 5)
 *	+2  ACPI sleep status (WAK_STS bit 7)
 *	+3  reset: write LAYOUT_RESET_VALUE
 */
#define LAYOUT_POWER_PORT 0x600
#define LAYOUT_POWER_PORTS 8
#define LAYOUT_POWER_EVENTS 0
#define LAYOUT_POWER_SLEEP_CONTROL 1
#define LAYOUT_POWER_SLEEP_STATUS 2
#define LAYOUT_POWER_RESET 3
#define LAYOUT_POWER_EVENT_BUTTON 0x01
#define LAYOUT_POWER_EVENT_GENERATION 0x02
#define LAYOUT_SLP_TYP_S5 5
#define LAYOUT_RESET_VALUE 0x01

#define LAYOUT_COM2_GSI 3
#define LAYOUT_COM1_GSI 4
#define LAYOUT_EVENT_GSI 5
#define LAYOUT_RTC_GSI 8

static inline uint64_t layout_virtio_base(unsigned index)
{
	return LAYOUT_VIRTIO_MMIO + (uint64_t)index * LAYOUT_VIRTIO_MMIO_STEP;
}

/* index below LAYOUT_VIRTIO_MMIO_MAX */
static inline unsigned layout_virtio_gsi(unsigned index)
{
	return index < 2 ? 6 + index : 7 + index;
}
