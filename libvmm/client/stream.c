/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams: of consoles, of volumes. */
#include "config.h"
#include "libvmm/client/client-priv.h"
#include "libvmm/rpc/stream.h"

struct vmm_stream {
	vmm_connect *conn;
	struct rpc_stream *stream;
	struct vmm_stream_ops ops;
	void *opaque;
};

static void on_data(const void *data, size_t bytes, void *opaque)
{
	vmm_stream *s = opaque;

	s->ops.data(s, data, bytes, s->opaque);
}

static void on_closed(const GError *error, void *opaque)
{
	vmm_stream *s = opaque;

	if (s->ops.closed)
		s->ops.closed(s, error, s->opaque);
}

static void on_hole(uint64_t bytes, void *opaque)
{
	vmm_stream *s = opaque;

	s->ops.hole(s, bytes, s->opaque);
}

static const struct rpc_stream_ops stream_ops = { .data = on_data, .closed = on_closed };
static const struct rpc_stream_ops sparse_ops = {
	.data = on_data, .closed = on_closed, .hole = on_hole,
};

static vmm_stream *stream_call(vmm_connect *conn, const struct rpc_call *call,
			       GMainContext *context, const struct vmm_stream_ops *ops,
			       void *opaque, GError **error)
{
	vmm_stream *s = g_new(struct vmm_stream, 1);

	*s = (struct vmm_stream){ .conn = connect_ref(conn), .ops = *ops, .opaque = opaque };
	s->stream = rpc_stream_open(conn->client, call, context,
				    ops->hole ? &sparse_ops : &stream_ops, s, error);
	if (s->stream)
		return s;
	connect_unref(s->conn);
	g_free(s);
	return NULL;
}

static vmm_stream *stream_open(vmm_connect *conn, int procedure, xdrproc_t args_proc, void *args,
			       GMainContext *context, const struct vmm_stream_ops *ops,
			       void *opaque, GError **error)
{
	const struct rpc_call call = {
		.program = FRAME_PROGRAM_REMOTE, .procedure = procedure,
		.args_proc = args_proc, .args = args,
	};

	return stream_call(conn, &call, context, ops, opaque, error);
}

vmm_stream *vmm_domain_open_console(vmm_domain *dom, const char *device, unsigned flags,
				    GMainContext *context, const struct vmm_stream_ops *ops,
				    void *opaque, GError **error)
{
	remote_dom_opt_text_flags_args args = {
		.dom = domain_to_wire(dom),
		.text = device ? (char **)&device : NULL,
		.flags = flags,
	};

	return stream_open(dom->conn, REMOTE_PROC_DOMAIN_OPEN_CONSOLE,
			   (xdrproc_t)xdr_remote_dom_opt_text_flags_args, &args, context, ops,
			   opaque, error);
}

vmm_stream *vmm_volume_transfer(vmm_connect *conn, const struct vmm_volume *vol, bool upload,
				uint64_t offset, uint64_t length, unsigned flags,
				GMainContext *context, const struct vmm_stream_ops *ops,
				void *opaque, GError **error)
{
	remote_vol_range_args args = {
		.vol = volume_to_wire(vol), .offset = offset, .length = length, .flags = flags,
	};
	int procedure = upload ? REMOTE_PROC_STORAGE_VOL_UPLOAD :
				 REMOTE_PROC_STORAGE_VOL_DOWNLOAD;

	return stream_open(conn, procedure, (xdrproc_t)xdr_remote_vol_range_args, &args, context,
			   ops, opaque, error);
}

vmm_stream *vmm_domain_attach_console(vmm_domain *dom, const char *device, unsigned flags,
				      GMainContext *context, const struct vmm_stream_ops *ops,
				      void *opaque, struct vmm_console_place *ret, GError **error)
{
	vmm_console_args args = {
		.dom = domain_to_wire(dom),
		.device = device ? (char **)&device : NULL,
		.mode = flags & VMM_CONSOLE_WATCH ? VMM_WIRE_CONSOLE_WATCH :
			flags & VMM_CONSOLE_FORCE ? VMM_WIRE_CONSOLE_TAKE_OVER :
						    VMM_WIRE_CONSOLE_WRITE,
		.flags = flags & VMM_CONSOLE_NEW ? VMM_WIRE_CONSOLE_NEW : 0,
	};
	vmm_console_ret place = { 0 };
	struct rpc_call call = {
		.program = FRAME_PROGRAM_VMM,
		.procedure = VMM_PROC_CONSOLE_ATTACH,
		.args_proc = (xdrproc_t)xdr_vmm_console_args,
		.args = &args,
		.ret_proc = (xdrproc_t)xdr_vmm_console_ret,
		.ret = &place,
		.ret_bytes = sizeof(place),
	};
	vmm_stream *s = stream_call(dom->conn, &call, context, ops, opaque, error);

	if (!s)
		return NULL;
	*ret = (struct vmm_console_place){ .run = place.run, .position = place.position };
	g_strlcpy(ret->device, place.device, sizeof(ret->device));
	VMM_FREE(vmm_console_ret, &place);
	return s;
}

vmm_stream *vmm_domain_open_console_log(vmm_domain *dom, GMainContext *context,
					const struct vmm_stream_ops *ops, void *opaque,
					GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	struct rpc_call call = {
		.program = FRAME_PROGRAM_VMM,
		.procedure = VMM_PROC_CONSOLE_LOG,
		.args_proc = (xdrproc_t)xdr_remote_dom_args,
		.args = &args,
	};

	return stream_call(dom->conn, &call, context, ops, opaque, error);
}

vmm_stream *vmm_domain_open_agent(vmm_domain *dom, GMainContext *context,
				  const struct vmm_stream_ops *ops, void *opaque, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	struct rpc_call call = {
		.program = FRAME_PROGRAM_VMM,
		.procedure = VMM_PROC_AGENT_OPEN,
		.args_proc = (xdrproc_t)xdr_remote_dom_args,
		.args = &args,
	};

	return stream_call(dom->conn, &call, context, ops, opaque, error);
}

vmm_stream *vmm_domain_open_vsock(vmm_domain *dom, unsigned port, GMainContext *context,
				  const struct vmm_stream_ops *ops, void *opaque, GError **error)
{
	vmm_vsock_args args = { .dom = domain_to_wire(dom), .port = port };
	struct rpc_call call = {
		.program = FRAME_PROGRAM_VMM,
		.procedure = VMM_PROC_VSOCK_OPEN,
		.args_proc = (xdrproc_t)xdr_vmm_vsock_args,
		.args = &args,
	};

	return stream_call(dom->conn, &call, context, ops, opaque, error);
}

bool vmm_domain_resize_console(vmm_domain *dom, const char *device, unsigned columns,
			       unsigned rows, GError **error)
{
	vmm_window_args args = {
		.dom = domain_to_wire(dom),
		.device = device ? (char **)&device : NULL,
		.columns = columns, .rows = rows,
	};
	remote_none ret;

	return VMM_CALL(dom->conn, CONSOLE_RESIZE, vmm_window_args, &args, remote_none, &ret,
			error);
}

bool vmm_stream_write(vmm_stream *stream, const void *data, size_t bytes, GError **error)
{
	return rpc_stream_write(stream->stream, data, bytes, error);
}

bool vmm_stream_write_hole(vmm_stream *stream, uint64_t bytes, GError **error)
{
	return rpc_stream_write_hole(stream->stream, bytes, error);
}

bool vmm_stream_write_end(vmm_stream *stream, GError **error)
{
	return rpc_stream_write_end(stream->stream, error);
}

size_t vmm_stream_queued(vmm_stream *stream)
{
	return rpc_stream_queued(stream->stream);
}

bool vmm_stream_finish(vmm_stream *stream, GError **error)
{
	return rpc_stream_close(stream->stream, error);
}

void vmm_stream_free(vmm_stream *stream)
{
	if (!stream)
		return;
	rpc_stream_free(stream->stream);
	connect_unref(stream->conn);
	g_free(stream);
}
