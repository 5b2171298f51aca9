/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command of the guest: its user, its environment, its terminal, its sandbox. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "images/agent/child.h"

#define PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The guest's own instance, so that ttyname(3) finds it there. */
static void open_pty(struct json_object *pty)
{
	struct winsize size = {
		.ws_row = need_number(pty, "rows", 24, 1, 10000),
		.ws_col = need_number(pty, "columns", 80, 1, 10000),
	};
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
	int slave = -1;

	if (master >= 0 && ioctl(master, TIOCSPTLCK, &unlocked) == 0)
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave < 0)
		child_fail(errno, "open a terminal at '/dev/ptmx'");
	ioctl(slave, TIOCSWINSZ, &size);
	setsid();
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		child_fail(errno, "take the terminal");
	for (int i = 0; i < 3; i++)
		dup2(slave, i);
	if (slave > CHILD_RESULT)
		close(slave);
	child_send(CHILD_PTY, NULL, 0, master);
	close(master);
}

static void become(const struct account *acc)
{
	if (geteuid() != 0 && acc->uid == geteuid())
		return; /* an agent that is not root can only be itself */
	account_groups(acc);
	if (setresgid(acc->gid, acc->gid, acc->gid) < 0 ||
	    setresuid(acc->uid, acc->uid, acc->uid) < 0)
		child_fail(errno, "become user %u", acc->uid);
}

static void set_word(const char *format, const char *value)
{
	char *word;

	if (asprintf(&word, format, value) < 0 || putenv(word) != 0)
		abort();
}

static void set_environment(struct json_object *request, const struct account *acc)
{
	const char **env = object_texts(request, "env");

	if (!env)
		child_fail(0, "'env' is no list of texts");
	clearenv();
	putenv((char *)PATH);
	set_word("HOME=%s", acc->home);
	set_word("SHELL=%s", acc->shell);
	if (*acc->name) {
		set_word("USER=%s", acc->name);
		set_word("LOGNAME=%s", acc->name);
	}
	for (const char **p = env; *p; p++) {
		if (**p == '=' || !strchr(*p, '='))
			child_fail(0, "'env' has '%s', which is no NAME=VALUE", *p);
		set_word("%s", *p);
	}
	free(env);
}

static void find_account(struct json_object *request, struct account *ret)
{
	const char *user = object_text(request, "user");
	int64_t uid = need_number(request, "uid", -1, 0, UINT32_MAX - 1);

	if (user && !account_find(user, ret))
		child_fail(0, "the guest has no user '%s'", user);
	if (!user)
		account_by_uid(uid < 0 ? geteuid() : (uid_t)uid, ret);
	ret->gid = need_number(request, "gid", ret->gid, 0, UINT32_MAX - 1);
}

/* The command, or the user's shell as if one had logged in. */
static char **arguments(struct json_object *request, const struct account *acc,
			const char **ret_file)
{
	const char *command = object_text(request, "command");
	const char **args = object_texts(request, "args");
	size_t n = 0;
	char *name = NULL;

	if (!args)
		child_fail(0, "'args' is no list of texts");
	while (args[n])
		n++;
	char **argv = calloc(n + 2, sizeof(*argv));
	const char *base = strrchr(acc->shell, '/');
	if (!command && asprintf(&name, "-%s", base ? base + 1 : acc->shell) < 0)
		abort();
	*ret_file = command ? command : acc->shell;
	argv[0] = command ? (char *)command : name;
	memcpy(argv + 1, args, n * sizeof(*argv));
	return argv;
}

static void enter_folder(struct json_object *request, const struct account *acc)
{
	const char *cwd = object_text(request, "cwd");

	if (cwd && chdir(cwd) < 0)
		child_fail(errno, "enter the folder '%s'", cwd);
	if (!cwd && chdir(acc->home) < 0 && chdir("/") < 0)
		child_fail(errno, "enter '/'");
}

int request_spawn(struct json_object *request)
{
	struct json_object *pty = json_object_object_get(request, "pty");
	struct json_object *sandbox = json_object_object_get(request, "sandbox");
	bool boxed = !sandbox || json_object_get_boolean(sandbox);
	struct sandbox box = { .network = object_flag(request, "network") };
	struct account acc;
	const char *file;

	if (pty && !json_object_is_type(pty, json_type_object))
		child_fail(0, "'pty' is no object");
	find_account(request, &acc);
	if (boxed)
		sandbox_enter(&box);
	if (pty)
		open_pty(pty);
	char **argv = arguments(request, &acc, &file);
	set_environment(request, &acc);
	if (!boxed)
		become(&acc);
	else
		sandbox_become(&acc);
	enter_folder(request, &acc);
	if (boxed)
		sandbox_close();
	execvp(file, argv);
	child_fail(errno, "run '%s'", file);
}
