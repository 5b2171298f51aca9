/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The procedures of our own program, each once, as proctab.h has those of
 * libvirt's: number, name, type of the arguments, type of the result, what a
 * client needs.  Types stand with their whole names.
 */
#pragma once

#include "libvmm/rpc/proctab.h"
#include "libvmm/rpc/vmm.h"

#define VMM_PROGRAM_VERSION 1

#define VMM_PROCEDURES(X) \
	X(1, DOCTOR, remote_none, vmm_doctor_ret, READ) \
	X(2, SNAPSHOT_DIFF, vmm_snapshot_diff_args, vmm_snapshot_diff_ret, READ) \
	X(3, DOCTOR_FIX, vmm_doctor_args, vmm_doctor_ret, WRITE) \
	/* images, and domains made of images */ \
	X(16, IMAGE_TREE, remote_flags_args, vmm_images_ret, READ) \
	X(17, IMAGE_ACCEPT, vmm_image_args, remote_none, WRITE) \
	X(18, IMAGE_WORK, vmm_image_args, remote_none, WRITE) \
	X(19, DOMAIN_CLONE, vmm_clone_args, remote_dom_ret, WRITE) \
	/* networks and ports */ \
	X(32, PORT_LIST, remote_dom_flags_args, vmm_ports_ret, READ) \
	X(33, PORT_CHANGE, vmm_port_args, remote_none, WRITE) \
	X(34, NETWORK_USERS, remote_net_args, vmm_users_ret, READ) \
	/* consoles; the first two open streams */ \
	X(48, CONSOLE_ATTACH, vmm_console_args, vmm_console_ret, WRITE) \
	X(49, CONSOLE_LOG, remote_dom_args, remote_none, WRITE) \
	X(50, CONSOLE_RESIZE, vmm_window_args, remote_none, WRITE) \
	/* the past of definitions */ \
	X(64, DOMAIN_HISTORY, remote_dom_args, vmm_history_ret, READ) \
	X(65, DOMAIN_REVISION_XML, vmm_revision_args, remote_text_ret, READ) \
	X(66, DOMAIN_UNDO, vmm_revision_args, vmm_number_ret, WRITE) \
	X(67, DOMAIN_PLAN, vmm_plan_args, vmm_plan_ret, WRITE) \
	X(68, DOMAIN_APPLY, vmm_apply_args, vmm_apply_ret, WRITE) \
	X(69, DOMAINS_APPLIED, vmm_applied_args, vmm_applied_ret, READ) \
	/* the agent in the guest: opens a stream of its protocol */ \
	X(96, AGENT_OPEN, remote_dom_args, remote_none, WRITE) \
	/* a port of the guest's vsock: opens a stream of its bytes */ \
	X(97, VSOCK_OPEN, vmm_vsock_args, remote_none, WRITE) \
	/* what happened */ \
	X(80, LOG, vmm_log_args, vmm_log_ret, READ) \
	X(81, PAST_EVENTS, remote_none, vmm_past_events_ret, READ) \
	X(82, BOOTS, remote_none, vmm_boots_ret, READ) \
	X(83, METRICS, vmm_metrics_args, vmm_metrics_ret, READ)

#define VMM_PROC_NUMBER(nr, name, args, ret, need) VMM_PROC_##name = nr,
enum vmm_procedure {
	VMM_PROCEDURES(VMM_PROC_NUMBER)
	VMM_PROC_MAX = 127
};
#undef VMM_PROC_NUMBER
