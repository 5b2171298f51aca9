/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS sessions: what the other side has to show, and the words for what went wrong. */
#include "config.h"
#include "libvmm/rpc/tls-priv.h"

#include <glib.h>
#include <string.h>

#include "libvmm/util/error.h"

const char *tls_peer_name(const char *host)
{
	return host ? host : "the other side";
}

char *tls_session_peer(gnutls_session_t session)
{
	unsigned n = 0;
	const gnutls_datum_t *der = tls_lib.certificate_get_peers(session, &n);
	gnutls_x509_crt_t crt;
	gnutls_datum_t dn = { 0 };
	char *text = NULL;

	if (!der || n == 0 || tls_lib.x509_crt_init(&crt) < 0)
		return NULL;
	if (tls_lib.x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0 &&
	    tls_lib.x509_crt_get_dn2(crt, &dn) >= 0)
		text = g_utf8_make_valid((char *)dn.data, dn.size);
	(*tls_lib.free)(dn.data);
	tls_lib.x509_crt_deinit(crt);
	return text;
}

static bool certificate_failed(gnutls_session_t session, const struct tls_creds *creds,
			       const char *host, GError **error)
{
	g_autofree char *dn = tls_session_peer(session);
	gnutls_datum_t text = { 0 };

	tls_lib.certificate_verification_status_print(
		tls_lib.session_get_verify_cert_status(session), GNUTLS_CRT_X509, &text, 0);
	error_set(error, VMM_ERR_AUTH_FAILED,
		  "the certificate of %s, which is for '%s', is not accepted: %s "
		  "(checked with '%s')",
		  tls_peer_name(host), dn ? dn : "?",
		  text.data ? g_strchomp((char *)text.data) : "it can't be verified",
		  creds->paths[TLS_FILE_CA]);
	(*tls_lib.free)(text.data);
	return false;
}

bool tls_session_failed(gnutls_session_t session, const struct tls_creds *creds, const char *host,
			int err, GError **error)
{
	const char *peer = tls_peer_name(host), *alert;

	switch (err) {
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
		return certificate_failed(session, creds, host, error);
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		alert = tls_lib.alert_get_name(tls_lib.alert_get(session));
		return error_set(error, VMM_ERR_AUTH_FAILED,
				 "%s refuses TLS with the certificate '%s': %s", peer,
				 creds->paths[TLS_FILE_CERT], alert ? alert : "unknown alert");
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return error_set(error, VMM_ERR_RPC, "%s does not speak TLS, or no version of "
				 "it that is good enough: %s", peer, tls_lib.strerror(err));
	default:
		return error_set(error, VMM_ERR_RPC, "TLS with %s: %s", peer,
				 tls_lib.strerror(err));
	}
}

/* What the peer's certificate has to be besides signed and in its time. */
static void session_expect(gnutls_session_t session, bool server, const char *host,
			   gnutls_typed_vdata_st *expect)
{
	const char *purpose = server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
	unsigned n = 0;

	expect[n++] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_KEY_PURPOSE_OID,
					       .data = (unsigned char *)purpose };
	if (host)
		expect[n++] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_DNS_HOSTNAME,
						       .data = (unsigned char *)host };
	if (server || host)
		tls_lib.session_set_verify_cert2(session, expect, n, 0);
}

gnutls_session_t tls_session_new(const struct tls_creds *creds, const char *host, int fd,
				 gnutls_typed_vdata_st *expect)
{
	bool server = creds->side == TLS_SERVER;
	gnutls_session_t session;

	tls_lib.init(&session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
			      GNUTLS_NO_SIGNAL);
	tls_lib.priority_set(session, creds->priority);
	tls_lib.credentials_set(session, GNUTLS_CRD_CERTIFICATE, creds->x509);
	tls_lib.transport_set_int2(session, fd, fd);
	if (server)
		tls_lib.certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	if (host && !g_hostname_is_ip_address(host))
		tls_lib.server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
	session_expect(session, server, host, expect);
	return session;
}
