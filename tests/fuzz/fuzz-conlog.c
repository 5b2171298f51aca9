/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A console journal that somebody has worked on: a real one, in which bytes are
 * changed and CRCs are made right again, is read, and gone on with.
 */
#include "config.h"
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/util/conlog-priv.h"

static const char *const devices[] = { "serial0", "console1" };

/* Two sealed segments and a live one. */
static GByteArray *journal_new(void)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);
	struct conlog_writer *w = conlog_writer_new(dup(fd), 0, NULL);
	GByteArray *bytes = g_byte_array_new();

	for (unsigned i = 0; i < 3; i++) {
		g_assert_true(conlog_boot(w, i, i, devices, 2, NULL));
		g_assert_true(conlog_add(w, i & 1, i, 0, "what it said", 12, NULL));
		g_assert_true(conlog_flush(w, NULL));
	}
	conlog_writer_free(w);
	g_byte_array_set_size(bytes, (guint)lseek(fd, 0, SEEK_END));
	g_assert_cmpint(pread(fd, bytes->data, bytes->len, 0), ==, bytes->len);
	close(fd);
	return bytes;
}

static struct conlog_segment *segment_nth(GByteArray *bytes, unsigned i)
{
	size_t at = i == 0 ? CONLOG_LIVE_OFFSET : CONLOG_RING_OFFSET + (i - 1) * 2 * CONLOG_ALIGN;

	return (void *)(bytes->data + at);
}

static void change(GByteArray *bytes, struct fuzz_input *in)
{
	struct conlog_segment *seg = segment_nth(bytes, (unsigned)fuzz_take(in, 1) % 3);
	size_t at = fuzz_take(in, 2) % (2 * CONLOG_ALIGN);
	uint8_t *records = (uint8_t *)seg + sizeof(*seg);
	struct conlog_record rec;

	((uint8_t *)seg)[at] = (uint8_t)fuzz_take(in, 1);
	memcpy(&rec, records, sizeof(rec));
	if (rec.len <= CONLOG_ALIGN - sizeof(rec)) {
		rec.crc = conlog_record_crc(seg, &rec, records + sizeof(rec));
		memcpy(records, &rec, sizeof(rec));
	}
	seg->crc = conlog_segment_crc(seg);
}

static void read_all(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(conlog) log = conlog_new(bytes, NULL);
	struct conlog_entry e;
	size_t sum = 0;

	while (log && conlog_next(log, &e)) {
		sum += strlen(e.device);
		for (size_t i = 0; i < e.len; i++)
			sum += e.data[i];
	}
	if (log)
		conlog_last_boot(log);
	g_assert_cmpuint(sum, <, G_MAXSIZE);
}

/* The worker's own reading, at its start. */
static void go_on(const uint8_t *data, size_t size)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);
	struct conlog_writer *w;

	g_assert_cmpint(pwrite(fd, data, size, 0), ==, size);
	w = conlog_writer_new(fd, 0, NULL);
	if (w)
		conlog_boot(w, CONLOG_STARTED, 0, devices, 2, NULL);
	conlog_writer_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	GByteArray *bytes;

	fuzz_quiet();
	read_all(data, size);
	bytes = journal_new();
	while (in.left > 0)
		change(bytes, &in);
	read_all(bytes->data, bytes->len);
	go_on(bytes->data, bytes->len);
	g_byte_array_unref(bytes);
	return 0;
}
