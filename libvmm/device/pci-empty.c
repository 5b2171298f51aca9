/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI's configuration mechanism #1 (PCI 3.0, 3.2.2.3.2): an address in the
 * first four ports, which counts as one only when written at once, and a
 * window onto that address in the others.  The bridge is read-only.
 */
#include "config.h"
#include "libvmm/device/pci-empty.h"

#include <string.h>

#include "libvmm/device/device.h"
#include "libvmm/util/cleanup.h"

#define WINDOW 4u	/* offset of the data ports */
#define ENABLE 0x80000000u
#define ADDRESS_BITS (ENABLE | 0x00fffffcu)
#define FUNCTION_BITS 0x00ffff00u
#define CONFIG_BYTES 256u

/* A host bridge that needs no driver: the ids of QEMU's generic one, class 06 00 00. */
static const uint8_t bridge[CONFIG_BYTES] = {
	0x36, 0x1b, 0x08, 0x00, [0x0b] = 0x06,
};

struct pci_empty {
	struct device dev;
	uint32_t address;	/* vCPU threads race for it as they would on a board */
};

static uint32_t address_get(const struct pci_empty *p)
{
	return __atomic_load_n(&p->address, __ATOMIC_RELAXED);
}

static void pci_empty_read(void *dev, uint64_t off, void *data, unsigned len)
{
	const uint32_t address = address_get(dev);
	const uint32_t at = (address & 0xfc) + (off - WINDOW);

	memset(data, 0xff, len);
	if (off == 0 && len == sizeof(address))
		memcpy(data, &address, len);
	else if (off >= WINDOW && address & ENABLE && !(address & FUNCTION_BITS))
		memcpy(data, bridge + at, len);
}

static void pci_empty_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct pci_empty *p = dev;
	uint32_t address;

	if (off != 0 || len != sizeof(address))
		return;
	memcpy(&address, data, len);
	__atomic_store_n(&p->address, address & ADDRESS_BITS, __ATOMIC_RELAXED);
}

const struct bus_ops pci_empty_ops = { .read = pci_empty_read, .write = pci_empty_write };

static void pci_empty_reset(struct device *dev)
{
	container_of(dev, struct pci_empty, dev)->address = 0;
}

static void pci_empty_save(struct device *dev, struct state_out *out)
{
	state_put_u32(out, address_get(container_of(dev, struct pci_empty, dev)));
}

static bool pci_empty_load(struct device *dev, struct state_in *in, GError **error)
{
	container_of(dev, struct pci_empty, dev)->address = state_get_u32(in) & ADDRESS_BITS;
	return state_done(in, error);
}

static void pci_empty_free(struct device *dev)
{
	g_free(container_of(dev, struct pci_empty, dev));
}

static const struct device_ops pci_empty_device_ops = {
	.reset = pci_empty_reset,
	.save = pci_empty_save,
	.load = pci_empty_load,
	.free = pci_empty_free,
};

struct pci_empty *pci_empty_new(void)
{
	struct pci_empty *p = g_new0(struct pci_empty, 1);

	p->dev = (struct device){ .ops = &pci_empty_device_ops, .name = "pci" };
	return p;
}

struct device *pci_empty_device(struct pci_empty *p)
{
	return &p->dev;
}
