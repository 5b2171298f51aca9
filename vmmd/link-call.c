/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls to a machine's worker, one short function each. */
#include "config.h"
#include "vmmd/link-priv.h"

#include "libvmm/domain/domain.h"

/* What a list of domains waits for: rather a gap in it than a list that hangs. */
#define STATS_TIMEOUT_MS 2000

/* With no descriptors, and a time-out. */
static void call_plain(struct link *l, int procedure, xdrproc_t proc, const void *args,
		       unsigned timeout_ms, struct link_pending pending)
{
	link_call(l, procedure, proc, args, NULL, 0, timeout_ms, pending);
}

void link_hello(struct link *l, unsigned timeout_ms, link_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_HELLO, LINK_NONE, timeout_ms,
		  (struct link_pending){ (xdrproc_t)xdr_worker_hello_ret, done, NULL, opaque });
}

/* Waits as long as it takes: for a disk, say. */
static void call_fds(struct link *l, int procedure, xdrproc_t proc, const void *args,
		     const int *fds, unsigned n_fds, struct link_pending pending)
{
	link_call(l, procedure, proc, args, fds, n_fds, 0, pending);
}

void link_start(struct link *l, const char *xml, int id, unsigned flags, int state_fd,
		int log_fd, uint64_t log_bytes, link_done *done, void *opaque)
{
	worker_start_args args = {
		.xml = (char *)xml, .id = id, .log_bytes = log_bytes,
		.flags = flags | (state_fd >= 0 ? WORKER_START_RESTORE : 0) |
			 (log_fd >= 0 ? WORKER_START_LOG : 0),
	};
	int fds[2];
	unsigned n = 0;

	if (state_fd >= 0)
		fds[n++] = state_fd;
	if (log_fd >= 0)
		fds[n++] = log_fd;
	call_fds(l, WORKER_PROC_START, (xdrproc_t)xdr_worker_start_args, &args, fds, n,
		 LINK_VOID_RESULT);
}

void link_save(struct link *l, const worker_save_args *args, int fd, link_done *done, void *opaque)
{
	call_fds(l, WORKER_PROC_SAVE, (xdrproc_t)xdr_worker_save_args, args, &fd, 1,
		      LINK_VOID_RESULT);
}

void link_save_progress(struct link *l, link_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_SAVE_PROGRESS, LINK_NONE, STATS_TIMEOUT_MS,
		  (struct link_pending){ (xdrproc_t)xdr_worker_save_progress, done, NULL, opaque });
}

void link_command(struct link *l, int procedure, unsigned timeout_ms, link_done *done, void *opaque)
{
	call_plain(l, procedure, LINK_NONE, timeout_ms ?: CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_powerdown(struct link *l, bool restart, link_done *done, void *opaque)
{
	worker_powerdown_args args = { .flags = restart ? WORKER_POWERDOWN_RESTART : 0 };

	call_plain(l, WORKER_PROC_POWERDOWN, (xdrproc_t)xdr_worker_powerdown_args, &args,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_stats(struct link *l, link_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_STATS, LINK_NONE, STATS_TIMEOUT_MS,
		  (struct link_pending){ (xdrproc_t)xdr_worker_stats_ret, done, NULL, opaque });
}

void link_set_balloon(struct link *l, uint64_t kib, link_done *done, void *opaque)
{
	worker_balloon_args args = { .kib = kib };

	call_plain(l, WORKER_PROC_SET_BALLOON, (xdrproc_t)xdr_worker_balloon_args, &args,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_set_stats_period(struct link *l, int seconds, link_done *done, void *opaque)
{
	worker_period_args args = { .seconds = seconds };

	call_plain(l, WORKER_PROC_SET_STATS_PERIOD, (xdrproc_t)xdr_worker_period_args, &args,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_set_actions(struct link *l, const worker_actions *actions, link_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_SET_ACTIONS, (xdrproc_t)xdr_worker_actions, actions,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_switch_heads(struct link *l, const worker_heads_args *args, const int *fds,
		       link_done *done, void *opaque)
{
	call_fds(l, WORKER_PROC_SWITCH_HEADS, (xdrproc_t)xdr_worker_heads_args, args, fds,
		      2 * args->heads.heads_len, LINK_VOID_RESULT);
}

void link_job_start(struct link *l, const worker_job_args *args, const int *fds, unsigned n_fds,
		    link_done *done, void *opaque)
{
	call_fds(l, WORKER_PROC_JOB_START, (xdrproc_t)xdr_worker_job_args, args, fds, n_fds,
		      LINK_VOID_RESULT);
}

void link_job_control(struct link *l, const worker_job_control_args *args, link_done *done,
		      void *opaque)
{
	call_fds(l, WORKER_PROC_JOB_CONTROL, (xdrproc_t)xdr_worker_job_control_args, args,
		      NULL, 0, LINK_VOID_RESULT);
}

void link_job_info(struct link *l, const char *target, link_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_JOB_INFO, (xdrproc_t)xdr_worker_target_args,
		  &(worker_target_args){ (char *)target }, CALL_TIMEOUT_MS,
		  (struct link_pending){ (xdrproc_t)xdr_worker_job_info_ret, done, NULL, opaque });
}

void link_disk_resize(struct link *l, const char *target, uint64_t bytes, link_done *done,
		      void *opaque)
{
	call_fds(l, WORKER_PROC_DISK_RESIZE, (xdrproc_t)xdr_worker_resize_args,
		      &(worker_resize_args){ (char *)target, bytes }, NULL, 0,
		      LINK_VOID_RESULT);
}

void link_set_iotunes(struct link *l, const GPtrArray *disks, const char *xml, link_done *done,
		      void *opaque)
{
	g_autofree worker_iotune *wire = g_new(worker_iotune, disks->len);
	worker_iotune_args args = { .disks = { disks->len, wire }, .xml = (char *)xml };

	for (unsigned i = 0; i < disks->len; i++) {
		const struct disk_def *d = disks->pdata[i];

		wire[i] = (worker_iotune){ d->target, d->iotune_group ?: (char *)"",
					   { N_IOTUNES, (uint64_t *)disk_iotune(d) } };
	}
	call_plain(l, WORKER_PROC_SET_IOTUNE, (xdrproc_t)xdr_worker_iotune_args, &args,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_set_link(struct link *l, unsigned index, bool up, const char *xml, link_done *done,
		   void *opaque)
{
	worker_link_args args = { .index = index, .up = up, .xml = (char *)xml };

	call_plain(l, WORKER_PROC_SET_LINK, (xdrproc_t)xdr_worker_link_args, &args,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_set_xml(struct link *l, const char *xml, link_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_SET_XML, (xdrproc_t)xdr_worker_xml_args,
		   &(worker_xml_args){ (char *)xml }, CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_console(struct link *l, const worker_console_args *args, link_fd_done *done, void *opaque)
{
	call_plain(l, WORKER_PROC_CONSOLE_OPEN, (xdrproc_t)xdr_worker_console_args, args,
		   CALL_TIMEOUT_MS,
		   (struct link_pending){ (xdrproc_t)xdr_worker_console_ret, NULL, done, opaque });
}

void link_console_resize(struct link *l, const worker_window_args *args, link_done *done,
			 void *opaque)
{
	call_plain(l, WORKER_PROC_CONSOLE_RESIZE, (xdrproc_t)xdr_worker_window_args, args,
		   CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}
