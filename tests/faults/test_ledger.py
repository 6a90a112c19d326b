"""What the scoreboard calls lost and doubled: it must fail when it should."""

from __future__ import annotations

from rig.ledger import Arrival, balance


def arrival(seq: int, *, identity: str = "", key: str = "", machine: str = "mes") -> Arrival:
    return Arrival("urn:gw", seq, identity or f"id-{seq}", machine, key or f"A{seq}")


def test_everything_there_once() -> None:
    found = balance(["A1", "A2"], [arrival(1), arrival(2)], stored=2)
    assert (found.lost, found.silently, found.doubled, found.repeats, found.backward) == (0, 0, 0, 0, 0)


def test_what_came_again_with_its_id_is_a_repeat_and_not_doubled() -> None:
    found = balance(["A1"], [arrival(1), arrival(1)], stored=1)
    assert (found.delivered, found.repeats, found.doubled, found.backward) == (1, 1, 0, 0)


def test_a_record_with_two_events_is_doubled() -> None:
    assert balance(["A1"], [arrival(1), arrival(2, key="A1")], stored=2).doubled == 1


def test_a_sequence_number_with_two_events_is_doubled() -> None:
    assert balance(["A1", "A2"], [arrival(1), arrival(1, identity="other", key="A2")], stored=2).doubled == 1


def test_an_acknowledged_record_that_is_nowhere_is_lost_silently() -> None:
    found = balance(["A1", "A2"], [arrival(1)], stored=1)
    assert (found.lost, found.silently, found.examples) == (1, 1, ("A2",))


def test_a_stored_event_that_is_nowhere_is_lost_silently() -> None:
    assert balance(["A1"], [arrival(1)], stored=3).silently == 2


def test_what_is_still_kept_is_not_lost() -> None:
    found = balance(["A1", "A2"], [arrival(1)], stored=2, kept=1)
    assert (found.lost, found.silently) == (0, 0)


def test_what_the_gateway_admits_is_lost_but_not_silently() -> None:
    found = balance(["A1", "A2"], [arrival(1)], stored=2, admitted=1)
    assert (found.lost, found.silently) == (1, 0)


def test_order_holds_within_a_machine() -> None:
    assert balance([], [arrival(2, machine="a"), arrival(1, machine="b")], stored=2).backward == 0
    assert balance([], [arrival(2), arrival(1)], stored=2).backward == 1


def test_an_event_that_was_stored_twice_with_one_id_is_a_repeat() -> None:
    found = balance(["A1"], [arrival(1, identity="a"), arrival(2, identity="a", key="A1")], stored=2)
    assert (found.delivered, found.silently, found.doubled, found.repeats) == (1, 0, 0, 1)
