/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a definition to a paused machine; build-*.c are parts of this.
 *
 * Order: host side first (memory, KVM), then the devices from the ones that
 * others hang on (hubs) to the ones that hang on them, then what the guest
 * finds in memory.  The order of virtio devices is the order of their MMIO
 * slots, and so of vda, vdb, eth0, ... in the guest.  machine_free() takes a
 * machine in any stage of this.
 */
#include "config.h"
#include "libvmm/machine/machine.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_mmio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "libvmm/device/i8042.h"
#include "libvmm/device/pci-empty.h"
#include "libvmm/device/rng.h"
#include "libvmm/device/rtc.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "libvmm/device/vsock.h"
#include "libvmm/domain/domain.h"
#include "libvmm/kvm/irq.h"
#include "libvmm/machine/build-priv.h"
#include "libvmm/machine/layout.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/machine/save.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* What the definition may hold has a place on the bus. */
_Static_assert(DOMAIN_VIRTIO_MAX == LAYOUT_VIRTIO_MMIO_MAX, "libvmm/domain and libvmm/machine");
_Static_assert(DOMAIN_CID_FIRST == VSOCK_CID_FIRST && DOMAIN_CID_LAST == VSOCK_CID_LAST,
	       "libvmm/domain and libvmm/device");

/* ---- host side ---- */

/* Overcommitted memory would end in the host's OOM killer choosing a victim. */
static bool memory_fits_host(const struct domain_def *def, GError **error)
{
	struct sysinfo host;
	uint64_t have;

	if (sysinfo(&host) < 0)
		return true;
	have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
	if (def->memory_bytes <= have)
		return true;
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "<memory> is %" PRIu64 " MiB, but this host has %" PRIu64
			 " MiB of memory and swap",
			 def->memory_bytes >> 20, have >> 20);
}

static bool build_memory(struct machine *m, const struct domain_def *def, GError **error)
{
	const struct guest_memory_opts opts = {
		.bytes = def->memory_bytes,
		.hugetlb = def->hugepages,
		.name = def->name,
	};

	if (!memory_fits_host(def, error))
		return false;
	m->mem = guest_memory_new(&opts, error);
	return m->mem;
}

static bool build_kvm(struct machine *m, const struct machine_host *host, GError **error)
{
	int fd = host->opener.open(host->opener.opaque, "/dev/kvm", O_RDWR, error);

	if (fd < 0)
		return false;
	m->kvm = kvm_new(fd, m->mem, error);
	return m->kvm != NULL;
}

static enum cpu_feature_policy policy_of(enum cpu_policy policy)
{
	static const enum cpu_feature_policy policies[] = {
		[CPU_POLICY_FORCE] = CPU_FORCE,	      [CPU_POLICY_REQUIRE] = CPU_REQUIRE,
		[CPU_POLICY_OPTIONAL] = CPU_OPTIONAL, [CPU_POLICY_DISABLE] = CPU_DISABLE,
		[CPU_POLICY_FORBID] = CPU_FORBID,
	};

	static_assert(ARRAY_SIZE(policies) == N_CPU_POLICIES, "a policy is missing");
	return policies[policy];
}

static bool build_vcpus(struct machine *m, const struct domain_def *def, GError **error)
{
	const unsigned n_features = def->cpu.features ? def->cpu.features->len : 0;
	g_autofree struct cpu_feature *features = g_new0(struct cpu_feature, n_features);
	struct cpu_opts cpu = {
		.n_vcpus = def->vcpus,
		.sockets = def->cpu.sockets,
		.dies = def->cpu.dies,
		.cores = def->cpu.cores,
		.threads = def->cpu.threads,
		.features = features,
		.n_features = n_features,
	};
	struct vcpus_opts opts = {
		.name = def->name,
		.n = def->vcpus,
		.pio = m->pio,
		.mmio = m->mmio,
		.owner = m->ctx,
		.stopped = machine_vcpu_stopped,
		.opaque = m,
	};
	g_autoptr(cpu_model) model = NULL;

	for (unsigned i = 0; i < cpu.n_features; i++) {
		const struct cpu_feature_def *f = g_ptr_array_index(def->cpu.features, i);

		features[i] = (struct cpu_feature){ f->name, policy_of(f->policy) };
	}
	model = cpu_model_new(m->kvm, &cpu, error);
	if (!model)
		return false;
	m->n_vcpus = def->vcpus;
	m->apic_ids = g_new0(uint32_t, def->vcpus);
	for (unsigned i = 0; i < def->vcpus; i++)
		m->apic_ids[i] = cpu_model_apic_id(model, i);
	opts.model = model;
	m->vcpus = vcpus_new(m->kvm, &opts, error);
	return m->vcpus != NULL;
}

int machine_line_new(struct machine *m, unsigned gsi, GError **error)
{
	int fd = irq_new(m->kvm, gsi, error);

	if (fd >= 0)
		g_array_append_val(m->irq_fds, fd);
	return fd;
}

/* ---- platform devices ---- */

static_assert(POWER_PORTS == LAYOUT_POWER_PORTS && POWER_EVENTS == LAYOUT_POWER_EVENTS &&
		      POWER_SLEEP_CONTROL == LAYOUT_POWER_SLEEP_CONTROL &&
		      POWER_SLEEP_STATUS == LAYOUT_POWER_SLEEP_STATUS &&
		      POWER_RESET == LAYOUT_POWER_RESET,
	      "the ACPI tables and the device disagree");

static void guest_off(void *arg)
{
	machine_end(arg, MACHINE_POWEROFF);
}

static void guest_reset(void *arg)
{
	machine_end(arg, MACHINE_RESET);
}

static bool build_power(struct machine *m, GError **error)
{
	const struct power_calls calls = { .off = guest_off, .reset = guest_reset, .arg = m };
	int line = machine_line_new(m, LAYOUT_EVENT_GSI, error);
	struct i8042 *i8042;

	if (line < 0)
		return false;
	m->power = power_new(&calls, line);
	g_ptr_array_add(m->devices, power_device(m->power));
	i8042 = i8042_new(guest_reset, m);
	g_ptr_array_add(m->devices, i8042_device(i8042));
	return bus_add(m->pio, LAYOUT_POWER_PORT, POWER_PORTS, "power", &power_ops, m->power,
		       error) &&
	       bus_add(m->pio, LAYOUT_I8042_PORT, I8042_PORTS, "i8042", &i8042_ops, i8042, error);
}

static bool build_pci(struct machine *m, GError **error)
{
	struct pci_empty *pci = pci_empty_new();

	g_ptr_array_add(m->devices, pci_empty_device(pci));
	return bus_add(m->pio, LAYOUT_PCI_PORT, PCI_EMPTY_PORTS, "pci", &pci_empty_ops, pci, error);
}

/* Seconds between what the guest's CMOS clock shall show and UTC. */
static int64_t clock_offset_s(const struct clock_def *clock)
{
	g_autoptr(GTimeZone) zone = NULL;
	g_autoptr(GDateTime) now = NULL;

	if (clock->offset == CLOCK_VARIABLE)
		return clock->adjustment_s;
	if (clock->offset != CLOCK_TIMEZONE)
		return 0;
	zone = g_time_zone_new_identifier(clock->timezone);
	now = zone ? g_date_time_new_now(zone) : NULL;
	return now ? g_date_time_get_utc_offset(now) / G_USEC_PER_SEC : 0;
}

static bool build_rtc(struct machine *m, const struct clock_def *clock, GError **error)
{
	struct rtc_opts opts = {
		.localtime = clock->offset == CLOCK_LOCALTIME ||
			     (clock->offset == CLOCK_VARIABLE && clock->basis_localtime),
		.offset_s = clock_offset_s(clock),
		.owner = m->ctx,
		.irq_fd = machine_line_new(m, LAYOUT_RTC_GSI, error),
	};
	struct rtc *rtc;

	if (opts.irq_fd < 0)
		return false;
	rtc = rtc_new(&opts);
	g_ptr_array_add(m->devices, rtc_device(rtc));
	return bus_add(m->pio, LAYOUT_RTC_PORT, LAYOUT_RTC_PORTS, "rtc", &rtc_ops, rtc, error);
}

/* ---- virtio ---- */

bool machine_virtio_add(struct machine *m, struct virtio_device *dev, GError **error)
{
	unsigned slot = m->slots->len;
	struct acpi_virtio at = { layout_virtio_base(slot), LAYOUT_VIRTIO_MMIO_BYTES,
				  layout_virtio_gsi(slot) };
	struct virtio_mmio *mmio = dev ? virtio_mmio_new(dev, error) : NULL;

	if (!mmio)
		return false;
	g_ptr_array_add(m->devices, virtio_mmio_device(mmio));
	if (slot >= LAYOUT_VIRTIO_MMIO_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "more than %u virtio devices do not fit into machine 'microvm'",
				 LAYOUT_VIRTIO_MMIO_MAX);
	g_array_append_val(m->slots, at);
	if (!irq_attach(m->kvm, at.gsi, virtio_mmio_irq_fd(mmio), error) ||
	    !bus_add(m->mmio, at.base, at.bytes, dev->name, &virtio_mmio_bus_ops, mmio, error))
		return false;
	for (unsigned q = 0; q < dev->n_queues; q++)
		if (!irq_attach_kick(m->kvm, at.base + VIRTIO_MMIO_QUEUE_NOTIFY, q,
				     virtio_kick_fd(dev, q), error))
			return false;
	for (uint32_t bit = VIRTIO_MMIO_INT_VRING; bit <= VIRTIO_MMIO_INT_CONFIG; bit <<= 1)
		if (!irq_attach_kick(m->kvm, at.base + VIRTIO_MMIO_INTERRUPT_ACK, bit,
				     virtio_mmio_ack_fd(mmio, bit), error))
			return false;
	return true;
}

static bool build_rng(struct machine *m, const struct rng_def *def, GError **error)
{
	const struct rng_opts opts = { .name = def->alias,
				       .rate_bytes = def->rate_bytes,
				       .rate_period_ms = def->rate_period_ms };

	return machine_virtio_add(m, rng_new(&opts, m->mem, m->ctx, error), error);
}

static void balloon_changed(void *opaque, uint64_t actual_kib)
{
	struct machine *m = opaque;

	m->events.balloon_changed(m->events.opaque, actual_kib * 1024);
}

static bool build_balloon(struct machine *m, const struct domain_def *def, GError **error)
{
	const struct balloon_opts opts = {
		.name = def->balloon.alias,
		.deflate_on_oom = def->balloon.autodeflate,
		.free_page_reporting = def->balloon.free_page_reporting,
		.stats_period_s = def->balloon.stats_period_s,
		.target_kib = def->current_bytes / 1024,
		.on_change = balloon_changed,
		.opaque = m,
	};

	if (def->balloon.none)
		return true;
	m->balloon = balloon_new(&opts, m->mem, m->ctx, error);
	return machine_virtio_add(m, m->balloon, error);
}

static bool build_vsock(struct machine *m, const struct vsock_def *def,
			const struct machine_host *host, GError **error)
{
	g_autofree char *thread = g_strdup_printf("%.9s/vsock", m->name);
	struct vsock_opts opts = { .name = def->alias, .cid = def->cid };

	if (!host->vsock)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "a <vsock> has its sockets in the run folder that vmmd gives a "
				 "domain: start it by vmmd");
	opts.listen_fd = host->vsock->listen_fd;
	opts.door_fd = host->vsock->door_fd;
	m->vsock_thread = owner_thread_new(thread);
	return machine_virtio_add(
		m, vsock_new(&opts, m->mem, owner_thread_context(m->vsock_thread), error), error);
}

static bool build_virtio(struct machine *m, const struct domain_def *def,
			 const struct machine_host *host, GError **error)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);

		if (!build_disk(m, d, host, error)) {
			g_prefix_error(error, "disk '%s': ", d->target);
			return false;
		}
	}
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *n = g_ptr_array_index(def->ifaces, i);

		if (!build_net(m, n, host, error)) {
			g_prefix_error(error, "interface '%s': ", n->alias);
			return false;
		}
	}
	if (def->filesystems->len)
		m->share_proc_fd = host->share_proc_fd;
	for (unsigned i = 0; i < def->filesystems->len; i++) {
		const struct filesystem_def *f = g_ptr_array_index(def->filesystems, i);

		if (!build_share(m, f, def->filesystems->len, host, error)) {
			g_prefix_error(error, "filesystem '%s': ", f->tag);
			return false;
		}
	}
	for (unsigned i = 0; i < def->rngs->len; i++)
		if (!build_rng(m, g_ptr_array_index(def->rngs, i), error))
			return false;
	return build_console(m, def, host, error) && build_balloon(m, def, error) &&
	       (!def->vsock || build_vsock(m, def->vsock, host, error));
}

/* ---- what the guest boots ---- */

static int file_open(const struct machine_host *host, const char *what, const char *path,
		     GError **error)
{
	int fd = host->opener.open(host->opener.opaque, path, O_RDONLY, error);

	if (fd < 0)
		g_prefix_error(error, "%s: ", what);
	return fd;
}

/* A guest boots without it if it must; only one who asked for it by name is refused. */
static bool build_agent(struct machine *m, const struct domain_def *def,
			const struct machine_host *host, GError **error)
{
	g_autoptr(GError) why = NULL;
	g_autofree char *cmdline = NULL;

	if (!domain_agent_injected(def))
		return true;
	m->agent.fd = file_open(host, "agent", DOMAIN_AGENT_FILE, &why);
	if (m->agent.fd < 0 && def->agent == AGENT_INJECT)
		return error_set(error, why->code, "%s", why->message);
	if (m->agent.fd < 0) {
		g_message("the guest boots without an agent: %s", why->message);
		return true;
	}
	cmdline = g_steal_pointer(&m->cmdline);
	m->cmdline = boot_agent_cmdline(cmdline ? cmdline : "", &m->agent_init);
	m->agent.init = m->agent_init;
	m->agent.outbound_port = domain_has_outbound(def) ? DOMAIN_OUTBOUND_PORT : 0;
	return true;
}

static bool build_boot(struct machine *m, const struct domain_def *def,
		       const struct machine_host *host, GError **error)
{
	if (!def->os.kernel)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"the domain has no <os><kernel>: this machine boots a kernel file, "
			"not a disk's boot loader");
	m->kernel = g_strdup(def->os.kernel);
	m->initrd = g_strdup(def->os.initrd);
	m->cmdline = g_strdup(def->os.cmdline);
	m->unpack = def->os.kernel_unpack;
	m->kernel_fd = file_open(host, "kernel", m->kernel, error);
	if (m->kernel_fd < 0)
		return false;
	if (m->initrd)
		m->initrd_fd = file_open(host, "initrd", m->initrd, error);
	return (!m->initrd || m->initrd_fd >= 0) && build_agent(m, def, host, error);
}

static void share_thread_free(void *thread)
{
	owner_thread_free(thread);
}

static struct machine *machine_alloc(const char *name, const struct machine_events *events)
{
	struct machine *m = g_new0(struct machine, 1);

	m->name = g_strdup(name);
	m->events = *events;
	m->ctx = g_main_context_ref_thread_default();
	m->pio = bus_new("port");
	m->mmio = bus_new("MMIO");
	m->irq_fds = g_array_new(FALSE, FALSE, sizeof(int));
	m->slots = g_array_new(FALSE, FALSE, sizeof(struct acpi_virtio));
	m->com = g_array_new(FALSE, FALSE, sizeof(struct acpi_serial));
	m->devices = g_ptr_array_new();
	m->disks = g_ptr_array_new_with_free_func(machine_disk_free);
	m->nets = g_ptr_array_new_with_free_func(machine_net_free);
	m->hubs = g_ptr_array_new_with_free_func(machine_hub_free);
	m->share_threads = g_ptr_array_new_with_free_func(share_thread_free);
	m->kernel_fd = m->initrd_fd = m->agent.fd = m->share_proc_fd = -1;
	atomic_init(&m->end, -1);
	m->end_wake = machine_wake_new(m, machine_on_end, m);
	return m;
}

/* All but what the guest finds in memory and registers. */
static bool build_all(struct machine *m, const struct domain_def *def,
		      const struct machine_host *host, GError **error)
{
	return build_boot(m, def, host, error) && build_memory(m, def, error) &&
	       build_kvm(m, host, error) && build_power(m, error) && build_pci(m, error) &&
	       build_rtc(m, &def->clock, error) && build_serials(m, def, host, error) &&
	       build_vcpus(m, def, error) && build_virtio(m, def, host, error);
}

struct machine *machine_build(const struct domain_def *def, const struct machine_host *host,
			      const struct machine_events *events, GError **error)
{
	g_autoptr(machine) m = machine_alloc(def->name, events);

	return build_all(m, def, host, error) && machine_load(m, error) ? g_steal_pointer(&m)
									: NULL;
}

struct machine *machine_build_saved(const struct domain_def *def, const struct machine_host *host,
				    const struct machine_events *events, int fd, GError **error)
{
	g_autoptr(machine) m = machine_alloc(def->name, events);

	return build_all(m, def, host, error) && machine_restore(m, fd, error)
		       ? g_steal_pointer(&m) : NULL;
}

/* vCPUs first, so that nobody is in a device; then the devices; last what they stood on. */
void machine_free(struct machine *m)
{
	if (!m)
		return;
	machine_save_settle(m, false);
	machine_disks_settle(m);
	machine_links_settle(m);
	vcpus_free(m->vcpus);
	machine_save_settle(m, true);
	for (unsigned i = 0; i < m->devices->len; i++)
		device_free(g_ptr_array_index(m->devices, i));
	g_ptr_array_unref(m->devices);
	owner_thread_free(m->vsock_thread);
	g_ptr_array_unref(m->share_threads);
	g_ptr_array_unref(m->disks);
	g_ptr_array_unref(m->nets);
	g_ptr_array_unref(m->hubs);
	for (unsigned i = 0; i < m->irq_fds->len; i++)
		close(g_array_index(m->irq_fds, int, i));
	g_array_unref(m->irq_fds);
	kvm_free(m->kvm);
	guest_memory_free(m->mem);
	bus_free(m->pio);
	bus_free(m->mmio);
	machine_wake_free(m->end_wake);
	fd_close(&m->kernel_fd);
	fd_close(&m->initrd_fd);
	fd_close(&m->agent.fd);
	fd_close(&m->share_proc_fd);
	g_array_unref(m->slots);
	g_array_unref(m->com);
	g_main_context_unref(m->ctx);
	g_free(m->apic_ids);
	g_free(m->end_detail);
	g_free(m->kernel);
	g_free(m->initrd);
	g_free(m->agent_init);
	g_free(m->cmdline);
	g_free(m->name);
	g_free(m);
}
