/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree of files as a stream of records, docs/agent-protocol.md: out of a
 * folder on one side of `vmsh cp`, into one on the other.  Both sides use it,
 * and who unpacks believes nothing of what comes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TREE_DATA_MAX 65536 /* bytes of a record's file contents */
#define TREE_DEPTH_MAX 4096
#define TREE_NAME_MAX 255
#define TREE_LINK_MAX 4095
#define TREE_TEXT_MAX 4096

#define TREE_HEADER 5	     /* kind, length of the rest (little-endian) */
#define TREE_OFFSET 8	     /* what TREE_DATA begins with */
#define TREE_ATTR_MAX 65536  /* the kernel's, of a value */
#define TREE_REST_MAX (2 + TREE_NAME_MAX + TREE_ATTR_MAX)

enum tree_kind {
	TREE_FOLDER = 'd',  /* struct tree_entry, then what is in it until its end */
	TREE_FILE = 'f',    /* struct tree_entry, then its contents until its end */
	TREE_LINK = 'l',    /* struct tree_entry */
	TREE_ATTR = 'x',    /* of the file or folder: length of a name u16, name, value */
	TREE_DATA = '+',    /* where, and bytes of the file; what is not sent is a hole */
	TREE_END = '.',	    /* of the file (its size), of the folder (empty) */
	TREE_DROP = '-',    /* the file can't be read to its end: it is not to be made */
	TREE_SKIPPED = '!', /* text: what is not copied, and why */
	TREE_WHOLE = '=',   /* nothing follows */
};

struct tree_entry {
	uint16_t mode; /* 12 bits */
	uint32_t uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t size; /* of a file, as it was when it was opened */
	char name[TREE_NAME_MAX + 1];
	char target[TREE_LINK_MAX + 1]; /* of a link */
};

/* False: it is none, or leads elsewhere than into its folder. */
bool tree_entry_read(uint8_t kind, const uint8_t *data, size_t n, struct tree_entry *ret);
/* Behind `out` is room for TREE_REST_MAX bytes; how many it needs. */
size_t tree_entry_write(uint8_t kind, const struct tree_entry *e, uint8_t *out);
uint64_t tree_number(const uint8_t *at, unsigned bytes);
void tree_number_put(uint8_t *at, uint64_t value, unsigned bytes);

/* One thread counts, others look. */
struct tree_count {
	_Atomic uint64_t entries, bytes, skipped;
};

/* What is in the folder that is filled now and must not stay: for who is ended by a signal, too. */
struct tree_temp {
	int dir;
	volatile bool there;
	char name[40];
};

struct tree_opts {
	bool recursive; /* pack: of a folder; links at the top are links */
	bool owners;	/* unpack: owners, groups and set-id bits, too */
	bool attributes; /* extended ones (tree-attr.h), too */
	/* What is not copied; NULL: pack tells it to who unpacks. */
	void (*skipped)(const char *text, void *opaque);
	/* unpack: what can't be kept here of attributes, told once for each kind */
	void (*lost)(const char *text, void *opaque);
	void *opaque;
	struct tree_count *count;
	struct tree_temp *temp; /* unpack */
};

struct tree_error {
	int code;	/* errno; 0: the text says all */
	bool broken_off; /* the other side, or what is between, has ended */
	char text[1024];
};

__attribute__((format(printf, 4, 5))) bool tree_fail(struct tree_error *e, int code,
						     bool broken_off, const char *format, ...);

/* Attributes that are set when owner and mode are (tree-attr.h). */
#define TREE_LATE_MAX 3
struct tree_late {
	size_t n[TREE_LATE_MAX];
	void *value[TREE_LATE_MAX];
};

/* The folders above what is being worked at, from the top on; grows as needed. */
struct tree_level {
	dev_t dev;
	ino_t ino;
	struct tree_entry *entry; /* unpack */
	bool made;		  /* unpack: it was not there */
	struct tree_late late;	  /* unpack */
	char *names;		  /* pack: those that are left, each ended by a 0 */
	size_t names_at, names_end;
	char name[TREE_NAME_MAX + 1];
};

struct tree_path {
	const char *top; /* as the user calls it */
	struct tree_level *levels;
	unsigned depth, room;
};

struct tree_level *tree_push(struct tree_path *p, const char *name);
void tree_pop(struct tree_path *p);
void tree_path_clear(struct tree_path *p);
/* The path of `name` in the deepest folder; of a long one the end. */
void tree_path_text(const struct tree_path *p, const char *name, char text[512]);
/* The folder above `fd`, if it is still the one that it was; else -1.  Closes fd. */
int tree_up(int fd, const struct tree_level *above);

/* Where the top goes, as cp(1) has it. */
struct tree_target {
	int base;		  /* a folder */
	char name[TREE_NAME_MAX + 1]; /* in it; "": the folder itself */
	bool folder;		  /* it was spelled as one */
	char path[512];		  /* for people; of a long one its beginning */
};

/*
 * Into `path` if that is a folder, by the name that `source` has; else `path` it is.
 * follow: a link to a file stands for the file.
 */
bool tree_target_open(const char *path, const char *source, bool follow, struct tree_target *ret,
		      struct tree_error *e);

bool tree_pack(const char *path, int out, const struct tree_opts *opts, struct tree_error *e);
bool tree_unpack(int in, const struct tree_target *t, const struct tree_opts *opts,
		 struct tree_error *e);
