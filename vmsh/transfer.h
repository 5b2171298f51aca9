/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a volume, to it and from it. */
#pragma once

#include "vmsh/shell.h"

struct transfer_opts {
	const char *file;		/* "-": standard input or output */
	uint64_t offset, length;	/* of the volume; length 0: to the end */
	bool sparse;			/* holes stay holes, and are not sent */
	bool show;			/* how far it is, though not on a terminal */
};

bool transfer_upload(struct shell *sh, const vmm_volume *vol, const struct transfer_opts *o,
		     GError **error);
/* A file that is new goes when it can't be filled. */
bool transfer_download(struct shell *sh, const vmm_volume *vol, const struct transfer_opts *o,
		       GError **error);
