"""A verdict as it stands on the wire: ``{"id","incident","verdict","at","by","comment","case"}``. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from gateway.contract import Judgement, Verdict
from gateway.events.halves import mended

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_LONGEST_COMMENT = 4000


class _Message(msgspec.Struct):
    """Unknown fields are no error: a CRM may say more than we know."""

    id: _Id
    incident: _Id
    verdict: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    by: str | None = None
    comment: str | None = None
    case: str | int | None = None


_decode = msgspec.json.Decoder(_Message).decode


def verdict(payload: bytes) -> Verdict:
    """Raises ValueError with what is wrong.

    >>> verdict(b'{"id":"v1","incident":"inc-1","verdict":"False alarm","at":"2027-01-15T08:00:00Z"}').judgement
    <Judgement.FALSE_ALARM: 'false_alarm'>
    """
    try:
        message = _decode(mended(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(str(exc)) from exc
    return Verdict(
        id=message.id,
        incident=message.incident,
        judgement=_judgement(message.verdict),
        t_ns=(message.at - _EPOCH) // timedelta(microseconds=1) * 1000,
        by=(message.by or "")[:200],
        comment=(message.comment or "")[:_LONGEST_COMMENT],
        case=str(message.case or "")[:200],
    )


def _judgement(word: str) -> Judgement:
    plain = re.sub(r"[\s_-]+", "_", word.strip().lower())
    try:
        return Judgement(plain)
    except ValueError:
        known = ", ".join(judgement.value for judgement in Judgement)
        raise ValueError(f"verdict {word[:50]!r} is none of {known}") from None
