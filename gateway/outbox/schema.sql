-- The durable half of the gateway. WAL, synchronous=FULL. One writer: gateway/outbox/writer.py.

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

CREATE INDEX event_severity ON event (severity);       -- order of sacrifice when the cap is reached

-- One row per event and destination until it is delivered. state: 0 ready, 1 parked (dead letter), 2 quarantined (damaged)
CREATE TABLE delivery (
    seq         INTEGER NOT NULL REFERENCES event (seq),
    destination TEXT    NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    reason      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (seq, destination)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (destination, state, seq);

-- The conservation law per destination: stored = delivered + expired + dropped + rows in delivery
CREATE TABLE tally (
    destination TEXT    NOT NULL,
    what        TEXT    NOT NULL,                      -- stored, delivered, expired, dropped
    count       INTEGER NOT NULL,
    PRIMARY KEY (destination, what)
) STRICT, WITHOUT ROWID;

-- Incidents live beside their events so that a change and its event are one transaction.
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

CREATE INDEX incident_state ON incident (state, changed_ns);

-- What was lost, when, how much and why.
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
