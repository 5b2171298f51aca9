/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From devices to the journal: nothing is lost while it keeps up, nobody waits when not. */
#include "config.h"
#include "libvmm/device/recorder.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "libvmm/device/hub.h"
#include "libvmm/util/cleanup.h"

#define PATIENCE_US (60 * G_USEC_PER_SEC)

struct fixture {
	int fd;
	struct recorder *r;
};

static void fixture_open(struct fixture *f, const void *arg)
{
	f->fd = memfd_create("journal", MFD_CLOEXEC);
	f->r = recorder_new(dup(f->fd), 64 << 20, NULL);
	g_assert_nonnull(f->r);
}

static void fixture_close(struct fixture *f, const void *arg)
{
	recorder_free(f->r);
	close(f->fd);
}

/* What the journal has of a device, and how much it says is missing. */
static GString *told(struct fixture *f, const char *device, uint64_t *ret_missed)
{
	GString *text = g_string_new(NULL);
	struct conlog_entry e;
	struct stat st;
	void *data;

	g_assert_cmpint(fstat(f->fd, &st), ==, 0);
	data = g_malloc((size_t)st.st_size);
	g_assert_cmpint(pread(f->fd, data, (size_t)st.st_size, 0), ==, st.st_size);
	g_autoptr(GBytes) bytes = g_bytes_new_take(data, (size_t)st.st_size);
	g_autoptr(conlog) log = conlog_new(bytes, NULL);

	*ret_missed = 0;
	while (conlog_next(log, &e)) {
		if (!g_str_equal(e.device, device))
			continue;
		*ret_missed += e.missed;
		g_string_append_len(text, (const char *)e.data, (gssize)e.len);
	}
	return text;
}

static void what_two_devices_put_is_kept_apart(struct fixture *f, const void *arg)
{
	unsigned a = recorder_add(f->r, "serial0"), b = recorder_add(f->r, "console1");
	uint64_t missed;
	GString *text;

	recorder_boot(f->r, CONLOG_STARTED);
	for (unsigned i = 0; i < 1000; i++) {
		recorder_put(f->r, a, i, (const uint8_t *)"a", 1);
		recorder_put(f->r, b, 2 * i, (const uint8_t *)"bb", 2);
	}
	g_clear_pointer(&f->r, recorder_free);
	text = told(f, "serial0", &missed);
	g_assert_cmpuint(text->len, ==, 1000);
	g_assert_cmpuint(strspn(text->str, "a"), ==, 1000);
	g_string_free(text, TRUE);
	text = told(f, "console1", &missed);
	g_assert_cmpuint(text->len, ==, 2000);
	g_assert_cmpuint(missed, ==, 0);
	g_string_free(text, TRUE);
}

static void the_first_byte_is_in_the_file_soon(struct fixture *f, const void *arg)
{
	unsigned a = recorder_add(f->r, "serial0");
	int64_t until = g_get_monotonic_time() + PATIENCE_US;
	size_t len = 0;
	uint64_t missed;

	recorder_boot(f->r, CONLOG_STARTED);
	recorder_put(f->r, a, 0, (const uint8_t *)"x", 1);
	while (len == 0 && g_get_monotonic_time() < until) {
		GString *text = told(f, "serial0", &missed);

		len = text->len;
		g_string_free(text, TRUE);
		g_usleep(1000);
	}
	g_assert_cmpuint(len, ==, 1);
}

/* Faster than any packer: bytes are dropped, and what is there and what is missing is all. */
static void a_flood_drops_and_says_how_much(struct fixture *f, const void *arg)
{
	static uint8_t noise[64 << 10];
	struct hub *hub = hub_new("serial0", NULL);
	const unsigned n = 4000;
	uint64_t missed;
	GString *text;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)g_random_int();
	hub_record(hub, f->r);
	recorder_boot(f->r, CONLOG_STARTED);
	for (unsigned i = 0; i < n; i++)
		hub_put(hub, noise, sizeof(noise));
	hub_free(hub);
	g_clear_pointer(&f->r, recorder_free);
	text = told(f, "serial0", &missed);
	/* the ring has lost the oldest: that is missing, too */
	g_assert_cmpuint(text->len + missed, ==, (uint64_t)n * sizeof(noise));
	g_assert_cmpuint(text->len, >, sizeof(noise));
	g_string_free(text, TRUE);
}

static int warnings;

static GLogWriterOutput count(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer arg)
{
	warnings += level & G_LOG_LEVEL_WARNING ? 1 : 0;
	return G_LOG_WRITER_HANDLED;
}

/* The file may not grow: as on a full disk. */
static void a_full_disk_is_said_once(void)
{
	static const uint8_t bytes[64 << 10] = "some";
	int fd = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct recorder *r = recorder_new(dup(fd), 0, NULL);
	unsigned a = recorder_add(r, "serial0");

	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), ==, 0);
	g_log_set_writer_func(count, NULL, NULL);
	recorder_boot(r, CONLOG_STARTED);
	for (unsigned i = 0; i < 100; i++)
		recorder_put(r, a, i * sizeof(bytes), bytes, sizeof(bytes));
	recorder_free(r);
	close(fd);
	g_assert_cmpint(warnings, ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL);
#define STORY(name) \
	g_test_add("/recorder/" #name, struct fixture, NULL, fixture_open, name, fixture_close)
	STORY(what_two_devices_put_is_kept_apart);
	STORY(the_first_byte_is_in_the_file_soon);
	STORY(a_flood_drops_and_says_how_much);
	g_test_add_func("/recorder/a_full_disk_is_said_once", a_full_disk_is_said_once);
	return g_test_run();
}
