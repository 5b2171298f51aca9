/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools, known by name and uuid; volumes, known by their pool's name and their own. */
#include "config.h"

#include <string.h>

#include "libvmm/client/client-priv.h"
#include "libvmm/util/uuid.h"

struct vmm_pool {
	vmm_connect *conn;
	char *name;
	uint8_t uuid[UUID_BYTES];
	char uuid_text[UUID_TEXT_BYTES];
};

/* ---- pools ---- */

vmm_pool *pool_from_wire(vmm_connect *conn, const remote_pool *wire)
{
	vmm_pool *pool = g_new0(struct vmm_pool, 1);

	pool->conn = connect_ref(conn);
	pool->name = g_strdup(wire->name);
	memcpy(pool->uuid, wire->uuid, UUID_BYTES);
	uuid_to_text(pool->uuid, pool->uuid_text);
	return pool;
}

remote_pool pool_to_wire(const vmm_pool *pool)
{
	remote_pool wire = { .name = pool->name };

	memcpy(wire.uuid, pool->uuid, UUID_BYTES);
	return wire;
}

void vmm_pool_free(vmm_pool *pool)
{
	if (!pool)
		return;
	connect_unref(pool->conn);
	g_free(pool->name);
	g_free(pool);
}

const char *vmm_pool_name(const vmm_pool *pool)
{
	return pool->name;
}

const char *vmm_pool_uuid(const vmm_pool *pool)
{
	return pool->uuid_text;
}

GPtrArray *vmm_pool_list(vmm_connect *conn, unsigned flags, GError **error)
{
	remote_list_args args = { .need_results = 1, .flags = flags };
	remote_pools_ret ret;
	GPtrArray *list;

	if (!CALL(conn, CONNECT_LIST_ALL_STORAGE_POOLS, list_args, &args, pools_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func((GDestroyNotify)vmm_pool_free);
	for (u_int i = 0; i < ret.pools.pools_len; i++)
		g_ptr_array_add(list, pool_from_wire(conn, &ret.pools.pools_val[i]));
	FREE(pools_ret, &ret);
	return list;
}

static vmm_pool *pool_take(vmm_connect *conn, remote_pool_ret *ret)
{
	vmm_pool *pool = pool_from_wire(conn, &ret->pool);

	FREE(pool_ret, ret);
	return pool;
}

vmm_pool *vmm_pool_lookup(vmm_connect *conn, const char *text, GError **error)
{
	remote_name_args by_name = { .name = (char *)text };
	remote_uuid_args by_uuid;
	remote_pool_ret ret;

	if (uuid_from_text(text, (uint8_t *)by_uuid.uuid) &&
	    CALL(conn, STORAGE_POOL_LOOKUP_BY_UUID, uuid_args, &by_uuid, pool_ret, &ret, NULL))
		return pool_take(conn, &ret);
	if (!CALL(conn, STORAGE_POOL_LOOKUP_BY_NAME, name_args, &by_name, pool_ret, &ret, error))
		return NULL;
	return pool_take(conn, &ret);
}

vmm_pool *vmm_pool_define_xml(vmm_connect *conn, const char *xml, unsigned flags, GError **error)
{
	remote_xml_flags_args args = { .xml = (char *)xml, .flags = flags };
	remote_pool_ret ret;

	if (!CALL(conn, STORAGE_POOL_DEFINE_XML, xml_flags_args, &args, pool_ret, &ret, error))
		return NULL;
	return pool_take(conn, &ret);
}

vmm_pool *vmm_pool_create_xml(vmm_connect *conn, const char *xml, unsigned flags, GError **error)
{
	remote_xml_flags_args args = { .xml = (char *)xml, .flags = flags };
	remote_pool_ret ret;

	if (!CALL(conn, STORAGE_POOL_CREATE_XML, xml_flags_args, &args, pool_ret, &ret, error))
		return NULL;
	return pool_take(conn, &ret);
}

bool vmm_pool_do(vmm_pool *pool, enum vmm_pool_op op, unsigned flags, GError **error)
{
	static const int with_flags[] = {
		[VMM_POOL_START] = REMOTE_PROC_STORAGE_POOL_CREATE,
		[VMM_POOL_BUILD] = REMOTE_PROC_STORAGE_POOL_BUILD,
		[VMM_POOL_DELETE] = REMOTE_PROC_STORAGE_POOL_DELETE,
		[VMM_POOL_REFRESH] = REMOTE_PROC_STORAGE_POOL_REFRESH,
	};
	remote_pool_flags_args args = { .pool = pool_to_wire(pool), .flags = flags };
	remote_pool_args plain = { .pool = pool_to_wire(pool) };
	remote_none none;

	if (op == VMM_POOL_STOP)
		return CALL(pool->conn, STORAGE_POOL_DESTROY, pool_args, &plain, none, &none,
			    error);
	if (op == VMM_POOL_UNDEFINE)
		return CALL(pool->conn, STORAGE_POOL_UNDEFINE, pool_args, &plain, none, &none,
			    error);
	return connect_call(pool->conn, with_flags[op], (xdrproc_t)xdr_remote_pool_flags_args,
			    &args, (xdrproc_t)xdr_remote_none, &none, sizeof(none), error);
}

bool vmm_pool_set_autostart(vmm_pool *pool, bool on, GError **error)
{
	remote_pool_int_args args = { .pool = pool_to_wire(pool), .num = on };
	remote_none none;

	return CALL(pool->conn, STORAGE_POOL_SET_AUTOSTART, pool_int_args, &args, none, &none,
		    error);
}

static bool pool_number(vmm_pool *pool, int procedure, bool *ret_on, GError **error)
{
	remote_pool_args args = { .pool = pool_to_wire(pool) };
	remote_int_ret ret;

	if (!connect_call(pool->conn, procedure, (xdrproc_t)xdr_remote_pool_args, &args,
			  (xdrproc_t)xdr_remote_int_ret, &ret, sizeof(ret), error))
		return false;
	*ret_on = ret.num;
	return true;
}

bool vmm_pool_info(vmm_pool *pool, struct vmm_pool_info *ret, GError **error)
{
	remote_pool_args args = { .pool = pool_to_wire(pool) };
	remote_pool_info_ret info;

	if (!CALL(pool->conn, STORAGE_POOL_GET_INFO, pool_args, &args, pool_info_ret, &info,
		  error))
		return false;
	ret->state = info.state;
	ret->capacity = info.capacity;
	ret->allocation = info.allocation;
	ret->available = info.available;
	return pool_number(pool, REMOTE_PROC_STORAGE_POOL_GET_AUTOSTART, &ret->autostart, error) &&
	       pool_number(pool, REMOTE_PROC_STORAGE_POOL_IS_PERSISTENT, &ret->persistent, error);
}

char *vmm_pool_xml(vmm_pool *pool, unsigned flags, GError **error)
{
	remote_pool_flags_args args = { .pool = pool_to_wire(pool), .flags = flags };
	remote_text_ret ret;
	char *xml;

	if (!CALL(pool->conn, STORAGE_POOL_GET_XML_DESC, pool_flags_args, &args, text_ret, &ret,
		  error))
		return NULL;
	xml = g_strdup(ret.text);
	FREE(text_ret, &ret);
	return xml;
}

char **vmm_pool_volumes(vmm_pool *pool, GError **error)
{
	remote_pool_list_args args = { .pool = pool_to_wire(pool), .need_results = 1 };
	g_autoptr(GStrvBuilder) names = NULL;
	remote_vols_ret ret;

	if (!CALL(pool->conn, STORAGE_POOL_LIST_ALL_VOLUMES, pool_list_args, &args, vols_ret, &ret,
		  error))
		return NULL;
	names = g_strv_builder_new();
	for (u_int i = 0; i < ret.vols.vols_len; i++)
		g_strv_builder_add(names, ret.vols.vols_val[i].name);
	FREE(vols_ret, &ret);
	return g_strv_builder_end(names);
}

/* ---- volumes ---- */

remote_vol volume_to_wire(const struct vmm_volume *vol)
{
	return (remote_vol){ .pool = vol->pool, .name = vol->name, .key = (char *)"" };
}

void vmm_volume_free(struct vmm_volume *vol)
{
	if (!vol)
		return;
	g_free(vol->pool);
	g_free(vol->name);
	g_free(vol->path);
	g_free(vol);
}

static struct vmm_volume *volume_take(remote_vol_ret *ret)
{
	struct vmm_volume *vol = g_new0(struct vmm_volume, 1);

	vol->pool = g_strdup(ret->vol.pool);
	vol->name = g_strdup(ret->vol.name);
	vol->path = g_strdup(ret->vol.key);
	FREE(vol_ret, ret);
	return vol;
}

struct vmm_volume *vmm_volume_lookup(vmm_pool *pool, const char *name, GError **error)
{
	remote_pool_name_args args = { .pool = pool_to_wire(pool), .name = (char *)name };
	remote_vol_ret ret;

	return CALL(pool->conn, STORAGE_VOL_LOOKUP_BY_NAME, pool_name_args, &args, vol_ret, &ret,
		    error) ? volume_take(&ret) : NULL;
}

struct vmm_volume *vmm_volume_lookup_by_path(vmm_connect *conn, const char *path, GError **error)
{
	remote_name_args args = { .name = (char *)path };
	remote_vol_ret ret;

	return CALL(conn, STORAGE_VOL_LOOKUP_BY_PATH, name_args, &args, vol_ret, &ret, error) ?
		       volume_take(&ret) : NULL;
}

struct vmm_volume *vmm_volume_create_xml(vmm_pool *pool, const char *xml,
					 const struct vmm_volume *from, unsigned flags,
					 GError **error)
{
	remote_pool_xml_flags_args args = {
		.pool = pool_to_wire(pool), .xml = (char *)xml, .flags = flags,
	};
	remote_vol_create_from_args copy = {
		.pool = args.pool, .xml = args.xml, .flags = flags,
	};
	remote_vol_ret ret;

	if (from)
		copy.clonevol = volume_to_wire(from);
	if (from ? !CALL(pool->conn, STORAGE_VOL_CREATE_XML_FROM, vol_create_from_args, &copy,
			 vol_ret, &ret, error) :
		   !CALL(pool->conn, STORAGE_VOL_CREATE_XML, pool_xml_flags_args, &args, vol_ret,
			 &ret, error))
		return NULL;
	return volume_take(&ret);
}

bool vmm_volume_delete(vmm_connect *conn, const struct vmm_volume *vol, unsigned flags,
		       GError **error)
{
	remote_vol_flags_args args = { .vol = volume_to_wire(vol), .flags = flags };
	remote_none none;

	return CALL(conn, STORAGE_VOL_DELETE, vol_flags_args, &args, none, &none, error);
}

bool vmm_volume_wipe(vmm_connect *conn, const struct vmm_volume *vol, GError **error)
{
	remote_vol_flags_args args = { .vol = volume_to_wire(vol) };
	remote_none none;

	return CALL(conn, STORAGE_VOL_WIPE, vol_flags_args, &args, none, &none, error);
}

bool vmm_volume_resize(vmm_connect *conn, const struct vmm_volume *vol, uint64_t bytes,
		       unsigned flags, GError **error)
{
	remote_vol_hyper_flags_args args = {
		.vol = volume_to_wire(vol), .num = bytes, .flags = flags,
	};
	remote_none none;

	return CALL(conn, STORAGE_VOL_RESIZE, vol_hyper_flags_args, &args, none, &none, error);
}

bool vmm_volume_info(vmm_connect *conn, const struct vmm_volume *vol, uint64_t *ret_capacity,
		     uint64_t *ret_allocation, GError **error)
{
	remote_vol_args args = { .vol = volume_to_wire(vol) };
	remote_vol_info_ret ret;

	if (!CALL(conn, STORAGE_VOL_GET_INFO, vol_args, &args, vol_info_ret, &ret, error))
		return false;
	*ret_capacity = ret.capacity;
	*ret_allocation = ret.allocation;
	return true;
}

bool vmm_volume_file_bytes(vmm_connect *conn, const struct vmm_volume *vol, uint64_t *ret_bytes,
			   GError **error)
{
	enum { PHYSICAL = 1 };
	remote_vol_flags_args args = { .vol = volume_to_wire(vol), .flags = PHYSICAL };
	remote_vol_info_ret ret;

	if (!CALL(conn, STORAGE_VOL_GET_INFO_FLAGS, vol_flags_args, &args, vol_info_ret, &ret,
		  error))
		return false;
	*ret_bytes = ret.allocation;
	return true;
}

char *vmm_volume_xml(vmm_connect *conn, const struct vmm_volume *vol, GError **error)
{
	remote_vol_flags_args args = { .vol = volume_to_wire(vol) };
	remote_text_ret ret;
	char *xml;

	if (!CALL(conn, STORAGE_VOL_GET_XML_DESC, vol_flags_args, &args, text_ret, &ret, error))
		return NULL;
	xml = g_strdup(ret.text);
	FREE(text_ret, &ret);
	return xml;
}
