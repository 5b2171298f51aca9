/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hub.c (ring, readers) and hub-ends.c (ways to become a reader) share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "libvmm/device/hub.h"

struct hub_listener;

struct hub_reader {
	struct hub *hub;
	char *who;
	bool writes;		/* its input goes to the guest */
	bool exclusive;		/* it is the one writer of hub_attach() */
	bool escapes;		/* the hub's escape byte is looked for */
	bool input_ended;
	bool blocked;		/* the last write met -EAGAIN */
	bool dead;		/* freed at the end of the round */
	bool restore_in;	/* O_NONBLOCK was not set when it came */
	bool restore_out;
	int in_fd;		/* -1: none; may be out_fd */
	int out_fd;
	void *in_tag;		/* GSource tags, while polled; not used when in_fd is out_fd */
	void *out_tag;
	struct hub_listener *listener;
	uint64_t pos;		/* the next byte of output that it wants */
	uint64_t missed_bytes;	/* what the notice tells */
	/* "N bytes missed": goes before pos; notice_len 0: nothing missed */
	char notice[64];
	unsigned notice_len;
	unsigned notice_off;
};

struct hub_listener {
	int fd;
	void *tag;
	uint64_t replay_bytes;
	struct hub_reader *client;
};

struct hub {
	char *name;
	GMainContext *owner;
	GSource *source;	/* all descriptors, and "ready now" as the wake-up */

	pthread_mutex_t lock;	/* protects ring, total, hungry */
	uint8_t *ring;		/* a mapping, so that only pages written to cost memory */
	uint64_t total;
	bool hungry;		/* somebody waits for the next byte: wake the owner */

	struct recorder *recorder;	/* NULL: none; set before the machine runs */
	unsigned recorder_device;

	/* The rest is the owner's. */
	const struct hub_ops *ops;
	void *dev;
	GPtrArray *readers;
	GPtrArray *listeners;
	GByteArray *backlog;	/* typed by writers that have left since */
	bool busy;		/* this round has written something */
	atomic_bool starved;	/* input waits for room; any thread reads it */
	int escape;		/* -1: none */
	void (*escape_fn)(void *arg);
	void *escape_arg;
	_Atomic uint64_t in_bytes;
	_Atomic uint64_t missed_bytes;
};

void hub_wake(struct hub *hub);

/* hub-reader.c.  Takes the descriptors; non-blocking from here on. */
struct hub_reader *hub_reader_add(struct hub *hub, const char *who, int in_fd, int out_fd,
				  uint64_t replay_bytes);
/* Someone else may be the writer: an error, or he goes. */
bool hub_writer_set(struct hub *hub, struct hub_reader *r, bool take_over, GError **error);
struct hub_reader *hub_writer(struct hub *hub);
/* Takes no further part; freed at the end of the round. */
void hub_reader_drop(struct hub_reader *r);
void hub_reader_free(void *r);
/* Give it all that it takes now. */
void hub_reader_flush(struct hub_reader *r);
void hub_reader_round(struct hub_reader *r);
/* What to poll for; true when it waits for the next byte of output.  Under the lock. */
bool hub_reader_settle(struct hub_reader *r, bool starved);
void hub_backlog_pump(struct hub *hub);

/* hub-ends.c */
void hub_listeners_run(struct hub *hub);
void hub_listener_client_left(struct hub_listener *l);
void hub_listener_free(void *l);
