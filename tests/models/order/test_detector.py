from typing import Any

import pytest
from pydantic import ValidationError

from gateway.contract import Finding, Machine, Record, State, StateError
from gateway.events.build import EventBuilder
from gateway.incidents import Incidents, Rule
from gateway.incidents.incident import Phase
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs.order import SOURCE, START_NS, detector, step
from models.order import plugin

UNREADABLE = "order_step_unreadable"
RULE = Rule("order-1", "order", hold=0.0, clear_after=0.0)
BUILDER = EventBuilder("urn:lineside:acme:test:test-gw")


def states(findings: list[Finding]) -> list[tuple[State, str]]:
    """Of orders; of records see the tests of what is unreadable."""
    return [(finding.state, finding.condition) for finding in findings if finding.condition != UNREADABLE]


def test_each_step_is_a_fact_and_restarts_the_waiting() -> None:
    found = detector().process(step(0, "A-1", "milling"))
    late = "order_A-1_late"
    assert states(found) == [(State.FACT, "milestone_reached"), (State.OVER, late), (State.ACTIVE, late)]
    assert found[0].explanation == {"order": "A-1", "step": "milling", "record": SOURCE}
    assert found[2].hold_seconds == 7200
    assert {finding.machine for finding in found} == {"mes"}


def test_nothing_is_waited_for_after_a_final_step() -> None:
    orders = detector()
    orders.process(step(0, "A-1", "milling"))
    assert states(orders.process(step(1, "A-1", "finished"))) == [(State.FACT, "milestone_reached"), (State.OVER, "order_A-1_late")]


def test_without_late_after_there_are_facts_only() -> None:
    orders = detector(late_after=None)
    for record in (step(0, 1, "milling"), step(0, 1, "milling"), step(1, 1, "finished")):
        assert states(orders.process(record)) == [(State.FACT, "milestone_reached")]


def test_a_repeated_record_makes_the_same_event_and_no_second_waiting() -> None:
    orders = detector()
    first, again = orders.process(step(0, "A-1", "milling")), orders.process(step(0, "A-1", "milling"))
    assert event_ids(first) == event_ids(again)
    assert states(again)[1:] == [(State.ACTIVE, "order_A-1_late")]


def event_ids(found: list[Finding]) -> list[str]:
    facts = [finding for finding in found if finding.state is State.FACT]
    return [BUILDER.of_fact(fact, detector="order-1", domain="order", machine=Machine(name="mes"), now_ns=1).id for fact in facts]


def test_two_steps_and_two_orders_of_one_instant_are_different_events() -> None:
    orders = detector()
    records = [step(0, "A-1", "milling"), step(0, "A-1", "washing"), step(0, "A-2", "milling")]
    ids = [event_ids(orders.process(record))[0] for record in records]
    assert len(set(ids)) == 3


def test_an_older_record_is_a_fact_and_does_not_change_the_waiting() -> None:
    orders = detector()
    orders.process(step(60, "A-1", "finished"))
    assert states(orders.process(step(30, "A-1", "milling"))) == [(State.FACT, "milestone_reached")]


def test_a_repetition_of_the_earlier_of_two_steps_of_one_instant_does_not_reopen_a_finished_order() -> None:
    orders = detector()
    orders.process(step(0, "A-1", "packing"))
    orders.process(step(0, "A-1", "finished"))
    assert (State.ACTIVE, "order_A-1_late") not in states(orders.process(step(0, "A-1", "packing")))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"order": "A-1"},
        {"step": "milling"},
        {"order": None, "step": "milling"},
        {"order": True, "step": "milling"},
        {"order": 1.5, "step": "milling"},
        {"order": ["A-1"], "step": "milling"},
        {"order": "A-1", "step": "x" * 101},
        {"order": "A\n1", "step": "milling"},
    ],
)
def test_a_record_without_a_usable_order_and_step_is_told_and_no_milestone(fields: dict[str, Any]) -> None:
    record = Record(source=SOURCE, t_ns=START_NS, fields=fields)
    (told,) = detector().process(record)
    assert (told.state, told.condition, told.machine, told.hold_seconds) == (State.ACTIVE, UNREADABLE, "mes", 0.0)
    assert told.explanation["path"] == f"$.{told.explanation['missing']}"
    assert detector(unreadable="ignore").process(record) == []


def unreadable(findings: list[Finding]) -> list[State]:
    return [finding.state for finding in findings if finding.condition == UNREADABLE]


def test_unreadable_records_among_others_are_one_condition_that_ends_after_a_hundred_readable_ones() -> None:
    orders = detector()
    told = []
    for i in range(1000):
        record = (
            Record(source=SOURCE, t_ns=START_NS + i, fields={"greeting": "hello"}) if i % 50 == 7 and i < 500 else step(i, i, "milling")
        )
        told += [(i, state) for state in unreadable(orders.process(record))]
    assert told == [(0, State.OVER), (7, State.ACTIVE), (457 + 100, State.OVER)]


@pytest.mark.parametrize("broken", [True, False])
def test_whether_records_are_readable_is_told_again_after_a_start(broken: bool) -> None:
    before, after = detector(), detector()
    before.process(Record(source=SOURCE, t_ns=START_NS, fields={}) if broken else step(0, 1, "milling"))
    after.load(before.dump())
    assert unreadable(after.process(step(1, 1, "washing"))) == [State.ACTIVE if broken else State.OVER]
    assert unreadable(after.process(step(2, 1, "drying"))) == []


def test_orders_and_steps_are_found_where_the_paths_say() -> None:
    orders = detector(order="$.job.ids[1]", step="$['what happened']")
    fields = {"job": {"ids": [1, 4711]}, "what happened": "milling"}
    assert orders.process(Record(source=SOURCE, t_ns=START_NS, fields=fields))[0].key == "4711/milling"


def test_memory_is_bounded_and_a_forgotten_order_is_not_late_any_more() -> None:
    orders = detector(max_orders=3)
    for number in range(3):
        orders.process(step(number, f"A-{number}", "milling"))
    orders.process(step(3, "A-0", "washing"))
    found = orders.process(step(4, "A-3", "milling"))
    assert (State.OVER, "order_A-1_late") in states(found)
    assert not {"order_A-0_late", "order_A-2_late"} & {finding.condition for finding in found}


def test_an_order_at_a_step_that_became_a_final_one_is_not_late_any_more() -> None:
    """Nor is one that fewer are remembered of now; each is told with the first record, once."""
    before, after = detector(max_orders=3), detector(max_orders=2, final=["finished", "packed"])
    for number, name in enumerate(("milling", "packed", "milling")):
        before.process(step(number, f"A-{number}", name))
    after.load(before.dump())
    found = after.process(step(3, "A-2", "washing"))
    assert states(found)[1:3] == [(State.OVER, "order_A-0_late"), (State.OVER, "order_A-1_late")]
    assert [finding.title for finding in found[1:3]] == ["order A-0 is not followed any more: too many orders", "order A-1 is done: packed"]
    assert [one for one in states(after.process(step(4, "A-2", "drying"))) if "A-2" not in one[1]] == [(State.FACT, "milestone_reached")]
    again = detector(max_orders=2, final=["finished", "packed"])
    again.load(after.dump())
    assert [one for one in states(again.process(step(5, "A-2", "drying"))) if "A-2" not in one[1]] == [(State.FACT, "milestone_reached")]


def test_it_has_no_opinion_on_what_it_is_not_asked_for_any_more() -> None:
    """So an incident of it is closed by the configuration."""

    def told(**options: Any) -> list[bool]:
        made = plugin.options.model_validate({"on": "*/*", **options})
        return [plugin.tells(made, None, condition) for condition in ("order_A-1_late", UNREADABLE)]  # type: ignore[arg-type]

    assert told(late_after="2h") == [True, True]
    assert told() == [False, True]
    assert told(late_after="2h", unreadable="ignore") == [True, False]


def test_ten_thousand_orders_make_a_small_state() -> None:
    orders = detector(max_orders=1000)
    for number in range(10_000):
        orders.process(step(number, f"order-{number}", "milling"))
    assert len(orders.dump()) < 100_000


def test_state_survives() -> None:
    before, after = detector(), detector()
    before.process(step(10, "Ö 1", "finished"))
    after.load(before.dump())
    assert states(after.process(step(5, "Ö 1", "milling"))) == [(State.FACT, "milestone_reached")]
    assert after.dump() == before.dump()


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"version":2,"orders":[],"unreadable":{}}',
        b'{"version":1,"orders":[],"unreadable":[]}',
        b'{"version":1,"orders":[["m","1",5,[]]]}',
        b'{"version":1,"orders":[1]}',
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(state: bytes) -> None:
    orders = detector()
    orders.process(step(0, "A-1", "milling"))
    before = orders.dump()
    with pytest.raises(StateError):
        orders.load(state)
    assert orders.dump() == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"order": "order"}, "names no place"),
        ({"clear_after": "5m"}, "leave clear_after out"),
        ({"hold": "5m"}, "leave hold out"),
        ({"late_after": "0s"}, "greater than 0"),
        ({"max_orders": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        plugin.options.model_validate({"on": SOURCE, **options})


class Shop:
    """The detector and the life cycle of incidents, as the engine joins them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.orders = detector()
        self.incidents = Incidents(self.clock, BUILDER.incident_id, evidence_seconds=30.0)

    def tells(self, minute: float, order: str, name: str) -> list[tuple[Phase, str]]:
        found = [f for f in self.orders.process(step(minute, order, name)) if f.state is not State.FACT]
        changes = [change for finding in found for change in self.incidents.apply(finding, RULE, from_record=True)]
        return [(change.phase, change.incident.condition) for change in changes]

    async def after(self, minutes: float) -> list[tuple[Phase, str]]:
        await self.clock.advance(minutes * 60)
        return [(change.phase, change.incident.condition) for change in self.incidents.tick()]


async def test_an_order_that_stands_still_is_raised_and_cleared_by_its_next_step() -> None:
    shop, late = Shop(), "order_A-1_late"
    assert shop.tells(0, "A-1", "milling") == [(Phase.NOTED, late)]
    assert await shop.after(119) == []
    assert await shop.after(2) == [(Phase.RAISED, late)]
    assert shop.tells(130, "A-1", "washing") == [(Phase.CLEARED, late), (Phase.NOTED, late)]
    assert await shop.after(121) == [(Phase.RAISED, late)]
    assert shop.tells(260, "A-1", "finished") == [(Phase.CLEARED, late)]
    assert await shop.after(1000) == []


async def test_an_order_that_moves_in_time_is_never_raised() -> None:
    shop, late = Shop(), "order_A-1_late"
    shop.tells(0, "A-1", "milling")
    await shop.after(100)
    assert shop.tells(100, "A-1", "washing") == [(Phase.DROPPED, late), (Phase.NOTED, late)]
    assert await shop.after(100) == []


async def test_a_repeated_record_does_not_prolong_the_waiting() -> None:
    shop = Shop()
    shop.tells(0, "A-1", "milling")
    await shop.after(100)
    shop.tells(0, "A-1", "milling")
    assert await shop.after(21) == [(Phase.RAISED, "order_A-1_late")]
