/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine out of a file.  In this order: memory, for devices look into their
 * rings; vCPUs and interrupt controllers; devices, which raise their lines again.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "libvmm/kvm/memory-save.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/machine/save-priv.h"
#include "libvmm/util/error.h"

static bool machine_check(const struct machine *m, const struct state_file *s, GError **error)
{
	struct state_in in;
	const uint8_t *type;
	uint32_t len, n_vcpus;
	uint64_t bytes;

	if (!state_find(s, "machine", MACHINE_VERSION, &in, error))
		return false;
	type = state_get_blob(&in, 64, &len);
	in.bad |= len != strlen("microvm") || memcmp(type, "microvm", len) != 0;
	bytes = state_get_u64(&in);
	n_vcpus = state_get_u32(&in);
	if (!state_done(&in, error))
		return false;
	if (bytes != guest_memory_bytes(m->mem) || n_vcpus != m->n_vcpus)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: it has %" PRIu64 " MiB and %u vCPUs, the definition "
				 "%" PRIu64 " MiB and %u", bytes >> 20, n_vcpus,
				 guest_memory_bytes(m->mem) >> 20, m->n_vcpus);
	return true;
}

static bool devices_load(struct machine *m, const struct state_file *s, GError **error)
{
	struct state_in in;

	for (unsigned i = 0; i < m->devices->len; i++) {
		struct device *dev = g_ptr_array_index(m->devices, i);
		g_autofree char *name = device_section(dev);

		if (!dev->ops->load)
			continue;
		if (!state_find(s, name, DEVICE_VERSION, &in, error) ||
		    !dev->ops->load(dev, &in, error))
			return false;
	}
	return true;
}

/* What the guest knows and this machine has not would be gone without a word. */
static bool no_more_devices(const struct machine *m, const struct state_file *s, GError **error)
{
	unsigned n = 0, n_saved = state_file_count(s, "device/");

	for (unsigned i = 0; i < m->devices->len; i++)
		n += ((struct device *)g_ptr_array_index(m->devices, i))->ops->load != NULL;
	if (n_saved == n)
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "saved state: it has %u devices, the definition has %u", n_saved, n);
}

static bool memory_load(struct machine *m, const struct state_file *s, int fd, GError **error)
{
	struct state_in in;

	if (!(state_file_flags(s) & STATE_PACKED))
		return guest_memory_restore(m->mem, fd, STATE_RAM_OFFSET, error);
	return state_find(s, SECTION_MEMORY, MEMORY_VERSION, &in, error) &&
	       memory_packed_restore(m->mem, fd, STATE_RAM_OFFSET, &in, error);
}

bool machine_restore(struct machine *m, int fd, GError **error)
{
	g_autoptr(state_file) s = NULL;
	uint64_t bytes;

	s = state_file_read(fd, &bytes, error);
	if (!s || !machine_check(m, s, error) || !no_more_devices(m, s, error))
		return false;
	if (!memory_load(m, s, fd, error) || !vcpus_load(m->vcpus, s, error) ||
	    !devices_load(m, s, error) || !machine_new_generation(m, error))
		return false;
	machine_links_bounce(m);
	power_tell_generation(m->power);
	return true;
}
