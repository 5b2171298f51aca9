/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of snapshots: making overlays, taking them back, removing what is dead. */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/graph.h"
#include "vmmd/imagehead.h"
#include "vmmd/imagejob.h"

/* ---- names ---- */

bool path_is_free(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

static bool path_is_unknown(const snapshot_tree *tree, const char *path)
{
	return path_is_free(path) && !tree_layer_of(tree, path);
}

char *overlay_path(const snapshot_tree *tree, const char *path, const char *name, bool numbered)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	int stem = (int)(dot && dot > slash + 1 ? (size_t)(dot - path) : strlen(path));
	char *full = g_strdup_printf("%.*s.%s", stem, path, name);

	for (unsigned n = 1; numbered && !path_is_unknown(tree, full); n++) {
		g_free(full);
		full = g_strdup_printf("%.*s.%s-%u", stem, path, name, n);
	}
	return full;
}

static uint64_t bytes_of(const char *path, bool raw)
{
	struct imagehead head = { 0 };
	uint64_t bytes = 0;

	if (imagehead_look(path, raw, &head))
		bytes = head.bytes;
	imagehead_clear(&head);
	return bytes;
}

bool overlay_fits(struct snapshot_op *op, const struct disk_def *d, const char *path,
		  GError **error)
{
	g_autofree char *now = g_canonicalize_filename(d->path, "/");
	g_autoptr(GPtrArray) chain = imagehead_chain(path, false);
	g_autoptr(GPtrArray) above = graph_overlays(op->daemon, path);
	g_autoptr(GPtrArray) users = graph_users(op->daemon, path);
	const char *why = NULL;

	if (chain->len < 2 || !g_str_equal(g_ptr_array_index(chain, 1), now))
		why = "it is not a qcow2 overlay on the disk's image of now";
	else if (bytes_of(path, false) != bytes_of(now, d->format == DISK_FORMAT_RAW))
		why = "its size is not the disk's";
	else if (tree_layer_of(op->tree, path) || above->len > 0 || users->len > 0)
		why = "somebody uses it already";
	return !why || error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: '%s' can't be the new image of disk "
				 "'%s', which is '%s': %s", path, d->target, d->path, why);
}

/* ---- making ---- */

struct layer *overlay_plan(struct snapshot_op *op, const struct layer *frozen, const char *path)
{
	struct layer *layer = g_new0(struct layer, 1);

	layer->parent = frozen->id;
	layer->target = g_strdup(frozen->target);
	layer->path = g_strdup(path);
	layer->format = DISK_FORMAT_QCOW2;
	layer->state = LAYER_PENDING;
	layer->ours = true;
	g_ptr_array_add(op->news, layer);
	return layer;
}

/* A name is on the disk when its folder is. */
static bool path_sync(const char *path, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	auto_close int dir = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);

	if (fd < 0 || fsync(fd) < 0 || dir < 0 || fsync(dir) < 0)
		return error_errno(error, errno, "write '%s' to the disk", path);
	return true;
}

static void make_next(struct snapshot_op *op);

static void on_made(GVariant *result, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;
	const struct layer *layer = g_ptr_array_index(op->news, op->made);
	GError *why = NULL;

	if (error) {
		why = g_error_copy(error);
		g_prefix_error(&why, "overlay '%s': ", layer->path);
		op->files_made(op, why);
		return;
	}
	op->made++;
	if (!path_sync(layer->path, &why)) {
		op->files_made(op, why);
		return;
	}
	fault_point("snapshot:overlay");
	make_next(op);
}

/* An overlay that is not ours has been made by the user. */
static const struct layer *next_to_make(struct snapshot_op *op)
{
	for (; op->made < op->news->len; op->made++) {
		const struct layer *layer = g_ptr_array_index(op->news, op->made);

		if (layer->ours)
			return layer;
	}
	return NULL;
}

static void make_next(struct snapshot_op *op)
{
	const struct layer *layer = next_to_make(op);
	const struct layer *base = layer ? tree_layer(op->tree, layer->parent) : NULL;
	GError *error = NULL;

	if (!layer) {
		op->files_made(op, NULL);
		return;
	}
	struct imagejob_opts opts = {
		.op = IMAGEJOB_CREATE, .path = layer->path, .format = "qcow2", .exclusive = true,
		.backing = base->path, .backing_format = disk_format_name(base->format),
	};
	if (!imagejob_start(op->daemon, &opts, on_made, NULL, op, &error))
		op->files_made(op, error);
}

void overlays_make(struct snapshot_op *op)
{
	op->made = 0;
	make_next(op);
}

/* ---- taking back, removing ---- */

bool file_remove(const char *path, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	auto_close int dir = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);

	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(error, errno, "remove '%s'", path);
	if (dir >= 0)
		fsync(dir);
	return true;
}

static bool layers_remove(struct daemon *daemon, const snapshot_tree *tree, enum layer_state state,
			  GError **error)
{
	for (unsigned i = 0; i < tree->layers->len; i++) {
		const struct layer *layer = g_ptr_array_index(tree->layers, i);

		if (layer->state != state || !layer->ours)
			continue;
		if (!file_remove(layer->path, error))
			return false;
		graph_forget(daemon, layer->path);
		fault_point("snapshot:removed");
	}
	return true;
}

/* What a node that is taken back has written of the machine's memory. */
static bool memories_remove(const snapshot_tree *tree, GError **error)
{
	for (unsigned i = 0; i < tree->nodes->len; i++) {
		const struct node *node = g_ptr_array_index(tree->nodes, i);

		if (node->pending && node->memory_path && node->memory_ours &&
		    !file_remove(node->memory_path, error))
			return false;
	}
	return true;
}

bool pending_undo(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], int64_t intent,
		  GError **error)
{
	g_autoptr(snapshot_tree) tree = snapshot_tree_load(daemon->store, uuid, error);

	if (!tree || !layers_remove(daemon, tree, LAYER_PENDING, error) ||
	    !memories_remove(tree, error) ||
	    !store_begin(daemon->store, error))
		return false;
	if (snapshot_pending_drop(daemon->store, uuid, error) &&
	    journal_end(daemon->store, intent, error))
		return store_commit(daemon->store, error);
	store_rollback(daemon->store);
	return false;
}

bool dead_sweep(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], GError **error)
{
	g_autoptr(snapshot_tree) tree = snapshot_tree_load(daemon->store, uuid, error);
	bool ok = tree && layers_remove(daemon, tree, LAYER_DEAD, error) &&
		  store_begin(daemon->store, error);

	if (!ok)
		return false;
	for (unsigned i = 0; ok && i < tree->layers->len; i++) {
		const struct layer *layer = g_ptr_array_index(tree->layers, i);

		ok = layer->state != LAYER_DEAD ||
		     snapshot_layer_remove(daemon->store, layer->id, error);
	}
	if (ok)
		return store_commit(daemon->store, error);
	store_rollback(daemon->store);
	return false;
}
