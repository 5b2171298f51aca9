/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions that can't start, and images that nobody uses. */
#include "config.h"
#include "vmmd/doctor-priv.h"

#include "vmmd/graph.h"
#include "vmmd/pool.h"
#include "vmmd/preflight.h"
#include "vmmd/volume.h"

#define CHAIN_MAX 256

/* ---- definitions ---- */

struct look {
	struct round *r;
	const struct domain *dom;
};

static void on_found(enum preflight_severity severity, const char *text, void *opaque)
{
	const struct look *look = opaque;
	g_autofree char *what = NULL;

	if (severity == PREFLIGHT_DOUBT)
		return;
	what = g_strdup_printf("it can't start: %s", text);
	doctor_tell(look->r, FINDING_HINT, look->dom->name, NULL, what,
		    "put right what is missing, or \"vmsh edit\" the definition");
}

static void look_at_definitions(struct round *r, const GPtrArray *domains)
{
	for (unsigned i = 0; i < domains->len; i++) {
		struct look look = { r, domains->pdata[i] };

		if (look.dom->saved && !look.dom->life)
			preflight(r->daemon, look.dom->saved, look.dom, on_found, &look);
	}
}

/* ---- images ---- */

static void use(GHashTable *used, const char *path)
{
	if (path)
		g_hash_table_add(used, g_canonicalize_filename(path, "/"));
}

static void use_def(GHashTable *used, const domain_def *def)
{
	if (!def)
		return;
	use(used, def->os.kernel);
	use(used, def->os.initrd);
	for (unsigned i = 0; i < def->disks->len; i++)
		use(used, ((struct disk_def *)def->disks->pdata[i])->path);
}

/* What stands behind the images in use is used as well. */
static void use_parents(struct daemon *daemon, GHashTable *used)
{
	unsigned n_paths;
	g_autofree void **paths = g_hash_table_get_keys_as_array(used, &n_paths);
	g_autoptr(GPtrArray) parents = g_ptr_array_new();

	for (unsigned i = 0; i < n_paths; i++) {
		const struct graph_image *image = graph_find(daemon, paths[i]);

		for (unsigned n = 0; image && image->parent && n < CHAIN_MAX; n++) {
			g_ptr_array_add(parents, image->parent);
			image = graph_find(daemon, image->parent);
		}
	}
	/* keys that are there already are freed when they are added again: not in the loop above */
	for (unsigned i = 0; i < parents->len; i++)
		use(used, parents->pdata[i]);
}

static GHashTable *used_images(struct round *r, const GPtrArray *domains)
{
	GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GHashTableIter at;
	void *path;

	for (unsigned i = 0; i < domains->len; i++) {
		const struct domain *dom = domains->pdata[i];

		use_def(used, dom->saved);
		use_def(used, dom->live);
	}
	g_hash_table_iter_init(&at, r->known);
	while (g_hash_table_iter_next(&at, &path, NULL))
		use(used, path);
	use_parents(r->daemon, used);
	return used;
}

static void tell_unused(struct round *r, GHashTable *used, const char *path)
{
	if (g_hash_table_contains(used, path))
		return;
	use(used, path);		/* once is enough */
	doctor_tell(r, FINDING_HINT, NULL, path, "no domain uses this image",
		    "if nobody needs it, remove it");
}

/* A row of a file that is gone is of no use, unless somebody stands on it or names it. */
static void look_at_row(struct round *r, GHashTable *used, const char *path)
{
	g_autoptr(GPtrArray) above = NULL;

	if (g_file_test(path, G_FILE_TEST_EXISTS)) {
		tell_unused(r, used, path);
		return;
	}
	above = graph_overlays(r->daemon, path);
	if (above->len == 0 && !g_hash_table_contains(used, path))
		doctor_tell_repair(r, REPAIR_FORGET_IMAGE, NULL, path,
				   "the records have an image that is gone");
}

/* Copies: to look at a row may mean to forget it, or others. */
static void look_at_rows(struct round *r, GHashTable *used)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) images = graph_list(r->daemon);

	for (unsigned i = 0; i < images->len; i++)
		g_ptr_array_add(paths,
				g_strdup(((struct graph_image *)images->pdata[i])->path));
	for (unsigned i = 0; i < paths->len; i++)
		if (graph_find(r->daemon, paths->pdata[i]))
			look_at_row(r, used, paths->pdata[i]);
}

static void look_at_pool(struct round *r, GHashTable *used, const struct pool *pool)
{
	g_autoptr(GPtrArray) names = pool->active ? volume_list(pool, NULL) : NULL;

	for (unsigned i = 0; names && i < names->len; i++) {
		g_autofree char *path = volume_path(pool, names->pdata[i]);
		g_autofree char *canonical = g_canonicalize_filename(path, "/");

		tell_unused(r, used, canonical);
	}
}

void doctor_look_at_use(struct round *r)
{
	g_autoptr(GPtrArray) domains = domain_table_list(r->daemon->domains);
	g_autoptr(GHashTable) used = NULL;

	look_at_definitions(r, domains);
	used = used_images(r, domains);
	look_at_rows(r, used);
	for (unsigned i = 0; i < r->daemon->pools->len; i++)
		look_at_pool(r, used, r->daemon->pools->pdata[i]);
}
