/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events: from the client's thread to the context of each registration.
 *
 * The table belongs to the client's thread; a registration enters it there,
 * before any message after the reply that named it is looked at, so no event
 * is missed.  Notes on their way hold a reference; a registration that was
 * ended on its context's thread is dead by the time a later note arrives.
 */
#include "config.h"
#include "libvmm/client/client-priv.h"
#include "libvmm/util/owner.h"

/* vmm.h's ids of one kind are one block. */
enum event_kind { KIND_DOMAIN, KIND_NETWORK, KIND_POOL };
#define KIND_OF(id) ((enum event_kind)((id) / VMM_EVENT_NETWORK_LIFECYCLE))
#define WIRE_OF(id) ((id) % VMM_EVENT_NETWORK_LIFECYCLE)

struct registration {
	gint refs;			/* atomic */
	gint dead;			/* atomic */
	int callback_id;
	enum event_kind kind;
	GMainContext *ctx;
	vmm_event_fn fn;
	void *opaque;
};

struct event_table {
	vmm_connect *conn;
	GHashTable *registrations; /* callback id to struct registration *, each with a reference */
};

/* One event on its way to one registration; owns its texts. */
struct note {
	vmm_connect *conn;
	struct registration *reg;
	struct vmm_event event;
};

static void registration_unref(void *data)
{
	struct registration *reg = data;

	if (!g_atomic_int_dec_and_test(&reg->refs))
		return;
	g_main_context_unref(reg->ctx);
	g_free(reg);
}

struct event_table *event_table_new(vmm_connect *conn)
{
	struct event_table *table = g_new(struct event_table, 1);

	table->conn = conn;
	table->registrations =
		g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, registration_unref);
	return table;
}

void event_table_free(struct event_table *table)
{
	if (!table)
		return;
	g_hash_table_unref(table->registrations);
	g_free(table);
}

/* Each takes the fields of its message; texts are copied. */

static void take_lifecycle(const remote_event_lifecycle *m, struct vmm_event *e)
{
	e->event = m->event;
	e->detail = m->detail;
}

static void take_dom(const remote_event_dom *m, struct vmm_event *e)
{
}

static void take_dom_int(const remote_event_dom_int *m, struct vmm_event *e)
{
	e->event = m->num;
}

static void take_dom_hyper(const remote_event_dom_hyper *m, struct vmm_event *e)
{
	e->value = m->num;
}

static void take_io_error(const remote_event_io_error *m, struct vmm_event *e)
{
	e->event = m->action;
	e->path = g_strdup(m->srcPath);
	e->device = g_strdup(m->devAlias);
}

static void take_io_error_reason(const remote_event_io_error_reason *m, struct vmm_event *e)
{
	e->event = m->action;
	e->path = g_strdup(m->srcPath);
	e->device = g_strdup(m->devAlias);
	e->reason = g_strdup(m->reason);
}

static void take_device(const remote_event_device *m, struct vmm_event *e)
{
	e->device = g_strdup(m->devAlias);
}

static void take_agent(const remote_event_agent *m, struct vmm_event *e)
{
	e->event = m->state;
	e->detail = m->reason;
}

static void take_block_job(const remote_event_block_job *m, struct vmm_event *e)
{
	e->event = m->type;
	e->detail = m->status;
	if (e->id == VMM_EVENT_BLOCK_JOB)
		e->path = g_strdup(m->path);
	else
		e->device = g_strdup(m->path);
}

static void take_params(const remote_event_params *m, struct vmm_event *e)
{
	struct vmm_job_info *job;

	if (e->id == VMM_EVENT_TUNABLE) {
		e->n_params = m->params.params_len;
		e->params = params_from_wire(m->params.params_val, e->n_params);
		return;
	}
	job = g_new(struct vmm_job_info, 1);
	job_from_wire(m->params.params_val, m->params.params_len, job);
	job->type = job->message ? VMM_JOB_FAILED : VMM_JOB_COMPLETED;
	e->job = job;
}

static void take_metadata(const remote_event_metadata *m, struct vmm_event *e)
{
	e->event = m->type;
	e->reason = m->nsuri ? g_strdup(*m->nsuri) : NULL;
}

static void take_network(const remote_event_network *m, struct vmm_event *e)
{
	e->event = m->event;
	e->detail = m->detail;
}

static void take_pool(const remote_event_pool *m, struct vmm_event *e)
{
	e->event = m->event;
	e->detail = m->detail;
}

static void take_pool_refresh(const remote_event_pool_refresh *m, struct vmm_event *e)
{
}

/* What we understand of domains: name, type. */
#define DOMAIN_EVENTS(X) \
	X(LIFECYCLE, lifecycle) \
	X(REBOOT, dom) \
	X(WATCHDOG, dom_int) \
	X(IO_ERROR, io_error) \
	X(IO_ERROR_REASON, io_error_reason) \
	X(CONTROL_ERROR, dom) \
	X(BLOCK_JOB, block_job) \
	X(BALLOON_CHANGE, dom_hyper) \
	X(DEVICE_REMOVED, device) \
	X(BLOCK_JOB_2, block_job) \
	X(TUNABLE, params) \
	X(AGENT_LIFECYCLE, agent) \
	X(DEVICE_ADDED, device) \
	X(JOB_COMPLETED, params) \
	X(METADATA_CHANGE, metadata)

/* And of others: id, message, type, whose it is as vmm_event and as the wire call it. */
#define OTHER_EVENTS(X) \
	X(VMM_EVENT_NETWORK_LIFECYCLE, REMOTE_EVENT_MSG_NETWORK, network, network, net) \
	X(VMM_EVENT_POOL_LIFECYCLE, REMOTE_POOL_EVENT_MSG_LIFECYCLE, pool, pool, pool) \
	X(VMM_EVENT_POOL_REFRESH, REMOTE_POOL_EVENT_MSG_REFRESH, pool_refresh, pool, pool)

static bool event_is_known(int id)
{
	switch (id) {
#define X(name, type) case REMOTE_EVENT_##name:
	DOMAIN_EVENTS(X)
#undef X
#define X(id, msg, type, whose, wire) case id:
	OTHER_EVENTS(X)
#undef X
		return true;
	default:
		return false;
	}
}

static void note_free(struct note *note)
{
	vmm_domain_unref(note->event.domain);
	vmm_network_free(note->event.network);
	vmm_pool_free(note->event.pool);
	g_free((char *)note->event.path);
	g_free((char *)note->event.device);
	g_free((char *)note->event.reason);
	params_free((struct vmm_param *)note->event.params, note->event.n_params);
	if (note->event.job)
		g_free(note->event.job->message);
	g_free((struct vmm_job_info *)note->event.job);
	registration_unref(note->reg);
	connect_unref(note->conn);
	g_free(note);
}

static void note_deliver(void *arg)
{
	struct note *note = arg;

	if (!g_atomic_int_get(&note->reg->dead))
		note->reg->fn(note->conn, &note->event, note->reg->opaque);
	note_free(note);
}

/* NULL: nobody asked for it, or for something else by that id. */
static struct note *note_new(struct event_table *table, int id, int callback_id)
{
	struct registration *reg =
		g_hash_table_lookup(table->registrations, GINT_TO_POINTER(callback_id));
	struct note *note;

	if (!reg || reg->kind != KIND_OF(id))
		return NULL;
	g_atomic_int_inc(&reg->refs);
	note = g_new0(struct note, 1);
	note->conn = connect_ref(table->conn);
	note->reg = reg;
	note->event.id = id;
	return note;
}

#define CASE(number, msg_number, type, whose, wire) \
	case msg_number: { \
		remote_event_##type m = { 0 }; \
		if (!rpc_message_decode(msg, (xdrproc_t)xdr_remote_event_##type, &m, NULL)) \
			return; \
		note = note_new(table, number, m.callbackID); \
		if (note) { \
			note->event.whose = whose##_from_wire(table->conn, &m.wire); \
			take_##type(&m, &note->event); \
		} \
		FREE(event_##type, &m); \
		break; \
	}
#define DOMAIN_CASE(name, type) \
	CASE(REMOTE_EVENT_##name, REMOTE_EVENT_MSG_##name, type, domain, dom)

void event_message(struct rpc_message *msg, struct event_table *table)
{
	struct note *note = NULL;

	if (msg->hdr.program != FRAME_PROGRAM_REMOTE)
		return;
	switch (msg->hdr.procedure) {
	DOMAIN_EVENTS(DOMAIN_CASE)
	OTHER_EVENTS(CASE)
	}
	if (note)
		owner_post(note->reg->ctx, note_deliver, note);
}

struct registering {
	struct event_table *table;
	struct registration *reg;
	remote_int_ret ret;
};

static void registered(const struct frame_header *hdr, void *opaque)
{
	struct registering *r = opaque;

	r->reg->callback_id = r->ret.num;
	g_atomic_int_inc(&r->reg->refs);
	g_hash_table_insert(r->table->registrations, GINT_TO_POINTER(r->ret.num), r->reg);
}

static struct registration *registration_new(enum event_kind kind, GMainContext *context,
					     vmm_event_fn fn, void *opaque)
{
	struct registration *reg = g_new0(struct registration, 1);

	reg->refs = 1;
	reg->kind = kind;
	reg->ctx = context ? g_main_context_ref(context) : g_main_context_ref_thread_default();
	reg->fn = fn;
	reg->opaque = opaque;
	return reg;
}

/* The procedures of one kind; their arguments begin with the event's number. */
static const struct {
	int enter, leave;
	xdrproc_t args;
} kinds[] = {
	[KIND_DOMAIN] = { REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
			  REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY,
			  (xdrproc_t)xdr_remote_register_domain_args },
	[KIND_NETWORK] = { REMOTE_PROC_CONNECT_NETWORK_EVENT_REGISTER_ANY,
			   REMOTE_PROC_CONNECT_NETWORK_EVENT_DEREGISTER_ANY,
			   (xdrproc_t)xdr_remote_register_network_args },
	[KIND_POOL] = { REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY,
			REMOTE_PROC_CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY,
			(xdrproc_t)xdr_remote_register_pool_args },
};

/* Takes reg. */
static int event_register(vmm_connect *conn, int id, void *args, struct registration *reg,
			  GError **error)
{
	struct registering r = { .table = conn->events, .reg = reg };
	struct rpc_call call = {
		.program = FRAME_PROGRAM_REMOTE,
		.procedure = kinds[reg->kind].enter,
		.args_proc = kinds[reg->kind].args,
		.args = args,
		.ret_proc = (xdrproc_t)xdr_remote_int_ret,
		.ret = &r.ret,
		.ret_bytes = sizeof(r.ret),
		.replied = registered,
		.opaque = &r,
	};
	bool ok = event_is_known(id) && KIND_OF(id) == reg->kind;

	if (!ok)
		error_set(error, VMM_ERR_INVALID_ARG, "there is no event with number %d", id);
	ok = ok && rpc_client_call(conn->client, &call, error);
	registration_unref(reg);
	return ok ? r.ret.num : -1;
}

int vmm_event_register(vmm_connect *conn, vmm_domain *dom, int id, GMainContext *context,
		       vmm_event_fn fn, void *opaque, GError **error)
{
	remote_domain wire = dom ? domain_to_wire(dom) : (remote_domain){ 0 };
	remote_register_domain_args args = { WIRE_OF(id), dom ? &wire : NULL };

	return event_register(conn, id, &args, registration_new(KIND_DOMAIN, context, fn, opaque),
			      error);
}

int vmm_network_event_register(vmm_connect *conn, vmm_network *net, int id, GMainContext *context,
			       vmm_event_fn fn, void *opaque, GError **error)
{
	remote_network wire = net ? network_to_wire(net) : (remote_network){ 0 };
	remote_register_network_args args = { WIRE_OF(id), net ? &wire : NULL };

	return event_register(conn, id, &args, registration_new(KIND_NETWORK, context, fn, opaque),
			      error);
}

int vmm_pool_event_register(vmm_connect *conn, vmm_pool *pool, int id, GMainContext *context,
			    vmm_event_fn fn, void *opaque, GError **error)
{
	remote_pool wire = pool ? pool_to_wire(pool) : (remote_pool){ 0 };
	remote_register_pool_args args = { WIRE_OF(id), pool ? &wire : NULL };

	return event_register(conn, id, &args, registration_new(KIND_POOL, context, fn, opaque),
			      error);
}

struct leaving {
	struct event_table *table;
	int callback_id;
	enum event_kind kind;
};

static void registration_remove(void *arg)
{
	struct leaving *l = arg;
	struct registration *reg =
		g_hash_table_lookup(l->table->registrations, GINT_TO_POINTER(l->callback_id));

	if (!reg)
		return;
	l->kind = reg->kind;
	g_atomic_int_set(&reg->dead, TRUE);
	g_hash_table_remove(l->table->registrations, GINT_TO_POINTER(l->callback_id));
}

bool vmm_event_deregister(vmm_connect *conn, int registration, GError **error)
{
	struct leaving l = { conn->events, registration, KIND_DOMAIN };
	remote_int_args args = { .num = registration };
	remote_none none;

	owner_call(rpc_client_context(conn->client), registration_remove, &l);
	return connect_call(conn, kinds[l.kind].leave, (xdrproc_t)xdr_remote_int_args, &args,
			    (xdrproc_t)xdr_remote_none, &none, sizeof(none), error);
}

static void registrations_kill(void *arg)
{
	struct event_table *table = arg;
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, table->registrations);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_atomic_int_set(&((struct registration *)value)->dead, TRUE);
}

void event_table_kill(struct event_table *table)
{
	owner_call(rpc_client_context(table->conn->client), registrations_kill, table);
}
