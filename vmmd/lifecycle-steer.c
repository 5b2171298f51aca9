/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wishes about a domain that runs: end it, halt it, press its buttons. */
#include "config.h"
#include "vmmd/lifecycle-priv.h"

#include "libvmm/rpc/worker.h"
#include "libvmm/util/error.h"

/* ---- stop ---- */

static gboolean on_stop_timeout(void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = dom->life;
	g_autoptr(GError) error = NULL;

	life->timer = 0;
	if (!life->polite) {
		g_warning("domain '%s': its worker did not stop: killed", dom->name);
		link_kill(dom->link);
		return G_SOURCE_REMOVE;
	}
	error_set(
		&error, VMM_ERR_OPERATION_FAILED,
		"operation failed: the worker of domain '%s' does not stop; destroy it without "
		"--graceful",
		dom->name);
	life_tell_enders(dom, error);
	return G_SOURCE_REMOVE;
}

static void on_stop_answered(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;

	if (error && !dom->life->polite)
		link_kill(dom->link);
}

void lifecycle_destroy(struct domain *dom, bool graceful, lifecycle_done *done, void *opaque)
{
	enum domain_state from = dom->state;
	struct waiter w = { done, opaque };
	g_autoptr(GError) error = NULL;
	struct lifecycle *life = dom->life;

	if (!domain_step(dom, EV_DESTROY, WORKER_CAUSE_DESTROYED, NULL, &error)) {
		done(dom, error, opaque);
		return;
	}
	g_array_append_val(life->enders, w);
	life->polite = graceful && (from != DOMAIN_STOPPING || life->polite);
	g_clear_handle_id(&life->timer, g_source_remove);
	g_clear_handle_id(&life->powerdown_timer, g_source_remove);
	if (from == DOMAIN_STARTING) {
		link_kill(dom->link);
		return;
	}
	life->timer = g_timeout_add(dom->daemon->stop_timeout_ms, on_stop_timeout, dom);
	if (from != DOMAIN_STOPPING)
		link_command(dom->link, WORKER_PROC_STOP, dom->daemon->stop_timeout_ms,
			     on_stop_answered, dom);
}

/* ---- commands that the worker answers ---- */

struct command {
	struct domain *dom;
	struct waiter waiter;
	enum domain_event event;
};

static void on_command(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct command *c = opaque;

	c->waiter.done(c->dom, error, c->waiter.opaque);
}

static struct command *command_new(struct domain *dom, enum domain_event event,
				   lifecycle_done *done, void *opaque)
{
	g_autoptr(GError) error = NULL;
	struct command *c;

	if (!domain_may(dom, event, &error)) {
		done(dom, error, opaque);
		return NULL;
	}
	c = g_new(struct command, 1);
	*c = (struct command){ dom, { done, opaque }, event };
	return c;
}

static void command_run(struct domain *dom, enum domain_event event, int procedure,
			lifecycle_done *done, void *opaque)
{
	struct command *c = command_new(dom, event, done, opaque);

	if (c)
		link_command(dom->link, procedure, 0, on_command, c);
}

void lifecycle_suspend(struct domain *dom, lifecycle_done *done, void *opaque)
{
	command_run(dom, EV_SUSPEND, WORKER_PROC_PAUSE, done, opaque);
}

void lifecycle_resume(struct domain *dom, lifecycle_done *done, void *opaque)
{
	command_run(dom, EV_RESUME, WORKER_PROC_RESUME, done, opaque);
}

void lifecycle_reset(struct domain *dom, lifecycle_done *done, void *opaque)
{
	command_run(dom, EV_RESET, WORKER_PROC_RESET, done, opaque);
}

static gboolean on_powerdown_ignored(void *opaque)
{
	struct domain *dom = opaque;

	dom->life->powerdown_timer = 0;
	dom->life->by_host = false;
	domain_step(dom, EV_IGNORED, WORKER_CAUSE_NONE, "the guest did not heed the power button",
		    NULL);
	return G_SOURCE_REMOVE;
}

static void on_powerdown(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct command *c = opaque;
	struct domain *dom = c->dom;
	struct lifecycle *life = dom->life;

	if (!error && c->event == EV_SHUTDOWN &&
	    domain_step(dom, EV_SHUTDOWN, WORKER_CAUSE_NONE, NULL, NULL)) {
		life->by_host = true;
		g_clear_handle_id(&life->powerdown_timer, g_source_remove);
		life->powerdown_timer = g_timeout_add(dom->daemon->powerdown_timeout_ms,
						      on_powerdown_ignored, dom);
	}
	c->waiter.done(dom, error, c->waiter.opaque);
}

void lifecycle_shutdown(struct domain *dom, lifecycle_done *done, void *opaque)
{
	struct command *c = command_new(dom, EV_SHUTDOWN, done, opaque);

	if (c)
		link_powerdown(dom->link, false, on_powerdown, c);
}

void lifecycle_reboot(struct domain *dom, lifecycle_done *done, void *opaque)
{
	struct command *c = command_new(dom, EV_REBOOT, done, opaque);

	if (c)
		link_powerdown(dom->link, true, on_powerdown, c);
}

