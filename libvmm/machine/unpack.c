/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel inside a bzImage, unpacked by the host: each format by its own
 * library.  The payload ends in the kernel's size, four bytes that Linux's
 * build appends (and gzip has anyway): that is what is allocated, within
 * bounds, and no more is ever written.
 */
#include "config.h"

#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "libvmm/machine/boot-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MAX_KERNEL_BYTES (512u << 20)
#define MAX_XZ_MEMORY	 (UINT64_C(256) << 20)
#define LZ4_BLOCK_BYTES	 (8u << 20)

typedef bool unpack_fn(const uint8_t *from, size_t len, uint8_t *to, size_t size, size_t *ret);

static bool unpack_gzip(const uint8_t *from, size_t len, uint8_t *to, size_t size, size_t *ret)
{
	z_stream z = {
		.next_in = (uint8_t *)from, .avail_in = len, .next_out = to, .avail_out = size
	};
	int r;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return false;
	r = inflate(&z, Z_FINISH);
	*ret = size - z.avail_out;
	inflateEnd(&z);
	return r == Z_STREAM_END;
}

static bool unpack_xz(const uint8_t *from, size_t len, uint8_t *to, size_t size, size_t *ret)
{
	uint64_t memory = MAX_XZ_MEMORY;
	size_t in = 0, out = 0;
	lzma_ret r = lzma_stream_buffer_decode(&memory, 0, NULL, from, &in, len, to, &out, size);

	*ret = out;
	return r == LZMA_OK;
}

static bool unpack_zstd(const uint8_t *from, size_t len, uint8_t *to, size_t size, size_t *ret)
{
	size_t frame = ZSTD_findFrameCompressedSize(from, len);

	if (ZSTD_isError(frame))
		return false;
	*ret = ZSTD_decompress(to, size, from, frame);
	return !ZSTD_isError(*ret);
}

/* The legacy frame: magic, then blocks that begin with their packed size. */
static bool unpack_lz4(const uint8_t *from, size_t len, uint8_t *to, size_t size, size_t *ret)
{
	size_t in = 4, out = 0;

	while (len - in > 4 && out < size) {
		uint32_t packed;
		int n;

		memcpy(&packed, from + in, sizeof(packed));
		in += sizeof(packed);
		if (!packed || packed > len - in || packed > LZ4_COMPRESSBOUND(LZ4_BLOCK_BYTES))
			return false;
		n = LZ4_decompress_safe((const char *)from + in, (char *)to + out, packed,
					MIN(size - out, LZ4_BLOCK_BYTES));
		if (n <= 0)
			return false;
		in += packed;
		out += n;
	}
	*ret = out;
	return out > 0;
}

static const struct format {
	const char *name;
	const char *magic;
	unsigned magic_len;
	unpack_fn *unpack; /* NULL: not here */
} formats[] = {
	{ "gzip", "\x1f\x8b", 2, unpack_gzip },
	{ "xz",
	  "\xfd"
	  "7zXZ",
	  6, unpack_xz },
	{ "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4 },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd },
	{ "bzip2", "BZh", 3, NULL },
	{ "lzma", "\x5d\x00\x00", 3, NULL },
	{ "lzo", "\x89LZO", 4, NULL },
};

static const struct format *format_find(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (len > formats[i].magic_len &&
		    memcmp(bytes, formats[i].magic, formats[i].magic_len) == 0)
			return &formats[i];
	return NULL;
}

uint8_t *unpack_kernel(const uint8_t *packed, size_t len, size_t *ret_len, GError **error)
{
	const struct format *format = format_find(packed, len);
	g_autofree uint8_t *bytes = NULL;
	uint32_t size;

	if (!format || len < 8) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			  "its payload is packed in an unknown way");
		return NULL;
	}
	if (!format->unpack) {
		error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"its payload is packed by %s; gzip, xz, lz4 and zstd can be unpacked here",
			format->name);
		return NULL;
	}
	memcpy(&size, packed + len - sizeof(size), sizeof(size));
	if (!size || size > MAX_KERNEL_BYTES) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "it says that it unpacks to %u bytes",
			  size);
		return NULL;
	}
	bytes = g_try_malloc(size);
	if (!bytes) {
		error_set(error, VMM_ERR_SYSTEM, "no memory for %u bytes", size);
		return NULL;
	}
	if (!format->unpack(packed, len, bytes, size, ret_len)) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "its %s data are damaged",
			  format->name);
		return NULL;
	}
	return g_steal_pointer(&bytes);
}
