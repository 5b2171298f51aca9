/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs payload guests. */
#include "config.h"
#include "tests/payload/run.h"

#include <string.h>

#include "libvmm/machine/layout.h"

#define MEMORY_BYTES (4u << 20)

static void nothing_read(void *dev, uint64_t off, void *data, unsigned len)
{
}

static void exit_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct payload *p = dev;
	uint8_t value = *(const uint8_t *)data;

	if (off == PAYLOAD_EVENT - PAYLOAD_EXIT) {
		if (p->event)
			p->event(p, value);
		return;
	}
	g_mutex_lock(&p->lock);
	p->exit_code = value;
	g_mutex_unlock(&p->lock);
	vcpus_hold(p->vcpus);
	g_main_context_wakeup(p->ctx);
}

static void serial_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct payload *p = dev;

	g_mutex_lock(&p->lock);
	if (p->serial->len < 65536)
		g_string_append_len(p->serial, data, 1);
	g_mutex_unlock(&p->lock);
}

static const struct bus_ops exit_ops = { nothing_read, exit_write };
static const struct bus_ops serial_ops = { nothing_read, serial_write };

static void on_stopped(void *opaque, const struct vcpu_stop *why)
{
	struct payload *p = opaque;

	p->stopped = true;
	p->cause = why->cause;
	g_free(p->detail);
	g_free(p->registers);
	p->detail = g_strdup(why->detail);
	p->registers = g_strdup(why->registers);
}

bool payload_open(struct payload *p, unsigned n_vcpus)
{
	struct guest_memory_opts mem = { .bytes = MEMORY_BYTES, .name = "payload" };
	struct cpu_opts cpu = { .n_vcpus = n_vcpus };
	g_autoptr(GError) error = NULL;

	*p = (struct payload){ .n_vcpus = n_vcpus, .exit_code = -1 };
	g_mutex_init(&p->lock);
	p->ctx = g_main_context_new();
	g_main_context_acquire(p->ctx);
	p->serial = g_string_new(NULL);
	p->pio = bus_new("port");
	p->mmio = bus_new("memory");
	p->kvm = kvm_new(-1, NULL, &error);
	if (!p->kvm) {
		g_test_skip(error->message);
		payload_close(p);
		return false;
	}
	p->mem = guest_memory_new(&mem, &error);
	g_assert_no_error(error);
	p->model = cpu_model_new(p->kvm, &cpu, &error);
	g_assert_no_error(error);
	g_assert_true(kvm_set_memory(p->kvm, p->mem, &error));
	g_assert_true(bus_add(p->pio, PAYLOAD_EXIT, 2, "exit", &exit_ops, p, &error));
	g_assert_true(bus_add(p->pio, PAYLOAD_SERIAL, 8, "serial", &serial_ops, p, &error));
	return true;
}

/* Identity page tables of 2 MiB pages, a GDT, the code. */
static struct cpu_entry code_load(struct payload *p, const uint8_t *start, const uint8_t *end)
{
	struct cpu_entry entry = {
		.mode = CPU_ENTRY_LONG,
		.rip = PAYLOAD_BASE,
		.gdt_gpa = LAYOUT_GDT,
		.cr3 = LAYOUT_PAGE_TABLES,
		.stack = LAYOUT_STACK,
	};
	uint64_t *t = guest_ptr(p->mem, LAYOUT_PAGE_TABLES, 6 * 4096);
	uint64_t gdt[CPU_GDT_ENTRIES];

	t[0] = (LAYOUT_PAGE_TABLES + 0x1000) | 3;
	for (unsigned i = 0; i < 4; i++)
		t[512 + i] = (LAYOUT_PAGE_TABLES + 0x2000 + i * 0x1000) | 3;
	for (uint64_t i = 0; i < 2048; i++)
		t[1024 + i] = i << 21 | 0x83;
	cpu_entry_gdt(&entry, gdt);
	memcpy(guest_ptr(p->mem, LAYOUT_GDT, sizeof(gdt)), gdt, sizeof(gdt));
	g_assert_cmpint(end - start, <, 65536);
	memcpy(guest_ptr(p->mem, PAYLOAD_BASE, end - start), start, end - start);
	return entry;
}

void payload_restart(struct payload *p, const uint8_t *start, const uint8_t *end)
{
	struct cpu_entry entry = code_load(p, start, end);
	g_autoptr(GError) error = NULL;

	p->exit_code = -1;
	p->stopped = false;
	g_string_truncate(p->serial, 0);
	vcpus_set_entry(p->vcpus, &entry, &error);
	g_assert_no_error(error);
	vcpus_run(p->vcpus);
}

void payload_start(struct payload *p, const uint8_t *start, const uint8_t *end)
{
	g_autoptr(GError) error = NULL;
	struct vcpus_opts opts = {
		.name = "a-long-payload-name",
		.n = p->n_vcpus,
		.model = p->model,
		.pio = p->pio,
		.mmio = p->mmio,
		.owner = p->ctx,
		.stopped = on_stopped,
		.opaque = p,
	};

	p->vcpus = vcpus_new(p->kvm, &opts, &error);
	g_assert_no_error(error);
	payload_restart(p, start, end);
}

static gboolean timed_out(void *arg)
{
	*(bool *)arg = true;
	return G_SOURCE_CONTINUE;
}

static bool is_over(struct payload *p)
{
	bool over;

	g_mutex_lock(&p->lock);
	over = p->exit_code >= 0;
	g_mutex_unlock(&p->lock);
	return over || p->stopped;
}

int payload_wait(struct payload *p, unsigned timeout_ms)
{
	GSource *timer = g_timeout_source_new(timeout_ms);
	bool late = false;

	g_source_set_callback(timer, timed_out, &late, NULL);
	g_source_attach(timer, p->ctx);
	while (!is_over(p) && !late)
		g_main_context_iteration(p->ctx, TRUE);
	g_source_destroy(timer);
	g_source_unref(timer);
	payload_pause_us(p);
	if (p->stopped)
		return PAYLOAD_STOPPED;
	return p->exit_code >= 0 ? p->exit_code : PAYLOAD_TIMEOUT;
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

gint64 payload_pause_us(struct payload *p)
{
	gint64 since = g_get_monotonic_time();
	bool parked = false;

	vcpus_pause(p->vcpus, set_flag, &parked);
	while (!parked)
		g_main_context_iteration(p->ctx, TRUE);
	return g_get_monotonic_time() - since;
}

void payload_close(struct payload *p)
{
	vcpus_free(p->vcpus);
	cpu_model_free(p->model);
	kvm_free(p->kvm);
	guest_memory_free(p->mem);
	bus_free(p->pio);
	bus_free(p->mmio);
	g_string_free(p->serial, TRUE);
	g_free(p->detail);
	g_free(p->registers);
	g_main_context_release(p->ctx);
	g_main_context_unref(p->ctx);
	g_mutex_clear(&p->lock);
}
