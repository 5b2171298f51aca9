/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An event as a line for people, and as one of JSON. */
#pragma once

#include "libvmm/vmm.h"

/* noun: what it is of, "domain".  "event 'reboot' for domain 'web'"; no newline. */
char *event_line(const struct vmm_event *event, const char *noun);
/* An object, with a newline. */
char *event_json_line(const struct vmm_event *event, const char *noun);
