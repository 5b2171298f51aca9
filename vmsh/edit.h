/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A text in the user's editor, again and again until it is accepted or given up. */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct edit {
	const char *name;	/* for the file's name */
	const char *suffix;	/* ".xml" */
	bool comments;		/* why it was refused is put on top as an XML comment */
	/* Refusing means *error: the editor opens again. */
	bool (*apply)(void *opaque, const char *text, GError **error);
	void *opaque;
};

enum edit_result { EDIT_FAILED, EDIT_UNCHANGED, EDIT_APPLIED };

/*
 * When refused text is left as it is, or the editor fails, the user has given
 * up: EDIT_FAILED, and *error names the file in which the text is kept.
 */
enum edit_result edit_text(const struct edit *edit, const char *text, GError **error);

/* message as a comment above xml, but behind its XML declaration; and without it again. */
char *edit_comment_add(const char *xml, const char *message);
char *edit_comment_strip(const char *xml);
