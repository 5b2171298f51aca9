/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file with holes through a pipe: records of a head, two words in the host's
 * order, and, if it is one of data, as many bytes.  What comes out of a pipe is
 * another process's: it is read bit by bit, and never believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARSE_HEAD_BYTES 16

enum sparse_kind { SPARSE_DATA = 1, SPARSE_HOLE = 2 };

struct sparse_reader {			/* all zero at first */
	uint8_t head[SPARSE_HEAD_BYTES];
	unsigned have;			/* of head */
	uint64_t left;			/* of a record's data */
};

struct sparse_ops {			/* false ends the reading */
	bool (*data)(const uint8_t *data, size_t bytes, void *opaque);
	bool (*hole)(uint64_t bytes, void *opaque);	/* never more than INT64_MAX */
};

void sparse_head(enum sparse_kind kind, uint64_t bytes, uint8_t ret[SPARSE_HEAD_BYTES]);
/* 0; -EPROTO: these are no records; -ECANCELED: a callback has ended it. */
int sparse_read(struct sparse_reader *r, const uint8_t *in, size_t bytes,
		const struct sparse_ops *ops, void *opaque);
/* Between two records: what ends here is whole. */
bool sparse_is_whole(const struct sparse_reader *r);
