/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A shared folder: what it does, and what it does not let out. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <sys/xattr.h>

#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static const struct share_cred guest_root = { 0, 0 }, guest_user = { 1000, 1001 };

/* A folder "in" beside a file "outside/secret" that no guest may ever reach. */
struct folder {
	char *top, *in;
	int proc_fd;
	struct share *share;
};

#define NOBODY 65534

static bool has_xattrs(const char *path)
{
	return setxattr(path, "user.test", "x", 1, 0) == 0 && removexattr(path, "user.test") == 0;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static struct folder folder_new_with(enum share_owner_mode owners, bool readonly,
				     const struct share_opts *limits)
{
	struct folder f = { .proc_fd = share_proc_open() };
	g_autoptr(GError) error = NULL;

	f.top = g_strdup_printf("%s/share-XXXXXX", g_get_tmp_dir());
	g_assert_nonnull(g_mkdtemp(f.top));
	f.in = g_build_filename(f.top, "in", NULL);
	g_assert_cmpint(g_mkdir(f.in, 0755), ==, 0);
	g_autofree char *outside = g_build_filename(f.top, "outside", NULL);
	g_assert_cmpint(g_mkdir(outside, 0755), ==, 0);
	write_file(outside, "secret", "secret");
	write_file(f.in, "hello", "hello\n");
	g_assert_cmpint(f.proc_fd, >=, 0);
	struct share_opts opts = limits ? *limits : (struct share_opts){ .nodes_max = 256 };
	opts.name = "test";
	opts.root_fd = open(f.in, O_PATH | O_DIRECTORY | O_CLOEXEC);
	opts.proc_fd = f.proc_fd;
	opts.owners = owners;
	opts.readonly = readonly;
	f.share = share_new(&opts, &error);
	g_assert_no_error(error);
	g_assert_cmpint(share_enter(f.share), ==, 0);
	return f;
}

static struct folder folder_new(enum share_owner_mode owners)
{
	return folder_new_with(owners, false, NULL);
}

static void folder_free(struct folder *f)
{
	g_autofree char *rm = g_strdup_printf("rm -rf '%s'", f->top);

	share_free(f->share);
	fd_close(&f->proc_fd);
	g_assert_cmpint(chdir("/"), ==, 0);
	g_assert_cmpint(system(rm), ==, 0);
	g_free(f->in);
	g_free(f->top);
}

#define FOLDER(name, owners) \
	__attribute__((cleanup(folder_free))) struct folder name = folder_new(owners); \
	struct share *s = (name).share; \
	struct share_node *root = share_root(s); \
	struct share_node *node = NULL; \
	struct share_file *file = NULL; \
	struct stat st; \
	(void)node; (void)file; (void)root; (void)st

static char *path_in(const struct folder *f, const char *name)
{
	return g_build_filename(f->in, name, NULL);
}

static ssize_t read_at(struct share *s, struct share_file *file, void *buf, size_t len, off_t off)
{
	struct iovec iov = { buf, len };

	return share_read(s, file, &iov, 1, off);
}

static ssize_t write_at(struct share *s, struct share_file *file, const void *buf, size_t len,
			off_t off)
{
	struct iovec iov = { (void *)buf, len };

	return share_write(s, file, &iov, 1, off);
}

/* ---- what it does ---- */

static void a_file_is_found_read_and_forgotten(void)
{
	FOLDER(f, SHARE_SQUASH);
	char buf[16];
	struct share_node *again;

	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(st.st_size, ==, 6);
	g_assert_cmpint(share_lookup(s, root, "hello", &again, &st), ==, 0);
	g_assert_true(again == node);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &file), ==, 0);
	g_assert_cmpint(read_at(s, file, buf, sizeof(buf), 1), ==, 5);
	g_assert_cmpint(memcmp(buf, "ello\n", 5), ==, 0);

	uint64_t id = share_node_id(s, node), file_id = share_file_id(s, file);
	share_put(s, node, 1000);	/* an open file keeps it, whatever the guest says */
	g_assert_true(share_node_by_id(s, id) == node);
	share_close(s, file);
	g_assert_null(share_node_by_id(s, id));
	g_assert_null(share_file_by_id(s, file_id));
	share_put(s, root, 1000);
	g_assert_true(share_node_by_id(s, 1) == root);
}

static void a_file_is_made_written_and_renamed(void)
{
	FOLDER(f, SHARE_SQUASH);
	struct share_node *dir, *other;

	g_assert_cmpint(share_mkdir(s, root, "d", 0750, &guest_user, &dir, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 0750);
	g_assert_cmpint(share_create(s, dir, "new", O_WRONLY | O_EXCL, 0444, &guest_user, &node,
				     &file, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0444);
	g_assert_cmpint(write_at(s, file, "abc", 3, 2), ==, 3);
	g_assert_cmpint(share_create(s, dir, "new", O_WRONLY | O_EXCL, 0644, &guest_user, &other,
				     NULL, &st), ==, -EEXIST);
	g_assert_cmpint(share_rename(s, dir, "new", root, "moved", 0), ==, 0);
	g_assert_cmpint(share_rename(s, root, "moved", root, "hello", RENAME_NOREPLACE), ==,
			-EEXIST);
	g_assert_cmpint(share_rename(s, root, "moved", root, "hello", RENAME_EXCHANGE), ==, 0);
	g_assert_cmpint(share_lookup(s, root, "hello", &other, &st), ==, 0);
	g_assert_true(other == node);
	g_assert_cmpint(st.st_size, ==, 5);
	g_assert_cmpint(share_unlink(s, root, "d", false), ==, -EISDIR);
	g_assert_cmpint(share_unlink(s, root, "d", true), ==, 0);
	/* open files outlive their names */
	g_assert_cmpint(share_unlink(s, root, "hello", false), ==, 0);
	g_assert_cmpint(write_at(s, file, "def", 3, 0), ==, 3);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_nlink, ==, 0);
	share_close(s, file);
}

static void a_create_opens_what_is_there_unless_told_not_to(void)
{
	FOLDER(f, SHARE_SQUASH);

	g_assert_cmpint(share_create(s, root, "hello", O_RDWR, 0600, &guest_root, &node, &file,
				     &st), ==, 0);
	g_assert_cmpint(st.st_size, ==, 6);
	share_close(s, file);
	g_assert_cmpint(share_create(s, root, "hello", O_RDWR | O_TRUNC, 0600, &guest_root, &node,
				     &file, &st), ==, 0);
	g_assert_cmpint(st.st_size, ==, 0);
	share_close(s, file);
}

struct listing {
	GString *names;
	unsigned n, stop_after;
	uint64_t cookie;
};

static bool list_one(void *arg, const struct share_entry *e)
{
	struct listing *l = arg;

	if (l->stop_after && l->n == l->stop_after)
		return false;
	l->n++;
	l->cookie = e->cookie;
	g_string_append_printf(l->names, "%s ", e->name);
	return true;
}

static void a_folder_is_listed_in_pieces_without_gaps_or_repeats(void)
{
	FOLDER(f, SHARE_SQUASH);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	uint64_t cookie = 0;

	for (int i = 0; i < 700; i++) {
		g_autofree char *name = g_strdup_printf("a-file-with-a-longer-name-%d", i);
		write_file(f.in, name, "");
	}
	g_assert_cmpint(share_open(s, root, O_RDONLY, &file), ==, 0);
	for (;;) {
		struct listing l = { .names = g_string_new(""), .stop_after = 50 };

		g_assert_cmpint(share_readdir(s, file, cookie, list_one, &l), ==, 0);
		g_auto(GStrv) names = g_strsplit(l.names->str, " ", 0);
		for (unsigned i = 0; i < l.n; i++)
			g_assert_true(g_hash_table_add(seen, g_strdup(names[i])));
		g_string_free(l.names, TRUE);
		if (l.n == 0)
			break;
		cookie = l.cookie;
	}
	g_assert_cmpuint(g_hash_table_size(seen), ==, 703);	/* and hello, ".", ".." */
	g_assert_cmpint(share_readdir(s, file, UINT64_MAX, list_one, NULL), ==, -EINVAL);
	share_close(s, file);
}

static void attributes_are_set_in_one_call(void)
{
	FOLDER(f, SHARE_SQUASH);
	const struct share_change change = {
		.set = SHARE_SET_MODE | SHARE_SET_SIZE | SHARE_SET_ATIME | SHARE_SET_MTIME |
		       SHARE_SET_UID | SHARE_SET_GID,
		.mode = 04711, .size = 2, .uid = 77, .gid = 78,
		.atime = { 1000, 123456789 }, .mtime = { 2000, 987654321 },
	};

	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_change(s, node, NULL, &change), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0711);	/* no program of ours for others */
	g_assert_cmpint(st.st_size, ==, 2);
	g_assert_cmpuint(st.st_uid, ==, 0);	/* as all of it */
	g_assert_cmpint(st.st_atim.tv_nsec, ==, 123456789);
	g_assert_cmpint(st.st_mtim.tv_sec, ==, 2000);
	g_assert_cmpint(st.st_mtim.tv_nsec, ==, 987654321);
}

static void holes_are_made_found_and_copied(void)
{
	FOLDER(f, SHARE_SQUASH);
	static char block[65536];
	struct share_file *to;
	struct share_node *copy;

	memset(block, 'x', sizeof(block));
	g_assert_cmpint(share_create(s, root, "sparse", O_RDWR, 0600, &guest_root, &node, &file,
				     &st), ==, 0);
	g_assert_cmpint(write_at(s, file, block, sizeof(block), 1 << 20), ==, sizeof(block));
	off_t data = share_seek(s, file, 0, SEEK_DATA);
	g_assert_true(data == 0 || data == 1 << 20);	/* not all file systems know holes */
	g_assert_cmpint(share_seek(s, file, 0, SEEK_SET), ==, -EINVAL);
	g_assert_cmpint(share_create(s, root, "copy", O_RDWR, 0600, &guest_root, &copy, &to, &st),
			==, 0);
	ssize_t n = share_copy(s, file, 1 << 20, to, 0, SIZE_MAX);
	g_assert_true(n == sizeof(block) || n == -EOPNOTSUPP);
	int r = share_fallocate(s, to, FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
	g_assert_true(r == 0 || r == -EOPNOTSUPP);
	g_assert_cmpint(share_fallocate(s, to, 1 << 30, 0, 1), ==, -EOPNOTSUPP);
	share_close(s, file);
	share_close(s, to);
}

static void links_and_symlinks_are_what_they_are(void)
{
	FOLDER(f, SHARE_SQUASH);
	struct share_node *link;
	char buf[64];

	g_assert_cmpint(share_symlink(s, root, "sym", "/etc/passwd", &guest_root, &link, &st), ==,
			0);
	g_assert_true(S_ISLNK(st.st_mode));
	g_assert_cmpint(share_readlink(s, link, buf, sizeof(buf)), ==, 11);
	g_assert_cmpint(memcmp(buf, "/etc/passwd", 11), ==, 0);
	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_readlink(s, node, buf, sizeof(buf)), ==, -EINVAL);
	g_assert_cmpint(share_link(s, node, root, "hard"), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_nlink, ==, 2);
	g_assert_cmpint(share_link(s, link, root, "sym2"), ==, 0);
	g_assert_cmpint(share_link(s, root, root, "loop"), ==, -EPERM);
}

static void xattrs_are_those_of_programs(void)
{
	FOLDER(f, SHARE_SQUASH);
	char buf[256];

	if (!has_xattrs(f.in)) {
		g_test_skip("the file system has no user attributes");
		return;
	}
	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_xattr_set(s, node, "user.a", "value", 5, 0), ==, 0);
	g_assert_cmpint(share_xattr_set(s, node, "user.a", "value", 5, XATTR_CREATE), ==, -EEXIST);
	g_assert_cmpint(share_xattr_get(s, node, "user.a", NULL, 0), ==, 5);
	g_assert_cmpint(share_xattr_get(s, node, "user.a", buf, 2), ==, -ERANGE);
	g_assert_cmpint(share_xattr_set(s, node, "user.virtfs.uid", "abcd", 4, 0), ==, -EPERM);
	g_assert_cmpint(share_xattr_set(s, node, "security.capability", "x", 1, 0), ==,
			-EOPNOTSUPP);
	g_assert_cmpint(share_xattr_set(s, node, "trusted.x", "x", 1, 0), ==, -EOPNOTSUPP);
	g_autofree char *path = path_in(&f, "hello");
	g_assert_cmpint(setxattr(path, "user.virtfs.uid", "abcd", 4, 0), ==, 0);
	g_assert_cmpint(share_xattr_list(s, node, buf, sizeof(buf)), ==, sizeof("user.a"));
	g_assert_cmpstr(buf, ==, "user.a");
	g_assert_cmpint(share_xattr_get(s, node, "user.virtfs.uid", buf, sizeof(buf)), ==,
			-ENODATA);
	g_assert_cmpint(share_xattr_remove(s, node, "user.a"), ==, 0);
}

static void record_locks_belong_to_a_process_and_a_file(void)
{
	FOLDER(f, SHARE_SQUASH);
	struct share_file *second;
	const struct flock whole = { .l_type = F_WRLCK }, none = { .l_type = F_UNLCK };
	const struct flock part = { .l_type = F_WRLCK, .l_start = 10, .l_len = 10 };
	struct flock test = { .l_type = F_RDLCK, .l_start = 15, .l_len = 1 };
	struct share_node *other;

	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDWR, &file), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDWR, &second), ==, 0);
	g_assert_cmpint(share_lock(s, file, 1, &part), ==, 0);
	g_assert_cmpint(share_lock(s, second, 1, &whole), ==, 0);	/* the same process */
	g_assert_cmpint(share_lock(s, second, 2, &part), ==, -EAGAIN);
	g_assert_cmpint(share_lock_test(s, second, 2, &test), ==, 0);
	g_assert_cmpint(test.l_type, ==, F_WRLCK);
	g_assert_cmpint(test.l_start, ==, 0);

	/* a program of the host sees it, too */
	g_autofree char *path = path_in(&f, "hello");
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock fl = part;
	g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &fl), <, 0);

	share_lock_drop(s, node, 1);
	g_assert_cmpint(share_lock(s, second, 2, &part), ==, 0);
	g_assert_cmpint(share_lock(s, second, 2, &none), ==, 0);
	fl = part;
	g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &fl), ==, 0);
	g_assert_cmpint(share_lock(s, file, 1, &part), ==, -EAGAIN);
	share_close(s, file);
	share_close(s, second);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &file), ==, 0);
	g_assert_cmpint(share_lock(s, file, 1, &part), ==, -EBADF);
	g_assert_cmpint(share_open(s, root, O_RDONLY, &second), ==, 0);
	g_assert_cmpint(share_lock(s, second, 1, &part), ==, -EBADF);
	g_assert_cmpint(share_lookup(s, root, "hello", &other, &st), ==, 0);
	share_close(s, file);
	share_close(s, second);
}

static void whole_file_locks_belong_to_the_open_file(void)
{
	FOLDER(f, SHARE_SQUASH);
	struct share_file *second;

	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &file), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &second), ==, 0);
	g_assert_cmpint(share_flock(s, file, LOCK_EX), ==, 0);
	g_assert_cmpint(share_flock(s, second, LOCK_SH), ==, -EAGAIN);
	share_close(s, file);
	g_assert_cmpint(share_flock(s, second, LOCK_SH), ==, 0);
	g_assert_cmpint(share_flock(s, second, LOCK_SH | LOCK_NB), ==, -EINVAL);
	share_close(s, second);
}

/* ---- owners ---- */

static uint32_t host_u32(const char *path, const char *name)
{
	uint32_t v = 0;

	g_assert_cmpint(getxattr(path, name, &v, 4), ==, 4);
	return GUINT32_FROM_LE(v);
}

static void mapped_owners_live_beside_the_file(void)
{
	FOLDER(f, SHARE_MAPPED);
	const struct share_change change = { .set = SHARE_SET_UID | SHARE_SET_MODE,
					     .uid = 42, .mode = 04755 };
	const struct share_change nosuid = { .set = SHARE_SET_NO_SUID };
	struct stat host;

	g_assert_cmpint(share_create(s, root, "prog", O_WRONLY, 0640, &guest_user, &node, &file,
				     &st), ==, 0);
	share_close(s, file);
	g_assert_cmpuint(st.st_uid, ==, 1000);
	g_assert_cmpuint(st.st_gid, ==, 1001);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0640);
	g_assert_cmpint(share_change(s, node, NULL, &change), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 04755);
	g_assert_cmpuint(st.st_uid, ==, 42);
	g_autofree char *path = path_in(&f, "prog");
	g_assert_cmpint(stat(path, &host), ==, 0);
	g_assert_cmpuint(host.st_mode, ==, S_IFREG | 0600);
	g_assert_cmpuint(host.st_uid, ==, geteuid());
	/* what QEMU's 9p would read */
	g_assert_cmpuint(host_u32(path, "user.virtfs.uid"), ==, 42);
	g_assert_cmpuint(host_u32(path, "user.virtfs.gid"), ==, 1001);
	g_assert_cmpuint(host_u32(path, "user.virtfs.mode"), ==, S_IFREG | 04755);
	g_assert_cmpint(share_change(s, node, NULL, &nosuid), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0755);
}

/* Root may write to everything: here the owner is none who may. */
static void file_given(const char *path, mode_t mode)
{
	g_assert_cmpint(chmod(path, mode), ==, 0);
	g_assert_cmpint(geteuid() ? 0 : chown(path, NOBODY, NOBODY), ==, 0);
}

static void mapped_files_that_their_owner_made_read_only_are_changed(void)
{
	FOLDER(f, SHARE_MAPPED);
	const struct share_change owner = { .set = SHARE_SET_UID, .uid = 42 };
	const struct share_change mode = { .set = SHARE_SET_MODE, .mode = 0640 };
	g_autofree char *path = path_in(&f, "hello"), *folder = path_in(&f, "d");
	bool root_runs = geteuid() == 0;

	g_assert_cmpint(g_mkdir(folder, 0755), ==, 0);
	file_given(path, 0444);
	file_given(folder, 0555);
	g_assert_cmpint(root_runs ? seteuid(NOBODY) : 0, ==, 0);
	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_change(s, node, NULL, &owner), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_uid, ==, 42);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0444);
	g_assert_cmpint(share_change(s, node, NULL, &mode), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0640);
	g_assert_cmpint(share_open(s, node, O_WRONLY, &file), ==, 0);
	share_close(s, file);
	g_assert_cmpint(share_lookup(s, root, "d", &node, &st), ==, 0);
	g_assert_cmpint(share_change(s, node, NULL, &mode), ==, 0);
	g_assert_cmpint(share_stat(s, node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 0640);
	g_assert_cmpint(root_runs ? seteuid(0) : 0, ==, 0);
	/* of another's file nothing is changed */
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0644);
}

static void mapped_special_files_are_plain_on_the_host(void)
{
	FOLDER(f, SHARE_MAPPED);
	struct stat host;
	char buf[64];

	g_assert_cmpint(share_mknod(s, root, "null", S_IFCHR | 0666, makedev(1, 3), &guest_root,
				    &node, &st), ==, 0);
	g_assert_true(S_ISCHR(st.st_mode));
	g_assert_cmpuint(st.st_rdev, ==, makedev(1, 3));
	g_autofree char *null = path_in(&f, "null");
	g_assert_cmpint(lstat(null, &host), ==, 0);
	g_assert_true(S_ISREG(host.st_mode));
	g_assert_cmpint(share_symlink(s, root, "sym", "../outside/secret", &guest_user, &node,
				      &st), ==, 0);
	g_assert_true(S_ISLNK(st.st_mode));
	g_assert_cmpint(st.st_size, ==, 17);
	g_assert_cmpint(share_readlink(s, node, buf, sizeof(buf)), ==, 17);
	g_autofree char *sym = path_in(&f, "sym");
	g_assert_cmpint(lstat(sym, &host), ==, 0);
	g_assert_true(S_ISREG(host.st_mode));
	/* a mark never makes a folder of a file, nor the other way round */
	uint32_t mode = GUINT32_TO_LE(S_IFDIR | 0755);
	g_autofree char *hello = path_in(&f, "hello");
	g_assert_cmpint(setxattr(hello, "user.virtfs.mode", &mode, 4, 0), ==, 0);
	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0755);
}

static void a_group_is_inherited_in_a_mapped_folder(void)
{
	FOLDER(f, SHARE_MAPPED);
	struct share_node *dir;

	g_assert_cmpint(share_mkdir(s, root, "d", 02775, &guest_user, &dir, &st), ==, 0);
	g_assert_cmpint(share_mkdir(s, dir, "sub", 0755, &guest_root, &node, &st), ==, 0);
	g_assert_cmpuint(st.st_gid, ==, 1001);
	g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 02755);
}

static void devices_are_made_in_mapped_shares_only(void)
{
	FOLDER(f, SHARE_PASSTHROUGH);

	g_assert_cmpint(share_mknod(s, root, "disk", S_IFBLK | 0600, makedev(8, 0), &guest_root,
				    &node, &st), ==, -EPERM);
	g_assert_cmpint(share_mknod(s, root, "odd", 0170000, 0, &guest_root, &node, &st), ==,
			-EINVAL);
}

static void passthrough_gives_a_file_to_its_maker_if_it_may(void)
{
	FOLDER(f, SHARE_PASSTHROUGH);
	bool may = geteuid() == 0;

	g_assert_cmpint(share_create(s, root, "his", O_RDWR, 04755, &guest_user, &node, &file,
				     &st), ==, 0);
	g_assert_cmpuint(st.st_uid, ==, may ? 1000 : geteuid());
	g_assert_cmpuint(st.st_gid, ==, may ? 1001 : getegid());
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | (may ? 04755 : 0755));
	share_close(s, file);
}

/* What an idmapped mount shows as ours is, on the disk and in the guest, somebody else's. */
static void passthrough_tells_whose_our_files_really_are(void)
{
	const struct share_opts ours = { .nodes_max = 64, .ours_are = true, .uid = 500,
					 .gid = 501 };
	const struct share_change change = { .set = SHARE_SET_UID | SHARE_SET_GID, .uid = 500,
					     .gid = 501 };
	const struct share_cred cred = { 500, 501 };
	__attribute__((cleanup(folder_free))) struct folder f =
		folder_new_with(SHARE_PASSTHROUGH, false, &ours);
	g_autofree char *path = path_in(&f, "new");
	struct share_node *node;
	struct stat st;

	g_assert_cmpint(share_create(f.share, share_root(f.share), "new", O_RDWR, 0644, &cred,
				     &node, NULL, &st), ==, 0);
	g_assert_cmpuint(st.st_uid, ==, 500);
	g_assert_cmpuint(st.st_gid, ==, 501);
	g_assert_cmpint(share_change(f.share, node, NULL, &change), ==, 0);
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpuint(st.st_uid, ==, geteuid());
	g_assert_cmpuint(st.st_gid, ==, getegid());
}

static void nobodys_rights_are_lent_by_an_idmapped_share(void)
{
	const struct share_opts ours = { .nodes_max = 64, .ours_are = true, .uid = 500,
					 .gid = 501 };
	const struct share_change change = { .set = SHARE_SET_MODE, .mode = 06755 };
	const struct share_cred cred = { 500, 501 };
	__attribute__((cleanup(folder_free))) struct folder f =
		folder_new_with(SHARE_PASSTHROUGH, false, &ours);
	struct share_node *node;
	struct stat st;

	g_assert_cmpint(share_create(f.share, share_root(f.share), "new", O_RDWR, 06755, &cred,
				     &node, NULL, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0755);
	g_assert_cmpint(share_change(f.share, node, NULL, &change), ==, 0);
	g_assert_cmpint(share_stat(f.share, node, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0755);
}

static void a_mapped_share_tells_whose_unmarked_files_are(void)
{
	const struct share_opts ours = { .nodes_max = 64, .ours_are = true, .uid = 500,
					 .gid = 501 };
	const struct share_change change = { .set = SHARE_SET_UID, .uid = 500 };
	__attribute__((cleanup(folder_free))) struct folder f =
		folder_new_with(SHARE_MAPPED, false, &ours);
	g_autofree char *hello = path_in(&f, "hello");
	struct share_node *node;
	struct stat st;

	g_assert_cmpint(share_lookup(f.share, share_root(f.share), "hello", &node, &st), ==, 0);
	g_assert_cmpuint(st.st_uid, ==, 500);
	g_assert_cmpint(share_change(f.share, node, NULL, &change), ==, 0);
	g_assert_cmpuint(host_u32(hello, "user.virtfs.uid"), ==, 500);
}

/* ---- what it refuses ---- */

static void a_read_only_share_changes_nothing(void)
{
	__attribute__((cleanup(folder_free))) struct folder f =
		folder_new_with(SHARE_SQUASH, true, NULL);
	struct share *s = f.share;
	struct share_node *root = share_root(s), *node, *made;
	struct share_file *file;
	struct stat st;
	const struct share_change change = { .set = SHARE_SET_SIZE };

	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDWR, &file), ==, -EROFS);
	g_assert_cmpint(share_open(s, node, O_WRONLY, &file), ==, -EROFS);
	g_assert_cmpint(share_open(s, node, O_RDONLY | O_TRUNC, &file), ==, -EROFS);
	g_assert_cmpint(share_create(s, root, "n", O_RDWR, 0644, &guest_root, &made, &file, &st),
			==, -EROFS);
	g_assert_cmpint(share_mkdir(s, root, "n", 0755, &guest_root, &made, &st), ==, -EROFS);
	g_assert_cmpint(share_mknod(s, root, "n", S_IFIFO, 0, &guest_root, &made, &st), ==,
			-EROFS);
	g_assert_cmpint(share_symlink(s, root, "n", "x", &guest_root, &made, &st), ==, -EROFS);
	g_assert_cmpint(share_link(s, node, root, "n"), ==, -EROFS);
	g_assert_cmpint(share_rename(s, root, "hello", root, "n", 0), ==, -EROFS);
	g_assert_cmpint(share_unlink(s, root, "hello", false), ==, -EROFS);
	g_assert_cmpint(share_change(s, node, NULL, &change), ==, -EROFS);
	g_assert_cmpint(share_xattr_set(s, node, "user.a", "", 0, 0), ==, -EROFS);
	g_assert_cmpint(share_xattr_remove(s, node, "user.a"), ==, -EROFS);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &file), ==, 0);
	share_close(s, file);
}

static void names_that_are_more_than_a_name_are_refused(void)
{
	static const char *const bad[] = { "", ".", "..", "/", "a/b", "../outside", "/etc",
					   "..//", "hello/", "./hello" };
	FOLDER(f, SHARE_SQUASH);
	struct share_file *made;
	char long_name[300];

	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct share_node *n;

		g_assert_cmpint(share_lookup(s, root, bad[i], &n, &st), ==, -EINVAL);
		g_assert_cmpint(share_create(s, root, bad[i], O_RDWR, 0600, &guest_root, &n, &made,
					     &st), ==, -EINVAL);
		g_assert_cmpint(share_mkdir(s, root, bad[i], 0700, &guest_root, &n, &st), ==,
				-EINVAL);
		g_assert_cmpint(share_symlink(s, root, bad[i], "x", &guest_root, &n, &st), ==,
				-EINVAL);
		g_assert_cmpint(share_link(s, node, root, bad[i]), ==, -EINVAL);
		g_assert_cmpint(share_rename(s, root, "hello", root, bad[i], 0), ==, -EINVAL);
		g_assert_cmpint(share_rename(s, root, bad[i], root, "x", 0), ==, -EINVAL);
		g_assert_cmpint(share_unlink(s, root, bad[i], false), ==, -EINVAL);
	}
	memset(long_name, 'a', sizeof(long_name));
	long_name[299] = 0;
	g_assert_cmpint(share_lookup(s, root, long_name, &node, &st), ==, -ENAMETOOLONG);
}

static void a_symlink_out_is_a_text_not_a_way(void)
{
	FOLDER(f, SHARE_SQUASH);
	g_autofree char *to_dir = path_in(&f, "out"), *to_file = path_in(&f, "secret");
	g_autofree char *magic = path_in(&f, "magic");
	struct share_node *n;

	g_assert_cmpint(symlink("../outside", to_dir), ==, 0);
	g_assert_cmpint(symlink("../outside/secret", to_file), ==, 0);
	g_assert_cmpint(symlink("/proc/self/cwd", magic), ==, 0);
	for (const char *const *name = (const char *const[]){ "out", "secret", "magic", NULL };
	     *name; name++) {
		g_assert_cmpint(share_lookup(s, root, *name, &node, &st), ==, 0);
		g_assert_true(S_ISLNK(st.st_mode));
		g_assert_cmpint(share_lookup(s, node, "secret", &n, &st), ==, -ENOTDIR);
		g_assert_cmpint(share_open(s, node, O_RDONLY, &file), ==, -ENXIO);
		g_assert_cmpint(share_create(s, root, *name, O_RDWR, 0600, &guest_root, &n, &file,
					     &st), ==, -ENXIO);
	}
	/* a change of the link changes the link, and nothing out there */
	const struct share_change change = { .set = SHARE_SET_MODE, .mode = 0777 };
	g_assert_cmpint(share_lookup(s, root, "secret", &node, &st), ==, 0);
	g_assert_cmpint(share_change(s, node, NULL, &change), <, 0);
}

static void magic_links_of_a_shared_proc_lead_nowhere(void)
{
	auto_close int proc_fd = share_proc_open();
	struct share_opts opts = { .name = "proc", .proc_fd = proc_fd, .nodes_max = 64,
				   .root_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	g_autoptr(GError) error = NULL;
	g_autoptr(share) s = share_new(&opts, &error);
	g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
	struct share_node *self, *n, *below;
	struct share_file *file;
	struct stat st;

	g_assert_no_error(error);
	g_assert_cmpint(share_enter(s), ==, 0);
	g_assert_cmpint(share_lookup(s, share_root(s), pid, &self, &st), ==, 0);
	for (const char *const *name = (const char *const[]){ "root", "cwd", "exe", NULL }; *name;
	     name++) {
		g_assert_cmpint(share_lookup(s, self, *name, &n, &st), ==, 0);
		g_assert_true(S_ISLNK(st.st_mode));
		g_assert_cmpint(share_lookup(s, n, "etc", &below, &st), ==, -ENOTDIR);
		g_assert_cmpint(share_open(s, n, O_RDONLY, &file), ==, -ENXIO);
	}
	g_assert_cmpint(chdir("/"), ==, 0);
}

/* The classic: a folder that is a symbolic link at every other look. */
struct swapper {
	const char *dir, *hidden, *link;
	_Atomic bool stop;
};

static void *swap_names(void *arg)
{
	struct swapper *w = arg;

	while (!w->stop)
		renameat2(AT_FDCWD, w->dir, AT_FDCWD, w->link, RENAME_EXCHANGE);
	return NULL;
}

static void a_folder_swapped_for_a_symlink_in_a_race_never_leads_out(void)
{
	FOLDER(f, SHARE_SQUASH);
	g_autofree char *dir = path_in(&f, "dir"), *link = path_in(&f, "link");
	struct swapper w = { .dir = dir, .link = link };
	struct share_node *n;
	unsigned links = 0, dirs = 0;

	g_assert_cmpint(g_mkdir(dir, 0755), ==, 0);
	g_assert_cmpint(symlink("../outside", link), ==, 0);
	GThread *t = g_thread_new("swap", swap_names, &w);
	for (int i = 0; i < 20000; i++) {
		g_assert_cmpint(share_lookup(s, root, "dir", &node, &st), ==, 0);
		*(S_ISLNK(st.st_mode) ? &links : &dirs) += 1;
		g_assert_cmpint(share_lookup(s, node, "secret", &n, &st), <, 0);
		int r = share_create(s, node, "made", O_RDWR, 0644, &guest_root, &n, &file, &st);
		if (r == 0) {
			share_close(s, file);
			share_put(s, n, 1);
		}
		share_put(s, node, 1);
	}
	w.stop = true;
	g_thread_join(t);
	g_test_message("a link %u times, a folder %u times", links, dirs);
	g_autofree char *made = g_build_filename(f.top, "outside", "made", NULL);
	g_assert_false(g_file_test(made, G_FILE_TEST_EXISTS));
}

static void a_folder_moved_out_while_in_use_has_no_way_up(void)
{
	FOLDER(f, SHARE_SQUASH);
	g_autofree char *dir = path_in(&f, "dir");
	g_autofree char *moved = g_build_filename(f.top, "outside", "dir", NULL);
	struct share_node *n;
	struct share_file *open_dir;

	g_assert_cmpint(g_mkdir(dir, 0755), ==, 0);
	g_assert_cmpint(share_lookup(s, root, "dir", &node, &st), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &open_dir), ==, 0);
	g_assert_cmpint(rename(dir, moved), ==, 0);
	g_assert_cmpint(share_lookup(s, node, "..", &n, &st), ==, -EINVAL);
	g_assert_cmpint(share_lookup(s, node, "secret", &n, &st), ==, -ENOENT);
	g_assert_cmpint(share_rename(s, node, "..", root, "x", 0), ==, -EINVAL);
	share_close(s, open_dir);
}

static void special_files_of_the_host_are_looked_at_only(void)
{
	FOLDER(f, SHARE_SQUASH);
	g_autofree char *fifo = path_in(&f, "fifo"), *sock = path_in(&f, "sock");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(mkfifo(fifo, 0666), ==, 0);
	g_strlcpy(addr.sun_path, sock, sizeof(addr.sun_path));
	g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	for (const char *const *name = (const char *const[]){ "fifo", "sock", NULL }; *name;
	     name++) {
		struct share_node *n;

		g_assert_cmpint(share_lookup(s, root, *name, &node, &st), ==, 0);
		g_assert_cmpint(share_open(s, node, O_RDWR, &file), ==, -ENXIO);
		g_assert_cmpint(share_create(s, root, *name, O_RDWR, 0600, &guest_root, &n, &file,
					     &st), ==, -ENXIO);
		const struct share_change change = { .set = SHARE_SET_SIZE };
		g_assert_cmpint(share_change(s, node, NULL, &change), ==, -EINVAL);
	}
}

static void a_guest_that_holds_everything_is_told_so_and_a_reset_frees_it(void)
{
	const struct share_opts limits = { .nodes_max = 20, .files_max = 4 };
	__attribute__((cleanup(folder_free))) struct folder f =
		folder_new_with(SHARE_SQUASH, false, &limits);
	struct share *s = f.share;
	struct share_node *root = share_root(s), *node = NULL, *first = NULL;
	struct share_file *file;
	struct stat st;
	int r = 0, made = 0;

	for (; made < 30 && r == 0; made += r == 0) {
		g_autofree char *name = g_strdup_printf("n%d", made);
		r = share_mkdir(s, root, name, 0755, &guest_root, &node, &st);
		first = first ?: node;
	}
	g_assert_cmpint(r, ==, -ENFILE);
	g_assert_cmpint(made, ==, 19);
	g_autofree char *none = path_in(&f, "n19");
	g_assert_false(g_file_test(none, G_FILE_TEST_EXISTS));
	share_put(s, first, 1);
	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	for (r = 0, made = 0; made < 10 && r == 0; made += r == 0)
		r = share_open(s, node, O_RDONLY, &file);
	g_assert_cmpint(r, ==, -ENFILE);
	g_assert_cmpint(made, ==, 4);
	share_reset(s);
	g_assert_cmpint(share_lookup(s, root, "hello", &node, &st), ==, 0);
	g_assert_cmpint(share_open(s, node, O_RDONLY, &file), ==, 0);
}

static void what_is_no_folder_is_refused(void)
{
	auto_close int proc_fd = share_proc_open();
	struct share_opts opts = { .name = "fs0", .proc_fd = proc_fd, .nodes_max = 64,
				   .root_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC) };
	g_autoptr(GError) error = NULL;

	g_assert_null(share_new(&opts, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_SYSTEM);
	g_assert_nonnull(strstr(error->message, "fs0"));
}

#define TEST(name) g_test_add_func("/share/" #name, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	umask(022);
	g_autofree char *probe = g_dir_make_tmp("share-XXXXXX", NULL);
	bool mapped = has_xattrs(probe);
	g_rmdir(probe);
	TEST(a_file_is_found_read_and_forgotten);
	TEST(a_file_is_made_written_and_renamed);
	TEST(a_create_opens_what_is_there_unless_told_not_to);
	TEST(a_folder_is_listed_in_pieces_without_gaps_or_repeats);
	TEST(attributes_are_set_in_one_call);
	TEST(holes_are_made_found_and_copied);
	TEST(links_and_symlinks_are_what_they_are);
	TEST(xattrs_are_those_of_programs);
	TEST(record_locks_belong_to_a_process_and_a_file);
	TEST(whole_file_locks_belong_to_the_open_file);
	if (mapped) {
		TEST(mapped_owners_live_beside_the_file);
		TEST(mapped_files_that_their_owner_made_read_only_are_changed);
		TEST(mapped_special_files_are_plain_on_the_host);
		TEST(a_group_is_inherited_in_a_mapped_folder);
	}
	TEST(devices_are_made_in_mapped_shares_only);
	TEST(passthrough_gives_a_file_to_its_maker_if_it_may);
	TEST(passthrough_tells_whose_our_files_really_are);
	g_test_add_func("/share/passthrough-lends-nothing",
			nobodys_rights_are_lent_by_an_idmapped_share);
	g_test_add_func("/share/mapped-ours", a_mapped_share_tells_whose_unmarked_files_are);
	TEST(a_read_only_share_changes_nothing);
	TEST(names_that_are_more_than_a_name_are_refused);
	TEST(a_symlink_out_is_a_text_not_a_way);
	TEST(magic_links_of_a_shared_proc_lead_nowhere);
	TEST(a_folder_swapped_for_a_symlink_in_a_race_never_leads_out);
	TEST(a_folder_moved_out_while_in_use_has_no_way_up);
	TEST(special_files_of_the_host_are_looked_at_only);
	TEST(a_guest_that_holds_everything_is_told_so_and_a_reset_frees_it);
	TEST(what_is_no_folder_is_refused);
	return g_test_run();
}
