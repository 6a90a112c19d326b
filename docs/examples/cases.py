"""What every receiver has to remember: which events it has handled, and how far each incident is.

Both are written in one transaction. A receiver that is killed between two lines has handled an event wholly or not at all, and
the gateway sends again what was not acknowledged.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Mapping
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS seen (source TEXT, id TEXT, PRIMARY KEY (source, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incident (id TEXT PRIMARY KEY, source TEXT, sequence TEXT, state TEXT, severity TEXT, title TEXT);
"""
_UPSERT = """
INSERT INTO incident VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
SET sequence = excluded.sequence, state = excluded.state, severity = excluded.severity, title = excluded.title
WHERE excluded.sequence > incident.sequence
"""


def opened(file: str) -> sqlite3.Connection:
    """A database that is safe against a power cut."""
    database = sqlite3.connect(file)
    database.executescript(_TABLES)
    return database


def handled(database: sqlite3.Connection, attributes: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Take one event; returns ``applied``, ``duplicate`` (has been handled) or ``old`` (a later one of the incident has been).

    Raises KeyError if an attribute that every event has is missing.
    """
    source, type_, id_ = attributes["source"], attributes["type"], attributes["id"]
    with database:
        if not database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (source, id_)).rowcount:
            return "duplicate"
        if ".gateway.outbox_" in type_:
            # The gateway counts anew: what it says from now on is newer than anything before.
            database.execute("UPDATE incident SET sequence = '' WHERE source = ?", (source,))
        if not (incident := attributes.get("correlationid")):
            return "applied"  # a fact: it stands alone
        row = (incident, source, attributes["sequence"], data["state"], data["severity"], data["title"])
        return "applied" if database.execute(_UPSERT, row).rowcount else "old"


def tell(what: str, attributes: Mapping[str, Any] | None = None, **more: Any) -> None:
    """One JSON line on standard output: what was done, and with which event."""
    names = ("id", "type", "subject", "sequence", "correlationid") if attributes is not None else ()
    line = {"what": what, **{name: (attributes or {}).get(name) for name in names}, **more}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
