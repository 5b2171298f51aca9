/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What programs do to files, inside a guest, in a folder that is shared: static.
 *
 *	share-test calls DIR [mapped|nommap]	what git, tar, dpkg, make and databases need
 *	share-test locks DIR		the locks of those alone
 *	share-test fsx DIR SEED OPS	random operations on one file, against a model in memory
 *	share-test race DIR SECONDS	several processes, one folder
 *	share-test bench DIR [FILES MIB]	metadata and bytes per second
 *
 * "ok NAME" and "BAD NAME: why", one a line; the exit status is how many were bad.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int bad;

#define CHECK(name, cond) \
	do { \
		errno = 0; \
		if (cond) \
			printf("ok %s\n", name); \
		else { \
			printf("BAD %s: %s\n", name, strerror(errno)); \
			bad++; \
		} \
	} while (0)
#define FAILS(name, call, err) CHECK(name, (call) < 0 && errno == (err))

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fprintf(stderr, "write %s: %s\n", name, strerror(errno));
	return fd;
}

static bool has(const char *name, const char *text)
{
	char buf[256] = "";
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	close(fd);
	return n == (ssize_t)strlen(text) && !memcmp(buf, text, strlen(text));
}

/* ---- calls ---- */

static void names(void)
{
	struct stat st;
	char target[64] = "";
	int fd = make("a", "one");

	close(make("b", "two"));
	CHECK("rename replaces", !rename("a", "b") && has("b", "one") && access("a", F_OK) < 0);
	FAILS("O_EXCL refuses", open("b", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	close(make("a", "three"));
	FAILS("RENAME_NOREPLACE refuses", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE),
	      EEXIST);
	CHECK("RENAME_EXCHANGE exchanges",
	      !renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) && has("a", "one") &&
	      has("b", "three"));
	CHECK("a hard link counts", !link("a", "hard") && !stat("a", &st) && st.st_nlink == 2);
	CHECK("a symbolic link leads", !symlink("a", "sym") &&
	      readlink("sym", target, sizeof(target)) == 1 && has("sym", "one"));
	CHECK("an open file outlives its names", !unlink("a") && !unlink("hard") &&
	      pwrite(fd, "ONE", 3, 0) == 3 && pread(fd, target, 3, 0) == 3 &&
	      !memcmp(target, "ONE", 3) && !fstat(fd, &st) && st.st_nlink == 0);
	close(fd);
	CHECK("a folder is made", !mkdir("d", 0750) && !stat("d", &st) &&
	      (st.st_mode & 07777) == 0750);
	close(make("d/x", "x"));
	FAILS("a full folder is not removed", rmdir("d"), ENOTEMPTY);
	CHECK("a folder moves", !rename("d", "e") && has("e/x", "x"));
	FAILS("not into itself", rename("e", "e/f"), EINVAL);
	CHECK("and is removed", !unlink("e/x") && !rmdir("e"));
	CHECK("a fifo is one", !mkfifo("fifo", 0600) && !lstat("fifo", &st) &&
	      S_ISFIFO(st.st_mode) && !unlink("fifo"));
	unlink("b");
	unlink("sym");
}

static void attributes(bool mapped)
{
	const struct timespec times[2] = { { 1000000, 123456789 }, { 2000000, 987654321 } };
	struct stat st;
	char buf[64] = "";
	int fd = make("f", "12345678");

	CHECK("truncate", !truncate("f", 3) && !stat("f", &st) && st.st_size == 3);
	CHECK("and longer", !ftruncate(fd, 10) && !fstat(fd, &st) && st.st_size == 10);
	CHECK("times to the nanosecond", !utimensat(AT_FDCWD, "f", times, 0) && !stat("f", &st) &&
	      st.st_atim.tv_nsec == 123456789 && st.st_mtim.tv_nsec == 987654321 &&
	      st.st_mtim.tv_sec == 2000000);
	CHECK("chmod", !chmod("f", 0604) && !stat("f", &st) && (st.st_mode & 07777) == 0604);
	if (mapped) {
		CHECK("chown", !chown("f", 1234, 5678) && !stat("f", &st) && st.st_uid == 1234 &&
		      st.st_gid == 5678);
		CHECK("set-user-ID", !chmod("f", 04755) && !stat("f", &st) &&
		      (st.st_mode & 07777) == 04755);
		CHECK("a write takes set-user-ID", !setegid(99) && !seteuid(99) &&
		      pwrite(fd, "x", 1, 0) == 1 && !seteuid(0) && !setegid(0) &&
		      !fsync(fd) && !stat("f", &st) && !(st.st_mode & 04000));
		CHECK("a device node", !mknod("null", S_IFCHR | 0666, makedev(1, 3)) &&
		      !stat("null", &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
		unlink("null");
	}
	CHECK("setxattr", !setxattr("f", "user.test", "value", 5, 0));
	CHECK("getxattr", getxattr("f", "user.test", buf, sizeof(buf)) == 5 &&
	      !memcmp(buf, "value", 5));
	memset(buf, 0, sizeof(buf));
	CHECK("listxattr", listxattr("f", buf, sizeof(buf)) == 10 && !strcmp(buf, "user.test"));
	CHECK("removexattr", !removexattr("f", "user.test") &&
	      getxattr("f", "user.test", buf, 1) < 0 && errno == ENODATA);
	CHECK("our own attributes are not the guest's",
	      setxattr("f", "user.virtfs.uid", "abcd", 4, 0) < 0);
	close(fd);
	unlink("f");
}

static void bytes(bool maps)
{
	static char page[4096];
	char buf[64] = "";
	int fd = make("f", "0123456789"), app = open("f", O_WRONLY | O_APPEND), to;
	off_t in = 0;
	char *p;

	CHECK("O_APPEND", write(app, "ab", 2) == 2 && pread(fd, buf, 2, 10) == 2 &&
	      !memcmp(buf, "ab", 2));
	close(app);
	CHECK("a hole", pwrite(fd, "end", 3, 1 << 20) == 3 && pread(fd, buf, 4, 1000) == 4 &&
	      !memcmp(buf, "\0\0\0\0", 4));
	CHECK("SEEK_HOLE", lseek(fd, 0, SEEK_HOLE) > 0);
	CHECK("fallocate", !fallocate(fd, 0, 0, 2 << 20));
	CHECK("punch", !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) &&
	      pread(fd, buf, 1, 0) == 1 && buf[0] == 0);
	to = make("g", "");
	CHECK("copy_file_range", copy_file_range(fd, &in, to, NULL, 1 << 20, 0) > 0);
	close(to);
	CHECK("fsync", !fsync(fd) && !fdatasync(fd) && !syncfs(fd));
	if (maps) {
		p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK("mmap", p != MAP_FAILED);
		if (p != MAP_FAILED) {
			memcpy(p + 4090, "across pages", 12);
			CHECK("msync", !msync(p, 8192, MS_SYNC));
			memset(page, 0, sizeof(page));
			CHECK("and it is in the file", pread(fd, page, 12, 4090) == 12 &&
			      !memcmp(page, "across pages", 12));
			munmap(p, 8192);
		}
	}
	close(fd);
	unlink("f");
	unlink("g");
}

static void listing(void)
{
	unsigned seen = 0;
	char name[32];
	DIR *dir;

	mkdir("many", 0755);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		close(make(name, ""));
	}
	dir = opendir("many");
	for (struct dirent *e; (e = readdir(dir));) {
		seen += e->d_name[0] != '.';
		if (seen == 100)
			unlink("many/file-0");	/* others work in it meanwhile */
	}
	closedir(dir);
	CHECK("200 files are listed", seen == 200 || seen == 199);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		unlink(name);
	}
	CHECK("and removed", !rmdir("many"));
}

/* A child holds a lock for a while; we wait for it. */
static bool waits(bool whole)
{
	struct flock fl = { .l_type = F_WRLCK };
	int fd = make("lock", "x"), ends[2];
	double begun;
	char c;
	pid_t pid;
	bool got;

	if (pipe(ends) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		int mine = open("lock", O_RDWR);

		if ((whole ? flock(mine, LOCK_EX) : fcntl(mine, F_SETLK, &fl)) < 0)
			_exit(1);
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		usleep(400000);
		_exit(0);
	}
	if (read(ends[0], &c, 1) != 1)
		return false;
	begun = now();
	got = whole ? flock(fd, LOCK_EX | LOCK_NB) < 0 : fcntl(fd, F_SETLK, &fl) < 0;
	got = got && (whole ? flock(fd, LOCK_EX) : fcntl(fd, F_SETLKW, &fl)) == 0;
	got = got && now() - begun > 0.1;
	waitpid(pid, NULL, 0);
	close(fd);
	close(ends[0]);
	close(ends[1]);
	unlink("lock");
	return got;
}

static void locks(void)
{
	CHECK("a record lock is waited for", waits(false));
	CHECK("a whole file's lock is waited for", waits(true));
}

static void calls(bool mapped, bool maps)
{
	names();
	attributes(mapped);
	bytes(maps);
	listing();
	locks();
}

/* ---- fsx ---- */

#define FSX_BYTES (256u << 10)

static unsigned fsx_rand(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33);
}

static bool fsx_read(int fd, const uint8_t *model, size_t size, size_t off, size_t len)
{
	static uint8_t buf[FSX_BYTES];
	size_t want = off >= size ? 0 : size - off < len ? size - off : len;
	ssize_t n = pread(fd, buf, len, (off_t)off);

	return n == (ssize_t)want && !memcmp(buf, model + off, want);
}

static bool fsx_mapped(int fd, uint8_t *model, size_t size, size_t off, size_t len, bool write)
{
	uint8_t *p;
	bool ok;

	if (off >= size)
		return true;
	if (len > size - off)
		len = size - off;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return false;
	if (write) {
		memset(p + off, (int)(off ^ len), len);
		memset(model + off, (int)(off ^ len), len);
	}
	ok = !memcmp(p + off, model + off, len);
	munmap(p, size);
	return ok;
}

static int fsx(uint64_t seed, unsigned ops)
{
	static uint8_t model[FSX_BYTES], bytes[FSX_BYTES];
	size_t size = 0;
	int fd = open("fsx", O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (unsigned i = 0; i < ops; i++) {
		unsigned op = fsx_rand(&seed) % 16;
		size_t off = fsx_rand(&seed) % FSX_BYTES, len = fsx_rand(&seed) % (FSX_BYTES / 4);
		bool ok = true;
		struct stat st;

		if (len > FSX_BYTES - off)
			len = FSX_BYTES - off;
		if (op < 5) {
			for (size_t j = 0; j < len; j++)
				bytes[j] = (uint8_t)(i + j * 7);
			ok = pwrite(fd, bytes, len, (off_t)off) == (ssize_t)len;
			memcpy(model + off, bytes, len);
			if (len && off + len > size)
				size = off + len;
		} else if (op < 9) {
			ok = fsx_read(fd, model, size, off, len);
		} else if (op == 9) {
			ok = !ftruncate(fd, (off_t)off);
			if (off < size)
				memset(model + off, 0, FSX_BYTES - off);
			size = off;
		} else if (op < 12) {
			ok = fsx_mapped(fd, model, size, off, len, op == 10);
		} else if (op == 12 && len) {
			ok = !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
					(off_t)len);
			if (off < size)
				memset(model + off, 0, size - off < len ? size - off : len);
		} else if (op == 13) {
			close(fd);
			fd = open("fsx", O_RDWR);
			ok = fd >= 0;
		} else if (op == 14) {
			ok = !fsync(fd);
		}
		ok = ok && !fstat(fd, &st) && (size_t)st.st_size == size;
		if (!ok) {
			printf("BAD fsx: operation %u (%u) at %zu+%zu, size %zu: %s\n", i, op, off,
			       len, size, strerror(errno));
			return 1;
		}
	}
	close(fd);
	fd = open("fsx", O_RDONLY);
	if (!fsx_read(fd, model, size, 0, FSX_BYTES)) {
		printf("BAD fsx: at the end\n");
		return 1;
	}
	close(fd);
	unlink("fsx");
	printf("ok fsx: %u operations\n", ops);
	return 0;
}

/* ---- race ---- */

static void race_one(unsigned who, double until)
{
	char a[32], b[32];
	uint64_t seed = who;

	while (now() < until) {
		int fd;

		snprintf(a, sizeof(a), "r%u", fsx_rand(&seed) % 8);
		snprintf(b, sizeof(b), "r%u", fsx_rand(&seed) % 8);
		switch (fsx_rand(&seed) % 5) {
		case 0:
			fd = open(a, O_RDWR | O_CREAT, 0644);
			if (fd >= 0 && write(fd, a, 2) != 2)
				_exit(2);
			close(fd);
			break;
		case 1:
			rename(a, b);
			break;
		case 2:
			unlink(a);
			break;
		case 3:
			link(a, b);
			break;
		default:
			fd = open(a, O_RDONLY);
			if (fd < 0 && errno != ENOENT && errno != ESTALE)
				_exit(3);
			close(fd);
		}
	}
	_exit(0);
}

static int race(unsigned seconds)
{
	double until = now() + seconds;
	int failed = 0, status;

	for (unsigned i = 0; i < 4; i++)
		if (fork() == 0)
			race_one(i, until);
	while (wait(&status) > 0)
		failed += status != 0;
	printf("%s race\n", failed ? "BAD" : "ok");
	return failed;
}

/* ---- bench ---- */

static void bench(unsigned n, unsigned mib)
{
	static char block[1 << 20];
	char name[32];
	struct stat st;
	double begun = now(), t;
	int fd;

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		close(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644));
	}
	t = now();
	printf("FIGURE create %.0f/s\n", n / (t - begun));
	begun = t;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		stat(name, &st);
	}
	t = now();
	printf("FIGURE stat %.0f/s\n", n / (t - begun));
	begun = t;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		unlink(name);
	}
	t = now();
	printf("FIGURE unlink %.0f/s\n", n / (t - begun));
	fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0644);
	begun = now();
	for (unsigned i = 0; i < mib; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			printf("BAD write\n");
	fsync(fd);
	printf("FIGURE write %.0f MiB/s\n", mib / (now() - begun));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	fd = open("big", O_RDONLY);
	begun = now();
	while (read(fd, block, sizeof(block)) > 0)
		;
	printf("FIGURE read %.0f MiB/s\n", mib / (now() - begun));
	close(fd);
	unlink("big");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || chdir(argv[2]) < 0) {
		fprintf(stderr, "share-test calls|locks|fsx|race|bench DIR ...\n");
		return 99;
	}
	umask(0);
	if (!strcmp(argv[1], "calls"))
		calls(argc > 3 && strstr(argv[3], "mapped"),
		      !(argc > 3 && strstr(argv[3], "nommap")));
	else if (!strcmp(argv[1], "locks"))
		locks();
	else if (!strcmp(argv[1], "fsx") && argc > 4)
		bad += fsx(strtoull(argv[3], NULL, 10), (unsigned)atoi(argv[4]));
	else if (!strcmp(argv[1], "race") && argc > 3)
		bad += race((unsigned)atoi(argv[3]));
	else if (!strcmp(argv[1], "bench"))
		bench(argc > 4 ? (unsigned)atoi(argv[3]) : 1000,
		      argc > 4 ? (unsigned)atoi(argv[4]) : 64);
	return bad;
}
