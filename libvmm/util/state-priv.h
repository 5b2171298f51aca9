/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between state.c (sections) and state-file.c (files of them). */
#pragma once

#include "libvmm/util/state.h"

struct section {
	char *name;
	unsigned version;
	GBytes *bytes;
};

struct state_file {
	GPtrArray *sections;
	uint32_t flags;
};

/* Takes bytes; in place of one of that name. */
void state_section_put(struct state_file *s, const char *name, unsigned version, GBytes *bytes);
