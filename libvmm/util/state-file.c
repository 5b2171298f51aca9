/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sections of a machine's state to a file and back. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/state-priv.h"

#define MAGIC "LVMMSAVE"
#define TABLE_BYTES_MAX (UINT64_C(64) << 20)
#define SECTIONS_MAX 4096
#define RAM_BYTES_MAX (UINT64_C(1) << 44)
#define ALIGN 8

struct state_header {
	char magic[8];
	uint32_t version;
	uint32_t flags;			/* a reader refuses what it does not know */
	uint64_t ram_offset;
	uint64_t ram_bytes;
	uint64_t table_offset;
	uint64_t table_bytes;
	uint32_t n_sections;
	uint8_t reserved[72];
	uint32_t crc;			/* of what is before */
};

static_assert(sizeof(struct state_header) == 128, "the header of a state file");

struct section_header {
	char name[STATE_NAME_MAX];	/* padded with zeroes, at least one */
	uint32_t version;
	uint32_t bytes;
	uint32_t crc;			/* of the bytes */
	uint32_t head_crc;		/* of the header before this */
};

static_assert(sizeof(struct section_header) == 128, "the header of a section");

/* CRC-32 of IEEE 802.3, four bits at a time: what it covers is small. */
static uint32_t crc32_of(const void *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;

	for (const uint8_t *p = data; len; len--, p++) {
		crc = crc >> 4 ^ table[(crc ^ *p) & 15];
		crc = crc >> 4 ^ table[(crc ^ *p >> 4) & 15];
	}
	return ~crc;
}

static void table_add(GByteArray *table, const struct section *sec)
{
	static const uint8_t zeroes[ALIGN];
	struct section_header head = { .version = GUINT32_TO_LE(sec->version) };
	size_t len;
	const void *data = g_bytes_get_data(sec->bytes, &len);

	g_strlcpy(head.name, sec->name, sizeof(head.name));
	head.bytes = GUINT32_TO_LE((uint32_t)len);
	head.crc = GUINT32_TO_LE(crc32_of(data, len));
	head.head_crc = GUINT32_TO_LE(crc32_of(&head, offsetof(struct section_header, head_crc)));
	g_byte_array_append(table, (const uint8_t *)&head, sizeof(head));
	g_byte_array_append(table, data, (guint)len);
	g_byte_array_append(table, zeroes, -len & (ALIGN - 1));
}

static bool write_all(int fd, const void *data, size_t len, uint64_t at, GError **error)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(error, n ? errno : EIO, "write the saved state");
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

static bool sync_all(int fd, GError **error)
{
	/* EINVAL: a pipe or the like has no disk. */
	if (fdatasync(fd) == 0 || errno == EINVAL)
		return true;
	return error_errno(error, errno, "sync the saved state");
}

/* Behind what is there: an old table stays whole until the header has changed. */
static uint64_t table_place(int fd, uint64_t ram_bytes)
{
	uint64_t least = STATE_RAM_OFFSET + ram_bytes;
	struct stat st;

	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size > least)
		least = (uint64_t)st.st_size;
	return (least + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

bool state_file_write(const struct state_file *s, int fd, uint64_t ram_bytes, GError **error)
{
	g_autoptr(GByteArray) table = g_byte_array_new();
	struct state_header head = {
		.magic = MAGIC,
		.version = GUINT32_TO_LE(STATE_VERSION),
		.flags = GUINT32_TO_LE(s->flags),
		.ram_offset = GUINT64_TO_LE(STATE_RAM_OFFSET),
		.ram_bytes = GUINT64_TO_LE(ram_bytes),
		.n_sections = GUINT32_TO_LE(s->sections->len),
	};
	uint64_t at = table_place(fd, ram_bytes);

	for (unsigned i = 0; i < s->sections->len; i++)
		table_add(table, s->sections->pdata[i]);
	if (table->len > TABLE_BYTES_MAX || s->sections->len > SECTIONS_MAX)
		return error_set(error, VMM_ERR_INTERNAL, "a state of %u bytes", table->len);
	head.table_offset = GUINT64_TO_LE(at);
	head.table_bytes = GUINT64_TO_LE((uint64_t)table->len);
	head.crc = GUINT32_TO_LE(crc32_of(&head, offsetof(struct state_header, crc)));
	return write_all(fd, table->data, table->len, at, error) && sync_all(fd, error) &&
	       write_all(fd, &head, sizeof(head), 0, error) && sync_all(fd, error);
}

static bool read_all(int fd, void *data, size_t len, uint64_t at)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

static bool broken(GError **error, const char *what)
{
	return error_set(error, VMM_ERR_OPERATION_FAILED, "the saved state %s", what);
}

static bool header_read(int fd, struct state_header *h, GError **error)
{
	static const char zeroes[sizeof(h->magic)];
	uint32_t version;

	if (!read_all(fd, h, sizeof(*h), 0))
		return broken(error, "is shorter than its header: no machine was saved into it");
	if (memcmp(h->magic, zeroes, sizeof(zeroes)) == 0)
		return broken(error, "was not finished: the save was interrupted");
	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
		return broken(error, "is no saved machine of libvmm");
	version = GUINT32_FROM_LE(h->version);
	if (version != STATE_VERSION)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the saved state has version %u, this libvmm knows %u", version,
				 STATE_VERSION);
	if (crc32_of(h, offsetof(struct state_header, crc)) != GUINT32_FROM_LE(h->crc))
		return broken(error, "has a damaged header");
	h->flags = GUINT32_FROM_LE(h->flags);
	if (h->flags & ~(uint32_t)STATE_KNOWN)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the saved state uses features 0x%x, which this libvmm does not "
				 "know", h->flags & ~(uint32_t)STATE_KNOWN);
	return true;
}

static bool header_check(int fd, struct state_header *h, GError **error)
{
	uint64_t size;
	struct stat st;

	h->ram_offset = GUINT64_FROM_LE(h->ram_offset);
	h->ram_bytes = GUINT64_FROM_LE(h->ram_bytes);
	h->table_offset = GUINT64_FROM_LE(h->table_offset);
	h->table_bytes = GUINT64_FROM_LE(h->table_bytes);
	h->n_sections = GUINT32_FROM_LE(h->n_sections);
	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "stat the saved state");
	size = (uint64_t)st.st_size;
	if (h->ram_offset != STATE_RAM_OFFSET || h->ram_bytes > RAM_BYTES_MAX ||
	    h->ram_bytes % 4096 || h->n_sections > SECTIONS_MAX ||
	    h->table_bytes > TABLE_BYTES_MAX || h->table_offset % ALIGN ||
	    h->table_offset < h->ram_offset + h->ram_bytes)
		return broken(error, "has a header that makes no sense");
	if (h->table_offset > size || h->table_bytes > size - h->table_offset)
		return broken(error, "is shorter than its header says: it was cut");
	return true;
}

static bool section_read(struct state_file *s, GBytes *table, size_t *at, GError **error)
{
	size_t total;
	const uint8_t *data = g_bytes_get_data(table, &total);
	struct section_header head;
	uint32_t bytes;

	if (total - *at < sizeof(head))
		return broken(error, "ends in the middle of a section");
	memcpy(&head, data + *at, sizeof(head));
	*at += sizeof(head);
	bytes = GUINT32_FROM_LE(head.bytes);
	if (crc32_of(&head, offsetof(struct section_header, head_crc)) !=
	    GUINT32_FROM_LE(head.head_crc) || head.name[sizeof(head.name) - 1])
		return broken(error, "has a damaged section header");
	if (bytes > total - *at)
		return broken(error, "ends in the middle of a section");
	if (crc32_of(data + *at, bytes) != GUINT32_FROM_LE(head.crc))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the saved state is damaged in section '%s'", head.name);
	if (state_file_has(s, head.name))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the saved state has two sections '%s'", head.name);
	state_section_put(s, head.name, GUINT32_FROM_LE(head.version),
			  g_bytes_new_from_bytes(table, *at, bytes));
	*at = MIN(total, *at + ((bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1)));
	return true;
}

struct state_file *state_file_read(int fd, uint64_t *ret_ram_bytes, GError **error)
{
	g_autoptr(state_file) s = state_file_new();
	g_autoptr(GBytes) table = NULL;
	struct state_header head;
	size_t at = 0;
	uint8_t *data;

	if (!header_read(fd, &head, error) || !header_check(fd, &head, error))
		return NULL;
	data = g_malloc(head.table_bytes + 1);
	table = g_bytes_new_take(data, head.table_bytes);
	if (!read_all(fd, data, head.table_bytes, head.table_offset)) {
		broken(error, "cannot be read");
		return NULL;
	}
	for (uint32_t i = 0; i < head.n_sections; i++)
		if (!section_read(s, table, &at, error))
			return NULL;
	s->flags = head.flags;
	*ret_ram_bytes = head.ram_bytes;
	return g_steal_pointer(&s);
}
