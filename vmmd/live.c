/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a machine that runs, step by step and back. */
#include "config.h"
#include "vmmd/live.h"

#include <string.h>

#include "libvmm/domain/now.h"
#include "libvmm/util/error.h"
#include "vmmd/api.h"
#include "vmmd/cgroup.h"
#include "vmmd/event.h"
#include "vmmd/link.h"
#include "vmmd/network.h"
#include "vmmd/supervisor.h"
#include "vmmd/threads.h"

struct step {
	enum now_part part;
	unsigned index;			/* of the interface */
	/* NOW_PORTS: one port; host 0: all ports are, their order is what is left */
	struct iface_port port;
	bool remove;
};

/* One change.  It may outlive its domain, so it has no pointer to it. */
struct live_job {
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
	int id;
	domain_def *from, *to;		/* the steps borrow the addresses of their ports */
	GArray *steps;			/* of struct step */
	unsigned at;			/* the step that is under way */
	bool back;			/* undoing */
	GError *error;			/* why */
	bool beginning;			/* a step; an answer within is this: */
	bool answered;
	GError *answer;
	lifecycle_done *done;
	void *opaque;
};

/* ---- what is to be done ---- */

static void step_add(struct live_job *j, enum now_part part, unsigned index)
{
	struct step s = { .part = part, .index = index };

	g_array_append_val(j->steps, s);
}

static bool same_words(const domain_def *a, const domain_def *b)
{
	return !g_strcmp0(a->title, b->title) && !g_strcmp0(a->description, b->description) &&
	       !g_strcmp0(a->metadata, b->metadata);
}

static bool same_limits(const domain_def *a, const domain_def *b)
{
	for (unsigned i = 0; i < a->vcpus_max; i++)
		if (g_strcmp0(tune_vcpu_pin(&a->tune, i), tune_vcpu_pin(&b->tune, i)))
			return false;
	return !memcmp(a->tune.values, b->tune.values, sizeof(a->tune.values)) &&
	       !g_strcmp0(a->tune.emulator_pin, b->tune.emulator_pin) &&
	       !g_strcmp0(a->tune.numa_nodeset, b->tune.numa_nodeset) &&
	       !g_strcmp0(a->cpuset, b->cpuset);
}

static bool same_actions(const domain_def *a, const domain_def *b)
{
	return a->on_poweroff == b->on_poweroff && a->on_reboot == b->on_reboot &&
	       a->on_crash == b->on_crash;
}

static bool same_iotunes(const domain_def *a, const domain_def *b)
{
	for (unsigned i = 0; i < a->disks->len; i++)
		if (!disk_same_iotune(a->disks->pdata[i], b->disks->pdata[i]))
			return false;
	return true;
}

static bool has_port(const GArray *ports, const struct iface_port *p)
{
	for (unsigned i = 0; i < ports->len; i++) {
		const struct iface_port *is = &g_array_index(ports, struct iface_port, i);

		if (is->udp == p->udp && is->host == p->host && is->guest == p->guest &&
		    !g_strcmp0(is->address, p->address))
			return true;
	}
	return false;
}

/* Those of `a` that `b` has not. */
static unsigned steps_add_ports(struct live_job *j, const domain_def *a, const domain_def *b,
				unsigned index, bool remove)
{
	g_autoptr(GArray) is = iface_ports(a->ifaces->pdata[index]);
	g_autoptr(GArray) other = iface_ports(b->ifaces->pdata[index]);
	unsigned n = 0;

	for (unsigned i = 0; i < is->len; i++) {
		struct step s = { NOW_PORTS, index, g_array_index(is, struct iface_port, i),
				  remove };

		if (has_port(other, &s.port))
			continue;
		g_array_append_val(j->steps, s);
		n++;
	}
	return n;
}

/* Ports of the host are free before another interface takes them. */
static void steps_add_ifaces(struct live_job *j)
{
	g_autofree unsigned *n = g_new0(unsigned, j->from->ifaces->len);

	for (unsigned i = 0; i < j->from->ifaces->len; i++) {
		const struct iface_def *was = j->from->ifaces->pdata[i];
		const struct iface_def *is = j->to->ifaces->pdata[i];

		if (was->link_down != is->link_down)
			step_add(j, NOW_LINK, i);
		n[i] += steps_add_ports(j, j->from, j->to, i, true);
	}
	for (unsigned i = 0; i < j->from->ifaces->len; i++) {
		n[i] += steps_add_ports(j, j->to, j->from, i, false);
		if (n[i])
			step_add(j, NOW_PORTS, i);
	}
}

static void steps_find(struct live_job *j)
{
	const domain_def *a = j->from, *b = j->to;

	if (!same_words(a, b))
		step_add(j, NOW_WORDS, 0);
	if (!same_limits(a, b))
		step_add(j, NOW_LIMITS, 0);
	if (!same_actions(a, b))
		step_add(j, NOW_ACTIONS, 0);
	if (!same_iotunes(a, b))
		step_add(j, NOW_IOTUNE, 0);
	steps_add_ifaces(j);
	if (a->balloon.stats_period_s != b->balloon.stats_period_s)
		step_add(j, NOW_STATS, 0);
	if (a->current_bytes != b->current_bytes)
		step_add(j, NOW_BALLOON, 0);
}

/* ---- one step ---- */

static struct step *step_now(const struct live_job *j)
{
	return &g_array_index(j->steps, struct step, j->at);
}

static const domain_def *wish_now(const struct live_job *j)
{
	return j->back ? j->from : j->to;
}

static void put(const struct live_job *j, domain_def *def)
{
	const struct step *s = step_now(j);

	if (s->part != NOW_PORTS || !s->port.host)
		domain_def_put_now(def, wish_now(j), s->part, s->index);
	else if (s->remove != j->back)
		iface_port_remove(def->ifaces->pdata[s->index], &s->port, NULL);
	else
		iface_port_add(def->ifaces->pdata[s->index], &s->port, NULL);
}

/* What the worker is to tell the next vmmd when the step is done. */
static char *xml_after(const struct live_job *j, const struct domain *dom)
{
	g_autoptr(domain_def) def = domain_def_copy(dom->live);

	def->id = dom->id;
	put(j, def);
	return domain_def_format(def, DOMAIN_FORMAT_LIVE);
}

/* Of all threads that have no pin of their own `from` and `to` say where they may run. */
static bool pins_set(pid_t pid, const domain_def *from, const domain_def *to, GError **error)
{
	for (int v = THREADS_OTHER; v < (int)to->vcpus; v++) {
		const char *was = (v < 0 ? from->tune.emulator_pin :
					   tune_vcpu_pin(&from->tune, (unsigned)v)) ?: from->cpuset;
		const char *is = (v < 0 ? to->tune.emulator_pin :
					  tune_vcpu_pin(&to->tune, (unsigned)v)) ?: to->cpuset;

		if (g_strcmp0(was, is) && !threads_pin(pid, v, is, error))
			return false;
	}
	return true;
}

static bool limits_set(struct domain *dom, const domain_def *to, GError **error)
{
	pid_t pid = supervisor_pid(dom->daemon, dom->uuid_text);

	if (!cgroup_apply(dom->daemon, dom->uuid_text, pid, &dom->live->tune, &to->tune, error))
		return false;
	if (pins_set(pid, dom->live, to, error))
		return true;
	cgroup_apply(dom->daemon, dom->uuid_text, pid, &to->tune, &dom->live->tune, NULL);
	return false;
}

static link_done on_step;

static void port_begin(struct live_job *j, struct domain *dom)
{
	const struct step *s = step_now(j);
	const struct iface_def *iface = dom->live->ifaces->pdata[s->index];
	g_autofree char *key = network_port_key(dom, iface), *xml = NULL;
	g_autoptr(GError) error = NULL;
	worker_forward_args args = {
		.key = key, .index = s->index, .remove = s->remove != j->back, .xml = (char *)"",
		.forward = { s->port.udp, (char *)(s->port.address ?: ""), s->port.host,
			     s->port.guest },
	};
	struct network *net;
	struct link *link;

	if (iface->type == IFACE_USER) {
		args.xml = xml = xml_after(j, dom);
		link_forward(dom->link, &args, on_step, j);
		return;
	}
	net = network_find_name(dom->daemon, iface->network);
	link = net ? network_link(net, &error) : NULL;
	if (link)
		link_net_forward(link, &args, on_step, j);
	else
		on_step(NULL, error, j);
}

/* False: it is done, or has failed with the error. */
static bool step_begin(struct live_job *j, struct domain *dom, GError **error)
{
	const struct step *s = step_now(j);
	const domain_def *to = wish_now(j);
	g_autofree char *xml = NULL;
	worker_actions actions;

	switch (s->part) {
	case NOW_LIMITS:
		limits_set(dom, to, error);
		return false;
	case NOW_ACTIONS:
		actions = (worker_actions){ (int)to->on_poweroff, (int)to->on_reboot,
					    (int)to->on_crash };
		link_set_actions(dom->link, &actions, on_step, j);
		return true;
	case NOW_BALLOON:
		link_set_balloon(dom->link, to->current_bytes / 1024, on_step, j);
		return true;
	case NOW_STATS:
		link_set_stats_period(dom->link, (int)to->balloon.stats_period_s, on_step, j);
		return true;
	case NOW_LINK:
		xml = xml_after(j, dom);
		link_set_link(dom->link, s->index,
			      !((struct iface_def *)to->ifaces->pdata[s->index])->link_down, xml,
			      on_step, j);
		return true;
	case NOW_IOTUNE:
		xml = xml_after(j, dom);
		link_set_iotunes(dom->link, to->disks, xml, on_step, j);
		return true;
	case NOW_PORTS:
		if (s->port.host)
			port_begin(j, dom);
		return s->port.host;
	case NOW_WORDS:
	case N_NOW_PARTS:
		break;
	}
	return false;
}

/* ---- all of them ---- */

static void job_free(struct live_job *j)
{
	domain_def_free(j->from);
	domain_def_free(j->to);
	g_array_unref(j->steps);
	g_clear_error(&j->error);
	g_clear_error(&j->answer);
	g_free(j);
}

/* NULL: it has ended meanwhile, and another run of it is not meant. */
static struct domain *job_domain(const struct live_job *j)
{
	struct domain *dom =
		j->daemon->ending ? NULL : domain_find_uuid(j->daemon->domains, j->uuid);

	return dom && dom->live && dom->link && dom->id == j->id ? dom : NULL;
}

static void job_end(struct live_job *j, struct domain *dom)
{
	j->done(dom, j->error, j->opaque);
	job_free(j);
}

/* Not all steps told the worker what they made of the definition. */
static void on_told(const void *ret, const GError *error, void *opaque)
{
	struct live_job *j = opaque;

	if (error)
		g_warning("a changed definition is not told to the worker: %s", error->message);
	job_end(j, job_domain(j));
}

static void job_tell(struct live_job *j, struct domain *dom)
{
	if (dom && j->steps->len)
		link_set_xml(dom->link, dom->live_xml, on_told, j);
	else
		job_end(j, dom);
}

static void turn_back(struct live_job *j, const GError *error)
{
	if (j->back)
		g_warning("a change that failed is not undone: %s", error->message);
	else
		j->error = g_error_copy(error);
	j->back = true;
}

/* False: there is no next one. */
static bool step_next(struct live_job *j)
{
	if (!j->back)
		return ++j->at < j->steps->len;
	return j->at-- > 0;
}

/* error: of the step that is over; NULL: it is done.  False: it was the last. */
static bool step_end(struct live_job *j, const GError *error)
{
	struct domain *dom = job_domain(j);

	if (error) {
		turn_back(j, error);
	} else if (dom) {
		put(j, dom->live);
		domain_refresh_live(dom);
	}
	return step_next(j);
}

/* False: it waits for an answer.  Errors come at once where there is no connection. */
static bool step_do(struct live_job *j, struct domain *dom, GError **error)
{
	bool asked;

	j->beginning = true;
	j->answered = false;
	asked = step_begin(j, dom, error);
	j->beginning = false;
	if (asked && j->answer)
		g_propagate_error(error, g_steal_pointer(&j->answer));
	return !asked || j->answered;
}

static void job_go_on(struct live_job *j)
{
	struct domain *dom;

	do {
		g_autoptr(GError) error = NULL;

		dom = job_domain(j);
		if (!dom)
			break;
		if (!step_do(j, dom, &error))
			return;
		if (!step_end(j, error))
			break;
	} while (true);
	if (!dom && !j->error)
		error_set(&j->error, VMM_ERR_OPERATION_INVALID, "Requested operation is not "
			  "valid: the domain ended while it was being changed");
	job_tell(j, dom);
}

static void on_step(const void *ret, const GError *error, void *opaque)
{
	struct live_job *j = opaque;

	if (j->beginning) {
		j->answered = true;
		j->answer = error ? g_error_copy(error) : NULL;
	} else if (step_end(j, error)) {
		job_go_on(j);
	} else {
		job_tell(j, job_domain(j));
	}
}

void live_change(struct domain *dom, domain_def *to, lifecycle_done *done, void *opaque)
{
	struct live_job *j = g_new0(struct live_job, 1);

	*j = (struct live_job){ .daemon = dom->daemon, .id = dom->id,
				.from = domain_def_copy(dom->live), .to = to, .done = done,
				.opaque = opaque };
	memcpy(j->uuid, dom->uuid, sizeof(j->uuid));
	j->steps = g_array_new(FALSE, FALSE, sizeof(struct step));
	steps_find(j);
	if (j->steps->len)
		job_go_on(j);
	else
		job_end(j, dom);
}

/* ---- for a client ---- */

struct live_answer {
	struct call *call;
	domain_def *saved;
};

static void on_changed(struct domain *dom, const GError *error, void *opaque)
{
	g_autofree struct live_answer *a = opaque;
	g_autoptr(GError) unsaved = NULL;

	if (!error && dom && a->saved &&
	    !domain_save(dom, g_steal_pointer(&a->saved), &unsaved)) {
		g_prefix_error(&unsaved, "the machine has changed, its definition has not: ");
		error = unsaved;
	}
	domain_def_free(a->saved);
	api_done(dom, error, a->call);
}

void live_change_call(struct domain *dom, domain_def *live, domain_def *saved, struct call *call)
{
	struct live_answer *a = g_new(struct live_answer, 1);

	*a = (struct live_answer){ call, saved };
	if (live)
		live_change(dom, live, on_changed, a);
	else
		on_changed(dom, NULL, a);
}
