/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree, out as records.  One descriptor is open at each time: the way back
 * up is "..", if that is still the folder we came from.  What can't be read is
 * told and left out, as cp(1) does.
 */
#include "config.h"

#include "images/agent/tree.h"
#include "images/agent/tree-attr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OUT_BYTES (4 * TREE_DATA_MAX)
#define ATTRIBUTES "its extended attributes can't be read: "

struct pack {
	const struct tree_opts *opts;
	struct tree_error *error;
	int out, dir; /* dir: the folder that is read now; at the top AT_FDCWD */
	struct tree_path path;
	bool failed;
	size_t n;
	uint8_t buf[OUT_BYTES];
	char attrs[XATTR_LIST_MAX + 1]; /* names; what a file system says need not end by a 0 */
};

/* ---- records ---- */

static void flush(struct pack *p)
{
	for (size_t at = 0; at < p->n && !p->failed;) {
		ssize_t done = write(p->out, p->buf + at, p->n - at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			p->failed = !tree_fail(p->error, errno, true, "the copy has broken off");
		else
			at += done;
	}
	p->n = 0;
}

/* Where the rest of a record can be put; put_done() says how much that was. */
static uint8_t *put_room(struct pack *p)
{
	if (sizeof(p->buf) - p->n < TREE_HEADER + TREE_REST_MAX)
		flush(p);
	return p->buf + p->n + TREE_HEADER;
}

static void put_done(struct pack *p, uint8_t kind, size_t n)
{
	p->buf[p->n] = kind;
	tree_number_put(p->buf + p->n + 1, n, 4);
	p->n += TREE_HEADER + n;
}

static void put_empty(struct pack *p, uint8_t kind)
{
	put_room(p);
	put_done(p, kind, 0);
}

static void put_entry(struct pack *p, uint8_t kind, const struct tree_entry *e)
{
	put_done(p, kind, tree_entry_write(kind, e, put_room(p)));
	p->opts->count->entries++;
}

static void skip(struct pack *p, const char *name, const char *why)
{
	char path[512], text[TREE_TEXT_MAX];

	tree_path_text(&p->path, name, path);
	int n = snprintf(text, sizeof(text), "'%s' is not copied: %s", path, why);
	p->opts->count->skipped++;
	if (p->opts->skipped) {
		p->opts->skipped(text, p->opts->opaque);
		return;
	}
	memcpy(put_room(p), text, n);
	put_done(p, TREE_SKIPPED, n);
}

static void skip_part(struct pack *p, const char *name, const char *part, int error)
{
	char why[256];

	snprintf(why, sizeof(why), "%s%s", part, strerror(error));
	skip(p, name, why);
}

/* ---- contents ---- */

static bool all_zero(const uint8_t *data, size_t n)
{
	return data[0] == 0 && !memcmp(data, data + 1, n - 1);
}

/* From *at on: where data begins and ends. */
static bool next_data(int fd, bool sparse, uint64_t *at, uint64_t limit, uint64_t *ret_end)
{
	off_t data = sparse ? lseek(fd, *at, SEEK_DATA) : -1;
	off_t hole = data >= 0 ? lseek(fd, data, SEEK_HOLE) : -1;

	if (sparse && data < 0 && errno == ENXIO)
		return false; /* a hole to its end */
	*ret_end = hole > data && (uint64_t)hole < limit ? (uint64_t)hole : limit;
	if (data >= 0)
		*at = data;
	return *at < limit;
}

/* 0, or errno. */
static int put_contents(struct pack *p, int fd, const struct stat *st)
{
	bool sparse = st->st_blocks * INT64_C(512) < st->st_size;
	/* what has no size has perhaps contents all the same: /proc */
	uint64_t at = 0, end, limit = st->st_size ? (uint64_t)st->st_size : INT64_MAX;
	ssize_t n = 1;

	while (n > 0 && at < limit && !p->failed && next_data(fd, sparse, &at, limit, &end)) {
		for (; at < end && !p->failed; at += n) {
			uint8_t *to = put_room(p);
			size_t most = end - at < TREE_DATA_MAX ? end - at : TREE_DATA_MAX;
			n = pread(fd, to + TREE_OFFSET, most, at);
			if (n < 0 && errno == EINTR)
				n = 0;
			else if (n <= 0)
				break;
			if (n == 0 || (sparse && all_zero(to + TREE_OFFSET, n)))
				continue;
			tree_number_put(to, at, TREE_OFFSET);
			put_done(p, TREE_DATA, TREE_OFFSET + n);
			p->opts->count->bytes += n;
		}
	}
	if (n < 0)
		return errno;
	tree_number_put(put_room(p), n == 0 || limit == INT64_MAX ? at : limit, 8);
	put_done(p, TREE_END, 8);
	return 0;
}

/* ---- attributes ---- */

/* 0, or errno: not all of them are put.  One that has just gone was not there. */
static int put_attr(struct pack *p, int fd, const char *name)
{
	size_t name_n = strlen(name);
	uint8_t *to = put_room(p);
	ssize_t n = fgetxattr(fd, name, to + 2 + name_n, TREE_ATTR_MAX);

	if (n < 0)
		return errno == ENODATA ? 0 : errno;
	tree_number_put(to, name_n, 2);
	memcpy(to + 2, name, name_n);
	put_done(p, TREE_ATTR, 2 + name_n + n);
	return 0;
}

static int put_attrs(struct pack *p, int fd)
{
	ssize_t n = p->opts->attributes ? flistxattr(fd, p->attrs, XATTR_LIST_MAX) : 0;
	int error = 0;

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : errno;
	p->attrs[n] = '\0';
	for (const char *name = p->attrs; name < p->attrs + n; name += strlen(name) + 1) {
		int r = tree_attr_copied(name) ? put_attr(p, fd, name) : 0;

		error = error ? error : r;
	}
	return error;
}

/* ---- entries ---- */

static void entry_of(const struct stat *st, const char *name, struct tree_entry *ret)
{
	ret->mode = st->st_mode & 07777;
	ret->uid = st->st_uid;
	ret->gid = st->st_gid;
	ret->mtime_s = st->st_mtim.tv_sec;
	ret->mtime_ns = st->st_mtim.tv_nsec;
	ret->size = S_ISREG(st->st_mode) ? st->st_size : 0;
	/* the top's is for who unpacks to choose */
	bool place = strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..");
	snprintf(ret->name, sizeof(ret->name), "%s", place ? "top" : name);
}

static void pack_file(struct pack *p, const char *name, struct tree_entry *e, int flags)
{
	int fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	struct stat st;
	int r, attrs;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		skip(p, name, fd < 0 ? strerror(errno) : "it has just changed");
	} else {
		entry_of(&st, name, e);
		put_entry(p, TREE_FILE, e);
		attrs = put_attrs(p, fd);
		r = put_contents(p, fd, &st);
		if (r)
			put_empty(p, TREE_DROP);
		if (r || attrs)
			skip_part(p, name, r ? "" : ATTRIBUTES, r ? r : attrs);
	}
	if (fd >= 0)
		close(fd);
}

static void pack_link(struct pack *p, const char *name, struct tree_entry *e)
{
	ssize_t n = readlinkat(p->dir, name, e->target, sizeof(e->target));

	if (n <= 0 || n == sizeof(e->target)) {
		skip(p, name, strerror(n < 0 ? errno : ENAMETOOLONG));
		return;
	}
	e->target[n] = '\0';
	put_entry(p, TREE_LINK, e);
}

/* All of them at once: nobody stays open on the way down. */
static bool read_names(int fd, struct tree_level *l)
{
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;
	size_t room = 0;

	if (!dir) {
		if (again >= 0)
			close(again);
		return false;
	}
	for (struct dirent *d; (errno = 0, d = readdir(dir));) {
		size_t n = strlen(d->d_name) + 1;
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (room - l->names_end < n) {
			room = 2 * room + 4096;
			l->names = realloc(l->names, room);
			if (!l->names)
				abort();
		}
		memcpy(l->names + l->names_end, d->d_name, n);
		l->names_end += n;
	}
	int error = errno;
	closedir(dir);
	errno = error;
	return error == 0;
}

static void pack_folder(struct pack *p, const char *name, struct tree_entry *e, int flags)
{
	struct stat st;
	int r, fd = openat(p->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);

	if (fd < 0 || fstat(fd, &st) < 0 || p->path.depth == TREE_DEPTH_MAX) {
		skip(p, name, fd < 0 ? strerror(errno) : "the tree is too deep");
		if (fd >= 0)
			close(fd);
		return;
	}
	put_entry(p, TREE_FOLDER, e);
	r = put_attrs(p, fd);
	struct tree_level *l = tree_push(&p->path, name);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if (r)
		skip_part(p, NULL, ATTRIBUTES, r);
	if (!read_names(fd, l))
		skip(p, NULL, strerror(errno));
	if (p->dir >= 0)
		close(p->dir);
	p->dir = fd;
}

static const char *special_name(mode_t mode)
{
	return S_ISFIFO(mode)	? "it is a FIFO" :
	       S_ISSOCK(mode)	? "it is a socket" :
				  "it is a device";
}

/* flags: AT_SYMLINK_NOFOLLOW, or 0 for a top that was not asked for with what is below it. */
static void pack_one(struct pack *p, const char *name, int flags)
{
	int open_flags = flags ? O_NOFOLLOW : 0;
	struct tree_entry e = { 0 };
	struct stat st;

	if (fstatat(p->dir, name, &st, flags) < 0) {
		skip(p, name, strerror(errno));
		return;
	}
	entry_of(&st, name, &e);
	if (S_ISREG(st.st_mode))
		pack_file(p, name, &e, open_flags);
	else if (S_ISDIR(st.st_mode))
		pack_folder(p, name, &e, open_flags);
	else if (S_ISLNK(st.st_mode))
		pack_link(p, name, &e);
	else
		skip(p, name, special_name(st.st_mode));
}

static bool leave(struct pack *p)
{
	char text[512];

	put_empty(p, TREE_END);
	tree_pop(&p->path);
	if (!p->path.depth)
		return true;
	p->dir = tree_up(p->dir, &p->path.levels[p->path.depth - 1]);
	if (p->dir >= 0)
		return true;
	tree_path_text(&p->path, NULL, text);
	return tree_fail(p->error, errno, false, "'%s' was moved while it was copied", text);
}

static bool pack_below(struct pack *p)
{
	while (p->path.depth && !p->failed) {
		struct tree_level *l = &p->path.levels[p->path.depth - 1];
		if (l->names_at == l->names_end) {
			if (!leave(p))
				return false;
			continue;
		}
		/* pack_folder() moves the levels, not the names */
		const char *name = l->names + l->names_at;
		l->names_at += strlen(name) + 1;
		pack_one(p, name, AT_SYMLINK_NOFOLLOW);
	}
	return !p->failed;
}

/* The top must be there, and be something that can be copied. */
static bool check_top(const char *path, int flags, const struct tree_opts *opts,
		      struct tree_error *e)
{
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, flags) < 0)
		return tree_fail(e, errno, false, "'%s'", path);
	if (S_ISDIR(st.st_mode))
		return opts->recursive || tree_fail(e, 0, false, "'%s' is a folder: -r copies one",
						    path);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return tree_fail(e, 0, false, "'%s' is not copied: %s", path,
				 special_name(st.st_mode));
	if (S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
		return tree_fail(e, errno, false, "'%s'", path);
	return true;
}

bool tree_pack(const char *path, int out, const struct tree_opts *opts, struct tree_error *e)
{
	int flags = opts->recursive ? AT_SYMLINK_NOFOLLOW : 0;
	struct pack *p = calloc(1, sizeof(*p));
	bool ok = check_top(path, flags, opts, e);

	if (!p)
		abort();
	p->opts = opts;
	p->error = e;
	p->out = out;
	p->dir = AT_FDCWD;
	p->path.top = path;
	if (ok) {
		pack_one(p, path, flags);
		ok = pack_below(p);
	}
	if (ok) {
		put_empty(p, TREE_WHOLE);
		flush(p);
	}
	if (p->dir >= 0)
		close(p->dir);
	ok = ok && !p->failed;
	tree_path_clear(&p->path);
	free(p);
	return ok;
}
