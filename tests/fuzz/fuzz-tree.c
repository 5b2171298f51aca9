/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree that a liar packed: what is beside its folder stays as it was. */
#include "config.h"
#include "fuzz.h"
#include "fuzz-jail.h"

#include <ftw.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "images/agent/tree.h"

#define INTO FUZZ_JAIL_DIR "/into"
#define OUTSIDE FUZZ_JAIL_DIR "/outside"
#define SECRET OUTSIDE "/secret"

static const char *const names[] = { "a", "b", "c", "..", ".", "", "a/b", "../outside", "secret",
				     "/mnt/outside", "/mnt/outside/secret", "s" };
static const uint8_t kinds[] = { 'd', 'd', 'f', 'f', 'l', '+', '+', '.', '.', '-', '!', '=', 'x' };

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	return remove(path);
}

static void folders_make(void)
{
	static gsize once;
	int fd;

	fuzz_jail();
	if (g_once_init_enter(&once)) {
		g_assert_cmpint(mkdir(OUTSIDE, 0755), ==, 0);
		fd = open(SECRET, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		g_assert_cmpint(write(fd, "secret", 6), ==, 6);
		close(fd);
		g_once_init_leave(&once, 1);
	}
	g_assert_cmpint(mkdir(INTO, 0755), ==, 0);
}

/* What was there is there, and nothing else. */
static void outside_check(void)
{
	g_autoptr(GDir) dir = g_dir_open(OUTSIDE, 0, NULL);
	g_autoptr(GDir) top = g_dir_open(FUZZ_JAIL_DIR, 0, NULL);
	g_autofree char *text = NULL;
	struct stat st;

	g_assert_cmpstr(g_dir_read_name(dir), ==, "secret");
	g_assert_null(g_dir_read_name(dir));
	g_assert_true(g_file_get_contents(SECRET, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "secret");
	g_assert_cmpint(stat(SECRET, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 07777, ==, 0600);
	g_assert_cmpuint(st.st_nlink, ==, 1);
	g_assert_nonnull(g_dir_read_name(top));
	g_assert_nonnull(g_dir_read_name(top));
	g_assert_null(g_dir_read_name(top));
}

static size_t name_put(struct fuzz_input *in, uint8_t *at)
{
	const char *name = names[fuzz_take(in, 1) % G_N_ELEMENTS(names)];

	memcpy(at, name, strlen(name));
	return strlen(name);
}

static size_t entry_put(struct fuzz_input *in, uint8_t kind, uint8_t *at)
{
	size_t n;

	for (unsigned i = 0; i < 22; i++)
		at[i] = (uint8_t)fuzz_take(in, 1);
	tree_number_put(at, tree_number(at, 2) | 0700, 2);	/* we want to be rid of it */
	tree_number_put(at + 22, 0, 8);
	n = name_put(in, at + 32);
	tree_number_put(at + 30, n, 2);
	return 32 + n + (kind == 'l' ? name_put(in, at + 32 + n) : 0);
}

static const char *const attrs[] = { "user.a", "user.", "security.capability", "trusted.a",
				     "system.posix_acl_access", "system.posix_acl_default",
				     "security.selinux", "" };

static size_t attr_put(struct fuzz_input *in, uint8_t *at)
{
	const char *name = attrs[fuzz_take(in, 1) % G_N_ELEMENTS(attrs)];
	size_t n = fuzz_take(in, 1);

	tree_number_put(at, strlen(name) + (n > 250), 2);
	memcpy(at + 2, name, strlen(name));
	for (size_t i = 0; i < n; i++)
		at[2 + strlen(name) + i] = i < 32 ? (uint8_t)fuzz_take(in, 1) : 0;
	return 2 + strlen(name) + n;
}

/* Records that are nearly right, or bytes as they come. */
static void record_put(struct fuzz_input *in, int fd, bool *file)
{
	uint8_t pick = (uint8_t)fuzz_take(in, 1), bytes[4096], kind = kinds[pick % sizeof(kinds)];
	size_t n = 0;

	if (pick > 250) {
		n = fuzz_take(in, 1);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)fuzz_take(in, 1);
		g_assert_cmpint(write(fd, bytes, n), ==, (ssize_t)n);
		return;
	}
	if (pick < 200 && *file && kind != '-' && kind != 'x')
		kind = pick & 1 ? '+' : '.';
	if (kind == 'd' || kind == 'f' || kind == 'l')
		n = entry_put(in, kind, bytes + 5);
	if (kind == '+' || (kind == '.' && *file)) {
		tree_number_put(bytes + 5, fuzz_take(in, pick & 2 ? 1 : 8), 8);
		n = kind == '.' ? 8 : 8 + fuzz_take(in, 1);
		memset(bytes + 13, 'x', n - 8);
	}
	if (kind == 'x')
		n = attr_put(in, bytes + 5);
	*file = kind == 'f' || (*file && (kind == '+' || kind == 'x'));
	bytes[0] = kind;
	tree_number_put(bytes + 1, n, 4);
	g_assert_cmpint(write(fd, bytes, n + 5), ==, (ssize_t)n + 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned how = (unsigned)fuzz_take(&in, 1);
	struct tree_count count = { 0 };
	const struct tree_opts opts = { .owners = how & 1, .attributes = how & 8,
					.count = &count };
	struct tree_target t;
	struct tree_error e = { .code = -1 };
	int fd = memfd_create("tree", MFD_CLOEXEC);
	bool file = false;

	fuzz_quiet();
	folders_make();
	while (in.left)
		record_put(&in, fd, &file);
	if (how & 2)
		g_assert_cmpint(write(fd, "=\0\0\0\0", 5), ==, 5);
	lseek(fd, 0, SEEK_SET);
	g_assert_true(tree_target_open(INTO, how & 4 ? "x/." : "x", false, &t, &e));
	if (!tree_unpack(fd, &t, &opts, &e))
		g_assert_cmpint(e.code, !=, -1);
	close(t.base);
	close(fd);
	outside_check();
	nftw(INTO, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	g_assert_cmpint(access(INTO, F_OK), <, 0);
	return 0;
}
