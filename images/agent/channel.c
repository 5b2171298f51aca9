/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A channel: one request, the child that does it, its streams and their windows. */
#include "config.h"

#include "images/agent/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "images/agent/child.h"

#define KILL_AFTER_MS 3000 /* from HUP to KILL of a command whose client has gone */

struct channel *channel_find(struct link *l, uint32_t number)
{
	struct channel *ch = l->agent->channels;

	while (ch && (ch->link != l || ch->number != number || ch->done))
		ch = ch->next;
	return ch;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void refuse(struct link *l, uint32_t number, const char *why, int error)
{
	struct json_object *o = json_object_new_object();

	object_put_text(o, "error", why);
	object_put_number(o, "errno", error);
	link_send_json(l, AGENT_FAILED, number, o);
}

static void answer(struct link *l, uint32_t number, struct json_object *o)
{
	link_send_json(l, AGENT_REPLY, number, o);
	o = json_object_new_object();
	object_put_number(o, "code", 0);
	link_send_json(l, AGENT_EXIT, number, o);
}

/* What commands are running, as a list of objects. */
static struct json_object *running(struct agent *a)
{
	struct json_object *list = json_object_new_array(), *o = json_object_new_object();
	int64_t now = agent_now_ms();

	for (struct channel *ch = a->channels; ch; ch = ch->next) {
		if (!ch->command || ch->done)
			continue;
		struct json_object *c = json_object_new_object();
		object_put_number(c, "id", ch->id);
		object_put_number(c, "pid", ch->pid);
		object_put_number(c, "seconds", (now - ch->started_ms) / 1000);
		object_put_text(c, "command", ch->what);
		json_object_array_add(list, c);
	}
	json_object_object_add(o, "commands", list);
	return o;
}

static struct channel *by_id(struct agent *a, int64_t id)
{
	struct channel *ch = a->channels;

	while (ch && (ch->id != id || !ch->command || ch->done))
		ch = ch->next;
	return ch;
}

/* NULL: done, or why not. */
static const char *steer(struct channel *ch, const char *what, struct json_object *o)
{
	bool bad = false;
	int64_t signal = object_number(o, "signal", SIGTERM, 1, 64, &bad);

	if (bad)
		return "'signal' is no number from 1 to 64";
	if (!strcmp(what, "kill"))
		return channel_kill(ch, signal) ? NULL : "it is gone";
	if (strcmp(what, "pause") && strcmp(what, "resume"))
		return "the agent knows no such control";
	return cgroup_write(ch->agent, ch->id, "cgroup.freeze", *what == 'p' ? "1" : "0") ?
		       NULL :
		       "this guest's kernel has no cgroup2 freezer";
}

/* Requests that need no child; false: it is another. */
static bool open_inline(struct link *l, uint32_t number, const char *what, struct json_object *o)
{
	bool bad = false;

	if (!strcmp(what, "ping")) {
		answer(l, number, json_object_new_object());
	} else if (!strcmp(what, "commands")) {
		answer(l, number, running(l->agent));
	} else if (!strcmp(what, "kill") || !strcmp(what, "pause") || !strcmp(what, "resume")) {
		struct channel *ch =
			by_id(l->agent, object_number(o, "id", -1, 0, INT32_MAX, &bad));
		const char *why = ch ? steer(ch, what, o) : "there is no command with that 'id'";
		if (why)
			refuse(l, number, why, ESRCH);
		else
			answer(l, number, json_object_new_object());
	} else {
		return false;
	}
	return true;
}

/* ends[0..2]: the child's standard streams; ends[3]: its result. */
static bool make_streams(struct channel *ch, int ends[4])
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, result[2] = { -1, -1 };
	bool ok = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
		  pipe2(err, O_CLOEXEC) == 0 &&
		  socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, result) == 0;

	ch->input = in[1];
	ch->output = out[0];
	ch->errors = err[0];
	ch->result = result[0];
	ends[0] = in[0];
	ends[1] = out[1];
	ends[2] = err[1];
	ends[3] = result[1];
	for (int i = 0; ok && i < 4; i++) {
		int fd = (int[]){ ch->input, ch->output, ch->errors, ch->result }[i];
		fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	return ok;
}

static struct channel *channel_new(struct link *l, uint32_t number, const struct request *r,
				   const char *what)
{
	struct agent *a = l->agent;
	struct channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		abort();
	*ch = (struct channel){
		.next = a->channels,
		.agent = a,
		.link = l,
		.number = number,
		.id = ++a->next_id,
		.command = r->command,
		.tells = r->tells,
		.tidies = r->tidies,
		.pid = -1,
		.window = AGENT_WINDOW,
		.credit = AGENT_WINDOW,
		.started_ms = agent_now_ms(),
		.what = strdup(what),
	};
	a->channels = ch;
	a->n_channels++;
	return ch;
}

static void start(struct channel *ch, const struct request *r, struct json_object *request)
{
	struct agent *a = ch->agent;
	int ends[4];
	int cgroup = r->command ? cgroup_make(a, ch->id) : -1;

	if (make_streams(ch, ends))
		ch->pid = cgroup_fork(cgroup);
	if (ch->pid == 0)
		child_main(a, r, request, ends);
	int error = errno;
	for (int i = 0; i < 4; i++)
		close_fd(&ends[i]);
	close_fd(&cgroup);
	if (ch->pid > 0)
		return;
	refuse(ch->link, ch->number, strerror(error), error);
	ch->done = true;
}

static unsigned count_of(struct link *l)
{
	unsigned n = 0;

	for (struct channel *ch = l->agent->channels; ch; ch = ch->next)
		n += ch->link == l;
	return n;
}

void channel_open(struct link *l, uint32_t number, struct json_object *request)
{
	const char *what = object_text(request, "do");
	const char *command = object_text(request, "command");
	const struct request *r = what ? request_find(what) : NULL;

	if (what && open_inline(l, number, what, request))
		return;
	if (!r)
		refuse(l, number, "the agent knows no such request", ENOSYS);
	else if (l->agent->n_channels >= CHANNELS_MAX || count_of(l) >= AGENT_CHANNELS_MAX)
		refuse(l, number, "too many requests at a time", EAGAIN);
	else
		start(channel_new(l, number, r, command ? command : what), r, request);
}

bool channel_kill(struct channel *ch, int signal)
{
	pid_t front = ch->pty && ch->output >= 0 ? tcgetpgrp(ch->output) : -1;

	if (ch->reaped || ch->pid <= 0)
		return false;
	if (signal == SIGKILL && cgroup_write(ch->agent, ch->id, "cgroup.kill", "1"))
		return true;
	if (front > 0)
		kill(-front, signal);
	if (front <= 0 || signal == SIGKILL || signal == SIGHUP)
		return kill(-ch->pid, signal) == 0 || kill(ch->pid, signal) == 0;
	return true;
}

static void resize(struct channel *ch, struct json_object *o)
{
	bool bad = false;
	struct winsize size = {
		.ws_row = object_number(o, "rows", 24, 1, 10000, &bad),
		.ws_col = object_number(o, "columns", 80, 1, 10000, &bad),
	};

	if (ch->pty && !bad && ch->output >= 0)
		ioctl(ch->output, TIOCSWINSZ, &size);
}

void channel_control(struct channel *ch, struct json_object *o)
{
	const char *what = object_text(o, "do");

	if (what && !strcmp(what, "resize"))
		resize(ch, o);
	else if (what)
		steer(ch, what, o);
}

bool channel_input(struct channel *ch, const void *data, uint32_t n)
{
	if (n > ch->window)
		return false;
	ch->window -= n;
	if (ch->input < 0 || ch->ended)
		ch->owed += n; /* nobody reads it any more; whoever sends may go on */
	else
		bytes_add(&ch->queue, data, n);
	return true;
}

void channel_end(struct channel *ch)
{
	static const char eof = 4; /* what a terminal takes for the end */

	if (ch->ended)
		return;
	if (ch->pty)
		bytes_add(&ch->queue, &eof, 1);
	ch->ended = true;
}

void channel_credit(struct channel *ch, uint32_t n)
{
	ch->credit += n;
	if (ch->credit > AGENT_WINDOW)
		ch->credit = AGENT_WINDOW;
}

/* A request that gets no more input must not take that for its end: it is killed before. */
void channel_orphan(struct channel *ch)
{
	channel_kill(ch, ch->command || ch->tidies ? SIGHUP : SIGKILL);
	ch->kill_at_ms = agent_now_ms() + KILL_AFTER_MS;
	ch->link = NULL;
	bytes_clear(&ch->queue);
	ch->ended = true;
}

void channel_free(struct channel *ch)
{
	close_fd(&ch->input);
	close_fd(&ch->output);
	close_fd(&ch->errors);
	close_fd(&ch->result);
	bytes_clear(&ch->queue);
	free(ch->what);
	free(ch);
}
