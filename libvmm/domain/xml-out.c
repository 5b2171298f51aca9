/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing XML. */
#include "config.h"
#include "libvmm/domain/xml-out.h"

void xml_out_init(struct xml_out *out)
{
	*out = (struct xml_out){ .text = g_string_new(NULL), .open = g_ptr_array_new() };
}

char *xml_out_done(struct xml_out *out)
{
	g_assert(out->open->len == 0);
	g_ptr_array_unref(out->open);
	return g_string_free(g_steal_pointer(&out->text), FALSE);
}

static void escape(GString *to, const char *text, bool attr)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			g_string_append(to, "&lt;");
			break;
		case '>':
			g_string_append(to, "&gt;");
			break;
		case '&':
			g_string_append(to, "&amp;");
			break;
		case '\'':
			g_string_append(to, attr ? "&apos;" : "'");
			break;
		case '\n':
		case '\t':
		case '\r':
			/* As they are, an attribute would be read back with blanks. */
			if (attr || *text == '\r')
				g_string_append_printf(to, "&#%d;", *text);
			else
				g_string_append_c(to, *text);
			break;
		default:
			g_string_append_c(to, *text);
		}
	}
}

static void indent(struct xml_out *out)
{
	for (unsigned i = 0; i < out->open->len; i++)
		g_string_append(out->text, "  ");
}

static void close_tag(struct xml_out *out)
{
	if (out->in_tag)
		g_string_append(out->text, ">\n");
	out->in_tag = false;
}

void xml_begin(struct xml_out *out, const char *name)
{
	close_tag(out);
	indent(out);
	g_string_append_printf(out->text, "<%s", name);
	g_ptr_array_add(out->open, (char *)name);
	out->in_tag = true;
}

static const char *pop(struct xml_out *out)
{
	return g_ptr_array_steal_index(out->open, out->open->len - 1);
}

void xml_end(struct xml_out *out)
{
	const char *name = pop(out);

	if (out->in_tag) {
		g_string_append(out->text, "/>\n");
	} else {
		indent(out);
		g_string_append_printf(out->text, "</%s>\n", name);
	}
	out->in_tag = false;
}

void xml_end_text(struct xml_out *out, const char *text)
{
	g_assert(out->in_tag);
	if (!text || !*text) {
		xml_end(out);
		return;
	}
	g_string_append_c(out->text, '>');
	escape(out->text, text, false);
	g_string_append_printf(out->text, "</%s>\n", pop(out));
	out->in_tag = false;
}

void xml_put(struct xml_out *out, const char *name, const char *value)
{
	g_assert(out->in_tag);
	if (!value)
		return;
	g_string_append_printf(out->text, " %s='", name);
	escape(out->text, value, true);
	g_string_append_c(out->text, '\'');
}

void xml_putf(struct xml_out *out, const char *name, const char *format, ...)
{
	g_autofree char *value = NULL;
	va_list ap;

	va_start(ap, format);
	value = g_strdup_vprintf(format, ap);
	va_end(ap);
	xml_put(out, name, value);
}

void xml_leaf(struct xml_out *out, const char *name, const char *text)
{
	if (!text)
		return;
	xml_begin(out, name);
	xml_end_text(out, text);
}

void xml_leaf_attr(struct xml_out *out, const char *name, const char *attr, const char *value)
{
	if (!value)
		return;
	xml_begin(out, name);
	xml_put(out, attr, value);
	xml_end(out);
}

void xml_raw(struct xml_out *out, const char *markup)
{
	close_tag(out);
	indent(out);
	g_string_append_printf(out->text, "%s\n", markup);
}

/* libxml2 writes a namespace as it is: with an "&" in it nobody could read it again. */
static void namespaces_escape(xmlNode *node)
{
	for (xmlNs *ns = node->nsDef; ns; ns = ns->next) {
		g_autofree char *escaped =
			ns->href ? g_markup_escape_text((const char *)ns->href, -1) : NULL;

		if (!escaped || g_str_equal(escaped, (const char *)ns->href))
			continue;
		xmlFree((void *)ns->href);
		ns->href = xmlStrdup(BAD_CAST escaped);
	}
	for (xmlNode *n = node->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE)
			namespaces_escape(n);
}

char *xml_dump(xmlNode *node, bool indented)
{
	xmlBuffer *buffer = xmlBufferCreate();
	char *text = NULL;

	namespaces_escape(node);
	if (buffer && xmlNodeDump(buffer, node->doc, node, 0, indented) >= 0)
		text = g_strdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return text;
}
