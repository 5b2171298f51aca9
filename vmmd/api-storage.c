/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of storage pools. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/event.h"
#include "vmmd/pool.h"
#include "vmmd/volume.h"

enum pool_state { POOL_INACTIVE = 0, POOL_RUNNING = 2, POOL_INACCESSIBLE = 4 };
enum pool_flags {
	POOL_BUILD = 1, POOL_BUILD_OVERWRITE = 2, POOL_BUILD_NO_OVERWRITE = 4,	/* of a start */
	POOL_XML_INACTIVE = 1,
	/* of a build: new, repair, resize, no overwrite, overwrite; a folder knows no difference */
	POOL_BUILD_KNOWN = 0xf,
};

/* Of CONNECT_LIST_ALL_STORAGE_POOLS; a pair (or all types) of which none is set is no filter. */
enum pool_list_flags {
	LIST_INACTIVE = 1, LIST_ACTIVE = 2, LIST_PERSISTENT = 4, LIST_TRANSIENT = 8,
	LIST_AUTOSTART = 16, LIST_NO_AUTOSTART = 32, LIST_DIR = 64,
	LIST_TYPES = 0xfffc0, LIST_KNOWN = 0xfffff,
};

struct pool *api_pool_of(struct call *call, const remote_pool *ref)
{
	struct pool *pool = pool_find_uuid(call->daemon, (const uint8_t *)ref->uuid);
	char uuid[UUID_TEXT_BYTES];

	if (pool)
		return pool;
	uuid_to_text((const uint8_t *)ref->uuid, uuid);
	call_fail_text(call, VMM_ERR_NO_POOL,
		       "Storage pool not found: no storage pool with matching uuid '%s' (%s)", uuid,
		       ref->name);
	return NULL;
}

static remote_pool pool_ref(const struct pool *pool)
{
	remote_pool ref = { .name = pool->def->name };

	memcpy(ref.uuid, pool->def->uuid, UUID_BYTES);
	return ref;
}

static void answer_pool(struct call *call, const struct pool *pool, const GError *error)
{
	remote_pool_ret ret;

	if (!pool) {
		call_fail(call, error);
		return;
	}
	ret.pool = pool_ref(pool);
	call_reply(call, &ret);
}

static void answer(struct call *call, const GError *error)
{
	if (error)
		call_fail(call, error);
	else
		call_reply(call, NULL);
}

/* ---- listing ---- */

static bool chosen(unsigned flags, unsigned yes, unsigned no, bool is)
{
	return !(flags & (yes | no)) || flags & (is ? yes : no);
}

static bool pool_chosen(const struct pool *pool, unsigned flags)
{
	return chosen(flags, LIST_ACTIVE, LIST_INACTIVE, pool->active) &&
	       chosen(flags, LIST_PERSISTENT, LIST_TRANSIENT, pool->persistent) &&
	       chosen(flags, LIST_AUTOSTART, LIST_NO_AUTOSTART, pool->autostart) &&
	       (!(flags & LIST_TYPES) || flags & LIST_DIR);
}

static GPtrArray *pools_chosen(struct daemon *daemon, unsigned flags)
{
	GPtrArray *list = g_ptr_array_new();

	for (unsigned i = 0; i < daemon->pools->len; i++)
		if (pool_chosen(g_ptr_array_index(daemon->pools, i), flags))
			g_ptr_array_add(list, g_ptr_array_index(daemon->pools, i));
	return list;
}

static void list_all(struct call *call, const void *argp)
{
	const remote_list_args *args = argp;
	g_autoptr(GPtrArray) list = NULL;
	g_autofree remote_pool *refs = NULL;
	remote_pools_ret ret = { 0 };

	if (!api_flags(call, args->flags, LIST_KNOWN))
		return;
	list = pools_chosen(call->daemon, args->flags);
	refs = g_new0(remote_pool, list->len);
	for (unsigned i = 0; i < list->len; i++)
		refs[i] = pool_ref(g_ptr_array_index(list, i));
	ret.ret = list->len;
	if (args->need_results) {
		ret.pools.pools_len = list->len;
		ret.pools.pools_val = refs;
	}
	call_reply(call, &ret);
}

static void count(struct call *call, unsigned flags)
{
	g_autoptr(GPtrArray) list = pools_chosen(call->daemon, flags);

	call_reply(call, &(remote_int_ret){ (int)list->len });
}

static void names(struct call *call, const void *argp, unsigned flags)
{
	const remote_int_args *args = argp;
	g_autoptr(GPtrArray) list = pools_chosen(call->daemon, flags);
	unsigned n = MIN(list->len, (unsigned)MAX(args->num, 0));
	g_autofree remote_text *texts = g_new0(remote_text, n);
	remote_names_ret ret = { .names = { n, texts } };

	for (unsigned i = 0; i < n; i++)
		texts[i] = ((struct pool *)g_ptr_array_index(list, i))->def->name;
	call_reply(call, &ret);
}

static void num_active(struct call *call, const void *argp)
{
	count(call, LIST_ACTIVE);
}

static void num_inactive(struct call *call, const void *argp)
{
	count(call, LIST_INACTIVE);
}

static void names_active(struct call *call, const void *argp)
{
	names(call, argp, LIST_ACTIVE);
}

static void names_inactive(struct call *call, const void *argp)
{
	names(call, argp, LIST_INACTIVE);
}

/* ---- looking up ---- */

static void found(struct call *call, const struct pool *pool, const char *what, const char *key)
{
	g_autoptr(GError) error = NULL;

	if (!pool)
		error_set(&error, VMM_ERR_NO_POOL,
			  "Storage pool not found: no storage pool with matching %s '%s'", what,
			  key);
	answer_pool(call, pool, error);
}

static void by_name(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	found(call, pool_find_name(call->daemon, args->name), "name", args->name);
}

static void by_uuid(struct call *call, const void *argp)
{
	const remote_uuid_args *args = argp;
	char text[UUID_TEXT_BYTES];

	uuid_to_text((const uint8_t *)args->uuid, text);
	found(call, pool_find_uuid(call->daemon, (const uint8_t *)args->uuid), "uuid", text);
}

static void by_volume(struct call *call, const void *argp)
{
	const remote_vol_args *args = argp;

	found(call, pool_find_name(call->daemon, args->vol.pool), "name", args->vol.pool);
}

static void by_path(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	found(call, pool_find_path(call->daemon, args->name), "target path", args->name);
}

/* ---- changing ---- */

static void define(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;
	g_autoptr(GError) error = NULL;
	struct pool *pool;
	pool_def *def;

	if (!api_flags(call, args->flags, STORAGE_PARSE_VALIDATE))
		return;
	def = pool_def_parse(args->xml, args->flags, &error);
	pool = def ? pool_define(call->daemon, def, true, &error) : NULL;
	answer_pool(call, pool, error);
}

static void create_xml(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;
	g_autoptr(GError) error = NULL, ignored = NULL;
	struct pool *pool;
	pool_def *def;

	if (!api_flags(call, args->flags,
		       POOL_BUILD | POOL_BUILD_OVERWRITE | POOL_BUILD_NO_OVERWRITE))
		return;
	def = pool_def_parse(args->xml, 0, &error);
	pool = def ? pool_define(call->daemon, def, false, &error) : NULL;
	if (pool && !pool_start(pool, args->flags != 0, &error)) {
		if (!pool->persistent)
			pool_undefine(pool, &ignored);
		pool = NULL;
	}
	answer_pool(call, pool, error);
}

static void create(struct call *call, const void *argp)
{
	const remote_pool_flags_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;

	if (!pool || !api_flags(call, args->flags,
				POOL_BUILD | POOL_BUILD_OVERWRITE | POOL_BUILD_NO_OVERWRITE))
		return;
	pool_start(pool, args->flags != 0, &error);
	answer(call, error);
}

static void build(struct call *call, const void *argp)
{
	const remote_pool_flags_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;

	if (!pool || !api_flags(call, args->flags, POOL_BUILD_KNOWN))
		return;
	pool_build(pool, &error);
	answer(call, error);
}

static void destroy(struct call *call, const void *argp)
{
	const remote_pool_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;

	if (!pool)
		return;
	pool_stop(pool, &error);
	answer(call, error);
}

static void delete(struct call *call, const void *argp)
{
	const remote_pool_flags_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;

	if (!pool || !api_flags(call, args->flags, 0))
		return;
	pool_delete(pool, &error);
	answer(call, error);
}

static void undefine(struct call *call, const void *argp)
{
	const remote_pool_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;

	if (!pool)
		return;
	pool_undefine(pool, &error);
	answer(call, error);
}

/* There is nothing to be read again; that the folder is still there is worth an answer. */
static void refresh(struct call *call, const void *argp)
{
	const remote_pool_flags_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GPtrArray) list = NULL;
	g_autoptr(GError) error = NULL;

	if (!pool || !api_flags(call, args->flags, 0))
		return;
	list = volume_list(pool, &error);
	if (list)
		event_pool_refreshed(pool);
	answer(call, error);
}

static void set_autostart(struct call *call, const void *argp)
{
	const remote_pool_int_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;

	if (!pool)
		return;
	pool_set_autostart(pool, args->num != 0, &error);
	answer(call, error);
}

/* ---- asking ---- */

static void get_info(struct call *call, const void *argp)
{
	const remote_pool_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	remote_pool_info_ret ret = { 0 };
	struct pool_space space = { 0 };

	if (!pool)
		return;
	if (pool->active)
		ret.state = pool_space(pool, &space, NULL) ? POOL_RUNNING : POOL_INACCESSIBLE;
	ret.capacity = space.capacity;
	ret.allocation = space.allocation;
	ret.available = space.available;
	call_reply(call, &ret);
}

static void get_xml(struct call *call, const void *argp)
{
	const remote_pool_flags_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autofree char *xml = NULL;
	struct pool_space space;
	bool known;

	if (!pool || !api_flags(call, args->flags, POOL_XML_INACTIVE))
		return;
	known = pool->active && !args->flags && pool_space(pool, &space, NULL);
	xml = pool_def_format(pool->def, known ? &space : NULL);
	call_reply(call, &(remote_text_ret){ .text = xml });
}

static void number(struct call *call, const remote_pool *ref, bool (*get)(const struct pool *pool))
{
	struct pool *pool = api_pool_of(call, ref);

	if (pool)
		call_reply(call, &(remote_int_ret){ get(pool) });
}

static bool is_active(const struct pool *pool)
{
	return pool->active;
}

static bool is_persistent(const struct pool *pool)
{
	return pool->persistent;
}

static bool is_autostart(const struct pool *pool)
{
	return pool->autostart;
}

static void get_autostart(struct call *call, const void *argp)
{
	number(call, &((const remote_pool_args *)argp)->pool, is_autostart);
}

static void get_active(struct call *call, const void *argp)
{
	number(call, &((const remote_pool_args *)argp)->pool, is_active);
}

static void get_persistent(struct call *call, const void *argp)
{
	number(call, &((const remote_pool_args *)argp)->pool, is_persistent);
}

const struct api_entry api_storage[] = {
	{ REMOTE_PROC_CONNECT_LIST_ALL_STORAGE_POOLS, list_all },
	{ REMOTE_PROC_CONNECT_NUM_OF_STORAGE_POOLS, num_active },
	{ REMOTE_PROC_CONNECT_LIST_STORAGE_POOLS, names_active },
	{ REMOTE_PROC_CONNECT_NUM_OF_DEFINED_STORAGE_POOLS, num_inactive },
	{ REMOTE_PROC_CONNECT_LIST_DEFINED_STORAGE_POOLS, names_inactive },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_NAME, by_name },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_UUID, by_uuid },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_VOLUME, by_volume },
	{ REMOTE_PROC_STORAGE_POOL_LOOKUP_BY_TARGET_PATH, by_path },
	{ REMOTE_PROC_STORAGE_POOL_DEFINE_XML, define },
	{ REMOTE_PROC_STORAGE_POOL_CREATE_XML, create_xml },
	{ REMOTE_PROC_STORAGE_POOL_CREATE, create },
	{ REMOTE_PROC_STORAGE_POOL_BUILD, build },
	{ REMOTE_PROC_STORAGE_POOL_DESTROY, destroy },
	{ REMOTE_PROC_STORAGE_POOL_DELETE, delete },
	{ REMOTE_PROC_STORAGE_POOL_UNDEFINE, undefine },
	{ REMOTE_PROC_STORAGE_POOL_REFRESH, refresh },
	{ REMOTE_PROC_STORAGE_POOL_GET_INFO, get_info },
	{ REMOTE_PROC_STORAGE_POOL_GET_XML_DESC, get_xml },
	{ REMOTE_PROC_STORAGE_POOL_GET_AUTOSTART, get_autostart },
	{ REMOTE_PROC_STORAGE_POOL_SET_AUTOSTART, set_autostart },
	{ REMOTE_PROC_STORAGE_POOL_IS_ACTIVE, get_active },
	{ REMOTE_PROC_STORAGE_POOL_IS_PERSISTENT, get_persistent },
	{ 0 }
};
