/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's guest agent protocol: what the guest is, who is on it, how it is reached. */
#include "config.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <utmpx.h>

#include "images/agent/qga.h"

#define LISTED_MAX 256

static struct json_object *host_name(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	struct utsname name;

	if (uname(&name) < 0)
		qga_fail(NULL, "the host's name is not known");
	object_put_text(o, "host-name", name.nodename);
	return o;
}

static struct json_object *timezone_of(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	time_t now = time(NULL);
	struct tm tm;

	tzset();
	localtime_r(&now, &tm);
	object_put_text(o, "zone", tm.tm_zone ? tm.tm_zone : "UTC");
	object_put_number(o, "offset", tm.tm_gmtoff);
	return o;
}

/* Each user once, with the first login. */
static struct json_object *users(struct json_object *args)
{
	struct json_object *list = json_object_new_array(), *seen = json_object_new_object();

	setutxent();
	for (struct utmpx *u; (u = getutxent()) && json_object_array_length(list) < LISTED_MAX;) {
		char name[sizeof(u->ut_user) + 1];
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(u->ut_user), u->ut_user);
		if (u->ut_type != USER_PROCESS || json_object_object_get(seen, name))
			continue;
		struct json_object *o = json_object_new_object();
		object_put_text(o, "user", name);
		json_object_object_add(o, "login-time",
				       json_object_new_double(u->ut_tv.tv_sec +
							      u->ut_tv.tv_usec / 1e6));
		json_object_array_add(list, o);
		json_object_object_add(seen, name, json_object_new_boolean(true));
	}
	endutxent();
	json_object_put(seen);
	return list;
}

static struct json_object *osinfo(struct json_object *args)
{
	static const char *const words[][2] = {
		{ "ID", "id" },
		{ "NAME", "name" },
		{ "PRETTY_NAME", "pretty-name" },
		{ "VERSION", "version" },
		{ "VERSION_ID", "version-id" },
		{ "VARIANT", "variant" },
		{ "VARIANT_ID", "variant-id" },
	};
	struct json_object *o = json_object_new_object();
	struct utsname name;

	if (uname(&name) == 0) {
		object_put_text(o, "kernel-release", name.release);
		object_put_text(o, "kernel-version", name.version);
		object_put_text(o, "machine", name.machine);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		put_release_word(o, words[i][0], words[i][1]);
	return o;
}

/* ---- interfaces ---- */

static struct json_object *interface(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		if (!strcmp(object_text(o, "name"), name))
			return o;
	}
	struct json_object *o = json_object_new_object();
	object_put_text(o, "name", name);
	json_object_array_add(list, o);
	return o;
}

static int prefix_of(const struct sockaddr *mask, int family)
{
	const void *bits = family == AF_INET ?
				   (const void *)&((const struct sockaddr_in *)mask)->sin_addr :
				   (const void *)&((const struct sockaddr_in6 *)mask)->sin6_addr;
	const uint8_t *p = bits;
	int n = 0;

	for (int i = 0; i < (family == AF_INET ? 4 : 16); i++)
		n += __builtin_popcount(p[i]);
	return n;
}

static void put_address(struct json_object *o, const struct ifaddrs *i)
{
	int family = i->ifa_addr->sa_family;
	struct json_object *list = json_object_object_get(o, "ip-addresses");
	char text[INET6_ADDRSTRLEN];
	const void *addr = family == AF_INET ?
				   (void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr :
				   (void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;

	if (!inet_ntop(family, addr, text, sizeof(text)))
		return;
	if (!list) {
		list = json_object_new_array();
		json_object_object_add(o, "ip-addresses", list);
	}
	if (json_object_array_length(list) >= LISTED_MAX)
		return;
	struct json_object *a = json_object_new_object();
	object_put_text(a, "ip-address", text);
	object_put_text(a, "ip-address-type", family == AF_INET ? "ipv4" : "ipv6");
	object_put_number(a, "prefix", i->ifa_netmask ? prefix_of(i->ifa_netmask, family) : 0);
	json_object_array_add(list, a);
}

static void put_hardware(struct json_object *o, const struct sockaddr_ll *ll)
{
	char text[18];
	const uint8_t *p = ll->sll_addr;

	if (ll->sll_halen != 6)
		return;
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4],
		 p[5]);
	object_put_text(o, "hardware-address", text);
}

static struct json_object *interfaces(struct json_object *args)
{
	struct json_object *list = json_object_new_array();
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		qga_fail(NULL, "the interfaces are not known");
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : 0;
		if (json_object_array_length(list) >= LISTED_MAX)
			break;
		struct json_object *o = interface(list, i->ifa_name);
		if (family == AF_PACKET)
			put_hardware(o, (struct sockaddr_ll *)i->ifa_addr);
		else if (family == AF_INET || family == AF_INET6)
			put_address(o, i);
	}
	freeifaddrs(all);
	return list;
}

/* They can be looked at; this machine takes none away. */
static struct json_object *vcpus(struct json_object *args)
{
	struct json_object *list = json_object_new_array();
	long n = sysconf(_SC_NPROCESSORS_CONF);

	for (long i = 0; i < n && i < LISTED_MAX; i++) {
		struct json_object *o = json_object_new_object();
		char path[64];
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/online", i);
		char *online = qga_line(path);
		object_put_number(o, "logical-id", i);
		json_object_object_add(o, "online",
				       json_object_new_boolean(!online || *online == '1'));
		json_object_object_add(o, "can-offline", json_object_new_boolean(false));
		json_object_array_add(list, o);
		free(online);
	}
	return list;
}

const struct qga_command qga_look[] = {
	{ "guest-get-host-name", host_name, true },
	{ "guest-get-timezone", timezone_of },
	{ "guest-get-users", users },
	{ "guest-get-osinfo", osinfo },
	{ "guest-network-get-interfaces", interfaces },
	{ "guest-get-vcpus", vcpus },
	{ 0 },
};
