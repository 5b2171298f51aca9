/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fleet's counters as text, of the tables of what is counted: OpenMetrics
 * 1.0, or the text format of Prometheus before it, which differs in the names
 * of counters' families and in how it ends.
 */
#pragma once

#include <glib.h>

enum metrics_format { METRICS_OPENMETRICS, METRICS_PROMETHEUS };

/* For HTTP. */
const char *metrics_content_type(enum metrics_format format);
/* records: of struct bulk_record.  The caller's. */
GString *metrics_text(const GPtrArray *records, enum metrics_format format);
