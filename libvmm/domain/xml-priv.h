/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that read XML share. */
#pragma once

#include "libvmm/domain/xml.h"

/*
 * Where the problems of one document go, hung upon it: then a parser need not
 * end at the first.  Owner: who called xml_collect().
 */
struct xml_report {
	const char *text;		/* of the document */
	GPtrArray *problems;		/* of struct xml_problem */
	GPtrArray *nodes;		/* whose problem each is */
	bool told;			/* the last failure is among them, or follows from one */
};

/*
 * As xml_error(), about an attribute (NULL: about the element itself) that can
 * be passed over: true when it has been written down, for the parser to go on.
 */
bool xml_fault(const xmlNode *node, const char *attr, enum vmm_error code, GError **error,
	       const char *format, ...) G_GNUC_PRINTF(5, 6);
/* At `where` in the text, with the path of another element. */
bool xml_fault_in(const xmlNode *where, const xmlNode *node, const char *attr, enum vmm_error code,
		  GError **error, const char *format, ...) G_GNUC_PRINTF(6, 7);

/* After such a fault that the rest of the element hangs on: false. */
bool xml_give_up(const xmlNode *node, enum vmm_error code, GError **error);

/* "vmm:kernel" is kernel in DOMAIN_VMM_NS. */
bool xml_is_named(const xmlNode *node, const char *name);

/* The name in a list with blanks between (xml_expect) that word may have meant; NULL. */
char *xml_nearest(const char *word, const char *list);
/* Where name has its place, and whether as an attribute: "<os>"; NULL: never heard of. */
const char *xml_place_of(const char *name, bool *ret_attr);
/* An element's name like word that has its place somewhere; NULL. */
char *xml_nearest_place(const char *word);
