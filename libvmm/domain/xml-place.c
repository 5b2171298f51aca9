/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where in the text a problem is, and all problems of a document at once.
 *
 * libxml2's tree knows lines only, and of a tag on several lines the last.  So
 * the text is read again: without a document type its start tags come in the
 * tree's order, and counting them finds a node's.  That costs nothing as long
 * as nothing is wrong.
 */
#include "config.h"
#include "libvmm/domain/xml-priv.h"

#include <stdio.h>
#include <string.h>

#define PROBLEMS_MAX 50

/* ---- the text again ---- */

/* Behind the next END at or after p; NULL: there is none. */
static const char *behind(const char *p, const char *end)
{
	const char *at = strstr(p, end);

	return at ? at + strlen(end) : NULL;
}

/* Behind a tag that begins at p; a '>' in quotes does not end it. */
static const char *tag_end(const char *p)
{
	char quote = 0;

	for (; *p; p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else if (*p == '>' && !quote)
			return p + 1;
	}
	return NULL;
}

/* The n-th start tag, from 0. */
static const char *tag_find(const char *p, unsigned n)
{
	while (p && (p = strchr(p, '<'))) {
		if (g_str_has_prefix(p, "<!--")) {
			p = behind(p + 4, "-->");
		} else if (g_str_has_prefix(p, "<![CDATA[")) {
			p = behind(p, "]]>");
		} else if (p[1] == '?') {
			p = behind(p, "?>");
		} else {
			if (p[1] != '/' && n-- == 0)
				return p;
			p = tag_end(p);
		}
	}
	return NULL;
}

/* The attribute's name within the tag; the tag itself if it can't be found. */
static const char *attr_find(const char *tag, const char *name)
{
	size_t length = strlen(name);
	char quote = 0;

	for (const char *p = tag + 1; *p && (quote || *p != '>'); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else if (!quote && g_ascii_isspace(p[-1]) && !strncmp(p, name, length) &&
			 (g_ascii_isspace(p[length]) || p[length] == '='))
			return p;
	}
	return tag;
}

/* The node behind it in the order of the text. */
static const xmlNode *node_behind(const xmlNode *node)
{
	if (node->children && node->type == XML_ELEMENT_NODE)
		return node->children;
	while (node && !node->next)
		node = node->parent;
	return node ? node->next : NULL;
}

/* How many elements begin before it. */
static unsigned node_number(const xmlNode *node)
{
	unsigned n = 0;

	for (const xmlNode *at = xmlDocGetRootElement(node->doc); at && at != node;
	     at = node_behind(at))
		n += at->type == XML_ELEMENT_NODE;
	return n;
}

/* From 1; columns are characters. */
static void place_of(const xmlNode *node, const char *attr, const char *text, unsigned *ret_line,
		     unsigned *ret_column)
{
	const char *tag = tag_find(text, node_number(node)), *line = text;

	*ret_line = (unsigned)xmlGetLineNo((xmlNode *)node);
	*ret_column = 0;
	if (!tag)
		return;		/* a text of two bytes a letter */
	if (attr)
		tag = attr_find(tag, attr);
	*ret_line = 1;
	for (const char *c = text; c < tag; c++) {
		if (*c == '\n') {
			++*ret_line;
			line = c + 1;
		}
	}
	*ret_column = 1;
	for (const char *c = line; c < tag; c++)
		*ret_column += (*c & 0xc0) != 0x80;
}

static bool same_name(const xmlNode *a, const xmlNode *b)
{
	return a->type == XML_ELEMENT_NODE && b->type == XML_ELEMENT_NODE &&
	       xmlStrEqual(a->name, b->name);
}

static void path_append(GString *path, const xmlNode *node)
{
	unsigned before = 0, after = 0;

	if (!node || node->type != XML_ELEMENT_NODE)
		return;
	path_append(path, node->parent);
	for (const xmlNode *n = node->prev; n; n = n->prev)
		before += same_name(n, node);
	for (const xmlNode *n = node->next; n && !after; n = n->next)
		after += same_name(n, node);
	g_string_append_c(path, '/');
	if (node->ns && node->ns->prefix)
		g_string_append_printf(path, "%s:", node->ns->prefix);
	g_string_append(path, (const char *)node->name);
	if (before || after)
		g_string_append_printf(path, "[%u]", before + 1);
}

/* ---- problems ---- */

static void problem_free(void *p)
{
	struct xml_problem *problem = p;

	g_free(problem->text);
	g_free(problem);
}

GPtrArray *xml_problems_new(void)
{
	return g_ptr_array_new_with_free_func(problem_free);
}

void xml_problem_add(GPtrArray *problems, enum vmm_error code, const char *text)
{
	struct xml_problem *problem = g_new0(struct xml_problem, 1);
	const char *rest;

	problem->code = code;
	if (sscanf(text, "line %u, column %u: ", &problem->line, &problem->column) > 0 &&
	    (rest = strstr(text, ": ")))
		text = rest + 2;
	problem->text = g_strdup(text);
	g_ptr_array_add(problems, problem);
}

char *xml_problem_text(const struct xml_problem *problem)
{
	if (!problem->line)
		return g_strdup(problem->text);
	if (!problem->column)
		return g_strdup_printf("line %u: %s", problem->line, problem->text);
	return g_strdup_printf("line %u, column %u: %s", problem->line, problem->column,
			       problem->text);
}

int xml_problem_order(const void *a, const void *b)
{
	const struct xml_problem *x = *(struct xml_problem *const *)a;
	const struct xml_problem *y = *(struct xml_problem *const *)b;

	return x->line != y->line ? (x->line < y->line ? -1 : 1) :
				    (int)x->column - (int)y->column;
}

void xml_collect(xmlDoc *doc, const char *text, GPtrArray *problems)
{
	struct xml_report *report = g_new0(struct xml_report, 1);

	report->text = text;
	report->problems = problems;
	report->nodes = g_ptr_array_new();
	doc->_private = report;
}

void xml_collect_end(xmlDoc *doc)
{
	struct xml_report *report = doc->_private;

	g_ptr_array_unref(report->nodes);
	g_free(report);
	doc->_private = NULL;
}

/* A misspelt element is a missing one too, and a problem of the whole often one of a part. */
static bool follows(const struct xml_report *report, const xmlNode *node)
{
	for (unsigned i = 0; i < report->nodes->len; i++) {
		const xmlNode *known = report->nodes->pdata[i];

		if (known == node || known->parent == node)
			return true;
	}
	return false;
}

static void report_add(struct xml_report *report, const xmlNode *node, enum vmm_error code,
		       const char *text)
{
	if (report->problems->len >= PROBLEMS_MAX)
		return;
	xml_problem_add(report->problems, code, text);
	g_ptr_array_add(report->nodes, (void *)node);
}

static char *told(const xmlNode *where, const xmlNode *node, const char *attr, const char *format,
		  va_list ap)
{
	const struct xml_report *report = node->doc->_private;
	g_autofree char *text = g_strdup_vprintf(format, ap);
	g_autoptr(GString) path = g_string_new(NULL);
	unsigned line, column;

	path_append(path, node);
	if (!report)
		return g_strdup_printf("line %ld: %s: %s", xmlGetLineNo((xmlNode *)where),
				       path->str, text);
	place_of(where, attr, report->text, &line, &column);
	return column ? g_strdup_printf("line %u, column %u: %s: %s", line, column, path->str,
					text) :
			g_strdup_printf("line %u: %s: %s", line, path->str, text);
}

bool xml_error(const xmlNode *node, enum vmm_error code, GError **error, const char *format, ...)
{
	struct xml_report *report = node->doc->_private;
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = told(node, node, NULL, format, ap);
	va_end(ap);
	if (report) {
		if (!follows(report, node))
			report_add(report, node, code, text);
		report->told = true;
	}
	return error_set(error, code, "%s", text);
}

static bool fault(const xmlNode *where, enum vmm_error code, const char *text, GError **error)
{
	struct xml_report *report = where->doc->_private;

	if (!report)
		return error_set(error, code, "%s", text);
	report_add(report, where, code, text);
	return true;
}

bool xml_fault(const xmlNode *node, const char *attr, enum vmm_error code, GError **error,
	       const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = told(node, node, attr, format, ap);
	va_end(ap);
	return fault(node, code, text, error);
}

bool xml_fault_in(const xmlNode *where, const xmlNode *node, const char *attr, enum vmm_error code,
		  GError **error, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = told(where, node, attr, format, ap);
	va_end(ap);
	return fault(where, code, text, error);
}

bool xml_give_up(const xmlNode *node, enum vmm_error code, GError **error)
{
	struct xml_report *report = node->doc->_private;

	report->told = true;
	return error_set(error, code, "it has been written down");
}

bool xml_go_on(const xmlNode *node, bool ok, GError **error)
{
	struct xml_report *report = node->doc->_private;

	if (ok || !report)
		return ok;
	if (!report->told && error && *error)
		report_add(report, node, (*error)->code, (*error)->message);
	report->told = false;
	g_clear_error(error);
	return true;
}

/* The last <NAME ATTRIBUTE='VALUE'>, for that comes to one that was there; NULL. */
static const xmlNode *element_find(const xmlNode *node, const char *name, const char *attr,
				   const char *value)
{
	const xmlNode *found = NULL;

	for (; node; node = node->next) {
		g_autofree char *has = node->type == XML_ELEMENT_NODE ? xml_attr(node, attr) : NULL;
		const xmlNode *below;

		if (xmlStrEqual(node->name, BAD_CAST name) && (!*attr || !g_strcmp0(has, value)))
			found = node;
		below = element_find(node->children, name, attr, value);
		found = below ? below : found;
	}
	return found;
}

void xml_conflict_place(xmlDoc *doc, GError **why)
{
	char name[32], attr[32] = "", value[128] = "";
	const xmlNode *node;

	if (sscanf((*why)->message, "<%31[a-zA-Z] %31[a-zA-Z]='%127[^']'", name, attr, value) < 1)
		return;
	node = element_find(xmlDocGetRootElement(doc), name, attr, value);
	if (node) {
		xml_error(node, (*why)->code, NULL, "%s", (*why)->message);
		g_clear_error(why);
	}
}

void xml_problems_tell(const GPtrArray *problems, GError **error)
{
	const struct xml_problem *first = problems->pdata[0];
	g_autoptr(GString) text = g_string_new(NULL);

	for (unsigned i = 0; i < problems->len; i++) {
		g_autofree char *line = xml_problem_text(problems->pdata[i]);

		g_string_append_printf(text, "%s%s", i ? "\n" : "", line);
	}
	error_set(error, first->code, "%s", text->str);
}
