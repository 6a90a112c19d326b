"""What an acknowledgement means for its event. Pure."""

from __future__ import annotations

import msgspec

from gateway.contract import DUPLICATE, SENT, Outcome
from gateway.uplink.nats.stream import ApiError

_WRONG_LAST_SEQUENCE = 10071
_SEALED = 10109
_FULL = (10077, 10002, 10047, 10028, 10023)  # the stream, the account, the server's disk, its memory, its resources
_ITS_OWN_FAULT = (10054, 10097)  # larger than the stream takes, header larger than 64 kB


class _Ack(msgspec.Struct):
    stream: str = ""
    duplicate: bool = False
    error: ApiError | None = None


_decode = msgspec.json.Decoder(_Ack).decode


def outcome(payload: bytes, *, stream: str, exactly_once: bool) -> Outcome:
    """Only what is the event's own fault is parked; the stream's troubles wait, however the server numbers them."""
    try:
        ack = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        return Outcome.retry(f"unreadable acknowledgement: {exc}", unknown=True)
    if ack.error is None and not ack.stream:
        return Outcome.retry("something else than a stream answered", unknown=True)
    if ack.error is None:
        return DUPLICATE if ack.duplicate else SENT
    return _refused(ack.error, stream, exactly_once=exactly_once)


def _refused(error: ApiError, stream: str, *, exactly_once: bool) -> Outcome:
    number, said = error.err_code, f"{error.description} ({error.err_code})"
    if number == _WRONG_LAST_SEQUENCE and exactly_once:
        return DUPLICATE  # its subject is its own, so what stands there is itself
    if number in _FULL:
        more = f"nats stream edit {stream} --max-bytes or --max-msgs lifts its limits, nats account info shows those of the account"
        return Outcome.hold(f"stream {stream} is full: {said}; {more}")
    if number == _SEALED:
        return Outcome.hold(f"stream {stream} is sealed and takes nothing any more; create another and name it here")
    if number in _ITS_OWN_FAULT:
        return Outcome.park(f"refused by the stream: {said}", code=str(number))
    return Outcome.retry(said)
