/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel that says anything by FUSE, in a folder of which nothing may get out. */
#include "config.h"
#include "fuzz-driver.h"
#include "fuzz-jail.h"

#include <dirent.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "libvmm/device/device.h"
#include "libvmm/device/fs.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"

#define SHARED FUZZ_JAIL_DIR "/shared"
#define SECRET FUZZ_JAIL_DIR "/secret"
#define ARGS_MAX 128
#define ROOM 2048

static const char *const texts[] = {
	"a", "b", "c", "d", "a/b", "..", ".", "", "../secret", "user.a", "user.virtfs.uid",
	"security.capability", "/mnt/secret", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static int proc_fd = -1, here_fd;

static void jail_make(void)
{
	auto_close int fd = -1;

	fuzz_jail();
	if (proc_fd >= 0)
		return;
	proc_fd = share_proc_open();
	here_fd = open(".", O_PATH | O_CLOEXEC);
	fd = open(SECRET, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	g_assert_cmpint(write(fd, "secret", 6), ==, 6);
}

/* A tree may be deeper than any path, and what is in it may forbid us anything. */
static void folder_drop(int at, const char *name)
{
	auto_close int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int below = -1;

	if (fd < 0) {
		g_assert_cmpint(unlinkat(at, name, 0), ==, 0);
		return;
	}
	g_assert_cmpint(fchmodat(at, name, 0700, 0), ==, 0);
	below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(below);
	g_assert_nonnull(dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			folder_drop(below, e->d_name);
	closedir(dir);
	g_assert_cmpint(unlinkat(at, name, AT_REMOVEDIR), ==, 0);
}

/* One for each input: else the first that forbids all in it would be the last to find anything. */
static int folder_make(void)
{
	jail_make();
	g_assert_cmpint(mkdir(SHARED, 0755), ==, 0);
	return open(SHARED, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* What was there is there, and nothing else. */
static void outside_check(void)
{
	g_autoptr(GDir) dir = g_dir_open(FUZZ_JAIL_DIR, 0, NULL);
	g_autofree char *text = NULL;
	unsigned n = 0;

	while (g_dir_read_name(dir))
		n++;
	g_assert_cmpuint(n, ==, 2);
	g_assert_true(g_file_get_contents(SECRET, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "secret");
}

/* Numbers that may be nodes, files, lengths: small ones mostly, as real ones are. */
static void args_fill(struct fuzz_input *in, uint8_t *args, unsigned len)
{
	for (unsigned at = 0; at + 8 <= len; at += 8) {
		uint64_t v = fuzz_take(in, 1);

		if (v >= 0xf0)
			v = fuzz_take(in, 8);
		memcpy(args + at, &v, 8);
	}
}

static size_t text_put(struct fuzz_input *in, uint8_t *at)
{
	const char *text = texts[fuzz_take(in, 1) % ARRAY_SIZE(texts)];
	size_t len = strlen(text) + (fuzz_take(in, 1) != 0);

	memcpy(at, text, len);
	return len;
}

static void request(struct driver *d, struct fuzz_input *in)
{
	static const uint8_t lengths[] = { 0, 4, 8, 16, 24, 32, 40, 48, 64, 88 };
	unsigned queue = fuzz_take(in, 1) & 7 ? 1 : 0;
	uint8_t bytes[sizeof(struct fuse_in_header) + ARGS_MAX + 512];
	struct fuse_in_header h = { .opcode = (uint32_t)fuzz_take(in, 1) % 56,
				    .nodeid = fuzz_take(in, 1), .uid = (uint32_t)fuzz_take(in, 1) };
	size_t len = sizeof(h);
	unsigned n_args = lengths[fuzz_take(in, 1) % ARRAY_SIZE(lengths)];
	struct driver_buf bufs[2];

	if (!d->q[queue].size || d->alloc_gpa > FUZZ_ALLOC_END - 8192)
		return;
	memset(bytes, 0, sizeof(bytes));
	args_fill(in, bytes + len, n_args);
	len += n_args;
	for (unsigned n = (unsigned)fuzz_take(in, 1) % 3; n; n--)
		len += text_put(in, bytes + len);
	h.len = (uint32_t)len;
	if (fuzz_take(in, 1) == 0xff)
		h.len = (uint32_t)fuzz_take(in, 4);
	memcpy(bytes, &h, sizeof(h));
	bufs[0] = (struct driver_buf){ driver_alloc(d, len), (uint32_t)len, false };
	bufs[1] = (struct driver_buf){ driver_alloc(d, ROOM), (uint32_t)fuzz_take(in, 2) % ROOM,
				       true };
	memcpy(driver_ptr(d, bufs[0].gpa), bytes, len);
	driver_add(d, queue, bufs, 2);
	driver_kick(d, queue);
}

static void init(struct driver *d, uint32_t flags)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} r = { { .len = sizeof(r), .opcode = FUSE_INIT },
		{ .major = 7, .minor = 38, .flags = flags } };
	struct driver_buf bufs[] = { { driver_alloc(d, sizeof(r)), sizeof(r), false },
				     { driver_alloc(d, 128), 128, true } };

	memcpy(driver_ptr(d, bufs[0].gpa), &r, sizeof(r));
	driver_add(d, 1, bufs, 2);
	driver_kick(d, 1);
	fuzz_loop(2);
}

static void step(struct driver *d, struct fuzz_input *in)
{
	unsigned what = (unsigned)fuzz_take(in, 1);
	struct device *dev = virtio_mmio_device(d->mmio);

	switch (what % 16) {
	case 12:
		fuzz_chain(d, in, what / 16 % 2);
		break;
	case 13:
		if (what > 128)
			fuzz_poke(d, in);
		break;
	case 14:
		device_stop(dev);
		fuzz_loop(2);
		device_start(dev);
		break;
	case 15:
		if (what > 200 && d->alloc_gpa < FUZZ_ALLOC_END) {
			driver_init(d, fuzz_take(in, 4), 32);
			init(d, UINT32_MAX);
		}
		break;
	default:
		request(d, in);
		fuzz_loop(2);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned kind = (unsigned)fuzz_take(&in, 1);
	struct share_opts sopts = { .name = "fs0", .nodes_max = 24, .files_max = 64,
				    .owners = kind % 3, .readonly = kind % 8 == 7 };
	struct fs_opts opts = { .name = "fs0", .tag = "t", .cache = kind / 8 % N_FS_CACHES };
	struct driver *d;

	fuzz_quiet();
	sopts.root_fd = folder_make();
	sopts.proc_fd = proc_fd;
	d = driver_new(1);
	opts.share = share_new(&sopts, NULL);
	if (!opts.share) {		/* no attributes for owners here */
		driver_free(d);
		folder_drop(AT_FDCWD, SHARED);
		return 0;
	}
	driver_attach(d, fs_new(&opts, d->mem, NULL, NULL));
	driver_init(d, fuzz_take(&in, 4), 32);
	init(d, UINT32_MAX);
	while (in.left)
		step(d, &in);
	fuzz_loop(64);
	driver_free(d);
	outside_check();
	folder_drop(AT_FDCWD, SHARED);
	/* a share's owner works elsewhere, and libFuzzer keeps its corpus here */
	g_assert_cmpint(fchdir(here_fd), ==, 0);
	return 0;
}
