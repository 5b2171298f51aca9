/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of this folder: each class of parts has the same few calls. */
#pragma once

#include "libvmm/domain/domain.h"
#include "libvmm/domain/xml-out.h"
#include "libvmm/domain/xml.h"

/* Indexed by enum tristate. */
extern const char *const tristate_yesno[3];
extern const char *const tristate_onoff[3];

/* The whole definition as an element of another document. */
void domain_def_write(struct xml_out *out, const char *element, const domain_def *def,
		      unsigned flags);

/* <metadata>, if it has anything in it, as text that stands alone. */
bool metadata_keep(const xmlNode *node, char **ret, GError **error);
/* The name of a network device of the host. */
bool ifname_parse(const xmlNode *node, const char *attr, char **ret, GError **error);

/* <alias>, <address> and, where boot_order is not NULL, <boot order=>: every device's children. */
bool device_parse_common(const xmlNode *node, unsigned flags, char **alias, unsigned *boot_order,
			 GError **error);
/* With what else the device has, for xml_expect(). */
#define DEVICE_CHILDREN " alias address"
void alias_format(struct xml_out *out, const char *alias, unsigned flags);
void boot_order_format(struct xml_out *out, unsigned boot_order);

struct disk_def *disk_def_parse(const xmlNode *node, unsigned flags, GError **error);
void disk_def_format(struct xml_out *out, const struct disk_def *disk, unsigned flags);
typedef struct disk_def disk_def;
void disk_def_free(void *disk);
bool iotune_parse(const xmlNode *node, struct disk_def *d, GError **error);
void iotune_format(struct xml_out *out, const struct disk_def *d);
bool disk_def_check(const struct disk_def *d, GError **error);
bool disk_def_check_pair(const struct disk_def *a, const struct disk_def *b, GError **error);

struct filesystem_def *filesystem_def_parse(const xmlNode *node, unsigned flags, GError **error);
void filesystem_def_format(struct xml_out *out, const struct filesystem_def *f, unsigned flags);
typedef struct filesystem_def filesystem_def;
void filesystem_def_free(void *f);
bool filesystems_check(const GPtrArray *filesystems, GError **error);

/* <mac address=>, if there is one: a single card's. */
bool mac_parse(const xmlNode *node, uint8_t mac[6], GError **error);
void mac_format(struct xml_out *out, const uint8_t mac[6]);

struct iface_def *iface_def_parse(const xmlNode *node, unsigned flags, GError **error);
void iface_def_format(struct xml_out *out, const struct iface_def *iface, unsigned flags);
typedef struct iface_def iface_def;
void iface_def_free(void *iface);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(iface_def, iface_def_free)
bool ifaces_check(const GPtrArray *ifaces, GError **error);

struct chardev_def *chardev_def_parse(const xmlNode *node, enum chardev_kind kind, unsigned flags,
				      GError **error);
void chardev_def_format(struct xml_out *out, const struct chardev_def *dev, unsigned flags);
typedef struct chardev_def chardev_def;
void chardev_def_free(void *dev);
/* The other end of a console's mirror. */
struct chardev_def *chardev_def_mirror(const struct chardev_def *dev, enum chardev_kind kind);

struct rng_def *rng_def_parse(const xmlNode *node, unsigned flags, GError **error);
void rng_def_format(struct xml_out *out, const struct rng_def *rng, unsigned flags);
struct vsock_def *vsock_def_parse(const xmlNode *node, unsigned flags, GError **error);
void vsock_def_format(struct xml_out *out, const struct vsock_def *vsock, unsigned flags);
void vsock_def_free(struct vsock_def *vsock);
bool proxies_parse(const xmlNode *vsock, GArray *ret, GError **error);
void proxies_format(struct xml_out *out, const GArray *rules);
typedef struct rng_def rng_def;
void rng_def_free(void *rng);

struct controller_def *controller_def_parse(const xmlNode *node, unsigned flags, GError **error);
void controller_def_format(struct xml_out *out, const struct controller_def *c, unsigned flags);
typedef struct controller_def controller_def;
void controller_def_free(void *c);
const char *controller_type_name(enum controller_type type);

bool balloon_def_parse(const xmlNode *node, unsigned flags, struct balloon_def *ret,
		       GError **error);
void balloon_def_format(struct xml_out *out, const struct balloon_def *balloon, unsigned flags);

bool cpu_def_parse(const xmlNode *node, struct cpu_def *ret, GError **error);
void cpu_def_format(struct xml_out *out, const struct cpu_def *cpu);
void cpu_def_init(struct cpu_def *cpu);
void cpu_def_done(struct cpu_def *cpu);

bool clock_def_parse(const xmlNode *node, struct clock_def *ret, GError **error);
void clock_def_format(struct xml_out *out, const struct clock_def *clock);
void clock_def_done(struct clock_def *clock);

bool identity_parse(const xmlNode *domain, struct domain_def *def, GError **error);
void identity_format(struct xml_out *out, const struct domain_def *def);

/* The factor that unit= says. */
bool memory_unit(const xmlNode *node, uint64_t otherwise, uint64_t *ret, GError **error);
bool memory_parse(const xmlNode *domain, struct domain_def *def, GError **error);
void memory_format(struct xml_out *out, const struct domain_def *def);

bool os_def_parse(const xmlNode *node, struct os_def *ret, GError **error);
void os_def_format(struct xml_out *out, const struct os_def *os);
void os_def_done(struct os_def *os);

/* features may be NULL. */
bool agent_parse(const xmlNode *features, enum agent_mode *ret, GError **error);
void agent_format(struct xml_out *out, enum agent_mode mode);
bool agent_check(const struct domain_def *def, GError **error);

bool tune_def_parse(const xmlNode *domain, struct tune_def *ret, GError **error);
void tune_def_format(struct xml_out *out, const struct tune_def *tune);
bool tune_def_check(const struct tune_def *tune, unsigned vcpus, GError **error);
void tune_def_done(struct tune_def *tune);
