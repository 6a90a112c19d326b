"""Any order of append, lease, settle, retention, dead letters, summaries, fallback, salvage and crash: nothing vanishes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from gateway.contract import DUPLICATE, SENT, Event, Outcome, OutcomeKind, Severity
from gateway.events.build import rfc3339
from gateway.outbox import deadletters, fallback, lease, memory, pick, retention, summary, tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.breaker import Memory
from gateway.outbox.database import open_database, suspect
from gateway.outbox.memory import SetAside, Why
from gateway.outbox.pick import Place, Wanted
from gateway.outbox.retention import Caps
from gateway.outbox.summary import Group
from gateway.testkit.rigs import event

DESTINATIONS = ("crm", "plant")
MACHINES = ("m1", "m2", "m3")
NOW_NS = 1_800_000_000_000_000_000
outcomes = st.sampled_from(
    [SENT, DUPLICATE, Outcome.retry("busy"), Outcome.retry("?", unknown=True), Outcome.park("no", code="BAD"), Outcome.hold("quota")]
)
destinations = st.sampled_from(DESTINATIONS)


def made(number: int, severity: Severity, machine: str, part: int, *, closing: bool) -> Event:
    incident = f"inc-{machine}{number}"
    type_ = f"io.lineside.limit.{'raised' if part == 1 else 'cleared' if closing else 'updated'}.v1"
    return replace(
        event(number, data=b"z" * 900),
        id=f"{incident}-{part:04d}",
        correlationid=incident,
        partitionkey=machine,
        severity=severity,
        type=type_,
    )


def summarised(group: Group) -> Event:
    stretch = b'"from":"%s","to":"%s"' % (rfc3339(group.from_ns).encode(), rfc3339(group.to_ns).encode())
    data = b'{"count":%d,"by_type":{},"by_severity":{},"incidents":[],%s}' % (group.count, stretch)
    name = f"sum-{group.machine}-{max(group.sequences)}"
    type_ = f"{summary.SUMMARISED}v1"
    return replace(event(0), id=name, type=type_, partitionkey=group.machine, severity=group.worst, data=data, correlationid="")


class Law(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lineside-law-"))
        self._open()
        self.leased: dict[str, list[Event]] = {name: [] for name in DESTINATIONS}
        self.highest = 0
        self.session = 2
        self.marks: dict[str, int] = dict.fromkeys(DESTINATIONS, 0)
        self.in_doubt: set[int] = set()
        self.parts: dict[tuple[str, int], int] = {}
        self.corrections = 0
        self.before: dict[tuple[str, str], int] = {}

    @rule(
        numbers=st.lists(st.integers(0, 12), min_size=1, max_size=6),
        to=st.sets(destinations, min_size=1),
        severity=st.sampled_from(list(Severity)),
        machine=st.sampled_from(MACHINES),
        closing=st.booleans(),
        commit=st.booleans(),
    )
    def append(self, numbers: list[int], to: set[str], severity: Severity, machine: str, closing: bool, commit: bool) -> None:
        """The parts of an incident come in their order, and some of them twice."""
        parts = {n: self.parts.get((machine, n), 0) + 1 for n in numbers}
        batch = [Addressed(made(n, severity, machine, parts[n], closing=closing), tuple(sorted(to))) for n in numbers]
        self.db.execute("BEGIN")
        append(self.db, [], batch)
        self.db.execute("COMMIT" if commit else "ROLLBACK")
        if commit:
            self.parts |= {(machine, n): part for n, part in parts.items()}

    @rule(
        name=destinations,
        limit=st.integers(1, 8),
        urgent=st.booleans(),
        pace=st.sampled_from([(0, 0), (5, 2), (50, 3)]),
        only=st.sampled_from([None, *MACHINES]),
        without=st.sampled_from([(), ("m1",), ("m1", "m3")]),
        one=st.sampled_from(["no", "alone", "anywhere"]),
        mark=st.booleans(),
    )
    def lease(
        self, name: str, limit: int, urgent: bool, pace: tuple[int, int], only: str | None, without: tuple[str, ...], one: str, mark: bool
    ) -> None:
        self.marks[name] = self.session if mark else 0
        wanted = Wanted(limit, urgent, one != "no", None if one == "no" else only, without, one == "anywhere", *pace, mark=self.marks[name])
        self.before = {key: before for key, before in self.before.items() if key[0] != name}  # a sender begins again then
        found: Place | list[Event] | None = None
        while not isinstance(found, list):
            found = lease.lease(self.db, name, wanted, NOW_NS, found)
        self.leased[name] = events = found
        assert len({e.id for e in events}) == len(events)
        for incident in {e.correlationid for e in events if e.correlationid}:
            mine = [e.sequence for e in events if e.correlationid == incident]
            assert mine == sorted(mine), "an incident is told out of order"
            waiting = self._numbers(
                "SELECT d.seq FROM delivery d JOIN event e USING (seq) WHERE destination=? AND correlationid=?", name, incident
            )
            assert mine == sorted(waiting)[: len(mine)], "something older of the incident was left behind"
        aside = {entry.machine: entry.why for entry in memory.aside(self.db, name)}
        ahead = {e.correlationid for e in events if e.severity >= Severity.CRITICAL}
        for sent in events:
            why = aside.get(sent.partitionkey) if sent.partitionkey != wanted.only else None
            assert why != "refused", "it is set aside"
            assert one != "alone" or sent.partitionkey in (only or {*MACHINES} - {*without}), "of this machine, or of none of those"
            assert why is None or sent.correlationid in ahead, "only what is critical may go, and what it takes along"

    @rule(name=destinations, data=st.data(), twice=st.booleans(), lost=st.booleans())
    def settle(self, name: str, data: st.DataObject, twice: bool, lost: bool) -> None:
        events = self.leased[name]
        said = [data.draw(outcomes) for _ in events]
        for _ in range(1 + twice):
            self.db.execute("BEGIN")
            lease.settle(self.db, name, events, said, NOW_NS, self.marks[name])
            self.db.execute("ROLLBACK" if lost else "COMMIT")
        if name == "crm" and not lost:
            self.in_doubt -= {event.sequence for event, outcome in zip(events, said, strict=True) if outcome.kind is OutcomeKind.PARK}
            self.in_doubt |= {event.sequence for event, outcome in zip(events, said, strict=True) if outcome.unknown}

    @rule(name=destinations)
    def not_sent_after_all(self, name: str) -> None:
        if self.marks[name]:
            lease.untried(self.db, name, [event.sequence for event in self.leased[name]], self.marks[name])

    @rule(cap=st.integers(150_000, 400_000))
    def give_up(self, cap: int) -> None:
        openings = self._openings()
        retention.enforce(self.db, Caps(cap, 0, 10**18), NOW_NS)
        for key in openings["closing without opening"]:
            assert key in self._openings()["closing without opening"], "the end of a case that was opened was given up"

    @rule(name=destinations, machine=st.sampled_from([None, *MACHINES]))
    def roll_up(self, name: str, machine: str | None) -> None:
        before = self._openings()["closing without opening"]
        summary.roll_up(self.db, name, summarised, reason="budget", machine=machine)
        assert before <= self._openings()["closing without opening"]

    @rule(name=destinations, machine=st.sampled_from(MACHINES), why=st.sampled_from(["refused", "budget"]), back=st.booleans())
    def aside(self, name: str, machine: str, why: Why, back: bool) -> None:
        """A step at a time, so that anything may come between."""
        if back:
            self.before[name, machine] = memory.take_back(self.db, name, machine, why, self.before.get((name, machine)) or memory.ALL)
        else:
            memory.set_aside(self.db, name, SetAside(machine, NOW_NS, why))
            self.before.pop((name, machine), None)

    @rule(since=st.sampled_from([0, NOW_NS - 10, NOW_NS - 10**12]))
    def take_over(self, since: int) -> None:
        """plant is the fallback of crm."""
        memory.keep_breaker(self.db, "crm", Memory(1, False, NOW_NS, since, "down"))
        tried = self._numbers("SELECT seq FROM delivery WHERE destination='crm' AND tried>0")
        fallback.take_over(self.db, "crm", "plant", after_ns=10**9, now_ns=NOW_NS)
        assert tried == self._numbers("SELECT seq FROM delivery WHERE destination='crm' AND tried>0")

    @rule(name=destinations, what=st.sampled_from(["retry", "drop", "replace"]))
    def dead_letters(self, name: str, what: str) -> None:
        letters = deadletters.find(self.db, destination=name, limit=3)
        if what == "retry":
            deadletters.retry(self.db, letters, who="test", now_ns=NOW_NS)
        elif what == "drop":
            deadletters.drop(self.db, letters, who="test", now_ns=NOW_NS)
        else:
            self.corrections += 1
            number = self.corrections
            deadletters.replace(
                self.db, letters, lambda e: replace(e, id=f"cor-{number}-{e.id}", causationid=e.id, sequence=0), who="test", now_ns=NOW_NS
            )

    @rule(name=destinations)
    def damage(self, name: str) -> None:
        row = self.db.execute("SELECT seq FROM delivery WHERE destination=? ORDER BY seq LIMIT 1", (name,)).fetchone()
        if row:
            self.db.execute("UPDATE event SET crc=crc+1 WHERE seq=?", row)

    @rule(salvage=st.booleans())
    def crash(self, salvage: bool) -> None:
        self.db.close()
        if salvage:
            suspect(self.folder, "a test")
        self._open(salvaged=salvage)
        self.leased = {name: [] for name in DESTINATIONS}
        self.session += 1

    def _open(self, *, salvaged: bool = False) -> None:
        self.db, replaced = open_database(self.folder, DESTINATIONS, NOW_NS)
        assert (replaced is not None) == salvaged
        self.db.execute("PRAGMA synchronous=OFF")  # what is tried here is the order of things, not the disk

    @invariant()
    def the_law_holds(self) -> None:
        rows = tally.count_ready(self.db)
        for name, counts in tally.backlog(self.db).items():
            assert counts["ready"] == rows[name]
            assert min(counts.values()) >= 0

    @invariant()
    def what_is_lost_stands_in_the_ledger(self) -> None:
        for name, counts in tally.backlog(self.db).items():
            lines = self._numbers("SELECT coalesce(sum(count), 0) FROM ledger WHERE name=?", name)[0]
            lost = counts["evicted"] + counts["aged"] + counts["damaged"]
            assert lost <= lines <= lost + counts["discarded"]

    @invariant()
    def no_event_is_orphaned_and_no_delivery_points_to_nothing(self) -> None:
        held = "SELECT seq FROM delivery UNION SELECT seq FROM dead_letter"
        assert self._numbers(f"SELECT seq FROM event WHERE seq NOT IN ({held})") == []
        assert self._numbers(f"SELECT seq FROM ({held}) WHERE seq NOT IN (SELECT seq FROM event)") == []

    @invariant()
    def what_may_have_been_taken_is_known_as_such(self) -> None:
        sure = self._numbers("SELECT seq FROM delivery WHERE destination='crm' AND tried=0")
        assert not self.in_doubt.intersection(sure)

    @invariant()
    def sequences_are_never_used_again(self) -> None:
        newest = self._numbers("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name='event'")[0]
        assert newest >= self.highest
        self.highest = newest

    def _openings(self) -> dict[str, set[tuple[str, str]]]:
        """Closing events whose opening does not wait for the same destination any more: it was sent, or it is on its way."""
        rows = self.db.execute("SELECT d.destination, e.correlationid, e.type, e.id FROM delivery d JOIN event e USING (seq)").fetchall()
        opened = {(name, incident) for name, incident, _, identity in rows if identity.endswith("-0001")}
        closing = {(name, incident) for name, incident, type_, _ in rows if ".cleared." in type_}
        return {"closing without opening": closing - opened}

    def _numbers(self, statement: str, *parameters: str) -> list[int]:
        return [row[0] for row in self.db.execute(statement, parameters).fetchall()]

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.folder)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what moves to another lane moves in several."""
    for module in (memory, pick):
        monkeypatch.setattr(module, "STEP", 3)
    monkeypatch.setattr(pick, "LOOK", 3)


TestLaw = pytest.mark.timeout(300)(Law.TestCase)
TestLaw.settings = settings(stateful_step_count=30, deadline=None)


def test_the_law_can_be_broken(tmp_path: Path) -> None:
    """A row taken away behind the outbox's back is seen as an imbalance: the check above is not empty."""
    db, _ = open_database(tmp_path)
    append(db, [], [Addressed(event(1), ("crm",))])
    db.execute("DELETE FROM delivery")
    assert tally.backlog(db)["crm"]["ready"] != tally.count_ready(db)["crm"]
    db.close()
