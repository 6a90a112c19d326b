"""What an acknowledgement means: only the event's own fault is parked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import DUPLICATE, SENT, OutcomeKind
from gateway.uplink.nats.answers import outcome

SENT_, DUPLICATE_, RETRY, PARK, HOLD = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY", "PARK", "HOLD"))


def answer(err_code: int, code: int = 400, said: str = "why not") -> bytes:
    return json.dumps({"type": "x", "error": {"code": code, "err_code": err_code, "description": said}, "stream": "E", "seq": 0}).encode()


def test_acknowledgements() -> None:
    assert outcome(b'{"stream":"E","seq":1,"domain":"hub"}', stream="E", exactly_once=False) is SENT
    assert outcome(b'{"stream":"E","seq":1,"duplicate":true}', stream="E", exactly_once=False) is DUPLICATE


@pytest.mark.parametrize(
    ("err_code", "exactly_once", "kind"),
    [
        (10071, True, DUPLICATE_),
        (10071, False, RETRY),
        (10164, True, RETRY),  # another of the same is under way in the cluster
        (10077, False, HOLD),
        (10002, False, HOLD),
        (10047, False, HOLD),
        (10109, False, HOLD),
        (10054, False, PARK),
        (10097, False, PARK),
        (10008, False, RETRY),
        (10003, False, RETRY),
    ],
)
def test_refusals(err_code: int, exactly_once: bool, kind: OutcomeKind) -> None:
    found = outcome(answer(err_code), stream="EVENTS", exactly_once=exactly_once)
    assert found.kind is kind
    assert kind is DUPLICATE_ or str(err_code) in found.reason or "sealed" in found.reason
    assert (found.code == str(err_code)) == (kind is PARK)


@given(err_code=st.integers(10_000, 11_000), code=st.sampled_from([400, 404, 409, 413, 500, 503]), exactly_once=st.booleans())
def test_nothing_is_parked_for_what_is_the_streams_trouble(err_code: int, code: int, exactly_once: bool) -> None:
    found = outcome(answer(err_code, code), stream="EVENTS", exactly_once=exactly_once)
    assert found.kind in (RETRY, HOLD) or err_code in (10054, 10097) or (exactly_once and err_code == 10071)


@given(st.binary(max_size=100))
def test_garbage_is_unknown_and_never_sent(payload: bytes) -> None:
    found = outcome(payload, stream="EVENTS", exactly_once=False)
    assert (found.kind, found.unknown) == (RETRY, True)


@pytest.mark.parametrize("payload", [b"{}", b'{"seq":1}', b'{"stream":""}', b'{"hello":"world"}'])
def test_answer_of_something_else_is_unknown(payload: bytes) -> None:
    found = outcome(payload, stream="EVENTS", exactly_once=False)
    assert (found.kind, found.unknown) == (RETRY, True)
