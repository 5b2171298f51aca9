/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The streams of a channel in the loop: what its child says and takes, and how it ends. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/agent/child.h"

#define PIECE 32768    /* bytes of output a frame */
#define OWED_MAX 32768 /* credit is given in pieces of that */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void send_json(struct channel *ch, uint8_t type, struct json_object *o)
{
	if (ch->link)
		link_send_json(ch->link, type, ch->number, o);
	else
		json_object_put(o);
}

/* A terminal is one descriptor for both directions; the child has its other end. */
static void take_pty(struct channel *ch, int fd)
{
	close_fd(&ch->input);
	close_fd(&ch->output);
	close_fd(&ch->errors);
	ch->pty = true;
	ch->output = fd;
	ch->input = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void reply(struct channel *ch, struct json_object *o)
{
	if (ch->replied || ch->failed) {
		json_object_put(o);
		return;
	}
	if (ch->command) {
		object_put_number(o, "id", ch->id);
		object_put_number(o, "pid", ch->pid);
	}
	ch->replied = true;
	send_json(ch, AGENT_REPLY, o);
}

static void take_message(struct channel *ch, const char *data, size_t n, int fd)
{
	struct child_keep keep;

	if (data[0] == CHILD_PTY && fd >= 0) {
		take_pty(ch, fd);
		return;
	}
	if (n == 1 + sizeof(keep) && (data[0] == CHILD_KEEP || data[0] == CHILD_DROP)) {
		memcpy(&keep, data + 1, sizeof(keep));
		if (data[0] == CHILD_DROP) {
			keep_drop(ch->agent, keep.kind, keep.id);
		} else if (fd >= 0) {
			keep_add(ch->agent, keep.kind, keep.id, fd);
			return;
		}
	}
	close_fd(&fd);
	if (data[0] == CHILD_REPLY) {
		struct json_object *o = object_read(data + 1, n - 1);
		reply(ch, o ? o : json_object_new_object());
	} else if (data[0] == CHILD_FAILED && !ch->failed) {
		ch->failed = true;
		if (ch->link)
			link_send(ch->link, AGENT_FAILED, ch->number, data + 1, n - 1);
	} else if (data[0] == CHILD_FROZEN && n == 1 + sizeof(uint32_t)) {
		uint32_t seconds;
		memcpy(&seconds, data + 1, sizeof(seconds));
		keep_frozen(ch->agent, seconds);
	} else if (data[0] == CHILD_STATUS && n == 1 + sizeof(int)) {
		memcpy(&ch->status, data + 1, sizeof(int));
		ch->told = true;
	}
}

static void on_result(void *opaque, short revents)
{
	struct channel *ch = opaque;
	char data[AGENT_DATA_MAX + 1], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd = -1;
	ssize_t n = recvmsg(ch->result, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n > 0) {
		take_message(ch, data, n, fd);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close_fd(&ch->result);
		reply(ch, json_object_new_object());
	}
}

/* Whom its frames are for; NULL: nobody, for it has left, or knows it as ended (FAILED). */
static struct link *listener(const struct channel *ch)
{
	return ch->failed ? NULL : ch->link;
}

/* Returns false when there is nothing (more) to read now. */
static bool pump(struct channel *ch, int *fd, uint8_t type)
{
	uint8_t data[PIECE];
	size_t most = ch->credit < PIECE ? ch->credit : PIECE;
	struct link *to = listener(ch);

	if (*fd < 0 || (to && (!most || !link_has_room(to))))
		return false;
	ssize_t n = read(*fd, data, to ? most : PIECE);
	if (n > 0) {
		if (to) {
			ch->credit -= n;
			link_send(to, type, ch->number, data, n);
		}
		return true;
	}
	if (n == 0 && type == AGENT_OUTPUT && ch->tells && to)
		link_send(to, AGENT_CLOSED, ch->number, NULL, 0);
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(fd);
	else if (ch->reaped && ch->result < 0 && errno == EAGAIN)
		close_fd(fd); /* what it left running may say what it likes */
	return false;
}

static void on_output(void *opaque, short revents)
{
	struct channel *ch = opaque;

	pump(ch, &ch->output, AGENT_OUTPUT);
}

static void on_errors(void *opaque, short revents)
{
	struct channel *ch = opaque;

	pump(ch, &ch->errors, AGENT_ERRORS);
}

static void give_credit(struct channel *ch)
{
	uint8_t n[4];

	if (!ch->owed || !listener(ch) || (ch->owed < OWED_MAX && bytes_count(&ch->queue)))
		return;
	for (int i = 0; i < 4; i++)
		n[i] = ch->owed >> 8 * i;
	link_send(ch->link, AGENT_CREDIT, ch->number, n, sizeof(n));
	ch->window += ch->owed;
	ch->owed = 0;
}

static void on_input(void *opaque, short revents)
{
	struct channel *ch = opaque;
	ssize_t n = write(ch->input, ch->queue.data + ch->queue.start, bytes_count(&ch->queue));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		n = bytes_count(&ch->queue);
		close_fd(&ch->input);
	}
	bytes_drop(&ch->queue, n);
	ch->owed += n;
	if (ch->pty && ch->ended && !bytes_count(&ch->queue))
		ch->owed--; /* the end's own byte came without credit */
}

static void tell_exit(struct channel *ch)
{
	struct json_object *o = json_object_new_object();

	if (WIFSIGNALED(ch->status)) {
		object_put_number(o, "signal", WTERMSIG(ch->status));
		json_object_object_add(o, "core", json_object_new_boolean(WCOREDUMP(ch->status)));
	} else {
		object_put_number(o, "code", WEXITSTATUS(ch->status));
	}
	if (ch->failed)
		json_object_put(o);
	else
		send_json(ch, AGENT_EXIT, o);
}

/* When it has ended, told all and is heard out. */
static void settle(struct channel *ch)
{
	struct agent *a = ch->agent;

	if (!ch->reaped || ch->result >= 0)
		return;
	for (int i = 0; i < 16 && pump(ch, &ch->output, AGENT_OUTPUT); i++) {
	}
	for (int i = 0; i < 16 && pump(ch, &ch->errors, AGENT_ERRORS); i++) {
	}
	if (!listener(ch)) {
		close_fd(&ch->output);
		close_fd(&ch->errors);
	}
	if (ch->output >= 0 || ch->errors >= 0)
		return;
	tell_exit(ch);
	cgroup_remove(a, ch->id);
	ch->done = true;
}

static void kill_in_time(struct channel *ch)
{
	if (!ch->kill_at_ms || ch->reaped)
		return;
	if (agent_now_ms() >= ch->kill_at_ms) {
		channel_kill(ch, SIGKILL);
		ch->kill_at_ms += 1000;
	}
	agent_wake_at(ch->agent, ch->kill_at_ms);
}

void channel_watch(struct channel *ch)
{
	struct agent *a = ch->agent;
	bool out = ch->replied && (!ch->link || (ch->credit && link_has_room(ch->link)));

	settle(ch);
	if (ch->done)
		return;
	kill_in_time(ch);
	if (ch->ended && !bytes_count(&ch->queue) && !ch->pty && ch->input >= 0)
		close_fd(&ch->input);
	give_credit(ch);
	agent_watch(a, ch->result, POLLIN, on_result, ch);
	if (bytes_count(&ch->queue))
		agent_watch(a, ch->input, POLLOUT, on_input, ch);
	if (out) {
		agent_watch(a, ch->output, POLLIN, on_output, ch);
		agent_watch(a, ch->errors, POLLIN, on_errors, ch);
	}
}

void channel_reaped(struct agent *a, pid_t pid, int status)
{
	for (struct channel *ch = a->channels; ch; ch = ch->next) {
		if (ch->pid != pid || ch->reaped)
			continue;
		ch->reaped = true;
		if (!ch->told)
			ch->status = status;
	}
}
