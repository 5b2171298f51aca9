/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small helpers over libxml2. */
#include "config.h"
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <string.h>

#include "libvmm/domain/domain.h"
#include "libvmm/domain/xml-priv.h"
#include "libvmm/util/nearest.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNG, xmlRelaxNGFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

/* ---- documents ---- */

struct reading {
	const char *what;
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

/* What mostly lies behind it. */
static const char *parse_advice(const xmlError *e)
{
	switch (e->code) {
	case XML_ERR_NAME_REQUIRED:
		if (strstr(e->message, "attribute"))
			return ": is a '>' or a quote missing before it?";
		/* fall through */
	case XML_ERR_ENTITYREF_SEMICOL_MISSING:
	case XML_ERR_ENTITYREF_NO_NAME:
		return ": write &amp; for a '&', &lt; for a '<'";
	case XML_ERR_UNDECLARED_ENTITY:
		return ": known are &amp; &lt; &gt; &quot; &apos;";
	case XML_ERR_LT_IN_ATTRIBUTE:
		return ": a quote is missing before it, or write &lt;";
	case XML_ERR_ATTRIBUTE_NOT_STARTED:
		return ": write the value in quotes";
	case XML_ERR_ATTRIBUTE_WITHOUT_VALUE:
		return ": an attribute is written NAME='VALUE'";
	case XML_ERR_ATTRIBUTE_NOT_FINISHED:
		return ": the closing quote is missing";
	case XML_ERR_TAG_NOT_FINISHED:
		return ": its closing tag is missing";
	case XML_ERR_ATTRIBUTE_REDEFINED:
		return ": keep one of them";
	case XML_ERR_GT_REQUIRED:
	case XML_ERR_SPACE_REQUIRED:
		return ": is a '>', a quote or a blank missing before it?";
	case XML_ERR_HYPHEN_IN_COMMENT:
	case XML_ERR_COMMENT_NOT_FINISHED:
		return ": a comment ends with --> and has no other -- in it";
	case XML_ERR_DOCUMENT_END:
		return ": only comments may follow </domain>; is there a closing tag too many?";
	case XML_ERR_DOCUMENT_EMPTY:
		return ": is this a domain's XML?";
	case XML_NS_ERR_UNDEFINED_NAMESPACE:
		return ": declare it in <domain>, as in xmlns:vmm='" DOMAIN_VMM_NS "'";
	default:
		return "";
	}
}

/* Then a closing tag of that name is right, and one within is not closed. */
static bool is_open(const xmlParserCtxt *ctxt, const char *name)
{
	for (int i = 0; i < ctxt->nameNr; i++)
		if (!g_strcmp0((const char *)ctxt->nameTab[i], name))
			return true;
	return false;
}

static void on_parse_error(void *opaque, xmlError *e)
{
	xmlParserCtxt *ctxt = opaque;
	struct reading *r = ctxt->_private;

	if (r->first || !e->message || e->level < XML_ERR_ERROR)
		return;
	g_autofree char *text = g_utf8_make_valid(e->message, -1);
	if (e->code == XML_ERR_TAG_NAME_MISMATCH && is_open(ctxt, e->str2))
		error_set(&r->first, VMM_ERR_XML,
			  "line %d: %s XML is not well-formed: <%s> is not closed before </%s> on "
			  "line %d", e->int1, r->what, e->str1, e->str2, e->line);
	else
		error_set(&r->first, VMM_ERR_XML,
			  "line %d, column %d: %s XML is not well-formed: %s%s", e->line, e->int2,
			  r->what, g_strchomp(text), parse_advice(e));
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
	struct reading r = { .what = what };

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
	else if (why)
		g_propagate_error(error, g_steal_pointer(&why));
	else if (!doc || !xmlDocGetRootElement(doc))
		error_set(error, VMM_ERR_XML, "%s XML is not well-formed", what);
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

bool xml_validate_by(xmlDoc *doc, const char *name, GError **error)
{
	const char *dir = g_getenv("VMM_SCHEMA_DIR") ?: PKGDATADIR "/schemas";
	g_autofree char *file = g_build_filename(dir, name, NULL);

	return xml_validate(doc, file, error);
}

bool xml_root_is(const xmlNode *root, const char *name, GError **error)
{
	return strcmp((const char *)root->name, name) == 0 ||
	       xml_error(root, VMM_ERR_XML, error, "this is no <%s>", name);
}

/* ---- elements ---- */

xmlNode *xml_child(const xmlNode *node, const char *name)
{
	if (!node)
		return NULL;
	for (xmlNode *c = node->children; c; c = c->next)
		if (xml_is_named(c, name))
			return c;
	return NULL;
}

/* A declaration of its own makes it no other namespace. */
static bool same_namespace(const xmlNode *a, const xmlNode *b)
{
	return xmlStrEqual(a->ns ? a->ns->href : NULL, b->ns ? b->ns->href : NULL);
}

xmlNode *xml_next(const xmlNode *node)
{
	for (xmlNode *n = node->next; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, node->name) &&
		    same_namespace(n, node))
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
		return xml_error(node, VMM_ERR_XML, error,
				 "attribute '%s' is missing: <%s %s='...'> needs it", name,
				 (const char *)node->name, name);
	g_free(*ret);
	*ret = g_steal_pointer(&value);
	return true;
}

static bool check_path(const xmlNode *node, const char *path, GError **error)
{
	if (!path)
		return xml_error(node, VMM_ERR_XML, error, "a path is missing");
	if (path[0] != '/')
		return xml_error(node, VMM_ERR_XML, error,
				 "'%s' is not an absolute path: it must begin with '/'", path);
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

	return !value || xml_parse_u64(value, UINT64_MAX, ret) ||
	       xml_fault(node, name, VMM_ERR_XML, error, "%s='%s' is not a number: write %s='N'",
			 name, value, name);
}

bool xml_attr_uint(const xmlNode *node, const char *name, unsigned min, unsigned max, unsigned *ret,
		   GError **error)
{
	g_autofree char *value = xml_attr(node, name);
	uint64_t number;

	if (!value)
		return true;
	if (!xml_parse_u64(value, max, &number) || number < min)
		return xml_fault(node, name, VMM_ERR_XML, error,
				 "%s='%s' is not a number from %u to %u", name, value, min, max);
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
		return xml_fault(node, name, VMM_ERR_XML, error,
				 "%s='%s' is not a number: write %s='N'", name, value, name);
	*ret = number;
	return true;
}

struct names {
	const char *const *names;
	unsigned n;
};

static const char *name_at(const void *arg, unsigned i)
{
	const struct names *all = arg;

	return i < all->n ? all->names[i] ? all->names[i] : "" : NULL;
}

/* What the rest of an element's meaning hangs on can't be passed over. */
static bool decides(const char *attr)
{
	static const char *const deciding[] = { "type", "mode", "offset", "bus", "device", NULL };

	return g_strv_contains(deciding, attr);
}

static char *enum_advice(const xmlNode *node, const char *name, const char *value,
			 const struct names *all, const char *hint)
{
	const char *near = nearest(value, name_at, all);
	g_autoptr(GString) known = g_string_new(NULL);

	if (near)
		return g_strdup_printf("%s='%s' is not known: did you mean '%s'?", name, value,
				       near);
	if (hint)
		return g_strdup_printf("%s='%s' is not supported: %s", name, value, hint);
	for (unsigned i = 0; i < all->n; i++)
		if (all->names[i])
			g_string_append_printf(known, "%s'%s'", known->len ? ", " : "",
					       all->names[i]);
	return g_strdup_printf("%s='%s' is not one of %s", name, value, known->str);
}

static bool enum_error(const xmlNode *node, const char *name, const char *value,
		       const struct names *all, GError **error)
{
	g_autofree char *key = g_strdup_printf("%s=%s", name, value);
	const char *hint = xml_hint(node, key);
	g_autofree char *text = enum_advice(node, name, value, all, hint);
	enum vmm_error code = hint ? VMM_ERR_CONFIG_UNSUPPORTED : VMM_ERR_XML;

	if (xml_fault(node, name, code, error, "%s", text))
		return !decides(name) || xml_give_up(node, code, error);
	return false;
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
	return enum_error(node, name, value, &(struct names){ names, n }, error);
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
