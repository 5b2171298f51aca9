/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logbooks in files.  A file is open only while a line is written: there may be
 * thousands of domains, and their entries are rare.  One write() is one entry,
 * so a kill leaves whole lines; one that is not is skipped by the reader.
 */
#include "config.h"
#include "vmmd/logbook.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define DAEMON_BOOK "vmmd"
#define N_FIELDS 6
#define NUMBERS_MAX 256
#define TAIL_BYTES 8192			/* holds a whole line */

struct logbook {
	GMutex lock;			/* of all below, and of the files' rotation */
	char *folder;
	GHashTable *numbers;		/* book's name -> guint64: of its last entry; not all */
	bool complained;
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTE] = "note",
};

struct logbook *logbook_open(const char *folder)
{
	struct logbook *log = g_new0(struct logbook, 1);

	g_mutex_init(&log->lock);
	log->folder = g_strdup(folder);
	log->numbers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return log;
}

void logbook_close(struct logbook *log)
{
	if (!log)
		return;
	g_mutex_clear(&log->lock);
	g_hash_table_unref(log->numbers);
	g_free(log->folder);
	g_free(log);
}

static char *book_path(const struct logbook *log, const char *book, bool older)
{
	g_autofree char *file = g_strconcat(book, older ? ".log.1" : ".log", NULL);

	return g_build_filename(log->folder, file, NULL);
}

static char *book_name(const uint8_t *uuid)
{
	char text[UUID_TEXT_BYTES];

	if (!uuid)
		return g_strdup(DAEMON_BOOK);
	uuid_to_text(uuid, text);
	return g_strdup(text);
}

/* ---- lines ---- */

/* Whoever may move a terminal's cursor, or turn its text round, may make a line lie. */
static bool is_harmless(gunichar c)
{
	switch (g_unichar_type(c)) {
	case G_UNICODE_CONTROL:
	case G_UNICODE_FORMAT:
	case G_UNICODE_LINE_SEPARATOR:
	case G_UNICODE_PARAGRAPH_SEPARATOR:
	case G_UNICODE_SURROGATE:
		return false;
	default:
		return true;
	}
}

char *logbook_clean(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *clean = g_string_new(NULL);

	for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		if (clean->len >= LOGBOOK_TEXT_MAX - 4) {
			g_string_append(clean, "...");
			break;
		}
		if (is_harmless(c))
			g_string_append_unichar(clean, c);
		else if (c == '\t' || c == '\n')
			g_string_append_c(clean, ' ');
		else
			g_string_append_printf(clean, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
	}
	return g_string_free(clean, FALSE);
}

/* Of one width, so that the later one is the greater one as a text, too. */
static char *time_text(int64_t us)
{
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(us / G_USEC_PER_SEC);
	g_autofree char *text = at ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%S") : NULL;

	/* "~" is behind all of them: a time that no calendar has */
	return text ? g_strdup_printf("%s.%06dZ", text, (int)(us % G_USEC_PER_SEC)) :
		      g_strdup(us < 0 ? "" : "~");
}

static char *line_make(uint64_t number, enum log_level level, const char *event, const char *who,
		       const char *text)
{
	g_autofree char *at = time_text(g_get_real_time());
	g_autofree char *clean_who = logbook_clean(who ?: ""), *clean = logbook_clean(text);

	return g_strdup_printf("%" G_GUINT64_FORMAT "\t%s\t%s\t%s\t%s\t%s\n", number, at,
			       level_names[level], event, clean_who, clean);
}

static void entry_free(void *p)
{
	struct log_entry *entry = p;

	g_free(entry->event);
	g_free(entry->who);
	g_free(entry->text);
	g_free(entry);
}

static bool level_parse(const char *name, enum log_level *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (!g_str_equal(level_names[i], name))
			continue;
		*ret = (enum log_level)i;
		return true;
	}
	return false;
}

/* NULL: not a line of ours (a library's last words on stderr, say). */
static struct log_entry *entry_parse(const char *line)
{
	g_auto(GStrv) fields = g_strsplit(line, "\t", N_FIELDS);
	g_autoptr(GDateTime) at = NULL;
	struct log_entry entry = { 0 };
	guint64 number;

	if (g_strv_length(fields) != N_FIELDS ||
	    !g_ascii_string_to_unsigned(fields[0], 10, 1, G_MAXUINT64, &number, NULL) ||
	    !level_parse(fields[2], &entry.level) ||
	    !(at = g_date_time_new_from_iso8601(fields[1], NULL)))
		return NULL;
	entry.number = number;
	entry.at_us = g_date_time_to_unix(at) * G_USEC_PER_SEC + g_date_time_get_microsecond(at);
	entry.event = logbook_clean(fields[3]);
	entry.who = logbook_clean(fields[4]);
	entry.text = logbook_clean(fields[5]);
	return g_memdup2(&entry, sizeof(entry));
}

/* ---- writing ---- */

/* Of the last whole line; 0: there is none. */
static uint64_t last_number(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[TAIL_BYTES + 1], *rest = text, *line;
	uint64_t number = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	n = pread(fd, text, TAIL_BYTES, MAX(st.st_size - TAIL_BYTES, 0));
	text[MAX(n, 0)] = 0;
	while ((line = strsep(&rest, "\n"))) {
		struct log_entry *entry = entry_parse(line);

		if (!entry)
			continue;
		number = entry->number;
		entry_free(entry);
	}
	return number;
}

static bool append(const char *path, const char *line, size_t bytes)
{
	auto_close int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n = fd < 0 ? -1 : write(fd, line, bytes);

	if (n == (ssize_t)bytes)
		return true;
	/* the next line would be glued to a piece of this one */
	if (n > 0 && ftruncate(fd, lseek(fd, 0, SEEK_END) - n) == 0)
		errno = ENOSPC;
	return false;
}

/* What a failure of the power has cut becomes a line, which is none of ours. */
static void last_line_end(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char last = '\n';

	if (fd >= 0 && lseek(fd, -1, SEEK_END) >= 0 && read(fd, &last, 1) == 1 && last != '\n')
		append(path, "\n", 1);
}

static uint64_t *number_of(struct logbook *log, const char *book)
{
	uint64_t *number = g_hash_table_lookup(log->numbers, book);

	if (!number) {
		g_autofree char *path = book_path(log, book, false);
		g_autofree char *older = book_path(log, book, true);

		last_line_end(path);
		/* Ten thousand books are not written to all the time: the files know, too. */
		if (g_hash_table_size(log->numbers) == NUMBERS_MAX)
			g_hash_table_remove_all(log->numbers);
		number = g_new(uint64_t, 1);
		*number = last_number(path) ?: last_number(older);
		g_hash_table_insert(log->numbers, g_strdup(book), number);
	}
	return number;
}

static void rotate(const struct logbook *log, const char *book, const char *path, size_t bytes)
{
	g_autofree char *older = book_path(log, book, true);
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size + (off_t)bytes > LOGBOOK_BYTES_MAX)
		g_rename(path, older);
}

static void book_add(struct logbook *log, const char *book, enum log_level level,
		     const char *event, const char *who, const char *text)
{
	g_autofree char *path = book_path(log, book, false);
	uint64_t *number = number_of(log, book);
	g_autofree char *line = line_make(*number + 1, level, event, who, text);

	rotate(log, book, path, strlen(line));
	if (append(path, line, strlen(line))) {
		++*number;
		return;
	}
	if (log->complained)
		return;
	log->complained = true;
	fprintf(stderr, "vmmd: write '%s': %s\n", path, g_strerror(errno));
}

void logbook_add(struct logbook *log, const uint8_t *uuid, enum log_level level, const char *event,
		 const char *who, const char *text)
{
	g_autofree char *book = book_name(uuid);
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&log->lock);

	book_add(log, book, level, event, who, text);
}

/* For "journalctl VMM_DOMAIN=web"; on a terminal it would be noise. */
static void tell_journal(const struct domain *dom, enum log_level level, const char *event,
			 const char *who, const char *text)
{
	static const GLogLevelFlags levels[] = {
		[LOG_LEVEL_ERROR] = G_LOG_LEVEL_WARNING,
		[LOG_LEVEL_WARNING] = G_LOG_LEVEL_WARNING,
		[LOG_LEVEL_NOTE] = G_LOG_LEVEL_MESSAGE,
	};

	g_log_structured(G_LOG_DOMAIN, levels[level], LOGBOOK_FIELD, event,
			 "VMM_DOMAIN", dom->name, "VMM_UUID", dom->uuid_text,
			 "VMM_WHO", who ?: "vmmd", "MESSAGE", "domain '%s': %s: %s", dom->name,
			 event, text);
}

void logbook_domain(const struct domain *dom, enum log_level level, const char *event,
		    const char *who, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	logbook_add(dom->daemon->logbook, dom->uuid, level, event, who, text);
	tell_journal(dom, level, event, who, text);
}

/* ---- reading ---- */

/* Files are ours and bounded; what is longer was not written by us. */
static char *file_text(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	g_autofree char *text = g_malloc(2 * LOGBOOK_BYTES_MAX + 1);
	size_t got = 0;
	ssize_t n = 1;

	if (fd < 0 && errno == ENOENT)
		return g_strdup("");
	while (fd >= 0 && got < 2 * LOGBOOK_BYTES_MAX && n > 0) {
		n = read(fd, text + got, 2 * LOGBOOK_BYTES_MAX - got);
		got += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || n < 0) {
		error_errno(error, errno, "read '%s'", path);
		return NULL;
	}
	text[got] = 0;
	return g_steal_pointer(&text);
}

/* As far as a glance tells: a full book has tens of thousands of lines. */
static bool line_is_wanted(const char *line, const struct log_query *query, const char *since)
{
	char *end;
	uint64_t number = g_ascii_strtoull(line, &end, 10);

	return number > query->after && *end == '\t' && strncmp(end + 1, since, strlen(since)) >= 0;
}

static void lines_of(char *text, const struct log_query *query, const char *since,
		     GPtrArray *lines)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		if (line_is_wanted(line, query, since))
			g_ptr_array_add(lines, line);
}

static void reverse(GPtrArray *a)
{
	for (unsigned i = 0; i < a->len / 2; i++) {
		void *first = a->pdata[i];

		a->pdata[i] = a->pdata[a->len - 1 - i];
		a->pdata[a->len - 1 - i] = first;
	}
}

static GPtrArray *entries_of(GPtrArray *lines, const struct log_query *query)
{
	GPtrArray *entries = g_ptr_array_new_with_free_func(entry_free);

	if (query->newest)
		reverse(lines);
	for (unsigned i = 0; i < lines->len && entries->len < query->max; i++) {
		struct log_entry *entry = entry_parse(lines->pdata[i]);

		if (entry)
			g_ptr_array_add(entries, entry);
	}
	if (query->newest)
		reverse(entries);
	return entries;
}

/* May the file before text have what is asked for? */
static bool older_is_wanted(const char *text, const struct log_query *query)
{
	return !query->after || query->after + 1 < g_ascii_strtoull(text, NULL, 10);
}

GPtrArray *logbook_read(struct logbook *log, const uint8_t *uuid, const struct log_query *query,
			GError **error)
{
	g_autofree char *book = book_name(uuid), *since = time_text(query->since_us);
	g_autofree char *path = book_path(log, book, false), *text = NULL;
	g_autofree char *path_older = book_path(log, book, true), *older = NULL;
	g_autoptr(GPtrArray) lines = g_ptr_array_new();

	/* no rotation between the two */
	g_mutex_lock(&log->lock);
	text = file_text(path, error);
	if (text)
		older = older_is_wanted(text, query) ? file_text(path_older, error) : g_strdup("");
	g_mutex_unlock(&log->lock);
	if (!older)
		return NULL;
	lines_of(older, query, since, lines);
	lines_of(text, query, since, lines);
	return entries_of(lines, query);
}

/* ---- of those that are gone ---- */

static bool is_book(const char *file, char uuid_text[UUID_TEXT_BYTES])
{
	g_strlcpy(uuid_text, file, UUID_TEXT_BYTES);
	return g_uuid_string_is_valid(uuid_text) &&
	       (g_str_equal(file + UUID_TEXT_BYTES - 1, ".log") ||
		g_str_equal(file + UUID_TEXT_BYTES - 1, ".log.1"));
}

void logbook_sweep(struct logbook *log, unsigned days_max, logbook_known_fn *known, void *opaque)
{
	g_autoptr(GDir) dir = g_dir_open(log->folder, 0, NULL);
	time_t oldest = time(NULL) - (time_t)days_max * 86400;
	char uuid[UUID_TEXT_BYTES];
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(log->folder, name, NULL);
		struct stat st;

		if (!is_book(name, uuid) || known(uuid, opaque) || lstat(path, &st) < 0 ||
		    !S_ISREG(st.st_mode) || st.st_mtime > oldest)
			continue;
		g_unlink(path);
		g_mutex_lock(&log->lock);
		g_hash_table_remove(log->numbers, uuid);
		g_mutex_unlock(&log->lock);
	}
}
