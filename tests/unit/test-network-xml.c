/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <network>: what is accepted comes out canonical, what is not is refused by its name. */
#include "config.h"
#include "libvmm/domain/network.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define UUID "<uuid>11111111-2222-4333-8444-555555555555</uuid>"
#define MAC "<mac address='52:54:00:00:00:01'/>"
#define IP "<ip address='10.0.0.1' netmask='255.255.255.0'>"

static const struct {
	const char *xml, *out;
} good[] = {
	{ "<network><name>a</name>" UUID MAC "<forward/><bridge name='virbr0' stp='on' delay='0'/>"
	  "<ip family='ipv4' address='10.0.0.1' prefix='24'><dhcp>"
	  "<host name='web' mac='52:54:00:00:00:0A' ip='10.0.0.9'/>"
	  "<range end='10.0.0.99' start='10.0.0.2'/></dhcp></ip></network>",
	  "<network>\n"
	  "  <name>a</name>\n"
	  "  <uuid>11111111-2222-4333-8444-555555555555</uuid>\n"
	  "  <forward mode='nat'/>\n"
	  "  <bridge name='virbr0'/>\n"
	  "  <mac address='52:54:00:00:00:01'/>\n"
	  "  <ip address='10.0.0.1' netmask='255.255.255.0'>\n"
	  "    <dhcp>\n"
	  "      <range start='10.0.0.2' end='10.0.0.99'/>\n"
	  "      <host mac='52:54:00:00:00:0a' name='web' ip='10.0.0.9'/>\n"
	  "    </dhcp>\n"
	  "  </ip>\n"
	  "</network>\n" },
	{ "<network connections='3'><name>b</name>" UUID MAC "<forward mode='none'/>"
	  "<domain localOnly='yes' name='lan'/><dns enable='yes'>"
	  "<host ip='10.0.0.3'><hostname>x</hostname><hostname>y.z</hostname></host></dns>"
	  "</network>",
	  "<network>\n"
	  "  <name>b</name>\n"
	  "  <uuid>11111111-2222-4333-8444-555555555555</uuid>\n"
	  "  <mac address='52:54:00:00:00:01'/>\n"
	  "  <domain name='lan' localOnly='yes'/>\n"
	  "  <dns>\n"
	  "    <host ip='10.0.0.3'>\n"
	  "      <hostname>x</hostname>\n"
	  "      <hostname>y.z</hostname>\n"
	  "    </host>\n"
	  "  </dns>\n"
	  "</network>\n" },
	{ "<network><name>d</name>" UUID MAC "<dns><srv service='ldap' protocol='tcp' "
	  "target='x.lan' port='389' weight='2'/><txt name='about' value='a &lt; b'/>"
	  "<srv service='no' protocol='udp' target='.'/></dns>" IP "<dhcp>"
	  "<range start='10.0.0.2' end='10.0.0.99'><lease expiry='2' unit='hours'/></range>"
	  "<host name='web' ip='10.0.0.9'><lease expiry='5'/></host></dhcp></ip></network>",
	  "<network>\n"
	  "  <name>d</name>\n"
	  "  <uuid>11111111-2222-4333-8444-555555555555</uuid>\n"
	  "  <mac address='52:54:00:00:00:01'/>\n"
	  "  <dns>\n"
	  "    <txt name='about' value='a &lt; b'/>\n"
	  "    <srv service='ldap' protocol='tcp' target='x.lan' port='389' weight='2'/>\n"
	  "    <srv service='no' protocol='udp' target='.'/>\n"
	  "  </dns>\n"
	  "  <ip address='10.0.0.1' netmask='255.255.255.0'>\n"
	  "    <dhcp>\n"
	  "      <range start='10.0.0.2' end='10.0.0.99'>\n"
	  "        <lease expiry='7200' unit='seconds'/>\n"
	  "      </range>\n"
	  "      <host name='web' ip='10.0.0.9'>\n"
	  "        <lease expiry='300' unit='seconds'/>\n"
	  "      </host>\n"
	  "    </dhcp>\n"
	  "  </ip>\n"
	  "</network>\n" },
	{ "<network><name>c</name>" UUID MAC "<forward mode='bridge'/><bridge name='br0'/>"
	  "</network>",
	  "<network>\n"
	  "  <name>c</name>\n"
	  "  <uuid>11111111-2222-4333-8444-555555555555</uuid>\n"
	  "  <forward mode='bridge'/>\n"
	  "  <bridge name='br0'/>\n"
	  "  <mac address='52:54:00:00:00:01'/>\n"
	  "</network>\n" },
};

static const struct {
	const char *inside, *words;
	int code;
} bad[] = {
	{ "<forward mode='route'/>" IP "</ip>", "mode='nat'", VMM_ERR_CONFIG_UNSUPPORTED },
	{ "<forward mode='nat'><nat/></forward>", "<nat>", VMM_ERR_CONFIG_UNSUPPORTED },
	{ "<forward mode='nat'/>", "no IP address", VMM_ERR_XML },
	{ "<forward mode='bridge'/>", "<bridge name=", VMM_ERR_XML },
	{ "<forward mode='bridge'/><bridge name='br0'/>" IP "</ip>", "leave out", VMM_ERR_XML },
	{ "<ip address='10.0.0.1'/>", "prefix", VMM_ERR_XML },
	{ "<ip address='10.0.0.1' netmask='255.0.255.0'/>", "255.0.255.0", VMM_ERR_XML },
	{ "<ip address='10.0.0.1' prefix='31'/>", "30", VMM_ERR_XML },
	{ "<ip address='10.0.0.255' prefix='24'/>", "10.0.0.255", VMM_ERR_XML },
	{ "<ip family='ipv6' address='fd00::1' prefix='64'/>", "ipv6", VMM_ERR_CONFIG_UNSUPPORTED },
	{ IP "</ip>" IP "</ip>", "one <ip>", VMM_ERR_CONFIG_UNSUPPORTED },
	{ IP "<tftp root='/x'/></ip>", "tftp", VMM_ERR_CONFIG_UNSUPPORTED },
	{ IP "<dhcp><range start='10.0.1.2' end='10.0.1.9'/></dhcp></ip>", "10.0.1.2",
	  VMM_ERR_XML },
	{ IP "<dhcp><bootp file='x'/></dhcp></ip>", "bootp", VMM_ERR_CONFIG_UNSUPPORTED },
	{ IP "<dhcp><host mac='52:54:00:00:00:02' ip='10.0.0.1'/></dhcp></ip>", "10.0.0.1",
	  VMM_ERR_XML },
	{ IP "<dhcp><host mac='52:54:00:00:00:02' ip='10.0.0.5'/>"
	  "<host mac='52:54:00:00:00:02' ip='10.0.0.6'/></dhcp></ip>", "another", VMM_ERR_XML },
	{ IP "<dhcp><host name='no good' ip='10.0.0.5'/></dhcp></ip>", "no good", VMM_ERR_XML },
	{ "<dns><host ip='10.0.0.5'/></dns>", "hostname", VMM_ERR_XML },
	{ "<dns><forwarder addr='8.8.8.8'/></dns>", "forwarder", VMM_ERR_CONFIG_UNSUPPORTED },
	{ "<dns><txt name='a b' value='x'/></dns>", "a b", VMM_ERR_XML },
	{ "<dns><srv service='a' target='b'/></dns>", "port=", VMM_ERR_XML },
	{ "<dns><srv service='a.b' target='.'/></dns>", "a.b", VMM_ERR_XML },
	{ "<dns><srv service='a' protocol='sctp'/></dns>", "sctp", VMM_ERR_XML },
	{ IP "<dhcp><range start='10.0.0.2' end='10.0.0.9'><lease expiry='0'/></range></dhcp></ip>",
	  "2 minutes", VMM_ERR_CONFIG_UNSUPPORTED },
	{ IP "<dhcp><host name='a' ip='10.0.0.9'><lease expiry='900000' unit='hours'/></host>"
	  "</dhcp></ip>", "30 days", VMM_ERR_CONFIG_UNSUPPORTED },
	{ "<mtu size='9000'/>", "mtu", VMM_ERR_CONFIG_UNSUPPORTED },
	{ "<portgroup name='x'/>", "portgroup", VMM_ERR_CONFIG_UNSUPPORTED },
	{ "<mac address='01:00:00:00:00:00'/>", "multicast", VMM_ERR_XML },
	{ "<wrong/>", "wrong", VMM_ERR_XML },
};

static void what_is_accepted_comes_out_canonical(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(network_def) def =
			network_def_parse(good[i].xml, NETWORK_PARSE_VALIDATE, &error);
		g_autoptr(network_def) again = NULL;
		g_autofree char *out = NULL, *second = NULL;

		g_assert_no_error(error);
		out = network_def_format(def, -1);
		g_assert_cmpstr(out, ==, good[i].out);
		again = network_def_parse(out, NETWORK_PARSE_VALIDATE, &error);
		g_assert_no_error(error);
		second = network_def_format(again, -1);
		g_assert_cmpstr(out, ==, second);
	}
}

static void what_is_not_is_refused_by_name(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		g_autofree char *xml = g_strdup_printf("<network><name>a</name>%s</network>",
						       bad[i].inside);
		g_autoptr(GError) error = NULL;

		g_assert_null(network_def_parse(xml, 0, &error));
		if (!g_error_matches(error, VMM_ERROR, bad[i].code) ||
		    !strstr(error->message, bad[i].words))
			g_error("%s: %d %s", bad[i].inside, error->code, error->message);
	}
}

int main(int argc, char **argv)
{
	g_autofree char *schemas = g_build_filename(g_getenv("VMM_SRCDIR") ?: ".", "schemas", NULL);

	g_setenv("VMM_SCHEMA_DIR", schemas, FALSE);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/network/what_is_accepted_comes_out_canonical",
			what_is_accepted_comes_out_canonical);
	g_test_add_func("/network/what_is_not_is_refused_by_name", what_is_not_is_refused_by_name);
	return g_test_run();
}
