/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The picture that "top" draws. */
#include "config.h"

#include <string.h>

#include "vmsh/fullscreen.h"
#include "vmsh/list.h"
#include "vmsh/size.h"
#include "vmsh/top-priv.h"

const char *const top_sort_names[N_SORTS] = {
	[SORT_NAME] = "name",	  [SORT_STATE] = "state", [SORT_CPU] = "cpu",
	[SORT_MEMORY] = "memory", [SORT_DISK] = "disk",	  [SORT_NET] = "net",
};
const struct column top_columns[] = {
	{ "Name", "name", COLUMN_SHRINK },
	{ "State", "state", 0 },
	{ "CPU %", "cpu_percent", COLUMN_RIGHT },
	{ "Memory", "memory", COLUMN_RIGHT },
	{ "Read/s", "read_rate", COLUMN_RIGHT | COLUMN_DROP },
	{ "Write/s", "write_rate", COLUMN_RIGHT | COLUMN_DROP },
	{ "In/s", "rx_rate", COLUMN_RIGHT | COLUMN_DROP },
	{ "Out/s", "tx_rate", COLUMN_RIGHT | COLUMN_DROP },
	{ "CPUs", "vcpus", COLUMN_RIGHT | COLUMN_DROP },
	{ "Uptime", "uptime", COLUMN_RIGHT | COLUMN_DROP },
	{ 0 },
};

/* "1.5M": narrow, since four of them stand in a row. */
static void add_rate(struct table *t, double bytes)
{
	static const char units[] = "BKMGTP";
	g_autofree char *shown = NULL;
	double n = bytes;
	unsigned u = 0;

	while (n >= 1000 && units[u + 1]) {
		n /= 1024;
		u++;
	}
	shown = u > 0 && n < 10 ? g_strdup_printf("%.1f%c", n, units[u]) :
				  g_strdup_printf("%.0f%c", n, units[u]);
	table_number(t, (uint64_t)bytes, shown);
}

void top_add_row(struct table *t, const struct top_row *r, bool coloured)
{
	g_autofree char *cpu = g_strdup_printf("%.1f", r->cpu_percent);
	g_autofree char *lasting = duration_text(r->uptime_s);
	bool runs = vmm_domain_id(r->dom) >= 0;

	table_text(t, vmm_domain_name(r->dom));
	table_text(t, vmm_state_text(r->state));
	table_colour(t, coloured ? state_colour(r->state) : COLOUR_NONE);
	table_real(t, r->cpu_percent, cpu);
	table_size(t, r->memory_bytes);
	add_rate(t, r->read_rate);
	add_rate(t, r->write_rate);
	add_rate(t, r->rx_rate);
	add_rate(t, r->tx_rate);
	table_number(t, r->vcpus, NULL);
	if (runs)
		table_number(t, r->uptime_s, lasting);
	else
		table_none(t);
}

char *top_summary(const struct top *top)
{
	struct top_row sum = top_sample_sum(top->sample);
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *time = g_date_time_format(now, "%H:%M:%S");
	g_autofree char *memory = size_text(sum.memory_bytes);
	unsigned running = top_sample_running(top->sample), n = top_sample_count(top->sample);

	g_autofree char *others = top->all ? g_strdup_printf(" of %u", n) : g_strdup("");

	return g_strdup_printf("%s  %u running%s  CPU %.1f%%  memory %s  by %s%s", time, running,
			       others, sum.cpu_percent, memory, top_sort_names[top->sort],
			       top->reverse ? ", reversed" : "");
}

static const char help_text[] =
	"\n  up, down, page up, page down, home, end   select a domain\n"
	"\n  s         start it, or let it run again if it is paused\n"
	"  t         shut it down\n"
	"  p         pause it\n"
	"  x         destroy it: pull its plug\n"
	"  Enter, a  attach to its console; Ctrl-] comes back\n"
	"\n  P M D T N E   sort by processor, memory, disk, net (traffic), name, state\n"
	"  R             the other way round\n"
	"  i             show those that are off, or not\n"
	"  space         look now\n"
	"\n  h or ?    this help\n"
	"  q         quit\n";

static void keep_in_view(struct top *top, unsigned rows)
{
	unsigned n = top_sample_count(top->sample);

	top->at = MIN(top->at, n > 0 ? n - 1 : 0);
	if (top->at < top->first)
		top->first = top->at;
	if (top->at >= top->first + rows)
		top->first = top->at - rows + 1;
	if (top->first + rows > n)
		top->first = n > rows ? n - rows : 0;
}

/* The selected line in reverse. */
static char *highlight(const char *text, unsigned line)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", 0);

	if (line < g_strv_length(lines)) {
		char *plain = lines[line];

		lines[line] = g_strdup_printf("\033[7m%s\033[0m", plain);
		g_free(plain);
	}
	return g_strjoinv("\n", lines);
}

static char *picture(struct top *top)
{
	g_autoptr(table) t = table_new(top_columns);
	g_autofree char *head = top_summary(top), *text = NULL, *lit = NULL;
	unsigned rows, width, room, n;

	fullscreen_size(&rows, &width);
	room = rows > TOP_LINES_AROUND ? rows - TOP_LINES_AROUND : 1;
	keep_in_view(top, room);
	n = top_sample_count(top->sample);
	for (unsigned i = top->first; i < n && i < top->first + room; i++)
		top_add_row(t, top_sample_row(top->sample, i), i != top->at);
	shell_screen_update(top->sh);
	text = table_render(t, &top->sh->out);
	lit = n > 0 ? highlight(text, 2 + top->at - top->first) : g_strdup(text);
	if (n == 0)
		return g_strdup_printf("%s\n\n%s\n%s", head, lit,
				       top->message ? top->message :
				       "Nothing runs: i shows those that are off, h helps");
	return g_strdup_printf("%s\n\n%s%s", head, lit, top->message ? top->message :
			       "h: help  q: quit  s: start  t: stop  Enter: console");
}

void top_draw(struct top *top)
{
	g_autofree char *text = top->help ? g_strdup(help_text) : picture(top);

	fullscreen_show(text);
}
