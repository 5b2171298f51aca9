/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records, into a tree.  Whoever sends them may be hostile: a name is one
 * component, each is looked up in the descriptor of its folder, and nothing
 * follows a link, neither one that was there nor one that came just now.  The
 * way back up is "..", if that is still the folder that was left.
 *
 * A file has its name when it is whole.  Until then it has none, where the file
 * system can, else one that goes with it.
 */
#include "config.h"

#include "images/agent/tree.h"
#include "images/agent/tree-attr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_BYTES (4 * TREE_DATA_MAX)

struct unpack {
	const struct tree_opts *opts;
	const struct tree_target *target;
	struct tree_error *error;
	struct tree_temp *temp, own_temp;
	int in;
	struct tree_path path;
	int dir;	/* the folder that is filled; the target's base is not ours to close */
	bool begun;	/* the top has come */
	bool folders;	/* it is one */
	bool whole;
	int file;	/* -1: none is open */
	bool nameless;
	uint64_t end;	/* of what was written to it */
	struct tree_late late; /* of the file */
	unsigned lost;	/* kinds of attributes of which it was told, as bits */
	struct tree_entry entry; /* the last that came, under the name that it gets */
	size_t start, n;
	uint8_t buf[IN_BYTES];
};

static bool fail_at(struct unpack *u, const char *name, int error)
{
	char text[512];

	tree_path_text(&u->path, name, text);
	return tree_fail(u->error, error, false, "'%s'", text);
}

static bool odd(struct unpack *u, const char *what)
{
	return tree_fail(u->error, 0, false, "the other side sends %s", what);
}

/* ---- attributes ---- */

static bool may_be_ignored(int error)
{
	return error == EPERM || error == EINVAL || error == EOPNOTSUPP;
}

/* What the user or the file system can't keep is not kept; set-id bits only with their owner. */
static int attributes_set(const struct unpack *u, int fd, const struct tree_entry *e)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = e->mtime_s, .tv_nsec = e->mtime_ns } };
	mode_t mode = e->mode & 01777;

	if (u->opts->owners && fchown(fd, e->uid, e->gid) == 0)
		mode = e->mode;
	else if (u->opts->owners && !may_be_ignored(errno))
		return errno;
	if (fchmod(fd, mode) < 0 && !may_be_ignored(errno))
		return errno;
	return futimens(fd, times) < 0 && !may_be_ignored(errno) ? errno : 0;
}

/* of: the file; NULL: the folder that is filled. */
static void attr_lost(struct unpack *u, const char *of, const char *name, int error)
{
	char path[512];

	tree_path_text(&u->path, of, path);
	tree_attr_lost(u->opts, &u->lost, path, name, error);
}

static bool attr_take(struct unpack *u, const uint8_t *data, size_t n)
{
	bool in_file = u->file >= 0;
	struct tree_late *late = in_file ? &u->late : &u->path.levels[u->path.depth - 1].late;
	struct tree_attr a;
	int r;

	if (!u->opts->attributes || !tree_attr_read(data, n, &a))
		return odd(u, "attributes that are not copied");
	r = tree_attr_take(late, in_file ? u->file : u->dir, &a);
	if (r)
		attr_lost(u, in_file ? u->entry.name : NULL, a.name, r);
	return true;
}

static void late_set(struct unpack *u, struct tree_late *late, int fd, const char *of)
{
	const char *name;
	int r = tree_late_set(late, fd, &name);

	if (r)
		attr_lost(u, of, name, r);
}

static int link_attributes_set(const struct unpack *u, const char *name)
{
	const struct tree_entry *e = &u->entry;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = e->mtime_s, .tv_nsec = e->mtime_ns } };

	if (u->opts->owners &&
	    fchownat(u->dir, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    !may_be_ignored(errno))
		return errno;
	return utimensat(u->dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 && !may_be_ignored(errno) ?
		       errno :
		       0;
}

/* ---- names ---- */

/* A folder, a device: what has a name here and is no file and no link stays. */
static bool in_the_way(struct unpack *u, struct stat *ret)
{
	const char *name = u->entry.name;
	char text[512];

	ret->st_mode = 0;
	if (fstatat(u->dir, name, ret, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(ret->st_mode) ||
	    S_ISLNK(ret->st_mode))
		return false;
	tree_path_text(&u->path, name, text);
	tree_fail(u->error, 0, false, "'%s' is there already, and is %s", text,
		  S_ISDIR(ret->st_mode) ? "a folder" : "no plain file");
	return true;
}

/* A descriptor's name without rights over all files: by /proc. */
static int link_file(int fd, int dir, const char *name)
{
	char self[32];

	if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

static void temp_begin(struct unpack *u)
{
	u->temp->dir = u->dir;
	u->temp->there = true;
}

static void temp_drop(struct unpack *u)
{
	if (u->temp->there)
		unlinkat(u->temp->dir, u->temp->name, 0);
	u->temp->there = false;
}

static int temp_rename(struct unpack *u)
{
	if (renameat(u->dir, u->temp->name, u->dir, u->entry.name) < 0)
		return errno;
	u->temp->there = false;
	return 0;
}

/* ---- files ---- */

static void file_drop(struct unpack *u)
{
	if (u->file >= 0)
		close(u->file);
	u->file = -1;
	tree_late_clear(&u->late);
	temp_drop(u);
}

static bool file_begin(struct unpack *u)
{
	u->end = 0;
	u->file = openat(u->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	u->nameless = u->file >= 0;
	if (!u->nameless) {
		temp_begin(u);
		u->file = openat(u->dir, u->temp->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				 0600);
	}
	if (u->file >= 0 && u->opts->attributes)
		tree_late_begin(u->file);
	return u->file >= 0 || fail_at(u, u->entry.name, errno);
}

static bool file_write(struct unpack *u, const uint8_t *data, size_t n)
{
	uint64_t at = tree_number(data, TREE_OFFSET);

	if (at > INT64_MAX - TREE_DATA_MAX)
		return odd(u, "what no file can hold");
	data += TREE_OFFSET;
	n -= TREE_OFFSET;
	u->opts->count->bytes += n;
	while (n > 0) {
		ssize_t done = pwrite(u->file, data, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return fail_at(u, u->entry.name, done < 0 ? errno : ENOSPC);
		data += done;
		at += done;
		n -= done;
	}
	if (at > u->end)
		u->end = at;
	return true;
}

static int file_name(struct unpack *u)
{
	int r;

	if (!u->nameless)
		return temp_rename(u);
	r = link_file(u->file, u->dir, u->entry.name);
	if (r != EEXIST)
		return r;
	temp_begin(u);
	r = link_file(u->file, u->dir, u->temp->name);
	return r ? r : temp_rename(u);
}

/* One alone is on the disk when it has its name; of a tree the file system is, at the end. */
static bool file_end(struct unpack *u, uint64_t size)
{
	struct stat there;
	int r = 0;

	if (size > INT64_MAX || size < u->end)
		return odd(u, "a size that the file has not");
	if (in_the_way(u, &there))
		return false;
	if (size != u->end && ftruncate(u->file, size) < 0)
		r = errno;
	/* it replaces one of somebody's, whose it stays */
	if (!r && !u->opts->owners && S_ISREG(there.st_mode) &&
	    fchown(u->file, there.st_uid, there.st_gid) < 0 && !may_be_ignored(errno))
		r = errno;
	if (!r)
		r = attributes_set(u, u->file, &u->entry);
	if (!r)
		late_set(u, &u->late, u->file, u->entry.name);
	if (!r && !u->folders && fsync(u->file) < 0)
		r = errno;
	if (!r)
		r = file_name(u);
	if (r)
		return fail_at(u, u->entry.name, r);
	file_drop(u);
	return true;
}

static bool make_link(struct unpack *u)
{
	const char *name = u->entry.name;
	struct stat there;
	int r = 0;

	if (symlinkat(u->entry.target, u->dir, name) < 0) {
		if (errno == EEXIST && in_the_way(u, &there))
			return false;
		temp_begin(u);
		if (errno != EEXIST || symlinkat(u->entry.target, u->dir, u->temp->name) < 0)
			r = errno;
		if (!r)
			r = temp_rename(u);
		temp_drop(u);
	}
	if (!r)
		r = link_attributes_set(u, name);
	return r == 0 || fail_at(u, name, r);
}

/* ---- folders ---- */

static void dir_change(struct unpack *u, int fd)
{
	if (u->dir != u->target->base)
		close(u->dir);
	u->dir = fd;
}

/* What was there is filled; it must be a folder itself, not a link to one. */
static bool folder_begin(struct unpack *u)
{
	const char *name = *u->entry.name ? u->entry.name : ".";
	bool made = mkdirat(u->dir, name, 0700) == 0;
	int fd = openat(u->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct tree_level *l;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_at(u, name, errno == ELOOP ? ENOTDIR : errno);
	if (u->path.depth == TREE_DEPTH_MAX) {
		close(fd);
		return fail_at(u, name, ELOOP);
	}
	l = tree_push(&u->path, name);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->made = made;
	l->entry = malloc(sizeof(*l->entry));
	if (!l->entry)
		abort();
	*l->entry = u->entry;
	if (made && u->opts->attributes)
		tree_late_begin(fd);
	dir_change(u, fd);
	return true;
}

/* One that was there stays what it was, unless its owner is to be kept, too. */
static bool folder_end(struct unpack *u)
{
	struct tree_level *l = &u->path.levels[u->path.depth - 1];
	int r = l->made || u->opts->owners ? attributes_set(u, u->dir, l->entry) : 0;

	if (r)
		return fail_at(u, NULL, r);
	late_set(u, &l->late, u->dir, NULL);
	tree_pop(&u->path);
	if (u->path.depth == 0) {
		if (syncfs(u->dir) < 0)
			return fail_at(u, NULL, errno);
		dir_change(u, u->target->base);
		return true;
	}
	u->dir = tree_up(u->dir, &u->path.levels[u->path.depth - 1]);
	if (u->dir >= 0)
		return true;
	r = errno;
	u->dir = u->target->base;
	return fail_at(u, NULL, r);
}

/* ---- records ---- */

/* The top's name is ours to choose. */
static bool entry_begin(struct unpack *u, uint8_t kind, const uint8_t *data, size_t n)
{
	const struct tree_target *t = u->target;

	if (u->begun && !u->path.depth)
		return odd(u, "more than one tree");
	if (!tree_entry_read(kind, data, n, &u->entry))
		return odd(u, "a name that leads elsewhere");
	if (!u->begun) {
		if (kind != TREE_FOLDER && (t->folder || !*t->name))
			return tree_fail(u->error, ENOTDIR, false, "'%s'", t->path);
		snprintf(u->entry.name, sizeof(u->entry.name), "%s", t->name);
		u->folders = kind == TREE_FOLDER;
	}
	u->begun = true;
	u->opts->count->entries++;
	return kind == TREE_FOLDER ? folder_begin(u) :
	       kind == TREE_FILE   ? file_begin(u) :
				     make_link(u);
}

static bool skipped(struct unpack *u, const uint8_t *data, size_t n)
{
	char text[TREE_TEXT_MAX + 1];

	if (n > TREE_TEXT_MAX)
		return odd(u, "more words than there is room for");
	memcpy(text, data, n);
	text[n] = '\0';
	u->opts->count->skipped++;
	if (u->opts->skipped)
		u->opts->skipped(text, u->opts->opaque);
	return true;
}

static bool record(struct unpack *u, uint8_t kind, const uint8_t *data, size_t n)
{
	bool in_file = u->file >= 0;

	if (in_file && kind == TREE_DATA && n > TREE_OFFSET)
		return file_write(u, data, n);
	if (kind == TREE_ATTR && (in_file || u->path.depth))
		return attr_take(u, data, n);
	if (in_file && kind == TREE_END && n == 8)
		return file_end(u, tree_number(data, 8));
	if (in_file && kind == TREE_DROP && n == 0) {
		file_drop(u);
		return true;
	}
	if (!in_file && (kind == TREE_FOLDER || kind == TREE_FILE || kind == TREE_LINK))
		return entry_begin(u, kind, data, n);
	if (!in_file && kind == TREE_END && n == 0 && u->path.depth)
		return folder_end(u);
	if (!in_file && kind == TREE_SKIPPED)
		return skipped(u, data, n);
	u->whole = !in_file && kind == TREE_WHOLE && n == 0 && !u->path.depth;
	return u->whole || odd(u, "what is no tree");
}

/* ---- the stream ---- */

static bool fill(struct unpack *u)
{
	char text[512];
	ssize_t n;

	memmove(u->buf, u->buf + u->start, u->n);
	u->start = 0;
	do {
		n = read(u->in, u->buf + u->n, sizeof(u->buf) - u->n);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		u->n += n;
		return true;
	}
	tree_path_text(&u->path, u->file >= 0 ? u->entry.name : NULL, text);
	return tree_fail(u->error, n < 0 ? errno : 0, true, "the copy has broken off at '%s'",
			 text);
}

static bool next_record(struct unpack *u)
{
	uint8_t kind;
	size_t n;

	while (u->n < TREE_HEADER)
		if (!fill(u))
			return false;
	kind = u->buf[u->start];
	n = tree_number(u->buf + u->start + 1, 4);
	if (n > TREE_REST_MAX)
		return odd(u, "what is no tree");
	while (u->n < TREE_HEADER + n)
		if (!fill(u))
			return false;
	const uint8_t *data = u->buf + u->start + TREE_HEADER;
	u->start += TREE_HEADER + n;
	u->n -= TREE_HEADER + n;
	return record(u, kind, data, n);
}

static void temp_init(struct unpack *u)
{
	uint64_t random = getpid();

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = getpid(); /* a boot without entropy: unlikely to meet another */
	u->temp = u->opts->temp ? u->opts->temp : &u->own_temp;
	u->temp->there = false;
	snprintf(u->temp->name, sizeof(u->temp->name), ".vmm-copy.%016llx",
		 (unsigned long long)random);
}

bool tree_unpack(int in, const struct tree_target *t, const struct tree_opts *opts,
		 struct tree_error *e)
{
	struct unpack *u = calloc(1, sizeof(*u));
	bool ok = true;

	if (!u)
		abort();
	u->opts = opts;
	u->target = t;
	u->error = e;
	u->in = in;
	u->file = -1;
	u->dir = t->base;
	u->path.top = t->path;
	temp_init(u);
	while (ok && !u->whole)
		ok = next_record(u);
	file_drop(u);
	dir_change(u, t->base);
	tree_path_clear(&u->path);
	free(u);
	return ok;
}
