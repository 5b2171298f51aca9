/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates and keys: where they are, and what is wrong with them. */
#include "config.h"
#include "libvmm/rpc/tls-priv.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define PKI "/etc/pki"
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define FILE_BYTES_MAX (1 << 20)

/* ---- where ---- */

static const char *const names[][N_TLS_FILES] = {
	[TLS_CLIENT] = { "cacert.pem", "cacrl.pem", "clientcert.pem", "clientkey.pem" },
	[TLS_SERVER] = { "cacert.pem", "cacrl.pem", "servercert.pem", "serverkey.pem" },
};
static const char *const folders[N_TLS_FILES] = {
	PKI "/CA", PKI "/CA", PKI "/libvirt", PKI "/libvirt/private",
};

static bool is_there(const char *folder, const char *name)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	return access(path, F_OK) == 0;
}

/* A user's own files win; certificate and key only together, for neither is of use alone. */
static void paths_choose(struct tls_creds *c, const char *folder)
{
	g_autofree char *own = g_build_filename(g_get_home_dir(), ".pki", "libvirt", NULL);
	bool user = !folder && c->side == TLS_CLIENT && geteuid() != 0;
	bool pair = user && is_there(own, names[c->side][TLS_FILE_CERT]) &&
		    is_there(own, names[c->side][TLS_FILE_KEY]);

	for (unsigned i = 0; i < N_TLS_FILES; i++) {
		const char *name = names[c->side][i];
		bool mine = i < TLS_FILE_CERT ? user && is_there(own, name) : pair;

		c->paths[i] = g_build_filename(folder ? folder : mine ? own : folders[i], name,
					       NULL);
	}
}

static gint64 file_stamp(const char *path)
{
	GStatBuf st;

	if (g_stat(path, &st) < 0)
		return 0;
	return st.st_mtim.tv_sec * G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000 + 1 +
	       (gint64)st.st_ino;
}

bool tls_creds_changed(const struct tls_creds *c)
{
	for (unsigned i = 0; i < N_TLS_FILES; i++)
		if (file_stamp(c->paths[i]) != c->stamps[i])
			return true;
	return false;
}

char **tls_creds_folders(const struct tls_creds *c)
{
	g_autoptr(GStrvBuilder) list = g_strv_builder_new();

	for (unsigned i = 0; i < N_TLS_FILES; i++) {
		g_autofree char *full = g_canonicalize_filename(c->paths[i], NULL);
		g_autofree char *folder = g_path_get_dirname(full);
		char *real = realpath(full, NULL);
		g_autofree char *there = real ? g_path_get_dirname(real) : NULL;

		if (g_file_test(folder, G_FILE_TEST_IS_DIR))
			g_strv_builder_add(list, folder);
		if (there && !g_str_equal(there, folder))
			g_strv_builder_add(list, there);
		free(real);
	}
	return g_strv_builder_end(list);
}

/* ---- what ---- */

static const char *const what[N_TLS_FILES] = {
	[TLS_FILE_CA] = "certificate of the authority",
	[TLS_FILE_CRL] = "list of revoked certificates",
	[TLS_FILE_CERT] = "own certificate",
	[TLS_FILE_KEY] = "own private key",
};

static bool file_read(struct tls_creds *c, enum tls_file f, gnutls_datum_t *ret, GError **error)
{
	g_autoptr(GError) why = NULL;
	GStatBuf st;
	char *text;
	gsize bytes;

	c->stamps[f] = file_stamp(c->paths[f]);
	if (g_stat(c->paths[f], &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX))
		return error_set(error, VMM_ERR_INVALID_ARG, "TLS: '%s' is not a file of %s",
				 c->paths[f], "certificates or keys");
	if (!g_file_get_contents(c->paths[f], &text, &bytes, &why))
		return error_set(error, VMM_ERR_SYSTEM, "TLS: the %s can't be read: %s", what[f],
				 why->message);
	*ret = (gnutls_datum_t){ (unsigned char *)text, (unsigned)bytes };
	return true;
}

static void datum_clear(gnutls_datum_t *d)
{
	if (d->data)
		tls_lib.memset(d->data, 0, d->size);
	g_clear_pointer(&d->data, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gnutls_datum_t, datum_clear)

static bool file_is_bad(const struct tls_creds *c, enum tls_file f, int err, GError **error)
{
	return error_set(error, VMM_ERR_INVALID_ARG, "TLS: the %s '%s' is of no use: %s", what[f],
			 c->paths[f], err < 0 ? tls_lib.strerror(err) : "there is nothing in it");
}

struct crts {
	gnutls_x509_crt_t *list;
	unsigned n;
};

static void crts_clear(struct crts *crts)
{
	for (unsigned i = 0; i < crts->n; i++)
		tls_lib.x509_crt_deinit(crts->list[i]);
	(*tls_lib.free)(crts->list);
}
typedef struct crts crts;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(crts, crts_clear)

static bool crts_import(const struct tls_creds *c, enum tls_file f, const gnutls_datum_t *pem,
			crts *ret, GError **error)
{
	int r = tls_lib.x509_crt_list_import2(&ret->list, &ret->n, pem, GNUTLS_X509_FMT_PEM, 0);

	return r < 0 || ret->n == 0 ? file_is_bad(c, f, r, error) : true;
}

/* What every peer will find wrong is said at once, and where it can be mended. */
static bool own_check(const struct tls_creds *c, const gnutls_datum_t *ca_pem,
		      const gnutls_datum_t *own_pem, GError **error)
{
	g_auto(crts) ca = { 0 }, own = { 0 };
	gnutls_datum_t text = { 0 };
	unsigned status = 0;
	int r;

	if (!crts_import(c, TLS_FILE_CA, ca_pem, &ca, error) ||
	    !crts_import(c, TLS_FILE_CERT, own_pem, &own, error))
		return false;
	r = tls_lib.x509_crt_list_verify(own.list, (int)own.n, ca.list, (int)ca.n, NULL, 0, 0,
					&status);
	if (r < 0)
		return file_is_bad(c, TLS_FILE_CERT, r, error);
	if (status == 0)
		return true;
	tls_lib.certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
	error_set(error, VMM_ERR_INVALID_ARG, "TLS: the own certificate '%s' would be refused by "
		  "all who trust '%s': %s", c->paths[TLS_FILE_CERT], c->paths[TLS_FILE_CA],
		  text.data ? g_strchomp((char *)text.data) : "it can't be verified");
	(*tls_lib.free)(text.data);
	return false;
}

static bool crl_load(struct tls_creds *c, GError **error)
{
	g_auto(gnutls_datum_t) pem = { 0 };
	int r;

	if (access(c->paths[TLS_FILE_CRL], F_OK) < 0 && errno == ENOENT)
		return true;
	if (!file_read(c, TLS_FILE_CRL, &pem, error))
		return false;
	r = tls_lib.certificate_set_x509_crl_mem(c->x509, &pem, GNUTLS_X509_FMT_PEM);
	return r < 0 ? file_is_bad(c, TLS_FILE_CRL, r, error) : true;
}

static bool files_load(struct tls_creds *c, GError **error)
{
	g_auto(gnutls_datum_t) ca = { 0 }, cert = { 0 }, key = { 0 };
	int r;

	if (!file_read(c, TLS_FILE_CA, &ca, error) || !file_read(c, TLS_FILE_CERT, &cert, error) ||
	    !file_read(c, TLS_FILE_KEY, &key, error) || !own_check(c, &ca, &cert, error))
		return false;
	r = tls_lib.certificate_set_x509_trust_mem(c->x509, &ca, GNUTLS_X509_FMT_PEM);
	if (r <= 0)
		return file_is_bad(c, TLS_FILE_CA, r, error);
	r = tls_lib.certificate_set_x509_key_mem(c->x509, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return error_set(error, VMM_ERR_INVALID_ARG, "TLS: '%s' is not the key of '%s'",
				 c->paths[TLS_FILE_KEY], c->paths[TLS_FILE_CERT]);
	return r < 0 ? file_is_bad(c, TLS_FILE_KEY, r, error) : crl_load(c, error);
}

static bool creds_fill(struct tls_creds *c, const char *priority, GError **error)
{
	const char *at = NULL;
	int r;

	if (!tls_lib_load(error))
		return false;
	r = tls_lib.priority_init(&c->priority, priority ? priority : PRIORITY, &at);
	if (r < 0)
		return error_set(error, VMM_ERR_INVALID_ARG, "TLS priority '%s': %s near '%s'",
				 priority, tls_lib.strerror(r), at ? at : "");
	r = tls_lib.certificate_allocate_credentials(&c->x509);
	if (r < 0)
		return error_set(error, VMM_ERR_INTERNAL, "TLS: %s", tls_lib.strerror(r));
	return files_load(c, error);
}

struct tls_creds *tls_creds_load(enum tls_side side, const char *folder, const char *priority,
				 GError **error)
{
	struct tls_creds *c = g_new0(struct tls_creds, 1);

	c->refs = 1;
	c->side = side;
	paths_choose(c, folder);
	if (!creds_fill(c, priority, error))
		g_clear_pointer(&c, tls_creds_unref);
	return c;
}

struct tls_creds *tls_creds_ref(struct tls_creds *c)
{
	g_atomic_int_inc(&c->refs);
	return c;
}

void tls_creds_unref(struct tls_creds *c)
{
	if (!c || !g_atomic_int_dec_and_test(&c->refs))
		return;
	for (unsigned i = 0; i < N_TLS_FILES; i++)
		g_free(c->paths[i]);
	if (c->x509)
		tls_lib.certificate_free_credentials(c->x509);
	if (c->priority)
		tls_lib.priority_deinit(c->priority);
	g_free(c);
}
