/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on a domain's disks and network interfaces: which, how large, how busy. */
#include "config.h"
#include "vmsh/commands.h"

#include "vmsh/counters.h"
#include "vmsh/domain-xml.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"

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

static bool cmd_domblkinfo(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct column columns[] = {
		{ "Capacity", "capacity", 0 }, { "Allocation", "allocation", 0 },
		{ "Physical", "physical", 0 }, { 0 },
	};
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autoptr(table) t = table_new(columns);
	struct vmm_block_info info;

	if (!dom)
		return false;
	if (!vmm_domain_block_info(dom, args_text(args, "device"), &info, error)) {
		fleet_advise(dom, error);
		return false;
	}
	table_number(t, info.capacity, NULL);
	table_number(t, info.allocation, NULL);
	table_number(t, info.physical, NULL);
	shell_print_record(sh, args, t);
	return true;
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
	{ .name = "device", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_DISK, .value = "DISK", .help = "target or source of the disk" },
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
	{ "domblkinfo", GROUP, "show the size of a disk", options_domblkinfo, COMMAND_JSON,
	  cmd_domblkinfo },
	{ "domblkstat", GROUP, "show counters of a disk", options_domblkstat, COMMAND_JSON,
	  cmd_domblkstat },
	{ "domiflist", GROUP, "list a domain's network interfaces", options_domiflist, COMMAND_JSON,
	  cmd_domiflist },
	{ "domifstat", GROUP, "show counters of a network interface", options_domifstat,
	  COMMAND_JSON, cmd_domifstat },
	{ 0 },
};
