"""Sequence numbers: what overtook waits, what is missing is counted, 255 is followed by 0."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.sparkplug.order import MOST_HELD, Order


def order(expected: int | None = 0) -> Order[str]:
    made: Order[str] = Order(1.0)
    made.expected = expected
    return made


def test_in_order_nothing_waits_over_the_end_of_the_numbers() -> None:
    those = order(254)
    assert [those.arrived(seq, str(seq), 0.0) for seq in (254, 255, 0, 1)] == [["254"], ["255"], ["0"], ["1"]]
    assert those.due is None


def test_what_overtook_comes_after_what_it_overtook() -> None:
    those = order(255)
    assert those.arrived(1, "c", 5.0) == []
    assert those.arrived(0, "b", 5.5) == []
    assert those.due == 6.0
    assert those.arrived(255, "a", 5.9) == ["a", "b", "c"]
    assert those.due is None


def test_what_is_missing_is_counted_and_the_rest_goes_on() -> None:
    those = order(10)
    assert (those.arrived(13, "d", 0.0), those.arrived(12, "c", 0.0)) == ([], [])
    assert those.give_up() == (2, ["c", "d"])
    assert those.arrived(14, "e", 0.0) == ["e"]


def test_the_same_message_again_is_left_out() -> None:
    those = order(3)
    assert those.arrived(3, "a", 0.0) == ["a"]
    assert those.arrived(3, "a", 0.0) == []
    assert those.due is None


def test_a_birth_begins_anew_and_keeps_what_overtook_it() -> None:
    those = order(50)
    for seq, message in ((52, "old"), (1, "new"), (2, "newer")):
        assert those.arrived(seq, message, 0.0) == []
    assert those.born(0) == (["old"], ["new", "newer"])
    assert those.arrived(3, "next", 0.0) == ["next"]


def test_a_node_that_goes_on_counting_after_a_birth_is_followed() -> None:
    for following in (50, 51):
        those = order(50)
        assert those.born(0) == ([], [])
        assert those.arrived(following, "a", 0.0) == ["a"]
        assert those.arrived(following + 1, "b", 0.0) == ["b"]


@given(st.lists(st.integers(0, 255), max_size=300), st.integers(0, 255))
def test_any_numbers_hold_few_messages_and_give_each_once(numbers: list[int], first: int) -> None:
    those, given_out = order(first), list[str]()
    for at, seq in enumerate(numbers):
        given_out += those.arrived(seq, f"{at}", 0.0)
        if those.full():
            given_out += those.give_up()[1]
        assert len(those._held) <= MOST_HELD + 1
    given_out += those.give_up()[1]
    assert len(given_out) == len(set(given_out)) <= len(numbers)
    assert those.due is None
