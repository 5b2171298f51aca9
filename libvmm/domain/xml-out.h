/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing XML as libvirt's tools expect to read it: two blanks a level, single
 * quotes, an element with nothing inside closed at once.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>

struct xml_out {
	GString *text;
	GPtrArray *open;	/* names of the elements that are open */
	bool in_tag;		/* the innermost still takes attributes */
};

void xml_out_init(struct xml_out *out);
char *xml_out_done(struct xml_out *out);	/* the document; the caller's */

/* name must stay until xml_end(). */
void xml_begin(struct xml_out *out, const char *name);
void xml_end(struct xml_out *out);
/* An attribute of the element just begun; NULL: none. */
void xml_put(struct xml_out *out, const char *name, const char *value);
void xml_putf(struct xml_out *out, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* <name>text</name>; NULL: nothing. */
void xml_leaf(struct xml_out *out, const char *name, const char *text);
/* Text of the element just begun, which is then ended. */
void xml_end_text(struct xml_out *out, const char *text);
/* <name attr='value'/>; NULL: nothing. */
void xml_leaf_attr(struct xml_out *out, const char *name, const char *attr, const char *value);
/* Markup that is known to be well-formed, on lines of its own. */
void xml_raw(struct xml_out *out, const char *markup);

/* An element of a tree as markup; the tree is only good for being freed then.  NULL: no memory. */
char *xml_dump(xmlNode *node, bool indented);
