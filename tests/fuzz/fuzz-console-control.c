/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A driver that says anything on the control queue of a console, while somebody types. */
#include "config.h"
#include "fuzz-driver.h"

#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/device/console.h"
#include "libvmm/device/hub.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"

struct guest {
	struct driver *d;
	struct hub *hubs[2];
	int fd;			/* of who types */
};

static void message(struct guest *g, struct fuzz_input *in)
{
	struct driver_buf buf = { .len = 8 };

	if (!g->d->q[3].size || g->d->alloc_gpa > FUZZ_ALLOC_END)
		return;
	buf.gpa = driver_alloc(g->d, 8);
	for (unsigned i = 0; i < 8; i++)	/* id, event, value: mostly small */
		((uint8_t *)driver_ptr(g->d, buf.gpa))[i] = (uint8_t)(i & 1 ? 0 : fuzz_take(in, 1));
	driver_add(g->d, 3, &buf, 1);
	driver_kick(g->d, 3);
}

static void step(struct guest *g, struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 8) {
	case 0:
	case 1:
		message(g, in);
		break;
	case 2:
	case 3:
		fuzz_chain(g->d, in, (unsigned)fuzz_take(in, 1) % DRIVER_QUEUES);
		break;
	case 4:
		fuzz_poke(g->d, in);
		break;
	case 5:
		send(g->fd, "typed", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
		fuzz_loop(8);
		break;
	case 6:
		hub_resize(g->hubs[0], (unsigned)fuzz_take(in, 3), (unsigned)fuzz_take(in, 1));
		break;
	case 7:
		if (g->d->alloc_gpa < FUZZ_ALLOC_END)
			driver_init(g->d, fuzz_take(in, 5), 16);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest g = { .d = driver_new(1) };
	struct console_port ports[2] = { { NULL, NULL }, { "org.qemu.guest_agent.0", NULL } };
	struct console_opts opts = { .name = "console", .ports = ports, .n_ports = 2 };

	fuzz_quiet();
	for (unsigned i = 0; i < 2; i++)
		ports[i].hub = g.hubs[i] = hub_new("hub", NULL);
	g.fd = hub_attach(g.hubs[0], HUB_WRITE, "fuzz", 0, NULL, NULL);
	driver_attach(g.d, console_new(&opts, g.d->mem, NULL, NULL));
	driver_init(g.d, fuzz_take(&in, 1) & 7, 16);
	while (in.left)
		step(&g, &in);
	fuzz_loop(16);
	driver_free(g.d);
	close(g.fd);
	hub_free(g.hubs[0]);
	hub_free(g.hubs[1]);
	return 0;
}
