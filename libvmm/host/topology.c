/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's processors and memory cells. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/host/node.h"

#define CPU_DIR "/sys/devices/system/cpu"
#define CELL_DIR "/sys/devices/system/node"

static char *sys_line(const char *prefix, unsigned n, const char *file)
{
	g_autofree char *dir = NULL, *path = NULL;
	char *text = NULL;

	dir = g_strdup_printf("%s%u", prefix, n);
	path = g_build_filename(dir, file, NULL);
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	return g_strchomp(text);
}

static int cpu_id(unsigned cpu, const char *file)
{
	g_autofree char *text = sys_line(CPU_DIR "/cpu", cpu, file);

	return text ? (int)g_ascii_strtoll(text, NULL, 10) : -1;
}

/* Calls fn for each number of a list like "0-3,8". */
static void list_each(const char *list, void (*fn)(unsigned n, void *arg), void *arg)
{
	g_auto(GStrv) parts = g_strsplit(list, ",", -1);

	for (char **p = parts; *p; p++) {
		unsigned first, last;
		int got = sscanf(*p, "%u-%u", &first, &last);

		for (unsigned n = first;
		     got > 0 && n <= (got == 2 ? last : first) && n < NODE_CPUS_MAX; n++)
			fn(n, arg);
	}
}

static void cpu_free(void *data)
{
	struct node_cpu *cpu = data;

	g_free(cpu->siblings);
	g_free(cpu);
}

static void cpu_add(unsigned n, void *arg)
{
	struct node_topology *topo = arg;
	struct node_cpu *cpu = g_new0(struct node_cpu, 1);
	int online = cpu_id(n, "online");

	cpu->id = n;
	cpu->online = online != 0;	/* cpu0 mostly has no such file */
	cpu->socket_id = cpu_id(n, "topology/physical_package_id");
	cpu->die_id = cpu_id(n, "topology/die_id");
	cpu->core_id = cpu_id(n, "topology/core_id");
	cpu->siblings = sys_line(CPU_DIR "/cpu", n, "topology/thread_siblings_list");
	g_ptr_array_add(topo->cpus, cpu);
}

static void cpu_set_cell(unsigned n, void *arg)
{
	struct node_topology *topo = arg;

	for (guint i = 0; i < topo->cpus->len; i++) {
		struct node_cpu *cpu = topo->cpus->pdata[i];

		if (cpu->id == n)
			cpu->cell = topo->cells->len - 1;
	}
}

static void cell_add(unsigned n, void *arg)
{
	struct node_topology *topo = arg;
	struct node_cell cell = { .id = n };
	struct node_memory m;
	g_autofree char *cpus = sys_line(CELL_DIR "/node", n, "cpulist");

	if (topo->cells->len == NODE_CELLS_MAX || !node_memory_read(n, &m, NULL))
		return;
	cell.memory_kib = m.total_kib;
	cell.free_kib = m.free_kib;
	g_array_append_val(topo->cells, cell);
	if (cpus)
		list_each(cpus, cpu_set_cell, topo);
}

static void count_add(unsigned n, void *arg)
{
	++*(unsigned *)arg;
}

/* How many different values of key the CPUs have that match one socket (-1: all). */
static unsigned distinct(const struct node_topology *topo, int socket,
			 int (*key)(const struct node_cpu *))
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);

	for (guint i = 0; i < topo->cpus->len; i++) {
		const struct node_cpu *cpu = topo->cpus->pdata[i];

		if (cpu->online && (socket < 0 || cpu->socket_id == socket))
			g_hash_table_add(seen, GINT_TO_POINTER(key(cpu)));
	}
	return MAX(g_hash_table_size(seen), 1);
}

static int key_socket(const struct node_cpu *cpu)
{
	return cpu->socket_id;
}

static int key_die(const struct node_cpu *cpu)
{
	return cpu->die_id;
}

/* Core ids repeat in each die. */
static int key_core(const struct node_cpu *cpu)
{
	return (cpu->die_id + 1) * 65536 + cpu->core_id;
}

static void topology_shape(struct node_topology *topo)
{
	const struct node_cpu *first = topo->cpus->pdata[0];
	unsigned threads = 0, sockets = distinct(topo, -1, key_socket);

	if (first->siblings)
		list_each(first->siblings, count_add, &threads);
	topo->threads = MAX(threads, 1);
	topo->cores = distinct(topo, first->socket_id, key_core);
	topo->dies = distinct(topo, first->socket_id, key_die);
	topo->sockets = MAX(sockets / topo->cells->len, 1);
	if (topo->cells->len * topo->sockets * topo->cores * topo->threads < topo->cpus->len) {
		/* Irregular, or the kernel does not say: one flat socket in each cell. */
		topo->sockets = topo->dies = topo->threads = 1;
		topo->cores = (topo->cpus->len + topo->cells->len - 1) / topo->cells->len;
	}
}

struct node_topology *node_topology_read(void)
{
	struct node_topology *topo = g_new0(struct node_topology, 1);
	g_autofree char *cpus = NULL, *cells = NULL;

	topo->cpus = g_ptr_array_new_with_free_func(cpu_free);
	topo->cells = g_array_new(FALSE, TRUE, sizeof(struct node_cell));
	if (!g_file_get_contents(CPU_DIR "/present", &cpus, NULL, NULL))
		cpus = g_strdup_printf("0-%ld", MAX(sysconf(_SC_NPROCESSORS_CONF), 1) - 1);
	list_each(cpus, cpu_add, topo);
	if (!topo->cpus->len)
		cpu_add(0, topo);
	if (g_file_get_contents(CELL_DIR "/online", &cells, NULL, NULL))
		list_each(cells, cell_add, topo);
	if (!topo->cells->len)
		cell_add(0, topo);
	if (!topo->cells->len)
		g_array_set_size(topo->cells, 1);
	topology_shape(topo);
	return topo;
}

void node_topology_free(struct node_topology *topo)
{
	if (!topo)
		return;
	g_ptr_array_unref(topo->cpus);
	g_array_unref(topo->cells);
	g_free(topo);
}

unsigned node_cpus_online(const struct node_topology *topo)
{
	unsigned n = 0;

	for (guint i = 0; i < topo->cpus->len; i++)
		n += ((const struct node_cpu *)topo->cpus->pdata[i])->online;
	return n;
}
