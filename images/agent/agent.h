/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent: one process, one loop, no thread.  It holds connections (links),
 * each with channels; behind a channel is a child process that does one
 * request, so that nothing a request does can hold up the loop.
 *
 * Bounds: a link is not read while AGENT_DATA_MAX * 4 of it wait to be
 * written; a channel sends what its credit allows and takes AGENT_WINDOW.
 * What has ended in a turn of the loop is freed at the turn's end.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "images/agent/keep.h"
#include "images/agent/object.h"
#include "images/agent/wire.h"

#define LINKS_MAX 64
#define CHANNELS_MAX 512 /* of all links */
#define WATCHES_MAX (LINKS_MAX * 2 + CHANNELS_MAX * 4 + 8)

struct agent;
struct channel;

typedef void watch_fn(void *opaque, short revents);

struct link {
	struct link *next;
	struct agent *agent;
	int in, out; /* may be one descriptor */
	bool port;   /* a virtio port: who is at its other end may change */
	bool greeted, lost, dead;
	size_t zeroes; /* when lost: see wire_skip() */
	struct bytes unread, unsent;
};

struct agent {
	struct link *links;
	struct channel *channels;
	unsigned n_links, n_channels;
	unsigned next_id;
	int signals;	     /* signalfd */
	int listener, vsock; /* -1: none */
	bool guest;	     /* look for vsock and the port, again and again */
	bool stay;	     /* commands see the agent's own root, not that of process 1 */
	bool stop;
	int cgroup; /* -1: this kernel has no cgroup2 */
	int64_t started_ms, next_look_ms;
	bool asked_modules;
	uint16_t outbound_port; /* 0: there is no way out */
	pid_t outbound_pid;	/* 0: it does not run */
	int64_t outbound_at_ms; /* not before */
	uint64_t first_root; /* device of the initramfs in which it was born; 0: in none */
	struct kept kept[KEPT_MAX];
	unsigned n_kept;
	int64_t thaw_at_ms; /* 0: no file system is frozen */

	unsigned n_watches;
	struct pollfd polled[WATCHES_MAX];
	struct {
		watch_fn *fn;
		void *opaque;
	} watches[WATCHES_MAX];
	int timeout_ms;
};

/* Until the next turn; each object tells anew what it waits for. */
void agent_watch(struct agent *a, int fd, short events, watch_fn *fn, void *opaque);
/* The loop turns again by then. */
void agent_wake_at(struct agent *a, int64_t at_ms);
int64_t agent_now_ms(void);
/* To the kernel's log. */
void agent_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct link *link_new(struct agent *a, int in, int out, bool port);
void link_free(struct link *l);
void link_watch(struct link *l);
bool link_has_room(const struct link *l);
void link_send(struct link *l, uint8_t type, uint32_t channel, const void *data, uint32_t n);
/* Takes the object. */
void link_send_json(struct link *l, uint8_t type, uint32_t channel, struct json_object *o);

/* In the environment of an agent that is born in an initramfs: the device of that. */
#define AGENT_FIRST_ROOT "VMM_AGENT_ROOT"

/* There, too: the port of the loopback that leads out; none if the host has no proxy. */
#define AGENT_OUTBOUND "VMM_AGENT_OUTBOUND"

/* Programs of the guest to the host's proxy, until it is killed; path: see main.c; NULL. */
int outbound_run(uint16_t port, const char *path);
/* That as a child of the agent, when the guest has its root, and again when it has ended. */
void outbound_watch(struct agent *a);
void outbound_reaped(struct agent *a, pid_t pid);

/* Finds and opens what connects to the host. */
void transport_look(struct agent *a);
void transport_watch(struct agent *a);
bool transport_listen(struct agent *a, const char *path);

/* What runs before the guest's own first process; returns only when that can't be run. */
int boot_main(int argc, char **argv);
