/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine's insides, for the files of this folder only. */
#pragma once

#include <stdatomic.h>

#include "libvmm/device/balloon.h"
#include "libvmm/device/device.h"
#include "libvmm/device/power.h"
#include "libvmm/kvm/vcpu.h"
#include "libvmm/machine/acpi.h"
#include "libvmm/machine/boot.h"
#include "libvmm/machine/machine.h"
#include "libvmm/util/owner.h"

#define MACHINE_SERIALS_MAX 2

struct machine_disk {
	struct machine *m;
	char *target, *path;
	struct virtio_device *dev;	/* freed by its transport */
	struct owner_thread *thread;
	struct block_opts image;	/* as its head was opened; without path and opener */
	/* The disk's thread notes an error and wakes the main loop: on_disk_error(). */
	GSource *wake;
	struct throttle *throttle;	/* as last set; NULL: none */
	char *limits_group;		/* whose it is; "": the disk's own */
	struct blk_limits limits;
	_Atomic int error;
	atomic_bool must_pause, room;
	struct block_job *job;		/* the disk's thread's; NULL: none */
	int job_kind;
	bool job_held;			/* the disk is, until its job pivots or goes on */
	_Atomic unsigned job_events;	/* bits of enum block_job_event, and why one has failed */
	_Atomic(char *) job_text;
};

struct machine_net {
	char *target;
	struct virtio_device *dev;	/* freed by its transport */
	struct net_backend *backend;	/* dev's */
	bool bounces;			/* after a restore; <vmm:restored link='bounce'/> */
	bool bounced;			/* down for that reason */
};

struct machine_hub {
	char *alias, *name;		/* name: a channel's, else NULL */
	struct hub *hub;
};

struct machine {
	char *name;
	struct machine_events events;
	GMainContext *ctx;

	struct kvm *kvm;
	struct guest_memory *mem;
	struct bus *pio, *mmio;
	struct vcpus *vcpus;

	GPtrArray *devices;		/* of struct device: all of them */
	struct power *power;		/* one of them */
	GArray *irq_fds;		/* of int: interrupt lines of the platform's devices */
	GArray *slots;			/* of struct acpi_virtio */
	GArray *com;			/* of struct acpi_serial */
	GPtrArray *disks, *nets, *hubs;	/* of the structs above */
	GSource *links_up;		/* nets.c; NULL: no link is bounced */
	struct virtio_device *balloon;	/* NULL: none */
	struct owner_thread *vsock_thread;	/* NULL: no vsock */
	int share_proc_fd;		/* -1: no shared folder */
	GPtrArray *share_threads;	/* of struct owner_thread, one for each shared folder */
	struct head_switch *switching;	/* disk.c; NULL: none */
	unsigned disk_works;		/* disk-job.c: on their way */
	struct save *save;		/* save.c; NULL: none under way */

	uint32_t *apic_ids;
	unsigned n_vcpus;
	int kernel_fd, initrd_fd;	/* kept: a reset loads again */
	char *kernel, *initrd, *cmdline;
	struct boot_agent_opts agent;	/* fd -1: none */
	char *agent_init;
	bool unpack;

	bool running;
	/* The guest's request to end; vCPU threads note the first and wake the main loop. */
	_Atomic int end;		/* enum machine_end, or -1 */
	GSource *end_wake;
	char *end_detail;
	bool ending;			/* from then on until all vCPUs are parked */
};

/* A source on the machine's loop that any thread wakes by g_source_set_ready_time(s, 0). */
GSource *machine_wake_new(struct machine *m, GSourceFunc fn, void *arg);
void machine_wake_free(GSource *source);

/* Notes why the guest ends; the first reason stands.  Any thread. */
void machine_end(struct machine *m, enum machine_end end);
/* From the vCPUs, on the owner's thread. */
void machine_vcpu_stopped(void *opaque, const struct vcpu_stop *why);
gboolean machine_on_end(void *opaque);
gboolean machine_on_disk_error(void *opaque);
/* blk_opts.on_error: on the disk's thread. */
void machine_disk_failed(void *opaque, int error, bool must_pause);
/* blk_opts.on_room, likewise. */
void machine_disk_has_room(void *opaque);

/* nets.c.  After a restore, before the guest runs: the links that bounce are down. */
void machine_links_bounce(struct machine *m);
/* The guest runs: they come up after a while. */
void machine_links_raise(struct machine *m);
void machine_links_settle(struct machine *m);

/* disk.c.  Waits for what it does on disks' threads. */
void machine_disks_settle(struct machine *m);
struct machine_disk *machine_disk_find(struct machine *m, const char *target);
/* disk-job.c */
void machine_disk_jobs_end(struct machine *m);
void machine_disk_tell_job(struct machine_disk *d);

/* Between vCPUs' end and start: save.c, run.c. */
void machine_devices_stop(struct machine *m);

/* save.c.  The machine is not to be resumed; the guest has ended beside the save's passes. */
bool machine_save_stands(const struct machine *m);
void machine_save_guest_ended(struct machine *m);
/* Cancels a save and waits for its thread; before vcpus_free(), and after. */
void machine_save_settle(struct machine *m, bool vcpus_gone);
/* restore.c.  Into a machine that is built and has not run. */
bool machine_restore(struct machine *m, int fd, GError **error);

/* A generation id that no machine had before; the guest's memory is loaded. */
bool machine_new_generation(struct machine *m, GError **error);

/* Tables, kernel, entry point: what a cold boot finds in memory. */
bool machine_load(struct machine *m, GError **error);
