"""Each verdict moves a factor exactly once, with a line in the audit, over any order of verdicts, crashes, new bounds and reverts."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Judgement
from gateway.contract.options import FeedbackOptions
from gateway.feedback.factors import Place, factors, revert
from gateway.feedback.study import AT_ONCE, Bounds, Studied, study
from gateway.outbox import labels
from gateway.outbox.append import append
from gateway.outbox.database import open_database

FALSE, TRUE = Judgement.FALSE_ALARM, Judgement.TRUE_POSITIVE
OPTIONS = FeedbackOptions(step=0.1, at_most=0.25)
NOW = 1_800_000_000_000_000_000


def opened(folder: Path, made: Any, incidents: int = 5) -> sqlite3.Connection:
    connection, _ = open_database(folder)
    append(connection, [made.incident(f"inc-{n}", over=n % 2 == 0) for n in range(1, incidents + 1)], [])
    return connection


def come(connection: sqlite3.Connection, made: Any, *judged: tuple[str, Judgement, str]) -> None:
    labels.add(connection, [made.verdict(*one) for one in judged], origin="crm", now_ns=NOW)


def look(connection: sqlite3.Connection, bounds: Bounds | None = None, *, learn: bool = True) -> Studied:
    return study(connection, {"anomaly-1": OPTIONS} if bounds is None else bounds, learn=learn, now_ns=NOW)


def audit(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute("SELECT who, what, name, before, after FROM audit ORDER BY number").fetchall()


def test_a_false_alarm_moves_the_factor_once_and_stands_in_the_audit(tmp_path: Path, made: Any) -> None:
    place = Place("anomaly-1", "m1", made.CONDITION)
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, ("v1", FALSE, "inc-1"))
        assert look(connection).factors == {place: 1.1}
        again = look(connection)
        assert (again.factors, again.moves, again.lessons) == ({place: 1.1}, [], [])
        assert audit(connection) == [("Eva (crm)", "threshold: false_alarm of inc-1", f"anomaly-1 m1/{made.CONDITION}", "1", "1.1")]


def test_what_the_detector_is_taught_covers_the_incident(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, ("v1", TRUE, "inc-1"), ("v2", FALSE, "inc-2"), ("v3", FALSE, "inc-nobody-knows"))
        lessons = look(connection, {}).lessons
        assert lessons == [("anomaly-1", made.label(TRUE)), ("anomaly-1", made.label(FALSE, over=True))]
        assert audit(connection) == []


def test_labels_wait_while_a_detector_is_not_there_yet(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, ("v1", FALSE, "inc-1"))
        assert look(connection, learn=False).moves == []
        assert len(look(connection).moves) == 1


def test_verdicts_given_before_there_were_bounds_move_nothing_later(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, ("v1", FALSE, "inc-1"))
        assert look(connection, {"anomaly-1": None}).factors == {}
        assert look(connection).factors == {}


def test_a_lowered_bound_clips_and_bounds_that_are_gone_set_back(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, *((f"v{n}", FALSE, f"inc-{n}") for n in range(1, 4)))
        assert list(look(connection).factors.values()) == [1.25]
        assert list(look(connection, {}).factors.values()) == [1.25]  # the watch is gone for now
        assert list(look(connection, {"anomaly-1": FeedbackOptions(step=0.1, at_most=0.2)}).factors.values()) == [1.2]
        assert list(look(connection, {"anomaly-1": None}).factors.values()) == [1.0]
        assert audit(connection)[-2:] == [
            ("configuration", "threshold: bound at_most: 0.2", f"anomaly-1 m1/{made.CONDITION}", "1.25", "1.2"),
            ("configuration", "threshold: verdicts may not move it any more", f"anomaly-1 m1/{made.CONDITION}", "1.2", "1"),
        ]


def test_revert_covers_what_was_not_learnt_yet_and_what_comes_later_counts_again(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, ("v1", FALSE, "inc-1"))
        look(connection)
        come(connection, made, ("v2", FALSE, "inc-2"))
        assert revert(connection, who="ops", now_ns=NOW, machine="another") == []
        assert [(moved.before, moved.after) for moved in revert(connection, who="ops", now_ns=NOW, machine="m1")] == [(1.1, 1.0)]
        assert revert(connection, who="ops", now_ns=NOW) == []
        assert audit(connection)[-1] == ("ops", "threshold: reverted", f"anomaly-1 m1/{made.CONDITION}", "1.1", "1")
        assert list(look(connection).factors.values()) == [1.0]
        come(connection, made, ("v3", FALSE, "inc-3"))
        assert list(look(connection).factors.values()) == [1.1]


def test_a_row_with_a_word_that_is_none_is_passed_over(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made)) as connection:
        come(connection, made, ("v1", FALSE, "inc-1"), ("v2", FALSE, "inc-2"))
        connection.execute("UPDATE label SET judgement='false_alarn' WHERE id='v1'")
        studied = look(connection)
        assert list(studied.factors.values()) == [1.1]
        assert len(studied.lessons) == 1


def test_many_are_studied_in_pieces(tmp_path: Path, made: Any) -> None:
    with closing(opened(tmp_path, made, incidents=AT_ONCE + 1)) as connection:
        come(connection, made, *((f"v{n}", TRUE, f"inc-{n}") for n in range(1, AT_ONCE + 2)))
        first, second = look(connection), look(connection)
        assert (len(first.lessons), first.more) == (AT_ONCE, True)
        assert (len(second.lessons), second.more) == (1, False)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("verdict"), st.sampled_from(Judgement), st.integers(1, 5)),
        st.tuples(st.just("study"), st.booleans(), st.sampled_from([0.05, 0.25, 1.0, None])),
        st.tuples(st.just("again"), st.integers(0, 9), st.none()),
        st.tuples(st.just("revert"), st.none(), st.none()),
    ),
    max_size=25,
)


@given(steps)
def test_any_order_keeps_the_bounds_and_a_gapless_audit(made_steps: list[tuple[str, Any, Any]]) -> None:
    """A study that is undone (a crash before its commit) and done again is as one that was done once."""
    from gateway.incidents import Incident

    with tempfile.TemporaryDirectory() as folder:
        connection, _ = open_database(Path(folder))
        with closing(connection):
            connection.executemany("INSERT INTO incident VALUES (?,?,?,?,?,?,?,?,?)", [_row(Incident, n) for n in range(1, 6)])
            for number, (what, one, other) in enumerate(made_steps):
                _step(connection, number, what, one, other)
            values = [(float(before), float(after)) for *_, before, after in audit(connection)]
            assert all(1.0 <= after <= 2.0 and before != after for before, after in values)
            assert all(left[1] == right[0] for left, right in pairwise(values))
            last = next(iter(factors(connection).values()), 1.0)
            assert abs((values[-1][1] if values else 1.0) - last) < 1e-5


def _row(kind: Callable[..., Any], n: int) -> tuple[Any, ...]:
    from gateway.outbox.append import IncidentRow

    body = kind(
        id=f"inc-{n}", machine="m1", condition="c", detector="anomaly-1", domain="anomaly", state="open", active=True, title="",
        severity=13, peak=13, score=None, since_ns=1, changed_ns=1,
    ).dump()  # fmt: skip
    row = IncidentRow(f"inc-{n}", "m1", "c", "open", 1, 1, 1, body)
    return (*row, row.crc)


def _step(connection: sqlite3.Connection, number: int, what: str, one: Any, other: Any) -> None:
    from gateway.contract import Verdict

    if what == "verdict":
        told = Verdict(id=f"v{number}", incident=f"inc-{other}", judgement=one, t_ns=number)
        labels.add(connection, [told], origin="crm", now_ns=number)
    elif what == "again":
        labels.add(
            connection, [Verdict(id=f"v{one}", incident="inc-1", judgement=FALSE, t_ns=0)] if number > one else [], origin="crm", now_ns=0
        )
    elif what == "revert":
        revert(connection, who="ops", now_ns=number)
        assert set(factors(connection).values()) <= {1.0}
    else:
        bounds = {"anomaly-1": other and FeedbackOptions(step=0.1, at_most=other)}
        if one:
            connection.execute("BEGIN")
            undone = look(connection, bounds)
            connection.execute("ROLLBACK")
            assert look(connection, bounds) == undone
        else:
            look(connection, bounds)
        assert all(1.0 <= factor <= 1.0 + (other or 0.0) for factor in factors(connection).values())


async def test_a_transaction_that_was_not_committed_left_nothing(outbox: Any, made: Any) -> None:
    """In the writer: the factor, its audit and the mark are there together or not at all."""
    await outbox.run(lambda connection: come(connection, made, ("v1", FALSE, "inc-1")))

    def broken(connection: sqlite3.Connection) -> None:
        look(connection)
        raise ZeroDivisionError

    failed = await asyncio.gather(outbox.run(broken), return_exceptions=True)
    assert isinstance(failed[0], ZeroDivisionError)
    assert await outbox.run(lambda connection: (factors(connection), audit(connection))) == ({}, [])
    assert len((await outbox.run(look)).moves) == 1
