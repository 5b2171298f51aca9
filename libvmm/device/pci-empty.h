/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI configuration space with a host bridge and nothing behind it, at ports 0xcf8 to 0xcff.
 *
 * A machine without PCI could leave these ports out, and Linux would find that
 * out by itself; but it says "PCI: Fatal" on the console first, an exit for
 * each character.  No bus is announced in the DSDT, so this is all that is seen.
 */
#pragma once

#include "libvmm/kvm/bus.h"

#define PCI_EMPTY_PORTS 8

struct device;
struct pci_empty;

struct pci_empty *pci_empty_new(void);
/* To reset and free it. */
struct device *pci_empty_device(struct pci_empty *p);

/* Its bus handlers; dev is the struct pci_empty. */
extern const struct bus_ops pci_empty_ops;
