/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's metadata: found, set and removed by namespace. */
#include "config.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "vmmd/metadata.h"

#define BOTH "<metadata><a:x xmlns:a='urn:a'><a:y/></a:x><b:x xmlns:b='urn:b'>text</b:x></metadata>"

static void an_element_is_found_by_its_namespace(void)
{
	g_autofree char *a = metadata_get(BOTH, "urn:a");

	g_assert_nonnull(strstr(a, "<x>"));
	g_assert_nonnull(strstr(a, "<y/>"));
	g_assert_null(metadata_get(BOTH, "urn:c"));
	g_assert_null(metadata_get(NULL, "urn:a"));
}

static void setting_replaces_one_and_leaves_the_others(void)
{
	g_autofree char *whole = NULL, *a = NULL, *b = NULL;

	g_assert_true(metadata_set(BOTH, "urn:a", "k", "<new z='1'/>", &whole, NULL));
	a = metadata_get(whole, "urn:a");
	b = metadata_get(whole, "urn:b");
	g_assert_cmpstr(a, ==, "<new z=\"1\"/>");
	g_assert_cmpstr(b, ==, "<x>text</x>");
	g_assert_nonnull(strstr(whole, "<k:new xmlns:k=\"urn:a\" z=\"1\"/>"));
}

static void any_namespace_can_be_read_again(void)
{
	g_autofree char *whole = NULL, *both = NULL, *a = NULL, *none = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(metadata_set(NULL, "http://x/?a='1'&b=2", "k", "<e/>", &whole, NULL));
	g_assert_true(metadata_set(whole, "urn:b", "b", "<f xmlns:n='u&amp;v' n:z='1'/>", &both,
				   NULL));
	a = metadata_get(both, "http://x/?a='1'&b=2");
	g_assert_cmpstr(a, ==, "<e/>");
	g_assert_false(metadata_set(both, "urn:\xc1", "k", "<e/>", &none, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG);
	g_assert_false(metadata_set(both, "urn:<", "k", "<e/>", &none, NULL));
	g_assert_false(metadata_set(both, "urn:c", "k", "<e xmlns='urn:d'/>", &none, NULL));
	g_assert_null(none);
}

static void removing_the_last_leaves_nothing(void)
{
	g_autofree char *one = NULL, *none = NULL;

	g_assert_true(metadata_set(NULL, "urn:a", "k", "<x/>", &one, NULL));
	g_assert_true(metadata_set(one, "urn:a", NULL, NULL, &none, NULL));
	g_assert_null(none);
}

static void what_is_no_xml_and_no_name_is_refused(void)
{
	static const char *const keys[] = { NULL, "", "a b", "a:b", "<" };
	g_autoptr(GError) error = NULL;
	char *whole;

	g_assert_false(metadata_set(NULL, "urn:a", "k", "<x>", &whole, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_XML);
	for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
		g_assert_false(metadata_set(NULL, "urn:a", keys[i], "<x/>", &whole, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/metadata/get", an_element_is_found_by_its_namespace);
	g_test_add_func("/metadata/set", setting_replaces_one_and_leaves_the_others);
	g_test_add_func("/metadata/remove", removing_the_last_leaves_nothing);
	g_test_add_func("/metadata/namespace", any_namespace_can_be_read_again);
	g_test_add_func("/metadata/refuse", what_is_no_xml_and_no_name_is_refused);
	return g_test_run();
}
