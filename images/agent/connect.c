/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Request "connect": a TCP connection from inside the guest, as a channel.  The
 * child moves the bytes; each way ends by itself.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "images/agent/child.h"
#include "images/agent/dns.h"
#include "images/agent/way.h"

#define ADDRESSES_MAX 8
#define SERVERS_MAX 3
#define CONNECT_MS 8000
#define SERVER_MS 2000

/* ---- names ---- */

static int literal(const char *text, struct dns_address *ret)
{
	for (int i = 0; i < 2; i++) {
		ret->family = i ? AF_INET6 : AF_INET;
		if (inet_pton(ret->family, text, ret->bytes) == 1)
			return 1;
	}
	return 0;
}

/* "address name name ... # comment" */
static int from_hosts(const char *name, struct dns_address *ret)
{
	char *text = read_small("/etc/hosts", 1 << 20), *save = NULL;
	int n = 0;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && n < ADDRESSES_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		char *word = NULL;
		line[strcspn(line, "#")] = 0;
		char *address = strtok_r(line, " \t", &word);
		for (char *w = NULL; address && (w = strtok_r(NULL, " \t", &word));) {
			if (!strcasecmp(w, name) && literal(address, &ret[n])) {
				n++;
				break;
			}
		}
	}
	free(text);
	return n;
}

static int ask_server(const struct dns_address *server, const char *name, enum dns_type type,
		      struct dns_address *ret, int max)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
	bool is4 = server->family == AF_INET;
	uint8_t message[DNS_MESSAGE_MAX];
	uint16_t id = 0;
	int found = -1;

	memcpy(is4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, server->bytes, is4 ? 4 : 16);
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -1;
	size_t n = dns_ask(message, name, type, id);
	int fd = socket(server->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd wait = { fd, POLLIN, 0 };
	if (n && fd >= 0 &&
	    connect(fd, is4 ? (void *)&v4 : (void *)&v6, is4 ? sizeof(v4) : sizeof(v6)) == 0 &&
	    send(fd, message, n, 0) == (ssize_t)n) {
		for (int i = 0; i < 4 && found < 0 && poll(&wait, 1, SERVER_MS) > 0; i++) {
			ssize_t got = recv(fd, message, sizeof(message), 0);
			if (got < 0)
				break;
			found = dns_read(message, got, id, ret, max);
		}
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static int servers(struct dns_address list[SERVERS_MAX])
{
	char *text = read_small("/etc/resolv.conf", 65536), *save = NULL, address[64];
	int n = 0;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && n < SERVERS_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "nameserver %63s", address) == 1 && literal(address, &list[n]))
			n++;
	}
	free(text);
	return n;
}

static int from_servers(const char *name, struct dns_address *ret)
{
	struct dns_address list[SERVERS_MAX];
	int n = servers(list);

	for (int i = 0; i < n; i++) {
		int v4 = ask_server(&list[i], name, DNS_A, ret, ADDRESSES_MAX / 2);
		int have = v4 > 0 ? v4 : 0;
		int v6 = ask_server(&list[i], name, DNS_AAAA, ret + have, ADDRESSES_MAX - have);
		if (v4 >= 0 || v6 >= 0)
			return have + (v6 > 0 ? v6 : 0);
	}
	return 0;
}

static int resolve(const char *name, struct dns_address ret[ADDRESSES_MAX])
{
	if (!name)
		return literal("127.0.0.1", ret) + literal("::1", ret + 1);
	int n = literal(name, ret);

	if (!n)
		n = from_hosts(name, ret);
	if (!n && !strcasecmp(name, "localhost"))
		n = literal("127.0.0.1", ret);
	if (!n)
		n = from_servers(name, ret);
	if (!n)
		child_fail(ENOENT, "the guest does not know the name '%s'", name);
	return n;
}

/* ---- the connection ---- */

static int connect_one(const struct dns_address *to, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is4 = to->family == AF_INET;
	int fd = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	socklen_t bytes = sizeof(error);
	struct pollfd wait = { fd, POLLOUT, 0 };

	memcpy(is4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, to->bytes, is4 ? 4 : 16);
	if (fd < 0)
		return -1;
	if (connect(fd, is4 ? (void *)&v4 : (void *)&v6, is4 ? sizeof(v4) : sizeof(v6)) < 0 &&
	    errno != EINPROGRESS)
		error = errno;
	else if (poll(&wait, 1, CONNECT_MS) <= 0)
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* both: until the two ways have ended; else what comes from there is the end. */
static int relay(int fd, bool both)
{
	static struct way out, in;

	way_begin(&out, STDIN_FILENO, fd);
	way_begin(&in, fd, STDOUT_FILENO);
	for (int i = 0; i < 2; i++)
		fcntl(i, F_SETFL, fcntl(i, F_GETFL) | O_NONBLOCK);
	while ((both && out.to >= 0) || in.to >= 0) {
		struct pollfd fds[] = { way_wait(&out), way_wait(&in) };
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (fds[0].revents && !way_go(&out, true))
			return 1;
		if (fds[1].revents && !way_go(&in, false))
			return 1;
	}
	return 0;
}

int request_connect(struct json_object *request)
{
	const char *host = object_text(request, "host");
	uint16_t port = need_number(request, "port", 0, 1, 65535);
	struct dns_address list[ADDRESSES_MAX];
	int n = resolve(host, list), fd = -1, i = 0, error = 0;

	for (; i < n && fd < 0; i++) {
		fd = connect_one(&list[i], port);
		error = error ? error : errno;
	}
	if (fd < 0)
		child_fail(error, "connect to %s port %u", host ? host : "the guest's", port);
	struct json_object *o = json_object_new_object();
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(list[i - 1].family, list[i - 1].bytes, text, sizeof(text));
	object_put_text(o, "address", text);
	object_put_number(o, "port", port);
	child_reply(o);
	return relay(fd, host != NULL);
}
