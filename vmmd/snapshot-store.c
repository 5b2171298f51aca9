/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The statements that change what is known of snapshots. */
#include "config.h"
#include "vmmd/snapshot-tree.h"

#include <string.h>

#include "vmmd/store-priv.h"

#define CHANGE(store, error, sql, types, ...) \
	store_write(store, error, "store the snapshots", sql, types, __VA_ARGS__)

bool snapshot_xml_load(struct store *store, int64_t node, char **ret_xml, char **ret_inactive,
		       GError **error)
{
	sqlite3_stmt *st = store_statement(
		store, "SELECT xml, inactive FROM snapshots WHERE id = ?1", error);
	bool ok;

	if (!st)
		return false;
	sqlite3_bind_int64(st, 1, node);
	ok = sqlite3_step(st) == SQLITE_ROW;
	if (ok) {
		*ret_xml = g_strdup((const char *)sqlite3_column_text(st, 0));
		*ret_inactive = g_strdup((const char *)sqlite3_column_text(st, 1));
	} else {
		store_error(store, "read a snapshot", error);
	}
	store_reset(st);
	return ok;
}

static bool disk_add(struct store *store, int64_t node, const struct node_disk *d, GError **error)
{
	return CHANGE(store, error,
		      "INSERT INTO snapshot_disks(snapshot, target, place, frozen, overlay)"
		      " VALUES(?1, ?2, ?3, nullif(?4, 0), nullif(?5, 0))", "isiii", node,
		      d->target, (int64_t)d->place, d->frozen, d->overlay);
}

bool snapshot_node_add(struct store *store, const uint8_t uuid[UUID_BYTES], struct node *node,
		       const char *xml, const char *inactive, GError **error)
{
	if (!CHANGE(store, error,
		    "INSERT INTO snapshots(domain, name, parent, created, state, description, xml,"
		    " inactive, memory, memory_ours, current, pending)"
		    " VALUES(?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11)",
		    "usiiissssii", uuid, node->name, node->parent, node->created_s,
		    (int64_t)node->state, node->description, xml, inactive, node->memory_path,
		    (int64_t)node->memory_ours, (int64_t)node->pending))
		return false;
	node->id = store_last_id(store);
	for (unsigned i = 0; i < node->disks->len; i++)
		if (!disk_add(store, node->id, node->disks->pdata[i], error))
			return false;
	return true;
}

bool snapshot_node_remove(struct store *store, int64_t node, GError **error)
{
	return CHANGE(store, error, "DELETE FROM snapshot_disks WHERE snapshot = ?1", "i", node) &&
	       CHANGE(store, error, "DELETE FROM snapshots WHERE id = ?1", "i", node);
}

bool snapshot_node_describe(struct store *store, int64_t node, const char *text, GError **error)
{
	return CHANGE(store, error, "UPDATE snapshots SET description = ?2 WHERE id = ?1", "is",
		      node, text);
}

bool snapshot_node_adopt(struct store *store, int64_t from, int64_t to, GError **error)
{
	return CHANGE(store, error,
		      "UPDATE snapshots SET parent = nullif(?2, 0) WHERE parent = ?1", "ii", from,
		      to);
}

bool snapshot_current_set(struct store *store, const uint8_t uuid[UUID_BYTES], int64_t node,
			  GError **error)
{
	return CHANGE(store, error,
		      "UPDATE snapshots SET current = 0 WHERE domain = ?1 AND current", "u",
		      uuid) &&
	       CHANGE(store, error, "UPDATE snapshots SET current = 1 WHERE id = ?1", "i", node);
}

bool snapshot_layer_add(struct store *store, const uint8_t uuid[UUID_BYTES], struct layer *layer,
			GError **error)
{
	if (!CHANGE(store, error,
		    "INSERT INTO layers(domain, target, path, format, parent, state, ours, kept)"
		    " VALUES(?1, ?2, ?3, ?4, nullif(?5, 0), ?6, ?7, ?8)", "ussiiiii", uuid,
		    layer->target, layer->path, (int64_t)layer->format, layer->parent,
		    (int64_t)layer->state, (int64_t)layer->ours, (int64_t)layer->kept))
		return false;
	layer->id = store_last_id(store);
	return true;
}

bool snapshot_layer_remove(struct store *store, int64_t layer, GError **error)
{
	return CHANGE(store, error, "UPDATE layers SET parent = NULL WHERE parent = ?1", "i",
		      layer) &&
	       CHANGE(store, error,
		      "UPDATE snapshot_disks SET overlay = NULL WHERE overlay = ?1", "i", layer) &&
	       CHANGE(store, error, "DELETE FROM layers WHERE id = ?1", "i", layer);
}

bool snapshot_layers_drop(struct store *store, const uint8_t uuid[UUID_BYTES], const char *target,
			  GError **error)
{
	return CHANGE(store, error,
		      "UPDATE layers SET parent = NULL WHERE domain = ?1 AND target = ?2", "us",
		      uuid, target) &&
	       CHANGE(store, error, "DELETE FROM layers WHERE domain = ?1 AND target = ?2", "us",
		      uuid, target);
}

char *snapshot_layer_owner(struct store *store, const char *path, const uint8_t *but)
{
	sqlite3_stmt *st = store_statement(store,
		"SELECT domains.name, layers.domain FROM layers"
		" JOIN domains ON domains.uuid = layers.domain WHERE layers.path = ?1", NULL);
	char *name = NULL;

	if (!st)
		return g_strdup("?");	/* nothing is known: somebody's */
	sqlite3_bind_text(st, 1, path, -1, SQLITE_TRANSIENT);
	while (!name && sqlite3_step(st) == SQLITE_ROW)
		if (!but || memcmp(sqlite3_column_blob(st, 1), but, UUID_BYTES) != 0)
			name = g_strdup((const char *)sqlite3_column_text(st, 0));
	store_reset(st);
	return name;
}

bool snapshot_layer_set(struct store *store, int64_t layer, enum layer_state state, GError **error)
{
	return CHANGE(store, error, "UPDATE layers SET state = ?2 WHERE id = ?1", "ii", layer,
		      (int64_t)state);
}

bool snapshot_layer_keep(struct store *store, int64_t layer, GError **error)
{
	return CHANGE(store, error, "UPDATE layers SET kept = 1 WHERE id = ?1", "i", layer);
}

bool snapshot_layer_replace(struct store *store, int64_t from, int64_t to, GError **error)
{
	return CHANGE(store, error, "UPDATE layers SET parent = ?2 WHERE parent = ?1 AND id <> ?2",
		      "ii", from, to) &&
	       CHANGE(store, error, "UPDATE snapshot_disks SET frozen = ?2 WHERE frozen = ?1",
		      "ii", from, to) &&
	       CHANGE(store, error, "UPDATE snapshot_disks SET overlay = ?2 WHERE overlay = ?1",
		      "ii", from, to);
}

bool snapshot_layer_set_parent(struct store *store, int64_t layer, int64_t parent, GError **error)
{
	return CHANGE(store, error, "UPDATE layers SET parent = nullif(?2, 0) WHERE id = ?1", "ii",
		      layer, parent);
}

bool snapshot_pending_accept(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error)
{
	return CHANGE(store, error, "UPDATE layers SET state = 0 WHERE domain = ?1 AND state = 1",
		      "u", uuid) &&
	       CHANGE(store, error, "UPDATE snapshots SET pending = 0 WHERE domain = ?1", "u",
		      uuid);
}

bool snapshot_pending_drop(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error)
{
	return CHANGE(store, error,
		      "DELETE FROM snapshot_disks WHERE snapshot IN"
		      " (SELECT id FROM snapshots WHERE domain = ?1 AND pending)", "u", uuid) &&
	       CHANGE(store, error, "DELETE FROM snapshots WHERE domain = ?1 AND pending", "u",
		      uuid) &&
	       CHANGE(store, error, "DELETE FROM layers WHERE domain = ?1 AND state = 1", "u",
		      uuid);
}

bool snapshot_forget_all(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error)
{
	return CHANGE(store, error,
		      "DELETE FROM snapshot_disks WHERE snapshot IN"
		      " (SELECT id FROM snapshots WHERE domain = ?1)", "u", uuid) &&
	       CHANGE(store, error, "UPDATE snapshots SET parent = NULL WHERE domain = ?1", "u",
		      uuid) &&
	       CHANGE(store, error, "DELETE FROM snapshots WHERE domain = ?1", "u", uuid) &&
	       CHANGE(store, error, "UPDATE layers SET parent = NULL WHERE domain = ?1", "u",
		      uuid) &&
	       CHANGE(store, error, "DELETE FROM layers WHERE domain = ?1", "u", uuid);
}

unsigned snapshot_count(struct store *store, const uint8_t uuid[UUID_BYTES])
{
	sqlite3_stmt *st = store_statement(
		store, "SELECT count(*) FROM snapshots WHERE domain = ?1 AND NOT pending", NULL);
	unsigned n = 0;

	if (!st)
		return 0;
	store_bind_uuid(st, 1, uuid);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (unsigned)sqlite3_column_int(st, 0);
	store_reset(st);
	return n;
}

GPtrArray *snapshot_domains(struct store *store, GError **error)
{
	sqlite3_stmt *st = store_statement(
		store, "SELECT domain FROM snapshots UNION SELECT domain FROM layers", error);
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	int rc;

	if (!st)
		return NULL;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		g_ptr_array_add(list, g_bytes_new(sqlite3_column_blob(st, 0), UUID_BYTES));
	if (rc != SQLITE_DONE)
		store_error(store, "read the snapshots", error);
	store_reset(st);
	return rc == SQLITE_DONE ? g_steal_pointer(&list) : NULL;
}
