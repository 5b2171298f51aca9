/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS: found, loaded and begun. */
#include "config.h"
#include "libvmm/rpc/tls-lib.h"

#include <dlfcn.h>

#include "libvmm/util/error.h"

#define LIBRARY "libgnutls.so.30"	/* all of GnuTLS 3 since 3.4 */

struct tls_lib tls_lib;

static bool find(void *library, const char *name, void *ret, GError **error)
{
	void *p = dlsym(library, name);

	*(void **)ret = p;
	return p || error_set(error, VMM_ERR_NO_SUPPORT, "TLS: " LIBRARY " has no %s: it is older "
			      "than what we were built with", name);
}

static bool load(GError **error)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	int r;

	if (!library)
		return error_set(error, VMM_ERR_NO_SUPPORT,
				 "TLS: %s (apt-get install libgnutls30)", dlerror());
#define X(name) \
	if (!find(library, "gnutls_" #name, &tls_lib.name, error)) \
		return false;
	TLS_LIB_CALLS(X)
#undef X
	if (!find(library, "gnutls_free", &tls_lib.free, error))
		return false;
	r = tls_lib.global_init();
	return r >= 0 || error_set(error, VMM_ERR_INTERNAL, "TLS: %s", tls_lib.strerror(r));
}

bool tls_lib_load(GError **error)
{
	static GMutex lock;
	static bool loaded;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

	(void)locker;
	loaded = loaded || load(error);
	return loaded;
}
