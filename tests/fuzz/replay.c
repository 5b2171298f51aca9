/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main() of a fuzz target in a build without libFuzzer: its seeds, which are
 * the inputs that once broke it, then random inputs for a second.  Speaks TAP.
 *
 * The seeds of tests/fuzz/fuzz-x are tests/fuzz/seeds/x/ in the source.
 */
#include "config.h"
#include "fuzz.h"

#include <stdio.h>

#define RANDOM_US (G_USEC_PER_SEC / 2)
#define INPUT_MAX 2048

static unsigned run_seeds(const char *program)
{
	const char *name = strstr(program, "fuzz-");
	const char *src = g_getenv("VMM_SRCDIR");
	g_autofree char *folder = g_build_filename(src ? src : ".", "tests/fuzz/seeds",
						   name ? name + 5 : program, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *entry;
	unsigned n = 0;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, entry, NULL);
		g_autofree char *bytes = NULL;
		gsize len;

		if (!g_file_get_contents(path, &bytes, &len, NULL))
			continue;
		printf("# seed %s\n", entry);
		fflush(stdout);
		LLVMFuzzerTestOneInput((const uint8_t *)bytes, len);
		n++;
	}
	return n;
}

/* The same inputs each time: a failure comes again. */
static unsigned run_random(void)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);
	gint64 end = g_get_monotonic_time() + RANDOM_US;
	uint8_t bytes[INPUT_MAX];
	unsigned n = 0;

	for (; g_get_monotonic_time() < end; n++) {
		size_t len = g_rand_int_range(rand, 0, INPUT_MAX);
		unsigned density = g_rand_int_range(rand, 1, 256);

		for (size_t i = 0; i < len; i++)	/* small numbers are the interesting ones */
			bytes[i] = g_rand_int(rand) % density;
		LLVMFuzzerTestOneInput(bytes, len);
	}
	return n;
}

int main(int argc, char **argv)
{
	g_autofree char *name = g_path_get_basename(argv[0]);
	const char *bare = g_str_has_prefix(name, "lt-") ? name + 3 : name;

	/* the plan comes last: a target that can't run here ends with one of its own */
	printf("ok 1 - %s: %u seeds\n", bare, run_seeds(bare));
	printf("ok 2 - %s: %u random inputs\n", bare, run_random());
	printf("1..2\n");
	return 0;
}
