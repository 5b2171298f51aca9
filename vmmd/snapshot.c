/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all operations on snapshots have in common, and those that touch no file. */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/autostart.h"
#include "vmmd/disk-live.h"
#include "vmmd/graph.h"

static void layer_free(void *p)
{
	struct layer *layer = p;

	g_free(layer->target);
	g_free(layer->path);
	g_free(layer);
}

/* A node can be gone back to at any time: not in a domain that its end takes away. */
static bool may_have_nodes(struct domain *dom, GError **error)
{
	if (dom->persistent)
		return domain_idle(dom, error) && domain_need_saved(dom, error);
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: domain '%s' is transient: at its end "
			 "nothing would be left to revert. Make it persistent while it runs: "
			 "'vmsh dumpxml --inactive %s > x.xml' and 'vmsh define x.xml'",
			 dom->name, dom->name);
}

struct snapshot_op *op_begin(struct domain *dom, const char *what, const char *name,
			     snapshot_done *done, void *opaque, GError **error)
{
	g_autoptr(snapshot_tree) tree = NULL;
	struct snapshot_op *op;

	if (!may_have_nodes(dom, error))
		return NULL;
	tree = snapshot_tree_load(dom->daemon->store, dom->uuid, error);
	if (!tree)
		return NULL;
	op = g_new0(struct snapshot_op, 1);
	op->dom = dom;
	op->daemon = dom->daemon;
	op->tree = g_steal_pointer(&tree);
	op->name = g_strdup(name);
	op->done = done;
	op->opaque = opaque;
	op->memory_fd = -1;
	op->news = g_ptr_array_new_with_free_func(layer_free);
	op->skipped = g_array_new(FALSE, FALSE, sizeof(int64_t));
	dom->busy = what;
	return op;
}

void op_end(struct snapshot_op *op, GError *error)
{
	op->dom->busy = NULL;
	op->dom->snapshots = snapshot_count(op->daemon->store, op->dom->uuid);
	op->done(op->dom, op->name, error, op->opaque);
	autostart_due(op->dom);
	g_clear_error(&error);
	snapshot_tree_free(op->tree);
	g_ptr_array_unref(op->news);
	g_array_unref(op->skipped);
	g_clear_pointer(&op->tags, g_ptr_array_unref);
	domain_def_free(op->def);
	fd_close(&op->memory_fd);
	g_free(op->name);
	g_free(op->xml);
	g_free(op->inactive);
	g_free(op);
}

bool op_reload(struct snapshot_op *op, GError **error)
{
	snapshot_tree *tree = snapshot_tree_load(op->daemon->store, op->dom->uuid, error);

	if (!tree)
		return false;
	snapshot_tree_free(op->tree);
	op->tree = tree;
	return true;
}

/* ---- layers and definitions ---- */

struct disk_def *def_disk(const domain_def *def, const char *target)
{
	for (unsigned i = 0; def && i < def->disks->len; i++) {
		struct disk_def *d = g_ptr_array_index(def->disks, i);

		if (strcmp(d->target, target) == 0)
			return d;
	}
	return NULL;
}

static bool def_has_path(const domain_def *def, const char *path)
{
	for (unsigned i = 0; def && i < def->disks->len; i++)
		if (strcmp(((struct disk_def *)def->disks->pdata[i])->path, path) == 0)
			return true;
	return false;
}

bool layer_is_head(const struct domain *dom, const struct layer *layer)
{
	return def_has_path(dom->saved, layer->path) || def_has_path(dom->live, layer->path);
}

static bool file_is_shared(const struct domain *dom, const char *path)
{
	g_autoptr(GPtrArray) all = domain_table_list(dom->daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		const struct domain *other = g_ptr_array_index(all, i);

		if (other != dom &&
		    (def_has_path(other->saved, path) || def_has_path(other->live, path)))
			return true;
	}
	return false;
}

bool layer_is_shared(const struct snapshot_op *op, const struct layer *layer)
{
	g_autoptr(GPtrArray) overlays = graph_overlays(op->daemon, layer->path);

	for (unsigned i = 0; i < overlays->len; i++)
		if (!tree_layer_of(op->tree, g_ptr_array_index(overlays, i)))
			return true;
	return file_is_shared(op->dom, layer->path);
}

bool layer_release(struct snapshot_op *op, struct layer *layer, GError **error)
{
	struct store *store = op->daemon->store;

	while (layer && layer->state == LAYER_READY && !layer->kept &&
	       layer_references(op->tree, layer) == 0 &&
	       layer_children(op->tree, layer, NULL) == 0 &&
	       !def_has_path(op->def ?: op->dom->saved, layer->path) &&
	       !def_has_path(op->dom->live, layer->path)) {
		struct layer *parent = tree_layer(op->tree, layer->parent);
		bool ours = layer->ours && !layer_is_shared(op, layer);

		if (!(ours ? snapshot_layer_set(store, layer->id, LAYER_DEAD, error)
			   : snapshot_layer_remove(store, layer->id, error)))
			return false;
		layer->state = LAYER_DEAD;
		layer = parent;
	}
	return true;
}

domain_def *def_with_heads(const struct domain *dom, const snapshot_tree *tree)
{
	g_autoptr(domain_def) def = domain_def_copy(dom->saved);
	bool changed = false;

	for (unsigned i = 0; i < tree->layers->len; i++) {
		const struct layer *layer = g_ptr_array_index(tree->layers, i);
		const struct layer *base = tree_layer(tree, layer->parent);
		struct disk_def *d = def_disk(def, layer->target);

		if (layer->state != LAYER_PENDING || !d || !base ||
		    strcmp(d->path, base->path) != 0)
			continue;
		disk_live_set_source(d, layer->path, layer->format);
		changed = true;
	}
	return changed ? g_steal_pointer(&def) : NULL;
}

/* ---- what is shown ---- */

/* Files may have got other names since, by merging. */
static void def_show_files(domain_def *def, const snapshot_tree *tree, const struct node *node)
{
	for (unsigned i = 0; def && i < node->disks->len; i++) {
		const struct node_disk *nd = g_ptr_array_index(node->disks, i);
		const struct layer *frozen = tree_layer(tree, nd->frozen);
		struct disk_def *d = def_disk(def, nd->target);

		if (frozen && d && strcmp(d->path, frozen->path) != 0)
			disk_live_set_source(d, frozen->path, frozen->format);
	}
}

static bool def_show(const char *xml, const snapshot_tree *tree, const struct node *node,
		     domain_def **ret, GError **error)
{
	if (!xml)
		return true;
	*ret = domain_def_parse(xml, 0, error);
	def_show_files(*ret, tree, node);
	return *ret;
}

static snapshot_def *node_show(const snapshot_tree *tree, const struct node *node)
{
	const struct node *parent = tree_parent(tree, node);
	snapshot_def *def = snapshot_def_new();

	def->name = g_strdup(node->name);
	def->description = g_strdup(node->description);
	def->state = node->state;
	def->parent = parent ? g_strdup(parent->name) : NULL;
	def->created_s = node->created_s;
	def->memory = node->memory_path ? SNAPSHOT_EXTERNAL : SNAPSHOT_NO;
	def->memory_path = g_strdup(node->memory_path);
	for (unsigned i = 0; i < node->disks->len; i++) {
		const struct node_disk *nd = g_ptr_array_index(node->disks, i);
		const struct layer *overlay = tree_layer(tree, nd->overlay);

		snapshot_def_add_disk(def, nd->target, nd->place, overlay ? overlay->path : NULL);
	}
	return def;
}

static struct node *node_need(const snapshot_tree *tree, const char *name, GError **error)
{
	struct node *node = tree_find(tree, name);

	if (!node)
		error_set(error, VMM_ERR_NO_SNAPSHOT,
			  "Domain snapshot not found: no domain snapshot with matching name '%s'",
			  name);
	return node;
}

char *snapshot_xml(struct domain *dom, const char *name, GError **error)
{
	struct store *store = dom->daemon->store;
	g_autoptr(snapshot_tree) tree = snapshot_tree_load(store, dom->uuid, error);
	const struct node *node = tree ? node_need(tree, name, error) : NULL;
	g_autoptr(snapshot_def) def = node ? node_show(tree, node) : NULL;
	g_autofree char *xml = NULL, *inactive = NULL;

	if (!def || !snapshot_xml_load(store, node->id, &xml, &inactive, error) ||
	    !def_show(xml, tree, node, &def->domain, error) ||
	    !def_show(inactive, tree, node, &def->inactive, error))
		return NULL;
	return snapshot_def_format(def);
}

/* ---- defining anew ---- */

static bool describe(struct domain *dom, const struct node *node, const snapshot_def *def,
		     bool current, GError **error)
{
	struct store *store = dom->daemon->store;

	if (node->state != def->state)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: snapshot '%s' is of a domain that was '%s'; "
				 "that can't become '%s'", node->name,
				 snapshot_state_name(node->state), snapshot_state_name(def->state));
	if (!store_begin(store, error))
		return false;
	if (snapshot_node_describe(store, node->id, def->description, error) &&
	    (!current || snapshot_current_set(store, dom->uuid, node->id, error)))
		return store_commit(store, error);
	store_rollback(store);
	return false;
}

/* The files are the user's from now on: they are used, but never removed. */
static struct layer *layer_redefine(struct domain *dom, snapshot_tree *tree,
				    const struct disk_def *d, GError **error)
{
	struct layer *layer = tree_layer_of(tree, d->path);

	if (layer)
		return layer;
	layer = g_new0(struct layer, 1);
	layer->target = g_strdup(d->target);
	layer->path = g_strdup(d->path);
	layer->format = d->format;
	g_ptr_array_add(tree->layers, layer);
	return snapshot_layer_add(dom->daemon->store, dom->uuid, layer, error) ? layer : NULL;
}

static bool node_redefine(struct domain *dom, snapshot_tree *tree, struct node *node,
			  const snapshot_def *def, GError **error)
{
	g_autofree char *xml = domain_def_format(def->domain, 0);
	g_autofree char *inactive = def->inactive ? domain_def_format(def->inactive, 0) : NULL;

	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct snapshot_disk *sd = g_ptr_array_index(def->disks, i);
		const struct disk_def *d = def_disk(def->domain, sd->name);
		struct node_disk *nd = node_disk_add(
			node, sd->name,
			sd->place == SNAPSHOT_DEFAULT ? SNAPSHOT_NO : sd->place);
		const struct layer *layer;

		if (nd->place == SNAPSHOT_NO || !d)
			continue;
		layer = layer_redefine(dom, tree, d, error);
		if (!layer)
			return false;
		nd->frozen = layer->id;
	}
	return snapshot_node_add(dom->daemon->store, dom->uuid, node, xml, inactive, error);
}

static bool redefine_new(struct domain *dom, snapshot_tree *tree, const snapshot_def *def,
			 bool current, GError **error)
{
	struct store *store = dom->daemon->store;
	const struct node *parent = def->parent ? node_need(tree, def->parent, error) : NULL;
	struct node *node;

	if (def->parent && !parent)
		return false;
	if (!def->domain)
		return error_set(error, VMM_ERR_INVALID_ARG, "invalid argument: <domain> is "
				 "missing: a snapshot is defined anew from its whole XML");
	if (memcmp(def->domain->uuid, dom->uuid, UUID_BYTES) != 0)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: the snapshot is one of another domain");
	node = tree_node_new(tree, def->name);
	node->parent = parent ? parent->id : 0;
	node->description = g_strdup(def->description);
	node->state = def->state;
	node->created_s = def->created_s;
	node->memory_path = g_strdup(def->memory_path);
	if (!store_begin(store, error))
		return false;
	if (node_redefine(dom, tree, node, def, error) &&
	    (!current || snapshot_current_set(store, dom->uuid, node->id, error)))
		return store_commit(store, error);
	store_rollback(store);
	return false;
}

bool snapshot_redefine(struct domain *dom, const snapshot_def *def, bool current, GError **error)
{
	g_autoptr(snapshot_tree) tree = NULL;
	const struct node *node;
	bool ok;

	if (!def->name)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: the snapshot has no <name>");
	if (!may_have_nodes(dom, error))
		return false;
	tree = snapshot_tree_load(dom->daemon->store, dom->uuid, error);
	if (!tree)
		return false;
	node = tree_find(tree, def->name);
	ok = node ? describe(dom, node, def, current, error) :
		    redefine_new(dom, tree, def, current, error);
	dom->snapshots = snapshot_count(dom->daemon->store, dom->uuid);
	return ok;
}

/* ---- after a restart ---- */

static void sweep(struct daemon *daemon, struct domain *dom)
{
	g_autoptr(GError) error = NULL;

	dom->snapshots = snapshot_count(daemon->store, dom->uuid);
	if (!dom->busy && !dead_sweep(daemon, dom->uuid, &error))
		g_warning("domain '%s': %s", dom->name, error->message);
}

void snapshot_sweep_all(struct daemon *daemon)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) all = snapshot_domains(daemon->store, &error);

	if (!all)
		g_warning("%s", error->message);
	for (unsigned i = 0; all && i < all->len; i++) {
		struct domain *dom = domain_find_uuid(daemon->domains,
						      g_bytes_get_data(all->pdata[i], NULL));

		if (dom)
			sweep(daemon, dom);
	}
}
