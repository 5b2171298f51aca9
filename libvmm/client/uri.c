/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connection URIs: SCHEME[+unix]:///system|session[?socket=PATH], SCHEME vmm
 * or qemu; SCHEME+tls://HOST[:PORT]/system and SCHEME+ssh://[USER@]HOST/system
 * with libvirt's arguments.  VMM_RUN_DIR says where the daemon's run folder
 * is, for tests and for several daemons side by side; a socket= in the URI wins.
 */
#include "config.h"
#include "libvmm/client/uri.h"

#include <stddef.h>
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

static const char *const transports[] = {
	[URI_UNIX] = "unix", [URI_TLS] = "tls", [URI_SSH] = "ssh",
};

static bool transport_parse(struct uri *u, const char *word, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(transports); i++) {
		if (strcmp(word, transports[i]) == 0) {
			u->transport = (enum uri_transport)i;
			return true;
		}
	}
	return error_set(error, VMM_ERR_NO_SUPPORT,
			 "transport '%s' is not there: unix, tls and ssh are%s", word,
			 strcmp(word, "tcp") == 0 ? "; tcp would be read by everybody" : "");
}

/* As libvirt has it: a host and no transport is TLS. */
static bool scheme_parse(struct uri *u, const char *scheme, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(scheme, "+", 2);

	if (strcmp(parts[0], "vmm") && strcmp(parts[0], "qemu"))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "a URI begins with vmm://, vmm+unix://, vmm+tls:// or vmm+ssh://, "
				 "not %s://", scheme);
	u->transport = u->host ? URI_TLS : URI_UNIX;
	if (parts[1] && !transport_parse(u, parts[1], error))
		return false;
	if (u->transport == URI_UNIX && u->host)
		return error_set(error, VMM_ERR_INVALID_ARG, "host '%s': a local socket has none; "
				 "write vmm+tls://%s/system or vmm+ssh://%s/system", u->host,
				 u->host, u->host);
	if (u->transport != URI_UNIX && !u->host)
		return error_set(error, VMM_ERR_INVALID_ARG, "which host? write %s://HOST/system",
				 scheme);
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

char *uri_local_socket(const struct uri *u, bool readonly)
{
	char *path = u->socket ? g_strdup(u->socket) : default_socket(u->session);
	g_autofree char *path_ro = g_strconcat(path, "-ro", NULL);

	/* for everybody, where there is one: not in session mode */
	if (readonly && !u->socket && access(path_ro, F_OK) == 0) {
		g_free(path);
		return g_steal_pointer(&path_ro);
	}
	return path;
}

/* ---- the query ---- */

struct setting {
	const char *key;
	size_t text, flag;		/* offsets in struct uri; one of them, or none */
};

#define TEXT(member) #member, offsetof(struct uri, member), 0
#define FLAG(member) #member, 0, offsetof(struct uri, member)

/* What is ours; the daemon gets the rest. */
static const struct setting settings[] = {
	{ TEXT(socket) }, { TEXT(name) }, { TEXT(pkipath) }, { TEXT(tls_priority) },
	{ TEXT(command) }, { TEXT(keyfile) }, { TEXT(netcat) }, { TEXT(proxy) },
	{ FLAG(no_verify) }, { FLAG(no_tty) }, { "mode", 0, 0 },
};

static const struct setting *setting_find(const char *key)
{
	for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
		if (strcmp(key, settings[i].key) == 0)
			return &settings[i];
	return NULL;
}

static void setting_take(struct uri *u, const struct setting *s, const char *value)
{
	if (s->text) {
		char **text = (char **)(void *)((char *)u + s->text);

		g_free(*text);
		*text = g_strdup(value);
	} else if (s->flag) {
		*(bool *)((char *)u + s->flag) = strcmp(value, "0") != 0;
	}
}

static bool query_parse(struct uri *u, const char *query, GString *name, GError **error)
{
	GUriParamsIter iter;
	g_autoptr(GError) why = NULL;
	char *key, *value;
	char sep = '?';

	g_uri_params_iter_init(&iter, query, -1, "&;", G_URI_PARAMS_NONE);
	while (g_uri_params_iter_next(&iter, &key, &value, &why)) {
		g_autofree char *k = key, *v = value;
		g_autofree char *escaped = g_uri_escape_string(v, "/", TRUE);
		const struct setting *s = setting_find(k);

		if (s) {
			setting_take(u, s, v);
			continue;
		}
		g_string_append_printf(name, "%c%s=%s", sep, k, escaped);
		sep = '&';
	}
	return why ? error_set(error, VMM_ERR_INVALID_ARG, "%s", why->message) : true;
}

static bool settings_check(const struct uri *u, GError **error)
{
	static const char *const proxies[] = { "auto", "netcat", "native", NULL };

	if (u->socket && *u->socket != '/')
		return error_set(error, VMM_ERR_INVALID_ARG, "socket=%s is not an absolute path",
				 u->socket);
	if (u->transport == URI_TLS && u->socket)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "socket= and tls exclude each other: TLS has a port");
	if (u->proxy && !g_strv_contains(proxies, u->proxy))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "proxy=%s: auto, netcat and native are there", u->proxy);
	return true;
}

static bool parts_parse(struct uri *u, GUri *g, GError **error)
{
	const char *host = g_uri_get_host(g), *path = g_uri_get_path(g);
	const char *scheme = g_uri_get_scheme(g), *query = g_uri_get_query(g);
	g_autoptr(GString) name = g_string_new(NULL);

	u->host = host && *host ? g_strdup(host) : NULL;
	u->user = g_strdup(g_uri_get_userinfo(g));
	u->port = MAX(g_uri_get_port(g), 0);
	if (!scheme_parse(u, scheme, error))
		return false;
	if (strcmp(path, "/system") && strcmp(path, "/session") && strcmp(path, "/") && *path)
		return error_set(error, VMM_ERR_INVALID_ARG, "'%s' is neither /system nor /session",
				 path);
	u->session = strcmp(path, "/session") == 0;
	g_string_append_len(name, scheme, strcspn(scheme, "+"));
	g_string_append_printf(name, "://%s", *path ? path : "/");
	if (!query_parse(u, query ? query : "", name, error) || !settings_check(u, error))
		return false;
	if (!u->name)
		u->name = g_strdup(name->str);
	return true;
}

struct uri *uri_parse(const char *text, GError **error)
{
	g_autoptr(vmm_uri) u = g_new0(struct uri, 1);
	g_autoptr(GUri) g = NULL;
	g_autoptr(GError) why = NULL;

	u->text = g_strdup(text && *text ? text : default_uri());
	g = g_uri_parse(u->text, G_URI_FLAGS_ENCODED_QUERY, &why);
	if (!g) {
		error_set(error, VMM_ERR_INVALID_ARG, "'%s' is no URI: %s", u->text, why->message);
		return NULL;
	}
	if (!parts_parse(u, g, &why)) {
		error_set(error, (enum vmm_error)why->code, "'%s': %s", u->text, why->message);
		return NULL;
	}
	return g_steal_pointer(&u);
}

void uri_free(struct uri *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
		if (settings[i].text)
			g_free(*(char **)(void *)((char *)u + settings[i].text));
	g_free(u->text);
	g_free(u->host);
	g_free(u->user);
	g_free(u);
}
