/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints the frequency of this host's time stamp counter in kHz.
 *
 * The lab's machine sees that same counter, and its kernel measures it at boot
 * against an emulated PIT.  On a busy host that has been wrong by a factor of
 * twelve, and then all of the machine's time limits are.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define SPAN_NS 50000000
#define TRIES 50

struct moment {
	uint64_t ns, ticks;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Of several readings the one that was interrupted least. */
static struct moment moment_now(void)
{
	struct moment best = { 0 };
	uint64_t best_gap = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before < best_gap) {
			best_gap = after - before;
			best = (struct moment){ ns, before + best_gap / 2 };
		}
	}
	return best;
}

int main(void)
{
	struct moment a = moment_now(), b;

	nanosleep(&(struct timespec){ .tv_nsec = SPAN_NS }, NULL);
	b = moment_now();
	printf("%" PRIu64 "\n", (b.ticks - a.ticks) * 1000000 / (b.ns - a.ns));
	return 0;
}
