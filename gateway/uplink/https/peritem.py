"""Answers that say of each item what came of it, in order or by name. Pure.

Success is what the receiver says. What it says nothing of may have been taken, and is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.contract import SENT, Outcome
from gateway.uplink.https import paths
from gateway.uplink.https.answers import Answer, excerpt
from gateway.uplink.https.filters import to_json
from gateway.uplink.https.rules import PerItem


class Said(NamedTuple):
    """A refusal in the receiver's words, as it came; `words` and `label` are without secrets."""

    code: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()
    hide: Callable[[str], str] = str

    def words(self, status: int | None = None) -> str:
        """For people; empty: it said nothing."""
        text = ": ".join(filter(None, (self.code, self.message)))
        if not text:
            return ""
        named = f" ({', '.join(self.fields)})" if self.fields else ""
        return excerpt(self.hide(f"{status} {text}{named}" if status is not None else f"{text}{named}"))

    def label(self, status: int | None) -> str:
        """For machines: the code, and the fields it is about."""
        code = self.code or (str(status) if status is not None else "refused")
        return self.hide(f"{code}: {', '.join(self.fields)}" if self.fields else code)[:200]


class Places(Protocol):
    def said(self, document: Any, hide: Callable[[str], str]) -> Said: ...


Refusal = Callable[[int | None, Said, Answer, float], Outcome]


class Items:
    """Reads the results of a request."""

    def __init__(self, options: PerItem, places: Places, refusal: Refusal) -> None:
        self._places, self._refusal = places, refusal
        self._path = paths.parse(options.path)
        self._ok = paths.condition(options.ok) if options.ok else None
        self._id = paths.parse(options.id) if options.id else None
        self._failed = paths.parse(options.failed) if options.failed else None
        self._failed_id = paths.parse(options.failed_id) if options.failed_id else self._id

    def outcomes(self, document: Any, marks: Sequence[str], answer: Answer, now_seconds: float) -> list[Outcome]:
        """One per mark, in their order."""

        def judged(result: Any) -> Outcome:
            return self._one(result, answer, now_seconds)

        found = paths.walk(document, self._path)
        if self._id is not None:
            return self._by_name(found, document, marks, judged)
        if not isinstance(found, list) or len(found) != len(marks):
            count = f"{len(found)} results" if isinstance(found, list) else "no list of results"
            said = self._places.said(document, answer.hide)
            return [_unknown(f"the answer holds {count} for {len(marks)} events {said.words()}".rstrip())] * len(marks)
        return [judged(result) for result in found]

    def _by_name(self, found: Any, document: Any, marks: Sequence[str], judged: Callable[[Any], Outcome]) -> list[Outcome]:
        named: dict[str, Outcome] = {}
        for result in found if isinstance(found, list) else []:
            outcome = SENT if self._ok is None or self._ok(result) else judged(result)
            named |= dict.fromkeys(paths.texts_at(result, self._id), outcome)
        failures = paths.walk(document, self._failed) if self._failed is not None else []
        for failure in failures if isinstance(failures, list) else []:
            named |= dict.fromkeys(paths.texts_at(failure, self._failed_id), judged(failure))
        return _told(named, marks)

    def _one(self, result: Any, answer: Answer, now_seconds: float) -> Outcome:
        if self._id is None and self._ok is not None and self._ok(result):
            return SENT
        said = self._places.said(result, answer.hide)
        if not said.code and not said.message:
            return _unknown(f"a result says neither that it was taken nor why not: {excerpt(answer.hide(to_json(result)))}")
        return self._refusal(None, said, answer, now_seconds)


def _told(named: Mapping[str, Outcome], marks: Sequence[str]) -> list[Outcome]:
    silent = _unknown("the answer says nothing of this event")
    return [named.get(mark, silent) for mark in marks]


def _unknown(why: str) -> Outcome:
    return Outcome.retry(why, unknown=True)
