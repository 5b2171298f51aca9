/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots inside the disks' own qcow2 images, which are called tags here.
 *
 * A node with tags refers to the layers that have them, so these stay; but it
 * does not freeze them: the guest writes on, and qcow2 keeps what the tag shows.
 * So such a node can be gone back to while nothing stands on its layers: then a
 * layer is again what it was, and the head of its disk.
 *
 * Making: that no image has such a tag yet is looked up before CREATE_TAGS is
 * written, so that all that is found afterwards is ours and can be taken back.
 * Going back: one image after the other cannot be taken back, so from
 * REVERT_TAGS on it is completed.  Deleting: the nodes go with the transaction,
 * an intent of its own says which tags are to follow.
 */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <unistd.h>

#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"

struct tag {
	char *path, *name;
};

static void tag_free(void *opaque)
{
	struct tag *t = opaque;

	g_free(t->path);
	g_free(t->name);
	g_free(t);
}

void tags_plan(struct snapshot_op *op, const struct node *node)
{
	if (!op->tags)
		op->tags = g_ptr_array_new_with_free_func(tag_free);
	for (unsigned i = 0; i < node->disks->len; i++) {
		const struct node_disk *nd = g_ptr_array_index(node->disks, i);
		const struct layer *layer = tree_layer(op->tree, nd->frozen);
		struct tag *t;

		if (nd->place != SNAPSHOT_INTERNAL || !layer)
			continue;
		t = g_new(struct tag, 1);
		*t = (struct tag){ g_strdup(layer->path), g_strdup(node->name) };
		g_ptr_array_add(op->tags, t);
	}
}

/* ---- one image after the other ---- */

static void tag_next(struct snapshot_op *op);

/* Somebody's tag of that name is not ours to overwrite, or to take back. */
static bool tag_is_free(const struct snapshot_op *op, GVariant *result, GError **error)
{
	const struct tag *t = g_ptr_array_index(op->tags, op->tag);
	g_autoptr(GVariant) images = g_variant_lookup_value(result, "images", NULL);
	g_autoptr(GVariant) image =
		images && g_variant_n_children(images) ? g_variant_get_child_value(images, 0) :
							 NULL;
	g_autofree const char **names = NULL;

	if (!image || !g_variant_lookup(image, "tags", "^a&s", &names))
		return error_set(error, VMM_ERR_INTERNAL, "nothing is known of '%s'", t->path);
	return !g_strv_contains(names, t->name) ||
	       error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: image '%s' has a snapshot '%s' inside already", t->path,
			 t->name);
}

static void on_tag_done(GVariant *result, const GError *error, void *opaque)
{
	struct snapshot_op *op = opaque;
	GError *why = error ? g_error_copy(error) : NULL;

	if (!why && op->tag_job == IMAGEJOB_INFO)
		tag_is_free(op, result, &why);
	if (why) {
		op->tagged(op, why);
		return;
	}
	op->tag++;
	if (op->tag_job != IMAGEJOB_INFO)
		fault_point("snapshot:tag");
	tag_next(op);
}

static void tag_next(struct snapshot_op *op)
{
	GError *error = NULL;
	const struct tag *t;

	/* An image that has gone has taken its tags with it. */
	while (op->tag < op->tags->len && op->tag_job == IMAGEJOB_UNTAG &&
	       path_is_free(((const struct tag *)op->tags->pdata[op->tag])->path))
		op->tag++;
	if (op->tag == op->tags->len) {
		op->tagged(op, NULL);
		return;
	}
	t = g_ptr_array_index(op->tags, op->tag);
	if (!imagejob_start(op->daemon,
			    &(struct imagejob_opts){ .op = op->tag_job, .path = t->path,
						     .format = "qcow2", .tag = t->name },
			    on_tag_done, NULL, op, &error))
		op->tagged(op, error);
}

void tags_run(struct snapshot_op *op, enum imagejob_op job,
	      void (*tagged)(struct snapshot_op *op, GError *error))
{
	op->tag_job = job;
	op->tag = 0;
	op->tagged = tagged;
	tag_next(op);
}

/* ---- those of nodes that are gone ---- */

bool tags_forget(struct snapshot_op *op, GError **error)
{
	g_autoptr(GVariant) list = NULL;
	g_autofree char *body = NULL;
	GVariantBuilder all;

	if (!op->tags || !op->tags->len)
		return true;
	g_variant_builder_init(&all, G_VARIANT_TYPE("a(ss)"));
	for (unsigned i = 0; i < op->tags->len; i++) {
		const struct tag *t = g_ptr_array_index(op->tags, i);

		g_variant_builder_add(&all, "(ss)", t->path, t->name);
	}
	list = g_variant_ref_sink(g_variant_builder_end(&all));
	body = g_variant_print(list, FALSE);
	return journal_begin(op->daemon->store, INTENT_UNTAG, op->dom->uuid, body, &op->intent,
			     error);
}

static void on_untagged(struct snapshot_op *op, GError *error)
{
	g_autoptr(GError) why = error;

	if (!why)
		journal_end(op->daemon->store, op->intent, &why);
	if (why)
		g_warning("domain '%s': a deleted snapshot is still inside an image; the next "
			  "start of vmmd tries again: %s", op->dom->name, why->message);
	op->intent = 0;
	op->untagged(op);
}

void tags_remove(struct snapshot_op *op, void (*done)(struct snapshot_op *op))
{
	op->untagged = done;
	if (op->tags && op->tags->len)
		tags_run(op, IMAGEJOB_UNTAG, on_untagged);
	else
		done(op);
}

static void on_resumed(struct snapshot_op *op)
{
	op_end(op, NULL);
}

static void resumed(struct domain *dom, const char *name, const GError *error, void *opaque)
{
}

bool snapshot_untag_resume(struct daemon *daemon, const struct journal_entry *entry,
			   GError **error)
{
	struct domain *dom = domain_find_uuid(daemon->domains, entry->uuid);
	g_autoptr(GVariant) list =
		g_variant_parse(G_VARIANT_TYPE("a(ss)"), entry->body, NULL, NULL, error);
	struct snapshot_op *op;
	struct tag t;
	GVariantIter iter;

	if (!list)
		return false;
	if (!dom)
		return journal_end(daemon->store, entry->id, error);
	op = op_begin(dom, "a deleted snapshot goes out of its images", "", resumed, NULL, error);
	if (!op)
		return false;
	op->intent = entry->id;
	op->tags = g_ptr_array_new_with_free_func(tag_free);
	g_variant_iter_init(&iter, list);
	while (g_variant_iter_next(&iter, "(ss)", &t.path, &t.name))
		g_ptr_array_add(op->tags, g_memdup2(&t, sizeof(t)));
	tags_remove(op, on_resumed);
	return true;
}
