/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tap interfaces in a network namespace of the test's own; skipped where that is not to be had. */
#include "config.h"
#include "libvmm/net/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static const char *why_not;

/* Whatever happens to interfaces here, the host does not see it. */
static void enter_namespace(void)
{
	auto_close int fd = -1;

	if (unshare(CLONE_NEWNET) < 0)
		why_not = "needs root for a network namespace";
	else if ((fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC)) < 0)
		why_not = "/dev/net/tun does not open";
}

static bool skipped(void)
{
	if (why_not)
		g_test_skip(why_not);
	return why_not;
}

struct card {
	unsigned readable;
};

static void on_readable(void *arg, unsigned queue)
{
	struct card *c = arg;

	c->readable++;
}

static const struct net_calls calls = { .readable = on_readable };

static struct net_backend *tap_up(const char *name, unsigned queues, char ret_name[IFNAMSIZ])
{
	struct tap_opts opts = { .ifname = name, .queues = queues };
	g_autoptr(GError) error = NULL;
	int fds[NET_QUEUES_MAX];
	struct net_backend *b;

	g_assert_true(tap_open(&opts, fds, ret_name, &error));
	b = tap_net_new(fds, queues, NULL, &error);
	g_assert_no_error(error);
	return b;
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5),
				 .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));

	g_assert_cmpint(bind(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	return fd;
}

static const uint8_t frame[12 + 60] = {
	[12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1, 2, 3, 0x88, 0xb5, 'h', 'i',
};

static void frames_pass_both_ways(void)
{
	char name[IFNAMSIZ];
	g_autoptr(net_backend) b = NULL;
	auto_close int far = -1;
	struct iovec v = { (void *)frame, sizeof(frame) };
	uint8_t got[2048];
	ssize_t n;

	if (skipped())
		return;
	b = tap_up("vnet%d", 1, name);
	g_assert_true(g_str_has_prefix(name, "vnet"));
	far = packet_socket(name);
	g_assert_cmpint(b->ops->send(b, 0, &v, 1), ==, 0);
	g_assert_cmpint(recv(far, got, sizeof(got), 0), ==, 60);
	g_assert_cmpmem(got, 60, frame + 12, 60);
	g_assert_cmpint(send(far, frame + 12, 60, 0), ==, 60);
	v = (struct iovec){ got, sizeof(got) };
	do
		n = b->ops->recv(b, 0, &v, 1);
	while (n > 0 && memcmp(got + 12 + 12, "\x88\xb5", 2));	/* the kernel says hello by IPv6 */
	g_assert_cmpint(n, ==, sizeof(frame));
}

static void readable_is_told_only_when_asked_for(void)
{
	struct card card = { 0 };
	char name[IFNAMSIZ];
	g_autoptr(net_backend) b = NULL;
	auto_close int far = -1;

	if (skipped())
		return;
	b = tap_up("vnet%d", 1, name);
	net_plug(b, &calls, &card);
	far = packet_socket(name);
	g_assert_cmpint(send(far, frame + 12, 60, 0), ==, 60);
	g_assert_false(g_main_context_iteration(NULL, FALSE));
	b->ops->want_read(b, 0, true);
	g_assert_true(g_main_context_iteration(NULL, TRUE));
	g_assert_cmpuint(card.readable, ==, 1);
}

static void it_offers_checksums_and_segmentation(void)
{
	char name[IFNAMSIZ];
	g_autoptr(net_backend) b = NULL;
	unsigned want = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6;

	if (skipped())
		return;
	b = tap_up("vnet%d", 1, name);
	g_assert_true(b->vnet_hdr);
	g_assert_cmphex(b->offload & want, ==, want);
	g_assert_cmpint(b->ops->set_offload(b, want), ==, 0);
	g_assert_cmpint(b->ops->set_offload(b, NET_OFFLOAD_TSO4), ==, 0);
	g_assert_cmpint(b->ops->set_offload(b, 0), ==, 0);
}

static void queues_come_and_go(void)
{
	char name[IFNAMSIZ];
	g_autoptr(net_backend) b = NULL;

	if (skipped())
		return;
	b = tap_up("many%d", 4, name);
	g_assert_cmpuint(b->queues, ==, 4);
	for (unsigned pairs = 1; pairs <= 4; pairs++)
		g_assert_cmpint(b->ops->set_queues(b, pairs), ==, 0);
	g_assert_cmpint(b->ops->set_queues(b, 1), ==, 0);
	for (int i = 0; i < 10; i++)
		g_assert_false(g_main_context_iteration(NULL, FALSE));
}

static void a_bridge_is_joined_with_its_mtu(void)
{
	struct tap_opts opts = { .ifname = "leg0", .queues = 1, .bridge = "br0" };
	auto_close int sock = -1, fd = -1;
	struct ifreq ifr = { 0 };
	g_autoptr(GError) error = NULL;
	char name[IFNAMSIZ];

	if (skipped())
		return;
	if (g_spawn_command_line_sync("ip link add br0 mtu 1400 type bridge", NULL, NULL, NULL,
				      NULL) &&
	    !if_nametoindex("br0")) {
		g_test_skip("this kernel makes no bridge");
		return;
	}
	g_assert_true(tap_open(&opts, &fd, name, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_test("/sys/class/net/lo", G_FILE_TEST_EXISTS));
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	g_strlcpy(ifr.ifr_name, name, IFNAMSIZ);
	g_assert_cmpint(ioctl(sock, SIOCGIFMTU, &ifr), ==, 0);
	g_assert_cmpint(ifr.ifr_mtu, ==, 1400);
}

static void a_bridge_that_is_not_there_leaves_nothing_behind(void)
{
	struct tap_opts opts = { .ifname = "orphan0", .queues = 2, .bridge = "nobr" };
	g_autoptr(GError) error = NULL;
	char name[IFNAMSIZ];
	int fds[2];

	if (skipped())
		return;
	g_assert_false(tap_open(&opts, fds, name, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
	g_assert_nonnull(strstr(error->message, "nobr"));
	g_assert_cmpuint(if_nametoindex("orphan0"), ==, 0);
}

static void an_interface_that_is_in_use_is_named(void)
{
	struct tap_opts opts = { .ifname = "busy0", .queues = 1 };
	g_autoptr(GError) error = NULL;
	g_autoptr(net_backend) b = NULL;
	char name[IFNAMSIZ];
	int fd;

	if (skipped())
		return;
	b = tap_up("busy0", 1, name);
	g_assert_false(tap_open(&opts, &fd, name, &error));
	g_assert_nonnull(strstr(error->message, "busy0"));
}

static void a_deleted_interface_does_not_spin(void)
{
	struct card card = { 0 };
	char name[IFNAMSIZ];
	g_autoptr(net_backend) b = NULL;

	if (skipped())
		return;
	b = tap_up("gone0", 1, name);
	net_plug(b, &calls, &card);
	b->ops->want_read(b, 0, true);
	if (!g_spawn_command_line_sync("ip link del gone0", NULL, NULL, NULL, NULL)) {
		g_test_skip("no ip(8)");
		return;
	}
	for (int i = 0; i < 10; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_false(g_main_context_iteration(NULL, FALSE));
	b->ops->want_read(b, 0, false);
	b->ops->want_read(b, 0, true);
}

static void what_is_no_tap_is_refused(void)
{
	g_autoptr(GError) error = NULL;
	auto_close int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	g_assert_null(tap_net_new(&fd, 1, NULL, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_SYSTEM);
}

static void too_long_a_name_is_refused(void)
{
	struct tap_opts opts = { .ifname = "sixteen-letters-", .queues = 1 };
	g_autoptr(GError) error = NULL;
	char name[IFNAMSIZ];
	int fd;

	g_assert_false(tap_open(&opts, &fd, name, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG);
}

#define TEST(f) g_test_add_func("/tap/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	enter_namespace();
	TEST(frames_pass_both_ways);
	TEST(readable_is_told_only_when_asked_for);
	TEST(it_offers_checksums_and_segmentation);
	TEST(queues_come_and_go);
	TEST(a_bridge_is_joined_with_its_mtu);
	TEST(a_bridge_that_is_not_there_leaves_nothing_behind);
	TEST(an_interface_that_is_in_use_is_named);
	TEST(a_deleted_interface_does_not_spin);
	TEST(what_is_no_tap_is_refused);
	TEST(too_long_a_name_is_refused);
	return g_test_run();
}
