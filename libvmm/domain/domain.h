/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's definition as plain data, and its way from and to XML.
 *
 * After domain_def_parse() nothing is left to guess: names, addresses and
 * aliases are filled in, enums are in range, numbers are bounded, and paths
 * are absolute.  A reader need not check again, only act.  No system calls
 * are made here but those for randomness and for reading the schema.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/util/allow.h"
#include "libvmm/util/uuid.h"

#define DOMAIN_XML_MAX_BYTES \
	(4u * 1024 * 1024 - 4096) /* both ways; the wire's strings end at 4 MiB */
#define DOMAIN_NAME_MAX_BYTES 255u
#define DOMAIN_VCPUS_MAX 255u			/* xAPIC ids without interrupt remapping */
#define DOMAIN_MEMORY_MAX_BYTES (1ull << 44)
#define DOMAIN_HUGEPAGE_BYTES (2ull << 20)
#define DOMAIN_CPUS_MAX 4096u			/* of the host */
#define DOMAIN_DEVICES_MAX 128u			/* of one class */
#define DOMAIN_SERIALS_MAX 2u			/* COM1, COM2 */
#define DOMAIN_VIRTIO_MAX 17u			/* devices; all consoles and channels are one */
#define DOMAIN_CID_FIRST 3u			/* of guests: 2 is the host */
#define DOMAIN_CID_LAST 0xfffffffeu
#define DOMAIN_VMM_NS "https://libvmm.org/xmlns/domain/1.0"

enum tristate { TRISTATE_ABSENT, TRISTATE_ON, TRISTATE_OFF };

/* ---- CPU ---- */

enum cpu_mode { CPU_HOST_PASSTHROUGH, CPU_HOST_MODEL, CPU_MAXIMUM, N_CPU_MODES };

enum cpu_policy {
	CPU_POLICY_FORCE, CPU_POLICY_REQUIRE, CPU_POLICY_OPTIONAL, CPU_POLICY_DISABLE,
	CPU_POLICY_FORBID, N_CPU_POLICIES,
};

enum cpu_check {
	CPU_CHECK_ABSENT,
	CPU_CHECK_NONE,
	CPU_CHECK_PARTIAL,
	CPU_CHECK_FULL,
	N_CPU_CHECKS
};

enum cpu_cache { CPU_CACHE_DEFAULT, CPU_CACHE_PASSTHROUGH, N_CPU_CACHES };

struct cpu_feature_def {
	enum cpu_policy policy;
	char *name;			/* libvirt's: "x2apic", "tsc-deadline" */
};

struct cpu_def {
	enum cpu_mode mode;
	enum cpu_cache cache;		/* kept: the guest sees the host's */
	enum cpu_check check;		/* kept */
	enum tristate migratable;	/* kept; never OFF */
	/* Product is vcpus_max.  All 0 when there is no <topology>: N sockets of one core. */
	unsigned sockets, dies, cores, threads;
	GPtrArray *features;		/* of struct cpu_feature_def; no name twice; NULL: none */
};

/* ---- boot, clock, life ---- */

enum domain_machine { MACHINE_MICROVM, N_DOMAIN_MACHINES };

/* ABSENT: injected where a kernel starts with an initrd and the agent has a way to the host. */
enum agent_mode { AGENT_ABSENT, AGENT_INJECT, AGENT_INSTALLED, AGENT_OFF, N_AGENT_MODES };

#define DOMAIN_OUTBOUND_PORT 1080	/* of the guest's loopback, where it gets out */
#define DOMAIN_AGENT_FILE "vmm-agent"	/* by that name, not a path, the builder asks for it */
#define DOMAIN_SCRATCH_FILE "scratch"	/* likewise: a file without a name, for a transient disk */
#define DOMAIN_AGENT_CHANNEL "org.libvmm.agent.0"

struct os_def {
	enum domain_machine machine;
	char *kernel;			/* NULL: it can be defined but not started */
	char *initrd, *cmdline;		/* may be NULL */
	bool boot_hd;			/* <boot dev='hd'/>: kept */
	bool kernel_unpack; /* <vmm:kernel unpack='yes'/>: unpack the bzImage on the host */
};

enum clock_offset {
	CLOCK_UTC, CLOCK_LOCALTIME, CLOCK_VARIABLE, CLOCK_TIMEZONE, N_CLOCK_OFFSETS,
};

enum timer_name { TIMER_KVMCLOCK, TIMER_TSC, TIMER_HPET, TIMER_PIT, TIMER_RTC, N_TIMER_NAMES };

enum timer_tickpolicy { TICK_ABSENT, TICK_DELAY, TICK_CATCHUP, N_TICKPOLICIES };

struct timer_def {
	enum timer_name name;
	enum tristate present;
	enum timer_tickpolicy tickpolicy;
};

struct clock_def {
	enum clock_offset offset;
	int64_t adjustment_s;		/* VARIABLE: seconds from its basis */
	bool basis_localtime;		/* VARIABLE: from local time, not UTC */
	char *timezone;			/* TIMEZONE: "Europe/Berlin" */
	GPtrArray *timers;		/* of struct timer_def; no name twice; NULL: none */
};

/* The wire's numbers (set-lifecycle-action, worker_action). */
enum domain_action {
	ACTION_DESTROY, ACTION_RESTART, ACTION_RENAME_RESTART, ACTION_PRESERVE, N_DOMAIN_ACTIONS,
};

/* ---- disks ---- */

enum disk_type { DISK_FILE, DISK_BLOCK, N_DISK_TYPES };
enum disk_format { DISK_FORMAT_RAW, DISK_FORMAT_QCOW2, N_DISK_FORMATS };
enum disk_cache {
	DISK_CACHE_DEFAULT, DISK_CACHE_NONE, DISK_CACHE_WRITETHROUGH, DISK_CACHE_WRITEBACK,
	DISK_CACHE_DIRECTSYNC, DISK_CACHE_UNSAFE, N_DISK_CACHES,
};
enum disk_io { DISK_IO_DEFAULT, DISK_IO_THREADS, DISK_IO_URING, N_DISK_IOS };
enum disk_discard {
	DISK_DISCARD_DEFAULT,
	DISK_DISCARD_UNMAP,
	DISK_DISCARD_IGNORE,
	N_DISK_DISCARDS
};
enum disk_zeroes {
	DISK_ZEROES_DEFAULT, DISK_ZEROES_OFF, DISK_ZEROES_ON, DISK_ZEROES_UNMAP, N_DISK_ZEROES,
};
enum disk_policy {
	DISK_POLICY_DEFAULT, DISK_POLICY_REPORT, DISK_POLICY_STOP, DISK_POLICY_IGNORE,
	DISK_POLICY_ENOSPACE, N_DISK_POLICIES,
};

/*
 * <iotune>, in the order in which its values are listed: bytes, then
 * operations, of each total, read, write; the burst of each; the size that
 * counts as one operation; the seconds that each burst may last.  0: no limit.
 */
enum { IOTUNE_MAX = 6, IOTUNE_SIZE = 12, IOTUNE_LENGTH = 13, N_IOTUNES = 19 };
extern const char *const iotune_names[N_IOTUNES + 1];
bool iotune_check(const uint64_t values[N_IOTUNES], GError **error);
#define IOTUNE_GROUP_MAX_BYTES 128u
bool iotune_group_check(const char *name, GError **error);

struct disk_def {
	enum disk_type type;		/* what the source is: a file or a block device */
	char *path;
	enum disk_format format;
	enum disk_cache cache;		/* DEFAULT is writeback */
	enum disk_io io;		/* THREADS: no io_uring; DEFAULT: io_uring where it works */
	enum disk_discard discard;	/* DEFAULT is ignore */
	enum disk_zeroes detect_zeroes;
	enum disk_policy error_policy;	/* of writes; DEFAULT is enospace */
	enum disk_policy rerror_policy;	/* of reads; DEFAULT: as error_policy; never ENOSPACE */
	unsigned queues;		/* 0: the machine's choice */
	uint64_t *iotune;		/* NULL: no limit; disk_iotune() */
	char *iotune_group;		/* whose disks share them: all have the same; NULL: none */
	bool readonly, shareable;
	bool transient;			/* what is written is forgotten when the machine ends */
	bool no_backing;		/* <backingStore/>: the image is the end of its chain */
	char *target;			/* "vda": unique */
	char *serial;			/* at most 20 bytes; may be NULL */
	unsigned boot_order;		/* 0: not given */
	unsigned line;			/* in the XML it came from, for messages; 0: none */
	char *alias;			/* "virtio-disk0" */
};

const uint64_t *disk_iotune(const struct disk_def *d);	/* N_IOTUNES of them */
/* group: NULL, none; without a limit there is none either. */
void disk_set_iotune(struct disk_def *d, const uint64_t values[N_IOTUNES], const char *group);
bool disk_same_iotune(const struct disk_def *a, const struct disk_def *b);

/* ---- folders of the host ---- */

#define DOMAIN_FILESYSTEMS_MAX 8u
#define FILESYSTEM_TAG_MAX_BYTES 36u	/* virtio 1.2, 5.11.4; libvirt's 9p has 31 */

enum filesystem_driver { FILESYSTEM_9P, FILESYSTEM_VIRTIOFS, N_FILESYSTEM_DRIVERS };
enum filesystem_access {
	FILESYSTEM_PASSTHROUGH,		/* owners and modes are the host's */
	FILESYSTEM_MAPPED,		/* what the guest sets is kept in attributes */
	FILESYSTEM_SQUASH,		/* all is root's in the guest; a chown does nothing */
	N_FILESYSTEM_ACCESSES
};
enum filesystem_cache {
	FILESYSTEM_CACHE_AUTO,		/* what the host changes is seen after a second */
	FILESYSTEM_CACHE_NONE,		/* at once */
	FILESYSTEM_CACHE_ALWAYS,	/* perhaps never: only the guest changes it */
	N_FILESYSTEM_CACHES
};

struct filesystem_def {
	enum filesystem_driver driver;
	enum filesystem_access access;
	enum filesystem_cache cache;	/* 9P: AUTO; there it is an option of the guest's mount */
	unsigned queue;			/* VIRTIOFS: entries, a power of two; 0: our choice */
	unsigned fmode, dmode;		/* MAPPED: of files and folders on the host */
	bool readonly;
	char *dir;			/* absolute, canonical; not "/" */
	char *tag;			/* what the guest mounts; unique */
	unsigned line;			/* in the XML it came from, for messages; 0: none */
	char *alias;			/* "fs0" */
};

/* ---- network interfaces ---- */

enum iface_type { IFACE_USER, IFACE_ETHERNET, IFACE_BRIDGE, IFACE_NETWORK, N_IFACE_TYPES };

struct port_range { /* host start..end to guest to..; exclude: leave these out */
	uint16_t start, end, to;
	bool exclude;
};

struct forward_def {
	bool udp;
	char *address;			/* host address to listen on; NULL: all */
	GArray *ranges; /* of struct port_range; at least one that is not excluded */
};

struct iface_def {
	enum iface_type type;
	uint8_t mac[6];
	bool mac_given;			/* in the XML it came from, not made up */
	char *bridge;			/* BRIDGE: the host's bridge */
	char *network;			/* NETWORK: its name */
	char *target;			/* tap device; NULL: named at start */
	bool target_unmanaged;		/* ETHERNET: the tap device exists already (managed='no') */
	unsigned mtu;			/* 0: not given */
	bool link_down;
	unsigned queues;		/* pairs; 0: one */
	bool link_bounces; /* <vmm:restored link='bounce'/>: it goes down and up after a restore */
	bool restricted; /* USER, <vmm:user restricted='yes'/>: guest reaches nobody */
	GPtrArray *forwards;		/* USER, NETWORK: of struct forward_def */
	unsigned boot_order;
	unsigned line;			/* in the XML it came from, for messages; 0: none */
	char *alias;			/* "net0" */
};

/* ---- serial, console, channel ---- */

enum chardev_kind { CHARDEV_SERIAL, CHARDEV_CONSOLE, CHARDEV_CHANNEL, N_CHARDEV_KINDS };
enum chardev_backend { CHARDEV_PTY, CHARDEV_NULL, CHARDEV_FILE, CHARDEV_UNIX, N_CHARDEV_BACKENDS };
enum chardev_target {
	CHARDEV_TARGET_ISA_SERIAL,	/* <serial>: 16550 */
	CHARDEV_TARGET_SERIAL,		/* <console>: another name of serials[0], no device */
	CHARDEV_TARGET_VIRTIO,		/* <console>, <channel>: a virtio-console port */
	N_CHARDEV_TARGETS,
};

struct chardev_def {
	enum chardev_kind kind;
	enum chardev_backend backend;
	char *path;			/* FILE, UNIX: set, but a channel's UNIX may be NULL: the
					 * run folder's choice; PTY: set while it runs */
	bool append;			/* FILE */
	enum chardev_target target;
	unsigned port;			/* place among its kind: 0, 1, ... */
	char *name;			/* CHANNEL: "org.qemu.guest_agent.0"; unique */
	unsigned line;			/* in the XML it came from, for messages; 0: none */
	char *alias;			/* "serial0", "console1", "channel0" */
};

/* ---- the rest ---- */

struct rng_def {
	char *source;			/* "/dev/urandom" or "/dev/random": both are getrandom() */
	uint64_t rate_bytes;		/* 0: no limit */
	unsigned rate_period_ms;
	char *alias;			/* "rng0" */
};

struct balloon_def {
	bool none;			/* model='none': no device */
	bool autodeflate, free_page_reporting;
	unsigned stats_period_s;	/* 0: none */
	char *alias;			/* "balloon0" */
};

struct vsock_def {
	bool auto_cid;			/* vmmd chooses one for each run */
	uint32_t cid;			/* 0: AUTO, and it does not run */
	GArray *proxies;		/* of struct allow_rule: where the guest gets out */
	char *alias;			/* "vsock0" */
};

enum controller_type { CONTROLLER_VIRTIO_SERIAL, CONTROLLER_USB, N_CONTROLLER_TYPES };

struct controller_def { /* nothing to build: ports share one virtio-console device */
	enum controller_type type;
	unsigned index;
	char *alias;			/* "virtio-serial0" */
};

/* ---- limits ---- */

enum domain_tune {
	TUNE_CPU_SHARES, TUNE_CPU_PERIOD, TUNE_CPU_QUOTA,	/* of cgroup v2's cpu.weight; us */
	TUNE_MEMORY_HARD, TUNE_MEMORY_SOFT, TUNE_MEMORY_SWAP,	/* KiB */
	TUNE_IO_WEIGHT,
	N_TUNES
};
#define TUNE_MEMORY_UNLIMITED UINT64_C(9007199254740991)	/* libvirt's, KiB */

struct domain_tune_field {
	const char *group, *name;	/* elements */
	uint64_t min, max;
};
extern const struct domain_tune_field domain_tunes[N_TUNES];

struct vcpu_pin_def {
	unsigned vcpu;
	char *cpuset;
};

struct tune_def {
	uint64_t values[N_TUNES];	/* 0: none given */
	GPtrArray *vcpu_pins;		/* of struct vcpu_pin_def, by vcpu; NULL: none */
	char *emulator_pin;		/* host CPUs of the threads that are no vCPU; NULL */
	char *numa_nodeset;		/* the host's memory cells: "0-1"; NULL: all */
};

struct domain_def {
	int id;				/* -1 when it does not run */
	char *name;
	uint8_t uuid[UUID_BYTES];
	bool uuid_given;		/* in the XML it came from, not made up */
	char *title, *description;	/* may be NULL */
	char *metadata;			/* the whole element as it was written; NULL */

	uint64_t memory_bytes;		/* of the guest; a multiple of 1 MiB */
	uint64_t current_bytes;		/* balloon target at start; <= memory_bytes */
	uint64_t max_memory_bytes;	/* <maxMemory>; 0: not given */
	unsigned max_memory_slots;
	bool hugepages;			/* from the host's pool; memory is a multiple of 2 MiB */
	/* <page size='2' unit='MiB'/>, <nosharepages/>, <source>, <access>: what we do anyhow */
	bool hugepage_given, nosharepages, backing_memfd, backing_shared;

	unsigned vcpus_max, vcpus;	/* vcpus run; <= vcpus_max */
	char *cpuset;			/* host CPUs: "0-3,^2"; NULL: all */
	struct cpu_def cpu;
	struct tune_def tune;

	struct os_def os;
	enum agent_mode agent;
	enum tristate pae, vmport;	/* kept: the machine has PAE, and no VMware port */
	struct clock_def clock;
	enum domain_action on_poweroff, on_reboot, on_crash;
	enum tristate pm_mem, pm_disk;	/* never ON */

	char *emulator;			/* kept; the daemon starts its own worker all the same */
	GPtrArray *disks;		/* of struct disk_def, and so on */
	GPtrArray *filesystems;
	GPtrArray *ifaces;
	GPtrArray *serials;
	GPtrArray *consoles;		/* [0] with CHARDEV_TARGET_SERIAL mirrors serials[0] */
	GPtrArray *channels;
	GPtrArray *rngs;
	GPtrArray *controllers;
	struct balloon_def balloon;
	struct vsock_def *vsock;	/* NULL: none */
};
typedef struct domain_def domain_def;

/* The channel that leads to the agent; NULL: none. */
const struct chardev_def *domain_agent_channel(const domain_def *def);
/* Does the agent come with the guest's initrd? */
bool domain_agent_injected(const domain_def *def);
/* Is there a <vmm:proxy>? */
bool domain_has_outbound(const domain_def *def);

enum domain_parse_flags {
	DOMAIN_PARSE_VALIDATE = 1, /* also against schemas/domain.rng */
	DOMAIN_PARSE_LIVE = 2, /* keep id, aliases, pty paths, tap names; else they are dropped */
};

enum domain_format_flags {
	DOMAIN_FORMAT_LIVE = 1,		/* with id, aliases, pty paths, tap names */
	DOMAIN_FORMAT_SECURE = 2,	/* with secrets: no element has any today */
};

/* VMM_ERR_XML, VMM_ERR_XML_SCHEMA, VMM_ERR_CONFIG_UNSUPPORTED; checked by domain_def_check(). */
domain_def *domain_def_parse(const char *xml, unsigned flags, GError **error);
/* NULL: problems, an array of struct xml_problem (xml.h), has all that is wrong, by lines. */
domain_def *domain_def_parse_all(const char *xml, unsigned flags, GPtrArray *problems);
/* The same definition gives the same bytes; parse of it gives the same definition. */
char *domain_def_format(const domain_def *def, unsigned flags);
domain_def *domain_def_copy(const domain_def *def);
void domain_def_free(domain_def *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_def, domain_def_free)

/* A name that may be a folder's and a process's: what <name> must be. */
bool domain_name_check(const char *name, GError **error);
/* Rules that cross devices; for definitions made or changed by hand. */
bool domain_def_check(const domain_def *def, GError **error);
/* What a definition may lack but a start may not. */
bool domain_def_check_start(const domain_def *def, GError **error);
/* After devices were added by hand: target names, ports, aliases, the console's mirror. */
bool domain_def_fill(domain_def *def, GError **error);

/* Builders of single devices, with defaults; the caller adds them to the definition. */
domain_def *domain_def_new(const char *name);
struct disk_def *disk_def_new(void);
struct filesystem_def *filesystem_def_new(void);
struct iface_def *iface_def_new(enum iface_type type);
/*
 * One <disk>, <filesystem>, <interface>, <channel> or <rng> by itself; a device is found by its
 * alias, else by its target, <mac> or name.  VMM_ERR_DEVICE_MISSING: there is no such.  A changed
 * device keeps its alias and its name on the host, if the text has none.
 */
bool domain_def_add_device(domain_def *def, const char *xml, GError **error);
bool domain_def_change_device(domain_def *def, const char *xml, GError **error);
bool domain_def_remove_device(domain_def *def, const char *xml, GError **error);
bool domain_def_remove_alias(domain_def *def, const char *alias, GError **error);
/* The element that such a text is; NULL: it is no XML. */
char *domain_device_element(const char *xml, GError **error);
/* The limits of a disk, and of all of the group that it is in then. */
void domain_def_set_iotune(domain_def *def, struct disk_def *d, const uint64_t values[N_IOTUNES],
			   const char *group);
/* One port of <portForward>'s ranges, what they exclude left out. */
struct iface_port {
	bool udp;
	const char *address;		/* the forward's; NULL: all */
	uint16_t host, guest;
};
GArray *iface_ports(const struct iface_def *iface);	/* of struct iface_port */
/* One more, or one less of those; guest is not looked at then. */
bool iface_port_add(struct iface_def *iface, const struct iface_port *port, GError **error);
bool iface_port_remove(struct iface_def *iface, const struct iface_port *port, GError **error);
/* All forwards, as `from` has them. */
void iface_take_ports(struct iface_def *iface, const struct iface_def *from);
struct chardev_def *chardev_def_new(enum chardev_kind kind);
struct rng_def *rng_def_new(void);

/* "0-3,^2": bit N of the map is host CPU N.  False: not such a list, or an empty one. */
bool domain_cpuset_map(const char *cpuset, uint8_t map[DOMAIN_CPUS_MAX / 8]);
/* The other way; NULL: the map is empty. */
char *domain_cpuset_text(const uint8_t *map, size_t bytes);

/* The host CPUs of a vCPU; NULL: those of <vcpu cpuset=>.  Set NULL: no pin of its own. */
const char *tune_vcpu_pin(const struct tune_def *tune, unsigned vcpu);
void tune_set_vcpu_pin(struct tune_def *tune, unsigned vcpu, const char *cpuset);
/* Is there anything that needs a cgroup? */
bool tune_is_limit(const struct tune_def *tune);

/* Does what the guest writes reach the image? */
bool disk_def_is_written(const struct disk_def *d);
/* Those whose image is never snapshotted, cloned or changed: "read-only" and so on; else NULL. */
const char *disk_def_apart(const struct disk_def *d);
const char *disk_format_name(enum disk_format format);	/* "raw", "qcow2": block_opts.format */
const char *chardev_kind_name(enum chardev_kind kind);
