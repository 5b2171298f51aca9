/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device core and MMIO transport, with a device that echoes. */
#include "config.h"
#include "libvmm/device/virtio.h"

#include <errno.h>
#include <glib.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/device/virtio-mmio.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/owner.h"
#include "virtio-driver.h"

#define ECHO_TYPE 42
#define ECHO_FEATURE 5
#define QUEUES 2
#define CONFIG_BYTES 12

struct echo {
	struct virtio_device vdev;
	struct iovec iov[8];
	unsigned n_activated, n_reset, n_kicks, n_started, n_config_writes;
	int activate_result;
	bool hold;			/* keep what comes until the reset */
	GThread *thread;		/* that ran the last op */
};

static struct echo *echo_of(struct virtio_device *dev)
{
	return container_of(dev, struct echo, vdev);
}

static int echo_activate(struct virtio_device *dev)
{
	struct echo *e = echo_of(dev);

	e->n_activated++;
	e->thread = g_thread_self();
	return e->activate_result;
}

static void echo_reset(struct virtio_device *dev)
{
	echo_of(dev)->n_reset++;
}

static void echo_kick(struct virtio_device *dev, unsigned queue)
{
	struct echo *e = echo_of(dev);
	struct virtqueue_chain c = { .iov = e->iov, .n_iov = G_N_ELEMENTS(e->iov) };
	uint8_t buf[64];

	e->n_kicks++;
	e->thread = g_thread_self();
	do {
		virtqueue_kicks_off(virtio_queue(dev, queue));
		while (virtio_pop(dev, queue, &c) > 0) {
			size_t n = chain_read(&c, 0, buf, sizeof(buf));

			if (!e->hold)
				virtqueue_push(virtio_queue(dev, queue), c.head,
					       chain_write(&c, 0, buf, n));
		}
	} while (virtqueue_kicks_on(virtio_queue(dev, queue)));
	virtio_notify(dev, queue);
}

static void echo_config_write(struct virtio_device *dev, size_t off, const void *data, size_t len)
{
	echo_of(dev)->n_config_writes++;
	virtio_config_store(dev, off, data, len);
}

static void echo_start(struct virtio_device *dev)
{
	echo_of(dev)->n_started++;
}

static void echo_free(struct virtio_device *dev)
{
	virtio_done(dev);
	g_free(echo_of(dev));
}

static const struct virtio_ops echo_ops = {
	.activate = echo_activate, .reset = echo_reset, .kick = echo_kick,
	.config_write = echo_config_write, .start = echo_start, .free = echo_free,
};

static struct driver *echo_driver(GMainContext *ctx, struct echo **ret)
{
	static const uint16_t sizes[QUEUES] = { 16, 32 };
	static const char config[CONFIG_BYTES] = "hello world";
	struct driver *d = driver_new(2);
	struct echo *e = g_new0(struct echo, 1);
	struct virtio_opts opts = {
		.ops = &echo_ops, .name = "echo", .type = ECHO_TYPE, .ctx = ctx, .mem = d->mem,
		.features = 1 << ECHO_FEATURE, .n_queues = QUEUES, .queue_sizes = sizes,
		.config = config, .config_bytes = sizeof(config),
	};

	g_assert_true(virtio_init(&e->vdev, &opts, NULL));
	driver_attach(d, &e->vdev);
	*ret = e;
	return d;
}

static void offer(struct driver *d, unsigned queue, const char *text)
{
	uint32_t len = strlen(text);
	uint64_t gpa = driver_alloc(d, 64);
	struct driver_buf bufs[] = { { gpa, len, false }, { gpa + 32, 32, true } };

	memcpy(driver_ptr(d, gpa), text, len);
	driver_add(d, queue, bufs, 2);
}

static void run_loop(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static void the_registers_say_what_it_is(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_MAGIC_VALUE), ==, 0x74726976);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_VERSION), ==, 2);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_DEVICE_ID), ==, ECHO_TYPE);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_SHM_LEN_LOW), ==, UINT32_MAX);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_SHM_BASE_HIGH), ==, UINT32_MAX);
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, 1);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 32);
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, 2);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 0);
	driver_free(d);
}

static void a_driver_and_its_device_find_each_other(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	uint32_t len, status;

	g_assert_true(driver_init(d, 1 << ECHO_FEATURE, 16));
	g_assert_cmpuint(e->n_activated, ==, 1);
	g_assert_true(virtio_has(&e->vdev, ECHO_FEATURE));
	offer(d, 1, "ping");
	driver_kick(d, 1);
	g_assert_true(driver_wait(d, 1, NULL, &len));
	g_assert_cmpuint(len, ==, 4);
	g_assert_cmpuint(driver_interrupts(d, &status), ==, 1);
	g_assert_cmpuint(status, ==, VIRTIO_MMIO_INT_VRING);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 0);
	driver_free(d);
}

static void a_notify_register_kicks_where_there_is_no_ioeventfd(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_init(d, 0, 16));
	offer(d, 0, "ping");
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, 2);
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	g_assert_true(driver_wait(d, 0, NULL, NULL));
	driver_free(d);
}

static void a_feature_that_was_not_offered_is_refused(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	driver_write(d, VIRTIO_MMIO_STATUS, 3);
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, 1 << (VIRTIO_F_VERSION_1 - 32) | 1 << 30);
	driver_write(d, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_STATUS), ==, 3);
	driver_free(d);
}

static void a_legacy_driver_is_refused(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_false(driver_negotiate(d, 1 << ECHO_FEATURE));
	driver_free(d);
}

static void features_are_settled_once(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_init(d, 0, 16));
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, 1 << ECHO_FEATURE);
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	g_assert_false(virtio_has(&e->vdev, ECHO_FEATURE));
	driver_free(d);
}

static void driver_ok_before_features_ok_breaks_it(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	uint32_t status;

	driver_write(d, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_DRIVER_OK);
	g_assert_true(driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	g_assert_cmpuint(driver_interrupts(d, &status), ==, 1);
	g_assert_cmpuint(status, ==, VIRTIO_MMIO_INT_CONFIG);
	g_assert_cmpuint(e->n_activated, ==, 0);
	g_assert_true(driver_init(d, 0, 16));
	driver_free(d);
}

static void a_queue_outside_of_memory_breaks_it(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_negotiate(d, UINT64_C(1) << VIRTIO_F_VERSION_1));
	driver_queue_setup(d, 0, 16);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 0);
	driver_write(d, VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(d, VIRTIO_MMIO_STATUS, 0xf);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_STATUS), ==, 0xf | VIRTIO_CONFIG_S_NEEDS_RESET);
	g_assert_cmpuint(e->n_activated, ==, 0);
	driver_free(d);
}

static void a_bad_chain_breaks_it_until_the_reset(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	struct driver_buf bad = { UINT64_MAX, 7, true };

	g_assert_true(driver_init(d, 0, 16));
	driver_add(d, 0, &bad, 1);
	driver_kick(d, 0);
	run_loop();
	g_assert_true(driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	g_assert_cmpuint(e->vdev.faults, ==, 1);
	unsigned kicks = e->n_kicks;
	driver_kick(d, 1);
	run_loop();
	g_assert_cmpuint(e->n_kicks, ==, kicks);
	g_assert_true(driver_init(d, 0, 16));
	offer(d, 1, "ping");
	driver_kick(d, 1);
	g_assert_true(driver_wait(d, 1, NULL, NULL));
	driver_free(d);
}

static void a_device_that_cannot_start_asks_for_a_reset(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	e->activate_result = -EIO;
	g_assert_false(driver_init(d, 0, 16));
	g_assert_true(virtio_is_broken(&e->vdev));
	g_assert_cmpuint(e->n_kicks, ==, 0);
	driver_free(d);
}

static void a_reset_forgets_queues_kicks_and_chains(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_init(d, 0, 16));
	e->hold = true;
	offer(d, 0, "ping");
	driver_kick(d, 0);
	run_loop();
	driver_kick(d, 0);
	unsigned resets = e->n_reset, kicks = e->n_kicks;
	driver_reset(d);
	g_assert_cmpuint(e->n_reset, ==, resets + 1);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_STATUS), ==, 0);
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, 0);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_QUEUE_READY), ==, 0);
	run_loop();
	g_assert_cmpuint(e->n_kicks, ==, kicks);
	driver_free(d);
}

static void a_kick_before_driver_ok_is_not_lost(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_negotiate(d, UINT64_C(1) << VIRTIO_F_VERSION_1));
	driver_queue_setup(d, 0, 16);
	offer(d, 0, "early");
	driver_kick(d, 0);
	run_loop();
	g_assert_cmpuint(e->n_kicks, ==, 0);
	driver_write(d, VIRTIO_MMIO_STATUS, 0xf);
	g_assert_true(driver_wait(d, 0, NULL, NULL));
	driver_free(d);
}

static void a_running_queue_keeps_its_registers(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_init(d, 0, 16));
	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, 0);
	for (unsigned reg = VIRTIO_MMIO_QUEUE_NUM; reg < VIRTIO_MMIO_CONFIG; reg += 4)
		if (reg != VIRTIO_MMIO_STATUS && reg != VIRTIO_MMIO_QUEUE_NOTIFY)
			driver_write(d, reg, 0);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_QUEUE_READY), ==, 1);
	offer(d, 0, "ping");
	driver_kick(d, 0);
	g_assert_true(driver_wait(d, 0, NULL, NULL));
	driver_free(d);
}

static void a_ready_queue_keeps_its_registers(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_negotiate(d, UINT64_C(1) << VIRTIO_F_VERSION_1));
	driver_queue_setup(d, 0, 16);
	driver_write(d, VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, 3);
	driver_write(d, VIRTIO_MMIO_STATUS, 0xf);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_STATUS), ==, 0xf);
	driver_free(d);
}

static void an_acknowledgement_clears_what_it_names(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_init(d, 0, 16));
	virtio_config_update(&e->vdev, 0, "x", 1);
	offer(d, 0, "ping");
	driver_kick(d, 0);
	run_loop();
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 3);
	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 0);
	driver_free(d);
}

static void an_acknowledgement_by_descriptor_clears_what_was_read(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	int ack_config = virtio_mmio_ack_fd(d->mmio, VIRTIO_MMIO_INT_CONFIG);

	g_assert_true(driver_init(d, 0, 16));
	virtio_config_update(&e->vdev, 0, "x", 1);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
	virtio_config_update(&e->vdev, 0, "y", 1);
	eventfd_write(ack_config, 1);	/* for the first; the second is still to be told */
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
	eventfd_write(ack_config, 1);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 0);
	eventfd_write(ack_config, 1);	/* for nothing: it does not outlive the next event */
	virtio_config_update(&e->vdev, 0, "z", 1);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
	driver_free(d);
}

static void the_driver_is_told_of_a_new_configuration(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	uint32_t status, generation = driver_read(d, VIRTIO_MMIO_CONFIG_GENERATION);
	char config[CONFIG_BYTES];

	virtio_config_update(&e->vdev, 0, "H", 1);
	g_assert_cmpuint(driver_interrupts(d, NULL), ==, 0);	/* 3.1.1: not before DRIVER_OK */
	g_assert_true(driver_init(d, 0, 16));
	virtio_config_update(&e->vdev, 6, "W", 1);
	g_assert_cmpuint(driver_interrupts(d, &status), ==, 1);
	g_assert_cmpuint(status, ==, VIRTIO_MMIO_INT_CONFIG);
	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_CONFIG_GENERATION), !=, generation);
	driver_config(d, 0, config, sizeof(config));
	g_assert_cmpstr(config, ==, "Hello World");
	driver_free(d);
}

static void configuration_is_read_in_any_width_and_ends(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	uint64_t v;

	virtio_mmio_bus_ops.read(d->mmio, VIRTIO_MMIO_CONFIG + 3, &v, 8);
	g_assert_cmpmem(&v, 8, "lo world", 8);
	virtio_mmio_bus_ops.read(d->mmio, VIRTIO_MMIO_CONFIG + 8, &v, 8);
	g_assert_cmpmem(&v, 8, "rld\0\0\0\0\0", 8);
	virtio_mmio_bus_ops.read(d->mmio, VIRTIO_MMIO_BYTES - 8, &v, 8);
	g_assert_cmphex(v, ==, 0);
	virtio_mmio_bus_ops.write(d->mmio, VIRTIO_MMIO_CONFIG + 8, &v, 8);
	virtio_mmio_bus_ops.write(d->mmio, VIRTIO_MMIO_BYTES - 8, &v, 8);
	g_assert_cmpuint(e->n_config_writes, ==, 0);
	virtio_mmio_bus_ops.write(d->mmio, VIRTIO_MMIO_CONFIG + 8, &v, 4);
	g_assert_cmpuint(e->n_config_writes, ==, 1);
	driver_free(d);
}

static void registers_have_one_width(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	static const uint8_t ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };

	for (unsigned off = 0; off < VIRTIO_MMIO_CONFIG; off++) {
		for (unsigned len = 1; len <= 8; len *= 2) {
			uint64_t v = 0;

			if ((len == 4 && !(off & 3)) || off + len > VIRTIO_MMIO_CONFIG)
				continue;
			virtio_mmio_bus_ops.read(d->mmio, off, &v, len);
			g_assert_cmphex(v, ==, 0);
			virtio_mmio_bus_ops.write(d->mmio, off, ones, len);
		}
	}
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_STATUS), ==, 0);
	driver_free(d);
}

static void nonsense_in_every_register_does_no_harm(void)
{
	static const uint32_t words[] = { UINT32_MAX, 1, 0x80000000, 0x7f, 0xf, 16, 0xffff, 0 };
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
			for (unsigned reg = 0; reg < VIRTIO_MMIO_CONFIG; reg += 4) {
				driver_write(d, reg, words[(i + reg / 4 * round) % 8]);
				driver_read(d, reg);
			}
		}
		run_loop();
	}
	g_assert_true(driver_init(d, 0, 16));
	offer(d, 0, "ping");
	driver_kick(d, 0);
	g_assert_true(driver_wait(d, 0, NULL, NULL));
	driver_free(d);
}

static void a_device_reset_is_a_power_on(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);

	g_assert_true(driver_init(d, 1 << ECHO_FEATURE, 16));
	device_start(virtio_mmio_device(d->mmio));
	g_assert_cmpuint(e->n_started, ==, 1);
	device_stop(virtio_mmio_device(d->mmio));
	virtio_broken(&e->vdev, "for the test");
	device_reset(virtio_mmio_device(d->mmio));
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_STATUS), ==, 0);
	g_assert_cmphex(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 0);
	g_assert_cmphex(e->vdev.negotiated, ==, 0);
	driver_free(d);
}

static void a_device_of_another_thread_is_only_touched_there(void)
{
	struct owner_thread *t = owner_thread_new("echo");
	struct echo *e;
	struct driver *d = echo_driver(owner_thread_context(t), &e);

	for (unsigned round = 0; round < 20; round++) {
		g_assert_true(driver_init(d, 0, 16));
		g_assert_true(e->thread != g_thread_self());
		for (unsigned i = 0; i < 4; i++) {
			offer(d, 1, "ping");
			driver_kick(d, 1);
		}
		if (round & 1)
			for (unsigned i = 0; i < 4; i++)
				g_assert_true(driver_wait(d, 1, NULL, NULL));
	}
	g_assert_true(e->thread != g_thread_self());
	driver_free(d);
	owner_thread_free(t);
}

static void a_busy_ring_needs_few_kicks_and_interrupts(void)
{
	struct echo *e;
	struct driver *d = echo_driver(NULL, &e);
	uint64_t features = UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX;

	g_assert_true(driver_init(d, features, 32));
	offer(d, 1, "one");
	g_assert_true(driver_kick_wanted(d, 1));
	offer(d, 1, "two");
	g_assert_false(driver_kick_wanted(d, 1));
	driver_kick(d, 1);
	run_loop();
	g_assert_cmpuint(driver_interrupts(d, NULL), ==, 1);
	offer(d, 1, "three");
	g_assert_true(driver_kick_wanted(d, 1));
	driver_kick(d, 1);
	run_loop();
	g_assert_cmpuint(driver_interrupts(d, NULL), ==, 0);	/* used_event is still 0 */
	driver_free(d);
}

#define TEST(f) g_test_add_func("/virtio/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(the_registers_say_what_it_is);
	TEST(a_driver_and_its_device_find_each_other);
	TEST(a_notify_register_kicks_where_there_is_no_ioeventfd);
	TEST(a_feature_that_was_not_offered_is_refused);
	TEST(a_legacy_driver_is_refused);
	TEST(features_are_settled_once);
	TEST(driver_ok_before_features_ok_breaks_it);
	TEST(a_queue_outside_of_memory_breaks_it);
	TEST(a_bad_chain_breaks_it_until_the_reset);
	TEST(a_device_that_cannot_start_asks_for_a_reset);
	TEST(a_reset_forgets_queues_kicks_and_chains);
	TEST(a_kick_before_driver_ok_is_not_lost);
	TEST(a_running_queue_keeps_its_registers);
	TEST(a_ready_queue_keeps_its_registers);
	TEST(an_acknowledgement_clears_what_it_names);
	TEST(an_acknowledgement_by_descriptor_clears_what_was_read);
	TEST(the_driver_is_told_of_a_new_configuration);
	TEST(configuration_is_read_in_any_width_and_ends);
	TEST(registers_have_one_width);
	TEST(nonsense_in_every_register_does_no_harm);
	TEST(a_device_reset_is_a_power_on);
	TEST(a_device_of_another_thread_is_only_touched_there);
	TEST(a_busy_ring_needs_few_kicks_and_interrupts);
	return g_test_run();
}
