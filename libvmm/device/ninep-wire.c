/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fields of 9P messages, read and written with bounds. */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>

#define QTDIR 0x80
#define QTSYMLINK 0x02

uint64_t msg_get(struct ninep_msg *m, unsigned bytes)
{
	uint64_t value = 0;

	if ((size_t)(m->end - m->at) < bytes) {
		m->bad = true;
		m->at = m->end;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)*m->at++ << (8 * i);
	return value;
}

int msg_get_text(struct ninep_msg *m, char *text, size_t size)
{
	size_t len = get_u16(m);

	if (m->bad || (size_t)(m->end - m->at) < len) {
		m->bad = true;
		return -EINVAL;
	}
	m->at += len;
	if (len >= size)
		return -ENAMETOOLONG;
	if (memchr(m->at - len, '\0', len))
		return -EINVAL;
	memcpy(text, m->at - len, len);
	text[len] = '\0';
	return 0;
}

int msg_get_name(struct ninep_msg *m, char name[NINEP_NAME_BYTES])
{
	return msg_get_text(m, name, NINEP_NAME_BYTES);
}

void ninep_put_le(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* No answer is as long as the buffer: what is put is bounded by who puts it. */
void msg_put(struct ninep_msg *m, uint64_t value, unsigned bytes)
{
	g_assert((size_t)(m->put_end - m->put) >= bytes);
	ninep_put_le(m->put, value, bytes);
	m->put += bytes;
}

void msg_put_text(struct ninep_msg *m, const char *text, size_t len)
{
	g_assert((size_t)(m->put_end - m->put) >= len + 2);
	msg_put(m, len, 2);
	memcpy(m->put, text, len);
	m->put += len;
}

uint8_t ninep_qid_type(mode_t mode)
{
	return S_ISDIR(mode) ? QTDIR : S_ISLNK(mode) ? QTSYMLINK : 0;
}

/* The version changes with the contents: a guest that caches looks at it. */
void msg_put_qid(struct ninep_msg *m, const struct stat *st)
{
	msg_put(m, ninep_qid_type(st->st_mode), 1);
	msg_put(m, (uint32_t)st->st_mtim.tv_sec ^ (uint32_t)st->st_mtim.tv_nsec ^
		   (uint32_t)(st->st_size << 8), 4);
	msg_put(m, st->st_ino, 8);
}
