/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small helpers over libxml2. */
#include "config.h"
#include "libvmm/domain/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <string.h>

#include "libvmm/domain/domain.h"

#define VMM_PREFIX "vmm:"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNG, xmlRelaxNGFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

/* ---- documents ---- */

struct reading {
	bool doctype;
	GError *first;		/* the rest follows from it */
};

/* Before the first entity is declared, and before anything is fetched. */
static void on_doctype(void *opaque, const xmlChar *name, const xmlChar *id, const xmlChar *uri)
{
	xmlParserCtxt *ctxt = opaque;
	struct reading *r = ctxt->_private;

	r->doctype = true;
	xmlStopParser(ctxt);
}

static void on_parse_error(void *opaque, xmlError *e)
{
	xmlParserCtxt *ctxt = opaque;
	struct reading *r = ctxt->_private;

	if (r->first || !e->message || e->level < XML_ERR_ERROR)
		return;
	g_autofree char *text = g_utf8_make_valid(e->message, -1);
	error_set(&r->first, VMM_ERR_XML, "line %d, column %d: %s", e->line, e->int2,
		  g_strchomp(text));
}

static xmlDoc *read_text(const char *text, size_t bytes, struct reading *r)
{
	const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
			    XML_PARSE_NOCDATA | XML_PARSE_NOENT | XML_PARSE_BIG_LINES;
	g_autoptr(xmlParserCtxt) ctxt = xmlNewParserCtxt();

	ctxt->_private = r;
	ctxt->sax->internalSubset = on_doctype;
	ctxt->sax->serror = on_parse_error;
	return xmlCtxtReadMemory(ctxt, text, bytes, NULL, NULL, options);
}

xmlDoc *xml_read(const char *text, size_t max_bytes, const char *what, GError **error)
{
	size_t bytes = strnlen(text, max_bytes + 1);
	struct reading r = { 0 };

	if (bytes == 0 || bytes > max_bytes) {
		error_set(error, VMM_ERR_XML, bytes ? "%s XML is longer than %zu bytes" :
			  "%s XML is empty", what, max_bytes);
		return NULL;
	}
	g_autoptr(xmlDoc) doc = read_text(text, bytes, &r);
	g_autoptr(GError) why = g_steal_pointer(&r.first);
	if (r.doctype)
		error_set(error, VMM_ERR_XML,
			  "%s XML has a document type (<!DOCTYPE>): not accepted", what);
	else if (why || !doc || !xmlDocGetRootElement(doc))
		error_set(error, VMM_ERR_XML, "%s XML is not well-formed%s%s", what,
			  why ? ": " : "", why ? why->message : "");
	else
		return g_steal_pointer(&doc);
	return NULL;
}

static void on_schema_error(void *opaque, xmlError *e)
{
}

/* libxml2 reports the innermost reason first, then what it means for the elements around it. */
static void on_invalid(void *opaque, xmlError *e)
{
	GError **error = opaque;

	if (*error || !e->message)
		return;
	g_autofree char *text = g_utf8_make_valid(e->message, -1);
	error_set(error, VMM_ERR_XML_SCHEMA, "line %d: %s%s%s: %s", e->line, e->node ? "<" : "",
		  e->node ? (const char *)((xmlNode *)e->node)->name : "document",
		  e->node ? ">" : "", g_strchomp(text));
}

bool xml_validate(xmlDoc *doc, const char *schema_file, GError **error)
{
	g_autoptr(GError) why = NULL;

	/* libxml2 would tell the terminal. */
	if (!g_file_test(schema_file, G_FILE_TEST_IS_REGULAR))
		return error_set(error, VMM_ERR_INTERNAL,
				 "the schema '%s' is not there: set VMM_SCHEMA_DIR", schema_file);
	g_autoptr(xmlRelaxNGParserCtxt) parser = xmlRelaxNGNewParserCtxt(schema_file);

	xmlRelaxNGSetParserStructuredErrors(parser, on_schema_error, NULL);
	g_autoptr(xmlRelaxNG) schema = xmlRelaxNGParse(parser);
	if (!schema)
		return error_set(error, VMM_ERR_INTERNAL,
				 "the schema '%s' is damaged", schema_file);
	g_autoptr(xmlRelaxNGValidCtxt) valid = xmlRelaxNGNewValidCtxt(schema);
	xmlRelaxNGSetValidStructuredErrors(valid, on_invalid, &why);
	int r = xmlRelaxNGValidateDoc(valid, doc);
	if (r == 0)
		return true;
	if (why)
		g_propagate_prefixed_error(error, g_steal_pointer(&why), "not valid: ");
	else
		error_set(error, VMM_ERR_XML_SCHEMA, "not valid against '%s'", schema_file);
	return false;
}

/* ---- where ---- */

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

bool xml_error(const xmlNode *node, enum vmm_error code, GError **error, const char *format, ...)
{
	g_autoptr(GString) path = g_string_new(NULL);
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	path_append(path, node);
	return error_set(error, code, "line %ld: %s: %s", xmlGetLineNo(node), path->str, text);
}

/* ---- what may be there ---- */

static bool is_named(const xmlNode *node, const char *name)
{
	bool ours = g_str_has_prefix(name, VMM_PREFIX);

	if (node->type != XML_ELEMENT_NODE)
		return false;
	if (ours != (node->ns && xmlStrEqual(node->ns->href, BAD_CAST DOMAIN_VMM_NS)))
		return false;
	if (!ours && node->ns)
		return false;
	return !strcmp((const char *)node->name, name + (ours ? strlen(VMM_PREFIX) : 0));
}

static bool refuse(const xmlNode *node, const char *what, const char *name, const char *known,
		   GError **error)
{
	const char *hint = xml_hint((const char *)node->name, name);
	bool attr = what[0] == 'a';
	const char *open = attr ? "'" : "<", *close = attr ? "'" : ">";

	if (hint)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "%s %s%s%s is not supported: %s", what, open, name, close, hint);
	if (!*known)
		return xml_error(node, VMM_ERR_XML, error, "unknown %s %s%s%s: none is known here",
				 what, open, name, close);
	g_autofree char *list = g_strdelimit(g_strdup(known), "*", ' ');
	g_auto(GStrv) words = g_strsplit_set(list, " ", -1);
	g_autoptr(GString) text = g_string_new(NULL);
	for (char **w = words; *w; w++)
		if (**w)
			g_string_append_printf(text, "%s%s", text->len ? ", " : "", *w);
	return xml_error(node, VMM_ERR_XML, error, "unknown %s %s%s%s; known here: %s", what, open,
			 name, close, text->str);
}

static bool expect_attrs(const xmlNode *node, char **known, const char *list, GError **error)
{
	for (const xmlAttr *a = node->properties; a; a = a->next)
		if (a->ns || !g_strv_contains((const char *const *)known, (const char *)a->name))
			return refuse(node, "attribute", (const char *)a->name, list, error);
	return true;
}

/* Returns the place in known, or -1. */
static int find_known(const xmlNode *child, char **known, bool *ret_many)
{
	for (int i = 0; known[i]; i++) {
		g_autofree char *name = g_strdup(known[i]);
		*ret_many = g_str_has_suffix(name, "*");
		if (*ret_many)
			name[strlen(name) - 1] = '\0';
		if (is_named(child, name))
			return i;
	}
	return -1;
}

static bool expect_child(const xmlNode *node, const xmlNode *child, char **known, const char *list,
			 uint64_t *seen, GError **error)
{
	bool many;
	int i = find_known(child, known, &many);

	if (i < 0) {
		const char *prefix = child->ns ? (const char *)child->ns->prefix : NULL;
		g_autofree char *name =
			g_strdup_printf("%s%s%s", prefix ? prefix : "", prefix ? ":" : "",
					(const char *)child->name);
		g_autoptr(GError) why = NULL;
		refuse(node, "element", name, list, &why);
		/* The line that helps is the child's. */
		return error_set(error, why->code, "line %ld: %s", xmlGetLineNo(child),
				 strchr(why->message, '/'));
	}
	if (!many && (*seen & 1ull << i))
		return xml_error(child, VMM_ERR_XML, error, "the element may be there only once");
	*seen |= 1ull << i;
	return true;
}

static bool expect_children(const xmlNode *node, const char *list, GError **error)
{
	g_auto(GStrv) known = g_strsplit(list ? list : "", " ", -1);
	uint64_t seen = 0;

	g_assert(g_strv_length(known) <= 64);
	for (const xmlNode *c = node->children; c; c = c->next) {
		if (c->type == XML_ELEMENT_NODE &&
		    !expect_child(node, c, known, list ? list : "", &seen, error))
			return false;
		if (list && c->type == XML_TEXT_NODE && !xmlIsBlankNode(c))
			return xml_error(node, VMM_ERR_XML, error, "text is not expected here");
		if (c->type != XML_ELEMENT_NODE && c->type != XML_TEXT_NODE &&
		    c->type != XML_COMMENT_NODE)
			return xml_error(node, VMM_ERR_XML, error,
					 "only elements, text and comments are expected here");
	}
	return true;
}

bool xml_expect(const xmlNode *node, const char *attrs, const char *children, GError **error)
{
	g_auto(GStrv) known = g_strsplit(attrs, " ", -1);

	return expect_attrs(node, known, attrs, error) && expect_children(node, children, error);
}

xmlNode *xml_child(const xmlNode *node, const char *name)
{
	if (!node)
		return NULL;
	for (xmlNode *c = node->children; c; c = c->next)
		if (is_named(c, name))
			return c;
	return NULL;
}

xmlNode *xml_next(const xmlNode *node)
{
	for (xmlNode *n = node->next; n; n = n->next)
		if (same_name(n, node) && n->ns == node->ns)
			return n;
	return NULL;
}

/* ---- values ---- */

static char *take(xmlChar *text)
{
	char *ret = g_strdup((const char *)text);

	xmlFree(text);
	return ret;
}

char *xml_text(const xmlNode *node)
{
	g_autofree char *text = take(xmlNodeGetContent(node));

	g_strstrip(text);
	return *text ? g_steal_pointer(&text) : NULL;
}

char *xml_attr(const xmlNode *node, const char *name)
{
	return node ? take(xmlGetNoNsProp((xmlNode *)node, BAD_CAST name)) : NULL;
}

bool xml_attr_need(const xmlNode *node, const char *name, char **ret, GError **error)
{
	g_autofree char *value = xml_attr(node, name);

	if (!value || !*value)
		return xml_error(node, VMM_ERR_XML, error, "attribute '%s' is missing", name);
	g_free(*ret);
	*ret = g_steal_pointer(&value);
	return true;
}

static bool check_path(const xmlNode *node, const char *path, GError **error)
{
	if (!path)
		return xml_error(node, VMM_ERR_XML, error, "a path is missing");
	if (path[0] != '/')
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not an absolute path", path);
	for (const char *c = path; *c; c++)
		if (g_ascii_iscntrl(*c))
			return xml_error(node, VMM_ERR_XML, error,
					 "a path has a control character");
	if (strlen(path) >= 4096)
		return xml_error(node, VMM_ERR_XML, error, "a path is longer than 4095 bytes");
	return true;
}

static bool take_path(const xmlNode *node, char *path, char **ret, GError **error)
{
	if (!check_path(node, path, error)) {
		g_free(path);
		return false;
	}
	g_free(*ret);
	*ret = path;
	return true;
}

bool xml_attr_path(const xmlNode *node, const char *name, char **ret, GError **error)
{
	char *path = xml_attr(node, name);

	if (!path)
		return true;
	return take_path(node, path, ret, error);
}

bool xml_text_path(const xmlNode *node, char **ret, GError **error)
{
	return take_path(node, xml_text(node), ret, error);
}

bool xml_parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	return g_ascii_string_to_unsigned(text, 10, 0, max, ret, NULL);
}

bool xml_attr_u64(const xmlNode *node, const char *name, uint64_t *ret, GError **error)
{
	g_autofree char *value = xml_attr(node, name);

	if (value && !xml_parse_u64(value, UINT64_MAX, ret))
		return xml_error(node, VMM_ERR_XML, error, "%s='%s' is not a number", name, value);
	return true;
}

bool xml_attr_uint(const xmlNode *node, const char *name, unsigned min, unsigned max, unsigned *ret,
		   GError **error)
{
	g_autofree char *value = xml_attr(node, name);
	uint64_t number;

	if (!value)
		return true;
	if (!xml_parse_u64(value, max, &number) || number < min)
		return xml_error(node, VMM_ERR_XML, error, "%s='%s' is not a number from %u to %u",
				 name, value, min, max);
	*ret = number;
	return true;
}

bool xml_attr_i64(const xmlNode *node, const char *name, int64_t *ret, GError **error)
{
	g_autofree char *value = xml_attr(node, name);
	gint64 number;

	if (!value)
		return true;
	if (!g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &number, NULL))
		return xml_error(node, VMM_ERR_XML, error, "%s='%s' is not a number", name, value);
	*ret = number;
	return true;
}

static bool enum_error(const xmlNode *node, const char *name, const char *value,
		       const char *const *names, unsigned n, GError **error)
{
	g_autoptr(GString) known = g_string_new(NULL);
	g_autofree char *key = g_strdup_printf("%s=%s", name, value);
	const char *hint = xml_hint((const char *)node->name, key);

	if (hint)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "%s='%s' is not supported: %s", name, value, hint);
	for (unsigned i = 0; i < n; i++)
		if (names[i])
			g_string_append_printf(known, "%s'%s'", known->len ? ", " : "", names[i]);
	return xml_error(node, VMM_ERR_XML, error, "%s='%s' is not one of %s", name, value,
			 known->str);
}

bool xml_attr_enum(const xmlNode *node, const char *name, const char *const *names, unsigned n,
		   unsigned *ret, GError **error)
{
	g_autofree char *value = xml_attr(node, name);

	if (!value)
		return true;
	for (unsigned i = 0; i < n; i++) {
		if (names[i] && !strcmp(names[i], value)) {
			*ret = i;
			return true;
		}
	}
	return enum_error(node, name, value, names, n, error);
}

bool xml_attr_bool(const xmlNode *node, const char *name, const char *yes, const char *no,
		   bool *ret, GError **error)
{
	const char *const names[] = { no, yes };
	unsigned value = *ret;

	if (!xml_attr_enum(node, name, names, 2, &value, error))
		return false;
	*ret = value;
	return true;
}
