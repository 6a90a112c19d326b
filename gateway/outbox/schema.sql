-- The durable half of the gateway, version 5. WAL, synchronous=FULL. One writer thread: gateway/outbox/writer.py.

CREATE TABLE event (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,   -- CloudEvents `sequence`, never reused
    id            TEXT    NOT NULL UNIQUE,             -- `<incident>-<number>` for conditions: a range of it is an incident
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
    crc           INTEGER NOT NULL,                    -- over all that is sent: SQLite misses most bit flips
    causationid   TEXT    NOT NULL DEFAULT '',
    copies        INTEGER NOT NULL DEFAULT 2           -- destinations it was addressed to; 1: it goes with its only delivery
) STRICT;

-- One row per event and destination until it is delivered or given up. No index beside the key: it costs more than it brings.
CREATE TABLE delivery (
    destination TEXT    NOT NULL,
    lane        INTEGER NOT NULL,                      -- 0 urgent, 1 in order, 2 set aside with its machine
    seq         INTEGER NOT NULL REFERENCES event (seq),
    severity    INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    tried       INTEGER NOT NULL DEFAULT 0,            -- 1: the receiver may have taken it, so no other one may get it; larger: so says a sender's mark
    reason      TEXT    NOT NULL DEFAULT '',
    kept        INTEGER NOT NULL DEFAULT 0,            -- 1: put back by hand, so it does not expire again
    PRIMARY KEY (destination, lane, seq)
) STRICT, WITHOUT ROWID;

-- What is not sent any more but kept for people. kind: 1 parked (refused), 2 quarantined (damaged), 3 expired
CREATE TABLE dead_letter (
    destination TEXT    NOT NULL,
    seq         INTEGER NOT NULL REFERENCES event (seq),
    kind        INTEGER NOT NULL,
    at_ns       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    code        TEXT    NOT NULL DEFAULT '',           -- the receiver's word for it
    reason      TEXT    NOT NULL DEFAULT '',
    replaced_by TEXT    NOT NULL DEFAULT '',           -- id of the corrected event
    PRIMARY KEY (destination, seq)
) STRICT, WITHOUT ROWID;

-- The conservation law per destination: see tally.py
CREATE TABLE tally (
    destination TEXT    NOT NULL,
    what        TEXT    NOT NULL,                      -- stored, delivered, aged, evicted, discarded, summarised, moved, damaged
    count       INTEGER NOT NULL,
    PRIMARY KEY (destination, what)
) STRICT, WITHOUT ROWID;

-- What a sender remembers over a restart: its breaker, its budget, the machines it set aside.
CREATE TABLE breaker (
    destination TEXT    PRIMARY KEY,
    failures    INTEGER NOT NULL,
    held        INTEGER NOT NULL,
    ready_ns    INTEGER NOT NULL,                      -- wall time of the next attempt
    since_ns    INTEGER NOT NULL,                      -- since when nothing was taken; 0: it is well
    why         TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE budget (
    destination TEXT    NOT NULL,
    bucket      TEXT    NOT NULL,                      -- hour, day, or machine/<name>
    tokens      REAL    NOT NULL,
    at_ns       INTEGER NOT NULL,
    PRIMARY KEY (destination, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE aside (
    destination TEXT    NOT NULL,
    machine     TEXT    NOT NULL,
    until_ns    INTEGER NOT NULL,
    why         TEXT    NOT NULL,                      -- refused, budget
    PRIMARY KEY (destination, machine)
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
    crc        INTEGER NOT NULL                        -- over all but `changed_ns`
) STRICT;

CREATE INDEX incident_state ON incident (state, changed_ns);

-- Verdicts on incidents, and how far they moved thresholds.
CREATE TABLE label (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,     -- in the order they came
    id          TEXT    NOT NULL UNIQUE,               -- of the message: told twice, kept once
    incident    TEXT    NOT NULL,
    machine     TEXT    NOT NULL,                      -- these three as the incident says; empty: it is not known here
    condition   TEXT    NOT NULL,
    detector    TEXT    NOT NULL,
    judgement   TEXT    NOT NULL,                      -- true_positive, false_alarm, known_issue, maintenance
    t_ns        INTEGER NOT NULL,
    recorded_ns INTEGER NOT NULL,
    origin      TEXT    NOT NULL,                      -- destination it came from, or `command`
    by          TEXT    NOT NULL,
    comment     TEXT    NOT NULL,
    case_number TEXT    NOT NULL
) STRICT;

CREATE INDEX label_incident ON label (incident);

CREATE TABLE tuning (
    detector  TEXT    NOT NULL,
    machine   TEXT    NOT NULL,
    condition TEXT    NOT NULL,
    factor    REAL    NOT NULL,
    label     INTEGER NOT NULL,                        -- number of the last label that went into it
    PRIMARY KEY (detector, machine, condition)
) STRICT, WITHOUT ROWID;

-- Conditions nobody is told of for a while. Patterns with * and ?.
CREATE TABLE shelf (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    machine   TEXT    NOT NULL,
    condition TEXT    NOT NULL,
    critical  INTEGER NOT NULL,                        -- 1: also what is critical
    since_ns  INTEGER NOT NULL,
    until_ns  INTEGER NOT NULL,
    who       TEXT    NOT NULL,
    why       TEXT    NOT NULL
) STRICT;

-- What somebody asked a running gateway to do with what a watch has learnt.
CREATE TABLE request (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    what    TEXT    NOT NULL,                          -- forget, adopt, undo
    watch   TEXT    NOT NULL,                          -- empty: every one that looks at the machine
    machine TEXT    NOT NULL,
    tags    TEXT    NOT NULL,                          -- pattern; empty: the machine as a whole
    who     TEXT    NOT NULL,
    why     TEXT    NOT NULL,
    at_ns   INTEGER NOT NULL,
    done_ns INTEGER NOT NULL DEFAULT 0,                -- 0: not yet
    answer  TEXT    NOT NULL DEFAULT ''                -- what was done, or why not
) STRICT;

-- What watches on trial would have raised.
CREATE TABLE shadow_alarm (
    watch     TEXT    NOT NULL,
    id        TEXT    NOT NULL,                        -- of the incident it would have been
    machine   TEXT    NOT NULL,
    condition TEXT    NOT NULL,
    at_ns     INTEGER NOT NULL,
    title     TEXT    NOT NULL,
    PRIMARY KEY (watch, id)
) STRICT, WITHOUT ROWID;

-- Who changed what. A chain: a line that is changed, removed or put in does not fit any more, see audit.py.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,                        -- without gaps
    at_ns  INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    what   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    before TEXT    NOT NULL,
    after  TEXT    NOT NULL,
    hash   BLOB    NOT NULL DEFAULT x''                -- over the hash of the line before and this line
) STRICT;

-- What was lost, when, how much and why, and how much of it came later after all.
CREATE TABLE ledger (
    id          INTEGER PRIMARY KEY,
    recorded_ns INTEGER NOT NULL,
    what        TEXT    NOT NULL,                      -- events, readings, waveforms, incidents
    name        TEXT    NOT NULL,                      -- destination or source
    from_ns     INTEGER NOT NULL,
    to_ns       INTEGER NOT NULL,                      -- 0: it goes on
    count       INTEGER,                               -- NULL: nobody knows
    reason      TEXT    NOT NULL,
    filled      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE note (
    name  TEXT PRIMARY KEY,                            -- alive_ns: when the gateway was last seen running
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
