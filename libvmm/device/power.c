/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The power block: buttons in, soft-off and reset out. */
#include "config.h"
#include "libvmm/device/power.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/device/device.h"
#include "libvmm/util/cleanup.h"

#define SLP_EN 0x20		/* ACPI 6.4, table 4.20: sleep control register */
#define SLP_TYP(v) ((v) >> 2 & 7)

#define EVENTS_KNOWN (POWER_EVENT_BUTTON | POWER_EVENT_GENERATION)

struct power {
	struct device dev;
	struct power_calls calls;
	int irq_fd;
	_Atomic uint8_t events;	/* since the guest last read them */
};

static uint8_t read_byte(struct power *p, unsigned reg)
{
	/* WAK_STS stays 0: nothing ever wakes from S5. */
	return reg == POWER_EVENTS ? atomic_exchange(&p->events, 0) : 0;
}

static void write_byte(struct power *p, unsigned reg, uint8_t v)
{
	if (reg == POWER_RESET && v == POWER_RESET_VALUE)
		p->calls.reset(p->calls.arg);
	if (reg == POWER_SLEEP_CONTROL && v & SLP_EN && SLP_TYP(v) == POWER_SLP_TYP_S5)
		p->calls.off(p->calls.arg);
}

static void power_read(void *dev, uint64_t off, void *data, unsigned len)
{
	uint8_t *bytes = data;

	for (unsigned i = 0; i < len; i++)
		bytes[i] = read_byte(dev, (unsigned)off + i);
}

static void power_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	const uint8_t *bytes = data;

	for (unsigned i = 0; i < len; i++)
		write_byte(dev, (unsigned)off + i, bytes[i]);
}

const struct bus_ops power_ops = { .read = power_read, .write = power_write };

static void event(struct power *p, uint8_t bit)
{
	atomic_fetch_or(&p->events, bit);
	eventfd_write(p->irq_fd, 1);
}

void power_press(struct power *p)
{
	event(p, POWER_EVENT_BUTTON);
}

void power_tell_generation(struct power *p)
{
	event(p, POWER_EVENT_GENERATION);
}

static void power_reset(struct device *dev)
{
	atomic_store(&container_of(dev, struct power, dev)->events, 0);
}

static void power_save(struct device *dev, struct state_out *out)
{
	state_put_u8(out, atomic_load(&container_of(dev, struct power, dev)->events));
}

static bool power_load(struct device *dev, struct state_in *in, GError **error)
{
	struct power *p = container_of(dev, struct power, dev);
	uint8_t events = state_get_u8(in);

	in->bad |= events & ~EVENTS_KNOWN;
	atomic_store(&p->events, events & EVENTS_KNOWN);
	/* The edge may have been on its way when the interrupt controller was saved. */
	if (events)
		eventfd_write(p->irq_fd, 1);
	return state_done(in, error);
}

static void power_free(struct device *dev)
{
	g_free(container_of(dev, struct power, dev));
}

static const struct device_ops power_device_ops = { .reset = power_reset, .save = power_save,
						    .load = power_load, .free = power_free };

struct power *power_new(const struct power_calls *calls, int irq_fd)
{
	struct power *p = g_new0(struct power, 1);

	p->dev = (struct device){ .ops = &power_device_ops, .name = "power" };
	p->calls = *calls;
	p->irq_fd = irq_fd;
	return p;
}

struct device *power_device(struct power *p)
{
	return &p->dev;
}
