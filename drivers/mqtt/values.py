"""One raw value to a number and its quality. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

import msgspec

from drivers.mqtt.jsonpath import MISSING
from gateway.contract import GOOD, Quality

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What `msgspec.json` raises for a payload that is no JSON."""

BAD_TYPE, BAD_FORMAT, BAD_NOT_FINITE = int(Quality.BAD_TYPE), int(Quality.BAD_FORMAT), int(Quality.BAD_NOT_FINITE)


def number(raw: Any, states: Mapping[str, float] | None) -> tuple[float, int]:
    """(value, quality): true is 1, a word is its state's number; what is no number is NaN with the reason.

    >>> number(True, None), number("RUN", {"RUN": 1.0})
    ((1.0, 0), (1.0, 0))
    """
    if isinstance(raw, str):
        if states is None:
            return nan, BAD_TYPE
        return (states[raw], GOOD) if raw in states else (nan, BAD_FORMAT)
    if isinstance(raw, int | float):
        try:
            value = float(raw)
        except OverflowError:
            return nan, BAD_NOT_FINITE
        return (value, GOOD) if isfinite(value) else (nan, BAD_NOT_FINITE)
    return nan, BAD_FORMAT if raw is MISSING else BAD_TYPE


def plain(payload: bytes, states: Mapping[str, float] | None) -> tuple[float, int]:
    """The whole payload is the value: a number as text, true or false, or a word with a state.

    >>> plain(b" 21.5 ", None), plain(b"STOP", {"STOP": 0.0})
    ((21.5, 0), (0.0, 0))
    """
    try:
        return word(payload.decode().strip(), states)
    except UnicodeDecodeError:
        return nan, BAD_FORMAT


def word(text: str, states: Mapping[str, float] | None) -> tuple[float, int]:
    """As `plain`, without spaces around.

    >>> word("true", None)
    (1.0, 0)
    """
    if states is not None and text in states:
        return states[text], GOOD
    if text in ("true", "false"):
        return float(text == "true"), GOOD
    try:
        value = float(text) if "_" not in text else None
    except ValueError:
        value = None
    if value is not None:
        return (value, GOOD) if isfinite(value) else (nan, BAD_NOT_FINITE)
    return nan, BAD_TYPE if text and states is None else BAD_FORMAT


def lenient(payload: bytes) -> Any:
    """JSON with NaN and Infinity, as some senders write it; `MISSING` if it is no JSON at all.

    msgspec refuses them, rightly; asked only after it did, to tell a number that is none from a payload that is none.
    """
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return MISSING
