/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on images for vmmd, in a process that may die of them: options to
 * image.h's structs, its results to one GVariant.
 */
#include "config.h"
#include "vmmd/worker/image-tool-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define PROGRESS_FD 3
#define PROGRESS_INTERVAL_US 100000
#define EXTENTS_MAX 1000000

/* ---- progress, cancelling ---- */

static volatile sig_atomic_t cancelled;

static void on_terminate(int sig)
{
	cancelled = 1;
}

/* A full pipe loses a line, never time. */
static bool on_progress(void *opaque, uint64_t done, uint64_t total)
{
	gint64 *last_us = opaque, now_us = g_get_monotonic_time();
	char line[64];
	int n;

	if (now_us - *last_us >= PROGRESS_INTERVAL_US || done == total) {
		*last_us = now_us;
		n = snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)done,
			     (unsigned long long)total);
		if (write(PROGRESS_FD, line, (size_t)n) != n)
			return !cancelled;
	}
	return !cancelled;
}

/* Work without progress ends by the signal itself. */
struct image_progress image_tool_progress(gint64 *last_us)
{
	const struct sigaction action = { .sa_handler = on_terminate };

	sigaction(SIGTERM, &action, NULL);
	fcntl(PROGRESS_FD, F_SETFL, O_NONBLOCK);
	return (struct image_progress){ .fn = on_progress, .opaque = last_us };
}

/* ---- results ---- */

static void put_text(GVariantBuilder *b, const char *key, const char *text)
{
	if (text)
		g_variant_builder_add(b, "{sv}", key,
				      g_variant_new_take_string(g_utf8_make_valid(text, -1)));
}

static void put_number(GVariantBuilder *b, const char *key, uint64_t n)
{
	g_variant_builder_add(b, "{sv}", key, g_variant_new_uint64(n));
}

static void put_u32(GVariantBuilder *b, const char *key, uint32_t n)
{
	g_variant_builder_add(b, "{sv}", key, g_variant_new_uint32(n));
}

static void put_bool(GVariantBuilder *b, const char *key, bool on)
{
	g_variant_builder_add(b, "{sv}", key, g_variant_new_boolean(on));
}

/* ---- operations ---- */

static void put_tags(GVariantBuilder *b, const struct image_info *i)
{
	GVariantBuilder names;

	g_variant_builder_init(&names, G_VARIANT_TYPE_STRING_ARRAY);
	for (unsigned n = 0; n < i->n_snapshots; n++)
		g_variant_builder_add_value(&names, g_variant_new_take_string(
			g_utf8_make_valid(i->snapshots[n].name, -1)));
	g_variant_builder_add(b, "{sv}", "tags", g_variant_builder_end(&names));
}

static void put_image(GVariantBuilder *b, const struct image_info *i)
{
	put_text(b, "filename", i->filename);
	put_text(b, "format", i->format);
	put_number(b, "virtual-size", i->virtual_bytes);
	put_number(b, "actual-size", i->actual_bytes);
	put_number(b, "file-size", i->file_bytes);
	put_bool(b, "dirty", i->dirty);
	put_text(b, "backing-filename", i->backing_filename);
	put_text(b, "full-backing-filename", i->full_backing_filename);
	put_text(b, "backing-format", i->backing_format);
	if (!i->compat)
		return;
	put_u32(b, "cluster-size", i->cluster_bytes);
	put_text(b, "compat", i->compat);
	put_text(b, "compression-type", i->compression_type);
	put_u32(b, "refcount-bits", i->refcount_bits);
	put_bool(b, "lazy-refcounts", i->lazy_refcounts);
	put_bool(b, "extended-l2", i->extended_l2);
	put_bool(b, "corrupt", i->corrupt);
	put_bool(b, "encrypted", i->encrypted);
	put_text(b, "data-file", i->data_file);
	put_u32(b, "snapshots", i->n_snapshots);
	put_tags(b, i);
}

static bool run_info(struct image_tool *t, GError **error)
{
	g_autoptr(image_info) info = image_info_new(t->path, t->format, t->chain, error);
	GVariantBuilder images;

	if (!info)
		return false;
	g_variant_builder_init(&images, G_VARIANT_TYPE("aa{sv}"));
	for (const struct image_info *i = info; i; i = i->backing) {
		g_variant_builder_open(&images, G_VARIANT_TYPE("a{sv}"));
		put_image(&images, i);
		g_variant_builder_close(&images);
	}
	g_variant_builder_add(&t->result, "{sv}", "images", g_variant_builder_end(&images));
	return true;
}

static struct image_create_opts create_opts(const struct image_tool *t, const char *path,
					    const char *format)
{
	return (struct image_create_opts){
		.path = path, .format = format, .bytes = (uint64_t)t->bytes,
		.cluster_bytes = (uint32_t)t->cluster_bytes, .compat = t->compat,
		.lazy_refcounts = t->lazy_refcounts, .extended_l2 = t->extended_l2,
		.compression_type = t->compression_type, .preallocation = t->prealloc,
		.backing_file = t->backing, .backing_format = t->backing_format,
		.exclusive = t->exclusive,
	};
}

static bool run_create(struct image_tool *t, GError **error)
{
	struct image_create_opts o = create_opts(t, t->path, t->format);

	return image_create(&o, error);
}

static bool run_check(struct image_tool *t, GError **error)
{
	const struct image_check_opts o = {
		.repair = !t->repair ? IMAGE_REPAIR_NONE :
			  g_str_equal(t->repair, "all") ? IMAGE_REPAIR_ALL : IMAGE_REPAIR_LEAKS,
	};
	struct image_check c;

	if (!image_check(t->path, t->format, &o, &c, error))
		return false;
	put_number(&t->result, "corruptions", c.corruptions);
	put_number(&t->result, "corruptions-fixed", c.corruptions_fixed);
	put_number(&t->result, "leaks", c.leaks);
	put_number(&t->result, "leaks-fixed", c.leaks_fixed);
	put_number(&t->result, "check-errors", c.check_errors);
	put_number(&t->result, "image-end-offset", c.image_end_offset);
	put_number(&t->result, "allocated-clusters", c.allocated_clusters);
	put_number(&t->result, "total-clusters", c.total_clusters);
	return true;
}

struct extents {
	GVariantBuilder list;
	unsigned n;
	bool truncated;
};

static bool on_extent(void *opaque, const struct image_extent *e)
{
	struct extents *all = opaque;

	all->truncated = all->n++ >= EXTENTS_MAX;
	if (all->truncated)
		return false;
	g_variant_builder_add(&all->list, "(ttubbb)", e->start, e->length, e->depth, e->present,
			      e->zero, e->data);
	return true;
}

static bool run_map(struct image_tool *t, GError **error)
{
	struct extents all = { 0 };
	bool ok;

	g_variant_builder_init(&all.list, G_VARIANT_TYPE("a(ttubbb)"));
	ok = image_map(t->path, t->format, on_extent, &all, error);
	g_variant_builder_add(&t->result, "{sv}", "extents", g_variant_builder_end(&all.list));
	put_bool(&t->result, "truncated", all.truncated);
	return ok;
}

static bool run_convert(struct image_tool *t, GError **error)
{
	gint64 last_us = 0;
	struct image_convert_opts o = {
		.source = t->path, .source_format = t->format, .share_source = t->share,
		.compress = t->compress, .progress = image_tool_progress(&last_us),
		.target = create_opts(t, t->target, t->target_format),
	};

	if (!t->target || !t->target_format)
		return error_set(error, VMM_ERR_INVALID_ARG, "convert needs a target, its format");
	return image_convert(&o, error);
}

static bool run_resize(struct image_tool *t, GError **error)
{
	const struct image_resize_opts o = {
		.path = t->path, .format = t->format, .bytes = (uint64_t)t->bytes,
		.shrink = t->shrink, .preallocation = t->prealloc,
	};

	return image_resize(&o, error);
}

static bool run_rebase(struct image_tool *t, GError **error)
{
	gint64 last_us = 0;
	const struct image_rebase_opts o = {
		.path = t->path, .format = t->format, .backing_file = t->backing,
		.backing_format = t->backing_format, .unsafe = t->unsafe,
		.progress = image_tool_progress(&last_us),
	};

	return image_rebase(&o, error);
}

static bool run_commit(struct image_tool *t, GError **error)
{
	gint64 last_us = 0;
	const struct image_commit_opts o = {
		.path = t->path, .format = t->format, .keep = t->keep,
		.progress = image_tool_progress(&last_us),
	};

	return image_commit(&o, error);
}

static bool run_tag(struct image_tool *t, GError **error)
{
	return image_snapshot_create(t->path, t->format, t->tag ?: "", error);
}

static bool run_tag_apply(struct image_tool *t, GError **error)
{
	return image_snapshot_apply_named(t->path, t->format, t->tag ?: "", error);
}

static bool run_untag(struct image_tool *t, GError **error)
{
	return image_snapshot_delete_named(t->path, t->format, t->tag ?: "", error);
}

static const struct {
	const char *name;
	bool (*run)(struct image_tool *t, GError **error);
	bool any_format;
} operations[] = {
	{ "info", run_info, true }, { "create", run_create }, { "check", run_check },
	{ "map", run_map }, { "convert", run_convert }, { "resize", run_resize },
	{ "rebase", run_rebase }, { "commit", run_commit }, { "wipe", image_tool_wipe },
	{ "tag", run_tag }, { "tag-apply", run_tag_apply }, { "untag", run_untag },
	{ "upload", image_tool_upload, true }, { "download", image_tool_download, true },
};

/* ---- options ---- */

static bool options_parse(struct image_tool *t, int *argc, char ***argv, GError **error)
{
	const GOptionEntry entries[] = {
		{ "path", 0, 0, G_OPTION_ARG_FILENAME, &t->path },
		{ "format", 0, 0, G_OPTION_ARG_STRING, &t->format },
		{ "target", 0, 0, G_OPTION_ARG_FILENAME, &t->target },
		{ "target-format", 0, 0, G_OPTION_ARG_STRING, &t->target_format },
		{ "backing", 0, 0, G_OPTION_ARG_FILENAME, &t->backing },
		{ "backing-format", 0, 0, G_OPTION_ARG_STRING, &t->backing_format },
		{ "bytes", 0, 0, G_OPTION_ARG_INT64, &t->bytes },
		{ "offset", 0, 0, G_OPTION_ARG_INT64, &t->offset },
		{ "cluster-bytes", 0, 0, G_OPTION_ARG_INT, &t->cluster_bytes },
		{ "compat", 0, 0, G_OPTION_ARG_STRING, &t->compat },
		{ "preallocation", 0, 0, G_OPTION_ARG_STRING, &t->preallocation },
		{ "compression-type", 0, 0, G_OPTION_ARG_STRING, &t->compression_type },
		{ "repair", 0, 0, G_OPTION_ARG_STRING, &t->repair },
		{ "tag", 0, 0, G_OPTION_ARG_STRING, &t->tag },
		{ "extended-l2", 0, 0, G_OPTION_ARG_NONE, &t->extended_l2 },
		{ "lazy-refcounts", 0, 0, G_OPTION_ARG_NONE, &t->lazy_refcounts },
		{ "chain", 0, 0, G_OPTION_ARG_NONE, &t->chain },
		{ "shrink", 0, 0, G_OPTION_ARG_NONE, &t->shrink },
		{ "unsafe", 0, 0, G_OPTION_ARG_NONE, &t->unsafe },
		{ "keep", 0, 0, G_OPTION_ARG_NONE, &t->keep },
		{ "compress", 0, 0, G_OPTION_ARG_NONE, &t->compress },
		{ "share", 0, 0, G_OPTION_ARG_NONE, &t->share },
		{ "exclusive", 0, 0, G_OPTION_ARG_NONE, &t->exclusive },
		{ "sparse", 0, 0, G_OPTION_ARG_NONE, &t->sparse },
		{ "allow-read", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &t->allow_read },
		{ "allow-write", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &t->allow_write },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);

	g_option_context_set_help_enabled(context, FALSE);
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, error))
		return false;
	if (*argc != 1 || !t->path || t->bytes < 0 || t->offset < 0 || t->cluster_bytes < 0)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "--path is missing, or a word is wrong");
	return !t->preallocation || image_prealloc_from_name(t->preallocation, &t->prealloc, error);
}

static void tool_clear(struct image_tool *t)
{
	char *const texts[] = { t->path, t->format, t->target, t->target_format, t->backing,
				t->backing_format, t->compat, t->preallocation,
				t->compression_type, t->repair, t->tag };

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		g_free(texts[i]);
	g_strfreev(t->allow_read);
	g_strfreev(t->allow_write);
	g_variant_builder_clear(&t->result);
}

/* The format is vmmd's word: what the file says counts for a look at it only. */
static bool run(struct image_tool *t, const char *name, GError **error)
{
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
		if (!g_str_equal(operations[i].name, name))
			continue;
		if (!t->format && !operations[i].any_format)
			return error_set(error, VMM_ERR_INVALID_ARG, "--format is missing");
		return image_jail_enter(t->allow_read, t->allow_write, error) &&
		       operations[i].run(t, error);
	}
	return error_set(error, VMM_ERR_INVALID_ARG, "no operation '%s' on images", name);
}

static void answer(struct image_tool *t, const GError *error)
{
	g_autofree char *message = error ? g_utf8_make_valid(error->message, -1) : g_strdup("");
	guint32 code = !error ? 0 : error->domain == VMM_ERROR ? error->code : VMM_ERR_INVALID_ARG;
	g_autoptr(GVariant) v = NULL;
	g_autofree char *text = NULL;

	v = g_variant_ref_sink(g_variant_new("(us@a{sv})", code, message,
					     g_variant_builder_end(&t->result)));
	text = g_variant_print(v, TRUE);
	fputs(text, stdout);
	fflush(stdout);
}

int image_tool_run(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	struct image_tool t = { 0 };
	const char *name = argc > 0 ? argv[0] : "";
	bool ok;

	g_variant_builder_init(&t.result, G_VARIANT_TYPE_VARDICT);
	ok = options_parse(&t, &argc, &argv, &error) && run(&t, name, &error);
	answer(&t, error);
	tool_clear(&t);
	return ok ? 0 : 1;
}
