/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host and our machine can do, in libvirt's two XML documents. */
#pragma once

#include <glib.h>

#define CAPS_ARCH "x86_64"
#define CAPS_VCPUS_MAX 255
#define CAPS_MACHINE "microvm"

/* emulator: path of vmm-worker. */
char *caps_host_xml(const char *emulator);
/*
 * What NULL leaves open is ours; VMM_ERR_INVALID_ARG for an arch, machine or type that we don't
 * have.
 */
char *caps_domain_xml(const char *emulator, const char *arch, const char *machine,
		      const char *virttype, GError **error);
