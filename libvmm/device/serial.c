/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet).
 *
 * Theory.  Registers are worked by vCPU threads, input comes on the hub's
 * thread; one small lock protects everything.
 *
 * The transmitter takes no time: THR is empty whenever the guest looks, and
 * the "THR empty" cause comes back the moment a byte is written.
 *
 * The interrupt line is an edge.  `causes` is what was pending after the last
 * look; each cause that joins raises the line again.  Reading IIR shows the
 * first cause only, so when others wait behind it the line is raised once
 * more: a driver that deals with one cause per interrupt loses none.
 *
 * Input is the modem's: it sends while RTS is on.  Linux raises RTS when the
 * port is opened, after it has emptied the FIFOs; what is typed earlier waits
 * in the writer's socket.  A program that never touches MCR but polls for
 * input is served, too.
 */
#include "config.h"
#include "libvmm/device/serial.h"

#include <linux/serial_reg.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/device/device.h"
#include "libvmm/device/hub.h"
#include "libvmm/util/cleanup.h"

#define FIFO_BYTES 16
/* refilled from here on: one wake-up of the main loop for many bytes */
#define FIFO_LOW 4
#define MSR_LINE (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)	/* somebody is there */

enum cause {			/* bits of causes, in order of priority */
	CAUSE_LINE = 1,
	CAUSE_DATA = 2,
	CAUSE_THRE = 4,
	CAUSE_MODEM = 8,
};

struct serial {
	struct device dev;
	struct hub *hub;
	int irq_fd;

	pthread_mutex_t lock;	/* protects all below */
	uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
	uint8_t msr_delta;
	bool thre;		/* "THR empty" is not yet acknowledged */
	bool overrun;
	bool mcr_written;
	bool polled;
	bool stopped;		/* the machine stands still: the modem waits */
	uint8_t rx[FIFO_BYTES];
	unsigned rx_head;
	unsigned rx_n;
	unsigned causes;
};

/* --- interrupts --- */

static unsigned pending(const struct serial *s)
{
	unsigned causes = 0;

	if (s->ier & UART_IER_RLSI && s->overrun)
		causes |= CAUSE_LINE;
	if (s->ier & UART_IER_RDI && s->rx_n > 0)
		causes |= CAUSE_DATA;
	if (s->ier & UART_IER_THRI && s->thre)
		causes |= CAUSE_THRE;
	if (s->ier & UART_IER_MSI && s->msr_delta)
		causes |= CAUSE_MODEM;
	return causes;
}

static void raise_irq(struct serial *s)
{
	if (s->irq_fd >= 0)
		eventfd_write(s->irq_fd, 1);
}

static void update(struct serial *s)
{
	unsigned now = pending(s);

	if (now & ~s->causes)
		raise_irq(s);
	s->causes = now;
}

/* --- the receiver --- */

static bool fifo_on(const struct serial *s)
{
	return s->fcr & UART_FCR_ENABLE_FIFO;
}

static void rx_clear(struct serial *s)
{
	s->rx_n = s->rx_head = 0;
}

static void rx_push(struct serial *s, uint8_t byte)
{
	unsigned at = (s->rx_head + s->rx_n) % FIFO_BYTES;

	if (s->rx_n == (fifo_on(s) ? FIFO_BYTES : 1)) {
		s->overrun = true;
		return;
	}
	s->rx[at] = byte;
	s->rx_n++;
}

static uint8_t rx_pop(struct serial *s)
{
	uint8_t byte = s->rx[s->rx_head];

	if (s->rx_n == 0)
		return 0;
	s->rx_head = (s->rx_head + 1) % FIFO_BYTES;
	s->rx_n--;
	return byte;
}

/* Bytes that the modem may send now. */
static size_t rx_room(const struct serial *s)
{
	if (s->mcr & UART_MCR_LOOP || s->stopped)
		return 0;
	if (s->mcr_written ? !(s->mcr & UART_MCR_RTS) : !s->polled)
		return 0;
	if (!fifo_on(s))
		return s->rx_n == 0;
	return s->rx_n <= FIFO_LOW ? FIFO_BYTES - s->rx_n : 0;
}

static size_t serial_room(void *dev)
{
	struct serial *s = dev;
	size_t room;

	pthread_mutex_lock(&s->lock);
	room = rx_room(s);
	pthread_mutex_unlock(&s->lock);
	return room;
}

static void serial_input(void *dev, const uint8_t *data, size_t len)
{
	struct serial *s = dev;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < len; i++)
		rx_push(s, data[i]);
	update(s);
	pthread_mutex_unlock(&s->lock);
}

static const struct hub_ops serial_hub_ops = { .room = serial_room, .input = serial_input };

/* --- registers --- */

/* In loopback the modem's outputs are its inputs (data sheet, 8.7). */
static uint8_t modem_lines(const struct serial *s)
{
	if (!(s->mcr & UART_MCR_LOOP))
		return MSR_LINE;
	return (uint8_t)((s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
			 (s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
			 (s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
			 (s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

static void write_mcr(struct serial *s, uint8_t v)
{
	uint8_t before = modem_lines(s);

	s->mcr = v & 0x1f;
	s->mcr_written = true;
	uint8_t changed = before ^ modem_lines(s);
	/* RI counts only when it goes off: "trailing edge". */
	if (!(before & UART_MSR_RI))
		changed &= (uint8_t)~UART_MSR_RI;
	s->msr_delta |= changed >> 4;
}

static uint8_t read_msr(struct serial *s)
{
	uint8_t v = modem_lines(s) | s->msr_delta;

	s->msr_delta = 0;
	return v;
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t v = UART_LSR_THRE | UART_LSR_TEMT;

	if (s->rx_n > 0)
		v |= UART_LSR_DR;
	if (s->overrun)
		v |= UART_LSR_OE;
	s->overrun = false;
	s->polled = true;
	return v;
}

static uint8_t data_cause(const struct serial *s)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	if (!fifo_on(s) || s->rx_n >= trigger[s->fcr >> 6])
		return UART_IIR_RDI;
	return UART_IIR_RX_TIMEOUT;	/* the line is idle as soon as we have spoken */
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t fifo = fifo_on(s) ? 0xc0 : 0;
	unsigned causes = pending(s);
	unsigned shown = causes & -causes;

	if (shown == CAUSE_THRE)
		s->thre = false;
	if (causes & ~shown)
		raise_irq(s);
	switch (shown) {
	case CAUSE_LINE:
		return fifo | UART_IIR_RLSI;
	case CAUSE_DATA:
		return fifo | data_cause(s);
	case CAUSE_THRE:
		return fifo | UART_IIR_THRI;
	case CAUSE_MODEM:
		return fifo | UART_IIR_MSI;
	default:
		return fifo | UART_IIR_NO_INT;
	}
}

static void write_thr(struct serial *s, uint8_t byte)
{
	if (s->mcr & UART_MCR_LOOP)
		rx_push(s, byte);
	else if (s->hub)
		hub_put(s->hub, &byte, 1);
	s->thre = true;
}

static void write_ier(struct serial *s, uint8_t v)
{
	/* Enabled while THR is empty: interrupts at once.  Linux tests for just this. */
	if (v & UART_IER_THRI && !(s->ier & UART_IER_THRI))
		s->thre = true;
	s->ier = v & 0x0f;
}

static void write_fcr(struct serial *s, uint8_t v)
{
	/* Turning it on or off empties both (8.4). */
	if (v & UART_FCR_CLEAR_RCVR || (v ^ s->fcr) & UART_FCR_ENABLE_FIFO)
		rx_clear(s);
	s->fcr = v & UART_FCR_ENABLE_FIFO ? v & (0xc0 | UART_FCR_ENABLE_FIFO) : 0;
}

static uint8_t reg_read(struct serial *s, unsigned reg)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? s->dll : rx_pop(s);
	case UART_IER:
		return dlab ? s->dlm : s->ier;
	case UART_IIR:
		return read_iir(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return read_lsr(s);
	case UART_MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

static void reg_write(struct serial *s, unsigned reg, uint8_t v)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			s->dll = v;
		else
			write_thr(s, v);
		break;
	case UART_IER:
		if (dlab)
			s->dlm = v;
		else
			write_ier(s, v);
		break;
	case UART_FCR:
		write_fcr(s, v);
		break;
	case UART_LCR:
		s->lcr = v;
		break;
	case UART_MCR:
		write_mcr(s, v);
		break;
	case UART_SCR:
		s->scr = v;
		break;
	}
}

/* One access; the hub hears of room that it made. */
static uint8_t access_byte(struct serial *s, unsigned reg, bool write, uint8_t v)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	if (write)
		reg_write(s, reg, v);
	else
		v = reg_read(s, reg);
	update(s);
	room = rx_room(s) > 0;
	pthread_mutex_unlock(&s->lock);
	if (room && s->hub)
		hub_ready(s->hub);
	return v;
}

static void serial_read(void *dev, uint64_t off, void *data, unsigned len)
{
	uint8_t *bytes = data;

	for (unsigned i = 0; i < len; i++)
		bytes[i] = access_byte(dev, (unsigned)off + i, false, 0);
}

static void serial_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	const uint8_t *bytes = data;

	for (unsigned i = 0; i < len; i++)
		access_byte(dev, (unsigned)off + i, true, bytes[i]);
}

const struct bus_ops serial_ops = { .read = serial_read, .write = serial_write };

/* --- life --- */

static void serial_reset(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);

	pthread_mutex_lock(&s->lock);
	s->ier = s->lcr = s->mcr = s->scr = s->fcr = s->dlm = s->msr_delta = 0;
	s->dll = 12;	/* 9600 baud, as firmware leaves it */
	s->thre = s->overrun = s->mcr_written = s->polled = false;
	rx_clear(s);
	s->causes = 0;
	pthread_mutex_unlock(&s->lock);
}

static void stopped_set(struct device *dev, bool stopped)
{
	struct serial *s = container_of(dev, struct serial, dev);

	pthread_mutex_lock(&s->lock);
	s->stopped = stopped;
	pthread_mutex_unlock(&s->lock);
	if (!stopped && s->hub)
		hub_ready(s->hub);
}

static void serial_stop(struct device *dev)
{
	stopped_set(dev, true);
}

static void serial_start(struct device *dev)
{
	stopped_set(dev, false);
}

static void serial_save(struct device *dev, struct state_out *out)
{
	struct serial *s = container_of(dev, struct serial, dev);
	const uint8_t regs[] = { s->ier, s->lcr, s->mcr, s->scr, s->fcr, s->dll, s->dlm,
				 s->msr_delta };
	const uint8_t flags[] = { s->thre, s->overrun, s->mcr_written, s->polled };

	state_put(out, regs, sizeof(regs));
	state_put(out, flags, sizeof(flags));
	state_put_u32(out, s->rx_n);
	for (unsigned i = 0; i < s->rx_n; i++)
		state_put_u8(out, s->rx[(s->rx_head + i) % FIFO_BYTES]);
	state_put_u32(out, s->causes);
}

static void regs_load(struct serial *s, struct state_in *in)
{
	s->ier = state_get_u8(in) & 0x0f;
	s->lcr = state_get_u8(in);
	s->mcr = state_get_u8(in) & 0x1f;
	s->scr = state_get_u8(in);
	s->fcr = state_get_u8(in) & (0xc0 | UART_FCR_ENABLE_FIFO);
	s->dll = state_get_u8(in);
	s->dlm = state_get_u8(in);
	s->msr_delta = state_get_u8(in) & 0x0f;
	s->thre = state_get_bool(in);
	s->overrun = state_get_bool(in);
	s->mcr_written = state_get_bool(in);
	s->polled = state_get_bool(in);
}

static bool serial_load(struct device *dev, struct state_in *in, GError **error)
{
	struct serial *s = container_of(dev, struct serial, dev);
	unsigned n;

	pthread_mutex_lock(&s->lock);
	regs_load(s, in);
	rx_clear(s);
	n = state_get_max(in, FIFO_BYTES);
	for (unsigned i = 0; i < n; i++)
		s->rx[i] = state_get_u8(in);
	s->rx_n = n;
	s->causes = state_get_max(in, CAUSE_LINE | CAUSE_DATA | CAUSE_THRE | CAUSE_MODEM);
	/* The edge may have been on its way when the interrupt controller was saved. */
	if (s->causes)
		raise_irq(s);
	pthread_mutex_unlock(&s->lock);
	return state_done(in, error);
}

static void serial_free(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);

	if (s->hub)
		hub_set_device(s->hub, NULL, NULL);
	pthread_mutex_destroy(&s->lock);
	g_free((char *)s->dev.name);
	g_free(s);
}

static const struct device_ops serial_device_ops = {
	.start = serial_start,
	.stop = serial_stop,
	.reset = serial_reset,
	.save = serial_save,
	.load = serial_load,
	.free = serial_free,
};

struct serial *serial_new(const char *name, struct hub *hub, int irq_fd)
{
	struct serial *s = g_new0(struct serial, 1);

	s->dev = (struct device){ .ops = &serial_device_ops, .name = g_strdup(name) };
	s->hub = hub;
	s->irq_fd = irq_fd;
	pthread_mutex_init(&s->lock, NULL);
	serial_reset(&s->dev);
	if (hub)
		hub_set_device(hub, &serial_hub_ops, s);
	return s;
}

struct device *serial_device(struct serial *s)
{
	return &s->dev;
}
