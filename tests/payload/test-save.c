/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole machines saved and restored, by a guest of one page (echo.S). */
#include "config.h"
#include "libvmm/machine/save.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/device/hub.h"
#include "libvmm/device/virtio.h"
#include "libvmm/domain/domain.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/state.h"

#define PATIENCE_US (60 * G_USEC_PER_SEC)	/* the machine may be busy */
#define XML_OF(vcpus, devices) \
	"<domain type='kvm'><name>saved</name><memory unit='MiB'>32</memory>" \
	"<vcpu>" vcpus "</vcpu><os><type arch='x86_64' machine='microvm'>hvm</type>" \
	"<kernel>%s</kernel></os>" \
	"<on_reboot>restart</on_reboot><devices><serial type='pty'/>" devices "</devices></domain>"
#define RNG "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
#define XML XML_OF("2", RNG)

struct guest {
	struct machine *m;
	int line;
	GString *said;
	bool ended, saved;
	GError *error;
};

static int host_open(void *opaque, const char *path, int flags, GError **error)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		error_errno(error, errno, "open '%s'", path);
	return fd;
}

static void on_ended(void *opaque, enum machine_end end, const char *detail)
{
	struct guest *g = opaque;

	g->ended = true;
}

static void on_balloon(void *opaque, uint64_t guest_bytes)
{
}

static struct machine *build(struct guest *g, const char *elf, const char *format, int state_fd,
			     GError **error)
{
	const struct machine_host host = { .opener = { .open = host_open } };
	const struct machine_events events = { .ended = on_ended, .opaque = g,
					       .balloon_changed = on_balloon };
	g_autofree char *kernel = g_test_build_filename(G_TEST_BUILT, "payload", elf, NULL);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	g_autofree char *xml = g_strdup_printf(format, kernel);
#pragma GCC diagnostic pop
	g_autoptr(domain_def) def = domain_def_parse(xml, 0, error);

	if (!def)
		return NULL;
	return state_fd < 0 ? machine_build(def, &host, &events, error)
			    : machine_build_saved(def, &host, &events, state_fd, error);
}

/* NULL: this host has no /dev/kvm for us. */
static struct guest *guest_of(const char *elf, const char *xml, int state_fd)
{
	g_autoptr(GError) error = NULL;
	struct guest *g;

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		g_test_skip("no /dev/kvm");
		return NULL;
	}
	g = g_new0(struct guest, 1);
	g->said = g_string_new(NULL);
	g->m = build(g, elf, xml, state_fd, &error);
	g_assert_no_error(error);
	g->line = hub_attach(machine_hub(g->m, ""), HUB_WRITE, "test", 0, NULL, &error);
	g_assert_no_error(error);
	return g;
}

static struct guest *guest_new(const char *xml, int state_fd)
{
	return guest_of("echo.elf", xml, state_fd);
}

static void guest_free(struct guest *g)
{
	machine_free(g->m);
	fd_close(&g->line);
	g_string_free(g->said, TRUE);
	g_clear_error(&g->error);
	g_free(g);
}

/* Until the guest has said this. */
static void listen_for(struct guest *g, const char *text)
{
	gint64 end = g_get_monotonic_time() + PATIENCE_US;

	while (!strstr(g->said->str, text)) {
		char buf[256];
		ssize_t n = recv(g->line, buf, sizeof(buf), MSG_DONTWAIT);

		if (n > 0)
			g_string_append_len(g->said, buf, n);
		else
			g_main_context_iteration(NULL, FALSE);
		if (g_get_monotonic_time() > end)
			g_error("waited for '%s', heard '%s'", text, g->said->str);
	}
}

static void type(struct guest *g, const char *text)
{
	g_assert_cmpint(send(g->line, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
}

static void on_saved(void *opaque, const GError *error)
{
	struct guest *g = opaque;

	g->saved = true;
	g_clear_error(&g->error);
	g->error = error ? g_error_copy(error) : NULL;
}

static void save_to(struct guest *g, int fd)
{
	g->saved = false;
	machine_save(g->m, &(struct machine_save_opts){ dup(fd), "<domain/>", true }, on_saved, g);
	while (!g->saved)
		g_main_context_iteration(NULL, TRUE);
}

static int file_new(void)
{
	int fd = open(g_get_tmp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : memfd_create("saved", MFD_CLOEXEC);
}

static void a_guest_goes_on_where_it_was_saved(void)
{
	struct guest *g = guest_new(XML, -1);
	auto_close int fd = file_new();
	struct stat st;

	if (!g)
		return;
	machine_resume(g->m);
	listen_for(g, "ready");
	type(g, "one");
	listen_for(g, "one");
	save_to(g, fd);
	g_assert_no_error(g->error);
	g_assert_false(machine_is_running(g->m));
	guest_free(g);
	g_assert_cmpint(fstat(fd, &st), ==, 0);
	g_assert_cmpint(st.st_blocks * 512, <, 4 << 20);

	g = guest_new(XML, fd);
	machine_resume(g->m);
	listen_for(g, "copy");
	type(g, "two");
	listen_for(g, "two");
	g_assert_null(strstr(g->said->str, "ready"));
	/* and it can be turned off by the button, as before */
	machine_powerdown(g->m);
	listen_for(g, "button");
	while (!g->ended)
		g_main_context_iteration(NULL, TRUE);
	guest_free(g);
}

static void a_saved_guest_that_stays_goes_on_too(void)
{
	struct guest *g = guest_new(XML, -1);
	auto_close int fd = file_new();

	if (!g)
		return;
	machine_resume(g->m);
	listen_for(g, "ready");
	save_to(g, fd);
	g_assert_no_error(g->error);
	type(g, "typed while it stood still");
	machine_resume(g->m);
	listen_for(g, "typed while it stood still");
	guest_free(g);
}

/* Byte for byte, of a machine that stands. */
static void assert_saved_as_it_is(const struct machine *m, int fd)
{
	const uint64_t bytes = guest_memory_bytes(m->mem);
	const uint8_t *is = guest_ptr(m->mem, 0, bytes);
	uint8_t *saved = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)STATE_RAM_OFFSET);

	g_assert_true(saved != MAP_FAILED);
	for (uint64_t off = 0; off < bytes; off += 4096)
		if (memcmp(is + off, saved + off, 4096) != 0)
			g_error("the page at 0x%" G_GINT64_MODIFIER "x is an older one", off);
	munmap(saved, bytes);
}

static void what_is_saved_beside_a_busy_guest_is_what_it_had_when_it_stopped(void)
{
	g_autofree char *xml = NULL;
	auto_close int disk = g_file_open_tmp("vmm-save-XXXXXX", &xml, NULL);
	g_autofree char *path = g_steal_pointer(&xml);
	struct machine_save_progress p;
	struct guest *g;

	g_assert_cmpint(ftruncate(disk, 1 << 20), ==, 0);
	xml = g_strdup_printf(
		"<domain type='kvm'><name>saved</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
		"<os><type arch='x86_64' machine='microvm'>hvm</type><kernel>%%s</kernel></os>"
		"<devices><serial type='pty'/><disk type='file' device='disk'>"
		"<driver name='qemu' type='raw'/><source file='%s'/>"
		"<target dev='vda' bus='virtio'/></disk></devices></domain>", path);
	g = guest_of("disk.elf", xml, -1);
	for (unsigned i = 0; g && i < 3; i++) {
		auto_close int fd = file_new();

		if (i == 0)
			machine_resume(g->m);
		listen_for(g, "ready");
		type(g, "u 0 7\n");
		listen_for(g, "uses");
		save_to(g, fd);
		g_assert_no_error(g->error);
		g_assert_false(machine_is_running(g->m));
		assert_saved_as_it_is(g->m, fd);
		machine_save_progress(g->m, &p);
		g_assert_false(p.active);
		machine_resume(g->m);
		type(g, "\n");
		listen_for(g, "ok ");
		g_assert_null(strstr(g->said->str, "bad"));
		g_string_assign(g->said, "ready");
	}
	if (g)
		guest_free(g);
	unlink(path);
}

static void reset_done(void *opaque, const GError *error)
{
	struct guest *g = opaque;

	g_assert_no_error(error);
	machine_resume(g->m);
}

static void a_restored_guest_can_be_reset(void)
{
	struct guest *g = guest_new(XML, -1);
	auto_close int fd = file_new();

	if (!g)
		return;
	machine_resume(g->m);
	listen_for(g, "ready");
	save_to(g, fd);
	guest_free(g);
	g = guest_new(XML, fd);
	machine_resume(g->m);
	machine_reset(g->m, reset_done, g);
	listen_for(g, "ready");
	type(g, "anew");
	listen_for(g, "anew");
	guest_free(g);
}

static bool link_is_up(const struct guest *g, unsigned net)
{
	const struct machine_net *n = g_ptr_array_index(g->m->nets, net);
	uint16_t status;

	virtio_config_read(n->dev, offsetof(struct virtio_net_config, status), &status,
			   sizeof(status));
	return GUINT16_FROM_LE(status) & VIRTIO_NET_S_LINK_UP;
}

#define CARD(mac, how) \
	"<interface type='user'><mac address='52:54:00:00:00:" mac "'/>" how "</interface>"
#define BOUNCE "<vmm:restored xmlns:vmm='https://libvmm.org/xmlns/domain/1.0' link='bounce'/>"

static void a_link_that_bounces_goes_down_and_up_after_a_restore(void)
{
	static const char cards[] = XML_OF("1", CARD("01", BOUNCE) CARD("02", "")
					   CARD("03", "<link state='down'/>" BOUNCE));
	struct guest *g = guest_new(cards, -1);
	auto_close int fd = file_new();

	if (!g)
		return;
	machine_resume(g->m);
	listen_for(g, "ready");
	g_assert_true(link_is_up(g, 0) && link_is_up(g, 1) && !link_is_up(g, 2));
	save_to(g, fd);
	g_assert_no_error(g->error);
	guest_free(g);

	g = guest_new(cards, fd);
	g_assert_true(!link_is_up(g, 0) && link_is_up(g, 1) && !link_is_up(g, 2));
	machine_resume(g->m);
	while (!link_is_up(g, 0))
		g_main_context_iteration(NULL, TRUE);
	g_assert_true(link_is_up(g, 1) && !link_is_up(g, 2));
	guest_free(g);

	/* one that a user takes down meanwhile stays down; one that ends leaves nothing */
	g = guest_new(cards, fd);
	machine_resume(g->m);
	g_assert_true(machine_set_link(g->m, 0, false, NULL));
	while (g->m->links_up)
		g_main_context_iteration(NULL, TRUE);
	g_assert_false(link_is_up(g, 0));
	guest_free(g);
	g = guest_new(cards, fd);
	machine_resume(g->m);
	guest_free(g);
}

static void a_machine_of_another_shape_is_refused(void)
{
	static const struct {
		const char *xml, *why;
	} others[] = {
		{ XML_OF("1", RNG),
		  "*32 MiB and 2 vCPUs, the definition 32 MiB and 1*" },
		{ XML_OF("2", ""), "*devices, the definition has*" },
		{ XML_OF("2", RNG RNG),
		  "*devices, the definition has*" },
	};
	struct guest *g = guest_new(XML, -1);
	auto_close int fd = file_new();

	if (!g)
		return;
	save_to(g, fd);
	g_assert_no_error(g->error);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(build(g, "echo.elf", others[i].xml, fd, &error));
		g_assert_true(g_pattern_match_simple(others[i].why, error->message));
	}
	guest_free(g);
}

static void a_full_disk_leaves_the_guest_running(void)
{
	struct guest *g = guest_new(XML, -1);
	auto_close int full = open("/dev/full", O_RDWR | O_CLOEXEC);

	if (!g)
		return;
	machine_resume(g->m);
	listen_for(g, "ready");
	save_to(g, full);
	g_assert_nonnull(g->error);
	g_assert_true(machine_is_running(g->m));
	type(g, "still alive");
	listen_for(g, "still alive");
	guest_free(g);
}

static void a_machine_may_go_while_it_is_saved(void)
{
	struct guest *g = guest_new(XML, -1);
	auto_close int fd = file_new();
	g_autoptr(GError) error = NULL;
	uint64_t bytes;

	if (!g)
		return;
	machine_resume(g->m);
	listen_for(g, "ready");
	machine_save(g->m, &(struct machine_save_opts){ dup(fd), "<domain/>", true }, on_saved, g);
	machine_free(g_steal_pointer(&g->m));
	g_assert_true(g->saved);
	g_assert_error(g->error, VMM_ERROR, VMM_ERR_ABORTED);
	g_assert_null(state_file_read(fd, &bytes, &error));
	guest_free(g);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/save/" #name, name)
	TEST(a_guest_goes_on_where_it_was_saved);
	TEST(a_saved_guest_that_stays_goes_on_too);
	TEST(what_is_saved_beside_a_busy_guest_is_what_it_had_when_it_stopped);
	TEST(a_restored_guest_can_be_reset);
	TEST(a_link_that_bounces_goes_down_and_up_after_a_restore);
	TEST(a_machine_of_another_shape_is_refused);
	TEST(a_full_disk_leaves_the_guest_running);
	TEST(a_machine_may_go_while_it_is_saved);
	return g_test_run();
}
