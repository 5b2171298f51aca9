/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the block tests share. */
#include "config.h"
#include "block-util.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"

const char *test_folder(void)
{
	static char *folder;

	if (!folder) {
		g_autoptr(GError) error = NULL;

		folder = g_dir_make_tmp("vmm-block-XXXXXX", &error);
		g_assert_no_error(error);
	}
	return folder;
}

void test_folder_remove(void)
{
	run("chmod -R u+w . && rm -rf '%s'", test_folder());
}

const char *test_path(const char *name)
{
	static char buf[8][512];
	static unsigned next;
	char *to = buf[next++ % 8];

	g_snprintf(to, sizeof(buf[0]), "%s/%s", test_folder(), name);
	return name[0] == '/' ? name : to;
}

bool have_qemu(void)
{
	g_autofree char *img = g_find_program_in_path("qemu-img"),
			*io = g_find_program_in_path("qemu-io");

	if (!img || !io)
		g_test_skip("qemu-img is not installed (package qemu-utils)");
	return img && io;
}

static int run_va(const char *format, va_list ap)
{
	g_autofree char *command = g_strdup_vprintf(format, ap);
	g_autofree char *line =
		g_strdup_printf("cd '%s' && exec 2>&1 && %s", test_folder(), command);
	g_autofree char *out = NULL, *err = NULL;
	const char *argv[] = { "/bin/sh", "-c", line, NULL };
	g_autoptr(GError) error = NULL;
	int status;

	g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status,
		     &error);
	g_assert_no_error(error);
	/* 3: only leaks */
	if (!WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != 3))
		g_test_message("%s: status %d: %s", command, status, out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int run(const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = run_va(format, ap);
	va_end(ap);
	return r;
}

void must(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_assert_cmpint(run_va(format, ap), ==, 0);
	va_end(ap);
}

void check_clean(const char *name, bool leaks_ok)
{
	int r = run("qemu-img check -f qcow2 %s", name);

	g_assert_true(r == 0 || (leaks_ok && r == 3));
}

struct block *disk_open_opts(const char *name, const char *format, struct block_opts opts)
{
	g_autoptr(GError) error = NULL;
	struct block *b;

	opts.path = test_path(name);
	opts.format = format;
	b = block_open(&opts, &error);
	g_assert_no_error(error);
	return b;
}

struct block *disk_open(const char *name, const char *format)
{
	return disk_open_opts(name, format, (struct block_opts){ .discard = true });
}

void disk_refused(const char *name, const char *format, bool read_only, const char *says)
{
	struct block_opts opts = { .path = test_path(name),
				   .format = format,
				   .read_only = read_only };
	g_autoptr(GError) error = NULL;
	g_autoptr(block) b = block_open(&opts, &error);

	g_assert_null(b);
	g_assert_nonnull(error);
	if (!strstr(error->message, says))
		g_error("'%s' does not say '%s'", error->message, says);
}

void poke(const char *name, uint64_t off, const void *bytes, size_t n)
{
	auto_close int fd = open(test_path(name), O_WRONLY | O_CLOEXEC);

	g_assert_cmpint(pwrite(fd, bytes, n, off), ==, n);
}

void poke_be32(const char *name, uint64_t off, uint32_t v)
{
	v = GUINT32_TO_BE(v);
	poke(name, off, &v, 4);
}

void poke_be64(const char *name, uint64_t off, uint64_t v)
{
	v = GUINT64_TO_BE(v);
	poke(name, off, &v, 8);
}

uint64_t peek_be64(const char *name, uint64_t off)
{
	auto_close int fd = open(test_path(name), O_RDONLY | O_CLOEXEC);
	uint64_t v;

	g_assert_cmpint(pread(fd, &v, 8, off), ==, 8);
	return GUINT64_FROM_BE(v);
}

/* ---- model ---- */

struct model *model_new(uint64_t size, guint32 seed)
{
	struct model *m = g_new0(struct model, 1);

	m->bytes = g_malloc0(size);
	m->size = size;
	m->rand = g_rand_new_with_seed(seed);
	m->max_bytes = 192 * 1024;
	m->align = 512;
	return m;
}

void model_free(struct model *m)
{
	g_free(m->bytes);
	g_rand_free(m->rand);
	g_free(m);
}

void model_load(struct model *m, struct block *b)
{
	g_assert_cmpint(block_pread(b, 0, m->bytes, m->size), ==, 0);
}

struct op {
	enum block_op op;
	unsigned flags;
	uint64_t off, bytes;
};

static struct op op_random(struct model *m)
{
	static const enum block_op mix[] = {
		BLOCK_READ,  BLOCK_READ,  BLOCK_READ,	 BLOCK_WRITE,	     BLOCK_WRITE,
		BLOCK_WRITE, BLOCK_WRITE, BLOCK_DISCARD, BLOCK_WRITE_ZEROES,
	};
	struct op o = { .op = mix[g_rand_int_range(m->rand, 0, ARRAY_SIZE(mix))] };
	uint32_t max = g_rand_boolean(m->rand) ? m->max_bytes : MIN(m->max_bytes, 16 * m->align);

	if (g_rand_int_range(m->rand, 0, 60) == 0)
		o.op = BLOCK_FLUSH;
	o.off = (uint64_t)(g_rand_double(m->rand) * m->size) / m->align * m->align;
	o.bytes = (uint64_t)g_rand_int_range(m->rand, 0, max / m->align + 1) * m->align;
	/* Half of them where others were: overlaps are what is interesting. */
	if (g_rand_boolean(m->rand))
		o.off = MIN(o.off / 8 / m->align * m->align, m->size - m->align);
	o.bytes = MIN(o.bytes, m->size - o.off);
	o.flags = g_rand_boolean(m->rand) ? BLOCK_REQ_UNMAP : 0;
	return o;
}

static void fill_random(struct model *m, uint8_t *buf, uint64_t n)
{
	uint32_t v = g_rand_int(m->rand) | 1;

	for (uint64_t i = 0; i < n; i++)
		buf[i] = (v = v * 1664525 + 1013904223) >> 24;
}

/* A discard of part of a cluster may leave what was there; the array follows the disk. */
static void discard_done(struct model *m, struct block *b, const struct op *o)
{
	g_autofree uint8_t *buf = g_malloc(MAX(o->bytes, 1));

	g_assert_cmpint(block_pread(b, o->off, buf, o->bytes), ==, 0);
	for (uint64_t i = 0; i < o->bytes; i++)
		g_assert_true(buf[i] == 0 || buf[i] == m->bytes[o->off + i]);
	memcpy(m->bytes + o->off, buf, o->bytes);
}

static void model_step(struct model *m, struct block *b, uint8_t *buf)
{
	struct op o = op_random(m);

	switch (o.op) {
	case BLOCK_READ:
		g_assert_cmpint(block_pread(b, o.off, buf, o.bytes), ==, 0);
		g_assert_true(memcmp(buf, m->bytes + o.off, o.bytes) == 0);
		break;
	case BLOCK_WRITE:
		fill_random(m, buf, o.bytes);
		memcpy(m->bytes + o.off, buf, o.bytes);
		g_assert_cmpint(block_pwrite(b, o.off, buf, o.bytes), ==, 0);
		break;
	case BLOCK_WRITE_ZEROES:
		memset(m->bytes + o.off, 0, o.bytes);
		g_assert_cmpint(block_pwrite_zeroes(b, o.off, o.bytes, o.flags), ==, 0);
		break;
	case BLOCK_DISCARD:
		g_assert_cmpint(block_pdiscard(b, o.off, o.bytes), ==, 0);
		discard_done(m, b, &o);
		break;
	case BLOCK_FLUSH:
		g_assert_cmpint(block_flush(b), ==, 0);
		break;
	}
}

void model_run(struct model *m, struct block *b, unsigned n)
{
	g_autofree uint8_t *buf = g_malloc(m->max_bytes);

	while (n-- > 0)
		model_step(m, b, buf);
}

/* ---- many at once; overlapping ones run in the order of submission ---- */

struct deep {
	struct block_req req;
	struct iovec iov[3];
	uint8_t *buf, *expect;
	bool busy;
};

static void deep_done(struct block_req *req, int result)
{
	struct deep *d = container_of(req, struct deep, req);

	g_assert_cmpint(result, ==, 0);
	if (req->op == BLOCK_READ)
		g_assert_true(memcmp(d->buf, d->expect, req->bytes) == 0);
	d->busy = false;
}

static void deep_submit(struct model *m, struct block *b, struct deep *d)
{
	struct op o = op_random(m);
	uint64_t cut = o.bytes / 3;

	if (o.op == BLOCK_DISCARD)	/* its result may not be predicted */
		o.op = BLOCK_WRITE_ZEROES;
	if (o.op == BLOCK_WRITE) {
		fill_random(m, d->buf, o.bytes);
		memcpy(m->bytes + o.off, d->buf, o.bytes);
	} else if (o.op == BLOCK_WRITE_ZEROES) {
		memset(m->bytes + o.off, 0, o.bytes);
	} else if (o.op == BLOCK_READ) {
		memcpy(d->expect, m->bytes + o.off, o.bytes);
	}
	d->iov[0] = (struct iovec){ d->buf, cut };
	d->iov[1] = (struct iovec){ d->buf + cut, 0 };
	d->iov[2] = (struct iovec){ d->buf + cut, o.bytes - cut };
	d->req = (struct block_req){
		.op = o.op, .flags = o.flags, .offset = o.off, .bytes = o.bytes,
		.iov = d->iov, .n_iov = 3, .done = deep_done,
	};
	d->busy = true;
	block_submit(b, &d->req);
}

void model_run_deep(struct model *m, struct block *b, unsigned n, unsigned depth)
{
	struct deep *d = g_new0(struct deep, depth);

	for (unsigned i = 0; i < depth; i++) {
		d[i].buf = g_malloc(m->max_bytes);
		d[i].expect = g_malloc(m->max_bytes);
	}
	for (unsigned i = 0; n > 0; i = (i + 1) % depth) {
		if (!d[i].busy) {
			deep_submit(m, b, &d[i]);
			n--;
		}
		if (i == depth - 1) {
			block_kick(b);
			if (g_rand_int_range(m->rand, 0, 4) == 0)
				block_drain(b);
		}
	}
	block_drain(b);
	for (unsigned i = 0; i < depth; i++) {
		g_assert_false(d[i].busy);
		g_free(d[i].buf);
		g_free(d[i].expect);
	}
	g_free(d);
}

void model_compare(struct model *m, struct block *b)
{
	g_autofree uint8_t *buf = g_malloc(m->size);

	g_assert_cmpint(block_pread(b, 0, buf, m->size), ==, 0);
	g_assert_true(memcmp(buf, m->bytes, m->size) == 0);
}

void model_compare_qemu(struct model *m, const char *name, const char *format)
{
	g_autoptr(GError) error = NULL;

	g_file_set_contents(test_path("model.raw"), (char *)m->bytes, m->size, &error);
	g_assert_no_error(error);
	must("qemu-img compare -f raw -F %s model.raw %s", format, name);
}
