/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new database, made of the copies of definitions (copies.h). */
#pragma once

#include "vmmd/daemon.h"

/*
 * Nobody may be running.  Tells on stdout what it took and what not; false if it
 * made none, or had to leave something.  replace: a database that is there is
 * moved aside, else it is an error.  The new one appears whole or not at all.
 */
bool recover(const struct daemon *daemon, bool replace, GError **error);
/* Is the database lost, but not the copies?  Then a start would begin from nothing: false. */
bool recover_not_needed(const struct daemon *daemon, GError **error);
