/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The channel to one worker, and its process.
 *
 * Order of ends: the worker is gone when its process is (pidfd), not before.
 * A connection that ends while the process lives is the beginning of that:
 * the process gets a short while, then SIGKILL.  ops->gone runs once, from the
 * main loop, never from within a call of ours; after it only link_free().
 */
#pragma once

#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/worker.h"

struct link;

enum link_tap { LINK_TAP_FAILED, LINK_TAP_DONE, LINK_TAP_LATER };

/* Of a switch: gone alone, the others are NULL. */
struct link_ops {
	void (*state)(int state, int cause, const char *detail, void *opaque);
	void (*rebooted)(void *opaque);
	void (*balloon)(uint64_t kib, void *opaque);
	void (*io_error)(const worker_event_io_error *ev, void *opaque);
	void (*job)(const worker_event_job *ev, void *opaque);
	/* What START asks for: descriptors, or an error. */
	int (*open)(const char *path, unsigned flags, void *opaque, GError **error);
	/* call: kept by one that is answered LATER, by link_reply_tap(). */
	enum link_tap (*open_tap)(const char *alias, unsigned queues, int *fds, char **ret_ifname,
				  const struct frame_header *call, void *opaque, GError **error);
	/* The descriptor of a folder, and whose it is; -1. */
	int (*open_folder)(const char *alias, worker_folder_ret *ret, void *opaque, GError **error);
	/* A descriptor of the proxy that is started anew; -1. */
	int (*outbound)(void *opaque, GError **error);
	/* how: "was killed by signal 9", "exited with status 1". */
	void (*gone)(const char *how, void *opaque);
};

/* Takes both descriptors; fd may be -1: a worker that does not take connections. */
struct link *link_new(int fd, int pidfd, const struct link_ops *ops, void *opaque);
void link_free(struct link *link);
void link_kill(struct link *link);
/* Is there a connection still?  Without one it will be gone soon, and every call fails at once. */
bool link_is_connected(const struct link *link);

/*
 * Results are valid during the callback; ret is NULL when error is set.  With
 * no connection left, the callback runs before the call returns.
 */
typedef void link_done(const void *ret, const GError *error, void *opaque);
/* the descriptor is taken */
typedef void link_fd_done(int fd, const void *ret, const GError *error, void *opaque);

/* worker_hello_ret */
void link_hello(struct link *link, unsigned timeout_ms, link_done *done, void *opaque);
/*
 * flags: WORKER_START_...; state_fd: of a saved machine, log_fd: of the consoles' journal; the
 * caller's, or -1.
 */
void link_start(struct link *link, const char *xml, int id, unsigned flags, int state_fd,
		int log_fd, uint64_t log_bytes, link_done *done, void *opaque);
void link_save(struct link *link, const worker_save_args *args, int fd, link_done *done,
	       void *opaque);
/* worker_save_progress */
void link_save_progress(struct link *link, link_done *done, void *opaque);
/* RESUME, PAUSE, RESET, STOP: no arguments, no result. */
void link_command(struct link *link, int procedure, unsigned timeout_ms, link_done *done,
		  void *opaque);
void link_powerdown(struct link *link, bool restart, link_done *done, void *opaque);
void link_stats(struct link *link, link_done *done, void *opaque);	/* worker_stats_ret */
void link_set_balloon(struct link *link, uint64_t kib, link_done *done, void *opaque);
void link_set_stats_period(struct link *link, int seconds, link_done *done, void *opaque);
void link_set_actions(struct link *link, const worker_actions *actions, link_done *done,
		      void *opaque);
/*
 * fds: 2 for each head (worker.x); duplicated.  Answered when it is done,
 * however long that takes.
 */
void link_switch_heads(struct link *link, const worker_heads_args *args, const int *fds,
		       link_done *done, void *opaque);
/* The limits of all these; struct disk_def. */
void link_set_iotunes(struct link *link, const GPtrArray *disks, const char *xml, link_done *done,
		      void *opaque);
void link_set_link(struct link *link, unsigned index, bool up, const char *xml, link_done *done,
		   void *opaque);
void link_set_xml(struct link *link, const char *xml, link_done *done, void *opaque);
/* Jobs on disks (worker.x). */
void link_job_start(struct link *link, const worker_job_args *args, const int *fds, unsigned n_fds,
		    link_done *done, void *opaque);
void link_job_control(struct link *link, const worker_job_control_args *args, link_done *done,
		      void *opaque);
/* worker_job_info_ret */
void link_job_info(struct link *link, const char *target, link_done *done, void *opaque);
void link_disk_resize(struct link *link, const char *target, uint64_t bytes, link_done *done,
		      void *opaque);
/* The answer to open_tap; fd is taken, -1 with an error. */
void link_reply_tap(struct link *link, const struct frame_header *call, int fd,
		    const GError *error);
/* Of a machine: another cable, a port of user networking. */
void link_plug(struct link *link, unsigned index, int fd, link_done *done, void *opaque);
void link_forward(struct link *link, const worker_forward_args *args, link_done *done,
		  void *opaque);
/* Of a network's switch (link-net.c). */
void link_net_start(struct link *link, const char *xml, int id, int leases_fd, link_done *done,
		    void *opaque);
void link_net_update(struct link *link, const char *xml, link_done *done, void *opaque);
void link_net_port(struct link *link, const worker_port_args *args, int fd, link_done *done,
		   void *opaque);
void link_net_info(struct link *link, link_done *done, void *opaque);	/* worker_net_info_ret */
void link_net_forward(struct link *link, const worker_forward_args *args, link_done *done,
		      void *opaque);
/* worker_console_ret */
void link_console(struct link *link, const worker_console_args *args, link_fd_done *done,
		  void *opaque);
void link_console_resize(struct link *link, const worker_window_args *args, link_done *done,
			 void *opaque);
