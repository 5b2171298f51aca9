/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm-worker: one KVM machine, for vmmd or for the terminal. */
#include "config.h"

#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "libvmm/util/error.h"
#include "vmmd/worker/image-tool.h"
#include "vmmd/worker/outbound.h"
#include "vmmd/worker/vsock-door.h"
#include "vmmd/worker/worker.h"

#define STACK_BYTES (512u << 10)

static struct {
	int control_fd, status_fd;
	char *name, *uuid, *foreground;
	gboolean network, version;
} opts = { .control_fd = -1, .status_fd = -1 };

static const GOptionEntry entries[] = {
	{ "foreground", 'f', 0, G_OPTION_ARG_FILENAME, &opts.foreground,
	  "Run this domain here, its console on the terminal (Ctrl-] leaves)", "DOMAIN.xml" },
	{ "control-fd", 0, 0, G_OPTION_ARG_INT, &opts.control_fd,
	  "Listening socket for vmmd", "N" },
	{ "status-fd", 0, 0, G_OPTION_ARG_INT, &opts.status_fd,
	  "File for the last state", "N" },
	{ "network", 0, 0, G_OPTION_ARG_NONE, &opts.network,
	  "Be a network's switch; vmmd gives the rest", NULL },
	{ "name", 0, 0, G_OPTION_ARG_STRING, &opts.name, "Shown by ps", "NAME" },
	{ "uuid", 0, 0, G_OPTION_ARG_STRING, &opts.uuid, "Shown by ps", "UUID" },
	{ "version", 0, 0, G_OPTION_ARG_NONE, &opts.version, "Print the version", NULL },
	{ NULL },
};

/*
 * Stacks of the default size (8 MiB) hold whole 2 MiB pages: where transparent
 * huge pages are "always", each thread's first push takes one.
 */
static void stacks_shrink(void)
{
#ifndef SANITIZED	/* TSan alone wants more than that of each thread */
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
#endif
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new("- run one virtual machine");
	g_autoptr(GError) error = NULL;

	setlocale(LC_ALL, "");
	signal(SIGPIPE, SIG_IGN);
	stacks_shrink();
	if (argc > 1 && g_str_equal(argv[1], "--image"))
		return image_tool_run(argc - 2, argv + 2);
	if (argc == 3 && g_str_equal(argv[1], "--vsock-door"))
		return vsock_door_run();
	if (argc > 2 && g_str_equal(argv[1], "--outbound"))
		return outbound_run(argc - 2, argv + 2);
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		fprintf(stderr, "vmm-worker: %s\n", error->message);
		return 2;
	}
	if (opts.version) {
		printf("vmm-worker %s\n", PACKAGE_VERSION);
		return 0;
	}
	if (opts.foreground && argc == 1)
		return foreground_run(opts.foreground);
	if (opts.control_fd >= 0 && argc == 1)
		return opts.network ? network_run(opts.control_fd)
				    : control_run(opts.control_fd, opts.status_fd);
	fprintf(stderr, "vmm-worker: give --foreground DOMAIN.xml; vmmd gives --control-fd\n");
	return 2;
}
