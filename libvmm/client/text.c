/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers of the wire as words: states, reasons, events, memory statistics. */
#include "config.h"
#include "libvmm/vmm.h"

#include "libvmm/util/cleanup.h"

static const char *word(const char *const *words, size_t n, int i)
{
	return i >= 0 && (size_t)i < n ? words[i] : NULL;
}

#define WORD(words, i) word(words, ARRAY_SIZE(words), i)

const char *vmm_state_text(int state)
{
	static const char *const words[] = {
		"no state",    "running",  "blocked", "paused",
		"in shutdown", "shut off", "crashed", "pmsuspended",
	};
	const char *text = WORD(words, state);

	return text ? text : "unknown";
}

const char *vmm_state_reason_text(int state, int reason)
{
	static const char *const running[] = {
		"unknown",	 "booted",   "migrated",	   "restored",
		"from snapshot", "unpaused", "migration canceled", "save canceled",
		"event wakeup",	 "crashed",  "post-copy",	   "post-copy failed",
	};
	static const char *const paused[] = {
		"unknown",	 "user",
		"migrating",	 "saving",
		"dumping",	 "I/O error",
		"watchdog",	 "from snapshot",
		"shutting down", "creating snapshot",
		"crashed",	 "starting up",
		"post-copy",	 "post-copy failed",
	};
	static const char *const shutdown[] = { "unknown", "user" };
	static const char *const shutoff[] = {
		"unknown", "shutdown", "destroyed",	"crashed", "migrated",
		"saved",   "failed",   "from snapshot", "daemon",
	};
	static const char *const crashed[] = { "unknown", "panicked" };
	const char *text = NULL;

	switch (state) {
	case VMM_STATE_RUNNING:
		text = WORD(running, reason);
		break;
	case VMM_STATE_PAUSED:
		text = WORD(paused, reason);
		break;
	case VMM_STATE_SHUTDOWN:
		text = WORD(shutdown, reason);
		break;
	case VMM_STATE_SHUTOFF:
		text = WORD(shutoff, reason);
		break;
	case VMM_STATE_CRASHED:
		text = WORD(crashed, reason);
		break;
	}
	return text ? text : "unknown";
}

const char *vmm_memory_stat_name(int tag)
{
	static const char *const words[] = {
		"swap_in",	  "swap_out",	 "major_fault", "minor_fault",
		"unused",	  "available",	 "actual",	"rss",
		"usable",	  "last_update", "disk_caches", "hugetlb_pgalloc",
		"hugetlb_pgfail",
	};

	return WORD(words, tag);
}

static const char *pool_event_name(int id)
{
	return id == VMM_EVENT_NETWORK_LIFECYCLE || id == VMM_EVENT_POOL_LIFECYCLE ? "lifecycle" :
	       id == VMM_EVENT_POOL_REFRESH ? "refresh" : NULL;
}

const char *vmm_event_name(int id)
{
	static const char *const words[] = {
		"lifecycle",
		"reboot",
		"rtc-change",
		"watchdog",
		"io-error",
		"graphics",
		"io-error-reason",
		"control-error",
		"block-job",
		"disk-change",
		"tray-change",
		"pm-wakeup",
		"pm-suspend",
		"balloon-change",
		"pm-suspend-disk",
		"device-removed",
		"block-job-2",
		"tunable",
		"agent-lifecycle",
		"device-added",
		"migration-iteration",
		"job-completed",
		"device-removal-failed",
		"metadata-change",
		"block-threshold",
		"memory-failure",
		"memory-device-size-change",
	};

	return id < VMM_EVENT_NETWORK_LIFECYCLE ? WORD(words, id) : pool_event_name(id);
}

static const char *word_or_unknown(const char *const *words, size_t n, int i)
{
	const char *text = word(words, n, i);

	return text ? text : "unknown";
}

const char *vmm_job_text(int type)
{
	static const char *const words[] = {
		"None", "Bounded", "Unbounded", "Completed", "Failed", "Cancelled",
	};

	return word_or_unknown(words, ARRAY_SIZE(words), type);
}

const char *vmm_job_operation_text(int operation)
{
	static const char *const words[] = {
		"Unknown",	      "Start",	  "Save",   "Restore",
		"Incoming migration", "Outgoing migration", "Snapshot",
		"Snapshot revert",    "Dump",	  "Backup", "Snapshot delete",
	};

	return word_or_unknown(words, ARRAY_SIZE(words), operation);
}

const char *vmm_block_job_text(int type)
{
	static const char *const words[] = {
		NULL, "Block Pull", "Block Copy", "Block Commit", "Active Block Commit", "Backup",
	};

	return word_or_unknown(words, ARRAY_SIZE(words), type);
}

const char *vmm_block_job_status_text(int status)
{
	static const char *const words[] = { "completed", "failed", "cancelled", "ready" };

	return word_or_unknown(words, ARRAY_SIZE(words), status);
}

const char *vmm_pool_lifecycle_text(int event)
{
	static const char *const words[] = {
		"Defined", "Undefined", "Started", "Stopped", "Created", "Deleted",
	};
	const char *text = WORD(words, event);

	return text ? text : "unknown";
}

const char *vmm_lifecycle_text(int event)
{
	static const char *const words[] = {
		"Defined", "Undefined", "Started",     "Suspended", "Resumed",
		"Stopped", "Shutdown",	"PMSuspended", "Crashed",
	};
	const char *text = WORD(words, event);

	return text ? text : "unknown";
}

const char *vmm_lifecycle_detail_text(int event, int detail)
{
	static const char *const words[][9] = {
		[VMM_LIFECYCLE_DEFINED] = { "Added", "Updated", "Renamed", "Snapshot" },
		[VMM_LIFECYCLE_UNDEFINED] = { "Removed", "Renamed" },
		[VMM_LIFECYCLE_STARTED] = {
			"Booted", "Migrated", "Restored", "Snapshot", "Event wakeup",
		},
		[VMM_LIFECYCLE_SUSPENDED] = {
			"Paused", "Migrated", "I/O Error", "Watchdog", "Restored", "Snapshot",
			"API error", "Post-copy", "Post-copy Error",
		},
		[VMM_LIFECYCLE_RESUMED] = { "Unpaused", "Migrated", "Snapshot", "Post-copy" },
		[VMM_LIFECYCLE_STOPPED] = {
			"Shutdown", "Destroyed", "Crashed", "Migrated", "Saved", "Failed",
			"Snapshot",
		},
		[VMM_LIFECYCLE_SHUTDOWN] = { "Finished", "Finished after guest request",
					     "Finished after host request" },
		[VMM_LIFECYCLE_PMSUSPENDED] = { "Memory", "Disk" },
		[VMM_LIFECYCLE_CRASHED] = { "Panicked", "Crashloaded" },
	};
	const char *text =
		event >= 0 && (size_t)event < ARRAY_SIZE(words) ? WORD(words[event], detail) : NULL;

	return text ? text : "unknown";
}
