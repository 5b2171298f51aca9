/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics for Prometheus by HTTP, on a Unix socket or on the loopback: GET
 * /metrics, one answer a connection.  Anybody on the host may connect to the
 * latter: clients are few, slow ones are ended, and what they ask for is made
 * once a second at most.
 */
#pragma once

#include "vmmd/daemon.h"

struct metrics_server;

/* "off", "unix" (RUN_DIR/metrics.sock), "/a/path", "127.0.0.1:9177", "[::1]:9177". */
bool metrics_address_check(const char *text, GError **error);
/* daemon->metrics, or NULL if it is off. */
bool metrics_server_open(struct daemon *daemon, const char *text, GError **error);
void metrics_server_free(struct metrics_server *server);
