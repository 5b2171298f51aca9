/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host: its processors, memory and name.  Read anew at each call, from /proc and /sys. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define NODE_CELLS_MAX 1024
#define NODE_CPUS_MAX 8192

struct node_cpu {
	unsigned id;
	bool online;
	int socket_id, die_id, core_id;		/* -1: not known (offline) */
	unsigned cell;
	char *siblings;				/* "0-1"; NULL: not known */
};

struct node_cell {
	unsigned id;
	uint64_t memory_kib, free_kib;
};

struct node_topology {
	GPtrArray *cpus;			/* of struct node_cpu, by id */
	GArray *cells;				/* of struct node_cell, at least one */
	/* nodes * sockets * cores * threads is at least the number of cpus. */
	unsigned sockets, cores, threads;	/* sockets per cell */
	unsigned dies;				/* per socket */
};

struct node_cpu_times {
	uint64_t kernel_ns, user_ns, idle_ns, iowait_ns, intr_ns;
};

struct node_memory {
	uint64_t total_kib, free_kib, buffers_kib, cached_kib;
};

typedef struct node_topology node_topology;

struct node_topology *
node_topology_read(void); /* never fails: what is not known is guessed as flat */
void node_topology_free(struct node_topology *topo);
unsigned node_cpus_online(const struct node_topology *topo);
unsigned node_mhz(void);				/* of the first CPU, now; 0: not known */
char *node_cpu_vendor(void);				/* "Intel", "AMD", or what cpuid says */

/* cpu -1: all together. */
bool node_cpu_times_read(int cpu, struct node_cpu_times *ret, GError **error);
/* cell -1: all together. */
bool node_memory_read(int cell, struct node_memory *ret, GError **error);
char *node_hostname(void);
char *node_uuid(void); /* of this host, 36 characters; stable over reboots */
char *node_sysinfo_xml(void);
/* The host as a device of this name, in libvirt's format. */
char *node_device_xml(const char *name);
/* Has the CPU a feature of this name (libvirt's: "sse4.2", "tsc-deadline")? */
bool node_cpu_has(const char *feature);
/* How many pages of this size are free in a cell; -1: all together. */
bool node_free_pages(int cell, unsigned page_kib, uint64_t *ret, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(node_topology, node_topology_free)
