/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners of domains, and what they may do. */
#include "config.h"
#include "vmmd/owner.h"

#include <pwd.h>

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

bool owner_is(const struct domain *dom, uid_t uid)
{
	const domain_def *def = dom->saved ?: dom->live;
	g_autofree char *text = def && def->metadata ? metadata_get(def->metadata, OWNER_NS) : NULL;
	g_autoptr(xmlDoc) doc = text ? xml_read(text, strlen(text), "owner", NULL) : NULL;
	g_autofree char *user = doc ? xml_attr(xmlDocGetRootElement(doc), "user") : NULL;

	return user && user_is(user, uid);
}
