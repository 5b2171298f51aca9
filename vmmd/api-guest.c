/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest says of itself: guestinfo and file systems.  All of it is the guest's word. */
#include "config.h"

#include <string.h>

#include "images/agent/object.h"
#include "vmmd/agent-call.h"
#include "vmmd/api.h"
#include "vmmd/params.h"

#define LISTED_MAX 64
#define SLACK 64	/* parameters that one thing of a list may have */

typedef void fill_fn(GArray *params, const struct domain *dom, struct json_object *ret);

/* A list may be longer than a reply: what does not fit is left out, and not counted. */
static bool is_full(const GArray *params)
{
	return params->len + SLACK > REMOTE_PARAMS_MAX;
}

static void put_text(GArray *params, struct json_object *o, const char *key, const char *name)
{
	const char *text = object_text(o, key);

	if (text)
		params_text(params, text, "%s", name);
}

/* ---- disks ---- */

/* "/dev/vdb1" is on the second disk: the machine announces them in the definition's order. */
static const char *target_of(const struct domain *dom, const char *device)
{
	const char *base = device ? strrchr(device, '/') : NULL;
	unsigned n = base && g_str_has_prefix(base, "/vd") && g_ascii_islower(base[3]) &&
				     !g_ascii_islower(base[4]) ?
			     (unsigned)(base[3] - 'a') :
			     G_MAXUINT;
	const struct disk_def *d =
		dom && dom->live && n < dom->live->disks->len ? dom->live->disks->pdata[n] : NULL;

	return d ? d->target : NULL;
}

/* ---- guestinfo ---- */

static void fill_users(GArray *params, const struct domain *dom, struct json_object *ret)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest_list(ret, LISTED_MAX) && !is_full(params); i++) {
		struct json_object *o = guest_item(ret, i);
		const char *user = o ? object_text(o, "user") : NULL;
		double s = o ? json_object_get_double(json_object_object_get(o, "login-time")) : 0;

		if (!user)
			continue;
		params_text(params, user, "user.%u.name", n);
		if (object_text(o, "domain"))
			params_text(params, object_text(o, "domain"), "user.%u.domain", n);
		if (s > 0 && s < 1e12)
			params_uhyper(params, (uint64_t)(s * 1000), "user.%u.login-time", n);
		n++;
	}
	params_uint(params, n, "user.count");
}

static void fill_os(GArray *params, const struct domain *dom, struct json_object *ret)
{
	static const char *const words[] = { "id", "name", "pretty-name", "version", "version-id",
					     "kernel-release", "kernel-version", "machine",
					     "variant", "variant-id" };

	for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
		g_autofree char *name = g_strdup_printf("os.%s", words[i]);
		put_text(params, ret, words[i], name);
	}
}

static void fill_zone(GArray *params, const struct domain *dom, struct json_object *ret)
{
	int64_t offset = json_object_get_int64(json_object_object_get(ret, "offset"));

	put_text(params, ret, "zone", "timezone.name");
	params_int(params, (int)CLAMP(offset, -86400, 86400), "timezone.offset");
}

static void fill_host_name(GArray *params, const struct domain *dom, struct json_object *ret)
{
	put_text(params, ret, "host-name", "hostname");
}

static void fill_fs_disks(GArray *params, const struct domain *dom, unsigned fs,
			  struct json_object *list)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest_list(list, 8); i++) {
		struct json_object *o = guest_item(list, i);
		const char *dev = o ? object_text(o, "dev") : NULL, *target = target_of(dom, dev);

		if (target)
			params_text(params, target, "fs.%u.disk.%u.alias", fs, n);
		if (o && object_text(o, "serial"))
			params_text(params, object_text(o, "serial"), "fs.%u.disk.%u.serial", fs,
				    n);
		if (dev)
			params_text(params, dev, "fs.%u.disk.%u.device", fs, n);
		n++;
	}
	params_uint(params, n, "fs.%u.disk.count", fs);
}

static void fill_fs(GArray *params, const struct domain *dom, struct json_object *ret)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest_list(ret, LISTED_MAX) && !is_full(params); i++) {
		struct json_object *o = guest_item(ret, i);
		const char *point = o ? object_text(o, "mountpoint") : NULL;

		if (!point)
			continue;
		params_text(params, point, "fs.%u.mountpoint", n);
		if (object_text(o, "name"))
			params_text(params, object_text(o, "name"), "fs.%u.name", n);
		if (object_text(o, "type"))
			params_text(params, object_text(o, "type"), "fs.%u.fstype", n);
		if (json_object_object_get(o, "total-bytes"))
			params_uhyper(params, guest_number(o, "total-bytes"), "fs.%u.total-bytes",
				      n);
		if (json_object_object_get(o, "used-bytes"))
			params_uhyper(params, guest_number(o, "used-bytes"), "fs.%u.used-bytes", n);
		fill_fs_disks(params, dom, n, json_object_object_get(o, "disk"));
		n++;
	}
	params_uint(params, n, "fs.count");
}

static void fill_disks(GArray *params, const struct domain *dom, struct json_object *ret)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest_list(ret, LISTED_MAX) && !is_full(params); i++) {
		struct json_object *o = guest_item(ret, i);
		const char *name = o ? object_text(o, "name") : NULL;
		bool part = o && object_flag(o, "partition");

		if (!name)
			continue;
		params_text(params, name, "disk.%u.name", n);
		params_int(params, part, "disk.%u.partition", n);
		if (!part && target_of(dom, name))
			params_text(params, target_of(dom, name), "disk.%u.alias", n);
		n++;
	}
	params_uint(params, n, "disk.count");
}

static void fill_addresses(GArray *params, unsigned iface, struct json_object *list)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest_list(list, 16); i++) {
		struct json_object *o = guest_item(list, i);
		const char *addr = o ? object_text(o, "ip-address") : NULL;
		const char *type = o ? object_text(o, "ip-address-type") : NULL;

		if (!addr || !type)
			continue;
		params_text(params, type, "if.%u.addr.%u.type", iface, n);
		params_text(params, addr, "if.%u.addr.%u.addr", iface, n);
		params_uint(params, (unsigned)MIN(guest_number(o, "prefix"), 128),
			    "if.%u.addr.%u.prefix", iface, n);
		n++;
	}
	params_uint(params, n, "if.%u.addr.count", iface);
}

static void fill_ifaces(GArray *params, const struct domain *dom, struct json_object *ret)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest_list(ret, LISTED_MAX) && !is_full(params); i++) {
		struct json_object *o = guest_item(ret, i);
		const char *name = o ? object_text(o, "name") : NULL;

		if (!name)
			continue;
		params_text(params, name, "if.%u.name", n);
		if (object_text(o, "hardware-address"))
			params_text(params, object_text(o, "hardware-address"), "if.%u.hwaddr", n);
		fill_addresses(params, n, json_object_object_get(o, "ip-addresses"));
		n++;
	}
	params_uint(params, n, "if.count");
}

static const struct part {
	unsigned bit;
	const char *command;
	bool list;
	fill_fn *fill;
} parts[] = {
	{ 1, "guest-get-users", true, fill_users },
	{ 2, "guest-get-osinfo", false, fill_os },
	{ 4, "guest-get-timezone", false, fill_zone },
	{ 8, "guest-get-host-name", false, fill_host_name },
	{ 0x10, "guest-get-fsinfo", true, fill_fs },
	{ 0x20, "guest-get-disks", true, fill_disks },
	{ 0x40, "guest-network-get-interfaces", true, fill_ifaces },
};

/* One command after the other; of what was not asked for by name, what fails is left out. */
struct info {
	struct call *call;
	unsigned types, at;
	GArray *params;
	GError *error;		/* the first */
	unsigned answered;
};

static void info_next(struct info *i);

static void info_end(struct info *i)
{
	remote_param *params = (remote_param *)(void *)i->params->data;
	remote_params_only_ret wire = { { i->params->len, params } };

	if (i->error && (i->types || !i->answered))
		call_fail(i->call, i->error);
	else
		call_reply(i->call, &wire);
	g_clear_error(&i->error);
	g_array_unref(i->params);
	g_free(i);
}

static void on_part(struct json_object *ret, const char *text, const GError *error, void *opaque)
{
	struct info *i = opaque;
	const struct part *p = &parts[i->at++];
	bool fits = json_object_is_type(ret, p->list ? json_type_array : json_type_object);

	if (!error && fits) {
		p->fill(i->params, domain_find_uuid(i->call->daemon->domains, i->call->about), ret);
		i->answered++;
	} else if (error && !i->error) {
		i->error = g_error_copy(error);
	}
	if (error && g_error_matches(error, VMM_ERROR, VMM_ERR_AGENT))
		i->at = G_N_ELEMENTS(parts);	/* the rest would only wait in vain, too */
	info_next(i);
}

static void info_next(struct info *i)
{
	struct domain *dom = domain_find_uuid(i->call->daemon->domains, i->call->about);
	g_autofree char *command = NULL;
	struct agent_wish wish = { 0 };

	while (i->at < G_N_ELEMENTS(parts) && i->types && !(i->types & parts[i->at].bit))
		i->at++;
	if (!dom || i->at >= G_N_ELEMENTS(parts)) {
		info_end(i);
		return;
	}
	command = agent_command(parts[i->at].command, NULL);
	wish.command = command;
	wish.who = i->call->session ? session_who(i->call->session) : "guestinfo";
	agent_ask(dom, &wish, on_part, i);
}

static void get_guest_info(struct call *call, const void *argp)
{
	const remote_dom_uint_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct info *i;

	if (!dom || !api_flags(call, args->flags & ~PARAM_STRINGS, 0))
		return;
	if (args->num & ~0x7fu) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: unknown kinds of information (0x%x)", args->num);
		return;
	}
	i = g_new0(struct info, 1);
	i->call = call;
	i->types = args->num;
	i->params = params_new();
	info_next(i);
}

/* ---- domfsinfo ---- */

static void reply_fsinfo(struct call *call, struct domain *dom, struct json_object *ret)
{
	size_t n = guest_list(ret, 256);
	g_autofree remote_fsinfo *info = g_new0(remote_fsinfo, n);
	g_autofree remote_text *aliases = g_new0(remote_text, n);
	remote_fsinfo_ret wire = { .info = { 0, info } };

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = guest_item(ret, i);
		const char *name = o ? object_text(o, "name") : NULL;
		const char *point = o ? object_text(o, "mountpoint") : NULL;
		const char *type = o ? object_text(o, "type") : NULL;
		struct json_object *disks = o ? json_object_object_get(o, "disk") : NULL;
		struct json_object *disk = guest_list(disks, 1) ? guest_item(disks, 0) : NULL;
		const char *target = disk ? target_of(dom, object_text(disk, "dev")) : NULL;

		if (!name || !point || !type)
			continue;
		aliases[i] = (char *)target;
		info[wire.info.info_len++] = (remote_fsinfo){
			(char *)point, (char *)name, (char *)type, { target != NULL, &aliases[i] },
		};
	}
	wire.ret = wire.info.info_len;
	call_reply(call, &wire);
}

static void get_fsinfo(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		agent_call(call, dom, "guest-get-fsinfo", NULL, 0, reply_fsinfo);
}

const struct api_entry api_guest[] = {
	{ REMOTE_PROC_DOMAIN_GET_GUEST_INFO, get_guest_info },
	{ REMOTE_PROC_DOMAIN_GET_FSINFO, get_fsinfo },
	{ 0 }
};
