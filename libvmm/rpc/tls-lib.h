/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GnuTLS, loaded when somebody has a certificate to show: few do, and to link
 * it takes longer than most commands of vmsh do all in all.
 */
#pragma once

#include <glib.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>

#define TLS_LIB_CALLS(X) X(alert_get) X(alert_get_name) X(alert_send) \
	X(alert_send_appropriate) X(bye) X(certificate_allocate_credentials) \
	X(certificate_free_credentials) X(certificate_get_peers) \
	X(certificate_server_set_request) X(certificate_set_x509_crl_mem) \
	X(certificate_set_x509_key_mem) X(certificate_set_x509_trust_mem) \
	X(certificate_verification_status_print) X(credentials_set) X(deinit) \
	X(error_is_fatal) X(global_init) X(handshake) X(init) X(memset) X(priority_deinit) \
	X(priority_init) X(priority_set) X(record_check_pending) X(record_get_direction) \
	X(record_recv) X(record_send) X(server_name_set) X(session_get_verify_cert_status) \
	X(session_set_verify_cert2) X(strerror) X(transport_set_int2) X(x509_crt_deinit) \
	X(x509_crt_get_dn2) X(x509_crt_import) X(x509_crt_init) X(x509_crt_list_import2) \
	X(x509_crt_list_verify)

struct tls_lib {
#define X(name) typeof(gnutls_##name) *name;
	TLS_LIB_CALLS(X)
#undef X
	gnutls_free_function *free;	/* a variable of the library's */
};

/* Filled once, by tls_lib_load(); before that nothing of it may be called. */
extern struct tls_lib tls_lib;

bool tls_lib_load(GError **error);
