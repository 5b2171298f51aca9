/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of host interfaces, filters, secrets: there are none, and clients may know. */
#include "config.h"

#include "vmmd/api.h"

static void no_number(struct call *call, const void *argp)
{
	call_reply(call, &(remote_int_ret){ 0 });
}

static void no_names(struct call *call, const void *argp)
{
	call_reply(call, &(remote_names_ret){ 0 });
}

/* Flags filter, and nothing is left of nothing. All these results are an array and a count. */
static void no_list(struct call *call, const void *argp)
{
	call_reply(call, &(remote_nets_ret){ 0 });
}

const struct api_entry api_nothing[] = {
	{ REMOTE_PROC_CONNECT_LIST_ALL_INTERFACES, no_list },
	{ REMOTE_PROC_CONNECT_NUM_OF_INTERFACES, no_number },
	{ REMOTE_PROC_CONNECT_NUM_OF_DEFINED_INTERFACES, no_number },
	{ REMOTE_PROC_CONNECT_LIST_ALL_NWFILTERS, no_list },
	{ REMOTE_PROC_CONNECT_NUM_OF_NWFILTERS, no_number },
	{ REMOTE_PROC_CONNECT_LIST_NWFILTERS, no_names },
	{ REMOTE_PROC_CONNECT_LIST_ALL_NWFILTER_BINDINGS, no_list },
	{ REMOTE_PROC_CONNECT_LIST_ALL_SECRETS, no_list },
	{ REMOTE_PROC_CONNECT_NUM_OF_SECRETS, no_number },
	{ REMOTE_PROC_CONNECT_LIST_SECRETS, no_names },
	{ 0 }
};
