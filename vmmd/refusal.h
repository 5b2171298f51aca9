/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of libvirt's protocol that nothing here answers: their names, and why. */
#pragma once

/* Of all numbers that are known; NULL: no such procedure. */
const char *refusal_name(int procedure);
/* Why there is no such thing here, or what to do instead; NULL: nothing to say. */
const char *refusal_reason(const char *name);
