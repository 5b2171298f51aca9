/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of storage pools: there are none, and clients may know. */
#include "config.h"

#include "vmmd/api.h"

static void no_list(struct call *call, const void *argp)
{
	call_reply(call, &(remote_pools_ret){ 0 });
}

static void no_number(struct call *call, const void *argp)
{
	call_reply(call, &(remote_int_ret){ 0 });
}

static void no_names(struct call *call, const void *argp)
{
	call_reply(call, &(remote_names_ret){ 0 });
}

static void no_pool_named(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	call_fail_text(call, VMM_ERR_NO_POOL,
		       "Storage pool not found: no storage pool with matching name "
		       "or path '%s'",
		       args->name);
}

static void no_pool(struct call *call, const void *argp)
{
	call_fail_text(call, VMM_ERR_NO_POOL, "Storage pool not found");
}

static void no_volume(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	call_fail_text(call, VMM_ERR_NO_VOLUME,
		       "Storage volume not found: no storage vol with matching key "
		       "or path '%s'",
		       args->name);
}

const struct api_entry api_storage[] = {
	{ REMOTE_PROC_CONNECT_LIST_ALL_STORAGE_POOLS, no_list },
	{ REMOTE_PROC_CONNECT_NUM_OF_STORAGE_POOLS, no_number },
	{ REMOTE_PROC_CONNECT_LIST_STORAGE_POOLS, no_names },
	{ REMOTE_PROC_CONNECT_NUM_OF_DEFINED_STORAGE_POOLS, no_number },
	{ REMOTE_PROC_CONNECT_LIST_DEFINED_STORAGE_POOLS, no_names },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_NAME, no_pool_named },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_UUID, no_pool },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_TARGET_PATH, no_pool_named },
	{ REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_KEY, no_volume },
	{ REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_PATH, no_volume },
	{ 0 }
};
