/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that uses its disks as it is told on COM1, for tests of vmmd and the
 * worker on any KVM.  Like echo.S it sleeps between two bytes of input, and
 * begins anew on each wake, for want of an iret in some software KVMs.  Lines:
 *
 *	w DISK FIRST N SEED	write N blocks of 4 KiB
 *	r DISK FIRST N SEED	read them, and they are what w wrote
 *	z DISK FIRST N		write zeroes, as data
 *	n DISK FIRST N		read them, and they are zeroes
 *	f DISK			flush
 *	c DISK			how many blocks there are
 *	e NUMBER		say that number
 *	u DISK SEED		use memory and disk until something is typed: what it
 *				finds is what it wrote, and what the disk wrote for it
 *
 * Answers "ok NUMBER" or "bad NUMBER": of the block where it went wrong.
 */
#include <stdbool.h>
#include <stdint.h>

/* 32-bit code in a 64-bit file: that is what a PVH kernel begins as. */
__asm__(".code32");

#define MMIO 0xd0000000u
#define COM1 0x3f8
#define LAPIC_EOI (*(volatile uint32_t *)0xfee000b0u)
#define DISKS_MAX 4
#define BLOCK_BYTES 4096
#define ANSWER_NONE 0xee
#define PAGE_WORDS 1024
/* Pages that the processor writes, and pages that only the disk writes. */
#define OURS ((uint32_t *)0x400000)
#define OURS_PAGES 1024
#define THEIRS ((uint32_t *)0x800000)
#define THEIRS_PAGES 256
#define THEIR_BLOCKS 16

enum { DEVICE_ID = 0x8, FEATURES_SEL = 0x24, FEATURES = 0x20, QUEUE_SEL = 0x30, QUEUE_NUM = 0x38,
       QUEUE_READY = 0x44, NOTIFY = 0x50, STATUS = 0x70, QUEUE_DESC = 0x80, QUEUE_AVAIL = 0x90,
       QUEUE_USED = 0xa0, CONFIG = 0x100 };
enum { OP_IN = 0, OP_OUT = 1, OP_FLUSH = 4 };
enum { MORE = 1, DEVICE_WRITES = 2 };

struct desc {
	uint64_t at;
	uint32_t bytes;
	uint16_t flags, next;
};

struct disk {
	struct desc desc[4];
	volatile uint16_t avail[2 + 4];
	volatile uint32_t used[1 + 2 * 4];
	volatile uint32_t head[4];
	volatile uint8_t status;
	uint32_t base;
	uint16_t n;
} __attribute__((aligned(64)));

static struct disk disks[DISKS_MAX];
static unsigned n_disks, line_bytes;
static char line[80];
static uint32_t buffer[BLOCK_BYTES / 4] __attribute__((aligned(4096)));
static uint32_t *data = buffer;		/* of the request */

void entry(void);
void serve(void);

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	for (; *text; text++)
		outb(COM1, *text);
}

static void say_number(const char *text, uint32_t n)
{
	char digits[12];
	unsigned at = sizeof(digits);

	digits[--at] = 0;
	digits[--at] = '\n';
	do {
		digits[--at] = '0' + n % 10;
		n /= 10;
	} while (n);
	say(text);
	say(digits + at);
}

static volatile uint32_t *reg(const struct disk *d, unsigned at)
{
	return (volatile uint32_t *)(d->base + at);
}

static void disk_init(struct disk *d, uint32_t base)
{
	d->base = base;
	*reg(d, STATUS) = 3;
	*reg(d, FEATURES_SEL) = 0;
	*reg(d, FEATURES) = 1u << 9;		/* flush */
	*reg(d, FEATURES_SEL) = 1;
	*reg(d, FEATURES) = 1;			/* version 1 */
	*reg(d, STATUS) = 11;
	*reg(d, QUEUE_SEL) = 0;
	*reg(d, QUEUE_NUM) = 4;
	*reg(d, QUEUE_DESC) = (uint32_t)d->desc;
	*reg(d, QUEUE_AVAIL) = (uint32_t)d->avail;
	*reg(d, QUEUE_USED) = (uint32_t)d->used;
	*reg(d, QUEUE_READY) = 1;
	*reg(d, STATUS) = 15;
}

/* One request, waited for. */
static bool disk_do(struct disk *d, uint32_t op, uint32_t block)
{
	unsigned n = 0;

	d->head[0] = op;
	d->head[1] = 0;
	d->head[2] = block * (BLOCK_BYTES / 512);
	d->head[3] = 0;
	d->status = ANSWER_NONE;
	d->desc[n] = (struct desc){ (uint32_t)d->head, 16, MORE, n + 1 };
	n++;
	if (op != OP_FLUSH) {
		d->desc[n] = (struct desc){ (uint32_t)data, BLOCK_BYTES,
					    op == OP_IN ? MORE | DEVICE_WRITES : MORE, n + 1 };
		n++;
	}
	d->desc[n] = (struct desc){ (uint32_t)&d->status, 1, DEVICE_WRITES, 0 };
	d->avail[2 + d->n % 4] = 0;
	d->n++;
	__asm__ volatile("" : : : "memory");
	d->avail[1] = d->n;
	*reg(d, NOTIFY) = 0;
	while ((uint16_t)(d->used[0] >> 16) != d->n)
		__asm__ volatile("pause");
	return d->status == 0;
}

static void fill(char op, uint32_t block, uint32_t seed)
{
	for (unsigned i = 0; i < BLOCK_BYTES / 4; i++)
		data[i] = op == 'w' ? seed + block * 1024 + i : 0;
}

static bool is_filled(char op, uint32_t block, uint32_t seed)
{
	for (unsigned i = 0; i < BLOCK_BYTES / 4; i++)
		if (data[i] != (op == 'r' ? seed + block * 1024 + i : 0))
			return false;
	return true;
}

static bool memory_round(uint32_t n, uint32_t seed)
{
	uint32_t *page = OURS + n % OURS_PAGES * PAGE_WORDS;

	if (n >= OURS_PAGES &&
	    (page[0] != seed + n - OURS_PAGES || page[PAGE_WORDS - 1] != page[0]))
		return false;
	page[0] = page[PAGE_WORDS - 1] = seed + n;
	return true;
}

/* Another block in each lap, so that a page of the lap before would be seen. */
static bool disk_round(struct disk *d, uint32_t n, uint32_t seed)
{
	uint32_t lap = n / THEIRS_PAGES, at = n % THEIRS_PAGES;
	bool ok = true;

	data = THEIRS + at * PAGE_WORDS;
	if (lap)
		ok = is_filled('r', (at + lap - 1) % THEIR_BLOCKS, seed);
	ok = ok && disk_do(d, OP_IN, (at + lap) % THEIR_BLOCKS);
	data = buffer;
	return ok;
}

static void use(struct disk *d, uint32_t seed)
{
	uint32_t n = 0;
	bool ok = true;

	for (uint32_t block = 0; block < THEIR_BLOCKS && ok; block++) {
		fill('w', block, seed);
		ok = disk_do(d, OP_OUT, block);
	}
	say_number("uses ", THEIR_BLOCKS);
	for (; ok && !(inb(COM1 + 5) & 1); n++)
		ok = memory_round(n, seed) && (n % 16 || disk_round(d, n / 16, seed));
	say_number(ok ? "ok " : "bad ", n);
}

static void obey(char op, const uint32_t *arg)
{
	struct disk *d = &disks[arg[0] % DISKS_MAX];

	if (op == 'c') {
		say_number("ok ", *reg(d, CONFIG) / (BLOCK_BYTES / 512));
		return;
	}
	if (op == 'e') {
		say_number("ok ", arg[0]);
		return;
	}
	if (op == 'u') {
		use(d, arg[1]);
		return;
	}
	if (op == 'f') {
		say_number(disk_do(d, OP_FLUSH, 0) ? "ok " : "bad ", 0);
		return;
	}
	for (uint32_t block = arg[1]; block < arg[1] + arg[2]; block++) {
		bool reads = op == 'r' || op == 'n';

		if (!reads)
			fill(op, block, arg[3]);
		if (!disk_do(d, reads ? OP_IN : OP_OUT, block) ||
		    (reads && !is_filled(op, block, arg[3]))) {
			say_number("bad ", block);
			return;
		}
	}
	say_number("ok ", arg[2]);
}

static void line_obey(void)
{
	uint32_t arg[4] = { 0 };
	unsigned n = 0;
	bool in_number = false;

	for (unsigned i = 1; i < line_bytes && n < 4; i++) {
		bool digit = line[i] >= '0' && line[i] <= '9';

		if (digit)
			arg[n] = arg[n] * 10 + (line[i] - '0');
		n += in_number && !digit;
		in_number = digit;
	}
	obey(line[0], arg);
}

/* After each wake. */
void serve(void)
{
	while (inb(COM1 + 5) & 1) {
		char c = inb(COM1);

		if (c == '\n') {
			line_obey();
			line_bytes = 0;
		} else if (line_bytes < sizeof(line)) {
			line[line_bytes++] = c;
		}
	}
	LAPIC_EOI = 0;
}

void entry(void)
{
	for (unsigned i = 0; i < 16 && n_disks < DISKS_MAX; i++) {
		uint32_t base = MMIO + i * 0x1000;

		if (*(volatile uint32_t *)base == 0x74726976 &&
		    *(volatile uint32_t *)(base + DEVICE_ID) == 2)
			disk_init(&disks[n_disks++], base);
	}
	say_number("disks ", n_disks);
	say("ready\n");
}

/* Interrupts: COM1 (GSI 4) is vector 0x41, at the gate IDT + 0x208. */
__asm__(".section .note.pvh, \"a\", @note\n"
	"	.long 4, 4, 18\n"
	"	.asciz \"Xen\"\n"
	"	.long _start\n"
	"	.text\n"
	"	.globl _start\n"
	"_start:	mov $0x180000, %esp\n"
	"	mov $serial, %eax\n"
	"	mov %ax, 0x170208\n"
	"	movw $0x10, 0x17020a\n"
	"	movw $0x8e00, 0x17020c\n"
	"	shr $16, %eax\n"
	"	mov %ax, 0x17020e\n"
	"	lidt idtr\n"
	"	movl $0x1ff, 0xfee000f0\n"
	"	movl $0x19, 0xfec00000\n"
	"	movl $0, 0xfec00010\n"
	"	movl $0x18, 0xfec00000\n"
	"	movl $0x41, 0xfec00010\n"
	"	mov $0x3fa, %edx\n"
	"	mov $1, %al\n"
	"	out %al, %dx\n"
	"	mov $0x3fc, %edx\n"
	"	mov $0x0b, %al\n"
	"	out %al, %dx\n"
	"	mov $0x3f9, %edx\n"
	"	mov $1, %al\n"
	"	out %al, %dx\n"
	"	call entry\n"
	"sleep:	sti\n"
	"	hlt\n"
	"	jmp sleep\n"
	"serial: mov $0x180000, %esp\n"
	"	call serve\n"
	"	jmp sleep\n"
	"	.balign 8\n"
	"idtr:	.word 0x7ff\n"
	"	.long 0x170000\n");
