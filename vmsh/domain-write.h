/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's XML, of the words of a command line, for people who want none. */
#pragma once

#include "vmsh/command.h"

/* What both commands that make a machine of words have: domain_write() reads these. */
#define OPTIONS_MACHINE(kernel_flags) \
	{ .name = "kernel", .kind = OPT_STRING, .flags = kernel_flags, .complete = COMPLETE_FILE, \
	  .value = "FILE", .help = "bzImage or vmlinux" }, \
	{ .name = "initrd", .kind = OPT_STRING, .complete = COMPLETE_FILE, .value = "FILE", \
	  .help = "initial RAM disk" }, \
	{ .name = "disk", .kind = OPT_STRING, .flags = OPT_MANY, .complete = COMPLETE_FILE, \
	  .value = "PATH[,format=raw|qcow2][,readonly]", \
	  .help = "a disk; the first is /dev/vda" }, \
	{ .name = "cmdline", .kind = OPT_STRING, .value = "TEXT", \
	  .help = "kernel command line; console=ttyS0 if not given" }, \
	{ .name = "memory", .kind = OPT_SIZE, .value = "MB", \
	  .help = "in MiB, or with a suffix: 2G; 256 if not given" }, \
	OPTION_FLAG("net", "a network card with user-mode NAT: 10.0.2.15 by DHCP"), \
	{ .name = "forward", .kind = OPT_STRING, .flags = OPT_MANY, \
	  .value = "[udp:][ADDRESS:]HOST:GUEST", \
	  .help = "a host port that leads to a guest port; implies --net" }, \
	{ .name = "share", .kind = OPT_STRING, .flags = OPT_MANY, .complete = COMPLETE_DIR, \
	  .value = "DIR[:TAG][:ro|rw]", \
	  .help = "a folder of the host, which the guest mounts as a virtiofs by its TAG, the " \
		  "folder's name if not given; it changes nothing there without :rw" }, \
	{ .name = "allow", .kind = OPT_STRING, .flags = OPT_MANY, .value = "HOST:PORT", \
	  .help = "a place that the guest's programs may reach without a network, by the SOCKS 5 " \
		  "proxy at port 1080 of its loopback: NAME, *.NAME, an address, a prefix" }

struct domain_words {		/* what the commands themselves say */
	const char *name;
	uint64_t cpus;
	const char *kernel, *initrd;	/* NULL: those of the options, if any */
	const char *cmdline;		/* if the options have none; NULL: console=ttyS0 */
	const char *image, *format;	/* the first disk, before those of --disk; NULL: none */
	bool transient;			/* of that disk */
	bool vsock;			/* the way to the guest's agent, which needs a daemon */
	bool net;			/* as if --net had been given */
};

char *domain_write(const struct command_args *args, const struct domain_words *words,
		   GError **error);
/* The vsock, and where all --allow let the guest out. */
char *domain_write_vsock(const struct command_args *args);
/* The devices of all --share; and the tag of one. */
char *domain_write_shares(const struct command_args *args, GError **error);
char *domain_write_tag(const char *text, bool *ret_writable);
