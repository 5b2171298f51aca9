/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of snapshots share. */
#pragma once

#include "vmmd/imagejob.h"
#include "vmmd/snapshot-tree.h"
#include "vmmd/snapshot.h"

/* The journal's kinds, and their steps. */
#define INTENT_CREATE "snapshot-create"
#define INTENT_REVERT "snapshot-revert"
#define INTENT_MERGE "snapshot-merge"
#define INTENT_UNTAG "snapshot-untag"
enum intent_create_step { CREATE_FILES, CREATE_SWITCH, CREATE_TAGS };
enum intent_revert_step { REVERT_FILES, REVERT_START, REVERT_TAGS };

/* One operation on one domain, which is busy meanwhile and does not go away. */
struct snapshot_op {
	struct domain *dom;
	struct daemon *daemon;
	snapshot_tree *tree;		/* as it was at the beginning */
	char *name;			/* of the snapshot that it is about */
	unsigned flags;
	int64_t intent;
	snapshot_done *done;
	void *opaque;
	GPtrArray *news;		/* of struct layer, owned: overlays to be made */
	unsigned made;			/* of these */
	domain_def *def;		/* the definition that will be saved */
	int64_t current;		/* the node that will be the current one; 0: as it is */
	struct node *node;		/* create: the new one; revert: where to */
	char *xml, *inactive;		/* create: the node's definitions */
	bool frozen;			/* create: the guest's file systems are to be thawed */
	void (*quiesced)(struct snapshot_op *op, GError *error);	/* takes the error */
	bool resume;			/* create: the guest ran before its memory was saved */
	void (*files_made)(struct snapshot_op *op, GError *error);	/* takes the error */
	int memory_fd;			/* revert: of the node's memory; -1 */
	bool paused;			/* revert: the machine was */
	/* tags */
	GPtrArray *tags;		/* of struct tag; NULL: none */
	unsigned tag;			/* of these */
	enum imagejob_op tag_job;
	void (*tagged)(struct snapshot_op *op, GError *error);	/* takes the error */
	void (*untagged)(struct snapshot_op *op);
	GError *failure;		/* create: why it is taken back */
	/* merge */
	int64_t under, over;		/* the layers that become one */
	bool commit;			/* the one over goes into the one under */
	unsigned child;			/* of those whose header is to be changed */
	GArray *skipped;		/* int64_t: layers that could not be merged */
	void (*merged)(struct snapshot_op *op);
};

/* NULL and *error when the domain is busy or its snapshots can't be read. */
struct snapshot_op *op_begin(struct domain *dom, const char *what, const char *name,
			     snapshot_done *done, void *opaque, GError **error);
/* Takes the error (NULL: success), tells whoever waits, frees the operation. */
void op_end(struct snapshot_op *op, GError *error);
/* The tree as it is in the database now. */
bool op_reload(struct snapshot_op *op, GError **error);

/* ---- what is asked for (snapshot-ask.c) ---- */

bool asked_fits(const struct domain *dom, const snapshot_def *def, unsigned flags, GError **error);
/* Each named disk is one of the domain's, and named once. */
bool asked_disks_fit(const domain_def *now, const snapshot_def *def, GError **error);
/* NULL: nothing was said of it. */
const struct snapshot_disk *asked_disk(const snapshot_def *def, const struct disk_def *d);
/* sd: what asked_disk() found. */
enum snapshot_place asked_place(const snapshot_def *def, const struct snapshot_disk *sd,
				const struct disk_def *d);
/* Does the machine's memory take part? */
bool asked_memory(const struct domain *dom, const snapshot_def *def, unsigned flags);

/* ---- what will be (snapshot-plan.c) ---- */

/* Writes down what is asked for, pending: the node, its overlays, the intent. */
bool snapshot_plan(struct snapshot_op *op, const snapshot_def *def, GError **error);

/* ---- files (snapshot-files.c) ---- */

/* "/images/disk.qcow2", "s1" -> "/images/disk.s1"; numbered: the first such name that is free. */
char *overlay_path(const snapshot_tree *tree, const char *path, const char *name, bool numbered);
bool path_is_free(const char *path);
/* May a file that the user has made be the disk's new image? */
bool overlay_fits(struct snapshot_op *op, const struct disk_def *d, const char *path,
		  GError **error);
/* A new pending overlay of frozen: goes into op->news. */
struct layer *overlay_plan(struct snapshot_op *op, const struct layer *frozen, const char *path);
/* Makes op->news's files in turn, then op->files_made(). */
void overlays_make(struct snapshot_op *op);
/* Takes back what is pending: files, rows and the intent. */
bool pending_undo(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], int64_t intent,
		  GError **error);
/* Unlinks; that it is gone already is fine. */
bool file_remove(const char *path, GError **error);
/* Removes the files of dead layers, then their rows. */
bool dead_sweep(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], GError **error);

/* ---- file systems at rest (snapshot-quiesce.c) ---- */

/* frozen() takes the error; with one nothing stays frozen. */
void quiesce_freeze(struct snapshot_op *op, void (*frozen)(struct snapshot_op *op, GError *error));
/* Whatever came of it; does nothing when nothing is frozen. */
void quiesce_thaw(struct snapshot_op *op);

/* ---- snapshots inside images (snapshot-tags.c) ---- */

/* The node's tags are the next to be worked on; those of several nodes add up. */
void tags_plan(struct snapshot_op *op, const struct node *node);
/*
 * Job is IMAGEJOB_INFO (fails when there is such a tag already), _TAG,
 * _TAG_APPLY or _UNTAG: of all that is planned, in turn; op->tag are through
 * when an error is told.
 */
void tags_run(struct snapshot_op *op, enum imagejob_op job,
	      void (*tagged)(struct snapshot_op *op, GError *error));
/* In the transaction that deletes their nodes: the planned tags are to be removed. */
bool tags_forget(struct snapshot_op *op, GError **error);
/* And after it. */
void tags_remove(struct snapshot_op *op, void (*done)(struct snapshot_op *op));

/* ---- layers and definitions (snapshot.c) ---- */

struct disk_def *def_disk(const domain_def *def, const char *target);
/* Is this file what the domain writes to, by its saved or its live definition? */
bool layer_is_head(const struct domain *dom, const struct layer *layer);
/* Does another domain have this file as a disk, or does an image stand on it that is no layer? */
bool layer_is_shared(const struct snapshot_op *op, const struct layer *layer);
/*
 * The layer has lost a reference or a child.  If nobody needs it now: dead, when
 * it is ours, else forgotten; and so on with its parent.
 */
bool layer_release(struct snapshot_op *op, struct layer *layer, GError **error);
/* The saved definition with all pending overlays as heads; NULL: no disk of it is changed. */
domain_def *def_with_heads(const struct domain *dom, const snapshot_tree *tree);

/* ---- merging (snapshot-merge.c) ---- */

/* Merges what can be merged now, one after the other; then op->merged(). */
void merge_all(struct snapshot_op *op);
