/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two or three definitions of one domain, field by field. */
#pragma once

#include "libvmm/domain/domain.h"

enum diff_when {
	DIFF_NOW,		/* of a running machine too */
	DIFF_NEXT_START,
	DIFF_NEVER,		/* while the domain exists */
};

struct diff_field {
	char *path;		/* "devices/disk[vda]/driver@cache" */
	char *live, *saved, *next;	/* NULL: not there, or no such definition */
	enum diff_when when;
};

/*
 * The fields in which next is not as saved, or not as what runs (live; either
 * may be NULL), in the order of the document; of struct diff_field.  A device
 * that comes or goes is one field.
 */
GPtrArray *domain_def_diff(const domain_def *live, const domain_def *saved,
			   const domain_def *next);
