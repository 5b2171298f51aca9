/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains that start with the host. */
#include "config.h"
#include "vmmd/autostart.h"

#include <errno.h>
#include <fcntl.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/lifecycle.h"

static void on_started(struct domain *dom, const GError *error, void *opaque)
{
	if (error)
		g_warning("autostart of domain '%s': %s", dom->name, error->message);
}

void autostart_due(struct domain *dom)
{
	if (!dom->autostart_waits || dom->busy)
		return;
	dom->autostart_waits = false;
	if (!state_is_active(dom->state))
		lifecycle_start(dom, NULL, false, on_started, NULL);
}

void autostart_all(struct daemon *daemon)
{
	g_autofree char *mark = g_build_filename(daemon->run_dir, "autostarted", NULL);
	auto_close int fd = open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	g_autoptr(GPtrArray) all = NULL;

	if (fd < 0) {
		if (errno != EEXIST)
			g_warning("no autostart: make '%s': %s", mark, g_strerror(errno));
		return;
	}
	all = domain_table_list(daemon->domains);
	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);

		dom->autostart_waits = dom->autostart && !state_is_active(dom->state);
		autostart_due(dom);
	}
}
