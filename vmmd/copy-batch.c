/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owner: the thread that calls; the pool's threads only wait for one file each. */
#include "config.h"
#include "vmmd/copy-batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/fault.h"

#define UNFINISHED ".unfinished"
#define BATCH_MAX 64
#define THREADS 4		/* more are no quicker: the disk joins what they wait for */

struct item {
	GBytes *key;
	char *name;
	int fd;
	int failed;
};

struct copy_batch {
	int folder_fd;
	copy_batch_fn *done;
	void *opaque;
	GArray *items;
};

static void item_clear(void *p)
{
	struct item *item = p;

	g_bytes_unref(item->key);
	g_free(item->name);
	fd_close(&item->fd);
}

struct copy_batch *copy_batch_new(int folder_fd, copy_batch_fn *done, void *opaque)
{
	struct copy_batch *b = g_new(struct copy_batch, 1);

	*b = (struct copy_batch){ folder_fd, done, opaque,
				  g_array_new(FALSE, FALSE, sizeof(struct item)) };
	g_array_set_clear_func(b->items, item_clear);
	return b;
}

void copy_batch_free(struct copy_batch *b)
{
	if (!b)
		return;
	g_array_unref(b->items);
	g_free(b);
}

bool copy_batch_is_litter(const char *file)
{
	return g_str_has_prefix(file, UNFINISHED);
}

static void unfinished_name(char ret[32], unsigned i)
{
	g_snprintf(ret, 32, UNFINISHED "-%u", i);
}

static int item_write(struct item *item, const char *text)
{
	const size_t length = strlen(text);
	ssize_t n;

	if (item->fd < 0)
		return errno;
	errno = ENOSPC;			/* of a write that is short */
	n = write(item->fd, text, length);
	if (n != (ssize_t)length)
		return errno;
	/* the disk begins now; who waits later waits less */
	sync_file_range(item->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

void copy_batch_add(struct copy_batch *b, GBytes *key, const char *name, const char *text)
{
	struct item item = { g_bytes_ref(key), g_strdup(name), -1, 0 };
	char unfinished[32];

	unfinished_name(unfinished, b->items->len);
	item.fd = openat(b->folder_fd, unfinished,
			 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	item.failed = item_write(&item, text);
	g_array_append_val(b->items, item);
	if (b->items->len == BATCH_MAX)
		copy_batch_end(b);
}

static void item_wait(void *data, void *opaque)
{
	struct item *item = data;

	if (fsync(item->fd) < 0)
		item->failed = errno;
}

static void wait_for_all(struct copy_batch *b)
{
	GThreadPool *pool = g_thread_pool_new(item_wait, NULL, THREADS, FALSE, NULL);

	for (unsigned i = 0; i < b->items->len; i++) {
		struct item *item = &g_array_index(b->items, struct item, i);

		if (!item->failed)
			g_thread_pool_push(pool, item, NULL);
	}
	g_thread_pool_free(pool, FALSE, TRUE);
}

static void item_rename(const struct copy_batch *b, unsigned i)
{
	struct item *item = &g_array_index(b->items, struct item, i);
	char unfinished[32];

	unfinished_name(unfinished, i);
	if (!item->failed && renameat(b->folder_fd, unfinished, b->folder_fd, item->name) < 0)
		item->failed = errno;
	if (item->failed)
		unlinkat(b->folder_fd, unfinished, 0);
}

void copy_batch_end(struct copy_batch *b)
{
	int failed;

	if (b->items->len == 0)
		return;
	wait_for_all(b);
	fault_point("copy:written");
	for (unsigned i = 0; i < b->items->len; i++)
		item_rename(b, i);
	failed = fsync(b->folder_fd) < 0 ? errno : 0;
	fault_point("copy:renamed");
	for (unsigned i = 0; i < b->items->len; i++) {
		const struct item *item = &g_array_index(b->items, struct item, i);

		b->done(item->key, item->name, item->failed ?: failed, b->opaque);
	}
	g_array_set_size(b->items, 0);
}
