/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-9p as its driver sees it: a client of a few lines, a folder of the
 * test's own behind the device.
 */
#include "config.h"
#include "libvmm/device/ninep.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "held-sync.h"
#include "libvmm/device/device.h"
#include "libvmm/device/ninep-priv.h"
#include "libvmm/device/virtio-mmio.h"
#include "virtio-driver.h"

#define BUFFER (64u << 10)
#define T(name) T_##name

struct client {
	struct driver *d;
	struct virtio_device *dev;
	char *dir;
	uint64_t out, in;		/* guest memory */
	uint16_t tag;
	uint8_t *reply;			/* behind the head */
	uint32_t reply_len;
};

static int proc_fd = -1;

/* ---- a client ---- */

struct put {
	uint8_t bytes[BUFFER];
	size_t n;
};

static void put_n(struct put *p, uint64_t v, unsigned bytes)
{
	ninep_put_le(p->bytes + p->n, v, bytes);
	p->n += bytes;
}

static uint64_t le(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

/* format: 1, 2, 4, 8: a number of so many bytes; s: a string. */
static void put_fields(struct put *p, const char *format, va_list ap)
{
	for (; *format; format++) {
		if (*format == 's') {
			const char *s = va_arg(ap, const char *);

			put_n(p, strlen(s), 2);
			memcpy(p->bytes + p->n, s, strlen(s));
			p->n += strlen(s);
		} else {
			put_n(p, va_arg(ap, uint64_t), (unsigned)(*format - '0'));
		}
	}
}

/* Sends it as it is; false: no answer, the device is broken. */
static bool send_raw(struct client *c, const void *bytes, size_t len, uint32_t room)
{
	struct driver_buf bufs[] = { { c->out, (uint32_t)len, false }, { c->in, room, true } };
	uint32_t used = 0;

	memcpy(driver_ptr(c->d, c->out), bytes, len);
	memset(driver_ptr(c->d, c->in), 0xee, room);
	driver_add(c->d, 0, bufs, room ? 2 : 1);
	driver_kick(c->d, 0);
	if (!driver_wait(c->d, 0, NULL, &used))
		return false;
	c->reply = (uint8_t *)driver_ptr(c->d, c->in) + NINEP_HDR_BYTES;
	c->reply_len = used - NINEP_HDR_BYTES;
	g_assert_cmpuint(le(c->reply - NINEP_HDR_BYTES, 4), ==, used);
	return true;
}

/* 0, or -errno of an Rlerror. */
static int answer(const struct client *c, unsigned type)
{
	unsigned is = c->reply[-3];

	g_assert_cmpuint(le(c->reply - 2, 2), ==, c->tag);
	if (is == T_LERROR + 1)
		return -(int)le(c->reply, 4);
	g_assert_cmpuint(is, ==, type + 1);
	return 0;
}

static void begin(struct put *p, struct client *c, unsigned type)
{
	p->n = 4;
	put_n(p, type, 1);
	put_n(p, ++c->tag, 2);
}

static int say(struct client *c, unsigned type, const char *format, ...)
{
	static struct put p;
	va_list ap;

	begin(&p, c, type);
	va_start(ap, format);
	put_fields(&p, format, ap);
	va_end(ap);
	ninep_put_le(p.bytes, p.n, 4);
	g_assert_true(send_raw(c, p.bytes, p.n, BUFFER));
	return answer(c, type);
}

#define N(x) ((uint64_t)(x))

static struct share *share_of(const char *dir, bool readonly, enum share_owner_mode owners)
{
	struct share_opts opts = {
		.name = "fs0", .proc_fd = proc_fd, .readonly = readonly, .owners = owners,
		.root_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.nodes_max = 200, .files_max = 64,
	};
	g_autoptr(GError) error = NULL;
	struct share *s = share_new(&opts, &error);

	g_assert_no_error(error);
	return s;
}

static struct client *client_of(bool readonly)
{
	struct client *c = g_new0(struct client, 1);
	struct ninep_opts opts = { .name = "fs0", .tag = "src" };
	g_autoptr(GError) error = NULL;

	c->dir = g_dir_make_tmp("test-ninep-XXXXXX", NULL);
	c->d = driver_new(2);
	opts.share = share_of(c->dir, readonly, SHARE_SQUASH);
	c->dev = ninep_new(&opts, c->d->mem, NULL, &error);
	g_assert_no_error(error);
	driver_attach(c->d, c->dev);
	g_assert_true(driver_init(c->d, 1, 64));
	c->out = driver_alloc(c->d, BUFFER);
	c->in = driver_alloc(c->d, BUFFER);
	return c;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static void client_free(struct client *c)
{
	driver_free(c->d);
	g_assert_cmpint(nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
	g_free(c->dir);
	g_free(c);
}

/* A session with fid 0 at the root. */
static struct client *mounted(bool readonly)
{
	struct client *c = client_of(readonly);

	c->tag = UINT16_MAX - 1;
	g_assert_cmpint(say(c, T(VERSION), "4s", N(32768), "9P2000.L"), ==, 0);
	c->tag = 0;
	g_assert_cmpint(say(c, T(ATTACH), "44ss4", N(0), N(UINT32_MAX), "", "", N(0)), ==, 0);
	return c;
}

static char *path_of(const struct client *c, const char *name)
{
	return g_build_filename(c->dir, name, NULL);
}

static void host_put(const struct client *c, const char *name, const char *text)
{
	g_autofree char *path = path_of(c, name);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void expect_host(const struct client *c, const char *name, const char *text)
{
	g_autofree char *path = path_of(c, name), *is = NULL;

	g_file_get_contents(path, &is, NULL, NULL);
	g_assert_cmpstr(is, ==, text);
}

static int walk(struct client *c, unsigned from, unsigned to, const char *name)
{
	return say(c, T(WALK), "442s", N(from), N(to), N(1), name);
}

static int clunk(struct client *c, unsigned fid)
{
	return say(c, T(CLUNK), "4", N(fid));
}

/* fid 0's file `name` as `fid`, open. */
static void open_as(struct client *c, unsigned fid, const char *name, int flags)
{
	g_assert_cmpint(walk(c, 0, fid, name), ==, 0);
	g_assert_cmpint(say(c, T(LOPEN), "44", N(fid), N(flags)), ==, 0);
}

static void create_as(struct client *c, unsigned fid, const char *name)
{
	g_assert_cmpint(say(c, T(WALK), "442", N(0), N(fid), N(0)), ==, 0);
	g_assert_cmpint(say(c, T(LCREATE), "4s444", N(fid), name, N(O_RDWR), N(0644), N(0)), ==, 0);
}

/* ---- sessions ---- */

static void the_tag_is_in_the_configuration(void)
{
	struct client *c = client_of(false);
	char tag[5] = "";

	g_assert_cmpuint(driver_read(c->d, VIRTIO_MMIO_DEVICE_ID), ==, VIRTIO_ID_9P);
	driver_config(c->d, 0, tag, sizeof(tag));
	g_assert_cmpmem(tag, 5, "\3\0src", 5);
	client_free(c);
}

static void a_session_agrees_on_a_size_and_a_version(void)
{
	struct client *c = client_of(false);

	g_assert_cmpint(say(c, T(ATTACH), "44ss4", N(0), N(UINT32_MAX), "", "", N(0)), ==, -EPROTO);
	g_assert_cmpint(say(c, T(VERSION), "4s", N(1 << 30), "9P2000.L"), ==, 0);
	g_assert_cmpuint(le(c->reply, 4), ==, NINEP_MSIZE_MAX);
	g_assert_cmpmem(c->reply + 6, 8, "9P2000.L", 8);
	g_assert_cmpint(say(c, T(VERSION), "4s", N(100), "9P2000.L"), ==, -EMSGSIZE);
	g_assert_cmpint(say(c, T(VERSION), "4s", N(8192), "9P2000.u"), ==, 0);
	g_assert_cmpmem(c->reply + 6, 7, "unknown", 7);
	g_assert_cmpint(say(c, T(ATTACH), "44ss4", N(0), N(UINT32_MAX), "", "", N(0)), ==, -EPROTO);
	client_free(c);
}

static void a_new_session_forgets_the_old_ones_fids(void)
{
	struct client *c = mounted(false);

	create_as(c, 1, "f");
	g_assert_cmpuint(ninep_fids(c->dev), ==, 2);
	g_assert_cmpint(say(c, T(VERSION), "4s", N(8192), "9P2000.L"), ==, 0);
	g_assert_cmpuint(ninep_fids(c->dev), ==, 0);
	g_assert_cmpint(say(c, T(GETATTR), "48", N(0), N(0x7ff)), ==, -EBADF);
	client_free(c);
}

static void what_is_not_known_is_refused_and_the_session_goes_on(void)
{
	struct client *c = mounted(false);

	g_assert_cmpint(say(c, T(AUTH), "4ss4", N(9), "u", "", N(0)), ==, -EOPNOTSUPP);
	g_assert_cmpint(say(c, 200, "4", N(0)), ==, -EOPNOTSUPP);
	g_assert_cmpint(say(c, T_LERROR, "4", N(5)), ==, -EOPNOTSUPP);
	g_assert_cmpint(say(c, T(FLUSH), "2", N(77)), ==, 0);
	g_assert_cmpint(say(c, T(GETATTR), "48", N(0), N(0x7ff)), ==, 0);
	client_free(c);
}

/* ---- walks ---- */

static void a_walk_goes_down_and_nowhere_else(void)
{
	struct client *c = mounted(false);
	g_autofree char *sub = path_of(c, "sub"), *link = path_of(c, "link");

	g_mkdir(sub, 0755);
	host_put(c, "sub/file", "x");
	g_assert_cmpint(symlink("/etc", link), ==, 0);
	g_assert_cmpint(say(c, T(WALK), "442ss", N(0), N(1), N(2), "sub", "file"), ==, 0);
	g_assert_cmpuint(le(c->reply, 2), ==, 2);
	g_assert_cmpuint(c->reply[2], ==, 0x80);
	g_assert_cmpuint(c->reply[2 + 13], ==, 0);
	g_assert_cmpint(walk(c, 0, 2, ".."), ==, -EINVAL);
	g_assert_cmpint(walk(c, 0, 2, "."), ==, -EINVAL);
	g_assert_cmpint(walk(c, 0, 2, ""), ==, -EINVAL);
	g_assert_cmpint(walk(c, 0, 2, "sub/file"), ==, -EINVAL);
	g_assert_cmpint(walk(c, 0, 2, "none"), ==, -ENOENT);
	g_assert_cmpint(say(c, T(WALK), "442ss", N(0), N(2), N(2), "link", "passwd"), ==, 0);
	g_assert_cmpuint(le(c->reply, 2), ==, 1);
	g_assert_cmpuint(c->reply[2], ==, 0x02);
	g_assert_cmpint(clunk(c, 2), ==, -EBADF);
	client_free(c);
}

static void a_walk_takes_a_free_fid_only(void)
{
	struct client *c = mounted(false);

	host_put(c, "f", "x");
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, 0);
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, -EBADF);
	g_assert_cmpint(walk(c, 7, 8, "f"), ==, -EBADF);
	g_assert_cmpint(walk(c, 0, UINT32_MAX, "f"), ==, -EBADF);
	g_assert_cmpint(say(c, T(WALK), "442", N(0), N(3), N(17)), ==, -EINVAL);
	g_assert_cmpint(say(c, T(LOPEN), "44", N(1), N(O_RDONLY)), ==, 0);
	g_assert_cmpint(say(c, T(WALK), "442", N(1), N(1), N(0)), ==, -EINVAL);
	g_assert_cmpint(say(c, T(WALK), "442", N(1), N(4), N(0)), ==, 0);
	g_assert_cmpint(say(c, T(READ), "484", N(4), N(0), N(8)), ==, -EBADF);
	client_free(c);
}

/* ---- bytes ---- */

static void what_is_written_is_read_and_is_on_the_host(void)
{
	struct client *c = mounted(false);

	create_as(c, 1, "f");
	g_assert_cmpint(say(c, T(WRITE), "4844", N(1), N(0), N(4), N(0x64636261)), ==, 0);
	g_assert_cmpuint(le(c->reply, 4), ==, 4);
	g_assert_cmpint(say(c, T(FSYNC), "44", N(1), N(1)), ==, 0);
	expect_host(c, "f", "abcd");
	g_assert_cmpint(say(c, T(READ), "484", N(1), N(1), N(100)), ==, 0);
	g_assert_cmpuint(le(c->reply, 4), ==, 3);
	g_assert_cmpmem(c->reply + 4, 3, "bcd", 3);
	g_assert_cmpint(say(c, T(READ), "484", N(1), N(100), N(100)), ==, 0);
	g_assert_cmpuint(le(c->reply, 4), ==, 0);
	g_assert_cmpint(say(c, T(READ), "484", N(1), N(UINT64_MAX), N(1)), ==, -EINVAL);
	client_free(c);
}

static void a_read_fills_no_more_than_there_is_room_for(void)
{
	struct client *c = mounted(false);
	g_autofree char *text = g_strnfill(60000, 'x');

	host_put(c, "f", text);
	open_as(c, 1, "f", O_RDONLY);
	g_assert_cmpint(say(c, T(READ), "484", N(1), N(0), N(60000)), ==, 0);
	g_assert_cmpuint(le(c->reply, 4), ==, 32768 - NINEP_READ_HDR);
	g_assert_cmpuint(c->reply[c->reply_len], ==, 0xee);
	g_assert_cmpint(say(c, T(READ), "484", N(0), N(0), N(1)), ==, -EBADF);
	client_free(c);
}

static void a_write_that_says_more_than_it_has_is_refused(void)
{
	struct client *c = mounted(false);

	create_as(c, 1, "f");
	g_assert_cmpint(say(c, T(WRITE), "4844", N(1), N(0), N(5), N(0)), ==, -EINVAL);
	g_assert_cmpint(say(c, T(WRITE), "484", N(1), N(0), N(UINT32_MAX)), ==, -EINVAL);
	g_assert_cmpint(say(c, T(WRITE), "48", N(1), N(0)), ==, -EINVAL);
	expect_host(c, "f", "");
	client_free(c);
}

/* ---- names ---- */

static void names_come_go_and_move(void)
{
	struct client *c = mounted(false);
	g_autofree char *moved = path_of(c, "d/g"), *link = path_of(c, "l");
	struct stat st;

	g_assert_cmpint(say(c, T(MKDIR), "4s44", N(0), "d", N(0755), N(0)), ==, 0);
	g_assert_cmpuint(c->reply[0], ==, 0x80);
	g_assert_cmpint(say(c, T(MKDIR), "4s44", N(0), "d", N(0755), N(0)), ==, -EEXIST);
	create_as(c, 1, "f");
	g_assert_cmpint(walk(c, 0, 2, "d"), ==, 0);
	g_assert_cmpint(say(c, T(RENAMEAT), "4s4s", N(0), "f", N(2), "g"), ==, 0);
	g_assert_cmpint(stat(moved, &st), ==, 0);
	g_assert_cmpint(say(c, T(UNLINKAT), "4s4", N(0), "d", N(0x200)), ==, -ENOTEMPTY);
	g_assert_cmpint(say(c, T(UNLINKAT), "4s4", N(2), "g", N(0)), ==, 0);
	/* open and gone, it is still there */
	g_assert_cmpint(say(c, T(WRITE), "4844", N(1), N(0), N(4), N(0)), ==, 0);
	g_assert_cmpint(say(c, T(GETATTR), "48", N(1), N(0x7ff)), ==, 0);
	g_assert_cmpint(say(c, T(UNLINKAT), "4s4", N(0), "d", N(0x200)), ==, 0);
	g_assert_cmpint(say(c, T(SYMLINK), "4ss4", N(0), "l", "../../etc", N(0)), ==, 0);
	g_assert_cmpint(walk(c, 0, 3, "l"), ==, 0);
	g_assert_cmpint(say(c, T(READLINK), "4", N(3)), ==, 0);
	g_assert_cmpmem(c->reply + 2, 9, "../../etc", 9);
	g_assert_cmpint(lstat(link, &st), ==, 0);
	g_assert_true(S_ISLNK(st.st_mode));
	client_free(c);
}

static void a_fid_is_renamed_and_removed_by_itself(void)
{
	struct client *c = mounted(false);
	g_autofree char *f = path_of(c, "f"), *g = path_of(c, "g");

	host_put(c, "f", "x");
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, 0);
	g_assert_cmpint(say(c, T(RENAME), "44s", N(1), N(0), "g"), ==, 0);
	expect_host(c, "g", "x");
	g_assert_cmpint(say(c, T(REMOVE), "4", N(1)), ==, 0);
	g_assert_false(g_file_test(g, G_FILE_TEST_EXISTS));
	g_assert_cmpint(clunk(c, 1), ==, -EBADF);
	/* replaced meanwhile: what is there now is not what the fid is */
	host_put(c, "f", "old");
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, 0);
	g_assert_cmpint(rename(f, g), ==, 0);
	host_put(c, "f", "new");
	g_assert_cmpint(say(c, T(REMOVE), "4", N(1)), ==, -ESTALE);
	expect_host(c, "f", "new");
	g_assert_cmpint(say(c, T(REMOVE), "4", N(0)), ==, -EBUSY);
	client_free(c);
}

static void a_folder_is_listed_from_where_the_last_answer_ended(void)
{
	struct client *c = mounted(false);
	unsigned seen = 0, answers = 0;
	uint64_t cookie = 0;

	for (unsigned i = 0; i < 40; i++) {
		g_autofree char *name = g_strdup_printf("file-%02u", i);

		host_put(c, name, "");
	}
	g_assert_cmpint(say(c, T(WALK), "442", N(0), N(1), N(0)), ==, 0);
	g_assert_cmpint(say(c, T(LOPEN), "44", N(1), N(O_RDONLY | O_DIRECTORY)), ==, 0);
	g_assert_cmpint(say(c, T(READDIR), "484", N(1), N(0), N(20)), ==, -EINVAL);
	for (;; answers++) {
		g_assert_cmpint(say(c, T(READDIR), "484", N(1), cookie, N(300)), ==, 0);
		const uint8_t *at = c->reply + 4, *end = at + le(c->reply, 4);

		if (at == end)
			break;
		while (at < end) {
			unsigned len = (unsigned)le(at + 22, 2);

			cookie = le(at + 13, 8);
			seen += len == 7 && !memcmp(at + 24, "file-", 5);
			at += 24 + len;
		}
		g_assert_true(at == end);
	}
	g_assert_cmpuint(seen, ==, 40);
	g_assert_cmpuint(answers, >, 3);
	client_free(c);
}

/* ---- attributes ---- */

static void attributes_are_told_and_set(void)
{
	struct client *c = mounted(false);
	g_autofree char *f = path_of(c, "f");
	struct stat st;

	host_put(c, "f", "123456");
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, 0);
	g_assert_cmpint(say(c, T(GETATTR), "48", N(1), N(0x7ff)), ==, 0);
	g_assert_cmpint(stat(f, &st), ==, 0);
	g_assert_cmpuint(le(c->reply + 8 + 13, 4), ==, st.st_mode);
	g_assert_cmpuint(le(c->reply + 8 + 13 + 12 + 16, 8), ==, 6);
	g_assert_cmpuint(le(c->reply + 8 + 5, 8), ==, st.st_ino);
	/* mode, size, both times */
	g_assert_cmpint(say(c, T(SETATTR), "444448" "8888", N(1), N(1 | 8 | 0x10 | 0x20 | 0x100),
			    N(0600), N(0), N(0), N(3), N(0), N(0), N(1000), N(5)), ==, 0);
	g_assert_cmpint(stat(f, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
	g_assert_cmpint(st.st_size, ==, 3);
	g_assert_cmpint(st.st_mtim.tv_sec, ==, 1000);
	g_assert_cmpint(say(c, T(SETATTR), "444448" "8888", N(1), N(8), N(0), N(0), N(0),
			    UINT64_MAX, N(0), N(0), N(0), N(0)), ==, -EINVAL);
	g_assert_cmpint(say(c, T(STATFS), "4", N(1)), ==, 0);
	g_assert_cmpuint(le(c->reply, 4), ==, 0x01021997);
	client_free(c);
}

static void extended_attributes_are_written_read_listed_and_removed(void)
{
	struct client *c = mounted(false);
	g_autofree char *f = path_of(c, "f");
	char value[16];

	host_put(c, "f", "");
	if (setxattr(f, "user.probe", "x", 1, 0) < 0) {
		g_test_skip("this file system has no extended attributes");
		client_free(c);
		return;
	}
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, 0);
	g_assert_cmpint(walk(c, 0, 2, "f"), ==, 0);
	g_assert_cmpint(say(c, T(XATTRCREATE), "4s84", N(2), "user.a", N(4), N(0)), ==, 0);
	g_assert_cmpint(say(c, T(WRITE), "4842", N(2), N(0), N(2), N(0x6261)), ==, 0);
	g_assert_cmpint(say(c, T(WRITE), "4842", N(2), N(0), N(2), N(0x6261)), ==, -EINVAL);
	g_assert_cmpint(say(c, T(WRITE), "4844", N(2), N(2), N(4), N(0)), ==, -ENOSPC);
	g_assert_cmpint(say(c, T(WRITE), "4842", N(2), N(2), N(2), N(0x6463)), ==, 0);
	g_assert_cmpint(clunk(c, 2), ==, 0);
	g_assert_cmpint(getxattr(f, "user.a", value, sizeof(value)), ==, 4);
	g_assert_cmpmem(value, 4, "abcd", 4);

	g_assert_cmpint(say(c, T(XATTRWALK), "44s", N(1), N(2), "user.a"), ==, 0);
	g_assert_cmpuint(le(c->reply, 8), ==, 4);
	g_assert_cmpint(say(c, T(READ), "484", N(2), N(1), N(100)), ==, 0);
	g_assert_cmpmem(c->reply + 4, 3, "bcd", 3);
	g_assert_cmpint(clunk(c, 2), ==, 0);
	g_assert_cmpint(say(c, T(XATTRWALK), "44s", N(1), N(2), ""), ==, 0);
	g_assert_cmpuint(le(c->reply, 8), >=, sizeof("user.a") + sizeof("user.probe"));
	g_assert_cmpint(clunk(c, 2), ==, 0);
	g_assert_cmpint(say(c, T(XATTRWALK), "44s", N(1), N(2), "user.none"), ==, -ENODATA);

	g_assert_cmpint(walk(c, 0, 2, "f"), ==, 0);
	g_assert_cmpint(say(c, T(XATTRCREATE), "4s84", N(2), "user.a", N(0), N(XATTR_REPLACE)), ==,
			0);
	g_assert_cmpint(clunk(c, 2), ==, 0);
	g_assert_cmpint(getxattr(f, "user.a", value, sizeof(value)), ==, -1);
	client_free(c);
}

static void half_an_attribute_is_not_set(void)
{
	struct client *c = mounted(false);
	g_autofree char *f = path_of(c, "f");
	char value[16];

	host_put(c, "f", "");
	g_assert_cmpint(walk(c, 0, 2, "f"), ==, 0);
	g_assert_cmpint(say(c, T(XATTRCREATE), "4s84", N(2), "user.a", N(65537), N(0)), ==, -E2BIG);
	g_assert_cmpint(say(c, T(XATTRCREATE), "4s84", N(2), "user.a", N(4), N(0)), ==, 0);
	g_assert_cmpint(clunk(c, 2), ==, -EINVAL);
	g_assert_cmpint(getxattr(f, "user.a", value, sizeof(value)), ==, -1);
	client_free(c);
}

/* ---- locks ---- */

static int lock(struct client *c, unsigned fid, int type, unsigned start, unsigned len,
		unsigned pid)
{
	int r = say(c, T(LOCK), "41488" "4s", N(fid), N(type), N(0), N(start), N(len), N(pid), "g");

	return r < 0 ? r : c->reply[0];
}

static void locks_of_two_processes_exclude_each_other(void)
{
	struct client *c = mounted(false);

	create_as(c, 1, "f");
	open_as(c, 2, "f", O_RDWR);
	g_assert_cmpint(lock(c, 1, F_WRLCK, 0, 10, 100), ==, 0);
	g_assert_cmpint(lock(c, 2, F_WRLCK, 5, 10, 200), ==, 1);
	g_assert_cmpint(lock(c, 2, F_WRLCK, 10, 10, 200), ==, 0);
	g_assert_cmpint(say(c, T(GETLOCK), "4188" "4s", N(2), N(F_RDLCK), N(0), N(1), N(200), "g"),
			==, 0);
	g_assert_cmpuint(c->reply[0], ==, F_WRLCK);
	g_assert_cmpint(lock(c, 1, F_UNLCK, 0, 0, 100), ==, 0);
	g_assert_cmpint(lock(c, 2, F_WRLCK, 5, 5, 200), ==, 0);
	g_assert_cmpint(say(c, T(LOCK), "41488" "4s", N(1), N(7), N(0), N(0), N(0), N(1), "g"), ==,
			-EINVAL);
	client_free(c);
}

/* ---- a share that is read-only; a guest that is not well ---- */

static void a_read_only_share_changes_in_no_way(void)
{
	struct client *c = mounted(true);

	host_put(c, "f", "text");
	g_assert_cmpint(say(c, T(MKDIR), "4s44", N(0), "d", N(0755), N(0)), ==, -EROFS);
	g_assert_cmpint(say(c, T(SYMLINK), "4ss4", N(0), "l", "f", N(0)), ==, -EROFS);
	g_assert_cmpint(say(c, T(MKNOD), "4s4444", N(0), "n", N(S_IFIFO | 0600), N(0), N(0), N(0)),
			==, -EROFS);
	g_assert_cmpint(say(c, T(UNLINKAT), "4s4", N(0), "f", N(0)), ==, -EROFS);
	g_assert_cmpint(say(c, T(RENAMEAT), "4s4s", N(0), "f", N(0), "g"), ==, -EROFS);
	g_assert_cmpint(walk(c, 0, 1, "f"), ==, 0);
	g_assert_cmpint(say(c, T(LINK), "44s", N(0), N(1), "g"), ==, -EROFS);
	g_assert_cmpint(say(c, T(LOPEN), "44", N(1), N(O_RDWR)), ==, -EROFS);
	g_assert_cmpint(say(c, T(XATTRCREATE), "4s84", N(1), "user.a", N(4), N(0)), ==, -EROFS);
	g_assert_cmpint(say(c, T(SETATTR), "444448" "8888", N(1), N(8), N(0), N(0), N(0), N(0),
			    N(0), N(0), N(0), N(0)), ==, -EROFS);
	g_assert_cmpint(say(c, T(REMOVE), "4", N(1)), ==, -EROFS);
	expect_host(c, "f", "text");
	client_free(c);
}

static void each_message_cut_short_is_an_error_and_no_more(void)
{
	struct client *c = mounted(false);
	uint8_t bytes[64] = { 0 };

	for (unsigned type = T_STATFS; type < 128; type += 2) {
		for (unsigned len = NINEP_HDR_BYTES; len < 40; len += 3) {
			if (type == T_VERSION)
				continue;
			ninep_put_le(bytes, len, 4);
			bytes[4] = (uint8_t)type;
			ninep_put_le(bytes + 5, ++c->tag, 2);
			memset(bytes + 7, 0xff, sizeof(bytes) - 7);
			g_assert_true(send_raw(c, bytes, len, BUFFER));
			g_assert_cmpuint(le(c->reply - 2, 2), ==, c->tag);
		}
	}
	g_assert_cmpint(say(c, T(GETATTR), "48", N(0), N(0x7ff)), ==, 0);
	client_free(c);
}

static void what_is_no_request_breaks_the_device(void)
{
	struct client *c = mounted(false);
	uint8_t lies[NINEP_HDR_BYTES] = { 100, 0, 0, 0, T_CLUNK };

	g_assert_false(virtio_is_broken(c->dev));
	send_raw(c, lies, sizeof(lies), BUFFER);
	g_assert_true(virtio_is_broken(c->dev));
	g_assert_true(driver_init(c->d, 1, 64));
	g_assert_false(virtio_is_broken(c->dev));
	g_assert_cmpuint(ninep_fids(c->dev), ==, 0);
	client_free(c);
}

static void an_answer_that_has_no_room_is_an_error(void)
{
	struct client *c = mounted(false);
	uint8_t bytes[] = { 19, 0, 0, 0, T_GETATTR, 1, 0, 0, 0, 0, 0, 255, 7, 0, 0, 0, 0, 0, 0 };

	c->tag = 1;
	g_assert_true(send_raw(c, bytes, sizeof(bytes), 32));
	g_assert_cmpint(answer(c, T_GETATTR), ==, -EMSGSIZE);
	client_free(c);
}

static void fids_and_files_end_before_the_host_does(void)
{
	struct client *c = mounted(false);
	int r = 0;
	unsigned n = 0;

	host_put(c, "f", "");
	for (; r == 0 && n < 1000; n++) {
		r = walk(c, 0, 10 + n, "f");
		r = r ?: say(c, T(LOPEN), "44", N(10 + n), N(O_RDONLY));
	}
	g_assert_cmpint(r, ==, -ENFILE);
	g_assert_cmpuint(n, <=, 66);
	driver_reset(c->d);
	g_assert_cmpuint(ninep_fids(c->dev), ==, 0);
	client_free(c);
}

/* ---- what is answered later ---- */

/* An fsync of fid, sent and not waited for: where its answer will be. */
static uint64_t fsync_post(struct client *c, unsigned fid)
{
	static struct put p;
	uint64_t out = driver_alloc(c->d, 64), in = driver_alloc(c->d, 64);
	struct driver_buf bufs[] = { { out, 0, false }, { in, 64, true } };

	begin(&p, c, T_FSYNC);
	put_n(&p, fid, 4);
	put_n(&p, 0, 4);
	ninep_put_le(p.bytes, p.n, 4);
	bufs[0].len = (uint32_t)p.n;
	memcpy(driver_ptr(c->d, out), p.bytes, p.n);
	driver_add(c->d, 0, bufs, 2);
	driver_kick(c->d, 0);
	return in;
}

/* The next answer is the one there. */
static int fsync_answer(struct client *c, uint64_t in, unsigned tag)
{
	const uint8_t *at = driver_ptr(c->d, in);
	uint32_t used;

	g_assert_true(driver_wait(c->d, 0, NULL, &used));
	g_assert_cmpuint(le(at, 4), ==, used);
	g_assert_cmpuint(le(at + 5, 2), ==, tag);
	g_assert_cmpuint(at[4], ==, (used == 7 ? T_FSYNC : T_LERROR) + 1);
	return used == 7 ? 0 : -(int)le(at + 7, 4);
}

static void an_fsync_holds_up_nobody(void)
{
	struct client *c = mounted(false);
	unsigned tag;
	uint64_t in;

	create_as(c, 1, "f");
	sync_hold();
	in = fsync_post(c, 1);
	tag = c->tag;
	sync_expect(1);
	g_assert_cmpint(say(c, T(GETATTR), "48", N(0), N(0x7ff)), ==, 0);
	g_assert_cmpint(clunk(c, 1), ==, 0);	/* it has a descriptor of its own */
	sync_release();
	g_assert_cmpint(fsync_answer(c, in, tag), ==, 0);
	client_free(c);
}

static void an_fsync_that_is_given_up_is_answered_first(void)
{
	struct client *c = mounted(false);
	unsigned tags[2];
	uint64_t in[2];

	create_as(c, 1, "f");
	sync_hold();
	for (unsigned i = 0; i < 2; i++) {
		in[i] = fsync_post(c, 1);
		tags[i] = c->tag;
		sync_expect((gint)i + 1);
	}
	/* not by say(), which takes the next answer for its own */
	uint8_t flush[9] = { 9, 0, 0, 0, T_FLUSH, 99, 0, (uint8_t)tags[0], 0 };
	uint64_t out = driver_alloc(c->d, 16), back = driver_alloc(c->d, 16);
	struct driver_buf bufs[] = { { out, 9, false }, { back, 16, true } };

	memcpy(driver_ptr(c->d, out), flush, sizeof(flush));
	driver_add(c->d, 0, bufs, 2);
	driver_kick(c->d, 0);
	g_assert_cmpint(fsync_answer(c, in[0], tags[0]), ==, -EINTR);
	g_assert_true(driver_wait(c->d, 0, NULL, NULL));
	g_assert_cmpuint(((uint8_t *)driver_ptr(c->d, back))[4], ==, T_FLUSH + 1);
	sync_release();
	g_assert_cmpint(fsync_answer(c, in[1], tags[1]), ==, 0);
	g_assert_cmpint(say(c, T(GETATTR), "48", N(0), N(0x7ff)), ==, 0);	/* and no more */
	client_free(c);
}

static void a_reset_forgets_an_fsync(void)
{
	struct client *c = mounted(false);

	create_as(c, 1, "f");
	sync_hold();
	fsync_post(c, 1);
	sync_expect(1);
	driver_reset(c->d);
	sync_release();
	g_assert_true(driver_init(c->d, 1, 64));
	g_assert_cmpint(say(c, T(VERSION), "4s", N(32768), "9P2000.L"), ==, 0);
	client_free(c);
}

static void a_machine_that_stands_gets_its_fsync_when_it_goes_on(void)
{
	struct client *c = mounted(false);
	struct device *dev = virtio_mmio_device(c->d->mmio);
	unsigned tag;
	uint64_t in;

	create_as(c, 1, "f");
	sync_hold();
	in = fsync_post(c, 1);
	tag = c->tag;
	sync_expect(1);
	device_stop(dev);
	sync_release();
	g_usleep(20000);
	g_assert_false(driver_used(c->d, 0, NULL, NULL));
	device_start(dev);
	g_assert_cmpint(fsync_answer(c, in, tag), ==, 0);
	client_free(c);
}

int main(int argc, char **argv)
{
	proc_fd = share_proc_open();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ninep/tag", the_tag_is_in_the_configuration);
	g_test_add_func("/ninep/version", a_session_agrees_on_a_size_and_a_version);
	g_test_add_func("/ninep/version-anew", a_new_session_forgets_the_old_ones_fids);
	g_test_add_func("/ninep/unknown", what_is_not_known_is_refused_and_the_session_goes_on);
	g_test_add_func("/ninep/walk", a_walk_goes_down_and_nowhere_else);
	g_test_add_func("/ninep/walk-fids", a_walk_takes_a_free_fid_only);
	g_test_add_func("/ninep/bytes", what_is_written_is_read_and_is_on_the_host);
	g_test_add_func("/ninep/read-room", a_read_fills_no_more_than_there_is_room_for);
	g_test_add_func("/ninep/write-lies", a_write_that_says_more_than_it_has_is_refused);
	g_test_add_func("/ninep/names", names_come_go_and_move);
	g_test_add_func("/ninep/remove", a_fid_is_renamed_and_removed_by_itself);
	g_test_add_func("/ninep/readdir", a_folder_is_listed_from_where_the_last_answer_ended);
	g_test_add_func("/ninep/attributes", attributes_are_told_and_set);
	g_test_add_func("/ninep/xattr", extended_attributes_are_written_read_listed_and_removed);
	g_test_add_func("/ninep/xattr-short", half_an_attribute_is_not_set);
	g_test_add_func("/ninep/locks", locks_of_two_processes_exclude_each_other);
	g_test_add_func("/ninep/read-only", a_read_only_share_changes_in_no_way);
	g_test_add_func("/ninep/short", each_message_cut_short_is_an_error_and_no_more);
	g_test_add_func("/ninep/no-message", what_is_no_request_breaks_the_device);
	g_test_add_func("/ninep/no-room", an_answer_that_has_no_room_is_an_error);
	g_test_add_func("/ninep/bounds", fids_and_files_end_before_the_host_does);
	g_test_add_func("/ninep/fsync", an_fsync_holds_up_nobody);
	g_test_add_func("/ninep/fsync-flush", an_fsync_that_is_given_up_is_answered_first);
	g_test_add_func("/ninep/fsync-reset", a_reset_forgets_an_fsync);
	g_test_add_func("/ninep/fsync-stop", a_machine_that_stands_gets_its_fsync_when_it_goes_on);
	return g_test_run();
}
