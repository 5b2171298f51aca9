/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database is filled under another name, and renamed when it is complete. */
#include "config.h"
#include "vmmd/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/domain/domain.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/copies.h"
#include "vmmd/state.h"
#include "vmmd/store-priv.h"

#define DATABASE "vmmd.sqlite"
#define UNFINISHED ".vmmd.sqlite.recover"
#define FILE_BYTES_MAX (DOMAIN_XML_MAX_BYTES + 4096)

static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };

struct recovery {
	char *folder;			/* of the copies */
	char *database, *unfinished;
	unsigned domains, pools, left;
};

static void recovery_init(struct recovery *r, const struct daemon *daemon)
{
	*r = (struct recovery){
		.folder = g_build_filename(daemon->state_dir, COPIES_FOLDER, NULL),
		.database = g_build_filename(daemon->state_dir, DATABASE, NULL),
		.unfinished = g_build_filename(daemon->state_dir, UNFINISHED, NULL),
	};
}

static void recovery_done(struct recovery *r)
{
	g_free(r->folder);
	g_free(r->database);
	g_free(r->unfinished);
}

/* ---- the copies ---- */

struct found {
	char *file;
	int64_t mtime_ns;
};

static void found_free(void *p)
{
	struct found *f = p;

	g_free(f->file);
	g_free(f);
}

/* The newest first: of two with one uuid the older is a rename's that was cut. */
static int found_order(const void *a, const void *b)
{
	const struct found *x = *(struct found *const *)a, *y = *(struct found *const *)b;

	return x->mtime_ns != y->mtime_ns ? (x->mtime_ns > y->mtime_ns ? -1 : 1) :
					    g_strcmp0(x->file, y->file);
}

static GPtrArray *copies_find(const char *folder)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(found_free);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	uint8_t uuid[UUID_BYTES];

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		struct found *f;
		struct stat st;

		if (!copy_file_uuid(name, uuid) || lstat(path, &st) < 0)
			continue;
		f = g_new(struct found, 1);
		*f = (struct found){ g_steal_pointer(&path), st.st_mtim.tv_sec * G_USEC_PER_SEC *
					     1000 + st.st_mtim.tv_nsec };
		g_ptr_array_add(all, f);
	}
	g_ptr_array_sort(all, found_order);
	return all;
}

static char *copy_read(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0) {
		error_errno(error, errno, "read");
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		error_set(error, VMM_ERR_XML, "it is no file of at most %u bytes", FILE_BYTES_MAX);
		return NULL;
	}
	return g_file_get_contents(path, &text, NULL, error) ? text : NULL;
}

/* ---- the database ---- */

static bool put_pool(struct store *store, const struct copy *copy, GError **error)
{
	return store_write(store, error, "store a pool",
			   "INSERT INTO pools(uuid, name, xml, persistent, active, autostart)"
			   " VALUES(?1, ?2, ?3, 1, ?4, ?5)", "ussii", copy->uuid, copy->name,
			   copy->xml, (int64_t)copy->active, (int64_t)copy->autostart) &&
	       /* whoever had no default pool any more does not get it back */
	       store_write(store, error, "note the default pool",
			   "UPDATE counters SET value = 1 WHERE name = 'default-pool'", "");
}

static bool put_domain(struct store *store, const struct copy *copy, GError **error)
{
	struct store_domain row = {
		.name = copy->name, .xml = copy->xml, .autostart = copy->autostart,
		.state = DOMAIN_OFF, .reason = REASON_UNKNOWN, .created_s = copy->created_s,
	};

	memcpy(row.uuid, copy->uuid, UUID_BYTES);
	return store_put_domain(store, &row, error);
}

/* Neither a second file of one uuid nor a second uuid of one name. */
static bool is_new(GHashTable *seen, const struct copy *copy, GError **error)
{
	char uuid[UUID_TEXT_BYTES];
	g_autofree char *name = g_strdup_printf("%u %s", copy->pool, copy->name);

	uuid_to_text(copy->uuid, uuid);
	if (!g_hash_table_contains(seen, uuid) && !g_hash_table_contains(seen, name)) {
		g_hash_table_add(seen, g_strdup(uuid));
		g_hash_table_add(seen, g_steal_pointer(&name));
		return true;
	}
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "a newer file has the same name or uuid");
}

static bool take(struct recovery *r, struct store *store, GHashTable *seen, const char *path,
		 GError **error)
{
	g_autofree char *text = copy_read(path, error);
	struct copy copy = { 0 };
	bool ok = text && copy_parse(text, &copy, error) && is_new(seen, &copy, error) &&
		  (copy.pool ? put_pool(store, &copy, error) : put_domain(store, &copy, error));

	if (ok) {
		*(copy.pool ? &r->pools : &r->domains) += 1;
		printf("%s '%s'%s\n", copy.pool ? "pool" : "domain", copy.name,
		       copy.autostart ? ", autostart" : "");
	}
	copy_clear(&copy);
	return ok;
}

static bool fill(struct recovery *r, struct store *store, const GPtrArray *all, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	store_set_author(store, "vmmd --recover");
	if (!store_begin(store, error))
		return false;
	for (unsigned i = 0; i < all->len; i++) {
		const char *path = ((const struct found *)all->pdata[i])->file;
		g_autoptr(GError) why = NULL;

		if (take(r, store, seen, path, &why))
			continue;
		printf("left: '%s': %s\n", path, why->message);
		r->left++;
	}
	return store_commit(store, error);
}

static bool remove_all(const char *path, GError **error)
{
	for (unsigned i = 0; i < ARRAY_SIZE(suffixes); i++) {
		g_autofree char *file = g_strconcat(path, suffixes[i], NULL);

		if (unlink(file) < 0 && errno != ENOENT)
			return error_errno(error, errno, "remove '%s'", file);
	}
	return true;
}

/* With its log, in which are its last commits. */
static bool move_aside(const char *path, GError **error)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *when = g_date_time_format(now, "%Y%m%d-%H%M%S");
	g_autofree char *to = g_strdup_printf("%s.%s", path, when);

	for (unsigned i = 0; i < ARRAY_SIZE(suffixes); i++) {
		g_autofree char *old = g_strconcat(path, suffixes[i], NULL);
		g_autofree char *new = g_strconcat(to, suffixes[i], NULL);

		if (rename(old, new) < 0 && errno != ENOENT)
			return error_errno(error, errno, "move '%s' aside", old);
	}
	printf("the database that was there is '%s' now\n", to);
	return true;
}

/* A log that outlived its database must not be taken for the new one's. */
static bool publish(const struct recovery *r, const struct daemon *daemon, bool replace,
		    GError **error)
{
	auto_close int folder = open(daemon->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (replace && access(r->database, F_OK) == 0 && !move_aside(r->database, error))
		return false;
	fault_point("recover:aside");
	if (!remove_all(r->database, error))
		return false;
	if (rename(r->unfinished, r->database) < 0 || folder < 0 || fsync(folder) < 0)
		return error_errno(error, errno, "rename '%s'", r->unfinished);
	fault_point("recover:renamed");
	return true;
}

static bool rebuild(struct recovery *r, const struct daemon *daemon, bool replace, GError **error)
{
	g_autoptr(GPtrArray) all = copies_find(r->folder);
	struct store *store;
	bool ok;

	if (all->len == 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "there is no copy of a definition in '%s'", r->folder);
	if (!remove_all(r->unfinished, error) || !(store = store_open(r->unfinished, error)))
		return false;
	fault_point("recover:begun");
	ok = fill(r, store, all, error);
	store_close(store);
	fault_point("recover:filled");
	return ok && publish(r, daemon, replace, error);
}

bool recover(const struct daemon *daemon, bool replace, GError **error)
{
	struct recovery r;
	bool ok;

	recovery_init(&r, daemon);
	if (!replace && access(r.database, F_OK) == 0)
		ok = error_set(error, VMM_ERR_OPERATION_INVALID,
			       "there is a database, '%s': --replace moves it aside", r.database);
	else
		ok = rebuild(&r, daemon, replace, error);
	if (ok)
		printf("recovered: %u domains, %u pools; %u files left\n"
		       "Snapshots and the history of definitions are not among the copies.\n",
		       r.domains, r.pools, r.left);
	ok = ok && (r.left == 0 ||
		    error_set(error, VMM_ERR_OPERATION_FAILED,
			      "%u files were left: see above, and define them by hand", r.left));
	recovery_done(&r);
	return ok;
}

bool recover_not_needed(const struct daemon *daemon, GError **error)
{
	g_autoptr(GPtrArray) all = NULL;
	struct recovery r;
	bool ok = true;

	recovery_init(&r, daemon);
	if (access(r.database, F_OK) < 0 && errno == ENOENT) {
		all = copies_find(r.folder);
		ok = all->len == 0 ||
		     error_set(error, VMM_ERR_OPERATION_FAILED,
			       "the database '%s' is lost, but not the copies of %u definitions "
			       "in '%s': vmmd --recover makes a new one of them; to begin from "
			       "nothing move that folder away", r.database, all->len, r.folder);
	}
	recovery_done(&r);
	return ok;
}
