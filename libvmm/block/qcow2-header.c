/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first cluster of a qcow2 image: header, extensions, name of the backing file. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static const struct qcow2_feature features[] = {
	{ 0, 0, "dirty bit" },
	{ 0, 1, "corrupt bit" },
	{ 0, 2, "external data file" },
	{ 0, 3, "compression type" },
	{ 0, 4, "extended L2 entries" },
	{ 1, 0, "lazy refcounts" },
	{ 2, 0, "bitmaps" },
	{ 2, 1, "raw external data" },
};

static bool bad(struct qcow2 *q, GError **error, const char *what)
{
	return error_set(error, VMM_ERR_INVALID_ARG, "image '%s': %s", q->file->path, what);
}

static bool refuse(struct qcow2 *q, GError **error, const char *what)
{
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "image '%s': %s", q->file->path, what);
}

static void header_swap(struct qcow2_header *h)
{
	static const struct {
		uint8_t at, bytes;
	} fields[] = {
		{ offsetof(struct qcow2_header, magic), 4 },
		{ offsetof(struct qcow2_header, version), 4 },
		{ offsetof(struct qcow2_header, backing_off), 8 },
		{ offsetof(struct qcow2_header, backing_bytes), 4 },
		{ offsetof(struct qcow2_header, cluster_bits), 4 },
		{ offsetof(struct qcow2_header, size), 8 },
		{ offsetof(struct qcow2_header, crypt_method), 4 },
		{ offsetof(struct qcow2_header, l1_size), 4 },
		{ offsetof(struct qcow2_header, l1_off), 8 },
		{ offsetof(struct qcow2_header, reft_off), 8 },
		{ offsetof(struct qcow2_header, reft_clusters), 4 },
		{ offsetof(struct qcow2_header, n_snapshots), 4 },
		{ offsetof(struct qcow2_header, snapshots_off), 8 },
		{ offsetof(struct qcow2_header, incompat), 8 },
		{ offsetof(struct qcow2_header, compat), 8 },
		{ offsetof(struct qcow2_header, autoclear), 8 },
		{ offsetof(struct qcow2_header, refcount_order), 4 },
		{ offsetof(struct qcow2_header, header_bytes), 4 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		uint8_t *at = (uint8_t *)h + fields[i].at;

		for (unsigned k = 0; k < fields[i].bytes / 2u; k++) {
			uint8_t low = at[k];

			at[k] = at[fields[i].bytes - 1 - k];
			at[fields[i].bytes - 1 - k] = low;
		}
	}
}

/* ---- reading ---- */

static bool header_read_fixed(struct qcow2 *q, GError **error)
{
	struct qcow2_header *h = &q->h;
	int r = file_pread(q->file, 0, h, sizeof(*h));

	if (r < 0)
		return error_errno(error, r, "read header of '%s'", q->file->path);
	header_swap(h);
	if (h->magic != QCOW2_MAGIC)
		return bad(q, error,
			   q->file->end ? "not a qcow2 image" :
					  "the file is empty, not a qcow2 image");
	if (h->version != 2 && h->version != 3)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "image '%s': qcow version %u; 2 and 3 are supported",
				 q->file->path, h->version);
	if (q->file->end < (h->version == 2 ? QCOW2_HEADER_BYTES_V2 : QCOW2_HEADER_BYTES_V3))
		return bad(q, error, "truncated within its header");
	if (h->version == 2) {
		memset((char *)h + QCOW2_HEADER_BYTES_V2, 0, sizeof(*h) - QCOW2_HEADER_BYTES_V2);
		h->refcount_order = 4;
		h->header_bytes = QCOW2_HEADER_BYTES_V2;
	} else if (h->header_bytes <= offsetof(struct qcow2_header, compression_type)) {
		h->compression_type = 0;
	}
	return true;
}

/* How an unknown incompatible bit calls itself, in the image's own feature name table. */
static char *feature_name(const GByteArray *ext, unsigned bit)
{
	const struct qcow2_feature *f = (const struct qcow2_feature *)ext->data;

	for (guint n = ext->len / sizeof(*f); n > 0; n--, f++)
		if (f->type == 0 && f->bit == bit)
			return g_strndup(f->name, sizeof(f->name));
	return g_strdup("no name for it");
}

static bool check_features(struct qcow2 *q, const GByteArray *names, unsigned flags, GError **error)
{
	uint64_t known = INCOMPAT_DIRTY | INCOMPAT_CORRUPT | INCOMPAT_DATA_FILE |
			 INCOMPAT_COMPRESSION | INCOMPAT_EXTENDED_L2;
	uint64_t unknown = q->h.incompat & ~known;

	if (unknown) {
		unsigned bit = __builtin_ctzll(unknown);
		g_autofree char *name = feature_name(names, bit);
		g_autofree char *valid = g_utf8_make_valid(name, -1);

		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "image '%s': incompatible feature bit %u (%s) is not supported",
				 q->file->path, bit, valid);
	}
	if (flags & OPEN_INFO)
		return true;
	if (has_data_file(q) && !q->data_file)
		return refuse(q, error, "it does not name its external data file");
	if (has_data_file(q) && q->rw)
		return refuse(q, error,
			      "its data is in an external file, so it can only be read; "
			      "'vmsh image convert' makes a plain image of it");
	if (q->h.crypt_method)
		return refuse(q, error,
			      q->h.crypt_method == 2 ? "LUKS encryption is not supported" :
						       "encryption is not supported");
	if (!!(q->h.incompat & INCOMPAT_COMPRESSION) != (q->h.compression_type != 0))
		return bad(q, error, "compression type and its feature bit contradict each other");
	if (q->h.compression_type > 1)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "image '%s': compression type %u is not supported", q->file->path,
				 q->h.compression_type);
	if (q->rw && q->h.incompat & INCOMPAT_CORRUPT && !(flags & OPEN_CHECK))
		return bad(q, error, "it is marked as corrupt and may only be read; "
				     "'vmsh image check -r all' may repair it");
	return true;
}

static bool check_geometry(struct qcow2 *q, GError **error)
{
	const struct qcow2_header *h = &q->h;
	uint64_t cluster = 1ull << (h->cluster_bits & 31), reach, l1_need;

	if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "image '%s': clusters of 2^%u bytes; 512 B to 2 MiB are supported",
				 q->file->path, h->cluster_bits);
	if (h->version == 3 && (h->header_bytes < QCOW2_HEADER_BYTES_V3 || h->header_bytes % 8 ||
				h->header_bytes > cluster))
		return bad(q, error, "impossible header length");
	if (h->refcount_order > 6)
		return bad(q, error, "refcounts of more than 64 bits");
	if (h->incompat & INCOMPAT_EXTENDED_L2 && h->cluster_bits < 14)
		return bad(q, error, "extended L2 entries need clusters of at least 16 KiB");
	if (h->size > 1ull << 61)
		return bad(q, error, "impossible disk size");
	reach = cluster * (cluster / (h->incompat & INCOMPAT_EXTENDED_L2 ? 16 : 8));
	l1_need = h->size / reach + (h->size % reach != 0);
	if (h->l1_size > QCOW2_L1_BYTES_MAX / 8)
		return bad(q, error, "its L1 table is too large (limit 32 MiB)");
	if (h->l1_size < l1_need)
		return bad(q, error, "its L1 table is too small for the disk size");
	if ((h->l1_size && (h->l1_off % cluster || !h->l1_off)) || h->reft_off % cluster ||
	    !h->reft_off)
		return bad(q, error, "L1 or refcount table is at an impossible place");
	if (!h->reft_clusters || h->reft_clusters > QCOW2_REFT_BYTES_MAX / cluster)
		return bad(q, error, "impossible size of the refcount table (limit 8 MiB)");
	if (h->n_snapshots > QCOW2_SNAPSHOTS_MAX || (h->n_snapshots && h->snapshots_off % cluster))
		return bad(q, error, "impossible snapshot table");
	return true;
}

static void set_geometry(struct qcow2 *q)
{
	q->extended = q->h.incompat & INCOMPAT_EXTENDED_L2;
	q->cluster_bits = q->h.cluster_bits;
	q->cluster_bytes = 1u << q->cluster_bits;
	q->entry_bytes = q->extended ? 16 : 8;
	q->l2_bits = q->cluster_bits - (q->extended ? 4 : 3);
	q->sub_bits = q->cluster_bits - (q->extended ? 5 : 0);
	q->refblock_bits = q->cluster_bits + 3 - q->h.refcount_order;
	q->bytes = q->h.size;
}

static bool extension_read(struct qcow2 *q, uint32_t type, const uint8_t *data, uint32_t bytes,
			   GByteArray *names, GError **error)
{
	struct {
		uint32_t n, reserved;
		uint64_t bytes, off;
	} be;

	switch (type) {
	case EXT_BACKING_FORMAT:
		if (bytes > 64 || memchr(data, 0, bytes))
			return bad(q, error, "impossible name of the backing file's format");
		g_free(q->backing_format);
		q->backing_format = g_strndup((const char *)data, bytes);
		return true;
	case EXT_DATA_FILE:
		g_free(q->data_file);
		q->data_file = g_strndup((const char *)data, MIN(bytes, QCOW2_BACKING_MAX));
		return true;
	case EXT_FEATURE_NAMES:
		g_byte_array_append(names, data, bytes);
		return true;
	case EXT_BITMAPS:
		if (bytes != sizeof(be))
			return bad(q, error, "impossible bitmaps extension");
		memcpy(&be, data, sizeof(be));
		q->n_bitmaps = GUINT32_FROM_BE(be.n);
		q->bitmaps_bytes = GUINT64_FROM_BE(be.bytes);
		q->bitmaps_off = GUINT64_FROM_BE(be.off);
		return true;
	default:
		return true;
	}
}

static bool extensions_read(struct qcow2 *q, const uint8_t *cluster, uint64_t end,
			    GByteArray *names, GError **error)
{
	uint64_t pos = q->h.header_bytes;

	for (unsigned n = 0; pos + 8 <= end; n++) {
		uint32_t be[2], type, bytes;
		uint64_t padded;

		memcpy(be, cluster + pos, 8);
		type = GUINT32_FROM_BE(be[0]);
		bytes = GUINT32_FROM_BE(be[1]);
		if (type == EXT_END)
			return true;
		padded = round_up(bytes, 8);
		if (n >= QCOW2_EXTENSIONS_MAX || bytes > end - pos - 8)
			return bad(q, error, "a header extension is longer than the header");
		if (!extension_read(q, type, cluster + pos + 8, bytes, names, error))
			return false;
		if (type != EXT_BACKING_FORMAT)
			g_byte_array_append(q->extensions, cluster + pos,
					    MIN(8 + padded, end - pos));
		while (q->extensions->len % 8)
			g_byte_array_append(q->extensions, (const guint8 *)"", 1);
		pos += 8 + padded;
	}
	return true;
}

static bool backing_read(struct qcow2 *q, const uint8_t *cluster, GError **error)
{
	const struct qcow2_header *h = &q->h;

	if (!h->backing_off || !h->backing_bytes)
		return true;
	if (h->backing_bytes > QCOW2_BACKING_MAX || h->backing_off > q->cluster_bytes ||
	    h->backing_bytes > q->cluster_bytes - h->backing_off ||
	    memchr(cluster + h->backing_off, 0, h->backing_bytes))
		return bad(q, error, "impossible name of the backing file");
	q->backing = g_strndup((const char *)cluster + h->backing_off, h->backing_bytes);
	q->has_backing = true;
	return true;
}

bool header_read(struct qcow2 *q, unsigned flags, GError **error)
{
	g_autoptr(GByteArray) names = g_byte_array_new();
	g_autofree uint8_t *cluster = NULL;
	uint64_t end;
	int r;

	if (!header_read_fixed(q, error) || !check_geometry(q, error))
		return false;
	set_geometry(q);
	cluster = g_malloc(q->cluster_bytes);
	r = file_pread(q->file, 0, cluster, q->cluster_bytes);
	if (r < 0)
		return error_errno(error, r, "read header of '%s'", q->file->path);
	end = q->h.backing_off && q->h.backing_off < q->cluster_bytes ? q->h.backing_off :
									q->cluster_bytes;
	q->extensions = g_byte_array_new();
	return extensions_read(q, cluster, end, names, error) &&
	       check_features(q, names, flags, error) && backing_read(q, cluster, error);
}

/* ---- writing ---- */

int header_write_field(struct qcow2 *q, unsigned at, const void *value, size_t bytes)
{
	/* The corrupt bit is set though the header itself was hit. */
	int r = q->corrupt ? 0 : guard_check(q, at, bytes, GUARD_HEADER);

	return r < 0 ? r : file_pwrite(q->file, at, value, bytes);
}

int header_write_tables(struct qcow2 *q)
{
	const size_t from = offsetof(struct qcow2_header, size);
	const size_t to = offsetof(struct qcow2_header, incompat);
	struct qcow2_header be = q->h;

	header_swap(&be);
	return header_write_field(q, from, (const char *)&be + from, to - from);
}

static int header_set_u64(struct qcow2 *q, unsigned at, uint64_t *field, uint64_t value)
{
	uint64_t be = GUINT64_TO_BE(value);
	int r;

	if (!v3(q) || *field == value)
		return 0;
	r = header_write_field(q, at, &be, 8);
	if (r == 0)
		*field = value;
	return r;
}

int header_set_incompat(struct qcow2 *q, uint64_t incompat)
{
	uint64_t value = q->h.incompat;
	int r = header_set_u64(q, offsetof(struct qcow2_header, incompat), &value, incompat);

	q->h.incompat = value;
	return r;
}

int header_set_autoclear(struct qcow2 *q, uint64_t autoclear)
{
	uint64_t value = q->h.autoclear;
	int r = header_set_u64(q, offsetof(struct qcow2_header, autoclear), &value, autoclear);

	q->h.autoclear = value;
	return r;
}

static void put_extension(GByteArray *a, uint32_t type, const void *data, uint32_t bytes)
{
	uint32_t be[2] = { GUINT32_TO_BE(type), GUINT32_TO_BE(bytes) };

	g_byte_array_append(a, (const guint8 *)be, sizeof(be));
	g_byte_array_append(a, data, bytes);
	while (a->len % 8)
		g_byte_array_append(a, (const guint8 *)"", 1);
}

/* Extensions and name behind the fixed header in `a`, and the two fields that say where. */
static bool header_finish(GByteArray *a, uint32_t cluster_bytes, const GByteArray *extensions,
			  const char *backing, const char *format, GError **error)
{
	uint64_t off = 0;
	uint32_t bytes = backing ? strlen(backing) : 0;

	if (backing && format)
		put_extension(a, EXT_BACKING_FORMAT, format, strlen(format));
	if (extensions)
		g_byte_array_append(a, extensions->data, extensions->len);
	put_extension(a, EXT_END, "", 0);
	if (bytes > QCOW2_BACKING_MAX || a->len + bytes > cluster_bytes)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "the name of the backing file is too long: %u bytes", bytes);
	if (backing) {
		off = GUINT64_TO_BE(a->len);
		g_byte_array_append(a, (const guint8 *)backing, bytes);
	}
	bytes = GUINT32_TO_BE(bytes);
	memcpy(a->data + offsetof(struct qcow2_header, backing_off), &off, 8);
	memcpy(a->data + offsetof(struct qcow2_header, backing_bytes), &bytes, 4);
	return true;
}

GByteArray *header_encode(const struct qcow2_header *h, const char *backing, const char *format,
			  GError **error)
{
	g_autoptr(GByteArray) a = g_byte_array_new(), names = g_byte_array_new();
	struct qcow2_header be = *h;
	uint32_t cluster_bytes = 1u << h->cluster_bits;

	header_swap(&be);
	g_byte_array_append(a, (const guint8 *)&be, h->header_bytes);
	/* The names help programs that know less than we do; small clusters have no room. */
	if (h->version == 3 && cluster_bytes >= 4096)
		put_extension(names, EXT_FEATURE_NAMES, features, sizeof(features));
	if (!header_finish(a, cluster_bytes, names, backing, format, error))
		return NULL;
	return g_steal_pointer(&a);
}

bool header_set_backing(struct qcow2 *q, const char *backing, const char *format, GError **error)
{
	g_autofree uint8_t *raw = g_malloc(q->h.header_bytes);
	g_autoptr(GByteArray) a = g_byte_array_new();
	uint32_t used;
	int r = file_pread(q->file, 0, raw, q->h.header_bytes);

	if (r < 0)
		return error_errno(error, r, "read header of '%s'", q->file->path);
	g_byte_array_append(a, raw, q->h.header_bytes);
	if (!header_finish(a, q->cluster_bytes, q->extensions, backing, format, error))
		return false;
	used = a->len;
	g_byte_array_set_size(a, q->cluster_bytes);
	memset(a->data + used, 0, q->cluster_bytes - used);
	r = header_write_field(q, 0, a->data, a->len);
	if (r == 0)
		r = file_sync(q->file);
	if (r < 0)
		return error_errno(error, r, "write header of '%s'", q->file->path);
	g_free(q->backing);
	g_free(q->backing_format);
	q->backing = g_strdup(backing);
	q->backing_format = backing ? g_strdup(format) : NULL;
	q->has_backing = backing != NULL;
	return true;
}
