/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process beside the worker. */
#include "config.h"
#include "vmmd/worker/helper.h"

#include "libvmm/util/error.h"

#define FIRST_FD 3
#define FDS_MAX 4

bool helper_spawn(const char *const *words, const int *fds, unsigned n_fds, GError **error)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GError) why = NULL;
	int targets[FDS_MAX];

	g_assert(n_fds <= FDS_MAX);
	g_ptr_array_add(argv, (char *)"/proc/self/exe");
	g_ptr_array_add(argv, (char *)"vmm-worker");
	for (; *words; words++)
		g_ptr_array_add(argv, (char *)*words);
	g_ptr_array_add(argv, NULL);
	for (unsigned i = 0; i < n_fds; i++)
		targets[i] = FIRST_FD + (int)i;
	/* -1: inherited.  A descriptor that is named stays the child's only if it moves. */
	if (g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)argv->pdata, NULL,
					     G_SPAWN_FILE_AND_ARGV_ZERO, NULL, NULL, -1, -1, -1,
					     fds, targets, n_fds, NULL, NULL, NULL, NULL, &why))
		return true;
	return error_set(error, VMM_ERR_SYSTEM, "%s", why->message);
}
