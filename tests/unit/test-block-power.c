/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Power loss and SIGKILL at any moment: at worst leaks, and what was flushed is there.
 *
 * The tap logs every change of the image file.  A power loss is then played on
 * a copy: all that a sync came after is there, of the rest each sector is there
 * or not, as the dice say.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block-util.h"

#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/cleanup.h"

#define DISK (2u << 20)
#define SECTOR 512u

/* ---- the log ---- */

struct change {
	enum block_tap_op op;
	uint64_t off, bytes;
	uint8_t *data;		/* WRITE */
};

/* What the guest did, when, and what it did it with. */
struct guest_op {
	guint at;		/* changes logged before */
	bool flush;
	uint64_t off, bytes;
	uint8_t *data;		/* NULL: zeroes */
	uint8_t *snapshot;	/* flush: the whole disk as it then was */
};

struct story {
	GArray *changes, *guest;
	GRand *rand;
	uint8_t model[DISK];
	uint8_t first[DISK];	/* before anything was written */
};

static int on_change(void *opaque, enum block_tap_op op, uint64_t off, const struct iovec *iov,
		     unsigned n_iov, uint64_t bytes)
{
	struct story *s = opaque;
	struct change c = { .op = op, .off = off, .bytes = bytes };
	uint64_t pos = 0;

	if (op == BLOCK_TAP_WRITE)
		c.data = g_malloc(bytes);
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(c.data + pos, iov[i].iov_base, iov[i].iov_len);
		pos += iov[i].iov_len;
	}
	g_array_append_val(s->changes, c);
	return 0;
}

static void guest_write(struct story *s, struct block *b)
{
	uint64_t bytes = g_rand_int_range(s->rand, 1, g_rand_boolean(s->rand) ? 9 : 200) * SECTOR;
	struct guest_op g = { .at = s->changes->len, .bytes = bytes };
	int kind = g_rand_int_range(s->rand, 0, 10);

	g.off = (uint64_t)g_rand_int_range(s->rand, 0, (DISK - bytes) / SECTOR + 1) * SECTOR;
	if (kind > 2) {
		g.data = g_malloc(bytes);
		for (uint64_t i = 0; i < bytes; i++)
			g.data[i] = i % SECTOR < 4 ? g_rand_int(s->rand) : i;
		memcpy(s->model + g.off, g.data, bytes);
	} else {
		memset(s->model + g.off, 0, bytes);
	}
	g_array_append_val(s->guest, g);
	g_assert_cmpint(kind > 2 ? block_pwrite(b, g.off, g.data, bytes) :
				   block_pwrite_zeroes(b, g.off, bytes, kind ? BLOCK_REQ_UNMAP : 0),
			==, 0);
}

static void guest_flush(struct story *s, struct block *b)
{
	struct guest_op g = { .flush = true };

	g_assert_cmpint(block_flush(b), ==, 0);
	g.at = s->changes->len;
	g.snapshot = g_memdup2(s->model, DISK);
	g_array_append_val(s->guest, g);
}

static struct story *story_tell(const char *name, unsigned n, guint32 seed)
{
	struct story *s = g_new0(struct story, 1);
	struct block_tap tap = { .op = on_change, .opaque = s };
	struct block *b;

	s->changes = g_array_new(FALSE, FALSE, sizeof(struct change));
	s->guest = g_array_new(FALSE, FALSE, sizeof(struct guest_op));
	s->rand = g_rand_new_with_seed(seed);
	b = disk_open_opts(name, "qcow2", (struct block_opts){ .read_only = true });
	g_assert_cmpint(block_pread(b, 0, s->first, DISK), ==, 0);
	memcpy(s->model, s->first, DISK);
	block_close(b);
	b = disk_open_opts(name, "qcow2", (struct block_opts){ .tap = &tap, .discard = true });
	for (unsigned i = 0; i < n; i++) {
		guest_write(s, b);
		if (g_rand_int_range(s->rand, 0, 6) == 0)
			guest_flush(s, b);
	}
	block_close(b);
	return s;
}

static void story_free(struct story *s)
{
	for (guint i = 0; i < s->changes->len; i++)
		g_free(g_array_index(s->changes, struct change, i).data);
	for (guint i = 0; i < s->guest->len; i++) {
		g_free(g_array_index(s->guest, struct guest_op, i).data);
		g_free(g_array_index(s->guest, struct guest_op, i).snapshot);
	}
	g_array_unref(s->changes);
	g_array_unref(s->guest);
	g_rand_free(s->rand);
	g_free(s);
}

/* ---- the power loss ---- */

/* The image file, in memory: a sector more or less is no system call. */
struct copy {
	uint8_t *data;
	uint64_t end;
};

static struct copy copy_read(const char *name)
{
	g_autoptr(GError) error = NULL;
	struct copy f;
	gsize n;

	g_file_get_contents(test_path(name), (char **)&f.data, &n, &error);
	g_assert_no_error(error);
	f.end = n;
	return f;
}

static void copy_resize(struct copy *f, uint64_t end)
{
	f->data = g_realloc(f->data, MAX(end, 1));
	if (end > f->end)
		memset(f->data + f->end, 0, end - f->end);
	f->end = end;
}

static void play_part(struct copy *f, const struct change *c, uint64_t from, uint64_t n)
{
	if (c->off + from + n > f->end)
		copy_resize(f, c->off + from + n);
	if (c->op == BLOCK_TAP_WRITE)
		memcpy(f->data + c->off + from, c->data + from, n);
	else
		memset(f->data + c->off + from, 0, n);
}

/* Sector by sector, each with the given chance (of 256). */
static void play(struct story *s, struct copy *f, const struct change *c, unsigned chance)
{
	if (c->op == BLOCK_TAP_TRUNCATE && g_rand_int_range(s->rand, 0, 256) < (int)chance)
		copy_resize(f, c->bytes);
	if (c->op != BLOCK_TAP_WRITE && c->op != BLOCK_TAP_ZERO)
		return;
	for (uint64_t at = 0; at < c->bytes;) {
		uint64_t n = MIN(SECTOR - (c->off + at) % SECTOR, c->bytes - at);

		if (g_rand_int_range(s->rand, 0, 256) < (int)chance)
			play_part(f, c, at, n);
		at += n;
	}
}

/*
 * The image `before`, as a power loss after `cut` changes may leave it, under
 * the name `to`: what came after the last sync is there as it came, or in part
 * and in any order.
 */
static void lose_power(struct story *s, const char *before, const char *to, guint cut,
		       bool in_order)
{
	static const unsigned chances[] = { 0, 20, 128, 236, 256 };
	unsigned chance =
		in_order ? 256 : chances[g_rand_int_range(s->rand, 0, ARRAY_SIZE(chances))];
	g_autoptr(GError) error = NULL;
	struct copy f = copy_read(before);
	guint durable = cut;

	while (durable > 0 &&
	       g_array_index(s->changes, struct change, durable - 1).op != BLOCK_TAP_SYNC)
		durable--;
	for (guint i = 0; i < cut; i++)
		play(s, &f, &g_array_index(s->changes, struct change, i),
		     i < durable ? 256 : chance);
	unlink(test_path(to));	/* GLib would leave a longer one's tail */
	g_file_set_contents_full(test_path(to), (char *)f.data, f.end, G_FILE_SET_CONTENTS_NONE,
				 0644, &error);
	g_assert_no_error(error);
	g_free(f.data);
}

/* Was this what some write after the last flush, begun before the cut, put there? */
static bool written_since(struct story *s, guint first, guint cut, uint64_t off,
			  const uint8_t *sector)
{
	static const uint8_t zeroes[SECTOR];

	for (guint i = first; i < s->guest->len; i++) {
		const struct guest_op *g = &g_array_index(s->guest, struct guest_op, i);

		if (g->at > cut)
			break;
		if (!g->flush && off >= g->off && off < g->off + g->bytes &&
		    memcmp(sector, g->data ? g->data + (off - g->off) : zeroes, SECTOR) == 0)
			return true;
	}
	return false;
}

static void expect_flushed(struct story *s, const uint8_t *disk, guint cut)
{
	const uint8_t *flushed = s->first;
	guint first = 0;

	for (guint i = 0; i < s->guest->len; i++) {
		const struct guest_op *g = &g_array_index(s->guest, struct guest_op, i);

		if (g->flush && g->at <= cut) {
			flushed = g->snapshot;
			first = i;
		}
	}
	for (uint64_t off = 0; off < DISK; off += SECTOR)
		if (memcmp(disk + off, flushed + off, SECTOR) != 0 &&
		    !written_since(s, first, cut, off, disk + off))
			g_error("cut after %u of %u changes: lost at %" G_GUINT64_FORMAT, cut,
				s->changes->len, off);
}

static void expect_whole(const char *name, bool ask_qemu)
{
	g_autoptr(GError) error = NULL;
	struct image_check c;

	if (ask_qemu)
		check_clean(name, true);
	image_check(test_path(name), "qcow2", NULL, &c, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(c.corruptions, ==, 0);
}

struct kind {
	const char *options, *prepare;	/* of the image; a command on p.qcow2 */
};

static void a_power_loss_leaks_at_worst(gconstpointer kind)
{
	const struct kind *k = kind;
	g_autofree uint8_t *disk = g_malloc(DISK);
	unsigned cuts = 120;
	struct story *s;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 base.qcow2 1M"
	     " && qemu-io -c 'write -P 1 0 1M' base.qcow2"
	     " && qemu-img create -q -f qcow2 -o %s p.qcow2 %u && %s && cp p.qcow2 p0.qcow2",
	     k->options, DISK, k->prepare ? k->prepare : "true");
	s = story_tell("p.qcow2", 150, g_str_hash(k->options));
	check_clean("p.qcow2", false);
	/* Thorough: each prefix, as it came and in disorder. */
	if (g_test_thorough())
		cuts = 2 * (s->changes->len + 1);
	g_test_message("%u changes, %u cuts", s->changes->len, cuts);
	for (unsigned i = 0; i < cuts; i++) {
		guint cut = i / 2;
		struct block *b;

		if (!g_test_thorough())
			cut = g_rand_int_range(s->rand, 0, s->changes->len + 1);
		lose_power(s, "p0.qcow2", "cut.qcow2", cut, i % 2);
		expect_whole("cut.qcow2", i % 16 < 2);
		/* And it can be used again. */
		b = disk_open_opts("cut.qcow2", "qcow2",
				   (struct block_opts){ .cache = BLOCK_CACHE_UNSAFE });
		g_assert_cmpint(block_pread(b, 0, disk, DISK), ==, 0);
		expect_flushed(s, disk, cut);
		block_close(b);
	}
	story_free(s);
}

/* ---- internal snapshots ---- */

static void copy(const char *from, const char *to)
{
	g_autofree char *bytes = NULL;
	gsize n;

	g_assert_true(g_file_get_contents(test_path(from), &bytes, &n, NULL));
	unlink(test_path(to));
	g_assert_true(g_file_set_contents_full(test_path(to), bytes, n, G_FILE_SET_CONTENTS_NONE,
					       0600, NULL));
}

static bool qcow2_snapshot(struct story *s, unsigned kind, const char *name)
{
	static bool (*const acts[])(struct qcow2 *, const char *,
				    GError **) = { qcow2_snapshot_create, qcow2_snapshot_apply,
						   qcow2_snapshot_delete };
	struct block_tap tap = { .op = on_change, .opaque = s };
	g_autoptr(block) b = disk_open_opts("p.qcow2", "qcow2",
					    (struct block_opts){ .tap = &tap, .discard = true });

	return acts[kind](qcow2_of(block_top(b)), name, NULL);
}

/* All that one can know of an image: its disk, its snapshots' names and disks. */
static char *whole_state(const char *name)
{
	g_autoptr(image_info) info = image_info_new(test_path(name), NULL, false, NULL);
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_autofree uint8_t *disk = g_malloc(DISK);

	g_assert_nonnull(info);
	for (unsigned i = 0; i <= info->n_snapshots; i++) {
		struct block *b;

		if (i > 0) {
			copy(name, "state.qcow2");
			g_assert_true(image_snapshot_apply(test_path("state.qcow2"), "qcow2",
							   info->snapshots[i - 1].name, NULL));
			g_checksum_update(sum, (guchar *)info->snapshots[i - 1].name, -1);
		}
		b = disk_open_opts(i ? "state.qcow2" : name, "qcow2",
				   (struct block_opts){ .read_only = true });
		g_assert_cmpint(block_pread(b, 0, disk, DISK), ==, 0);
		g_checksum_update(sum, disk, DISK);
		block_close(b);
	}
	return g_strdup(g_checksum_get_string(sum));
}

static void cut_snapshot(unsigned kind, const char *name)
{
	struct story s = { .changes = g_array_new(FALSE, FALSE, sizeof(struct change)),
			   .rand = g_rand_new_with_seed(kind) };
	g_autofree char *before = whole_state("p.qcow2"), *after = NULL;
	unsigned seen[2] = { 0 }, rounds = g_test_thorough() ? 20 : 1;

	copy("p.qcow2", "p0.qcow2");
	g_assert_true(qcow2_snapshot(&s, kind, name));
	after = whole_state("p.qcow2");
	g_test_message("%u changes, %u cuts", s.changes->len, s.changes->len * rounds + 1);
	for (guint cut = 0; cut <= s.changes->len * rounds; cut++) {
		g_autofree char *state = NULL;

		lose_power(&s, "p0.qcow2", "cut.qcow2", cut / rounds, cut % rounds == 1);
		expect_whole("cut.qcow2", cut % 8 == 0);
		state = whole_state("cut.qcow2");
		g_assert_true(!strcmp(state, before) || !strcmp(state, after));
		seen[!strcmp(state, after)]++;
	}
	g_assert_cmpuint(seen[0], >, 0);
	g_assert_cmpuint(seen[1], >, 0);
	for (guint i = 0; i < s.changes->len; i++)
		g_free(g_array_index(s.changes, struct change, i).data);
	g_array_unref(s.changes);
	g_rand_free(s.rand);
}

static void a_snapshot_is_made_whole_or_not_at_all(gconstpointer options)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 -o %s p.qcow2 %u"
	     " && qemu-io -c 'write -P 5 0 1M' p.qcow2 && qemu-img snapshot -c one p.qcow2"
	     " && qemu-io -c 'write -P 6 512k 300k' p.qcow2",
	     (const char *)options, DISK);
	cut_snapshot(0, "two");
	must("qemu-io -c 'write -P 7 100k 900k' p.qcow2");
	cut_snapshot(1, "one");
	cut_snapshot(2, "one");
	cut_snapshot(1, "two");
	cut_snapshot(2, "two");
	check_clean("p.qcow2", false);
}

/* ---- SIGKILL ---- */

#define SLOTS 64u
#define SLOT_BYTES 20480u

static void slot_fill(uint32_t *buf, uint32_t slot, uint32_t round)
{
	for (uint32_t i = 0; i < SLOT_BYTES / 4; i++)
		buf[i] = slot << 24 ^ round ^ i << 8;
}

/* Writes slots with growing numbers; says by the pipe which are flushed. */
static void child_write(const char *name, int to)
{
	struct block *b = disk_open(name, "qcow2");
	uint32_t buf[SLOT_BYTES / 4];

	for (uint32_t round = 1;; round++) {
		uint32_t slot = round * 7 % SLOTS;

		slot_fill(buf, slot, round);
		if (block_pwrite(b, (uint64_t)slot * SLOT_BYTES, buf, SLOT_BYTES) < 0 ||
		    block_flush(b) < 0)
			_exit(1);
		if (write(to, &round, sizeof(round)) != sizeof(round))
			_exit(1);
	}
}

static uint32_t kill_after(const char *name, unsigned ms)
{
	uint32_t last = 0, round;
	int p[2];
	pid_t pid;

	g_assert_cmpint(pipe(p), ==, 0);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		child_write(name, p[1]);
	}
	close(p[1]);
	g_usleep(ms * 1000);
	kill(pid, SIGKILL);
	while (read(p[0], &round, sizeof(round)) == sizeof(round))
		last = round;
	close(p[0]);
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
	return last;
}

/* Each slot holds its last acknowledged round, or the one that was on its way. */
static void expect_rounds(const char *name, uint32_t last)
{
	g_autoptr(block) b =
		disk_open_opts(name, "qcow2", (struct block_opts){ .read_only = true });
	uint32_t buf[SLOT_BYTES / 4], want[SLOT_BYTES / 4];

	for (uint32_t round = last > SLOTS ? last - SLOTS + 1 : 1; round <= last; round++) {
		uint32_t slot = round * 7 % SLOTS;

		g_assert_cmpint(block_pread(b, (uint64_t)slot * SLOT_BYTES, buf, SLOT_BYTES), ==,
				0);
		slot_fill(want, slot, round);
		if (memcmp(buf, want, SLOT_BYTES) != 0)
			g_assert_cmpuint(slot, ==, (last + 1) * 7 % SLOTS);
	}
}

static void a_killed_writer_loses_nothing_that_was_flushed(void)
{
	if (!have_qemu())
		return;
	for (unsigned i = 0; i < 12; i++) {
		uint32_t last;

		must("rm -f *.qcow2; qemu-img create -q -f qcow2 kb.qcow2 1M"
		     " && qemu-io -c 'write -P 1 0 1M' kb.qcow2"
		     " && qemu-img create -q -f qcow2 -o %s -b kb.qcow2 -F qcow2 k.qcow2 2M",
		     i % 3 == 0 ? "cluster_size=512" :
		     i % 3 == 1 ? "lazy_refcounts=on" :
				  "cluster_size=4k");
		last = kill_after("k.qcow2", g_test_rand_int_range(20, 250));
		expect_rounds("k.qcow2", last);
		check_clean("k.qcow2", true);
	}
}

/* ---- tools that are killed ---- */

static bool tool_rebase(void)
{
	struct image_rebase_opts o = { .path = test_path("t.qcow2"),
				       .format = "qcow2", .backing_file = "tb2.qcow2",
				       .backing_format = "qcow2" };

	return image_rebase(&o, NULL);
}

static bool tool_commit(void)
{
	struct image_commit_opts o = { .path = test_path("t.qcow2"), .format = "qcow2" };

	return image_commit(&o, NULL);
}

static bool tool_flatten(void)
{
	struct image_rebase_opts o = { .path = test_path("t.qcow2"), .format = "qcow2" };

	return image_rebase(&o, NULL);
}

static bool tool_grow(void)
{
	struct image_resize_opts o = { .path = test_path("t.qcow2"),
				       .format = "qcow2", .bytes = 64 << 20,
				       .preallocation = IMAGE_PREALLOC_OFF };

	return image_resize(&o, NULL);
}

static void kill_tool(bool (*tool)(void), unsigned us)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(tool() ? 0 : 1);
	g_usleep(us);
	kill(pid, SIGKILL);
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* Before or after: what the guest sees is the same. */
static void a_killed_tool_leaves_the_image_whole(void)
{
	static bool (*const tools[])(void) = { tool_rebase, tool_commit, tool_flatten, tool_grow };

	for (unsigned i = 0; have_qemu() && i < 24; i++) {
		must("rm -f t*.qcow2 t.raw; for k in 1 2"
		     "; do qemu-img create -q -f qcow2 tb$k.qcow2 2M"
		     " && qemu-io -c \"write -P $k 100k ${k}M\" tb$k.qcow2; done"
		     "; qemu-img create -q -f qcow2"
		     " -o cluster_size=4k -b tb1.qcow2 -F qcow2 t.qcow2 3M"
		     " && qemu-io -c 'write -P 7 300k 500k' t.qcow2"
		     " && qemu-img convert -O raw t.qcow2 t.raw");
		kill_tool(tools[i % 4], g_test_rand_int_range(500, 60000));
		block_close(disk_open_opts("t.qcow2", "qcow2",
					   (struct block_opts){ .read_only = true }));
		check_clean("t.qcow2", true);
		must("qemu-img compare -f raw -F qcow2 t.raw t.qcow2");
	}
}

/* ---- a full or failing disk ---- */

static int on_change_full(void *opaque, enum block_tap_op op, uint64_t off, const struct iovec *iov,
			  unsigned n_iov, uint64_t bytes)
{
	int *left = opaque;

	return op != BLOCK_TAP_SYNC && --*left < 0 ? -ENOSPC : 0;
}

/* From the n-th change on nothing can be written any more; then there is room again. */
static void a_full_host_is_an_error_not_a_corruption(void)
{
	if (!have_qemu())
		return;
	for (int n = 0; n < 60; n += 3) {
		int left = 1000000;
		struct block_tap tap = { .op = on_change_full, .opaque = &left };
		struct model *m = model_new(DISK, n);
		uint8_t buf[16384];
		struct block *b;
		int failed = 0;

		must("rm -f *.qcow2; qemu-img create -q -f qcow2 -o cluster_size=%s f.qcow2 %u",
		     n % 2 ? "512" : "4k", DISK);
		b = disk_open_opts("f.qcow2", "qcow2",
				   (struct block_opts){ .tap = &tap, .discard = true });
		left = n;
		for (unsigned i = 0; i < 40; i++) {
			memset(buf, i + 1, sizeof(buf));
			if (block_pwrite(b, i * 40000 / 512 * 512, buf, sizeof(buf)) == 0)
				memcpy(m->bytes + i * 40000 / 512 * 512, buf, sizeof(buf));
			else
				memset(m->bytes + i * 40000 / 512 * 512, 0, sizeof(buf)), failed++;
			failed += i % 5 == 0 && block_flush(b) < 0;
		}
		g_assert_cmpint(failed, >, 0);
		left = 1000000;
		g_assert_cmpint(block_flush(b), ==, 0);
		block_close(b);
		check_clean("f.qcow2", true);
		b = disk_open("f.qcow2", "qcow2");
		model_load(m, b);	/* a failed write may have got through in part */
		model_run(m, b, 100);
		block_close(b);
		model_compare_qemu(m, "f.qcow2", "qcow2");
		model_free(m);
	}
}

/* The n-th change fails, and all after it; the disk goes on as if nobody had tried. */
static void a_snapshot_that_fails_changes_nothing(void)
{
	bool made = false;

	for (int n = 0; have_qemu() && !made && n < 200; n++) {
		int left = 1000000;
		struct block_tap tap = { .op = on_change_full, .opaque = &left };
		struct model *m = model_new(DISK, n);
		struct block *b;
		struct qcow2 *q;

		must("rm -f *.qcow2; qemu-img create -q -f qcow2 -o cluster_size=4k f.qcow2 %u"
		     " && qemu-io -c 'write -P 1 0 900k' f.qcow2"
		     " && qemu-img snapshot -c one f.qcow2"
		     " && qemu-io -c 'write -P 2 300k 500k' f.qcow2",
		     DISK);
		b = disk_open_opts("f.qcow2", "qcow2",
				   (struct block_opts){ .tap = &tap, .discard = true });
		q = qcow2_of(block_top(b));
		model_load(m, b);
		left = n;
		made = n % 3 == 0 ? qcow2_snapshot_create(q, "two", NULL) :
		       n % 3 == 1 ? qcow2_snapshot_apply(q, "one", NULL) :
				    qcow2_snapshot_delete(q, "one", NULL);
		left = 1000000;
		if (made) {
			block_close(b);
			check_clean("f.qcow2", false);
			g_assert_cmpint(n, >, 4);
		} else if (q->rw) { /* the header was not tried */
			model_run(m, b, 40);
			block_close(b);
			model_compare_qemu(m, "f.qcow2", "qcow2");
			check_clean("f.qcow2", false);
		} else {
			block_close(b);
			check_clean("f.qcow2", true);
		}
		model_free(m);
	}
	g_assert_true(made || !have_qemu());
}

int main(int argc, char **argv)
{
	static const char snapshot[] =
		"qemu-io -c 'write -P 5 0 1M' p.qcow2 && qemu-img snapshot -c one p.qcow2";
	static const char packed[] =
		"qemu-io -c 'write -P 5 0 1M' p.qcow2 && mv p.qcow2 q.qcow2"
		" && qemu-img convert -c -O qcow2 -o cluster_size=16k q.qcow2 p.qcow2";
	static const struct kind kinds[] = {
		{ "cluster_size=512" },
		{ "cluster_size=4k" },
		{ "cluster_size=64k" },
		{ "cluster_size=4k,lazy_refcounts=on" },
		{ "cluster_size=512,refcount_bits=64" },
		{ "cluster_size=16k,extended_l2=on" },
		{ "compat=0.10,cluster_size=1k" },
		{ "cluster_size=4k,backing_file=base.qcow2,backing_fmt=qcow2" },
		{ "cluster_size=16k,extended_l2=on,backing_file=base.qcow2,backing_fmt=qcow2" },
		{ "cluster_size=1k", snapshot },
		{ "cluster_size=16k,extended_l2=on,refcount_bits=8", snapshot },
		{ "cluster_size=16k", packed },
	};
	static const char *const edited[] = {
		"cluster_size=64k",
		"cluster_size=512",
		"cluster_size=4k,lazy_refcounts=on",
		"cluster_size=16k,extended_l2=on",
		"compat=0.10,cluster_size=1k",
	};
	int r;

	g_test_init(&argc, &argv, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		g_autofree char *path = g_strdup_printf("/power/loss/%s%s", kinds[i].options,
							kinds[i].prepare == snapshot ? ",snapshot" :
							kinds[i].prepare ? ",packed" : "");

		g_test_add_data_func(path, &kinds[i], a_power_loss_leaks_at_worst);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(edited); i++) {
		g_autofree char *path = g_strdup_printf("/power/snapshot/%s", edited[i]);

		g_test_add_data_func(path, edited[i], a_snapshot_is_made_whole_or_not_at_all);
	}
	g_test_add_func("/power/kill", a_killed_writer_loses_nothing_that_was_flushed);
	g_test_add_func("/power/tools", a_killed_tool_leaves_the_image_whole);
	g_test_add_func("/power/full-snapshot", a_snapshot_that_fails_changes_nothing);
	g_test_add_func("/power/full", a_full_host_is_an_error_not_a_corruption);
	r = g_test_run();
	test_folder_remove();
	return r;
}
