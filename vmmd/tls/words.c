/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of vmm-tls. */
#include "config.h"
#include "vmmd/tls/words.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

bool tls_words_send(int socket, enum tls_word word, const char *text, const char *more, int fd)
{
	uint8_t first = (uint8_t)word;
	char texts[2][TLS_TEXT_MAX];
	union control control = { 0 };
	struct iovec iov[] = { { &first, 1 }, { texts[0], 0 }, { texts[1], 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
	ssize_t n;

	iov[1].iov_len = MIN(g_strlcpy(texts[0], text, TLS_TEXT_MAX), TLS_TEXT_MAX - 1) + 1;
	iov[2].iov_len = MIN(g_strlcpy(texts[1], more ?: "", TLS_TEXT_MAX), TLS_TEXT_MAX - 1) + 1;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	do
		n = sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

/* One word, two texts, each with its NUL, and nothing else. */
static bool words_parse(const uint8_t *data, size_t n, struct tls_words *ret)
{
	const char *text = (const char *)data + 1;
	const char *end = n > 1 ? memchr(text, 0, n - 1) : NULL;
	const char *more = end ? end + 1 : NULL;
	size_t rest = end ? n - 1 - (size_t)(more - text) : 0;

	if (!end || data[0] >= N_TLS_WORDS || rest == 0 || memchr(more, 0, rest) != more + rest - 1)
		return false;
	ret->word = data[0];
	return g_strlcpy(ret->text, text, TLS_TEXT_MAX) < TLS_TEXT_MAX &&
	       g_strlcpy(ret->more, more, TLS_TEXT_MAX) < TLS_TEXT_MAX &&
	       (ret->fd >= 0) == (ret->word == TLS_WORD_CLIENT);
}

int tls_words_receive(int socket, struct tls_words *ret)
{
	uint8_t data[1 + 2 * TLS_TEXT_MAX];
	union control control;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	ssize_t n;

	ret->fd = -1;
	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return (int)n;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&ret->fd, CMSG_DATA(c), sizeof(int));
	if (!(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && words_parse(data, (size_t)n, ret))
		return 1;
	fd_close(&ret->fd);
	errno = EPROTO;
	return -1;
}
