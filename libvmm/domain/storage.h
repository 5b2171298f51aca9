/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <pool> and <volume>, read and written: folders of images, in libvirt's dialect. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libvmm/domain/domain.h"
#include "libvmm/util/uuid.h"

#define STORAGE_XML_MAX_BYTES (256u * 1024)
#define STORAGE_NAME_MAX_BYTES 200	/* a file's name, with room for those of unfinished ones */

enum storage_parse_flags {
	STORAGE_PARSE_VALIDATE = 1,	/* also against schemas/storage.rng */
};

struct storage_owner {			/* <permissions>; what is -1 is as it comes */
	int mode;
	int64_t uid, gid;
};

struct pool_def {
	char *name;
	uint8_t uuid[UUID_BYTES];
	bool has_uuid;			/* else a random one */
	char *path;			/* absolute, canonical */
	struct storage_owner owner;
};

struct pool_def *pool_def_parse(const char *xml, unsigned flags, GError **error);
void pool_def_free(struct pool_def *def);
typedef struct pool_def pool_def;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pool_def, pool_def_free)

struct pool_space {			/* bytes */
	uint64_t capacity, allocation, available;
};

/* space NULL: not known, the pool is not active. */
char *pool_def_format(const struct pool_def *def, const struct pool_space *space);

struct volume_def {
	char *name;
	uint64_t capacity;		/* bytes a guest sees */
	bool has_capacity;
	uint64_t allocation;		/* bytes on the host */
	bool has_allocation;
	enum disk_format format;
	bool has_format;		/* else raw */
	char *backing;			/* absolute; NULL: none */
	enum disk_format backing_format;
	char *compat;			/* "0.10", "1.1"; NULL */
	uint32_t cluster_bytes;		/* 0: not said */
	bool lazy_refcounts, extended_l2;
	struct storage_owner owner;
	/* of a volume that is there, for writing only */
	char *path;
	uint64_t physical;
	int64_t atime_ns, mtime_ns, ctime_ns;
};

struct volume_def *volume_def_parse(const char *xml, unsigned flags, GError **error);
char *volume_def_format(const struct volume_def *def);
void volume_def_free(struct volume_def *def);
typedef struct volume_def volume_def;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(volume_def, volume_def_free)

/* One component of a path, visible, short enough. */
bool volume_name_check(const char *name, GError **error);
