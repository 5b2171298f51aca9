/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Program vmm-agent: options, and the loop. */
#include "config.h"

#include "images/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "images/agent/channel.h"

static const char usage[] =
	"Usage: vmm-agent [--listen SOCKET | --stdio] [--stay]\n"
	"       vmm-agent --outbound PORT [--to SOCKET]\n"
	"The host's hand inside a guest: without options it serves vsock port 5655885 and the\n"
	"virtio port " AGENT_PORT_NAME ".\n"
	"  --listen SOCKET  serve a Unix socket instead\n"
	"  --stdio          serve one connection on standard input and output\n"
	"  --stay           commands see this process's root, not that of process 1\n"
	"  --outbound PORT  no agent, but the way out: PORT of the loopback is the host's\n"
	"                   SOCKS 5 proxy, as <vmm:proxy> allows\n"
	"  --to SOCKET      this Unix socket instead of the host's\n";

void agent_log(const char *format, ...)
{
	char line[256] = "<6>vmm-agent: ";
	size_t n = strlen(line);
	va_list args;

	va_start(args, format);
	vsnprintf(line + n, sizeof(line) - n, format, args);
	va_end(args);
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t r = write(fd, line, strlen(line));
	(void)r; /* there is nobody else to tell */
	close(fd);
}

int64_t agent_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

void agent_watch(struct agent *a, int fd, short events, watch_fn *fn, void *opaque)
{
	if (fd < 0 || a->n_watches == WATCHES_MAX)
		return;
	a->polled[a->n_watches] = (struct pollfd){ .fd = fd, .events = events };
	a->watches[a->n_watches].fn = fn;
	a->watches[a->n_watches++].opaque = opaque;
}

void agent_wake_at(struct agent *a, int64_t at_ms)
{
	int64_t left = at_ms - agent_now_ms();

	left = left < 0 ? 0 : left > 60000 ? 60000 : left;
	if (a->timeout_ms < 0 || left < a->timeout_ms)
		a->timeout_ms = left;
}

static void on_signal(void *opaque, short revents)
{
	struct agent *a = opaque;
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(a->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			a->stop = true;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		outbound_reaped(a, pid), channel_reaped(a, pid, status);
}

static void sweep(struct agent *a)
{
	for (struct channel **p = &a->channels, *ch; (ch = *p);) {
		if (!ch->done) {
			p = &ch->next;
			continue;
		}
		*p = ch->next;
		channel_free(ch);
	}
	for (struct link **p = &a->links, *l; (l = *p);) {
		if (!l->dead) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		link_free(l);
	}
}

static void turn(struct agent *a, bool once)
{
	a->n_watches = 0;
	a->timeout_ms = -1;
	agent_watch(a, a->signals, POLLIN, on_signal, a);
	transport_watch(a);
	outbound_watch(a);
	keep_watch(a);
	for (struct channel *ch = a->channels; ch; ch = ch->next)
		channel_watch(ch);
	for (struct link *l = a->links; l; l = l->next)
		link_watch(l); /* last: channels have given it something to send */
	sweep(a);	       /* who sees in watch that it has ended */
	if (once && !a->links && !a->channels)
		return;		/* nothing would ever wake us */
	if (poll(a->polled, a->n_watches, a->timeout_ms) < 0)
		return; /* EINTR; there is nothing else that can go away here */
	for (unsigned i = 0; i < a->n_watches; i++) {
		if (a->polled[i].revents)
			a->watches[i].fn(a->watches[i].opaque, a->polled[i].revents);
	}
	sweep(a);
}

static void prepare(struct agent *a)
{
	struct rlimit files;
	sigset_t set;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	a->started_ms = agent_now_ms();
	cgroup_open(a);
}

#define END_MS 1000

/* Its cgroup can be removed when all of it has gone. */
static void channel_end_now(struct agent *a, struct channel *ch, int64_t until_ms)
{
	channel_kill(ch, SIGKILL);
	while (!ch->reaped && ch->pid > 0 && waitpid(ch->pid, NULL, WNOHANG) == 0 &&
	       agent_now_ms() < until_ms)
		usleep(1000);
	cgroup_remove(a, ch->id);
	ch->done = true;
}

static int serve(struct agent *a, bool once)
{
	while (!a->stop && !(once && !a->links && !a->channels))
		turn(a, once);
	for (struct channel *ch = a->channels; ch; ch = ch->next)
		channel_end_now(a, ch, agent_now_ms() + END_MS);
	cgroup_close(a);
	for (struct link *l = a->links; l; l = l->next)
		l->dead = true;
	sweep(a);
	while (a->n_kept)
		keep_drop(a, a->kept[0].kind, a->kept[0].id);
	free(a);
	return 0;
}

/* 0: it is none. */
static uint16_t port_of(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return *end || port > 65535 ? 0 : (uint16_t)port;
}

static int outbound_main(const char *port, const char *to)
{
	if (!port || !port_of(port) ||
	    (to && strlen(to) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))) {
		fputs(usage, stderr);
		return 2;
	}
	return outbound_run(port_of(port), to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "stdio", no_argument, NULL, 'i' },
		{ "stay", no_argument, NULL, 's' },
		{ "outbound", required_argument, NULL, 'o' },
		{ "to", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct agent *a = calloc(1, sizeof(*a));
	const char *path = NULL, *outbound = NULL, *to = NULL;
	bool stdio = false;
	int o;

	if (!a)
		return 1;
	if (getpid() == 1)
		return boot_main(argc, argv);
	a->listener = a->vsock = a->cgroup = -1;
	if (getenv(AGENT_FIRST_ROOT))
		a->first_root = strtoull(getenv(AGENT_FIRST_ROOT), NULL, 10);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			path = optarg;
			break;
		case 'i':
			stdio = true;
			break;
		case 's':
			a->stay = true;
			break;
		case 'o':
			outbound = optarg;
			break;
		case 't':
			to = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (outbound || to)
		return outbound_main(outbound, to);
	a->guest = !path && !stdio;
	if (a->guest && getenv(AGENT_OUTBOUND))
		a->outbound_port = port_of(getenv(AGENT_OUTBOUND));
	prepare(a);
	if (path && !transport_listen(a, path)) {
		fprintf(stderr, "vmm-agent: cannot listen at '%s': %s\n", path, strerror(errno));
		return 1;
	}
	if (stdio)
		link_new(a, STDIN_FILENO, STDOUT_FILENO, false);
	return serve(a, stdio);
}
