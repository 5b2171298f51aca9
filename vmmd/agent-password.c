/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-set-user-password, with crypt(5)'s hash in place of the password. */
#include "config.h"
#include "vmmd/agent-password.h"

#include <crypt.h>
#include <glib.h>
#include <string.h>

#include "images/agent/object.h"
#include "vmmd/agent-speech.h"

#define METHOD "$6$"	/* SHA-512: what every Linux of the last decade can check */

static char *hash_of(const char *password)
{
	g_autofree struct crypt_data *data = g_new0(struct crypt_data, 1);
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = crypt_gensalt_rn(METHOD, 0, NULL, 0, salt, sizeof(salt)) ?
				   crypt_r(password, salt, data) :
				   NULL;
	char *text = hash && *hash != '*' ? g_strdup(hash) : NULL;

	explicit_bzero(data, sizeof(*data));
	return text;
}

static void put_hash(struct json_object *args, const char *base64)
{
	size_t n = 0;
	g_autofree unsigned char *password = g_base64_decode(base64, &n);
	g_autofree char *text = g_strndup((const char *)password, n);
	g_autofree char *hash = memchr(password, 0, n) ? NULL : hash_of(text);
	g_autofree char *coded =
		hash ? g_base64_encode((const unsigned char *)hash, strlen(hash)) : NULL;

	explicit_bzero(password, n);
	explicit_bzero(text, strlen(text));
	if (!coded)
		return;		/* the agent says what is wrong with it */
	object_put_text(args, "password", coded);
	json_object_object_add(args, "crypted", json_object_new_boolean(true));
}

char *agent_password(const char *command)
{
	struct json_object *o =
		strstr(command, "guest-set-user-password") ? agent_json(command, strlen(command)) :
							     NULL;
	struct json_object *args = o ? json_object_object_get(o, "arguments") : NULL;
	const char *name = o ? object_text(o, "execute") : NULL;
	const char *password = args && json_object_is_type(args, json_type_object) ?
				       object_text(args, "password") : NULL;
	char *text = NULL;

	if (!g_strcmp0(name, "guest-set-user-password") && password &&
	    !object_flag(args, "crypted")) {
		put_hash(args, password);
		text = g_strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	}
	json_object_put(o);
	return text ?: g_strdup(command);
}
