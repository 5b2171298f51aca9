/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A console hub stands between a character device (UART, virtio-console port)
 * and the people who watch it.
 *
 * Output: the device puts bytes in and never waits; the last HUB_RING_BYTES
 * stay here, whether anyone is attached or not.  Each reader is a stream
 * socket with its own place in the ring: a slow reader loses the oldest bytes
 * (and is told how many, in one line), never the guest its time.
 * Input: only one reader at a time is the writer.  What it types waits in its
 * socket until the device has room, so the guest loses no input.
 *
 * hub_put() may be called on any thread; everything else on the owner's.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_RING_BYTES (256 * 1024)

struct hub;
struct recorder;

struct hub_ops {
	size_t (*room)(void *dev);				/* bytes of input it takes now */
	void (*input)(void *dev, const uint8_t *data, size_t len);	/* len <= room() */
	void (*resize)(void *dev, unsigned cols, unsigned rows);/* may be NULL */
};

struct hub *hub_new(const char *name, GMainContext *owner);
void hub_free(struct hub *hub);

/* The device end; called once, before the machine runs. */
void hub_set_device(struct hub *hub, const struct hub_ops *ops, void *dev);
/* Output goes to the journal too; likewise. */
void hub_record(struct hub *hub, struct recorder *recorder);
const char *hub_name(const struct hub *hub);

/* Guest output.  Any thread; does not block. */
void hub_put(struct hub *hub, const uint8_t *data, size_t len);
/* The device has room for input again.  Any thread. */
void hub_ready(struct hub *hub);

enum hub_mode { HUB_READ, HUB_WRITE, HUB_TAKE_OVER };

/*
 * A new reader: returns the far end of a stream socket (the caller's), which
 * first gives the replay, then what comes.  The last `replay_bytes` of the
 * ring are replayed (UINT64_MAX: all).  HUB_WRITE fails when there is a writer
 * (its name is in the error); HUB_TAKE_OVER closes that one's stream.
 * *ret_pos (may be NULL): how many bytes the guest had written before the first
 * that is replayed.
 */
int hub_attach(struct hub *hub, enum hub_mode mode, const char *who, uint64_t replay_bytes,
	       uint64_t *ret_pos, GError **error);

/* The same with a descriptor of the caller's (a tty, a file); taken, closed with the hub. */
bool hub_attach_fd(struct hub *hub, enum hub_mode mode, const char *who, int in_fd, int out_fd,
		   GError **error);

/*
 * A listening stream socket: one client at a time, who may always type; others
 * wait in its backlog.  The descriptor is taken (also on failure).
 */
bool hub_listen_fd(struct hub *hub, int fd, uint64_t replay_bytes, GError **error);

/*
 * This byte, typed into a descriptor of hub_attach_fd(), calls fn (once
 * per byte) and stays here.
 */
void hub_set_escape(struct hub *hub, uint8_t byte, void (*fn)(void *arg), void *arg);

/* The writer's window changed; no-op if the device has no notion of it. */
void hub_resize(struct hub *hub, unsigned cols, unsigned rows);

struct hub_stats {
	uint64_t out_bytes;	/* from the guest */
	uint64_t in_bytes;	/* to the guest */
	uint64_t missed_bytes;	/* skipped for slow readers, in sum */
	unsigned readers;
	bool has_writer;
};

void hub_stats(struct hub *hub, struct hub_stats *ret);

uint64_t hub_total_bytes(struct hub *hub);	/* output since the machine was built */
/* Returns when every reader has what it can take without waiting for `timeout_ms` in all. */
void hub_drain(struct hub *hub, unsigned timeout_ms);
