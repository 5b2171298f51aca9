/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners of domains, and what they may do. */
#include "config.h"
#include "vmmd/owner.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/domain/xml.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/util/cleanup.h"
#include "vmmd/metadata.h"

static const int procedures[] = {
	REMOTE_PROC_DOMAIN_CREATE, REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS,
	REMOTE_PROC_DOMAIN_DESTROY, REMOTE_PROC_DOMAIN_DESTROY_FLAGS,
	REMOTE_PROC_DOMAIN_SHUTDOWN, REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS,
	REMOTE_PROC_DOMAIN_REBOOT, REMOTE_PROC_DOMAIN_RESET,
	REMOTE_PROC_DOMAIN_SUSPEND, REMOTE_PROC_DOMAIN_RESUME,
	REMOTE_PROC_DOMAIN_MANAGED_SAVE, REMOTE_PROC_DOMAIN_MANAGED_SAVE_REMOVE,
	REMOTE_PROC_DOMAIN_ABORT_JOB,
	REMOTE_PROC_DOMAIN_OPEN_CONSOLE, REMOTE_PROC_DOMAIN_OPEN_CHANNEL,
};

bool owner_may(int procedure)
{
	for (unsigned i = 0; i < ARRAY_SIZE(procedures); i++)
		if (procedures[i] == procedure)
			return true;
	return false;
}

/* ---- whose ---- */

/*
 * What the host's users are is asked of files, or of other hosts, and for each
 * domain again: so it is kept for a moment.
 */
#define KEPT_US (2 * G_USEC_PER_SEC)

struct owners {
	gint64 since_us;
	GHashTable *uids;		/* user's name -> uid + 1; 0: there is no such user */
	GHashTable *owning;		/* uid -> whether he owns any domain, + 1 */
};

static struct owners *owners_now(struct daemon *daemon)
{
	struct owners *o = daemon->owners;
	gint64 now = g_get_monotonic_time();

	if (!o) {
		o = daemon->owners = g_new0(struct owners, 1);
		o->uids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
		o->owning = g_hash_table_new(NULL, NULL);
	}
	if (now - o->since_us > KEPT_US) {
		g_hash_table_remove_all(o->uids);
		g_hash_table_remove_all(o->owning);
		o->since_us = now;
	}
	return o;
}

void owner_changed(struct daemon *daemon)
{
	if (daemon->owners)
		g_hash_table_remove_all(daemon->owners->owning);
}

void owners_free(struct owners *o)
{
	if (!o)
		return;
	g_hash_table_unref(o->uids);
	g_hash_table_unref(o->owning);
	g_free(o);
}

static size_t uid_of_name(struct daemon *daemon, const char *name)
{
	struct owners *o = owners_now(daemon);
	const struct passwd *known;
	void *uid;

	if (!g_hash_table_lookup_extended(o->uids, name, NULL, &uid)) {
		known = getpwnam(name);
		uid = GSIZE_TO_POINTER(known ? (size_t)known->pw_uid + 1 : 0);
		g_hash_table_insert(o->uids, g_strdup(name), uid);
	}
	return GPOINTER_TO_SIZE(uid);
}

/* <owner user='alice'/>: a name, or a number. */
static bool user_is(struct daemon *daemon, const char *user, uid_t uid)
{
	guint64 number;

	if (g_ascii_string_to_unsigned(user, 10, 0, (uid_t)-2, &number, NULL))
		return number == uid;
	return uid_of_name(daemon, user) == (size_t)uid + 1;
}

void owner_note(struct domain *dom)
{
	const domain_def *def = dom->saved ?: dom->live;
	const char *metadata = def ? def->metadata : NULL;
	g_autofree char *text = NULL;
	g_autoptr(xmlDoc) doc = NULL;

	if (!def)
		return;		/* whose it was hears of its end */
	owner_changed(dom->daemon);
	g_clear_pointer(&dom->owner, g_free);
	/* most have none */
	if (!metadata || !strstr(metadata, OWNER_NS))
		return;
	text = metadata_get(metadata, OWNER_NS);
	doc = text ? xml_read(text, strlen(text), "owner", NULL) : NULL;
	dom->owner = doc ? xml_attr(xmlDocGetRootElement(doc), "user") : NULL;
}

bool owner_is(const struct domain *dom, uid_t uid)
{
	return dom->owner && user_is(dom->daemon, dom->owner, uid);
}

/* ---- what is seen ---- */

static bool owns_any(struct daemon *daemon, uid_t uid)
{
	void *key = GUINT_TO_POINTER(uid);
	void *known = g_hash_table_lookup(owners_now(daemon)->owning, key);
	g_autoptr(GPtrArray) all = NULL;
	bool owns = false;

	if (known)
		return GPOINTER_TO_UINT(known) - 1;
	all = domain_table_list(daemon->domains);
	for (unsigned i = 0; i < all->len && !owns; i++)
		owns = owner_is(all->pdata[i], uid);
	g_hash_table_insert(owners_now(daemon)->owning, key, GUINT_TO_POINTER((unsigned)owns + 1));
	return owns;
}

static bool sees_all(const struct session *s)
{
	return !s || !session_is_public(s) || session_uid(s) == 0 || session_uid(s) == geteuid();
}

bool owner_sees(const struct session *s, const struct domain *dom)
{
	if (sees_all(s))
		return true;
	return dom->owner ? owner_is(dom, session_uid(s)) :
			    !owns_any(dom->daemon, session_uid(s));
}

void owner_filter(const struct session *s, struct daemon *daemon, GPtrArray *domains)
{
	bool owns = !sees_all(s) && owns_any(daemon, session_uid(s));
	unsigned kept = 0;

	if (sees_all(s))
		return;
	for (unsigned i = 0; i < domains->len; i++) {
		const struct domain *dom = domains->pdata[i];

		if (dom->owner ? owner_is(dom, session_uid(s)) : !owns)
			domains->pdata[kept++] = domains->pdata[i];
	}
	g_ptr_array_set_size(domains, (int)kept);
}

bool owner_misses(const struct session *s, struct daemon *daemon)
{
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);
	unsigned n = all->len;

	owner_filter(s, daemon, all);
	return all->len < n;
}
