/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between build.c and its parts, one for each kind of device that takes more than a few lines. */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct chardev_def;
struct disk_def;
struct domain_def;
struct filesystem_def;
struct iface_def;
struct machine;
struct machine_host;
struct virtio_device;

/* ---- build.c ---- */

/* A line of the IOAPIC; the descriptor is the machine's. */
int machine_line_new(struct machine *m, unsigned gsi, GError **error);
/* Gives the device the next slot: registers, line, doorbells.  Takes dev, also on failure. */
bool machine_virtio_add(struct machine *m, struct virtio_device *dev, GError **error);

/* ---- the parts ---- */

bool build_serials(struct machine *m, const struct domain_def *def,
		   const struct machine_host *host, GError **error);
/* Virtio consoles and channels: ports of one device. */
bool build_console(struct machine *m, const struct domain_def *def,
		   const struct machine_host *host, GError **error);
bool build_disk(struct machine *m, const struct disk_def *def, const struct machine_host *host,
		GError **error);
bool build_net(struct machine *m, const struct iface_def *def, const struct machine_host *host,
	       GError **error);
/* One of n_shares, which divide the process's descriptors among them. */
bool build_share(struct machine *m, const struct filesystem_def *def, unsigned n_shares,
		 const struct machine_host *host, GError **error);

/* Of struct machine's lists; their devices are freed before. */
void machine_hub_free(void *hub);
void machine_disk_free(void *disk);
void machine_net_free(void *net);
