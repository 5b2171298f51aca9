/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of networks; libvirt's rules for what is transient, persistent, active. */
#include "config.h"
#include "vmmd/network.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/autostart.h"
#include "vmmd/event.h"
#include "vmmd/store-priv.h"

#define DEFAULT_NAME "default"
#define DEFAULT_XML \
	"<network><name>" DEFAULT_NAME "</name><forward mode='nat'/>" \
	"<ip address='192.168.122.1' netmask='255.255.255.0'>" \
	"<dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>"
#define INVALID "Requested operation is not valid: "

const network_def *network_now(const struct network *net)
{
	return net->live ?: net->saved;
}

static struct network *network_new(struct daemon *daemon)
{
	struct network *net = g_new0(struct network, 1);

	net->daemon = daemon;
	g_ptr_array_add(daemon->networks, net);
	return net;
}

static void network_free(void *opaque)
{
	struct network *net = opaque;

	g_clear_handle_id(&net->revival, g_source_remove);
	netswitch_leave(net);
	network_def_free(net->saved);
	network_def_free(net->live);
	g_free(net);
}

void networks_free(GPtrArray *networks)
{
	g_ptr_array_unref(networks);
}

struct network *network_find_uuid(struct daemon *daemon, const uint8_t uuid[UUID_BYTES])
{
	for (unsigned i = 0; i < daemon->networks->len; i++) {
		struct network *net = daemon->networks->pdata[i];

		if (memcmp(network_now(net)->uuid, uuid, UUID_BYTES) == 0)
			return net;
	}
	return NULL;
}

struct network *network_find_name(struct daemon *daemon, const char *name)
{
	for (unsigned i = 0; i < daemon->networks->len; i++) {
		struct network *net = daemon->networks->pdata[i];

		if (g_str_equal(network_now(net)->name, name))
			return net;
	}
	return NULL;
}

/* ---- the database ---- */

static bool unstore(struct network *net, const network_def *def, GError **error)
{
	return store_write_soon(net->daemon->store, error, "remove the network",
			   "DELETE FROM networks WHERE uuid = ?1", "u", def->uuid);
}

/* As it would be with these; neither: gone. */
static bool store_as(struct network *net, const network_def *saved, const network_def *live,
		     bool autostart, GError **error)
{
	const network_def *def = live ?: saved;
	g_autofree char *saved_xml = saved ? network_def_format(saved, -1) : NULL;
	g_autofree char *live_xml = live ? network_def_format(live, -1) : NULL;

	if (!def)
		return unstore(net, network_now(net), error);
	return store_write_soon(net->daemon->store, error, "store the network",
			   "INSERT OR REPLACE INTO networks(uuid, name, saved, live, autostart)"
			   " VALUES(?1, ?2, ?3, ?4, ?5)", "usssi", def->uuid, def->name, saved_xml,
			   live_xml, (int64_t)autostart);
}

/* On the disk first; then the definitions are taken, but not after a failure. */
static bool network_set(struct network *net, network_def *saved, network_def *live, GError **error)
{
	if (!store_as(net, saved, live, net->autostart && saved, error))
		return false;
	if (net->saved != saved)
		network_def_free(net->saved);
	if (net->live != live)
		network_def_free(net->live);
	net->saved = saved;
	net->live = live;
	net->autostart = net->autostart && saved;
	return true;
}

static network_def *column_def(sqlite3_stmt *st, int column)
{
	const char *xml = (const char *)sqlite3_column_text(st, column);
	g_autoptr(GError) error = NULL;
	network_def *def = xml ? network_def_parse(xml, 0, &error) : NULL;

	if (error)
		g_warning("network '%s': its stored definition can't be used: %s",
			  (const char *)sqlite3_column_text(st, 0), error->message);
	return def;
}

static bool rows_load(struct daemon *daemon, GError **error)
{
	sqlite3_stmt *st = store_statement(daemon->store,
		"SELECT name, saved, live, autostart FROM networks ORDER BY name", error);
	int rc;

	if (!st)
		return false;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		network_def *saved = column_def(st, 1), *live = column_def(st, 2);
		struct network *net = saved || live ? network_new(daemon) : NULL;

		if (!net)
			continue;
		net->saved = saved;
		net->live = live;
		net->autostart = sqlite3_column_int(st, 3);
	}
	if (rc != SQLITE_DONE)
		store_error(daemon->store, "read the networks", error);
	store_reset(st);
	return rc == SQLITE_DONE;
}

/* True once in the life of a database: who undefines the default network does not get it back. */
static bool default_is_wanted(struct daemon *daemon)
{
	sqlite3_stmt *st = store_statement(daemon->store,
		"UPDATE counters SET value = 1 WHERE name = 'default-network' AND value = 0", NULL);

	return st && store_run(daemon->store, st, "note the default network", NULL) &&
	       sqlite3_changes(sqlite3_db_handle(st)) == 1;
}

static void default_make(struct daemon *daemon)
{
	g_autoptr(GError) error = NULL;
	network_def *def;
	struct network *net;

	if (!default_is_wanted(daemon) || network_find_name(daemon, DEFAULT_NAME))
		return;
	def = network_def_parse(DEFAULT_XML, 0, &error);
	net = def ? network_define(daemon, def, &error) : NULL;
	if (!net || !network_start(net, &error) || !network_set_autostart(net, true, &error))
		g_warning("default network: %s", error->message);
}

/* The host was restarted: what ran then does not run. */
static void forget_old_life(struct network *net)
{
	g_autoptr(GError) error = NULL;

	if (!net->live)
		return;
	if (!network_set(net, net->saved, NULL, &error))
		g_warning("network: %s", error->message);
	if (!net->saved)
		g_ptr_array_remove(net->daemon->networks, net);
}

static void autostart(struct network *net)
{
	g_autoptr(GError) error = NULL;

	if (net->autostart && !net->live && !network_start(net, &error))
		g_warning("autostart of network '%s': %s", net->saved->name, error->message);
}

bool networks_load(struct daemon *daemon, GError **error)
{
	daemon->networks = g_ptr_array_new_with_free_func(network_free);
	if (!rows_load(daemon, error))
		return false;
	if (autostart_is_due(daemon)) {
		for (unsigned i = daemon->networks->len; i-- > 0;)
			forget_old_life(daemon->networks->pdata[i]);
		for (unsigned i = 0; i < daemon->networks->len; i++)
			autostart(daemon->networks->pdata[i]);
	}
	default_make(daemon);
	return true;
}

void networks_adopt(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->networks->len; i++)
		netswitch_adopt(daemon->networks->pdata[i]);
}

/* ---- define, create ---- */

/* *ret: the network that has both name and uuid; NULL: neither is taken. */
static bool match(struct daemon *daemon, const network_def *def, struct network **ret,
		  GError **error)
{
	struct network *by_uuid = network_find_uuid(daemon, def->uuid);
	struct network *by_name = network_find_name(daemon, def->name);
	char uuid[UUID_TEXT_BYTES];

	*ret = by_uuid;
	if (by_uuid == by_name)
		return true;
	uuid_to_text(network_now(by_uuid ?: by_name)->uuid, uuid);
	if (by_uuid)
		return error_set(error, VMM_ERR_OPERATION_FAILED, "operation failed: network '%s' "
				 "is already defined with uuid %s", network_now(by_uuid)->name,
				 uuid);
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: network '%s' already exists with uuid %s", def->name,
			 uuid);
}

/* def as the saved or the live definition of net (NULL: of a new one). */
static struct network *network_take(struct daemon *daemon, struct network *net, network_def *def,
				    bool live, GError **error)
{
	struct network *made = net ? NULL : network_new(daemon);

	net = net ?: made;
	if (live ? network_set(net, net->saved, def, error)
		 : network_set(net, def, net->live, error))
		return net;
	if (made) {
		made->saved = def;	/* what is freed has a definition */
		g_ptr_array_remove(daemon->networks, made);
	} else {
		network_def_free(def);
	}
	return NULL;
}

struct network *network_define(struct daemon *daemon, network_def *def, GError **error)
{
	struct network *net = NULL;

	if (!match(daemon, def, &net, error)) {
		network_def_free(def);
		return NULL;
	}
	net = network_take(daemon, net, def, false, error);
	if (net)
		event_network(daemon, def, LIFECYCLE_DEFINED);
	return net;
}

struct network *network_create(struct daemon *daemon, network_def *def, GError **error)
{
	struct network *net = NULL;

	if (!match(daemon, def, &net, error) ||
	    (net && net->live &&
	     !error_set(error, VMM_ERR_OPERATION_INVALID,
			INVALID "network is already active as '%s'", def->name))) {
		network_def_free(def);
		return NULL;
	}
	net = network_take(daemon, net, def, true, error);
	if (net)
		event_network(daemon, def, LIFECYCLE_STARTED);
	return net;
}

bool network_change(struct network *net, network_def *saved, network_def *live, GError **error)
{
	if (network_set(net, saved ?: net->saved, live ?: net->live, error))
		return true;
	network_def_free(saved);
	network_def_free(live);
	return false;
}

/* ---- the rest of its life ---- */

bool network_need_active(const struct network *net, GError **error)
{
	return net->live || error_set(error, VMM_ERR_OPERATION_INVALID,
				      INVALID "network '%s' is not active", net->saved->name);
}

bool network_start(struct network *net, GError **error)
{
	network_def *live;

	if (net->live)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 INVALID "network is already active");
	live = network_def_copy(net->saved);
	if (!network_set(net, net->saved, live, error)) {
		network_def_free(live);
		return false;
	}
	event_network(net->daemon, live, LIFECYCLE_STARTED);
	network_replug(net);
	return true;
}

static void user_name(struct domain *dom, unsigned index, void *opaque)
{
	g_string_append_printf(opaque, "%s'%s'", ((GString *)opaque)->len ? ", " : "", dom->name);
}

bool network_stop(struct network *net, GError **error)
{
	g_autoptr(network_def) was = NULL;
	g_autoptr(GString) users = g_string_new(NULL);

	if (!network_need_active(net, error))
		return false;
	network_users(net, user_name, users);
	was = network_def_copy(net->live);
	netswitch_end(net);
	if (!network_set(net, net->saved, NULL, error))
		return false;
	if (users->len)
		g_message("network '%s' has stopped: cables of domains %s are cut until it starts "
			  "again", was->name, users->str);
	event_network(net->daemon, was, NETWORK_STOPPED);
	if (!net->saved) {
		netswitch_forget(net, was);
		g_ptr_array_remove(net->daemon->networks, net);
	}
	return true;
}

bool network_undefine(struct network *net, GError **error)
{
	g_autoptr(network_def) was = NULL;

	if (!net->saved)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 INVALID "can't undefine transient network");
	was = network_def_copy(net->saved);
	if (!network_set(net, NULL, net->live, error))
		return false;
	event_network(net->daemon, was, LIFECYCLE_UNDEFINED);
	if (!net->live) {
		netswitch_forget(net, was);
		g_ptr_array_remove(net->daemon->networks, net);
	}
	return true;
}

bool network_set_autostart(struct network *net, bool on, GError **error)
{
	if (!net->saved)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 INVALID "cannot set autostart for transient network");
	if (!store_as(net, net->saved, net->live, on, error))
		return false;
	net->autostart = on;
	return true;
}
