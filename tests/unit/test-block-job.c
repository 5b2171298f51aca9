/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs on a chain while its head is written, compared with an array.  At each
 * step the files are copied as a crash would leave them, and qemu-img judges.
 */
#include "config.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>

#include "block-util.h"
#include "libvmm/block/job.h"
#include "libvmm/block/stack.h"

#define DISK_BYTES (6u << 20)

struct story {
	struct model *m;
	struct block *b;
	struct block_job *job;
	bool ready, done, failed;
	unsigned copies;
};

static void on_event(void *opaque, enum block_job_event event, const GError *error)
{
	struct story *s = opaque;

	s->ready |= event == BLOCK_JOB_READY;
	s->done |= event == BLOCK_JOB_DONE;
	s->failed |= event == BLOCK_JOB_FAILED;
	if (error)
		g_test_message("%s", error->message);
}

/* l0 (raw or qcow2), l1, l2, l3: each with some of its own; the head is l3. */
static void story_begin(struct story *s, const char *base_format, guint32 seed, const char *cluster)
{
	static const char *const names[] = { "l0", "l1", "l2", "l3" };

	*s = (struct story){ .m = model_new(DISK_BYTES, seed) };
	must("rm -rf l0 l1 l2 l3 crash && qemu-img create -q -f %s l0 %u", base_format,
	     DISK_BYTES);
	for (unsigned i = 1; i < 4; i++)
		must("qemu-img create -q -f qcow2 %s -u -b %s -F %s %s %u", cluster,
		     test_path(names[i - 1]), i == 1 ? base_format : "qcow2", names[i],
		     DISK_BYTES);
	s->b = disk_open("l0", base_format);
	for (unsigned i = 0;; i++) {
		model_run_deep(s->m, s->b, 60, 8);
		block_close(s->b);
		if (i == 3)
			break;
		s->b = disk_open(names[i + 1], "qcow2");
	}
	s->b = disk_open("l3", "qcow2");
	g_assert_true(block_attach(s->b, g_main_context_default(), NULL));
}

static void story_end(struct story *s, const char *head, const char *format)
{
	model_compare(s->m, s->b);
	block_close(s->b);
	model_compare_qemu(s->m, head, format);
	if (g_str_equal(format, "qcow2"))
		check_clean(head, false);
	model_free(s->m);
}

static int fd_of(const char *name)
{
	return open(test_path(name), O_RDWR | O_CLOEXEC);
}

static void job_start(struct story *s, enum block_job_kind kind, const char *base, const char *top,
		      const char *above)
{
	g_autofree char *b = base ? g_strdup(test_path(base)) : NULL;
	g_autofree char *t = top ? g_strdup(test_path(top)) : NULL;
	struct block_job_opts o = {
		.kind = kind, .base = b, .top = t, .event = on_event, .opaque = s,
		.base_fd = base && kind != BLOCK_JOB_PULL ? fd_of(base) : -1,
		.above_fd = above ? fd_of(above) : -1,
	};
	g_autoptr(GError) error = NULL;

	block_drain(s->b);
	s->job = block_job_start(s->b, NULL, &o, &error);
	g_assert_no_error(error);
}

/* What was flushed is there after a crash, whatever the job is at. */
static void crash(struct story *s)
{
	if (++s->copies % 16 != 5)
		return;
	g_assert_cmpint(block_flush(s->b), ==, 0);
	must("rm -rf crash && mkdir crash && cp l0 l1 l2 l3 crash && cd crash && "
	     "for i in 1 2 3; do qemu-img info -U l$i | grep -q 'backing file:' || continue; "
	     "b=$(qemu-img info -U l$i | sed -n 's/^backing file: //p'); "
	     "f=$(qemu-img info -U l$i | sed -n 's/^backing file format: //p'); "
	     "qemu-img rebase -u -b $(basename $b) -F $f l$i; done");
	model_compare_qemu(s->m, test_path("crash/l3"), "qcow2");
	check_clean("crash/l3", true);
}

static void until_over(struct story *s, bool *flag)
{
	while (!*flag && !s->failed) {
		for (unsigned i = 0; i < 12; i++)
			g_main_context_iteration(NULL, FALSE);
		model_run_deep(s->m, s->b, 3, 4);
		crash(s);
	}
	g_assert_false(s->failed);
	for (unsigned i = 0; i < 20; i++) {
		model_run_deep(s->m, s->b, 20, 8);
		g_main_context_iteration(NULL, FALSE);
	}
}

static const char *backing_of(const char *name)
{
	static char text[512];
	g_autofree char *out = NULL;
	g_autofree char *line = g_strdup_printf("qemu-img info -U %s", test_path(name));
	char *at;

	g_assert_true(g_spawn_command_line_sync(line, &out, NULL, NULL, NULL));
	at = strstr(out, "backing file: ");
	if (!at)
		return NULL;
	g_strlcpy(text, at + strlen("backing file: "), sizeof(text));
	text[strcspn(text, "\n (")] = 0;
	return text;
}

static void pull(const char *format, const char *base, const char *cluster, guint32 seed)
{
	struct story s;

	story_begin(&s, format, seed, cluster);
	job_start(&s, BLOCK_JOB_PULL, base, NULL, NULL);
	until_over(&s, &s.done);
	block_job_free(s.job);
	g_assert_cmpstr(backing_of("l3"), ==, base ? test_path(base) : NULL);
	/* Nobody needs the others. */
	must("rm -f %s", !base ? "l0 l1 l2" : g_str_equal(base, "l0") ? "l1 l2" : "l2");
	story_end(&s, "l3", "qcow2");
}

static void a_head_takes_in_all_that_is_behind_it(void)
{
	if (!have_qemu())
		return;
	pull("raw", NULL, "", 21);
	pull("qcow2", NULL, "-o cluster_size=4k", 22);
	pull("qcow2", NULL, "-o cluster_size=2M", 23);
}

static void a_head_takes_in_what_is_before_a_base(void)
{
	if (!have_qemu())
		return;
	pull("raw", "l0", "", 24);
	pull("qcow2", "l1", "-o extended_l2=on,cluster_size=128k", 25);
}

static void commit(const char *format, const char *base, const char *top, const char *above,
		   guint32 seed)
{
	bool deep = !g_str_equal(above, "l3");
	struct story s;

	story_begin(&s, format, seed, "");
	job_start(&s, BLOCK_JOB_COMMIT, base, top, deep ? above : NULL);
	until_over(&s, &s.done);
	block_job_free(s.job);
	g_assert_cmpstr(backing_of(above), ==, test_path(base));
	must("rm -f %s", top);
	story_end(&s, "l3", "qcow2");
}

static void images_in_the_middle_go_into_their_base(void)
{
	if (!have_qemu())
		return;
	commit("raw", "l0", "l2", "l3", 31);
	commit("qcow2", "l0", "l1", "l2", 32);
	commit("qcow2", "l1", "l2", "l3", 33);
}

static void pivot(const char *format, const char *base, const char *base_format, guint32 seed)
{
	g_autoptr(GError) error = NULL;
	struct story s;

	story_begin(&s, format, seed, "");
	job_start(&s, BLOCK_JOB_COMMIT_HEAD, base, NULL, NULL);
	until_over(&s, &s.ready);
	crash(&s);
	block_drain(s.b);
	g_assert_true(block_job_converge(s.job, &error));
	g_assert_no_error(error);
	must("cp %s held", base);
	model_compare_qemu(s.m, "held", base_format);	/* a crash here may go either way */
	block_job_pivot(s.job);
	g_assert_cmpstr(block_path(s.b), ==, test_path(base));
	must("rm -f l3 %s", g_str_equal(base, "l0") ? "l2 l1" : "l2");
	model_run_deep(s.m, s.b, 200, 8);
	story_end(&s, base, base_format);
}

static void the_head_goes_into_its_base_which_is_the_head_then(void)
{
	if (!have_qemu())
		return;
	pivot("raw", "l0", "raw", 41);
	pivot("qcow2", "l0", "qcow2", 42);
	pivot("qcow2", "l1", "qcow2", 43);
}

static void an_aborted_job_has_not_been(void)
{
	struct story s;

	if (!have_qemu())
		return;
	for (unsigned i = 0; i < 3; i++) {
		story_begin(&s, "qcow2", 50 + i, "");
		job_start(&s, (enum block_job_kind)i, i ? "l0" : NULL, i == 1 ? "l2" : NULL, NULL);
		for (unsigned n = 0; n < 5; n++) {
			g_main_context_iteration(NULL, FALSE);
			model_run_deep(s.m, s.b, 3, 4);
		}
		block_job_free(s.job);
		g_assert_cmpstr(backing_of("l3"), ==, test_path("l2"));
		g_assert_cmpint(run("qemu-io -f qcow2 -c 'write 0 512' l0"), !=, 0);
		model_run_deep(s.m, s.b, 50, 8);
		story_end(&s, "l3", "qcow2");
	}
}

static void an_image_that_somebody_reads_is_no_base(void)
{
	struct block_job_opts o = { .kind = BLOCK_JOB_COMMIT_HEAD, .event = on_event,
				    .above_fd = -1 };
	g_autoptr(GError) error = NULL;
	struct block *other;
	struct story s;

	if (!have_qemu())
		return;
	story_begin(&s, "qcow2", 60, "");
	other = disk_open_opts("l1", "qcow2", (struct block_opts){ .read_only = true });
	o.base = test_path("l0");
	o.base_fd = fd_of("l0");
	g_assert_null(block_job_start(s.b, NULL, &o, &error));
	g_assert_nonnull(strstr(error->message, "is in use"));
	block_close(other);
	model_run_deep(s.m, s.b, 50, 8);
	story_end(&s, "l3", "qcow2");
}

static void a_disk_grows_while_it_is_used(void)
{
	g_autoptr(GError) error = NULL;
	struct story s;

	if (!have_qemu())
		return;
	story_begin(&s, "raw", 70, "");
	block_drain(s.b);
	g_assert_false(block_grow(s.b, DISK_BYTES / 2, &error));
	g_clear_error(&error);
	block_grow(s.b, 40u << 20, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(block_bytes(s.b), ==, 40u << 20);
	g_assert_cmpint(block_pwrite(s.b, (40u << 20) - 512, s.m->bytes, 512), ==, 0);
	model_run_deep(s.m, s.b, 50, 8);
	model_compare(s.m, s.b);
	block_close(s.b);
	check_clean("l3", false);
	model_free(s.m);
}

#define TEST(f) g_test_add_func("/block-job/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(a_head_takes_in_all_that_is_behind_it);
	TEST(a_head_takes_in_what_is_before_a_base);
	TEST(images_in_the_middle_go_into_their_base);
	TEST(the_head_goes_into_its_base_which_is_the_head_then);
	TEST(an_aborted_job_has_not_been);
	TEST(an_image_that_somebody_reads_is_no_base);
	TEST(a_disk_grows_while_it_is_used);
	int r = g_test_run();
	test_folder_remove();
	return r;
}
