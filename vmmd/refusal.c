/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of libvirt's protocol that nothing here answers: their names, and why. */
#include "config.h"
#include "vmmd/refusal.h"

#include <glib.h>

#include "libvmm/rpc/procother.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/util/cleanup.h"

#define NAME(nr, name, args, ret, need) [nr] = #name,
#define OTHER_NAME(nr, name) [nr] = #name,

static const char *const names[REMOTE_PROC_MAX + 1] = {
	REMOTE_PROCEDURES(NAME)
	REMOTE_OTHERS(OTHER_NAME)
};

#define ONE_THREAD_A_DISK "each disk has a thread of its own already"
#define NO_MIGRATION "move a machine by 'save', copying its files, and 'restore'"
#define NO_BACKUP "use snapshots: 'snapshot-create-as --disk-only', then copy the base"
#define NO_SECRETS "no disk is encrypted and no server asks for a password"
#define NO_FILTERS "use nftables on the host's bridge"
#define HOST_NETWORK "use ip(8), or the tools that set up the host's network"
#define NO_HOSTDEVS "devices of the host are not handed to machines"
#define NO_DISPLAY "the machine has no display: use 'console'"

/* A name's beginning, and the reason; the first that fits. */
static const struct {
	const char *prefix, *reason;
} reasons[] = {
	{ "AUTH_SASL_", "the socket's mode and group say who may connect" },
	{ "CONNECT_DOMAIN_XML_", "there is no other format of definitions" },
	{ "CONNECT_FIND_STORAGE_POOL_SOURCES", "pools are folders: give their path" },
	{ "DOMAIN_ADD_IOTHREAD", ONE_THREAD_A_DISK },
	{ "DOMAIN_BACKUP_", NO_BACKUP },
	{ "DOMAIN_BLOCK_COPY", "use 'blockpull', 'blockcommit', or copy the file while it is off" },
	{ "DOMAIN_BLOCK_PEEK", "use 'vol-download'" },
	{ "DOMAIN_CHECKPOINT_", NO_BACKUP },
	{ "DOMAIN_CORE_DUMP", "use 'save': its file has the memory byte for byte" },
	{ "DOMAIN_CREATE_WITH_FILES", "no container, no descriptors" },
	{ "DOMAIN_CREATE_XML_WITH_FILES", "no container, no descriptors" },
	{ "DOMAIN_DEL_IOTHREAD", ONE_THREAD_A_DISK },
	{ "DOMAIN_FD_ASSOCIATE", "the definition names files by path" },
	{ "DOMAIN_GET_LAUNCH_SECURITY_INFO", "guests are not encrypted" },
	{ "DOMAIN_GET_PERF_EVENTS", "use 'domstats'" },
	{ "DOMAIN_INJECT_NMI", "use 'reset'" },
	{ "DOMAIN_MEMORY_PEEK", "use 'save': its file has the memory byte for byte" },
	{ "DOMAIN_MIGRATE_", NO_MIGRATION },
	{ "DOMAIN_OPEN_GRAPHICS", NO_DISPLAY },
	{ "DOMAIN_PIN_IOTHREAD", ONE_THREAD_A_DISK },
	{ "DOMAIN_PM_", "the machine cannot sleep: use 'suspend', 'resume' or 'managedsave'" },
	{ "DOMAIN_SCREENSHOT", NO_DISPLAY },
	{ "DOMAIN_SEND_KEY", "the machine has no keyboard: use 'console'" },
	{ "DOMAIN_SEND_PROCESS_SIGNAL", "this is for containers" },
	{ "DOMAIN_SET_BLOCK_THRESHOLD", "use 'domblkinfo'" },
	{ "DOMAIN_SET_INTERFACE_PARAMETERS", "use tc(8) on the tap device" },
	{ "DOMAIN_SET_IOTHREAD_PARAMS", ONE_THREAD_A_DISK },
	{ "DOMAIN_SET_LAUNCH_SECURITY_STATE", "guests are not encrypted" },
	{ "DOMAIN_SET_PERF_EVENTS", "use 'domstats'" },
	{ "DOMAIN_SET_VCPU", "vCPUs are not plugged: use 'setvcpus --config'" },
	{ "DOMAIN_START_DIRTY_RATE_CALC", "the guest's writes are not counted" },
	{ "INTERFACE_", HOST_NETWORK },
	{ "NETWORK_PORT_", "use 'domiflist'" },
	{ "NODE_ALLOC_PAGES", "use sysctl vm.nr_hugepages" },
	{ "NODE_DEVICE_", NO_HOSTDEVS },
	{ "NODE_GET_MEMORY_PARAMETERS", "the memory of guests is not merged" },
	{ "NODE_GET_SEV_INFO", "guests are not encrypted" },
	{ "NODE_SET_MEMORY_PARAMETERS", "the memory of guests is not merged" },
	{ "NODE_SUSPEND_FOR_DURATION", "use the host's own tools" },
	{ "NWFILTER_", NO_FILTERS },
	{ "SECRET_", NO_SECRETS },
};

const char *refusal_name(int procedure)
{
	return procedure > 0 && procedure <= REMOTE_PROC_MAX ? names[procedure] : NULL;
}

const char *refusal_reason(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++)
		if (g_str_has_prefix(name, reasons[i].prefix))
			return reasons[i].reason;
	return NULL;
}
