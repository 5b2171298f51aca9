/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine into a file and out of it (util/state.h has the format).
 *
 *	pause -> devices stopped, their state collected -> a thread writes the
 *	memory, the sections, the header, syncs -> saved, and stands still
 *
 * The main loop goes on meanwhile, and nothing touches the guest's memory:
 * no vCPU runs, stopped devices take no chain.  A save that fails, or is
 * cancelled, leaves the machine as it was: running, if it ran.
 *
 * Restored in this order: memory, for devices look into their rings; vCPUs and
 * interrupt controllers; devices, which raise their lines again.
 */
#include "config.h"
#include "libvmm/machine/save.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MACHINE_VERSION 1
#define DEFINITION_VERSION 1
#define DEVICE_VERSION 1

struct save {
	struct machine *m;
	int fd;
	bool was_running;
	struct state_file *state;
	GThread *thread;
	GSource *wake;			/* the thread has ended */
	machine_saved_fn *done;
	void *opaque;
	int cancel;			/* atomic */
	uint64_t done_bytes;		/* atomic */
	GError *error;			/* the thread's */
};

/* --- save --- */

static char *section_of(const struct device *dev)
{
	return g_strconcat("device/", dev->name, NULL);
}

static void devices_save(struct machine *m, struct state_file *s)
{
	struct state_out out;

	for (unsigned i = 0; i < m->devices->len; i++) {
		struct device *dev = g_ptr_array_index(m->devices, i);
		g_autofree char *name = section_of(dev);

		if (!dev->ops->save)
			continue;
		state_begin(&out, s, name, DEVICE_VERSION);
		dev->ops->save(dev, &out);
		state_end(&out);
	}
}

static bool state_collect(struct machine *m, struct state_file *s, GError **error)
{
	struct state_out out;

	state_begin(&out, s, "machine", MACHINE_VERSION);
	state_put_blob(&out, "microvm", strlen("microvm"));
	state_put_u64(&out, guest_memory_bytes(m->mem));
	state_put_u32(&out, m->n_vcpus);
	state_end(&out);
	devices_save(m, s);
	return vcpus_save(m->vcpus, s, error);
}

static void save_free(struct save *s)
{
	machine_wake_free(s->wake);
	state_file_free(s->state);
	fd_close(&s->fd);
	g_clear_error(&s->error);
	g_free(s);
}

/* Tells the caller.  A machine that is not saved goes on, if it ran. */
static void save_end(struct save *s, const GError *error)
{
	struct machine *m = s->m;

	m->save = NULL;
	if (error && s->was_running && !m->ending && atomic_load(&m->end) < 0)
		machine_resume(m);
	s->done(s->opaque, error);
	save_free(s);
}

static void *save_main(void *arg)
{
	struct save *s = arg;
	const struct guest_memory_progress progress = { &s->cancel, &s->done_bytes };

	if (guest_memory_write(s->m->mem, s->fd, STATE_RAM_OFFSET, &progress, &s->error))
		state_file_write(s->state, s->fd, guest_memory_bytes(s->m->mem), &s->error);
	g_source_set_ready_time(s->wake, 0);
	return NULL;
}

static gboolean on_written(void *opaque)
{
	struct save *s = opaque;
	g_autoptr(GError) error = NULL;

	g_thread_join(g_steal_pointer(&s->thread));
	error = g_steal_pointer(&s->error);
	save_end(s, error);
	return G_SOURCE_CONTINUE;
}

/* The guest may have ended by itself while its vCPUs were being parked. */
static bool still_wanted(const struct save *s, GError **error)
{
	if (g_atomic_int_get(&s->cancel))
		return error_set(error, VMM_ERR_ABORTED, "operation aborted: save cancelled");
	if (s->m->running || s->m->ending || atomic_load(&s->m->end) >= 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the guest ended or was resumed while it was to be saved");
	return true;
}

static void save_parked(void *arg)
{
	struct save *s = arg;
	g_autoptr(GError) error = NULL;

	if (!still_wanted(s, &error)) {
		save_end(s, error);
		return;
	}
	machine_devices_stop(s->m);
	if (!state_collect(s->m, s->state, &error)) {
		save_end(s, error);
		return;
	}
	s->thread = g_thread_new("save", save_main, s);
}

static bool may_save(const struct machine *m, GError **error)
{
	if (m->save)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "the machine is being saved already");
	if (m->switching)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "its disks are being switched: try again");
	return true;
}

static void opts_put(const struct machine_save_opts *opts, struct state_file *s)
{
	struct state_out out;

	state_begin(&out, s, MACHINE_SECTION_XML, DEFINITION_VERSION);
	state_put(&out, opts->xml, strlen(opts->xml));
	state_end(&out);
	state_begin(&out, s, MACHINE_SECTION_RUN, DEFINITION_VERSION);
	state_put_u8(&out, opts->run);
	state_end(&out);
}

void machine_save(struct machine *m, const struct machine_save_opts *opts, machine_saved_fn *done,
		  void *opaque)
{
	auto_close int file = opts->fd;
	g_autoptr(GError) error = NULL;
	struct save *s;

	if (!may_save(m, &error)) {
		done(opaque, error);
		return;
	}
	s = g_new0(struct save, 1);
	*s = (struct save){ .m = m, .fd = TAKE_FD(file), .was_running = m->running,
			    .done = done, .opaque = opaque, .state = state_file_new() };
	s->wake = machine_wake_new(m, on_written, s);
	opts_put(opts, s->state);
	m->save = s;
	m->running = false;
	vcpus_pause(m->vcpus, save_parked, s);
}

void machine_save_cancel(struct machine *m)
{
	if (m->save)
		g_atomic_int_set(&m->save->cancel, 1);
}

bool machine_save_progress(const struct machine *m, uint64_t *ret_done, uint64_t *ret_total)
{
	*ret_total = guest_memory_bytes(m->mem);
	*ret_done = m->save ? __atomic_load_n(&m->save->done_bytes, __ATOMIC_RELAXED) : 0;
	return m->save;
}

void machine_save_settle(struct machine *m, bool vcpus_gone)
{
	struct save *s = m->save;
	g_autoptr(GError) error = NULL;

	if (!s)
		return;
	machine_save_cancel(m);
	s->was_running = false;
	/* The callback of vcpus_pause() is still to come, and wants it. */
	if (!s->thread && !vcpus_gone)
		return;
	if (s->thread)
		g_thread_join(g_steal_pointer(&s->thread));
	error_set(&error, VMM_ERR_ABORTED, "operation aborted: the machine has ended");
	save_end(s, error);
}

/* --- restore --- */

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
		g_autofree char *name = section_of(dev);

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

bool machine_restore(struct machine *m, int fd, GError **error)
{
	g_autoptr(state_file) s = NULL;
	uint64_t bytes;

	s = state_file_read(fd, &bytes, error);
	if (!s || !machine_check(m, s, error) || !no_more_devices(m, s, error))
		return false;
	if (!guest_memory_restore(m->mem, fd, STATE_RAM_OFFSET, error) ||
	    !vcpus_load(m->vcpus, s, error) || !devices_load(m, s, error) ||
	    !machine_new_generation(m, error))
		return false;
	power_tell_generation(m->power);
	return true;
}
