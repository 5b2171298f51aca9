/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connection URIs: SCHEME[+unix]:///system|session[?socket=PATH], SCHEME vmm
 * or qemu.  VMM_RUN_DIR says where the daemon's run folder is, for tests and
 * for several daemons side by side; a socket= in the URI wins.
 */
#include "config.h"
#include "libvmm/client/uri.h"

#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"

#define SOCKET_NAME "vmmd.sock"
#define SYSTEM_RUN_DIR "/run/vmm"

static const char *default_uri(void)
{
	static const char *const variables[] = { "VMM_DEFAULT_URI", "LIBVIRT_DEFAULT_URI" };

	for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
		const char *value = g_getenv(variables[i]);

		if (value && *value)
			return value;
	}
	return geteuid() == 0 ? "vmm:///system" : "vmm:///session";
}

static bool scheme_check(const char *scheme, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(scheme, "+", 2);

	if (strcmp(parts[0], "vmm") && strcmp(parts[0], "qemu"))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "a URI begins with vmm:// or vmm+unix://, not %s://", scheme);
	if (parts[1] && strcmp(parts[1], "unix"))
		return error_set(error, VMM_ERR_NO_SUPPORT,
				 "transport '%s' is not there: only local sockets are; "
				 "use vmm:///system, or ssh to the host",
				 parts[1]);
	return true;
}

static char *default_socket(bool session)
{
	const char *dir = g_getenv("VMM_RUN_DIR");

	if (dir && *dir)
		return g_build_filename(dir, SOCKET_NAME, NULL);
	if (session)
		return g_build_filename(g_get_user_runtime_dir(), "vmm", SOCKET_NAME, NULL);
	return g_build_filename(SYSTEM_RUN_DIR, SOCKET_NAME, NULL);
}

/* The query without what is ours. */
static void name_add_query(GString *name, GHashTable *params)
{
	GHashTableIter iter;
	gpointer key, value;
	char sep = '?';

	g_hash_table_iter_init(&iter, params);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		g_autofree char *escaped = g_uri_escape_string(value, "/", TRUE);

		if (strcmp(key, "socket") == 0 || strcmp(key, "name") == 0)
			continue;
		g_string_append_printf(name, "%c%s=%s", sep, (char *)key, escaped);
		sep = '&';
	}
}

static bool parts_resolve(GUri *u, char **ret_name, char **ret_socket, GError **error)
{
	const char *scheme = g_uri_get_scheme(u), *host = g_uri_get_host(u),
		   *path = g_uri_get_path(u);
	const char *query = g_uri_get_query(u), *given;
	g_autoptr(GHashTable) params =
		g_uri_parse_params(query ? query : "", -1, "&;", G_URI_PARAMS_NONE, error);
	g_autoptr(GString) name = NULL;

	if (!params || !scheme_check(scheme, error))
		return false;
	if (host && *host)
		return error_set(error, VMM_ERR_NO_SUPPORT,
				 "host '%s': only the local daemon can be reached; "
				 "write three slashes, vmm:///system",
				 host);
	if (strcmp(path, "/system") && strcmp(path, "/session") && strcmp(path, "/") && *path)
		return error_set(error, VMM_ERR_INVALID_ARG, "'%s' is neither /system nor /session",
				 path);
	given = g_hash_table_lookup(params, "socket");
	if (given && *given != '/')
		return error_set(error, VMM_ERR_INVALID_ARG, "socket=%s is not an absolute path",
				 given);
	name = g_string_new(NULL);
	g_string_append_len(name, scheme, strcspn(scheme, "+"));
	g_string_append_printf(name, "://%s", *path ? path : "/");
	name_add_query(name, params);
	if (g_hash_table_lookup(params, "name"))
		g_string_assign(name, g_hash_table_lookup(params, "name"));
	*ret_socket = given ? g_strdup(given) : default_socket(strcmp(path, "/session") == 0);
	*ret_name = g_strdup(name->str);
	return true;
}

bool uri_resolve(const char *uri, char **ret_uri, char **ret_name, char **ret_socket,
		 GError **error)
{
	g_autoptr(GUri) u = NULL;
	g_autoptr(GError) why = NULL;

	if (!uri || !*uri)
		uri = default_uri();
	u = g_uri_parse(uri, G_URI_FLAGS_ENCODED_QUERY, &why);
	if (!u)
		return error_set(error, VMM_ERR_INVALID_ARG, "'%s' is no URI: %s", uri,
				 why->message);
	if (!parts_resolve(u, ret_name, ret_socket, &why))
		return error_set(error,
				 why->domain == VMM_ERROR ? (int)why->code : VMM_ERR_INVALID_ARG,
				 "'%s': %s", uri, why->message);
	*ret_uri = g_strdup(uri);
	return true;
}
