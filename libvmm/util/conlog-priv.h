/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a console journal lies in its file (conlog.h has the theory). */
#pragma once

#include <assert.h>

#include "libvmm/util/conlog.h"

#define CONLOG_MAGIC UINT64_C(0x474f4c4e4f434d56)	/* "VMCONLOG" */
#define CONLOG_VERSION 1
#define CONLOG_LIVE_OFFSET 4096u
#define CONLOG_RING_OFFSET CONLOG_FIRST_BYTES
#define CONLOG_ALIGN 1024u
#define CONLOG_SEGMENT_MAGIC 0x53434d56u		/* "VMCS" */
#define CONLOG_RECORD_MAX (32u << 10)		/* bytes of data */

struct conlog_file_head {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;			/* of what follows */
	uint64_t id;
};
static_assert(sizeof(struct conlog_file_head) == 24, "on disk");

struct conlog_segment {
	uint32_t magic;
	uint32_t crc;			/* of what follows */
	uint64_t id;			/* the file's */
	uint64_t number;
	uint64_t run;
	uint64_t boot;			/* counted from 1 in each file */
	int64_t boot_us;
	uint32_t cause;
	uint32_t raw_bytes;		/* of the records; 0 while live */
	uint32_t packed_bytes;
	uint32_t packed_crc;
	char names[CONLOG_ALIGN - 64];	/* of the devices, each with its 0 */
};
static_assert(sizeof(struct conlog_segment) == CONLOG_ALIGN, "on disk");

struct conlog_record {
	uint32_t crc;			/* of id and number, what follows, and the data */
	uint16_t len;
	uint16_t device;
	int64_t time_us;
	uint64_t pos;
};
static_assert(sizeof(struct conlog_record) == 24, "on disk");
static_assert(CONLOG_RECORD_MAX <= UINT16_MAX, "len");

#define CONLOG_RECORDS_BYTES (CONLOG_LIVE_BYTES - CONLOG_ALIGN)	/* in a segment */

uint32_t conlog_segment_crc(const struct conlog_segment *seg);
uint32_t conlog_file_crc(const struct conlog_file_head *head);
uint32_t conlog_record_crc(const struct conlog_segment *seg, const struct conlog_record *rec,
			   const uint8_t *data);
/* The bytes of the whole records at the beginning. */
size_t conlog_records_whole(const struct conlog_segment *seg, const uint8_t *records, size_t bytes);

/* For the writer: what a reader found. */
struct conlog_end {
	uint64_t id;
	uint64_t number, boot;		/* the highest; 0: none */
	uint64_t ring_next;		/* behind the youngest sealed segment */
	const struct conlog_segment *live;	/* not sealed yet; NULL: none */
};

void conlog_end(const struct conlog *log, struct conlog_end *ret);
