/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A 9P client that says anything: it stays in its folder, and the folder's neighbour as it was. */
#include "config.h"
#include "fuzz-driver.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/device/device.h"
#include "libvmm/device/ninep-priv.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/util/cleanup.h"

#define SECRET "nobody changes this"

/* Numbers by their size, s: a string; * what is left. */
static const struct {
	uint8_t type;
	const char *fields;
} messages[] = {
	{ T_STATFS, "4" },	 { T_LOPEN, "44" },	      { T_LCREATE, "4s444" },
	{ T_SYMLINK, "4ss4" },	 { T_MKNOD, "4s4444" },	      { T_RENAME, "44s" },
	{ T_READLINK, "4" },	 { T_GETATTR, "48" },	      { T_SETATTR, "4444488888" },
	{ T_XATTRWALK, "44s" },	 { T_XATTRCREATE, "4s84" },   { T_READDIR, "484" },
	{ T_FSYNC, "44" },	 { T_LOCK, "414884s" },	      { T_GETLOCK, "41884s" },
	{ T_LINK, "44s" },	 { T_MKDIR, "4s44" },	      { T_RENAMEAT, "4s4s" },
	{ T_UNLINKAT, "4s4" },	 { T_VERSION, "4s" },	      { T_ATTACH, "44ss4" },
	{ T_FLUSH, "2" },	 { T_WALK, "44w" },	      { T_READ, "484" },
	{ T_WRITE, "48d" },	 { T_CLUNK, "4" },	      { T_REMOVE, "4" },
	{ T_AUTH, "4ss4" },	 { T_LERROR, "4" },
};

static const char *const names[] = {
	"a", "d", "l", "up", "..", ".", "", "/", "../secret", "d/b", "b", "9P2000.L", "user.a",
	"/etc/passwd", "secret", "security.capability", "user.virtfs.uid",
};

struct world {
	struct driver *d;
	char dir[64];
	int proc_fd;
	uint8_t msg[4096];
	size_t n;
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static void path_in(const struct world *w, const char *name, char path[128])
{
	g_snprintf(path, 128, "%s/%s", w->dir, name);
}

static void file_put(const struct world *w, const char *name, const char *text)
{
	char path[128];

	path_in(w, name, path);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* DIR/root is shared, DIR/secret is beside it. */
static void folder_make(struct world *w)
{
	char path[128];

	strcpy(w->dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-9p-XXXXXX" :
						       "/tmp/fuzz-9p-XXXXXX");
	g_assert_nonnull(g_mkdtemp(w->dir));
	path_in(w, "root", path);
	g_mkdir(path, 0755);
	path_in(w, "root/d", path);
	g_mkdir(path, 0755);
	file_put(w, "secret", SECRET);
	file_put(w, "root/a", "some text");
	file_put(w, "root/d/b", "more");
	path_in(w, "root/l", path);
	g_assert_cmpint(symlink("../secret", path), ==, 0);
	path_in(w, "root/up", path);
	g_assert_cmpint(symlink("..", path), ==, 0);
}

static void folder_check_and_drop(const struct world *w)
{
	g_autofree char *text = NULL;
	char path[128];
	struct stat st;

	path_in(w, "secret", path);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, SECRET);
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpuint(st.st_nlink, ==, 1);
	g_assert_cmpint(nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
}

/* ---- messages ---- */

static void put(struct world *w, uint64_t v, unsigned bytes)
{
	if (w->n + bytes <= sizeof(w->msg))
		ninep_put_le(w->msg + w->n, v, bytes);
	w->n = MIN(w->n + bytes, sizeof(w->msg));
}

/* Small ones, for they are the fids in use; or any. */
static void put_number(struct world *w, struct fuzz_input *in, unsigned bytes)
{
	unsigned pick = (unsigned)fuzz_take(in, 1);

	put(w, pick < 224 ? pick % 32 : fuzz_take(in, bytes), bytes);
}

static void put_string(struct world *w, struct fuzz_input *in)
{
	unsigned pick = (unsigned)fuzz_take(in, 1), len;

	if (pick < 224) {
		const char *name = names[pick % ARRAY_SIZE(names)];

		put(w, strlen(name), 2);
		for (; *name; name++)
			put(w, (uint8_t)*name, 1);
		return;
	}
	len = (unsigned)fuzz_take(in, 1) * (pick & 1 ? 1 : 4);
	put(w, len, 2);
	for (unsigned i = 0; i < len; i++)
		put(w, pick & 2 ? 'x' : fuzz_take(in, 1), 1);
}

static void put_field(struct world *w, struct fuzz_input *in, char field)
{
	unsigned n;

	switch (field) {
	case 's':
		put_string(w, in);
		break;
	case 'w':
		n = (unsigned)fuzz_take(in, 1) % 20;
		put(w, n, 2);
		while (n--)
			put_string(w, in);
		break;
	case 'd':
		n = (unsigned)fuzz_take(in, 1);
		put(w, n, 4);
		while (n--)
			put(w, fuzz_take(in, 1), 1);
		break;
	default:
		put_number(w, in, (unsigned)(field - '0'));
	}
}

/* In one buffer or several, its size true or not. */
static void message_send(struct world *w, struct fuzz_input *in)
{
	unsigned shape = (unsigned)fuzz_take(in, 1);
	uint32_t room = shape & 1 ? 2048 : (uint32_t)fuzz_take(in, 2) % 9000, cut;
	struct driver_buf bufs[3];
	uint64_t gpa;

	if (!w->d->q[0].size || w->d->alloc_gpa > FUZZ_ALLOC_END - 32768)
		return;
	ninep_put_le(w->msg, shape < 8 ? fuzz_take(in, 2) : w->n, 4);
	gpa = driver_alloc(w->d, w->n + room);
	memcpy(driver_ptr(w->d, gpa), w->msg, w->n);
	cut = shape & 2 ? (uint32_t)fuzz_take(in, 1) % w->n : 0;
	bufs[0] = (struct driver_buf){ gpa, cut, false };
	bufs[1] = (struct driver_buf){ gpa + cut, (uint32_t)w->n - cut, false };
	bufs[2] = (struct driver_buf){ gpa + w->n, room, true };
	driver_add(w->d, 0, bufs + !cut, (cut ? 2 : 1) + (room > 0));
	driver_kick(w->d, 0);
	fuzz_loop(4);
}

static void message(struct world *w, struct fuzz_input *in, unsigned which)
{
	const char *f = messages[which % ARRAY_SIZE(messages)].fields;

	w->n = 4;
	put(w, messages[which % ARRAY_SIZE(messages)].type, 1);
	put(w, which, 2);
	for (; *f; f++)
		put_field(w, in, *f);
	message_send(w, in);
}

static void session_begin(struct world *w)
{
	static const uint8_t begin[] = {
		21, 0, 0, 0, T_VERSION, 255, 255, 0, 32, 0, 0, 8, 0, '9', 'P', '2', '0', '0', '0',
		'.', 'L',
		23, 0, 0, 0, T_ATTACH, 1, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const uint8_t no_limit[] = { 0xff, 1 };

	for (const uint8_t *at = begin; at < begin + sizeof(begin); at += at[0]) {
		struct fuzz_input in = { no_limit, sizeof(no_limit) };

		memcpy(w->msg, at, at[0]);
		w->n = at[0];
		message_send(w, &in);
	}
}

static void step(struct world *w, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);
	struct device *dev = virtio_mmio_device(w->d->mmio);

	if (what < 240)
		message(w, in, what);
	else if (what < 244)
		fuzz_chain(w->d, in, 0);
	else if (what < 248)
		fuzz_poke(w->d, in);
	else if (what < 252)
		session_begin(w);
	else if (what < 254 && w->d->alloc_gpa < FUZZ_ALLOC_END)
		driver_init(w->d, fuzz_take(in, 4), 32);
	else
		device_stop(dev), device_start(dev);
	fuzz_loop(2);
}

static struct virtio_device *device_make(struct world *w, unsigned how)
{
	char root[128];
	struct share_opts opts = {
		.name = "fs0", .proc_fd = w->proc_fd, .readonly = how % 8 == 7,
		.owners = (enum share_owner_mode)(how % 3), .nodes_max = 64, .files_max = 16,
	};
	struct ninep_opts nopts = { .name = "fs0", .tag = "src" };

	path_in(w, "root", root);
	opts.root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	nopts.share = share_new(&opts, NULL);
	g_assert_nonnull(nopts.share);
	return ninep_new(&nopts, w->d->mem, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int proc_fd = -1;
	struct fuzz_input in = { data, size };
	struct world w = { 0 };

	if (proc_fd < 0)
		proc_fd = share_proc_open();
	fuzz_quiet();
	w.proc_fd = proc_fd;
	folder_make(&w);
	w.d = driver_new(1);
	driver_attach(w.d, device_make(&w, (unsigned)fuzz_take(&in, 1)));
	driver_init(w.d, 1, 32);
	session_begin(&w);
	while (in.left)
		step(&w, &in);
	fuzz_loop(64);
	driver_free(w.d);
	folder_check_and_drop(&w);
	return 0;
}
