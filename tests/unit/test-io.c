/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A listening socket takes the place of a dead one, and of nothing else. */
#include "config.h"
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"

static char *dir;

static char *path_new(const char *name)
{
	return g_build_filename(dir, name, NULL);
}

static void a_dead_owners_socket_is_replaced(void)
{
	g_autofree char *path = path_new("stale");
	g_autoptr(GError) error = NULL;
	int fd = io_listen_unix(path, 0600, &error);

	g_assert_no_error(error);
	close(fd);
	fd = io_listen_unix(path, 0600, &error);
	g_assert_no_error(error);
	close(fd);
}

static void a_living_owners_socket_is_left_alone(void)
{
	g_autofree char *path = path_new("alive");
	auto_close int fd = io_listen_unix(path, 0660, NULL);
	g_autoptr(GError) error = NULL;
	struct stat st;

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(io_listen_unix(path, 0660, &error), ==, -1);
	g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
	g_assert_nonnull(strstr(error->message, "in use"));
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0660);
}

static void a_file_in_the_way_is_kept(void)
{
	g_autofree char *path = path_new("file");
	g_autoptr(GError) error = NULL;

	g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
	g_assert_cmpint(io_listen_unix(path, 0600, &error), ==, -1);
	g_assert_nonnull(strstr(error->message, "no socket"));
	g_assert_true(g_file_test(path, G_FILE_TEST_IS_REGULAR));
}

static void a_path_too_long_is_an_error(void)
{
	g_autofree char *name = g_strnfill(200, 'x');
	g_autofree char *path = path_new(name);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(io_connect_unix(path, &error), ==, -1);
	g_assert_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG);
}

int main(int argc, char **argv)
{
	int rc;
	g_autofree char *rm = NULL;

	g_test_init(&argc, &argv, NULL);
	dir = g_dir_make_tmp("vmm-io-XXXXXX", NULL);
	g_test_add_func("/io/stale-socket", a_dead_owners_socket_is_replaced);
	g_test_add_func("/io/socket-in-use", a_living_owners_socket_is_left_alone);
	g_test_add_func("/io/file-in-the-way", a_file_in_the_way_is_kept);
	g_test_add_func("/io/long-path", a_path_too_long_is_an_error);
	rc = g_test_run();
	rm = g_strdup_printf("rm -rf '%s'", dir);
	g_spawn_command_line_sync(rm, NULL, NULL, NULL, NULL);
	g_free(dir);
	return rc;
}
