/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on the images that the daemon knows, and on clones. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define CLONE_THREADS 8
#define DEPTH_MAX 64

/* ---- image-tree ---- */

static const char *format_text(unsigned format)
{
	static const char *const names[] = { "?", "raw", "qcow2" };

	return names[format < ARRAY_SIZE(names) ? format : 0];
}

static const struct column columns_tree[] = {
	{ "Path", "path", 0 }, { "Format", "format", 0 }, { "Size", "size", 0 },
	{ "Parent", "parent", 0 }, { "Used by", "used-by", 0 }, { "Changed", "changed", 0 },
	{ "Seen", "seen", 0 }, { 0 },
};

static void tree_json(struct shell *sh, const struct command_args *args, const GPtrArray *images)
{
	g_autoptr(table) t = table_new(columns_tree);

	for (unsigned i = 0; i < images->len; i++) {
		const struct vmm_image *image = g_ptr_array_index(images, i);
		g_autofree char *users = g_strjoinv(", ", image->users);

		table_text(t, image->path);
		table_text(t, format_text(image->format));
		table_number(t, image->size, NULL);
		table_text(t, image->parent);
		table_text(t, *users ? users : NULL);
		table_text(t, image->fault);
		table_number(t, (uint64_t)image->seen_s, NULL);
	}
	shell_print_table(sh, args, t);
}

static void line_print(const struct shell *sh, const struct vmm_image *image, const char *indent,
		       const char *branch)
{
	g_autofree char *path = text_harmless(image->path);
	g_autofree char *users = g_strjoinv(", ", image->users);
	g_autofree char *who = text_harmless(users);
	g_autofree char *what = image->fault ? text_harmless(image->fault) : NULL;
	g_autofree char *fault =
		what ? text_coloured(what, COLOUR_RED, &sh->out) : NULL;

	printf("%s%s%s (%s)%s%s%s%s\n", indent, branch, path, format_text(image->format),
	       *who ? ": " : "", who, fault ? " CHANGED: " : "", fault ? fault : "");
}

/* done: indexes that were printed; an image whose parents are a ring is printed at the end. */
static void branch_print(const struct shell *sh, const GPtrArray *images, unsigned at, bool *done,
			 const char *indent, const char *branch, const char *below, unsigned depth)
{
	const struct vmm_image *image = g_ptr_array_index(images, at);
	g_autofree char *deeper = g_strconcat(indent, below, NULL);
	unsigned last = images->len;

	done[at] = true;
	line_print(sh, image, indent, branch);
	for (unsigned i = 0; i < images->len; i++)
		if (!done[i] &&
		    g_strcmp0(((struct vmm_image *)images->pdata[i])->parent, image->path) == 0)
			last = i;
	for (unsigned i = 0; i <= last && last < images->len && depth < DEPTH_MAX; i++) {
		bool end = i == last, utf8 = sh->out.utf8;

		if (done[i] ||
		    g_strcmp0(((struct vmm_image *)images->pdata[i])->parent, image->path) != 0)
			continue;
		branch_print(sh, images, i, done, deeper,
			     utf8 ? (end ? "└─ " : "├─ ") : (end ? "`- " : "|- "),
			     end ? "   " : (utf8 ? "│  " : "|  "), depth + 1);
	}
}

static bool is_root(const GPtrArray *images, const struct vmm_image *image)
{
	for (unsigned i = 0; image->parent && i < images->len; i++)
		if (g_str_equal(((struct vmm_image *)images->pdata[i])->path, image->parent))
			return false;
	return true;
}

static bool cmd_tree(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) images = conn ? vmm_image_tree(conn, error) : NULL;
	g_autofree bool *done = NULL;

	if (!images)
		return false;
	if (args_json(args)) {
		tree_json(sh, args, images);
		return true;
	}
	done = g_new0(bool, images->len + 1);
	for (unsigned i = 0; i < images->len; i++)
		if (is_root(images, g_ptr_array_index(images, i)))
			branch_print(sh, images, i, done, "", "", "", 0);
	for (unsigned i = 0; i < images->len; i++)
		if (!done[i])
			branch_print(sh, images, i, done, "", "", "", 0);
	return true;
}

/* ---- image-accept, -commit, -flatten, -rebase, -move ---- */

static char *path_of(const struct command_args *args, const char *option)
{
	return g_canonicalize_filename(args_text(args, option), NULL);
}

static bool cmd_accept(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *path = path_of(args, "path");
	vmm_connect *conn = shell_connect(sh, error);

	if (!conn || !vmm_image_accept(conn, path, error))
		return false;
	shell_say(sh, "Image '%s' is accepted as it is", path);
	return true;
}

static bool work(struct shell *sh, struct command_args *args, enum vmm_image_op op,
		 const char *other, const char *format, const char *done, GError **error)
{
	g_autofree char *path = path_of(args, "path");
	vmm_connect *conn = shell_connect(sh, error);

	if (!conn || !vmm_image_work(conn, op, path, other, format, error))
		return false;
	shell_say(sh, "Image '%s' %s", path, done);
	return true;
}

static bool cmd_commit(struct shell *sh, struct command_args *args, GError **error)
{
	return work(sh, args, VMM_IMAGE_COMMIT, NULL, NULL, "is committed into its backing image",
		    error);
}

static bool cmd_flatten(struct shell *sh, struct command_args *args, GError **error)
{
	return work(sh, args, VMM_IMAGE_FLATTEN, NULL, NULL, "stands alone", error);
}

static bool cmd_rebase(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *base = path_of(args, "base");

	return work(sh, args, VMM_IMAGE_REBASE, base, args_text(args, "format"),
		    "has a new backing image", error);
}

static bool cmd_move(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *to = path_of(args, "to");

	return work(sh, args, VMM_IMAGE_MOVE, to, NULL, "is moved", error);
}

/* ---- clone ---- */

struct clones {
	vmm_domain *of;
	unsigned flags;
	char **names;
	GError **errors;
};

static void clone_one(void *number, void *opaque)
{
	struct clones *c = opaque;
	unsigned i = GPOINTER_TO_UINT(number) - 1;
	g_autoptr(vmm_domain) made =
		vmm_domain_clone(c->of, c->names[i], c->flags, &c->errors[i]);
}

static unsigned clones_report(struct shell *sh, struct clones *c, unsigned n)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!c->errors[i]) {
			shell_say(sh, "Domain '%s' cloned from '%s'", c->names[i],
				  vmm_domain_name(c->of));
			continue;
		}
		g_prefix_error(&c->errors[i], "%s: ", c->names[i]);
		if (n > 1)
			shell_print_error(sh, c->errors[i]);
		failed++;
	}
	return failed;
}

static bool clone_all(struct shell *sh, struct clones *c, unsigned n, GError **error)
{
	GThreadPool *pool = g_thread_pool_new(clone_one, c, CLONE_THREADS, FALSE, NULL);
	unsigned failed;

	for (unsigned i = 0; i < n; i++)
		g_thread_pool_push(pool, GUINT_TO_POINTER(i + 1), NULL);
	g_thread_pool_free(pool, FALSE, TRUE);
	failed = clones_report(sh, c, n);
	if (failed && n == 1)
		g_propagate_error(error, g_steal_pointer(&c->errors[0]));
	else if (failed)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "%u of %u clones made, %u failed", n - failed, n, failed);
	return failed == 0;
}

static bool cmd_clone(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *words = args_words(args, "new");
	g_autoptr(vmm_domain) of = NULL;
	g_autofree GError **errors = g_new0(GError *, words->len);
	g_autofree char **names = g_new0(char *, words->len);
	struct clones c = { .names = names, .errors = errors };
	bool ok;

	if (args_given(args, "copy") && args_given(args, "overlay"))
		return usage_error(error, "--copy and --overlay exclude each other");
	of = fleet_domain(sh, args, error);
	if (!of)
		return false;
	c.of = of;
	c.flags = args_given(args, "copy") ? VMM_CLONE_COPY : 0;
	for (unsigned i = 0; i < words->len; i++)
		names[i] = ((struct word *)words->pdata[i])->text;
	ok = clone_all(sh, &c, words->len, error);
	for (unsigned i = 0; i < words->len; i++)
		g_clear_error(&errors[i]);
	return ok;
}

/* ---- tables ---- */

#define OPTION_PATH(option, shown, text) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = shown, .help = text, \
}

static const struct option_def options_path[] = {
	OPTION_PATH("path", "PATH", "the image's file"), { 0 },
};
static const struct option_def options_rebase[] = {
	OPTION_PATH("path", "PATH", "the overlay's file"),
	OPTION_PATH("base", "BASE", "the image that it is to stand on"),
	{ .name = "format", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_WORDS, .value = "FORMAT", .words = "raw qcow2",
	  .help = "the format of BASE" },
	{ 0 },
};
static const struct option_def options_move[] = {
	OPTION_PATH("path", "PATH", "the image's file"),
	OPTION_PATH("to", "TO", "its new path, on the same file system"), { 0 },
};
static const struct option_def options_clone[] = {
	OPTION_DOMAIN(INACTIVE),
	{ .name = "new", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY,
	  .value = "NEW", .help = "names of the new domains" },
	OPTION_FLAG("overlay", "their disks are overlays of the old ones: the default"),
	OPTION_FLAG("copy", "their disks are copies"),
	{ 0 },
};

#define GROUP "Images that the daemon knows"

const struct command commands_graph[] = {
	{ "image-tree", GROUP, "show which image stands on which, and who uses it", NULL,
	  COMMAND_JSON, cmd_tree,
	  "A base that is not what it was when its overlays were made is marked as changed: "
	  "domains on it do not start." },
	{ "image-accept", GROUP, "take a changed base image as it is", options_path, 0,
	  cmd_accept, "Do so only when its contents are the same, as after a copy back." },
	{ "image-commit", GROUP, "put an overlay's contents into its backing image",
	  options_path, 0, cmd_commit },
	{ "image-flatten", GROUP, "make an overlay stand alone", options_path, 0, cmd_flatten },
	{ "image-rebase", GROUP, "put an overlay on another image; it reads as before",
	  options_rebase, 0, cmd_rebase },
	{ "image-move", GROUP, "move an image; overlays and definitions follow", options_move, 0,
	  cmd_move },
	{ "clone", GROUP, "make new domains like one that is off", options_clone, 0, cmd_clone,
	  "Each has a uuid, MAC addresses and disks of its own, named NEW-TARGET.qcow2 beside the "
	  "old ones. With overlays the old domain is a template: it does not start any more while "
	  "they stand on its disks." },
	{ 0 },
};
