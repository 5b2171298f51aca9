/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-fs as a guest's kernel uses it, and as one that means harm does. */
#include "config.h"
#include "libvmm/device/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "libvmm/device/device.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/owner.h"
#include "held-sync.h"
#include "virtio-driver.h"

#define HIPRIO 0
#define REQUESTS 1
#define RING 128
#define ROOM (128u << 10)

struct guest {
	struct driver *d;
	char *dir;
	int proc_fd;
	struct owner_thread *thread;
	uint64_t out_gpa, in_gpa, unique;
	uint8_t *in;			/* what was answered */
	uint32_t len;			/* of it, the header too */
};

static struct guest guest_new_with(enum fs_cache cache, bool readonly)
{
	struct guest g = { .d = driver_new(8), .proc_fd = share_proc_open() };
	g_autoptr(GError) error = NULL;

	g.dir = g_dir_make_tmp("fs-XXXXXX", NULL);
	g.thread = owner_thread_new("fs");
	struct share_opts sopts = { .name = "fs0", .proc_fd = g.proc_fd, .nodes_max = 256,
				    .owners = SHARE_SQUASH, .readonly = readonly,
				    .root_fd = open(g.dir, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	struct fs_opts opts = { .name = "fs0", .tag = "work", .cache = cache };
	opts.share = share_new(&sopts, &error);
	g_assert_no_error(error);
	driver_attach(g.d, fs_new(&opts, g.d->mem, owner_thread_context(g.thread), &error));
	g_assert_no_error(error);
	g_assert_true(driver_init(g.d, 0, RING));
	g.out_gpa = driver_alloc(g.d, ROOM);
	g.in_gpa = driver_alloc(g.d, ROOM);
	g.in = driver_ptr(g.d, g.in_gpa);
	return g;
}

static void guest_free(struct guest *g)
{
	g_autofree char *rm = g_strdup_printf("rm -rf '%s'", g->dir);

	driver_free(g->d);
	owner_thread_free(g->thread);
	fd_close(&g->proc_fd);
	g_assert_cmpint(system(rm), ==, 0);
	g_free(g->dir);
}

/* Puts a request on the ring: its struct, what follows it, and room for the answer. */
static void post(struct guest *g, uint32_t opcode, uint64_t node, const void *args, size_t args_len,
		 const void *more, size_t more_len)
{
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + args_len + more_len),
				    .opcode = opcode, .unique = ++g->unique, .nodeid = node };
	uint8_t *out = driver_ptr(g->d, g->out_gpa);
	struct driver_buf bufs[] = { { g->out_gpa, sizeof(h), false },
				     { g->out_gpa + sizeof(h), h.len - (uint32_t)sizeof(h), false },
				     { g->in_gpa, sizeof(struct fuse_out_header), true },
				     { g->in_gpa + sizeof(struct fuse_out_header),
				       ROOM - sizeof(struct fuse_out_header), true } };

	memcpy(out, &h, sizeof(h));
	if (args_len)
		memcpy(out + sizeof(h), args, args_len);
	if (more_len)
		memcpy(out + sizeof(h) + args_len, more, more_len);
	driver_add(g->d, REQUESTS, bufs, ARRAY_SIZE(bufs));
	driver_kick(g->d, REQUESTS);
}

/* The error of the next answer, or 0. */
static int answer(struct guest *g)
{
	struct fuse_out_header h;

	g_assert_true(driver_wait(g->d, REQUESTS, NULL, &g->len));
	memcpy(&h, g->in, sizeof(h));
	g_assert_cmpuint(h.len, ==, g->len);
	return h.error;
}

static int ask(struct guest *g, uint32_t opcode, uint64_t node, const void *args, size_t args_len,
	       const void *more, size_t more_len)
{
	post(g, opcode, node, args, args_len, more, more_len);
	return answer(g);
}

static const void *payload(struct guest *g)
{
	return g->in + sizeof(struct fuse_out_header);
}

static const struct fuse_init_out *init(struct guest *g, uint32_t minor, uint32_t flags)
{
	struct fuse_init_in in = { .major = 7, .minor = minor, .max_readahead = 131072,
				   .flags = flags };

	g_assert_cmpint(ask(g, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), ==, 0);
	return payload(g);
}

static struct guest guest_new(enum fs_cache cache)
{
	struct guest g = guest_new_with(cache, false);

	init(&g, 38, UINT32_MAX);
	return g;
}

#define GUEST(name, cache) \
	__attribute__((cleanup(guest_free))) struct guest name = guest_new(cache)

/* What is behind a request that breaks the device waits for a reset; nobody runs after it. */
static void a_broken_request_is_the_last(void)
{
	GUEST(g, FS_CACHE_AUTO);
	struct fuse_in_header h = { .len = 1 << 20, .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID };
	struct driver_buf bufs[] = { { g.out_gpa, sizeof(h), false }, { g.in_gpa, ROOM, true } };

	memcpy(driver_ptr(g.d, g.out_gpa), &h, sizeof(h));
	driver_add(g.d, REQUESTS, bufs, ARRAY_SIZE(bufs));
	driver_add(g.d, REQUESTS, bufs, ARRAY_SIZE(bufs));
	driver_kick(g.d, REQUESTS);
	g_assert_true(driver_wait(g.d, REQUESTS, NULL, NULL));
	g_assert_false(driver_used(g.d, REQUESTS, NULL, NULL));
	g_assert_cmpuint(driver_read(g.d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET, !=, 0);
	driver_reset(g.d);		/* by the owner, which is not in a loop */
}

/* The node by this name; 0 and the error in *ret_error. */
static uint64_t look_up(struct guest *g, uint64_t dir, const char *name, int *ret_error)
{
	int r = ask(g, FUSE_LOOKUP, dir, NULL, 0, name, strlen(name) + 1);

	if (ret_error)
		*ret_error = r;
	else
		g_assert_cmpint(r, ==, 0);
	return r ? 0 : ((const struct fuse_entry_out *)payload(g))->nodeid;
}

static uint64_t create(struct guest *g, uint64_t dir, const char *name, uint32_t flags,
		       uint64_t *ret_node)
{
	struct fuse_create_in in = { .flags = flags, .mode = S_IFREG | 0644 };
	const struct fuse_entry_out *e = payload(g);

	g_assert_cmpint(ask(g, FUSE_CREATE, dir, &in, sizeof(in), name, strlen(name) + 1), ==, 0);
	*ret_node = e->nodeid;
	return ((const struct fuse_open_out *)(e + 1))->fh;
}

static int write_to(struct guest *g, uint64_t fh, uint64_t off, const void *bytes, size_t len)
{
	struct fuse_write_in in = { .fh = fh, .offset = off, .size = (uint32_t)len };

	return ask(g, FUSE_WRITE, 0, &in, sizeof(in), bytes, len);
}

static int read_from(struct guest *g, uint64_t fh, uint64_t off, size_t len)
{
	struct fuse_read_in in = { .fh = fh, .offset = off, .size = (uint32_t)len };

	return ask(g, FUSE_READ, 0, &in, sizeof(in), NULL, 0);
}

/* ---- what works ---- */

static void the_configuration_has_the_tag_and_one_queue(void)
{
	GUEST(g, FS_CACHE_AUTO);
	struct virtio_fs_config config;

	g_assert_cmpuint(driver_read(g.d, VIRTIO_MMIO_DEVICE_ID), ==, VIRTIO_ID_FS);
	driver_config(g.d, 0, &config, sizeof(config));
	g_assert_cmpstr((const char *)config.tag, ==, "work");
	g_assert_cmpuint(GUINT32_FROM_LE(config.num_request_queues), ==, 1);
}

static void the_first_words_settle_what_both_know(void)
{
	__attribute__((cleanup(guest_free))) struct guest g = guest_new_with(FS_CACHE_AUTO, false);
	struct fuse_init_in old = { .major = 7, .minor = 30 }, newer = { .major = 8 };
	const struct fuse_init_out *out;

	g_assert_cmpint(ask(&g, FUSE_GETATTR, 1, &(struct fuse_getattr_in){ 0 }, 16, NULL, 0), ==,
			-EIO);
	g_assert_cmpint(ask(&g, FUSE_INIT, 0, &old, sizeof(old), NULL, 0), ==, -EPROTO);
	g_assert_cmpint(ask(&g, FUSE_INIT, 0, &newer, sizeof(newer), NULL, 0), ==, 0);
	out = payload(&g);
	g_assert_cmpuint(out->major, ==, 7);
	g_assert_cmpuint(out->flags, ==, 0);
	out = init(&g, 36, FUSE_POSIX_LOCKS | FUSE_WRITEBACK_CACHE | FUSE_EXPORT_SUPPORT);
	g_assert_cmpuint(out->flags, ==, FUSE_POSIX_LOCKS);
	g_assert_cmpuint(out->max_write, ==, 1u << 20);
}

static void bytes_go_straight_between_guest_and_file(void)
{
	GUEST(g, FS_CACHE_AUTO);
	g_autofree char *path = g_build_filename(g.dir, "new", NULL);
	g_autofree char *text = NULL;
	uint64_t node, fh = create(&g, 1, "new", O_RDWR | O_EXCL, &node);
	struct stat st;

	g_assert_cmpint(write_to(&g, fh, 3, "hello", 5), ==, 0);
	g_assert_cmpuint(((const struct fuse_write_out *)payload(&g))->size, ==, 5);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_cmpmem(text, 8, "\0\0\0hello", 8);
	g_assert_cmpint(read_from(&g, fh, 4, 100), ==, 0);
	g_assert_cmpuint(g.len, ==, sizeof(struct fuse_out_header) + 4);
	g_assert_cmpmem(payload(&g), 4, "ello", 4);
	g_assert_cmpint(ask(&g, FUSE_UNLINK, 1, NULL, 0, "new", 4), ==, 0);
	g_assert_cmpint(stat(path, &st), <, 0);
	g_assert_cmpint(read_from(&g, fh, 0, 100), ==, 0);
	g_assert_cmpuint(g.len, ==, sizeof(struct fuse_out_header) + 8);

	struct fuse_release_in rel = { .fh = fh };
	g_assert_cmpint(ask(&g, FUSE_RELEASE, node, &rel, sizeof(rel), NULL, 0), ==, 0);
	g_assert_cmpint(read_from(&g, fh, 0, 100), ==, -EBADF);
}

static void a_folder_is_listed_with_its_attributes(void)
{
	GUEST(g, FS_CACHE_AUTO);
	struct fuse_open_in open_in = { 0 };
	unsigned seen = 0, known = 0;
	uint64_t node;

	for (unsigned i = 0; i < 30; i++) {
		g_autofree char *name = g_strdup_printf("file-%u", i);
		create(&g, 1, name, O_RDWR, &node);
	}
	g_assert_cmpint(ask(&g, FUSE_OPENDIR, 1, &open_in, sizeof(open_in), NULL, 0), ==, 0);
	struct fuse_read_in in = { .fh = ((const struct fuse_open_out *)payload(&g))->fh,
				   .size = 1024 };
	for (;;) {
		g_assert_cmpint(ask(&g, FUSE_READDIRPLUS, 1, &in, sizeof(in), NULL, 0), ==, 0);
		size_t len = g.len - sizeof(struct fuse_out_header);
		if (len == 0)
			break;
		g_assert_cmpuint(len, <=, 1024);
		for (size_t at = 0; at < len;) {
			const struct fuse_direntplus *e =
				(const void *)((const char *)payload(&g) + at);

			seen++;
			known += e->entry_out.nodeid != 0;
			in.offset = e->dirent.off;
			at += FUSE_DIRENTPLUS_SIZE(e);
		}
	}
	g_assert_cmpuint(seen, ==, 32);
	g_assert_cmpuint(known, ==, 30);
}

static void names_change_as_they_should(void)
{
	GUEST(g, FS_CACHE_AUTO);
	struct fuse_rename_in ren = { .newdir = 1 };
	struct fuse_mkdir_in mk = { .mode = 0755 };
	uint64_t node, other;
	int r;

	create(&g, 1, "a", O_RDWR, &node);
	g_assert_cmpint(ask(&g, FUSE_RENAME, 1, &ren, sizeof(ren), "a\0b", 4), ==, 0);
	look_up(&g, 1, "a", &r);
	g_assert_cmpint(r, ==, -ENOENT);
	g_assert_cmpuint(look_up(&g, 1, "b", NULL), ==, node);
	struct fuse_link_in ln = { .oldnodeid = node };
	g_assert_cmpint(ask(&g, FUSE_LINK, 1, &ln, sizeof(ln), "c", 2), ==, 0);
	g_assert_cmpuint(((const struct fuse_entry_out *)payload(&g))->attr.nlink, ==, 2);
	g_assert_cmpint(ask(&g, FUSE_SYMLINK, 1, NULL, 0, "s\0/etc/passwd", 14), ==, 0);
	other = ((const struct fuse_entry_out *)payload(&g))->nodeid;
	g_assert_cmpint(ask(&g, FUSE_READLINK, other, NULL, 0, NULL, 0), ==, 0);
	g_assert_cmpmem(payload(&g), g.len - 16, "/etc/passwd", 11);
	g_assert_cmpint(ask(&g, FUSE_MKDIR, 1, &mk, sizeof(mk), "d", 2), ==, 0);
	g_assert_cmpint(ask(&g, FUSE_UNLINK, 1, NULL, 0, "d", 2), ==, -EISDIR);
	g_assert_cmpint(ask(&g, FUSE_RMDIR, 1, NULL, 0, "d", 2), ==, 0);
}

/* ---- what waits ---- */

static int lock(struct guest *g, uint32_t opcode, uint64_t fh, uint64_t owner, uint32_t type,
		uint32_t flags)
{
	struct fuse_lk_in in = { .fh = fh, .owner = owner, .lk_flags = flags,
				 .lk = { .start = 0, .end = INT64_MAX, .type = type } };

	return ask(g, opcode, 0, &in, sizeof(in), NULL, 0);
}

static void post_lock(struct guest *g, uint64_t fh, uint64_t owner, uint32_t type, uint32_t flags)
{
	struct fuse_lk_in in = { .fh = fh, .owner = owner, .lk_flags = flags,
				 .lk = { .start = 0, .end = INT64_MAX, .type = type } };

	post(g, FUSE_SETLKW, 0, &in, sizeof(in), NULL, 0);
}

static bool nothing_comes(struct guest *g, unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 10) {
		g_usleep(10000);
		if (driver_used(g->d, REQUESTS, NULL, &g->len))
			return false;
	}
	return true;
}

static void who_waits_for_a_lock_holds_up_nobody(void)
{
	GUEST(g, FS_CACHE_AUTO);
	g_autofree char *path = g_build_filename(g.dir, "f", NULL);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct fuse_flush_in flush = { .fh = fh, .lock_owner = 1 };

	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 1, F_WRLCK, 0), ==, 0);
	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 2, F_RDLCK, 0), ==, -EAGAIN);
	post_lock(&g, fh, 2, F_WRLCK, 0);
	g_assert_true(nothing_comes(&g, 100));
	/* the answer to the flush, then the lock: both used, in this order */
	post(&g, FUSE_FLUSH, node, &flush, sizeof(flush), NULL, 0);
	g_assert_cmpint(answer(&g), ==, 0);
	g_assert_cmpint(answer(&g), ==, 0);

	/* one that a program of the host has, too */
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
	post_lock(&g, fh, 9, F_WRLCK, FUSE_LK_FLOCK);
	g_assert_true(nothing_comes(&g, 60));
	g_assert_cmpint(flock(fd, LOCK_UN), ==, 0);
	g_assert_cmpint(answer(&g), ==, 0);
}

static void a_wait_is_interrupted_and_forgotten_by_a_reset(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct fuse_in_header h = { .len = sizeof(h) + 8, .opcode = FUSE_INTERRUPT, .unique = 999 };
	uint64_t gpa = driver_alloc(g.d, 64);
	struct driver_buf buf = { gpa, h.len, false };

	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 1, F_WRLCK, 0), ==, 0);
	post_lock(&g, fh, 2, F_WRLCK, 0);
	g_assert_true(nothing_comes(&g, 40));
	memcpy(driver_ptr(g.d, gpa), &h, sizeof(h));
	memcpy(driver_ptr(g.d, gpa + sizeof(h)), &g.unique, 8);
	driver_add(g.d, HIPRIO, &buf, 1);
	driver_kick(g.d, HIPRIO);
	g_assert_cmpint(answer(&g), ==, -EINTR);
	post_lock(&g, fh, 3, F_WRLCK, 0);
	g_assert_true(nothing_comes(&g, 40));
	driver_reset(g.d);
	g_assert_true(driver_init(g.d, 0, RING));
	init(&g, 38, UINT32_MAX);
	fh = create(&g, 1, "f", O_RDWR, &node);
	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 7, F_WRLCK, 0), ==, 0);
}

static void waiting_locks_leave_room_in_the_queue(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	unsigned refused = 0;

	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 1, F_WRLCK, 0), ==, 0);
	for (unsigned i = 0; i < 30; i++) {	/* 4 descriptors each of 128 */
		post_lock(&g, fh, 10 + i, F_WRLCK, 0);
		if (!nothing_comes(&g, 10))
			refused++;
	}
	g_assert_cmpuint(refused, ==, 0);
	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 1, F_UNLCK, 0), ==, 0);
	g_assert_cmpint(answer(&g), ==, 0);
}

static void an_fsync_is_answered_by_its_thread(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct fuse_fsync_in in = { .fh = fh };
	struct fuse_syncfs_in all = { 0 };

	g_assert_cmpint(write_to(&g, fh, 0, "x", 1), ==, 0);
	g_assert_cmpint(ask(&g, FUSE_FSYNC, node, &in, sizeof(in), NULL, 0), ==, 0);
	in.fsync_flags = FUSE_FSYNC_FDATASYNC;
	g_assert_cmpint(ask(&g, FUSE_FSYNC, node, &in, sizeof(in), NULL, 0), ==, 0);
	g_assert_cmpint(ask(&g, FUSE_SYNCFS, 1, &all, sizeof(all), NULL, 0), ==, 0);
}

static void an_fsync_holds_up_nobody(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct fuse_fsync_in in = { .fh = fh };
	struct fuse_getattr_in get = { 0 };

	sync_hold();
	post(&g, FUSE_FSYNC, node, &in, sizeof(in), NULL, 0);
	sync_expect(1);
	g_assert_cmpint(ask(&g, FUSE_GETATTR, node, &get, sizeof(get), NULL, 0), ==, 0);
	sync_release();
	g_assert_true(driver_wait(g.d, REQUESTS, NULL, &g.len));
	g_assert_cmpuint(g.len, ==, 16);
}

static void a_machine_that_stands_gets_its_answers_when_it_goes_on(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct device *dev = virtio_mmio_device(g.d->mmio);

	g_assert_cmpint(lock(&g, FUSE_SETLK, fh, 1, F_WRLCK, FUSE_LK_FLOCK), ==, 0);
	uint64_t second = create(&g, 1, "f", O_RDWR, &node);
	post_lock(&g, second, 2, F_WRLCK, FUSE_LK_FLOCK);
	g_assert_true(nothing_comes(&g, 40));
	device_stop(dev);
	struct fuse_release_in rel = { .fh = fh };
	post(&g, FUSE_RELEASE, node, &rel, sizeof(rel), NULL, 0);
	g_assert_true(nothing_comes(&g, 60));
	device_start(dev);
	g_assert_cmpint(answer(&g), ==, 0);
	g_assert_cmpint(answer(&g), ==, 0);
}

/* ---- what is refused ---- */

static void a_read_only_share_is_one_for_fuse_too(void)
{
	__attribute__((cleanup(guest_free))) struct guest g = guest_new_with(FS_CACHE_AUTO, true);
	struct fuse_create_in in = { .flags = O_RDWR, .mode = S_IFREG | 0644 };
	struct fuse_setattr_in set = { .valid = FATTR_MODE, .mode = 0777 };

	init(&g, 38, UINT32_MAX);
	g_assert_cmpint(ask(&g, FUSE_CREATE, 1, &in, sizeof(in), "x", 2), ==, -EROFS);
	g_assert_cmpint(ask(&g, FUSE_SETATTR, 1, &set, sizeof(set), NULL, 0), ==, -EROFS);
}

static void names_that_lead_out_are_refused(void)
{
	static const char *const bad[] = { "..", ".", "", "a/../..", "/etc/passwd", "../x" };
	GUEST(g, FS_CACHE_AUTO);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		look_up(&g, 1, bad[i], &r);
		g_assert_cmpint(r, ==, -EINVAL);
	}
}

static void numbers_that_were_never_given_are_refused(void)
{
	GUEST(g, FS_CACHE_AUTO);
	static const uint64_t ids[] = { 0, 2, 255, 256, 257, UINT32_MAX, UINT64_MAX,
					UINT64_C(1) << 32 | 1, UINT64_C(1) << 63 };
	uint64_t node;
	int r;

	create(&g, 1, "f", O_RDWR, &node);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		if (ids[i] == node)
			continue;
		look_up(&g, ids[i], "f", &r);
		g_assert_cmpint(r, ==, -ESTALE);
		g_assert_cmpint(read_from(&g, ids[i] ?: UINT32_MAX, 0, 10), ==, -EBADF);
	}
	/* a node that was forgotten, and its number */
	struct fuse_in_header h = { .len = sizeof(h) + 8, .opcode = FUSE_FORGET, .nodeid = 1 };
	struct fuse_forget_in forget = { .nlookup = UINT64_MAX };
	uint64_t gpa = driver_alloc(g.d, 64);
	struct driver_buf buf = { gpa, h.len, false };
	memcpy(driver_ptr(g.d, gpa), &h, sizeof(h));
	memcpy(driver_ptr(g.d, gpa + sizeof(h)), &forget, sizeof(forget));
	driver_add(g.d, HIPRIO, &buf, 1);
	driver_kick(g.d, HIPRIO);
	g_assert_true(driver_wait(g.d, HIPRIO, NULL, &g.len));
	look_up(&g, 1, "f", NULL);	/* the root can't be forgotten */
}

static void requests_that_lie_about_their_length_are_refused(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct fuse_write_in w = { .fh = fh, .size = 4096 };
	struct fuse_setxattr_in x = { .size = 60000 };
	struct fuse_rename_in ren = { .newdir = 1 };

	g_assert_cmpint(ask(&g, FUSE_WRITE, node, &w, sizeof(w), "abc", 3), ==, -EINVAL);
	g_assert_cmpint(ask(&g, FUSE_SETXATTR, node, &x, 8, "user.a\0v", 8), ==, -EINVAL);
	g_assert_cmpint(ask(&g, FUSE_RENAME, 1, &ren, sizeof(ren), "f\0unended", 9), ==, -EINVAL);
	g_assert_cmpint(ask(&g, FUSE_LOOKUP, 1, NULL, 0, "f", 1), ==, -EINVAL);
	g_assert_cmpint(ask(&g, FUSE_GETATTR, node, &w, 3, NULL, 0), ==, -EINVAL);
	w = (struct fuse_write_in){ .fh = fh, .size = 1, .offset = UINT64_MAX };
	g_assert_cmpint(ask(&g, FUSE_WRITE, node, &w, sizeof(w), "a", 1), ==, -EINVAL);
	g_assert_cmpint(ask(&g, 9999, 1, NULL, 0, NULL, 0), ==, -ENOSYS);
	g_assert_cmpint(ask(&g, FUSE_IOCTL, 1, &(struct fuse_ioctl_in){ 0 }, 32, NULL, 0), ==,
			-ENOSYS);
	g_assert_cmpint(ask(&g, FUSE_SETUPMAPPING, 1, NULL, 0, NULL, 0), ==, -ENOSYS);
}

static void a_header_that_claims_more_than_there_is_breaks_the_device(void)
{
	GUEST(g, FS_CACHE_AUTO);
	struct fuse_in_header h = { .len = 5000, .opcode = FUSE_LOOKUP, .nodeid = 1 };
	uint64_t gpa = driver_alloc(g.d, 64);
	struct driver_buf bufs[] = { { gpa, sizeof(h), false }, { g.in_gpa, 16, true } };

	memcpy(driver_ptr(g.d, gpa), &h, sizeof(h));
	driver_add(g.d, REQUESTS, bufs, 2);
	driver_kick(g.d, REQUESTS);
	for (unsigned i = 0; i < 100; i++) {
		if (driver_read(g.d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
			break;
		g_usleep(10000);
	}
	g_assert_true(driver_read(g.d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void an_answer_never_leaves_its_room(void)
{
	GUEST(g, FS_CACHE_AUTO);
	uint64_t node, fh = create(&g, 1, "f", O_RDWR, &node);
	struct {
		struct fuse_in_header h;
		struct fuse_read_in in;
	} r = { { .len = sizeof(r), .opcode = FUSE_READ, .nodeid = node, .unique = 5 },
		{ .fh = fh, .size = 1u << 20 } };
	uint64_t gpa = driver_alloc(g.d, 4096), in = driver_alloc(g.d, 4096);
	struct driver_buf bufs[] = { { gpa, sizeof(r), false }, { in, 16 + 10, true } };
	g_autofree char *bytes = g_malloc0(4000);

	memset(bytes, 'z', 4000);
	g_assert_cmpint(write_to(&g, fh, 0, bytes, 4000), ==, 0);
	memcpy(driver_ptr(g.d, gpa), &r, sizeof(r));
	driver_add(g.d, REQUESTS, bufs, 2);
	driver_kick(g.d, REQUESTS);
	g_assert_true(driver_wait(g.d, REQUESTS, NULL, &g.len));
	g_assert_cmpuint(g.len, ==, 26);
	g_assert_cmpint(((char *)driver_ptr(g.d, in))[25], ==, 'z');
	g_assert_cmpint(((char *)driver_ptr(g.d, in))[26], ==, 0);
}

#define TEST(name) g_test_add_func("/fs/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	umask(022);
	TEST(a_broken_request_is_the_last);
	TEST(the_configuration_has_the_tag_and_one_queue);
	TEST(the_first_words_settle_what_both_know);
	TEST(bytes_go_straight_between_guest_and_file);
	TEST(a_folder_is_listed_with_its_attributes);
	TEST(names_change_as_they_should);
	TEST(who_waits_for_a_lock_holds_up_nobody);
	TEST(a_wait_is_interrupted_and_forgotten_by_a_reset);
	TEST(waiting_locks_leave_room_in_the_queue);
	TEST(an_fsync_is_answered_by_its_thread);
	TEST(an_fsync_holds_up_nobody);
	TEST(a_machine_that_stands_gets_its_answers_when_it_goes_on);
	TEST(a_read_only_share_is_one_for_fuse_too);
	TEST(names_that_lead_out_are_refused);
	TEST(numbers_that_were_never_given_are_refused);
	TEST(requests_that_lie_about_their_length_are_refused);
	TEST(a_header_that_claims_more_than_there_is_breaks_the_device);
	TEST(an_answer_never_leaves_its_room);
	return g_test_run();
}
