/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domains saved to files and started from them.
 *
 * A domain is in the state `saved` when its managed file is there,
 * STATE_DIR/save/UUID.save: nothing else says so, and so nothing can disagree.
 *
 * Saving: the worker writes and syncs FILE.vmm-tmp while the guest runs, at
 * the end it stands still;
 * the file is renamed, which is the moment of the save; the worker is stopped.
 * A vmmd that comes after one that was killed finds a worker that stands still
 * for the cause SAVED: with FILE.vmm-tmp it is before, the guest goes on;
 * without it is after, the worker is stopped.
 *
 * Starting from the managed file: the worker has the machine, held; the file
 * is removed, which is the moment of the start; the guest runs.  While the
 * file is there the guest has never run, so its disks are as they were.
 */
#pragma once

#include "vmmd/lifecycle.h"

/* Also the wire's numbers. */
enum save_flags {
	SAVE_BYPASS_CACHE = 1,		/* a wish that we need not fulfil */
	SAVE_RUNNING = 2,		/* runs when it is restored */
	SAVE_PAUSED = 4,		/* neither: as it was */
	SAVE_KNOWN = SAVE_BYPASS_CACHE | SAVE_RUNNING | SAVE_PAUSED,
};

bool save_flags_check(unsigned flags, GError **error);

/* libvirt's names: "raw", the same as "sparse", and "zstd". */
bool save_format_check(const char *format, GError **error);
/* Of worker_save_args; format NULL: the daemon's. */
unsigned save_format_flags(const struct daemon *daemon, const char *format);

struct save_opts {
	const char *path;	/* NULL: the managed file */
	const char *xml;	/* NULL: the live definition */
	const char *format;	/* NULL: the daemon's */
	unsigned flags;
};

/* Then the domain is off. */
void save_domain(struct domain *dom, const struct save_opts *opts, lifecycle_done *done,
		 void *opaque);
/* Is a save under way? */
bool save_is_active(const struct domain *dom);
void save_cancel(struct domain *dom, lifecycle_done *done, void *opaque);

char *save_managed_path(const struct domain *dom);
bool save_managed_is_there(const struct domain *dom);
bool save_managed_remove(struct domain *dom, GError **error);
/* lifecycle_start() of a saved domain. */
void save_managed_start(struct domain *dom, bool paused, lifecycle_done *done, void *opaque);

/* Starts the domain that a file holds, transient if it is not defined. */
void save_restore(struct daemon *daemon, const char *path, const char *xml, unsigned flags,
		  lifecycle_done *done, void *opaque);

/* The definition in a file: the caller's. */
char *save_image_xml(const char *path, GError **error);
/* Puts another in its place (NULL: the same), and whether it shall run. */
bool save_image_define(const char *path, const char *xml, unsigned flags, GError **error);

/* A worker of an earlier vmmd: true when it was dealt with here. */
bool save_adopt(struct domain *dom, int state, int cause, const char *detail);

struct journal_entry;
#define SAVE_INTENT "save"
bool save_intent_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error);
