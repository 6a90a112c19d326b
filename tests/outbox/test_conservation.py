"""Any order of append, lease, settle, retention and crash: stored = delivered + waiting + parked + expired + dropped."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from gateway.contract import DUPLICATE, SENT, Event, Outcome, Severity
from gateway.outbox import operations, retention
from gateway.outbox.database import open_database
from gateway.outbox.operations import Addressed
from gateway.testkit.rigs import event

DESTINATIONS = ("crm", "plant")
NOW_NS = 1_800_000_000_000_000_000
outcomes = st.sampled_from([SENT, DUPLICATE, Outcome.retry("busy"), Outcome.park("no"), Outcome.hold("quota")])


class Law(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lineside-law-"))
        self._open()
        self.accepted: dict[str, set[str]] = {name: set() for name in DESTINATIONS}
        self.told: dict[str, set[str]] = {name: set() for name in DESTINATIONS}
        self.leased: dict[str, list[Event]] = {name: [] for name in DESTINATIONS}

    @rule(
        numbers=st.lists(st.integers(0, 60), min_size=1, max_size=6),
        to=st.sets(st.sampled_from(DESTINATIONS), min_size=1),
        severity=st.sampled_from(list(Severity)),
        commit=st.booleans(),
    )
    def append(self, numbers: list[int], to: set[str], severity: Severity, commit: bool) -> None:
        known = {row[0] for row in self.db.execute("SELECT id FROM event")}
        batch = [Addressed(replace(event(n, data=b"z" * 900), severity=severity), tuple(sorted(to))) for n in numbers]
        self.db.execute("BEGIN")
        operations.append(self.db, [], batch)
        self.db.execute("COMMIT" if commit else "ROLLBACK")
        if commit:
            for name in to:
                self.accepted[name] |= {entry.event.id for entry in batch} - known

    @rule(name=st.sampled_from(DESTINATIONS), limit=st.integers(1, 8), again=st.booleans())
    def lease(self, name: str, limit: int, again: bool) -> None:
        after = 0 if again or not self.leased[name] else self.leased[name][-1].sequence
        self.leased[name] = operations.lease(self.db, name, after, limit)
        sequences = [e.sequence for e in self.leased[name]]
        assert sequences == sorted(set(sequences))

    @rule(name=st.sampled_from(DESTINATIONS), data=st.data(), twice=st.booleans(), lost=st.booleans())
    def settle(self, name: str, data: st.DataObject, twice: bool, lost: bool) -> None:
        events = self.leased[name]
        said = [data.draw(outcomes) for _ in events]
        self.told[name] |= {e.id for e, o in zip(events, said, strict=True) if o in (SENT, DUPLICATE)}
        for _ in range(1 + twice):
            self.db.execute("BEGIN")
            operations.settle(self.db, name, events, said)
            self.db.execute("ROLLBACK" if lost else "COMMIT")

    @rule(cap=st.integers(40_000, 200_000))
    def give_up(self, cap: int) -> None:
        retention.enforce(self.db, max_bytes=cap, keep_ns=10**18, now_ns=NOW_NS)

    @rule(name=st.sampled_from(DESTINATIONS))
    def damage(self, name: str) -> None:
        row = self.db.execute("SELECT seq FROM delivery WHERE destination=? AND state=0 ORDER BY seq LIMIT 1", (name,)).fetchone()
        if row:
            self.db.execute("UPDATE event SET crc=crc+1 WHERE seq=?", row)

    @rule()
    def crash(self) -> None:
        self.db.close()
        self._open()
        self.leased = {name: [] for name in DESTINATIONS}

    def _open(self) -> None:
        self.db, replaced = open_database(self.folder)
        assert replaced is None
        self.db.execute("PRAGMA synchronous=OFF")  # what is tried here is the order of things, not the disk

    @invariant()
    def the_law_holds(self) -> None:
        for name, counts in operations.backlog(self.db).items():
            rows = self._count("SELECT count(*) FROM delivery WHERE destination=? AND state=0", name)
            assert counts["ready"] == rows
            assert counts["stored"] >= 0
            lines = self._count("SELECT coalesce(sum(count), 0) FROM ledger WHERE name=?", name)
            assert lines == counts["dropped"] + counts["expired"]

    @invariant()
    def what_waits_was_accepted_and_no_event_is_orphaned(self) -> None:
        for name in DESTINATIONS:
            waiting = {
                row[0] for row in self.db.execute("SELECT e.id FROM delivery d JOIN event e USING (seq) WHERE d.destination=?", (name,))
            }
            assert waiting <= self.accepted[name]
            given_up = self._count("SELECT coalesce(sum(count), 0) FROM tally WHERE destination=? AND what IN ('dropped','expired')", name)
            # Nothing vanishes: what is neither there nor told to the receiver was given up, and counted.
            assert len(self.accepted[name] - waiting - self.told[name]) <= given_up
        assert self._count("SELECT count(*) FROM event WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq=event.seq)") == 0

    def _count(self, statement: str, *parameters: str) -> int:
        return int(self.db.execute(statement, parameters).fetchone()[0])

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.folder)


TestLaw = Law.TestCase
TestLaw.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_the_law_can_be_broken(tmp_path: Path) -> None:
    """A row taken away behind the outbox's back is seen as an imbalance: the check above is not empty."""
    db, _ = open_database(tmp_path)
    operations.append(db, [], [Addressed(event(1), ("crm",))])
    db.execute("DELETE FROM delivery")
    ready = operations.backlog(db)["crm"]["ready"]
    assert ready != db.execute("SELECT count(*) FROM delivery").fetchone()[0]
    db.close()
