/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One virtual machine: built from a definition, paused; then it runs.
 *
 * Owner: the main loop's thread, which built it.  All functions here are the
 * owner's; callbacks come on its thread too.  vCPU threads and disk threads
 * are the machine's own affair.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libvmm/block/block.h"
#include "libvmm/device/throttle.h"

struct domain_def;
struct hub;
struct machine;
struct recorder;

/* Of a vsock (device/vsock.h): where clients of the host come, and who connects to its services. */
struct machine_vsock {
	int listen_fd, door_fd;
};

/* A folder of the host, for a guest. */
struct machine_folder {
	int fd;			/* O_PATH; who asked closes it */
	/*
	 * mapped: what is seen there as our own user's and group's is, on the disk,
	 * these'; and what we make is, too.  Else owners are what they seem.
	 */
	bool mapped;
	uid_t uid;
	gid_t gid;
};

/* What the machine needs from outside its process; opaque comes back in each call. */
struct machine_host {
	struct block_opener opener;	/* kernel, initrd, disks, /dev/kvm, output files */
	/* A listening Unix socket at path, replacing a dead one. */
	int (*listen)(void *opaque, const char *path, GError **error);
	/*
	 * alias: the interface's; ret_fds has room for `queues`;
	 * *ret_ifname is the caller's to free.
	 */
	bool (*open_tap)(void *opaque, const char *alias, unsigned queues, int *ret_fds,
			 char **ret_ifname, GError **error);
	/* alias: the <filesystem>'s. */
	bool (*open_folder)(void *opaque, const char *alias, struct machine_folder *ret,
			    GError **error);
	int share_proc_fd;		/* share_proc_open(); taken with a shared folder */
	const struct machine_vsock *vsock;	/* taken with a vsock; NULL: it has none */
	struct recorder *recorder;	/* of what consoles say, outlives the machine; NULL */
	void *opaque;
};

enum machine_end {
	MACHINE_POWEROFF,	/* the guest turned itself off */
	MACHINE_RESET,		/* the guest asked for a reset */
	MACHINE_CRASHED,	/* triple fault, or the guest said that it panicked */
	MACHINE_FAILED,		/* the host's side: KVM internal error and the like */
};

struct machine_events {
	/* The vCPUs have stopped; the machine stays as it is until reset, resumed or freed. */
	void (*ended)(void *opaque, enum machine_end end, const char *detail);
	/* A disk failed; `paused`: its error policy stops the machine (a resume tries again). */
	void (*io_error)(void *opaque, const char *target, const char *path, int err, bool paused);
	/* The machine stands since a disk had no space, and now it has: a resume may go well. */
	void (*io_room)(void *opaque);
	/* enum block_job_kind, enum block_job_event; text: why it has failed, else "". */
	void (*job)(void *opaque, const char *target, int kind, int event, const char *text);
	void (*balloon_changed)(void *opaque, uint64_t guest_bytes);
	void *opaque;
};

struct machine *machine_build(const struct domain_def *def, const struct machine_host *host,
			      const struct machine_events *events, GError **error);
/* Stops the vCPUs, flushes and closes the disks. */
void machine_free(struct machine *m);
typedef struct machine machine;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(machine, machine_free)

void machine_resume(struct machine *m);
/* done() runs when no vCPU is in the guest; at once if none was. */
void machine_pause(struct machine *m, void (*done)(void *opaque), void *opaque);
bool machine_is_running(const struct machine *m);

/* Presses the power button. */
void machine_powerdown(struct machine *m);
/*
 * Power-on state again: memory zero, devices reset, the kernel loaded anew.
 * The vCPUs are stopped first, done() is called in the paused machine.
 */
void machine_reset(struct machine *m, void (*done)(void *opaque, const GError *error),
		   void *opaque);

/* By alias ("serial0", "console1", "channel0") or channel name; "" is the first; NULL if none. */
struct hub *machine_hub(struct machine *m, const char *device);
/* Gives the readers of each console this long to take what the guest said last. */
void machine_drain_hubs(struct machine *m, unsigned timeout_ms);

/* A disk's new head: a qcow2 overlay on its present one. */
struct machine_head {
	const char *target, *path;
	int fd;			/* of path, for reading and writing */
	int below_fd;		/* of the present head, for reading */
};

/*
 * Gives disks new heads: all or none.  The descriptors are taken.  done() is
 * called once, perhaps before the call returns.  In the old heads is then what
 * the guest had written at one moment of its time, the same for all of them,
 * flushed; each is open for reading only, its lock is a reader's.
 */
void machine_switch_heads(struct machine *m, const struct machine_head *heads, unsigned n,
			  void (*done)(void *opaque, const GError *error), void *opaque);

/*
 * Jobs on disks' chains (block/job.h), one a disk.  done() is called once, later;
 * descriptors are taken.
 */
typedef void machine_disk_done(void *opaque, const GError *error);

struct machine_job {
	const char *base, *top, *backing;
	int kind;			/* enum block_job_kind */
	int base_fd, above_fd;
	uint64_t bytes_per_s;
};

enum machine_job_control {
	MACHINE_JOB_ABORT,
	MACHINE_JOB_SPEED,
	MACHINE_JOB_HOLD,	/* a ready commit of the head: the disk stands, both are the same */
	MACHINE_JOB_PIVOT,	/* after HOLD: base is the head, the disk goes on */
	MACHINE_JOB_UNHOLD,	/* or: it goes on as before */
	N_MACHINE_JOB_CONTROLS
};

struct machine_job_info {
	int kind;		/* -1: no job */
	bool ready, held;
	uint64_t done_bytes, total_bytes, bytes_per_s;
	char base[4096];	/* path; "": none */
};

void machine_job_start(struct machine *m, const char *target, const struct machine_job *job,
		       machine_disk_done *done, void *opaque);
void machine_job_control(struct machine *m, const char *target, enum machine_job_control what,
			 uint64_t bytes_per_s, machine_disk_done *done, void *opaque);
/* ret is filled before done() is called. */
void machine_job_info(struct machine *m, const char *target, struct machine_job_info *ret,
		      machine_disk_done *done, void *opaque);
/* Larger only; the guest is told. */
void machine_disk_resize(struct machine *m, const char *target, uint64_t bytes,
			 machine_disk_done *done, void *opaque);

/* Limits of one disk; those of a group are given the same ones and share them. */
struct machine_limits {
	const char *target, *group;	/* group: "", none */
	struct blk_limits limits;
};

/* iotune: N_IOTUNES values as domain.h has them. */
struct machine_limits machine_limits_of(const char *target, const char *group,
					const uint64_t *iotune);
/* Of all that are to be other than they were: all or none.  Who keeps his keeps his burst, too. */
bool machine_set_limits(struct machine *m, const struct machine_limits *limits, unsigned n,
			GError **error);

bool machine_set_balloon(struct machine *m, uint64_t guest_bytes, GError **error);
bool machine_set_stats_period(struct machine *m, unsigned seconds, GError **error);

struct machine_disk_stats {
	const char *target;
	uint64_t rd_reqs, rd_bytes, rd_ns, wr_reqs, wr_bytes, wr_ns, fl_reqs, fl_ns, errs;
	int waiting_error;	/* errno for which requests wait; 0: none do */
};

struct machine_net_stats {
	const char *target;
	uint64_t rx_bytes, rx_packets, rx_errs, rx_drop, tx_bytes, tx_packets, tx_errs, tx_drop;
};

struct machine_vcpu_stats {
	bool halted;
	uint64_t cpu_ns, exits;
};

struct machine_memory_stat {
	int tag;		/* dommemstat's numbers */
	uint64_t value;
};

unsigned machine_n_disks(const struct machine *m);
unsigned machine_n_nets(const struct machine *m);
bool machine_set_link(struct machine *m, unsigned net, bool up, GError **error);
/* Another cable to its network's switch, in place of one that may be dead.  Takes fd. */
bool machine_plug(struct machine *m, unsigned net, int fd, GError **error);
struct slirp_forward;
/* Of user networking: a port of the host leads to the guest, or no longer. */
bool machine_forward(struct machine *m, unsigned net, const struct slirp_forward *f, bool remove,
		     GError **error);
unsigned machine_n_vcpus(const struct machine *m);
void machine_disk_stats(const struct machine *m, unsigned i, struct machine_disk_stats *ret);
void machine_net_stats(const struct machine *m, unsigned i, struct machine_net_stats *ret);
void machine_vcpu_stats(const struct machine *m, unsigned i, struct machine_vcpu_stats *ret);
/* Fills at most n; returns how many the guest told. */
unsigned machine_memory_stats(const struct machine *m, struct machine_memory_stat *ret, unsigned n);
uint64_t machine_balloon_bytes(const struct machine *m);	/* memory the guest has now */
