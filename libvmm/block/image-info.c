/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image says about itself; takes no lock and changes nothing. */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

static void info_from_header(struct image_info *i, struct qcow2 *q)
{
	i->virtual_bytes = q->bytes;
	i->cluster_bytes = q->cluster_bytes;
	i->dirty = q->h.incompat & INCOMPAT_DIRTY;
	i->corrupt = q->h.incompat & INCOMPAT_CORRUPT;
	i->extended_l2 = q->extended;
	i->lazy_refcounts = q->h.compat & COMPAT_LAZY_REFCOUNTS;
	i->compat = q->h.version == 2 ? "0.10" : "1.1";
	i->compression_type = q->h.compression_type == 0 ? "zlib" :
			      q->h.compression_type == 1 ? "zstd" : "unknown";
	i->refcount_bits = 1u << q->h.refcount_order;
	i->encrypted = q->h.crypt_method != 0;
	i->data_file = g_strdup(q->data_file);
	i->data_file_raw = q->h.autoclear & AUTOCLEAR_DATA_FILE_RAW;
	i->backing_filename = g_strdup(q->backing);
	i->backing_format = q->backing ? g_strdup(q->backing_format) : NULL;
	if (q->backing)
		i->full_backing_filename = chain_resolve(q->file->path, q->backing, NULL);
	if (q->backing && !i->full_backing_filename)
		i->full_backing_filename = g_strdup(q->backing);
}

static char *text_of(const GByteArray *bytes)
{
	g_autofree char *raw = bytes ? g_strndup((const char *)bytes->data, bytes->len) : NULL;

	return g_utf8_make_valid(raw ? raw : "", -1);
}

/* QEMU's third field of extra data; all ones: there was none. */
static bool icount_of(const GByteArray *extra, uint64_t *ret)
{
	uint64_t be = UINT64_MAX;

	if (extra && extra->len >= QCOW2_SNAPSHOT_EXTRA_BYTES + sizeof(be))
		memcpy(&be, extra->data + QCOW2_SNAPSHOT_EXTRA_BYTES, sizeof(be));
	*ret = GUINT64_FROM_BE(be);
	return be != UINT64_MAX;
}

static void info_from_snapshots(struct image_info *i, struct qcow2 *q)
{
	i->n_snapshots = q->n_snapshots;
	i->snapshots = g_new0(struct image_snapshot, q->n_snapshots);
	for (unsigned k = 0; k < q->n_snapshots; k++) {
		struct qcow2_snapshot *s = &q->snapshots[k];

		i->snapshots[k] = (struct image_snapshot){
			.id = text_of(s->id),
			.name = text_of(s->name),
			.vm_state_bytes = s->vm_state_bytes,
			.date_sec = s->date_sec,
			.date_nsec = s->date_nsec,
			.vm_clock_ns = s->vm_clock_ns,
			.virtual_bytes = s->disk_bytes,
		};
		i->snapshots[k].has_icount = icount_of(s->extra, &i->snapshots[k].icount);
	}
}

static void info_from_bitmaps(struct image_info *i, struct qcow2 *q)
{
	i->n_bitmaps = q->n_bitmaps;
	i->bitmaps = g_new0(struct image_bitmap, q->n_bitmaps);
	for (unsigned k = 0; k < q->n_bitmaps; k++)
		i->bitmaps[k] = (struct image_bitmap){
			.name = g_steal_pointer(&q->bitmaps[k].name),
			.granularity = 1ull << q->bitmaps[k].granularity_bits,
			.in_use = q->bitmaps[k].flags & BITMAP_IN_USE,
			.automatic = q->bitmaps[k].flags & BITMAP_AUTO,
		};
}

static bool info_read_qcow2(struct image_info *i, struct file *f, GError **error)
{
	struct layer l = { .file = f, .read_only = true };
	struct qcow2 *q = qcow2_new(&l);
	bool ok = header_read(q, OPEN_INFO, error) && snapshots_load(q, OPEN_INFO, error) &&
		  bitmaps_load(q, OPEN_INFO, error);

	if (ok) {
		info_from_header(i, q);
		info_from_snapshots(i, q);
		info_from_bitmaps(i, q);
	}
	qcow2_free(q);
	return ok;
}

static struct image_info *info_one(const char *path, const char *format, GError **error)
{
	struct file_opts fo = { .path = path, .read_only = true };
	g_autoptr(image_info) i = g_new0(struct image_info, 1);
	g_autoptr(file) f = NULL;
	struct stat st;

	format = image_format(path, format, error);
	f = format ? file_open(&fo, error) : NULL;
	if (!f)
		return NULL;
	i->filename = g_strdup(path);
	i->format = g_strdup(format);
	i->virtual_bytes = round_up(f->end, 512);
	i->file_bytes = f->end;
	i->actual_bytes = fstat(f->fd, &st) == 0 ? st.st_blocks * 512ull : 0;
	if (!strcmp(format, "qcow2") && !info_read_qcow2(i, f, error))
		return NULL;
	return g_steal_pointer(&i);
}

/* Also here no format is guessed: a chain ends where none is stored. */
static bool info_chain(struct image_info *top, GError **error)
{
	struct image_info *i = top;

	for (unsigned depth = 1; i->backing_filename; depth++, i = i->backing) {
		if (depth > CHAIN_MAX)
			return error_set(
				error, VMM_ERR_INVALID_ARG,
				"image '%s': its backing files form a loop, or are more than %d",
				top->filename, CHAIN_MAX);
		if (!i->backing_format)
			return error_set(
				error, VMM_ERR_INVALID_ARG,
				"image '%s' does not say the format of its backing file '%s'; "
				"store it: vmsh image rebase -u -b '%s' -F FORMAT '%s'",
				i->filename, i->backing_filename, i->backing_filename, i->filename);
		i->backing = info_one(i->full_backing_filename, i->backing_format, error);
		if (!i->backing) {
			g_prefix_error(error, "backing file of '%s': ", i->filename);
			return false;
		}
	}
	return true;
}

struct image_info *image_info_new(const char *path, const char *format, bool chain, GError **error)
{
	g_autoptr(image_info) i = info_one(path, format, error);

	if (!i || (chain && !info_chain(i, error)))
		return NULL;
	return g_steal_pointer(&i);
}

void image_info_free(struct image_info *i)
{
	while (i) {
		struct image_info *next = i->backing;

		for (unsigned k = 0; k < i->n_snapshots; k++) {
			g_free(i->snapshots[k].id);
			g_free(i->snapshots[k].name);
		}
		for (unsigned k = 0; k < i->n_bitmaps; k++)
			g_free(i->bitmaps[k].name);
		g_free(i->bitmaps);
		g_free(i->snapshots);
		g_free(i->filename);
		g_free(i->format);
		g_free(i->data_file);
		g_free(i->backing_filename);
		g_free(i->full_backing_filename);
		g_free(i->backing_format);
		g_free(i);
		i = next;
	}
}
