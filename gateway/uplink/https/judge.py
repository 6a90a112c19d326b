"""From answers to outcomes, by the tables of the options. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from gateway.contract import DUPLICATE, SENT, Outcome, OutcomeKind, Usage
from gateway.uplink.https import paths
from gateway.uplink.https.answers import LONGEST_WAIT, Answer
from gateway.uplink.https.peritem import Items, Said
from gateway.uplink.https.rules import ErrorPaths, MatchRule, ResultOptions

SPLIT: Final = None
_TOO_LARGE = 413
# What may have been taken although it looks like a failure.
_UNKNOWN = {408, 409}
_WHY = {
    300: "the receiver knows more than one of it",
    402: "the receiver wants to be paid",
    403: "the receiver forbids it",
    404: "no such address",
    405: "the address does not take this method",
    407: "a proxy wants credentials",
    415: "the receiver does not take this kind of content",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Paths to what a receiver says, compiled."""

    code: tuple[paths.Keys, ...]
    message: tuple[paths.Keys, ...]
    fields: tuple[paths.Keys, ...]

    @staticmethod
    def of(options: ErrorPaths) -> Places:
        return Places(*(tuple(map(paths.parse, given)) for given in (options.code, options.message, options.fields)))

    def said(self, document: Any, hide: Callable[[str], str]) -> Said:
        fields = next((found for keys in self.fields if (found := paths.texts_at(document, keys))), [])
        return Said(_first(document, self.code), _first(document, self.message), tuple(fields[:20]), hide)


def _first(document: Any, places: Sequence[paths.Keys]) -> str:
    return next((found for keys in places if (found := paths.text_at(document, keys))), "")


class Judge:
    """Of one destination."""

    def __init__(self, options: ResultOptions) -> None:
        self._options = options
        self._ok = paths.condition(options.ok) if options.ok else None
        self._error = Places.of(options.error)
        self._items = Items(options.per_item, Places.of(options.per_item), self._refusal) if options.per_item else None
        self._usage = re.compile(options.usage.regex) if options.usage else None

    @property
    def reads_body(self) -> bool:
        """Whether an answer of 2xx says anything beyond that."""
        return self._ok is not None or self._items is not None

    def outcomes(self, answer: Answer, marks: Sequence[str], now_seconds: float) -> list[Outcome] | None:
        """One per mark, in their order; SPLIT: one of them is refused, and nobody knows which.

        marks   what `per_item.id` calls the items
        """
        if answer.taken and not self.reads_body:
            return [Outcome.retry(f"{answer.status}, but {answer.cut}", unknown=True) if answer.cut else SENT] * len(marks)
        if not answer.taken:
            return self._of_all(self._refusal(answer.status, self._said(answer), answer, now_seconds), answer, len(marks))
        try:
            document = answer.document()
        except ValueError as exc:
            return [Outcome.retry(f"{answer.status}, but its answer cannot be read: {exc}", unknown=True)] * len(marks)
        if self._items is not None:
            return self._items.outcomes(document, marks, answer, now_seconds)
        if self._ok is None or self._ok(document):
            return [SENT] * len(marks)
        said, tells = self._error.said(document, answer.hide), self._options.error
        if (tells.code or tells.message) and not (said.code or said.message):
            # It was not taken, or not yet, and nobody says why: no event may be blamed for that.
            return [Outcome.retry(f"{answer.status}, but {answer.said()}", unknown=True)] * len(marks)
        return self._of_all(self._refusal(None, said, answer, now_seconds), answer, len(marks))

    def refuses_login(self, answer: Answer) -> bool:
        """Also a login that worked until now."""
        if answer.taken:
            return False
        return answer.status in self._options.auth_status or _among(self._said(answer).code, self._options.auth_codes)

    def usage(self, answer: Answer) -> Usage | None:
        """What the answer says of the receiver's allowance."""
        options = self._options.usage
        if options is None or self._usage is None:
            return None
        found = self._usage.search(answer.headers.get(options.header.lower(), "")[:1000])
        try:
            used, limit = (float(group) for group in found.groups()) if found else (0.0, 0.0)
        except (TypeError, ValueError):
            return None
        return Usage(used, limit) if limit > 0 else None

    def _said(self, answer: Answer) -> Said:
        try:
            return self._error.said(answer.document(), answer.hide)
        except ValueError:
            return Said()

    def _of_all(self, outcome: Outcome, answer: Answer, count: int) -> list[Outcome] | None:
        """A 409 of one of many says nothing of the others, and a body that is too large is nobody's fault alone."""
        guilty = outcome.kind in (OutcomeKind.PARK, OutcomeKind.DUPLICATE)
        if guilty and count > 1 and (self._options.no_per_item == "bisect" or answer.status == _TOO_LARGE):
            return SPLIT
        return [outcome] * count

    def _refusal(self, status: int | None, said: Said, answer: Answer, now_seconds: float) -> Outcome:
        """`status` None: it is about an item, or stands in the body of a 2xx."""
        options, wait = self._options, answer.wait_seconds(now_seconds)
        words = said.words(status) or f"{answer.status}: {answer.said()}".rstrip(": ")
        if status in options.gone:
            return Outcome.hold(f"the address is gone for good ({words})", LONGEST_WAIT)
        if status in options.auth_status or _among(said.code, options.auth_codes):
            return Outcome.hold(f"the receiver refuses our credentials ({words})", wait)
        for quota in options.quota:
            if _fits(quota, status, said):
                until = 3600 - answer.now_seconds(now_seconds) % 3600 if quota.hold == "next_hour" else quota.hold
                return Outcome.hold(f"an allowance of the receiver is used up ({words})", wait or float(until))
        if any(_fits(rule, status, said) for rule in options.duplicate_ok):
            return DUPLICATE
        if _among(said.code, options.hold_codes):
            return Outcome.hold(f"the receiver must be set up first ({words})", wait)
        if _among(said.code, options.retryable_codes) or any(_fits(rule, status, said) for rule in options.retryable):
            return Outcome.retry(words, wait, unknown=status is not None and (status >= 500 or status in _UNKNOWN))
        return self._by_status(status, said, words, wait)

    def _by_status(self, status: int | None, said: Said, words: str, wait: float) -> Outcome:
        options = self._options
        if status is not None:
            if status in options.retryable_status or status >= 500:
                return Outcome.retry(words, wait, unknown=status >= 500 or status in _UNKNOWN)
            if status in options.hold_status or status == 300:
                return Outcome.hold(f"{_WHY.get(status, 'the receiver refuses everything')} ({words})", wait)
            if 300 <= status < 400:
                return Outcome.hold(f"the receiver redirects ({words}); redirects are not followed", wait)
        counts = not options.drift_codes or _among(said.code, options.drift_codes)
        return Outcome.park(words, code=said.label(status) if counts else "")


def _among(code: str, wanted: Sequence[str]) -> bool:
    return bool(code) and any(fnmatchcase(code, pattern) for pattern in wanted)


def _fits(rule: MatchRule, status: int | None, said: Said) -> bool:
    if rule.status not in (None, status) or not (rule.code is None or _among(said.code, [rule.code])):
        return False
    return rule.message is None or fnmatchcase(" ".join([said.message, *said.fields]), rule.message)
