/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs of ours that a command becomes: what they need is not loaded for every other command. */
#include "config.h"
#include "vmsh/program.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/error.h"

char *program_find(const char *folder, const char *name, const char *env, GError **error)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *here = self ? g_path_get_dirname(self) : g_strdup(".");
	char *candidates[] = {
		g_strdup(env ? g_getenv(env) : NULL),
		/* of the build that this vmsh belongs to, seen from vmsh/ and vmsh/.libs/ */
		g_build_filename(here, "..", folder, name, NULL),
		g_build_filename(here, "..", "..", folder, name, NULL),
		g_build_filename(PKGLIBEXECDIR, name, NULL),
	};
	char *found = NULL;

	for (unsigned i = 0; i < G_N_ELEMENTS(candidates); i++) {
		if (!found && candidates[i] && access(candidates[i], X_OK) == 0)
			found = g_steal_pointer(&candidates[i]);
		g_free(candidates[i]);
	}
	if (!found)
		error_set(error, VMM_ERR_SYSTEM, "the program %s is not there: install it in "
			  PKGLIBEXECDIR "%s%s", name, env ? " or name it in $" : "", env ?: "");
	return found;
}

static bool wait_for(pid_t pid, const char *name, struct shell *sh, GError **error)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return error_errno(error, errno, "wait for %s", name);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	sh->status = STATUS_FAILED;
	if (WIFSIGNALED(status))
		return error_set(error, VMM_ERR_OPERATION_FAILED, "%s was killed: %s", name,
				 strsignal(WTERMSIG(status)));
	return false;	/* it has said why */
}

bool program_run(struct shell *sh, const char *program, const char *const *argv, GError **error)
{
	const pid_t self = getpid();
	pid_t pid;

	fflush(stdout);
	/* a child when there is more to do afterwards, else we become it */
	pid = sh->one_shot ? 0 : fork();
	if (pid > 0)
		return wait_for(pid, argv[0], sh, error);
	/* What began in our foreground ends with us. */
	if (pid == 0 && !sh->one_shot &&
	    (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != self))
		_exit(127);
	if (pid == 0)
		execv(program, (char *const *)argv);
	error_errno(error, errno, "run '%s'", program);
	if (!sh->one_shot && pid == 0)
		_exit(127);
	return false;
}
