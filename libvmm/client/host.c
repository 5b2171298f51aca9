/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a connection tells of the daemon and its host. */
#include "config.h"
#include <assert.h>
#include <string.h>

#include "libvmm/client/client-priv.h"

/* A call that answers one text; it is handed out as it was allocated for g_free() by a copy. */
static char *text_take(remote_text_ret *ret)
{
	char *text = g_strdup(ret->text);

	FREE(text_ret, ret);
	return text;
}

static char *text_call(vmm_connect *conn, int procedure, GError **error)
{
	remote_none none = { 0 };
	remote_text_ret ret;

	if (!connect_call(conn, procedure, (xdrproc_t)xdr_remote_none, &none,
			  (xdrproc_t)xdr_remote_text_ret, &ret, sizeof(ret), error))
		return NULL;
	return text_take(&ret);
}

static bool number_call(vmm_connect *conn, int procedure, uint64_t *ret_number, GError **error)
{
	remote_none none = { 0 };
	remote_hyper_ret ret;

	if (!connect_call(conn, procedure, (xdrproc_t)xdr_remote_none, &none,
			  (xdrproc_t)xdr_remote_hyper_ret, &ret, sizeof(ret), error))
		return false;
	*ret_number = ret.num;
	return true;
}

char *vmm_connect_hostname(vmm_connect *conn, GError **error)
{
	return text_call(conn, REMOTE_PROC_CONNECT_GET_HOSTNAME, error);
}

char *vmm_connect_type(vmm_connect *conn, GError **error)
{
	return text_call(conn, REMOTE_PROC_CONNECT_GET_TYPE, error);
}

bool vmm_connect_version(vmm_connect *conn, uint64_t *ret, GError **error)
{
	return number_call(conn, REMOTE_PROC_CONNECT_GET_VERSION, ret, error);
}

bool vmm_connect_lib_version(vmm_connect *conn, uint64_t *ret, GError **error)
{
	return number_call(conn, REMOTE_PROC_CONNECT_GET_LIB_VERSION, ret, error);
}

char *vmm_connect_capabilities(vmm_connect *conn, GError **error)
{
	return text_call(conn, REMOTE_PROC_CONNECT_GET_CAPABILITIES, error);
}

char *vmm_connect_domain_capabilities(vmm_connect *conn, const char *emulator, const char *arch,
				      const char *machine, const char *virttype, GError **error)
{
	remote_domain_capabilities_args args = {
		.emulatorbin = emulator ? (char **)&emulator : NULL,
		.arch = arch ? (char **)&arch : NULL,
		.machine = machine ? (char **)&machine : NULL,
		.virttype = virttype ? (char **)&virttype : NULL,
	};
	remote_text_ret ret;

	if (!CALL(conn, CONNECT_GET_DOMAIN_CAPABILITIES, domain_capabilities_args, &args, text_ret,
		  &ret, error))
		return NULL;
	return text_take(&ret);
}

char *vmm_connect_sysinfo(vmm_connect *conn, GError **error)
{
	remote_flags_args args = { 0 };
	remote_text_ret ret;

	if (!CALL(conn, CONNECT_GET_SYSINFO, flags_args, &args, text_ret, &ret, error))
		return NULL;
	return text_take(&ret);
}

bool vmm_node_info(vmm_connect *conn, struct vmm_node_info *ret_info, GError **error)
{
	remote_none none = { 0 };
	remote_node_info_ret ret;

	if (!CALL(conn, NODE_GET_INFO, none, &none, node_info_ret, &ret, error))
		return false;
	*ret_info = (struct vmm_node_info){
		.memory_kib = ret.memory, .cpus = ret.cpus, .mhz = ret.mhz, .nodes = ret.nodes,
		.sockets = ret.sockets, .cores = ret.cores, .threads = ret.threads,
	};
	static_assert(sizeof(ret.model) == sizeof(ret_info->model), "both hold the same text");
	memcpy(ret_info->model, ret.model, sizeof(ret.model) - 1);
	return true;
}

bool vmm_node_free_memory(vmm_connect *conn, uint64_t *ret_bytes, GError **error)
{
	return number_call(conn, REMOTE_PROC_NODE_GET_FREE_MEMORY, ret_bytes, error);
}
