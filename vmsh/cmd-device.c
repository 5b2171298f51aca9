/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on a domain's disks and network interfaces: which, how large, how busy. */
#include "config.h"
#include "vmsh/commands.h"

#include "vmsh/counters.h"
#include "vmsh/domain-xml.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/size.h"
#include "vmsh/table.h"
#include "vmsh/usage.h"

/* ---- lists ---- */

static char *asked_xml(vmm_domain *dom, struct command_args *args, GError **error)
{
	return vmm_domain_xml(dom, args_given(args, "inactive") ? VMM_XML_INACTIVE : 0, error);
}

static const struct column columns_disks[] = {
	{ "Target", "target", 0 }, { "Source", "source", COLUMN_SHRINK }, { 0 },
};

static const struct column columns_disk_details[] = {
	{ "Type", "type", 0 },
	{ "Device", "device", 0 },
	{ "Target", "target", 0 },
	{ "Source", "source", COLUMN_SHRINK },
	{ 0 },
};

static bool cmd_domblklist(struct shell *sh, struct command_args *args, GError **error)
{
	bool details = args_given(args, "details");
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *xml = dom ? asked_xml(dom, args, error) : NULL;
	g_autoptr(GPtrArray) disks = xml ? xml_disks(xml, error) : NULL;
	g_autoptr(table) t = table_new(details ? columns_disk_details : columns_disks);

	if (!disks)
		return false;
	for (unsigned i = 0; i < disks->len; i++) {
		const struct xml_disk *d = disks->pdata[i];

		if (details) {
			table_text(t, d->type);
			table_text(t, d->device);
		}
		table_text(t, d->target);
		table_text(t, d->source);
	}
	shell_print_table(sh, args, t);
	return true;
}

static const struct column columns_ifaces[] = {
	{ "Interface", "interface", 0 },
	{ "Type", "type", 0 },
	{ "Source", "source", COLUMN_SHRINK },
	{ "Model", "model", 0 },
	{ "MAC", "mac", 0 },
	{ 0 },
};

static bool cmd_domiflist(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autofree char *xml = dom ? asked_xml(dom, args, error) : NULL;
	g_autoptr(GPtrArray) ifaces = xml ? xml_ifaces(xml, error) : NULL;
	g_autoptr(table) t = table_new(columns_ifaces);

	if (!ifaces)
		return false;
	for (unsigned i = 0; i < ifaces->len; i++) {
		const struct xml_iface *f = ifaces->pdata[i];

		table_text(t, f->name);
		table_text(t, f->type);
		table_text(t, f->source);
		table_text(t, f->model);
		table_text(t, f->mac);
	}
	shell_print_table(sh, args, t);
	return true;
}

/* ---- figures ---- */

static bool cmd_domblkstat(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	const char *device = args_text(args, "device");
	struct vmm_block_stats s;

	if (!dom)
		return false;
	if (!vmm_domain_block_stats(dom, device ? device : "", &s, error)) {
		fleet_advise(dom, error);
		return false;
	}
	const struct counter counters[] = {
		{ "rd_req", s.rd_reqs },   { "rd_bytes", s.rd_bytes }, { "wr_req", s.wr_reqs },
		{ "wr_bytes", s.wr_bytes }, { "errs", s.errs },
	};
	counters_print(args, device, counters, G_N_ELEMENTS(counters));
	return true;
}

static void size_cell(struct table *t, uint64_t bytes, bool human)
{
	g_autofree char *shown = human ? size_text(bytes) : NULL;

	table_number(t, bytes, shown);
}

static void size_cells(struct table *t, const struct vmm_block_info *info, bool human)
{
	size_cell(t, info->capacity, human);
	size_cell(t, info->allocation, human);
	size_cell(t, info->physical, human);
}

static bool domblkinfo_one(struct shell *sh, struct command_args *args, vmm_domain *dom,
			   const char *device, GError **error)
{
	static const struct column columns[] = {
		{ "Capacity", "capacity", 0 }, { "Allocation", "allocation", 0 },
		{ "Physical", "physical", 0 }, { 0 },
	};
	g_autoptr(table) t = table_new(columns);
	struct vmm_block_info info;

	if (!vmm_domain_block_info(dom, device, &info, error)) {
		fleet_advise(dom, error);
		return false;
	}
	size_cells(t, &info, args_given(args, "human"));
	shell_print_record(sh, args, t);
	return true;
}

/* What one disk's trouble is does not hide the others' sizes; *ret_why: of the first. */
static bool sizes_of_all(struct table *t, vmm_domain *dom, const GPtrArray *disks, bool human,
			 GError **ret_why)
{
	bool ok = true;

	for (unsigned i = 0; i < disks->len; i++) {
		const char *target = ((struct xml_disk *)disks->pdata[i])->target;
		struct vmm_block_info info;

		table_text(t, target);
		if (vmm_domain_block_info(dom, target ? target : "", &info,
					  ok ? ret_why : NULL)) {
			size_cells(t, &info, human);
			continue;
		}
		ok = false;
		for (unsigned column = 1; column < 4; column++)
			table_none(t);
	}
	return ok;
}

static bool domblkinfo_all(struct shell *sh, struct command_args *args, vmm_domain *dom,
			   GError **error)
{
	static const struct column columns[] = {
		{ "Target", "target", 0 }, { "Capacity", "capacity", COLUMN_RIGHT },
		{ "Allocation", "allocation", COLUMN_RIGHT },
		{ "Physical", "physical", COLUMN_RIGHT }, { 0 },
	};
	g_autofree char *xml = vmm_domain_xml(dom, 0, error);
	g_autoptr(GPtrArray) disks = xml ? xml_disks(xml, error) : NULL;
	g_autoptr(table) t = table_new(columns);
	bool ok;

	if (!disks)
		return false;
	ok = sizes_of_all(t, dom, disks, args_given(args, "human"), error);
	shell_print_table(sh, args, t);
	if (!ok)
		fleet_advise(dom, error);
	return ok;
}

static bool cmd_domblkinfo(struct shell *sh, struct command_args *args, GError **error)
{
	const char *device = args_text(args, "device");
	bool all = args_given(args, "all");
	g_autoptr(vmm_domain) dom = NULL;

	if (all == (device != NULL))
		return usage_error(error, "domblkinfo: %s",
				   all ? "a disk or --all, not both" :
					 "which disk? name one as domblklist does, or --all");
	dom = fleet_domain(sh, args, error);
	return dom && (all ? domblkinfo_all(sh, args, dom, error) :
			     domblkinfo_one(sh, args, dom, device, error));
}

static bool cmd_domifstat(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	const char *device = args_text(args, "interface");
	struct vmm_interface_stats s;

	if (!dom)
		return false;
	if (!vmm_domain_interface_stats(dom, device, &s, error)) {
		fleet_advise(dom, error);
		return false;
	}
	const struct counter counters[] = {
		{ "rx_bytes", s.rx_bytes }, { "rx_packets", s.rx_packets },
		{ "rx_errs", s.rx_errs },   { "rx_drop", s.rx_drop },
		{ "tx_bytes", s.tx_bytes }, { "tx_packets", s.tx_packets },
		{ "tx_errs", s.tx_errs },   { "tx_drop", s.tx_drop },
	};
	counters_print(args, device, counters, G_N_ELEMENTS(counters));
	return true;
}

#define OPTION_INACTIVE OPTION_FLAG("inactive", "of the stored definition")

static const struct option_def options_domblklist[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_INACTIVE, OPTION_FLAG("details", "types as well"), { 0 },
};
static const struct option_def options_domiflist[] = { OPTION_DOMAIN(DOMAIN),
						       OPTION_INACTIVE,
						       { 0 } };

static const struct option_def options_domblkstat[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "device", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_DISK,
	  .value = "DISK",
	  .help = "target or source of the disk; all together if not given" },
	{ 0 },
};
static const struct option_def options_domblkinfo[] = {
	OPTION_DOMAIN(DOMAIN),
	{ .name = "device", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_DISK,
	  .value = "DISK", .help = "target or source of the disk" },
	OPTION_FLAG("all", "of each disk of the domain"),
	OPTION_FLAG("human", "with units, as in 1.5 GiB"),
	{ 0 },
};
static const struct option_def options_domifstat[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "interface", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_IFACE, .value = "INTERFACE",
	  .help = "its name or MAC address, as domiflist shows" },
	{ 0 },
};

#define GROUP "Devices and statistics"

const struct command commands_device[] = {
	{ "domblklist", GROUP, "list a domain's disks", options_domblklist, COMMAND_JSON,
	  cmd_domblklist },
	{ "domblkinfo", GROUP, "show the sizes of disks", options_domblkinfo, COMMAND_JSON,
	  cmd_domblkinfo },
	{ "domblkstat", GROUP, "show counters of a disk", options_domblkstat, COMMAND_JSON,
	  cmd_domblkstat },
	{ "domiflist", GROUP, "list a domain's network interfaces", options_domiflist, COMMAND_JSON,
	  cmd_domiflist },
	{ "domifstat", GROUP, "show counters of a network interface", options_domifstat,
	  COMMAND_JSON, cmd_domifstat },
	{ 0 },
};
