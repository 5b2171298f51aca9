/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user asks for of a domain's XML, or a snapshot's. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct xml_disk {
	char *type;	/* "file" */
	char *device;	/* "disk" */
	char *target;	/* "vda" */
	char *source;	/* NULL: none */
};

struct xml_iface {
	char *name;	/* host side, "tap0"; NULL */
	char *type;	/* "user" */
	char *source;	/* bridge or network; NULL */
	char *model;	/* NULL */
	char *mac;	/* NULL */
};

struct xml_snapshot {
	char *name, *description, *parent;	/* NULL: none */
	char *state;			/* "shutoff" */
	int64_t created_s;
	char *memory;			/* "no", "external" */
	GPtrArray *disks;		/* of struct xml_snapshot_disk */
};

struct xml_snapshot_disk {
	char *target, *place;		/* "vda", "external" */
	char *file;			/* NULL: none of its own */
};

/* NULL and *error when xml is no snapshot. */
struct xml_snapshot *xml_snapshot_new(const char *xml, GError **error);
void xml_snapshot_free(struct xml_snapshot *s);
typedef struct xml_snapshot xml_snapshot;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xml_snapshot, xml_snapshot_free)

/* Arrays that own what they point to; NULL and *error when xml is no domain. */
GPtrArray *xml_disks(const char *xml, GError **error);
GPtrArray *xml_ifaces(const char *xml, GError **error);
/* Where a pool keeps its volumes. */
char *xml_pool_folder(const char *xml, GError **error);
