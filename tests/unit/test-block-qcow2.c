/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of qemu-img are read right; damaged, hostile and locked ones refused with reason. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block-util.h"

#include "libvmm/util/cleanup.h"

#define MIB (1u << 20)

enum {
	AT_VERSION = 4,
	AT_BACKING = 8,
	AT_CLUSTER_BITS = 20,
	AT_SIZE = 24,
	AT_CRYPT = 32,
	AT_L1_SIZE = 36,
	AT_L1 = 40,
	AT_REFT = 48,
	AT_REFT_CLUSTERS = 56,
	AT_INCOMPAT = 72,
	AT_COMPAT = 80,
	AT_AUTOCLEAR = 88,
	AT_REFCOUNT_ORDER = 96,
	AT_HEADER = 100
};

static uint64_t first_l2(const char *name)
{
	return peek_be64(name, peek_be64(name, AT_L1)) & 0x00fffffffffffe00ull;
}

/* ---- reading foreign images ---- */

static void expect_equals_raw(const char *name, const char *raw)
{
	g_autoptr(block) b =
		disk_open_opts(name, "qcow2", (struct block_opts){ .read_only = true });
	g_autofree char *want = NULL;
	g_autofree uint8_t *got = NULL;
	gsize n;

	g_assert_true(g_file_get_contents(test_path(raw), &want, &n, NULL));
	got = g_malloc(n);
	g_assert_cmpuint(block_bytes(b), ==, n);
	g_assert_cmpint(block_pread(b, 0, got, n), ==, 0);
	g_assert_true(memcmp(got, want, n) == 0);
}

/* Half of it compressible, some zeroes, some noise. */
static void make_raw(void)
{
	must("(head -c 700k /dev/urandom; head -c 1M /dev/zero; seq 1 200000"
	     "; head -c 300k /dev/urandom) > src.raw"
	     " && truncate -s 5M src.raw");
}

static void images_of_qemu_img_are_read_right(gconstpointer options)
{
	if (!have_qemu())
		return;
	make_raw();
	must("qemu-img convert -f raw -O qcow2 %s src.raw i.qcow2", (const char *)options);
	expect_equals_raw("i.qcow2", "src.raw");
}

/* A write onto a compressed cluster makes a plain one; neighbours in the same host cluster stay. */
static void compressed_images_can_be_written(gconstpointer options)
{
	struct model *m = model_new(5 * MIB, 77);
	struct block *b;

	if (have_qemu()) {
		make_raw();
		must("qemu-img convert -f raw -O qcow2 %s src.raw i.qcow2", (const char *)options);
		b = disk_open("i.qcow2", "qcow2");
		model_load(m, b);
		model_run(m, b, 300);
		model_run_deep(m, b, 2000, 16);
		block_close(b);
		model_compare_qemu(m, "i.qcow2", "qcow2");
		check_clean("i.qcow2", false);
	}
	model_free(m);
}

static void snapshots_are_kept_while_the_disk_changes(gconstpointer options)
{
	struct model *m = model_new(5 * MIB, 78);
	struct block *b;

	if (have_qemu()) {
		make_raw();
		must("qemu-img convert -f raw -O qcow2 %s src.raw s.qcow2"
		     " && qemu-img snapshot -c one s.qcow2"
		     " && qemu-io -c 'write -P 9 1M 700k' s.qcow2"
		     " && qemu-img convert -O raw s.qcow2 two.raw"
		     " && qemu-img snapshot -c two s.qcow2",
		     (const char *)options);
		b = disk_open("s.qcow2", "qcow2");
		model_load(m, b);
		model_run_deep(m, b, 1000, 8);
		block_close(b);
		check_clean("s.qcow2", false);
		model_compare_qemu(m, "s.qcow2", "qcow2");
		must("qemu-img snapshot -a one s.qcow2"
		     " && qemu-img compare -f raw -F qcow2 src.raw s.qcow2");
		must("qemu-img snapshot -a two s.qcow2"
		     " && qemu-img compare -f raw -F qcow2 two.raw s.qcow2");
		check_clean("s.qcow2", false);
	}
	model_free(m);
}

static void the_refcount_table_grows(void)
{
	g_autofree uint8_t *buf = g_malloc0(MIB);
	struct block *b;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 g.qcow2 64M");
	b = disk_open_opts("g.qcow2", "qcow2", (struct block_opts){ .cache = BLOCK_CACHE_UNSAFE });
	for (unsigned i = 0; i < 24; i++) {
		memset(buf, i + 1, MIB);
		g_assert_cmpint(block_pwrite(b, (uint64_t)i * 2 * MIB, buf, MIB), ==, 0);
	}
	block_close(b);
	check_clean("g.qcow2", false);
	must("qemu-io -r -c 'read -P 1 0 1M' -c 'read -P 24 46M 1M' -c 'read -P 0 47M 1M' g.qcow2 "
	     "| tee log; ! grep fail log");
}

/* ---- flags ---- */

static void the_dirty_bit_is_set_while_open_and_cleared(void)
{
	struct block *b;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 -o lazy_refcounts=on d.qcow2 4M");
	b = disk_open("d.qcow2", "qcow2");
	g_assert_cmpuint(peek_be64("d.qcow2", AT_INCOMPAT), ==, 1);
	g_assert_cmpint(block_pwrite(b, 0, "hello", 5), ==, 0);
	block_close(b);
	g_assert_cmpuint(peek_be64("d.qcow2", AT_INCOMPAT), ==, 0);
	check_clean("d.qcow2", false);
}

/* As a killed QEMU leaves it: data mapped, refcounts not written. */
static void a_dirty_image_gets_its_refcounts_back(void)
{
	uint64_t counts;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 -o lazy_refcounts=on d.qcow2 4M"
	     " && qemu-io -c 'write -P 3 0 1M' d.qcow2");
	counts = peek_be64("d.qcow2", peek_be64("d.qcow2", AT_REFT));
	poke_be64("d.qcow2", counts + 12, 0);
	poke_be64("d.qcow2", AT_INCOMPAT, 1);
	block_close(disk_open_opts("d.qcow2", "qcow2", (struct block_opts){ .read_only = true }));
	g_assert_cmpuint(peek_be64("d.qcow2", AT_INCOMPAT), ==, 1);
	block_close(disk_open("d.qcow2", "qcow2"));
	check_clean("d.qcow2", false);
	must("qemu-io -r -c 'read -P 3 0 1M' d.qcow2 | tee log; ! grep fail log");
}

static void a_corrupt_image_may_only_be_read(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 c.qcow2 4M");
	poke_be64("c.qcow2", AT_INCOMPAT, 2);
	disk_refused("c.qcow2", "qcow2", false, "marked as corrupt");
	block_close(disk_open_opts("c.qcow2", "qcow2", (struct block_opts){ .read_only = true }));
}

static void corruption_seen_while_writing_is_marked(void)
{
	uint8_t buf[512] = { 1 };
	struct block *b;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 c.qcow2 4M && qemu-io -c 'write -P 3 0 64k' c.qcow2");
	/* onto L1 */
	poke_be64("c.qcow2", first_l2("c.qcow2"), peek_be64("c.qcow2", AT_L1) | 1ull << 63);
	b = disk_open("c.qcow2", "qcow2");
	g_assert_cmpint(block_pwrite(b, 0, buf, sizeof(buf)), ==, -EIO);
	g_assert_cmpint(block_pwrite(b, 2 * MIB, buf, sizeof(buf)), ==, -EIO);
	block_close(b);
	g_assert_cmpuint(peek_be64("c.qcow2", AT_INCOMPAT), ==, 2);
	disk_refused("c.qcow2", "qcow2", false, "marked as corrupt");
}

/* ---- refusing ---- */

static void what_we_cannot_do_is_named(void)
{
	char name[46] = "time travel";

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 u.qcow2 4M");
	poke_be64("u.qcow2", AT_INCOMPAT, 1ull << 7);
	disk_refused("u.qcow2", "qcow2", true, "feature bit 7 (no name for it)");
	/* QEMU's own table stands behind the 112 bytes of header: rename its first entry */
	poke("u.qcow2", 112 + 8, "\0\7", 2);
	poke("u.qcow2", 112 + 10, name, sizeof(name));
	disk_refused("u.qcow2", "qcow2", true, "feature bit 7 (time travel)");
	must("rm -f x.qcow2 x.raw; qemu-img create -q -f qcow2 -o data_file=x.raw x.qcow2 1M");
	disk_refused("x.qcow2", "qcow2", false, "can only be read");
	must("rm x.raw");
	disk_refused("x.qcow2", "qcow2", true, "external data file of");
	must("qemu-img create -q -f qcow2 e.qcow2 1M");	/* making real ones needs a quiet machine */
	poke_be32("e.qcow2", AT_CRYPT, 2);
	disk_refused("e.qcow2", "qcow2", true, "LUKS");
}

static void impossible_headers_are_refused(void)
{
	static const struct {
		unsigned at;
		uint32_t v;
		const char *says;
	} bad[] = {
		{ 0, 0x12345678, "not a qcow2" },
		{ AT_VERSION, 4, "version 4" },
		{ AT_VERSION, 1, "version 1" },
		{ AT_CLUSTER_BITS, 8, "2^8" },
		{ AT_CLUSTER_BITS, 22, "2^22" },
		{ AT_CLUSTER_BITS, 0xffffffff, "clusters of" },
		{ AT_SIZE, 0x7fffffff, "disk size" },
		{ AT_SIZE + 4, 0xffffffff, "too small" },
		{ AT_L1_SIZE, 0, "too small" },
		{ AT_L1_SIZE, 0x7fffffff, "too large" },
		{ AT_L1 + 4, 0x30001, "impossible place" },
		{ AT_L1, 0x30000, "truncated" },
		{ AT_REFT + 4, 0x123, "impossible place" },
		{ AT_REFT, 1, "truncated" },
		{ AT_REFT_CLUSTERS, 0, "refcount table" },
		{ AT_REFT_CLUSTERS, 0x10000, "refcount table" },
		{ AT_REFCOUNT_ORDER, 7, "64 bits" },
		{ AT_HEADER, 96, "header length" },
		{ AT_HEADER, 105, "header length" },
		{ AT_HEADER, 1u << 20, "header length" },
		{ 60, 1, "snapshot" },
		{ AT_CRYPT, 1, "encryption" },
		{ 116, 0x7fffffff, "extension" },
	};

	if (!have_qemu())
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		must("rm -f h.qcow2; qemu-img create -q -f qcow2 h.qcow2 4M");
		poke_be32("h.qcow2", bad[i].at, bad[i].v);
		disk_refused("h.qcow2", "qcow2", true, bad[i].says);
	}
}

static void truncated_images_are_refused(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 t.qcow2 64M && qemu-io -c 'write -P 3 0 40M' t.qcow2"
	     " && cp t.qcow2 t0.qcow2");
	disk_refused("/dev/null", "qcow2", true, "neither a file");
	for (unsigned kib = 40 * 1024; kib > 0; kib = kib * 2 / 3) {
		must("truncate -s %uk t.qcow2", kib);
		disk_refused("t.qcow2", "qcow2", true, "truncated");
	}
	must("truncate -s 50 t.qcow2");
	disk_refused("t.qcow2", "qcow2", true, "truncated within its header");
	must("truncate -s 0 t.qcow2");
	disk_refused("t.qcow2", "qcow2", true, "empty");
}

static void damaged_tables_are_found(void)
{
	uint8_t buf[512];

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 t0.qcow2 64M && qemu-io -c 'write -P 3 0 4M' t0.qcow2"
	     " && cp t0.qcow2 t.qcow2");
	poke_be64("t.qcow2", peek_be64("t.qcow2", AT_L1), 0x8000000000012400);
	disk_refused("t.qcow2", "qcow2", true, "not aligned");
	must("cp t0.qcow2 t.qcow2");
	poke_be64("t.qcow2", peek_be64("t.qcow2", AT_REFT), 0x7000000000000000);
	disk_refused("t.qcow2", "qcow2", true, "truncated");
	for (unsigned i = 0; i < 3; i++) {
		static const uint64_t entries[] = { 0x8000000000012400, 0x8000ffffffff0000,
						    0x4fffffffffffffff };
		struct block *b;

		must("cp t0.qcow2 t.qcow2");
		poke_be64("t.qcow2", first_l2("t.qcow2"), entries[i]);
		b = disk_open_opts("t.qcow2", "qcow2", (struct block_opts){ .read_only = true });
		g_assert_cmpint(block_pread(b, 0, buf, 512), ==, -EIO);
		block_close(b);
	}
}

static void missing_and_unreadable_files_are_named(void)
{
	disk_refused("no-such.qcow2", "qcow2", true, "No such file");
	disk_refused(".", "raw", true, "neither a file");
	must("printf x > x.vdi");
	disk_refused("x.vdi", "vdi", true, "format 'vdi' is not supported");
}

/* ---- chains ---- */

static void chains_with_holes_are_refused(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 a.qcow2 1M"
	     " && qemu-img create -q -u -f qcow2 -b a.qcow2 b.qcow2 1M"
	     " -F qcow2 && qemu-img create -q -u -f qcow2 -b b.qcow2 -F qcow2 c.qcow2 1M");
	block_close(disk_open("c.qcow2", "qcow2"));
	must("mv a.qcow2 gone.qcow2");
	disk_refused("c.qcow2", "qcow2", false, "backing file of");
	must("qemu-img create -q -u -f qcow2 -b c.qcow2 -F qcow2 a.qcow2 1M");
	disk_refused("c.qcow2", "qcow2", false, "loop");
	must("qemu-img rebase -u -b c.qcow2 -F qcow2 c.qcow2");
	disk_refused("c.qcow2", "qcow2", false, "loop");
	must("qemu-img rebase -u -b nbd://host/x -F raw c.qcow2");
	disk_refused("c.qcow2", "qcow2", false, "not a path");
	must("qemu-img rebase -u -b 'json:{}' -F raw c.qcow2");
	disk_refused("c.qcow2", "qcow2", false, "not a path");
}

static void a_backing_format_is_never_guessed(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 a.qcow2 1M"
	     "; qemu-img create -q -u -f qcow2 -b a.qcow2 -F qcow2 b.qcow2 1M");
	poke_be32("b.qcow2", 112, 0x7f7f7f7f);	/* the extension has become another one */
	disk_refused("b.qcow2", "qcow2", false, "vmsh image rebase -u");
}

static void absurd_depth_is_refused(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 0.qcow2 1M; for i in $(seq 1 70); do"
	     " cp 0.qcow2 $i.qcow2; done");
	for (unsigned i = 1; i <= 70; i++) {
		char name[16], below[16];

		g_snprintf(name, sizeof(name), "%u.qcow2", i);
		g_snprintf(below, sizeof(below), "%u.qcow2", i - 1);
		/* the end of QEMU's header: backing format, end mark, name */
		poke(name, 112, "\xe2\x79\x2a\xca\0\0\0\5qcow2\0\0\0\0\0\0\0\0\0\0\0", 24);
		poke(name, 136, below, strlen(below));
		poke_be64(name, AT_BACKING, 136);
		poke_be32(name, AT_BACKING + 8, strlen(below));
	}
	block_close(disk_open("63.qcow2", "qcow2"));
	disk_refused("70.qcow2", "qcow2", false, "more than 64 backing files");
}

/* ---- locks ---- */

static void an_image_in_use_is_locked(void)
{
	g_autofree char *me = g_strdup_printf("in use by this program");
	struct block *b;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 base.qcow2 1M"
	     " && qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 l.qcow2");
	b = disk_open("l.qcow2", "qcow2");
	disk_refused("l.qcow2", "qcow2", false, me);
	disk_refused("l.qcow2", "qcow2", true, me);
	g_assert_cmpint(run("qemu-io -c 'write 0 4k' l.qcow2"), !=, 0);
	g_assert_cmpint(run("qemu-img check l.qcow2"), !=, 0);
	g_assert_cmpint(run("qemu-io -c 'write 0 4k' base.qcow2"), !=, 0);
	must("qemu-img info -U l.qcow2 && qemu-io -r -c 'read 0 4k' base.qcow2");
	block_close(b);
	must("qemu-io -c 'write 0 4k' l.qcow2");
	b = disk_open_opts("l.qcow2", "qcow2", (struct block_opts){ .read_only = true });
	must("qemu-io -r -c 'read 0 4k' l.qcow2");
	block_close(b);
}

static void what_qemu_has_open_is_refused_by_pid(void)
{
	static const char *const held =
		"test $(grep -c \":$(stat -c %%i l.qcow2) \" /proc/locks) -ge 3";
	const char *argv[] = { "qemu-io", "-f", "qcow2", "l.qcow2", NULL };
	g_autofree char *says = NULL;
	GPid pid;
	int in;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 l.qcow2 1M");
	g_assert_true(g_spawn_async_with_pipes(test_folder(), (char **)argv, NULL,
					       G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL |
						       G_SPAWN_DO_NOT_REAP_CHILD,
					       NULL, NULL, &pid, &in, NULL, NULL, NULL));
	/* Looked up, not tried: who opens it just then keeps qemu-io out. */
	for (unsigned i = 0; i < 3000 && run(held); i++)
		g_usleep(10000);
	says = g_strdup_printf("in use by process %d (qemu-io)", (int)pid);
	disk_refused("l.qcow2", "qcow2", false, says);
	block_close(disk_open_opts("l.qcow2", "qcow2",
				   (struct block_opts){ .read_only = true, .share = true }));
	close(in);
	waitpid(pid, NULL, 0);
	block_close(disk_open("l.qcow2", "qcow2"));
}

/* Byte 101, as a writer holds it, by a process that calls itself a machine's. */
static void a_machine_that_has_the_image_is_named(void)
{
	static const char script[] =
		"import fcntl, struct, sys\n"
		"f = open('l.qcow2', 'r+b')\n"
		"fcntl.fcntl(f, 37, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 101, 1, 0))\n"
		"print('held', flush=True)\n"
		"sys.stdin.read()\n";
	const char *argv[] = { "python3", "-c", script, "--name", "my\nweb", NULL };
	g_autofree char *says = NULL;
	char held[5] = "";
	int in, out;
	GPid pid;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 l.qcow2 1M");
	g_assert_true(g_spawn_async_with_pipes(test_folder(), (char **)argv, NULL,
					       G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
					       NULL, NULL, &pid, &in, &out, NULL, NULL));
	g_assert_cmpint(read(out, held, 4), ==, 4);
	says = g_strdup_printf("by process %d (python3) of domain 'my?web', which runs since 20",
			       (int)pid);
	disk_refused("l.qcow2", "qcow2", false, says);
	disk_refused("l.qcow2", "qcow2", true, says);
	close(in);
	close(out);
	waitpid(pid, NULL, 0);
	block_close(disk_open("l.qcow2", "qcow2"));
}

static void add(const char *where, const char *options, GTestDataFunc fn)
{
	g_autofree char *path =
		g_strdup_printf("/qcow2/%s/%s", where, options[0] ? options : "plain");

	g_strdelimit(path + strlen("/qcow2/") + strlen(where) + 1, " ", '_');
	g_test_add_data_func(path, options, fn);
}

int main(int argc, char **argv)
{
	static const char *const foreign[] = {
		"",
		"-c",
		"-c -o compression_type=zstd",
		"-o compat=0.10",
		"-c -o compat=0.10",
		"-o extended_l2=on",
		"-c -o extended_l2=on",
		"-o cluster_size=512",
		"-c -o cluster_size=512",
		"-c -o cluster_size=2M",
		"-c -o cluster_size=2M,compression_type=zstd",
		"-o refcount_bits=1",
		"-o refcount_bits=64",
		"-o preallocation=metadata",
		"-o preallocation=full,extended_l2=on",
	};
	static const char *const shared[] = { "-o cluster_size=4k", "-c", "-o extended_l2=on",
					      "-o compat=0.10", "-o refcount_bits=4" };
	int r;

	g_test_init(&argc, &argv, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++) {
		add("read", foreign[i], images_of_qemu_img_are_read_right);
		if (strstr(foreign[i], "-c"))
			add("packed", foreign[i], compressed_images_can_be_written);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(shared); i++)
		add("snapshot", shared[i], snapshots_are_kept_while_the_disk_changes);
	g_test_add_func("/qcow2/refcount-table", the_refcount_table_grows);
	g_test_add_func("/qcow2/dirty/set", the_dirty_bit_is_set_while_open_and_cleared);
	g_test_add_func("/qcow2/dirty/repair", a_dirty_image_gets_its_refcounts_back);
	g_test_add_func("/qcow2/corrupt/refused", a_corrupt_image_may_only_be_read);
	g_test_add_func("/qcow2/corrupt/marked", corruption_seen_while_writing_is_marked);
	g_test_add_func("/qcow2/bad/features", what_we_cannot_do_is_named);
	g_test_add_func("/qcow2/bad/header", impossible_headers_are_refused);
	g_test_add_func("/qcow2/bad/truncated", truncated_images_are_refused);
	g_test_add_func("/qcow2/bad/tables", damaged_tables_are_found);
	g_test_add_func("/qcow2/bad/files", missing_and_unreadable_files_are_named);
	g_test_add_func("/qcow2/chain/broken", chains_with_holes_are_refused);
	g_test_add_func("/qcow2/chain/format", a_backing_format_is_never_guessed);
	g_test_add_func("/qcow2/chain/depth", absurd_depth_is_refused);
	g_test_add_func("/qcow2/lock/ours", an_image_in_use_is_locked);
	g_test_add_func("/qcow2/lock/qemu", what_qemu_has_open_is_refused_by_pid);
	g_test_add_func("/qcow2/lock/domain", a_machine_that_has_the_image_is_named);
	r = g_test_run();
	test_folder_remove();
	return r;
}
