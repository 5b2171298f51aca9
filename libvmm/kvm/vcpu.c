/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU threads: how they are told to run, to park and to end.
 *
 * One target for all.  Whoever changes it does three things, in this order:
 * stores the target, sets immediate_exit in each vCPU's kvm_run, and sends its
 * thread a signal whose handler is empty.  A thread inside KVM_RUN comes out
 * by the signal; one that is about to enter comes out by immediate_exit; one
 * inside a device handler finishes it first.  The thread clears immediate_exit
 * under the lock, and only when the target is RUN, so no wish is lost.
 *
 * Nobody waits for a vCPU thread.  When one has parked, or has something to
 * say, it makes the owner's source ready, and the owner calls back from its
 * main loop.  A thread in a device handler may therefore owner_call() the
 * owner without a deadlock.  vcpus_free() needs the threads gone; it iterates
 * the owner's context until they are, which serves such calls.
 */
#include "config.h"
#include "libvmm/kvm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "libvmm/kvm/vcpu-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define WAKE_SIGNAL SIGRTMIN

struct pause {
	vcpus_done_fn *done;
	void *arg;
	bool due; /* overtaken by vcpus_run() */
};

static void wake_handler(int sig)
{
}

static void vcpu_kick(struct vcpu *v)
{
	/* Not begun yet, or not even made: nothing to come out of. */
	if (!v->begun)
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELEASE);
	if (!v->left && !v->parked && !pthread_equal(v->id, pthread_self()))
		pthread_kill(v->id, WAKE_SIGNAL);
}

/* Lock held. */
static void target_set(struct vcpus *s, enum vcpu_target target)
{
	if (s->target == TARGET_QUIT)
		return;
	s->target = target;
	if (target != TARGET_RUN)
		for (unsigned i = 0; i < s->n; i++)
			vcpu_kick(&s->vcpus[i]);
	g_cond_broadcast(&s->changed);
}

static void owner_wake(struct vcpus *s)
{
	g_source_set_ready_time(s->source, 0);
}

void vcpu_report_stop(struct vcpu *v, enum vcpu_cause cause, const char *format, ...)
{
	struct vcpu_stopped *stop = g_new0(struct vcpu_stopped, 1);
	va_list args;

	stop->cause = cause;
	stop->index = v->index;
	va_start(args, format);
	stop->detail = g_strdup_vprintf(format, args);
	va_end(args);
	stop->registers = cpu_format_registers(v->fd);
	g_mutex_lock(&v->set->lock);
	g_queue_push_tail(&v->set->stops, stop);
	target_set(v->set, TARGET_HELD);
	g_mutex_unlock(&v->set->lock);
}

/* Waits, lock held, until the vCPU is to run (true) or to end. */
static bool vcpu_park(struct vcpu *v)
{
	struct vcpus *s = v->set;

	if (s->target != TARGET_RUN) {
		v->parked = true;
		if (++s->n_parked == s->n)
			owner_wake(s);
		g_cond_broadcast(&s->changed);
		while (s->target == TARGET_HELD)
			g_cond_wait(&s->changed, &s->lock);
		v->parked = false;
		s->n_parked--;
	}
	if (s->target == TARGET_QUIT)
		return false;
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_RELEASE);
	return true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) == 0 ? (uint64_t)ts.tv_sec * 1000000000u + ts.tv_nsec : 0;
}

static void thread_setup(struct vcpu *v)
{
	char suffix[16], name[16];
	sigset_t mask;

	g_snprintf(suffix, sizeof(suffix), "/vcpu%u", v->index);
	g_snprintf(name, sizeof(name), "%.*s%s", (int)(sizeof(name) - 1 - strlen(suffix)),
		   v->set->name, suffix);
	pthread_setname_np(pthread_self(), name);
	sigfillset(&mask);
	sigdelset(&mask, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	v->id = pthread_self();
	pthread_getcpuclockid(v->id, &v->clock);
	v->begun = true;
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct vcpus *s = v->set;

	g_mutex_lock(&s->lock);
	thread_setup(v);
	while (vcpu_park(v)) {
		g_mutex_unlock(&s->lock);
		vcpu_run(v);
		g_mutex_lock(&s->lock);
	}
	v->left = true;
	v->cpu_ns = clock_ns(v->clock);
	s->n_left++;
	owner_wake(s);
	g_mutex_unlock(&s->lock);
	return NULL;
}

static void stop_free(struct vcpu_stopped *stop)
{
	g_free(stop->detail);
	g_free(stop->registers);
	g_free(stop);
}

static struct vcpu_stopped *stop_take(struct vcpus *s)
{
	struct vcpu_stopped *stop = NULL;

	g_mutex_lock(&s->lock);
	if (s->n_parked == s->n)
		stop = g_queue_pop_head(&s->stops);
	g_mutex_unlock(&s->lock);
	return stop;
}

static struct pause *pause_take(struct vcpus *s)
{
	struct pause *p;

	g_mutex_lock(&s->lock);
	p = g_queue_peek_head(&s->pauses);
	if (p && (p->due || s->n_parked == s->n))
		g_queue_pop_head(&s->pauses);
	else
		p = NULL;
	g_mutex_unlock(&s->lock);
	return p;
}

static gboolean owner_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct vcpus *s = arg;
	struct vcpu_stopped *stop;
	struct pause *p;

	g_source_set_ready_time(source, -1);
	while (!g_source_is_destroyed(source) && (stop = stop_take(s))) {
		struct vcpu_stop why = {
			.cause = stop->cause,
			.index = stop->index,
			.detail = stop->detail,
			.registers = stop->registers,
		};

		s->stopped(s->opaque, &why);
		stop_free(stop);
	}
	while (!g_source_is_destroyed(source) && (p = pause_take(s))) {
		p->done(p->arg);
		g_free(p);
	}
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .dispatch = owner_dispatch };

static gboolean source_callback(void *arg)
{
	return G_SOURCE_CONTINUE;
}

static void source_attach(struct vcpus *s)
{
	s->source = g_source_new(&source_funcs, sizeof(GSource));
	g_source_set_callback(s->source, source_callback, s, NULL);
	g_source_set_static_name(s->source, "vcpus");
	g_source_set_can_recurse(s->source, TRUE);
	g_source_attach(s->source, s->owner);
}

/* The descriptor and its shared page; the power-on state is saved when all vCPUs exist. */
static bool vcpu_open(struct vcpu *v, const struct cpu_model *model, GError **error)
{
	struct kvm *kvm = v->set->kvm;
	int bytes = ioctl(kvm_dev_fd(kvm), KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	v->fd = ioctl(kvm_vm_fd(kvm), KVM_CREATE_VCPU,
		      (unsigned long)cpu_model_apic_id(model, v->index));
	if (v->fd < 0)
		return error_errno(error, errno, "cannot create vCPU %u", v->index);
	if (bytes < (int)sizeof(*v->run))
		return error_set(error, VMM_ERR_INTERNAL, "KVM_GET_VCPU_MMAP_SIZE gave %d", bytes);
	run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return error_errno(error, errno, "cannot map vCPU %u", v->index);
	v->run = run;
	v->run_bytes = bytes;
	return cpu_model_apply(model, v->fd, v->index, error);
}

static bool power_on_save(struct vcpus *s, GError **error)
{
	for (unsigned i = 0; i < s->n; i++) {
		s->vcpus[i].power_on = cpu_state_save(s->kvm, s->vcpus[i].fd, error);
		if (!s->vcpus[i].power_on)
			return false;
	}
	s->power_on = irq_state_save(s->kvm, error);
	return s->power_on != NULL;
}

/* Threads begin with every signal blocked, so that none of the process's lands on one. */
static bool threads_start(struct vcpus *s, GError **error)
{
	struct sigaction action = { .sa_handler = wake_handler, .sa_flags = SA_RESTART };
	bool ok = true;
	sigset_t all, old;

	sigaction(WAKE_SIGNAL, &action, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < s->n && ok; i++) {
		s->vcpus[i].thread = g_thread_try_new("vcpu", vcpu_main, &s->vcpus[i], error);
		ok = s->vcpus[i].thread != NULL;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ok)
		return false;
	/* They run no guest code and call nobody yet: this wait is short. */
	g_mutex_lock(&s->lock);
	while (s->n_parked < s->n)
		g_cond_wait(&s->changed, &s->lock);
	g_mutex_unlock(&s->lock);
	return true;
}

struct vcpus *vcpus_new(struct kvm *kvm, const struct vcpus_opts *opts, GError **error)
{
	struct vcpus *s = g_malloc0(sizeof(*s) + opts->n * sizeof(s->vcpus[0]));
	bool ok = true;

	s->kvm = kvm;
	s->pio = opts->pio;
	s->mmio = opts->mmio;
	s->owner = g_main_context_ref(opts->owner);
	s->stopped = opts->stopped;
	s->opaque = opts->opaque;
	s->name = g_strdup(opts->name);
	s->n = opts->n;
	g_mutex_init(&s->lock);
	g_cond_init(&s->changed);
	g_queue_init(&s->stops);
	g_queue_init(&s->pauses);
	source_attach(s);
	for (unsigned i = 0; i < s->n; i++)
		s->vcpus[i] = (struct vcpu){ .set = s, .index = i, .fd = -1 };
	for (unsigned i = 0; i < s->n && ok; i++)
		ok = vcpu_open(&s->vcpus[i], opts->model, error);
	if (ok && power_on_save(s, error) && threads_start(s, error))
		return s;
	vcpus_free(s);
	return NULL;
}

static void threads_stop(struct vcpus *s)
{
	unsigned n_threads = 0;

	for (unsigned i = 0; i < s->n; i++)
		n_threads += s->vcpus[i].thread != NULL;
	g_mutex_lock(&s->lock);
	target_set(s, TARGET_QUIT);
	while (s->n_left < n_threads) {
		g_mutex_unlock(&s->lock);
		g_main_context_iteration(s->owner, TRUE);
		g_mutex_lock(&s->lock);
	}
	g_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->n; i++)
		if (s->vcpus[i].thread)
			g_thread_join(s->vcpus[i].thread);
}

void vcpus_free(struct vcpus *s)
{
	if (!s)
		return;
	threads_stop(s);
	g_source_destroy(s->source);
	g_source_unref(s->source);
	for (unsigned i = 0; i < s->n; i++) {
		struct vcpu *v = &s->vcpus[i];

		if (v->run)
			munmap(v->run, v->run_bytes);
		fd_close(&v->fd);
		cpu_state_free(v->power_on);
	}
	irq_state_free(s->power_on);
	g_queue_clear_full(&s->stops, (GDestroyNotify)stop_free);
	g_queue_clear_full(&s->pauses, g_free);
	g_main_context_unref(s->owner);
	g_mutex_clear(&s->lock);
	g_cond_clear(&s->changed);
	g_free(s->name);
	g_free(s);
}

bool vcpus_set_entry(struct vcpus *s, const struct cpu_entry *entry, GError **error)
{
	return cpu_set_entry(s->vcpus[0].fd, entry, error);
}

/* The guest's watchdogs shall not take a pause for a hang.  EINVAL: it has no clock of KVM's. */
static void clocks_tell(struct vcpus *s)
{
	for (unsigned i = 0; s->n_parked == s->n && i < s->n; i++)
		ioctl(s->vcpus[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

void vcpus_run(struct vcpus *s)
{
	g_mutex_lock(&s->lock);
	clocks_tell(s);
	for (GList *l = s->pauses.head; l; l = l->next)
		((struct pause *)l->data)->due = true;
	/* One that cannot go on has not been reported yet: that comes first. */
	if (g_queue_is_empty(&s->stops))
		target_set(s, TARGET_RUN);
	if (!g_queue_is_empty(&s->pauses))
		owner_wake(s);
	g_mutex_unlock(&s->lock);
}

void vcpus_pause(struct vcpus *s, vcpus_done_fn *done, void *arg)
{
	struct pause *p = g_new(struct pause, 1);

	*p = (struct pause){ .done = done, .arg = arg };
	g_mutex_lock(&s->lock);
	g_queue_push_tail(&s->pauses, p);
	target_set(s, TARGET_HELD);
	if (s->n_parked == s->n)
		owner_wake(s);
	g_mutex_unlock(&s->lock);
}

void vcpus_hold(struct vcpus *s)
{
	g_mutex_lock(&s->lock);
	target_set(s, TARGET_HELD);
	g_mutex_unlock(&s->lock);
}

bool vcpus_parked(struct vcpus *s)
{
	bool parked;

	g_mutex_lock(&s->lock);
	/* One that was told to run and has not woken yet counts as running. */
	parked = s->target != TARGET_RUN && s->n_parked == s->n;
	g_mutex_unlock(&s->lock);
	return parked;
}

bool vcpus_reset(struct vcpus *s, GError **error)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!cpu_state_load(s->vcpus[i].fd, s->vcpus[i].power_on, false, error)) {
			g_prefix_error(error, "reset of vCPU %u: ", i);
			return false;
		}
	return irq_state_load(s->kvm, s->power_on, error);
}

static uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void vcpus_stats(struct vcpus *s, unsigned index, struct vcpu_stats *ret)
{
	struct vcpu *v = &s->vcpus[index];

	g_mutex_lock(&s->lock);
	*ret = (struct vcpu_stats){
		.running = !v->parked && !v->left,
		.cpu_ns = v->left ? v->cpu_ns : clock_ns(v->clock),
		.exits = counter_read(&v->counters.exits),
		.pio = counter_read(&v->counters.pio),
		.mmio = counter_read(&v->counters.mmio),
		.signals = counter_read(&v->counters.signals),
	};
	g_mutex_unlock(&s->lock);
}
