/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvmm: management of KVM virtual machines, client side.  See libvmm(3).
 *
 * Handles are opaque and may be used from any thread.  Calls block until the
 * daemon has answered; they end at once when the connection is lost, and when
 * the descriptor of vmm_connect_set_interrupt_fd() becomes readable.
 * Callbacks run on the GMainContext that was given at registration.
 *
 * A function that fails returns false, NULL or -1 and sets *error (domain
 * VMM_ERROR).  Strings that are not const are the caller's: g_free().
 */
#ifndef VMM_H
#define VMM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

G_BEGIN_DECLS

/* Errors: the numbers that the wire protocol carries. */
#define VMM_ERROR (vmm_error_quark())

enum vmm_error {
	VMM_ERR_INTERNAL = 1,
	VMM_ERR_NO_SUPPORT = 3,		/* a known procedure that we do not have */
	VMM_ERR_INVALID_ARG = 8,
	VMM_ERR_OPERATION_FAILED = 9,	/* also: name or uuid already taken */
	VMM_ERR_XML = 27,		/* not well-formed, or not valid */
	VMM_ERR_OPERATION_DENIED = 29,	/* read-only connection */
	VMM_ERR_SYSTEM = 38,		/* a system call failed */
	VMM_ERR_RPC = 39,
	VMM_ERR_NO_DOMAIN = 42,
	VMM_ERR_NO_NETWORK = 43,
	VMM_ERR_AUTH_FAILED = 45,
	VMM_ERR_NO_POOL = 49,
	VMM_ERR_NO_VOLUME = 50,
	VMM_ERR_NO_NODE_DEVICE = 53,
	VMM_ERR_OPERATION_INVALID = 55,	/* the object is in the wrong state */
	VMM_ERR_CPU_INCOMPATIBLE = 63,	/* with the host's */
	VMM_ERR_CONFIG_UNSUPPORTED = 67,/* valid XML that this machine cannot be */
	VMM_ERR_TIMEOUT = 68,
	VMM_ERR_NO_SNAPSHOT = 72,
	VMM_ERR_ARG_UNSUPPORTED = 74,
	VMM_ERR_ABORTED = 78,
	VMM_ERR_NO_METADATA = 80,
	VMM_ERR_OPERATION_UNSUPPORTED = 84,
	VMM_ERR_AGENT = 86,
	VMM_ERR_ACCESS_DENIED = 88,
	VMM_ERR_VOLUME_EXISTS = 90,
	VMM_ERR_XML_SCHEMA = 92,
	VMM_ERR_DEVICE_MISSING = 99,
};

GQuark vmm_error_quark(void);

typedef struct vmm_connect vmm_connect;
typedef struct vmm_domain vmm_domain;
typedef struct vmm_stream vmm_stream;
struct vmm_stream_ops;

/* ---- connection ---- */

enum vmm_connect_flags {
	VMM_CONNECT_RO = 1,
};

/*
 * uri: vmm:///system, vmm:///session, vmm+unix:///system?socket=PATH,
 * vmm+tls://HOST[:PORT]/system, vmm+ssh://[USER@]HOST/system, or NULL for
 * $VMM_DEFAULT_URI, $LIBVIRT_DEFAULT_URI, else system for root and
 * session for others.
 */
vmm_connect *vmm_connect_open(const char *uri, unsigned flags, GError **error);
/* The same; gives up when interrupt_fd becomes readable, and the connection keeps it. */
vmm_connect *vmm_connect_open_interruptible(const char *uri, unsigned flags, int interrupt_fd,
					    GError **error);
/* A socket of a local daemon, for who moves its bytes; close() it.  -1 on failure. */
int vmm_connect_dial(const char *uri, unsigned flags, GError **error);
/* NULL is fine; handles of domains go on working until they are freed. */
void vmm_connect_close(vmm_connect *conn);
/* While fd is readable, calls fail with VMM_ERR_ABORTED; nobody reads it. -1: none. */
void vmm_connect_set_interrupt_fd(vmm_connect *conn, int fd);
bool vmm_connect_is_alive(vmm_connect *conn);
const char *vmm_connect_uri(const vmm_connect *conn);
/* fn runs once, on context (NULL: the thread default), when the daemon has gone. */
typedef void (*vmm_close_fn)(vmm_connect *conn, const GError *error, void *opaque);
void vmm_connect_set_close_callback(vmm_connect *conn, GMainContext *context, vmm_close_fn fn,
				    void *opaque);

char *vmm_connect_hostname(vmm_connect *conn, GError **error);
char *vmm_connect_type(vmm_connect *conn, GError **error);
/* major * 1000000 + minor * 1000 + micro */
bool vmm_connect_version(vmm_connect *conn, uint64_t *ret, GError **error);
bool vmm_connect_lib_version(vmm_connect *conn, uint64_t *ret, GError **error);
char *vmm_connect_capabilities(vmm_connect *conn, GError **error);
/* Each of the four may be NULL. */
char *vmm_connect_domain_capabilities(vmm_connect *conn, const char *emulator, const char *arch,
				      const char *machine, const char *virttype, GError **error);
char *vmm_connect_sysinfo(vmm_connect *conn, GError **error);

struct vmm_node_info {
	char model[32];
	uint64_t memory_kib;
	unsigned cpus, mhz, nodes, sockets, cores, threads;
};

bool vmm_node_info(vmm_connect *conn, struct vmm_node_info *ret, GError **error);
bool vmm_node_free_memory(vmm_connect *conn, uint64_t *ret_bytes, GError **error);

/* ---- domains: finding ---- */

enum vmm_list_flags {			/* 0: all; groups are and-ed, bits within a group or-ed */
	VMM_LIST_ACTIVE = 1 << 0,
	VMM_LIST_INACTIVE = 1 << 1,
	VMM_LIST_PERSISTENT = 1 << 2,
	VMM_LIST_TRANSIENT = 1 << 3,
	VMM_LIST_RUNNING = 1 << 4,
	VMM_LIST_PAUSED = 1 << 5,
	VMM_LIST_SHUTOFF = 1 << 6,
	VMM_LIST_OTHER = 1 << 7,
	VMM_LIST_MANAGEDSAVE = 1 << 8,
	VMM_LIST_NO_MANAGEDSAVE = 1 << 9,
	VMM_LIST_AUTOSTART = 1 << 10,
	VMM_LIST_NO_AUTOSTART = 1 << 11,
	VMM_LIST_SNAPSHOT = 1 << 12,
	VMM_LIST_NO_SNAPSHOT = 1 << 13,
};

/* Of vmm_domain *; the array owns them (g_ptr_array_unref; vmm_domain_ref() what stays). */
GPtrArray *vmm_domain_list(vmm_connect *conn, unsigned flags, GError **error);
vmm_domain *vmm_domain_lookup(vmm_connect *conn, const char *name_uuid_or_id, GError **error);
vmm_domain *vmm_domain_lookup_by_name(vmm_connect *conn, const char *name, GError **error);
vmm_domain *vmm_domain_lookup_by_uuid(vmm_connect *conn, const char *uuid, GError **error);
vmm_domain *vmm_domain_lookup_by_id(vmm_connect *conn, int id, GError **error);

vmm_domain *vmm_domain_ref(vmm_domain *dom);
void vmm_domain_unref(vmm_domain *dom);	/* NULL is fine */
vmm_connect *vmm_domain_connect(const vmm_domain *dom);
const char *vmm_domain_name(const vmm_domain *dom);
const char *vmm_domain_uuid(const vmm_domain *dom);	/* 36 characters */
int vmm_domain_id(const vmm_domain *dom);	/* -1 if it did not run when the handle was made */

/* ---- domains: life ---- */

enum vmm_define_flags {
	VMM_DEFINE_VALIDATE = 1 << 0,
};

enum vmm_start_flags {
	VMM_START_PAUSED = 1 << 0,
	VMM_START_AUTODESTROY = 1 << 1,
	VMM_START_BYPASS_CACHE = 1 << 2,
	VMM_START_FORCE_BOOT = 1 << 3,
	VMM_START_VALIDATE = 1 << 4,
};

enum vmm_shutdown_flags {
	VMM_SHUTDOWN_ACPI = 1 << 0,
	VMM_SHUTDOWN_AGENT = 1 << 1,
};

enum vmm_destroy_flags {
	VMM_DESTROY_GRACEFUL = 1 << 0,
};

enum vmm_undefine_flags {
	VMM_UNDEFINE_MANAGED_SAVE = 1 << 0,
	VMM_UNDEFINE_SNAPSHOTS_METADATA = 1 << 1,
	VMM_UNDEFINE_NVRAM = 1 << 2,
};

enum vmm_affect {			/* of calls that take flags */
	VMM_AFFECT_CURRENT = 0,
	VMM_AFFECT_LIVE = 1 << 0,
	VMM_AFFECT_CONFIG = 1 << 1,
};

vmm_domain *vmm_domain_define_xml(vmm_connect *conn, const char *xml, unsigned flags,
				  GError **error);
vmm_domain *vmm_domain_create_xml(vmm_connect *conn, const char *xml, unsigned flags,
				  GError **error);
bool vmm_domain_create(vmm_domain *dom, unsigned flags, GError **error);
bool vmm_domain_undefine(vmm_domain *dom, unsigned flags, GError **error);
bool vmm_domain_shutdown(vmm_domain *dom, unsigned flags, GError **error);
bool vmm_domain_reboot(vmm_domain *dom, unsigned flags, GError **error);
bool vmm_domain_reset(vmm_domain *dom, GError **error);
bool vmm_domain_destroy(vmm_domain *dom, unsigned flags, GError **error);
bool vmm_domain_suspend(vmm_domain *dom, GError **error);
bool vmm_domain_resume(vmm_domain *dom, GError **error);
bool vmm_domain_get_autostart(vmm_domain *dom, bool *ret, GError **error);
bool vmm_domain_set_autostart(vmm_domain *dom, bool on, GError **error);
struct vmm_revision {			/* one version of a saved definition */
	unsigned number;		/* from 1 */
	int64_t at_s;			/* real time */
	unsigned restored;		/* the revision whose text it is again; 0: a new one */
	unsigned bytes;
	char *who;			/* "uid 0, virsh (pid 4711)" */
};

/* Of struct vmm_revision, oldest first. */
GPtrArray *vmm_domain_history(vmm_domain *dom, GError **error);
char *vmm_domain_revision_xml(vmm_domain *dom, unsigned number, GError **error);
/* number 0: what was before, step by step when called again.  A new revision is made. */
bool vmm_domain_undo(vmm_domain *dom, unsigned number, unsigned *ret_restored, GError **error);

/* ---- plans: what a definition would do, before it does it ---- */

enum vmm_plan_action { VMM_PLAN_NOTHING, VMM_PLAN_NEW, VMM_PLAN_CHANGE, VMM_PLAN_REFUSED };
enum vmm_plan_severity {
	VMM_PLAN_ERROR,			/* it is refused */
	VMM_PLAN_NO_START,		/* as the host is now it would not start */
	VMM_PLAN_DOUBT,
};
enum vmm_plan_when { VMM_PLAN_NOW, VMM_PLAN_NEXT_START, VMM_PLAN_NEVER };

struct vmm_plan_problem {
	enum vmm_plan_severity severity;
	unsigned line, column;		/* 0: of none */
	char *text;
};

struct vmm_plan_field {
	char *path;			/* "devices/disk[vda]/driver@cache" */
	char *live, *saved, *next;	/* NULL: not there */
	enum vmm_plan_when when;
};

struct vmm_plan {
	enum vmm_plan_action action;
	char *name;			/* "" when it can't be read */
	bool active;
	unsigned revision;		/* of what it changes; 0: nothing */
	GPtrArray *problems;		/* of struct vmm_plan_problem */
	GPtrArray *fields;		/* of struct vmm_plan_field */
};

/*
 * A domain that has the name of xml is meant by it: its uuid and its network
 * addresses stay where xml leaves them open.  flags: VMM_DEFINE_VALIDATE.
 */
struct vmm_plan *vmm_connect_plan(vmm_connect *conn, const char *xml, unsigned flags,
				  GError **error);
void vmm_plan_free(struct vmm_plan *plan);
/* Refused if the definition is no longer at this revision.  source: "HOST:/folder", or NULL. */
vmm_domain *vmm_connect_apply(vmm_connect *conn, const char *xml, unsigned flags,
			      unsigned revision, const char *source,
			      enum vmm_plan_action *ret_action, GError **error);
/* Names (char *) of the domains that were last applied from source. */
GPtrArray *vmm_connect_applied(vmm_connect *conn, const char *source, GError **error);
bool vmm_domain_rename(vmm_domain *dom, const char *name, GError **error);
/* event: 0 poweroff 1 reboot 2 crash; action: 0 destroy 1 restart 2 rename-restart 3 preserve */
bool vmm_domain_set_lifecycle_action(vmm_domain *dom, unsigned event, unsigned action,
				     unsigned flags, GError **error);

/* ---- domains in files ---- */

enum vmm_save_flags {
	VMM_SAVE_BYPASS_CACHE = 1 << 0,
	VMM_SAVE_RUNNING = 1 << 1,	/* restored, it runs; or is paused; else as it was */
	VMM_SAVE_PAUSED = 1 << 2,
};

/* Paths are the daemon's, and absolute.  xml NULL: the definition as it is. */
bool vmm_domain_save(vmm_domain *dom, const char *path, const char *xml, unsigned flags,
		     GError **error);
/* path NULL: as vmm_domain_managed_save(); format: "raw", "zstd", or NULL, as the daemon has it. */
bool vmm_domain_save_as(vmm_domain *dom, const char *path, const char *xml, const char *format,
			unsigned flags, GError **error);
bool vmm_domain_restore(vmm_connect *conn, const char *path, const char *xml, unsigned flags,
			GError **error);
char *vmm_save_image_xml(vmm_connect *conn, const char *path, GError **error);
bool vmm_save_image_define(vmm_connect *conn, const char *path, const char *xml, unsigned flags,
			   GError **error);
/* In a file of the daemon's; the next start goes on from it. */
bool vmm_domain_managed_save(vmm_domain *dom, unsigned flags, GError **error);
bool vmm_domain_managed_save_remove(vmm_domain *dom, GError **error);
char *vmm_domain_managed_save_xml(vmm_domain *dom, GError **error);
bool vmm_domain_managed_save_define(vmm_domain *dom, const char *xml, unsigned flags,
				    GError **error);

enum vmm_job_type {
	VMM_JOB_NONE = 0,
	VMM_JOB_BOUNDED = 1,
	VMM_JOB_UNBOUNDED = 2,
	VMM_JOB_COMPLETED = 3,
	VMM_JOB_FAILED = 4,
	VMM_JOB_CANCELLED = 5,
};

const char *vmm_job_text(int type);			/* "Completed", ... */
const char *vmm_job_operation_text(int operation);	/* "Save", ... */

struct vmm_job_info {
	int type;			/* enum vmm_job_type */
	int operation;
	uint64_t elapsed_ms;
	uint64_t total_bytes;
	uint64_t done_bytes;
	unsigned pass;			/* over memory, from 1 */
	char *message;			/* why a past one failed; g_free it */
};

/* Of the job that is under way. */
bool vmm_domain_job_info(vmm_domain *dom, struct vmm_job_info *ret, GError **error);
/* Of the last one that has ended; the daemon forgets it then, unless it is to keep it. */
bool vmm_domain_past_job(vmm_domain *dom, bool keep, struct vmm_job_info *ret, GError **error);
bool vmm_domain_abort_job(vmm_domain *dom, GError **error);

/* ---- domains: looking ---- */

enum vmm_state {
	VMM_STATE_NONE = 0,
	VMM_STATE_RUNNING = 1,
	VMM_STATE_BLOCKED = 2,
	VMM_STATE_PAUSED = 3,
	VMM_STATE_SHUTDOWN = 4,		/* shutting down */
	VMM_STATE_SHUTOFF = 5,
	VMM_STATE_CRASHED = 6,
	VMM_STATE_PMSUSPENDED = 7,
};

const char *vmm_state_text(int state);			/* "running", "shut off", ... */
const char *vmm_state_reason_text(int state, int reason);	/* "booted", "destroyed", ... */

struct vmm_domain_info {
	int state;			/* enum vmm_state */
	uint64_t max_memory_kib;
	uint64_t memory_kib;
	unsigned vcpus;
	uint64_t cpu_time_ns;
};

enum vmm_xml_flags {
	VMM_XML_SECURE = 1 << 0,
	VMM_XML_INACTIVE = 1 << 1,
	VMM_XML_UPDATE_CPU = 1 << 2,
	VMM_XML_MIGRATABLE = 1 << 3,
};

bool vmm_domain_info(vmm_domain *dom, struct vmm_domain_info *ret, GError **error);
bool vmm_domain_state(vmm_domain *dom, int *ret_state, int *ret_reason, GError **error);
char *vmm_domain_xml(vmm_domain *dom, unsigned flags, GError **error);
char *vmm_domain_os_type(vmm_domain *dom, GError **error);
bool vmm_domain_is_active(vmm_domain *dom, bool *ret, GError **error);
bool vmm_domain_is_persistent(vmm_domain *dom, bool *ret, GError **error);
bool vmm_domain_has_managed_save(vmm_domain *dom, bool *ret, GError **error);
/* state: 0 ok, 1 job, 2 occupied, 3 error */
bool vmm_domain_control_info(vmm_domain *dom, unsigned *ret_state, uint64_t *ret_ms,
			     GError **error);
/* NULL-terminated: g_strfreev() */
char **vmm_domain_messages(vmm_domain *dom, GError **error);

enum vmm_vcpu_flags {			/* besides VMM_AFFECT_* */
	VMM_VCPU_MAXIMUM = 1 << 2,
};

int vmm_domain_vcpu_count(vmm_domain *dom, unsigned flags, GError **error);

enum vmm_metadata {
	VMM_METADATA_DESCRIPTION = 0,
	VMM_METADATA_TITLE = 1,
	VMM_METADATA_ELEMENT = 2,	/* with a namespace uri */
};

char *vmm_domain_get_metadata(vmm_domain *dom, int type, const char *uri, unsigned flags,
			      GError **error);
/* metadata NULL deletes */
bool vmm_domain_set_metadata(vmm_domain *dom, int type, const char *metadata, const char *key,
			     const char *uri, unsigned flags, GError **error);

bool vmm_domain_set_memory(vmm_domain *dom, uint64_t kib, unsigned flags, GError **error);
bool vmm_domain_set_memory_stats_period(vmm_domain *dom, int seconds, unsigned flags,
					GError **error);

/* ---- domains: statistics; what is not known is -1 ---- */

struct vmm_memory_stat {
	int tag;			/* vmm_memory_stat_name() */
	uint64_t value;			/* KiB, or seconds since 1970 for last_update */
};

struct vmm_block_stats {
	int64_t rd_reqs, rd_bytes, wr_reqs, wr_bytes, errs;
};

struct vmm_block_info {
	uint64_t allocation, capacity, physical;	/* bytes */
};

struct vmm_interface_stats {
	int64_t rx_bytes, rx_packets, rx_errs, rx_drop;
	int64_t tx_bytes, tx_packets, tx_errs, tx_drop;
};

const char *vmm_memory_stat_name(int tag);	/* "actual", "unused", ... or NULL */
/* How many were stored, -1 on error. */
int vmm_domain_memory_stats(vmm_domain *dom, struct vmm_memory_stat *ret, unsigned n,
			    GError **error);
bool vmm_domain_block_stats(vmm_domain *dom, const char *disk, struct vmm_block_stats *ret,
			    GError **error);
bool vmm_domain_block_info(vmm_domain *dom, const char *disk, struct vmm_block_info *ret,
			   GError **error);
bool vmm_domain_interface_stats(vmm_domain *dom, const char *device,
				struct vmm_interface_stats *ret, GError **error);

enum vmm_param_type {
	VMM_PARAM_INT = 1,
	VMM_PARAM_UINT = 2,
	VMM_PARAM_LLONG = 3,
	VMM_PARAM_ULLONG = 4,
	VMM_PARAM_DOUBLE = 5,
	VMM_PARAM_BOOLEAN = 6,
	VMM_PARAM_STRING = 7,
};

struct vmm_param {
	char name[80];
	int type;			/* enum vmm_param_type */
	union {
		int32_t i;		/* also boolean */
		uint32_t u;
		int64_t l;
		uint64_t ul;
		double d;
		char *s;
	} value;
};

/* ---- domains: work on disks; disk: a target or the path of its image ---- */

enum vmm_block_commit_flags {
	VMM_BLOCK_COMMIT_SHALLOW = 1 << 0,
	VMM_BLOCK_COMMIT_DELETE = 1 << 1,
	VMM_BLOCK_COMMIT_ACTIVE = 1 << 2,
	VMM_BLOCK_COMMIT_RELATIVE = 1 << 3,
};
enum vmm_block_pull_flags {
	VMM_BLOCK_PULL_RELATIVE = 1 << 4,
};
enum vmm_block_abort_flags {
	VMM_BLOCK_ABORT_ASYNC = 1 << 0,
	VMM_BLOCK_ABORT_PIVOT = 1 << 1,
};

struct vmm_block_job {
	int type;			/* 0: none; 1 pull, 2 copy, 3 commit, 4 of the head */
	uint64_t bytes_per_s;		/* 0: no limit */
	uint64_t done, total;		/* equal: at its end, or ready */
};

struct vmm_disk_error {
	char *disk;			/* target */
	int error;			/* 1: unspecified, 2: no space */
};

/* base NULL: all that is behind it; else a path, or "vda[1]" */
bool vmm_domain_block_pull(vmm_domain *dom, const char *disk, const char *base,
			   uint64_t bytes_per_s, unsigned flags, GError **error);
bool vmm_domain_block_commit(vmm_domain *dom, const char *disk, const char *base, const char *top,
			     uint64_t bytes_per_s, unsigned flags, GError **error);
bool vmm_domain_block_job(vmm_domain *dom, const char *disk, struct vmm_block_job *ret,
			  GError **error);
bool vmm_domain_block_job_abort(vmm_domain *dom, const char *disk, unsigned flags,
				GError **error);
bool vmm_domain_block_job_set_speed(vmm_domain *dom, const char *disk, uint64_t bytes_per_s,
				    GError **error);
bool vmm_domain_block_resize(vmm_domain *dom, const char *disk, uint64_t bytes, GError **error);
/* How many were stored, texts are the caller's; -1 on error. */
int vmm_domain_get_iotune(vmm_domain *dom, const char *disk, struct vmm_param *ret, unsigned n,
			  unsigned flags, GError **error);
/* Of VMM_PARAM_ULLONG or VMM_PARAM_STRING. */
bool vmm_domain_set_iotune(vmm_domain *dom, const char *disk, const struct vmm_param *params,
			   unsigned n, unsigned flags, GError **error);
/* of struct vmm_disk_error */
GPtrArray *vmm_domain_disk_errors(vmm_domain *dom, GError **error);

enum vmm_stats {			/* 0: all */
	VMM_STATS_STATE = 1 << 0,
	VMM_STATS_CPU = 1 << 1,
	VMM_STATS_BALLOON = 1 << 2,
	VMM_STATS_VCPU = 1 << 3,
	VMM_STATS_INTERFACE = 1 << 4,
	VMM_STATS_BLOCK = 1 << 5,
};

struct vmm_domain_stats {
	vmm_domain *domain;
	struct vmm_param *params;
	size_t n_params;
};

/* Of struct vmm_domain_stats *, all that match the list flags, in one call: g_ptr_array_unref(). */
GPtrArray *vmm_domain_stats_all(vmm_connect *conn, unsigned stats, unsigned list_flags,
				GError **error);
/* The parameter of that name, or NULL. */
const struct vmm_param *vmm_domain_stats_find(const struct vmm_domain_stats *stats,
					      const char *name);
/* A number of any type as unsigned; fallback if it is not there. */
uint64_t vmm_domain_stats_number(const struct vmm_domain_stats *stats, const char *name,
				 uint64_t fallback);

/* ---- images ---- */

struct vmm_image {
	char *path;
	char *parent;			/* the image that it stands on; NULL */
	unsigned format;		/* 0 not known, 1 raw, 2 qcow2 */
	uint64_t size;			/* of the file, bytes */
	int64_t seen_s;			/* when it was last seen as it should be */
	char *fault;			/* how it is not; NULL */
	char **users;			/* "web (vda)" */
};

enum vmm_image_op {
	VMM_IMAGE_COMMIT = 0,
	VMM_IMAGE_FLATTEN = 1,
	VMM_IMAGE_REBASE = 2,		/* other: the new backing image, and its format */
	VMM_IMAGE_MOVE = 3,		/* other: the new path */
};

enum vmm_clone_flags {
	VMM_CLONE_COPY = 1 << 0,	/* copies of the disks; else overlays */
};

/* Of struct vmm_image, by path: all that the daemon knows. */
GPtrArray *vmm_image_tree(vmm_connect *conn, GError **error);
bool vmm_image_accept(vmm_connect *conn, const char *path, GError **error);
/* Paths are absolute. */
bool vmm_image_work(vmm_connect *conn, enum vmm_image_op op, const char *path, const char *other,
		    const char *format, GError **error);
vmm_domain *vmm_domain_clone(vmm_domain *dom, const char *name, unsigned flags, GError **error);

/* ---- networks ---- */

typedef struct vmm_network vmm_network;

enum vmm_network_op { VMM_NETWORK_START, VMM_NETWORK_STOP, VMM_NETWORK_UNDEFINE };

struct vmm_network_info {
	bool active, persistent, autostart;
};

struct vmm_lease {
	int64_t expires_s;		/* real time */
	char *mac, *ip;
	unsigned prefix;
	char *hostname, *client_id;	/* may be NULL */
};

/* Of vmm_network; flags 1 inactive ones, 2 active ones, 0 all. */
GPtrArray *vmm_network_list(vmm_connect *conn, unsigned flags, GError **error);
/* By uuid or name. */
vmm_network *vmm_network_lookup(vmm_connect *conn, const char *text, GError **error);
vmm_network *vmm_network_define_xml(vmm_connect *conn, const char *xml, unsigned flags,
				    GError **error);
vmm_network *vmm_network_create_xml(vmm_connect *conn, const char *xml, unsigned flags,
				    GError **error);
void vmm_network_free(vmm_network *net);
const char *vmm_network_name(const vmm_network *net);
const char *vmm_network_uuid(const vmm_network *net);
bool vmm_network_do(vmm_network *net, enum vmm_network_op op, GError **error);
bool vmm_network_set_autostart(vmm_network *net, bool on, GError **error);
bool vmm_network_info(vmm_network *net, struct vmm_network_info *ret, GError **error);
char *vmm_network_xml(vmm_network *net, unsigned flags, GError **error);
/* libvirt's numbers: command 1 modify, 2 delete, 3 add; section 4 DHCP host, 10 DNS host. */
bool vmm_network_update(vmm_network *net, unsigned command, unsigned section, const char *xml,
			unsigned flags, GError **error);
GPtrArray *vmm_network_leases(vmm_network *net, GError **error);	/* of struct vmm_lease */
/* Names of running domains with an interface on it, one for each: g_strfreev(). */
char **vmm_network_users(vmm_network *net, GError **error);

/* A port of the host that leads to a guest. */
struct vmm_port {
	const char *interface;		/* alias; NULL: the first that can */
	bool udp;
	const char *address;		/* of the host; NULL: all */
	unsigned host, guest;
};

/* Of struct vmm_port; flags: VMM_AFFECT_CONFIG for those of the stored definition. */
GPtrArray *vmm_domain_ports(vmm_domain *dom, unsigned flags, GError **error);
/* flags: VMM_AFFECT_... */
bool vmm_domain_port_add(vmm_domain *dom, const struct vmm_port *port, unsigned flags,
			 GError **error);
bool vmm_domain_port_remove(vmm_domain *dom, const struct vmm_port *port, unsigned flags,
			    GError **error);

struct vmm_address {
	char *interface, *mac, *address;
	unsigned prefix;
};

enum vmm_address_source { VMM_ADDRESS_LEASE = 0, VMM_ADDRESS_AGENT = 1 };

/* Of struct vmm_address: what its networks have given it, or what its agent says that it has. */
GPtrArray *vmm_domain_addresses(vmm_domain *dom, enum vmm_address_source source, GError **error);

/* ---- what a guest's agent answers ---- */

/* types: 0 for all that it tells.  The array is freed by g_free(), and each text in it. */
struct vmm_param *vmm_domain_guest_info(vmm_domain *dom, unsigned types, unsigned *ret_n,
					GError **error);
/* Nanoseconds since 1970; set: -1 for what the machine's clock chip says. */
bool vmm_domain_get_time(vmm_domain *dom, int64_t *ret_ns, GError **error);
bool vmm_domain_set_time(vmm_domain *dom, int64_t ns, GError **error);
/* How many file systems; -1: failed. */
int vmm_domain_fs_freeze(vmm_domain *dom, GError **error);
int vmm_domain_fs_thaw(vmm_domain *dom, GError **error);
#define VMM_PASSWORD_ENCRYPTED 1u
bool vmm_domain_set_user_password(vmm_domain *dom, const char *user, const char *password,
				  unsigned flags, GError **error);

/* ---- pools and volumes ---- */

typedef struct vmm_pool vmm_pool;

enum vmm_pool_op {
	VMM_POOL_START,			/* flags 1: make its folder first */
	VMM_POOL_STOP,
	VMM_POOL_BUILD,
	VMM_POOL_DELETE,		/* the folder, which must be empty */
	VMM_POOL_UNDEFINE,
	VMM_POOL_REFRESH,
};

struct vmm_pool_info {
	unsigned state;			/* 0 inactive, 2 running, 4 inaccessible */
	uint64_t capacity, allocation, available;	/* bytes */
	bool autostart, persistent;
};

struct vmm_volume {
	char *pool, *name;
	char *path;
};

enum vmm_volume_flags {
	VMM_VOLUME_PREALLOC_METADATA = 1 << 0,	/* of a creation */
	VMM_VOLUME_ALLOCATE = 1 << 0,		/* of a resize */
	VMM_VOLUME_DELTA = 1 << 1,
	VMM_VOLUME_SHRINK = 1 << 2,
};

/* Of vmm_pool; flags 1 inactive ones, 2 active ones, 0 all. */
GPtrArray *vmm_pool_list(vmm_connect *conn, unsigned flags, GError **error);
/* By uuid or name. */
vmm_pool *vmm_pool_lookup(vmm_connect *conn, const char *text, GError **error);
vmm_pool *vmm_pool_define_xml(vmm_connect *conn, const char *xml, unsigned flags, GError **error);
vmm_pool *vmm_pool_create_xml(vmm_connect *conn, const char *xml, unsigned flags, GError **error);
void vmm_pool_free(vmm_pool *pool);
const char *vmm_pool_name(const vmm_pool *pool);
const char *vmm_pool_uuid(const vmm_pool *pool);
bool vmm_pool_do(vmm_pool *pool, enum vmm_pool_op op, unsigned flags, GError **error);
bool vmm_pool_set_autostart(vmm_pool *pool, bool on, GError **error);
bool vmm_pool_info(vmm_pool *pool, struct vmm_pool_info *ret, GError **error);
char *vmm_pool_xml(vmm_pool *pool, unsigned flags, GError **error);
/* Names: g_strfreev(). */
char **vmm_pool_volumes(vmm_pool *pool, GError **error);

struct vmm_volume *vmm_volume_lookup(vmm_pool *pool, const char *name, GError **error);
struct vmm_volume *vmm_volume_lookup_by_path(vmm_connect *conn, const char *path, GError **error);
void vmm_volume_free(struct vmm_volume *vol);
/* from: the volume that is copied; NULL: an empty one or an overlay, as the XML says. */
struct vmm_volume *vmm_volume_create_xml(vmm_pool *pool, const char *xml,
					 const struct vmm_volume *from, unsigned flags,
					 GError **error);
bool vmm_volume_delete(vmm_connect *conn, const struct vmm_volume *vol, unsigned flags,
		       GError **error);
bool vmm_volume_wipe(vmm_connect *conn, const struct vmm_volume *vol, GError **error);
bool vmm_volume_resize(vmm_connect *conn, const struct vmm_volume *vol, uint64_t bytes,
		       unsigned flags, GError **error);
bool vmm_volume_info(vmm_connect *conn, const struct vmm_volume *vol, uint64_t *ret_capacity,
		     uint64_t *ret_allocation, GError **error);
/* Of the file, whatever its format and its holes. */
bool vmm_volume_file_bytes(vmm_connect *conn, const struct vmm_volume *vol, uint64_t *ret,
			   GError **error);
char *vmm_volume_xml(vmm_connect *conn, const struct vmm_volume *vol, GError **error);
/*
 * Bytes of a volume from offset on, to it or from it; length 0: to its end.
 * An upload is in place when vmm_stream_finish() is true.
 */
enum vmm_transfer_flags {
	VMM_TRANSFER_SPARSE = 1 << 0,	/* holes come as such, by ops->hole, and may be written */
};

struct vmm_stream *vmm_volume_transfer(vmm_connect *conn, const struct vmm_volume *vol, bool upload,
				       uint64_t offset, uint64_t length, unsigned flags,
				       GMainContext *context, const struct vmm_stream_ops *ops,
				       void *opaque, GError **error);
typedef struct vmm_volume vmm_volume;

/* ---- events ---- */

enum vmm_event_id {
	VMM_EVENT_LIFECYCLE = 0,
	VMM_EVENT_REBOOT = 1,
	VMM_EVENT_WATCHDOG = 3,
	VMM_EVENT_IO_ERROR = 4,
	VMM_EVENT_IO_ERROR_REASON = 6,
	VMM_EVENT_CONTROL_ERROR = 7,
	VMM_EVENT_BLOCK_JOB = 8,
	VMM_EVENT_BALLOON_CHANGE = 13,
	VMM_EVENT_DEVICE_REMOVED = 15,
	VMM_EVENT_BLOCK_JOB_2 = 16,
	VMM_EVENT_TUNABLE = 17,
	VMM_EVENT_AGENT_LIFECYCLE = 18,
	VMM_EVENT_DEVICE_ADDED = 19,
	VMM_EVENT_JOB_COMPLETED = 21,
	VMM_EVENT_METADATA_CHANGE = 23,
	/* Of networks and pools; libvirt counts each of these from 0. */
	VMM_EVENT_NETWORK_LIFECYCLE = 0x100,
	VMM_EVENT_POOL_LIFECYCLE = 0x200,
	VMM_EVENT_POOL_REFRESH = 0x201,
};

enum vmm_lifecycle {
	VMM_LIFECYCLE_DEFINED = 0,
	VMM_LIFECYCLE_UNDEFINED = 1,
	VMM_LIFECYCLE_STARTED = 2,
	VMM_LIFECYCLE_SUSPENDED = 3,
	VMM_LIFECYCLE_RESUMED = 4,
	VMM_LIFECYCLE_STOPPED = 5,
	VMM_LIFECYCLE_SHUTDOWN = 6,
	VMM_LIFECYCLE_PMSUSPENDED = 7,
	VMM_LIFECYCLE_CRASHED = 8,
};

const char *vmm_event_name(int id);			/* "lifecycle", ... or NULL */
const char *vmm_lifecycle_text(int event);		/* "Started", ... */
const char *vmm_lifecycle_detail_text(int event, int detail);	/* "Booted", ... */
/* Of networks, which know the first four, and pools: "Defined", "Stopped", "Created", ... */
const char *vmm_pool_lifecycle_text(int event);
const char *vmm_block_job_text(int type);		/* "Block Pull", ... */
const char *vmm_block_job_status_text(int status);	/* "completed", "ready", ... */

struct vmm_event {
	int id;				/* enum vmm_event_id */
	vmm_domain *domain;		/* whose it is; the others are NULL */
	vmm_network *network;
	vmm_pool *pool;
	int event;			/* lifecycle: what; others: action, state or type */
	int detail;			/* lifecycle: why; agent: reason; block job: status */
	uint64_t value;			/* balloon: KiB */
	const char *path;		/* io error, block job: source */
	const char *device;		/* io error, device: alias; block job 2: target */
	const char *reason;		/* io error reason; metadata: namespace */
	const struct vmm_param *params;	/* tunable: what is set now */
	unsigned n_params;
	const struct vmm_job_info *job;	/* job completed */
};

typedef void (*vmm_event_fn)(vmm_connect *conn, const struct vmm_event *event, void *opaque);

/*
 * dom NULL: of all domains.  fn runs on context (NULL: this thread's default
 * context).  Returns an id for deregistration, -1 on error.
 */
int vmm_event_register(vmm_connect *conn, vmm_domain *dom, int id, GMainContext *context,
		       vmm_event_fn fn, void *opaque, GError **error);
/* The same for VMM_EVENT_NETWORK_... and VMM_EVENT_POOL_... */
int vmm_network_event_register(vmm_connect *conn, vmm_network *net, int id, GMainContext *context,
			       vmm_event_fn fn, void *opaque, GError **error);
int vmm_pool_event_register(vmm_connect *conn, vmm_pool *pool, int id, GMainContext *context,
			    vmm_event_fn fn, void *opaque, GError **error);
/* After it returns fn does not run any more, if called on the thread of its context. */
bool vmm_event_deregister(vmm_connect *conn, int registration, GError **error);

/* ---- streams ---- */

enum vmm_console_flags {
	VMM_CONSOLE_FORCE = 1 << 0,	/* take the place of the one that writes now */
	VMM_CONSOLE_SAFE = 1 << 1,
	VMM_CONSOLE_WATCH = 1 << 8,	/* write nothing, be in nobody's way; not libvirt's */
	VMM_CONSOLE_NEW = 1 << 9,	/* replay nothing; of vmm_domain_attach_console() */
};

struct vmm_stream_ops {
	void (*data)(vmm_stream *stream, const void *data, size_t bytes, void *opaque);
	/* Once: error is NULL when the other side has ended the stream (the guest is gone). */
	void (*closed)(vmm_stream *stream, const GError *error, void *opaque);
	/* Zeroes that were not sent: VMM_TRANSFER_SPARSE; else NULL. */
	void (*hole)(vmm_stream *stream, uint64_t bytes, void *opaque);
};

/*
 * device: alias or NULL for the first console.  Callbacks run on context
 * (NULL: this thread's default).  What is not consumed there slows down the
 * sender, nothing is lost.
 */
vmm_stream *vmm_domain_open_console(vmm_domain *dom, const char *device, unsigned flags,
				    GMainContext *context, const struct vmm_stream_ops *ops,
				    void *opaque, GError **error);

/* Where an attached console's output begins. */
struct vmm_console_place {
	char device[64];		/* alias */
	uint64_t run, position;		/* as in the journal's entries; run 0: none is kept */
};

/*
 * The same by a call of ours, which tells where in the journal the stream
 * begins.  Flags: FORCE or WATCH, and NEW.
 */
vmm_stream *vmm_domain_attach_console(vmm_domain *dom, const char *device, unsigned flags,
				      GMainContext *context, const struct vmm_stream_ops *ops,
				      void *opaque, struct vmm_console_place *ret, GError **error);
/*
 * The journal of the domain's consoles: a copy of its file, whose form is the
 * project's own; nothing if there is none.  Then the stream is closed.
 */
vmm_stream *vmm_domain_open_console_log(vmm_domain *dom, GMainContext *context,
					const struct vmm_stream_ops *ops, void *opaque,
					GError **error);
/*
 * The agent in the guest: a stream of its protocol, docs/agent-protocol.md.
 * There may be no agent at its end, or none yet.
 */
vmm_stream *vmm_domain_open_agent(vmm_domain *dom, GMainContext *context,
				  const struct vmm_stream_ops *ops, void *opaque, GError **error);
/* A port of the guest's vsock. */
vmm_stream *vmm_domain_open_vsock(vmm_domain *dom, unsigned port, GMainContext *context,
				  const struct vmm_stream_ops *ops, void *opaque, GError **error);
/* The size of the writer's window; only virtio consoles have one. */
bool vmm_domain_resize_console(vmm_domain *dom, const char *device, unsigned columns,
			       unsigned rows, GError **error);
/* Queues and returns; false once the stream has ended. */
bool vmm_stream_write(vmm_stream *stream, const void *data, size_t bytes, GError **error);
/* Of a sparse upload: so many zeroes, which take no room. */
bool vmm_stream_write_hole(vmm_stream *stream, uint64_t bytes, GError **error);
/* Of a vsock's port: no more is written, though more may be read; the guest sees the end. */
bool vmm_stream_write_end(vmm_stream *stream, GError **error);
/* Bytes that have not left yet. */
size_t vmm_stream_queued(vmm_stream *stream);
/* Say that no more is written, wait until all has arrived. */
bool vmm_stream_finish(vmm_stream *stream, GError **error);
/*
 * No callback runs any more after it, if called on the thread of its context. Aborts an unfinished
 * stream.
 */
void vmm_stream_free(vmm_stream *stream);

/* ---- logbooks ---- */

#define VMM_LOG_READ_MAX 4096

enum vmm_log_level { VMM_LOG_ERROR, VMM_LOG_WARNING, VMM_LOG_NOTE };

struct vmm_log_entry {
	uint64_t number;		/* rises by one from entry to entry */
	int64_t at_us;			/* real time */
	enum vmm_log_level level;
	char *event;			/* "started", "failed", "worker" */
	char *who;			/* "uid 0, vmsh (pid 4711)"; "": vmmd */
	char *text;
};

struct vmm_log_query {
	uint64_t after;			/* entries with a higher number */
	int64_t since_us;		/* and not older */
	unsigned max;			/* so many at most; VMM_LOG_READ_MAX can be */
	bool newest;			/* those at the end, not those after "after" */
};

/* Of struct vmm_log_entry, oldest first.  dom NULL: what the daemon itself has to say. */
GPtrArray *vmm_log_read(vmm_connect *conn, vmm_domain *dom, const struct vmm_log_query *query,
			GError **error);

/* ---- the past of domains, metrics ---- */

struct vmm_past_event {
	int64_t at_us;			/* real time */
	char *name, *uuid;		/* of the domain, which may be gone */
	int event, detail;		/* vmm_lifecycle_text() */
};

struct vmm_boot {			/* one run of a domain */
	int id;				/* vmm_domain_id() in it */
	char *name, *uuid;
	int64_t started_us;		/* real time */
	int64_t boot_ms;		/* from the wish to running vCPUs; -1: not known */
	bool restored;			/* from saved memory */
	int64_t ended_us;		/* 0: it runs, or nobody saw its end */
	char *how;			/* "shut down", "failed: ..."; NULL */
};

/* The last changes of domains' states, and the last runs, oldest first: of these structs. */
GPtrArray *vmm_connect_past_events(vmm_connect *conn, GError **error);
GPtrArray *vmm_connect_boots(vmm_connect *conn, GError **error);

enum vmm_metrics_format { VMM_METRICS_OPENMETRICS, VMM_METRICS_PROMETHEUS };

/* All counters of all domains, as text: the caller's. */
char *vmm_connect_metrics(vmm_connect *conn, enum vmm_metrics_format format, GError **error);

/* ---- the doctor ---- */

struct vmm_finding {
	char *domain, *path;		/* "": none */
	char *what, *advice;
	char *done;			/* by a repair: "removed"; "": nothing */
	bool hint;			/* worth knowing, no disagreement of database and disk */
	bool can_fix;			/* by vmm_connect_doctor_fix() */
};

/*
 * Of struct vmm_finding: where the database does not fit the disk, and what
 * hurts guests. Empty: all is well.
 */
GPtrArray *vmm_connect_doctor(vmm_connect *conn, GError **error);
/* The same, and repairs what nobody can miss; dry: only says what that would be. */
GPtrArray *vmm_connect_doctor_fix(vmm_connect *conn, bool dry, GError **error);

/* ---- snapshots: of a domain, by their names ---- */

enum vmm_snapshot_list_flags {
	VMM_SNAPSHOT_ROOTS = 1 << 0,		/* vmm_snapshot_list() */
	VMM_SNAPSHOT_DESCENDANTS = 1 << 0,	/* vmm_snapshot_children() */
	VMM_SNAPSHOT_METADATA = 1 << 1,
	VMM_SNAPSHOT_LEAVES = 1 << 2,
	VMM_SNAPSHOT_NO_LEAVES = 1 << 3,
	VMM_SNAPSHOT_NO_METADATA = 1 << 4,
	VMM_SNAPSHOT_INACTIVE = 1 << 5,
	VMM_SNAPSHOT_ACTIVE = 1 << 6,
	VMM_SNAPSHOT_OF_DISKS = 1 << 7,
	VMM_SNAPSHOT_INTERNAL = 1 << 8,
	VMM_SNAPSHOT_EXTERNAL = 1 << 9,
	VMM_SNAPSHOT_TOPOLOGICAL = 1 << 10,	/* parents first: always so */
};

enum vmm_snapshot_create_flags {
	VMM_SNAPSHOT_CREATE_REDEFINE = 1 << 0,
	VMM_SNAPSHOT_CREATE_CURRENT = 1 << 1,
	VMM_SNAPSHOT_CREATE_NO_METADATA = 1 << 2,
	VMM_SNAPSHOT_CREATE_HALT = 1 << 3,
	VMM_SNAPSHOT_CREATE_DISK_ONLY = 1 << 4,
	VMM_SNAPSHOT_CREATE_REUSE_EXT = 1 << 5,
	VMM_SNAPSHOT_CREATE_QUIESCE = 1 << 6,
	VMM_SNAPSHOT_CREATE_ATOMIC = 1 << 7,	/* always so */
	VMM_SNAPSHOT_CREATE_LIVE = 1 << 8,
	VMM_SNAPSHOT_CREATE_VALIDATE = 1 << 9,
};

enum vmm_snapshot_revert_flags {
	VMM_SNAPSHOT_REVERT_RUNNING = 1 << 0,
	VMM_SNAPSHOT_REVERT_PAUSED = 1 << 1,
	VMM_SNAPSHOT_REVERT_FORCE = 1 << 2,
};

enum vmm_snapshot_delete_flags {
	VMM_SNAPSHOT_DELETE_CHILDREN = 1 << 0,
	VMM_SNAPSHOT_DELETE_METADATA_ONLY = 1 << 1,
	VMM_SNAPSHOT_DELETE_CHILDREN_ONLY = 1 << 2,
};

/* Names, NULL-terminated: g_strfreev(). */
char **vmm_snapshot_list(vmm_domain *dom, unsigned flags, GError **error);
char **vmm_snapshot_children(vmm_domain *dom, const char *name, unsigned flags, GError **error);
/* The name of the new one. */
char *vmm_snapshot_create_xml(vmm_domain *dom, const char *xml, unsigned flags, GError **error);
/* VMM_ERR_NO_SNAPSHOT: there is none. */
char *vmm_snapshot_current(vmm_domain *dom, GError **error);
char *vmm_snapshot_parent(vmm_domain *dom, const char *name, GError **error);
/* flags: 0 or VMM_XML_SECURE */
char *vmm_snapshot_xml(vmm_domain *dom, const char *name, unsigned flags, GError **error);
bool vmm_snapshot_revert(vmm_domain *dom, const char *name, unsigned flags, GError **error);
struct vmm_changed_range {
	char *target;			/* "vda" */
	uint64_t start, length;		/* bytes */
};

/*
 * Of struct vmm_changed_range: where the disks of two snapshots were written
 * since what both come from.  *ret_truncated: there are more.
 */
GPtrArray *vmm_snapshot_diff(vmm_domain *dom, const char *a, const char *b, bool *ret_truncated,
			     GError **error);
bool vmm_snapshot_delete(vmm_domain *dom, const char *name, unsigned flags, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_connect, vmm_connect_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_domain, vmm_domain_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_network, vmm_network_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_pool, vmm_pool_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_volume, vmm_volume_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_stream, vmm_stream_free)

G_END_DECLS

#endif
