/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket's parts: connection and events, START, the other commands. */
#pragma once

#include "libvmm/rpc/conn.h"
#include "libvmm/util/error.h"
#include "vmmd/worker/worker.h"

struct control {
	struct worker w;
	struct rpc_conn *link;		/* NULL: no vmmd */
	unsigned link_nr;		/* which one: the next may have the last one's address */
	guint listen_source, contact_source;
	char *xml;			/* of START */
	int id;
	int64_t started_us;
	bool building;
	bool state_waits;		/* to be told when vmmd reads again */
	struct {			/* control-outbound.c */
		unsigned wait_s;	/* before the next is asked for */
		int64_t since_us;	/* of this one */
	} outbound;
};

/* Does the vmmd still listen that made a call when link_nr was this? */
static inline bool control_linked(const struct control *c, unsigned link_nr)
{
	return c->link && c->link_nr == link_nr;
}

/* control-call.c.  A message from vmmd. */
void control_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque);
void control_refuse(struct control *c, const struct rpc_message *msg, enum vmm_error code,
		    const char *text);

/* control-disk.c */
void control_switch_heads(struct control *c, struct rpc_message *msg);
void control_set_iotune(struct control *c, struct rpc_message *msg);
void control_job_start(struct control *c, struct rpc_message *msg);
void control_job_control(struct control *c, struct rpc_message *msg);
void control_job_info(struct control *c, struct rpc_message *msg);
void control_disk_resize(struct control *c, struct rpc_message *msg);

/* control-net.c */
void control_plug(struct control *c, struct rpc_message *msg);
void control_forward(struct control *c, struct rpc_message *msg);

/* control-outbound.c.  Starts the proxy, before the jail, and has another when it ends. */
bool control_outbound(struct control *c, const struct domain_def *def, uid_t uid, GError **error);

/* control-save.c */
void control_save(struct control *c, struct rpc_message *msg);
void control_save_cancel(struct control *c, struct rpc_message *msg);
void control_save_progress(struct control *c, struct rpc_message *msg);

/* control-start.c */
void control_start(struct control *c, struct rpc_message *msg);
