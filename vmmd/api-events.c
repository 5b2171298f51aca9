/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that register for events and stop it. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/event.h"
#include "vmmd/pool.h"

static void add(struct call *call, enum event_class class, int event, const uint8_t *uuid)
{
	g_autoptr(GError) error = NULL;
	remote_int_ret ret;

	if (event_register(call->daemon->events, call->session, class, event, uuid, &ret.num,
			   &error))
		call_reply(call, &ret);
	else
		call_fail(call, error);
}

static void register_domain(struct call *call, const void *argp)
{
	const remote_register_domain_args *args = argp;
	const struct domain *dom = NULL;

	if (args->dom) {
		dom = api_domain_of(call, args->dom);
		if (!dom)
			return;
	}
	add(call, EVENTS_DOMAIN, args->eventID, dom ? dom->uuid : NULL);
}

static void register_network(struct call *call, const void *argp)
{
	const remote_register_network_args *args = argp;
	const struct network *net = NULL;

	if (args->net) {
		net = api_network_of(call, args->net);
		if (!net)
			return;
	}
	add(call, EVENTS_NETWORK, args->eventID, net ? network_now(net)->uuid : NULL);
}

static void register_pool(struct call *call, const void *argp)
{
	const remote_register_pool_args *args = argp;
	const struct pool *pool = args->pool ? api_pool_of(call, args->pool) : NULL;

	if (!args->pool || pool)
		add(call, EVENTS_POOL, args->eventID, pool ? pool->def->uuid : NULL);
}

/* Devices have no events, and nobody needs an error for that. */
static void register_nodedev(struct call *call, const void *argp)
{
	const remote_register_nodedev_args *args = argp;

	add(call, EVENTS_NODE_DEVICE, args->eventID, NULL);
}

static void register_secret(struct call *call, const void *argp)
{
	const remote_register_secret_args *args = argp;

	add(call, EVENTS_SECRET, args->eventID, NULL);
}

static void take_away(struct call *call, enum event_class class, const remote_int_args *args)
{
	g_autoptr(GError) error = NULL;

	if (event_deregister(call->daemon->events, call->session, class, args->num, &error))
		call_reply(call, NULL);
	else
		call_fail(call, error);
}

static void deregister_domain(struct call *call, const void *argp)
{
	take_away(call, EVENTS_DOMAIN, argp);
}

static void deregister_network(struct call *call, const void *argp)
{
	take_away(call, EVENTS_NETWORK, argp);
}

static void deregister_pool(struct call *call, const void *argp)
{
	take_away(call, EVENTS_POOL, argp);
}

static void deregister_nodedev(struct call *call, const void *argp)
{
	take_away(call, EVENTS_NODE_DEVICE, argp);
}

static void deregister_secret(struct call *call, const void *argp)
{
	take_away(call, EVENTS_SECRET, argp);
}

const struct api_entry api_events[] = {
	{ REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, register_domain },
	{ REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, deregister_domain },
	{ REMOTE_PROC_CONNECT_NETWORK_EVENT_REGISTER_ANY, register_network },
	{ REMOTE_PROC_CONNECT_NETWORK_EVENT_DEREGISTER_ANY, deregister_network },
	{ REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY, register_pool },
	{ REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY, deregister_pool },
	{ REMOTE_PROC_CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY, register_nodedev },
	{ REMOTE_PROC_CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY, deregister_nodedev },
	{ REMOTE_PROC_CONNECT_SECRET_EVENT_REGISTER_ANY, register_secret },
	{ REMOTE_PROC_CONNECT_SECRET_EVENT_DEREGISTER_ANY, deregister_secret },
	{ 0 }
};
