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

/* <owner user='alice'/>: a name, or a number. */
static bool user_is(const char *user, uid_t uid)
{
	const struct passwd *known;
	guint64 number;

	if (g_ascii_string_to_unsigned(user, 10, 0, (uid_t)-2, &number, NULL))
		return number == uid;
	known = getpwnam(user);
	return known && known->pw_uid == uid;
}

void owner_note(struct domain *dom)
{
	const domain_def *def = dom->saved ?: dom->live;
	const char *metadata = def ? def->metadata : NULL;
	g_autofree char *text = NULL;
	g_autoptr(xmlDoc) doc = NULL;

	if (!def)
		return;		/* whose it was hears of its end */
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
	return dom->owner && user_is(dom->owner, uid);
}

/* ---- what is seen ---- */

static bool owns_any(const struct daemon *daemon, uid_t uid)
{
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);

	for (unsigned i = 0; i < all->len; i++)
		if (owner_is(all->pdata[i], uid))
			return true;
	return false;
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

void owner_filter(const struct session *s, const struct daemon *daemon, GPtrArray *domains)
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

bool owner_misses(const struct session *s, const struct daemon *daemon)
{
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);
	unsigned n = all->len;

	owner_filter(s, daemon, all);
	return all->len < n;
}
