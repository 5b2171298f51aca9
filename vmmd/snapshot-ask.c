/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a snapshot: may it be what is asked for? */
#include "config.h"
#include "vmmd/snapshot-priv.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "vmmd/disk-live.h"

#define CREATE_KNOWN \
	(SNAPSHOT_CREATE_NO_METADATA | SNAPSHOT_CREATE_HALT | SNAPSHOT_CREATE_DISK_ONLY | \
	 SNAPSHOT_CREATE_REUSE_EXT | SNAPSHOT_CREATE_QUIESCE | SNAPSHOT_CREATE_ATOMIC | \
	 SNAPSHOT_CREATE_LIVE | SNAPSHOT_CREATE_VALIDATE)

static bool invalid(GError **error, const char *text)
{
	return error_set(error, VMM_ERR_INVALID_ARG, "invalid argument: %s", text);
}

static bool unsupported(GError **error, const char *text)
{
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "unsupported configuration: %s", text);
}

static bool flags_fit(const struct domain *dom, const snapshot_def *def, unsigned flags,
		      GError **error)
{
	bool active = state_is_active(dom->state);

	if (flags & ~CREATE_KNOWN)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: unsupported flags (0x%x)",
				 flags & ~CREATE_KNOWN);
	if (flags & SNAPSHOT_CREATE_QUIESCE && !(active && flags & SNAPSHOT_CREATE_DISK_ONLY))
		return invalid(error, "--quiesce is for a disk-only snapshot of a running domain: "
			       "memory that is kept needs no file system at rest");
	if (flags & SNAPSHOT_CREATE_DISK_ONLY && def->memory > SNAPSHOT_NO)
		return invalid(error, "a disk-only snapshot has no memory");
	if (!active && def->memory > SNAPSHOT_NO)
		return invalid(error, "the domain is not running: it has no memory to keep");
	if (!active && flags & SNAPSHOT_CREATE_LIVE)
		return invalid(error, "the domain is not running: --live means nothing");
	if (def->memory == SNAPSHOT_INTERNAL)
		return unsupported(error, "the memory is kept in a file: snapshot='external'");
	return true;
}

bool asked_memory(const struct domain *dom, const snapshot_def *def, unsigned flags)
{
	return dom->link && !(flags & SNAPSHOT_CREATE_DISK_ONLY) && def->memory != SNAPSHOT_NO;
}

static bool state_fits(const struct domain *dom, GError **error)
{
	if (dom->state == DOMAIN_OFF || dom->state == DOMAIN_RUNNING ||
	    dom->state == DOMAIN_PAUSED || dom->state == DOMAIN_SHUTTING_DOWN)
		return true;
	if (dom->state == DOMAIN_SAVED)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: domain '%s' has saved memory "
				 "that goes with its disks as they are: start it, or remove the "
				 "managed save", dom->name);
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: domain '%s' is %s", dom->name,
			 state_name(dom->state));
}

const struct snapshot_disk *asked_disk(const snapshot_def *def, const struct disk_def *d)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct snapshot_disk *sd = g_ptr_array_index(def->disks, i);

		if (strcmp(sd->name, d->target) == 0 || strcmp(sd->name, d->path) == 0)
			return sd;
	}
	return NULL;
}

/* Each named disk is one of the domain's, and named once. */
bool asked_disks_fit(const domain_def *now, const snapshot_def *def, GError **error)
{
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct snapshot_disk *sd = g_ptr_array_index(def->disks, i);
		const struct disk_def *d = disk_live_find(now, sd->name);

		if (!d)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "invalid argument: no disk named '%s'", sd->name);
		if (asked_disk(def, d) != sd)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "invalid argument: disk '%s' is named twice", d->target);
	}
	return true;
}

/* Where one disk's is to be inside its image, all are. */
static bool is_inside(const snapshot_def *def)
{
	for (unsigned i = 0; i < def->disks->len; i++)
		if (((struct snapshot_disk *)def->disks->pdata[i])->place == SNAPSHOT_INTERNAL)
			return true;
	return false;
}

static bool inside_fits(const struct domain *dom, const snapshot_def *def, unsigned flags,
			GError **error)
{
	if (!is_inside(def))
		return true;
	if (dom->state != DOMAIN_OFF)
		return unsupported(error, "a snapshot inside a qcow2 file is made of a domain that "
				   "is off: shut it down, or give snapshot='external'");
	if (flags & SNAPSHOT_CREATE_NO_METADATA)
		return unsupported(error, "a snapshot inside a qcow2 file that nobody is to know "
				   "of: 'vmsh image snapshot -c' makes one");
	return true;
}

enum snapshot_place asked_place(const snapshot_def *def, const struct snapshot_disk *sd,
				    const struct disk_def *d)
{
	if (sd && sd->place != SNAPSHOT_DEFAULT)
		return sd->place;
	if (disk_def_apart(d))
		return SNAPSHOT_NO;
	return is_inside(def) ? SNAPSHOT_INTERNAL : SNAPSHOT_EXTERNAL;
}

bool asked_fits(const struct domain *dom, const snapshot_def *def, unsigned flags, GError **error)
{
	return state_fits(dom, error) && flags_fit(dom, def, flags, error) &&
	       inside_fits(dom, def, flags, error);
}
