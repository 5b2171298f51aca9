/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A built machine running, paused, reset, ended.
 *
 *	paused --resume--> running --pause--> (parking) --> paused
 *	running --guest ends--> ending --all parked--> paused, ended() is called
 *	any --reset--> (parking) --> devices, memory, vCPUs as after power-on: paused
 *
 * The main loop never waits for a vCPU (vcpu.h): whatever needs them parked is
 * done in the callback of vcpus_pause().  A guest that asks for its end does so
 * on a vCPU thread inside a device's handler: that thread holds all vCPUs, so
 * that nothing of the guest runs after its last request, notes the reason and
 * wakes the main loop.
 */
#include "config.h"
#include "libvmm/machine/machine.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "libvmm/device/blk.h"
#include "libvmm/device/hub.h"
#include "libvmm/device/net.h"
#include "libvmm/device/virtio.h"
#include "libvmm/machine/boot.h"
#include "libvmm/machine/layout.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* ---- waking the main loop ---- */

static gboolean wake_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	g_source_set_ready_time(source, -1);
	return fn(arg);
}

static GSourceFuncs wake_funcs = { .dispatch = wake_dispatch };

GSource *machine_wake_new(struct machine *m, GSourceFunc fn, void *arg)
{
	GSource *s = g_source_new(&wake_funcs, sizeof(GSource));

	g_source_set_priority(s, G_PRIORITY_HIGH);
	g_source_set_callback(s, fn, arg, NULL);
	g_source_attach(s, m->ctx);
	return s;
}

void machine_wake_free(GSource *source)
{
	if (!source)
		return;
	g_source_destroy(source);
	g_source_unref(source);
}

/* ---- ends ---- */

void machine_end(struct machine *m, enum machine_end end)
{
	int none = -1;

	if (!atomic_compare_exchange_strong(&m->end, &none, (int)end))
		return;
	vcpus_hold(m->vcpus);
	g_source_set_ready_time(m->end_wake, 0);
}

void machine_devices_stop(struct machine *m)
{
	for (unsigned i = 0; i < m->devices->len; i++)
		device_stop(g_ptr_array_index(m->devices, i));
}

/* Last: ended() may free the machine. */
static void end_parked(void *opaque)
{
	struct machine *m = opaque;
	g_autofree char *detail = g_steal_pointer(&m->end_detail);
	enum machine_end end = (enum machine_end)atomic_exchange(&m->end, -1);

	m->ending = false;
	machine_devices_stop(m);
	m->events.ended(m->events.opaque, end, detail);
}

gboolean machine_on_end(void *opaque)
{
	struct machine *m = opaque;

	if (atomic_load(&m->end) < 0 || m->ending)
		return G_SOURCE_CONTINUE;
	m->ending = true;
	m->running = false;
	machine_save_guest_ended(m);
	vcpus_pause(m->vcpus, end_parked, m);
	return G_SOURCE_CONTINUE;
}

void machine_vcpu_stopped(void *opaque, const struct vcpu_stop *why)
{
	static const enum machine_end ends[] = {
		[VCPU_TRIPLE_FAULT] = MACHINE_CRASHED, [VCPU_SYSTEM_RESET] = MACHINE_RESET,
		[VCPU_SYSTEM_OFF] = MACHINE_POWEROFF,  [VCPU_SYSTEM_CRASH] = MACHINE_CRASHED,
		[VCPU_KVM_ERROR] = MACHINE_FAILED,
	};
	struct machine *m = opaque;

	if (why->registers[0])
		g_message("vCPU %u: %s\n%s", why->index, why->detail, why->registers);
	if (!m->end_detail)
		m->end_detail = g_strdup_printf("vCPU %u: %s", why->index, why->detail);
	machine_end(m, ends[why->cause]);
}

/* ---- disks that fail ---- */

void machine_disk_failed(void *opaque, int error, bool must_pause)
{
	struct machine_disk *d = opaque;

	atomic_store(&d->error, error);
	if (must_pause) {
		atomic_store(&d->must_pause, true);
		vcpus_hold(d->m->vcpus);
	}
	g_source_set_ready_time(d->wake, 0);
}

void machine_disk_has_room(void *opaque)
{
	struct machine_disk *d = opaque;

	atomic_store(&d->room, true);
	g_source_set_ready_time(d->wake, 0);
}

static void nothing(void *arg)
{
}

gboolean machine_on_disk_error(void *opaque)
{
	struct machine_disk *d = opaque;
	struct machine *m = d->m;
	int error = atomic_exchange(&d->error, 0);
	bool pause = atomic_exchange(&d->must_pause, false);

	if (pause && m->running)
		machine_pause(m, nothing, NULL);
	if (error)
		m->events.io_error(m->events.opaque, d->target, d->path, error < 0 ? -error : error,
				   pause);
	machine_disk_tell_job(d);
	if (atomic_exchange(&d->room, false) && !m->running && !machine_save_stands(m))
		m->events.io_room(m->events.opaque);
	return G_SOURCE_CONTINUE;
}

/* ---- running and not ---- */

void machine_resume(struct machine *m)
{
	if (m->running || m->ending || machine_save_stands(m))
		return;
	m->running = true;
	for (unsigned i = 0; i < m->devices->len; i++)
		device_start(g_ptr_array_index(m->devices, i));
	vcpus_run(m->vcpus);
	machine_links_raise(m);
	guest_memory_prefetch(m->mem);
}

struct pause {
	struct machine *m;
	void (*done)(void *opaque);
	void *opaque;
};

static void pause_parked(void *arg)
{
	g_autofree struct pause *p = arg;

	if (!p->m->running)
		machine_devices_stop(p->m);
	p->done(p->opaque);
}

void machine_pause(struct machine *m, void (*done)(void *opaque), void *opaque)
{
	struct pause *p = g_new(struct pause, 1);

	*p = (struct pause){ .m = m, .done = done, .opaque = opaque };
	m->running = false;
	vcpus_pause(m->vcpus, pause_parked, p);
}

bool machine_is_running(const struct machine *m)
{
	return m->running;
}

void machine_powerdown(struct machine *m)
{
	power_press(m->power);
}

bool machine_new_generation(struct machine *m, GError **error)
{
	uint8_t id[16];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return error_errno(error, errno, "getrandom");
	memcpy(guest_ptr(m->mem, LAYOUT_GENERATION, sizeof(id)), id, sizeof(id));
	return true;
}

bool machine_load(struct machine *m, GError **error)
{
	const struct acpi_opts acpi = {
		.n_vcpus = m->n_vcpus,
		.apic_ids = m->apic_ids,
		.virtio = (struct acpi_virtio *)(void *)m->slots->data,
		.n_virtio = m->slots->len,
		.serial = (struct acpi_serial *)(void *)m->com->data,
		.n_serial = m->com->len,
		.rtc = true,
		.power = true,
	};
	struct boot_opts boot = {
		.kernel_fd = m->kernel_fd,
		.kernel_name = m->kernel,
		.initrd_fd = m->initrd_fd,
		.initrd_name = m->initrd,
		.cmdline = m->cmdline,
		.agent = m->agent.fd >= 0 ? &m->agent : NULL,
		.unpack = m->unpack,
	};
	struct boot_result result;

	return acpi_write(m->mem, &acpi, &boot.rsdp_gpa, error) &&
	       machine_new_generation(m, error) &&
	       boot_load(m->mem, &boot, &result, error) &&
	       vcpus_set_entry(m->vcpus, &result.entry, error);
}

struct reset {
	struct machine *m;
	void (*done)(void *opaque, const GError *error);
	void *opaque;
};

static bool power_on_state(struct machine *m, GError **error)
{
	int r;

	for (unsigned i = 0; i < m->devices->len; i++)
		device_reset(g_ptr_array_index(m->devices, i));
	r = guest_memory_clear(m->mem);
	if (r < 0)
		return error_errno(error, r, "clear the guest's memory");
	return vcpus_reset(m->vcpus, error) && machine_load(m, error);
}

static void reset_parked(void *arg)
{
	g_autofree struct reset *r = arg;
	g_autoptr(GError) error = NULL;

	atomic_store(&r->m->end, -1); /* a second request, made before the vCPUs stood still */
	g_clear_pointer(&r->m->end_detail, g_free);
	power_on_state(r->m, &error);
	r->done(r->opaque, error);
}

void machine_reset(struct machine *m, void (*done)(void *opaque, const GError *error), void *opaque)
{
	struct reset *r = g_new(struct reset, 1);

	*r = (struct reset){ .m = m, .done = done, .opaque = opaque };
	m->running = false;
	vcpus_pause(m->vcpus, reset_parked, r);
}

/* ---- looking in ---- */

struct hub *machine_hub(struct machine *m, const char *device)
{
	for (unsigned i = 0; i < m->hubs->len; i++) {
		struct machine_hub *h = g_ptr_array_index(m->hubs, i);

		if (!device[0] || g_str_equal(h->alias, device) || !g_strcmp0(h->name, device))
			return h->hub;
	}
	return NULL;
}

void machine_drain_hubs(struct machine *m, unsigned timeout_ms)
{
	for (unsigned i = 0; i < m->hubs->len; i++) {
		struct machine_hub *h = g_ptr_array_index(m->hubs, i);

		hub_drain(h->hub, timeout_ms);
	}
}

unsigned machine_n_disks(const struct machine *m)
{
	return m->disks->len;
}

unsigned machine_n_vcpus(const struct machine *m)
{
	return m->n_vcpus;
}

void machine_disk_stats(const struct machine *m, unsigned i, struct machine_disk_stats *ret)
{
	const struct machine_disk *d = g_ptr_array_index(m->disks, i);
	struct blk_stats s;

	blk_stats(d->dev, &s);
	*ret = (struct machine_disk_stats){
		.target = d->target,
		.rd_reqs = s.rd_reqs,
		.rd_bytes = s.rd_bytes,
		.rd_ns = s.rd_ns,
		.wr_reqs = s.wr_reqs,
		.wr_bytes = s.wr_bytes,
		.wr_ns = s.wr_ns,
		.fl_reqs = s.fl_reqs,
		.fl_ns = s.fl_ns,
		.errs = s.errs,
		.waiting_error = blk_waiting_error(d->dev),
	};
}

void machine_vcpu_stats(const struct machine *m, unsigned i, struct machine_vcpu_stats *ret)
{
	struct vcpu_stats s;

	vcpus_stats(m->vcpus, i, &s);
	*ret = (struct machine_vcpu_stats){ .halted = !s.running,
					    .cpu_ns = s.cpu_ns,
					    .exits = s.exits };
}

unsigned machine_memory_stats(const struct machine *m, struct machine_memory_stat *ret, unsigned n)
{
	struct balloon_stat stats[BALLOON_N_TAGS];
	unsigned have = m->balloon ? balloon_stats(m->balloon, stats) : 0;

	have = MIN(have, n);
	for (unsigned i = 0; i < have; i++)
		ret[i] = (struct machine_memory_stat){ stats[i].tag, stats[i].value };
	return have;
}

uint64_t machine_balloon_bytes(const struct machine *m)
{
	return m->balloon ? balloon_actual_kib(m->balloon) * 1024 : guest_memory_bytes(m->mem);
}

static bool has_balloon(const struct machine *m, GError **error)
{
	return m->balloon ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "the domain has no memory balloon: <memballoon model='virtio'/>");
}

bool machine_set_balloon(struct machine *m, uint64_t guest_bytes, GError **error)
{
	if (!has_balloon(m, error))
		return false;
	balloon_set_target(m->balloon, guest_bytes / 1024);
	return true;
}

bool machine_set_stats_period(struct machine *m, unsigned seconds, GError **error)
{
	if (!has_balloon(m, error))
		return false;
	balloon_set_stats_period(m->balloon, seconds);
	return true;
}
