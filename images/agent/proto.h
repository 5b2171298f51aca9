/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent in a guest and whoever asks it agree on; docs/agent-protocol.md tells it whole. */
#pragma once

#define AGENT_PROTOCOL_VERSION 1
#define AGENT_VSOCK_PORT 5655885 /* "VMM" */
#define AGENT_OUTBOUND_VSOCK_PORT 5655886 /* of the host: the outbound proxy, SOCKS 5 */
#define AGENT_PORT_NAME "org.libvmm.agent.0"

#define AGENT_HEADER 5	     /* type, length of the rest (little-endian) */
#define AGENT_CHANNEL 4	     /* the rest begins with the channel */
#define AGENT_DATA_MAX 65536 /* bytes after the channel */
#define AGENT_REST_MAX (AGENT_CHANNEL + AGENT_DATA_MAX)
#define AGENT_WINDOW 262144    /* bytes of one direction of a channel on their way */
#define AGENT_CHANNELS_MAX 256 /* of one connection */

/* So many zero bytes and a HELLO are understood in whatever state the receiver is. */
#define AGENT_FLUSH (AGENT_HEADER + AGENT_REST_MAX)

enum agent_frame {
	AGENT_PAD = 0,	   /* one byte, nothing follows */
	AGENT_HELLO = 1,   /* JSON; channel 0; the first of each side */
	AGENT_REQUEST = 2, /* JSON; opens the channel */
	AGENT_CONTROL = 3, /* JSON; to what runs on the channel */
	AGENT_INPUT = 4,   /* bytes, to its standard input */
	AGENT_END = 5,	   /* empty: no more input */
	AGENT_CREDIT = 6,  /* u32: so many bytes more may be sent */
	AGENT_REPLY = 16,  /* JSON: it runs, or the answer */
	AGENT_OUTPUT = 17, /* bytes of its standard output */
	AGENT_ERRORS = 18, /* bytes of its standard error */
	AGENT_EXIT = 19,   /* JSON; the channel is free again */
	AGENT_FAILED = 20, /* JSON; likewise: it was not done, and why */
	AGENT_CLOSED = 21, /* empty: of "connect", no more output */
};
