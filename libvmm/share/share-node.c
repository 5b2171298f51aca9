/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes: what the guest knows, found by device and inode. */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include "libvmm/util/error.h"

#define ROOT 1u

static uint32_t slot_of(const struct share *s, const struct share_node *node)
{
	return (uint32_t)(node - s->nodes);
}

static uint32_t *bucket_of(struct share *s, dev_t dev, ino_t ino)
{
	uint64_t h = (ino ^ (dev << 17)) * UINT64_C(0x9e3779b97f4a7c15);

	return &s->buckets[(h >> 32) & (s->n_buckets - 1)];
}

int share_fd_stat(int fd, struct stat *ret)
{
	return fstatat(fd, "", ret, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? share_errno() : 0;
}

static struct share_node *slot_new(struct share *s)
{
	uint32_t i = s->nodes_free;

	if (i)
		s->nodes_free = s->nodes[i].next;
	else if (s->nodes_top <= s->nodes_max)
		i = s->nodes_top++;
	return i ? &s->nodes[i] : NULL;
}

static void node_fill(struct share *s, struct share_node *node, int fd, const struct stat *st)
{
	uint32_t *bucket = bucket_of(s, st->st_dev, st->st_ino);

	node->fd = fd;
	node->type = st->st_mode & S_IFMT;
	node->dev = st->st_dev;
	node->ino = st->st_ino;
	node->next = *bucket;
	*bucket = slot_of(s, node);
}

bool share_root_set(struct share *s, int fd, GError **error)
{
	struct stat st;
	int r = share_fd_stat(fd, &st);

	s->nodes[ROOT].fd = -1;
	s->nodes_top = ROOT + 1;
	if (r < 0 || !S_ISDIR(st.st_mode)) {
		fd_close(&fd);
		return error_errno(error, r < 0 ? r : ENOTDIR, "%s: the folder", s->name);
	}
	node_fill(s, &s->nodes[ROOT], fd, &st);
	share_ino(s, st.st_dev, st.st_ino);
	return true;
}

int share_node_take(struct share *s, int fd, const struct stat *st, struct share_node **ret)
{
	struct share_node *node = NULL;

	for (uint32_t i = *bucket_of(s, st->st_dev, st->st_ino); i; i = s->nodes[i].next)
		if (s->nodes[i].ino == st->st_ino && s->nodes[i].dev == st->st_dev)
			node = &s->nodes[i];
	if (node) {
		fd_close(&fd);
	} else {
		node = slot_new(s);
		if (!node) {
			fd_close(&fd);
			return -ENFILE;
		}
		node_fill(s, node, fd, st);
	}
	node->lookups++;
	*ret = node;
	return 0;
}

int share_lookup(struct share *s, struct share_node *dir, const char *name,
		 struct share_node **ret, struct stat *ret_st)
{
	int fd, r = share_name_check(name);

	if (r < 0)
		return r;
	fd = share_open_at(dir->fd, name, O_PATH, 0);
	if (fd < 0)
		return fd;
	struct stat st, shown;
	r = share_fd_stat(fd, &st);
	shown = st;
	if (r == 0)
		r = share_stat_show(s, fd, &shown);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	r = share_node_take(s, fd, &st, ret);
	if (r == 0)
		*ret_st = shown;
	return r;
}

/* ---- their life ---- */

static void node_release(struct share *s, struct share_node *node)
{
	uint32_t *at = bucket_of(s, node->dev, node->ino);

	if (node->lookups || node->n_files || slot_of(s, node) == ROOT)
		return;
	while (*at != slot_of(s, node))
		at = &s->nodes[*at].next;
	*at = node->next;
	fd_close(&node->fd);
	node->life++;
	node->next = s->nodes_free;
	s->nodes_free = slot_of(s, node);
}

void share_get(struct share *s, struct share_node *node)
{
	node->lookups++;
}

void share_put(struct share *s, struct share_node *node, uint64_t lookups)
{
	node->lookups -= MIN(lookups, node->lookups);
	node_release(s, node);
}

void share_node_opened(struct share_node *node)
{
	node->n_files++;
}

void share_node_closed(struct share *s, struct share_node *node)
{
	if (--node->n_files == 0)
		share_locks_close(s, node);
	node_release(s, node);
}

struct share_node *share_root(struct share *s)
{
	return &s->nodes[ROOT];
}

uint64_t share_node_id(const struct share *s, const struct share_node *node)
{
	return (uint64_t)node->life << 32 | slot_of(s, node);
}

struct share_node *share_node_by_id(struct share *s, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i == 0 || i >= s->nodes_top || s->nodes[i].fd < 0 || s->nodes[i].life != id >> 32)
		return NULL;
	return &s->nodes[i];
}

mode_t share_type(const struct share_node *node)
{
	return node->type;
}
