/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keyboard controller's reset line. */
#include "config.h"
#include "libvmm/device/i8042.h"

#include <string.h>

#include "libvmm/device/device.h"
#include "libvmm/util/cleanup.h"

#define COMMAND_PULSE_RESET 0xfe
/*
 * Output full, input empty.  A driver that empties the output first gives up
 * after 16 bytes; one that waits to send a command (Linux's reboot=k) may at once.
 */
#define STATUS_STUCK 0xfd

struct i8042 {
	struct device dev;
	void (*reset)(void *arg);
	void *arg;
};

static void i8042_read(void *dev, uint64_t off, void *data, unsigned len)
{
	memset(data, STATUS_STUCK, len);
}

static void i8042_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct i8042 *k = dev;

	if (*(const uint8_t *)data == COMMAND_PULSE_RESET)
		k->reset(k->arg);
}

const struct bus_ops i8042_ops = { .read = i8042_read, .write = i8042_write };

static void i8042_free(struct device *dev)
{
	g_free(container_of(dev, struct i8042, dev));
}

static const struct device_ops i8042_device_ops = { .free = i8042_free };

struct i8042 *i8042_new(void (*reset)(void *arg), void *arg)
{
	struct i8042 *k = g_new0(struct i8042, 1);

	k->dev = (struct device){ .ops = &i8042_device_ops, .name = "i8042" };
	k->reset = reset;
	k->arg = arg;
	return k;
}

struct device *i8042_device(struct i8042 *k)
{
	return &k->dev;
}
