/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the disks of two snapshots differ: what is allocated above the layer
 * that both stand on.  Blocks that were written with what they had before count.
 */
#include "config.h"
#include "vmmd/snapshot-diff.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "vmmd/imagejob.h"
#include "vmmd/snapshot-tree.h"

struct side {
	char *target;
	const struct layer *top;
	unsigned above;			/* layers of it that the other does not have */
};

struct diff {
	struct daemon *daemon;
	snapshot_tree *tree;
	GArray *sides;			/* of struct side: to be mapped one after the other */
	unsigned at;
	GArray *ranges;			/* of struct diff_range */
	bool truncated;
	snapshot_diff_done *done;
	void *opaque;
};

static void side_clear(void *p)
{
	g_free(((struct side *)p)->target);
}

static void diff_end(struct diff *d, const GError *error);

/* ---- what is to be mapped ---- */

static unsigned depth_of(const snapshot_tree *tree, const struct layer *top,
			 const struct layer *below)
{
	unsigned n = 0;

	for (; top && top != below; top = tree_layer(tree, top->parent))
		n++;
	return n;
}

static bool is_below(const snapshot_tree *tree, const struct layer *top, const struct layer *layer)
{
	for (; top; top = tree_layer(tree, top->parent))
		if (top == layer)
			return true;
	return false;
}

static void side_add(struct diff *d, const char *target, const struct layer *top,
		     const struct layer *common)
{
	struct side s = { g_strdup(target), top, depth_of(d->tree, top, common) };

	if (s.above > 0)
		g_array_append_val(d->sides, s);
	else
		g_free(s.target);
}

static void sides_add(struct diff *d, const struct node *a, const struct node *b)
{
	for (unsigned i = 0; i < a->disks->len; i++) {
		const struct node_disk *da = g_ptr_array_index(a->disks, i);
		const struct node_disk *db = node_disk_find(b, da->target);
		const struct layer *la = tree_layer(d->tree, da->frozen);
		const struct layer *lb = db ? tree_layer(d->tree, db->frozen) : NULL;
		const struct layer *common = la;

		if (!la || !lb)
			continue;
		while (common && !is_below(d->tree, lb, common))
			common = tree_layer(d->tree, common->parent);
		side_add(d, da->target, la, common);
		side_add(d, da->target, lb, common);
	}
}

/* ---- mapping ---- */

static void map_next(struct diff *d);

static void take_extents(struct diff *d, const struct side *s, GVariant *extents)
{
	guint64 start, length;
	guint32 depth;
	gboolean present, zero, data;
	GVariantIter iter;

	g_variant_iter_init(&iter, extents);
	while (g_variant_iter_next(&iter, "(ttubbb)", &start, &length, &depth, &present, &zero,
				   &data)) {
		struct diff_range r = { s->target, start, length };

		if (present && depth < s->above)
			g_array_append_val(d->ranges, r);
	}
}

static void on_mapped(GVariant *result, const GError *error, void *opaque)
{
	struct diff *d = opaque;
	g_autoptr(GVariant) extents =
		result ? g_variant_lookup_value(result, "extents", G_VARIANT_TYPE("a(ttubbb)")) :
			 NULL;
	gboolean truncated = false;

	if (error) {
		diff_end(d, error);
		return;
	}
	if (extents)
		take_extents(d, &g_array_index(d->sides, struct side, d->at), extents);
	g_variant_lookup(result, "truncated", "b", &truncated);
	d->truncated |= truncated;
	d->at++;
	map_next(d);
}

static void map_next(struct diff *d)
{
	const struct side *s =
		d->at < d->sides->len ? &g_array_index(d->sides, struct side, d->at) : NULL;
	g_autoptr(GError) error = NULL;

	if (!s) {
		diff_end(d, NULL);
		return;
	}
	struct imagejob_opts opts = {
		.op = IMAGEJOB_MAP, .path = s->top->path,
		.format = disk_format_name(s->top->format),
	};
	if (!imagejob_start(d->daemon, &opts, on_mapped, NULL, d, &error))
		diff_end(d, error);
}

/* ---- the answer ---- */

static gint range_order(gconstpointer pa, gconstpointer pb)
{
	const struct diff_range *a = pa, *b = pb;
	int names = strcmp(a->target, b->target);

	return names ? names : a->start < b->start ? -1 : a->start > b->start;
}

/* Sorted, and those that touch are one. */
static void ranges_join(GArray *ranges)
{
	unsigned kept = 0;

	g_array_sort(ranges, range_order);
	for (unsigned i = 0; i < ranges->len; i++) {
		struct diff_range r = g_array_index(ranges, struct diff_range, i);
		struct diff_range *last =
			kept ? &g_array_index(ranges, struct diff_range, kept - 1) : NULL;

		if (last && strcmp(last->target, r.target) == 0 &&
		    r.start <= last->start + last->length)
			last->length = MAX(last->length, r.start + r.length - last->start);
		else
			g_array_index(ranges, struct diff_range, kept++) = r;
	}
	g_array_set_size(ranges, kept);
}

static void diff_end(struct diff *d, const GError *error)
{
	ranges_join(d->ranges);
	if (d->ranges->len > SNAPSHOT_DIFF_MAX) {
		g_array_set_size(d->ranges, SNAPSHOT_DIFF_MAX);
		d->truncated = true;
	}
	d->done(error ? NULL : d->ranges, d->truncated, error, d->opaque);
	snapshot_tree_free(d->tree);
	g_array_unref(d->sides);
	g_array_unref(d->ranges);
	g_free(d);
}

static bool is_outside(const struct node *node, GError **error)
{
	return !node_has_tags(node) ||
	       error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
			 "Operation not supported: snapshot '%s' is inside a qcow2 file: what its "
			 "blocks are can't be compared", node->name);
}

static const struct node *node_of(const snapshot_tree *tree, const char *name, GError **error)
{
	const struct node *node = tree_find(tree, name);

	if (!node)
		error_set(error, VMM_ERR_NO_SNAPSHOT,
			  "Domain snapshot not found: no domain snapshot with matching name '%s'",
			  name);
	return node;
}

void snapshot_diff(struct domain *dom, const char *name_a, const char *name_b,
		   snapshot_diff_done *done, void *opaque)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(snapshot_tree) tree = domain_idle(dom, &error) ?
		snapshot_tree_load(dom->daemon->store, dom->uuid, &error) : NULL;
	const struct node *a = tree ? node_of(tree, name_a, &error) : NULL;
	const struct node *b = a ? node_of(tree, name_b, &error) : NULL;
	struct diff *d;

	if (!b || !is_outside(a, &error) || !is_outside(b, &error)) {
		done(NULL, false, error, opaque);
		return;
	}
	d = g_new0(struct diff, 1);
	d->daemon = dom->daemon;
	d->tree = g_steal_pointer(&tree);
	d->done = done;
	d->opaque = opaque;
	d->ranges = g_array_new(FALSE, FALSE, sizeof(struct diff_range));
	d->sides = g_array_new(FALSE, FALSE, sizeof(struct side));
	g_array_set_clear_func(d->sides, side_clear);
	sides_add(d, a, b);
	map_next(d);
}
