/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes that are there: listed, described, deleted. */
#include "config.h"
#include "vmmd/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/graph.h"
#include "vmmd/imagehead.h"
#include "vmmd/volume-priv.h"

#define NAMES_MAX 100000

static gint name_order(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_volume(int folder, const char *name)
{
	struct stat st;

	return volume_name_check(name, NULL) &&
	       fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

GPtrArray *volume_list(const struct pool *pool, GError **error)
{
	auto_close int fd = pool_need_active(pool, error) ? pool_open(pool, error) : -1;
	GPtrArray *names;
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(dup(fd));
	if (!dir) {
		error_errno(error, errno, "read the folder '%s'", pool->def->path);
		return NULL;
	}
	names = g_ptr_array_new_with_free_func(g_free);
	while ((entry = readdir(dir)) && names->len < NAMES_MAX)
		if (is_volume(fd, entry->d_name))
			g_ptr_array_add(names, g_strdup(entry->d_name));
	closedir(dir);
	g_ptr_array_sort(names, name_order);
	return names;
}

char *volume_path(const struct pool *pool, const char *name)
{
	return g_build_filename(pool->def->path, name, NULL);
}

int volume_open(const struct pool *pool, const char *name, GError **error)
{
	auto_close int folder = pool_need_active(pool, error) ? pool_open(pool, error) : -1;
	auto_close int fd = -1;

	if (folder < 0)
		return -1;
	/* a fifo must not hang us, nor a link lead us out */
	if (is_volume(folder, name))
		fd = openat(folder, name,
			    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
	else
		errno = ENOENT;
	if (fd < 0 && errno == ENOENT)
		error_set(error, VMM_ERR_NO_VOLUME,
			  "Storage volume not found: no storage vol with matching name '%s'", name);
	else if (fd < 0)
		error_errno(error, errno, "open volume '%s' of pool '%s'", name, pool->def->name);
	return TAKE_FD(fd);
}

static int64_t ns(struct timespec t)
{
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void def_from_stat(volume_def *def, const struct stat *st)
{
	def->allocation = (uint64_t)st->st_blocks * 512;
	def->physical = (uint64_t)st->st_size;
	def->owner = (struct storage_owner){ (int)(st->st_mode & 07777), st->st_uid, st->st_gid };
	def->atime_ns = ns(st->st_atim);
	def->mtime_ns = ns(st->st_mtim);
	def->ctime_ns = ns(st->st_ctim);
}

static void def_from_head(volume_def *def, const struct imagehead *head)
{
	def->capacity = head->bytes;
	if (!head->qcow2)
		return;
	def->format = DISK_FORMAT_QCOW2;
	def->compat = g_strdup(head->version < 3 ? "0.10" : "1.1");
	def->cluster_bytes = head->cluster_bytes;
	def->lazy_refcounts = head->lazy_refcounts;
	def->extended_l2 = head->extended_l2;
	def->backing = imagehead_backing_path(head, def->path);
	def->backing_format = head->backing_is_raw ? DISK_FORMAT_RAW : DISK_FORMAT_QCOW2;
}

/*
 * A raw disk's guest can write a qcow2 header into it: where a definition or a
 * creation has said raw, the header is not looked at.
 */
volume_def *volume_read(const struct pool *pool, const char *name, GError **error)
{
	auto_close int fd = volume_open(pool, name, error);
	g_autoptr(volume_def) def = NULL;
	const struct graph_image *known;
	struct imagehead head = { 0 };
	struct stat st;

	if (fd < 0)
		return NULL;
	def = g_new0(struct volume_def, 1);
	def->name = g_strdup(name);
	def->path = volume_path(pool, name);
	known = graph_find(pool->daemon, def->path);
	if (fstat(fd, &st) < 0) {
		error_errno(error, errno, "look at '%s'", def->path);
		return NULL;
	}
	if (!imagehead_read(fd, known && known->format == GRAPH_RAW, &head, error))
		return NULL;
	def_from_stat(def, &st);
	def_from_head(def, &head);
	imagehead_clear(&head);
	return g_steal_pointer(&def);
}

struct pool *volume_locate(struct daemon *daemon, const char *path, char **ret_name)
{
	g_autofree char *whole = g_canonicalize_filename(path, "/");
	g_autofree char *dir = g_path_get_dirname(whole), *name = g_path_get_basename(whole);
	struct pool *pool = g_path_is_absolute(path) ? pool_find_path(daemon, dir) : NULL;
	auto_close int folder = pool && pool->active ? pool_open(pool, NULL) : -1;

	if (folder < 0 || !is_volume(folder, name))
		return NULL;
	*ret_name = g_steal_pointer(&name);
	return pool;
}

void volume_sweep(int folder)
{
	DIR *dir = fdopendir(dup(folder));
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] == '.' && strstr(entry->d_name, VOLUME_PART) &&
		    unlinkat(folder, entry->d_name, 0) == 0)
			g_message("removed '%s', which was never finished", entry->d_name);
	if (dir)
		closedir(dir);
}

bool volume_delete(struct pool *pool, const char *name, GError **error)
{
	auto_close int fd = volume_open(pool, name, error);
	auto_close int folder = fd < 0 ? -1 : pool_open(pool, error);
	g_autofree char *path = volume_path(pool, name);

	if (folder < 0 || !graph_may_change(pool->daemon, path, "delete", true, error))
		return false;
	if (g_hash_table_contains(pool->building, name))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: volume '%s' is being worked on",
				 name);
	if (unlinkat(folder, name, 0) < 0 || fsync(folder) < 0)
		return error_errno(error, errno, "delete '%s'", path);
	graph_forget(pool->daemon, path);
	return true;
}
