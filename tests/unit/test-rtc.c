/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clock, and with it the small devices of the board: power, reset line, PCI ports. */
#include "config.h"
#include "libvmm/device/rtc.h"

#include <sys/eventfd.h>
#include <time.h>

#include "libvmm/device/device.h"
#include "libvmm/device/i8042.h"
#include "libvmm/device/pci-empty.h"
#include "libvmm/device/power.h"
#include "libvmm/util/cleanup.h"

#define SET 0x80
#define UIE 0x10
#define AIE 0x20
#define PIE 0x40
#define BINARY 0x04
#define H24 0x02

struct board {
	GMainContext *ctx;
	struct rtc *rtc;
	int irq_fd;
};

static void board_open_at(struct board *b, int64_t offset_s)
{
	struct rtc_opts opts = { .offset_s = offset_s, .owner = b->ctx, .irq_fd = b->irq_fd };

	b->rtc = rtc_new(&opts);
}

static void board_open(struct board *b, const void *arg)
{
	b->ctx = g_main_context_new();
	b->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	board_open_at(b, 0);
}

static void board_close(struct board *b, const void *arg)
{
	device_free(rtc_device(b->rtc));
	g_main_context_unref(b->ctx);
	fd_close(&b->irq_fd);
}

static uint8_t get(struct board *b, uint8_t reg)
{
	uint8_t v;

	rtc_ops.write(b->rtc, 0, &reg, 1);
	rtc_ops.read(b->rtc, 1, &v, 1);
	return v;
}

static void set(struct board *b, uint8_t reg, uint8_t v)
{
	rtc_ops.write(b->rtc, 0, &reg, 1);
	rtc_ops.write(b->rtc, 1, &v, 1);
}

static int bcd(uint8_t v)
{
	g_assert_cmpint(v & 0x0f, <=, 9);
	return (v >> 4) * 10 + (v & 0x0f);
}

/* Read as Linux does: seconds first. */
static time_t read_time(struct board *b)
{
	struct tm tm = { 0 };

	tm.tm_sec = bcd(get(b, 0));
	tm.tm_min = bcd(get(b, 2));
	tm.tm_hour = bcd(get(b, 4));
	tm.tm_mday = bcd(get(b, 7));
	tm.tm_mon = bcd(get(b, 8)) - 1;
	tm.tm_year = bcd(get(b, RTC_CENTURY)) * 100 + bcd(get(b, 9)) - 1900;
	return timegm(&tm);
}

static void the_time_is_the_hosts_in_bcd(struct board *b, const void *arg)
{
	g_assert_cmpint(get(b, 10) & 0x80, ==, 0);
	g_assert_cmpint(get(b, 11), ==, H24);
	g_assert_cmpint(get(b, 13), ==, 0x80);
	g_assert_cmpint(ABS(read_time(b) - time(NULL)), <=, 1);
}

static void an_offset_moves_it(struct board *b, const void *arg)
{
	device_free(rtc_device(b->rtc));
	board_open_at(b, -400 * 86400);
	g_assert_cmpint(ABS(read_time(b) + 400 * 86400 - time(NULL)), <=, 1);
}

static void the_nmi_bit_of_the_index_is_ignored(struct board *b, const void *arg)
{
	set(b, 0x80 | 0x40, 0x5a);
	g_assert_cmphex(get(b, 0x40), ==, 0x5a);
}

static void a_guest_sets_its_clock(struct board *b, const void *arg)
{
	static const uint8_t when[][2] = {
		{ 0, 0x56 }, { 2, 0x34 }, { 4, 0x12 }, { 7, 0x29 }, { 8, 0x02 }, { 9, 0x24 },
		{ RTC_CENTURY, 0x20 },
	};
	struct tm want = { .tm_sec = 56, .tm_min = 34, .tm_hour = 12, .tm_mday = 29, .tm_mon = 1,
			   .tm_year = 124 };

	set(b, 11, H24 | SET);
	for (size_t i = 0; i < G_N_ELEMENTS(when); i++)
		set(b, when[i][0], when[i][1]);
	g_assert_cmphex(get(b, 0), ==, 0x56);
	set(b, 11, H24);
	g_assert_cmpint(ABS(read_time(b) - timegm(&want)), <=, 1);
	g_assert_cmpint(get(b, 6), ==, 5);	/* a Thursday */
	g_assert_cmpint(ABS(rtc_offset_s(b->rtc) - (timegm(&want) - time(NULL))), <=, 1);
}

static void binary_and_twelve_hours_are_obeyed(struct board *b, const void *arg)
{
	static const struct {
		uint8_t hour24, bcd12;
	} hours[] = { { 0, 0x12 },  { 1, 0x01 },  { 11, 0x11 },
		      { 12, 0x92 }, { 13, 0x81 }, { 23, 0x91 } };

	set(b, 11, SET | H24 | BINARY);
	for (size_t i = 0; i < G_N_ELEMENTS(hours); i++) {
		set(b, 4, hours[i].hour24);
		g_assert_cmpint(get(b, 4), ==, hours[i].hour24);
		set(b, 11, SET);
		g_assert_cmphex(get(b, 4), ==, hours[i].bcd12);
		set(b, 4, hours[i].bcd12);
		set(b, 11, SET | H24 | BINARY);
		g_assert_cmpint(get(b, 4), ==, hours[i].hour24);
	}
}

static void nonsense_in_every_register_does_no_harm(struct board *b, const void *arg)
{
	for (unsigned v = 0; v < 256; v += 17)
		for (unsigned reg = 0; reg < 128; reg++) {
			set(b, (uint8_t)reg, (uint8_t)v);
			get(b, (uint8_t)(v & 0x7f));
		}
}

static void the_ram_keeps_what_is_written_over_a_reset(struct board *b, const void *arg)
{
	for (unsigned reg = 0x0e; reg < 0x80; reg++)
		if (reg != RTC_CENTURY)
			set(b, (uint8_t)reg, (uint8_t)(reg ^ 0x55));
	device_reset(rtc_device(b->rtc));
	for (unsigned reg = 0x0e; reg < 0x80; reg++)
		if (reg != RTC_CENTURY)
			g_assert_cmphex(get(b, (uint8_t)reg), ==, reg ^ 0x55);
}

static bool wait_irq(struct board *b)
{
	int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
	eventfd_t n;

	while (g_get_monotonic_time() < end) {
		if (eventfd_read(b->irq_fd, &n) == 0)
			return true;
		g_main_context_iteration(b->ctx, TRUE);
	}
	return false;
}

static void an_alarm_at_any_second_interrupts_until_it_is_read(struct board *b, const void *arg)
{
	set(b, 1, 0xc0);
	set(b, 3, 0xc0);
	set(b, 5, 0xc0);
	set(b, 11, H24 | AIE);
	g_assert_true(wait_irq(b));
	g_assert_cmphex(get(b, 12), ==, 0x80 | AIE | UIE);
	g_assert_cmphex(get(b, 12), ==, 0);
}

static void periodic_interrupts_tick(struct board *b, const void *arg)
{
	set(b, 10, 0x26);
	set(b, 11, H24 | PIE);
	for (int i = 0; i < 3; i++) {
		g_assert_true(wait_irq(b));
		g_assert_cmphex(get(b, 12) & (0x80 | PIE), ==, 0x80 | PIE);
	}
}

static void a_clock_at_rest_wakes_nobody(struct board *b, const void *arg)
{
	gint priority, timeout_ms;

	while (g_main_context_iteration(b->ctx, FALSE))
		;
	g_assert_true(g_main_context_acquire(b->ctx));
	g_main_context_prepare(b->ctx, &priority);
	g_main_context_query(b->ctx, priority, &timeout_ms, NULL, 0);
	g_main_context_release(b->ctx);
	g_assert_cmpint(timeout_ms, ==, -1);
}

/* --- power block --- */

static unsigned n_off, n_reset;

static void note_off(void *arg)
{
	n_off++;
}

static void note_reset(void *arg)
{
	n_reset++;
}

static void reg_write(struct power *p, unsigned reg, uint8_t v)
{
	power_ops.write(p, reg, &v, 1);
}

static uint8_t reg_read(struct power *p, unsigned reg)
{
	uint8_t v;

	power_ops.read(p, reg, &v, 1);
	return v;
}

static void the_power_block_tells_off_from_reset(struct board *b, const void *arg)
{
	struct power_calls calls = { note_off, note_reset, NULL };
	struct power *p = power_new(&calls, b->irq_fd);

	n_off = n_reset = 0;
	reg_write(p, POWER_SLEEP_STATUS, 0x80);
	reg_write(p, POWER_SLEEP_CONTROL, POWER_SLP_TYP_S5 << 2);
	reg_write(p, POWER_SLEEP_CONTROL, 0x20 | 3 << 2);
	reg_write(p, POWER_RESET, 0);
	g_assert_cmpuint(n_off + n_reset, ==, 0);
	reg_write(p, POWER_SLEEP_CONTROL, 0x20 | POWER_SLP_TYP_S5 << 2);
	g_assert_cmpuint(n_off, ==, 1);
	reg_write(p, POWER_RESET, POWER_RESET_VALUE);
	g_assert_cmpuint(n_reset, ==, 1);
	g_assert_cmphex(reg_read(p, POWER_SLEEP_STATUS), ==, 0);
	device_free(power_device(p));
}

static void the_button_is_read_once(struct board *b, const void *arg)
{
	struct power_calls calls = { note_off, note_reset, NULL };
	struct power *p = power_new(&calls, b->irq_fd);
	eventfd_t n = 0;

	power_press(p);
	g_assert_cmpint(eventfd_read(b->irq_fd, &n), ==, 0);
	g_assert_cmphex(reg_read(p, POWER_EVENTS), ==, POWER_EVENT_BUTTON);
	g_assert_cmphex(reg_read(p, POWER_EVENTS), ==, 0);
	power_press(p);
	device_reset(power_device(p));
	g_assert_cmphex(reg_read(p, POWER_EVENTS), ==, 0);
	device_free(power_device(p));
}

static void the_keyboard_controller_resets_and_is_no_keyboard(struct board *b, const void *arg)
{
	struct i8042 *k = i8042_new(note_reset, NULL);
	uint8_t v = 0xfe;

	n_reset = 0;
	i8042_ops.read(k, 0, &v, 1);
	g_assert_cmphex(v & 0x03, ==, 0x01);	/* output full, input empty */
	v = 0xaa;
	i8042_ops.write(k, 0, &v, 1);
	g_assert_cmpuint(n_reset, ==, 0);
	v = 0xfe;
	i8042_ops.write(k, 0, &v, 1);
	g_assert_cmpuint(n_reset, ==, 1);
	device_free(i8042_device(k));
}

static uint32_t pci_read(struct pci_empty *p, uint32_t address, unsigned port, unsigned len)
{
	uint32_t v = 0;

	pci_empty_ops.write(p, 0, &address, 4);
	pci_empty_ops.read(p, port, &v, len);
	return v;
}

static void the_pci_ports_show_a_bridge_and_nothing_else(struct board *b, const void *arg)
{
	struct pci_empty *p = pci_empty_new();
	uint8_t byte = 1;

	g_assert_cmphex(pci_read(p, 0x80000000, 0, 4), ==, 0x80000000);
	pci_empty_ops.write(p, 3, &byte, 1);	/* no address: Linux's probe of mechanism 2 */
	g_assert_cmphex(pci_read(p, 0x80000000, 0, 4), ==, 0x80000000);
	g_assert_cmphex(pci_read(p, 0x80000000, 4, 4), ==, 0x00081b36);
	g_assert_cmphex(pci_read(p, 0x80000008, 6, 2), ==, 0x0600);	/* a host bridge */
	g_assert_cmphex(pci_read(p, 0x800000fc, 7, 1), ==, 0);
	g_assert_cmphex(pci_read(p, 0x80000800, 4, 2), ==, 0xffff);
	g_assert_cmphex(pci_read(p, 0x80000100, 4, 2), ==, 0xffff);
	g_assert_cmphex(pci_read(p, 0x80010000, 4, 4), ==, 0xffffffff);
	g_assert_cmphex(pci_read(p, 0x00000000, 4, 4), ==, 0xffffffff);
	pci_read(p, 0x80000000, 4, 4);
	device_reset(pci_empty_device(p));
	pci_empty_ops.read(p, 4, &byte, 1);
	g_assert_cmphex(byte, ==, 0xff);
	device_free(pci_empty_device(p));
}

#define STORY(name) g_test_add("/rtc/" #name, struct board, NULL, board_open, name, board_close)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(the_time_is_the_hosts_in_bcd);
	STORY(an_offset_moves_it);
	STORY(the_nmi_bit_of_the_index_is_ignored);
	STORY(a_guest_sets_its_clock);
	STORY(binary_and_twelve_hours_are_obeyed);
	STORY(nonsense_in_every_register_does_no_harm);
	STORY(the_ram_keeps_what_is_written_over_a_reset);
	STORY(an_alarm_at_any_second_interrupts_until_it_is_read);
	STORY(periodic_interrupts_tick);
	STORY(a_clock_at_rest_wakes_nobody);
	STORY(the_power_block_tells_off_from_reset);
	STORY(the_button_is_read_once);
	STORY(the_keyboard_controller_resets_and_is_no_keyboard);
	STORY(the_pci_ports_show_a_bridge_and_nothing_else);
	return g_test_run();
}
