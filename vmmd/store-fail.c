/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that did not take what was given to it. */
#include "config.h"
#include "vmmd/store-priv.h"

#include <errno.h>

#include "libvmm/util/error.h"

/*
 * The disk did not take what we have committed.  The system has dropped those
 * pages, and would say of a second try that all is well: so nothing is built on
 * them.  The WAL stays as it is; its checksums tell the next vmmd what is whole.
 */
void store_fail(int err, void *opaque)
{
	struct store *s = opaque;

	s->failed = err;
	sqlite3_exec(s->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	g_warning("database '%s' is not changed any more until vmmd is started anew", s->path);
}

bool store_is_sound(const struct store *s, GError **error)
{
	return !s->failed ||
	       error_set(error, VMM_ERR_OPERATION_FAILED,
			 "nothing is changed any more: the disk did not take what was stored "
			 "before (%s): see to the disk of '%s', then start vmmd anew; guests go on",
			 g_strerror(s->failed), s->path);
}

void store_look_failed(struct store *s)
{
	if (sqlite3_extended_errcode(s->db) == SQLITE_IOERR_FSYNC && !s->failed)
		store_fail(sqlite3_system_errno(s->db) ?: EIO, s);
}
