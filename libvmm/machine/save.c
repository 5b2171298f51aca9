/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine into a file (util/state.h has the format).
 *
 *	runs	a thread copies memory in passes, each what has changed since the
 *		last, until little is left, or it does not get less
 *	stands	vCPUs parked, devices stopped, their state collected; a thread
 *		writes the rest of the memory, the sections, the header, syncs
 *	saved	it stands still; whoever asked ends it, or resumes it
 *
 * A machine that stands when it is to be saved, and one whose KVM keeps no log
 * of changed pages, begins at the second line, with all of its memory.
 *
 * The main loop goes on meanwhile.  In the first phase the guest may do
 * anything, also end, which ends the save.  In the second nothing touches its
 * memory: no vCPU runs, stopped devices take no chain.  A save that fails, or
 * is cancelled, leaves the machine as it was: running, if it ran.
 */
#include "config.h"
#include "libvmm/machine/save.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/kvm/memory-save.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/machine/save-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"

/* What may be left for the stop: some milliseconds of a disk's or a processor's time. */
#define STOP_BYTES (UINT64_C(8) << 20)
#define PASSES_MAX 6
#define PAGE_BYTES 4096

enum cancel { CANCEL_NO, CANCEL_ASKED, CANCEL_GUEST_ENDED };

struct save {
	struct machine *m;
	int fd;
	bool stands;			/* the second phase */
	bool was_running;		/* before that */
	struct state_file *state;
	struct memory_saver *memory;
	struct dirty_log *log;		/* NULL: none, the machine stands */
	GThread *thread;
	GSource *wake;			/* the thread has ended */
	machine_saved_fn *done;
	void *opaque;
	int cancel;			/* enum cancel; atomic */
	unsigned pass;			/* atomic */
	uint64_t left_bytes;		/* of the pass; atomic */
	GError *error;			/* the thread's */
};

static void devices_save(struct machine *m, struct state_file *s)
{
	struct state_out out;

	for (unsigned i = 0; i < m->devices->len; i++) {
		struct device *dev = g_ptr_array_index(m->devices, i);
		g_autofree char *name = device_section(dev);

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
	dirty_log_free(s->log);
	memory_saver_free(s->memory);
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
	g_clear_pointer(&s->log, dirty_log_free);
	if (error && s->was_running && !m->ending && atomic_load(&m->end) < 0)
		machine_resume(m);
	s->done(s->opaque, error);
	save_free(s);
}

/* --- on the thread --- */

static bool pass_begin(struct save *s, uint64_t *ret_bytes)
{
	uint64_t pages = guest_memory_bytes(s->m->mem) / PAGE_BYTES;

	if (s->log && !dirty_log_begin(s->log, &pages, &s->error))
		return false;
	*ret_bytes = pages * PAGE_BYTES;
	__atomic_store_n(&s->left_bytes, *ret_bytes, __ATOMIC_RELAXED);
	return true;
}

static bool pass_copy(struct save *s)
{
	__atomic_fetch_add(&s->pass, 1, __ATOMIC_RELAXED);
	return memory_saver_pass(s->memory, s->log, &s->error);
}

/* EINVAL: a pipe or the like has no disk. */
static bool pass_sync(struct save *s)
{
	return fdatasync(s->fd) == 0 || errno == EINVAL ||
	       error_errno(&s->error, errno, "sync the saved state");
}

/*
 * Beside the running guest.  What a pass has written is on the disk before the
 * next one looks: the sync, too, belongs to the time that the guest does not
 * wait for.
 */
static void *passes_main(void *arg)
{
	struct save *s = arg;
	uint64_t bytes, before = UINT64_MAX;

	for (unsigned n = 0; n < PASSES_MAX; n++, before = bytes) {
		if (!pass_begin(s, &bytes) || (n && bytes <= STOP_BYTES) ||
		    bytes > before / 4 * 3)
			break;
		if (!pass_copy(s) || !pass_sync(s))
			break;
		fault_point("worker-save:pass");
	}
	g_source_set_ready_time(s->wake, 0);
	return NULL;
}

static void memory_describe(struct save *s)
{
	struct state_out out;

	if (!(state_file_flags(s->state) & STATE_PACKED))
		return;
	state_begin(&out, s->state, SECTION_MEMORY, MEMORY_VERSION);
	memory_saver_put(s->memory, &out);
	state_end(&out);
}

/* Of the machine that stands. */
static void *rest_main(void *arg)
{
	struct save *s = arg;
	uint64_t bytes;

	fault_point("worker-save:stands");
	if (pass_begin(s, &bytes) && pass_copy(s)) {
		fault_point("worker-save:memory");
		memory_describe(s);
		state_file_write(s->state, s->fd, guest_memory_bytes(s->m->mem), &s->error);
		fault_point("worker-save:written");
	}
	g_source_set_ready_time(s->wake, 0);
	return NULL;
}

/* --- on the owner --- */

/* The guest may have ended by itself, beside the copying or while its vCPUs were being parked. */
static bool still_wanted(const struct save *s, GError **error)
{
	int cancel = g_atomic_int_get(&s->cancel);

	if (cancel == CANCEL_ASKED)
		return error_set(error, VMM_ERR_ABORTED, "operation aborted: save cancelled");
	if (cancel || s->m->ending || atomic_load(&s->m->end) >= 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "the guest ended while it was to be saved");
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
	s->thread = g_thread_new("save", rest_main, s);
}

static void save_stand(struct save *s)
{
	s->stands = true;
	s->was_running = s->m->running;
	s->m->running = false;
	vcpus_pause(s->m->vcpus, save_parked, s);
}

static gboolean on_thread_ended(void *opaque)
{
	struct save *s = opaque;
	g_autoptr(GError) error = NULL;

	g_thread_join(g_steal_pointer(&s->thread));
	if (s->stands || s->error) {
		error = g_steal_pointer(&s->error);
		/* That it was cancelled may have a reason of its own. */
		if (error && g_atomic_int_get(&s->cancel) == CANCEL_GUEST_ENDED) {
			g_clear_error(&error);
			still_wanted(s, &error);
		}
		save_end(s, error);
	} else if (still_wanted(s, &error)) {
		save_stand(s);
	} else {
		save_end(s, error);
	}
	return G_SOURCE_CONTINUE;
}

static void save_begin(struct save *s)
{
	g_autoptr(GError) why = NULL;

	if (s->m->running)
		s->log = dirty_log_new(s->m->kvm, s->m->mem, &why);
	if (why)
		g_message("the machine stands still while its memory is saved: %s", why->message);
	if (s->log)
		s->thread = g_thread_new("save", passes_main, s);
	else
		save_stand(s);
}

static bool may_save(const struct machine *m, GError **error)
{
	if (m->save)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "the machine is being saved already");
	if (m->switching)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "its disks are being switched: try again");
	if (m->share_threads->len)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "the domain has a shared folder, and what the guest has open "
				 "there can't be saved: shut it down, or take a snapshot of its "
				 "disks only");
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
	*s = (struct save){ .m = m, .fd = TAKE_FD(file), .done = done, .opaque = opaque,
			    .state = state_file_new() };
	s->wake = machine_wake_new(m, on_thread_ended, s);
	s->memory = memory_saver_new(&(struct memory_saver_opts){
		m->mem, s->fd, STATE_RAM_OFFSET, opts->zstd ? MEMORY_ZSTD : MEMORY_RAW,
		&s->cancel, &s->left_bytes });
	state_file_set_flags(s->state, opts->zstd ? STATE_PACKED : 0);
	s->left_bytes = guest_memory_bytes(m->mem);
	opts_put(opts, s->state);
	m->save = s;
	save_begin(s);
}

void machine_save_cancel(struct machine *m)
{
	if (m->save)
		g_atomic_int_compare_and_exchange(&m->save->cancel, CANCEL_NO, CANCEL_ASKED);
}

void machine_save_guest_ended(struct machine *m)
{
	if (m->save && !m->save->stands)
		g_atomic_int_set(&m->save->cancel, CANCEL_GUEST_ENDED);
}

bool machine_save_stands(const struct machine *m)
{
	return m->save && m->save->stands;
}

void machine_save_progress(const struct machine *m, struct machine_save_progress *ret)
{
	*ret = (struct machine_save_progress){ .total_bytes = guest_memory_bytes(m->mem) };
	if (!m->save)
		return;
	ret->active = true;
	ret->left_bytes = __atomic_load_n(&m->save->left_bytes, __ATOMIC_RELAXED);
	ret->pass = __atomic_load_n(&m->save->pass, __ATOMIC_RELAXED);
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
