/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image and those behind it.
 *
 * The name and the format of a backing file come out of the overlay, which a
 * guest may have written if somebody gave it a raw image as qcow2 later: so the
 * format must be stored (never guessed: a guest that writes a qcow2 header into
 * its raw disk would choose files of the host to read), names must be plain
 * paths, and the depth is bounded.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/block-priv.h"
#include "libvmm/util/error.h"

static void layer_free(struct layer *l)
{
	if (l->ops && l->priv)
		l->ops->close(l);
	file_close(l->data);
	file_close(l->file);
	g_free(l);
}

void chain_close(struct layer *top)
{
	while (top) {
		struct layer *below = top->backing;

		layer_free(top);
		top = below;
	}
}

static bool layer_open_format(struct layer *l, const char *format, GError **error)
{
	if (!strcmp(format, "raw")) {
		l->format = "raw";
		return raw_open(l, error);
	}
	if (!strcmp(format, "qcow2")) {
		l->format = "qcow2";
		return qcow2_open(l, error);
	}
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "image '%s': format '%s' is not supported; convert it with "
			 "'qemu-img convert -f %s -O qcow2'", l->file->path, format, format);
}

/* Before its lock is taken: an image that waits for itself is better named a loop. */
static bool layer_check_new(const struct layer *top, const struct layer *l, GError **error)
{
	unsigned depth = 0;

	for (const struct layer *it = top; it; it = it->backing, depth++)
		if (it->file->dev == l->file->dev && it->file->ino == l->file->ino)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s': its backing files form a loop at '%s'",
					 top->file->path, l->file->path);
	if (depth >= CHAIN_MAX)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s': more than %d backing files behind each other",
				 top->file->path, CHAIN_MAX);
	return true;
}

static bool name_is_url(const char *name)
{
	const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

	return colon && colon != name && (!slash || colon < slash);
}

char *chain_resolve(const char *overlay, const char *name, GError **error)
{
	g_autofree char *folder = NULL;

	if (name_is_url(name)) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			  "backing file '%s' is not a path of this host", name);
		return NULL;
	}
	if (name[0] == '/')
		return g_strdup(name);
	folder = g_path_get_dirname(overlay);
	return !strcmp(folder, ".") ? g_strdup(name) : g_build_filename(folder, name, NULL);
}

/* Named as a backing file is: a relative name counts from the image's folder. */
static bool layer_open_data(struct layer *l, const struct block_opts *o, GError **error)
{
	g_autofree char *path = chain_resolve(l->file->path, qcow2_data_name(l), error);
	struct file_opts fo = { .path = path,
				.read_only = true,
				.cache = o->cache,
				.direct_optional = true,
				.opener = o->opener };

	l->data = path ? file_open(&fo, error) : NULL;
	if (l->data && (o->share || lock_image(l->data->fd, path, true, error)))
		return true;
	g_prefix_error(error, "external data file of '%s': ", l->file->path);
	return false;
}

/* Locked before the format is opened: opening a qcow2 image for writing changes it. */
static struct layer *layer_open(const struct block_opts *o, const struct layer *top, GError **error)
{
	struct layer *l = g_new0(struct layer, 1);
	struct file_opts fo = {
		.path = o->path,
		.read_only = o->read_only,
		.cache = o->cache,
		.direct_optional = top != NULL,
		.opener = o->opener,
		.tap = top ? NULL : o->tap,
	};

	l->read_only = o->read_only;
	l->discard = o->discard;
	l->file = file_open(&fo, error);
	if (l->file && layer_check_new(top, l, error) &&
	    (o->share || lock_image(l->file->fd, o->path, o->read_only, error)) &&
	    layer_open_format(l, o->format, error) &&
	    (!l->priv || !qcow2_data_name(l) || layer_open_data(l, o, error)))
		return l;
	layer_free(l);
	return NULL;
}

static bool chain_add_backing(const struct block_opts *o, struct layer *top, struct layer *l,
			      GError **error)
{
	const char *name = qcow2_backing_name(l), *format = qcow2_backing_format(l);
	struct block_opts below = *o;
	g_autofree char *path = NULL;

	if (!format)
		return error_set(
			error, VMM_ERR_INVALID_ARG,
			"image '%s' does not say the format of its backing file '%s', and we never "
			"guess; store it: vmsh image rebase -u -b '%s' -F FORMAT '%s' "
			"(or: qemu-img rebase -u ...)",
			l->file->path, name, name, l->file->path);
	path = chain_resolve(l->file->path, name, error);
	if (!path)
		return false;
	below.path = path;
	below.format = format;
	below.read_only = true;
	l->backing = layer_open(&below, top, error);
	if (!l->backing) {
		g_prefix_error(error, "backing file of '%s': ", l->file->path);
		return false;
	}
	return true;
}

struct layer *chain_open(const struct block_opts *o, GError **error)
{
	struct layer *top = layer_open(o, NULL, error), *l = top;

	while (l && !o->no_backing && l->priv && qcow2_backing_name(l)) {
		if (!chain_add_backing(o, top, l, error)) {
			chain_close(top);
			return NULL;
		}
		l = l->backing;
	}
	return top;
}

int chain_map(struct layer *top, uint64_t off, uint64_t bytes, struct extent *ret)
{
	struct layer *l = top;

	for (;;) {
		int r;

		if (off >= l->bytes) {
			*ret = (struct extent){ .type = EXTENT_ZERO, .layer = l, .bytes = bytes };
			return 0;
		}
		r = l->ops->map(l, off, MIN(bytes, l->bytes - off), ret);
		if (r < 0 || ret->type != EXTENT_BACKING)
			return r;
		bytes = ret->bytes;
		if (!l->backing) {
			ret->type = EXTENT_ZERO;
			return 0;
		}
		l = l->backing;
	}
}
