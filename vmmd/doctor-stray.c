/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Run folders, files and processes that belong to nobody. */
#include "config.h"
#include "vmmd/doctor-priv.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/agent/proto.h"
#include "libvmm/util/cleanup.h"
#include "vmmd/network.h"
#include "vmmd/save.h"
#include "vmmd/supervisor.h"

#define TMP_SUFFIX ".save.vmm-tmp"	/* of save.h */

/* "UUID" + suffix is the file's name: whose?  False: it is not named like that. */
static bool named_by_uuid(const char *path, const char *suffix, uint8_t ret_uuid[UUID_BYTES])
{
	g_autofree char *name = g_path_get_basename(path);

	if (strlen(name) != UUID_TEXT_BYTES - 1 + strlen(suffix) || !g_str_has_suffix(name, suffix))
		return false;
	name[UUID_TEXT_BYTES - 1] = 0;
	return g_uuid_string_is_valid(name) && uuid_from_text(name, ret_uuid);
}

static bool is_plain_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* ---- files ---- */

static void look_at_log(struct round *r, const char *path)
{
	uint8_t uuid[UUID_BYTES];

	if (named_by_uuid(path, ".console", uuid) && is_plain_file(path) &&
	    !domain_find_uuid(r->daemon->domains, uuid))
		doctor_tell_repair(r, REPAIR_UNLINK, NULL, path,
				   "what the consoles of a domain said that does not exist");
}

static void look_at_save(struct round *r, const char *path)
{
	const struct domain *dom;
	uint8_t uuid[UUID_BYTES];

	if (!is_plain_file(path))
		return;
	if (named_by_uuid(path, TMP_SUFFIX, uuid)) {
		dom = domain_find_uuid(r->daemon->domains, uuid);
		if (!dom || (!dom->link && !dom->busy))
			doctor_tell_repair(r, REPAIR_UNLINK, dom ? dom->name : NULL, path,
					   "a save that was not finished");
	} else if (named_by_uuid(path, ".save", uuid) &&
		   !domain_find_uuid(r->daemon->domains, uuid)) {
		doctor_tell(r, FINDING_PROBLEM, NULL, path,
			    "the saved memory of a domain that does not exist",
			    "\"vmsh restore FILE\" starts it; if nobody needs it, remove it");
	}
}

static void look_at_leases(struct round *r, const char *path)
{
	uint8_t uuid[UUID_BYTES];

	if (named_by_uuid(path, ".leases", uuid) && is_plain_file(path) &&
	    !network_find_uuid(r->daemon, uuid))
		doctor_tell_repair(r, REPAIR_UNLINK, NULL, path,
				   "the addresses that a network gave out which does not exist");
}

/* ---- run folders ---- */

static bool is_ours(const char *folder, const char *name)
{
	static const char *const names[] = {
		"control.sock", "status", "pid", "said", "handed", SUPERVISOR_AUTODESTROY,
		"vsock.sock_" G_STRINGIFY(AGENT_OUTBOUND_VSOCK_PORT), NULL,
	};
	g_autofree char *path = g_build_filename(folder, name, NULL);
	struct stat st;

	if (g_strv_contains(names, name))
		return true;
	return g_str_has_suffix(name, ".sock") && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool has_only_ours(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (!is_ours(folder, name))
			return false;
	return dir;
}

static bool is_in_use(struct daemon *daemon, enum supervised what, const uint8_t uuid[UUID_BYTES],
		      const char *uuid_text)
{
	const struct domain *dom = domain_find_uuid(daemon->domains, uuid);
	const struct network *net = network_find_uuid(daemon, uuid);
	auto_close int fd = -1, pidfd = -1;

	if (what == SUPERVISED_DOMAIN ? dom && dom->life : net && net->sw)
		return true;
	return supervisor_find(daemon, what, uuid_text, &fd, &pidfd);
}

/* Of which kind the folder is that has it; false: of none. */
static bool kind_of(const struct daemon *daemon, const char *path, enum supervised *ret)
{
	g_autofree char *parent = g_path_get_dirname(path);

	for (int what = SUPERVISED_DOMAIN; what <= SUPERVISED_NETWORK; what++) {
		g_autofree char *folder = supervisor_folder(daemon, (enum supervised)what, NULL);

		if (!g_str_equal(folder, parent))
			continue;
		*ret = (enum supervised)what;
		return true;
	}
	return false;
}

static bool is_nobodys(struct daemon *daemon, const char *path)
{
	g_autofree char *name = g_path_get_basename(path);
	uint8_t uuid[UUID_BYTES];
	enum supervised what;
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && kind_of(daemon, path, &what) &&
	       named_by_uuid(path, "", uuid) && !is_in_use(daemon, what, uuid, name);
}

bool doctor_run_folder_is_stale(struct daemon *daemon, const char *path)
{
	return is_nobodys(daemon, path) && has_only_ours(path);
}

static void look_at_run_folder(struct round *r, const char *path)
{
	if (!is_nobodys(r->daemon, path))
		return;
	if (has_only_ours(path))
		doctor_tell_repair(r, REPAIR_RUN_FOLDER, NULL, path,
				   "the folder and the sockets of a worker that is gone");
	else
		doctor_tell(r, FINDING_PROBLEM, NULL, path,
			    "the folder of a worker that is gone, with files that are not ours",
			    "look whose they are, and remove the folder");
}

/* ---- processes ---- */

/* A worker's stderr is a FIFO in a run folder of ours, which tells its uuid; NULL: it is none. */
static char *worker_uuid(const struct daemon *daemon, const char *pid)
{
	g_autofree char *link = g_strdup_printf("/proc/%s/fd/2", pid);
	g_autofree char *target = g_file_read_link(link, NULL);
	char uuid[UUID_TEXT_BYTES];

	for (int what = SUPERVISED_DOMAIN; target && what <= SUPERVISED_NETWORK; what++) {
		g_autofree char *folder = supervisor_folder(daemon, (enum supervised)what, NULL);
		const char *rest = target + strlen(folder);

		if (!g_str_has_prefix(target, folder) || *rest++ != '/')
			continue;
		g_strlcpy(uuid, rest, sizeof(uuid));
		if (g_uuid_string_is_valid(uuid) &&
		    g_str_has_prefix(rest + strlen(uuid), "/said"))
			return g_strdup(uuid);
	}
	return NULL;
}

static bool is_known_worker(const struct daemon *daemon, const char *uuid_text)
{
	const struct network *net;
	const struct domain *dom;
	uint8_t uuid[UUID_BYTES];

	if (!uuid_from_text(uuid_text, uuid))
		return false;
	dom = domain_find_uuid(daemon->domains, uuid);
	net = network_find_uuid((struct daemon *)daemon, uuid);
	return (dom && dom->life) || (net && net->sw);
}

static void look_at_processes(struct round *r)
{
	g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
	const char *pid;

	while (proc && (pid = g_dir_read_name(proc))) {
		g_autofree char *uuid =
			g_ascii_isdigit(*pid) ? worker_uuid(r->daemon, pid) : NULL;
		g_autofree char *what = NULL, *advice = NULL;

		if (!uuid || is_known_worker(r->daemon, uuid))
			continue;
		what = g_strdup_printf("process %s is a worker that nobody can reach, of %s", pid,
				       uuid);
		advice = g_strdup_printf("its guest may still run, and it has its images open: "
					 "\"kill %s\" ends it", pid);
		doctor_tell(r, FINDING_PROBLEM, NULL, NULL, what, advice);
	}
}

void doctor_look_at_strays(struct round *r)
{
	g_autofree char *saves = g_build_filename(r->daemon->state_dir, "save", NULL);
	g_autofree char *leases = g_build_filename(r->daemon->state_dir, "networks", NULL);

	doctor_look_into(r, r->daemon->log_dir, look_at_log);
	doctor_look_into(r, saves, look_at_save);
	doctor_look_into(r, leases, look_at_leases);
	for (int what = SUPERVISED_DOMAIN; what <= SUPERVISED_NETWORK; what++) {
		g_autofree char *folder = supervisor_folder(r->daemon, (enum supervised)what, NULL);

		doctor_look_into(r, folder, look_at_run_folder);
	}
	look_at_processes(r);
}
