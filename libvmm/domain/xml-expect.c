/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which elements and attributes may be somewhere, and what to say of the others. */
#include "config.h"

#include <string.h>

#include "libvmm/domain/domain.h"
#include "libvmm/domain/xml-priv.h"
#include "libvmm/util/nearest.h"

#define VMM_PREFIX "vmm:"

bool xml_is_named(const xmlNode *node, const char *name)
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

/* ---- what was meant ---- */

/* "range* alias" in words; some may be empty. */
static GStrv split(const char *list)
{
	g_autofree char *plain = g_strdelimit(g_strdup(list ? list : ""), "*", ' ');

	return g_strsplit(plain, " ", -1);
}

static const char *word_at(const void *words, unsigned i)
{
	return ((const char *const *)words)[i];
}

char *xml_nearest(const char *word, const char *list)
{
	g_auto(GStrv) words = split(list);

	return g_strdup(nearest(word, word_at, words));
}

static bool has_word(const char *list, const char *word)
{
	g_auto(GStrv) words = split(list);

	return g_strv_contains((const char *const *)words, word);
}

static char *with_commas(const char *list)
{
	g_auto(GStrv) words = split(list);
	g_autoptr(GString) text = g_string_new(NULL);

	for (char **w = words; *w; w++)
		if (**w)
			g_string_append_printf(text, "%s%s", text->len ? ", " : "", *w);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* What is known of one element, and what was met in it. */
struct stranger {
	const xmlNode *parent;
	const char *name;
	bool attr;
	const char *attrs, *children;	/* that its parent may have */
};

/* Where it has its place, if that is elsewhere and it may be written there. */
static char *elsewhere(const struct stranger *s)
{
	bool attr;
	const char *place = xml_place_of(s->name, &attr);

	/* each kind of <source> has its own attributes */
	if (!place || (s->attr && (!attr || !strcmp((const char *)s->parent->name, "source"))))
		return NULL;
	if (attr && !s->attr)
		return g_strdup_printf(": it is an attribute of %s", place);
	return g_strdup_printf(": it belongs in %s", place);
}

/* Of the other kind, somewhere else, or misspelt: in this order, for a known name is no slip. */
static char *advice(const struct stranger *s)
{
	const char *parent = (const char *)s->parent->name;
	const char *known = s->attr ? s->attrs : s->children;
	g_autofree char *near = xml_nearest(s->name, known), *place = elsewhere(s);
	g_autofree char *far = NULL, *list = NULL;
	bool attr;

	if (!s->attr && has_word(s->attrs, s->name))
		return g_strdup_printf(": it is an attribute: <%s %s='...'>", parent, s->name);
	if (s->attr && has_word(s->children, s->name))
		return g_strdup_printf(": it is an element within: <%s>", s->name);
	if (place)
		return g_steal_pointer(&place);
	if (near)
		return g_strdup_printf(": did you mean %s%s%s?", s->attr ? "'" : "<", near,
				       s->attr ? "'" : ">");
	far = s->attr ? NULL : xml_nearest_place(s->name);
	if (far)
		return g_strdup_printf(": did you mean <%s>, which belongs in %s?", far,
				       xml_place_of(far, &attr));
	list = with_commas(known);
	return *list ? g_strdup_printf("; known here: %s", list) :
		       g_strdup(": none is known here");
}

/* The place that helps is the child's, or the attribute's. */
static bool refuse(const xmlNode *where, const struct stranger *s, GError **error)
{
	const char *hint = xml_hint(s->parent, s->name);
	const char *what = s->attr ? "attribute" : "element";
	const char *open = s->attr ? "'" : "<", *close = s->attr ? "'" : ">";
	g_autofree char *text = NULL;

	if (hint)
		return xml_fault_in(where, s->parent, s->attr ? s->name : NULL,
				    VMM_ERR_CONFIG_UNSUPPORTED, error,
				    "%s %s%s%s is not supported: %s", what, open, s->name, close,
				    hint);
	text = advice(s);
	return xml_fault_in(where, s->parent, s->attr ? s->name : NULL, VMM_ERR_XML, error,
			    "unknown %s %s%s%s%s", what, open, s->name, close, text);
}

/* ---- what may be there ---- */

static bool expect_attrs(const xmlNode *node, const char *attrs, const char *children,
			 GError **error)
{
	g_auto(GStrv) known = split(attrs);

	for (const xmlAttr *a = node->properties; a; a = a->next) {
		const struct stranger s = { node, (const char *)a->name, true, attrs, children };

		if ((a->ns || !g_strv_contains((const char *const *)known, s.name)) &&
		    !refuse(node, &s, error))
			return false;
	}
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
		if (xml_is_named(child, name))
			return i;
	}
	return -1;
}

static bool expect_child(const xmlNode *child, char **known, const char *attrs,
			 const char *children, uint64_t *seen, GError **error)
{
	bool many;
	int i = find_known(child, known, &many);

	if (i < 0) {
		const char *prefix = child->ns ? (const char *)child->ns->prefix : NULL;
		g_autofree char *name = g_strconcat(prefix ? prefix : "", prefix ? ":" : "",
						    (const char *)child->name, NULL);
		const struct stranger s = { child->parent, name, false, attrs, children };

		return refuse(child, &s, error);
	}
	if (!many && (*seen & 1ull << i) &&
	    !xml_fault(child, NULL, VMM_ERR_XML, error, "the element may be there only once"))
		return false;
	*seen |= 1ull << i;
	return true;
}

static bool expect_children(const xmlNode *node, const char *attrs, const char *list,
			    GError **error)
{
	g_auto(GStrv) known = g_strsplit(list ? list : "", " ", -1);
	uint64_t seen = 0;

	g_assert(g_strv_length(known) <= 64);
	for (const xmlNode *c = node->children; c; c = c->next) {
		if (c->type == XML_ELEMENT_NODE &&
		    !expect_child(c, known, attrs, list ? list : "", &seen, error))
			return false;
		if (list && c->type == XML_TEXT_NODE && !xmlIsBlankNode(c))
			return xml_error(node, VMM_ERR_XML, error, "text is not expected here%s",
					 *list ? ": write an element, or leave it out" :
						 ": what belongs to it is in attributes");
		if (c->type != XML_ELEMENT_NODE && c->type != XML_TEXT_NODE &&
		    c->type != XML_COMMENT_NODE)
			return xml_error(node, VMM_ERR_XML, error,
					 "only elements, text and comments are expected here");
	}
	return true;
}

bool xml_expect(const xmlNode *node, const char *attrs, const char *children, GError **error)
{
	return expect_attrs(node, attrs, children, error) &&
	       expect_children(node, attrs, children, error);
}
