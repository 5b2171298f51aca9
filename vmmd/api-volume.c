/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of storage volumes. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/pool.h"
#include "vmmd/volume-stream.h"
#include "vmmd/volume.h"

enum volume_flags {
	CREATE_PREALLOC_METADATA = 1, CREATE_REFLINK = 2, CREATE_VALIDATE = 4,
	DELETE_ZEROED = 1, DELETE_WITH_SNAPSHOTS = 2,
	RESIZE_ALLOCATE = 1, RESIZE_DELTA = 2, RESIZE_SHRINK = 4,
	INFO_PHYSICAL = 1,
	STREAM_SPARSE = 1,
};

enum { VOLUME_TYPE_FILE = 0, WIPE_ZERO = 0 };

/* Answers when it gives NULL. */
static struct pool *pool_named(struct call *call, const char *name)
{
	struct pool *pool = pool_find_name(call->daemon, name);

	if (!pool)
		call_fail_text(call, VMM_ERR_NO_POOL,
			       "Storage pool not found: no storage pool with matching name '%s'",
			       name);
	return pool;
}

static volume_def *volume_of(struct call *call, const remote_vol *ref)
{
	struct pool *pool = pool_named(call, ref->pool);
	g_autoptr(GError) error = NULL;
	volume_def *def = pool ? volume_read(pool, ref->name, &error) : NULL;

	if (pool && !def)
		call_fail(call, error);
	return def;
}

static void answer_volume(struct call *call, struct pool *pool, const char *name)
{
	g_autofree char *path = volume_path(pool, name);
	remote_vol_ret ret = {
		.vol = { .pool = pool->def->name, .name = (char *)name, .key = path },
	};

	call_reply(call, &ret);
}

/* ---- listing, looking up ---- */

static void list_all(struct call *call, const void *argp)
{
	const remote_pool_list_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GPtrArray) names = NULL, paths = NULL;
	g_autofree remote_vol *refs = NULL;
	g_autoptr(GError) error = NULL;
	remote_vols_ret ret = { 0 };

	if (!pool || !api_flags(call, args->flags, 0))
		return;
	names = volume_list(pool, &error);
	if (!names) {
		call_fail(call, error);
		return;
	}
	paths = g_ptr_array_new_with_free_func(g_free);
	refs = g_new0(remote_vol, names->len);
	for (unsigned i = 0; i < names->len; i++) {
		g_ptr_array_add(paths, volume_path(pool, g_ptr_array_index(names, i)));
		refs[i] = (remote_vol){ pool->def->name, g_ptr_array_index(names, i),
					g_ptr_array_index(paths, i) };
	}
	ret.ret = names->len;
	if (args->need_results) {
		ret.vols.vols_len = names->len;
		ret.vols.vols_val = refs;
	}
	call_reply(call, &ret);
}

static void count(struct call *call, const void *argp)
{
	const remote_pool_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) names = pool ? volume_list(pool, &error) : NULL;

	if (names)
		call_reply(call, &(remote_int_ret){ (int)names->len });
	else if (pool)
		call_fail(call, error);
}

static void list_names(struct call *call, const void *argp)
{
	const remote_pool_int_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) names = pool ? volume_list(pool, &error) : NULL;
	remote_names_ret ret = { 0 };

	if (names) {
		ret.names.names_len = MIN(names->len, (unsigned)MAX(args->num, 0));
		ret.names.names_val = (remote_text *)names->pdata;
		call_reply(call, &ret);
	} else if (pool) {
		call_fail(call, error);
	}
}

static void by_name(struct call *call, const void *argp)
{
	const remote_pool_name_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(GError) error = NULL;
	g_autoptr(volume_def) def = pool ? volume_read(pool, args->name, &error) : NULL;

	if (def)
		answer_volume(call, pool, def->name);
	else if (pool)
		call_fail(call, error);
}

static void by_path(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;
	g_autofree char *name = NULL;
	struct pool *pool = volume_locate(call->daemon, args->name, &name);

	if (pool)
		answer_volume(call, pool, name);
	else
		call_fail_text(call, VMM_ERR_NO_VOLUME,
			       "Storage volume not found: no storage vol with matching key "
			       "or path '%s'", args->name);
}

/* ---- asking ---- */

static void info(struct call *call, const remote_vol *ref, bool physical)
{
	g_autoptr(volume_def) def = volume_of(call, ref);
	remote_vol_info_ret ret = { .type = VOLUME_TYPE_FILE };

	if (!def)
		return;
	ret.capacity = def->capacity;
	ret.allocation = physical ? def->physical : def->allocation;
	call_reply(call, &ret);
}

static void get_info(struct call *call, const void *argp)
{
	info(call, &((const remote_vol_args *)argp)->vol, false);
}

static void get_info_flags(struct call *call, const void *argp)
{
	const remote_vol_flags_args *args = argp;

	if (api_flags(call, args->flags, INFO_PHYSICAL))
		info(call, &args->vol, args->flags & INFO_PHYSICAL);
}

static void get_xml(struct call *call, const void *argp)
{
	const remote_vol_flags_args *args = argp;
	g_autoptr(volume_def) def = NULL;
	g_autofree char *xml = NULL;

	if (!api_flags(call, args->flags, 0) || !(def = volume_of(call, &args->vol)))
		return;
	xml = volume_def_format(def);
	call_reply(call, &(remote_text_ret){ .text = xml });
}

static void get_path(struct call *call, const void *argp)
{
	const remote_vol_args *args = argp;
	g_autoptr(volume_def) def = volume_of(call, &args->vol);

	if (def)
		call_reply(call, &(remote_text_ret){ .text = def->path });
}

/* ---- making ---- */

struct creation {
	struct call *call;
	uint8_t pool[UUID_BYTES];
	char *name;
};

static void on_created(const GError *error, void *opaque)
{
	struct creation *c = opaque;
	struct pool *pool = pool_find_uuid(c->call->daemon, c->pool);

	if (error)
		call_fail(c->call, error);
	else
		answer_volume(c->call, pool, c->name);
	g_free(c->name);
	g_free(c);
}

static void create(struct call *call, struct pool *pool, volume_def *def,
		   const struct volume_source *source, unsigned flags)
{
	struct creation *c = g_new0(struct creation, 1);

	c->call = call;
	c->name = g_strdup(def->name);
	memcpy(c->pool, pool->def->uuid, UUID_BYTES);
	volume_create(pool, def, source, flags & CREATE_PREALLOC_METADATA, on_created, c);
}

static volume_def *def_parse(struct call *call, const char *xml, unsigned flags)
{
	g_autoptr(GError) error = NULL;
	volume_def *def = NULL;

	if (!api_flags(call, flags, CREATE_PREALLOC_METADATA | CREATE_REFLINK | CREATE_VALIDATE))
		return NULL;
	if (flags & CREATE_REFLINK) {
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: copies by reflink are not made; leave "
			       "--reflink out, or make an overlay (<backingStore>)");
		return NULL;
	}
	def = volume_def_parse(xml, flags & CREATE_VALIDATE ? STORAGE_PARSE_VALIDATE : 0, &error);
	if (!def)
		call_fail(call, error);
	return def;
}

static void create_xml(struct call *call, const void *argp)
{
	const remote_pool_xml_flags_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	volume_def *def = pool ? def_parse(call, args->xml, args->flags) : NULL;

	if (def)
		create(call, pool, def, NULL, args->flags);
}

/* What a copy would be is the source's business, but for its format and (larger) size. */
static bool copy_fit(volume_def *def, const volume_def *from, GError **error)
{
	if (def->backing && g_strcmp0(def->backing, from->backing) != 0)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: a copy has no backing image; to make "
				 "an overlay on '%s' use vol-create", def->backing);
	if (!def->has_format)
		def->format = from->format;
	if (def->has_capacity && def->capacity < from->capacity)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: a copy can't be smaller than its "
				 "source, which has %" G_GUINT64_FORMAT " bytes", from->capacity);
	return true;
}

static void create_xml_from(struct call *call, const void *argp)
{
	const remote_vol_create_from_args *args = argp;
	struct pool *pool = api_pool_of(call, &args->pool);
	g_autoptr(volume_def) from = pool ? volume_of(call, &args->clonevol) : NULL;
	volume_def *def = from ? def_parse(call, args->xml, args->flags) : NULL;
	g_autoptr(GError) error = NULL;
	struct volume_source source;

	if (!def)
		return;
	if (!copy_fit(def, from, &error)) {
		volume_def_free(def);
		call_fail(call, error);
		return;
	}
	source = (struct volume_source){ from->path, from->format };
	create(call, pool, def, &source, args->flags);
}

/* ---- changing ---- */

static void on_changed(const GError *error, void *opaque)
{
	api_done(NULL, error, opaque);
}

static void delete(struct call *call, const void *argp)
{
	const remote_vol_flags_args *args = argp;
	g_autoptr(GError) error = NULL;
	struct pool *pool;

	if (!api_flags(call, args->flags, DELETE_ZEROED | DELETE_WITH_SNAPSHOTS) ||
	    !(pool = pool_named(call, args->vol.pool)))
		return;
	if (args->flags & DELETE_ZEROED)
		error_set(&error, VMM_ERR_ARG_UNSUPPORTED,
			  "argument unsupported: wipe the volume (vol-wipe), then delete it");
	else
		volume_delete(pool, args->vol.name, &error);
	api_done(NULL, error, call);
}

static void wipe(struct call *call, const remote_vol *ref, unsigned algorithm, unsigned flags)
{
	struct pool *pool;

	if (!api_flags(call, flags, 0) || !(pool = pool_named(call, ref->pool)))
		return;
	if (algorithm == WIPE_ZERO)
		volume_wipe(pool, ref->name, on_changed, call);
	else
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: wiping is done with zeroes only "
			       "(--algorithm zero)");
}

static void wipe_plain(struct call *call, const void *argp)
{
	const remote_vol_flags_args *args = argp;

	wipe(call, &args->vol, WIPE_ZERO, args->flags);
}

static void wipe_pattern(struct call *call, const void *argp)
{
	const remote_vol_uint_flags_args *args = argp;

	wipe(call, &args->vol, args->num, args->flags);
}

/* False: the sum would be no size. */
static bool resize_bytes(const volume_def *def, uint64_t num, unsigned flags, uint64_t *ret)
{
	*ret = num;
	if (!(flags & RESIZE_DELTA))
		return num <= G_MAXINT64;
	if (flags & RESIZE_SHRINK) {
		*ret = def->capacity - num;
		return num <= def->capacity;
	}
	*ret = def->capacity + num;
	return num <= G_MAXINT64 - MIN(def->capacity, G_MAXINT64);
}

static void resize(struct call *call, const void *argp)
{
	const remote_vol_hyper_flags_args *args = argp;
	g_autoptr(volume_def) def = NULL;
	uint64_t bytes;

	if (!api_flags(call, args->flags, RESIZE_ALLOCATE | RESIZE_DELTA | RESIZE_SHRINK) ||
	    !(def = volume_of(call, &args->vol)))
		return;
	if (!resize_bytes(def, args->num, args->flags, &bytes) || bytes == 0)
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: volume '%s' has %" G_GUINT64_FORMAT
			       " bytes: it can't be changed by %" G_GUINT64_FORMAT,
			       def->name, def->capacity, (uint64_t)args->num);
	else
		volume_resize(pool_find_name(call->daemon, args->vol.pool), args->vol.name, bytes,
			      args->flags & RESIZE_SHRINK, args->flags & RESIZE_ALLOCATE,
			      on_changed, call);
}

/* ---- streams ---- */

static void stream(struct call *call, const remote_vol_range_args *args, bool upload)
{
	struct pool *pool;

	if (!api_flags(call, args->flags, STREAM_SPARSE) ||
	    !(pool = pool_named(call, args->vol.pool)))
		return;
	if (args->offset > G_MAXINT64 || args->length > G_MAXINT64 - args->offset)
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: no file has such an offset");
	else
		volume_stream_open(call, pool, args->vol.name,
				   &(struct volume_range){ args->offset, args->length, upload,
							   args->flags & STREAM_SPARSE });
}

static void upload(struct call *call, const void *argp)
{
	stream(call, argp, true);
}

static void download(struct call *call, const void *argp)
{
	stream(call, argp, false);
}

const struct api_entry api_volume[] = {
	{ REMOTE_PROC_STORAGE_POOL_NUM_OF_VOLUMES, count },
	{ REMOTE_PROC_STORAGE_POOL_LIST_VOLUMES, list_names },
	{ REMOTE_PROC_STORAGE_POOL_LIST_ALL_VOLUMES, list_all },
	{ REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_NAME, by_name },
	{ REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_KEY, by_path },
	{ REMOTE_PROC_STORAGE_VOL_LOOKUP_BY_PATH, by_path },
	{ REMOTE_PROC_STORAGE_VOL_CREATE_XML, create_xml },
	{ REMOTE_PROC_STORAGE_VOL_CREATE_XML_FROM, create_xml_from },
	{ REMOTE_PROC_STORAGE_VOL_DELETE, delete },
	{ REMOTE_PROC_STORAGE_VOL_WIPE, wipe_plain },
	{ REMOTE_PROC_STORAGE_VOL_WIPE_PATTERN, wipe_pattern },
	{ REMOTE_PROC_STORAGE_VOL_RESIZE, resize },
	{ REMOTE_PROC_STORAGE_VOL_GET_INFO, get_info },
	{ REMOTE_PROC_STORAGE_VOL_GET_INFO_FLAGS, get_info_flags },
	{ REMOTE_PROC_STORAGE_VOL_GET_XML_DESC, get_xml },
	{ REMOTE_PROC_STORAGE_VOL_GET_PATH, get_path },
	{ REMOTE_PROC_STORAGE_VOL_UPLOAD, upload },
	{ REMOTE_PROC_STORAGE_VOL_DOWNLOAD, download },
	{ 0 }
};
