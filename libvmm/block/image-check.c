/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image check" and "image map": a look at the tables. */
#include "config.h"

#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

/* ---- check ---- */

static bool check_layer(struct layer *l, const struct image_check_opts *o, struct image_check *ret,
			GError **error)
{
	const struct check_opts opts = {
		.fix_leaks = o->repair != IMAGE_REPAIR_NONE,
		.fix_errors = o->repair == IMAGE_REPAIR_ALL,
		.report = o->report, .opaque = o->opaque, .progress = &o->progress,
	};
	bool ok;

	if (!qcow2_open_flags(l, OPEN_CHECK, error))
		return false;
	ok = qcow2_check(qcow2_of(l), &opts, ret, error);
	l->ops->close(l);
	return ok;
}

bool image_check(const char *path, const char *format, const struct image_check_opts *opts,
		 struct image_check *ret, GError **error)
{
	static const struct image_check_opts look;
	const struct image_check_opts *o = opts ? opts : &look;
	const struct file_opts fo = { .path = path, .read_only = o->repair == IMAGE_REPAIR_NONE };
	struct layer l = { .read_only = fo.read_only, .format = "qcow2" };
	bool ok;

	if (!fo.read_only && !image_format_given(path, format, error))
		return false;
	format = image_format(path, format, error);
	if (!format)
		return false;
	if (strcmp(format, "qcow2"))
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "image '%s': a %s image has nothing to check", path, format);
	l.file = file_open(&fo, error);
	ok = l.file && lock_image(l.file->fd, path, fo.read_only, error) &&
	     check_layer(&l, o, ret, error);
	file_close(l.file);
	return ok;
}

/* ---- map ---- */

struct walk {
	struct image_extent ext;	/* not told yet: the next may continue it */
	image_map_fn *fn;
	void *opaque;
	bool stopped;
};

static bool extends(const struct image_extent *a, const struct image_extent *b)
{
	return a->length && a->depth == b->depth && a->present == b->present &&
	       a->zero == b->zero && a->data == b->data && a->compressed == b->compressed &&
	       a->has_offset == b->has_offset &&
	       (!a->has_offset || a->offset + a->length == b->offset);
}

static void walk_add(struct walk *w, const struct image_extent *ext)
{
	if (extends(&w->ext, ext)) {
		w->ext.length += ext->length;
		return;
	}
	if (w->ext.length && !w->stopped)
		w->stopped = !w->fn(w->opaque, &w->ext);
	w->ext = *ext;
}

/* Like chain_map(), but says how deep. */
static int map_one(struct layer *top, uint64_t off, uint64_t bytes, struct image_extent *ret)
{
	struct layer *l = top;
	struct extent e = { .bytes = bytes };
	unsigned depth = 0;
	bool inside = true;

	for (;; l = l->backing, depth++) {
		int r;

		inside = off < l->bytes;
		if (!inside)
			break;
		r = l->ops->map(l, off, MIN(e.bytes, l->bytes - off), &e);
		if (r < 0)
			return r;
		if (e.type != EXTENT_BACKING || !l->backing)
			break;
	}
	*ret = (struct image_extent){ .start = off, .length = e.bytes, .depth = depth,
				      .filename = l->file->path };
	if (inside && e.type == EXTENT_DATA)
		ret->filename = layer_data(l)->path;
	ret->present = inside && e.type != EXTENT_BACKING;
	ret->compressed = ret->present && e.type == EXTENT_PACKED;
	ret->data = ret->present && (e.type == EXTENT_DATA || e.type == EXTENT_PACKED);
	ret->has_offset = ret->present && e.allocated && e.type != EXTENT_PACKED;
	ret->offset = ret->has_offset ? e.host_off : 0;
	if (ret->data && !l->priv && image_raw_hole(l->file, e.host_off, &ret->length))
		ret->data = false;
	ret->zero = !ret->data;
	return 0;
}

bool image_map(const char *path, const char *format, image_map_fn *fn, void *opaque, GError **error)
{
	struct walk w = { .fn = fn, .opaque = opaque };
	g_autoptr(block) b = image_open(path, format, true, true, error);
	struct image_extent ext;

	if (!b)
		return false;
	for (uint64_t off = 0; off < block_bytes(b) && !w.stopped; off += ext.length) {
		int r = map_one(block_top(b), off, block_bytes(b) - off, &ext);

		if (r < 0)
			return error_errno(error, r, "map image '%s' at %" G_GUINT64_FORMAT, path,
					   off);
		walk_add(&w, &ext);
	}
	if (w.ext.length && !w.stopped)
		fn(opaque, &w.ext);
	return true;
}
