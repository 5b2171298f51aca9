/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables: each step from one version of the database to the next; what was released stays. */
#include "config.h"
#include "vmmd/store-priv.h"

#include "libvmm/util/cleanup.h"

const char *const store_migrations[] = {
	"CREATE TABLE domains("
	" uuid BLOB NOT NULL PRIMARY KEY CHECK(length(uuid) = 16),"
	" name TEXT NOT NULL UNIQUE,"
	" xml TEXT NOT NULL,"
	" autostart INTEGER NOT NULL DEFAULT 0 CHECK(autostart IN (0, 1)),"
	" state INTEGER NOT NULL,"
	" reason INTEGER NOT NULL,"
	" created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE counters(name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
	"INSERT INTO counters VALUES('domain-id', 0);"
	"CREATE TABLE events("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" at INTEGER NOT NULL,"			/* microseconds of real time */
	" uuid BLOB NOT NULL,"			/* no reference: it outlives the domain */
	" name TEXT NOT NULL,"
	" event INTEGER NOT NULL,"
	" detail INTEGER NOT NULL) STRICT;",
	"CREATE TABLE intents("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" kind TEXT NOT NULL,"
	" uuid BLOB NOT NULL CHECK(length(uuid) = 16),"	/* of what it is about */
	" step INTEGER NOT NULL,"
	" body TEXT NOT NULL,"				/* the kind's own matter */
	" created INTEGER NOT NULL) STRICT;",
	"CREATE TABLE snapshots("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" domain BLOB NOT NULL REFERENCES domains(uuid),"
	" name TEXT NOT NULL,"
	" parent INTEGER REFERENCES snapshots(id),"
	" created INTEGER NOT NULL,"			/* seconds of real time */
	" state INTEGER NOT NULL,"
	" description TEXT,"
	" xml TEXT NOT NULL,"				/* the definition that was in force */
	" inactive TEXT,"				/* and the saved one, if it was another */
	" memory TEXT,"
	" memory_ours INTEGER NOT NULL,"
	" current INTEGER NOT NULL CHECK(current IN (0, 1)),"
	" pending INTEGER NOT NULL CHECK(pending IN (0, 1)),"
	" UNIQUE(domain, name)) STRICT;"
	"CREATE UNIQUE INDEX snapshots_current ON snapshots(domain) WHERE current;"
	"CREATE TABLE layers("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" domain BLOB NOT NULL REFERENCES domains(uuid),"
	" target TEXT NOT NULL,"
	" path TEXT NOT NULL,"
	" format INTEGER NOT NULL,"
	" parent INTEGER REFERENCES layers(id),"
	" state INTEGER NOT NULL CHECK(state IN (0, 1, 2)),"
	" ours INTEGER NOT NULL CHECK(ours IN (0, 1)),"
	" kept INTEGER NOT NULL CHECK(kept IN (0, 1)),"
	" UNIQUE(domain, path)) STRICT;"
	"CREATE TABLE snapshot_disks("
	" snapshot INTEGER NOT NULL REFERENCES snapshots(id),"
	" target TEXT NOT NULL,"
	" place INTEGER NOT NULL,"
	" frozen INTEGER REFERENCES layers(id),"
	" overlay INTEGER REFERENCES layers(id),"
	" PRIMARY KEY(snapshot, target)) STRICT, WITHOUT ROWID;",
	"CREATE TABLE pools("
	" uuid BLOB NOT NULL PRIMARY KEY CHECK(length(uuid) = 16),"
	" name TEXT NOT NULL UNIQUE,"
	" xml TEXT NOT NULL,"
	" persistent INTEGER NOT NULL CHECK(persistent IN (0, 1)),"
	" active INTEGER NOT NULL CHECK(active IN (0, 1)),"
	" autostart INTEGER NOT NULL CHECK(autostart IN (0, 1))) STRICT, WITHOUT ROWID;"
	"INSERT INTO counters VALUES('default-pool', 0);"	/* 1: it was made once */
	"CREATE TABLE images("
	" path TEXT NOT NULL PRIMARY KEY,"
	" inode INTEGER NOT NULL,"
	" size INTEGER NOT NULL,"
	" mtime INTEGER NOT NULL,"			/* nanoseconds */
	" digest INTEGER NOT NULL,"			/* of the header */
	" format INTEGER NOT NULL,"
	" parent TEXT,"
	" seen INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
	/* Each text that a definition has had; by triggers: nothing goes round them. */
	"CREATE TABLE revisions("
	" uuid BLOB NOT NULL REFERENCES domains(uuid) ON DELETE CASCADE,"
	" number INTEGER NOT NULL,"
	" at INTEGER NOT NULL,"
	" who TEXT NOT NULL,"
	" restored INTEGER NOT NULL,"		/* the number that it brought back; 0: none */
	" xml TEXT NOT NULL,"
	" UNIQUE(uuid, number)) STRICT;"
	"INSERT INTO revisions SELECT uuid, 1, unixepoch(), 'vmmd', 0, xml FROM domains;"
	"CREATE TRIGGER first_revision AFTER INSERT ON domains BEGIN"
	" INSERT INTO revisions VALUES(new.uuid, 1, unixepoch(), author(), 0, new.xml); END;"
	"CREATE TRIGGER next_revision AFTER UPDATE OF xml ON domains WHEN new.xml <> old.xml BEGIN"
	" INSERT INTO revisions SELECT new.uuid, max(number) + 1, unixepoch(), author(),"
	" restored(), new.xml FROM revisions WHERE uuid = new.uuid; END;",
	/* Which domains came from where, by "apply". */
	"CREATE TABLE applied("
	" uuid BLOB NOT NULL PRIMARY KEY REFERENCES domains(uuid) ON DELETE CASCADE,"
	" source TEXT NOT NULL) STRICT, WITHOUT ROWID;",
	"ALTER TABLE images ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;",
	"CREATE TABLE networks("
	" uuid BLOB NOT NULL PRIMARY KEY CHECK(length(uuid) = 16),"
	" name TEXT NOT NULL UNIQUE,"
	" saved TEXT,"				/* NULL: transient */
	" live TEXT,"				/* NULL: not active */
	" autostart INTEGER NOT NULL CHECK(autostart IN (0, 1))) STRICT, WITHOUT ROWID;"
	"INSERT INTO counters VALUES('default-network', 0);",	/* 1: it was made once */
	"CREATE TABLE boots("
	" id INTEGER PRIMARY KEY,"		/* the domain's while it ran */
	" uuid BLOB NOT NULL CHECK(length(uuid) = 16),"	/* no reference: it outlives the domain */
	" name TEXT NOT NULL,"
	" started INTEGER NOT NULL,"		/* microseconds of real time */
	" boot_ms INTEGER,"
	" restored INTEGER NOT NULL CHECK(restored IN (0, 1)),"
	" ended INTEGER,"
	" how TEXT) STRICT;"
	"CREATE INDEX boots_open ON boots(uuid) WHERE ended IS NULL;",
};
static_assert(ARRAY_SIZE(store_migrations) == STORE_VERSION, "one migration for each version");
