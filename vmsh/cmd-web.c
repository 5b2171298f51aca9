/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command "web": the program vmm-web does it. */
#include "config.h"
#include "vmsh/commands.h"

#include "libvmm/util/error.h"
#include "vmsh/options.h"
#include "vmsh/program.h"
#include "vmsh/rc.h"
#include "vmsh/web/web.h"
#include "vmsh/words.h"

#ifdef HAVE_WEB
static void add(GPtrArray *argv, const char *option, const char *value)
{
	g_ptr_array_add(argv, (char *)option);
	if (value)
		g_ptr_array_add(argv, (char *)value);
}

static bool cmd_web(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *program = program_find("vmsh", "vmm-web", NULL, error);
	const GPtrArray *names = args_words(args, "name");
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	const char *uri = rc_uri(sh, sh->uri);

	if (!program)
		return false;
	add(argv, "vmm-web", NULL);
	if (uri)
		add(argv, "--connect", uri);
	if (sh->connect_flags & VMM_CONNECT_RO)
		add(argv, "--readonly", NULL);
	if (sh->quiet)
		add(argv, "--quiet", NULL);
	if (args_given(args, "expose"))
		add(argv, "--expose", NULL);
	add(argv, "--listen", args_text(args, "listen") ?: WEB_LISTEN);
	for (unsigned i = 0; i < names->len; i++)
		add(argv, "--name", words_text(names, i));
	g_ptr_array_add(argv, NULL);
	return program_run(sh, program, (const char *const *)argv->pdata, error);
}
#else
static bool cmd_web(struct shell *sh, struct command_args *args, GError **error)
{
	return error_set(error, VMM_ERR_NO_SUPPORT,
			 "this vmsh was built without the pages; apt-get install libsoup-3.0-dev "
			 "node-xterm, then configure and make again");
}
#endif

static const struct option_def options_web[] = {
	{ .name = "listen", .kind = OPT_STRING, .value = "ADDRESS:PORT",
	  .help = WEB_LISTEN " if not given; port 0: any that is free" },
	OPTION_FLAG("expose", "allow an address that other machines reach; nothing is encrypted"),
	{ .name = "name", .kind = OPT_STRING, .flags = OPT_MANY, .value = "HOST",
	  .help = "a name by which the pages are reached besides localhost and addresses" },
	{ 0 },
};

#define GROUP "The shell"

const struct command commands_web[] = {
	{ "web", GROUP, "the fleet and its terminals in a browser", options_web, 0, cmd_web,
	  "Prints a link that lets in one browser, for ten minutes; Enter makes another. The page "
	  "shows all domains with live figures, starts, pauses, stops and reverts them, and opens "
	  "terminals on serial consoles and, by the guest's agent, on shells.\n"
	  "Nobody else gets in: the page's session has a cookie and a key, other names and other "
	  "origins are refused. From another machine: ssh -L 8000:127.0.0.1:8000 HOST. With "
	  "vmsh -r the page only shows." },
	{ 0 },
};
