/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on storage volumes. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/transfer.h"
#include "vmsh/usage.h"
#include "vmsh/xml-file.h"

/* By its path, or by its name and --pool. */
static vmm_volume *volume_of(struct shell *sh, const struct command_args *args, GError **error)
{
	const char *name = args_text(args, "vol"), *pool_name = args_text(args, "pool");
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(vmm_pool) pool = NULL;

	if (!conn)
		return NULL;
	if (!pool_name && name[0] == '/')
		return vmm_volume_lookup_by_path(conn, name, error);
	if (!pool_name) {
		usage_error(error, "which pool? give --pool POOL, or the volume's path");
		return NULL;
	}
	pool = vmm_pool_lookup(conn, pool_name, error);
	return pool ? vmm_volume_lookup(pool, name, error) : NULL;
}

static vmm_pool *pool_of(struct shell *sh, const struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);

	return conn ? vmm_pool_lookup(conn, args_text(args, "pool"), error) : NULL;
}

/* ---- looking ---- */

static const struct column columns_list[] = {
	{ "Name", "name", COLUMN_SHRINK }, { "Path", "path", COLUMN_SHRINK }, { 0 },
};
static const struct column columns_details[] = {
	{ "Name", "name", COLUMN_SHRINK }, { "Path", "path", COLUMN_DROP },
	{ "Format", "format", 0 },
	{ "Capacity", "capacity", COLUMN_RIGHT }, { "Allocation", "allocation", COLUMN_RIGHT },
	{ "Stands on", "parent", COLUMN_SHRINK }, { "Used by", "used-by", COLUMN_SHRINK }, { 0 },
};

static const struct vmm_image *image_find(const GPtrArray *images, const char *path)
{
	for (unsigned i = 0; images && i < images->len; i++)
		if (g_str_equal(((struct vmm_image *)images->pdata[i])->path, path))
			return images->pdata[i];
	return NULL;
}

static bool details_add(table *t, vmm_connect *conn, const vmm_volume *vol,
			const GPtrArray *images, GError **error)
{
	static const char *const formats[] = { NULL, "raw", "qcow2" };
	const struct vmm_image *image = image_find(images, vol->path);
	g_autofree char *users = image ? g_strjoinv(", ", image->users) : NULL;
	uint64_t capacity, allocation;

	if (!vmm_volume_info(conn, vol, &capacity, &allocation, error))
		return false;
	table_text(t, vol->name);
	table_text(t, vol->path);
	table_text(t, image && image->format < ARRAY_SIZE(formats) ? formats[image->format] :
								     NULL);
	table_size(t, capacity);
	table_size(t, allocation);
	table_text(t, image ? image->parent : NULL);
	table_text(t, users && *users ? users : NULL);
	return true;
}

static bool cmd_list(struct shell *sh, struct command_args *args, GError **error)
{
	bool details = args_given(args, "details");
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);
	g_auto(GStrv) names = pool ? vmm_pool_volumes(pool, error) : NULL;
	vmm_connect *conn = names ? shell_connect(sh, error) : NULL;
	g_autoptr(GPtrArray) images = conn && details ? vmm_image_tree(conn, error) : NULL;
	g_autoptr(table) t = table_new(details ? columns_details : columns_list);

	if (!conn || (details && !images))
		return false;
	for (unsigned i = 0; names[i]; i++) {
		g_autoptr(vmm_volume) vol = vmm_volume_lookup(pool, names[i], error);

		if (!vol || (details && !details_add(t, conn, vol, images, error)))
			return false;
		if (!details) {
			table_text(t, vol->name);
			table_text(t, vol->path);
		}
	}
	shell_print_table(sh, args, t);
	return true;
}

static const struct column columns_info[] = {
	{ "Name", "name", 0 }, { "Type", "type", 0 }, { "Capacity", "capacity", 0 },
	{ "Allocation", "allocation", 0 }, { 0 },
};

static bool cmd_info(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);
	g_autoptr(table) t = table_new(columns_info);
	uint64_t capacity, allocation;

	if (!vol ||
	    !vmm_volume_info(shell_connect(sh, NULL), vol, &capacity, &allocation, error))
		return false;
	table_text(t, vol->name);
	table_text(t, "file");
	table_size(t, capacity);
	table_size(t, allocation);
	shell_print_record(sh, args, t);
	return true;
}

static bool cmd_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);
	g_autofree char *xml = vol ? vmm_volume_xml(shell_connect(sh, NULL), vol, error) : NULL;

	if (xml)
		shell_print_text(sh, args, "xml", xml);
	return xml;
}

static bool cmd_path(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	if (vol)
		shell_print_text(sh, args, "path", vol->path);
	return vol;
}

static bool cmd_name(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	if (vol)
		shell_print_text(sh, args, "name", vol->name);
	return vol;
}

static bool cmd_pool(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	if (vol)
		shell_print_text(sh, args, "pool", vol->pool);
	return vol;
}

/* ---- making ---- */

static bool made(struct shell *sh, vmm_volume *vol)
{
	g_autoptr(vmm_volume) taken = vol;

	if (taken)
		shell_say(sh, "Volume '%s' made in pool '%s'", taken->name, taken->pool);
	return taken;
}

static unsigned create_flags(const struct command_args *args)
{
	return args_given(args, "prealloc-metadata") ? VMM_VOLUME_PREALLOC_METADATA : 0;
}

static bool cmd_create(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = xml_file_read(args_text(args, "file"), error);
	g_autoptr(vmm_pool) pool = xml ? pool_of(sh, args, error) : NULL;

	return pool &&
	       made(sh, vmm_volume_create_xml(pool, xml, NULL, create_flags(args), error));
}

/* A backing volume is named by its path, or by its name in the same pool. */
static char *backing_xml(vmm_pool *pool, const struct command_args *args, GError **error)
{
	const char *name = args_text(args, "backing-vol");
	const char *format = args_text(args, "backing-vol-format");
	g_autoptr(vmm_volume) vol = NULL;

	if (!name)
		return g_strdup("");
	if (!format) {
		usage_error(error, "give the backing volume's format: --backing-vol-format raw or "
				   "qcow2");
		return NULL;
	}
	vol = name[0] == '/' ? NULL : vmm_volume_lookup(pool, name, error);
	if (name[0] != '/' && !vol)
		return NULL;
	return g_markup_printf_escaped("<backingStore><path>%s</path><format type='%s'/>"
				       "</backingStore>", vol ? vol->path : name, format);
}

static bool cmd_create_as(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_pool) pool = pool_of(sh, args, error);
	g_autofree char *backing = pool ? backing_xml(pool, args, error) : NULL;
	uint64_t bytes = args_size(args, "capacity", 1, 0);
	const char *otherwise = args_text(args, "backing-vol") ? "qcow2" : "raw";
	g_autofree char *format = g_markup_printf_escaped(
		"<target><format type='%s'/></target>", args_text(args, "format") ?: otherwise);
	g_autofree char *head = NULL, *xml = NULL;

	if (!backing)
		return false;
	head = g_markup_printf_escaped(
		"<name>%s</name><capacity>%" G_GUINT64_FORMAT "</capacity>"
		"<allocation>%" G_GUINT64_FORMAT "</allocation>", args_text(args, "name"), bytes,
		args_size(args, "allocation", 1, 0));
	xml = g_strconcat("<volume>", head, format, backing, "</volume>", NULL);
	return made(sh, vmm_volume_create_xml(pool, xml, NULL, create_flags(args), error));
}

static bool cmd_clone(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) from = volume_of(sh, args, error);
	vmm_connect *conn = from ? shell_connect(sh, error) : NULL;
	g_autoptr(vmm_pool) pool = conn ? vmm_pool_lookup(conn, from->pool, error) : NULL;
	g_autofree char *xml = g_markup_printf_escaped("<volume><name>%s</name></volume>",
						       args_text(args, "newname"));

	return pool && made(sh, vmm_volume_create_xml(pool, xml, from, 0, error));
}

/* ---- changing ---- */

static bool cmd_resize(struct shell *sh, struct command_args *args, GError **error)
{
	unsigned flags = (args_given(args, "allocate") ? VMM_VOLUME_ALLOCATE : 0) |
			 (args_given(args, "delta") ? VMM_VOLUME_DELTA : 0) |
			 (args_given(args, "shrink") ? VMM_VOLUME_SHRINK : 0);
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	if (!vol || !vmm_volume_resize(shell_connect(sh, NULL), vol,
				       args_size(args, "capacity", 1, 0), flags, error))
		return false;
	shell_say(sh, "Volume '%s' resized", vol->name);
	return true;
}

static bool cmd_wipe(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	if (!vol || !vmm_volume_wipe(shell_connect(sh, NULL), vol, error))
		return false;
	shell_say(sh, "Volume '%s' wiped", vol->name);
	return true;
}

static bool cmd_delete(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	if (!vol || !vmm_volume_delete(shell_connect(sh, NULL), vol, 0, error))
		return false;
	shell_say(sh, "Volume '%s' deleted", vol->name);
	return true;
}

/* ---- bytes ---- */

static bool transfer(struct shell *sh, struct command_args *args,
		     bool (*fn)(struct shell *sh, const vmm_volume *vol,
				const struct transfer_opts *o, GError **error), GError **error)
{
	const struct transfer_opts o = {
		.file = args_text(args, "file"), .offset = args_size(args, "offset", 1, 0),
		.length = args_size(args, "length", 1, 0), .sparse = args_given(args, "sparse"),
		.show = args_given(args, "progress"),
	};
	g_autoptr(vmm_volume) vol = volume_of(sh, args, error);

	return vol && fn(sh, vol, &o, error);
}

static bool cmd_upload(struct shell *sh, struct command_args *args, GError **error)
{
	if (!transfer(sh, args, transfer_upload, error))
		return false;
	shell_say(sh, "Volume '%s' has what was in %s", args_text(args, "vol"),
		  args_text(args, "file"));
	return true;
}

static bool cmd_download(struct shell *sh, struct command_args *args, GError **error)
{
	return transfer(sh, args, transfer_download, error);
}

/* ---- tables ---- */

#define OPTION_POOL_FIRST { \
	.name = "pool", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_POOL, .value = "POOL", .help = "the pool's name or uuid", \
}
#define OPTION_VOLUME { \
	.name = "vol", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_VOLUME, .value = "VOLUME", .help = "its path, or its name in a pool", \
}
#define OPTION_POOL_OF(position) { \
	.name = "pool", .kind = OPT_STRING, .flags = position, .complete = COMPLETE_POOL, \
	.value = "POOL", .help = "the pool in which it has this name", \
}
#define OPTION_METADATA OPTION_FLAG("prealloc-metadata", "qcow2: make all tables at once")

static const struct option_def options_list[] = {
	OPTION_POOL_FIRST,
	OPTION_FLAG("details", "sizes, what it stands on, and who uses it"), { 0 },
};
static const struct option_def options_volume[] = {
	OPTION_VOLUME, OPTION_POOL_OF(OPT_POSITION), { 0 },
};
static const struct option_def options_create[] = {
	OPTION_POOL_FIRST,
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "FILE", .help = "the volume's XML; - is the input" },
	OPTION_METADATA, { 0 },
};
static const struct option_def options_create_as[] = {
	OPTION_POOL_FIRST,
	{ .name = "name", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "NAME", .help = "the volume's name" },
	{ .name = "capacity", .kind = OPT_SIZE, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "SIZE", .help = "what a guest sees" },
	{ .name = "allocation", .kind = OPT_SIZE, .value = "SIZE",
	  .help = "raw, and as large as the capacity: reserve it all" },
	{ .name = "format", .kind = OPT_STRING, .complete = COMPLETE_WORDS, .value = "FORMAT",
	  .words = "raw qcow2", .help = "raw; qcow2 with a backing volume" },
	{ .name = "backing-vol", .kind = OPT_STRING, .complete = COMPLETE_FILE,
	  .value = "VOLUME", .help = "make an overlay on it: a path, or a name in this pool" },
	{ .name = "backing-vol-format", .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .value = "FORMAT", .words = "raw qcow2", .help = "its format" },
	OPTION_METADATA, { 0 },
};
static const struct option_def options_clone[] = {
	OPTION_VOLUME,
	{ .name = "newname", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "NEW", .help = "the copy's name, in the same pool" },
	OPTION_POOL_OF(0), { 0 },
};
static const struct option_def options_resize[] = {
	OPTION_VOLUME,
	{ .name = "capacity", .kind = OPT_SIZE, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "SIZE", .help = "its new size" },
	OPTION_POOL_OF(0), OPTION_FLAG("allocate", "reserve what is added"),
	OPTION_FLAG("delta", "SIZE is what it grows by, or with --shrink shrinks by"),
	OPTION_FLAG("shrink", "it may become smaller: what is behind is lost"), { 0 },
};

#define OPTIONS_RANGE \
	OPTION_POOL_OF(0), \
	{ .name = "offset", .kind = OPT_SIZE, .value = "SIZE", \
	  .help = "where in the volume it begins" }, \
	{ .name = "length", .kind = OPT_SIZE, .value = "SIZE", \
	  .help = "no more than so much" }, \
	OPTION_FLAG("sparse", "holes are not sent, and stay holes"), \
	OPTION_FLAG("progress", "show how far it is, though not on a terminal")

static const struct option_def options_upload[] = {
	OPTION_VOLUME,
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "FILE", .help = "what is read; - is the input" },
	OPTIONS_RANGE, { 0 },
};
static const struct option_def options_download[] = {
	OPTION_VOLUME,
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "FILE",
	  .help = "what is written; - is the output" },
	OPTIONS_RANGE, { 0 },
};

#define GROUP "Storage"

const struct command commands_vol[] = {
	{ "vol-list", GROUP, "list a pool's volumes", options_list, COMMAND_JSON, cmd_list },
	{ "vol-info", GROUP, "tell about a volume", options_volume, COMMAND_JSON, cmd_info },
	{ "vol-dumpxml", GROUP, "print a volume's XML", options_volume, COMMAND_JSON,
	  cmd_dumpxml },
	{ "vol-path", GROUP, "tell a volume's path", options_volume, COMMAND_JSON, cmd_path },
	{ "vol-key", GROUP, "tell a volume's key, which is its path", options_volume,
	  COMMAND_JSON, cmd_path },
	{ "vol-name", GROUP, "tell a volume's name", options_volume, COMMAND_JSON, cmd_name },
	{ "vol-pool", GROUP, "tell a volume's pool", options_volume, COMMAND_JSON, cmd_pool },
	{ "vol-create", GROUP, "make a volume by XML", options_create, 0, cmd_create },
	{ "vol-create-as", GROUP, "make a volume by options", options_create_as, 0,
	  cmd_create_as },
	{ "vol-clone", GROUP, "copy a volume; the copy stands alone", options_clone, 0,
	  cmd_clone },
	{ "vol-resize", GROUP, "change a volume's size", options_resize, 0, cmd_resize },
	{ "vol-upload", GROUP, "write a file's bytes into a volume", options_upload, 0,
	  cmd_upload },
	{ "vol-download", GROUP, "write a volume's bytes into a file", options_download, 0,
	  cmd_download },
	{ "vol-wipe", GROUP, "overwrite a volume with zeroes; it stays an image",
	  options_volume, 0, cmd_wipe },
	{ "vol-delete", GROUP, "delete a volume that nobody needs", options_volume, 0,
	  cmd_delete },
	{ 0 },
};
