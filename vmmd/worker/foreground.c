/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One machine on the terminal, no daemon.  Files are opened with the user's
 * own rights, so there is no empty root here; the seccomp filter is the same.
 *
 * Ctrl-] asks the guest to power off; a second one ends it at once.
 */
#include "config.h"
#include "vmmd/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "libvmm/device/hub.h"
#include "libvmm/net/tap.h"
#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/folder.h"
#include "libvmm/util/io.h"
#include "vmmd/worker/sandbox.h"

#define ESCAPE 0x1d	/* Ctrl-] */

struct foreground {
	struct worker w;
	unsigned escapes;
	bool raw;
	struct termios saved;
};

static int host_open(void *opaque, const char *path, int flags, GError **error)
{
	const char *agent = g_getenv("VMM_AGENT");
	int fd;

	if (!strcmp(path, DOMAIN_AGENT_FILE))
		path = agent ? agent : PKGLIBEXECDIR "/vmm-agent";
	fd = strcmp(path, DOMAIN_SCRATCH_FILE) ? open(path, flags | O_CLOEXEC) :
		open(g_get_tmp_dir(), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		error_errno(error, errno, "open '%s'", path);
	return fd;
}

static int host_listen(void *opaque, const char *path, GError **error)
{
	return io_listen_unix(path, 0600, error);
}

static const struct iface_def *iface_find(const struct domain_def *def, const char *alias)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *iface = g_ptr_array_index(def->ifaces, i);

		if (g_str_equal(iface->alias, alias))
			return iface;
	}
	return NULL;
}

static bool host_open_tap(void *opaque, const char *alias, unsigned queues, int *ret_fds,
			  char **ret_ifname, GError **error)
{
	struct foreground *f = opaque;
	const struct iface_def *iface = iface_find(f->w.def, alias);
	const struct tap_opts opts = {
		.ifname = iface->target, .queues = queues, .bridge = iface->bridge,
		.mtu = iface->mtu, .keep_down = iface->target_unmanaged,
	};
	char ifname[IFNAMSIZ];

	if (!tap_open(&opts, ret_fds, ifname, error))
		return false;
	*ret_ifname = g_strdup(ifname);
	return true;
}

/* The machine is who started it: his rights are the guest's. */
static bool host_open_folder(void *opaque, const char *alias, struct machine_folder *ret,
			     GError **error)
{
	struct foreground *f = opaque;
	struct folder_opts opts = { 0 };
	struct folder folder;

	for (unsigned i = 0; i < f->w.def->filesystems->len; i++) {
		const struct filesystem_def *fs = f->w.def->filesystems->pdata[i];

		if (g_str_equal(fs->alias, alias))
			opts = (struct folder_opts){ .path = fs->dir, .readonly = fs->readonly };
	}
	if (!folder_open(&opts, &folder, error))
		return false;
	*ret = (struct machine_folder){ .fd = folder.fd };
	return true;
}

static void terminal_raw(struct foreground *f)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &f->saved) < 0)
		return;
	raw = f->saved;
	cfmakeraw(&raw);
	f->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void terminal_restore(struct foreground *f)
{
	if (f->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &f->saved);
	f->raw = false;
}

static void leave(void *opaque)
{
	struct foreground *f = opaque;

	if (f->escapes++ == 0 && worker_powerdown(&f->w, false, NULL))
		fprintf(stderr, "\r\n[power button pressed; again to end the guest at once]\r\n");
	else
		worker_stop(&f->w, WORKER_CAUSE_DESTROYED, NULL);
}

/* Of use to a virtio console; a serial line has no size. */
static void window_tell(struct foreground *f)
{
	struct hub *hub = machine_hub(f->w.machine, "");
	struct winsize size;

	if (hub && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		hub_resize(hub, size.ws_col, size.ws_row);
}

static gboolean on_signal(int fd, GIOCondition condition, void *opaque)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return G_SOURCE_CONTINUE;
	if (info.ssi_signo == SIGWINCH)
		window_tell(opaque);
	else
		leave(opaque);
	return G_SOURCE_CONTINUE;
}

/* The hub closes what it is given: it gets copies. */
static bool attach(struct foreground *f, GError **error)
{
	struct hub *hub = machine_hub(f->w.machine, "");
	int in, out;

	if (!hub)
		return true;
	in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (isatty(STDIN_FILENO))
		hub_set_escape(hub, ESCAPE, leave, f);
	return hub_attach_fd(hub, HUB_WRITE, "terminal", in, out, error);
}

static bool begin(struct foreground *f, const char *path, GError **error)
{
	const struct worker_log no_log = { .fd = -1 };
	struct machine_host host = { .opener = { .open = host_open }, .listen = host_listen,
				     .open_tap = host_open_tap, .open_folder = host_open_folder,
				     .opaque = f };
	g_autofree char *xml = NULL;
	g_autoptr(domain_def) def = NULL;
	bool shares;

	if (!g_file_get_contents(path, &xml, NULL, error))
		return false;
	def = domain_def_parse(xml, 0, error);
	if (!def || !domain_def_check_start(def, error)) {
		g_prefix_error(error, "%s: ", path);
		return false;
	}
	shares = def->filesystems->len > 0;
	if (shares) {
		host.share_proc_fd = share_proc_open();
		if (host.share_proc_fd < 0)
			return error_errno(error, host.share_proc_fd,
					   "shared folders need /proc/self/fd");
	}
	if (!worker_build(&f->w, g_steal_pointer(&def), &host, &no_log, error) || !attach(f, error))
		return false;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return sandbox_lock(shares, error);
}

int foreground_run(const char *xml_path)
{
	struct foreground f = { 0 };
	const struct worker_front front = { .opaque = &f };
	g_autoptr(GError) error = NULL;
	auto_close int signals = worker_signals_new(SIGWINCH);

	f.w = (struct worker){ .loop = g_main_loop_new(NULL, FALSE), .front = &front,
			       .status_fd = -1, .detail = g_strdup("") };
	if (!begin(&f, xml_path, &error)) {
		fprintf(stderr, "vmm-worker: %s\n", error->message);
		worker_done(&f.w);
		return 1;
	}
	g_unix_fd_add(signals, G_IO_IN, on_signal, &f);
	terminal_raw(&f);
	window_tell(&f);
	worker_resume(&f.w, WORKER_CAUSE_BOOTED);
	g_main_loop_run(f.w.loop);
	terminal_restore(&f);
	if (f.w.detail[0])
		fprintf(stderr, "vmm-worker: %s\n", f.w.detail);
	worker_done(&f.w);
	return f.w.exit_status;
}
