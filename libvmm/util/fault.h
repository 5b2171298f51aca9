/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a test may end the program as a power cut would, between two steps that must hold. */
#pragma once

/*
 * Does nothing.  Test programs link another one before the library: it
 * kills the process when $VMM_FAULT names the point ("snapshot-create:disk", or
 * "snapshot-create:disk@3" for its third passing), and appends each name that
 * it passes to the file $VMM_FAULT_LOG.
 */
void fault_point(const char *name);
/*
 * 0.  A test's: EIO while $VMM_FAULT_FAIL is "NAME:PATH" and PATH is there, as
 * if the step that follows had failed so.
 */
int fault_errno(const char *name);
