/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The child that does a request: in the guest's root, standard streams to the
 * channel, CHILD_RESULT to the agent.  A message there is a letter and its data.
 */
#pragma once

#include "images/agent/channel.h"

#define CHILD_RESULT 3
#define FREEZE_SECONDS 600 /* then file systems are thawed by themselves */

#define CHILD_REPLY 'R'	 /* JSON */
#define CHILD_FAILED 'E' /* JSON */
#define CHILD_STATUS 'S' /* int, as of wait() */
#define CHILD_PTY 'P'	 /* the terminal's master comes along */
#define CHILD_KEEP 'K'	 /* struct child_keep, and a descriptor: it outlives this child */
#define CHILD_DROP 'D'	 /* struct child_keep */
#define CHILD_FROZEN 'Z' /* uint32_t, as for keep_frozen() */

struct child_keep {
	int32_t kind, id;
};

/* In the child.  Returns the exit code. */
typedef int request_fn(struct json_object *request);

struct request {
	const char *name;
	request_fn *run;
	bool command;
	bool tells; /* when its output ends, by AGENT_CLOSED */
	bool keeps; /* it sees what is kept (keep.h) */
	bool tidies; /* when nobody waits for it any more: it is told so, not killed at once */
};
const struct request *request_find(const char *name);

/* In the child, which it ends. */
__attribute__((noreturn)) void child_main(struct agent *a, const struct request *r,
					  struct json_object *request, const int fds[4]);
__attribute__((noreturn, format(printf, 2, 3))) void child_fail(int error, const char *format, ...);
void child_reply(struct json_object *o); /* takes it */
/* The agent as it was when the child was made. */
const struct agent *child_agent(void);
void child_keep(int32_t kind, int32_t id, int fd);
void child_drop(int32_t kind, int32_t id);
/* By the agent: a child that thaws all file systems is on its way. */
bool child_thaw(struct agent *a);
void child_send(char kind, const void *data, size_t n, int fd);

/* The word or the end. */
const char *need_text(struct json_object *request, const char *key);
int64_t need_number(struct json_object *request, const char *key, int64_t missing, int64_t min,
		    int64_t max);
void put_file(const char *path, const void *data, size_t n, mode_t mode);
void full_write(int fd, const void *data, size_t n, const char *path);
char *read_small(const char *path, size_t max); /* NULL: can't */

struct account {
	char name[64], home[256], shell[256];
	uid_t uid;
	gid_t gid;
};
/* By name or by number; a number that nobody has gets "/" and a shell. */
bool account_find(const char *name, struct account *ret);
void account_by_uid(uid_t uid, struct account *ret);
void account_groups(const struct account *acc);

struct sandbox {
	bool network;
};
/* The caller becomes a process in a sandbox of its own; its parents wait for it and tell its
 * status. */
void sandbox_enter(const struct sandbox *box);
void sandbox_become(const struct account *acc);
/* The last step before exec. */
void sandbox_close(void);

request_fn request_spawn, request_status, request_ps, request_connect;
request_fn request_read, request_write, request_stat, request_list, request_pack, request_unpack;
request_fn request_mount, request_unmount, request_set_time, request_set_name, request_grow,
	request_freeze, request_thaw, request_power;
request_fn request_session, request_password, request_ssh_key;
request_fn request_qga;
/* A word of os-release, under another name. */
void put_release_word(struct json_object *o, const char *word, const char *key);

/* Lines of a user's authorized_keys; the caller becomes that user. */
struct json_object *ssh_keys_read(const char *name);
/* less: NULL for none; anew: what was there goes. */
void ssh_keys_change(const char *name, const char *const *more, const char *const *less,
		     bool anew);

/* How many were frozen or thawed; fails with all thawed.  points NULL: all. */
int freeze_all(bool freeze, const char *const *points);
/* Of the guest's mount table, which is cut apart, those on devices; the last mounted comes last. */
size_t mount_points(char *text, char *points[], size_t max);
