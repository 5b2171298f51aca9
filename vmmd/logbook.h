/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who did what and when: a logbook for each domain, LOG_DIR/UUID.log, and one
 * of the daemon, LOG_DIR/vmmd.log.  An entry is a line of fields with tabs
 * between them:
 *
 *	number  time (UTC)  level  event  who  text
 *
 * No field has a control character in it, so a line is safe to look at and has
 * nothing in it that the guest, or whoever else was quoted, could make of it.
 * A book that is full becomes UUID.log.1, in place of the one before.
 */
#pragma once

#include "libvmm/util/uuid.h"
#include "vmmd/domain.h"

struct logbook;

#define LOGBOOK_BYTES_MAX (1u << 20)	/* of each of the two files */
#define LOGBOOK_FIELD "VMM_EVENT"	/* has a structured message that is in a book already */
#define LOGBOOK_TEXT_MAX 1024		/* of a text: the rest is cut off */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTE };

struct log_entry {
	uint64_t number;		/* from 1, without gaps as long as a file is there */
	int64_t at_us;			/* real time */
	enum log_level level;
	char *event, *who, *text;	/* who is "" for the daemon itself */
};

struct logbook *logbook_open(const char *folder);
void logbook_close(struct logbook *log);

/*
 * uuid NULL: the daemon's.  who NULL: the daemon itself.  Any thread.  What
 * can't be written is lost, and told once on stderr.
 */
void logbook_add(struct logbook *log, const uint8_t *uuid, enum log_level level, const char *event,
		 const char *who, const char *text);
/* Into a domain's book, and as a structured message to a journal that listens on stderr. */
void logbook_domain(const struct domain *dom, enum log_level level, const char *event,
		    const char *who, const char *format, ...) G_GNUC_PRINTF(5, 6);

struct log_query {
	uint64_t after;			/* entries with a higher number */
	int64_t since_us;		/* and not older */
	unsigned max;			/* so many at most */
	bool newest;			/* those at the end, not those after "after" */
};

/* Of struct log_entry, oldest first; the array is the caller's.  No file: none. */
GPtrArray *logbook_read(struct logbook *log, const uint8_t *uuid, const struct log_query *query,
			GError **error);

/* Books that nobody wrote into for days_max, of domains that known does not know, go. */
typedef bool logbook_known_fn(const char *uuid_text, void *opaque);
void logbook_sweep(struct logbook *log, unsigned days_max, logbook_known_fn *known, void *opaque);

/* A copy whose control characters, and what is no UTF-8, are visible and harmless. */
char *logbook_clean(const char *text);
