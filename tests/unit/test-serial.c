/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The UART as a driver sees it. */
#include "config.h"
#include "libvmm/device/serial.h"

#include <linux/serial_reg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "libvmm/device/device.h"
#include "libvmm/device/hub.h"
#include "libvmm/util/cleanup.h"

struct port {
	GMainContext *ctx;
	struct hub *hub;
	struct serial *s;
	int irq_fd;
	int line;		/* the far end */
};

static void port_open(struct port *p, const void *arg)
{
	p->ctx = g_main_context_new();
	p->hub = hub_new("serial0", p->ctx);
	p->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->s = serial_new("serial0", p->hub, p->irq_fd);
	p->line = hub_attach(p->hub, HUB_WRITE, "ann", 0, NULL, NULL);
}

static void port_close(struct port *p, const void *arg)
{
	device_free(serial_device(p->s));
	hub_free(p->hub);
	g_main_context_unref(p->ctx);
	fd_close(&p->irq_fd);
	fd_close(&p->line);
}

static void settle(struct port *p)
{
	for (int i = 0; i < 1000 && g_main_context_iteration(p->ctx, FALSE); i++)
		;
	g_assert_false(g_main_context_iteration(p->ctx, FALSE));
}

static uint8_t in(struct port *p, unsigned reg)
{
	uint8_t v;

	serial_ops.read(p->s, reg, &v, 1);
	return v;
}

static void out(struct port *p, unsigned reg, uint8_t v)
{
	serial_ops.write(p->s, reg, &v, 1);
}

/* Edges since the last call. */
static unsigned edges(struct port *p)
{
	eventfd_t n = 0;

	return eventfd_read(p->irq_fd, &n) < 0 ? 0 : (unsigned)n;
}

static void type(struct port *p, const char *text)
{
	g_assert_cmpint(send(p->line, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
	settle(p);
}

/* As Linux does when the port is opened. */
static void driver_open(struct port *p)
{
	out(p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	out(p, UART_LCR, UART_LCR_WLEN8);
	out(p, UART_IER, UART_IER_RDI | UART_IER_RLSI);
	out(p, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	in(p, UART_MSR);
	edges(p);
	settle(p);
}

/* What a driver takes until the FIFO is empty. */
static char *driver_read(struct port *p)
{
	GString *s = g_string_new(NULL);

	while (in(p, UART_LSR) & UART_LSR_DR)
		g_string_append_c(s, (char)in(p, UART_RX));
	settle(p);
	return g_string_free(s, FALSE);
}

static void the_probe_of_linux_finds_a_16550a(struct port *p, const void *arg)
{
	out(p, UART_IER, 0x0f);
	g_assert_cmphex(in(p, UART_IER), ==, 0x0f);
	out(p, UART_IER, 0x40);
	g_assert_cmphex(in(p, UART_IER), ==, 0);
	out(p, UART_MCR, UART_MCR_LOOP | 0x0a);
	g_assert_cmphex(in(p, UART_MSR) & 0xf0, ==, UART_MSR_DCD | UART_MSR_CTS);
	out(p, UART_MCR, 0);
	g_assert_cmphex(in(p, UART_IIR) >> 6, ==, 0);
	out(p, UART_FCR, UART_FCR_ENABLE_FIFO);
	g_assert_cmphex(in(p, UART_IIR) >> 6, ==, 3);
	out(p, UART_LCR, UART_LCR_DLAB);
	out(p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	g_assert_cmphex(in(p, UART_IIR) >> 5, ==, 6);
	out(p, UART_LCR, 0);
	out(p, UART_SCR, 0xa5);
	g_assert_cmphex(in(p, UART_SCR), ==, 0xa5);
}

static void the_divisor_hides_behind_dlab(struct port *p, const void *arg)
{
	out(p, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(p, UART_DLL, 1);
	out(p, UART_DLM, 2);
	g_assert_cmphex(in(p, UART_DLL), ==, 1);
	g_assert_cmphex(in(p, UART_DLM), ==, 2);
	out(p, UART_LCR, UART_LCR_WLEN8);
	g_assert_cmphex(in(p, UART_IER), ==, 0);
	g_assert_cmpuint(hub_total_bytes(p->hub), ==, 0);
}

static void what_is_sent_arrives_and_thr_is_always_empty(struct port *p, const void *arg)
{
	char buf[8] = "";

	for (const char *c = "hi\n"; *c; c++) {
		g_assert_cmphex(in(p, UART_LSR), ==, UART_LSR_THRE | UART_LSR_TEMT);
		out(p, UART_TX, (uint8_t)*c);
	}
	settle(p);
	g_assert_cmpint(recv(p->line, buf, sizeof(buf), MSG_DONTWAIT), ==, 3);
	g_assert_cmpstr(buf, ==, "hi\n");
}

static void enabling_thri_interrupts_each_time(struct port *p, const void *arg)
{
	for (int i = 0; i < 2; i++) {
		out(p, UART_IER, UART_IER_THRI);
		g_assert_cmpuint(edges(p), ==, 1);
		g_assert_cmphex(in(p, UART_IIR), ==, UART_IIR_THRI);
		g_assert_cmphex(in(p, UART_IIR), ==, UART_IIR_NO_INT);
		out(p, UART_IER, 0);
	}
}

static void a_burst_of_output_costs_one_edge(struct port *p, const void *arg)
{
	out(p, UART_IER, UART_IER_THRI);
	in(p, UART_IIR);
	edges(p);
	for (int i = 0; i < 16; i++)
		out(p, UART_TX, 'x');
	g_assert_cmpuint(edges(p), ==, 1);
	g_assert_cmphex(in(p, UART_IIR), ==, UART_IIR_THRI);
}

static void input_interrupts_and_is_read_in_order(struct port *p, const void *arg)
{
	g_autofree char *got = NULL;

	driver_open(p);
	type(p, "ls\n");
	g_assert_cmpuint(edges(p), ==, 1);
	g_assert_cmphex(in(p, UART_IIR), ==, 0xc0 | UART_IIR_RX_TIMEOUT);
	got = driver_read(p);
	g_assert_cmpstr(got, ==, "ls\n");
	g_assert_cmphex(in(p, UART_IIR), ==, 0xc0 | UART_IIR_NO_INT);
}

static void a_full_fifo_is_a_data_interrupt(struct port *p, const void *arg)
{
	driver_open(p);
	type(p, "0123456789");
	g_assert_cmphex(in(p, UART_IIR), ==, 0xc0 | UART_IIR_RDI);
}

static void a_long_paste_loses_nothing(struct port *p, const void *arg)
{
	g_autofree char *paste = g_strnfill(1000, 'p');
	g_autoptr(GString) got = g_string_new(NULL);

	driver_open(p);
	type(p, paste);
	while (edges(p) > 0) {
		g_autofree char *part = driver_read(p);

		g_string_append(got, part);
	}
	g_assert_cmpstr(got->str, ==, paste);
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_OE, ==, 0);
}

static void what_is_typed_before_the_port_is_open_waits(struct port *p, const void *arg)
{
	g_autofree char *got = NULL;

	out(p, UART_MCR, UART_MCR_LOOP | 0x0a);
	out(p, UART_MCR, 0);
	type(p, "root\n");
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_DR, ==, 0);
	driver_open(p);
	got = driver_read(p);
	g_assert_cmpstr(got, ==, "root\n");
}

static void a_program_that_only_polls_gets_input(struct port *p, const void *arg)
{
	type(p, "y");
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_DR, ==, 0);
	settle(p);
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_DR, ==, UART_LSR_DR);
	g_assert_cmpint(in(p, UART_RX), ==, 'y');
}

static void rts_off_holds_the_line(struct port *p, const void *arg)
{
	driver_open(p);
	out(p, UART_MCR, UART_MCR_DTR);
	type(p, "x");
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_DR, ==, 0);
	out(p, UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	settle(p);
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_DR, ==, UART_LSR_DR);
}

static void a_second_cause_raises_the_line_again_when_the_first_is_seen(struct port *p,
									 const void *arg)
{
	driver_open(p);
	out(p, UART_IER, UART_IER_RDI | UART_IER_THRI);
	type(p, "x");
	edges(p);
	g_assert_cmphex(in(p, UART_IIR), ==, 0xc0 | UART_IIR_RX_TIMEOUT);
	g_assert_cmpuint(edges(p), ==, 1);
	in(p, UART_RX);
	g_assert_cmphex(in(p, UART_IIR), ==, 0xc0 | UART_IIR_THRI);
	g_assert_cmpuint(edges(p), ==, 0);
}

static void input_that_comes_while_output_is_pending_interrupts(struct port *p, const void *arg)
{
	driver_open(p);
	out(p, UART_IER, UART_IER_RDI | UART_IER_THRI);
	edges(p);
	type(p, "x");
	g_assert_cmpuint(edges(p), ==, 1);
}

static void loopback_returns_what_is_sent(struct port *p, const void *arg)
{
	out(p, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(p, UART_MCR, UART_MCR_LOOP);
	out(p, UART_TX, 'a');
	g_assert_cmpint(in(p, UART_RX), ==, 'a');
	g_assert_cmpuint(hub_total_bytes(p->hub), ==, 0);
	for (int i = 0; i < 17; i++)
		out(p, UART_TX, (uint8_t)i);
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_OE, ==, UART_LSR_OE);
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_OE, ==, 0);
	g_assert_cmpint(in(p, UART_RX), ==, 0);
}

static void modem_lines_that_change_are_told_once(struct port *p, const void *arg)
{
	g_assert_cmphex(in(p, UART_MSR), ==, UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
	out(p, UART_IER, UART_IER_MSI);
	out(p, UART_MCR, UART_MCR_LOOP);
	g_assert_cmpuint(edges(p), ==, 1);
	g_assert_cmphex(in(p, UART_IIR), ==, UART_IIR_MSI);
	g_assert_cmphex(in(p, UART_MSR), ==, UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	g_assert_cmphex(in(p, UART_MSR), ==, 0);
	out(p, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	g_assert_cmphex(in(p, UART_MSR), ==, UART_MSR_RI);
	out(p, UART_MCR, UART_MCR_LOOP);
	g_assert_cmphex(in(p, UART_MSR), ==, UART_MSR_TERI);
}

static void without_a_fifo_one_byte_comes_at_a_time(struct port *p, const void *arg)
{
	g_autofree char *got = NULL;

	out(p, UART_MCR, UART_MCR_RTS);
	settle(p);
	type(p, "ab");
	g_assert_cmpint(in(p, UART_RX), ==, 'a');
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_DR, ==, 0);
	settle(p);
	got = driver_read(p);
	g_assert_cmpstr(got, ==, "b");
}

static void a_reset_forgets_the_driver(struct port *p, const void *arg)
{
	driver_open(p);
	type(p, "x");
	device_reset(serial_device(p->s));
	g_assert_cmphex(in(p, UART_IER), ==, 0);
	g_assert_cmphex(in(p, UART_MCR), ==, 0);
	g_assert_cmphex(in(p, UART_IIR), ==, UART_IIR_NO_INT);
	g_assert_cmphex(in(p, UART_LSR), ==, UART_LSR_THRE | UART_LSR_TEMT);
}

/* --- with a vCPU thread that floods and takes input on the way --- */

#define TYPED 2000

static void *vcpu(void *arg)
{
	struct port *p = arg;
	unsigned got = 0;

	for (unsigned i = 0; got < TYPED; i++) {
		out(p, UART_TX, 'o');
		in(p, UART_IIR);
		while (in(p, UART_LSR) & UART_LSR_DR)
			got += in(p, UART_RX) == 't';
		if (i % 64 == 0)
			g_thread_yield();
	}
	return NULL;
}

static void input_survives_a_flood_of_output(struct port *p, const void *arg)
{
	g_autofree char *text = g_strnfill(TYPED, 't');
	GThread *thread;
	uint64_t last;

	driver_open(p);
	g_assert_cmpint(send(p->line, text, TYPED, 0), ==, TYPED);
	thread = g_thread_new("vcpu", vcpu, p);
	do {
		struct hub_stats stats;

		g_main_context_iteration(p->ctx, FALSE);
		hub_stats(p->hub, &stats);
		last = stats.in_bytes;
	} while (last < TYPED);
	g_thread_join(thread);
	g_assert_cmphex(in(p, UART_LSR) & UART_LSR_OE, ==, 0);
}

#define STORY(name) g_test_add("/serial/" #name, struct port, NULL, port_open, name, port_close)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(the_probe_of_linux_finds_a_16550a);
	STORY(the_divisor_hides_behind_dlab);
	STORY(what_is_sent_arrives_and_thr_is_always_empty);
	STORY(enabling_thri_interrupts_each_time);
	STORY(a_burst_of_output_costs_one_edge);
	STORY(input_interrupts_and_is_read_in_order);
	STORY(a_full_fifo_is_a_data_interrupt);
	STORY(a_long_paste_loses_nothing);
	STORY(what_is_typed_before_the_port_is_open_waits);
	STORY(a_program_that_only_polls_gets_input);
	STORY(rts_off_holds_the_line);
	STORY(a_second_cause_raises_the_line_again_when_the_first_is_seen);
	STORY(input_that_comes_while_output_is_pending_interrupts);
	STORY(loopback_returns_what_is_sent);
	STORY(modem_lines_that_change_are_told_once);
	STORY(without_a_fifo_one_byte_comes_at_a_time);
	STORY(a_reset_forgets_the_driver);
	STORY(input_survives_a_flood_of_output);
	return g_test_run();
}
