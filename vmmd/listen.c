/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sockets of vmmd, and who may connect to which. */
#include "config.h"
#include "vmmd/listen.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmmd/server.h"

#define SOCKET_GROUP "vmm"
#define LIBVIRT_FOLDER "/run/libvirt"	/* where clients look when no socket is named */

static void socket_give_to_group(const char *path)
{
	struct group *group = getgrnam(SOCKET_GROUP);

	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		g_warning("give '%s' to group %s: %s", path, SOCKET_GROUP, g_strerror(errno));
}

static bool listen_pair(struct daemon *d, const char *folder, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autofree char *path_ro = g_strconcat(path, "-ro", NULL);

	if (!server_listen(d->server, path, d->system_mode ? 0660 : 0600, false, error))
		return false;
	if (!d->system_mode)
		return true;
	socket_give_to_group(path);
	return server_listen(d->server, path_ro, 0666, true, error);
}

/* A help for clients, nothing that a start should fail for. */
static void listen_for_libvirt(struct daemon *d)
{
	g_autoptr(GError) error = NULL;

	if (g_mkdir_with_parents(LIBVIRT_FOLDER, 0755) < 0 ||
	    !listen_pair(d, LIBVIRT_FOLDER, "virtvmmd-sock", &error))
		g_warning("no sockets in " LIBVIRT_FOLDER ": %s",
			  error ? error->message : g_strerror(errno));
}

/* Asked for by name, so no mere help: where libvirt's own daemon listens this is an error. */
static bool listen_for_qemu(struct daemon *d, GError **error)
{
	if (g_mkdir_with_parents(LIBVIRT_FOLDER, 0755) < 0)
		return error_errno(error, errno, "make folder '%s'", LIBVIRT_FOLDER);
	if (listen_pair(d, LIBVIRT_FOLDER, "virtqemud-sock", error))
		return true;
	g_prefix_error(error, "--libvirt-qemu: ");
	return false;
}

bool listen_policy_check(const struct listen_policy *policy, GError **error)
{
	const struct tls_policy *t = &policy->tls_policy;

	if (policy->tls || (!t->listen && !t->folder && !t->priority && !t->allow))
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG, "--tls-%s needs --tls",
			 t->listen ? "listen" :
			 t->folder ? "pki" :
			 t->allow  ? "allow" :
				     "priority");
}

bool listen_all(struct daemon *d, const struct listen_policy *policy, GError **error)
{
	if (!listen_pair(d, d->run_dir, "vmmd.sock", error))
		return false;
	if (policy->libvirt_compat || policy->well_known)
		listen_for_libvirt(d);
	if (policy->libvirt_qemu && !listen_for_qemu(d, error))
		return false;
	if (policy->tls)
		d->tls = tls_server_new(d->server, &policy->tls_policy, error);
	return !policy->tls || d->tls;
}
