/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmsh: options, and which way of reading commands. */
#include "config.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmsh/interactive.h"
#include "vmsh/shell.h"
#include "vmsh/exec.h"
#include "vmsh/proxy.h"
#include "vmsh/rc.h"
#include "vmsh/words.h"

static const char usage[] =
	"Usage: vmsh [OPTION...] [COMMAND [ARGUMENT...]]\n"
	"Manage virtual machines: a command, lines from standard input, or a shell.\n"
	"\n"
	"  -c, --connect URI   the daemon: vmm:///system, vmm:///session,\n"
	"                      vmm+unix:///system?socket=PATH, vmm+ssh://HOST/system,\n"
	"                      vmm+tls://HOST/system, or a host of vmshrc; several,\n"
	"                      with commas between them, for what only reads\n"
	"  -r, --readonly      connect without the right to change anything\n"
	"  -e, --stop-on-error end at the first command that fails\n"
	"  -q, --quiet         do not report success\n"
	"      --proxy         move bytes between the daemon and standard input and\n"
	"                      output: what vmm+ssh:// runs on the other side\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"\"vmsh help\" lists the commands.  Exit status: 0 done, 1 failed, 2 misused.\n";

/* The second is for ourselves: see hosts.h. */
enum { OPTION_PROXY = 256, OPTION_MEMBER };

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, 'c' },
	{ "readonly", no_argument, NULL, 'r' },
	{ "stop-on-error", no_argument, NULL, 'e' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "proxy", no_argument, NULL, OPTION_PROXY },
	{ "member", no_argument, NULL, OPTION_MEMBER },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* False: done already, sh->status says how. */
static bool parse_options(struct shell *sh, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "+c:reqvVh", long_options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			g_free(sh->uri);
			sh->uri = g_strdup(optarg);
			break;
		case 'r':
			sh->connect_flags |= VMM_CONNECT_RO;
			break;
		case 'e':
			sh->stop_on_error = true;
			break;
		case 'q':
			sh->quiet = true;
			break;
		case OPTION_PROXY:
			sh->proxy = true;
			break;
		case OPTION_MEMBER:
			sh->member = true;
			break;
		case 'v':
		case 'V':
			printf("vmsh %s\n", PACKAGE_VERSION);
			return false;
		case 'h':
			fputs(usage, stdout);
			return false;
		default:
			fputs("Try: vmsh --help\n", stderr);
			sh->status = STATUS_USAGE;
			return false;
		}
	}
	return true;
}

/* "vmsh 'list; start web'" is a line, "vmsh start web" are words. */
static void run_argv(struct shell *sh, int argc, char **argv)
{
	g_autoptr(GPtrArray) words = NULL;

	if (argc == 1 && !sh->member && strpbrk(argv[0], " ;\t\n")) {
		shell_run_line(sh, argv[0]);
		return;
	}
	sh->one_shot = true;
	words = words_from_argv(argc, argv);
	shell_run_words(sh, words);
}

static void run_proxy(struct shell *sh)
{
	g_autoptr(GError) error = NULL;

	if (!proxy_run(sh, &error)) {
		shell_print_error(sh, error);
		sh->status = STATUS_FAILED;
	}
}

int main(int argc, char **argv)
{
	struct shell sh = { 0 };

	setlocale(LC_ALL, "");
	shell_init(&sh);
	rc_load(&sh);
	if (!parse_options(&sh, argc, argv)) {
		shell_done(&sh);
		return sh.status;
	}
	if (sh.proxy) {
		run_proxy(&sh);
	} else if (optind < argc) {
		run_argv(&sh, argc - optind, argv + optind);
	} else if (isatty(STDIN_FILENO)) {
		sh.interactive = true;
		interactive_run(&sh);
		sh.status = STATUS_OK;
	} else {
		shell_run_file(&sh, stdin);
	}
	shell_done(&sh);
	return sh.status;
}
