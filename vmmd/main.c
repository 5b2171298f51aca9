/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmmd: keeps domains, starts their workers, answers clients. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/conlog.h"
#include "libvmm/util/error.h"
#include "vmmd/autostart.h"
#include "vmmd/bulk.h"
#include "vmmd/clone.h"
#include "vmmd/console-log.h"
#include "vmmd/copies.h"
#include "vmmd/disk-job.h"
#include "vmmd/event.h"
#include "vmmd/graph.h"
#include "vmmd/agent-ask.h"
#include "vmmd/imagejob.h"
#include "vmmd/imagework.h"
#include "vmmd/journal.h"
#include "vmmd/lifecycle.h"
#include "vmmd/listen.h"
#include "vmmd/log-writer.h"
#include "vmmd/logbook.h"
#include "vmmd/metrics-server.h"
#include "vmmd/network.h"
#include "vmmd/owner.h"
#include "vmmd/pool.h"
#include "vmmd/recover.h"
#include "vmmd/save.h"
#include "vmmd/server.h"
#include "vmmd/settle.h"
#include "vmmd/snapshot.h"
#include "vmmd/store.h"

#define START_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 5000
#define POWERDOWN_TIMEOUT_MS 180000
/* so that clients are served within a second, whatever the workers do */
#define ADOPT_WAIT_MS 700
#define AUTOSTART_PARALLEL 8
#define MALLOC_LARGE_BYTES (1 << 20)
#define LOG_DAYS_MAX 30			/* of the logbook of a domain that is gone */

static struct {
	char *state_dir, *run_dir, *log_dir, *save_format, *metrics;
	int autostart_parallel, console_log_mib;
	double autostart_delay_s;
	gboolean session, daemonize, foreground, verbose, version;
	gboolean recover, replace;
	struct listen_policy listen;
} opts = {
	.autostart_parallel = AUTOSTART_PARALLEL, .console_log_mib = CONSOLE_LOG_MIB,
};

static const GOptionEntry entries[] = {
	{ "state-dir", 0, 0, G_OPTION_ARG_FILENAME, &opts.state_dir, "Keep the database here",
	  "DIR" },
	{ "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &opts.run_dir, "Sockets and workers' folders",
	  "DIR" },
	{ "log-dir", 0, 0, G_OPTION_ARG_FILENAME, &opts.log_dir, "Logbooks", "DIR" },
	{ "save-image-format", 0, 0, G_OPTION_ARG_STRING, &opts.save_format,
	  "How memory is saved: raw, or packed by zstd", "FORMAT" },
	{ "console-log", 0, 0, G_OPTION_ARG_INT, &opts.console_log_mib,
	  "Keep up to this much, packed, of what each domain's consoles say (16; 0: nothing)",
	  "MIB" },
	{ "metrics", 0, 0, G_OPTION_ARG_STRING, &opts.metrics,
	  "Serve metrics: off (default), unix, a socket's path, 127.0.0.1:PORT, [::1]:PORT",
	  "ADDRESS" },
	{ "session", 0, 0, G_OPTION_ARG_NONE, &opts.session,
	  "Serve this user only, in the XDG folders", NULL },
	{ "libvirt-compat", 0, 0, G_OPTION_ARG_NONE, &opts.listen.libvirt_compat,
	  "Also listen where libvirt's clients look for a vmm:///system without socket=", NULL },
	{ "libvirt-qemu", 0, 0, G_OPTION_ARG_NONE, &opts.listen.libvirt_qemu,
	  "Also listen where they look for qemu:///system", NULL },
	{ "tls", 0, 0, G_OPTION_ARG_NONE, &opts.listen.tls,
	  "Also serve clients of other hosts, by TLS with certificates", NULL },
	{ "tls-listen", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opts.listen.tls_policy.listen,
	  "With --tls, only here; again for more", "ADDRESS[:PORT]" },
	{ "tls-pki", 0, 0, G_OPTION_ARG_FILENAME, &opts.listen.tls_policy.folder,
	  "cacert.pem, servercert.pem and serverkey.pem are here, not below /etc/pki", "DIR" },
	{ "tls-allow", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opts.listen.tls_policy.allow,
	  "Only certificates whose name is like this; again for more", "GLOB" },
	{ "tls-priority", 0, 0, G_OPTION_ARG_STRING, &opts.listen.tls_policy.priority,
	  "Versions and ciphers, as GnuTLS writes them", "TEXT" },
	{ "autostart-parallel", 0, 0, G_OPTION_ARG_INT, &opts.autostart_parallel,
	  "Domains that are being started at a time with the host; 8", "N" },
	{ "autostart-delay", 0, 0, G_OPTION_ARG_DOUBLE, &opts.autostart_delay_s,
	  "From the beginning of one to the beginning of the next; 0", "SECONDS" },
	{ "daemon", 'd', 0, G_OPTION_ARG_NONE, &opts.daemonize, "Go to the background when ready",
	  NULL },
	{ "foreground", 'f', 0, G_OPTION_ARG_NONE, &opts.foreground,
	  "Stay in the foreground (default)", NULL },
	{ "recover", 0, 0, G_OPTION_ARG_NONE, &opts.recover,
	  "Make the lost database anew, of the copies of definitions, and end", NULL },
	{ "replace", 0, 0, G_OPTION_ARG_NONE, &opts.replace,
	  "With --recover: move a database that is there aside", NULL },
	{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &opts.verbose,
	  "Log every change of state and failed call", NULL },
	{ "version", 0, 0, G_OPTION_ARG_NONE, &opts.version, "Print the version", NULL },
	{ NULL },
};

/* ---- folders and locks ---- */

static char *folder_choose(const char *option, const char *env, char *otherwise)
{
	const char *chosen = option ?: env;

	if (!chosen)
		return otherwise;
	g_free(otherwise);
	return g_canonicalize_filename(chosen, NULL);
}

static void folders_choose(struct daemon *d)
{
	const char *state = g_getenv("VMM_STATE_DIR"), *run = g_getenv("VMM_RUN_DIR");
	bool own_state = opts.state_dir || state;

	d->system_mode = geteuid() == 0 && !opts.session;
	d->state_dir = folder_choose(opts.state_dir, state,
				     d->system_mode ?
					     g_strdup("/var/lib/vmm") :
					     g_build_filename(g_get_user_state_dir(), "vmm", NULL));
	d->run_dir = folder_choose(opts.run_dir, run, d->system_mode ? g_strdup("/run/vmm") :
				   g_build_filename(g_get_user_runtime_dir(), "vmm", NULL));
	/* a state folder of one's own has all in it */
	d->image_dir = own_state || d->system_mode ?
			       g_build_filename(d->state_dir, "images", NULL) :
			       g_build_filename(g_get_user_data_dir(), "vmm", "images", NULL);
	d->log_dir = folder_choose(opts.log_dir, g_getenv("VMM_LOG_DIR"),
				   own_state || !d->system_mode ?
					   g_build_filename(d->state_dir, "log", NULL) :
					   g_strdup("/var/log/vmm"));
}

static bool folders_make(const struct daemon *d, GError **error)
{
	const struct {
		const char *path;
		int mode;
	} folders[] = { { d->state_dir, 0700 }, { d->run_dir, 0755 }, { d->log_dir, 0700 } };

	for (unsigned i = 0; i < ARRAY_SIZE(folders); i++)
		if (g_mkdir_with_parents(folders[i].path, folders[i].mode) < 0)
			return error_errno(error, errno, "make folder '%s'", folders[i].path);
	return true;
}

static unsigned env_ms(const char *name, unsigned otherwise)
{
	const char *text = g_getenv(name);
	guint64 value;

	return text && g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT, &value, NULL) ?
		       (unsigned)value :
		       otherwise;
}

/*
 * Held until we end, however we end: so a lock that can be taken means that
 * nobody is there, and the sockets that lie about are stale.
 */
static int lock_take(const char *folder, GError **error)
{
	g_autofree char *path = g_build_filename(folder, "vmmd.pid", NULL);
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	char pid[16] = "";

	if (fd < 0) {
		error_errno(error, errno, "open '%s'", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (pread(fd, pid, sizeof(pid) - 1, 0) <= 0)
			g_strlcpy(pid, "?", sizeof(pid));
		error_set(error, VMM_ERR_OPERATION_FAILED,
			  "vmmd is already running (pid %s) with '%s'", g_strchomp(pid), folder);
		return -1;
	}
	return TAKE_FD(fd);
}

static bool lock_write(int fd, GError **error)
{
	g_autofree char *text = g_strdup_printf("%d\n", getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
		return error_errno(error, errno, "write the pid file");
	return true;
}

static char *worker_find(void)
{
	const char *env = g_getenv("VMM_WORKER");

	return g_strdup(env ?: PKGLIBEXECDIR "/vmm-worker");
}

/* ---- life ---- */

static gboolean on_signal(void *opaque)
{
	struct daemon *d = opaque;

	g_message("ending; guests go on");
	d->asked_to_end = true;
	g_main_loop_quit(d->loop);
	return G_SOURCE_CONTINUE;
}

/* Who takes up what an earlier vmmd has begun. */
static const struct journal_kind intent_kinds[] = {
	{ "snapshot-create", snapshot_create_resume },
	{ "snapshot-revert", snapshot_revert_resume },
	{ "snapshot-merge", snapshot_merge_resume },
	{ "snapshot-untag", snapshot_untag_resume },
	{ SAVE_INTENT, save_intent_resume },
	{ IMAGEWORK_INTENT, imagework_resume },
	{ JOB_DELETE_INTENT, job_delete_resume },
	{ CLONE_INTENT, clone_resume },
	{ NULL, NULL },
};

static bool uuid_is_known(const char *uuid_text, void *opaque)
{
	const struct daemon *d = opaque;
	uint8_t uuid[UUID_BYTES];

	return uuid_from_text(uuid_text, uuid) && domain_table_has(d->domains, uuid);
}

static bool daemon_open(struct daemon *d, GError **error)
{
	g_autofree char *database = g_build_filename(d->state_dir, "vmmd.sqlite", NULL);

	d->started_s = g_get_real_time() / G_USEC_PER_SEC;
	d->worker_path = worker_find();
	d->console_log_bytes = (uint64_t)opts.console_log_mib << 20;
	d->start_timeout_ms = env_ms("VMM_START_TIMEOUT_MS", START_TIMEOUT_MS);
	d->stop_timeout_ms = env_ms("VMM_STOP_TIMEOUT_MS", STOP_TIMEOUT_MS);
	d->powerdown_timeout_ms = env_ms("VMM_POWERDOWN_TIMEOUT_MS", POWERDOWN_TIMEOUT_MS);
	if (!recover_not_needed(d, error))
		return false;
	d->store = store_open(database, error);
	d->copies = d->store ? copies_open(d, error) : NULL;
	if (!d->copies)
		return false;
	d->domains = domain_table_new();
	d->events = event_hub_new(d);
	d->server = server_new(d);
	d->graph = graph_open(d, error);
	if (!d->graph || !domain_table_load(d->domains, d, error) || !pools_load(d, error) ||
	    !networks_load(d, error))
		return false;
	lifecycle_adopt_all(d, ADOPT_WAIT_MS);
	logbook_sweep(d->logbook, LOG_DAYS_MAX, uuid_is_known, d);
	networks_adopt(d);
	journal_resume_all(d, intent_kinds);
	snapshot_sweep_all(d);
	opts.listen.well_known = d->system_mode && !opts.run_dir && !g_getenv("VMM_RUN_DIR");
	return listen_all(d, &opts.listen, error) && metrics_server_open(d, opts.metrics, error);
}

static void daemon_close(struct daemon *d)
{
	/* Clients first: what their end means for domains is still told to workers. */
	agent_asks_end(d);
	imagejobs_end(d);
	g_clear_pointer(&d->tls, tls_server_free);
	g_clear_pointer(&d->metrics, metrics_server_free);
	g_clear_pointer(&d->server, server_free);
	if (d->domains)
		lifecycle_leave_all(d);
	g_clear_pointer(&d->networks, networks_free);
	g_clear_pointer(&d->events, event_hub_free);
	g_clear_pointer(&d->bulks, bulks_free);
	g_clear_pointer(&d->domains, domain_table_free);
	g_clear_pointer(&d->autostart, autostart_free);
	g_clear_pointer(&d->pools, pools_free);
	g_clear_pointer(&d->owners, owners_free);
	g_clear_pointer(&d->graph, graph_free);
	g_clear_pointer(&d->copies, copies_close);
	g_clear_pointer(&d->store, store_close);
	settle_end(d);
	g_clear_pointer(&d->loop, g_main_loop_unref);
	g_free(d->state_dir);
	g_free(d->image_dir);
	g_free(d->run_dir);
	g_free(d->log_dir);
	g_free(d->cgroup_dir);
	g_free(d->worker_path);
}

/* The parent of a daemon waits for this byte: its exit status says whether the start went well. */
static void ready_tell(int *fd)
{
	if (*fd >= 0 && write(*fd, "", 1) < 0)
		g_warning("tell that vmmd is ready: %s", g_strerror(errno));
	fd_close(fd);
}

static int background(int *ret_fd)
{
	int ends[2], null;
	char byte;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid > 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
	*ret_fd = ends[1];
	return 0;
}

/* Each worker and each client is a descriptor or two. */
static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)65536);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run(struct daemon *d, int ready_fd, GError **error)
{
	auto_close int run_lock = -1, state_lock = -1;
	guint sources[2];
	bool ok;

	/* Adoption below iterates the main context, and clients may connect before it ends. */
	d->loop = g_main_loop_new(NULL, FALSE);
	sources[0] = g_unix_signal_add(SIGTERM, on_signal, d);
	sources[1] = g_unix_signal_add(SIGINT, on_signal, d);
	ok = folders_make(d, error);
	if (ok)
		d->logbook = logbook_open(d->log_dir);
	if (ok)
		run_lock = lock_take(d->run_dir, error);
	if (run_lock >= 0)
		state_lock = lock_take(d->state_dir, error);
	ok = state_lock >= 0 && lock_write(run_lock, error) && lock_write(state_lock, error) &&
	     (opts.recover ? recover(d, opts.replace, error) : daemon_open(d, error));
	if (ok && !opts.recover) {
		if (opts.daemonize)
			log_writer_background(d);
		g_message("vmmd %s serves %s/vmmd.sock", PACKAGE_VERSION, d->run_dir);
		ready_tell(&ready_fd);
		d->autostart = autostart_begin(
			d, &(struct autostart_policy){
				   (unsigned)opts.autostart_parallel,
				   (unsigned)(opts.autostart_delay_s * 1000) });
		if (!d->asked_to_end)
			g_main_loop_run(d->loop);
	}
	g_source_remove(sources[0]);
	g_source_remove(sources[1]);
	daemon_close(d);
	/* no other thread is left that could write into it */
	g_clear_pointer(&d->logbook, logbook_close);
	return ok ? 0 : 1;
}

static bool options_parse(int *argc, char ***argv, GError **error)
{
	g_autoptr(GOptionContext) context = g_option_context_new("- run virtual machines");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, error))
		return false;
	if (*argc > 1)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "what is '%s'? vmmd takes options only", (*argv)[1]);
	if (opts.replace && !opts.recover)
		return error_set(error, VMM_ERR_INVALID_ARG, "--replace needs --recover");
	if (opts.recover && opts.daemonize)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "--recover and --daemon exclude each other");
	if (!listen_policy_check(&opts.listen, error))
		return false;
	if (opts.console_log_mib < 0 || opts.console_log_mib > (int)(CONLOG_BYTES_MAX >> 20))
		return error_set(error, VMM_ERR_INVALID_ARG, "--console-log: 0 to %d MiB",
				 (int)(CONLOG_BYTES_MAX >> 20));
	if (opts.daemonize && opts.foreground)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "--daemon and --foreground exclude each other");
	if (opts.autostart_parallel < 1)
		return error_set(error, VMM_ERR_INVALID_ARG, "--autostart-parallel: 1 or more");
	if (!(opts.autostart_delay_s >= 0 && opts.autostart_delay_s <= 86400))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "--autostart-delay: seconds, 86400 at most");
	return metrics_address_check(opts.metrics, error) &&
	       save_format_check(opts.save_format, error);
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	struct daemon daemon = { 0 };
	int ready_fd = -1, status;

	setlocale(LC_ALL, "");
	signal(SIGPIPE, SIG_IGN);
	/* what is large is the system's again when it is freed: long answers leave no holes */
	mallopt(M_MMAP_THRESHOLD, MALLOC_LARGE_BYTES);
	/* a write beyond the file size limit is an error, not our end */
	signal(SIGXFSZ, SIG_IGN);
	umask(022);
	if (!options_parse(&argc, &argv, &error)) {
		fprintf(stderr, "vmmd: %s\n", error->message);
		return 2;
	}
	if (opts.version) {
		printf("vmmd %s\n", PACKAGE_VERSION);
		return 0;
	}
	daemon.verbose = opts.verbose;
	log_writer_set(&daemon);
	if (opts.daemonize && background(&ready_fd) != 0) {
		fprintf(stderr, "vmmd: can't go to the background: %s\n", g_strerror(errno));
		return 1;
	}
	descriptors_allow();
	folders_choose(&daemon);
	daemon.save_format = opts.save_format;
	status = run(&daemon, ready_fd, &error);
	if (error)
		fprintf(stderr, "vmmd: %s\n", error->message);
	return status;
}
