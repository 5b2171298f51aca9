/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared folders, for build.c. */
#pragma once

#include <glib.h>

struct filesystem_def;
struct machine;
struct machine_host;
struct virtio_device;

/* One of n_shares, which divide the process's descriptors among them. */
struct virtio_device *build_share(struct machine *m, const struct filesystem_def *def,
				  unsigned n_shares, const struct machine_host *host,
				  GError **error);
