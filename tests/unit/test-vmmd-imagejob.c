/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Children that work on images: their answers, their errors, their ends. */
#include "config.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libvmm/util/error.h"
#include "vmmd/imagehead.h"
#include "vmmd/imagejob.h"

struct fixture {
	struct daemon daemon;
	char *dir, *a, *b;
	GVariant *result;
	GError *error;
	unsigned n_done, n_progress;
	struct imagejob *running;
	bool cancel_soon;
};

static void on_done(GVariant *result, const GError *error, void *opaque)
{
	struct fixture *f = opaque;

	f->n_done++;
	f->result = result ? g_variant_ref(result) : NULL;
	f->error = error ? g_error_copy(error) : NULL;
	g_main_loop_quit(f->daemon.loop);
}

static void on_progress(uint64_t done, uint64_t total, void *opaque)
{
	struct fixture *f = opaque;

	g_assert_cmpuint(done, <=, total);
	f->n_progress++;
	if (f->cancel_soon)
		imagejob_cancel(f->running);
}

static void forget(struct fixture *f)
{
	g_clear_pointer(&f->result, g_variant_unref);
	g_clear_error(&f->error);
	f->n_done = 0;
}

/* Runs one job to its end. */
static void job(struct fixture *f, const struct imagejob_opts *opts)
{
	g_autoptr(GError) error = NULL;

	forget(f);
	f->running = imagejob_start(&f->daemon, opts, on_done, on_progress, f, &error);
	g_assert_no_error(error);
	g_main_loop_run(f->daemon.loop);
	g_assert_cmpuint(f->n_done, ==, 1);
	g_assert_null(f->daemon.imagejobs);
}

static void create(struct fixture *f, const char *path, uint64_t bytes, const char *backing)
{
	job(f, &(struct imagejob_opts){
		       .op = IMAGEJOB_CREATE, .path = path, .format = "qcow2", .bytes = bytes,
		       .backing = backing, .backing_format = backing ? "qcow2" : NULL,
	       });
	g_assert_no_error(f->error);
}

static void fixture_init(struct fixture *f, const void *data)
{
	f->daemon.loop = g_main_loop_new(NULL, FALSE);
	f->daemon.worker_path =
		g_build_filename(g_getenv("VMM_BUILDDIR"), "vmmd", "vmm-worker", NULL);
	f->dir = g_dir_make_tmp("imagejob-XXXXXX", NULL);
	f->a = g_build_filename(f->dir, "a.qcow2", NULL);
	f->b = g_build_filename(f->dir, "b.qcow2", NULL);
}

static void fixture_done(struct fixture *f, const void *data)
{
	g_autoptr(GDir) dir = g_dir_open(f->dir, 0, NULL);
	const char *name;

	forget(f);
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(f->dir, name, NULL);

		g_unlink(path);
	}
	g_assert_cmpint(g_rmdir(f->dir), ==, 0);
	g_main_loop_unref(f->daemon.loop);
	g_free(f->daemon.worker_path);
	g_free(f->dir);
	g_free(f->a);
	g_free(f->b);
}

static void a_chain_is_made_and_described(struct fixture *f, const void *data)
{
	g_autoptr(GVariant) images = NULL, first = NULL;
	const char *text;
	guint64 bytes;

	create(f, f->a, 10 << 20, NULL);
	create(f, f->b, 0, "a.qcow2");
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_INFO, .path = f->b, .chain = true });
	g_assert_no_error(f->error);
	images = g_variant_lookup_value(f->result, "images", G_VARIANT_TYPE("aa{sv}"));
	g_assert_cmpuint(g_variant_n_children(images), ==, 2);
	first = g_variant_get_child_value(images, 0);
	g_assert_true(g_variant_lookup(first, "virtual-size", "t", &bytes));
	g_assert_cmpuint(bytes, ==, 10 << 20);
	g_assert_true(g_variant_lookup(first, "full-backing-filename", "&s", &text));
	g_assert_cmpstr(text, ==, f->a);
}

static void the_block_layers_error_keeps_its_code_and_text(struct fixture *f, const void *data)
{
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_CHECK, .path = f->a, .format = "qcow2" });
	g_assert_error(f->error, VMM_ERROR, VMM_ERR_SYSTEM);
	g_assert_nonnull(strstr(f->error->message, f->a));
	g_assert_null(f->result);
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_RESIZE, .path = f->a, .bytes = 512 });
	g_assert_error(f->error, VMM_ERROR, VMM_ERR_INVALID_ARG);
}

static void work_goes_from_image_to_image(struct fixture *f, const void *data)
{
	uint64_t n;

	create(f, f->a, 1 << 20, NULL);
	create(f, f->b, 0, "a.qcow2");
	job(f, &(struct imagejob_opts){
		       .op = IMAGEJOB_RESIZE, .path = f->b, .format = "qcow2", .bytes = 2 << 20 });
	g_assert_no_error(f->error);
	job(f, &(struct imagejob_opts){
		       .op = IMAGEJOB_COMMIT, .path = f->b, .format = "qcow2" });
	g_assert_no_error(f->error);
	job(f, &(struct imagejob_opts){
		       .op = IMAGEJOB_REBASE, .path = f->b, .format = "qcow2" });
	g_assert_no_error(f->error);
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_CHECK, .path = f->b, .format = "qcow2" });
	g_assert_no_error(f->error);
	g_assert_true(g_variant_lookup(f->result, "corruptions", "t", &n));
	g_assert_cmpuint(n, ==, 0);
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_MAP, .path = f->b, .format = "qcow2" });
	g_assert_no_error(f->error);
	g_assert_true(g_variant_lookup(f->result, "extents", "a(ttubbb)", NULL));
}

static void a_copy_is_cancelled_and_leaves_nothing(struct fixture *f, const void *data)
{
	g_autofree uint8_t *noise = g_malloc(64 << 20);

	for (unsigned i = 0; i < 64u << 20; i++)
		noise[i] = (uint8_t)(i * 2654435761u >> 13);
	g_assert_true(g_file_set_contents(f->a, (char *)noise, 64 << 20, NULL));
	f->cancel_soon = true;
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_CONVERT, .path = f->a, .format = "raw",
					.target = f->b, .target_format = "qcow2",
					.compress = true });
	g_assert_error(f->error, VMM_ERROR, VMM_ERR_ABORTED);
	g_assert_cmpuint(f->n_progress, >, 0);
	g_assert_false(g_file_test(f->b, G_FILE_TEST_EXISTS));
}

static void the_end_of_the_daemon_is_the_end_of_its_jobs(struct fixture *f, const void *data)
{
	g_autoptr(GError) error = NULL;

	create(f, f->a, 1 << 20, NULL);
	forget(f);
	f->running = imagejob_start(&f->daemon,
				    &(struct imagejob_opts){ .op = IMAGEJOB_INFO, .path = f->a },
				    on_done, NULL, f, &error);
	g_assert_no_error(error);
	imagejobs_end(&f->daemon);
	g_assert_cmpuint(f->n_done, ==, 1);
	g_assert_null(imagejob_start(&f->daemon,
				     &(struct imagejob_opts){ .op = IMAGEJOB_INFO, .path = f->a },
				     on_done, NULL, f, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_ABORTED);
}

static void a_child_that_dies_is_told_with_its_signal(struct fixture *f, const void *data)
{
	g_autofree char *script = g_build_filename(f->dir, "worker", NULL);

	g_assert_true(g_file_set_contents(script, "#!/bin/sh\nkill -SEGV $$\n", -1, NULL));
	g_assert_cmpint(g_chmod(script, 0755), ==, 0);
	g_free(f->daemon.worker_path);
	f->daemon.worker_path = g_steal_pointer(&script);
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_INFO, .path = f->a });
	g_assert_error(f->error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
	g_assert_nonnull(strstr(f->error->message, "signal 11"));
}

static void an_answer_that_is_none_is_an_error(struct fixture *f, const void *data)
{
	g_autofree char *script = g_build_filename(f->dir, "worker", NULL);

	g_assert_true(g_file_set_contents(script, "#!/bin/sh\necho '(0, [[[[[['\n", -1, NULL));
	g_assert_cmpint(g_chmod(script, 0755), ==, 0);
	g_free(f->daemon.worker_path);
	f->daemon.worker_path = g_steal_pointer(&script);
	job(f, &(struct imagejob_opts){ .op = IMAGEJOB_INFO, .path = f->a });
	g_assert_error(f->error, VMM_ERROR, VMM_ERR_INTERNAL);
}

/* The child may look at what its work is about, and at nothing else. */
static void a_child_sees_only_what_it_was_given(struct fixture *f, const void *data)
{
	const char *argv[] = { f->daemon.worker_path, "--image", "info", "--path=/etc/passwd",
			       "--allow-read=/proc", NULL };
	g_autofree char *out = NULL;
	int status;

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, NULL, &status,
				   NULL));
	if (status == 0)
		g_test_skip("this kernel has no Landlock");
	else
		g_assert_nonnull(strstr(out, "/etc/passwd"));
}

static void headers_name_the_chain_and_loops_end(struct fixture *f, const void *data)
{
	g_autoptr(GPtrArray) chain = NULL, loop = NULL, raw = NULL;

	create(f, f->a, 1 << 20, NULL);
	create(f, f->b, 0, "a.qcow2");
	chain = imagehead_chain(f->b, false);
	g_assert_cmpuint(chain->len, ==, 2);
	g_assert_cmpstr(g_ptr_array_index(chain, 1), ==, f->a);
	raw = imagehead_chain(f->b, true);
	g_assert_cmpuint(raw->len, ==, 1);
	g_assert_cmpint(g_unlink(f->a), ==, 0);
	g_assert_cmpint(g_rename(f->b, f->a), ==, 0);
	loop = imagehead_chain(f->a, false);
	g_assert_cmpuint(loop->len, ==, IMAGEHEAD_CHAIN_MAX);
}

#define STORY(name) \
	g_test_add("/imagejob/" #name, struct fixture, NULL, fixture_init, name, fixture_done)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(a_chain_is_made_and_described);
	STORY(the_block_layers_error_keeps_its_code_and_text);
	STORY(work_goes_from_image_to_image);
	STORY(a_copy_is_cancelled_and_leaves_nothing);
	STORY(the_end_of_the_daemon_is_the_end_of_its_jobs);
	STORY(a_child_that_dies_is_told_with_its_signal);
	STORY(an_answer_that_is_none_is_an_error);
	STORY(a_child_sees_only_what_it_was_given);
	STORY(headers_name_the_chain_and_loops_end);
	return g_test_run();
}
