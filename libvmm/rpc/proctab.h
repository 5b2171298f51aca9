/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The procedures of the remote program, each once: number, name, type of the
 * arguments, type of the result, what a client needs to call it.
 *
 *	#define X(nr, name, args, ret, need) ...
 *	REMOTE_PROCEDURES(X)
 *
 * Types are written without their "remote_"; none is remote_none.  A server
 * that has no handler for one says so with NO_SUPPORT and its name: clients
 * then fall back on older calls.  procother.h names the others.
 */
#pragma once

#include "libvmm/rpc/frame.h"
#include "libvmm/rpc/remote.h"

enum remote_need {
	REMOTE_ANY,			/* before authentication */
	REMOTE_EARLY,			/* before CONNECT_OPEN */
	REMOTE_READ,			/* any open connection */
	REMOTE_WRITE,			/* not on a read-only connection */
};

#define REMOTE_PROCEDURES(X) \
	/* connection and node */ \
	X(66, AUTH_LIST, none, auth_list_ret, ANY) \
	X(70, AUTH_POLKIT, none, int_ret, ANY) \
	X(60, CONNECT_SUPPORTS_FEATURE, int_args, int_ret, EARLY) \
	X(1, CONNECT_OPEN, open_args, none, EARLY) \
	X(2, CONNECT_CLOSE, none, none, EARLY) \
	X(3, CONNECT_GET_TYPE, none, text_ret, READ) \
	X(4, CONNECT_GET_VERSION, none, hyper_ret, READ) \
	X(157, CONNECT_GET_LIB_VERSION, none, hyper_ret, READ) \
	X(59, CONNECT_GET_HOSTNAME, none, text_ret, READ) \
	X(110, CONNECT_GET_URI, none, text_ret, READ) \
	X(149, CONNECT_IS_SECURE, none, int_ret, READ) \
	X(203, CONNECT_GET_SYSINFO, flags_args, text_ret, READ) \
	X(419, CONNECT_SET_IDENTITY, params_flags_args, none, WRITE) \
	X(360, CONNECT_REGISTER_CLOSE_CALLBACK, none, none, READ) \
	X(361, CONNECT_UNREGISTER_CLOSE_CALLBACK, none, none, READ) \
	X(5, CONNECT_GET_MAX_VCPUS, opt_text_args, int_ret, READ) \
	X(6, NODE_GET_INFO, none, node_info_ret, READ) \
	X(7, CONNECT_GET_CAPABILITIES, none, text_ret, READ) \
	X(342, CONNECT_GET_DOMAIN_CAPABILITIES, domain_capabilities_args, text_ret, READ) \
	X(403, CONNECT_GET_STORAGE_POOL_CAPABILITIES, flags_args, text_ret, READ) \
	X(102, NODE_GET_FREE_MEMORY, none, hyper_ret, READ) \
	X(101, NODE_GET_CELLS_FREE_MEMORY, cells_args, cells_ret, READ) \
	X(340, NODE_GET_FREE_PAGES, free_pages_args, cells_ret, READ) \
	X(227, NODE_GET_CPU_STATS, node_stats_args, node_stats_ret, READ) \
	X(228, NODE_GET_MEMORY_STATS, node_memory_stats_args, node_stats_ret, READ) \
	X(293, NODE_GET_CPU_MAP, cpu_map_args, cpu_map_ret, READ) \
	X(122, NODE_GET_SECURITY_MODEL, none, security_model_ret, READ) \
	X(312, CONNECT_GET_CPU_MODEL_NAMES, cpu_models_args, models_ret, READ) \
	X(158, CONNECT_COMPARE_CPU, xml_flags_args, int_ret, READ) \
	X(162, CONNECT_BASELINE_CPU, names_flags_args, text_ret, READ) \
	X(393, CONNECT_COMPARE_HYPERVISOR_CPU, compare_cpu_args, int_ret, READ) \
	X(394, CONNECT_BASELINE_HYPERVISOR_CPU, baseline_cpu_args, text_ret, READ) \
	/* listing and looking up */ \
	X(273, CONNECT_LIST_ALL_DOMAINS, list_args, domains_ret, READ) \
	X(23, DOMAIN_LOOKUP_BY_NAME, name_args, dom_ret, READ) \
	X(24, DOMAIN_LOOKUP_BY_UUID, uuid_args, dom_ret, READ) \
	X(22, DOMAIN_LOOKUP_BY_ID, int_args, dom_ret, READ) \
	X(51, CONNECT_NUM_OF_DOMAINS, none, int_ret, READ) \
	X(37, CONNECT_LIST_DOMAINS, int_args, ids_ret, READ) \
	X(25, CONNECT_NUM_OF_DEFINED_DOMAINS, none, int_ret, READ) \
	X(21, CONNECT_LIST_DEFINED_DOMAINS, int_args, names_ret, READ) \
	X(150, DOMAIN_IS_ACTIVE, dom_args, int_ret, READ) \
	X(151, DOMAIN_IS_PERSISTENT, dom_args, int_ret, READ) \
	X(202, DOMAIN_IS_UPDATED, dom_args, int_ret, READ) \
	X(16, DOMAIN_GET_INFO, dom_args, domain_info_ret, READ) \
	X(212, DOMAIN_GET_STATE, dom_flags_args, state_ret, READ) \
	X(229, DOMAIN_GET_CONTROL_INFO, dom_flags_args, control_info_ret, READ) \
	X(19, DOMAIN_GET_OS_TYPE, dom_args, text_ret, READ) \
	X(426, DOMAIN_GET_MESSAGES, dom_flags_args, names_ret, READ) \
	X(121, DOMAIN_GET_SECURITY_LABEL, dom_args, security_label, READ) \
	X(278, DOMAIN_GET_SECURITY_LABEL_LIST, dom_args, security_label_list_ret, READ) \
	/* lifecycle */ \
	X(9, DOMAIN_CREATE, dom_args, none, WRITE) \
	X(196, DOMAIN_CREATE_WITH_FLAGS, dom_flags_args, dom_ret, WRITE) \
	X(310, DOMAIN_CREATE_WITH_FILES, dom_flags_args, dom_ret, WRITE) \
	X(10, DOMAIN_CREATE_XML, xml_flags_args, dom_ret, WRITE) \
	X(309, DOMAIN_CREATE_XML_WITH_FILES, xml_flags_args, dom_ret, WRITE) \
	X(11, DOMAIN_DEFINE_XML, xml_args, dom_ret, WRITE) \
	X(350, DOMAIN_DEFINE_XML_FLAGS, xml_flags_args, dom_ret, WRITE) \
	X(35, DOMAIN_UNDEFINE, dom_args, none, WRITE) \
	X(231, DOMAIN_UNDEFINE_FLAGS, dom_flags_args, none, WRITE) \
	X(34, DOMAIN_SUSPEND, dom_args, none, WRITE) \
	X(28, DOMAIN_RESUME, dom_args, none, WRITE) \
	X(33, DOMAIN_SHUTDOWN, dom_args, none, WRITE) \
	X(258, DOMAIN_SHUTDOWN_FLAGS, dom_flags_args, none, WRITE) \
	X(27, DOMAIN_REBOOT, dom_flags_args, none, WRITE) \
	X(245, DOMAIN_RESET, dom_flags_args, none, WRITE) \
	X(12, DOMAIN_DESTROY, dom_args, none, WRITE) \
	X(234, DOMAIN_DESTROY_FLAGS, dom_flags_args, none, WRITE) \
	X(29, DOMAIN_SET_AUTOSTART, dom_int_args, none, WRITE) \
	X(15, DOMAIN_GET_AUTOSTART, dom_args, int_ret, READ) \
	X(358, DOMAIN_RENAME, dom_opt_text_flags_args, int_ret, WRITE) \
	X(210, DOMAIN_INJECT_NMI, dom_flags_args, none, WRITE) \
	X(226, DOMAIN_SEND_KEY, dom_keys_args, none, WRITE) \
	X(295, DOMAIN_SEND_PROCESS_SIGNAL, dom_signal_args, none, WRITE) \
	X(390, DOMAIN_SET_LIFECYCLE_ACTION, dom_lifecycle_args, none, WRITE) \
	X(261, DOMAIN_PM_SUSPEND_FOR_DURATION, dom_pm_suspend_args, none, WRITE) \
	X(267, DOMAIN_PM_WAKEUP, dom_flags_args, none, WRITE) \
	/* XML, metadata */ \
	X(14, DOMAIN_GET_XML_DESC, dom_flags_args, text_ret, READ) \
	X(265, DOMAIN_GET_METADATA, get_metadata_args, text_ret, READ) \
	X(264, DOMAIN_SET_METADATA, set_metadata_args, none, WRITE) \
	X(277, DOMAIN_GET_HOSTNAME, dom_flags_args, text_ret, READ) \
	/* console, graphics, peek */ \
	X(201, DOMAIN_OPEN_CONSOLE, dom_opt_text_flags_args, none, WRITE) \
	X(296, DOMAIN_OPEN_CHANNEL, dom_opt_text_flags_args, none, WRITE) \
	X(211, DOMAIN_SCREENSHOT, dom_uint_flags_args, opt_text_ret, WRITE) \
	X(249, DOMAIN_OPEN_GRAPHICS, dom_uint_flags_args, none, WRITE) \
	X(343, DOMAIN_OPEN_GRAPHICS_FD, dom_uint_flags_args, none, WRITE) \
	X(103, DOMAIN_BLOCK_PEEK, block_peek_args, bytes_ret, WRITE) \
	X(104, DOMAIN_MEMORY_PEEK, memory_peek_args, bytes_ret, WRITE) \
	/* saving, jobs */ \
	X(55, DOMAIN_SAVE, dom_text_args, none, WRITE) \
	X(232, DOMAIN_SAVE_FLAGS, dom_text_opt_text_flags_args, none, WRITE) \
	X(440, DOMAIN_SAVE_PARAMS, dom_params_flags_args, none, WRITE) \
	X(54, DOMAIN_RESTORE, name_args, none, WRITE) \
	X(233, DOMAIN_RESTORE_FLAGS, restore_flags_args, none, WRITE) \
	X(441, DOMAIN_RESTORE_PARAMS, params_flags_args, none, WRITE) \
	X(235, DOMAIN_SAVE_IMAGE_GET_XML_DESC, save_image_args, text_ret, WRITE) \
	X(236, DOMAIN_SAVE_IMAGE_DEFINE_XML, save_image_define_args, none, WRITE) \
	X(182, DOMAIN_MANAGED_SAVE, dom_flags_args, none, WRITE) \
	X(183, DOMAIN_HAS_MANAGED_SAVE_IMAGE, dom_flags_args, int_ret, READ) \
	X(184, DOMAIN_MANAGED_SAVE_REMOVE, dom_flags_args, none, WRITE) \
	X(388, DOMAIN_MANAGED_SAVE_GET_XML_DESC, dom_flags_args, text_ret, READ) \
	X(389, DOMAIN_MANAGED_SAVE_DEFINE_XML, dom_opt_text_flags_args, none, WRITE) \
	X(53, DOMAIN_CORE_DUMP, dom_text_flags_args, none, WRITE) \
	X(334, DOMAIN_CORE_DUMP_WITH_FORMAT, core_dump_format_args, none, WRITE) \
	X(163, DOMAIN_GET_JOB_INFO, dom_args, job_info_ret, READ) \
	X(298, DOMAIN_GET_JOB_STATS, dom_flags_args, job_stats_ret, READ) \
	X(164, DOMAIN_ABORT_JOB, dom_args, none, WRITE) \
	X(442, DOMAIN_ABORT_JOB_FLAGS, dom_flags_args, none, WRITE) \
	/* snapshots */ \
	X(185, DOMAIN_SNAPSHOT_CREATE_XML, dom_text_flags_args, snap_ret, WRITE) \
	X(186, DOMAIN_SNAPSHOT_GET_XML_DESC, snap_flags_args, text_ret, READ) \
	X(187, DOMAIN_SNAPSHOT_NUM, dom_flags_args, int_ret, READ) \
	X(188, DOMAIN_SNAPSHOT_LIST_NAMES, dom_int_flags_args, names_ret, READ) \
	X(274, DOMAIN_LIST_ALL_SNAPSHOTS, dom_list_args, snaps_ret, READ) \
	X(246, DOMAIN_SNAPSHOT_NUM_CHILDREN, snap_flags_args, int_ret, READ) \
	X(247, DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES, snap_max_args, names_ret, READ) \
	X(275, DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN, snap_list_args, snaps_ret, READ) \
	X(189, DOMAIN_SNAPSHOT_LOOKUP_BY_NAME, dom_text_flags_args, snap_ret, READ) \
	X(190, DOMAIN_HAS_CURRENT_SNAPSHOT, dom_flags_args, int_ret, READ) \
	X(191, DOMAIN_SNAPSHOT_CURRENT, dom_flags_args, snap_ret, READ) \
	X(244, DOMAIN_SNAPSHOT_GET_PARENT, snap_flags_args, snap_ret, READ) \
	X(271, DOMAIN_SNAPSHOT_IS_CURRENT, snap_flags_args, int_ret, READ) \
	X(272, DOMAIN_SNAPSHOT_HAS_METADATA, snap_flags_args, int_ret, READ) \
	X(192, DOMAIN_REVERT_TO_SNAPSHOT, snap_flags_args, none, WRITE) \
	X(193, DOMAIN_SNAPSHOT_DELETE, snap_flags_args, none, WRITE) \
	X(413, DOMAIN_LIST_ALL_CHECKPOINTS, dom_list_args, checkpoints_ret, READ) \
	/* block devices, hot-plug */ \
	X(194, DOMAIN_GET_BLOCK_INFO, dom_text_flags_args, block_info_ret, READ) \
	X(64, DOMAIN_BLOCK_STATS, dom_text_args, block_stats_ret, READ) \
	X(243, DOMAIN_BLOCK_STATS_FLAGS, dom_text_int_flags_args, params_ret, READ) \
	X(251, DOMAIN_BLOCK_RESIZE, dom_text_hyper_flags_args, none, WRITE) \
	X(240, DOMAIN_BLOCK_PULL, dom_text_hyper_flags_args, none, WRITE) \
	X(266, DOMAIN_BLOCK_REBASE, block_rebase_args, none, WRITE) \
	X(345, DOMAIN_BLOCK_COPY, block_copy_args, none, WRITE) \
	X(290, DOMAIN_BLOCK_COMMIT, block_commit_args, none, WRITE) \
	X(238, DOMAIN_GET_BLOCK_JOB_INFO, dom_text_flags_args, block_job_ret, READ) \
	X(239, DOMAIN_BLOCK_JOB_SET_SPEED, dom_text_hyper_flags_args, none, WRITE) \
	X(237, DOMAIN_BLOCK_JOB_ABORT, dom_text_flags_args, none, WRITE) \
	X(252, DOMAIN_SET_BLOCK_IO_TUNE, dom_text_params_flags_args, none, WRITE) \
	X(253, DOMAIN_GET_BLOCK_IO_TUNE, get_io_tune_args, params_ret, READ) \
	X(263, DOMAIN_GET_DISK_ERRORS, dom_uint_flags_args, disk_errors_ret, READ) \
	X(386, DOMAIN_SET_BLOCK_THRESHOLD, dom_text_hyper_flags_args, none, WRITE) \
	X(8, DOMAIN_ATTACH_DEVICE, dom_text_args, none, WRITE) \
	X(160, DOMAIN_ATTACH_DEVICE_FLAGS, dom_text_flags_args, none, WRITE) \
	X(13, DOMAIN_DETACH_DEVICE, dom_text_args, none, WRITE) \
	X(161, DOMAIN_DETACH_DEVICE_FLAGS, dom_text_flags_args, none, WRITE) \
	X(392, DOMAIN_DETACH_DEVICE_ALIAS, dom_text_flags_args, none, WRITE) \
	X(174, DOMAIN_UPDATE_DEVICE_FLAGS, dom_text_flags_args, none, WRITE) \
	/* memory, CPU, tuning */ \
	X(17, DOMAIN_GET_MAX_MEMORY, dom_args, hyper_ret, READ) \
	X(30, DOMAIN_SET_MAX_MEMORY, dom_hyper_args, none, WRITE) \
	X(31, DOMAIN_SET_MEMORY, dom_hyper_args, none, WRITE) \
	X(204, DOMAIN_SET_MEMORY_FLAGS, dom_hyper_flags_args, none, WRITE) \
	X(159, DOMAIN_MEMORY_STATS, dom_uint_flags_args, memory_stats_ret, READ) \
	X(308, DOMAIN_SET_MEMORY_STATS_PERIOD, dom_int_flags_args, none, WRITE) \
	X(18, DOMAIN_GET_MAX_VCPUS, dom_args, int_ret, READ) \
	X(32, DOMAIN_SET_VCPUS, dom_uint_args, none, WRITE) \
	X(199, DOMAIN_SET_VCPUS_FLAGS, dom_uint_flags_args, none, WRITE) \
	X(200, DOMAIN_GET_VCPUS_FLAGS, dom_flags_args, int_ret, READ) \
	X(384, DOMAIN_SET_VCPU, dom_cpumap_text_args, none, WRITE) \
	X(20, DOMAIN_GET_VCPUS, get_vcpus_args, get_vcpus_ret, READ) \
	X(26, DOMAIN_PIN_VCPU, pin_vcpu_args, none, WRITE) \
	X(225, DOMAIN_PIN_VCPU_FLAGS, pin_vcpu_flags_args, none, WRITE) \
	X(230, DOMAIN_GET_VCPU_PIN_INFO, vcpu_pin_info_args, cpumaps_ret, READ) \
	X(279, DOMAIN_PIN_EMULATOR, pin_emulator_args, none, WRITE) \
	X(280, DOMAIN_GET_EMULATOR_PIN_INFO, dom_int_flags_args, cpumaps_ret, READ) \
	X(351, DOMAIN_GET_IOTHREAD_INFO, dom_flags_args, iothread_info_ret, READ) \
	X(262, DOMAIN_GET_CPU_STATS, cpu_stats_args, params_ret, READ) \
	X(56, DOMAIN_GET_SCHEDULER_TYPE, dom_args, scheduler_type_ret, READ) \
	X(57, DOMAIN_GET_SCHEDULER_PARAMETERS, dom_int_args, params_only_ret, READ) \
	X(223, DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, dom_int_flags_args, params_only_ret, READ) \
	X(58, DOMAIN_SET_SCHEDULER_PARAMETERS, dom_params_args, none, WRITE) \
	X(219, DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS, dom_params_flags_args, none, WRITE) \
	X(198, DOMAIN_GET_MEMORY_PARAMETERS, dom_int_flags_args, params_ret, READ) \
	X(197, DOMAIN_SET_MEMORY_PARAMETERS, dom_params_flags_args, none, WRITE) \
	X(206, DOMAIN_GET_BLKIO_PARAMETERS, dom_int_flags_args, params_ret, READ) \
	X(205, DOMAIN_SET_BLKIO_PARAMETERS, dom_params_flags_args, none, WRITE) \
	X(255, DOMAIN_GET_NUMA_PARAMETERS, dom_int_flags_args, params_ret, READ) \
	X(254, DOMAIN_SET_NUMA_PARAMETERS, dom_params_flags_args, none, WRITE) \
	/* interfaces, bulk statistics */ \
	X(65, DOMAIN_INTERFACE_STATS, dom_text_args, interface_stats_ret, READ) \
	X(353, DOMAIN_INTERFACE_ADDRESSES, dom_uint_flags_args, interface_addresses_ret, READ) \
	X(257, DOMAIN_GET_INTERFACE_PARAMETERS, dom_text_int_flags_args, params_ret, READ) \
	X(256, DOMAIN_SET_INTERFACE_PARAMETERS, dom_text_params_flags_args, none, WRITE) \
	X(344, CONNECT_GET_ALL_DOMAIN_STATS, all_stats_args, all_stats_ret, READ) \
	/* guest agent */ \
	X(335, DOMAIN_FSFREEZE, dom_names_flags_args, int_ret, WRITE) \
	X(336, DOMAIN_FSTHAW, dom_names_flags_args, int_ret, WRITE) \
	X(294, DOMAIN_FSTRIM, fstrim_args, none, WRITE) \
	X(349, DOMAIN_GET_FSINFO, dom_flags_args, fsinfo_ret, WRITE) \
	X(337, DOMAIN_GET_TIME, dom_flags_args, time_ret, WRITE) \
	X(338, DOMAIN_SET_TIME, set_time_args, none, WRITE) \
	X(357, DOMAIN_SET_USER_PASSWORD, set_password_args, none, WRITE) \
	X(418, DOMAIN_GET_GUEST_INFO, dom_uint_flags_args, params_only_ret, WRITE) \
	X(371, DOMAIN_GET_GUEST_VCPUS, dom_flags_args, params_only_ret, WRITE) \
	X(372, DOMAIN_SET_GUEST_VCPUS, dom_cpumap_text_args, none, WRITE) \
	X(420, DOMAIN_AGENT_SET_RESPONSE_TIMEOUT, dom_int_flags_args, int_ret, WRITE) \
	X(424, DOMAIN_AUTHORIZED_SSH_KEYS_GET, dom_text_flags_args, names_ret, WRITE) \
	X(425, DOMAIN_AUTHORIZED_SSH_KEYS_SET, ssh_keys_args, none, WRITE) \
	/* registration of events */ \
	X(316, CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, register_domain_args, int_ret, READ) \
	X(317, CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, int_args, none, READ) \
	X(167, CONNECT_DOMAIN_EVENT_REGISTER_ANY, int_args, none, READ) \
	X(168, CONNECT_DOMAIN_EVENT_DEREGISTER_ANY, int_args, none, READ) \
	X(105, CONNECT_DOMAIN_EVENT_REGISTER, none, int_ret, READ) \
	X(106, CONNECT_DOMAIN_EVENT_DEREGISTER, none, int_ret, READ) \
	X(313, CONNECT_NETWORK_EVENT_REGISTER_ANY, register_network_args, int_ret, READ) \
	X(314, CONNECT_NETWORK_EVENT_DEREGISTER_ANY, int_args, none, READ) \
	X(368, CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY, register_pool_args, int_ret, READ) \
	X(369, CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY, int_args, none, READ) \
	X(374, CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY, register_nodedev_args, int_ret, READ) \
	X(375, CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY, int_args, none, READ) \
	X(380, CONNECT_SECRET_EVENT_REGISTER_ANY, register_secret_args, int_ret, READ) \
	X(381, CONNECT_SECRET_EVENT_DEREGISTER_ANY, int_args, none, READ) \
	/* storage */ \
	X(281, CONNECT_LIST_ALL_STORAGE_POOLS, list_args, pools_ret, READ) \
	X(71, CONNECT_NUM_OF_STORAGE_POOLS, none, int_ret, READ) \
	X(72, CONNECT_LIST_STORAGE_POOLS, int_args, names_ret, READ) \
	X(73, CONNECT_NUM_OF_DEFINED_STORAGE_POOLS, none, int_ret, READ) \
	X(74, CONNECT_LIST_DEFINED_STORAGE_POOLS, int_args, names_ret, READ) \
	X(84, STORAGE_POOL_LOOKUP_BY_NAME, name_args, pool_ret, READ) \
	X(85, STORAGE_POOL_LOOKUP_BY_UUID, uuid_args, pool_ret, READ) \
	X(86, STORAGE_POOL_LOOKUP_BY_VOLUME, vol_args, pool_ret, READ) \
	X(391, STORAGE_POOL_LOOKUP_BY_TARGET_PATH, name_args, pool_ret, READ) \
	X(77, STORAGE_POOL_DEFINE_XML, xml_flags_args, pool_ret, WRITE) \
	X(76, STORAGE_POOL_CREATE_XML, xml_flags_args, pool_ret, WRITE) \
	X(78, STORAGE_POOL_CREATE, pool_flags_args, none, WRITE) \
	X(79, STORAGE_POOL_BUILD, pool_flags_args, none, WRITE) \
	X(80, STORAGE_POOL_DESTROY, pool_args, none, WRITE) \
	X(81, STORAGE_POOL_DELETE, pool_flags_args, none, WRITE) \
	X(82, STORAGE_POOL_UNDEFINE, pool_args, none, WRITE) \
	X(83, STORAGE_POOL_REFRESH, pool_flags_args, none, WRITE) \
	X(87, STORAGE_POOL_GET_INFO, pool_args, pool_info_ret, READ) \
	X(88, STORAGE_POOL_GET_XML_DESC, pool_flags_args, text_ret, READ) \
	X(89, STORAGE_POOL_GET_AUTOSTART, pool_args, int_ret, READ) \
	X(90, STORAGE_POOL_SET_AUTOSTART, pool_int_args, none, WRITE) \
	X(154, STORAGE_POOL_IS_ACTIVE, pool_args, int_ret, READ) \
	X(155, STORAGE_POOL_IS_PERSISTENT, pool_args, int_ret, READ) \
	X(91, STORAGE_POOL_NUM_OF_VOLUMES, pool_args, int_ret, READ) \
	X(92, STORAGE_POOL_LIST_VOLUMES, pool_int_args, names_ret, READ) \
	X(282, STORAGE_POOL_LIST_ALL_VOLUMES, pool_list_args, vols_ret, READ) \
	X(95, STORAGE_VOL_LOOKUP_BY_NAME, pool_name_args, vol_ret, READ) \
	X(96, STORAGE_VOL_LOOKUP_BY_KEY, name_args, vol_ret, READ) \
	X(97, STORAGE_VOL_LOOKUP_BY_PATH, name_args, vol_ret, READ) \
	X(93, STORAGE_VOL_CREATE_XML, pool_xml_flags_args, vol_ret, WRITE) \
	X(125, STORAGE_VOL_CREATE_XML_FROM, vol_create_from_args, vol_ret, WRITE) \
	X(94, STORAGE_VOL_DELETE, vol_flags_args, none, WRITE) \
	X(165, STORAGE_VOL_WIPE, vol_flags_args, none, WRITE) \
	X(259, STORAGE_VOL_WIPE_PATTERN, vol_uint_flags_args, none, WRITE) \
	X(260, STORAGE_VOL_RESIZE, vol_hyper_flags_args, none, WRITE) \
	X(98, STORAGE_VOL_GET_INFO, vol_args, vol_info_ret, READ) \
	X(378, STORAGE_VOL_GET_INFO_FLAGS, vol_flags_args, vol_info_ret, READ) \
	X(99, STORAGE_VOL_GET_XML_DESC, vol_flags_args, text_ret, READ) \
	X(100, STORAGE_VOL_GET_PATH, vol_args, text_ret, READ) \
	X(208, STORAGE_VOL_UPLOAD, vol_range_args, none, WRITE) \
	X(209, STORAGE_VOL_DOWNLOAD, vol_range_args, none, WRITE) \
	/* networks */ \
	X(283, CONNECT_LIST_ALL_NETWORKS, list_args, nets_ret, READ) \
	X(52, CONNECT_NUM_OF_NETWORKS, none, int_ret, READ) \
	X(38, CONNECT_LIST_NETWORKS, int_args, names_ret, READ) \
	X(50, CONNECT_NUM_OF_DEFINED_NETWORKS, none, int_ret, READ) \
	X(36, CONNECT_LIST_DEFINED_NETWORKS, int_args, names_ret, READ) \
	X(46, NETWORK_LOOKUP_BY_NAME, name_args, net_ret, READ) \
	X(47, NETWORK_LOOKUP_BY_UUID, uuid_args, net_ret, READ) \
	X(41, NETWORK_DEFINE_XML, xml_args, net_ret, WRITE) \
	X(432, NETWORK_DEFINE_XML_FLAGS, xml_flags_args, net_ret, WRITE) \
	X(40, NETWORK_CREATE_XML, xml_args, net_ret, WRITE) \
	X(437, NETWORK_CREATE_XML_FLAGS, xml_flags_args, net_ret, WRITE) \
	X(39, NETWORK_CREATE, net_args, none, WRITE) \
	X(42, NETWORK_DESTROY, net_args, none, WRITE) \
	X(49, NETWORK_UNDEFINE, net_args, none, WRITE) \
	X(43, NETWORK_GET_XML_DESC, net_flags_args, text_ret, READ) \
	X(45, NETWORK_GET_BRIDGE_NAME, net_args, text_ret, READ) \
	X(44, NETWORK_GET_AUTOSTART, net_args, int_ret, READ) \
	X(48, NETWORK_SET_AUTOSTART, net_int_args, none, WRITE) \
	X(152, NETWORK_IS_ACTIVE, net_args, int_ret, READ) \
	X(153, NETWORK_IS_PERSISTENT, net_args, int_ret, READ) \
	X(291, NETWORK_UPDATE, net_update_args, none, WRITE) \
	X(341, NETWORK_GET_DHCP_LEASES, dhcp_leases_args, dhcp_leases_ret, READ) \
	X(404, NETWORK_LIST_ALL_PORTS, net_list_args, net_ports_ret, READ) \
	/* devices of the host */ \
	X(113, NODE_DEVICE_LOOKUP_BY_NAME, name_args, nodedev_ret, READ) \
	X(114, NODE_DEVICE_GET_XML_DESC, name_flags_args, text_ret, READ) \
	X(115, NODE_DEVICE_GET_PARENT, name_args, opt_text_ret, READ) \
	X(116, NODE_DEVICE_NUM_OF_CAPS, name_args, int_ret, READ) \
	X(117, NODE_DEVICE_LIST_CAPS, name_int_args, names_ret, READ) \
	X(433, NODE_DEVICE_GET_AUTOSTART, name_args, int_ret, READ) \
	X(435, NODE_DEVICE_IS_PERSISTENT, name_args, int_ret, READ) \
	X(436, NODE_DEVICE_IS_ACTIVE, name_args, int_ret, READ) \
	/* lists that may be empty */ \
	X(285, CONNECT_LIST_ALL_NODE_DEVICES, list_args, nodedevs_ret, READ) \
	X(111, NODE_NUM_OF_DEVICES, cap_flags_args, int_ret, READ) \
	X(112, NODE_LIST_DEVICES, cap_max_args, names_ret, READ) \
	X(284, CONNECT_LIST_ALL_INTERFACES, list_args, ifaces_ret, READ) \
	X(126, CONNECT_NUM_OF_INTERFACES, none, int_ret, READ) \
	X(137, CONNECT_NUM_OF_DEFINED_INTERFACES, none, int_ret, READ) \
	X(286, CONNECT_LIST_ALL_NWFILTERS, list_args, nwfilters_ret, READ) \
	X(178, CONNECT_NUM_OF_NWFILTERS, none, int_ret, READ) \
	X(179, CONNECT_LIST_NWFILTERS, int_args, names_ret, READ) \
	X(401, CONNECT_LIST_ALL_NWFILTER_BINDINGS, list_args, nwfilter_bindings_ret, READ) \
	X(287, CONNECT_LIST_ALL_SECRETS, list_args, secrets_ret, READ) \
	X(139, CONNECT_NUM_OF_SECRETS, none, int_ret, READ) \
	X(140, CONNECT_LIST_SECRETS, int_args, names_ret, READ)

#define REMOTE_PROC_NUMBER(nr, name, args, ret, need) REMOTE_PROC_##name = nr,
enum remote_procedure {
	REMOTE_PROCEDURES(REMOTE_PROC_NUMBER)
	REMOTE_PROC_MAX = 443
};
#undef REMOTE_PROC_NUMBER

/* Messages of pools' events; their ids are counted from 0 again. */
enum { REMOTE_POOL_EVENT_MSG_LIFECYCLE = 370, REMOTE_POOL_EVENT_MSG_REFRESH = 373 };

/* Events: id of registration, procedure of its MESSAGE, name, type (see above). */
#define REMOTE_EVENTS(X) \
	X(0, 318, LIFECYCLE, event_lifecycle) \
	X(1, 319, REBOOT, event_dom) \
	X(2, 320, RTC_CHANGE, event_dom_hyper) \
	X(3, 321, WATCHDOG, event_dom_int) \
	X(4, 322, IO_ERROR, event_io_error) \
	X(6, 324, IO_ERROR_REASON, event_io_error_reason) \
	X(7, 325, CONTROL_ERROR, event_dom) \
	X(8, 326, BLOCK_JOB, event_block_job) \
	X(9, 327, DISK_CHANGE, event_disk_change) \
	X(10, 328, TRAY_CHANGE, event_tray_change) \
	X(11, 329, PMWAKEUP, event_pm) \
	X(12, 330, PMSUSPEND, event_pm) \
	X(13, 331, BALLOON_CHANGE, event_dom_hyper) \
	X(14, 332, PMSUSPEND_DISK, event_pm) \
	X(15, 333, DEVICE_REMOVED, event_device) \
	X(16, 339, BLOCK_JOB_2, event_block_job) \
	X(17, 346, TUNABLE, event_params) \
	X(18, 348, AGENT_LIFECYCLE, event_agent) \
	X(19, 354, DEVICE_ADDED, event_device) \
	X(20, 359, MIGRATION_ITERATION, event_dom_int) \
	X(21, 363, JOB_COMPLETED, event_params) \
	X(22, 367, DEVICE_REMOVAL_FAILED, event_device) \
	X(23, 379, METADATA_CHANGE, event_metadata) \
	X(24, 385, BLOCK_THRESHOLD, event_block_threshold) \
	X(25, 423, MEMORY_FAILURE, event_memory_failure) \
	X(26, 438, MEMORY_DEVICE_SIZE_CHANGE, event_memory_size)

#define REMOTE_EVENT_NUMBERS(id, msg, name, type) \
	REMOTE_EVENT_##name = id, REMOTE_EVENT_MSG_##name = msg,
enum remote_event_number {
	REMOTE_EVENTS(REMOTE_EVENT_NUMBERS)
	REMOTE_EVENT_MSG_NETWORK = 315,	/* event_network */
	REMOTE_EVENT_LAST = 26	/* ids 0..26 may be registered, 5 (graphics) never happens */
};
#undef REMOTE_EVENT_NUMBERS
