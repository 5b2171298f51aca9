/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each version of a saved definition, as long as the domain is defined.  The
 * database itself writes them down (store.c's triggers), whoever changes one.
 */
#pragma once

#include "vmmd/store.h"

struct history_entry {
	unsigned number;	/* from 1, without gaps */
	int64_t at_s;
	char *who;		/* "uid 0, virsh (pid 4711)" */
	unsigned restored;	/* the revision whose text it is again; 0: a new text */
	unsigned bytes;
};

/* Oldest first; of struct history_entry, the array is the caller's.  The newest max of them. */
GPtrArray *history_list(struct store *store, const uint8_t uuid[UUID_BYTES], unsigned max,
			GError **error);
/* NULL and VMM_ERR_INVALID_ARG if there is no such revision. */
char *history_xml(struct store *store, const uint8_t uuid[UUID_BYTES], unsigned number,
		  GError **error);
/*
 * The revision that an undo brings back: the one before what the definition
 * is now, so that undo after undo goes back step by step.
 */
bool history_before(struct store *store, const uint8_t uuid[UUID_BYTES], unsigned *ret,
		    GError **error);
