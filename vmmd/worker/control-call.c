/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands from vmmd (worker.x): one short function each. */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include <sys/resource.h>
#include <unistd.h>

#include "libvmm/device/hub.h"
#include "libvmm/device/recorder.h"
#include "libvmm/util/cleanup.h"

typedef void handler(struct control *c, struct rpc_message *msg);

void control_refuse(struct control *c, const struct rpc_message *msg, enum vmm_error code,
		    const char *text)
{
	g_autoptr(GError) error = g_error_new_literal(VMM_ERROR, code, text);

	rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_hello(struct control *c, struct rpc_message *msg)
{
	worker_hello_ret ret = {
		.protocol = WORKER_PROTOCOL_VERSION,
		.pid = (unsigned long)getpid(),
		.state = c->w.state,
		.cause = c->w.cause,
		.detail = c->w.detail,
		.id = c->id,
		.started_us = c->started_us,
		.xml = c->xml ?: (char *)"",
	};

	rpc_reply(c->link, &msg->hdr, (xdrproc_t)xdr_worker_hello_ret, &ret);
}

static void do_resume(struct control *c, struct rpc_message *msg)
{
	if (c->w.cause == WORKER_CAUSE_CRASHED) {
		control_refuse(c, msg, VMM_ERR_OPERATION_INVALID,
			    "the guest has crashed: reset or destroy it");
		return;
	}
	if (c->w.state == WORKER_PAUSED)
		worker_resume(&c->w, c->w.cause == WORKER_CAUSE_RESTORED ? WORKER_CAUSE_RESTORED
									 : WORKER_CAUSE_USER);
	rpc_reply_none(c->link, &msg->hdr);
}

/* A call that is answered later, if its asker is still there. */
struct later {
	struct control *c;
	unsigned link_nr;
	struct frame_header call;
};

static void later_reply(void *opaque)
{
	g_autofree struct later *l = opaque;

	if (control_linked(l->c, l->link_nr))
		rpc_reply_none(l->c->link, &l->call);
}

static void do_pause(struct control *c, struct rpc_message *msg)
{
	struct later *l = g_new(struct later, 1);

	*l = (struct later){ .c = c, .link_nr = c->link_nr, .call = msg->hdr };
	worker_pause(&c->w, WORKER_CAUSE_USER, later_reply, l);
}

static void do_powerdown(struct control *c, struct rpc_message *msg)
{
	worker_powerdown_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_powerdown_args, &args, &error) &&
	    worker_powerdown(&c->w, args.flags & WORKER_POWERDOWN_RESTART, &error))
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_reset(struct control *c, struct rpc_message *msg)
{
	worker_reset(&c->w);
	rpc_reply_none(c->link, &msg->hdr);
}

static void do_stop(struct control *c, struct rpc_message *msg)
{
	struct frame_header call = msg->hdr;

	worker_stop(&c->w, WORKER_CAUSE_DESTROYED, NULL);
	if (c->link)
		rpc_reply_none(c->link, &call);
}

static struct hub *hub_find(struct control *c, const char *device, GError **error)
{
	struct hub *hub = machine_hub(c->w.machine, device);

	if (!hub)
		error_set(error, VMM_ERR_INVALID_ARG, "there is no console '%s'", device);
	return hub;
}

static void do_console_open(struct control *c, struct rpc_message *msg)
{
	static const enum hub_mode modes[] = { HUB_READ, HUB_WRITE, HUB_TAKE_OVER };
	worker_console_args args = { 0 };
	worker_console_ret ret = { 0 };
	g_autoptr(GError) error = NULL;
	struct hub *hub = NULL;
	int fd = -1;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_console_args, &args, &error)) {
		hub = hub_find(c, args.device, &error);
		if (hub && args.mode >= ARRAY_SIZE(modes))
			error_set(&error, VMM_ERR_INVALID_ARG, "console mode %u", args.mode);
		else if (hub)
			fd = hub_attach(hub, modes[args.mode], args.who, args.replay_bytes,
					&ret.position, &error);
		frame_free((xdrproc_t)xdr_worker_console_args, &args);
	}
	if (fd < 0) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	ret.device = (char *)hub_name(hub);
	ret.run = c->w.recorder ? recorder_run(c->w.recorder) : 0;
	rpc_reply_fds(c->link, &msg->hdr, (xdrproc_t)xdr_worker_console_ret, &ret, &fd, 1);
}

static void do_console_resize(struct control *c, struct rpc_message *msg)
{
	worker_window_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct hub *hub = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_window_args, &args, &error)) {
		hub = hub_find(c, args.device, &error);
		if (hub)
			hub_resize(hub, args.columns, args.rows);
		frame_free((xdrproc_t)xdr_worker_window_args, &args);
	}
	if (hub)
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static uint64_t timeval_ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_usec * 1000u;
}

static void stats_devices(struct machine *m, worker_stats_ret *ret)
{
	ret->vcpus.vcpus_len = machine_n_vcpus(m);
	ret->vcpus.vcpus_val = g_new0(worker_vcpu_stats, ret->vcpus.vcpus_len);
	for (unsigned i = 0; i < ret->vcpus.vcpus_len; i++) {
		struct machine_vcpu_stats s;

		machine_vcpu_stats(m, i, &s);
		ret->vcpus.vcpus_val[i] =
			(worker_vcpu_stats){ s.halted ? 2 : 1, s.cpu_ns, s.exits };
	}
	ret->blocks.blocks_len = machine_n_disks(m);
	ret->blocks.blocks_val = g_new0(worker_block_stats, ret->blocks.blocks_len);
	for (unsigned i = 0; i < ret->blocks.blocks_len; i++) {
		struct machine_disk_stats s;

		machine_disk_stats(m, i, &s);
		ret->blocks.blocks_val[i] = (worker_block_stats){
			(char *)s.target, (long)s.rd_reqs, (long)s.rd_bytes, (long)s.rd_ns,
			(long)s.wr_reqs, (long)s.wr_bytes, (long)s.wr_ns, (long)s.fl_reqs,
			(long)s.fl_ns, (long)s.errs, s.waiting_error };
	}
	ret->nets.nets_len = machine_n_nets(m);
	ret->nets.nets_val = g_new0(worker_net_stats, ret->nets.nets_len);
	for (unsigned i = 0; i < ret->nets.nets_len; i++) {
		struct machine_net_stats s;

		machine_net_stats(m, i, &s);
		ret->nets.nets_val[i] = (worker_net_stats){
			(char *)s.target, (long)s.rx_bytes, (long)s.rx_packets, (long)s.rx_errs,
			(long)s.rx_drop, (long)s.tx_bytes, (long)s.tx_packets, (long)s.tx_errs,
			(long)s.tx_drop };
	}
}

static void do_stats(struct control *c, struct rpc_message *msg)
{
	struct machine_memory_stat memory[64];
	worker_memory_stat wire[64];
	struct machine *m = c->w.machine;
	worker_stats_ret ret = { 0 };
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	ret.user_ns = timeval_ns(&usage.ru_utime);
	ret.system_ns = timeval_ns(&usage.ru_stime);
	ret.cpu_ns = ret.user_ns + ret.system_ns;
	ret.balloon_kib = machine_balloon_bytes(m) / 1024;
	ret.memory.memory_len = machine_memory_stats(m, memory, ARRAY_SIZE(memory));
	ret.memory.memory_val = wire;
	for (unsigned i = 0; i < ret.memory.memory_len; i++)
		wire[i] = (worker_memory_stat){ memory[i].tag, memory[i].value };
	stats_devices(m, &ret);
	rpc_reply(c->link, &msg->hdr, (xdrproc_t)xdr_worker_stats_ret, &ret);
	g_free(ret.vcpus.vcpus_val);
	g_free(ret.blocks.blocks_val);
	g_free(ret.nets.nets_val);
}

static void do_set_balloon(struct control *c, struct rpc_message *msg)
{
	worker_balloon_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_balloon_args, &args, &error) &&
	    machine_set_balloon(c->w.machine,
				args.kib > UINT64_MAX / 1024 ? UINT64_MAX : args.kib * 1024,
				&error))
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_set_stats_period(struct control *c, struct rpc_message *msg)
{
	worker_period_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_period_args, &args, &error) &&
	    machine_set_stats_period(c->w.machine, (unsigned)MAX(args.seconds, 0), &error))
		rpc_reply_none(c->link, &msg->hdr);
	else
		rpc_reply_error(c->link, &msg->hdr, error);
}

static void do_set_link(struct control *c, struct rpc_message *msg)
{
	worker_link_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_link_args, &args, &error) &&
	    machine_set_link(c->w.machine, args.index, args.up, &error)) {
		g_free(c->xml);
		c->xml = g_strdup(args.xml);
		rpc_reply_none(c->link, &msg->hdr);
	} else {
		rpc_reply_error(c->link, &msg->hdr, error);
	}
	frame_free((xdrproc_t)xdr_worker_link_args, &args);
}

static void do_set_actions(struct control *c, struct rpc_message *msg)
{
	worker_actions args = { 0 };
	g_autoptr(GError) error = NULL;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_actions, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	c->w.actions = args;
	rpc_reply_none(c->link, &msg->hdr);
}

/* What vmmd has changed that no device knows of. */
static void do_set_xml(struct control *c, struct rpc_message *msg)
{
	worker_xml_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_worker_xml_args, &args, &error)) {
		rpc_reply_error(c->link, &msg->hdr, error);
		return;
	}
	g_free(c->xml);
	c->xml = g_strdup(args.xml);
	rpc_reply_none(c->link, &msg->hdr);
	frame_free((xdrproc_t)xdr_worker_xml_args, &args);
}

static const struct {
	handler *fn;
	bool any_state;		/* also before START */
	bool while_saving;
} handlers[] = {
	[WORKER_PROC_HELLO] = { do_hello, true, true },
	[WORKER_PROC_START] = { control_start, true },
	[WORKER_PROC_RESUME] = { do_resume },
	[WORKER_PROC_PAUSE] = { do_pause },
	[WORKER_PROC_POWERDOWN] = { do_powerdown },
	[WORKER_PROC_RESET] = { do_reset },
	[WORKER_PROC_STOP] = { do_stop, true, true },
	[WORKER_PROC_CONSOLE_OPEN] = { do_console_open, .while_saving = true },
	[WORKER_PROC_CONSOLE_RESIZE] = { do_console_resize },
	[WORKER_PROC_STATS] = { do_stats, .while_saving = true },
	[WORKER_PROC_SET_BALLOON] = { do_set_balloon },
	[WORKER_PROC_SET_STATS_PERIOD] = { do_set_stats_period },
	[WORKER_PROC_SET_ACTIONS] = { do_set_actions, .while_saving = true },
	[WORKER_PROC_SET_LINK] = { do_set_link },
	[WORKER_PROC_SWITCH_HEADS] = { control_switch_heads },
	[WORKER_PROC_SAVE] = { control_save },
	[WORKER_PROC_SAVE_CANCEL] = { control_save_cancel, .while_saving = true },
	[WORKER_PROC_SAVE_PROGRESS] = { control_save_progress, .while_saving = true },
	[WORKER_PROC_SET_IOTUNE] = { control_set_iotune },
	[WORKER_PROC_JOB_START] = { control_job_start },
	[WORKER_PROC_JOB_CONTROL] = { control_job_control },
	[WORKER_PROC_JOB_INFO] = { control_job_info },
	[WORKER_PROC_DISK_RESIZE] = { control_disk_resize },
	[WORKER_PROC_SET_XML] = { do_set_xml, .while_saving = true },
	[WORKER_PROC_PLUG] = { control_plug, .while_saving = true },
	[WORKER_PROC_FORWARD] = { control_forward },
};

void control_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct control *c = opaque;
	unsigned proc = (unsigned)msg->hdr.procedure;

	if (msg->hdr.type != FRAME_CALL && msg->hdr.type != FRAME_CALL_WITH_FDS)
		return;
	if (msg->hdr.program != WORKER_PROGRAM || proc >= ARRAY_SIZE(handlers) ||
	    !handlers[proc].fn)
		rpc_reply_unknown(conn, &msg->hdr);
	else if (c->building && proc != WORKER_PROC_HELLO)
		control_refuse(c, msg, VMM_ERR_OPERATION_INVALID, "the machine is being built");
	else if (!handlers[proc].any_state && !c->w.machine)
		control_refuse(c, msg, VMM_ERR_OPERATION_INVALID, "there is no machine");
	else if (c->w.save_begun_us && !handlers[proc].while_saving)
		control_refuse(c, msg, VMM_ERR_OPERATION_INVALID, "the machine is being saved");
	else
		handlers[proc].fn(c, msg);
}
