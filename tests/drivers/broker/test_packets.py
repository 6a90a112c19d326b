"""The bytes are the standard's; so is what paho's public classes give us."""

from __future__ import annotations

import pytest

from drivers.broker import packets
from drivers.broker.framing import Malformed
from drivers.broker.packets import Connack, Will


def connect(**given: object) -> bytes:
    usual = {"version5": True, "clean": True, "keepalive": 30, "session_expiry": 0, "receive_maximum": 10, "user": None, "password": None}
    return packets.connect("edge", **(usual | given))  # type: ignore[arg-type]


def test_connect_of_3_1_1_with_user_and_password() -> None:
    assert connect(version5=False, user="u", password="p") == bytes.fromhex("1016 00044d515454 04 c2 001e 000465646765 0001 75 0001 70")


def test_connect_of_5_tells_session_expiry_and_receive_maximum() -> None:
    packet = connect(clean=False, session_expiry=3600, receive_maximum=1000)
    assert packet == bytes.fromhex("1019 00044d515454 05 00 001e 08 11 00000e10 21 03e8 0004 65646765")


def test_subscribe_of_5_asks_for_retained_records_once() -> None:
    packet = packets.subscribe(1, [("a/+", 1, False), ("b/#", 2, True)], version5=True)
    assert packet == bytes.fromhex("820f 0001 00 0003612f2b 01 0003622f23 12")


def test_subscribe_of_3_1_1_has_no_options() -> None:
    assert packets.subscribe(1, [("a/+", 1, True)], version5=False) == bytes.fromhex("8208 0001 0003612f2b 01")


def test_unsubscribe() -> None:
    assert packets.unsubscribe(1, ["a"], version5=True) == bytes.fromhex("a206 0001 00 000161")


def test_acknowledgements_are_one_buffer() -> None:
    assert packets.acknowledge(packets.PUBACK, [b"\x00\x01", b"\x00\x02"]) == bytes.fromhex("40020001 40020002")
    assert packets.acknowledge(packets.PUBACK, []) == b""


@pytest.mark.parametrize(
    ("body", "version5", "answer"),
    [
        ("0000", False, Connack("", False, None)),
        ("0100", False, Connack("", True, None)),
        ("0005", False, Connack("Not authorized", False, None, code=5)),
        ("0004", True, Connack("Bad user name or password", False, None, code=4)),
        ("0001", True, Connack("Unsupported protocol version", False, None, code=1)),
        ("010000", True, Connack("", True, None)),
        ("000003130005", True, Connack("", False, 5)),
        ("008600", True, Connack("Bad user name or password", False, None, code=0x86)),
        ("0087061f0003796f75", True, Connack("Not authorized: you", False, None, code=0x87)),
    ],
)
def test_connack(body: str, version5: bool, answer: Connack) -> None:
    assert packets.read_connack(bytes.fromhex(body), version5=version5) == answer


def test_connect_with_a_will() -> None:
    will = Will("s", b"off", qos=1, retain=True)
    assert connect(version5=False, will=will) == bytes.fromhex("1018 00044d515454 04 2e 001e 000465646765 0001 73 0003 6f6666")
    assert connect(will=will, user="u")[8:].hex(" ") == (
        "05 ae 00 1e 08 11 00 00 00 00 21 00 0a 00 04 65 64 67 65 00 00 01 73 00 03 6f 66 66 00 01 75"
    )


def test_publish() -> None:
    assert packets.publish("a", b"x", qos=0, retain=False, mid=7, version5=False) == bytes.fromhex("3004 0001 61 78")
    assert packets.publish("a", b"x", qos=1, retain=True, mid=7, version5=True) == bytes.fromhex("3307 0001 61 0007 00 78")


@pytest.mark.parametrize(("body", "why"), [("0001", ""), ("000100", ""), ("000110", ""), ("000187", "Not authorized")])
def test_puback_tells_whether_it_is_taken(body: str, why: str) -> None:
    assert packets.read_puback(bytes.fromhex(body)) == why


def test_suback_tells_which_filters_are_granted() -> None:
    assert packets.read_suback(bytes.fromhex("0001 00 01 87 02"), version5=True) == [1, 0x87, 2]
    assert packets.read_suback(bytes.fromhex("0001 80 00"), version5=False) == [0x80, 0]


def test_disconnect_tells_why() -> None:
    assert packets.read_disconnect(b"\x8e") == "Session taken over"
    assert packets.read_disconnect(bytes.fromhex("8b 06 1f 0003 796f75")) == "Server shutting down: you"
    assert packets.read_disconnect(b"\xfe") == "reason code 254"
    assert packets.read_disconnect(b"\x91") == "reason code 145"


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x00\x05\x13", b"\x00\x00\x02\x13\x00", b"\x00\x00\xff\xff\xff\xff\xff"])
def test_connack_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        packets.read_connack(body, version5=True)


def test_suback_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed):
        packets.read_suback(b"\x00\x01", version5=True)
