/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that send what they like to a vmmd in this process: its sockets, sessions, dispatcher and
 * every handler, over a store in memory.  Workers and children can't be started.
 *
 * The input is a list of steps.  A step is a few bytes as they are, or a call: which procedure, and
 * arguments put together of what calls are made of (domains that exist, texts, flags, XML), so that
 * handlers get further than their decoder.
 */
#include "config.h"

#include <ftw.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libvmm/rpc/frame.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/rpc/vmmtab.h"
#include "libvmm/util/cleanup.h"
#include "tests/fuzz/fuzz-jail.h"
#include "tests/fuzz/fuzz.h"
#include "vmmd/domain.h"
#include "vmmd/event.h"
#include "vmmd/graph.h"
#include "vmmd/imagejob.h"
#include "vmmd/lifecycle.h"
#include "vmmd/logbook.h"
#include "vmmd/network.h"
#include "vmmd/pool.h"
#include "vmmd/server.h"
#include "vmmd/store.h"

#define CLIENTS 3
#define STEPS_MAX 40
#define PARTS_MAX 8
#define TURNS 20
#define DIR FUZZ_JAIL_DIR "/vmmd"
#define SOCK DIR "/sock"
#define UUID_A "11111111-2222-4333-8444-555555555555"

#define DOMAIN_XML(name, uuid, rest) \
	"<domain type='kvm'><name>" name "</name><uuid>" uuid "</uuid>" \
	"<memory unit='MiB'>64</memory><os><type>hvm</type><kernel>/k</kernel></os>" \
	"<devices>" rest "</devices></domain>"
#define DISK_XML \
	"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>" \
	"<source file='" DIR "/state/images/v'/><target dev='vda' bus='virtio'/></disk>"

/* What people say, so that it is understood. */
static const char *const texts[] = {
	"", "a", "b", "c", "default", "vda", "v", "vmm:///system", UUID_A, "s1", "serial0", "net0",
	"52:54:00:00:00:01", "/k", DIR "/state/images/v", "raw", "qcow2", "vcpu_quota",
	"cpu_shares",
	DOMAIN_XML("a", UUID_A, DISK_XML),
	DOMAIN_XML("c", "11111111-2222-4333-8444-555555555557", "<interface type='user'/>"),
	DISK_XML, "<interface type='user'/>",
	"<interface type='network'><source network='n'/></interface>",
	"<domainsnapshot><name>s1</name></domainsnapshot>",
	"<pool type='dir'><name>p</name><target><path>" DIR "/pool</path></target></pool>",
	"<volume><name>v</name><capacity>1048576</capacity><target><format type='raw'/></target>"
	"</volume>",
	"<network><name>n</name><ip address='10.9.9.1' netmask='255.255.255.0'><dhcp>"
	"<range start='10.9.9.2' end='10.9.9.9'/></dhcp></ip></network>",
	"<host mac='52:54:00:00:00:01' ip='10.9.9.3'/>", "<x xmlns='urn:x'>y</x>",
	"<memballoon model='virtio'/>", "<serial type='pty'/>", "tcp:127.0.0.1:8022-:22",
};

struct fuzz {
	struct daemon daemon;
	int clients[CLIENTS];
	uint32_t serial;
};

/* No process is started: the caller hears that there is no such program. */
gboolean g_spawn_async_with_pipes_and_fds(const gchar *dir, const gchar *const *argv,
					  const gchar *const *envp, GSpawnFlags flags,
					  GSpawnChildSetupFunc setup, gpointer data, gint in,
					  gint out, gint err, const gint *sources,
					  const gint *targets, gsize n, GPid *pid, gint *in_pipe,
					  gint *out_pipe, gint *err_pipe, GError **error)
{
	g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT, "no process is started here");
	return FALSE;
}

/* ---- the daemon ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	remove(path);
	return 0;
}

static void must(bool ok, GError *error)
{
	if (!ok)
		g_error("the daemon does not start: %s", error ? error->message : "?");
}

static void domain_add(struct daemon *d, const char *xml)
{
	g_autoptr(GError) error = NULL;
	domain_def *def = domain_def_parse(xml, 0, &error);
	struct domain *dom;

	must(def, error);
	dom = domain_new(d, def->uuid, def->name);
	must(domain_save(dom, def, &error), error);
}

static void daemon_make(struct daemon *d)
{
	g_autoptr(GError) error = NULL;

	nftw(DIR, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	*d = (struct daemon){
		.loop = g_main_loop_new(NULL, FALSE),
		.state_dir = g_strdup(DIR "/state"), .run_dir = g_strdup(DIR "/run"),
		.log_dir = g_strdup(DIR "/log"), .image_dir = g_strdup(DIR "/state/images"),
		.worker_path = g_strdup("/nowhere/vmm-worker"),
		.console_log_bytes = 1 << 20, .start_timeout_ms = 1000, .stop_timeout_ms = 1000,
		.powerdown_timeout_ms = 1000,
	};
	g_mkdir_with_parents(d->state_dir, 0700);
	g_mkdir_with_parents(d->run_dir, 0700);
	g_mkdir_with_parents(d->log_dir, 0700);
	d->store = store_open(":memory:", &error);
	must(d->store, error);
	d->logbook = logbook_open(d->log_dir);
	d->domains = domain_table_new();
	d->events = event_hub_new(d);
	d->server = server_new(d);
	d->graph = graph_open(d, &error);
	must(d->graph && pools_load(d, &error) && networks_load(d, &error), error);
	must(server_listen(d->server, SOCK, 0600, false, &error), error);
	domain_add(d, DOMAIN_XML("a", UUID_A, DISK_XML));
	domain_add(d, DOMAIN_XML("b", "11111111-2222-4333-8444-555555555556",
				 "<serial type='pty'/><interface type='user'/>"));
}

static void daemon_end(struct daemon *d)
{
	imagejobs_end(d);
	server_free(d->server);
	d->server = NULL;
	lifecycle_leave_all(d);
	networks_free(d->networks);
	event_hub_free(d->events);
	domain_table_free(d->domains);
	pools_free(d->pools);
	graph_free(d->graph);
	store_close(d->store);
	logbook_close(d->logbook);
	g_main_loop_unref(d->loop);
	g_free(d->state_dir);
	g_free(d->run_dir);
	g_free(d->log_dir);
	g_free(d->image_dir);
	g_free(d->cgroup_dir);
	g_free(d->worker_path);
}

/* Each domain is found under what it says that it is. */
static void check_tables(struct daemon *d)
{
	g_autoptr(GPtrArray) all = domain_table_list(d->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = all->pdata[i];

		g_assert(domain_find_uuid(d->domains, dom->uuid) == dom);
		g_assert(domain_find_name(d->domains, dom->name) == dom);
		g_assert(!dom->saved || g_str_equal(dom->saved->name, dom->name));
		g_assert(dom->persistent || state_is_active(dom->state));
	}
}

/* ---- clients ---- */

static int client_new(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCK };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		g_error("connect: %s", g_strerror(errno));
	return fd;
}

static void turn(struct fuzz *f)
{
	uint8_t drop[4096];

	for (unsigned i = 0; i < TURNS && g_main_context_iteration(NULL, FALSE); i++)
		;
	for (unsigned i = 0; i < CLIENTS; i++)
		while (f->clients[i] >= 0 && recv(f->clients[i], drop, sizeof(drop), 0) > 0)
			;
}

static void say(struct fuzz *f, unsigned client, const void *bytes, size_t n)
{
	if (f->clients[client] < 0)
		f->clients[client] = client_new();
	if (send(f->clients[client], bytes, n, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		fd_close(&f->clients[client]);
	turn(f);
}

/* ---- calls ---- */

static void put_u32(GByteArray *b, uint32_t v)
{
	v = GUINT32_TO_BE(v);
	g_byte_array_append(b, (const uint8_t *)&v, sizeof(v));
}

static void put_text(GByteArray *b, const char *text)
{
	static const uint8_t zeroes[4];
	const size_t n = strlen(text);

	put_u32(b, (uint32_t)n);
	g_byte_array_append(b, (const uint8_t *)text, (guint)n);
	g_byte_array_append(b, zeroes, (4 - n % 4) % 4);
}

static void put_uuid(GByteArray *b, unsigned which)
{
	uint8_t uuid[UUID_BYTES] = { 0 };

	uuid_from_text(UUID_A, uuid);
	uuid[UUID_BYTES - 1] += (uint8_t)(which % 4);
	g_byte_array_append(b, uuid, UUID_BYTES);
}

static void put_raw(GByteArray *b, struct fuzz_input *in)
{
	for (unsigned n = 1 + (unsigned)fuzz_take(in, 1) % 32; n > 0 && in->left; n--)
		put_u32(b, (uint32_t)fuzz_take(in, 1));
}

static void put_part(GByteArray *b, struct fuzz_input *in)
{
	unsigned shape = (unsigned)fuzz_take(in, 1), which = shape >> 3;

	switch (shape & 7) {
	case 0:			/* a domain */
		put_text(b, which & 1 ? "b" : "a");
		put_uuid(b, which & 3);
		put_u32(b, (uint32_t)-1);
		return;
	case 1:
		put_text(b, texts[fuzz_take(in, 1) % G_N_ELEMENTS(texts)]);
		return;
	case 2:			/* flags and counts */
		put_u32(b, which);
		return;
	case 3:
		put_u32(b, (uint32_t)fuzz_take(in, 4));
		return;
	case 4:			/* a text that is there */
		put_u32(b, 1);
		put_text(b, texts[fuzz_take(in, 1) % G_N_ELEMENTS(texts)]);
		return;
	case 5:
		put_uuid(b, which);
		return;
	case 6:			/* 64 bits */
		put_u32(b, (uint32_t)fuzz_take(in, 1));
		put_u32(b, (uint32_t)fuzz_take(in, 2));
		return;
	default:
		put_raw(b, in);
	}
}

static void call(struct fuzz *f, struct fuzz_input *in, unsigned client, unsigned program)
{
	static const uint32_t programs[] = { FRAME_PROGRAM_REMOTE, FRAME_PROGRAM_VMM,
					     FRAME_PROGRAM_REMOTE, FRAME_PROGRAM_QEMU };
	const unsigned max[] = { REMOTE_PROC_MAX, VMM_PROC_MAX, REMOTE_PROC_MAX, 8 };
	g_autoptr(GByteArray) b = g_byte_array_new();
	unsigned nr = 1 + (unsigned)fuzz_take(in, 2) % max[program];
	unsigned how = (unsigned)fuzz_take(in, 1);
	uint32_t length;

	put_u32(b, 0);
	put_u32(b, programs[program]);
	put_u32(b, 1);
	put_u32(b, nr);
	put_u32(b, how >> 3 & 3 ? FRAME_CALL : (uint32_t)(how >> 5));
	put_u32(b, how & 0x20 ? f->serial : ++f->serial);
	put_u32(b, how >> 6 ? 0 : FRAME_CONTINUE);
	for (unsigned n = how % PARTS_MAX; n > 0; n--)
		put_part(b, in);
	length = GUINT32_TO_BE(b->len);
	memcpy(b->data, &length, sizeof(length));
	say(f, client, b->data, b->len);
}

static void open_connection(struct fuzz *f, unsigned client)
{
	g_autoptr(GByteArray) b = g_byte_array_new();
	const uint32_t head[] = { 28 + 4 + 20 + 4, FRAME_PROGRAM_REMOTE, 1, 1, FRAME_CALL, 0, 0,
				  1 };

	for (unsigned i = 0; i < G_N_ELEMENTS(head); i++)
		put_u32(b, head[i]);
	put_text(b, "vmm:///system");
	put_u32(b, 0);
	say(f, client, b->data, b->len);
}

static void step(struct fuzz *f, struct fuzz_input *in)
{
	unsigned kind = (unsigned)fuzz_take(in, 1), client = (kind >> 4) % CLIENTS;

	switch (kind & 15) {
	case 0: {
		size_t n = MIN(in->left, (size_t)(1 + fuzz_take(in, 1)));

		n = MIN(n, in->left);
		say(f, client, in->data, n);
		in->data += n;
		in->left -= n;
		return;
	}
	case 1:
		fd_close(&f->clients[client]);
		turn(f);
		return;
	default:
		call(f, in, client, kind & 3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .clients = { -1, -1, -1 } };
	struct fuzz_input in = { data, size };

	fuzz_jail();
	fuzz_quiet();
	daemon_make(&f.daemon);
	open_connection(&f, 0);
	open_connection(&f, 1);
	for (unsigned i = 0; i < STEPS_MAX && in.left; i++)
		step(&f, &in);
	check_tables(&f.daemon);
	for (unsigned i = 0; i < CLIENTS; i++)
		fd_close(&f.clients[i]);
	turn(&f);
	daemon_end(&f.daemon);
	return 0;
}
