/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A saved state that somebody made up: the file, and what a device is told by it, then run. */
#include "config.h"
#include "fuzz.h"

#include <sys/mman.h>

#include "libvmm/kvm/memory-save.h"
#include "tests/unit/saved-devices.h"

static void file_read(const uint8_t *data, size_t size)
{
	auto_close int fd = memfd_create("state", MFD_CLOEXEC);
	size_t head = MIN(size, 128);
	uint64_t bytes;

	/* The header, and the rest where it may say that the table is. */
	if (pwrite(fd, data, head, 0) < 0 ||
	    pwrite(fd, data + head, size - head, STATE_RAM_OFFSET) < 0)
		return;
	state_file_free(state_file_read(fd, &bytes, NULL));
}

static void device_load(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct saved_device *s = saved_new(fuzz_take(&input, 1) % N_SAVED_KINDS);
	size_t ram = fuzz_take(&input, 2) % (input.left + 1);
	struct state_in in = { .name = "device", .version = 1 };

	/* What is in the guest's memory, at a place where rings may be said to be. */
	if (s->d)
		memcpy(guest_ptr(s->d->mem, 0x1000, ram), input.data, ram);
	in.at = input.data + ram;
	in.left = input.left - ram;
	s->dev->ops->load(s->dev, &in, NULL);
	device_start(s->dev);
	for (unsigned i = 0; i < 10 && g_main_context_iteration(NULL, FALSE); i++)
		;
	device_stop(s->dev);
	device_reset(s->dev);
	saved_free(s);
}

/* What a section says of packed memory, and the file in which it would lie. */
static void memory_unpack(const uint8_t *data, size_t size)
{
	const struct guest_memory_opts opts = { 3 * MEMORY_BLOCK_BYTES / 2, .name = "fuzz" };
	g_autoptr(guest_memory) mem = guest_memory_new(&opts, NULL);
	auto_close int fd = memfd_create("state", MFD_CLOEXEC);
	struct fuzz_input input = { data, size };
	size_t section = fuzz_take(&input, 1) % (input.left + 1);
	struct state_in in = { .name = "memory", .version = 1, .at = input.data, .left = section };

	for (unsigned i = 0; i < 2; i++)
		if (pwrite(fd, input.data + section, input.left - section,
			   (off_t)(i * MEMORY_BLOCK_BYTES)) < 0)
			return;
	memory_packed_restore(mem, fd, 0, &in, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_quiet();
	if (size && data[0] & 0x80)
		file_read(data + 1, size - 1);
	else if (size && data[0] & 0x40)
		memory_unpack(data + 1, size - 1);
	else
		device_load(data, size);
	return 0;
}
