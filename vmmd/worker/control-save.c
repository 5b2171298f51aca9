/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SAVE and what goes with it. */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include "libvmm/util/cleanup.h"

struct save_call {
	struct control *c;
	unsigned link_nr;
	struct frame_header call;
	bool was_running;
};

/* A vmmd that has gone can't say what was to follow: then nothing has happened. */
static void on_saved(void *opaque, const GError *error)
{
	g_autofree struct save_call *s = opaque;
	struct control *c = s->c;

	if (!control_linked(c, s->link_nr)) {
		if (!error && s->was_running)
			worker_resume(&c->w, WORKER_CAUSE_USER);
	} else if (error) {
		rpc_reply_error(c->link, &s->call, error);
	} else {
		rpc_reply_none(c->link, &s->call);
	}
}

void control_save(struct control *c, struct rpc_message *msg)
{
	worker_save_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct machine_save_opts opts;
	struct save_call *s;

	if (msg->n_fds != 1 || c->w.cause == WORKER_CAUSE_CRASHED) {
		control_refuse(c, msg, VMM_ERR_OPERATION_INVALID,
			       msg->n_fds != 1 ? "one descriptor belongs to a save"
					       : "the guest has crashed: reset or destroy it");
		return;
	}
	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_save_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	s = g_new(struct save_call, 1);
	*s = (struct save_call){ c, c->link_nr, msg->hdr, c->w.state == WORKER_RUNNING };
	opts = (struct machine_save_opts){ TAKE_FD(msg->fds[0]), args.xml,
					   args.flags & WORKER_SAVE_RUN,
					   args.flags & WORKER_SAVE_ZSTD };
	worker_save(&c->w, &opts, args.detail, on_saved, s);
	frame_free((xdrproc_t)xdr_worker_save_args, &args);
}

void control_save_cancel(struct control *c, struct rpc_message *msg)
{
	machine_save_cancel(c->w.machine);
	rpc_reply_none(c->link, &msg->hdr);
}

void control_save_progress(struct control *c, struct rpc_message *msg)
{
	int64_t since = c->w.save_begun_us;
	struct machine_save_progress p;
	worker_save_progress ret = { 0 };

	machine_save_progress(c->w.machine, &p);
	ret.active = p.active;
	ret.done_bytes = p.total_bytes - p.left_bytes;
	ret.total_bytes = p.total_bytes;
	ret.pass = p.pass;
	ret.elapsed_ms = since ? (uint64_t)(g_get_monotonic_time() - since) / 1000 : 0;
	rpc_reply(c->link, &msg->hdr, (xdrproc_t)xdr_worker_save_progress, &ret);
}
