/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices of the host: the host itself, which clients look for, and no other,
 * since none is handed to machines.
 */
#include "config.h"

#include "libvmm/host/node.h"
#include "vmmd/api.h"

#define COMPUTER "computer"		/* libvirt's name, which clients know */
#define CAP_SYSTEM 1u
#define CAPS_KNOWN 0x3fffffu
#define LIST_INACTIVE 0x40000000u
#define LIST_ACTIVE 0x80000000u

static bool is_computer(struct call *call, const char *name)
{
	if (g_str_equal(name, COMPUTER))
		return true;
	call_fail_text(call, VMM_ERR_NO_NODE_DEVICE,
		       "Node device not found: no node device with matching name '%s': devices of "
		       "the host are not handed to machines", name);
	return false;
}

static void list_all(struct call *call, const void *argp)
{
	const remote_list_args *args = argp;
	unsigned caps = args->flags & CAPS_KNOWN, states = args->flags & ~CAPS_KNOWN;
	remote_nodedev computer = { (char *)COMPUTER };
	remote_nodedevs_ret ret = { 0 };

	if (!api_flags(call, args->flags, CAPS_KNOWN | LIST_INACTIVE | LIST_ACTIVE))
		return;
	ret.ret = (!caps || caps & CAP_SYSTEM) && (!states || states & LIST_ACTIVE);
	if (args->need_results)
		ret.devices.devices_len = ret.ret, ret.devices.devices_val = &computer;
	call_reply(call, &ret);
}

static bool wanted(const remote_opt_text cap)
{
	return !cap || g_str_equal(*cap, "system");
}

static void count(struct call *call, const void *argp)
{
	const remote_cap_flags_args *args = argp;

	if (api_flags(call, args->flags, 0))
		call_reply(call, &(remote_int_ret){ wanted(args->cap) });
}

static void names(struct call *call, const void *argp)
{
	const remote_cap_max_args *args = argp;
	remote_text name = (char *)COMPUTER;

	if (api_flags(call, args->flags, 0))
		call_reply(call, &(remote_names_ret){
			.names = { wanted(args->cap) && args->max > 0, &name } });
}

static void lookup(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	if (is_computer(call, args->name))
		call_reply(call, &(remote_nodedev_ret){ .dev = { (char *)COMPUTER } });
}

static void get_xml(struct call *call, const void *argp)
{
	const remote_name_flags_args *args = argp;
	g_autofree char *xml = NULL;

	if (!is_computer(call, args->name) || !api_flags(call, args->flags, 0))
		return;
	xml = node_device_xml(COMPUTER);
	call_reply(call, &(remote_text_ret){ .text = xml });
}

static void get_parent(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	if (is_computer(call, args->name))
		call_reply(call, &(remote_opt_text_ret){ NULL });
}

static void list_caps(struct call *call, const void *argp)
{
	const remote_name_int_args *args = argp;
	remote_text system = (char *)"system";

	if (is_computer(call, args->name))
		call_reply(call, &(remote_names_ret){ .names = { args->num > 0, &system } });
}

/* Its capabilities are one; it is there, and will be. */
static void one(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	if (is_computer(call, args->name))
		call_reply(call, &(remote_int_ret){ 1 });
}

const struct api_entry api_nodedev[] = {
	{ REMOTE_PROC_CONNECT_LIST_ALL_NODE_DEVICES, list_all },
	{ REMOTE_PROC_NODE_NUM_OF_DEVICES, count },
	{ REMOTE_PROC_NODE_LIST_DEVICES, names },
	{ REMOTE_PROC_NODE_DEVICE_LOOKUP_BY_NAME, lookup },
	{ REMOTE_PROC_NODE_DEVICE_GET_XML_DESC, get_xml },
	{ REMOTE_PROC_NODE_DEVICE_GET_PARENT, get_parent },
	{ REMOTE_PROC_NODE_DEVICE_NUM_OF_CAPS, one },
	{ REMOTE_PROC_NODE_DEVICE_LIST_CAPS, list_caps },
	{ REMOTE_PROC_NODE_DEVICE_GET_AUTOSTART, one },
	{ REMOTE_PROC_NODE_DEVICE_IS_PERSISTENT, one },
	{ REMOTE_PROC_NODE_DEVICE_IS_ACTIVE, one },
	{ 0 }
};
