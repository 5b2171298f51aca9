/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine for once, of a domain's definition. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct domain_once {
	const char *name;
	uint64_t memory_bytes;	/* 0: as the domain has it */
	uint64_t cpus;		/* 0: likewise */
	bool net;		/* a card of its own; those of the domain never */
	const char *devices;	/* XML of more, of which a vsock */
};

/*
 * The XML of a domain that can run beside the one of xml: its disks are read, and what is written
 * to them is forgotten; what the host gives to one machine only is left out.
 */
char *domain_once(const char *xml, const struct domain_once *once, GError **error);
