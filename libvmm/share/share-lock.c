/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks, which the host's kernel keeps: so its own programs see them, too.
 *
 * A record lock belongs to a process and a file, whichever descriptor asked for
 * it.  The host's lock that fits belongs to an open file (F_OFD_SETLK): each pair
 * of a guest's process and a node has one of its own, opened for that alone.  It
 * goes when the process closes the file, or nobody has it open any more.
 */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include <sys/file.h>

static struct share_lock *lock_find(struct share *s, const struct share_node *node,
				    uint64_t owner)
{
	uint32_t i = node->locks;

	while (i && s->locks[i].owner != owner)
		i = s->locks[i].next;
	return i ? &s->locks[i] : NULL;
}

static int lock_new(struct share *s, struct share_node *node, const struct share_file *file,
		    uint64_t owner, struct share_lock **ret)
{
	uint32_t i = s->locks_free ? s->locks_free : s->locks_top;
	int fd;

	if (i > SHARE_LOCKS_MAX)
		return -ENOLCK;
	fd = share_reopen(s, node->fd, s->readonly ? O_RDONLY : O_RDWR);
	if (fd < 0)
		fd = share_reopen(s, node->fd, file->flags);
	if (fd < 0)
		return fd;
	if (s->locks_free)
		s->locks_free = s->locks[i].next;
	else
		s->locks_top++;
	s->locks[i] = (struct share_lock){ .owner = owner, .fd = fd, .next = node->locks };
	node->locks = i;
	*ret = &s->locks[i];
	return 0;
}

/* at: what points to the lock in its node's list. */
static void lock_close(struct share *s, uint32_t *at)
{
	uint32_t i = *at;

	*at = s->locks[i].next;
	fd_close(&s->locks[i].fd);
	s->locks[i].next = s->locks_free;
	s->locks_free = i;
}

static int check(const struct share *s, const struct share_file *file, const struct flock *lock)
{
	if (!S_ISREG(s->nodes[file->node].type))
		return -EBADF;
	if (lock->l_start < 0 || lock->l_len < 0)
		return -EINVAL;
	return lock->l_type == F_RDLCK || lock->l_type == F_WRLCK || lock->l_type == F_UNLCK
		? 0 : -EINVAL;
}

int share_lock(struct share *s, struct share_file *file, uint64_t owner, const struct flock *lock)
{
	struct share_node *node = &s->nodes[file->node];
	struct share_lock *mine = lock_find(s, node, owner);
	struct flock fl = { .l_type = lock->l_type, .l_whence = SEEK_SET,
			    .l_start = lock->l_start, .l_len = lock->l_len };
	int r = check(s, file, lock);

	if (r < 0)
		return r;
	if (lock->l_type == F_WRLCK && file->flags == O_RDONLY)
		return -EBADF;
	if (!mine) {
		if (lock->l_type == F_UNLCK)
			return 0;
		r = lock_new(s, node, file, owner, &mine);
		if (r < 0)
			return r;
	}
	if (fcntl(mine->fd, F_OFD_SETLK, &fl) < 0)
		return errno == EACCES ? -EAGAIN : share_errno();
	if (lock->l_type == F_UNLCK && lock->l_start == 0 && lock->l_len == 0)
		share_lock_drop(s, node, owner);
	return 0;
}

int share_lock_test(struct share *s, struct share_file *file, uint64_t owner, struct flock *lock)
{
	struct share_lock *mine = lock_find(s, &s->nodes[file->node], owner);
	struct flock fl = { .l_type = lock->l_type, .l_whence = SEEK_SET,
			    .l_start = lock->l_start, .l_len = lock->l_len };
	int r = check(s, file, lock);

	if (r < 0)
		return r;
	if (fcntl(mine ? mine->fd : file->fd, F_OFD_GETLK, &fl) < 0)
		return share_errno();
	fl.l_pid = 0;
	*lock = fl;
	return 0;
}

void share_lock_drop(struct share *s, struct share_node *node, uint64_t owner)
{
	for (uint32_t *at = &node->locks; *at; at = &s->locks[*at].next) {
		if (s->locks[*at].owner == owner) {
			lock_close(s, at);
			return;
		}
	}
}

void share_locks_close(struct share *s, struct share_node *node)
{
	while (node->locks)
		lock_close(s, &node->locks);
}

int share_flock(struct share *s, struct share_file *file, int op)
{
	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		return -EINVAL;
	return flock(file->fd, op | LOCK_NB) < 0 ? share_errno() : 0;
}
