/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of domains: who exists, with which definitions, in which state. */
#include "config.h"
#include "vmmd/domain.h"

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/console-log.h"
#include "vmmd/graph.h"
#include "vmmd/job-past.h"
#include "vmmd/owner.h"
#include "vmmd/save.h"
#include "vmmd/settle.h"
#include "vmmd/snapshot-tree.h"

/* of idle moments, for reading definitions */
#define READ_SLICE_US 2000

struct domain_table {
	GHashTable *by_uuid;		/* 16 bytes inside the domain -> domain, owned */
	GHashTable *by_name;
	GHashTable *by_id;		/* active ones */
	GPtrArray *sorted;		/* by name; NULL: not since somebody came or went */
	GQueue unread;			/* definitions, for idle moments */
	guint reader;
	struct daemon *daemon;		/* whose definitions they are */
};

static void domain_free(void *p)
{
	struct domain *dom = p;

	domain_def_free(dom->saved);
	domain_def_free(dom->live);
	g_free(dom->unread_xml);
	g_free(dom->live_xml);
	g_free(dom->saved_fault);
	g_free(dom->owner);
	g_slist_free(dom->writers);
	job_past_free(dom->job_past);
	g_free(dom->detail);
	g_free(dom->name);
	g_free(dom);
}

struct domain_table *domain_table_new(void)
{
	struct domain_table *t = g_new0(struct domain_table, 1);

	t->by_uuid = g_hash_table_new_full(uuid_hash, uuid_equal, NULL, domain_free);
	t->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	t->by_id = g_hash_table_new(NULL, NULL);
	return t;
}

void domain_table_free(struct domain_table *t)
{
	if (!t)
		return;
	g_clear_handle_id(&t->reader, g_source_remove);
	g_queue_clear(&t->unread);
	g_clear_pointer(&t->sorted, g_ptr_array_unref);
	g_hash_table_unref(t->by_id);
	g_hash_table_unref(t->by_name);
	g_hash_table_unref(t->by_uuid);
	g_free(t);
}

struct domain *domain_new(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], const char *name)
{
	struct domain *dom = g_new0(struct domain, 1);

	dom->daemon = daemon;
	memcpy(dom->uuid, uuid, UUID_BYTES);
	uuid_to_text(uuid, dom->uuid_text);
	dom->name = g_strdup(name);
	dom->id = -1;
	dom->state = DOMAIN_OFF;
	dom->created_s = g_get_real_time() / G_USEC_PER_SEC;
	dom->state_since_us = g_get_monotonic_time();
	g_hash_table_insert(daemon->domains->by_uuid, dom->uuid, dom);
	g_hash_table_insert(daemon->domains->by_name, dom->name, dom);
	g_clear_pointer(&daemon->domains->sorted, g_ptr_array_unref);
	return dom;
}

void domain_drop(struct domain *dom)
{
	struct domain_table *t = dom->daemon->domains;

	console_log_remove(dom);
	if (dom->owner)
		owner_changed(dom->daemon);
	if (dom->id >= 0)
		g_hash_table_remove(t->by_id, GINT_TO_POINTER(dom->id));
	g_hash_table_remove(t->by_name, dom->name);
	g_clear_pointer(&t->sorted, g_ptr_array_unref);
	if (t->unread.length)
		g_queue_remove(&t->unread, dom);
	g_hash_table_remove(t->by_uuid, dom->uuid);
}

/* ---- reading definitions ---- */

void domain_read(struct domain *dom)
{
	g_autoptr(GError) error = NULL;

	if (!dom->unread_xml || dom->saved_fault)
		return;
	dom->saved = domain_def_parse(dom->unread_xml, 0, &error);
	if (dom->saved) {
		g_clear_pointer(&dom->unread_xml, g_free);
		owner_note(dom);
		return;
	}
	g_warning("domain '%s': its stored definition can't be used: %s", dom->name,
		  error->message);
	dom->saved_fault = g_strdup(error->message);
}

/* A client that comes meanwhile waits for a few of them at most. */
static gboolean on_idle(void *opaque)
{
	struct domain_table *t = opaque;
	const int64_t end_us = g_get_monotonic_time() + READ_SLICE_US;
	struct domain *dom;

	while (g_get_monotonic_time() < end_us) {
		dom = g_queue_pop_head(&t->unread);
		if (!dom) {
			t->reader = 0;
			settle_soon(t->daemon);
			return G_SOURCE_REMOVE;
		}
		domain_read(dom);
	}
	return G_SOURCE_CONTINUE;
}

static struct domain *found(struct domain *dom)
{
	if (dom)
		domain_read(dom);
	return dom;
}

static void load_one(const struct store_domain *row, void *opaque)
{
	struct domain *dom = domain_new(opaque, row->uuid, row->name);

	dom->persistent = true;
	dom->autostart = row->autostart;
	dom->created_s = row->created_s;
	dom->state = save_managed_is_there(dom) ? DOMAIN_SAVED : DOMAIN_OFF;
	/* Of a state that was not an end nobody has said how it ended. */
	dom->reason = row->state == DOMAIN_OFF || row->state == DOMAIN_SAVED ?
			      (enum wire_reason)row->reason :
			      REASON_UNKNOWN;
	if (dom->state == DOMAIN_SAVED)
		dom->reason = REASON_SHUTOFF_SAVED;
	dom->unread_xml = g_strdup(row->xml);
	g_queue_push_tail(&dom->daemon->domains->unread, dom);
}

bool domain_table_load(struct domain_table *t, struct daemon *daemon, GError **error)
{
	if (!store_domains(daemon->store, load_one, daemon, error))
		return false;
	t->daemon = daemon;
	t->reader = g_idle_add(on_idle, t);
	return true;
}

struct domain *domain_find_uuid(struct domain_table *t, const uint8_t uuid[UUID_BYTES])
{
	return found(g_hash_table_lookup(t->by_uuid, uuid));
}

struct domain *domain_find_name(struct domain_table *t, const char *name)
{
	return found(g_hash_table_lookup(t->by_name, name));
}

struct domain *domain_find_id(struct domain_table *t, int id)
{
	return id < 0 ? NULL : found(g_hash_table_lookup(t->by_id, GINT_TO_POINTER(id)));
}

bool domain_table_has(const struct domain_table *t, const uint8_t uuid[UUID_BYTES])
{
	return g_hash_table_contains(t->by_uuid, uuid);
}

static gint name_order(gconstpointer a, gconstpointer b)
{
	const struct domain *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

GPtrArray *domain_table_peek(struct domain_table *t)
{
	GHashTableIter iter;
	void *dom;

	if (t->sorted)
		return g_ptr_array_copy(t->sorted, NULL, NULL);
	t->sorted = g_ptr_array_sized_new(g_hash_table_size(t->by_uuid));
	g_hash_table_iter_init(&iter, t->by_uuid);
	while (g_hash_table_iter_next(&iter, NULL, &dom))
		g_ptr_array_add(t->sorted, dom);
	g_ptr_array_sort(t->sorted, name_order);
	return g_ptr_array_copy(t->sorted, NULL, NULL);
}

GPtrArray *domain_table_list(struct domain_table *t)
{
	GPtrArray *list = domain_table_peek(t);

	for (unsigned i = 0; i < list->len; i++)
		domain_read(list->pdata[i]);
	return list;
}

bool domain_match(struct domain_table *t, const domain_def *def, struct domain **ret,
		  GError **error)
{
	struct domain *same_uuid = domain_find_uuid(t, def->uuid);
	struct domain *same_name = domain_find_name(t, def->name);

	if (same_uuid == same_name) {
		*ret = same_uuid;
		return true;
	}
	if (same_name)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "operation failed: domain '%s' already exists with uuid %s: "
				 "give that <uuid> to redefine it, or another <name>, "
				 "or change it where it is: edit %s",
				 def->name, same_name->uuid_text, def->name);
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: domain '%s' is already defined with uuid %s",
			 same_uuid->name, same_uuid->uuid_text);
}

bool domain_idle(const struct domain *dom, GError **error)
{
	if (!dom->busy)
		return true;
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: domain '%s' is busy: %s", dom->name,
			 dom->busy);
}

bool domain_save_begin(struct domain *dom, const domain_def *def, GError **error)
{
	g_autofree char *xml = domain_def_format(def, 0);
	struct store_domain row = {
		.name = def->name, .xml = xml, .autostart = dom->autostart,
		.state = (int)dom->state, .reason = (int)dom->reason, .created_s = dom->created_s,
	};

	memcpy(row.uuid, dom->uuid, UUID_BYTES);
	return store_put_domain(dom->daemon->store, &row, error);
}

void domain_save_end(struct domain *dom, domain_def *def)
{
	domain_def_free(dom->saved);
	g_clear_pointer(&dom->unread_xml, g_free);
	g_clear_pointer(&dom->saved_fault, g_free);
	dom->saved = def;
	dom->persistent = true;
	owner_note(dom);
	graph_learn_def(dom->daemon, def);
}

bool domain_save(struct domain *dom, domain_def *def, GError **error)
{
	g_autoptr(domain_def) taken = def;

	if (!domain_idle(dom, error) || !domain_save_begin(dom, def, error))
		return false;
	domain_save_end(dom, g_steal_pointer(&taken));
	return true;
}

bool domain_save_now(struct domain *dom, domain_def *def, GError **error)
{
	struct store *store = dom->daemon->store;
	g_autoptr(domain_def) taken = def;

	if (!domain_idle(dom, error) || !store_begin(store, error))
		return false;
	if (!domain_save_begin(dom, def, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	domain_save_end(dom, g_steal_pointer(&taken));
	return true;
}

bool domain_forget(struct domain *dom, GError **error)
{
	struct store *store = dom->daemon->store;

	if (!domain_idle(dom, error) || !store_begin_soon(store, error))
		return false;
	if (!snapshot_forget_all(store, dom->uuid, error) ||
	    !store_remove_domain(store, dom->uuid, error)) {
		store_rollback(store);
		return false;
	}
	if (!store_commit(store, error))
		return false;
	dom->snapshots = 0;
	dom->persistent = false;
	dom->autostart = false;
	g_clear_pointer(&dom->saved, domain_def_free);
	g_clear_pointer(&dom->unread_xml, g_free);
	g_clear_pointer(&dom->saved_fault, g_free);
	return true;
}

void domain_set_name(struct domain *dom, const char *name)
{
	GHashTable *by_name = dom->daemon->domains->by_name;

	g_hash_table_remove(by_name, dom->name);
	g_free(dom->name);
	dom->name = g_strdup(name);
	g_hash_table_insert(by_name, dom->name, dom);
	g_clear_pointer(&dom->daemon->domains->sorted, g_ptr_array_unref);
}

bool domain_rename(struct domain *dom, const char *name, GError **error)
{
	g_autoptr(domain_def) def = domain_def_copy(dom->saved);

	g_free(def->name);
	def->name = g_strdup(name);
	if (!domain_save(dom, g_steal_pointer(&def), error))
		return false;
	domain_set_name(dom, name);
	return true;
}

bool domain_set_autostart(struct domain *dom, bool on, GError **error)
{
	if (!store_set_autostart(dom->daemon->store, dom->uuid, on, error))
		return false;
	dom->autostart = on;
	return true;
}

void domain_set_live(struct domain *dom, domain_def *def)
{
	GHashTable *by_id = dom->daemon->domains->by_id;

	if (dom->id >= 0)
		g_hash_table_remove(by_id, GINT_TO_POINTER(dom->id));
	domain_def_free(dom->live);
	dom->live = def;
	dom->id = def ? def->id : -1;
	if (dom->id >= 0)
		g_hash_table_insert(by_id, GINT_TO_POINTER(dom->id), dom);
	domain_refresh_live(dom);
}

void domain_refresh_live(struct domain *dom)
{
	g_free(dom->live_xml);
	dom->live_xml = dom->live ? domain_def_format(dom->live, DOMAIN_FORMAT_LIVE) : NULL;
	owner_note(dom);
}

char *domain_saved_xml(const struct domain *dom)
{
	return dom->saved ? domain_def_format(dom->saved, 0) : g_strdup(dom->unread_xml);
}

const domain_def *domain_def_now(const struct domain *dom)
{
	return dom->live ?: dom->saved;
}

domain_def *domain_need_saved(struct domain *dom, GError **error)
{
	if (dom->saved)
		return dom->saved;
	if (dom->saved_fault)
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			  "domain '%s': its stored definition can't be used: %s", dom->name,
			  dom->saved_fault);
	else
		error_set(error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: domain '%s' is transient", dom->name);
	return NULL;
}

bool domain_may(const struct domain *dom, enum domain_event event, GError **error)
{
	/* a wish but for the end; facts are true whatever goes on */
	if (event < EV_DESTROY && !domain_idle(dom, error))
		return false;
	if (state_next(dom->state, event))
		return true;
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: domain '%s' %s", dom->name,
			 state_refusal(dom->state, event));
}

bool domain_step(struct domain *dom, enum domain_event event, int cause, const char *detail,
		 GError **error)
{
	enum domain_state to;

	if (!domain_may(dom, event, error))
		return false;
	to = state_next(dom->state, event);
	if (to == dom->state && event <= EV_DESTROY)
		return true;
	g_info("domain '%s': %s -> %s", dom->name, state_name(dom->state), state_name(to));
	if (to != dom->state)
		dom->state_since_us = g_get_monotonic_time();
	dom->state = to;
	dom->reason = state_reason(to, cause);
	g_free(dom->detail);
	dom->detail = detail && *detail ? g_utf8_make_valid(detail, -1) : NULL;
	return true;
}
