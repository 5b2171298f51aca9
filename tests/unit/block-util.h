/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the block tests share: a folder, qemu-img as the judge, disks opened in one line. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/block/block.h"

/* A folder of this test program's own; everything in it is removed by test_folder_remove(). */
const char *test_folder(void);
void test_folder_remove(void);
/* PATH in that folder; static ring of buffers, good for a statement. */
const char *test_path(const char *name);

bool have_qemu(void);		/* qemu-img and qemu-io; else the test is marked skipped */
/* printf-like command line for the shell, in the folder; its exit status. */
int run(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* The same, and it must succeed. */
void must(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* qemu-img check: no errors; leaks are let pass when told so. */
void check_clean(const char *name, bool leaks_ok);

struct block *disk_open(const char *name, const char *format);
struct block *disk_open_opts(const char *name, const char *format, struct block_opts opts);
/* It must fail, and say this. */
void disk_refused(const char *name, const char *format, bool read_only, const char *says);
void poke(const char *name, uint64_t off, const void *bytes, size_t n);
void poke_be32(const char *name, uint64_t off, uint32_t v);
void poke_be64(const char *name, uint64_t off, uint64_t v);
uint64_t peek_be64(const char *name, uint64_t off);

/* ---- a disk beside an array that says what must be in it ---- */

struct model {
	uint8_t *bytes;
	uint64_t size;
	GRand *rand;
	uint32_t max_bytes;	/* of one operation */
	uint32_t align;		/* of offsets and lengths */
};

struct model *model_new(uint64_t size, guint32 seed);
void model_free(struct model *m);
void model_load(struct model *m, struct block *b);	/* the array takes the disk's contents */
/* n random reads, writes, discards, zeroes and flushes; reads are compared. */
void model_run(struct model *m, struct block *b, unsigned n);
/* The same with up to depth requests in flight. */
void model_run_deep(struct model *m, struct block *b, unsigned n, unsigned depth);
void model_compare(struct model *m, struct block *b);
/* Writes the array to a raw file and has qemu-img compare it with the image. */
void model_compare_qemu(struct model *m, const char *name, const char *format);
