/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host file: blocking I/O with the alignment that O_DIRECT asks for.
 *
 * Used for all metadata, and for data where there is no io_uring.  Results are
 * 0 or -errno; reads past the end give zeroes.
 */
#pragma once

#include "libvmm/block/block.h"

#define FILE_BOUNCE_BYTES (64 * 1024)

struct file {
	int fd;
	char *path;
	bool read_only;
	bool direct;
	bool unsafe;		/* file_sync does nothing */
	bool is_device;		/* a block device: its length does not change */
	uint32_t align;		/* of offsets, lengths and memory; 1 without O_DIRECT */
	uint64_t end;		/* length; we are the only writer */
	uint64_t dev, ino;
	int sync_error;		/* a failed fsync is not forgotten: the data may be gone */
	void *bounce;		/* FILE_BOUNCE_BYTES, made when first needed */
	const struct block_tap *tap;
};

/* What a path is opened as.  create: O_CREAT, and empty it. */
struct file_opts {
	const char *path;
	bool read_only, create, exclusive;
	enum block_cache cache;
	bool direct_optional;	/* a backing file may live where O_DIRECT does not work */
	const struct block_opener *opener;
	const struct block_tap *tap;
};

struct file *file_open(const struct file_opts *opts, GError **error);
void file_close(struct file *f);
typedef struct file file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(file, file_close)

int file_pread(struct file *f, uint64_t off, void *buf, size_t bytes);
int file_pwrite(struct file *f, uint64_t off, const void *buf, size_t bytes);
/* iov is aligned to f->align, as are off and the sum. */
int file_preadv(struct file *f, uint64_t off, const struct iovec *iov, unsigned n_iov);
int file_pwritev(struct file *f, uint64_t off, const struct iovec *iov, unsigned n_iov);
/* Zeroes on the disk; unmap: may become a hole. */
int file_zero(struct file *f, uint64_t off, uint64_t bytes, bool unmap);
int file_punch(struct file *f, uint64_t off, uint64_t bytes);
int file_truncate(struct file *f, uint64_t bytes);
int file_sync(struct file *f);

/* lock.c: what QEMU does too, so that each keeps out the other. */
bool lock_image(int fd, const char *path, bool read_only, GError **error);
/* A writer's lock becomes a reader's. */
void lock_downgrade(int fd);
void lock_release(int fd);
