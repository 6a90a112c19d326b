"""Brings an outbox file to the current version. Each step is one transaction: killed half way, it has not begun."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from gateway.outbox import incidents
from gateway.outbox.audit import rechain

SCHEMA_VERSION = 5

_TO_VERSION_2 = """
ALTER TABLE event ADD COLUMN causationid TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN copies INTEGER NOT NULL DEFAULT 2;
DROP INDEX event_severity;
ALTER TABLE delivery RENAME TO delivery_1;
ALTER TABLE ledger RENAME TO ledger_1;
"""
_FILL_VERSION_2 = """
INSERT INTO delivery (destination, lane, seq, severity, attempts, tried, reason)
    SELECT d.destination, CASE WHEN e.severity >= 21 THEN 0 ELSE 1 END, d.seq, e.severity, d.attempts, min(d.attempts, 1), d.reason
    FROM delivery_1 d JOIN event e USING (seq) WHERE d.state = 0;
INSERT INTO dead_letter (destination, seq, kind, at_ns, attempts, reason)
    SELECT d.destination, d.seq, d.state, e.recorded_ns, d.attempts, d.reason FROM delivery_1 d JOIN event e USING (seq) WHERE d.state > 0;
DROP TABLE delivery_1;
INSERT INTO ledger (id, recorded_ns, what, name, from_ns, to_ns, count, reason)
    SELECT id, recorded_ns, what, name, from_ns, to_ns, count, reason FROM ledger_1;
DROP TABLE ledger_1;
UPDATE tally SET what = 'aged' WHERE what = 'expired';
UPDATE tally SET what = 'evicted' WHERE what = 'dropped';
"""
_OLD_TABLES = ("event", "tally", "incident", "incident_state")
"""What version 1 had and version 2 keeps."""
_NEW_TABLES = ("shelf", "request", "shadow_alarm")
"""What version 3 adds."""


def migrate(connection: sqlite3.Connection) -> None:
    """Creates the tables of an empty file, or brings those of an older version up to date."""
    # Imported only when there is something to do: a start of an up-to-date gateway saves its time and memory.
    from sqlite_utils import Database, Migrations

    migrations = Migrations("lineside.outbox")

    @migrations()
    def m001_first_release(db: Database) -> None:
        """As the file was before version 2, or nothing: a new file is made by the next step alone."""

    @migrations()
    def m002_lanes_and_dead_letters(db: Database) -> None:
        current = statements((files("gateway.outbox") / "schema.sql").read_text(encoding="utf-8"))
        if db["event"].exists():
            _run(db, statements(_TO_VERSION_2))
            _run(db, [statement for statement in current if _name(statement) not in _OLD_TABLES])
            _run(db, statements(_FILL_VERSION_2))
        else:
            _run(db, current)
        db.execute("PRAGMA user_version=2")

    @migrations()
    def m003_operators(db: Database) -> None:
        for statement in statements((files("gateway.outbox") / "schema.sql").read_text(encoding="utf-8")):
            if _name(statement) in _NEW_TABLES and not db[_name(statement)].exists():
                db.execute(statement)
        db.execute("PRAGMA user_version=3")

    @migrations()
    def m004_chained_audit(db: Database) -> None:
        if "hash" not in db["audit"].columns_dict:
            db.execute("ALTER TABLE audit ADD COLUMN hash BLOB NOT NULL DEFAULT x''")
            rechain(connection)
        db.execute("PRAGMA user_version=4")

    @migrations()
    def m005_sealed_incidents(db: Database) -> None:
        incidents.seal(connection)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    migrations.apply(Database(connection))


def _run(db: object, script: list[str]) -> None:
    for statement in script:
        db.execute(statement)  # type: ignore[attr-defined]


def _name(statement: str) -> str:
    """The table or index a CREATE statement makes."""
    words = statement[statement.index("CREATE ") :].split()
    return words[2]


def statements(script: str) -> list[str]:
    """A script as single statements: `executescript` would commit the migration's transaction half way.

    >>> statements("CREATE TABLE a (x); CREATE TABLE b (y); -- not; a third")
    ['CREATE TABLE a (x);', ' CREATE TABLE b (y);']
    """
    found, begun = [], ""
    for piece in script.split(";")[:-1]:
        begun += piece + ";"
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found
