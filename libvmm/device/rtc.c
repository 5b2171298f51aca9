/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A MC146818 real-time clock.
 *
 * Theory.  There is no counter: the time is the host's plus offset_s, so it is
 * right after any pause.  "Update in progress" never shows, because a guest
 * that meets it polls (Linux: up to 20000 port reads).  What it protects from,
 * a time that changes between two of its registers, is done by a latch: reading
 * register A or the seconds takes a picture, and the others come from it while
 * it is fresh.
 *
 * Registers are worked by vCPU threads, the alarm runs on the owner's; a lock
 * protects all.  Whoever changes what the alarm depends on rings the GSource,
 * whose dispatch then works out when to be called next.
 */
#include "config.h"
#include "libvmm/device/rtc.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "libvmm/device/device.h"
#include "libvmm/util/cleanup.h"

enum {				/* registers */
	RTC_SECONDS = 0,
	RTC_SECONDS_ALARM = 1,
	RTC_MINUTES = 2,
	RTC_MINUTES_ALARM = 3,
	RTC_HOURS = 4,
	RTC_HOURS_ALARM = 5,
	RTC_DAY_OF_WEEK = 6,
	RTC_DAY_OF_MONTH = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_REG_A = 10,		/* divider, periodic rate, update in progress */
	RTC_REG_B = 11,		/* modes */
	RTC_REG_C = 12,		/* flags, cleared by reading */
	RTC_REG_D = 13,		/* bit 7: the battery is good */
};

#define RTC_REF_32KHZ 0x20	/* A */
#define RTC_SET 0x80		/* B */
#define RTC_PIE 0x40
#define RTC_AIE 0x20
#define RTC_UIE 0x10
#define RTC_SQWE 0x08
#define RTC_DM_BINARY 0x04
#define RTC_24H 0x02
#define RTC_IRQF 0x80		/* C; the others are at their enable bit's place in B */
#define RTC_PF 0x40
#define RTC_AF 0x20
#define RTC_UF 0x10
#define RTC_VRT 0x80		/* D */

#define RAM_BYTES 128
#define LATCH_US 50000
/* faster ones are run at this rate: a guest must not burn our loop */
#define PERIODIC_HZ_MAX 1024
/* Year 9999, for what a saved state says. */
#define TIME_MAX_S INT64_C(253402300799)
#define IRQ_FLAGS (RTC_PF | RTC_AF | RTC_UF)

struct rtc {
	struct device dev;
	bool localtime;
	int irq_fd;
	GSource *alarm;		/* NULL: no interrupt */

	pthread_mutex_t lock;	/* protects all below */
	bool stopped;		/* the machine stands still */
	uint8_t index;
	uint8_t ram[RAM_BYTES];	/* registers A to C and the alarm are here, too */
	int64_t offset_s;
	struct tm held;		/* while SET is on: the time being edited */
	struct tm latch;
	int64_t latch_us;	/* when it was taken; 0: never */
	int64_t alarm_seen_s;	/* seconds up to here have been looked at */
	int64_t periodic_us;	/* when it last ticked */
};

struct rtc_source {
	GSource base;
	struct rtc *rtc;
};

/* --- the time --- */

static int64_t now_s(const struct rtc *rtc)
{
	return g_get_real_time() / G_USEC_PER_SEC + rtc->offset_s;
}

/* The zone is applied once: a guest keeps its own summer time. */
static int64_t zone_s(void)
{
	time_t t = time(NULL);
	struct tm tm;

	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

static struct tm time_now(const struct rtc *rtc)
{
	time_t t = now_s(rtc);
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	return tm;
}

static bool is_set_mode(const struct rtc *rtc)
{
	return rtc->ram[RTC_REG_B] & RTC_SET;
}

static const struct tm *time_to_show(struct rtc *rtc, bool fresh)
{
	int64_t us = g_get_monotonic_time();

	if (is_set_mode(rtc))
		return &rtc->held;
	if (fresh || !rtc->latch_us || us - rtc->latch_us > LATCH_US) {
		rtc->latch = time_now(rtc);
		rtc->latch_us = us;
	}
	return &rtc->latch;
}

static void time_apply(struct rtc *rtc, struct tm tm)
{
	tm.tm_isdst = 0;
	rtc->offset_s = (int64_t)timegm(&tm) - g_get_real_time() / G_USEC_PER_SEC;
	rtc->latch_us = 0;
	rtc->alarm_seen_s = now_s(rtc);
}

/* --- the coding of registers: register B's DM (binary) and 24 hours --- */

static uint8_t encode(const struct rtc *rtc, int v)
{
	return (uint8_t)(rtc->ram[RTC_REG_B] & RTC_DM_BINARY ? v : (v / 10 % 10) << 4 | v % 10);
}

static int decode(const struct rtc *rtc, uint8_t v)
{
	return rtc->ram[RTC_REG_B] & RTC_DM_BINARY ? v : (v >> 4) * 10 + (v & 0x0f);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->ram[RTC_REG_B] & RTC_24H)
		return encode(rtc, hour);
	return encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0);
}

static int decode_hour(const struct rtc *rtc, uint8_t v)
{
	if (rtc->ram[RTC_REG_B] & RTC_24H)
		return decode(rtc, v);
	return decode(rtc, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

static uint8_t time_read(struct rtc *rtc, unsigned reg)
{
	const struct tm *tm = time_to_show(rtc, reg == RTC_SECONDS);

	switch (reg) {
	case RTC_SECONDS:
		return encode(rtc, MIN(tm->tm_sec, 59));
	case RTC_MINUTES:
		return encode(rtc, tm->tm_min);
	case RTC_HOURS:
		return encode_hour(rtc, tm->tm_hour);
	case RTC_DAY_OF_WEEK:
		return encode(rtc, tm->tm_wday + 1);
	case RTC_DAY_OF_MONTH:
		return encode(rtc, tm->tm_mday);
	case RTC_MONTH:
		return encode(rtc, tm->tm_mon + 1);
	case RTC_YEAR:
		return encode(rtc, tm->tm_year % 100);
	default:
		return encode(rtc, (tm->tm_year + 1900) / 100 % 100);
	}
}

static void time_write(struct rtc *rtc, unsigned reg, uint8_t v)
{
	struct tm tm = is_set_mode(rtc) ? rtc->held : time_now(rtc);
	int year = tm.tm_year + 1900;
	int n = decode(rtc, v);

	switch (reg) {
	case RTC_SECONDS:
		tm.tm_sec = n;
		break;
	case RTC_MINUTES:
		tm.tm_min = n;
		break;
	case RTC_HOURS:
		tm.tm_hour = decode_hour(rtc, v);
		break;
	case RTC_DAY_OF_MONTH:
		tm.tm_mday = n;
		break;
	case RTC_MONTH:
		tm.tm_mon = n - 1;
		break;
	case RTC_YEAR:
		tm.tm_year = year / 100 * 100 + n % 100 - 1900;
		break;
	case RTC_CENTURY:
		tm.tm_year = n * 100 + year % 100 - 1900;
		break;
	}
	if (is_set_mode(rtc))
		rtc->held = tm;
	else
		time_apply(rtc, tm);
}

static bool is_time(unsigned reg)
{
	return reg == RTC_CENTURY || (reg <= RTC_YEAR && (reg >= RTC_DAY_OF_WEEK || !(reg & 1)));
}

/* --- alarms --- */

/* 11xxxxxx in an alarm register matches everything. */
static bool alarm_part(uint8_t alarm, uint8_t now)
{
	return (alarm & 0xc0) == 0xc0 || alarm == now;
}

static bool alarm_matches(const struct rtc *rtc, int64_t at_s)
{
	time_t t = at_s;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	return alarm_part(rtc->ram[RTC_SECONDS_ALARM], encode(rtc, tm.tm_sec)) &&
	       alarm_part(rtc->ram[RTC_MINUTES_ALARM], encode(rtc, tm.tm_min)) &&
	       alarm_part(rtc->ram[RTC_HOURS_ALARM], encode_hour(rtc, tm.tm_hour));
}

static int64_t periodic_us(const struct rtc *rtc)
{
	unsigned rate = rtc->ram[RTC_REG_A] & 0x0f;

	if (!(rtc->ram[RTC_REG_B] & RTC_PIE) || rate == 0)
		return 0;
	if (rate < 3)
		rate += 7;	/* 1 and 2 are 256 and 128 Hz with a 32 kHz crystal */
	return G_USEC_PER_SEC / MIN(32768 >> (rate - 1), PERIODIC_HZ_MAX);
}

static bool is_ticking(const struct rtc *rtc)
{
	return rtc->ram[RTC_REG_B] & (RTC_AIE | RTC_UIE) && !is_set_mode(rtc);
}

/*
 * Flags are set whether or not they interrupt; the line goes up when the
 * first one that does comes.
 */
static void rtc_flag(struct rtc *rtc, uint8_t flags)
{
	uint8_t *c = &rtc->ram[RTC_REG_C];

	*c |= flags;
	if (*c & RTC_IRQF || !(*c & rtc->ram[RTC_REG_B] & IRQ_FLAGS))
		return;
	*c |= RTC_IRQF;
	if (rtc->irq_fd >= 0)
		eventfd_write(rtc->irq_fd, 1);
}

static void rtc_second(struct rtc *rtc)
{
	int64_t now = now_s(rtc);

	if (!is_ticking(rtc) || now <= rtc->alarm_seen_s)
		return;
	/* After a pause: one update, and one look at each second of at most a day. */
	for (int64_t s = MAX(rtc->alarm_seen_s + 1, now - 86400); s <= now; s++)
		if (alarm_matches(rtc, s)) {
			rtc_flag(rtc, RTC_AF);
			break;
		}
	rtc_flag(rtc, RTC_UF);
	rtc->alarm_seen_s = now;
}

static int64_t rtc_next_us(const struct rtc *rtc, int64_t now_us)
{
	int64_t next = -1, period = periodic_us(rtc);

	if (is_ticking(rtc))
		next = now_us + G_USEC_PER_SEC - g_get_real_time() % G_USEC_PER_SEC;
	if (period && (next < 0 || rtc->periodic_us + period < next))
		next = rtc->periodic_us + period;
	return next;
}

static gboolean rtc_alarm(GSource *source, GSourceFunc fn, void *arg)
{
	struct rtc *rtc = container_of(source, struct rtc_source, base)->rtc;
	int64_t now_us = g_get_monotonic_time();
	int64_t period;

	pthread_mutex_lock(&rtc->lock);
	if (rtc->stopped) {
		g_source_set_ready_time(source, -1);
		pthread_mutex_unlock(&rtc->lock);
		return G_SOURCE_CONTINUE;
	}
	rtc_second(rtc);
	period = periodic_us(rtc);
	if (period && now_us >= rtc->periodic_us + period) {
		rtc_flag(rtc, RTC_PF);
		rtc->periodic_us = now_us;
	}
	g_source_set_ready_time(source, rtc_next_us(rtc, now_us));
	pthread_mutex_unlock(&rtc->lock);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs rtc_source_funcs = { .dispatch = rtc_alarm };

static void alarm_ring(struct rtc *rtc)
{
	if (rtc->alarm)
		g_source_set_ready_time(rtc->alarm, 0);
}

/* --- registers --- */

static void write_b(struct rtc *rtc, uint8_t v)
{
	bool was_set = is_set_mode(rtc);
	bool was_ticking = is_ticking(rtc);

	if (v & RTC_SET && !was_set)
		rtc->held = time_now(rtc);
	rtc->ram[RTC_REG_B] = v;
	if (was_set && !(v & RTC_SET))
		time_apply(rtc, rtc->held);
	if (is_ticking(rtc) && !was_ticking)
		rtc->alarm_seen_s = now_s(rtc);
	rtc_flag(rtc, 0);
	alarm_ring(rtc);
}

static uint8_t reg_read(struct rtc *rtc, unsigned reg)
{
	uint8_t v = rtc->ram[reg];

	if (is_time(reg))
		return time_read(rtc, reg);
	if (reg == RTC_REG_A)
		time_to_show(rtc, true);
	if (reg == RTC_REG_C)
		rtc->ram[reg] = 0;
	return v;
}

static void reg_write(struct rtc *rtc, unsigned reg, uint8_t v)
{
	if (is_time(reg)) {
		time_write(rtc, reg, v);
	} else if (reg == RTC_REG_A) {
		rtc->ram[reg] = v & 0x7f;
		alarm_ring(rtc);
	} else if (reg == RTC_REG_B) {
		write_b(rtc, v);
	} else if (reg != RTC_REG_C && reg != RTC_REG_D) {
		rtc->ram[reg] = v;
	}
}

static void rtc_read(void *dev, uint64_t off, void *data, unsigned len)
{
	struct rtc *rtc = dev;
	uint8_t *bytes = data;

	pthread_mutex_lock(&rtc->lock);
	for (unsigned i = 0; i < len; i++)
		bytes[i] = off + i == 1 ? reg_read(rtc, rtc->index) : 0xff;
	pthread_mutex_unlock(&rtc->lock);
}

static void rtc_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct rtc *rtc = dev;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&rtc->lock);
	for (unsigned i = 0; i < len; i++) {
		if (off + i == 0)
			/* bit 7 masks NMIs, of which we have none */
			rtc->index = bytes[i] & 0x7f;
		else
			reg_write(rtc, rtc->index, bytes[i]);
	}
	pthread_mutex_unlock(&rtc->lock);
}

const struct bus_ops rtc_ops = { .read = rtc_read, .write = rtc_write };

/* --- life --- */

int64_t rtc_offset_s(struct rtc *rtc)
{
	int64_t offset_s;

	pthread_mutex_lock(&rtc->lock);
	offset_s = rtc->offset_s;
	pthread_mutex_unlock(&rtc->lock);
	return offset_s;
}

static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	pthread_mutex_lock(&rtc->lock);
	rtc->index = 0;
	rtc->ram[RTC_REG_B] &= (uint8_t)~(RTC_PIE | RTC_AIE | RTC_UIE | RTC_SQWE | RTC_SET);
	rtc->ram[RTC_REG_C] = 0;
	alarm_ring(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

/* No alarm while the machine stands still: its flags would come after they were saved. */
static void rtc_stop(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	pthread_mutex_lock(&rtc->lock);
	rtc->stopped = true;
	pthread_mutex_unlock(&rtc->lock);
}

static void rtc_start(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	pthread_mutex_lock(&rtc->lock);
	rtc->stopped = false;
	alarm_ring(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static void tm_put(struct state_out *out, const struct tm *tm)
{
	const int fields[] = { tm->tm_sec, tm->tm_min, tm->tm_hour, tm->tm_mday, tm->tm_mon,
			       tm->tm_year };

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		state_put_u32(out, (uint32_t)fields[i]);
}

/* Bounded, so that no arithmetic on them can overflow; timegm() makes sense of the rest. */
static struct tm tm_get(struct state_in *in)
{
	int f[6];

	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = (int)state_get_u32(in);
		in->bad |= f[i] < -10000 || f[i] > 10000;
	}
	return in->bad ? (struct tm){ .tm_mday = 1, .tm_year = 70 }
		       : (struct tm){ .tm_sec = f[0], .tm_min = f[1], .tm_hour = f[2],
				      .tm_mday = f[3], .tm_mon = f[4], .tm_year = f[5] };
}

static void rtc_save(struct device *dev, struct state_out *out)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	state_put_u8(out, rtc->index);
	state_put(out, rtc->ram, sizeof(rtc->ram));
	state_put_u64(out, (uint64_t)rtc->offset_s);
	state_put_u64(out, (uint64_t)rtc->alarm_seen_s);
	tm_put(out, &rtc->held);
}

static bool rtc_load(struct device *dev, struct state_in *in, GError **error)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	int64_t offset_s, seen_s;

	pthread_mutex_lock(&rtc->lock);
	rtc->index = state_get_u8(in) & 0x7f;
	state_get(in, rtc->ram, sizeof(rtc->ram));
	offset_s = (int64_t)state_get_u64(in);
	seen_s = (int64_t)state_get_u64(in);
	in->bad |= ABS(offset_s / 2) > TIME_MAX_S || ABS(seen_s / 2) > TIME_MAX_S;
	rtc->offset_s = in->bad ? 0 : offset_s;
	rtc->alarm_seen_s = in->bad ? 0 : seen_s;
	rtc->held = tm_get(in);
	rtc->ram[RTC_REG_D] = RTC_VRT;
	rtc->latch_us = 0;
	rtc->periodic_us = g_get_monotonic_time();
	if (rtc->ram[RTC_REG_C] & RTC_IRQF && rtc->irq_fd >= 0)
		eventfd_write(rtc->irq_fd, 1);
	pthread_mutex_unlock(&rtc->lock);
	return state_done(in, error);
}

static void rtc_free(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (rtc->alarm) {
		g_source_destroy(rtc->alarm);
		g_source_unref(rtc->alarm);
	}
	pthread_mutex_destroy(&rtc->lock);
	g_free(rtc);
}

static const struct device_ops rtc_device_ops = {
	.start = rtc_start,
	.stop = rtc_stop,
	.reset = rtc_reset,
	.save = rtc_save,
	.load = rtc_load,
	.free = rtc_free,
};

struct rtc *rtc_new(const struct rtc_opts *opts)
{
	struct rtc *rtc = g_new0(struct rtc, 1);

	rtc->dev = (struct device){ .ops = &rtc_device_ops, .name = "rtc" };
	rtc->irq_fd = opts->irq_fd;
	rtc->offset_s = opts->offset_s + (opts->localtime ? zone_s() : 0);
	rtc->ram[RTC_REG_A] = RTC_REF_32KHZ | 0x06;
	rtc->ram[RTC_REG_B] = RTC_24H;
	rtc->ram[RTC_REG_D] = RTC_VRT;
	pthread_mutex_init(&rtc->lock, NULL);
	if (opts->irq_fd >= 0) {
		rtc->alarm = g_source_new(&rtc_source_funcs, sizeof(struct rtc_source));
		container_of(rtc->alarm, struct rtc_source, base)->rtc = rtc;
		g_source_set_static_name(rtc->alarm, "rtc");
		g_source_attach(rtc->alarm, opts->owner);
	}
	return rtc;
}

struct device *rtc_device(struct rtc *rtc)
{
	return &rtc->dev;
}
