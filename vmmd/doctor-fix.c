/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Repairs.  Nothing happens between the look and the repair: both are one turn
 * of the main loop, and what only the disk knows is looked at again.
 */
#include "config.h"
#include "vmmd/doctor-priv.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libvmm/util/error.h"
#include "vmmd/graph.h"
#include "vmmd/journal.h"
#include "vmmd/network.h"
#include "vmmd/supervisor.h"

static bool fix_file(const char *path, GError **error)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		errno = EINVAL;
	else if (g_unlink(path) == 0)
		return true;
	return error_errno(error, errno, "remove '%s'", path);
}

static bool fix_run_folder(struct daemon *daemon, const char *path, GError **error)
{
	g_autofree char *uuid = g_path_get_basename(path), *parent = g_path_get_dirname(path);
	g_autofree char *networks = supervisor_folder(daemon, SUPERVISED_NETWORK, NULL);

	if (!doctor_run_folder_is_stale(daemon, path))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "'%s' has become somebody's meanwhile", path);
	supervisor_bury(daemon, g_str_equal(parent, networks) ? SUPERVISED_NETWORK :
							       SUPERVISED_DOMAIN, uuid);
	return !g_file_test(path, G_FILE_TEST_EXISTS) ||
	       error_set(error, VMM_ERR_OPERATION_FAILED, "'%s' can't be removed", path);
}

static bool fix(struct daemon *daemon, const struct finding *f, GError **error)
{
	switch (f->repair) {
	case REPAIR_UNLINK:
		return fix_file(f->path, error);
	case REPAIR_RUN_FOLDER:
		return fix_run_folder(daemon, f->path, error);
	case REPAIR_FORGET_IMAGE:
		graph_forget(daemon, f->path);
		return true;
	case REPAIR_FORGET_INTENT:
		return journal_end(daemon->store, f->id, error);
	case REPAIR_NONE:
		break;
	}
	return true;
}

static const char *word(enum finding_repair repair, bool dry)
{
	if (repair == REPAIR_FORGET_IMAGE || repair == REPAIR_FORGET_INTENT)
		return dry ? "would be forgotten" : "forgotten";
	return dry ? "would be removed" : "removed";
}

GPtrArray *doctor_fix(struct daemon *daemon, bool dry, GError **error)
{
	GPtrArray *findings = doctor_look(daemon, error);

	for (unsigned i = 0; findings && i < findings->len; i++) {
		struct finding *f = g_ptr_array_index(findings, i);
		g_autoptr(GError) why = NULL;

		if (f->repair == REPAIR_NONE)
			continue;
		g_free(f->done);
		if (dry || fix(daemon, f, &why)) {
			f->done = g_strdup(word(f->repair, dry));
		} else {
			f->done = g_strdup("");
			g_free(f->advice);
			f->advice = g_strdup(why->message);
		}
		if (!dry)
			g_message("doctor: %s: %s: %s", f->what, f->path,
				  why ? why->message : f->done);
	}
	return findings;
}
