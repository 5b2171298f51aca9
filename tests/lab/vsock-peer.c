/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both ends of vsock stories: static, for guests that have nothing.
 *
 *	vsock-peer serve ADDRESS		until it is killed
 *	vsock-peer upload ADDRESS BYTES		the server counts the good ones
 *	vsock-peer download ADDRESS BYTES
 *	vsock-peer many ADDRESS N		so many connections at once
 *	vsock-peer hold ADDRESS			until it is cut
 *	vsock-peer cid .			the guest's own
 *	vsock-peer run ADDRESS COMMAND		by the server's shell
 *
 * ADDRESS: vsock:CID:PORT (any CID to serve), unix:PATH, hybrid:PATH:PORT, a
 * Unix socket where "CONNECT PORT" is said first, or for comparison tcp:IPV4:PORT.
 *
 * A connection's first byte says what it is for: 'e' all comes back, 'u' bytes of
 * the pattern until their end, then their number goes back; 'd' and a number:
 * so many bytes of the pattern come; 'x': a shell.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 << 10)
#define CONNS_MAX 4096

static void die(const char *what)
{
	printf("FAILED %s: %s\n", what, strerror(errno));
	exit(1);
}

static int join(int fd, const void *address, socklen_t bytes, bool serve)
{
	return serve ? bind(fd, address, bytes) : connect(fd, address, bytes);
}

static int socket_at(const char *address, bool serve)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK };
	struct sockaddr_in in = { .sin_family = AF_INET };
	unsigned cid, port = 0;
	char host[16];
	int fd, r;

	if (sscanf(address, "vsock:%u:%u", &cid, &port) == 2) {
		vm.svm_cid = serve ? VMADDR_CID_ANY : cid;
		vm.svm_port = port;
		fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		r = join(fd, &vm, sizeof(vm), serve);
	} else if (sscanf(address, "tcp:%15[^:]:%u", host, &port) == 2) {
		in.sin_port = htons((uint16_t)port);
		in.sin_addr.s_addr = inet_addr(host);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		r = join(fd, &in, sizeof(in), serve);
	} else {
		if (sscanf(address, "hybrid:%107[^:]:%u", un.sun_path, &port) != 2 &&
		    sscanf(address, "unix:%107s", un.sun_path) != 1)
			die(address);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (serve)
			unlink(un.sun_path);
		r = join(fd, &un, sizeof(un), serve);
	}
	if (r < 0 || (serve && listen(fd, 4096) < 0)) {
		close(fd);
		return -1;
	}
	if (!serve && !strncmp(address, "hybrid:", 7)) {
		char line[32] = "", c = 0;
		unsigned n = 0;

		dprintf(fd, "CONNECT %u\n", port);
		while (c != '\n' && n < sizeof(line) - 1 && read(fd, &c, 1) == 1)
			line[n++] = c;
		if (strncmp(line, "OK ", 3)) {
			close(fd);
			errno = ECONNREFUSED;
			return -1;
		}
	}
	return fd;
}

#define WORD UINT64_C(0x9e3779b97f4a7c15)

/*
 * The stream at a place: words that count, mixed, so that no two pages are alike.
 * It must cost little beside what is measured: whole words are an addition each.
 */
static void pattern(uint8_t *buf, uint64_t at, size_t len)
{
	uint64_t word = (at / 8 + 1) * WORD;

	for (; len > 0 && (at % 8 || len < 8); at++, len--) {
		*buf++ = (uint8_t)(word >> 8 * (at % 8));
		word += at % 8 == 7 ? WORD : 0;
	}
	for (; len >= 8; at += 8, len -= 8, buf += 8, word += WORD)
		memcpy(buf, &word, 8);
	if (len)
		pattern(buf, at, len);
}

static bool write_all(int fd, const void *buf, size_t len)
{
	for (const char *p = buf; len > 0;) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static uint64_t send_pattern(int fd, uint64_t bytes)
{
	static uint8_t buf[CHUNK];
	uint64_t at = 0;

	while (at < bytes) {
		size_t len = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;

		pattern(buf, at, len);
		if (!write_all(fd, buf, len))
			break;
		at += len;
	}
	return at;
}

/* How many came, up to the first wrong one. */
static uint64_t receive_pattern(int fd)
{
	static uint8_t buf[CHUNK], want[CHUNK];
	uint64_t at = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		pattern(want, at, (size_t)n);
		if (memcmp(buf, want, (size_t)n))
			return at;
		at += (uint64_t)n;
	}
	return at;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- serve ---- */

static bool serve_bulk(int fd, char what)
{
	uint64_t n;
	bool ok;

	if (what == 'x') {
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		close(fd);
		return execl("/bin/sh", "sh", NULL) == 0;
	}
	if (what == 'u') {
		n = receive_pattern(fd);
		ok = write_all(fd, &n, sizeof(n));
	} else {
		ok = read(fd, &n, sizeof(n)) == sizeof(n) && send_pattern(fd, n) == n;
	}
	shutdown(fd, SHUT_WR);
	return ok;
}

/* false: the connection is over. */
static bool serve_some(int fd, bool fresh)
{
	static char buf[CHUNK];
	char what = 'e';
	ssize_t n;

	if (fresh && read(fd, &what, 1) != 1)
		return false;
	if (what != 'e') {
		if (fork() == 0)
			_exit(!serve_bulk(fd, what));
		return false;
	}
	if (fresh)
		return true;
	n = read(fd, buf, sizeof(buf));
	return n > 0 && write_all(fd, buf, (size_t)n);
}

static void watch(int epoll, int fd, bool fresh)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)fresh << 32 | fd };

	if (epoll_ctl(epoll, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev) < 0)
		die("epoll");
}

static void serve(const char *address)
{
	struct epoll_event events[64];
	int listener = socket_at(address, true), epoll = epoll_create1(EPOLL_CLOEXEC), n;

	if (listener < 0)
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	watch(epoll, listener, true);
	printf("SERVING %s\n", address);
	fflush(stdout);
	while ((n = epoll_wait(epoll, events, 64, -1)) >= 0 || errno == EINTR) {
		for (int i = 0; i < n; i++) {
			bool fresh = events[i].data.u64 >> 32;
			int fd = (int)(uint32_t)events[i].data.u64;

			if (fd == listener)
				while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
					watch(epoll, fd, true);
			else if (!serve_some(fd, fresh))
				close(fd);
			else if (fresh)
				watch(epoll, fd, false);
		}
	}
}

/* ---- the other ends ---- */

static int reach(const char *address)
{
	int fd = socket_at(address, false);

	if (fd < 0)
		die("connect");
	return fd;
}

static int upload(const char *address, uint64_t bytes)
{
	int fd = reach(address);
	double start = now();
	uint64_t good = 0;

	if (!write_all(fd, "u", 1) || send_pattern(fd, bytes) != bytes)
		die("send");
	shutdown(fd, SHUT_WR);
	if (read(fd, &good, sizeof(good)) != sizeof(good))
		die("read");
	printf("UPLOADED %" PRIu64 " of %" PRIu64 " bytes, %.1f MB/s\n", good, bytes,
	       (double)bytes / 1e6 / (now() - start));
	return good != bytes;
}

static int download(const char *address, uint64_t bytes)
{
	int fd = reach(address);
	double start = now();
	uint64_t good;

	if (!write_all(fd, "d", 1) || !write_all(fd, &bytes, sizeof(bytes)))
		die("send");
	good = receive_pattern(fd);
	printf("DOWNLOADED %" PRIu64 " of %" PRIu64 " bytes, %.1f MB/s\n", good, bytes,
	       (double)bytes / 1e6 / (now() - start));
	return good != bytes;
}

static int many(const char *address, unsigned n)
{
	static int fds[CONNS_MAX];
	double start = now();
	unsigned good = 0;

	for (unsigned i = 0; i < n && i < CONNS_MAX; i++) {
		fds[i] = reach(address);
		if (!write_all(fds[i], "e", 1))
			die("send");
	}
	for (unsigned i = 0; i < n; i++)
		if (!write_all(fds[i], &i, sizeof(i)))
			die("send");
	for (unsigned i = 0; i < n; i++) {
		unsigned back = 0;

		good += read(fds[i], &back, sizeof(back)) == sizeof(back) && back == i;
	}
	printf("CONNECTED %u of %u, %.0f a second\n", good, n, n / (now() - start));
	return good != n;
}

static int hold(const char *address)
{
	int fd = reach(address);
	char c = 'e';

	if (!write_all(fd, "ee", 2) || read(fd, &c, 1) != 1)
		die("echo");
	printf("HELD\n");
	fflush(stdout);
	ssize_t n = read(fd, &c, 1);
	printf("CUT %s\n", n < 0 ? strerror(errno) : "end of file");
	return 0;
}

static int run(const char *address, const char *command)
{
	static char buf[CHUNK];
	int fd = reach(address);
	ssize_t n;

	if (!write_all(fd, "x", 1) || !write_all(fd, command, strlen(command)))
		die("send");
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	return n < 0;
}

static int cid(void)
{
	int fd = open("/dev/vsock", O_RDONLY);
	unsigned cid;

	if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
		die("/dev/vsock");
	printf("CID %u\n", cid);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	struct rlimit files = { CONNS_MAX + 64, CONNS_MAX + 64 };

	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	if (!strcmp(verb, "serve"))
		serve(argv[2]);
	if (!strcmp(verb, "cid"))
		return cid();
	if (!strcmp(verb, "hold"))
		return hold(argv[2]);
	if (argc == 4 && !strcmp(verb, "run"))
		return run(argv[2], argv[3]);
	if (argc == 4 && !strcmp(verb, "upload"))
		return upload(argv[2], strtoull(argv[3], NULL, 10));
	if (argc == 4 && !strcmp(verb, "download"))
		return download(argv[2], strtoull(argv[3], NULL, 10));
	if (argc == 4 && !strcmp(verb, "many"))
		return many(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
	fprintf(stderr, "vsock-peer serve|hold ADDRESS, upload|download|many ADDRESS N, "
			"run ADDRESS COMMAND\n");
	return 2;
}
