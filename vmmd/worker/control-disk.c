/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands from vmmd that change the disks of a machine at work. */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include "libvmm/device/blk.h"
#include "libvmm/util/cleanup.h"

/* A command that is answered when disks' threads have done it. */
struct disk_call {
	struct control *c;
	unsigned link_nr;
	struct frame_header call;
	char *xml;		/* the definition when it is done; NULL: the same */
};

static struct disk_call *disk_call_new(struct control *c, const struct rpc_message *msg,
				       const char *xml)
{
	struct disk_call *d = g_new(struct disk_call, 1);

	*d = (struct disk_call){ c, c->link_nr, msg->hdr, g_strdup(xml) };
	return d;
}

static void disk_call_done(void *opaque, const GError *error)
{
	g_autofree struct disk_call *d = opaque;
	struct control *c = d->c;

	if (!error && d->xml) {
		g_free(c->xml);
		c->xml = g_steal_pointer(&d->xml);
	}
	g_free(d->xml);
	if (!control_linked(c, d->link_nr))
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
	d = disk_call_new(c, msg, args.xml);
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

static bool limits_take(const worker_iotune *from, struct machine_limits *ret, GError **error)
{
	if (from->values.values_len != N_IOTUNES)
		return error_set(error, VMM_ERR_RPC, "%u limits", from->values.values_len);
	*ret = machine_limits_of(from->target, from->group,
				 (const uint64_t *)from->values.values_val);
	return true;
}

void control_set_iotune(struct control *c, struct rpc_message *msg)
{
	worker_iotune_args args = { 0 };
	g_autofree struct machine_limits *limits = NULL;
	g_autoptr(GError) error = NULL;
	unsigned n;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_iotune_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	n = args.disks.disks_len;
	limits = g_new0(struct machine_limits, n);
	for (unsigned i = 0; i < n && !error; i++)
		limits_take(&args.disks.disks_val[i], &limits[i], &error);
	if (error || !machine_set_limits(c->w.machine, limits, n, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
	} else {
		g_free(c->xml);
		c->xml = g_strdup(args.xml);
		rpc_reply_none(c->link, &msg->hdr);
	}
	frame_free((xdrproc_t)xdr_worker_iotune_args, &args);
}

/* ---- jobs ---- */

void control_job_start(struct control *c, struct rpc_message *msg)
{
	worker_job_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct machine_job job = { .base_fd = -1, .above_fd = -1 };

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_job_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	job.kind = args.kind;
	job.base = *args.base ? args.base : NULL;
	job.top = *args.top ? args.top : NULL;
	job.backing = *args.backing ? args.backing : NULL;
	job.bytes_per_s = args.bytes_per_s;
	if (msg->n_fds > 0)
		job.base_fd = TAKE_FD(msg->fds[0]);
	if (msg->n_fds > 1)
		job.above_fd = TAKE_FD(msg->fds[1]);
	machine_job_start(c->w.machine, args.target, &job, disk_call_done,
			  disk_call_new(c, msg, NULL));
	frame_free((xdrproc_t)xdr_worker_job_args, &args);
}

void control_job_control(struct control *c, struct rpc_message *msg)
{
	worker_job_control_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_job_control_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	if (args.what < 0 || args.what >= N_MACHINE_JOB_CONTROLS)
		control_refuse(c, msg, VMM_ERR_RPC, "no such control of a job");
	else
		machine_job_control(
			c->w.machine, args.target, (enum machine_job_control)args.what,
			args.bytes_per_s, disk_call_done,
			disk_call_new(c, msg, args.what == MACHINE_JOB_PIVOT ? args.xml : NULL));
	frame_free((xdrproc_t)xdr_worker_job_control_args, &args);
}

struct info_call {
	struct control *c;
	unsigned link_nr;
	struct frame_header call;
	struct machine_job_info info;
};

static void info_done(void *opaque, const GError *error)
{
	g_autofree struct info_call *i = opaque;
	worker_job_info_ret ret = {
		.kind = i->info.kind, .ready = i->info.ready, .held = i->info.held,
		.done_bytes = i->info.done_bytes, .total_bytes = i->info.total_bytes,
		.bytes_per_s = i->info.bytes_per_s, .base = i->info.base,
	};

	if (!control_linked(i->c, i->link_nr))
		return;
	if (error)
		rpc_reply_error(i->c->link, &i->call, error);
	else
		rpc_reply(i->c->link, &i->call, (xdrproc_t)xdr_worker_job_info_ret, &ret);
}

void control_job_info(struct control *c, struct rpc_message *msg)
{
	worker_target_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct info_call *i;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_target_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	i = g_new0(struct info_call, 1);
	*i = (struct info_call){ .c = c, .link_nr = c->link_nr, .call = msg->hdr };
	machine_job_info(c->w.machine, args.target, &i->info, info_done, i);
	frame_free((xdrproc_t)xdr_worker_target_args, &args);
}

void control_disk_resize(struct control *c, struct rpc_message *msg)
{
	worker_resize_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_resize_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	machine_disk_resize(c->w.machine, args.target, args.bytes, disk_call_done,
			    disk_call_new(c, msg, NULL));
	frame_free((xdrproc_t)xdr_worker_resize_args, &args);
}
