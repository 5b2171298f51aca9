/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What fuzz targets share: their entry point, and a reader that never runs dry. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

/* Zeroes when the input is used up: a target looks at `left` to end its loop. */
static inline uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
	uint64_t v = 0;
	size_t n = MIN(bytes, in->left);

	memcpy(&v, in->data, n);
	in->data += n;
	in->left -= n;
	return v;
}

static inline GLogWriterOutput fuzz_log_drop(GLogLevelFlags level, const GLogField *fields,
					     gsize n, gpointer arg)
{
	if (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
		return g_log_writer_standard_streams(level, fields, n, arg);
	return G_LOG_WRITER_HANDLED;
}

/* Messages about the nonsense that we feed are expected; warnings are not. */
static inline void fuzz_quiet(void)
{
	static gsize once;

	if (g_once_init_enter(&once)) {
		g_log_set_writer_func(fuzz_log_drop, NULL, NULL);
		g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
		g_once_init_leave(&once, 1);
	}
}
