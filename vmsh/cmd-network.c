/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on networks, and on ports of the host that lead to guests. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/edit.h"
#include "vmsh/event.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/usage.h"
#include "vmsh/xml-file.h"

static vmm_network *network_of(struct shell *sh, const struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);

	return conn ? vmm_network_lookup(conn, args_text(args, "network"), error) : NULL;
}

/* ---- looking ---- */

static const struct column columns_list[] = {
	{ "Name", "name", COLUMN_SHRINK }, { "State", "state", 0 },
	{ "Autostart", "autostart", COLUMN_DROP }, { "Persistent", "persistent", COLUMN_DROP },
	{ "UUID", "uuid", COLUMN_JSON }, { 0 },
};

static bool row_add(table *t, vmm_network *net, GError **error)
{
	struct vmm_network_info info;

	if (!vmm_network_info(net, &info, error))
		return false;
	table_text(t, vmm_network_name(net));
	table_text(t, info.active ? "active" : "inactive");
	table_bool(t, info.autostart, info.autostart ? "yes" : "no");
	table_bool(t, info.persistent, info.persistent ? "yes" : "no");
	table_text(t, vmm_network_uuid(net));
	return true;
}

static bool cmd_list(struct shell *sh, struct command_args *args, GError **error)
{
	unsigned flags = args_given(args, "all") ? 0 : args_given(args, "inactive") ? 1 : 2;
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) list = conn ? vmm_network_list(conn, flags, error) : NULL;
	g_autoptr(table) t = table_new(columns_list);

	if (!list)
		return false;
	for (unsigned i = 0; i < list->len; i++) {
		vmm_network *net = g_ptr_array_index(list, i);

		if (args_given(args, "name"))
			puts(vmm_network_name(net));
		else if (!row_add(t, net, error))
			return false;
	}
	if (!args_given(args, "name"))
		shell_print_table(sh, args, t);
	return true;
}

static bool cmd_info(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);
	g_autoptr(table) t = table_new(columns_list);

	if (!net || !row_add(t, net, error))
		return false;
	shell_print_record(sh, args, t);
	return true;
}

static bool cmd_dumpxml(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);
	g_autofree char *xml =
		net ? vmm_network_xml(net, args_given(args, "inactive"), error) : NULL;

	if (!xml)
		return false;
	shell_print_text(sh, args, "xml", xml);
	return true;
}

static bool cmd_name(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);

	if (net)
		shell_print_text(sh, args, "name", vmm_network_name(net));
	return net;
}

static bool cmd_uuid(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);

	if (net)
		shell_print_text(sh, args, "uuid", vmm_network_uuid(net));
	return net;
}

static const struct column columns_leases[] = {
	{ "Expires", "expires", 0 }, { "MAC", "mac", 0 }, { "Address", "address", 0 },
	{ "Name", "hostname", COLUMN_SHRINK }, { "Client", "client_id", COLUMN_JSON }, { 0 },
};

static bool cmd_leases(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);
	g_autoptr(GPtrArray) list = net ? vmm_network_leases(net, error) : NULL;
	g_autoptr(table) t = table_new(columns_leases);

	if (!list)
		return false;
	for (unsigned i = 0; i < list->len; i++) {
		const struct vmm_lease *l = g_ptr_array_index(list, i);
		g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(l->expires_s);
		g_autofree char *when = g_date_time_format(at, "%F %T");
		g_autofree char *address = g_strdup_printf("%s/%u", l->ip, l->prefix);

		table_number(t, (uint64_t)l->expires_s, when);
		table_text(t, l->mac);
		table_text(t, address);
		table_text(t, l->hostname);
		table_text(t, l->client_id);
	}
	shell_print_table(sh, args, t);
	return true;
}

/* ---- making ---- */

static bool made(struct shell *sh, struct command_args *args, bool create, GError **error)
{
	g_autofree char *xml = xml_file_read(args_text(args, "file"), error);
	vmm_connect *conn = xml ? shell_connect(sh, error) : NULL;
	unsigned flags = args_given(args, "validate");
	g_autoptr(vmm_network) net =
		!conn ? NULL : create ? vmm_network_create_xml(conn, xml, flags, error) :
					vmm_network_define_xml(conn, xml, flags, error);

	if (net)
		shell_say(sh, "Network '%s' %s", vmm_network_name(net),
			  create ? "created" : "defined");
	return net;
}

static bool cmd_define(struct shell *sh, struct command_args *args, GError **error)
{
	return made(sh, args, false, error);
}

static bool cmd_create(struct shell *sh, struct command_args *args, GError **error)
{
	return made(sh, args, true, error);
}

static bool apply_xml(void *opaque, const char *text, GError **error)
{
	g_autoptr(vmm_network) net =
		vmm_network_define_xml(shell_connect(opaque, NULL), text, 0, error);

	return net;
}

static bool cmd_edit(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);
	g_autofree char *xml = net ? vmm_network_xml(net, 1, error) : NULL;
	struct edit edit = { .suffix = ".xml", .comments = true, .apply = apply_xml, .opaque = sh };
	enum edit_result result;

	if (!xml)
		return false;
	edit.name = vmm_network_name(net);
	result = edit_text(&edit, xml, error);
	if (result != EDIT_FAILED)
		shell_say(sh, "Network '%s' %s", vmm_network_name(net),
			  result == EDIT_APPLIED ? "changed: from its next start on"
						 : "not changed");
	return result != EDIT_FAILED;
}

/* ---- doing ---- */

static bool cmd_start(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);

	if (!net || !vmm_network_do(net, VMM_NETWORK_START, error))
		return false;
	shell_say(sh, "Network '%s' started", vmm_network_name(net));
	return true;
}

static bool cmd_destroy(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);
	g_auto(GStrv) users = net ? vmm_network_users(net, NULL) : NULL;
	g_autofree char *names = users && *users ? g_strjoinv(", ", users) : NULL;

	if (!net || !vmm_network_do(net, VMM_NETWORK_STOP, error))
		return false;
	if (names)
		shell_say(sh, "Network '%s' stopped; cut off until it starts again: %s",
			  vmm_network_name(net), names);
	else
		shell_say(sh, "Network '%s' stopped", vmm_network_name(net));
	return true;
}

static bool cmd_undefine(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_network) net = network_of(sh, args, error);

	if (!net || !vmm_network_do(net, VMM_NETWORK_UNDEFINE, error))
		return false;
	shell_say(sh, "Network '%s' undefined", vmm_network_name(net));
	return true;
}

static bool cmd_autostart(struct shell *sh, struct command_args *args, GError **error)
{
	bool on = !args_given(args, "disable");
	g_autoptr(vmm_network) net = network_of(sh, args, error);

	if (!net || !vmm_network_set_autostart(net, on, error))
		return false;
	shell_say(sh, "Network '%s' %s", vmm_network_name(net),
		  on ? "starts with the host" : "does not start with the host");
	return true;
}

static bool cmd_update(struct shell *sh, struct command_args *args, GError **error)
{
	static const char *const commands[] = { "modify", "delete", "add-last", "add-first" };
	const char *word = args_text(args, "command"), *section = args_text(args, "section");
	const char *given = args_text(args, "xml");
	g_autoptr(vmm_network) net = network_of(sh, args, error);
	g_autofree char *xml = !net ? NULL : given[0] == '<' ? g_strdup(given)
							      : xml_file_read(given, error);
	unsigned command = 3;

	if (!xml)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (g_str_equal(commands[i], word))
			command = i + 1;
	if (!vmm_network_update(net, command, g_str_equal(section, "dns-host") ? 10 : 4, xml,
				args_affect(args), error))
		return false;
	shell_say(sh, "Network '%s' changed", vmm_network_name(net));
	return true;
}

/* ---- ports ---- */

static const struct column columns_ports[] = {
	{ "Interface", "interface", 0 }, { "Protocol", "protocol", 0 }, { "Host", "host", 0 },
	{ "Port", "host_port", COLUMN_RIGHT }, { "Guest port", "guest_port", COLUMN_RIGHT }, { 0 },
};

static bool cmd_port_list(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned flags = args_given(args, "config") ? VMM_AFFECT_CONFIG : 0;
	g_autoptr(GPtrArray) list = dom ? vmm_domain_ports(dom, flags, error) : NULL;
	g_autoptr(table) t = table_new(columns_ports);

	if (!list)
		return false;
	for (unsigned i = 0; i < list->len; i++) {
		const struct vmm_port *p = g_ptr_array_index(list, i);

		table_text(t, p->interface);
		table_text(t, p->udp ? "udp" : "tcp");
		table_text(t, p->address ?: "*");
		table_number(t, p->host, NULL);
		table_number(t, p->guest, NULL);
	}
	shell_print_table(sh, args, t);
	return true;
}

static bool number_read(const char *text, unsigned *ret)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 10, 1, 65535, &number, NULL))
		return false;
	*ret = (unsigned)number;
	return true;
}

/* "[ADDRESS:]HOST[:GUEST]"; what is cut out of text stays in parts. */
static bool port_read(const struct command_args *args, char **parts, bool guest,
		      struct vmm_port *ret, GError **error)
{
	unsigned n = g_strv_length(parts), numbers = guest ? 2 : 1;
	bool ok = n >= 1 && n <= numbers + 1;

	*ret = (struct vmm_port){
		.interface = args_text(args, "interface"),
		.udp = g_strcmp0(args_text(args, "proto"), "udp") == 0,
	};
	if (ok && strchr(parts[0], '.'))
		ret->address = *parts++, n--;
	ok = ok && n >= 1 && n <= numbers && number_read(parts[0], &ret->host) &&
	     number_read(parts[n - 1], &ret->guest);
	return ok || usage_error(error, guest ? "ports are written [ADDRESS:]HOST[:GUEST], as in "
						"8080:80 or 127.0.0.1:2222:22"
					      : "a port is written [ADDRESS:]HOST, as in 8080");
}

static bool port_change(struct shell *sh, struct command_args *args, bool add, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(args_text(args, "ports"), ":", -1);
	g_autoptr(vmm_domain) dom = NULL;
	struct vmm_port port;

	if (!port_read(args, parts, add, &port, error))
		return false;
	dom = fleet_domain(sh, args, error);
	if (!dom || !(add ? vmm_domain_port_add : vmm_domain_port_remove)(dom, &port,
									   args_affect(args),
									   error))
		return false;
	if (add)
		shell_say(sh, "Port %u of the host leads to port %u of '%s'", port.host, port.guest,
			  vmm_domain_name(dom));
	else
		shell_say(sh, "Port %u of the host leads to '%s' no longer", port.host,
			  vmm_domain_name(dom));
	return true;
}

static bool cmd_port_add(struct shell *sh, struct command_args *args, GError **error)
{
	return port_change(sh, args, true, error);
}

static bool cmd_port_del(struct shell *sh, struct command_args *args, GError **error)
{
	return port_change(sh, args, false, error);
}

static const struct column columns_addresses[] = {
	{ "Interface", "interface", 0 }, { "MAC", "mac", 0 }, { "Address", "address", 0 }, { 0 },
};

static bool cmd_domifaddr(struct shell *sh, struct command_args *args, GError **error)
{
	const char *source = args_text(args, "source");
	bool agent = !g_strcmp0(source, "agent");

	if (source && !agent && !g_str_equal(source, "lease"))
		return usage_error(error, "domifaddr: --source '%s' is neither lease nor agent",
				   source);
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autoptr(GPtrArray) list =
		dom ? vmm_domain_addresses(dom, agent ? VMM_ADDRESS_AGENT : VMM_ADDRESS_LEASE,
					   error) :
		      NULL;
	g_autoptr(table) t = table_new(columns_addresses);

	if (!list)
		return false;
	for (unsigned i = 0; i < list->len; i++) {
		const struct vmm_address *a = g_ptr_array_index(list, i);
		g_autofree char *address = g_strdup_printf("%s/%u", a->address, a->prefix);

		table_text(t, a->interface);
		table_text(t, a->mac);
		table_text(t, address);
	}
	shell_print_table(sh, args, t);
	return true;
}

/* ---- tables ---- */

#define OPTION_NETWORK { \
	.name = "network", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_NETWORK, .value = "NETWORK", .help = "the network's name or uuid", \
}
#define OPTION_INTERFACE { \
	.name = "interface", .kind = OPT_STRING, .value = "ALIAS", \
	.help = "of this interface (net0), not of the first that can", \
}
#define OPTION_PROTO { \
	.name = "proto", .kind = OPT_STRING, .value = "PROTOCOL", .complete = COMPLETE_WORDS, \
	.words = "tcp udp", .help = "tcp (the default) or udp", \
}

static const struct option_def options_list[] = {
	OPTION_FLAG("all", "inactive ones as well"), OPTION_FLAG("inactive", "only inactive ones"),
	OPTION_FLAG("name", "only names, one a line"), { 0 },
};
static const struct option_def options_network[] = { OPTION_NETWORK, { 0 } };
static const struct option_def options_xml[] = {
	OPTION_NETWORK, OPTION_FLAG("inactive", "of its next start"), { 0 },
};
static const struct option_def options_file[] = {
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "FILE", .help = "the network's XML; - is the input" },
	OPTION_FLAG("validate", "check it by the schema as well"), { 0 },
};
static const struct option_def options_autostart[] = {
	OPTION_NETWORK, OPTION_FLAG("disable", "do not start it"), { 0 },
};
static const struct option_def options_update[] = {
	OPTION_NETWORK,
	{ .name = "command", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_WORDS, .words = "add add-last add-first delete modify",
	  .value = "COMMAND", .help = "add, delete or modify" },
	{ .name = "section", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_WORDS, .words = "ip-dhcp-host dns-host", .value = "SECTION",
	  .help = "of what" },
	{ .name = "xml", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "XML",
	  .help = "the <host> element, or a file that has it" },
	OPTIONS_AFFECT, { 0 },
};
static const struct option_def options_ports[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_FLAG("config", "of the stored definition"), { 0 },
};
static const struct option_def options_port_add[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "ports", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "[ADDRESS:]HOST[:GUEST]",
	  .help = "the host's port, and the guest's if another" },
	OPTION_PROTO, OPTION_INTERFACE, OPTIONS_AFFECT, { 0 },
};
static const struct option_def options_port_del[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "ports", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "[ADDRESS:]HOST", .help = "the host's port" },
	OPTION_PROTO, OPTION_INTERFACE, OPTIONS_AFFECT, { 0 },
};
static const struct option_def options_domifaddr[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "source", .kind = OPT_STRING, .value = "SOURCE",
	  .help = "lease: of networks, the default; agent: by the guest's own word" },
	{ 0 },
};

#define GROUP "Networks"

const struct command commands_network[] = {
	{ "net-list", GROUP, "list networks", options_list, COMMAND_JSON | COMMAND_HOSTS, cmd_list,
	  "Without options: the active ones." },
	{ "net-info", GROUP, "tell about a network", options_network, COMMAND_JSON, cmd_info },
	{ "net-dumpxml", GROUP, "print a network's XML", options_xml, COMMAND_JSON, cmd_dumpxml },
	{ "net-name", GROUP, "tell a network's name", options_network, COMMAND_JSON, cmd_name },
	{ "net-uuid", GROUP, "tell a network's uuid", options_network, COMMAND_JSON, cmd_uuid },
	{ "net-dhcp-leases", GROUP, "list the addresses that a network's guests have",
	  options_network, COMMAND_JSON, cmd_leases },
	{ "net-define", GROUP, "define a network by XML, or change it", options_file, 0,
	  cmd_define, "A change of an active one counts from its next start on." },
	{ "net-create", GROUP, "make and start a transient network by XML", options_file, 0,
	  cmd_create },
	{ "net-edit", GROUP, "change a network's XML in the editor", options_network, 0,
	  cmd_edit },
	{ "net-start", GROUP, "start a network", options_network, 0, cmd_start,
	  "Running guests that were on it are plugged in again." },
	{ "net-autostart", GROUP, "start a network with the host", options_autostart, 0,
	  cmd_autostart },
	{ "net-update", GROUP, "add, change or remove fixed addresses and names", options_update,
	  0, cmd_update, "A running network has the change at once (--live)." },
	{ "net-destroy", GROUP, "stop a network", options_network, 0, cmd_destroy,
	  "Running guests stay; they are cut off until it starts again, and named." },
	{ "net-undefine", GROUP, "forget a network", options_network, 0, cmd_undefine,
	  "An active one goes on until it is stopped." },
	{ "net-event", GROUP, "wait for events of networks and print them", options_net_event,
	  COMMAND_JSON, cmd_net_event, "As event does for domains." },
	{ "port-list", GROUP, "list ports of the host that lead to a domain", options_ports,
	  COMMAND_JSON, cmd_port_list },
	{ "port-add", GROUP, "make a port of the host lead to a domain", options_port_add, 0,
	  cmd_port_add,
	  "For interfaces of type='user' and of type='network' with a nat network. While the "
	  "domain runs the port is open at once; --config keeps it for later starts." },
	{ "port-del", GROUP, "take such a port away", options_port_del, 0, cmd_port_del },
	{ "domifaddr", GROUP, "list the addresses of a domain",
	  options_domifaddr, COMMAND_JSON, cmd_domifaddr },
	{ 0 },
};
