from __future__ import annotations

from drivers.broker.framing import Publish
from drivers.broker.inflight import Inflight


def message(qos: int, mid: int) -> Publish:
    return b"t", b"1", 0x30 | qos << 1, mid.to_bytes(2) if qos else b"", b""


def test_nothing_is_acknowledged_before_it_is_accepted_and_nothing_twice() -> None:
    inflight = Inflight()
    inflight.arrived([message(0, 0), message(1, 1), message(2, 2), message(1, 3)])
    assert inflight.accept() == bytes.fromhex("40020001 40020003 50020002")
    assert inflight.accept() == b""


def test_qos_2_is_delivered_once_until_it_is_released() -> None:
    inflight = Inflight()
    assert inflight.arrived([message(2, 2)]) == [message(2, 2)]
    inflight.accept()
    assert inflight.arrived([message(2, 2)]) == []
    assert inflight.accept() == bytes.fromhex("50020002"), "the broker did not get our first answer"
    assert inflight.released(b"\x00\x02") == bytes.fromhex("70020002")
    assert inflight.arrived([message(2, 2)]) == [message(2, 2)], "the number is used again"


def test_qos_2_that_was_not_accepted_is_delivered_again_after_a_new_connection() -> None:
    inflight = Inflight()
    inflight.arrived([message(2, 2)])
    inflight.begin()
    assert inflight.accept() == b""
    assert inflight.arrived([message(2, 2)]) == [message(2, 2)]


def test_qos_2_numbers_of_a_lost_session_mean_nothing() -> None:
    inflight = Inflight()
    inflight.arrived([message(2, 2)])
    inflight.accept()
    inflight.begin()
    inflight.forget()
    assert inflight.arrived([message(2, 2)]) == [message(2, 2)]
