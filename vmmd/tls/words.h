/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What vmm-tls tells vmmd: one message a word, over a pair of SOCK_SEQPACKET
 * sockets, of which it has the end TLS_WORDS_FD.  vmmd says nothing; when it
 * hangs up, vmm-tls ends.  The two are of one release: no version.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define TLS_WORDS_FD 3
#define TLS_TEXT_MAX 2048	/* of each text, with its NUL */

enum tls_word {
	TLS_WORD_READY,		/* it listens, and is in its jail */
	TLS_WORD_FAILED,	/* it does not, and ends: why */
	TLS_WORD_NOTE,		/* for the log */
	TLS_WORD_WARNING,
	TLS_WORD_CLIENT,	/* let in: its distinguished name, its address, and a socket */
	N_TLS_WORDS
};

struct tls_words {
	enum tls_word word;
	char text[TLS_TEXT_MAX], more[TLS_TEXT_MAX];	/* always ended by a NUL */
	int fd;			/* the receiver's; -1: none */
};

/* Texts are cut; more may be NULL.  Never waits: false when it can't be said. */
bool tls_words_send(int socket, enum tls_word word, const char *text, const char *more, int fd);
/* Waits.  1: there is one; 0: the other end has gone; -1: errno, or EPROTO: it is none of ours. */
int tls_words_receive(int socket, struct tls_words *ret);
