/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disks of a machine at work: other heads, other limits.
 *
 * What concerns several disks goes in steps.  A step runs on all their threads
 * at once; when each has ended, the main loop begins the next.  It never waits
 * for a disk, which may take seconds to flush.
 *
 * Held disks take no request, so their old heads show one moment: what the
 * guest writes after it has seen another write done can't be there without
 * that, for it was done before its disk was held, or after all are let go.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/block/stack.h"
#include "libvmm/device/blk.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

struct head {
	struct head_switch *s;
	struct machine_disk *disk;
	struct block_over *over;
	char *path;
	GError *error;
	owner_fn *step;
};

struct head_switch {
	struct machine *m;
	struct head *heads;
	unsigned n, pending;
	void (*next)(struct head_switch *s);
	void (*done)(void *opaque, const GError *error);
	void *opaque;
	GError *error;
};

struct machine_disk *machine_disk_find(struct machine *m, const char *target)
{
	for (unsigned i = 0; i < m->disks->len; i++) {
		struct machine_disk *d = g_ptr_array_index(m->disks, i);

		if (g_str_equal(d->target, target))
			return d;
	}
	return NULL;
}

/* ---- steps ---- */

static void step_ended(void *arg)
{
	struct head *h = arg;
	struct head_switch *s = h->s;

	if (--s->pending == 0)
		s->next(s);
}

static void step_run(void *arg)
{
	struct head *h = arg;

	h->step(h);
	owner_post(h->s->m->ctx, step_ended, h);
}

static void step_begin(struct head_switch *s, owner_fn *fn, void (*next)(struct head_switch *s))
{
	s->pending = s->n;
	s->next = next;
	for (unsigned i = 0; i < s->n; i++) {
		s->heads[i].step = fn;
		owner_post(owner_thread_context(s->heads[i].disk->thread), step_run, &s->heads[i]);
	}
}

static void freeze(void *arg)
{
	struct head *h = arg;
	struct virtio_device *dev = h->disk->dev;

	blk_hold(dev);
	if (h->disk->job)
		error_set(&h->error, VMM_ERR_OPERATION_INVALID,
			  "a block job is under way: wait for its end or abort it");
	else
		block_freeze(blk_block(dev), h->over, &h->error);
}

static void thaw(void *arg)
{
	struct head *h = arg;

	if (!h->error)
		block_thaw(blk_block(h->disk->dev), h->over);
	blk_release(h->disk->dev);
}

static void push(void *arg)
{
	struct head *h = arg;

	block_push(blk_block(h->disk->dev), g_steal_pointer(&h->over));
	blk_release(h->disk->dev);
}

/* ---- from the first to the last ---- */

static void switch_end(struct head_switch *s)
{
	struct machine *m = s->m;

	m->switching = NULL;
	for (unsigned i = 0; i < s->n; i++) {
		struct head *h = &s->heads[i];

		if (!s->error) {
			g_free(h->disk->path);
			h->disk->path = g_steal_pointer(&h->path);
		}
		block_over_free(h->over);
		g_clear_error(&h->error);
		g_free(h->path);
	}
	s->done(s->opaque, s->error);
	g_clear_error(&s->error);
	g_free(s->heads);
	g_free(s);
}

static void on_frozen(struct head_switch *s)
{
	for (unsigned i = 0; i < s->n && !s->error; i++)
		if (s->heads[i].error) {
			s->error = g_error_copy(s->heads[i].error);
			g_prefix_error(&s->error, "disk '%s': ", s->heads[i].disk->target);
		}
	step_begin(s, s->error ? thaw : push, switch_end);
}

/* What came over the socket in place of what open(2) gives. */
struct given {
	int fd, below_fd;
};

static int given_open(void *opaque, const char *path, int flags, GError **error)
{
	struct given *g = opaque;
	int *fd = (flags & O_ACCMODE) == O_RDONLY ? &g->below_fd : &g->fd;

	if (*fd < 0 || fcntl(*fd, F_SETFL, flags & (O_DIRECT | O_NONBLOCK)) < 0) {
		error_errno(error, *fd < 0 ? EBADF : errno, "open image '%s'", path);
		return -1;
	}
	return TAKE_FD(*fd);
}

static bool head_open(struct head_switch *s, const struct machine_head *from, GError **error)
{
	struct head *h = &s->heads[s->n++];
	struct given given = { from->fd, from->below_fd };
	const struct block_opener opener = { .open = given_open, .opaque = &given };
	struct block_opts opts;

	h->s = s;
	h->path = g_strdup(from->path);
	h->disk = machine_disk_find(s->m, from->target);
	if (h->disk) {
		opts = h->disk->image;
		opts.path = from->path;
		opts.format = "qcow2";
		opts.opener = &opener;
		h->over = block_over_open(&opts, error);
	} else {
		error_set(error, VMM_ERR_INVALID_ARG, "there is no disk '%s'", from->target);
	}
	fd_close(&given.fd);
	fd_close(&given.below_fd);
	for (unsigned i = 0; h->over && i + 1 < s->n; i++)
		if (s->heads[i].disk == h->disk)
			return error_set(error, VMM_ERR_INVALID_ARG, "disk '%s' is named twice",
					 from->target);
	return h->over;
}

void machine_switch_heads(struct machine *m, const struct machine_head *heads, unsigned n,
			  void (*done)(void *opaque, const GError *error), void *opaque)
{
	struct head_switch *s = g_new0(struct head_switch, 1);
	bool ok = true;

	*s = (struct head_switch){ .m = m, .done = done, .opaque = opaque };
	s->heads = g_new0(struct head, n);
	for (unsigned i = 0; i < n; i++)
		if (ok)
			ok = head_open(s, &heads[i], &s->error);
		else
			close(heads[i].fd), close(heads[i].below_fd);
	if (ok && m->switching)
		ok = error_set(&s->error, VMM_ERR_OPERATION_INVALID,
			       "another switch of disks is under way");
	if (!ok || n == 0) {
		struct head_switch *other = m->switching;

		switch_end(s);
		m->switching = other;
		return;
	}
	m->switching = s;
	step_begin(s, freeze, on_frozen);
}

/* ---- limits ---- */

struct throttle_set {
	struct machine_disk *disk;
	struct throttle *throttle;
};

static void throttle_set(void *arg)
{
	g_autofree struct throttle_set *s = arg;

	blk_set_throttle(s->disk->dev, s->throttle);
}

static bool same_limits(const struct machine_disk *d, const struct machine_limits *l)
{
	return g_str_equal(d->limits_group, l->group) &&
	       !memcmp(&d->limits, &l->limits, sizeof(l->limits));
}

/* That of the group, if it has these limits already. */
static struct throttle *throttle_of(struct machine *m, const struct machine_limits *l)
{
	for (unsigned i = 0; *l->group && i < m->disks->len; i++) {
		struct machine_disk *d = g_ptr_array_index(m->disks, i);

		if (same_limits(d, l))
			return throttle_ref(d->throttle);
	}
	return throttle_new(&l->limits, g_get_monotonic_time());
}

static void disk_set_limits(struct machine_disk *d, const struct machine_limits *l)
{
	struct throttle *old = d->throttle;
	struct throttle_set *s;

	if (same_limits(d, l))
		return;
	d->throttle = throttle_of(d->m, l);
	throttle_unref(old);
	g_free(d->limits_group);
	d->limits_group = g_strdup(l->group);
	d->limits = l->limits;
	s = g_new(struct throttle_set, 1);
	*s = (struct throttle_set){ d, throttle_ref(d->throttle) };
	owner_post(owner_thread_context(d->thread), throttle_set, s);
}

bool machine_set_limits(struct machine *m, const struct machine_limits *limits, unsigned n,
			GError **error)
{
	for (unsigned i = 0; i < n; i++)
		if (!machine_disk_find(m, limits[i].target))
			return error_set(error, VMM_ERR_INVALID_ARG, "there is no disk '%s'",
					 limits[i].target);
	for (unsigned i = 0; i < n; i++)
		disk_set_limits(machine_disk_find(m, limits[i].target), &limits[i]);
	return true;
}

void machine_disks_settle(struct machine *m)
{
	while (m->switching || m->disk_works)
		g_main_context_iteration(m->ctx, TRUE);
	machine_disk_jobs_end(m);
}
