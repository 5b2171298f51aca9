/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Program vmm-web: what "web" of vmsh becomes.  vmsh itself shall not load what the pages need. */
#include "config.h"

#include <locale.h>

#include "vmsh/web/web.h"

static bool options_parse(int *argc, char ***argv, struct shell *sh, struct web_opts *opts,
			  char ***ret_names)
{
	gboolean readonly = FALSE, quiet = FALSE, expose = FALSE;
	char *listen = NULL;
	const GOptionEntry entries[] = {
		{ "connect", 'c', 0, G_OPTION_ARG_FILENAME, &sh->uri, NULL, NULL },
		{ "readonly", 'r', 0, G_OPTION_ARG_NONE, &readonly, NULL, NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, NULL, NULL },
		{ "listen", 0, 0, G_OPTION_ARG_FILENAME, &listen, NULL, NULL },
		{ "expose", 0, 0, G_OPTION_ARG_NONE, &expose, NULL, NULL },
		{ "name", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, ret_names, NULL, NULL },
		{ 0 },
	};
	GOptionContext *context = g_option_context_new(NULL);
	bool ok;

	g_option_context_set_help_enabled(context, FALSE);
	g_option_context_add_main_entries(context, entries, NULL);
	ok = g_option_context_parse(context, argc, argv, NULL) && *argc == 1 && listen;
	g_option_context_free(context);
	sh->connect_flags = readonly ? VMM_CONNECT_RO : 0;
	sh->quiet = quiet;
	opts->listen = listen;
	opts->expose = expose;
	return ok;
}

int main(int argc, char **argv)
{
	struct shell sh = { 0 };
	struct web_opts opts = { 0 };
	g_auto(GStrv) names = NULL;
	g_autoptr(GError) error = NULL;

	setlocale(LC_ALL, "");
	shell_init(&sh);
	if (!options_parse(&argc, &argv, &sh, &opts, &names)) {
		fprintf(stderr, "vmm-web: it is started by 'vmsh web'\n");
		sh.status = STATUS_USAGE;
	} else {
		opts.names = (const char *const *)names;
		if (!web_run(&sh, &opts, &error)) {
			shell_print_error(&sh, error);
			sh.status = STATUS_FAILED;
		}
	}
	g_free((char *)opts.listen);
	shell_done(&sh);
	return sh.status;
}
