/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks and interfaces in a domain's XML, as a user asks for them. */
#pragma once

#include <glib.h>
#include <stdbool.h>

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

/* Arrays that own what they point to; NULL and *error when xml is no domain. */
GPtrArray *xml_disks(const char *xml, GError **error);
GPtrArray *xml_ifaces(const char *xml, GError **error);
