/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the client library share. */
#pragma once

#include "libvmm/client/uri.h"
#include "libvmm/rpc/call.h"
#include "libvmm/rpc/frame_xdr.h"
#include "libvmm/rpc/vmmtab.h"
#include "libvmm/util/error.h"
#include "libvmm/vmm.h"

struct event_table;
struct transport;

struct vmm_connect {
	gint refs;			/* atomic: one of the user, one of each domain and stream */
	struct rpc_client *client;
	struct uri *where;
	struct transport *transport;	/* NULL: a local socket */
	struct event_table *events;
	GMutex lock;			/* protects the close callback */
	GMainContext *close_ctx;
	vmm_close_fn close_fn;
	void *close_opaque;
};

vmm_connect *connect_ref(vmm_connect *conn);
void connect_unref(vmm_connect *conn);

/* One call of the remote program; types without "remote_" name the XDR types, as in proctab.h. */
#define CALL(conn, name, args_type, args_ptr, ret_type, ret_ptr, error) \
	connect_call(conn, REMOTE_PROC_##name, (xdrproc_t)xdr_remote_##args_type, args_ptr, \
		     (xdrproc_t)xdr_remote_##ret_type, ret_ptr, sizeof(remote_##ret_type), error)
#define FREE(type, ptr) frame_free((xdrproc_t)xdr_remote_##type, ptr)
/* One of our own program; whole names, as in vmmtab.h. */
#define VMM_CALL(conn, name, args_type, args_ptr, ret_type, ret_ptr, error) \
	connect_own_call(conn, VMM_PROC_##name, (xdrproc_t)xdr_##args_type, args_ptr, \
			 (xdrproc_t)xdr_##ret_type, ret_ptr, sizeof(ret_type), error)
#define VMM_FREE(type, ptr) frame_free((xdrproc_t)xdr_##type, ptr)

bool connect_call(vmm_connect *conn, int procedure, xdrproc_t args_proc, const void *args,
		  xdrproc_t ret_proc, void *ret, size_t ret_bytes, GError **error);
bool connect_own_call(vmm_connect *conn, int procedure, xdrproc_t args_proc, const void *args,
		      xdrproc_t ret_proc, void *ret, size_t ret_bytes, GError **error);

struct vmm_domain {
	gint refs;			/* atomic */
	vmm_connect *conn;
	char *name;
	char uuid_text[37];
	uint8_t uuid[16];
	int id;
};

vmm_domain *domain_from_wire(vmm_connect *conn, const remote_domain *wire);
/* Valid as long as dom is. */
remote_domain domain_to_wire(const vmm_domain *dom);

vmm_network *network_from_wire(vmm_connect *conn, const remote_network *wire);
remote_network network_to_wire(const vmm_network *net);
vmm_pool *pool_from_wire(vmm_connect *conn, const remote_pool *wire);
remote_pool pool_to_wire(const vmm_pool *pool);
remote_vol volume_to_wire(const struct vmm_volume *vol);
void param_from_wire(const remote_param *wire, struct vmm_param *ret);
struct vmm_param *params_from_wire(const remote_param *wire, unsigned n);
void params_free(struct vmm_param *params, unsigned n);
/* All but the type; what params don't tell is 0. */
void job_from_wire(const remote_param *params, unsigned n, struct vmm_job_info *ret);

/* event.c */
struct event_table *event_table_new(vmm_connect *conn);
void event_table_free(struct event_table *table);
void event_table_kill(struct event_table *table);	/* no callback runs any more */
void event_message(struct rpc_message *msg, struct event_table *table);	/* on the client's thread */
