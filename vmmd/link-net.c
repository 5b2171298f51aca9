/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about networks: to switches, and to machines that are plugged into them. */
#include "config.h"
#include "vmmd/link-priv.h"

void link_plug(struct link *l, unsigned index, int fd, link_done *done, void *opaque)
{
	worker_plug_args args = { .index = index, .xml = (char *)"" };

	link_call(l, WORKER_PROC_PLUG, (xdrproc_t)xdr_worker_plug_args, &args, &fd, 1,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_forward(struct link *l, const worker_forward_args *args, link_done *done, void *opaque)
{
	link_call(l, WORKER_PROC_FORWARD, (xdrproc_t)xdr_worker_forward_args, args, NULL, 0,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_net_start(struct link *l, const char *xml, int id, int leases_fd, link_done *done,
		    void *opaque)
{
	worker_net_args args = { .xml = (char *)xml, .id = id };

	link_call(l, WORKER_PROC_NET_START, (xdrproc_t)xdr_worker_net_args, &args, &leases_fd, 1,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_net_update(struct link *l, const char *xml, link_done *done, void *opaque)
{
	worker_net_args args = { .xml = (char *)xml };

	link_call(l, WORKER_PROC_NET_UPDATE, (xdrproc_t)xdr_worker_net_args, &args, NULL, 0,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_net_port(struct link *l, const worker_port_args *args, int fd, link_done *done,
		   void *opaque)
{
	link_call(l, WORKER_PROC_NET_PORT, (xdrproc_t)xdr_worker_port_args, args, &fd, 1,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}

void link_net_info(struct link *l, link_done *done, void *opaque)
{
	link_call(l, WORKER_PROC_NET_INFO, LINK_NONE, NULL, 0, CALL_TIMEOUT_MS,
		  (struct link_pending){ (xdrproc_t)xdr_worker_net_info_ret, done, NULL, opaque });
}

void link_net_forward(struct link *l, const worker_forward_args *args, link_done *done,
		      void *opaque)
{
	link_call(l, WORKER_PROC_NET_FORWARD, (xdrproc_t)xdr_worker_forward_args, args, NULL, 0,
		  CALL_TIMEOUT_MS, LINK_VOID_RESULT);
}
