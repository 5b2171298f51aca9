/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A channel: one request, the child that does it, its streams and their windows. */
#pragma once

#include "images/agent/agent.h"

struct channel {
	struct channel *next;
	struct agent *agent;
	struct link *link; /* NULL: nobody listens any more; it is being ended */
	uint32_t number;   /* on its link */
	unsigned id;	   /* of all that the agent runs */
	pid_t pid;
	bool command; /* of the guest's, not a request of ours */
	bool tells;   /* of the end of its output */
	bool tidies;  /* it ends by itself, and takes along what is half made */
	bool pty, replied, failed, reaped, done;
	bool told;			   /* of its end, by what stands between us */
	int status;			   /* as of wait() */
	int input, output, errors, result; /* -1: closed */
	struct bytes queue;		   /* input that the child has not taken */
	bool ended;			   /* no more input comes */
	uint32_t window;		   /* bytes that may still come */
	uint32_t owed;			   /* bytes taken and not yet given as credit */
	uint64_t credit;		   /* bytes that we may send */
	int64_t kill_at_ms;		   /* 0: no */
	int64_t started_ms;
	char *what; /* for ps */
};

struct channel *channel_find(struct link *l, uint32_t number);
/* Answers by REPLY, then EXIT, or by FAILED, which may come after REPLY.  Keeps nothing of the
 * request. */
void channel_open(struct link *l, uint32_t number, struct json_object *request);
void channel_control(struct channel *ch, struct json_object *control);
/* false: more than its window. */
bool channel_input(struct channel *ch, const void *data, uint32_t n);
void channel_end(struct channel *ch);
void channel_credit(struct channel *ch, uint32_t n);
/* Nobody listens any more. */
void channel_orphan(struct channel *ch);

void channel_watch(struct channel *ch);
void channel_reaped(struct agent *a, pid_t pid, int status);
void channel_free(struct channel *ch);

/* Signals go to the process group, of a terminal to that in front; KILL to the whole tree. */
bool channel_kill(struct channel *ch, int signal);

/* The tree of a channel's processes in a cgroup of its own. */
void cgroup_open(struct agent *a);
void cgroup_close(struct agent *a);
int cgroup_make(struct agent *a, unsigned id); /* its folder, or -1 */
/* A child that enters it before it does anything else. */
pid_t cgroup_fork(int cgroup);
bool cgroup_write(struct agent *a, unsigned id, const char *file, const char *text);
void cgroup_remove(struct agent *a, unsigned id);
