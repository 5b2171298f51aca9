/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Internal snapshots: create, apply, delete.
 *
 * A snapshot is an L1 table.  Creating gives it the active one, and the disk
 * gets a copy; applying makes the disk's a copy of the snapshot's; deleting
 * strikes the entry.  Refcounts and flags follow from that, see qcow2-shadow.c.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

#define NAME_BYTES_MAX 255 /* more is cut by QEMU */

static bool is_text(const GByteArray *bytes, const char *text)
{
	return bytes->len == strlen(text) && memcmp(bytes->data, text, bytes->len) == 0;
}

/* By name, else by id; *ret is the index. */
static bool snapshot_find(const struct qcow2 *q, const char *name, unsigned *ret, GError **error)
{
	unsigned n_names = 0, n_ids = 0, by_name = 0, by_id = 0;

	for (unsigned i = 0; i < q->n_snapshots; i++) {
		if (is_text(q->snapshots[i].name, name)) {
			by_name = i;
			n_names++;
		} else if (is_text(q->snapshots[i].id, name)) {
			by_id = i;
			n_ids++;
		}
	}
	if (n_names + n_ids > 1)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s': '%s' may be any of %u snapshots; give %s",
				 q->file->path, name, n_names + n_ids,
				 n_names > 1 && !n_ids ? "the id instead" :
							 "another's name or id, or rename them");
	if (n_names + n_ids == 0)
		return error_set(
			error, VMM_ERR_INVALID_ARG,
			"image '%s' has no snapshot '%s'; 'vmsh image snapshot -l' lists them",
			q->file->path, name);
	*ret = n_names ? by_name : by_id;
	return true;
}

/* QCOW2_SNAPSHOTS_MAX: none. */
static unsigned snapshot_named(const struct qcow2 *q, const char *name)
{
	for (unsigned i = 0; i < q->n_snapshots; i++)
		if (is_text(q->snapshots[i].name, name))
			return i;
	return QCOW2_SNAPSHOTS_MAX;
}

static bool editable(const struct qcow2 *q, GError **error)
{
	if (!q->rw)
		return error_set(error, VMM_ERR_OPERATION_INVALID, "image '%s' is open read-only",
				 q->file->path);
	return !q->corrupt ||
	       error_set(error, VMM_ERR_OPERATION_INVALID, "image '%s' is corrupt", q->file->path);
}

/* ---- create ---- */

static bool name_check(const struct qcow2 *q, const char *name, GError **error)
{
	if (!*name || strlen(name) > NAME_BYTES_MAX || !g_utf8_validate(name, -1, NULL))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "a snapshot's name has 1 to %d bytes of UTF-8", NAME_BYTES_MAX);
	for (const char *c = name; *c; c++)
		if (g_ascii_iscntrl(*c))
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "a snapshot's name has no control characters");
	if (snapshot_named(q, name) != QCOW2_SNAPSHOTS_MAX)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "image '%s' has a snapshot '%s' already", q->file->path, name);
	if (q->n_snapshots >= QCOW2_SNAPSHOTS_MAX)
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "image '%s' has %u snapshots; there is no room for more",
				 q->file->path, q->n_snapshots);
	return true;
}

static GByteArray *bytes_of(const char *text)
{
	return g_byte_array_append(g_byte_array_new(), (const guint8 *)text, strlen(text));
}

/* One more than the greatest that is a number. */
static GByteArray *id_new(const struct qcow2 *q)
{
	g_autofree char *text = NULL;
	uint64_t max = 0;

	for (unsigned i = 0; i < q->n_snapshots; i++) {
		const GByteArray *id = q->snapshots[i].id;
		g_autofree char *s = g_strndup((const char *)id->data, id->len);
		uint64_t n;

		if (g_ascii_string_to_unsigned(s, 10, 0, G_MAXUINT32, &n, NULL))
			max = MAX(max, n);
	}
	text = g_strdup_printf("%" G_GUINT64_FORMAT, max + 1);
	return bytes_of(text);
}

static void snapshot_add(struct qcow2 *q, const char *name)
{
	gint64 now_us = g_get_real_time();
	struct qcow2_snapshot s = {
		.l1_off = q->h.l1_off,
		.l1_size = q->l1_size,
		.date_sec = now_us / G_USEC_PER_SEC,
		.date_nsec = now_us % G_USEC_PER_SEC * 1000,
		.disk_bytes = q->bytes,
		.extra = g_byte_array_new(),
		.id = id_new(q),
		.name = bytes_of(name),
	};

	q->snapshots = g_renew(struct qcow2_snapshot, q->snapshots, q->n_snapshots + 1);
	q->snapshots[q->n_snapshots++] = s;
}

bool qcow2_snapshot_create(struct qcow2 *q, const char *name, GError **error)
{
	struct shadow s;

	if (!editable(q, error) || !name_check(q, name, error) || !shadow_begin(&s, q, error))
		return false;
	snapshot_add(q, name);
	/* What is behind the disk's end is a machine's state, which the active table needs not. */
	q->l1_size = l1_entries(q, q->bytes);
	return shadow_commit(&s, error);
}

/* ---- apply ---- */

static uint64_t *l1_of_snapshot(struct qcow2 *q, const struct qcow2_snapshot *s, uint32_t n)
{
	g_autofree uint64_t *l1 = g_try_new0(uint64_t, MAX(n, 1));

	if (!l1 || file_pread(q->file, s->l1_off, l1, MIN(n, s->l1_size) * 8ull) < 0)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		l1[i] = GUINT64_FROM_BE(l1[i]);
	return g_steal_pointer(&l1);
}

static bool apply_at(struct qcow2 *q, unsigned i, const char *name, GError **error)
{
	const struct qcow2_snapshot *snap = &q->snapshots[i];
	struct shadow s;
	uint64_t *l1;
	int r;

	if (snap->disk_bytes > 1ull << 61 ||
	    l1_entries(q, snap->disk_bytes) > QCOW2_L1_BYTES_MAX / 8)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s': snapshot '%s' has an impossible disk size",
				 q->file->path, name);
	r = bitmaps_stale(q);
	if (r < 0)
		return error_errno(error, r, "mark the bitmaps of '%s'", q->file->path);
	if (!shadow_begin(&s, q, error))
		return false;
	l1 = l1_of_snapshot(q, snap, l1_entries(q, snap->disk_bytes));
	if (!l1) {
		shadow_cancel(&s);
		return error_errno(error, EIO, "read snapshot '%s' of '%s'", name, q->file->path);
	}
	g_free(q->l1);
	q->l1 = l1;
	q->l1_size = l1_entries(q, snap->disk_bytes);
	q->bytes = snap->disk_bytes;
	return shadow_commit(&s, error);
}

bool qcow2_snapshot_apply(struct qcow2 *q, const char *name_or_id, GError **error)
{
	unsigned i;

	return editable(q, error) && snapshot_find(q, name_or_id, &i, error) &&
	       apply_at(q, i, name_or_id, error);
}

bool qcow2_snapshot_apply_named(struct qcow2 *q, const char *name, GError **error)
{
	unsigned i = snapshot_named(q, name);

	if (i == QCOW2_SNAPSHOTS_MAX)
		return error_set(error, VMM_ERR_NO_SNAPSHOT, "image '%s' has no snapshot '%s'",
				 q->file->path, name);
	return editable(q, error) && apply_at(q, i, name, error);
}

/* ---- delete ---- */

static bool delete_at(struct qcow2 *q, unsigned i, GError **error)
{
	struct shadow s;

	if (!shadow_begin(&s, q, error))
		return false;
	snapshot_clear(&q->snapshots[i]);
	q->n_snapshots--;
	memmove(&q->snapshots[i], &q->snapshots[i + 1],
		(q->n_snapshots - i) * sizeof(*q->snapshots));
	return shadow_commit(&s, error);
}

bool qcow2_snapshot_delete(struct qcow2 *q, const char *name_or_id, GError **error)
{
	unsigned i;

	return editable(q, error) && snapshot_find(q, name_or_id, &i, error) &&
	       delete_at(q, i, error);
}

bool qcow2_snapshot_delete_named(struct qcow2 *q, const char *name, GError **error)
{
	unsigned i = snapshot_named(q, name);

	return editable(q, error) && (i == QCOW2_SNAPSHOTS_MAX || delete_at(q, i, error));
}

/* ---- resize ---- */

bool qcow2_snapshots_keep_size(struct qcow2 *q, GError **error)
{
	bool all = true;
	struct shadow s;

	for (unsigned i = 0; i < q->n_snapshots; i++)
		all &= q->snapshots[i].extra->len >= QCOW2_SNAPSHOT_EXTRA_BYTES;
	return all || (shadow_begin(&s, q, error) && shadow_commit(&s, error));
}
