/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command "web". */
#include "config.h"
#include "vmsh/commands.h"

#include "libvmm/util/error.h"
#include "vmsh/options.h"
#include "vmsh/web/web.h"
#include "vmsh/words.h"

#ifdef HAVE_WEB
static bool cmd_web(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *words = args_words(args, "name");
	g_autofree const char **names = g_new0(const char *, words->len + 1);
	const char *listen = args_text(args, "listen");
	const struct web_opts opts = {
		.listen = listen ? listen : WEB_LISTEN,
		.expose = args_given(args, "expose"),
		.names = names,
	};

	for (unsigned i = 0; i < words->len; i++)
		names[i] = words_text(words, i);
	return web_run(sh, &opts, error);
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
