/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <vmm:agent> in <features>: how a guest comes by its agent. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include "libvmm/util/cleanup.h"

static const char *const mode_names[] = { NULL, "inject", "installed", "off" };

static_assert(ARRAY_SIZE(mode_names) == N_AGENT_MODES, "a name for each");

bool agent_parse(const xmlNode *features, enum agent_mode *ret, GError **error)
{
	const xmlNode *node = xml_child(features, "vmm:agent");

	return !node || (xml_expect(node, "mode", "", error) &&
			 XML_ATTR_ENUM(node, "mode", mode_names, ret, error));
}

void agent_format(struct xml_out *out, enum agent_mode mode)
{
	xml_leaf_attr(out, "vmm:agent", "mode", mode_names[mode]);
}

const struct chardev_def *domain_agent_channel(const struct domain_def *def)
{
	for (unsigned i = 0; i < def->channels->len; i++) {
		const struct chardev_def *c = def->channels->pdata[i];

		if (!g_strcmp0(c->name, DOMAIN_AGENT_CHANNEL))
			return c;
	}
	return NULL;
}

bool domain_agent_injected(const struct domain_def *def)
{
	bool reachable = def->vsock || domain_agent_channel(def);

	return def->agent == AGENT_INJECT ||
	       (def->agent == AGENT_ABSENT && def->os.kernel && def->os.initrd && reachable);
}

bool agent_check(const struct domain_def *def, GError **error)
{
	if (def->agent == AGENT_INJECT && !def->os.initrd)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "<agent mode='inject'> puts the agent beside the guest's initrd, "
				 "and <os> has no <initrd>; mode='installed' is for an agent in "
				 "its image");
	if ((def->agent == AGENT_INJECT || def->agent == AGENT_INSTALLED) && !def->vsock &&
	    !domain_agent_channel(def))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "<agent mode='%s'> needs a way to the host: "
				 "<vsock model='virtio'><cid auto='yes'/></vsock>",
				 mode_names[def->agent]);
	return true;
}
