/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine's state in a file: named sections beside the guest's memory.
 *
 *	0		header (struct state_header), 128 bytes, in a page of its own
 *	ram_offset	the guest's memory, byte for byte; pages of zeroes are holes;
 *			or packed, with STATE_PACKED (kvm/memory-save.h)
 *	table_offset	sections, one behind the other, each 8-byte aligned
 *
 * The header is written last, when all else is on the disk: a file that was
 * not finished has none.  New sections (another definition) are written behind
 * the old ones, then the header changes in one sector; so a file is always the
 * old or the new one.  Header and sections carry a CRC; the memory does not,
 * because it is mapped and not read when the machine is restored.
 *
 * Numbers are little-endian, as the guest's.  A reader never believes a length:
 * struct state_in gives zeroes and remembers it when a section ends too early.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_NAME_MAX 112
#define STATE_VERSION 1
#define STATE_RAM_OFFSET (UINT64_C(2) << 20)	/* as the memory is aligned in the guest */

struct state_file;		/* all sections of one file */

enum state_flags {
	STATE_PACKED = 1,	/* the memory is no image of itself: it can't be mapped */
	STATE_KNOWN = STATE_PACKED,
};

struct state_file *state_file_new(void);
void state_file_set_flags(struct state_file *s, uint32_t flags);
uint32_t state_file_flags(const struct state_file *s);
void state_file_free(struct state_file *s);
typedef struct state_file state_file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(state_file, state_file_free)

/* --- writing a section: begin, put ..., end --- */

struct state_out {
	struct state_file *state;
	GByteArray *bytes;
	char name[STATE_NAME_MAX];
	unsigned version;
};

/* The name is cut to fit; one that is there already is replaced at the end. */
void state_begin(struct state_out *out, struct state_file *s, const char *name, unsigned version);
void state_end(struct state_out *out);

void state_put(struct state_out *out, const void *data, size_t len);
void state_put_u8(struct state_out *out, uint8_t v);
void state_put_u16(struct state_out *out, uint16_t v);
void state_put_u32(struct state_out *out, uint32_t v);
void state_put_u64(struct state_out *out, uint64_t v);
/* Its length, then the bytes. */
void state_put_blob(struct state_out *out, const void *data, uint32_t len);

/* --- reading one: find, get ..., done --- */

struct state_in {
	const uint8_t *at;
	size_t left;
	bool bad;		/* it was too short, or somebody said so */
	const char *name;
	unsigned version;
};

bool state_file_has(const struct state_file *s, const char *name);
unsigned state_file_count(const struct state_file *s, const char *prefix);
/* An error when it is not there, or from a version above `known`. */
bool state_find(const struct state_file *s, const char *name, unsigned known, struct state_in *ret,
		GError **error);
/* All of it was used, and nothing was bad: else an error that names it. */
bool state_done(const struct state_in *in, GError **error);

/* len bytes, or zeroes and false. */
bool state_get(struct state_in *in, void *data, size_t len);
uint8_t state_get_u8(struct state_in *in);
uint16_t state_get_u16(struct state_in *in);
uint32_t state_get_u32(struct state_in *in);
uint64_t state_get_u64(struct state_in *in);
bool state_get_bool(struct state_in *in);	/* anything but 0 and 1 is bad */
/* A number below or equal to max, or it is bad, and 0. */
uint32_t state_get_max(struct state_in *in, uint32_t max);
/* Points into the section; NULL, and it is bad, when longer than max or than what is left. */
const uint8_t *state_get_blob(struct state_in *in, uint32_t max, uint32_t *ret_len);

/* --- files --- */

struct state_header;

/* The sections and then the header of a file whose memory is written; all of it is on the disk. */
bool state_file_write(const struct state_file *s, int fd, uint64_t ram_bytes, GError **error);
/*
 * Checks all but the memory: VMM_ERR_OPERATION_FAILED and a text that says
 * what is wrong with it.  *ret_ram_bytes: the memory lies at STATE_RAM_OFFSET,
 * and the file is long enough for it.
 */
struct state_file *state_file_read(int fd, uint64_t *ret_ram_bytes, GError **error);
