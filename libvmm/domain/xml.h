/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading XML that somebody else wrote, over libxml2's tree.
 *
 * Two rules make it safe to be short.  A document with a document type is
 * refused before an entity can be declared, so there is nothing to expand and
 * nothing to fetch.  And each element says what it may contain by
 * xml_expect() before anything of it is read: what is not named there is an
 * error, so nothing is ever skipped in silence.
 *
 * xml_attr_...() and xml_text_...() leave *ret alone when there is nothing to
 * read, so the caller's default stays.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/util/error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* what is for messages: "domain". */
xmlDoc *xml_read(const char *text, size_t max_bytes, const char *what, GError **error);
bool xml_validate(xmlDoc *doc, const char *schema_file, GError **error);
/* By one of our own schemas: "domain.rng". */
bool xml_validate_by(xmlDoc *doc, const char *name, GError **error);
/* Is the document a <name>? */
bool xml_root_is(const xmlNode *root, const char *name, GError **error);

/* Sets "line 7, column 5: /domain/devices/disk[2]: TEXT"; false. */
bool xml_error(const xmlNode *node, enum vmm_error code, GError **error, const char *format, ...)
	G_GNUC_PRINTF(4, 5);

/* ---- all problems of a document at once ---- */

struct xml_problem {
	unsigned line, column;		/* 0: not known */
	enum vmm_error code;
	char *text;			/* without the place */
};

GPtrArray *xml_problems_new(void);
/* A place at the beginning of text, as xml_error() writes it, is taken for the problem's. */
void xml_problem_add(GPtrArray *problems, enum vmm_error code, const char *text);
char *xml_problem_text(const struct xml_problem *problem);	/* with the place */
int xml_problem_order(const void *a, const void *b);		/* of pointers, by lines */

/* All of them as one error: the first one's code, and a line for each. */
void xml_problems_tell(const GPtrArray *problems, GError **error);

/* Until the end of it; text is doc's, problems of struct xml_problem. */
void xml_collect(xmlDoc *doc, const char *text, GPtrArray *problems);
void xml_collect_end(xmlDoc *doc);
/*
 * After a part of the document that others do not need: true, to go on, when
 * what went wrong has been written down; *error is clear then.
 */
bool xml_go_on(const xmlNode *node, bool ok, GError **error);

/*
 * An error about a relation of elements begins with what one of them looks
 * like, "<NAME ATTRIBUTE='VALUE'>": that is its place, and it is written down.
 */
void xml_conflict_place(xmlDoc *doc, GError **why);

/*
 * attrs and children are names with spaces between; a child that may be there
 * more than once has a '*' behind.  children NULL: text, and no element.
 */
bool xml_expect(const xmlNode *node, const char *attrs, const char *children, GError **error);
/* What to do instead of an element or attribute that other machines have; NULL: never heard of. */
const char *xml_hint(const xmlNode *parent, const char *name);

/* name as in xml_expect().  xml_next: the next of the same name. */
xmlNode *xml_child(const xmlNode *node, const char *name);
xmlNode *xml_next(const xmlNode *node);

char *xml_text(const xmlNode *node);			/* without blanks around; NULL if empty */
char *xml_attr(const xmlNode *node, const char *name);	/* NULL if absent */
bool xml_attr_need(const xmlNode *node, const char *name, char **ret, GError **error);
bool xml_attr_path(const xmlNode *node, const char *name, char **ret, GError **error);
bool xml_text_path(const xmlNode *node, char **ret, GError **error);
bool xml_attr_uint(const xmlNode *node, const char *name, unsigned min, unsigned max, unsigned *ret,
		   GError **error);
bool xml_attr_u64(const xmlNode *node, const char *name, uint64_t *ret, GError **error);
bool xml_attr_i64(const xmlNode *node, const char *name, int64_t *ret, GError **error);
/* names[i] NULL: a value that cannot be written. */
bool xml_attr_enum(const xmlNode *node, const char *name, const char *const *names, unsigned n,
		   unsigned *ret, GError **error);
bool xml_attr_bool(const xmlNode *node, const char *name, const char *yes, const char *no,
		   bool *ret, GError **error);

bool xml_parse_u64(const char *text, uint64_t max, uint64_t *ret);

#define XML_ATTR_ENUM(node, name, names, ret, error) \
	({ \
		unsigned value_ = *(ret); \
		bool ok_ = xml_attr_enum(node, name, names, ARRAY_SIZE(names), &value_, error); \
		*(ret) = value_; \
		ok_; \
	})
