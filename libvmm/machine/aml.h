/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An encoder for the AML that our DSDT needs (ACPI 6.5, chapter 20).  Each
 * call appends to a byte array.  What has a length is opened, filled, closed:
 *
 *	size_t dev = aml_device(to, "COM1");
 *	aml_name(to, "_UID");
 *	aml_int(to, 1);
 *	aml_end(to, dev);
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A path: "\\_SB_.PWRB", "_HID"; segments of four characters. */
void aml_path(GByteArray *to, const char *path);
void aml_int(GByteArray *to, uint64_t value);
void aml_string(GByteArray *to, const char *text);
/* "PNP0501", packed as a number (ACPI 6.5, 19.3.4). */
void aml_eisa_id(GByteArray *to, const char *id);
/* Name(path, what comes next). */
void aml_name(GByteArray *to, const char *path);
void aml_op(GByteArray *to, uint8_t op);

/* These return what aml_end() is to be given. */
size_t aml_scope(GByteArray *to, const char *path);
size_t aml_device(GByteArray *to, const char *name);
size_t aml_method(GByteArray *to, const char *name, unsigned args, bool serialized);
size_t aml_package(GByteArray *to, uint8_t elements);
size_t aml_if(GByteArray *to);
void aml_end(GByteArray *to, size_t start);

/* OperationRegion(name, SystemIO, port, bytes) and a Field of one byte in it. */
void aml_io_region(GByteArray *to, const char *name, uint16_t port, uint8_t bytes);
void aml_io_byte_field(GByteArray *to, const char *region, const char *field);

/* Name(_CRS, ResourceTemplate() { ... }): collect with aml_res_*() into another array. */
void aml_crs(GByteArray *to, const GByteArray *resources);
void aml_res_io(GByteArray *to, uint16_t port, uint8_t ports);
void aml_res_memory32(GByteArray *to, uint32_t base, uint32_t bytes);
/* Edge, active high, exclusive. */
void aml_res_interrupt(GByteArray *to, uint32_t gsi);

enum aml_opcode {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_LOCAL0 = 0x60,
	AML_STORE = 0x70,
	AML_AND = 0x7b,
	AML_NOTIFY = 0x86,
};
