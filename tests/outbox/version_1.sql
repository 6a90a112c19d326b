-- The outbox as the first release left it: five events, one delivered, one expired, one parked, two waiting.
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" ("id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT, "applied_at" TEXT);
INSERT INTO "_sqlite_migrations" VALUES(1,'lineside.outbox','m001_first_release','2026-11-24 10:00:00+00:00');
CREATE TABLE delivery (
    seq         INTEGER NOT NULL REFERENCES event (seq),
    destination TEXT    NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    reason      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (seq, destination)
) STRICT, WITHOUT ROWID;
INSERT INTO "delivery" VALUES(2,'crm',0,3,'503: busy');
INSERT INTO "delivery" VALUES(3,'crm',1,1,'422: no such asset');
INSERT INTO "delivery" VALUES(4,'crm',0,0,'');
CREATE TABLE event (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,   -- CloudEvents `sequence`, never reused
    id            TEXT    NOT NULL UNIQUE,
    type          TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    time_ns       INTEGER NOT NULL,
    recorded_ns   INTEGER NOT NULL,
    severity      INTEGER NOT NULL,
    partitionkey  TEXT    NOT NULL,
    dataschema    TEXT    NOT NULL,
    correlationid TEXT    NOT NULL,
    traceparent   TEXT    NOT NULL,
    data          BLOB    NOT NULL,
    crc           INTEGER NOT NULL                     -- over all the columns before it: SQLite misses most bit flips
) STRICT;
INSERT INTO "event" VALUES(2,'ev-00000002','io.lineside.limit.raised.v1','urn:lineside:acme:test:test-gw','area/line/cell/press-07/oil_temperature',1800000000000000002,1800000000500000002,13,'press-07','https://lineside.example/contracts/io.lineside.limit.raised/1.0.json','inc-00000002','',X'7B226E223A317D',4164672948);
INSERT INTO "event" VALUES(3,'ev-00000003','io.lineside.limit.raised.v1','urn:lineside:acme:test:test-gw','area/line/cell/press-07/oil_temperature',1800000000000000003,1800000000500000003,13,'press-07','https://lineside.example/contracts/io.lineside.limit.raised/1.0.json','inc-00000003','',X'7B226E223A317D',2769739306);
INSERT INTO "event" VALUES(4,'ev-00000004','io.lineside.limit.raised.v1','urn:lineside:acme:test:test-gw','area/line/cell/press-07/oil_temperature',1800000000000000004,1800000000500000004,21,'press-07','https://lineside.example/contracts/io.lineside.limit.raised/1.0.json','inc-00000004','',X'7B226E223A317D',1320667531);
CREATE TABLE incident (
    id         TEXT    PRIMARY KEY,
    machine    TEXT    NOT NULL,
    condition  TEXT    NOT NULL,
    state      TEXT    NOT NULL,                       -- pending, open, closed, damaged
    since_ns   INTEGER NOT NULL,
    raised_ns  INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    body       BLOB    NOT NULL,                       -- JSON: gateway.incidents.Incident
    crc        INTEGER NOT NULL                        -- over the body
) STRICT;
CREATE TABLE ledger (
    id          INTEGER PRIMARY KEY,
    recorded_ns INTEGER NOT NULL,
    what        TEXT    NOT NULL,                      -- events, readings, waveforms, incidents
    name        TEXT    NOT NULL,                      -- destination or source
    from_ns     INTEGER NOT NULL,
    to_ns       INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    reason      TEXT    NOT NULL
) STRICT;
INSERT INTO "ledger" VALUES(1,1,'events','crm',1,1,1,'older than keep_events_days');
CREATE TABLE tally (
    destination TEXT    NOT NULL,
    what        TEXT    NOT NULL,                      -- stored, delivered, expired, dropped
    count       INTEGER NOT NULL,
    PRIMARY KEY (destination, what)
) STRICT, WITHOUT ROWID;
INSERT INTO "tally" VALUES('crm','delivered',1);
INSERT INTO "tally" VALUES('crm','expired',1);
INSERT INTO "tally" VALUES('crm','stored',5);
CREATE INDEX event_severity ON event (severity);
CREATE INDEX delivery_due ON delivery (destination, state, seq);
CREATE INDEX incident_state ON incident (state, changed_ns);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name" ON "_sqlite_migrations" ("migration_set", "name");
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('event',5);
COMMIT;
PRAGMA user_version=1;
