/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vCPUs, buses and lines, by guests of a few instructions. */
#include "config.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "tests/payload/run.h"

PAYLOAD_DECLARE(hi);
PAYLOAD_DECLARE(io);
PAYLOAD_DECLARE(irq);
PAYLOAD_DECLARE(spin);
PAYLOAD_DECLARE(triple);
PAYLOAD_DECLARE(smp);
PAYLOAD_DECLARE(kick);

#define PATIENCE_MS 60000 /* the machine may be busy; a good run takes a few ms */

/* A device whose byte n reads as n and which writes down what is written. */
struct tape {
	GString *text;
};

static void tape_read(void *dev, uint64_t off, void *data, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		((uint8_t *)data)[i] = off + i;
}

static void tape_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct tape *t = dev;
	uint64_t value = 0;

	memcpy(&value, data, len);
	g_string_append_printf(t->text, "%x/%u=%" G_GINT64_MODIFIER "x ", (unsigned)off, len,
			       value);
}

static const struct bus_ops tape_ops = { tape_read, tape_write };

static void a_guest_says_hi(void)
{
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	payload_start(&p, PAYLOAD_OF(hi));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 42);
	g_assert_cmpstr(p.serial->str, ==, "Hi!\n");
	payload_close(&p);
}

static void ports_and_memory_are_accessed_in_every_size(void)
{
	struct tape tape = { g_string_new(NULL) };
	struct payload p;

	if (payload_open(&p, 1)) {
		bus_add(p.mmio, PAYLOAD_MMIO, 0x1000, "tape", &tape_ops, &tape, NULL);
		bus_add(p.pio, 0x500, 16, "tape", &tape_ops, &tape, NULL);
		payload_start(&p, PAYLOAD_OF(io));
		g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 0);
		g_assert_cmpstr(
			tape.text->str, ==,
			"10/1=11 20/2=2222 30/4=33333333 40/8=4444444444444444 ffe/2=4444 ");
		payload_close(&p);
	}
	g_string_free(tape.text, TRUE);
}

static void raise_line(struct payload *p, uint8_t value)
{
	if (value < 3)
		g_assert_cmpint(eventfd_write(*(int *)p->opaque, 1), ==, 0);
}

static void an_eventfd_interrupts_the_guest(void)
{
	auto_close int line = -1;
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	line = irq_new(p.kvm, 5, NULL);
	g_assert_cmpint(line, >=, 0);
	p.event = raise_line;
	p.opaque = &line;
	payload_start(&p, PAYLOAD_OF(irq));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 7);
	payload_close(&p);
}

static void a_doorbell_writes_an_eventfd_and_does_not_exit(void)
{
	struct tape tape = { g_string_new(NULL) };
	auto_close int bell = eventfd(0, EFD_NONBLOCK);
	eventfd_t count = 0;
	struct payload p;

	if (payload_open(&p, 1)) {
		bus_add(p.mmio, PAYLOAD_MMIO, 0x1000, "tape", &tape_ops, &tape, NULL);
		g_assert_true(irq_attach_kick(p.kvm, PAYLOAD_MMIO + 0x50, 1, bell, NULL));
		payload_start(&p, PAYLOAD_OF(kick));
		g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 0);
		g_assert_cmpstr(tape.text->str, ==, "50/4=2 ");
		g_assert_cmpint(eventfd_read(bell, &count), ==, 0);
		g_assert_cmpint(count, ==, 2);
		payload_close(&p);
	}
	g_string_free(tape.text, TRUE);
}

static uint32_t shared_word(struct payload *p)
{
	return __atomic_load_n((uint32_t *)guest_ptr(p->mem, PAYLOAD_DATA, 4), __ATOMIC_RELAXED);
}

static void a_spinning_guest_pauses_promptly_and_stands_still(void)
{
	gint64 worst = 0;
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	payload_start(&p, PAYLOAD_OF(spin));
	for (unsigned i = 0; i < 50; i++) {
		uint32_t before;
		gint64 took;

		for (before = shared_word(&p); shared_word(&p) == before;)
			g_usleep(100);
		took = payload_pause_us(&p);
		worst = MAX(worst, took);
		before = shared_word(&p);
		g_usleep(1000);
		g_assert_cmpuint(shared_word(&p), ==, before);
		g_assert_true(vcpus_parked(p.vcpus));
		vcpus_run(p.vcpus);
	}
	g_test_message("worst pause: %" G_GINT64_FORMAT " us", worst);
	g_assert_cmpint(worst, <, 20000000);
	payload_close(&p);
}

static void count_up(void *arg)
{
	++*(unsigned *)arg;
}

static void a_pause_overtaken_by_run_is_still_answered(void)
{
	unsigned answers = 0;
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	payload_start(&p, PAYLOAD_OF(spin));
	for (unsigned i = 0; i < 20; i++) {
		vcpus_pause(p.vcpus, count_up, &answers);
		vcpus_pause(p.vcpus, count_up, &answers);
		vcpus_run(p.vcpus);
	}
	while (answers < 40)
		g_main_context_iteration(p.ctx, TRUE);
	g_assert_false(vcpus_parked(p.vcpus));
	while (!shared_word(&p))
		g_usleep(100);
	payload_close(&p);
}

static void a_triple_fault_is_reported_with_registers(void)
{
	struct payload p;

	if (!payload_open(&p, 2))
		return;
	payload_start(&p, PAYLOAD_OF(triple));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, PAYLOAD_STOPPED);
	g_assert_cmpint(p.cause, ==, VCPU_TRIPLE_FAULT);
	/* Which ones is the host's choice: KVM on AMD has reset the vCPU by now. */
	g_assert_nonnull(strstr(p.registers, "rip 0000000000"));
	g_assert_nonnull(strstr(p.registers, "cr3 0000000000"));
	g_assert_true(vcpus_parked(p.vcpus));
	payload_close(&p);
}

static void a_second_processor_starts_by_init_and_sipi(void)
{
	struct payload p;

	if (!payload_open(&p, 2))
		return;
	payload_start(&p, PAYLOAD_OF(smp));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 0);
	/* And again from power-on: the second one waits for INIT once more. */
	g_assert_true(vcpus_reset(p.vcpus, NULL));
	payload_restart(&p, PAYLOAD_OF(smp));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 0);
	payload_close(&p);
}

static void a_reset_switches_the_interrupt_controller_off(void)
{
	auto_close int line = -1;
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	line = irq_new(p.kvm, 5, NULL);
	p.event = raise_line;
	p.opaque = &line;
	payload_start(&p, PAYLOAD_OF(irq));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 7);
	payload_restart(&p, PAYLOAD_OF(irq));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 7);
	g_assert_cmpuint(shared_word(&p), ==, 1);
	g_assert_true(vcpus_reset(p.vcpus, NULL));
	payload_restart(&p, PAYLOAD_OF(irq));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 7);
	g_assert_cmpuint(shared_word(&p), ==, 0);
	payload_close(&p);
}

static void a_reset_brings_a_crashed_machine_back(void)
{
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	payload_start(&p, PAYLOAD_OF(triple));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, PAYLOAD_STOPPED);
	g_assert_cmpint(guest_memory_clear(p.mem), ==, 0);
	g_assert_true(vcpus_reset(p.vcpus, NULL));
	payload_restart(&p, PAYLOAD_OF(hi));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 42);
	payload_close(&p);
}

static void counters_count(void)
{
	struct vcpu_stats stats;
	struct payload p;

	if (!payload_open(&p, 1))
		return;
	payload_start(&p, PAYLOAD_OF(hi));
	g_assert_cmpint(payload_wait(&p, PATIENCE_MS), ==, 42);
	vcpus_stats(p.vcpus, 0, &stats);
	g_assert_cmpuint(stats.pio, >=, 2);
	g_assert_cmpuint(stats.exits, >=, stats.pio);
	g_assert_cmpuint(stats.cpu_ns, >, 0);
	g_assert_false(stats.running);
	payload_close(&p);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kvm/a_guest_says_hi", a_guest_says_hi);
	g_test_add_func("/kvm/ports_and_memory_are_accessed_in_every_size",
			ports_and_memory_are_accessed_in_every_size);
	g_test_add_func("/kvm/an_eventfd_interrupts_the_guest", an_eventfd_interrupts_the_guest);
	g_test_add_func("/kvm/a_doorbell_writes_an_eventfd_and_does_not_exit",
			a_doorbell_writes_an_eventfd_and_does_not_exit);
	g_test_add_func("/kvm/a_spinning_guest_pauses_promptly_and_stands_still",
			a_spinning_guest_pauses_promptly_and_stands_still);
	g_test_add_func("/kvm/a_pause_overtaken_by_run_is_still_answered",
			a_pause_overtaken_by_run_is_still_answered);
	g_test_add_func("/kvm/a_triple_fault_is_reported_with_registers",
			a_triple_fault_is_reported_with_registers);
	g_test_add_func("/kvm/a_second_processor_starts_by_init_and_sipi",
			a_second_processor_starts_by_init_and_sipi);
	g_test_add_func("/kvm/a_reset_switches_the_interrupt_controller_off",
			a_reset_switches_the_interrupt_controller_off);
	g_test_add_func("/kvm/a_reset_brings_a_crashed_machine_back",
			a_reset_brings_a_crashed_machine_back);
	g_test_add_func("/kvm/counters_count",
			counters_count);
	return g_test_run();
}
