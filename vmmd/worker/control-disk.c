/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands from vmmd that change the disks of a machine at work. */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include "libvmm/device/blk.h"
#include "libvmm/util/cleanup.h"

/* A command that is answered when disks' threads have done it. */
struct disk_call {
	struct control *c;
	struct rpc_conn *link;
	struct frame_header call;
	char *xml;		/* the definition when it is done; NULL: the same */
};

static void disk_call_done(void *opaque, const GError *error)
{
	g_autofree struct disk_call *d = opaque;
	struct control *c = d->c;

	if (!error && d->xml) {
		g_free(c->xml);
		c->xml = g_steal_pointer(&d->xml);
	}
	g_free(d->xml);
	if (c->link != d->link)
		return;
	if (error)
		rpc_reply_error(c->link, &d->call, error);
	else
		rpc_reply_none(c->link, &d->call);
}

void control_switch_heads(struct control *c, struct rpc_message *msg)
{
	struct machine_head heads[WORKER_HEADS_MAX];
	worker_heads_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct disk_call *d;
	unsigned n;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_heads_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	n = args.heads.heads_len;
	if (msg->n_fds != 2 * n) {
		control_refuse(c, msg, VMM_ERR_RPC, "two descriptors belong to each head");
		frame_free((xdrproc_t)xdr_worker_heads_args, &args);
		return;
	}
	d = g_new(struct disk_call, 1);
	*d = (struct disk_call){ c, c->link, msg->hdr, g_strdup(args.xml) };
	for (unsigned i = 0; i < n; i++)
		heads[i] = (struct machine_head){
			.target = args.heads.heads_val[i].target,
			.path = args.heads.heads_val[i].path,
			.fd = TAKE_FD(msg->fds[2 * i]),
			.below_fd = TAKE_FD(msg->fds[2 * i + 1]),
		};
	machine_switch_heads(c->w.machine, heads, n, disk_call_done, d);
	frame_free((xdrproc_t)xdr_worker_heads_args, &args);
}

void control_set_iotune(struct control *c, struct rpc_message *msg)
{
	worker_iotune_args args = { 0 };
	struct blk_limits limits = { 0 };
	g_autoptr(GError) error = NULL;
	const uint64_t *v;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_iotune_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	v = (const uint64_t *)args.values.values_val;
	if (args.values.values_len == N_IOTUNES) {
		limits.op_bytes = v[IOTUNE_SIZE];
		for (unsigned i = 0; i < ARRAY_SIZE(limits.limits); i++)
			limits.limits[i] = (struct blk_limit){ v[i], v[IOTUNE_MAX + i],
							       v[IOTUNE_LENGTH + i] };
		machine_set_limits(c->w.machine, args.target, &limits, &error);
	} else {
		error_set(&error, VMM_ERR_RPC, "%u limits", args.values.values_len);
	}
	if (error) {
		rpc_reply_error(c->link, &msg->hdr, error);
	} else {
		g_free(c->xml);
		c->xml = g_strdup(args.xml);
		rpc_reply_none(c->link, &msg->hdr);
	}
	frame_free((xdrproc_t)xdr_worker_iotune_args, &args);
}
