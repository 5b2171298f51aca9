/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a machine does with any of its devices, whatever it is.
 *
 * Called on the main loop's thread while no vCPU runs.  A device whose owner
 * is another thread goes there by owner_call().
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "libvmm/util/state.h"

struct device;

struct device_ops {
	void (*start)(struct device *dev);	/* the machine is about to run; may be NULL */
	void (*stop)(struct device *dev);	/* the machine has stopped running; may be NULL */
	void (*reset)(struct device *dev);	/* to the state after power-on; may be NULL */
	/*
	 * Its state, while it is stopped; load() into a device that was built
	 * as the saved one was, of a machine that has not run, with the guest's
	 * memory, processors and interrupt controllers loaded.  Whatever the
	 * section says, a loaded device is safe to run.  Both NULL: it has none.
	 */
	void (*save)(struct device *dev, struct state_out *out);
	bool (*load)(struct device *dev, struct state_in *in, GError **error);
	void (*free)(struct device *dev);
};

struct device {
	const struct device_ops *ops;
	const char *name;			/* for messages; lives as long as the device */
};

static inline void device_start(struct device *dev)
{
	if (dev->ops->start)
		dev->ops->start(dev);
}

static inline void device_stop(struct device *dev)
{
	if (dev->ops->stop)
		dev->ops->stop(dev);
}

static inline void device_reset(struct device *dev)
{
	if (dev->ops->reset)
		dev->ops->reset(dev);
}

static inline void device_free(struct device *dev)
{
	if (dev)
		dev->ops->free(dev);
}
