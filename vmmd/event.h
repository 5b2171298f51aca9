/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who wants to hear of what, and telling them.  A message is queued on the
 * session's connection; a session that does not read is ended by its output
 * limit (server.c), so one slow listener costs the others nothing.
 */
#pragma once

#include "libvmm/domain/network.h"
#include "vmmd/domain.h"

struct session;
struct event_hub;
struct pool;

enum event_class {
	EVENTS_DOMAIN,
	EVENTS_NETWORK,
	EVENTS_POOL,
	EVENTS_NODE_DEVICE,
	EVENTS_SECRET,
	N_EVENT_CLASSES
};

/* Numbers of the wire: libvirt's lifecycle events and their details. */
enum lifecycle_event {
	LIFECYCLE_DEFINED = 0,
	LIFECYCLE_UNDEFINED = 1,
	LIFECYCLE_STARTED = 2,
	LIFECYCLE_SUSPENDED = 3,
	LIFECYCLE_RESUMED = 4,
	LIFECYCLE_STOPPED = 5,
	LIFECYCLE_SHUTDOWN = 6,
	LIFECYCLE_CRASHED = 8,
};
enum lifecycle_detail {
	LIFECYCLE_DEFINED_ADDED = 0, LIFECYCLE_DEFINED_UPDATED = 1, LIFECYCLE_DEFINED_RENAMED = 2,
	LIFECYCLE_DEFINED_FROM_SNAPSHOT = 3,
	LIFECYCLE_UNDEFINED_REMOVED = 0, LIFECYCLE_UNDEFINED_RENAMED = 1,
	LIFECYCLE_STARTED_BOOTED = 0, LIFECYCLE_STARTED_RESTORED = 2,
	LIFECYCLE_SUSPENDED_PAUSED = 0, LIFECYCLE_SUSPENDED_IO_ERROR = 2,
	LIFECYCLE_RESUMED_UNPAUSED = 0, LIFECYCLE_RESUMED_FROM_SNAPSHOT = 2,
	LIFECYCLE_STOPPED_SHUTDOWN = 0, LIFECYCLE_STOPPED_DESTROYED = 1,
	LIFECYCLE_STOPPED_CRASHED = 2, LIFECYCLE_STOPPED_SAVED = 4,
	LIFECYCLE_STOPPED_FAILED = 5,
	LIFECYCLE_SHUTDOWN_GUEST = 1, LIFECYCLE_SHUTDOWN_HOST = 2,
	LIFECYCLE_CRASHED_PANICKED = 0,
};

struct event_hub *event_hub_new(struct daemon *daemon);
/* Writes what history has not been written yet. */
void event_hub_free(struct event_hub *hub);

/* uuid NULL: of all domains.  *ret_id is the callback's id, unique in this daemon. */
bool event_register(struct event_hub *hub, struct session *session, enum event_class class,
		    int event, const uint8_t *uuid, int *ret_id, GError **error);
bool event_deregister(struct event_hub *hub, struct session *session, enum event_class class,
		      int id, GError **error);
void event_forget(struct event_hub *hub, struct session *session);

/*
 * A run has begun, or ended: into the history as well.  how NULL: it has begun.
 * One whose worker was not met again has no live definition any more.
 */
void event_run(struct domain *dom, const char *how);
/* Writes what has not been written yet, so that the history may be read. */
void event_flush(struct event_hub *hub);

/* Lifecycle events also go into the database's history. */
void event_lifecycle(struct domain *dom, enum lifecycle_event event, enum lifecycle_detail detail);
void event_reboot(struct domain *dom);
void event_balloon(struct domain *dom, uint64_t kib);
void event_io_error(struct domain *dom, const char *path, const char *alias, bool paused,
		    bool no_space);
/* type and status are libvirt's. */
void event_block_job(struct domain *dom, const char *path, const char *target, int type,
		     int status);
/* params: of remote_param, named as libvirt's: "cputune.vcpupin0". */
void event_tunable(struct domain *dom, GArray *params);
/* A job has ended; params: as libvirt's job statistics. */
void event_job(struct domain *dom, GArray *params);
void event_metadata(struct domain *dom, int type, const char *uri);
/* libvirt's lifecycle of pools. */
enum pool_event {
	POOL_DEFINED, POOL_UNDEFINED, POOL_STARTED, POOL_STOPPED, POOL_CREATED, POOL_DELETED,
};

void event_pool(struct pool *pool, enum pool_event event);
void event_pool_refreshed(struct pool *pool);
/* event: LIFECYCLE_DEFINED, LIFECYCLE_UNDEFINED, LIFECYCLE_STARTED, NETWORK_STOPPED. */
enum { NETWORK_STOPPED = 3 };
void event_network(struct daemon *daemon, const network_def *def, int event);
