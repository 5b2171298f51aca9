/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk-load DEVICE SECONDS: how fast a guest's disk is, one request at a time:
 * "DISK SEQUENTIAL-READ-MIB/S RANDOM-READ-IOPS RANDOM-WRITE-IOPS", the random
 * ones of 4 KiB.  Around the guest's cache; each for SECONDS.  The disk is overwritten.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BIG   (1u << 20)
#define SMALL 4096u

struct load {
	int fd;
	uint64_t bytes;
	void *buf;
	double seconds;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Requests a second of `size` bytes: one after the other, or anywhere. */
static double rate(const struct load *l, unsigned size, bool anywhere, bool writes)
{
	uint64_t places = l->bytes / size, seed = 88172645463325252u, n = 0;
	double began = now(), end = began + l->seconds, at;

	do {
		uint64_t off;
		ssize_t r;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		off = (anywhere ? seed : n) % places * size;
		r = writes ? pwrite(l->fd, l->buf, size, (off_t)off)
			   : pread(l->fd, l->buf, size, (off_t)off);
		if (r != (ssize_t)size) {
			perror("disk-load");
			exit(1);
		}
		n++;
		at = now();
	} while (at < end);
	return (double)n / (at - began);
}

int main(int argc, char **argv)
{
	struct load l;

	if (argc != 3) {
		fprintf(stderr, "usage: disk-load DEVICE SECONDS\n");
		return 2;
	}
	l.fd = open(argv[1], O_RDWR | O_DIRECT);
	l.seconds = atof(argv[2]);
	if (l.fd < 0 || ioctl(l.fd, BLKGETSIZE64, &l.bytes) < 0 || l.bytes < BIG ||
	    posix_memalign(&l.buf, BIG, BIG)) {
		perror(argv[1]);
		return 1;
	}
	printf("DISK %.1f", rate(&l, BIG, false, false));
	printf(" %.0f", rate(&l, SMALL, true, false));
	printf(" %.0f\n", rate(&l, SMALL, true, true));
	return 0;
}
