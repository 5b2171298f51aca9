/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of the system become GErrors with its text. */
#include "config.h"
#include <errno.h>

#include "libvmm/util/error.h"

static void an_errno_becomes_a_system_error_with_its_text(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(error_errno(&error, -ENOENT, "open '%s'", "/x"));
	g_assert_error(error, VMM_ERROR, VMM_ERR_SYSTEM);
	g_assert_cmpstr(error->message, ==, "open '/x': No such file or directory");
}

static void nobody_listening_is_no_error(void)
{
	g_assert_false(error_set(NULL, VMM_ERR_INTERNAL, "lost"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/error/errno-has-text", an_errno_becomes_a_system_error_with_its_text);
	g_test_add_func("/error/null-is-fine", nobody_listening_is_no_error);
	return g_test_run();
}
