/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was meant by a word with typing slips. */
#pragma once

/*
 * The name nearest to word, or NULL if none is near.  names is called with
 * 0, 1, ... until it returns NULL.
 */
const char *nearest(const char *word, const char *(*names)(const void *arg, unsigned i),
		    const void *arg);
