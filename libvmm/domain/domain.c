/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <domain>: the whole document, read and written; its parts are in the files beside. */
#include "config.h"
#include "libvmm/domain/domain.h"

#include <string.h>

#include "libvmm/domain/domain-priv.h"
#include "libvmm/util/cleanup.h"

#define SCHEMA_FILE "domain.rng"
#define LIVE_ROOM (64 * 1024)	/* for tap names and ptys that a start adds */

static const char *const type_names[] = { "kvm" };
static const char *const action_names[] = { "destroy", "restart", "rename-restart", "preserve" };

static_assert(ARRAY_SIZE(action_names) == N_DOMAIN_ACTIONS, "a name for each");

/* ---- new, free ---- */

domain_def *domain_def_new(const char *name)
{
	struct domain_def *def = g_new0(struct domain_def, 1);

	def->id = -1;
	def->name = g_strdup(name);
	uuid_random(def->uuid);
	def->vcpus = def->vcpus_max = 1;
	def->on_reboot = ACTION_RESTART;
	cpu_def_init(&def->cpu);
	def->disks = g_ptr_array_new_with_free_func(disk_def_free);
	def->filesystems = g_ptr_array_new_with_free_func(filesystem_def_free);
	def->ifaces = g_ptr_array_new_with_free_func(iface_def_free);
	def->serials = g_ptr_array_new_with_free_func(chardev_def_free);
	def->consoles = g_ptr_array_new_with_free_func(chardev_def_free);
	def->channels = g_ptr_array_new_with_free_func(chardev_def_free);
	def->rngs = g_ptr_array_new_with_free_func(rng_def_free);
	def->controllers = g_ptr_array_new_with_free_func(controller_def_free);
	return def;
}

void domain_def_free(domain_def *def)
{
	if (!def)
		return;
	g_free(def->name);
	g_free(def->title);
	g_free(def->description);
	g_free(def->metadata);
	g_free(def->cpuset);
	g_free(def->emulator);
	cpu_def_done(&def->cpu);
	tune_def_done(&def->tune);
	os_def_done(&def->os);
	clock_def_done(&def->clock);
	g_ptr_array_unref(def->disks);
	g_ptr_array_unref(def->filesystems);
	g_ptr_array_unref(def->ifaces);
	g_ptr_array_unref(def->serials);
	g_ptr_array_unref(def->consoles);
	g_ptr_array_unref(def->channels);
	g_ptr_array_unref(def->rngs);
	vsock_def_free(def->vsock);
	g_ptr_array_unref(def->controllers);
	g_free(def->balloon.alias);
	g_free(def);
}

/* ---- parse: the machine ---- */

static bool parse_root(const xmlNode *domain, struct domain_def *def, unsigned flags,
		       GError **error)
{
	g_autofree char *type = NULL;
	unsigned kind = 0, id = 0;

	if (strcmp((const char *)domain->name, "domain") || domain->ns)
		return xml_error(domain, VMM_ERR_XML, error, "the root element must be <domain>");
	if (!xml_expect(
		    domain, "type id",
		    "name uuid title description metadata memory currentMemory maxMemory "
		    "memoryBacking blkiotune memtune vcpu cputune numatune cpu os features clock "
		    "on_poweroff on_reboot on_crash pm devices vmm:kernel",
		    error) ||
	    !xml_attr_need(domain, "type", &type, error) ||
	    !XML_ATTR_ENUM(domain, "type", type_names, &kind, error) ||
	    !xml_attr_uint(domain, "id", 1, G_MAXINT, &id, error))
		return false;
	if (id && flags & DOMAIN_PARSE_LIVE)
		def->id = id;
	return true;
}

static bool parse_vcpu(const xmlNode *node, struct domain_def *def, GError **error)
{
	static const char *const placements[] = { "static" };
	uint8_t map[DOMAIN_CPUS_MAX / 8];
	g_autofree char *text = NULL;
	unsigned placement = 0;
	uint64_t count;

	if (!node)
		return true;
	if (!xml_expect(node, "placement cpuset current", NULL, error) ||
	    !xml_attr_enum(node, "placement", placements, 1, &placement, error))
		return false;
	text = xml_text(node);
	if (!text || !xml_parse_u64(text, DOMAIN_VCPUS_MAX, &count) || !count)
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not a number from 1 to %u",
				 text ? text : "", DOMAIN_VCPUS_MAX);
	def->vcpus = def->vcpus_max = count;
	def->cpuset = xml_attr(node, "cpuset");
	if (def->cpuset && !domain_cpuset_map(def->cpuset, map))
		return xml_error(node, VMM_ERR_XML, error, "cpuset='%s' is not like 0-3,^2,8",
				 def->cpuset);
	return xml_attr_uint(node, "current", 1, def->vcpus_max, &def->vcpus, error);
}

static bool parse_features(const xmlNode *node, struct domain_def *def, GError **error)
{
	const xmlNode *pae = xml_child(node, "pae"), *vmport = xml_child(node, "vmport");
	static const char *const off_only[] = { NULL, NULL, "off" };
	const xmlNode *acpi = xml_child(node, "acpi"), *apic = xml_child(node, "apic");

	if (!node)
		return true;
	if (!xml_expect(node, "", "acpi apic pae vmport vmm:agent", error) ||
	    (acpi && !xml_expect(acpi, "", "", error)) ||
	    (apic && !xml_expect(apic, "", "", error)) ||
	    (pae && !xml_expect(pae, "", "", error)) ||
	    (vmport && !xml_expect(vmport, "state", "", error)) ||
	    !agent_parse(node, &def->agent, error))
		return false;
	def->pae = pae ? TRISTATE_ON : TRISTATE_ABSENT;
	return XML_ATTR_ENUM(vmport, "state", off_only, &def->vmport, error);
}

static bool parse_action(const xmlNode *domain, const char *name, enum domain_action *ret,
			 GError **error)
{
	const xmlNode *node = xml_child(domain, name);
	g_autofree char *text = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	text = xml_text(node);
	for (unsigned i = 0; text && i < N_DOMAIN_ACTIONS; i++) {
		if (!strcmp(text, action_names[i]) && i != ACTION_RENAME_RESTART) {
			*ret = i;
			return true;
		}
	}
	return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
			 "'%s' is not supported: use destroy, restart or preserve",
			 text ? text : "");
}

static bool parse_pm_one(const xmlNode *pm, const char *name, enum tristate *ret, GError **error)
{
	static const char *const off_only[] = { NULL, NULL, "no" };
	const xmlNode *node = xml_child(pm, name);

	return !node || (XML_ATTR_ENUM(node, "enabled", off_only, ret, error) &&
			 xml_expect(node, "enabled", "", error));
}

static bool parse_pm(const xmlNode *node, struct domain_def *def, GError **error)
{
	return !node || (xml_expect(node, "", "suspend-to-mem suspend-to-disk", error) &&
			 parse_pm_one(node, "suspend-to-mem", &def->pm_mem, error) &&
			 parse_pm_one(node, "suspend-to-disk", &def->pm_disk, error));
}

static bool parse_os(const xmlNode *domain, struct domain_def *def, GError **error)
{
	const xmlNode *os = xml_child(domain, "os"), *kernel = xml_child(domain, "vmm:kernel");

	if (!os)
		return xml_error(domain, VMM_ERR_XML, error,
				 "<os> with <type>hvm</type> and <kernel> is missing");
	if (!os_def_parse(os, &def->os, error))
		return false;
	return !kernel ||
	       (xml_expect(kernel, "unpack", "", error) &&
		xml_attr_bool(kernel, "unpack", "yes", "no", &def->os.kernel_unpack, error));
}

/* A part goes on without those before it, so that all of them have their say. */
#define PARTS(X) \
	X(identity_parse(domain, def, error)) \
	X(memory_parse(domain, def, error)) \
	X(parse_vcpu(xml_child(domain, "vcpu"), def, error)) \
	X(tune_def_parse(domain, &def->tune, error)) \
	X(cpu_def_parse(xml_child(domain, "cpu"), &def->cpu, error)) \
	X(parse_os(domain, def, error)) \
	X(parse_features(xml_child(domain, "features"), def, error)) \
	X(clock_def_parse(xml_child(domain, "clock"), &def->clock, error)) \
	X(parse_action(domain, "on_poweroff", &def->on_poweroff, error)) \
	X(parse_action(domain, "on_reboot", &def->on_reboot, error)) \
	X(parse_action(domain, "on_crash", &def->on_crash, error)) \
	X(parse_pm(xml_child(domain, "pm"), def, error))

static bool parse_machine(const xmlNode *domain, struct domain_def *def, GError **error)
{
#define AND_GO_ON(part) && xml_go_on(domain, part, error)
	return true PARTS(AND_GO_ON);
#undef AND_GO_ON
}

/* ---- parse: devices ---- */

/* One class: each element of that name through its parser into an array. */
#define PARSE_ALL(devices, name, array, parse) \
	({ \
		bool ok_ = true; \
		for (const xmlNode *n_ = xml_child(devices, name); ok_ && n_; n_ = xml_next(n_)) {\
			void *dev_ = may_add(n_, array, error) ? (parse) : NULL; \
			if (dev_) \
				g_ptr_array_add(array, dev_); \
			ok_ = xml_go_on(n_, dev_, error); \
		} \
		ok_; \
	})

static bool may_add(const xmlNode *node, const GPtrArray *array, GError **error)
{
	return array->len < DOMAIN_DEVICES_MAX ||
	       xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error, "more than %u of these",
			 DOMAIN_DEVICES_MAX);
}

static bool parse_emulator(const xmlNode *node, struct domain_def *def, GError **error)
{
	return !node ||
	       (xml_expect(node, "", NULL, error) && xml_text_path(node, &def->emulator, error));
}

static bool parse_vsock(const xmlNode *node, struct domain_def *def, unsigned flags,
			GError **error)
{
	if (node)
		def->vsock = vsock_def_parse(node, flags, error);
	return !node || def->vsock;
}

static bool parse_devices(const xmlNode *node, struct domain_def *def, unsigned flags,
			  GError **error)
{
	if (!node)
		return true;
	return xml_expect(node, "",
			  "emulator disk* filesystem* interface* serial* console* channel* rng* "
			  "controller* memballoon vsock", error) &&
	       xml_go_on(node, parse_emulator(xml_child(node, "emulator"), def, error), error) &&
	       PARSE_ALL(node, "disk", def->disks, disk_def_parse(n_, flags, error)) &&
	       PARSE_ALL(node, "filesystem", def->filesystems,
			 filesystem_def_parse(n_, flags, error)) &&
	       PARSE_ALL(node, "interface", def->ifaces, iface_def_parse(n_, flags, error)) &&
	       PARSE_ALL(node, "serial", def->serials,
			 chardev_def_parse(n_, CHARDEV_SERIAL, flags, error)) &&
	       PARSE_ALL(node, "console", def->consoles,
			 chardev_def_parse(n_, CHARDEV_CONSOLE, flags, error)) &&
	       PARSE_ALL(node, "channel", def->channels,
			 chardev_def_parse(n_, CHARDEV_CHANNEL, flags, error)) &&
	       PARSE_ALL(node, "rng", def->rngs, rng_def_parse(n_, flags, error)) &&
	       PARSE_ALL(node, "controller", def->controllers,
			 controller_def_parse(n_, flags, error)) &&
	       xml_go_on(node, balloon_def_parse(xml_child(node, "memballoon"), flags,
						 &def->balloon, error), error) &&
	       xml_go_on(node, parse_vsock(xml_child(node, "vsock"), def, flags, error), error);
}

/* Writing may need more bytes than reading did, for what must be escaped. */
static bool check_size(const struct domain_def *def, GError **error)
{
	g_autofree char *xml = domain_def_format(def, DOMAIN_FORMAT_LIVE | DOMAIN_FORMAT_SECURE);

	return strlen(xml) <= DOMAIN_XML_MAX_BYTES - LIVE_ROOM ||
	       error_set(error, VMM_ERR_XML, "the definition is too long to be kept");
}

/* False when the document is not one, or has problems: those are written down. */
static bool parse_parts(xmlDoc *doc, struct domain_def *def, unsigned flags, GPtrArray *problems,
			GError **error)
{
	const xmlNode *root = xmlDocGetRootElement(doc);

	/* Ours first: its message says what to do; the schema then sees what we overlooked. */
	return xml_go_on(root, parse_root(root, def, flags, error), error) &&
	       parse_machine(root, def, error) &&
	       xml_go_on(root, parse_devices(xml_child(root, "devices"), def, flags, error),
			 error) &&
	       problems->len == 0 && domain_def_fill(def, error) && check_size(def, error) &&
	       (!(flags & DOMAIN_PARSE_VALIDATE) || xml_validate_by(doc, SCHEMA_FILE, error));
}

domain_def *domain_def_parse_all(const char *xml, unsigned flags, GPtrArray *problems)
{
	g_autoptr(GError) why = NULL;
	g_autoptr(xmlDoc) doc = xml_read(xml, DOMAIN_XML_MAX_BYTES, "domain", &why);
	g_autoptr(domain_def) def = domain_def_new(NULL);
	bool ok = false;

	if (doc) {
		xml_collect(doc, xml, problems);
		ok = parse_parts(doc, def, flags, problems, &why);
		if (why)
			xml_conflict_place(doc, &why);
		xml_collect_end(doc);
	}
	if (why)
		xml_problem_add(problems, why->code, why->message);
	g_ptr_array_sort(problems, xml_problem_order);
	return ok ? g_steal_pointer(&def) : NULL;
}

domain_def *domain_def_parse(const char *xml, unsigned flags, GError **error)
{
	g_autoptr(GPtrArray) problems = xml_problems_new();
	domain_def *def = domain_def_parse_all(xml, flags, problems);

	if (!def)
		xml_problems_tell(problems, error);
	return def;
}

/* ---- format ---- */

static bool needs_namespace(const struct domain_def *def)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *iface = def->ifaces->pdata[i];

		if (iface->restricted || iface->link_bounces)
			return true;
	}
	return def->os.kernel_unpack || def->agent || domain_has_outbound(def);
}

static void format_vcpu(struct xml_out *out, const struct domain_def *def)
{
	g_autofree char *count = g_strdup_printf("%u", def->vcpus_max);

	xml_begin(out, "vcpu");
	xml_put(out, "placement", "static");
	xml_put(out, "cpuset", def->cpuset);
	if (def->vcpus != def->vcpus_max)
		xml_putf(out, "current", "%u", def->vcpus);
	xml_end_text(out, count);
}

static void format_features(struct xml_out *out, const struct domain_def *def)
{
	xml_begin(out, "features");
	xml_leaf(out, "acpi", "");
	xml_leaf(out, "apic", "");
	if (def->pae == TRISTATE_ON)
		xml_leaf(out, "pae", "");
	xml_leaf_attr(out, "vmport", "state", tristate_onoff[def->vmport]);
	agent_format(out, def->agent);
	xml_end(out);
}

static void format_pm(struct xml_out *out, const struct domain_def *def)
{
	if (!def->pm_mem && !def->pm_disk)
		return;
	xml_begin(out, "pm");
	xml_leaf_attr(out, "suspend-to-mem", "enabled", tristate_yesno[def->pm_mem]);
	xml_leaf_attr(out, "suspend-to-disk", "enabled", tristate_yesno[def->pm_disk]);
	xml_end(out);
}

static void format_machine(struct xml_out *out, const struct domain_def *def)
{
	memory_format(out, def);
	format_vcpu(out, def);
	tune_def_format(out, &def->tune);
	os_def_format(out, &def->os);
	format_features(out, def);
	cpu_def_format(out, &def->cpu);
	clock_def_format(out, &def->clock);
	xml_leaf(out, "on_poweroff", action_names[def->on_poweroff]);
	xml_leaf(out, "on_reboot", action_names[def->on_reboot]);
	xml_leaf(out, "on_crash", action_names[def->on_crash]);
	format_pm(out, def);
}

#define FORMAT_ALL(out, array, format) \
	for (unsigned i_ = 0; i_ < (array)->len; i_++) \
		format(out, (array)->pdata[i_], flags)

static void format_devices(struct xml_out *out, const struct domain_def *def, unsigned flags)
{
	xml_begin(out, "devices");
	xml_leaf(out, "emulator", def->emulator);
	FORMAT_ALL(out, def->disks, disk_def_format);
	FORMAT_ALL(out, def->controllers, controller_def_format);
	FORMAT_ALL(out, def->filesystems, filesystem_def_format);
	FORMAT_ALL(out, def->ifaces, iface_def_format);
	FORMAT_ALL(out, def->serials, chardev_def_format);
	FORMAT_ALL(out, def->consoles, chardev_def_format);
	FORMAT_ALL(out, def->channels, chardev_def_format);
	balloon_def_format(out, &def->balloon, flags);
	FORMAT_ALL(out, def->rngs, rng_def_format);
	if (def->vsock)
		vsock_def_format(out, def->vsock, flags);
	xml_end(out);
}

void domain_def_write(struct xml_out *out, const char *element, const domain_def *def,
		      unsigned flags)
{
	xml_begin(out, element);
	xml_put(out, "type", "kvm");
	if (def->id > 0 && flags & DOMAIN_FORMAT_LIVE)
		xml_putf(out, "id", "%d", def->id);
	xml_put(out, "xmlns:vmm", needs_namespace(def) ? DOMAIN_VMM_NS : NULL);
	identity_format(out, def);
	format_machine(out, def);
	format_devices(out, def, flags);
	xml_leaf_attr(out, "vmm:kernel", "unpack", def->os.kernel_unpack ? "yes" : NULL);
	xml_end(out);
}

char *domain_def_format(const domain_def *def, unsigned flags)
{
	struct xml_out out;

	xml_out_init(&out);
	domain_def_write(&out, "domain", def, flags);
	return xml_out_done(&out);
}

domain_def *domain_def_copy(const domain_def *def)
{
	g_autofree char *xml = domain_def_format(def, DOMAIN_FORMAT_LIVE | DOMAIN_FORMAT_SECURE);
	g_autoptr(GError) error = NULL;
	domain_def *copy = domain_def_parse(xml, DOMAIN_PARSE_LIVE, &error);

	if (!copy)
		g_error("a definition does not survive its own XML: %s", error->message);
	return copy;
}
