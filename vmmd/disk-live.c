/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disks of a running domain. */
#include "config.h"
#include "vmmd/disk-live.h"

#include <fcntl.h>
#include <string.h>

#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/handed.h"
#include "vmmd/link.h"
#include "vmmd/permit.h"

struct disk_def *disk_live_find(const domain_def *def, const char *disk)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		struct disk_def *d = g_ptr_array_index(def->disks, i);

		if (g_str_equal(d->target, disk) || g_str_equal(d->path, disk))
			return d;
	}
	return NULL;
}

/* ---- new heads ---- */

struct heads {
	struct domain *dom;
	domain_def *def;	/* what the live definition will be */
	char *targets[WORKER_HEADS_MAX];
	int fds[2 * WORKER_HEADS_MAX];
	unsigned n_fds;
	disk_live_done *done;
	void *opaque;
};

static void heads_free(struct heads *h)
{
	for (unsigned i = 0; i < h->n_fds; i++)
		fd_close(&h->fds[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(h->targets); i++)
		g_free(h->targets[i]);
	domain_def_free(h->def);
	g_free(h);
}

void disk_live_set_source(struct disk_def *d, const char *path, enum disk_format format)
{
	char *copy = g_strdup(path);

	g_free(d->path);
	d->path = copy;
	d->type = DISK_FILE;
	d->format = format;
	d->no_backing = false;
}

/* Into the definition as it is now: it may have got another title meanwhile. */
static void on_switched(const void *ret, const GError *error, void *opaque)
{
	struct heads *h = opaque;

	for (unsigned i = 0; !error && i < h->n_fds / 2; i++) {
		struct disk_def *to = disk_live_find(h->dom->live, h->targets[i]);
		const struct disk_def *from = disk_live_find(h->def, h->targets[i]);

		disk_live_set_source(to, from->path, from->format);
	}
	domain_refresh_live(h->dom);
	h->done(h->dom, error, h->opaque);
	heads_free(h);
}

static bool head_fd(struct heads *h, const char *path, int flags, GError **error)
{
	auto_close int fd = permit_open_image(path, flags, error);

	if (fd < 0 || !handed_note(h->dom, fd, error))
		return false;
	h->fds[h->n_fds++] = TAKE_FD(fd);
	return true;
}

static bool head_add(struct heads *h, const struct disk_head *head, GError **error)
{
	struct disk_def *d = disk_live_find(h->def, head->target);

	if (!d)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: domain '%s' has no disk '%s'", h->dom->name,
				 head->target);
	if (disk_def_apart(d))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: disk '%s' of domain '%s' is "
				 "%s: it can't have an overlay while it is in use",
				 d->target, h->dom->name, disk_def_apart(d));
	if (!head_fd(h, head->path, O_RDWR, error) || !head_fd(h, d->path, O_RDONLY, error))
		return false;
	h->targets[h->n_fds / 2 - 1] = g_strdup(d->target);
	disk_live_set_source(d, head->path, DISK_FORMAT_QCOW2);
	return true;
}

static bool heads_prepare(struct heads *h, const struct disk_head *heads, unsigned n,
			  GError **error)
{
	if (!h->dom->link || !h->dom->live)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: domain '%s' is not running",
				 h->dom->name);
	if (n > WORKER_HEADS_MAX)
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "more than %d disks at once", WORKER_HEADS_MAX);
	h->def = domain_def_copy(h->dom->live);
	h->def->id = h->dom->id;
	for (unsigned i = 0; i < n; i++)
		if (!head_add(h, &heads[i], error))
			return false;
	return true;
}

void disk_live_switch_heads(struct domain *dom, const struct disk_head *heads, unsigned n,
			    disk_live_done *done, void *opaque)
{
	struct heads *h = g_new0(struct heads, 1);
	worker_head wire[WORKER_HEADS_MAX];
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = NULL;

	*h = (struct heads){ .dom = dom, .done = done, .opaque = opaque };
	if (!heads_prepare(h, heads, n, &error)) {
		done(dom, error, opaque);
		heads_free(h);
		return;
	}
	xml = domain_def_format(h->def, DOMAIN_FORMAT_LIVE);
	for (unsigned i = 0; i < n; i++)
		wire[i] = (worker_head){ (char *)heads[i].target, (char *)heads[i].path };
	link_switch_heads(dom->link, &(worker_heads_args){ .heads = { n, wire }, .xml = xml },
			  h->fds, on_switched, h);
}
