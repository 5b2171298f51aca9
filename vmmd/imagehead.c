/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a qcow2 file's header, and the names behind it. */
#include "config.h"
#include "vmmd/imagehead.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define QCOW2_MAGIC 0x514649fb
#define QCOW2_EXT_BACKING_FORMAT 0xe2792aca
#define HEADER_MIN 72			/* version 2 */
#define HEADER_MAX 65536
#define NAME_MAX_BYTES 1023

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t be64(const uint8_t *at)
{
	return (uint64_t)be32(at) << 32 | be32(at + 4);
}

/* As block/qcow2-header.c reads them: up to the backing file's name, and the last one holds. */
static void backing_format_find(const uint8_t *head, size_t bytes, struct imagehead *ret)
{
	size_t at = be32(head + 4) < 3 ? HEADER_MIN : bytes >= 104 ? be32(head + 100) : bytes;

	while (at <= bytes && bytes - at >= 8) {
		uint32_t type = be32(head + at), len = be32(head + at + 4);

		at += 8;
		if (type == 0 || len > bytes - at)
			return;
		if (type == QCOW2_EXT_BACKING_FORMAT) {
			ret->backing_is_named = true;
			ret->backing_is_raw = len == 3 && memcmp(head + at, "raw", 3) == 0;
		}
		at += (len + 7) & ~7u;
	}
}

static void backing_find(const uint8_t *head, size_t bytes, struct imagehead *ret)
{
	uint64_t at = be64(head + 8);
	uint32_t len = be32(head + 16);

	if (at == 0 || len == 0 || len > NAME_MAX_BYTES || at > bytes || len > bytes - at ||
	    memchr(head + at, 0, len))
		return;
	ret->backing = g_strndup((const char *)head + at, len);
	if (g_str_has_prefix(ret->backing, "file:"))
		memmove(ret->backing, ret->backing + 5, strlen(ret->backing + 5) + 1);
	backing_format_find(head, at, ret);
}

static void features_read(const uint8_t *head, size_t bytes, struct imagehead *ret)
{
	uint32_t cluster_bits = be32(head + 20);

	ret->version = be32(head + 4);
	ret->cluster_bytes = cluster_bits >= 9 && cluster_bits <= 21 ? 1u << cluster_bits : 0;
	if (ret->version < 3 || bytes < 104)
		return;
	ret->extended_l2 = be64(head + 72) & 1u << 4;
	ret->lazy_refcounts = be64(head + 80) & 1;
}

/* FNV-1a: it tells a changed header from an unchanged one, not an attacker from a friend. */
static uint64_t digest_add(uint64_t digest, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++)
		digest = (digest ^ p[i]) * 0x100000001b3;
	return digest;
}

/*
 * Not the feature bits, nor the refcounts' place: an open for writing changes
 * those of an image that stays what it is.
 */
static uint64_t digest_of(const uint8_t *head, const struct imagehead *h)
{
	uint64_t digest = 0xcbf29ce484222325;

	digest = digest_add(digest, head + 4, 4);	/* version */
	digest = digest_add(digest, head + 20, 28);	/* clusters, size, encryption, L1 table */
	if (h->backing)
		digest = digest_add(digest, h->backing, strlen(h->backing));
	return digest;
}

static bool raw_bytes(int fd, uint64_t *ret, GError **error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "look at the image");
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, ret) == 0 ||
		       error_errno(error, errno, "size of the block device");
	*ret = (uint64_t)st.st_size;
	return true;
}

bool imagehead_read(int fd, bool raw, struct imagehead *ret, GError **error)
{
	g_autofree uint8_t *head = raw ? NULL : g_malloc(HEADER_MAX);
	ssize_t n = raw ? 0 : pread(fd, head, HEADER_MAX, 0);
	struct imagehead h = { 0 };

	if (n < 0)
		return error_errno(error, errno, "read the image's header");
	if (n < HEADER_MIN || be32(head) != QCOW2_MAGIC) {
		if (!raw_bytes(fd, &h.bytes, error))
			return false;
	} else {
		h.qcow2 = true;
		h.bytes = be64(head + 24);
		features_read(head, (size_t)n, &h);
		backing_find(head, (size_t)n, &h);
		h.digest = digest_of(head, &h);
	}
	*ret = h;
	return true;
}

bool imagehead_look(const char *path, bool raw, struct imagehead *ret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd >= 0 && imagehead_read(fd, raw, ret, NULL);
}

char *imagehead_backing_path(const struct imagehead *head, const char *path)
{
	g_autofree char *dir = NULL;

	/* "json:...", "nbd://...": nothing that we would open */
	if (!head->backing || g_str_has_prefix(head->backing, "json:") ||
	    strstr(head->backing, "://"))
		return NULL;
	dir = g_path_get_dirname(path);
	return g_canonicalize_filename(head->backing, dir);
}

void imagehead_clear(struct imagehead *head)
{
	g_clear_pointer(&head->backing, g_free);
}

GPtrArray *imagehead_chain(const char *path, bool raw)
{
	GPtrArray *chain = g_ptr_array_new_with_free_func(g_free);
	char *next = g_canonicalize_filename(path, "/");

	while (next && chain->len < IMAGEHEAD_CHAIN_MAX) {
		struct imagehead head = { 0 };
		char *here = next;

		g_ptr_array_add(chain, here);
		next = NULL;
		if (!imagehead_look(here, raw, &head))
			break;
		next = imagehead_backing_path(&head, here);
		raw = head.backing_is_raw;
		imagehead_clear(&head);
	}
	g_free(next);
	return chain;
}
