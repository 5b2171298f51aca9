/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Journals of consoles: what was written is read, whole records only, and never more than fits. */
#include "config.h"
#include "libvmm/util/conlog-priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static const char *const devices[] = { "serial0", "console1" };

struct fixture {
	int fd;				/* of the file, the test's own */
	struct conlog_writer *w;
	uint64_t pos;			/* of serial0 */
};

static void writer_open(struct fixture *f, uint64_t bytes)
{
	g_autoptr(GError) error = NULL;

	conlog_writer_free(f->w);
	f->w = conlog_writer_new(dup(f->fd), bytes, &error);
	g_assert_no_error(error);
	f->pos = 0;
}

static void fixture_open(struct fixture *f, const void *arg)
{
	f->fd = memfd_create("journal", MFD_CLOEXEC);
	writer_open(f, CONLOG_BYTES_MIN);
}

static void fixture_close(struct fixture *f, const void *arg)
{
	conlog_writer_free(f->w);
	close(f->fd);
}

static void boot(struct fixture *f, enum conlog_cause cause)
{
	g_assert_true(conlog_boot(f->w, cause, 1000, devices, ARRAY_SIZE(devices), NULL));
}

static void add(struct fixture *f, const char *text)
{
	g_assert_true(conlog_add(f->w, 0, 2000, f->pos, text, strlen(text), NULL));
	f->pos += strlen(text);
}

static void say(struct fixture *f, const char *text)
{
	add(f, text);
	g_assert_true(conlog_flush(f->w, NULL));
}

static GBytes *file_copy(struct fixture *f)
{
	struct stat st;
	void *data;

	g_assert_cmpint(fstat(f->fd, &st), ==, 0);
	data = g_malloc((size_t)st.st_size);
	g_assert_cmpint(pread(f->fd, data, (size_t)st.st_size, 0), ==, st.st_size);
	return g_bytes_new_take(data, (size_t)st.st_size);
}

/* All that is in it: "[boot CAUSE]", "[MISSED]" and the text. */
static char *told(GBytes *bytes)
{
	g_autoptr(conlog) log = conlog_new(bytes, NULL);
	GString *s = g_string_new(NULL);
	struct conlog_entry e;

	g_assert_nonnull(log);
	while (conlog_next(log, &e)) {
		if (!e.device[0])
			g_string_append_printf(s, "[%d]", e.cause);
		if (e.missed)
			g_string_append_printf(s, "[-%u]", (unsigned)e.missed);
		g_string_append_len(s, (const char *)e.data, (gssize)e.len);
	}
	return g_string_free(s, FALSE);
}

static char *read_all(struct fixture *f)
{
	g_autoptr(GBytes) bytes = file_copy(f);

	return told(bytes);
}

#define assert_told(f, expected) do { \
	g_autofree char *text_ = read_all(f); \
	g_assert_cmpstr(text_, ==, expected); \
} while (0)

/* Lines that tell which one they are. */
static void flood(struct fixture *f, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		g_autofree char *line =
			g_strdup_printf("line %u of what does not pack well: %08x\n", i,
					i * 2654435761u);
		add(f, line);
	}
	g_assert_true(conlog_flush(f->w, NULL));
}

static void what_was_said_is_read_in_its_boot(struct fixture *f, const void *arg)
{
	boot(f, CONLOG_STARTED);
	say(f, "one ");
	say(f, "two ");
	boot(f, CONLOG_REBOOTED);
	say(f, "three");
	assert_told(f, "[0]one two [2]three");
}

static void an_entry_says_when_where_and_which(struct fixture *f, const void *arg)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(conlog) log = NULL;
	struct conlog_entry e;

	boot(f, CONLOG_RESTORED);
	g_assert_true(conlog_add(f->w, 1, 42, 7, "x", 1, NULL));
	g_assert_true(conlog_flush(f->w, NULL));
	bytes = file_copy(f);
	log = conlog_new(bytes, NULL);
	g_assert_cmpuint(conlog_last_boot(log), ==, 1);
	g_assert_true(conlog_next(log, &e) && conlog_next(log, &e));
	g_assert_cmpstr(e.device, ==, "console1");
	g_assert_cmpuint(e.device_number, ==, 1);
	g_assert_cmpint(e.time_us, ==, 42);
	g_assert_cmpint(e.boot_us, ==, 1000);
	g_assert_cmpuint(e.pos, ==, 7);
	g_assert_cmpuint(e.missed, ==, 7);
	g_assert_cmpuint(e.run, ==, conlog_writer_run(f->w));
	g_assert_false(conlog_next(log, &e));
}

static void an_empty_copy_is_an_empty_journal(struct fixture *f, const void *arg)
{
	g_autoptr(GBytes) nothing = g_bytes_new_static("", 0);
	g_autofree char *text = told(nothing);

	g_assert_cmpstr(text, ==, "");
}

static void what_is_no_journal_is_refused(struct fixture *f, const void *arg)
{
	g_autoptr(GBytes) text = g_bytes_new_static("just some text that somebody put here", 37);
	g_autoptr(GError) error = NULL;

	g_assert_null(conlog_new(text, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
}

/* A writer that was killed at any byte leaves whole records, and the next goes on behind them. */
static void a_torn_tail_is_cut_at_its_last_whole_record(struct fixture *f, const void *arg)
{
	const size_t first = CONLOG_LIVE_OFFSET + CONLOG_ALIGN;
	const size_t record = sizeof(struct conlog_record) + 4;

	boot(f, CONLOG_STARTED);
	say(f, "aaaa");
	say(f, "bbbb");
	for (size_t cut = 0; cut <= 2 * record; cut++) {
		g_autoptr(GBytes) whole = file_copy(f);
		g_autoptr(GBytes) torn = g_bytes_new_from_bytes(whole, 0, first + cut);
		g_autofree char *text = told(torn);
		g_autofree char *expected = g_strdup_printf("[0]%.*s",
							    (int)(cut / record * 4), "aaaabbbb");

		g_assert_cmpstr(text, ==, expected);
	}
}

static void a_bit_that_flipped_ends_its_segment(struct fixture *f, const void *arg)
{
	char bit;

	boot(f, CONLOG_STARTED);
	say(f, "aaaa");
	say(f, "bbbb");
	g_assert_cmpint(pread(f->fd, &bit, 1, CONLOG_LIVE_OFFSET + CONLOG_ALIGN + 55), ==, 1);
	bit ^= 4;
	g_assert_cmpint(pwrite(f->fd, &bit, 1, CONLOG_LIVE_OFFSET + CONLOG_ALIGN + 55), ==, 1);
	assert_told(f, "[0]aaaa");
}

static void the_next_writer_goes_on(struct fixture *f, const void *arg)
{
	boot(f, CONLOG_STARTED);
	say(f, "one ");
	writer_open(f, CONLOG_BYTES_MIN);
	boot(f, CONLOG_STARTED);
	say(f, "two ");
	writer_open(f, CONLOG_BYTES_MIN);
	assert_told(f, "[0]one [0]two ");
	boot(f, CONLOG_RESTORED);
	say(f, "three");
	assert_told(f, "[0]one [0]two [1]three");
}

/* It is in both places when its writer dies between the copy and the new beginning. */
static void a_writer_killed_while_it_seals_leaves_no_byte_twice(struct fixture *f, const void *arg)
{
	const size_t bytes = CONLOG_LIVE_BYTES;
	g_autofree char *live = g_malloc(bytes);

	boot(f, CONLOG_STARTED);
	say(f, "once");
	g_assert_cmpint(pread(f->fd, live, bytes, CONLOG_LIVE_OFFSET), ==, bytes);
	boot(f, CONLOG_REBOOTED);
	g_assert_cmpint(pwrite(f->fd, live, bytes, CONLOG_LIVE_OFFSET), ==, bytes);
	assert_told(f, "[0]once");
	writer_open(f, CONLOG_BYTES_MIN);
	boot(f, CONLOG_STARTED);
	say(f, " more");
	assert_told(f, "[0]once[0] more");
}

static void what_is_left_of_an_older_segment_is_none_of_the_new_one(struct fixture *f,
								    const void *arg)
{
	boot(f, CONLOG_STARTED);
	say(f, "aaaa");
	say(f, "bbbb");
	boot(f, CONLOG_REBOOTED);
	say(f, "cccc");		/* behind it the bytes of "bbbb" still lie */
	assert_told(f, "[0]aaaabbbb[2]cccc");
}

static unsigned first_line(const char *text)
{
	const char *at = strstr(text, "line ");
	unsigned n = 0;

	g_assert_true(at && sscanf(at, "line %u", &n) == 1);
	return n;
}

/* From the first line that is there to the last all are, once, and the file is in its bound. */
static void assert_ends_with_lines(struct fixture *f, unsigned to, uint64_t bound)
{
	g_autofree char *text = read_all(f);
	const char *at = strstr(text, "line ");
	struct stat st;
	unsigned n, from = first_line(text);

	g_assert_cmpint(fstat(f->fd, &st), ==, 0);
	g_assert_cmpuint((uint64_t)st.st_size, <=, bound);
	for (unsigned i = from; i < to; i++) {
		at = at ? strstr(at, "line ") : NULL;
		g_assert_true(at && sscanf(at, "line %u", &n) == 1);
		g_assert_cmpuint(n, ==, i);
		at++;
	}
	g_assert_null(strstr(at, "line "));
	g_assert_cmpuint(to - from, >, 10000);	/* most of the bound is used */
}

static void a_flood_stays_in_the_bound_and_keeps_the_youngest(struct fixture *f, const void *arg)
{
	boot(f, CONLOG_STARTED);
	for (unsigned i = 1; i <= 12; i++) {
		flood(f, (i - 1) * 20000, i * 20000);
		if (i > 2)
			assert_ends_with_lines(f, i * 20000, CONLOG_BYTES_MIN);
	}
}

static void a_journal_that_is_full_goes_on_with_the_next_writer(struct fixture *f,
								const void *arg)
{
	boot(f, CONLOG_STARTED);
	flood(f, 0, 100000);
	writer_open(f, CONLOG_BYTES_MIN);
	boot(f, CONLOG_STARTED);
	flood(f, 100000, 110000);
	assert_ends_with_lines(f, 110000, CONLOG_BYTES_MIN);
}

static void another_bound_holds_from_the_next_writer_on(struct fixture *f, const void *arg)
{
	struct stat st;

	writer_open(f, 4 * CONLOG_BYTES_MIN);
	boot(f, CONLOG_STARTED);
	flood(f, 0, 300000);
	g_assert_cmpint(fstat(f->fd, &st), ==, 0);
	g_assert_cmpuint((uint64_t)st.st_size, >, 3 * CONLOG_BYTES_MIN);
	writer_open(f, CONLOG_BYTES_MIN);
	boot(f, CONLOG_STARTED);
	flood(f, 300000, 360000);
	g_assert_cmpint(fstat(f->fd, &st), ==, 0);
	g_assert_cmpuint((uint64_t)st.st_size, <=, CONLOG_BYTES_MIN);
}

static void a_gap_is_marked_with_what_is_missing(struct fixture *f, const void *arg)
{
	boot(f, CONLOG_STARTED);
	say(f, "before");
	f->pos += 1234;
	say(f, "after");
	g_assert_true(conlog_add(f->w, 0, 0, f->pos + 5, NULL, 0, NULL));
	g_assert_true(conlog_flush(f->w, NULL));
	assert_told(f, "[0]before[-1234]after[-5]");
}

/* The first part was copied before a segment was sealed, the rest after it. */
static void a_copy_made_meanwhile_is_of_one_moment(struct fixture *f, const void *arg)
{
	g_autoptr(GBytes) before = NULL, after = NULL, both = NULL;
	g_autoptr(GByteArray) mixed = g_byte_array_new();
	g_autofree char *text = NULL;
	size_t size;
	const uint8_t *data;

	boot(f, CONLOG_STARTED);
	say(f, "one ");
	before = file_copy(f);
	boot(f, CONLOG_REBOOTED);
	say(f, "two ");
	boot(f, CONLOG_REBOOTED);
	after = file_copy(f);
	g_byte_array_append(mixed, g_bytes_get_data(before, NULL), CONLOG_FIRST_BYTES);
	data = g_bytes_get_data(after, &size);
	g_byte_array_append(mixed, data + CONLOG_FIRST_BYTES, (guint)(size - CONLOG_FIRST_BYTES));
	both = g_byte_array_free_to_bytes(g_steal_pointer(&mixed));
	text = told(both);
	g_assert_cmpstr(text, ==, "[0]one ");
}

static void a_guest_cannot_write_a_segment(struct fixture *f, const void *arg)
{
	struct conlog_segment fake = {
		.magic = CONLOG_SEGMENT_MAGIC, .number = 1000, .boot = 1000,
	};
	char page[2 * CONLOG_ALIGN] = "";

	fake.crc = conlog_segment_crc(&fake);
	memcpy(page, &fake, sizeof(fake));
	memcpy(page + CONLOG_ALIGN, &fake, sizeof(fake));
	boot(f, CONLOG_STARTED);
	for (unsigned i = 0; i < 64; i++)
		g_assert_true(conlog_add(f->w, 0, 0, i * sizeof(page), page, sizeof(page), NULL));
	g_assert_true(conlog_flush(f->w, NULL));
	boot(f, CONLOG_REBOOTED);
	g_autoptr(GBytes) bytes = file_copy(f);
	g_autoptr(conlog) log = conlog_new(bytes, NULL);

	g_assert_cmpuint(conlog_last_boot(log), ==, 2);
}

static void a_full_disk_is_an_error(struct fixture *f, const void *arg)
{
	g_autoptr(GError) error = NULL;

	boot(f, CONLOG_STARTED);
	conlog_writer_free(f->w);
	f->w = conlog_writer_new(open("/dev/full", O_RDWR | O_CLOEXEC), 0, &error);
	g_assert_null(f->w);
	g_assert_error(error, VMM_ERROR, VMM_ERR_SYSTEM);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define STORY(name) \
	g_test_add("/conlog/" #name, struct fixture, NULL, fixture_open, name, fixture_close)
	STORY(what_was_said_is_read_in_its_boot);
	STORY(an_entry_says_when_where_and_which);
	STORY(an_empty_copy_is_an_empty_journal);
	STORY(what_is_no_journal_is_refused);
	STORY(a_torn_tail_is_cut_at_its_last_whole_record);
	STORY(a_bit_that_flipped_ends_its_segment);
	STORY(the_next_writer_goes_on);
	STORY(a_writer_killed_while_it_seals_leaves_no_byte_twice);
	STORY(what_is_left_of_an_older_segment_is_none_of_the_new_one);
	STORY(a_flood_stays_in_the_bound_and_keeps_the_youngest);
	STORY(a_journal_that_is_full_goes_on_with_the_next_writer);
	STORY(another_bound_holds_from_the_next_writer_on);
	STORY(a_gap_is_marked_with_what_is_missing);
	STORY(a_copy_made_meanwhile_is_of_one_moment);
	STORY(a_guest_cannot_write_a_segment);
	STORY(a_full_disk_is_an_error);
	return g_test_run();
}
