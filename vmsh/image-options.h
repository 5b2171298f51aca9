/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "-o NAME=VALUE,...": how a new image is laid out. */
#pragma once

#include "libvmm/block/image.h"

#define IMAGE_OPTIONS_HELP \
	"cluster_size=, compat=0.10|1.1, lazy_refcounts=on|off, extended_l2=on|off, " \
	"refcount_bits=, compression_type=zlib|zstd, preallocation=off|metadata|falloc|full, " \
	"size=, backing_file=, backing_fmt="

/*
 * words: the values of -o, as struct word.  Sets what they name in *o, whose
 * strings then live in the returned vector.  NULL and *error if one is wrong.
 */
char **image_options_parse(const GPtrArray *words, struct image_create_opts *o, GError **error);
