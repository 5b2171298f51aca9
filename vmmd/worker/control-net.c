/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on the network cards of a machine that runs. */
#include "config.h"
#include "vmmd/worker/control-priv.h"

#include "libvmm/net/slirp.h"
#include "libvmm/util/cleanup.h"

static void xml_take(struct control *c, const char *xml)
{
	if (!xml[0])
		return;
	g_free(c->xml);
	c->xml = g_strdup(xml);
}

void control_plug(struct control *c, struct rpc_message *msg)
{
	worker_plug_args args = { 0 };
	g_autoptr(GError) error = NULL;

	if (msg->n_fds != 1) {
		control_refuse(c, msg, VMM_ERR_RPC, "a cable comes with a descriptor");
		return;
	}
	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_plug_args, &args, &error) &&
	    machine_plug(c->w.machine, args.index, TAKE_FD(msg->fds[0]), &error)) {
		xml_take(c, args.xml);
		rpc_reply_none(c->link, &msg->hdr);
	} else {
		rpc_reply_error(c->link, &msg->hdr, error);
	}
	frame_free((xdrproc_t)xdr_worker_plug_args, &args);
}

void control_forward(struct control *c, struct rpc_message *msg)
{
	worker_forward_args args = { 0 };
	g_autoptr(GError) error = NULL;
	struct slirp_forward f;

	if (rpc_message_decode(msg, (xdrproc_t)xdr_worker_forward_args, &args, &error)) {
		f = (struct slirp_forward){
			.udp = args.forward.udp,
			.host_addr = args.forward.address[0] ? args.forward.address : NULL,
			.host_port = (uint16_t)args.forward.host_port,
			.guest_port = (uint16_t)args.forward.guest_port,
		};
		if (machine_forward(c->w.machine, args.index, &f, args.remove, &error))
			xml_take(c, args.xml);
	}
	if (error)
		rpc_reply_error(c->link, &msg->hdr, error);
	else
		rpc_reply_none(c->link, &msg->hdr);
	frame_free((xdrproc_t)xdr_worker_forward_args, &args);
}
