/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image commands print. */
#include "config.h"
#include "vmsh/image-json.h"

#include <string.h>

#include "vmsh/size.h"
#include "vmsh/table.h"

/* ---- info ---- */

static void snapshots_json(struct json *j, const struct image_info *info)
{
	json_begin_array(j, "snapshots");
	for (unsigned i = 0; i < info->n_snapshots; i++) {
		const struct image_snapshot *s = &info->snapshots[i];

		json_begin_object(j, NULL);
		json_string(j, "id", s->id);
		json_string(j, "name", s->name);
		json_number(j, "vm-state-size", s->vm_state_bytes);
		json_signed(j, "date-sec", s->date_sec);
		json_number(j, "date-nsec", s->date_nsec);
		json_number(j, "vm-clock-sec", s->vm_clock_ns / 1000000000);
		json_number(j, "vm-clock-nsec", s->vm_clock_ns % 1000000000);
		if (s->has_icount)
			json_number(j, "icount", s->icount);
		json_end(j);
	}
	json_end(j);
}

static void bitmaps_json(struct json *j, const struct image_info *info)
{
	json_begin_array(j, "bitmaps");
	for (unsigned i = 0; i < info->n_bitmaps; i++) {
		const struct image_bitmap *b = &info->bitmaps[i];

		json_begin_object(j, NULL);
		json_begin_array(j, "flags");
		if (b->in_use)
			json_string(j, NULL, "in-use");
		if (b->automatic)
			json_string(j, NULL, "auto");
		json_end(j);
		json_string(j, "name", b->name);
		json_number(j, "granularity", b->granularity);
		json_end(j);
	}
	json_end(j);
}

static void qcow2_json(struct json *j, const struct image_info *info)
{
	json_begin_object(j, "format-specific");
	json_string(j, "type", "qcow2");
	json_begin_object(j, "data");
	json_string(j, "compat", info->compat);
	json_string(j, "compression-type", info->compression_type);
	json_number(j, "refcount-bits", info->refcount_bits);
	if (!g_str_equal(info->compat, "0.10")) {	/* which has no place for these */
		json_bool(j, "lazy-refcounts", info->lazy_refcounts);
		json_bool(j, "corrupt", info->corrupt);
		json_bool(j, "extended-l2", info->extended_l2);
	}
	if (info->data_file) {
		json_string(j, "data-file", info->data_file);
		json_bool(j, "data-file-raw", info->data_file_raw);
	}
	if (info->n_bitmaps)
		bitmaps_json(j, info);
	json_end(j);
	json_end(j);
}

static void one_info_json(struct json *j, const struct image_info *info)
{
	json_begin_object(j, NULL);
	json_string(j, "filename", info->filename);
	json_string(j, "format", info->format);
	json_number(j, "virtual-size", info->virtual_bytes);
	json_number(j, "actual-size", info->actual_bytes);
	json_bool(j, "dirty-flag", info->dirty);
	if (info->cluster_bytes)
		json_number(j, "cluster-size", info->cluster_bytes);
	if (info->encrypted)
		json_bool(j, "encrypted", true);
	if (info->backing_filename)
		json_string(j, "backing-filename", info->backing_filename);
	if (info->full_backing_filename)
		json_string(j, "full-backing-filename", info->full_backing_filename);
	if (info->backing_format)
		json_string(j, "backing-filename-format", info->backing_format);
	if (info->n_snapshots)
		snapshots_json(j, info);
	if (info->compat)
		qcow2_json(j, info);
	json_end(j);
}

char *image_info_json(const struct image_info *info, bool chain)
{
	struct json *j = json_new();

	if (!chain) {
		one_info_json(j, info);
		return json_finish(j);
	}
	json_begin_array(j, NULL);
	for (; info; info = info->backing)
		one_info_json(j, info);
	json_end(j);
	return json_finish(j);
}

static void line(GString *s, const char *name, const char *text)
{
	g_autofree char *harmless = text_harmless(text);

	g_string_append_printf(s, "%s: %s\n", name, harmless);
}

static void qcow2_text(GString *s, const struct image_info *info)
{
	g_string_append(s, "Format specific information:\n");
	line(s, "    compat", info->compat);
	line(s, "    compression type", info->compression_type ? info->compression_type : "zlib");
	line(s, "    lazy refcounts", info->lazy_refcounts ? "true" : "false");
	g_string_append_printf(s, "    refcount bits: %u\n", info->refcount_bits);
	line(s, "    corrupt", info->corrupt ? "true" : "false");
	line(s, "    extended l2", info->extended_l2 ? "true" : "false");
	if (info->data_file)
		line(s, "    data file", info->data_file);
	for (unsigned i = 0; i < info->n_bitmaps; i++) {
		const struct image_bitmap *b = &info->bitmaps[i];
		g_autofree char *name = text_harmless(b->name);

		g_string_append_printf(s, "    bitmap: %s%s%s, granularity %" G_GUINT64_FORMAT "\n",
				       name, b->automatic ? ", auto" : "",
				       b->in_use ? ", in use (inconsistent)" : "", b->granularity);
	}
}

static void snapshots_text(GString *s, const struct image_info *info)
{
	g_string_append(s, "Snapshot list:\n");
	for (unsigned i = 0; i < info->n_snapshots; i++) {
		const struct image_snapshot *snap = &info->snapshots[i];
		g_autoptr(GDateTime) date = g_date_time_new_from_unix_local(snap->date_sec);
		g_autofree char *when = date ? g_date_time_format(date, "%Y-%m-%d %H:%M:%S") : NULL;
		g_autofree char *size = size_text(snap->vm_state_bytes);
		g_autofree char *name = text_harmless(snap->name);
		g_autofree char *id = text_harmless(snap->id);

		g_string_append_printf(s, "    %s  %s  %s  %s\n", id, name, size,
				       when ? when : "-");
	}
}

char *image_snapshots_text(const struct image_info *info)
{
	GString *s = g_string_new(NULL);

	if (info->n_snapshots)
		snapshots_text(s, info);
	return g_string_free(s, FALSE);
}

char *image_snapshots_json(const struct image_info *info)
{
	struct json *j = json_new();

	json_begin_object(j, NULL);
	json_string(j, "filename", info->filename);
	snapshots_json(j, info);
	json_end(j);
	return json_finish(j);
}

static void one_info_text(GString *s, const struct image_info *info)
{
	g_autofree char *virtual_size = size_text(info->virtual_bytes);
	g_autofree char *actual = size_text(info->actual_bytes);

	line(s, "image", info->filename);
	line(s, "file format", info->format);
	g_string_append_printf(s, "virtual size: %s (%" G_GUINT64_FORMAT " bytes)\n", virtual_size,
			       info->virtual_bytes);
	line(s, "disk size", actual);
	if (info->dirty)
		line(s, "cleanly shut down", "no");
	if (info->encrypted)
		line(s, "encrypted", "yes");
	if (info->cluster_bytes)
		g_string_append_printf(s, "cluster_size: %u\n", info->cluster_bytes);
	if (info->backing_filename)
		line(s, "backing file", info->backing_filename);
	if (info->full_backing_filename &&
	    g_strcmp0(info->full_backing_filename, info->backing_filename) != 0)
		line(s, "backing file actual path", info->full_backing_filename);
	if (info->backing_filename)
		line(s, "backing file format",
		     info->backing_format ? info->backing_format
					  : "not stored, so it is not opened");
	if (info->n_snapshots)
		snapshots_text(s, info);
	if (info->compat)
		qcow2_text(s, info);
}

char *image_info_text(const struct image_info *info)
{
	GString *s = g_string_new(NULL);

	for (; info; info = info->backing) {
		one_info_text(s, info);
		if (info->backing)
			g_string_append_c(s, '\n');
	}
	return g_string_free(s, FALSE);
}

/* ---- check ---- */

char *image_check_json(const struct image_check *c, const char *path, const char *format)
{
	const struct {
		const char *key;
		uint64_t n;
		bool always;
	} fields[] = {
		{ "check-errors", c->check_errors, true },
		{ "corruptions", c->corruptions, false },
		{ "corruptions-fixed", c->corruptions_fixed, false },
		{ "leaks", c->leaks, false },
		{ "leaks-fixed", c->leaks_fixed, false },
		{ "image-end-offset", c->image_end_offset, true },
		{ "total-clusters", c->total_clusters, true },
		{ "allocated-clusters", c->allocated_clusters, true },
		{ "fragmented-clusters", c->fragmented_clusters, true },
		{ "compressed-clusters", c->compressed_clusters, true },
	};
	struct json *j = json_new();

	json_begin_object(j, NULL);
	json_string(j, "filename", path);
	json_string(j, "format", format);
	for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
		if (fields[i].always || fields[i].n)
			json_number(j, fields[i].key, fields[i].n);
	}
	json_end(j);
	return json_finish(j);
}

static void count_line(GString *s, uint64_t n, const char *one, const char *many)
{
	if (n > 0)
		g_string_append_printf(s, "%" G_GUINT64_FORMAT " %s\n", n, n == 1 ? one : many);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

char *image_check_text(const struct image_check *c)
{
	GString *s = g_string_new(NULL);

	count_line(s, c->corruptions_fixed, "corruption repaired", "corruptions repaired");
	count_line(s, c->leaks_fixed, "leaked cluster freed", "leaked clusters freed");
	count_line(s, c->corruptions, "error found: data may be wrong",
		   "errors found: data may be wrong");
	count_line(s, c->leaks, "leaked cluster: wasted space, no harm",
		   "leaked clusters: wasted space, no harm");
	count_line(s, c->check_errors, "error while checking", "errors while checking");
	if (!c->corruptions && !c->leaks && !c->check_errors)
		g_string_append(s, "No errors were found on the image.\n");
	g_string_append_printf(s, "%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " = %.2f%% allocated, "
			       "%.2f%% fragmented, %.2f%% compressed clusters\n",
			       c->allocated_clusters, c->total_clusters,
			       percent(c->allocated_clusters, c->total_clusters),
			       percent(c->fragmented_clusters, c->allocated_clusters),
			       percent(c->compressed_clusters, c->allocated_clusters));
	g_string_append_printf(s, "Image end offset: %" G_GUINT64_FORMAT "\n", c->image_end_offset);
	return g_string_free(s, FALSE);
}

/* ---- compare ---- */

char *image_compare_json(const struct image_compare *c)
{
	struct json *j = json_new();

	json_begin_object(j, NULL);
	json_bool(j, "equal", c->equal);
	json_bool(j, "sizes-differ", c->sizes_differ);
	if (!c->equal)
		json_number(j, "offset", c->offset);
	json_end(j);
	return json_finish(j);
}

/* ---- measure ---- */

char *image_measure_json(const struct image_measure *m)
{
	struct json *j = json_new();

	json_begin_object(j, NULL);
	if (m->has_bitmaps)
		json_number(j, "bitmaps", m->bitmaps);
	json_number(j, "required", m->required);
	json_number(j, "fully-allocated", m->fully_allocated);
	json_end(j);
	return json_finish(j);
}

char *image_measure_text(const struct image_measure *m)
{
	GString *s = g_string_new(NULL);

	g_string_append_printf(s, "required size: %" G_GUINT64_FORMAT "\n", m->required);
	g_string_append_printf(s, "fully allocated size: %" G_GUINT64_FORMAT "\n",
			       m->fully_allocated);
	if (m->has_bitmaps)
		g_string_append_printf(s, "bitmaps size: %" G_GUINT64_FORMAT "\n", m->bitmaps);
	return g_string_free(s, FALSE);
}

/* ---- map ---- */

void image_extent_json(struct json *j, const struct image_extent *e)
{
	json_begin_object(j, NULL);
	json_number(j, "start", e->start);
	json_number(j, "length", e->length);
	json_number(j, "depth", e->depth);
	json_bool(j, "present", e->present);
	json_bool(j, "zero", e->zero);
	json_bool(j, "data", e->data);
	json_bool(j, "compressed", e->compressed);
	if (e->has_offset)
		json_number(j, "offset", e->offset);
	json_end(j);
}

char *image_extent_text(const struct image_extent *e)
{
	g_autofree char *file = NULL;

	if (!e->data || e->zero || !e->has_offset)
		return NULL;
	file = text_harmless(e->filename);
	return g_strdup_printf("%#-16" G_GINT64_MODIFIER "x%#-16" G_GINT64_MODIFIER
			       "x%#-16" G_GINT64_MODIFIER "x%s\n",
			       e->start, e->length, e->offset, file);
}
