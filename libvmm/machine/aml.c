/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AML, as bytes appended to an array. */
#include "config.h"
#include "libvmm/machine/aml.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

enum {
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_EXT = 0x5b,
	OP_IF = 0xa0,
	EXT_REGION = 0x80,
	EXT_FIELD = 0x81,
	EXT_DEVICE = 0x82,
};

#define REGION_SYSTEM_IO  1
#define FIELD_BYTE_ACCESS 1
#define METHOD_SERIALIZED 0x08

static void put8(GByteArray *to, uint8_t value)
{
	g_byte_array_append(to, &value, 1);
}

static void put_le(GByteArray *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		put8(to, value >> 8 * i);
}

void aml_op(GByteArray *to, uint8_t op)
{
	put8(to, op);
}

void aml_path(GByteArray *to, const char *path)
{
	if (*path == '\\') {
		put8(to, '\\');
		path++;
	}
	g_assert(strlen(path) == 4 || (strlen(path) == 9 && path[4] == '.'));
	if (strlen(path) == 9)
		put8(to, OP_DUAL_NAME);
	g_byte_array_append(to, (const uint8_t *)path, 4);
	if (strlen(path) == 9)
		g_byte_array_append(to, (const uint8_t *)path + 5, 4);
}

void aml_int(GByteArray *to, uint64_t value)
{
	static const struct {
		uint64_t max;
		uint8_t op, bytes;
	} sizes[] = {
		{ UINT8_MAX, OP_BYTE, 1 },
		{ UINT16_MAX, OP_WORD, 2 },
		{ UINT32_MAX, OP_DWORD, 4 },
		{ UINT64_MAX, OP_QWORD, 8 },
	};

	if (value <= 1) {
		put8(to, value ? AML_ONE : AML_ZERO);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		if (value <= sizes[i].max) {
			put8(to, sizes[i].op);
			put_le(to, value, sizes[i].bytes);
			return;
		}
}

void aml_string(GByteArray *to, const char *text)
{
	put8(to, OP_STRING);
	g_byte_array_append(to, (const uint8_t *)text, strlen(text) + 1);
}

/* Three letters of five bits, four hexadecimal digits; the bytes in memory are big-endian. */
void aml_eisa_id(GByteArray *to, const char *id)
{
	uint32_t value = (id[0] - 0x40u) << 26 | (id[1] - 0x40u) << 21 | (id[2] - 0x40u) << 16 |
			 (uint32_t)g_ascii_strtoull(id + 3, NULL, 16);

	put8(to, OP_DWORD);
	put_le(to, GUINT32_SWAP_LE_BE(value), 4);
}

void aml_name(GByteArray *to, const char *path)
{
	put8(to, OP_NAME);
	aml_path(to, path);
}

size_t aml_scope(GByteArray *to, const char *path)
{
	size_t start;

	put8(to, OP_SCOPE);
	start = to->len;
	aml_path(to, path);
	return start;
}

size_t aml_device(GByteArray *to, const char *name)
{
	size_t start;

	put8(to, OP_EXT);
	put8(to, EXT_DEVICE);
	start = to->len;
	aml_path(to, name);
	return start;
}

size_t aml_method(GByteArray *to, const char *name, unsigned args, bool serialized)
{
	size_t start;

	put8(to, OP_METHOD);
	start = to->len;
	aml_path(to, name);
	put8(to, args | (serialized ? METHOD_SERIALIZED : 0));
	return start;
}

size_t aml_package(GByteArray *to, uint8_t elements)
{
	size_t start;

	put8(to, OP_PACKAGE);
	start = to->len;
	put8(to, elements);
	return start;
}

size_t aml_if(GByteArray *to)
{
	put8(to, OP_IF);
	return to->len;
}

/*
 * PkgLength (20.2.4) goes before the body and counts itself: one byte for less
 * than 64, else the first byte says how many follow and holds the low 4 bits.
 */
void aml_end(GByteArray *to, size_t start)
{
	size_t body = to->len - start, length;
	uint8_t head[4];
	unsigned n = 1;

	while (n < 4 && body + n >= (n == 1 ? 64u : 16u << 8 * (n - 1)))
		n++;
	length = body + n;
	if (n == 1) {
		head[0] = length;
	} else {
		head[0] = (n - 1) << 6 | (length & 0xf);
		for (unsigned i = 1; i < n; i++)
			head[i] = length >> (4 + 8 * (i - 1));
	}
	g_byte_array_set_size(to, to->len + n);
	memmove(to->data + start + n, to->data + start, body);
	memcpy(to->data + start, head, n);
}

void aml_io_region(GByteArray *to, const char *name, uint16_t port, uint8_t bytes)
{
	put8(to, OP_EXT);
	put8(to, EXT_REGION);
	aml_path(to, name);
	put8(to, REGION_SYSTEM_IO);
	aml_int(to, port);
	aml_int(to, bytes);
}

void aml_io_byte_field(GByteArray *to, const char *region, const char *field)
{
	size_t start;

	put8(to, OP_EXT);
	put8(to, EXT_FIELD);
	start = to->len;
	aml_path(to, region);
	put8(to, FIELD_BYTE_ACCESS);
	aml_path(to, field);
	put8(to, 8); /* bits, as a PkgLength */
	aml_end(to, start);
}

void aml_crs(GByteArray *to, const GByteArray *resources)
{
	static const uint8_t end_tag[] = { 0x79, 0 }; /* no checksum */
	size_t start;

	aml_name(to, "_CRS");
	put8(to, OP_BUFFER);
	start = to->len;
	aml_int(to, resources->len + sizeof(end_tag));
	g_byte_array_append(to, resources->data, resources->len);
	g_byte_array_append(to, end_tag, sizeof(end_tag));
	aml_end(to, start);
}

/* 6.4.2.5: 16-bit decode, a fixed place. */
void aml_res_io(GByteArray *to, uint16_t port, uint8_t ports)
{
	put8(to, 0x47);
	put8(to, 1);
	put_le(to, port, 2);
	put_le(to, port, 2);
	put8(to, 1);
	put8(to, ports);
}

/* 6.4.3.4: writable. */
void aml_res_memory32(GByteArray *to, uint32_t base, uint32_t bytes)
{
	put8(to, 0x86);
	put_le(to, 9, 2);
	put8(to, 1);
	put_le(to, base, 4);
	put_le(to, bytes, 4);
}

/* 6.4.3.6: consumer (bit 0), edge (bit 1), active high, exclusive. */
void aml_res_interrupt(GByteArray *to, uint32_t gsi)
{
	put8(to, 0x89);
	put_le(to, 6, 2);
	put8(to, 0x03);
	put8(to, 1);
	put_le(to, gsi, 4);
}
