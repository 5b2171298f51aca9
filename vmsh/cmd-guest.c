/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent is asked for us: itself, its clock, file systems, passwords, its network. */
#include "config.h"
#include "vmsh/commands.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/param.h"
#include "vmsh/socks-door.h"
#include "vmsh/usage.h"

#define NS INT64_C(1000000000)

/* ---- guestinfo ---- */

static const struct column columns_info[] = {
	{ "Name", "name", 0 }, { "Value", "value", 0 }, { 0 },
};

static void info_row(struct table *t, struct vmm_param *p)
{
	g_autofree char *text = param_text(p);

	table_text(t, p->name);
	table_text(t, text);
	if (p->type == VMM_PARAM_STRING)
		g_free(p->value.s);
}

static bool cmd_guestinfo(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned n = 0;
	g_autofree struct vmm_param *params = dom ? vmm_domain_guest_info(dom, 0, &n, error) : NULL;
	g_autoptr(table) t = table_new(columns_info);

	if (!params)
		return false;
	for (unsigned i = 0; i < n; i++)
		info_row(t, &params[i]);
	shell_print_table(sh, args, t);
	return true;
}

/* ---- domtime ---- */

static const struct column columns_time[] = {
	{ "Time", "time", 0 }, { "Nanoseconds", "time_ns", COLUMN_RIGHT }, { 0 },
};

static bool show_time(struct shell *sh, struct command_args *args, vmm_domain *dom, GError **error)
{
	g_autoptr(table) t = table_new(columns_time);
	int64_t ns;

	if (!vmm_domain_get_time(dom, &ns, error))
		return false;
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(ns / NS);
	g_autofree char *text = when ? g_date_time_format_iso8601(when) : NULL;
	table_text(t, text);
	table_number(t, (uint64_t)ns, NULL);
	shell_print_record(sh, args, t);
	return true;
}

/* Seconds since 1970, or as ISO 8601 writes it. */
static bool read_time(const char *text, int64_t *ret_ns, GError **error)
{
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	g_autoptr(GDateTime) when = g_date_time_new_from_iso8601(text, utc);
	char *end;
	gint64 s = when ? g_date_time_to_unix(when) : g_ascii_strtoll(text, &end, 10);

	if (!when && (!*text || *end))
		return usage_error(error, "domtime: '%s' is neither seconds since 1970 nor like "
				   "2026-01-31T12:00:00Z", text);
	if (s < 0 || s >= G_MAXINT64 / NS)
		return usage_error(error, "domtime: '%s' is not between 1970 and 2262", text);
	*ret_ns = s * NS;
	return true;
}

static bool cmd_domtime(struct shell *sh, struct command_args *args, GError **error)
{
	const char *text = args_text(args, "set");
	bool now = args_given(args, "now"), sync = args_given(args, "sync");
	int64_t ns = -1;

	if ((text != NULL) + now + sync > 1)
		return usage_error(error, "domtime: one of --set, --now, --sync");
	if (text && !read_time(text, &ns, error))
		return false;
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (now)
		ns = g_get_real_time() * 1000;
	return text || now || sync ? vmm_domain_set_time(dom, ns, error) :
				     show_time(sh, args, dom, error);
}

/* ---- file systems ---- */

static bool cmd_domfsfreeze(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	int n = dom ? vmm_domain_fs_freeze(dom, error) : -1;

	if (n >= 0)
		shell_say(sh, "Froze %d file system%s of '%s'; 'domfsthaw' lets them go on", n,
			  n == 1 ? "" : "s", vmm_domain_name(dom));
	return n >= 0;
}

static bool cmd_domfsthaw(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	int n = dom ? vmm_domain_fs_thaw(dom, error) : -1;

	if (n >= 0)
		shell_say(sh, "Thawed %d file system%s of '%s'", n, n == 1 ? "" : "s",
			  vmm_domain_name(dom));
	return n >= 0;
}

/* ---- passwords ---- */

/* A line of standard input, which a terminal does not show. */
static char *read_password(GError **error)
{
	struct termios old, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &old) == 0;
	char line[1024];
	const char *got;

	if (terminal) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		fputs("Password: ", stderr);
	}
	got = fgets(line, sizeof(line), stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputs("\n", stderr);
	}
	if (!got || !line[strcspn(line, "\n")]) {
		usage_error(error, "set-user-password: no line with a password on standard input");
		return NULL;
	}
	line[strcspn(line, "\n")] = 0;
	return g_strdup(line);
}

static bool cmd_set_user_password(struct shell *sh, struct command_args *args, GError **error)
{
	const char *given = args_text(args, "password");
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *password = !dom ? NULL : given ? g_strdup(given) : read_password(error);

	if (!password || !vmm_domain_set_user_password(dom, args_text(args, "user"), password,
						       args_given(args, "encrypted") ?
							       VMM_PASSWORD_ENCRYPTED : 0, error))
		return false;
	shell_say(sh, "The password of '%s' is set", args_text(args, "user"));
	return true;
}

/* ---- proxy ---- */

#define PORT_DEFAULT 1080

/* "PORT", "ADDRESS:PORT", "[ADDRESS]:PORT": of this host alone, for nobody is asked who he is. */
static GSocketAddress *read_place(const char *text, GError **error)
{
	g_autoptr(GSocketConnectable) place = NULL;
	g_autoptr(GInetAddress) address = NULL;
	g_autofree char *whole = text && strchr(text, ':') ?
					 g_strdup(text) :
					 g_strdup_printf("127.0.0.1:%s", text ?: "1080");

	place = g_network_address_parse(whole, PORT_DEFAULT, NULL);
	if (place)
		address = g_inet_address_new_from_string(
			g_network_address_get_hostname(G_NETWORK_ADDRESS(place)));
	if (!address || !g_inet_address_get_is_loopback(address)) {
		usage_error(error, "proxy: --socks5 '%s' is not like 127.0.0.1:1080: an address of "
			    "this host's loopback and a port", text ?: "");
		return NULL;
	}
	return g_inet_socket_address_new(address,
					 g_network_address_get_port(G_NETWORK_ADDRESS(place)));
}

static int listen_at(GSocketAddress *where, GError **error)
{
	g_autoptr(GSocket) s = g_socket_new(g_socket_address_get_family(where),
					    G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);

	if (!s || !g_socket_bind(s, where, TRUE, error) || !g_socket_listen(s, error))
		return -1;
	return fcntl(g_socket_get_fd(s), F_DUPFD_CLOEXEC, 0);
}

static bool cmd_proxy(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(GSocketAddress) where = read_place(args_text(args, "socks5"), error);
	g_autoptr(vmm_domain) dom = where ? fleet_domain(sh, args, error) : NULL;
	int listener = dom ? listen_at(where, error) : -1;
	g_autofree char *text = NULL;

	if (listener < 0) {
		if (dom)
			g_prefix_error(error, "proxy: ");
		return false;
	}
	text = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(where));
	/* At once: the door is open, and stays so for long. */
	shell_say(sh, "SOCKS 5 at %s leads into the network of '%s'; ^C ends it", text,
		  vmm_domain_name(dom));
	fflush(stdout);
	return socks_door(sh, dom, listener, error);
}

/* ---- tables ---- */

static const struct option_def options_domain[] = { OPTION_DOMAIN(ACTIVE), { 0 } };

static const struct option_def options_domtime[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "set", .kind = OPT_STRING, .value = "TIME",
	  .help = "to this: seconds since 1970, or like 2026-01-31T12:00:00Z" },
	OPTION_FLAG("now", "to this host's"),
	OPTION_FLAG("sync", "to that of the machine's clock chip"),
	{ 0 },
};

static const struct option_def options_password[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "user", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "USER", .help = "name of a user in the guest" },
	{ .name = "password", .kind = OPT_STRING, .flags = OPT_POSITION, .value = "PASSWORD",
	  .help = "a line of standard input if not given, which others can't see" },
	OPTION_FLAG("encrypted", "it is a hash as in crypt(5)"),
	{ 0 },
};

static const struct option_def options_proxy[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "socks5", .kind = OPT_STRING, .value = "PLACE",
	  .help = "listen there: a port, or an address of this host's loopback and a port; "
		  "127.0.0.1:1080 if not given" },
	{ 0 },
};

#define GROUP "Inside guests"

const struct command commands_guest[] = {
	{ "guestinfo", GROUP, "what a guest says of itself: system, users, disks, addresses",
	  options_domain, COMMAND_JSON, cmd_guestinfo, NULL },
	{ "domtime", GROUP, "print or set a guest's clock", options_domtime, COMMAND_JSON,
	  cmd_domtime, NULL },
	{ "domfsfreeze", GROUP, "bring a guest's file systems to rest", options_domain, 0,
	  cmd_domfsfreeze,
	  "What is written is on the disks, and nothing more is. Our agent thaws them after ten "
	  "minutes if nobody else does." },
	{ "domfsthaw", GROUP, "let a guest's file systems go on", options_domain, 0,
	  cmd_domfsthaw, NULL },
	{ "proxy", GROUP, "a SOCKS 5 door on this host into a guest's network", options_proxy, 0,
	  cmd_proxy,
	  "Programs here (curl --socks5-hostname 127.0.0.1:1080 URL) reach what the guest reaches: "
	  "itself, its networks, its VPN; names are resolved in the guest. TCP, IPv4 and IPv6. "
	  "It needs the guest's agent, and no network between host and guest.\n"
	  "Everybody on this host may use it while it runs: until ^C." },
	{ "set-user-password", GROUP, "give a guest's user another password", options_password, 0,
	  cmd_set_user_password, "It leaves this host as a hash." },
	{ 0 },
};
