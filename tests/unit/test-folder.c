/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder that is opened for a machine: whose it is, what is refused. */
#include "config.h"
#include "libvmm/util/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MACHINE 0x70000007u
#define OWNER 1234u
#define OTHER 4321u

static char *folder_new(void)
{
	char *path = g_dir_make_tmp("test-folder-XXXXXX", NULL);

	g_assert_nonnull(path);
	return path;
}

static void folder_drop(char *path)
{
	g_autofree char *line = g_strdup_printf("rm -rf '%s'", path);

	g_assert_cmpint(system(line), ==, 0);
	g_free(path);
}

static void expect_refused(const struct folder_opts *opts, const char *words)
{
	g_autoptr(GError) error = NULL;
	struct folder folder;

	g_assert_false(folder_open(opts, &folder, &error));
	g_assert_nonnull(error);
	if (!strstr(error->message, words))
		g_test_message("'%s' does not say '%s'", error->message, words);
	g_assert_nonnull(strstr(error->message, words));
}

static void our_own_folder_is_opened_as_it_is(void)
{
	char *path = folder_new();
	g_autoptr(GError) error = NULL;
	struct folder folder;
	struct stat there, here;

	g_assert_true(folder_open(&(struct folder_opts){ .path = path }, &folder, &error));
	g_assert_false(folder.mapped);
	g_assert_cmpint(fcntl(folder.fd, F_GETFL) & O_PATH, ==, O_PATH);
	g_assert_cmpint(fstat(folder.fd, &there), ==, 0);
	g_assert_cmpint(stat(path, &here), ==, 0);
	g_assert_cmpint(there.st_ino, ==, here.st_ino);
	close(folder.fd);
	folder_drop(path);
}

static void what_is_no_folder_of_a_users_is_refused(void)
{
	char *path = folder_new();
	g_autofree char *file = g_build_filename(path, "file", NULL);
	g_autofree char *link = g_build_filename(path, "link", NULL);
	g_autofree char *none = g_build_filename(path, "none", NULL);

	g_assert_true(g_file_set_contents(file, "x", 1, NULL));
	g_assert_cmpint(symlink("/etc", link), ==, 0);
	expect_refused(&(struct folder_opts){ .path = file }, "is not a folder");
	expect_refused(&(struct folder_opts){ .path = link }, "a symbolic link, to '/etc'");
	expect_refused(&(struct folder_opts){ .path = none }, "No such file");
	expect_refused(&(struct folder_opts){ .path = "/" }, "the host's root");
	expect_refused(&(struct folder_opts){ .path = "/proc" }, "the kernel's own (proc)");
	expect_refused(&(struct folder_opts){ .path = "/proc/self/fd" }, "the kernel's own (proc)");
	expect_refused(&(struct folder_opts){ .path = "/sys" }, "the kernel's own (sysfs)");
	expect_refused(&(struct folder_opts){ .path = "/dev" }, "devices");
	folder_drop(path);
}

static void our_folders_are_not_shared_from_either_side(void)
{
	char *path = folder_new();
	g_autofree char *run = g_build_filename(path, "run", NULL);
	g_autofree char *below = g_build_filename(run, "below", NULL);
	g_autofree char *beside = g_build_filename(path, "running", NULL);
	const char *const ours[] = { run, NULL };
	struct folder folder;

	g_assert_cmpint(g_mkdir_with_parents(below, 0700), ==, 0);
	g_assert_cmpint(g_mkdir_with_parents(beside, 0700), ==, 0);
	expect_refused(&(struct folder_opts){ .path = run, .ours = ours }, "is within");
	expect_refused(&(struct folder_opts){ .path = below, .ours = ours }, "is within");
	expect_refused(&(struct folder_opts){ .path = path, .ours = ours }, "contains");
	g_assert_true(folder_open(&(struct folder_opts){ .path = beside, .ours = ours }, &folder,
				  NULL));
	close(folder.fd);
	folder_drop(path);
}

/* ---- as root: in the place of the owner ---- */

/* What work() finds as the machine's user; each of its bits is one wish. */
static int as_machine(int (*work)(int fd), int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (syscall(SYS_setresgid, MACHINE, MACHINE, MACHINE) < 0 ||
		    syscall(SYS_setresuid, MACHINE, MACHINE, MACHINE) < 0)
			_exit(255);
		_exit(work(fd));
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int make_a_file(int fd)
{
	struct stat st;
	int file = openat(fd, "new", O_CREAT | O_WRONLY | O_EXCL, 0600);

	if (file < 0 || fstat(file, &st) < 0)
		return 1;
	if (st.st_uid != MACHINE || st.st_gid != MACHINE)
		return 2;
	if (fchown(file, OTHER, (gid_t)-1) == 0 || errno != EPERM)
		return 3;
	if (openat(fd, "others", O_WRONLY) >= 0 || errno != EACCES)
		return 4;
	if (fstatat(fd, "others", &st, 0) < 0 || st.st_uid != OTHER)
		return 5;
	return openat(fd, "own", O_RDWR) < 0 ? 6 : 0;
}

static int try_to_write(int fd)
{
	return openat(fd, "own", O_RDWR) >= 0 || errno != EROFS;
}

static void put(const char *path, const char *name, uid_t uid)
{
	g_autofree char *file = g_build_filename(path, name, NULL);

	g_assert_true(g_file_set_contents(file, "x", 1, NULL));
	g_assert_cmpint(chmod(file, 0600), ==, 0);
	g_assert_cmpint(chown(file, uid, uid), ==, 0);
}

/* False: skipped. */
static bool open_mapped(const char *path, bool readonly, struct folder *folder)
{
	g_autoptr(GError) error = NULL;

	if (geteuid() != 0) {
		g_test_skip("not root");
		return false;
	}
	g_assert_cmpint(chown(path, OWNER, OWNER), ==, 0);
	put(path, "own", OWNER);
	put(path, "others", OTHER);
	if (folder_open(&(struct folder_opts){ .path = path, .machine = MACHINE,
					       .readonly = readonly }, folder, &error) &&
	    folder->mapped)
		return true;
	g_test_skip(error ? error->message : "this file system has no idmapped mounts");
	return false;
}

static void the_machine_has_the_owners_rights_and_no_others(void)
{
	char *path = folder_new();
	g_autofree char *made = g_build_filename(path, "new", NULL);
	struct folder folder;
	struct stat st;

	if (open_mapped(path, false, &folder)) {
		g_assert_cmpuint(folder.uid, ==, OWNER);
		g_assert_cmpuint(folder.gid, ==, OWNER);
		g_assert_cmpint(as_machine(make_a_file, folder.fd), ==, 0);
		g_assert_cmpint(stat(made, &st), ==, 0);
		g_assert_cmpuint(st.st_uid, ==, OWNER);
		g_assert_cmpuint(st.st_gid, ==, OWNER);
		close(folder.fd);
	}
	folder_drop(path);
}

static void a_read_only_mount_is_one(void)
{
	char *path = folder_new();
	struct folder folder;
	struct statvfs fs;

	if (open_mapped(path, true, &folder)) {
		g_assert_cmpint(as_machine(try_to_write, folder.fd), ==, 0);
		g_assert_cmpint(fstatvfs(folder.fd, &fs), ==, 0);
		g_assert_cmpint(fs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV), ==,
				ST_RDONLY | ST_NOSUID | ST_NODEV);
		close(folder.fd);
	}
	folder_drop(path);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/folder/plain", our_own_folder_is_opened_as_it_is);
	g_test_add_func("/folder/refused", what_is_no_folder_of_a_users_is_refused);
	g_test_add_func("/folder/ours", our_folders_are_not_shared_from_either_side);
	g_test_add_func("/folder/mapped", the_machine_has_the_owners_rights_and_no_others);
	g_test_add_func("/folder/readonly", a_read_only_mount_is_one);
	return g_test_run();
}
