/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of the host that lead to the guest. */
#include "config.h"
#include "libvmm/net/slirp-priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "libvmm/util/error.h"

struct forward_addrs {
	struct sockaddr_storage host, guest;
	socklen_t host_len, guest_len;
};

static bool addr_parse(const char *text, uint16_t port, struct sockaddr_storage *ret,
		       socklen_t *ret_len, GError **error)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){ 0 };
	if (!text || inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*ret_len = sizeof(*in);
		return true;
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*ret_len = sizeof(*in6);
		return true;
	}
	return error_set(error, VMM_ERR_INVALID_ARG, "port forward: '%s' is no IP address", text);
}

static bool forward_parse(const struct slirp_forward *f, struct forward_addrs *ret, GError **error)
{
	if (!f->host_port || !f->guest_port)
		return error_set(error, VMM_ERR_INVALID_ARG, "port forward: port 0");
	return addr_parse(f->host_addr, f->host_port, &ret->host, &ret->host_len, error) &&
	       addr_parse(f->guest_addr, f->guest_port, &ret->guest, &ret->guest_len, error);
}

static bool forward_failed(const struct slirp_forward *f, int err, GError **error)
{
	const char *proto = f->udp ? "UDP" : "TCP";
	const char *host = f->host_addr ? f->host_addr : "0.0.0.0";

	if (err == EADDRINUSE)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "port forward: %s port %s:%u is taken by another program; "
				 "'ss -lnp' shows which", proto, host, f->host_port);
	if (err == EACCES || err == EPERM)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "port forward: %s port %s:%u needs a privilege; use a port from "
				 "1024 on", proto, host, f->host_port);
	if (err == EADDRNOTAVAIL)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "port forward: this host has no address '%s'", host);
	return error_errno(error, err, "port forward: %s port %s:%u", proto, host, f->host_port);
}

bool slirp_forward_add(struct net_backend *b, const struct slirp_forward *f, GError **error)
{
	struct slirp_net *s = slirp_of(b);
	struct forward_addrs a;

	if (!forward_parse(f, &a, error))
		return false;
	errno = 0;
	if (slirp_add_hostxfwd(s->slirp, (struct sockaddr *)&a.host, a.host_len,
			       (struct sockaddr *)&a.guest, a.guest_len,
			       f->udp ? SLIRP_HOSTFWD_UDP : 0) < 0)
		return forward_failed(f, errno ? errno : EINVAL, error);
	g_main_context_wakeup(s->base.owner);
	return true;
}

bool slirp_forward_remove(struct net_backend *b, const struct slirp_forward *f, GError **error)
{
	struct slirp_net *s = slirp_of(b);
	struct forward_addrs a;

	if (!forward_parse(f, &a, error))
		return false;
	if (slirp_remove_hostxfwd(s->slirp, (struct sockaddr *)&a.host, a.host_len,
				  f->udp ? SLIRP_HOSTFWD_UDP : 0) < 0)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: %s port %s:%u is not forwarded",
				 f->udp ? "UDP" : "TCP", f->host_addr ?: "0.0.0.0", f->host_port);
	return true;
}
