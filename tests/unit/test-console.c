/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-console as its driver sees it: ports, control messages, input that waits for buffers. */
#include "config.h"
#include "libvmm/device/console.h"

#include <glib.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/device/hub.h"
#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "virtio-driver.h"

#define MULTIPORT (UINT64_C(1) << VIRTIO_CONSOLE_F_MULTIPORT)
#define AGENT "org.qemu.guest_agent.0"

struct guest {
	struct driver *d;
	struct virtio_device *dev;
	struct hub *console;
	struct hub *agent;
	unsigned opened, closed;
};

static void note_state(void *opaque, unsigned port, bool open)
{
	struct guest *g = opaque;

	*(open ? &g->opened : &g->closed) += 1 + port * 100;
}

static void guest_open(struct guest *g, const void *arg)
{
	struct console_port ports[2];
	struct console_opts opts = { .name = "virtio-serial0", .ports = ports, .n_ports = 2,
				     .on_state = note_state, .opaque = g };

	g->d = driver_new(4);
	g->console = hub_new("console0", NULL);
	g->agent = hub_new("channel0", NULL);
	ports[0] = (struct console_port){ .hub = g->console };
	ports[1] = (struct console_port){ .channel = AGENT, .hub = g->agent };
	g->dev = console_new(&opts, g->d->mem, NULL, NULL);
	driver_attach(g->d, g->dev);
}

static void guest_close(struct guest *g, const void *arg)
{
	driver_free(g->d);
	hub_free(g->console);
	hub_free(g->agent);
}

static void settle(void)
{
	for (int i = 0; i < 1000 && g_main_context_iteration(NULL, FALSE); i++)
		;
	g_assert_false(g_main_context_iteration(NULL, FALSE));
}

static uint64_t give(struct guest *g, unsigned queue, uint32_t len)
{
	struct driver_buf buf = { driver_alloc(g->d, len), len, true };

	driver_add(g->d, queue, &buf, 1);
	return buf.gpa;
}

static void send_bytes(struct guest *g, unsigned queue, const void *data, uint32_t len)
{
	struct driver_buf buf = { driver_alloc(g->d, len), len, false };

	memcpy(driver_ptr(g->d, buf.gpa), data, len);
	driver_add(g->d, queue, &buf, 1);
	driver_kick(g->d, queue);
	settle();
	while (driver_used(g->d, queue, NULL, NULL))
		;
}

static void control(struct guest *g, uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control msg = { id, event, value };

	send_bytes(g, 3, &msg, sizeof(msg));
}

/* "EVENT(ID)=VALUE tail": what the device says next, in a buffer given for it. */
static char *hear(struct guest *g)
{
	uint64_t gpa = give(g, 2, 64);
	struct virtio_console_control msg;
	uint32_t len;

	driver_kick(g->d, 2);
	settle();
	if (!driver_used(g->d, 2, NULL, &len))
		return NULL;
	g_assert_cmpuint(len, >=, sizeof(msg));
	memcpy(&msg, driver_ptr(g->d, gpa), sizeof(msg));
	return g_strdup_printf("%u(%u)=%u %.*s", msg.event, msg.id, msg.value,
			       (int)(len - sizeof(msg)),
			       (char *)driver_ptr(g->d, gpa) + sizeof(msg));
}

static void expect(struct guest *g, const char *want)
{
	g_autofree char *got = hear(g);

	g_assert_cmpstr(got, ==, want);
}

/* Both ports are there and open, as Linux with a getty and an agent has them. */
static void boot(struct guest *g)
{
	g_assert_true(driver_init(g->d, MULTIPORT, 16));
	control(g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned id = 0; id < 2; id++) {
		control(g, id, VIRTIO_CONSOLE_PORT_READY, 1);
		control(g, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
}

static void a_driver_is_told_of_its_ports(struct guest *g, const void *arg)
{
	g_assert_true(driver_init(g->d, MULTIPORT, 16));
	control(g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(g, "1(0)=0 ");
	expect(g, "1(1)=0 ");
	control(g, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(g, "4(0)=1 ");
	expect(g, "6(0)=1 ");
	control(g, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(g, "7(1)=0 " AGENT);
	expect(g, "6(1)=1 ");
}

static void the_number_of_ports_is_in_the_configuration(struct guest *g, const void *arg)
{
	struct virtio_console_config config;

	driver_config(g->d, 0, &config, sizeof(config));
	g_assert_cmpuint(config.max_nr_ports, ==, 2);
}

static void output_of_each_port_goes_to_its_hub(struct guest *g, const void *arg)
{
	boot(g);
	send_bytes(g, 1, "login: ", 7);
	send_bytes(g, 5, "{}", 2);
	g_assert_cmpuint(hub_total_bytes(g->console), ==, 7);
	g_assert_cmpuint(hub_total_bytes(g->agent), ==, 2);
}

static void a_flood_of_output_needs_no_reader(struct guest *g, const void *arg)
{
	struct driver_buf buf = { driver_alloc(g->d, 65536), 65536, false };

	boot(g);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 16; i++)
			driver_add(g->d, 1, &buf, 1);
		driver_kick(g->d, 1);
		for (unsigned i = 0; i < 16; i++)
			g_assert_true(driver_wait(g->d, 1, NULL, NULL));
	}
	g_assert_cmpuint(hub_total_bytes(g->console), ==, 20 * 16 * 65536);
}

static void input_waits_for_open_port_and_buffers(struct guest *g, const void *arg)
{
	auto_close int fd = hub_attach(g->console, HUB_WRITE, "ann", 0, NULL, NULL);
	uint64_t gpa;
	uint32_t len;

	g_assert_true(driver_init(g->d, MULTIPORT, 16));
	gpa = give(g, 0, 4);
	driver_kick(g->d, 0);
	g_assert_cmpint(send(fd, "reboot", 6, 0), ==, 6);
	settle();
	g_assert_false(driver_used(g->d, 0, NULL, NULL));
	control(g, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	settle();
	g_assert_true(driver_used(g->d, 0, NULL, &len));
	g_assert_cmpmem(driver_ptr(g->d, gpa), len, "rebo", 4);
	gpa = give(g, 0, 4);
	driver_kick(g->d, 0);
	settle();
	g_assert_true(driver_used(g->d, 0, NULL, &len));
	g_assert_cmpmem(driver_ptr(g->d, gpa), len, "ot", 2);
}

static void the_state_of_a_channel_is_known(struct guest *g, const void *arg)
{
	boot(g);
	g_assert_true(console_port_is_open(g->dev, 1));
	g_assert_cmpuint(g->opened, ==, 102);
	control(g, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	g_assert_false(console_port_is_open(g->dev, 1));
	g_assert_cmpuint(g->closed, ==, 101);
	driver_reset(g->d);
	g_assert_false(console_port_is_open(g->dev, 0));
}

static void without_multiport_there_is_one_open_console(struct guest *g, const void *arg)
{
	auto_close int fd = hub_attach(g->console, HUB_WRITE, "ann", 0, NULL, NULL);
	uint64_t gpa;
	uint32_t len;

	g_assert_true(driver_init(g->d, 0, 16));
	gpa = give(g, 0, 16);
	driver_kick(g->d, 0);
	g_assert_cmpint(send(fd, "hi", 2, 0), ==, 2);
	settle();
	g_assert_true(driver_used(g->d, 0, NULL, &len));
	g_assert_cmpmem(driver_ptr(g->d, gpa), len, "hi", 2);
	send_bytes(g, 1, "out", 3);
	g_assert_cmpuint(hub_total_bytes(g->console), ==, 3);
}

static void a_new_window_size_is_told_rows_first(struct guest *g, const void *arg)
{
	struct virtio_console_config config;
	uint64_t gpa;
	uint32_t len;

	boot(g);
	for (unsigned i = 0; i < 6; i++)
		g_free(hear(g));
	gpa = give(g, 2, 64);
	driver_kick(g->d, 2);
	hub_resize(g->console, 132, 43);
	settle();
	g_assert_true(driver_used(g->d, 2, NULL, &len));
	g_assert_cmpmem(driver_ptr(g->d, gpa), len,
			"\0\0\0\0" "\5\0" "\0\0" "\x2b\0" "\x84\0", 12);
	driver_config(g->d, 0, &config, sizeof(config));
	g_assert_cmpuint(config.cols, ==, 132);
	g_assert_cmpuint(config.rows, ==, 43);
}

static void hostile_control_messages_are_bounded(struct guest *g, const void *arg)
{
	unsigned heard = 0;
	char *text;

	g_assert_true(driver_init(g->d, MULTIPORT, 16));
	for (unsigned i = 0; i < 200; i++) {
		control(g, i % 3, (uint16_t)(i % 9), 1);
		control(g, 0xffffffff, VIRTIO_CONSOLE_PORT_READY, 1);
		send_bytes(g, 3, "abc", 3);
	}
	while ((text = hear(g))) {
		g_free(text);
		heard++;
	}
	g_assert_cmpuint(heard, <=, 10);
	g_assert_false(virtio_is_broken(g->dev));
}

static void a_control_buffer_that_is_too_short_breaks_the_device(struct guest *g, const void *arg)
{
	g_assert_true(driver_init(g->d, MULTIPORT, 16));
	give(g, 2, 4);
	driver_kick(g->d, 2);
	control(g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	g_assert_true(virtio_is_broken(g->dev));
	g_assert_true(driver_init(g->d, MULTIPORT, 16));
	g_assert_false(virtio_is_broken(g->dev));
}

static void a_lone_channel_leaves_port_0_free(void)
{
	struct driver *d = driver_new(2);
	struct hub *hub = hub_new("channel0", NULL);
	struct console_port port = { .channel = AGENT, .hub = hub };
	struct console_opts opts = { .name = "virtio-serial0", .ports = &port, .n_ports = 1 };
	struct guest g = { .d = d, .dev = console_new(&opts, d->mem, NULL, NULL) };

	driver_attach(d, g.dev);
	g_assert_true(driver_init(d, MULTIPORT, 16));
	control(&g, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(&g, "1(1)=0 ");
	send_bytes(&g, 1, "lost", 4);
	send_bytes(&g, 5, "kept", 4);
	g_assert_cmpuint(hub_total_bytes(hub), ==, 4);
	driver_free(d);
	hub_free(hub);
}

static void too_long_a_name_is_refused(void)
{
	g_autofree char *name = g_strnfill(CONSOLE_NAME_MAX + 1, 'n');
	struct console_port port = { .channel = name };
	struct console_opts opts = { .name = "virtio-serial0", .ports = &port, .n_ports = 1 };
	g_autoptr(GError) error = NULL;

	g_assert_null(console_new(&opts, NULL, NULL, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_CONFIG_UNSUPPORTED);
}

#define STORY(name) g_test_add("/console/" #name, struct guest, NULL, guest_open, name, guest_close)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(a_driver_is_told_of_its_ports);
	STORY(the_number_of_ports_is_in_the_configuration);
	STORY(output_of_each_port_goes_to_its_hub);
	STORY(a_flood_of_output_needs_no_reader);
	STORY(input_waits_for_open_port_and_buffers);
	STORY(the_state_of_a_channel_is_known);
	STORY(without_multiport_there_is_one_open_console);
	STORY(a_new_window_size_is_told_rows_first);
	STORY(hostile_control_messages_are_bounded);
	STORY(a_control_buffer_that_is_too_short_breaks_the_device);
	g_test_add_func("/console/a_lone_channel_leaves_port_0_free",
			a_lone_channel_leaves_port_0_free);
	g_test_add_func("/console/too_long_a_name_is_refused", too_long_a_name_is_refused);
	return g_test_run();
}
