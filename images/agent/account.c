/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users of the guest, by its own files: a static program asks no name service. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "images/agent/child.h"

#define GROUPS_MAX 256
#define FILE_MAX (1 << 20)

static void account_set(struct account *ret, const struct passwd *pw)
{
	*ret = (struct account){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	snprintf(ret->name, sizeof(ret->name), "%s", pw->pw_name);
	snprintf(ret->home, sizeof(ret->home), "%s", *pw->pw_dir ? pw->pw_dir : "/");
	snprintf(ret->shell, sizeof(ret->shell), "%s", *pw->pw_shell ? pw->pw_shell : "/bin/sh");
}

static bool account_seek(const char *name, uid_t uid, struct account *ret)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw;

	while (f && (pw = fgetpwent(f))) {
		if (name ? !strcmp(pw->pw_name, name) : pw->pw_uid == uid) {
			account_set(ret, pw);
			break;
		}
	}
	if (!f)
		return false;
	fclose(f);
	return pw;
}

void account_by_uid(uid_t uid, struct account *ret)
{
	if (account_seek(NULL, uid, ret))
		return;
	*ret = (struct account){ .home = "/", .shell = "/bin/sh", .uid = uid, .gid = uid };
	snprintf(ret->name, sizeof(ret->name), "%s", uid == 0 ? "root" : "");
}

bool account_find(const char *name, struct account *ret)
{
	char *end;
	unsigned long uid = strtoul(name, &end, 10);

	if (account_seek(name, 0, ret))
		return true;
	if (*name < '0' || *name > '9' || *end || uid > UINT32_MAX - 1)
		return !strcmp(name, "root") ? account_by_uid(0, ret), true : false;
	account_by_uid(uid, ret);
	return true;
}

void account_groups(const struct account *acc)
{
	gid_t list[GROUPS_MAX] = { acc->gid };
	FILE *f = fopen("/etc/group", "re");
	int n = 1;

	for (struct group *g; f && (g = fgetgrent(f));) {
		for (char **m = g->gr_mem; *m && n < GROUPS_MAX; m++) {
			if (*acc->name && !strcmp(*m, acc->name))
				list[n++] = g->gr_gid;
		}
	}
	if (f)
		fclose(f);
	if (setgroups(n, list) < 0)
		child_fail(errno, "set the groups of '%s'", acc->name);
}

static bool name_is_good(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return *name && *name != '-' && strlen(name) < 32 && strspn(name, letters) == strlen(name);
}

static void append_line(const char *path, const char *line)
{
	char *old = read_small(path, FILE_MAX), *text = NULL;
	size_t n = old ? strlen(old) : 0;

	if (n == FILE_MAX)
		child_fail(EFBIG, "add to '%s'", path);
	if (asprintf(&text, "%s%s%s\n", n ? old : "", n && old[n - 1] != '\n' ? "\n" : "", line) <
	    0)
		abort();
	put_file(path, text, strlen(text), 0644);
	free(text);
	free(old);
}

/* A user is there, with a home and a folder for what runs as long as the session. */
int request_session(struct json_object *request)
{
	const char *name = need_text(request, "user");
	int64_t uid = need_number(request, "uid", 1000, 1, 60000);
	struct account acc;
	char line[256], path[300];

	if (!name_is_good(name))
		child_fail(0, "'%s' is no name for a user", name);
	if (!account_seek(name, 0, &acc)) {
		if (account_seek(NULL, uid, &acc))
			child_fail(EEXIST, "the uid %lld is of '%s'", (long long)uid, acc.name);
		snprintf(line, sizeof(line), "%s:x:%lld:", name, (long long)uid);
		append_line("/etc/group", line);
		snprintf(line, sizeof(line), "%s:x:%lld:%lld::/home/%s:/bin/sh", name,
			 (long long)uid, (long long)uid, name);
		append_line("/etc/passwd", line);
		account_seek(name, 0, &acc);
	} else if (json_object_object_get(request, "uid") && acc.uid != uid) {
		child_fail(EEXIST, "the user '%s' has the uid %u", name, acc.uid);
	}
	if (mkdir(acc.home, 0700) == 0 && chown(acc.home, acc.uid, acc.gid) < 0)
		child_fail(errno, "give '%s' to '%s'", acc.home, name);
	mkdir("/run/user", 0755);
	snprintf(path, sizeof(path), "/run/user/%u", acc.uid);
	if (mkdir(path, 0700) == 0 && chown(path, acc.uid, acc.gid) < 0)
		child_fail(errno, "give '%s' to '%s'", path, name);
	struct json_object *o = json_object_new_object();
	object_put_number(o, "uid", acc.uid);
	object_put_number(o, "gid", acc.gid);
	object_put_text(o, "home", acc.home);
	child_reply(o);
	return 0;
}

/* The words are those of crypt(5); who asks has made them, so the password does not come here. */
int request_password(struct json_object *request)
{
	const char *name = need_text(request, "user"), *hash = need_text(request, "hash");
	FILE *in = fopen("/etc/shadow", "re");
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	bool found = false;

	if (!in || !out)
		child_fail(errno, "read '/etc/shadow'");
	if (!*hash || strpbrk(hash, ":\n") || strlen(hash) > 512)
		child_fail(0, "'hash' is none of crypt(5)");
	for (struct spwd *sp; (sp = fgetspent(in));) {
		if (!strcmp(sp->sp_namp, name)) {
			sp->sp_pwdp = (char *)hash;
			sp->sp_lstchg = time(NULL) / 86400;
			found = true;
		}
		putspent(sp, out);
	}
	fclose(in);
	fclose(out);
	if (!found)
		child_fail(ENOENT, "the user '%s'", name);
	put_file("/etc/shadow", text, n, 0600);
	return 0;
}

/* As the user: nobody's link may lead root to write elsewhere. */
static void become(const struct account *acc)
{
	account_groups(acc);
	if (setresgid(acc->gid, acc->gid, acc->gid) < 0 ||
	    setresuid(acc->uid, acc->uid, acc->uid) < 0)
		child_fail(errno, "become '%s'", acc->name);
}

static const char *check_key(const char *key)
{
	if (strchr(key, '\n') || strlen(key) > 16384 || !strchr(key, ' '))
		child_fail(0, "'key' is not one line of an OpenSSH public key");
	return key;
}

static void enter_keys(const char *name, char path[300])
{
	struct account acc;

	if (!account_find(name, &acc) || !*acc.name)
		child_fail(ENOENT, "the user '%s'", name);
	become(&acc);
	snprintf(path, 300, "%s/.ssh/authorized_keys", acc.home);
}

int request_ssh_key(struct json_object *request)
{
	const char *key[] = { check_key(need_text(request, "key")), NULL };

	ssh_keys_change(need_text(request, "user"), key, NULL, false);
	return 0;
}

struct json_object *ssh_keys_read(const char *name)
{
	struct json_object *list = json_object_new_array();
	char path[300], *save = NULL;

	enter_keys(name, path);
	char *text = read_small(path, FILE_MAX);
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (*line != '#')
			json_object_array_add(list, json_object_new_string(line));
	}
	free(text);
	return list;
}

static bool is_among(const char *const *keys, const char *line, size_t n)
{
	for (; keys && *keys; keys++) {
		if (strlen(*keys) == n && !memcmp(*keys, line, n))
			return true;
	}
	return false;
}

/* Lines that stay, and the new ones; a comment stays unless all begins anew. */
static void merge_keys(FILE *out, const char *old, const char *const *more,
		       const char *const *less)
{
	for (const char *line = old; line && *line;) {
		size_t n = strcspn(line, "\n");
		if (n && !is_among(less, line, n) && !is_among(more, line, n))
			fprintf(out, "%.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
	for (; *more; more++)
		fprintf(out, "%s\n", check_key(*more));
}

void ssh_keys_change(const char *name, const char *const *more, const char *const *less,
		     bool anew)
{
	char path[300], *text = NULL;
	size_t n = 0;

	enter_keys(name, path);
	char *slash = strrchr(path, '/');
	*slash = 0;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		child_fail(errno, "make '%s'", path);
	*slash = '/';
	char *old = anew ? NULL : read_small(path, FILE_MAX);
	FILE *out = open_memstream(&text, &n);
	if (!out || (old && strlen(old) == FILE_MAX))
		child_fail(EFBIG, "read '%s'", path);
	merge_keys(out, old, more, less);
	fclose(out);
	put_file(path, text, n, 0600);
	chmod(path, 0600);
	free(text);
	free(old);
}
