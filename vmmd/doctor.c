/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database against the disk. */
#include "config.h"
#include "vmmd/doctor-priv.h"

#include <glib/gstdio.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "vmmd/disk-job.h"
#include "vmmd/imagehead.h"
#include "vmmd/journal.h"
#include "vmmd/pool.h"
#include "vmmd/snapshot-tree.h"

#define FINDINGS_MAX 4096u		/* what the wire carries of them */

static void finding_free(void *p)
{
	struct finding *f = p;

	g_free(f->domain);
	g_free(f->path);
	g_free(f->what);
	g_free(f->advice);
	g_free(f->done);
	g_free(f);
}

struct finding *doctor_tell(struct round *r, enum finding_level level, const char *domain,
			    const char *path, const char *what, const char *advice)
{
	struct finding *f;

	if (r->findings->len >= FINDINGS_MAX)
		return NULL;
	f = g_new0(struct finding, 1);
	f->level = level;
	f->domain = g_strdup(domain ?: "");
	f->path = g_strdup(path ?: "");
	f->what = g_strdup(what);
	f->advice = g_strdup(advice);
	f->done = g_strdup("");
	g_ptr_array_add(r->findings, f);
	return f;
}

void doctor_tell_repair(struct round *r, enum finding_repair repair, const char *domain,
			const char *path, const char *what)
{
	bool row = repair == REPAIR_FORGET_IMAGE;
	struct finding *f = doctor_tell(r, row ? FINDING_HINT : FINDING_PROBLEM, domain, path, what,
					row ? "\"vmsh doctor --fix\" forgets it" :
					      "\"vmsh doctor --fix\" removes it");

	if (f)
		f->repair = repair;
}

static void tell(struct round *r, const char *domain, const char *path, const char *what,
		 const char *advice)
{
	doctor_tell(r, FINDING_PROBLEM, domain, path, what, advice);
}

static bool is_there(const char *path)
{
	return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* ---- domains and their snapshots ---- */

static void know_disks(struct round *r, const domain_def *def)
{
	for (unsigned i = 0; def && i < def->disks->len; i++)
		g_hash_table_add(r->known,
				 g_strdup(((struct disk_def *)def->disks->pdata[i])->path));
}

static void look_at_layer(struct round *r, const struct domain *dom, const snapshot_tree *tree,
			  const struct layer *layer)
{
	const struct layer *parent = tree_layer(tree, layer->parent);
	g_autoptr(GPtrArray) chain = NULL;

	g_hash_table_add(r->known, g_strdup(layer->path));
	g_hash_table_add(r->layers, g_strdup(layer->path));
	if (*layer->target)
		g_hash_table_add(r->folders, g_path_get_dirname(layer->path));
	if (layer->state != LAYER_READY) {
		if (!dom->busy)
			tell(r, dom->name, layer->path, "left over from work that was interrupted",
			     "restart vmmd: it takes up what was begun; its log says why it can't");
		return;
	}
	if (!is_there(layer->path)) {
		tell(r, dom->name, layer->path, "an image of its snapshots is gone",
		     "put the file back; or delete the snapshots that need it");
		return;
	}
	chain = parent ? imagehead_chain(layer->path, layer->format == DISK_FORMAT_RAW) : NULL;
	if (chain && !dom->busy &&
	    (chain->len < 2 || strcmp(g_ptr_array_index(chain, 1), parent->path) != 0))
		tell(r, dom->name, layer->path, "its backing file is not the one that it had",
		     "another program has changed it: \"vmsh image info\" shows what is there");
}

static void look_at_node(struct round *r, const struct domain *dom, const struct node *node)
{
	g_autofree char *what = NULL;

	if (!node->memory_path)
		return;
	g_hash_table_add(r->known, g_strdup(node->memory_path));
	if (is_there(node->memory_path) || node->pending)
		return;
	what = g_strdup_printf("the memory of snapshot '%s' is gone", node->name);
	tell(r, dom->name, node->memory_path, what, "put the file back, or delete the snapshot");
}

static bool look_at_domain(struct round *r, const struct domain *dom, GError **error)
{
	g_autoptr(snapshot_tree) tree = snapshot_tree_load(r->daemon->store, dom->uuid, error);

	if (!tree)
		return false;
	know_disks(r, dom->saved);
	know_disks(r, dom->live);
	if (dom->saved_fault)
		tell(r, dom->name, NULL, dom->saved_fault, "define it anew from its corrected XML");
	for (unsigned i = 0; i < tree->layers->len; i++)
		look_at_layer(r, dom, tree, tree->layers->pdata[i]);
	for (unsigned i = 0; i < tree->nodes->len; i++)
		look_at_node(r, dom, tree->nodes->pdata[i]);
	return true;
}

/* ---- files that nobody knows ---- */

/* An overlay of a layer: of other files in the folder we know nothing. */
static void look_at_file(struct round *r, const char *path)
{
	g_autoptr(GPtrArray) chain = NULL;

	if (g_hash_table_contains(r->known, path) ||
	    !g_file_test(path, G_FILE_TEST_IS_REGULAR))
		return;
	chain = imagehead_chain(path, false);
	for (unsigned i = 1; i < chain->len; i++) {
		g_autofree char *what = NULL;

		if (!g_hash_table_contains(r->layers, g_ptr_array_index(chain, i)))
			continue;
		what = g_strdup_printf("it stands on '%s', and belongs to no domain or snapshot",
				       (char *)g_ptr_array_index(chain, i));
		tell(r, NULL, path, what, "if nobody needs it, remove it");
		return;
	}
}

static void look_at_memory(struct round *r, const char *path)
{
	GStatBuf st;

	if (g_hash_table_contains(r->known, path) || g_lstat(path, &st) < 0)
		return;
	if (S_ISREG(st.st_mode) && st.st_size == 0)
		doctor_tell_repair(r, REPAIR_UNLINK, NULL, path,
				   "an empty file, of a snapshot that does not exist");
	else
		tell(r, NULL, path, "memory of a snapshot that does not exist",
		     "if nobody needs it, remove it");
}

void doctor_look_into(struct round *r, const char *folder,
		      void (*look)(struct round *r, const char *path))
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		look(r, path);
	}
}

/* ---- intents ---- */

/* Nobody can go on with what is about nothing. */
static void tell_intent(struct round *r, const struct journal_entry *e, const struct domain *dom,
			const char *what)
{
	bool orphan = !dom && !pool_find_uuid(r->daemon, e->uuid);
	struct finding *f = doctor_tell(r, FINDING_PROBLEM, dom ? dom->name : NULL, NULL, what,
		orphan ? "what it was about is gone: \"vmsh doctor --fix\" forgets it" :
			 "restart vmmd: it takes up what was begun; its log says why it can't");

	if (!f || !orphan)
		return;
	f->repair = REPAIR_FORGET_INTENT;
	f->id = e->id;
}

/* One that is being worked on keeps its domain busy; younger ones than we are may just end. */
static bool look_at_intents(struct round *r, GError **error)
{
	g_autoptr(GPtrArray) list = journal_list(r->daemon->store, error);

	for (unsigned i = 0; list && i < list->len; i++) {
		const struct journal_entry *e = g_ptr_array_index(list, i);
		const struct domain *dom = domain_find_uuid(r->daemon->domains, e->uuid);
		g_autofree char *what = NULL;

		if (e->created_s >= r->daemon->started_s || (dom && dom->busy) ||
		    job_delete_waits(dom, e))
			continue;
		what = g_strdup_printf("\"%s\" was begun, and is neither done nor undone", e->kind);
		tell_intent(r, e, dom, what);
	}
	return list;
}

/* ---- all of it ---- */

static void look_at_store(struct round *r)
{
	g_autoptr(GError) error = NULL;

	if (!store_is_sound(r->daemon->store, &error))
		doctor_tell(r, FINDING_PROBLEM, NULL, NULL, error->message,
			    "see dmesg, then start vmmd anew");
}

static bool look_at_all(struct round *r, GError **error)
{
	g_autoptr(GPtrArray) all = domain_table_list(r->daemon->domains);
	g_autofree char *memories = g_build_filename(r->daemon->state_dir, "snapshot", NULL);
	GHashTableIter iter;
	void *folder;

	for (unsigned i = 0; i < all->len; i++)
		if (!look_at_domain(r, all->pdata[i], error))
			return false;
	g_hash_table_iter_init(&iter, r->folders);
	while (g_hash_table_iter_next(&iter, &folder, NULL))
		doctor_look_into(r, folder, look_at_file);
	doctor_look_into(r, memories, look_at_memory);
	look_at_store(r);
	doctor_look_at_strays(r);
	doctor_look_at_use(r);
	doctor_look_at_host(r);
	return look_at_intents(r, error);
}

static GHashTable *set_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

GPtrArray *doctor_look(struct daemon *daemon, GError **error)
{
	struct round r = { daemon, g_ptr_array_new_with_free_func(finding_free), set_new(),
			   set_new(), set_new() };
	bool ok = look_at_all(&r, error);

	g_hash_table_unref(r.known);
	g_hash_table_unref(r.layers);
	g_hash_table_unref(r.folders);
	if (ok)
		return r.findings;
	g_ptr_array_unref(r.findings);
	return NULL;
}
